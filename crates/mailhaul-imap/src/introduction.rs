//! What a server shows while a connection is being opened, kept also if the opening comes to nothing half way: so that
//! a failure can be told by its step, and a server be described to whoever cannot sign in.

use crate::capabilities::Capabilities;
use crate::certificate;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// The steps of opening a connection. With STARTTLS the greeting comes before TLS, otherwise after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpeningStep {
    /// From the host's name to its addresses.
    Resolve,
    /// The TCP connection.
    Connect,
    /// STARTTLS, the handshake, and the check of the certificate.
    Tls,
    /// The greeting, and what is announced before sign-in.
    Greeting,
    /// User and password.
    SignIn,
    /// What is announced after sign-in, and who the server says it is.
    Capabilities,
}

/// The TLS connection and the certificate that the server showed. Strangers' words: escape them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLS 1.3`.
    pub version: &'static str,
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

impl TlsFacts {
    pub(crate) fn of(connection: &rustls::ClientConnection) -> Self {
        let end_entity = connection.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        let certificate = end_entity.map(|der| certificate::read(der)).unwrap_or_default();
        let digest = end_entity.map(|der| Sha256::digest(der.as_ref()));
        Self {
            version: match connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
                _ => "TLS",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            subject: certificate.subject,
            issuer: certificate.issuer,
            ends_unix_secs: certificate.ends_unix_secs,
            sha256: digest.iter().flatten().fold(String::new(), |mut shown, octet| {
                write!(shown, "{octet:02x}").expect("writing to a string does not fail");
                shown
            }),
        }
    }
}

/// What a server showed while a connection was being opened, as far as it came.
#[derive(Debug, Clone)]
pub struct Introduction {
    began: Instant,
    passed: Vec<OpeningStep>,
    step: OpeningStep,
    /// The address that took the connection.
    pub address: Option<SocketAddr>,
    /// TLS; `None` in plain text, or if it was not come to.
    pub tls: Option<TlsFacts>,
    /// The greeting's words.
    pub greeting: Option<String>,
    /// What was announced before sign-in, under TLS where there is TLS.
    pub capabilities: Capabilities,
    /// How long it took until the sign-in was accepted.
    pub signed_in_after: Option<Duration>,
}

impl Default for Introduction {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            passed: Vec::new(),
            step: OpeningStep::Resolve,
            address: None,
            tls: None,
            greeting: None,
            capabilities: Capabilities::default(),
            signed_in_after: None,
        }
    }
}

impl Introduction {
    /// The steps that were passed, in their order.
    #[must_use]
    pub fn passed(&self) -> &[OpeningStep] {
        &self.passed
    }

    /// The step that was being done last: where it failed, if it failed.
    #[must_use]
    pub fn step(&self) -> OpeningStep {
        self.step
    }

    pub(crate) fn begin(&mut self, step: OpeningStep) {
        self.step = step;
    }

    pub(crate) fn pass(&mut self, step: OpeningStep) {
        self.passed.push(step);
        if step == OpeningStep::SignIn {
            self.signed_in_after = Some(self.began.elapsed());
        }
    }
}
