//! Over real sockets: who gets a place, for how long, and that the end comes whatever anybody is in the middle of.

use super::PATIENCE;
use crate::flow::Flow;
use crate::listen::{Bounds, Listen, TlsFiles, WebError};
use crate::web::{Web, WebOptions};
use mailhaul_service::{KeySource, LiveView, Role, Service};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

async fn state() -> (TempDir, Service) {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, key) = (folder.path().join("state.db"), KeySource::File(folder.path().join("key")));
    Service::init(&state, key.clone(), "test").await.expect("made");
    let service = Service::open(&state, key, "test").await.expect("opened");
    (folder, service)
}

fn options(listen: Vec<Listen>) -> WebOptions {
    WebOptions { listen, tls: None, public_url: None, made_by: "mailhaul test", slots: 4, private_servers: false }
}

fn loopback() -> Vec<Listen> {
    vec![Listen::Tcp("127.0.0.1:0".parse().expect("an address"))]
}

fn address(web: &Web) -> SocketAddr {
    web.url().expect("it listens on a port").trim_start_matches("http://").parse().expect("an address")
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("answered").expect("letters");
    answer
}

fn alive(address: SocketAddr) -> String {
    format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
}

/// Takes so many places, each with a form of which the last octet never comes.
async fn half_sent(address: SocketAddr, many: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..many {
        let mut stream = TcpStream::connect(address).await.expect("there is room in the queue of the system");
        let head = format!(
            "POST /sign-in HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Length: 9\r\n\r\nsecret=a"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        open.push(stream);
    }
    open
}

#[tokio::test]
async fn the_end_comes_though_every_place_is_taken_by_somebody_who_does_not_go_on() {
    let (folder, service) = state().await;
    let token = service.make_token("watch", Role::Viewer, None).await.expect("made");
    let token = String::from_utf8_lossy(token.expose()).into_owned();
    let web = Web::open(&service, options(loopback())).await.expect("opened");
    let address = address(&web);
    let bounds = Bounds { connections: 4, ends_within: Duration::from_millis(200), ..Bounds::default() };
    let serving = web.start_within(LiveView::of_nothing(), bounds);
    // One follows along; the others have begun to send a form. Further ones wait for a place.
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    let head =
        format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.expect("answered");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let open = half_sent(address, 5).await;
    tokio::time::timeout(PATIENCE, serving.end()).await.expect("it does not end");
    for mut stream in open {
        let mut rest = Vec::new();
        // Closed or reset: nobody is left hanging.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("let go");
    }
    // That somebody came in was written down at the end, if not before; nothing of it keeps the file open.
    assert!(service.tokens().await.expect("read")[0].used_unix_ms.is_some());
    service.close().await.expect("closed");
    assert!(!folder.path().join("state.db-wal").exists(), "somebody has the file open");
}

#[tokio::test]
async fn a_body_that_does_not_come_gives_its_place_back() {
    let (_folder, service) = state().await;
    let web = Web::open(&service, options(loopback())).await.expect("opened");
    let address = address(&web);
    let flow = Flow { brought_within: Duration::from_millis(100), ..Flow::default() };
    let serving = web.start_within(LiveView::of_nothing(), Bounds { connections: 2, flow, ..Bounds::default() });
    let open = half_sent(address, 2).await;
    assert!(ask(address, &alive(address)).await.contains("200 OK"), "all places were held");
    for mut stream in open {
        let mut rest = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut rest)).await.expect("told").expect("letters");
        assert!(rest.starts_with("HTTP/1.1 408"), "{rest}");
    }
    serving.end().await;
}

/// A certificate for these names that nobody else has signed, in two files.
fn certificate(folder: &TempDir) -> (TlsFiles, rcgen::Certificate) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate");
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.cert, made.pem()).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    (files, made)
}

#[tokio::test]
async fn with_a_certificate_everything_goes_over_tls_and_cookies_know_it() {
    let (folder, service) = state().await;
    let token = service.make_token("watch", Role::Viewer, None).await.expect("made");
    let (files, made) = certificate(&folder);
    let web = Web::open(&service, WebOptions { tls: Some(files), ..options(loopback()) }).await.expect("opened");
    let url = web.url().expect("a port");
    let address: SocketAddr = url.trim_start_matches("https://").parse().expect("an address over TLS");
    let serving = web.start(LiveView::of_nothing());
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(made.der().clone()).expect("an authority");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    let name = "127.0.0.1".try_into().expect("a name");
    let mut stream = connector.connect(name, stream).await.expect("the certificate is that of the file");
    let body = format!("secret={}", String::from_utf8_lossy(token.expose()));
    let request = format!(
        "POST /sign-in HTTP/1.1\r\nHost: {address}\r\nOrigin: https://{address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    // How the other side ends the stream is of no concern.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("; Secure"), "{answer}");
    // Plain text is no handshake, and is not answered.
    let mut plain = TcpStream::connect(address).await.expect("somebody listens");
    plain.write_all(alive(address).as_bytes()).await.expect("sent");
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut rest)).await.expect("let go");
    assert!(!rest.starts_with(b"HTTP/"), "{rest:?}");
    serving.end().await;
}

