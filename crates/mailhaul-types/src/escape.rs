//! Showing strangers' text on a terminal or in a log.

use std::fmt;

/// Displays text so that it cannot steer a terminal or reorder a line: control characters, bidirectional controls,
/// line and paragraph separators and the stand-ins for undecodable octets are written as escapes.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '\u{F780}'..='\u{F7FF}' => write!(f, "\\x{:02x}", u32::from(character) - 0xF700)?,
                _ if is_dangerous(character) => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// [`Escaped`] as a string.
#[must_use]
pub fn escape(text: &str) -> String {
    Escaped(text).to_string()
}

fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        assert_eq!(escape("a\u{1b}[2Jb\r\n"), "a\\u{1b}[2Jb\\u{d}\\u{a}");
        assert_eq!(escape("x\u{202e}y\u{9b}"), "x\\u{202e}y\\u{9b}");
        assert_eq!(escape("Entwürfe 日本"), "Entwürfe 日本");
        assert_eq!(escape("b\u{f7e4}r"), "b\\xe4r");
    }
}
