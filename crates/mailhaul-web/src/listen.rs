//! Listening: TCP, with TLS or without, and a Unix socket; and serving each connection until it ends or everything does.

use crate::door::Peer;
use crate::flow::{Flow, Unhurried};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_service::Service as _;

/// How long the TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long to wait when the system has no descriptor left for a further connection.
const BREATH: Duration = Duration::from_millis(100);

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once; the next ones wait.
    pub(crate) connections: usize,
    /// Of these, from one address of another machine; more are closed at once. Whoever stands behind a proxy on this
    /// machine shares its address, and is not counted.
    pub(crate) of_one_address: usize,
    /// How long somebody may take to say what he wants.
    pub(crate) head_within: Duration,
    /// How quickly he must bring what belongs to it, and take what is answered.
    pub(crate) flow: Flow,
    /// How long open answers may take to come to their end when everything ends. Then they are cut off.
    pub(crate) ends_within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 512,
            of_one_address: 128,
            head_within: Duration::from_secs(20),
            flow: Flow::default(),
            ends_within: Duration::from_secs(2),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket, and who can open it: the mode of its file.
    Unix(PathBuf, u32),
}

/// The certificate chain and its key, in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, our own certificate first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why nobody can be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The system refused an address.
    #[error("cannot listen on {place}: {error}")]
    Listen {
        /// Where.
        place: String,
        /// The system's words.
        error: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("the TLS file `{}`: {words}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        words: String,
    },
    /// What was said cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The state file.
    #[error(transparent)]
    Service(#[from] mailhaul_service::ServiceError),
}

/// An open door.
pub(crate) enum Listener {
    Tcp(TcpListener, Option<TlsAcceptor>),
    Unix(UnixListener, PathBuf),
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // If it cannot be removed, the next start finds that nobody listens, and removes it.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Listener {
    pub(crate) async fn bind(place: &Listen, tls: Option<&TlsAcceptor>) -> Result<Self, WebError> {
        match place {
            Listen::Tcp(address) => {
                let bound = TcpListener::bind(address).await;
                let bound = bound.map_err(|error| WebError::Listen { place: address.to_string(), error })?;
                Ok(Self::Tcp(bound, tls.cloned()))
            }
            Listen::Unix(path, mode) => {
                let failed = |error| WebError::Listen { place: path.display().to_string(), error };
                let bound = bind_socket(path, *mode).await.map_err(failed)?;
                Ok(Self::Unix(bound, path.clone()))
            }
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener, _) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// Serves until `ending` turns true, and then until open answers have come to their end, or too long has passed.
    pub(crate) async fn serve(self, router: Router, bounds: Bounds, mut ending: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(bounds.connections));
        let crowd = Crowd::default();
        let mut talks = JoinSet::new();
        loop {
            // Also somebody who waits for room hears that everything ends.
            let accepted = tokio::select! {
                biased;
                _ = ending.wait_for(|ending| *ending) => break,
                Some(_) = talks.join_next() => continue,
                accepted = self.next(&room) => accepted,
            };
            let (place, stream, peer, tls) = match accepted {
                Ok(Some(accepted)) => accepted,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let Some(one) = crowd.let_in(peer, bounds.of_one_address) else { continue };
            let (router, watcher) = (router.clone(), graceful.watcher());
            talks.spawn(async move {
                let _held = (place, one);
                match (stream, tls) {
                    (Stream::Tcp(stream), Some(tls)) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                            talk(stream, peer, router, watcher, bounds).await;
                        }
                    }
                    (Stream::Tcp(stream), None) => talk(stream, peer, router, watcher, bounds).await,
                    (Stream::Unix(stream), _) => talk(stream, peer, router, watcher, bounds).await,
                }
            });
        }
        // Nobody who is in the middle of something can keep the process from ending.
        let _ = tokio::time::timeout(bounds.ends_within, graceful.shutdown()).await;
        talks.shutdown().await;
    }

    /// The next connection, when there is room for it; `None` if there never will be.
    async fn next(&self, room: &Arc<Semaphore>) -> io::Result<Option<Accepted>> {
        let Ok(place) = Arc::clone(room).acquire_owned().await else { return Ok(None) };
        let (stream, peer, tls) = self.accept().await?;
        Ok(Some((place, stream, peer, tls)))
    }

    async fn accept(&self) -> io::Result<(Stream, Peer, Option<TlsAcceptor>)> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                // Live figures are small and wanted at once.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Peer::Address(address.ip().to_canonical()), tls.clone()))
            }
            Self::Unix(listener, _) => Ok((Stream::Unix(listener.accept().await?.0), Peer::Socket, None)),
        }
    }
}

/// A connection, its place, whence it came, and how it is secured.
type Accepted = (OwnedSemaphorePermit, Stream, Peer, Option<TlsAcceptor>);

/// How many connections each address of another machine has.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, for as long as it lives.
pub(crate) struct One(Option<(Crowd, IpAddr)>);

impl Crowd {
    pub(crate) fn let_in(&self, peer: Peer, most: usize) -> Option<One> {
        let Peer::Address(address) = peer else { return Some(One(None)) };
        if address.is_loopback() {
            return Some(One(None));
        }
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = crowd.entry(address).or_default();
        if *there >= most {
            return None;
        }
        *there += 1;
        Some(One(Some((self.clone(), address))))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let Some((crowd, address)) = &self.0 else { return };
        let mut crowd = crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = crowd.get_mut(address) {
            *there -= 1;
            if *there == 0 {
                crowd.remove(address);
            }
        }
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(UnixStream),
}

/// Answers requests over one connection.
async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    router: Router,
    watcher: Watcher,
    bounds: Bounds,
) {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let mut router = router.clone();
        request.extensions_mut().insert(peer);
        async move { router.call(request.map(|body| bounds.flow.body(body))).await }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head_within).max_buf_size(HEAD_BYTES_MAX);
    let stream = TokioIo::new(Unhurried::new(stream, bounds.flow.taken_within));
    let connection = builder.serve_connection(stream, service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A socket that was left behind is taken over; one at which somebody listens is not, nor is anything else.
/// It is made in a folder that only we can enter, and moved to its place when its mode is what it is to be: nobody else can
/// connect a moment before that.
async fn bind_socket(path: &Path, mode: u32) -> io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt as _;
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of this name that is no socket"));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"));
        }
        std::fs::remove_file(path)?;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let room = folder.join(format!(".mailhaul-{}", std::process::id()));
    // One that was left behind by a process that had our number.
    let _ = std::fs::remove_dir_all(&room);
    std::fs::DirBuilder::new().mode(0o700).create(&room)?;
    let made = || {
        let inner = room.join("s");
        let listener = UnixListener::bind(&inner)?;
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(mode))?;
        std::fs::rename(&inner, path)?;
        Ok(listener)
    };
    let made = made();
    std::fs::remove_dir_all(&room)?;
    made
}

/// Reads the certificate and its key.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, WebError> {
    let failed = |path: &Path, words: String| WebError::Tls { path: path.to_owned(), words };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| failed(&files.cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(&files.cert, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| failed(&files.key, error.to_string()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| failed(&files.cert, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
