//! The few fields of a certificate that people want to read: for whom, by whom, until when (RFC 5280 §4.1).
//!
//! Nothing is decided by them: whether a certificate is believed is the verifier's matter alone. The reader takes DER
//! in definite lengths, never looks beyond the octets that it has, and leaves out what it cannot read.

use mailhaul_types::InternalDate;

/// Octets of a name that are shown.
const NAME_OCTETS_MAX: usize = 200;
/// Parts of a name that are looked at.
const NAME_PARTS_MAX: usize = 50;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
/// `id-at-commonName` (2.5.4.3).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `id-at-organizationName` (2.5.4.10).
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) subject: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) ends_unix_secs: Option<i64>,
}

pub(crate) fn read(der: &[u8]) -> Certificate {
    let mut found = Certificate::default();
    // What was read before something could not be read stays.
    let _ = read_into(&mut found, der);
    found
}

fn read_into(found: &mut Certificate, der: &[u8]) -> Option<()> {
    let mut certificate = Der(der).enter(SEQUENCE)?;
    let mut fields = certificate.enter(SEQUENCE)?;
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    fields.next()?; // serial number
    fields.next()?; // signature algorithm
    found.issuer = name(fields.enter(SEQUENCE)?);
    let mut validity = fields.enter(SEQUENCE)?;
    validity.next()?; // notBefore
    let (kind, text) = validity.next()?;
    found.ends_unix_secs = time(kind, text);
    found.subject = name(fields.enter(SEQUENCE)?);
    Some(())
}

/// Elements one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, if it is of this kind.
    fn enter(&mut self, wanted: u8) -> Option<Der<'a>> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(Der(content))
    }
}

/// The common name with the organization behind it, or whichever of the two there is.
fn name(mut parts: Der<'_>) -> Option<String> {
    let (mut common, mut organization) = (None, None);
    for _ in 0..NAME_PARTS_MAX {
        let Some(mut set) = parts.enter(SET) else { break };
        let Some(mut part) = set.enter(SEQUENCE) else { continue };
        let (Some((OBJECT_IDENTIFIER, kind)), Some((_, value))) = (part.next(), part.next()) else { continue };
        let text = || String::from_utf8_lossy(&value[..value.len().min(NAME_OCTETS_MAX)]).into_owned();
        match kind {
            COMMON_NAME => common = Some(text()),
            ORGANIZATION => organization = Some(text()),
            _ => {}
        }
    }
    match (common, organization) {
        (Some(common), Some(organization)) => Some(format!("{common} ({organization})")),
        (common, organization) => common.or(organization),
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5).
fn time(kind: u8, text: &[u8]) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            // §4.1.2.5.1: 50 to 99 belong to the last century.
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => text.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let month = MONTHS.get(rest[..2].parse::<usize>().ok()?.checked_sub(1)?)?;
    let date = format!("{}-{month}-{year} {}:{}:{} +0000", &rest[2..4], &rest[4..6], &rest[6..8], &rest[8..10]);
    InternalDate::parse(date.as_bytes()).map(InternalDate::unix_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["mail.example".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "mail.example");
        params.distinguished_name.push(DnType::OrganizationName, "Beispiel GmbH");
        params.not_after = date_time_ymd(2031, 5, 17);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().to_vec()
    }

    #[test]
    fn tells_for_whom_by_whom_and_until_when() {
        let found = read(&certificate());
        assert_eq!(found.subject.as_deref(), Some("mail.example (Beispiel GmbH)"));
        assert_eq!(found.issuer, found.subject);
        assert_eq!(found.ends_unix_secs, Some(1_936_742_400));
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        for text in ["", "Z", "7001010000Z", "70x101000000Z", "701301000000Z", "700001000000Z"] {
            assert_eq!(time(UTC_TIME, text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_does_no_harm(place in 0usize..400, octet: u8, length in 0usize..600) {
            let mut der = certificate();
            let place = place.min(der.len() - 1);
            der[place] = octet;
            der.truncate(length);
            let _ = read(&der);
        }
    }
}
