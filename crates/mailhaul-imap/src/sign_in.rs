//! From the greeting to a signed-in wire. All of it is our own conversation: the control library logs what it sends,
//! and its sign-in keeps neither the server's words nor passwords with 8-bit octets.

use crate::capabilities::{Capabilities, LiteralMode};
use crate::command::Command;
use crate::control;
use crate::endpoint::{Credentials, TlsMode};
use crate::error::{ImapError, TlsCheck};
use crate::response::Response;
use crate::status_line::{Status, StatusLine};
use crate::wire::Wire;
use base64::Engine as _;
use std::time::Duration;
use zeroize::Zeroizing;

/// Untagged responses during sign-in.
const UNTAGGED_MAX: usize = 1_000;

/// Reads the greeting, and returns it.
pub(crate) async fn greet(wire: &mut Wire, host: &str, deadline: Duration) -> Result<StatusLine, ImapError> {
    let during = "reading the greeting";
    wire.expect_lines(during);
    let frame = tokio::time::timeout(deadline, wire.next_frame())
        .await
        .unwrap_or(Err(ImapError::TimedOut { during, after: deadline }))?;
    let refused = |text: String| Err(ImapError::Greeting { host: host.to_owned(), text });
    match Response::of(&frame) {
        Response::Status(line) => match line.status {
            Status::Ok => Ok(line.to_line()),
            Status::PreAuth => Err(ImapError::PreAuth { host: host.to_owned() }),
            Status::No | Status::Bad | Status::Bye => refused(line.to_line().to_string()),
        },
        _ => {
            let words = String::from_utf8_lossy(&frame[..frame.len().min(200)]).trim().to_owned();
            refused(format!("not an IMAP server: \"{words}\""))
        }
    }
}

/// STARTTLS (RFC 9051 §6.2.1), up to its tagged OK. Whatever stands behind that was not sent by the server that we
/// are about to verify.
pub(crate) async fn ask_for_tls(
    wire: &mut Wire,
    host: &str,
    capabilities: &Capabilities,
    deadline: Duration,
) -> Result<(), ImapError> {
    let failed = |check: TlsCheck| ImapError::Tls { host: host.to_owned(), check };
    if !capabilities.has("STARTTLS") {
        return Err(failed(TlsCheck::StartTlsRefused("STARTTLS is not offered".to_owned())));
    }
    if wire.reader.unread() > 0 {
        return Err(failed(TlsCheck::StartTlsInjection));
    }
    let answer = wire.run(Command::new("STARTTLS"), LiteralMode::Synchronising, Some(deadline), &mut |_| {}).await;
    if let Err(ImapError::Refused { status, .. }) = answer {
        return Err(failed(TlsCheck::StartTlsRefused(status.to_string())));
    }
    answer?;
    if wire.reader.unread() > 0 { Err(failed(TlsCheck::StartTlsInjection)) } else { Ok(()) }
}

