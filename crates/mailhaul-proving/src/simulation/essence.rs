//! What is left of a message on a server that alters what it is given.

use mailhaul_testing::model::Alters;

/// What is the same of a message before and after the server has stored it: without what it adds and what it takes away.
pub(super) fn essence(alters: Alters, octets: &[u8]) -> Vec<u8> {
    let end = octets.windows(4).position(|part| part == b"\r\n\r\n").map_or(octets.len(), |place| place + 4);
    let (header, body) = octets.split_at(end);
    match alters {
        Alters::Nothing | Alters::DropsKeywords | Alters::IgnoresDates => octets.to_vec(),
        Alters::AddsHeader => [without_lines(header, b"X-Model-Stored:"), body.to_vec()].concat(),
        Alters::NamesMail => [without_lines(header, b"Message-ID: <model-stored-"), body.to_vec()].concat(),
        Alters::DropsHeaders => [without_lines(header, b"X-"), body.to_vec()].concat(),
        Alters::RebuildsBody => [header.to_vec(), without_lines(body, b"rebuilt as number ")].concat(),
        Alters::EightBitHeaders => {
            let munged = header.iter().map(|octet| if octet.is_ascii() { *octet } else { b'X' });
            munged.chain(body.iter().copied()).collect()
        }
    }
}

fn without_lines(octets: &[u8], beginning: &[u8]) -> Vec<u8> {
    let lines = octets.split_inclusive(|octet| *octet == b'\n');
    lines.filter(|line| !line.starts_with(beginning)).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_adds_or_takes_away_makes_no_difference() {
        let sent = b"X-Odd: 1\r\nSubject: \xe4\r\n\r\nBody \xe4\r\n".as_slice();
        for (alters, stored) in [
            (
                Alters::AddsHeader,
                b"X-Model-Stored: number 7\r\nX-Odd: 1\r\nSubject: \xe4\r\n\r\nBody \xe4\r\n".as_slice(),
            ),
            (Alters::NamesMail, b"Message-ID: <model-stored-7@x>\r\nX-Odd: 1\r\nSubject: \xe4\r\n\r\nBody \xe4\r\n"),
            (Alters::DropsHeaders, b"Subject: \xe4\r\n\r\nBody \xe4\r\n"),
            (Alters::EightBitHeaders, b"X-Odd: 1\r\nSubject: X\r\n\r\nBody \xe4\r\n"),
            (Alters::RebuildsBody, b"X-Odd: 1\r\nSubject: \xe4\r\n\r\nrebuilt as number 7\r\nBody \xe4\r\n"),
        ] {
            assert_eq!(essence(alters, sent), essence(alters, stored), "{alters:?}");
            assert_ne!(essence(alters, sent), essence(alters, b"Subject: y\r\n\r\nBody\r\n"), "{alters:?}");
        }
    }
}
