//! From an endpoint to a signed-in session: address, socket, TLS, greeting, STARTTLS, sign-in, in that order.

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::control::{self, Session};
use crate::endpoint::{Credentials, Dial, Dialer, Endpoint, Timeouts, TlsMode};
use crate::error::ImapError;
use crate::introduction::{Introduction, OpeningStep, TlsFacts};
use crate::reach::is_public;
use crate::sign_in;
use crate::tls;
use crate::wire::Wire;
use crate::wire::io::BoxedIo;
use mailhaul_types::Side;
use socket2::{SockRef, TcpKeepalive};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::TcpStream;

/// Silence after which the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;
/// Encrypted octets that are received at once.
const TLS_READ_AHEAD: usize = 64 * 1024;
/// How long an answer to LOGOUT is waited for by somebody who only looked.
const FAREWELL: Duration = Duration::from_secs(3);

/// A signed-in session, and what the greeting said.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) greeting: String,
    /// What was announced along with the OK to the sign-in, if anything was.
    pub(crate) announced: Option<Capabilities>,
}

pub(crate) async fn open(
    side: Side,
    endpoint: &Endpoint,
    credentials: &Credentials,
    timeouts: &Timeouts,
    introduction: &mut Introduction,
) -> Result<Opened, ImapError> {
    let io = reach(side, endpoint, timeouts, introduction).await?;
    open_over(side, io, endpoint, credentials, timeouts, introduction).await
}

/// Looks at a server without signing in, and leaves in good order.
///
/// # Errors
/// Every way in which a connection cannot be opened; what was seen until then stands in `introduction`.
pub async fn look_without_sign_in(
    endpoint: &Endpoint,
    timeouts: &Timeouts,
    introduction: &mut Introduction,
) -> Result<(), ImapError> {
    let io = reach(Side::Source, endpoint, timeouts, introduction).await?;
    let (mut wire, _) = meet(Side::Source, io, endpoint, timeouts, introduction).await?;
    let mode = crate::capabilities::LiteralMode::Synchronising;
    // Whatever it answers: we are gone.
    let _ = wire.run(Command::new("LOGOUT"), mode, Some(FAREWELL), &mut |_| {}).await;
    Ok(())
}

/// The socket; with implicit TLS it is secured already.
async fn reach(
    side: Side,
    endpoint: &Endpoint,
    timeouts: &Timeouts,
    introduction: &mut Introduction,
) -> Result<BoxedIo, ImapError> {
    let socket: BoxedIo = match &endpoint.dial {
        Dial::Tcp | Dial::PublicTcp => Box::new(connect(side, endpoint, timeouts.connect, introduction).await?),
        Dial::Through(dialer) => dial(dialer.as_ref(), side, endpoint, timeouts.connect, introduction).await?,
    };
    Ok(match endpoint.tls {
        TlsMode::Implicit => Box::new(handshake(socket, endpoint, timeouts, introduction).await?),
        TlsMode::StartTls | TlsMode::Plain => socket,
    })
}

async fn dial(
    dialer: &dyn Dialer,
    side: Side,
    endpoint: &Endpoint,
    limit: Duration,
    introduction: &mut Introduction,
) -> Result<BoxedIo, ImapError> {
    introduction.pass(OpeningStep::Resolve);
    introduction.begin(OpeningStep::Connect);
    let stream = within(limit, "connecting", async {
        dialer.dial(side, &endpoint.host, endpoint.port).await.map_err(|error| ImapError::Connect {
            host: endpoint.host.clone(),
            port: endpoint.port,
            detail: error.to_string(),
        })
    });
    let stream = stream.await?;
    introduction.pass(OpeningStep::Connect);
    Ok(stream.0)
}

/// Everything after the socket.
pub(crate) async fn open_over(
    side: Side,
    io: BoxedIo,
    endpoint: &Endpoint,
    credentials: &Credentials,
    timeouts: &Timeouts,
    introduction: &mut Introduction,
) -> Result<Opened, ImapError> {
    let (mut wire, greeting) = meet(side, io, endpoint, timeouts, introduction).await?;
    introduction.begin(OpeningStep::SignIn);
    let capabilities = &introduction.capabilities;
    let announced = sign_in::sign_in(&mut wire, capabilities, credentials, endpoint.tls, timeouts.control).await?;
    introduction.pass(OpeningStep::SignIn);
    introduction.begin(OpeningStep::Capabilities);
    tracing::debug!(server.host = %endpoint.host, "signed in");
    Ok(Opened { session: control::adopt(wire).await?, greeting, announced })
}

