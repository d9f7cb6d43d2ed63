//! Where to connect, whom to trust, who signs in, how long to wait: the plain data that opening a connection takes.

use crate::compress::Compress;
use crate::wire::io::BoxedIo;
use mailhaul_types::{Secret, Side};
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One IMAP server as an operator named it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address literal (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// How octets get there.
    pub dial: Dial,
    /// Whether they are compressed.
    pub compress: Compress,
}

/// How octets get to a server.
#[derive(Clone, Default)]
pub enum Dial {
    /// Over TCP, to an address that the host's name resolves to.
    #[default]
    Tcp,
    /// The same, but only to addresses that [`is_public`](crate::is_public) knows as public: whoever named the host is not
    /// to have this machine knock at doors that only it can reach.
    PublicTcp,
    /// Through somebody else, who knows neither name resolution nor sockets from us: a simulated network.
    Through(Arc<dyn Dialer>),
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "Tcp",
            Self::PublicTcp => "PublicTcp",
            Self::Through(_) => "Through",
        })
    }
}

/// A connection in the making; see [`Dialer`].
pub type Dialled = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// Opens connections in TCP's place.
pub trait Dialer: Send + Sync {
    /// Opens a connection to `host` and `port` for this side of a copy. It is given up after
    /// [`Timeouts::connect`].
    fn dial(&self, side: Side, host: &str, port: u16) -> Dialled;
}

/// An octet stream in both directions, as a [`Dialer`] hands it out.
pub struct Stream(pub(crate) BoxedIo);

impl Stream {
    /// Of anything that can be read and written.
    pub fn new(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte (RFC 8314 §3).
    Implicit,
    /// STARTTLS (RFC 9051 §6.2.1): required, never "if offered".
    StartTls,
    /// No protection at all. Whoever passes this has checked that the operator allowed it for this host.
    Plain,
}

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authorities that the operating system trusts.
    System,
    /// Only the authorities in this PEM file.
    CaFile(PathBuf),
    /// SHA-256 of the server certificate's DER: that certificate and no other. Name, chain and dates are not asked.
    Pin(Vec<[u8; 32]>),
}

/// Who signs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The login name, sent as UTF-8.
    pub user: String,
    /// The password, sent as the octets it has.
    pub password: Secret,
    /// Whose account is opened, if not the user's own (RFC 4616, `authzid`). Needs AUTH=PLAIN.
    pub authorization_identity: Option<String>,
}

/// How long a server may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the TCP connection and the TLS handshake, each.
    pub connect: Duration,
    /// For each command that answers with a handful of lines, from its first byte to its tagged response.
    pub control: Duration,
    /// In bulk work: the longest time in which no byte moves in either direction while the server owes an answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), control: Duration::from_secs(90), idle: Duration::from_secs(300) }
    }
}
