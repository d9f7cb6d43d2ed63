//! LOGIN and AUTHENTICATE PLAIN (RFC 9051 §6.2.3, RFC 4616): any user, one password.

use super::dispatch::{Session, Step};
use super::parse::Arguments;
use super::reply::{Handled, Verdict};
use super::{PASSWORD, World};
use base64::Engine as _;

pub(super) fn login(session: &mut Session, world: &World, arguments: &mut Arguments<'_>) -> Handled {
    arguments.space()?;
    let user = arguments.astring()?;
    arguments.space()?;
    let password = arguments.astring()?;
    arguments.end()?;
    enter(session, world, &user, &password)
}

pub(super) fn authenticate(session: &mut Session, world: &World, arguments: &mut Arguments<'_>) -> Step {
    match begin(session, world, arguments) {
        Ok(None) => Step::Challenge,
        Ok(Some(verdict)) | Err(verdict) => Step::Ended(verdict),
    }
}

fn begin(session: &mut Session, world: &World, arguments: &mut Arguments<'_>) -> Result<Option<Verdict>, Verdict> {
    arguments.space()?;
    if arguments.keyword()? != "PLAIN" || !world.traits.auth_plain {
        return Err(Verdict::no("", "no such way to authenticate"));
    }
    if arguments.peek().is_none() {
        return Ok(None);
    }
    if !world.traits.sasl_ir {
        return Err(Verdict::bad("no response was asked for"));
    }
    arguments.space()?;
    let response = arguments.astring()?;
    arguments.end()?;
    Ok(Some(respond(session, world, &response)))
}

/// What the client says to the challenge.
pub(super) fn respond(session: &mut Session, world: &World, line: &[u8]) -> Verdict {
    if line == b"*" {
        return Verdict::bad("given up");
    }
    let Ok(message) = base64::engine::general_purpose::STANDARD.decode(line) else {
        return Verdict::bad("no base64");
    };
    let mut parts = message.split(|octet| *octet == 0);
    let (Some(_), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Verdict::bad("no PLAIN response");
    };
    let (Ok(verdict) | Err(verdict)) = enter(session, world, user, password);
    verdict
}

fn enter(session: &mut Session, world: &World, user: &[u8], password: &[u8]) -> Handled {
    if session.signed_in {
        return Err(Verdict::bad("signed in already"));
    }
    if user.is_empty() || password != PASSWORD.as_bytes() {
        return Err(Verdict::no("AUTHENTICATIONFAILED", "wrong user name or password"));
    }
    session.signed_in = true;
    let code = if world.traits.tells_capabilities {
        format!("CAPABILITY {}", world.traits.capabilities())
    } else {
        String::new()
    };
    Ok(Verdict::ok_with(code, "signed in"))
}
