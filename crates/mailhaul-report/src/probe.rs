//! What a look at one server found, and what mailhaul will do with it.

use crate::preflight::{Block, PreflightStep, QuotaLine};
use crate::{bytes_for_people, count_of, number_for_people};
use mailhaul_types::{Escaped, InternalDate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write;

/// The TLS connection and the server's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsReport {
    /// `TLS 1.3`.
    pub version: String,
    /// The cipher suite, by its registered name.
    pub cipher: String,
    /// Whom the certificate is for, as far as it says so.
    pub subject: Option<String>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Until when it is valid, in seconds since 1970.
    pub ends_unix_secs: Option<i64>,
    /// Its SHA-256 in hexadecimal digits: what it can be pinned by.
    pub sha256: String,
}

/// A look at one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeReport {
    /// The host as given.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address that took the connection.
    pub address: Option<String>,
    /// The steps that were passed, in their order.
    pub passed: Vec<PreflightStep>,
    /// TLS; `None` in plain text.
    pub tls: Option<TlsReport>,
    /// The server's greeting.
    pub greeting: Option<String>,
    /// The server's name and version, as it says itself.
    pub software: Option<String>,
    /// What it announced before sign-in.
    pub capabilities_before: Vec<String>,
    /// What it announced after sign-in.
    pub capabilities_after: Vec<String>,
    /// Its namespaces, each in words: `personal: prefix "INBOX." with delimiter "."`.
    pub namespaces: Vec<String>,
    /// Mailboxes that it lists.
    pub mailboxes: Option<u64>,
    /// Quotas of the account.
    pub quotas: Vec<QuotaLine>,
    /// The largest message that it takes, in octets, if it says so.
    pub append_limit_bytes: Option<u64>,
    /// Milliseconds from the first packet until the sign-in was accepted.
    pub sign_in_ms: Option<u64>,
    /// What mailhaul does here in any case, in sentences.
    pub in_any_case: Vec<String>,
    /// What mailhaul will do when it reads from this server, in sentences.
    pub as_source: Vec<String>,
    /// What mailhaul will do when it writes to this server, in sentences.
    pub as_target: Vec<String>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
    /// What went wrong, if something did.
    pub failure: Option<Block>,
}

impl ProbeReport {
    /// The JSON object that is printed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["schema"] = 1.into();
        json
    }

    /// Reads what [`ProbeReport::to_json`] wrote, also in an earlier or later version.
    ///
    /// # Errors
    /// If it is no such object.
    pub fn from_json(json: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(json)
    }
}

impl ProbeReport {
    /// What was found as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let address = self.address.as_deref().map(|address| format!(" ({})", Escaped(address))).unwrap_or_default();
        let _ = writeln!(out, "{}:{}{address}", Escaped(&self.host), self.port);
        self.write_facts(&mut out);
        write_sentences(&mut out, "in any case mailhaul", &self.in_any_case);
        write_sentences(&mut out, "from here mailhaul", &self.as_source);
        write_sentences(&mut out, "to here mailhaul", &self.as_target);
        for remark in &self.remarks {
            let _ = writeln!(out, "remark: {}", Escaped(remark));
        }
        if let Some(failure) = &self.failure {
            let _ = writeln!(out, "failed: {}", failure.to_text());
            if !failure.hint.is_empty() {
                let _ = writeln!(out, "hint: {}", Escaped(&failure.hint));
            }
        }
        out
    }

    fn failed_at(&self, step: PreflightStep) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.step == step)
    }

    fn write_facts(&self, out: &mut String) {
        let mut fact = |name: &str, value: String| {
            let _ = writeln!(out, "  {name:<12} {value}");
        };
        match &self.tls {
            Some(tls) => {
                fact("tls", format!("{}, {}", Escaped(&tls.version), Escaped(&tls.cipher)));
                fact("certificate", tls.certificate());
                fact("sha-256", Escaped(&tls.sha256).to_string());
            }
            None if self.passed.contains(&PreflightStep::Greeting) && !self.failed_at(PreflightStep::Tls) => {
                fact("tls", "none".to_owned());
            }
            None => {}
        }
        if let Some(greeting) = &self.greeting {
            fact("greeting", format!("\"{}\"", Escaped(greeting)));
        }
        if let Some(software) = &self.software {
            fact("server", Escaped(software).to_string());
        }
        if let Some(after_ms) = self.sign_in_ms {
            fact("signed in", format!("after {} ms", number_for_people(after_ms)));
        }
        for (name, names) in [("before", &self.capabilities_before), ("can", &self.capabilities_after)] {
            if !names.is_empty() {
                fact(name, Escaped(&names.join(" ")).to_string());
            }
        }
        for namespace in &self.namespaces {
            fact("namespace", Escaped(namespace).to_string());
        }
        if let Some(mailboxes) = self.mailboxes {
            fact("mailboxes", count_of(mailboxes, "mailbox"));
        }
        if let Some(limit) = self.append_limit_bytes {
            fact("takes", format!("messages of up to {}", bytes_for_people(limit)));
        }
        for quota in &self.quotas {
            fact("room", quota.to_text());
        }
    }
}

impl TlsReport {
    fn certificate(&self) -> String {
        let name =
            |name: &Option<String>| name.as_deref().map_or_else(|| "?".to_owned(), |name| Escaped(name).to_string());
        let ends = self.ends_unix_secs.map(|secs| format!(", valid until {}", InternalDate::from_unix_secs(secs)));
        format!("for {}, issued by {}{}", name(&self.subject), name(&self.issuer), ends.unwrap_or_default())
    }
}

fn write_sentences(out: &mut String, heading: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {heading}");
    for sentence in sentences {
        let _ = writeln!(out, "    - {}", Escaped(sentence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_read_back_as_it_was_written() {
        let tls = TlsReport { version: "TLS 1.3".into(), issuer: Some("A \u{202e}B".into()), ..TlsReport::default() };
        let report = ProbeReport {
            host: "old.example".into(),
            port: 993,
            passed: vec![PreflightStep::Resolve, PreflightStep::Connect],
            tls: Some(tls),
            greeting: Some("ready \u{1b}[2J".into()),
            capabilities_before: vec!["IMAP4REV1".into()],
            mailboxes: Some(3),
            as_source: vec!["reads.".into()],
            ..ProbeReport::default()
        };
        let mut json = report.to_json();
        json["later"] = "a field of a later version".into();
        assert_eq!(ProbeReport::from_json(json).expect("readable"), report);
        let text = report.to_text();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        assert!(text.starts_with("old.example:993\n") && text.contains("3 mailboxes"), "{text}");
        assert!(text.contains("from here mailhaul\n    - reads.\n"), "{text}");
    }
}
