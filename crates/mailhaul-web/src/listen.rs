//! Listening: TCP, with TLS or without, and a Unix socket; and serving each connection until it ends or everything does.

use crate::door::Peer;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_service::Service as _;

/// How long somebody may take to say what he wants.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// How long the TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Connections at once; the next ones wait.
const CONNECTIONS_MAX: usize = 512;
/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long open answers may take to come to their end when everything ends.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait when the system has no descriptor left for a further connection.
const BREATH: Duration = Duration::from_millis(100);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket that only this user can open.
    Unix(PathBuf),
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
            Listen::Unix(path) => {
                let failed = |error| WebError::Listen { place: path.display().to_string(), error };
                let bound = bind_socket(path).await.map_err(failed)?;
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
    pub(crate) async fn serve(self, router: Router, mut ending: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
            let accepted = tokio::select! {
                _ = ending.wait_for(|ending| *ending) => break,
                accepted = self.accept() => accepted,
            };
            let (stream, peer, tls) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let (router, watcher) = (router.clone(), graceful.watcher());
            tokio::spawn(async move {
                match (stream, tls) {
                    (Stream::Tcp(stream), Some(tls)) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                            talk(stream, peer, router, watcher).await;
                        }
                    }
                    (Stream::Tcp(stream), None) => talk(stream, peer, router, watcher).await,
                    (Stream::Unix(stream), _) => talk(stream, peer, router, watcher).await,
                }
                drop(place);
            });
        }
        let _ = tokio::time::timeout(ENDS_WITHIN, graceful.shutdown()).await;
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
) {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let mut router = router.clone();
        request.extensions_mut().insert(peer);
        async move { router.call(request.map(axum::body::Body::new)).await }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A socket that was left behind is taken over; one at which somebody listens is not, nor is anything else.
async fn bind_socket(path: &Path) -> io::Result<UnixListener> {
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
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
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
