//! Cells that a spreadsheet would take for a formula, written so that it does not, and read so that nothing changes.
//!
//! A cell that begins with `=`, `+`, `-`, `@` or a control character gets an apostrophe in front. So does a cell that
//! already looks as if it had one, so that reading back takes exactly what writing has added. Cells of passwords are
//! never written, and read as they are.

/// Whether a spreadsheet may take what begins so for more than text.
fn is_active(character: char) -> bool {
    matches!(character, '=' | '+' | '-' | '@') || character.is_control()
}

/// Whether the rest behind an apostrophe makes that apostrophe one of ours.
fn needs_guard(text: &str) -> bool {
    text.starts_with(is_active) || text.strip_prefix('\'').is_some_and(needs_guard_behind)
}

fn needs_guard_behind(rest: &str) -> bool {
    rest.starts_with(|first| first == '\'' || is_active(first))
}

/// A cell as it is written.
pub(crate) fn guard(text: &str) -> String {
    if needs_guard(text) { format!("'{text}") } else { text.to_owned() }
}

/// A cell as it was before it was written.
pub(crate) fn unguard(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| needs_guard_behind(rest)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_is_written_and_everything_comes_back() {
        for text in ["=1+1", "+49", "-a", "@x", "\t=1", "'=1", "''", "'''", "'", "'a", "", "a", "''a", "a'", "'+"] {
            let written = guard(text);
            assert!(!written.starts_with(is_active), "{written}");
            assert_eq!(unguard(&written), text, "{written}");
        }
        assert_eq!((guard("=1").as_str(), guard("a").as_str(), guard("'a").as_str()), ("'=1", "a", "'a"));
    }
}
