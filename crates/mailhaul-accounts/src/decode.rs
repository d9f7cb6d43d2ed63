//! From octets to text. Passwords are in it, so that a copy that is made is wiped when it has been read.

use crate::fault::{ListErrors, Problem, Remark, RemarkKind};
use crate::row::Encoding;
use std::borrow::Cow;
use zeroize::{Zeroize, Zeroizing};

/// A list as text, and how it became that.
pub(crate) struct Text<'a> {
    text: Cow<'a, str>,
    /// The encoding that was found or given.
    pub(crate) encoding: Encoding,
    /// What the operator should know about it.
    pub(crate) remark: Option<Remark>,
}

impl Text<'_> {
    /// The text itself, without a byte order mark.
    pub(crate) fn as_str(&self) -> &str {
        self.text.strip_prefix('\u{FEFF}').unwrap_or(&self.text)
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.text {
            text.zeroize();
        }
    }
}

/// Decodes a list. What is valid UTF-8 is taken for that; with a byte order mark of UTF-16 it is that; everything else
/// is Latin-1, unless parts of it are UTF-8 beyond ASCII: then no reading is right for all of it.
pub(crate) fn decode(octets: &[u8], given: Option<Encoding>) -> Result<Text<'_>, ListErrors> {
    match given.unwrap_or_else(|| detect(octets)) {
        Encoding::Utf8 => {
            let text = str::from_utf8(octets).map_err(|error| {
                ListErrors::one(Some(line_at(octets, error.valid_up_to())), Problem::Encoding("UTF-8"))
            })?;
            Ok(Text { text: Cow::Borrowed(text), encoding: Encoding::Utf8, remark: None })
        }
        Encoding::Utf16 => decode_utf16(octets),
        Encoding::Latin1 => {
            if given.is_none() {
                refuse_mixture(octets)?;
            }
            Ok(decode_latin1(octets))
        }
    }
}

fn detect(octets: &[u8]) -> Encoding {
    if octets.starts_with(&[0xFF, 0xFE]) || octets.starts_with(&[0xFE, 0xFF]) {
        Encoding::Utf16
    } else if str::from_utf8(octets).is_ok() {
        Encoding::Utf8
    } else {
        Encoding::Latin1
    }
}

fn refuse_mixture(octets: &[u8]) -> Result<(), ListErrors> {
    let has_utf8 = octets.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    if !has_utf8 {
        return Ok(());
    }
    let mut errors = ListErrors::default();
    let mut counter = LineCounter::new(octets);
    let mut offset = 0;
    let mut last = 0;
    for chunk in octets.utf8_chunks() {
        offset += chunk.valid().len();
        let line = counter.line_at(offset);
        if !chunk.invalid().is_empty() && line != last {
            errors.push(Some(line), Problem::MixedEncoding);
            last = line;
        }
        offset += chunk.invalid().len();
    }
    Err(errors)
}

fn decode_utf16(octets: &[u8]) -> Result<Text<'static>, ListErrors> {
    // Without a mark it is what Windows writes.
    let to_unit = if octets.starts_with(&[0xFE, 0xFF]) { u16::from_be_bytes } else { u16::from_le_bytes };
    let (pairs, odd) = octets.as_chunks::<2>();
    // No unit takes more than three octets in UTF-8: a buffer that grows would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(pairs.len() * 3));
    for character in char::decode_utf16(pairs.iter().map(|pair| to_unit(*pair))) {
        let line = || line_at(text.as_bytes(), text.len());
        let character = character.map_err(|_| ListErrors::one(Some(line()), Problem::Encoding("UTF-16")))?;
        text.push(character);
    }
    if !odd.is_empty() {
        return Err(ListErrors::one(Some(line_at(text.as_bytes(), text.len())), Problem::Encoding("UTF-16")));
    }
    Ok(Text { text: Cow::Owned(std::mem::take(&mut *text)), encoding: Encoding::Utf16, remark: None })
}

