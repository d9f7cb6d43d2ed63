//! Certificates of every kind of badness: refused before any credential octet, with the check that failed.

use crate::{Connection, Credentials, Dial, Endpoint, ErrorClass, ImapError, Timeouts, TlsCheck, TlsMode, Trust};
use mailhaul_types::{Secret, Side};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// An authority; each needs a name of its own, or a chain to one would be tried with the key of another.
fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// What the server presents.
struct Presented {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn issued(issuer: &Issuer, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Presented {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    Presented {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    }
}

fn digest(presented: &Presented) -> [u8; 32] {
    Sha256::digest(&presented.chain[0]).into()
}

struct Roots {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn roots(pem: &str) -> Roots {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, pem).expect("written");
    Roots { _folder: folder, path }
}

fn acceptor(presented: Presented) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(presented.chain, presented.key)
        .expect("a key that fits");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve_one_account(stream: impl AsyncRead + AsyncWrite + Unpin, greeting: bool) {
    let mut stream = BufReader::new(stream);
    if greeting {
        stream.write_all(b"* OK ready\r\n").await.expect("written");
    }
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let (tag, text) = line.split_once(' ').expect("a tag");
        let answer = match text.trim_end() {
            "CAPABILITY" => "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n",
            "LOGOUT" => "* BYE see you\r\n",
            _ => "",
        };
        let answer = format!("{answer}{tag} OK done\r\n");
        stream.write_all(answer.as_bytes()).await.expect("written");
        stream.flush().await.expect("flushed");
        line.clear();
    }
}

fn endpoint(host: &str, port: u16, tls: TlsMode, trust: Trust) -> Endpoint {
    Endpoint { host: host.to_owned(), port, tls, trust, dial: Dial::Tcp, compress: crate::Compress::Auto }
}

async fn open(endpoint: &Endpoint) -> Result<Connection, ImapError> {
    let credentials = Credentials {
        user: "alice".to_owned(),
        password: Secret::new(b"canary".to_vec()),
        authorization_identity: None,
    };
    Connection::open(Side::Target, endpoint, &credentials, &Timeouts::default()).await
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// The client's outcome against a TLS server that presents this.
async fn try_against(presented: Presented, host: &str, trust: Trust) -> Result<(), ImapError> {
    let (listener, port) = listener().await;
    let acceptor = acceptor(presented);
    let serving = async {
        let (socket, _) = listener.accept().await.expect("a client");
        if let Ok(stream) = acceptor.accept(socket).await {
            serve_one_account(stream, true).await;
        }
    };
    let endpoint = endpoint(host, port, TlsMode::Implicit, trust);
    let opening = async {
        match open(&endpoint).await {
            Ok(connection) => connection.logout().await,
            Err(error) => Err(error),
        }
    };
    tokio::join!(opening, serving).0
}

fn check_of(outcome: Result<(), ImapError>) -> TlsCheck {
    match outcome {
        Err(ImapError::Tls { check, .. }) => check,
        other => panic!("a certificate passed, or failed elsewhere: {other:?}"),
    }
}

#[tokio::test]
async fn a_good_certificate_passes_by_file_and_by_pin() {
    let issuer = authority("ours");
    let file = roots(&issuer.pem());
    for host in ["localhost", "127.0.0.1"] {
        let presented = issued(&issuer, &["localhost", "127.0.0.1"], |_| {});
        try_against(presented, host, Trust::CaFile(file.path.clone())).await.expect("passes");
    }
    let stranger = issued(&authority("a stranger"), &["other.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let pins = vec![[7; 32], digest(&stranger)];
    try_against(stranger, "localhost", Trust::Pin(pins)).await.expect("a pin asks for nothing else");
}

#[tokio::test]
async fn each_bad_certificate_is_refused_by_the_check_that_it_fails() {
    let issuer = authority("ours");
    let file = roots(&issuer.pem());
    let trust = || Trust::CaFile(file.path.clone());

    let expired = issued(&issuer, &["localhost"], |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    assert_eq!(check_of(try_against(expired, "localhost", trust()).await), TlsCheck::Expired);

    let early = issued(&issuer, &["localhost"], |params| params.not_before = rcgen::date_time_ymd(3001, 1, 1));
    assert_eq!(check_of(try_against(early, "localhost", trust()).await), TlsCheck::NotYetValid);

    let other = issued(&issuer, &["new.example", "*.mail.example"], |_| {});
    let check = check_of(try_against(other, "localhost", trust()).await);
    let TlsCheck::WrongName { expected, presented } = &check else { panic!("{check:?}") };
    assert_eq!(
        (expected.as_str(), presented.as_slice()),
        ("localhost", &["new.example", "*.mail.example"].map(String::from)[..])
    );

    let stranger = issued(&authority("a stranger"), &["localhost"], |_| {});
    assert_eq!(check_of(try_against(stranger, "localhost", trust()).await), TlsCheck::UnknownIssuer);

    let stranger = issued(&authority("a stranger"), &["localhost"], |_| {});
    assert_eq!(check_of(try_against(stranger, "localhost", Trust::System).await), TlsCheck::UnknownIssuer);

    let client = issued(&issuer, &["localhost"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(check_of(try_against(client, "localhost", trust()).await), TlsCheck::WrongPurpose);

    let authority_itself = issued(&issuer, &["localhost"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    assert_eq!(check_of(try_against(authority_itself, "localhost", trust()).await), TlsCheck::AuthorityAsServer);

    let unpinned = issued(&issuer, &["localhost"], |_| {});
    let shown: String = digest(&unpinned).iter().map(|octet| format!("{octet:02x}")).collect();
    let check = check_of(try_against(unpinned, "localhost", Trust::Pin(vec![[7; 32]])).await);
    assert_eq!(check, TlsCheck::PinMismatch(shown));
}

#[tokio::test]
async fn a_chain_through_a_certificate_that_is_no_authority_is_refused() {
    let issuer = authority("ours");
    let file = roots(&issuer.pem());
    // `middle` was issued for a server, and signs another certificate all the same.
    let mut params = CertificateParams::new(vec!["middle.example".to_owned()]).expect("names");
    params.is_ca = IsCa::ExplicitNoCa;
    params.distinguished_name.push(DnType::CommonName, "middle");
    let middle =
        CertifiedIssuer::signed_by(params, KeyPair::generate().expect("a key"), &issuer).expect("a certificate");
    let mut presented = issued(&middle, &["localhost"], |_| {});
    presented.chain.push(middle.der().clone());
    let check = check_of(try_against(presented, "localhost", Trust::CaFile(file.path.clone())).await);
    assert_eq!(check, TlsCheck::NotAnAuthority);
}

#[tokio::test]
async fn a_forged_signature_is_refused() {
    let issuer = authority("ours");
    let file = roots(&issuer.pem());
    let mut presented = issued(&issuer, &["localhost"], |_| {});
    let mut octets = presented.chain[0].to_vec();
    // The last octet belongs to the signature's second number.
    *octets.last_mut().expect("octets") ^= 1;
    presented.chain[0] = CertificateDer::from(octets);
    let check = check_of(try_against(presented, "localhost", Trust::CaFile(file.path.clone())).await);
    assert_eq!(check, TlsCheck::BadSignature);
}

#[tokio::test]
async fn trust_settings_that_cannot_be_used_are_the_operators_matter() {
    let empty = roots("");
    let broken = roots("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n");
    for trust in [
        Trust::CaFile(PathBuf::from("/nonexistent/ca.pem")),
        Trust::CaFile(empty.path.clone()),
        Trust::CaFile(broken.path.clone()),
        Trust::Pin(Vec::new()),
    ] {
        let presented = issued(&authority("a stranger"), &["localhost"], |_| {});
        let error = try_against(presented, "localhost", trust).await.expect_err("unusable");
        assert_eq!(error.class(), ErrorClass::Usage, "{error}");
    }
}

/// A server that sends these octets to whatever comes first.
async fn try_against_octets(octets: &[u8], tls: TlsMode) -> ImapError {
    let (listener, port) = listener().await;
    let serving = async {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut hello = [0; 1];
        if tls == TlsMode::Implicit {
            socket.read_exact(&mut hello).await.expect("a hello");
        }
        socket.write_all(octets).await.expect("written");
        // Until the client is through: a reset would overtake what was written.
        let mut rest = Vec::new();
        drop(socket.read_to_end(&mut rest).await);
    };
    let endpoint = endpoint("127.0.0.1", port, tls, Trust::Pin(vec![[0; 32]]));
    let (outcome, ()) = tokio::join!(open(&endpoint), serving);
    outcome.expect_err("no TLS server")
}

/// A ServerHello that chooses the given version and a cipher that every version knows.
fn server_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend_from_slice(&[0x5a; 32]);
    body.extend_from_slice(&[0, 0xc0, 0x13, 0]);
    let mut handshake = vec![2, 0, 0, u8::try_from(body.len()).expect("short")];
    handshake.extend_from_slice(&body);
    let mut record = vec![22, 3, minor, 0, u8::try_from(handshake.len()).expect("short")];
    record.extend_from_slice(&handshake);
    record
}

#[tokio::test]
async fn an_old_server_is_named_with_the_way_out() {
    let alert = [21, 3, 1, 0, 2, 2, 70];
    for octets in [server_hello(1), server_hello(2), alert.to_vec()] {
        let error = try_against_octets(&octets, TlsMode::Implicit).await;
        assert!(matches!(error, ImapError::OldTls { .. }), "{error:?}");
        assert!(error.to_string().contains("stunnel"), "{error}");
        assert_eq!(error.class(), ErrorClass::Tls);
    }
}

#[tokio::test]
async fn a_plain_server_on_the_tls_port_is_named() {
    let error = try_against_octets(b"* OK IMAP4rev1 ready\r\n", TlsMode::Implicit).await;
    assert!(matches!(error, ImapError::Tls { check: TlsCheck::NotTls, .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_is_lost_in_the_handshake_says_nothing_about_certificates() {
    let (listener, port) = listener().await;
    let losing = async {
        for resets in [false, true] {
            let (socket, _) = listener.accept().await.expect("a client");
            if resets {
                // What was received and never read makes the system answer with a reset.
                socket.readable().await.expect("a hello");
            } else {
                let mut hello = [0; 2_048];
                socket.readable().await.expect("a hello");
                let _ = socket.try_read(&mut hello);
            }
        }
    };
    let opening = async {
        for _ in 0..2 {
            let error = open(&endpoint("localhost", port, TlsMode::Implicit, Trust::System)).await.map(drop);
            let error = error.expect_err("nothing was ever said");
            assert!(matches!(error, ImapError::Closed { .. }), "{error:?}");
            assert_eq!(error.class(), ErrorClass::Network);
        }
    };
    tokio::join!(losing, opening);
}

#[tokio::test]
async fn starttls_asks_for_capabilities_again_and_signs_in_inside() {
    let issuer = authority("ours");
    let file = roots(&issuer.pem());
    let acceptor = acceptor(issued(&issuer, &["localhost"], |_| {}));
    let (listener, port) = listener().await;
    let serving = async {
        let (socket, _) = listener.accept().await.expect("a client");
        let mut plain = BufReader::new(socket);
        plain.write_all(b"* OK ready\r\n").await.expect("written");
        for expected in ["M1 CAPABILITY\r\n", "M2 STARTTLS\r\n"] {
            let mut line = String::new();
            plain.read_line(&mut line).await.expect("a command");
            assert_eq!(line, expected);
            // LOGINDISABLED is forgotten with the rest of what was said in plain text.
            let answer = format!("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n{} OK done\r\n", &expected[..2]);
            plain.write_all(answer.as_bytes()).await.expect("written");
        }
        let stream = acceptor.accept(plain.into_inner()).await.expect("a handshake");
        serve_one_account(stream, false).await;
    };
    let endpoint = endpoint("localhost", port, TlsMode::StartTls, Trust::CaFile(file.path.clone()));
    let opening = async { open(&endpoint).await.expect("opens").logout().await.expect("ends") };
    tokio::join!(opening, serving);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told() {
    let (listener, port) = listener().await;
    drop(listener);
    let error = open(&endpoint("127.0.0.1", port, TlsMode::Plain, Trust::System)).await.expect_err("closed");
    assert!(matches!(error, ImapError::Connect { .. }), "{error:?}");
    let error = open(&endpoint("no such host", 143, TlsMode::Plain, Trust::System)).await.expect_err("no name");
    assert!(matches!(error, ImapError::Resolve { .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_that_leads_into_our_own_network_is_not_followed_there() {
    let (listener, port) = listener().await;
    for host in ["localhost", "127.0.0.1", "::1", "169.254.169.254"] {
        let endpoint = Endpoint { dial: Dial::PublicTcp, ..endpoint(host, port, TlsMode::Plain, Trust::System) };
        let error = open(&endpoint).await.expect_err("not public");
        assert!(matches!(&error, ImapError::NotPublic { address, .. } if !crate::is_public(*address)), "{error:?}");
        assert_eq!(error.class(), crate::ErrorClass::Usage, "nothing is gained by trying again");
    }
    // Nobody has knocked.
    let knocked = std::future::poll_fn(|context| std::task::Poll::Ready(listener.poll_accept(context).is_ready()));
    assert!(!knocked.await);
}

#[tokio::test]
async fn sockets_are_prepared_for_their_side() {
    let (listener, port) = listener().await;
    let (client, _) = tokio::join!(TcpStream::connect(("127.0.0.1", port)), listener.accept());
    let client = client.expect("connected");
    crate::connect::prepare(&client, Side::Source);
    let options = socket2::SockRef::from(&client);
    assert!(client.nodelay().expect("an option") && options.keepalive().expect("an option"));
    assert_eq!(options.linger().expect("an option"), None);
    crate::connect::prepare(&client, Side::Target);
    assert_eq!(options.linger().expect("an option"), Some(std::time::Duration::ZERO));
}
