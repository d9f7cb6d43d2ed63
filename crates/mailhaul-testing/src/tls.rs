//! Certificates for tests: an authority made on the spot, and server certificates that are right or wrong in one way.
//!
//! Nothing here is meant to be trusted outside of the test that made it. Files lie in the authority's own temporary
//! folder and vanish with it.
//!
//! [`bad`] has everything that no client may believe, [`trap`] a server that keeps what is said to it all the same, and
//! [`openssl`] servers of a kind that no careful library makes any more.

pub mod bad;
pub mod openssl;
pub mod trap;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use sha2::{Digest, Sha256};

/// What a server's certificate is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateKind {
    /// For `localhost` and 127.0.0.1, valid now, signed by the authority.
    #[default]
    Good,
    /// Ended in 2015.
    Expired,
    /// For `elsewhere.example`.
    WrongName,
    /// Right name and date, signed by itself.
    SelfSigned,
}

/// A certificate authority of one test.
#[derive(Debug)]
pub struct TestAuthority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate and key as files.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// PEM file with the certificate.
    pub certificate_file: PathBuf,
    /// PEM file with the private key.
    pub key_file: PathBuf,
    /// SHA-256 of the certificate's DER form: what a pin names.
    pub sha256: [u8; 32],
}

impl TestAuthority {
    /// Makes an authority.
    ///
    /// # Panics
    /// When there is no room for a temporary folder.
    #[must_use]
    pub fn new() -> TestAuthority {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "mailhaul test authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("the parameters are complete");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("the temporary folder can be written");
        TestAuthority { folder, issuer }
    }

    /// The authority's certificate as a PEM file, for `--ca-file`.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate and writes it under `folder`.
    ///
    /// # Panics
    /// When `folder` cannot be written.
    #[must_use]
    pub fn issue(&self, kind: CertificateKind, folder: &Path) -> ServerCertificate {
        let name = if kind == CertificateKind::WrongName { "elsewhere.example" } else { "localhost" };
        let mut names = vec![name.to_owned()];
        if kind != CertificateKind::WrongName {
            names.push("127.0.0.1".to_owned());
        }
        let mut parameters = CertificateParams::new(names).expect("the names are ASCII");
        parameters.distinguished_name.push(DnType::CommonName, name);
        if kind == CertificateKind::Expired {
            parameters.not_before = date_time_ymd(2010, 1, 1);
            parameters.not_after = date_time_ymd(2015, 1, 1);
        }
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = match kind {
            CertificateKind::SelfSigned => parameters.self_signed(&key),
            _ => parameters.signed_by(&key, &self.issuer),
        }
        .expect("the parameters are complete");
        let files = ServerCertificate {
            certificate_file: folder.join("server.pem"),
            key_file: folder.join("server.key"),
            sha256: Sha256::digest(certificate.der()).into(),
        };
        std::fs::write(&files.certificate_file, certificate.pem()).expect("the server's folder can be written");
        std::fs::write(&files.key_file, key.serialize_pem()).expect("the server's folder can be written");
        files
    }
}

impl Default for TestAuthority {
    fn default() -> TestAuthority {
        TestAuthority::new()
    }
}

/// A port that speaks no TLS newer than 1.1: it answers every ClientHello with the alert `protocol_version`, as such
/// servers do. It lives until the process ends; the address is returned.
///
/// # Panics
/// When no loopback port can be bound.
#[must_use]
pub fn old_tls_server() -> SocketAddr {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0_u8; 4096];
            // RFC 8446 §6: record type 21 (alert), TLS 1.0, two octets: fatal, protocol_version(70).
            if matches!(stream.read(&mut hello), Ok(octets) if octets > 0) {
                let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, 70]);
            }
        }
    });
    address
}
