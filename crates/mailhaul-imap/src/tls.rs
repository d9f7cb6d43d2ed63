//! TLS 1.2 and 1.3 by rustls with ring. Verification is always on; there is no switch that turns it off.

use crate::endpoint::Trust;
use crate::error::{ImapError, TlsCheck};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The handshake over an open stream.
pub(crate) async fn secure<S>(stream: S, host: &str, trust: &Trust) -> Result<TlsStream<S>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |check: TlsCheck| ImapError::Tls { host: host.to_owned(), check };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        failed(TlsCheck::TrustSettings(format!("{host} is no host name that a certificate could be for")))
    })?;
    let config = client_config(trust).map_err(failed)?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| explain(host, &error))
}

fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, TlsCheck> {
    /// The system's roots are read once: that is some hundred files or one large one.
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    match trust {
        Trust::System => {
            if let Some(config) = SYSTEM.get() {
                return Ok(Arc::clone(config));
            }
            let verifier = rustls_platform_verifier::Verifier::new(provider())
                .map_err(|error| TlsCheck::TrustSettings(format!("the system's certificate authorities: {error}")))?;
            let config = with_verifier(Arc::new(verifier))?;
            Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
        }
        Trust::CaFile(path) => {
            let roots = read_roots(path)?;
            let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|error| TlsCheck::TrustSettings(format!("certificate file {}: {error}", path.display())))?;
            with_verifier(verifier)
        }
        Trust::Pin(pins) if pins.is_empty() => Err(TlsCheck::TrustSettings("no pin is given".to_owned())),
        Trust::Pin(pins) => with_verifier(Arc::new(Pinned { pins: pins.clone(), provider: provider() })),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn with_verifier(verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, TlsCheck> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| TlsCheck::Other(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsCheck> {
    let unusable = |detail: String| TlsCheck::TrustSettings(format!("certificate file {}: {detail}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(roots) }
}

/// Believes exactly the certificates with these digests. The handshake's signatures are still checked: they prove
/// that the server has the certificate's key, and not only the certificate.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest: [u8; 32] = Sha256::digest(end_entity).into();
        let known = self.pins.iter().fold(false, |known, pin| known | equal_in_constant_time(pin, &digest));
        if known {
            return Ok(ServerCertVerified::assertion());
        }
        let shown = digest.iter().fold(String::new(), |mut shown, octet| {
            write!(shown, "{octet:02x}").expect("writing to a string does not fail");
            shown
        });
        Err(rustls::Error::General(format!("{PIN_MARK}{shown}")))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Marks our own verifier's refusal among the library's general errors.
const PIN_MARK: &str = "not pinned: ";

fn equal_in_constant_time(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// Which check failed.
fn explain(host: &str, error: &std::io::Error) -> ImapError {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        // Not TLS failed but the connection, as it does when a server is restarted.
        let detail = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ": the server closed it".to_owned(),
            _ => format!(": {error}"),
        };
        return ImapError::Closed { during: "starting TLS", detail };
    };
    let host = host.to_owned();
    let check = match cause {
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => return ImapError::OldTls { host },
        rustls::Error::InvalidCertificate(certificate) => explain_certificate(&host, certificate),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => TlsCheck::NotTls,
        rustls::Error::General(text) => match text.strip_prefix(PIN_MARK) {
            Some(digest) => TlsCheck::PinMismatch(digest.to_owned()),
            None => TlsCheck::Other(text.clone()),
        },
        other => TlsCheck::Other(other.to_string()),
    };
    ImapError::Tls { host, check }
}

fn explain_certificate(host: &str, error: &CertificateError) -> TlsCheck {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsCheck::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsCheck::NotYetValid,
        CertificateError::NotValidForName => {
            TlsCheck::WrongName { expected: host.to_owned(), presented: vec!["other names".to_owned()] }
        }
        CertificateError::NotValidForNameContext { presented, .. } => TlsCheck::WrongName {
            expected: host.to_owned(),
            presented: presented.iter().take(20).map(|name| plain_name(name)).collect(),
        },
        CertificateError::UnknownIssuer => TlsCheck::UnknownIssuer,
        CertificateError::Revoked => TlsCheck::Revoked,
        CertificateError::BadSignature => TlsCheck::BadSignature,
        CertificateError::BadEncoding => TlsCheck::Unreadable("bad encoding".to_owned()),
        CertificateError::UnhandledCriticalExtension => {
            TlsCheck::Unreadable("it has an unknown critical extension".to_owned())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => TlsCheck::WrongPurpose,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            TlsCheck::UnsupportedAlgorithm(error.to_string())
        }
        other => {
            // The chain builder's own reasons arrive without a type of their own.
            let text = format!("{other:?}");
            if text.contains("CaUsedAsEndEntity") {
                TlsCheck::AuthorityAsServer
            } else if text.contains("EndEntityUsedAsCa") {
                TlsCheck::NotAnAuthority
            } else {
                TlsCheck::Other(format!("the server's certificate did not pass: {other}"))
            }
        }
    }
}

/// `DnsName("old.example")` → `old.example`.
fn plain_name(name: &str) -> String {
    match (name.find('"'), name.rfind('"')) {
        (Some(start), Some(end)) if start < end => name[start + 1..end].to_owned(),
        _ => name.to_owned(),
    }
}