/// Signs in, once: a wrong password must not be tried twice. What the server announces along with its OK is returned.
pub(crate) async fn sign_in(
    wire: &mut Wire,
    capabilities: &Capabilities,
    credentials: &Credentials,
    tls: TlsMode,
    deadline: Duration,
) -> Result<Option<Capabilities>, ImapError> {
    let impossible = |reason: &str| ImapError::SignInImpossible { reason: reason.to_owned() };
    let name_octets =
        [credentials.user.as_bytes(), credentials.authorization_identity.as_deref().unwrap_or("").as_bytes()];
    if name_octets.iter().any(|name| name.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')))
        || credentials.password.expose().contains(&0)
    {
        let reason = "a login name contains CR, LF or NUL, or the password contains NUL; IMAP cannot send that";
        return Err(impossible(reason));
    }
    let mut announced = None;
    let mut hear = |response: Response<'_>| control::hear_capabilities(&mut announced, &response);
    let conversation = async {
        if capabilities.has("AUTH=PLAIN") {
            authenticate_plain(wire, capabilities.has("SASL-IR"), credentials, &mut hear).await
        } else if credentials.authorization_identity.is_some() {
            Err(impossible("an authorization identity needs AUTH=PLAIN, which the server does not offer"))
        } else if capabilities.has("LOGINDISABLED") {
            Err(impossible(match tls {
                TlsMode::Plain => "the server wants TLS before sign-in (LOGINDISABLED)",
                TlsMode::Implicit | TlsMode::StartTls => {
                    "the server offers neither AUTH=PLAIN nor LOGIN (LOGINDISABLED)"
                }
            }))
        } else {
            let login = Command::new("LOGIN").string(credentials.user.as_bytes()).string(credentials.password.expose());
            wire.run(login, capabilities.literal_mode(), None, &mut hear).await
        }
    };
    let outcome = tokio::time::timeout(deadline, conversation)
        .await
        .unwrap_or(Err(ImapError::TimedOut { during: "signing in", after: deadline }));
    let verdict = outcome.map_err(|error| match error {
        ImapError::Refused { status, .. } => ImapError::SignIn { status },
        other => other,
    })?;
    Ok(control::told_along(&verdict).or(announced))
}

/// AUTHENTICATE PLAIN (RFC 4616), with the response in the command where SASL-IR (RFC 4959) is announced.
async fn authenticate_plain(
    wire: &mut Wire,
    initial: bool,
    credentials: &Credentials,
    untagged: &mut (dyn FnMut(Response<'_>) + Send),
) -> Result<StatusLine, ImapError> {
    const NAME: &str = "AUTHENTICATE";
    let response = plain_response(credentials);
    wire.step_out(NAME)?;
    wire.expect_lines(NAME);
    wire.reach(NAME, "before")?;
    let tag = wire.next_tag();
    let mut budget = UNTAGGED_MAX;
    if initial {
        let mut line = Zeroizing::new(format!("M{tag} AUTHENTICATE PLAIN ").into_bytes());
        line.extend_from_slice(&response);
        wire.writer.write_secret(&line).await?;
    } else {
        wire.writer.put(format!("M{tag} AUTHENTICATE PLAIN\r\n").as_bytes());
        if let Some(status) = wire.await_answer(tag, true, &mut budget, untagged).await? {
            return verdict(wire, status);
        }
        wire.writer.write_secret(&response).await?;
    }
    wire.reach(NAME, "sent")?;
    // A second challenge is an error of the server's that wants to be acknowledged: `*` gives up (RFC 9051 §6.2.2).
    let mut ended = wire.await_answer(tag, true, &mut budget, untagged).await?;
    if ended.is_none() {
        wire.writer.put(b"*\r\n");
        ended = wire.await_answer(tag, false, &mut budget, untagged).await?;
    }
    wire.reach(NAME, "answered")?;
    match ended {
        Some(status) => verdict(wire, status),
        None => Err(ImapError::Protocol { during: NAME, detail: "no verdict".to_owned() }),
    }
}

fn verdict(wire: &mut Wire, status: StatusLine) -> Result<StatusLine, ImapError> {
    wire.back_in_step();
    match status.status {
        Status::Ok => Ok(status),
        _ => Err(ImapError::SignIn { status }),
    }
}

/// `[authzid] NUL authcid NUL passwd` in base64, with the line end.
fn plain_response(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let authorization = credentials.authorization_identity.as_deref().unwrap_or("");
    let password = credentials.password.expose();
    let mut message =
        Zeroizing::new(Vec::with_capacity(authorization.len() + credentials.user.len() + password.len() + 2));
    message.extend_from_slice(authorization.as_bytes());
    message.push(0);
    message.extend_from_slice(credentials.user.as_bytes());
    message.push(0);
    message.extend_from_slice(password);
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(&*message));
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 2));
    line.extend_from_slice(text.as_bytes());
    line.extend_from_slice(b"\r\n");
    line
}
