//! What a command is answered: untagged responses, and the verdict behind them.

use crate::imap_client::utf7;
use std::fmt::Write as _;

/// How a command ended. It is told with the command's tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) word: &'static str,
    /// A response code without its brackets; empty for none.
    pub(super) code: String,
    pub(super) text: String,
}

impl Verdict {
    pub(super) fn ok(text: &str) -> Self {
        Self { word: "OK", code: String::new(), text: text.to_owned() }
    }

    pub(super) fn ok_with(code: String, text: &str) -> Self {
        Self { word: "OK", code, text: text.to_owned() }
    }

    pub(super) fn no(code: &str, text: &str) -> Self {
        Self { word: "NO", code: code.to_owned(), text: text.to_owned() }
    }

    pub(super) fn bad(text: &str) -> Self {
        Self { word: "BAD", code: String::new(), text: text.to_owned() }
    }

    /// The tagged line.
    pub(super) fn line(&self, tag: &str) -> String {
        let code = if self.code.is_empty() { String::new() } else { format!("[{}] ", self.code) };
        format!("{tag} {} {code}{}\r\n", self.word, self.text)
    }
}

/// An end by `Err` is as good as one by `Ok`; the difference is only who looks at it.
pub(super) type Handled = Result<Verdict, Verdict>;

/// Untagged responses.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) octets: Vec<u8>,
}

impl Output {
    /// `* ` and this.
    pub(super) fn untagged(&mut self, text: &str) {
        self.octets.extend_from_slice(b"* ");
        self.octets.extend_from_slice(text.as_bytes());
        self.octets.extend_from_slice(b"\r\n");
    }
}

/// A string of ASCII, quoted.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// A mailbox's name as it goes over the wire.
pub(super) fn mailbox_name(name: &str) -> String {
    quoted(&utf7::encode(name))
}

/// UIDs as a set, in ascending ranges or, where they do not ascend, one by one.
pub(super) fn uid_set(uids: &[u32]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < uids.len() {
        let mut end = at;
        while end + 1 < uids.len() && uids[end].checked_add(1) == Some(uids[end + 1]) {
            end += 1;
        }
        if !text.is_empty() {
            text.push(',');
        }
        let written = if end == at { write!(text, "{}", uids[at]) } else { write!(text, "{}:{}", uids[at], uids[end]) };
        written.expect("writing to a string does not fail");
        at = end + 1;
    }
    text
}

/// Flags in parentheses.
pub(super) fn flag_list<'a>(flags: impl IntoIterator<Item = &'a String>) -> String {
    let words: Vec<&str> = flags.into_iter().map(String::as_str).collect();
    format!("({})", words.join(" "))
}
