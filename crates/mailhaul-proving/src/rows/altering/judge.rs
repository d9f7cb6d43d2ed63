//! What a server that alters mail must have kept of it. Shares nothing with what is judged, nor with the model server.

use mailhaul_testing::model::{Alters, Held};
use mailhaul_types::Side;

/// Octets, date and flags, as far as they must be the same on both sides.
pub(super) type Survivors = (Vec<u8>, Option<i64>, Vec<String>);

/// What must be the same of a message on this side.
pub(super) fn survivors(alters: Alters, held: &Held, side: Side) -> Survivors {
    let (octets, mut date, mut flags) = (held.octets.to_vec(), Some(held.date), held.flags.clone());
    let octets = match (alters, side) {
        (Alters::AddsHeader, Side::Target) => without_line(&octets, 0, b"X-Model-Stored: "),
        (Alters::RebuildsBody, Side::Target) => without_line(&octets, header_octets(&octets), b"rebuilt as number "),
        (Alters::EightBitHeaders, Side::Source) => munged(&octets),
        (Alters::DropsHeaders, Side::Source) => kept_fields(&octets),
        _ => octets,
    };
    match alters {
        Alters::IgnoresDates => date = None,
        Alters::DropsKeywords => flags.retain(|flag| flag.starts_with('\\')),
        _ => {}
    }
    (octets, date, flags)
}

/// With `X` in place of every octet of the header above 127.
pub(super) fn munged(octets: &[u8]) -> Vec<u8> {
    let header = header_octets(octets);
    let munged = octets[..header].iter().map(|octet| if *octet < 128 { *octet } else { b'X' });
    munged.chain(octets[header..].iter().copied()).collect()
}

/// Without the line at this place, which begins so; octets that cannot be right if there is none.
fn without_line(octets: &[u8], at: usize, begins: &[u8]) -> Vec<u8> {
    let rest = &octets[at..];
    let end = rest.iter().position(|octet| *octet == b'\n').filter(|_| rest.starts_with(begins));
    end.map_or_else(|| b"not as this server stores it".to_vec(), |end| [&octets[..at], &rest[end + 1..]].concat())
}

fn header_octets(octets: &[u8]) -> usize {
    if octets.starts_with(b"\r\n") {
        return 2;
    }
    octets.windows(4).position(|window| window == b"\r\n\r\n").map_or(octets.len(), |at| at + 4)
}

fn kept_fields(octets: &[u8]) -> Vec<u8> {
    let (header, body) = octets.split_at(header_octets(octets));
    let text = header.split_inclusive(|octet| *octet == b'\n');
    let kept = text.filter(|line| {
        let dropped: [&[u8]; 4] = [b"Cc:", b"References:", b"In-Reply-To:", b"X-"];
        !dropped.iter().any(|name| line.starts_with(name))
    });
    [&kept.collect::<Vec<_>>().concat(), body].concat()
}
