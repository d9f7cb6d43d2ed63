//! Modified UTF-7 for mailbox names (RFC 3501 §5.1.3).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Encodes a name: printable ASCII stands for itself, `&` becomes `&-`, everything else is base64 of UTF-16BE.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pending: Vec<u8> = Vec::new();
    let flush = |pending: &mut Vec<u8>, out: &mut String| {
        if !pending.is_empty() {
            out.push('&');
            ENGINE.encode_string(&*pending, out);
            out.push('-');
            pending.clear();
        }
    };
    for character in text.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut pending, &mut out);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                pending.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut pending, &mut out);
    out
}

/// Decodes a name. `None` if it is not modified UTF-7: octets outside printable ASCII, an unfinished shift, broken
/// base64, half a surrogate pair, or a form that would be encoded differently (such a name must be kept as it is,
/// or it could not be sent back).
#[must_use]
pub fn decode(name: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'&' => {
                let end = rest.iter().position(|&octet| octet == b'-')?;
                let (shifted, after) = (&rest[..end], &rest[end + 1..]);
                rest = after;
                if shifted.is_empty() {
                    out.push('&');
                } else {
                    let octets = ENGINE.decode(shifted).ok()?;
                    if octets.len() % 2 != 0 {
                        return None;
                    }
                    let units: Vec<u16> =
                        octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
                    out.push_str(&String::from_utf16(&units).ok()?);
                }
            }
            b' '..=b'~' => out.push(char::from(octet)),
            _ => return None,
        }
    }
    (encode(&out).as_bytes() == name).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_examples_of_the_rfc() {
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(), Some("~peter/mail/台北/日本語"));
        assert_eq!(encode("A & B"), "A &- B");
        assert_eq!(decode(b"Entw&APw-rfe").as_deref(), Some("Entwürfe"));
        assert_eq!(decode(encode("🎉 done\u{7f}").as_bytes()).as_deref(), Some("🎉 done\u{7f}"));
    }

    #[test]
    fn refuses_what_could_not_be_sent_back() {
        for bad in [&b"a&b"[..], b"&AGE-", b"&2D0-", b"caf\xe9", b"&@@@-", b"&AOk", b"&AA-", b"a\x01"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