#[tokio::test]
async fn below_a_prefix_everything_is_found_whether_the_proxy_leaves_it_on_or_not() {
    let (_folder, service) = state().await;
    let token = service.make_token("watch", Role::Viewer, None).await.expect("made");
    let token = String::from_utf8_lossy(token.expose()).into_owned();
    let public_url = Some("https://mail.example/haul".parse().expect("a URL"));
    let listen = loopback();
    let opened = Web::open(&service, WebOptions { public_url, ..options(listen) }).await.expect("opened");
    let address = opened.addresses()[0];
    assert_eq!(opened.url().as_deref(), Some("https://mail.example/haul"));
    let serving = opened.start(LiveView::of_nothing());
    let get = async |path: &str| {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: mail.example\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        ask(address, &head).await
    };
    for path in ["/haul/", "/haul", "/", "/haul/api/v1/me", "/api/v1/me", "/haul/healthz"] {
        let answer = get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let page = get("/haul/").await;
    assert!(page.contains("href=\"/haul/endpoints\"") && !page.contains("href=\"/endpoints\""), "{page}");
    let asset = page.split("src=\"").find_map(|part| part.split('"').next().filter(|path| path.contains(".js")));
    assert!(get(asset.expect("a script")).await.starts_with("HTTP/1.1 200"));
    for path in ["/haulage/", "/haul2", "/haul/nothing"] {
        assert!(get(path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    serving.end().await;
}

#[tokio::test]
async fn a_place_that_is_taken_is_said_before_anything_is_begun() {
    let (_folder, service) = state().await;
    let first = Web::open(&service, options(loopback())).await.expect("opened");
    let taken = options(vec![Listen::Tcp(address(&first))]);
    let refused = Web::open(&service, taken).await.err().expect("somebody is there");
    assert!(matches!(refused, WebError::Listen { .. }), "{refused}");
    let files = TlsFiles { cert: PathBuf::from("/nowhere/cert.pem"), key: PathBuf::from("/nowhere/key.pem") };
    let refused = Web::open(&service, WebOptions { tls: Some(files), ..options(loopback()) }).await.err();
    let refused = refused.expect("there is no such file").to_string();
    assert!(refused.contains("/nowhere/cert.pem"), "{refused}");
}

#[tokio::test]
async fn a_socket_is_opened_by_whom_it_is_for_and_one_that_was_left_behind_is_taken_over() {
    let (folder, service) = state().await;
    let path = folder.path().join("page.sock");
    // Left behind: nobody listens any more, and the file is still there.
    drop(UnixListener::bind(&path).expect("bound"));
    for mode in [0o600, 0o660] {
        let web = Web::open(&service, options(vec![Listen::Unix(path.clone(), mode)])).await.expect("taken over");
        let seen = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(seen, mode);
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("read").map(|one| one.expect("one").file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".mailhaul")), "{names:?}");
        let second = Web::open(&service, options(vec![Listen::Unix(path.clone(), mode)])).await.err();
        assert!(second.expect("somebody listens there").to_string().contains("somebody listens"));
        let serving = web.start(LiveView::of_nothing());
        let mut stream = UnixStream::connect(&path).await.expect("somebody listens");
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serving.end().await;
        assert!(!path.exists(), "the socket goes with its process");
    }
    std::fs::write(&path, "mine").expect("written");
    let refused = Web::open(&service, options(vec![Listen::Unix(path.clone(), 0o600)])).await.err();
    assert!(refused.expect("not a socket").to_string().contains("no socket"));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "mine");
}

#[tokio::test]
async fn one_address_of_another_machine_does_not_take_all_places() {
    let crowd = crate::listen::Crowd::default();
    let far = crate::door::Peer::Address("192.0.2.7".parse().expect("an address"));
    let near = crate::door::Peer::Address("127.0.0.1".parse().expect("an address"));
    let held: Vec<_> = (0..3).map(|_| crowd.let_in(far, 3).expect("there is room")).collect();
    assert!(crowd.let_in(far, 3).is_none());
    assert!((0..9).all(|_| crowd.let_in(near, 3).is_some()), "a proxy on this machine is everybody");
    drop(held);
    assert!(crowd.let_in(far, 3).is_some());
}
