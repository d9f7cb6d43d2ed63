//! Modified UTF-7 for mailbox names (RFC 3501 §5.1.3), written a second time on purpose: the judge must not share the
//! copier's mistakes.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The name as it goes over the wire.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    let mut shifted: Vec<u16> = Vec::new();
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            unshift(&mut encoded, &mut shifted);
            encoded.push(character);
            if character == '&' {
                encoded.push('-');
            }
        } else {
            shifted.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    unshift(&mut encoded, &mut shifted);
    encoded
}

fn unshift(encoded: &mut String, shifted: &mut Vec<u16>) {
    if shifted.is_empty() {
        return;
    }
    let octets: Vec<u8> = shifted.drain(..).flat_map(u16::to_be_bytes).collect();
    encoded.push('&');
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            encoded.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    encoded.push('-');
}

/// The name as people read it; none when it is no modified UTF-7.
#[must_use]
pub fn decode(wire: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = wire;
    while let Some((plain, shifted)) = rest.split_once('&') {
        text.push_str(plain);
        let (encoded, after) = shifted.split_once('-')?;
        if encoded.is_empty() {
            text.push('&');
        } else {
            text.push_str(&decode_shifted(encoded)?);
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

fn decode_shifted(encoded: &str) -> Option<String> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut units = Vec::new();
    for octet in encoded.bytes() {
        let value = u32::try_from(ALPHABET.iter().position(|known| *known == octet)?).ok()?;
        bits = bits << 6 | value;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_there_and_back() {
        for (text, wire) in [
            ("INBOX", "INBOX"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("A & B", "A &- B"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("😀 now", "&2D3eAA- now"),
            ("tab\there", "tab&AAk-here"),
        ] {
            assert_eq!(encode(text), wire);
            assert_eq!(decode(wire).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_modified_utf7_is_not_guessed_at() {
        assert_eq!(decode("A & B"), None);
        assert_eq!(decode("&!-"), None);
    }
}
