//! Control through async-imap: once our own code has signed in, the transport becomes an `async_imap::Session`, which
//! drives CAPABILITY, NOOP and LOGOUT. What the server really said is read from the relay's record.

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::error::ImapError;
use crate::response::{Response, code_arguments};
use crate::status_line::{Status, StatusLine};
use crate::wire::Wire;
use crate::wire::relay::Record;
use std::time::Duration;

/// The library's session over our transport.
pub(crate) type Session = async_imap::Session<Wire>;

#[derive(Debug, Clone, Copy)]
enum Call {
    Capability,
    Noop,
    Logout,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Capability => "CAPABILITY",
            Self::Noop => "NOOP",
            Self::Logout => "LOGOUT",
        }
    }
}

/// Says nothing: the relay answers the library's `authenticate()` locally, before any challenge.
struct NothingToSay;

impl async_imap::Authenticator for NothingToSay {
    type Response = &'static [u8];

    fn process(&mut self, _: &[u8]) -> Self::Response {
        b""
    }
}

/// Makes a session of a wire over which we have signed in. No octet goes over the network.
pub(crate) async fn adopt(mut wire: Wire) -> Result<Session, ImapError> {
    wire.relay_locally();
    match async_imap::Client::new(wire).authenticate("SIGNED-IN-ALREADY", NothingToSay).await {
        Ok(mut session) => {
            drop(session.get_mut().end_relay());
            Ok(session)
        }
        Err((error, _)) => Err(ImapError::Protocol { during: "taking over the session", detail: error.to_string() }),
    }
}

/// Lets the library conduct one command, and decides by the server's own words.
async fn conduct(session: &mut Session, call: Call, deadline: Duration) -> Result<Record, ImapError> {
    let name = call.name();
    let farewell = matches!(call, Call::Logout);
    let wire = session.get_mut();
    wire.step_out(name)?;
    wire.expect_lines(name);
    wire.reach(name, "before")?;
    wire.relay_openly(farewell);
    let conversation = async {
        match call {
            Call::Capability => session.capabilities().await.map(drop),
            Call::Noop => session.noop().await,
            Call::Logout => session.logout().await,
        }
    };
    let in_time = tokio::time::timeout(deadline, conversation).await;
    let wire = session.get_mut();
    let mut record = wire.end_relay();
    if let Some(failure) = record.failure.take() {
        return Err(failure);
    }
    let Ok(outcome) = in_time else { return Err(ImapError::TimedOut { during: name, after: deadline }) };
    let line = record.tagged.as_ref().and_then(|frame| match Response::of(frame) {
        Response::Tagged { line, .. } => Some(line.to_line()),
        _ => None,
    });
    wire.reach(name, "answered")?;
    let Some(line) = line else {
        let detail = outcome.err().map_or_else(|| "no verdict".to_owned(), |error| error.to_string());
        return Err(ImapError::Protocol { during: name, detail });
    };
    wire.back_in_step();
    if line.status == Status::Ok { Ok(record) } else { Err(ImapError::Refused { command: name, status: line }) }
}

/// CAPABILITY, after sign-in. Anything announced before is forgotten.
pub(crate) async fn capabilities(session: &mut Session, deadline: Duration) -> Result<Capabilities, ImapError> {
    let record = conduct(session, Call::Capability, deadline).await?;
    let mut all = Capabilities::default();
    let mut seen = false;
    for frame in &record.untagged {
        seen |= extend_capabilities(&mut all, &Response::of(frame));
    }
    if seen { Ok(all) } else { Err(no_capabilities()) }
}

/// CAPABILITY before there is a session.
pub(crate) async fn early_capabilities(wire: &mut Wire, deadline: Duration) -> Result<Capabilities, ImapError> {
    let mut all = Capabilities::default();
    let mut seen = false;
    let mut take = |response: Response<'_>| seen |= extend_capabilities(&mut all, &response);
    let mode = crate::capabilities::LiteralMode::Synchronising;
    wire.run(Command::new("CAPABILITY"), mode, Some(deadline), &mut take).await?;
    if seen { Ok(all) } else { Err(no_capabilities()) }
}

fn no_capabilities() -> ImapError {
    ImapError::Protocol { during: "CAPABILITY", detail: "OK without an answer".to_owned() }
}

/// What a verdict announces along with it (RFC 9051 §7.1, CAPABILITY): the same as the command would tell, without its
/// round trip. A list without the protocol's own name is not taken for one.
pub(crate) fn told_along(line: &StatusLine) -> Option<Capabilities> {
    let words = code_arguments(line, "CAPABILITY")?.split(u8::is_ascii_whitespace);
    Some(Capabilities::from_words(words)).filter(is_whole)
}

/// Takes in an announcement that comes unasked while something else is being done.
pub(crate) fn hear_capabilities(all: &mut Option<Capabilities>, response: &Response<'_>) {
    let mut heard = Capabilities::default();
    if extend_capabilities(&mut heard, response) && is_whole(&heard) {
        *all = Some(heard);
    }
}

fn is_whole(capabilities: &Capabilities) -> bool {
    capabilities.has("IMAP4REV1") || capabilities.has("IMAP4REV2")
}

fn extend_capabilities(all: &mut Capabilities, response: &Response<'_>) -> bool {
    match response {
        Response::Data { number: None, word, rest } if word.eq_ignore_ascii_case(b"CAPABILITY") => {
            let words = rest.rest().split(u8::is_ascii_whitespace);
            all.extend(Capabilities::from_words(words));
            true
        }
        _ => false,
    }
}

/// NOOP.
pub(crate) async fn noop(session: &mut Session, deadline: Duration) -> Result<(), ImapError> {
    conduct(session, Call::Noop, deadline).await.map(drop)
}

/// LOGOUT. Many servers close before they confirm it; that is a good-bye as well.
pub(crate) async fn logout(session: &mut Session, deadline: Duration) -> Result<(), ImapError> {
    match conduct(session, Call::Logout, deadline).await {
        Ok(_) | Err(ImapError::Closed { .. } | ImapError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
