//! ID (RFC 2971): who the server says it is. Most of what is known about servers' oddities hangs on it.

use crate::command::Command;
use crate::response::Response;
use crate::tokens::Value;

/// Octets of a server's name and version that are kept.
const SOFTWARE_OCTETS_MAX: usize = 200;

/// The command, with our own name and version.
pub(crate) fn command() -> Command {
    let ours = concat!(" (\"name\" \"mailhaul\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")");
    Command::new("ID").text(ours)
}

/// Name and version, if this is the answer and tells a name.
pub(crate) fn read(response: &Response<'_>) -> Option<String> {
    let Response::Data { number: None, word, rest } = response else { return None };
    if !word.eq_ignore_ascii_case(b"ID") {
        return None;
    }
    let mut rest = rest.clone();
    let Some(Value::List(range)) = rest.value() else { return None };
    let mut fields = rest.within(range);
    let (mut name, mut version) = (None, None);
    while let Some(field) = fields.string() {
        let value = fields.value().and_then(|value| fields.string_of(value));
        let text = value.map(|text| String::from_utf8_lossy(&text).into_owned());
        if field.eq_ignore_ascii_case(b"name") {
            name = text;
        } else if field.eq_ignore_ascii_case(b"version") {
            version = text;
        }
    }
    let both = [name?, version.unwrap_or_default()].join(" ");
    Some(both.trim().chars().take(SOFTWARE_OCTETS_MAX).collect())
}
