//! Parts of a message: header, text, single fields (RFC 9051 §6.4.5).

/// How many octets the header has, with the empty line that ends it.
pub(super) fn header_octets(octets: &[u8]) -> usize {
    let mut at = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        at += line.len();
        if line == b"\r\n" || line == b"\n" {
            return at;
        }
    }
    octets.len()
}

/// The header's fields of these names (or all but these), each with its folded lines, and an empty line.
pub(super) fn fields(octets: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut picked = Vec::new();
    let mut taking = false;
    for line in octets[..header_octets(octets)].split_inclusive(|octet| *octet == b'\n') {
        if line == b"\r\n" || line == b"\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii();
            taking = names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)) != not;
        }
        if taking {
            picked.extend_from_slice(line);
        }
    }
    picked.extend_from_slice(b"\r\n");
    picked
}