/// From the greeting to the announcements that may be believed: those under TLS, if TLS is wanted.
async fn meet(
    side: Side,
    io: BoxedIo,
    endpoint: &Endpoint,
    timeouts: &Timeouts,
    introduction: &mut Introduction,
) -> Result<(Wire, String), ImapError> {
    introduction.begin(OpeningStep::Greeting);
    let mut wire = Wire::new(io, timeouts.idle).of_side(side);
    wire.reach("GREETING", "before")?;
    let greeting = sign_in::greet(&mut wire, &endpoint.host, timeouts.control).await?;
    wire.reach("GREETING", "answered")?;
    introduction.greeting = Some(greeting.text.clone());
    let mut capabilities = match control::told_along(&greeting) {
        Some(capabilities) => capabilities,
        None => control::early_capabilities(&mut wire, timeouts.control).await?,
    };
    introduction.pass(OpeningStep::Greeting);
    if endpoint.tls == TlsMode::StartTls {
        introduction.begin(OpeningStep::Tls);
        sign_in::ask_for_tls(&mut wire, &endpoint.host, &capabilities, timeouts.control).await?;
        let (io, heritage) = wire.into_io();
        let secured = handshake(io, endpoint, timeouts, introduction).await?;
        wire = Wire::resume(Box::new(secured), &heritage);
        // RFC 9051 §6.2.1: what was announced in plain text may have been anybody's words.
        capabilities = control::early_capabilities(&mut wire, timeouts.control).await?;
    }
    introduction.capabilities = capabilities;
    Ok((wire, greeting.text))
}

async fn handshake<S>(
    stream: S,
    endpoint: &Endpoint,
    timeouts: &Timeouts,
    introduction: &mut Introduction,
) -> Result<tokio_rustls::client::TlsStream<BufReader<S>>, ImapError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    introduction.begin(OpeningStep::Tls);
    // rustls asks for 4 KiB at a time, which would be 256 system calls a MiB.
    let stream = BufReader::with_capacity(TLS_READ_AHEAD, stream);
    let secured =
        within(timeouts.connect, "the TLS handshake", tls::secure(stream, &endpoint.host, &endpoint.trust)).await?;
    introduction.tls = Some(TlsFacts::of(secured.get_ref().1));
    introduction.pass(OpeningStep::Tls);
    Ok(secured)
}

async fn connect(
    side: Side,
    endpoint: &Endpoint,
    limit: Duration,
    introduction: &mut Introduction,
) -> Result<TcpStream, ImapError> {
    let unresolved = |detail: String| ImapError::Resolve { host: endpoint.host.clone(), detail };
    let resolved = async {
        let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await;
        found.map_err(|error| unresolved(error.to_string()))
    };
    let mut addresses: Vec<SocketAddr> =
        within(limit, "resolving the host name", resolved).await?.take(ADDRESSES_MAX).collect();
    let mut last = unresolved("the name has no address".to_owned());
    if matches!(endpoint.dial, Dial::PublicTcp) {
        // The very addresses that are connected to: a name could lead elsewhere the next time it is asked for.
        if let Some(own) = addresses.iter().find(|address| !is_public(address.ip())) {
            last = ImapError::NotPublic { host: endpoint.host.clone(), address: own.ip() };
        }
        addresses.retain(|address| is_public(address.ip()));
    }
    if !addresses.is_empty() {
        introduction.pass(OpeningStep::Resolve);
        introduction.begin(OpeningStep::Connect);
    }
    for address in addresses {
        let attempt = within(limit, "connecting", async {
            TcpStream::connect(address).await.map_err(|error| ImapError::Connect {
                host: endpoint.host.clone(),
                port: endpoint.port,
                detail: format!("{address}: {error}"),
            })
        });
        match attempt.await {
            Ok(socket) => {
                prepare(&socket, side);
                introduction.address = Some(address);
                introduction.pass(OpeningStep::Connect);
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What a socket cannot be told is no reason to give it up.
pub(crate) fn prepare(socket: &TcpStream, side: Side) {
    let options = SockRef::from(socket);
    let mut outcome = socket.set_nodelay(true);
    outcome = outcome.and(options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE)));
    if side == Side::Target {
        // Octets that we did not get rid of must die with us: a command that the kernel completes after our death
        // would store a message that nobody waits for.
        outcome = outcome.and(options.set_linger(Some(Duration::ZERO)));
    }
    if let Err(error) = outcome {
        tracing::debug!(%error, "a socket option was not taken");
    }
}

async fn within<T>(
    limit: Duration,
    during: &'static str,
    work: impl Future<Output = Result<T, ImapError>>,
) -> Result<T, ImapError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(ImapError::TimedOut { during, after: limit }))
}
