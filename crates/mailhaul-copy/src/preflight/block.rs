//! From what went wrong to what is in the way: its kind, its side, its step, and what to do about it.

use super::Look;
use crate::error::{LinkError, WalkError, stop_of};
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_report::{Block, BlockKind, PreflightStep, StopCause};
use mailhaul_types::{Escaped, escape};

/// What is in the way because of an error.
pub(super) fn block_of(error: WalkError, step: PreflightStep) -> Block {
    if let WalkError::Link(link) = &error {
        return block_of_link(link, step);
    }
    let interrupted = matches!(error, WalkError::Interrupted { .. });
    let stop = stop_of(error);
    Block {
        kind: kind_of(stop.cause),
        side: stop.side,
        step,
        words: stop.reason,
        server_words: None,
        retry_after_ms: None,
        hint: if interrupted { "look again".to_owned() } else { stop.hint },
    }
}

/// What is in the way because of a connection.
pub(super) fn block_of_link(link: &LinkError, step: PreflightStep) -> Block {
    let error = &link.error;
    let kind = match error.class() {
        ErrorClass::Network => BlockKind::Network,
        ErrorClass::Throttle => BlockKind::Throttle,
        ErrorClass::Protocol => BlockKind::Protocol,
        ErrorClass::Tls => BlockKind::Tls,
        ErrorClass::SignIn => BlockKind::SignIn,
        ErrorClass::Quota => BlockKind::Quota,
        ErrorClass::Usage => BlockKind::Usage,
        ErrorClass::Lease => BlockKind::Internal,
        // A refusal of what every server takes is the server's trouble, whatever it is about.
        _ => BlockKind::Server,
    };
    Block {
        kind,
        side: Some(link.side),
        step,
        words: Escaped(&error.to_string()).to_string(),
        server_words: error.server_words().map(|words| escape(&words)),
        retry_after_ms: error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        hint: hint(kind, error).to_owned(),
    }
}

fn kind_of(cause: StopCause) -> BlockKind {
    match cause {
        StopCause::Network => BlockKind::Network,
        StopCause::Server => BlockKind::Server,
        StopCause::Throttle => BlockKind::Throttle,
        StopCause::Protocol => BlockKind::Protocol,
        StopCause::Tls => BlockKind::Tls,
        StopCause::SignIn => BlockKind::SignIn,
        StopCause::Quota => BlockKind::Quota,
        StopCause::Brake => BlockKind::Decision,
        StopCause::Busy | StopCause::Local => BlockKind::Local,
        StopCause::Usage => BlockKind::Usage,
        StopCause::Lease | StopCause::Internal => BlockKind::Internal,
        StopCause::Interrupted => BlockKind::Interrupted,
    }
}

fn hint(kind: BlockKind, error: &ImapError) -> &'static str {
    match (kind, error) {
        (_, ImapError::Resolve { .. }) => "check the name of the host",
        (_, ImapError::Connect { .. }) => "check host and port, and whether a firewall stands in between",
        (_, ImapError::NotPublic { .. }) => {
            "if that is right, name the server once more at this machine: `mailhaul endpoint set NAME --url URL`"
        }
        (BlockKind::Network | BlockKind::Server | BlockKind::Protocol, _) => "look again later",
        (BlockKind::Throttle, _) => "the server asks to be left alone for a while; look again later",
        (BlockKind::Tls, _) => {
            "nothing was sent before the certificate had been checked; if it is the right server, name its authority \
             or pin its certificate"
        }
        (_, ImapError::SignInImpossible { .. }) => "sign in in another way, or allow one of these ways at the server",
        (BlockKind::SignIn, _) => {
            "check user and password by signing in with a mail program, and mend them in the list; nothing is tried \
             again until then"
        }
        (BlockKind::Quota, _) => "make room on the target",
        (BlockKind::Usage, _) => "check the settings of this endpoint and account",
        _ => "",
    }
}

impl Look<'_> {
    /// Something that only the operator can decide.
    pub(super) fn block_by_decision(&mut self, words: String, hint: &str) {
        self.found.blocks.push(Block {
            kind: BlockKind::Decision,
            side: None,
            step: self.step,
            words,
            server_words: None,
            retry_after_ms: None,
            hint: hint.to_owned(),
        });
    }
}
