//! A secret that must turn up nowhere, in any of the forms in which it travels.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The secret, and whose it is.
#[derive(Clone, Debug)]
pub struct Canary {
    secret: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// A secret of this user's.
    #[must_use]
    pub fn new(user: &str, secret: &str) -> Canary {
        let plain = format!("\0{user}\0{secret}");
        let percent: String = secret.bytes().map(percent).collect();
        let hex: String = secret.bytes().map(|octet| format!("{octet:02x}")).collect();
        let mut forms = vec![
            ("itself", secret.as_bytes().to_vec()),
            ("percent-encoded", percent.into_bytes()),
            ("in JSON", secret.replace('\\', "\\\\").replace('"', "\\\"").into_bytes()),
            ("as an IMAP string", secret.replace('\\', "\\\\").replace('"', "\\\"").into_bytes()),
            ("in hex", hex.into_bytes()),
            ("as SASL PLAIN", STANDARD.encode(plain).into_bytes()),
        ];
        // In base64 it looks different at each of the three places in a group that it may begin at.
        for shift in 0..3 {
            let mut text = STANDARD.encode(["\0".repeat(shift).as_bytes(), secret.as_bytes()].concat());
            // What stands at the edges depends on the neighbours too.
            text.truncate(text.trim_end_matches('=').len() - 2);
            forms.push(("in base64", text.split_off(if shift == 0 { 0 } else { 4 }).into_bytes()));
        }
        forms.dedup();
        Canary { secret: secret.to_owned(), forms }
    }

    /// The secret itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// All forms, with what each is.
    #[must_use]
    pub fn forms(&self) -> &[(&'static str, Vec<u8>)] {
        &self.forms
    }

    /// In which form it stands here, if it does.
    #[must_use]
    pub fn sings_in(&self, octets: &[u8]) -> Option<&'static str> {
        let here = |form: &[u8]| memchr::memmem::find(octets, form).is_some();
        self.forms.iter().find(|(_, form)| here(form)).map(|(name, _)| *name)
    }
}

fn percent(octet: u8) -> String {
    if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
        char::from(octet).to_string()
    } else {
        format!("%{octet:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_every_form_among_other_octets() {
        let secret = "kan4ri \"en\" + v\\gel";
        let canary = Canary::new("alice", secret);
        for (name, form) in canary.forms() {
            let hidden = [b"what goes before ", &form[..], b" and after"].concat();
            assert!(canary.sings_in(&hidden).is_some(), "{name}");
        }
        for before in ["", "a", "ab", "abc", "abcd"] {
            let text = STANDARD.encode(format!("{before}{secret} and more"));
            assert!(canary.sings_in(text.as_bytes()).is_some(), "{before} {text}");
        }
        assert_eq!(canary.sings_in(b"kan4ri is part of it only"), None);
    }
}