fn decode_latin1(octets: &[u8]) -> Text<'static> {
    let mut text = String::with_capacity(octets.len() * 3);
    text.extend(octets.iter().map(|octet| match octet {
        0x80..=0x9F => WINDOWS_1252[usize::from(octet - 0x80)],
        _ => char::from(*octet),
    }));
    let first = octets.iter().position(|octet| !octet.is_ascii());
    let remark = first.map(|at| Remark { line: Some(line_at(octets, at)), kind: RemarkKind::Latin1 });
    Text { text: Cow::Owned(text), encoding: Encoding::Latin1, remark }
}

/// What Windows has where Latin-1 has control characters that nobody uses. Five places are empty in both; they stay
/// control characters and are refused where they stand.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// The line, from 1, that the octet at `offset` is on. CR, LF and CR LF all end lines.
fn line_at(octets: &[u8], offset: usize) -> u32 {
    LineCounter::new(octets).line_at(offset)
}

/// Tells lines for offsets that grow, each octet looked at once.
pub(crate) struct LineCounter<'a> {
    octets: &'a [u8],
    offset: usize,
    line: u32,
}

impl<'a> LineCounter<'a> {
    /// Begins at the first line.
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { octets, offset: 0, line: 1 }
    }

    /// The line of `offset`, which is not smaller than the one before.
    pub(crate) fn line_at(&mut self, offset: usize) -> u32 {
        while self.offset < offset.min(self.octets.len()) {
            let ends_line = match self.octets[self.offset] {
                b'\n' => true,
                b'\r' => self.octets.get(self.offset + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u32::from(ends_line);
            self.offset += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(octets: &[u8]) -> (String, Encoding) {
        let text = decode(octets, None).expect("it decodes");
        (text.as_str().to_owned(), text.encoding)
    }

    #[test]
    fn tells_the_encodings_apart() {
        assert_eq!(decoded(b"a\n"), ("a\n".into(), Encoding::Utf8));
        assert_eq!(decoded("\u{FEFF}jürgen".as_bytes()), ("jürgen".into(), Encoding::Utf8));
        assert_eq!(decoded(b"j\xFCrgen \x80"), ("jürgen €".into(), Encoding::Latin1));
        assert_eq!(decoded(b"\xFF\xFEj\0\xFC\0"), ("jü".into(), Encoding::Utf16));
        assert_eq!(decoded(b"\xFE\xFF\0j\0\xFC"), ("jü".into(), Encoding::Utf16));
    }

    #[test]
    fn says_where_a_list_stops_being_utf8() {
        let text = decode(b"a\r\nb\rc\nj\xFCrgen\n", None).expect("it is Latin-1");
        assert_eq!(text.remark, Some(Remark { line: Some(4), kind: RemarkKind::Latin1 }));
    }

    #[test]
    fn refuses_a_list_that_is_of_two_encodings() {
        let errors = decode(b"ok\nj\xC3\xBCrgen\nj\xFCrgen\nx\n\xFC \xFC\n", None).err().expect("it is mixed");
        let lines: Vec<_> = errors.faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [Some(3), Some(5)]);
        assert!(decode(b"j\xC3\xBCrgen\nj\xFCrgen\n", Some(Encoding::Latin1)).is_ok());
    }

    #[test]
    fn refuses_what_is_not_in_the_encoding_that_was_given() {
        let fault = |octets, encoding| decode(octets, Some(encoding)).err().map(|errors| errors.faults[0].line);
        assert_eq!(fault(b"a\nb\xFC", Encoding::Utf8), Some(Some(2)));
        assert_eq!(fault(b"\xFF\xFEa\0\n\0\0\xD8a\0", Encoding::Utf16), Some(Some(2)));
        assert_eq!(fault(b"\xFF\xFEa\0b", Encoding::Utf16), Some(Some(1)));
    }
}
