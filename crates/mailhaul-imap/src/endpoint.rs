//! Where to connect, whom to trust, who signs in, how long to wait: the plain data that opening a connection takes.

use mailhaul_types::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// One IMAP server as an operator named it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address literal (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte (RFC 8314 §3).
    Implicit,
    /// STARTTLS (RFC 9051 §6.2.1): required, never "if offered".
    StartTls,
    /// No protection at all. Whoever passes this has checked that the operator allowed it for this host.
    Plain,
}

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authorities that the operating system trusts.
    System,
    /// Only the authorities in this PEM file.
    CaFile(PathBuf),
    /// SHA-256 of the server certificate's DER: that certificate and no other. Name, chain and dates are not asked.
    Pin(Vec<[u8; 32]>),
}

/// Who signs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The login name, sent as UTF-8.
    pub user: String,
    /// The password, sent as the octets it has.
    pub password: Secret,
    /// Whose account is opened, if not the user's own (RFC 4616, `authzid`). Needs AUTH=PLAIN.
    pub authorization_identity: Option<String>,
}

/// How long a server may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the TCP connection and the TLS handshake, each.
    pub connect: Duration,
    /// For each command that answers with a handful of lines, from its first byte to its tagged response.
    pub control: Duration,
    /// In bulk work: the longest time in which no byte moves in either direction while the server owes an answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), control: Duration::from_secs(90), idle: Duration::from_secs(300) }
    }
}
