//! Accounts written out again, without secrets, so that [`crate::read_list`] reads them back as they were.

use crate::guard::guard;
use serde::Serialize;

/// One account as it is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// The accounts as CSV with a header. No cell begins so that a spreadsheet takes it for a formula.
#[must_use]
pub fn to_csv(rows: &[ExportRow<'_>]) -> String {
    let mut text = String::from("account,source_user,target_user,from,to,wave,priority\n");
    for row in rows {
        for cell in [row.account, row.source_user, row.target_user, row.from, row.to, row.wave] {
            text.push_str(&quote(&guard(cell)));
            text.push(',');
        }
        text.push_str(&row.priority.to_string());
        text.push('\n');
    }
    text
}

/// A cell in quotes where it needs them: also where its line would be taken for a comment without.
fn quote(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) || cell.starts_with('#') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// The accounts as a JSON array, one object to a line.
#[must_use]
pub fn to_json(rows: &[ExportRow<'_>]) -> String {
    let object = |row| serde_json::to_string(row).expect("texts and a number can always be written");
    let lines: Vec<String> = rows.iter().map(object).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}
