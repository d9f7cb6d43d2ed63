//! What an operator allows on one endpoint.

use serde::{Deserialize, Serialize};

/// Limits of one endpoint. What is absent is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections at once, in all phases together. A running job takes one at each endpoint that it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Of these, for first copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk_connections: Option<u32>,
    /// Of these, for everything after the first copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync_connections: Option<u32>,
    /// Messages a second, all jobs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second: Option<u64>,
    /// Octets of mail a second, all jobs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Messages a second for each account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_messages_per_second: Option<u64>,
    /// Octets a second for each account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_bytes_per_second: Option<u64>,
    /// Octets a day for each account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_bytes_per_day: Option<u64>,
    /// When work is allowed; at any time if there is none. `Mon-Fri 20:00-06:00 Europe/Berlin`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
}
