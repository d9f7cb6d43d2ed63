//! What can go wrong at the IMAP edge, as situations. The server's own words are kept verbatim (decoded lossily);
//! whoever prints them escapes them.

use crate::status_line::{Context, StatusLine};
use std::net::IpAddr;
use std::time::Duration;

/// An error of the IMAP edge.
///
/// Errors are `Clone`, because the reading and the writing half of one connection both have to tell of it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ImapError {
    /// The host name has no address.
    #[error("resolve {host}: {detail}")]
    Resolve {
        /// The host as given.
        host: String,
        /// The resolver's words.
        detail: String,
    },
    /// No address of the host took the connection.
    #[error("connect to {host}:{port}: {detail}")]
    Connect {
        /// The host as given.
        host: String,
        /// The port.
        port: u16,
        /// The operating system's words, for the last address that was tried.
        detail: String,
    },
    /// The host's name leads into somebody's own network, and whoever named it may not have us go there.
    #[error("connect to {host}: its address {address} is not a public one, and the server was named over HTTP")]
    NotPublic {
        /// The host as given.
        host: String,
        /// The first such address.
        address: IpAddr,
    },
    /// The TLS handshake failed, or the certificate did not pass.
    #[error("tls with {host}: {check}")]
    Tls {
        /// The host as given.
        host: String,
        /// Which check failed.
        check: TlsCheck,
    },
    /// The server speaks nothing newer than TLS 1.1.
    #[error(
        "tls with {host}: the server speaks only TLS 1.0 or 1.1, which is not secure and not supported; \
         put stunnel (or another TLS 1.2 terminator) in front of it and connect to that"
    )]
    OldTls {
        /// The host as given.
        host: String,
    },
    /// What came first was no IMAP greeting, or one that sends us away.
    #[error("greeting of {host}: {text}")]
    Greeting {
        /// The host as given.
        host: String,
        /// What was wrong, with the server's words.
        text: String,
    },
    /// The server says that somebody is signed in already (RFC 9051 §7.1.4). Nobody has proved who that is.
    #[error("greeting of {host}: the server claims that we are already signed in (PREAUTH), which is refused")]
    PreAuth {
        /// The host as given.
        host: String,
    },
    /// The credentials were refused, or could not be sent safely.
    #[error("sign in: server refused: \"{status}\"")]
    SignIn {
        /// The server's words.
        status: StatusLine,
    },
    /// There is no way to sign in that is both offered and safe.
    #[error("sign in: {reason}")]
    SignInImpossible {
        /// Why, in a sentence.
        reason: String,
    },
    /// A command was answered NO or BAD.
    #[error("{command}: server refused: \"{status}\"")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// The server's words.
        status: StatusLine,
    },
    /// The server said good-bye.
    #[error("server closed the session: \"{text}\"")]
    Bye {
        /// The server's words, response code included; a refusal that followed at once is appended.
        text: String,
    },
    /// The connection ended without a good-bye.
    #[error("connection closed while {during}{detail}")]
    Closed {
        /// What was being done.
        during: &'static str,
        /// The operating system's words with a leading `: `, or nothing.
        detail: String,
    },
    /// Nothing came, or nothing could be sent, for too long.
    #[error("no answer for {} s while {during}", .after.as_secs())]
    TimedOut {
        /// What was being done.
        during: &'static str,
        /// The deadline that passed.
        after: Duration,
    },
    /// The server sent more than is taken.
    #[error("server sent too much: {what}")]
    LimitExceeded {
        /// Which bound, with its value.
        what: String,
    },
    /// The server broke the protocol in a way that leaves no safe reading.
    #[error("protocol error while {during}: {detail}")]
    Protocol {
        /// What was being done.
        during: &'static str,
        /// What was seen.
        detail: String,
    },
    /// The caller's right to write was gone at the last moment; the open command was not completed.
    #[error("append not completed: the lease was lost")]
    CommitRefused,
    /// Something that the caller passed cannot be sent.
    #[error("{what}")]
    Usage {
        /// What, in a sentence.
        what: String,
    },
}

/// Which check of the TLS handshake failed. Each text names the check and what would mend it where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsCheck {
    /// `notAfter` has passed.
    #[error("the server's certificate has expired")]
    Expired,
    /// `notBefore` lies ahead.
    #[error("the server's certificate is not yet valid (is a clock wrong?)")]
    NotYetValid,
    /// The certificate is for other names.
    #[error("the server's certificate is not for {expected}; it is for: {}", names(.presented))]
    WrongName {
        /// The host that was asked for.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The chain does not lead to a trusted authority.
    #[error(
        "the server's certificate was issued by an unknown authority (give it with --ca-file, or pin the certificate)"
    )]
    UnknownIssuer,
    /// The certificate was revoked.
    #[error("the server's certificate has been revoked")]
    Revoked,
    /// A signature in the chain or in the handshake is wrong.
    #[error("a signature on the server's certificate or handshake is wrong")]
    BadSignature,
    /// The issuer is no certificate authority.
    #[error("the server's certificate was issued by a certificate that is not an authority")]
    NotAnAuthority,
    /// The server presents a CA certificate as its own.
    #[error("the server presents an authority's certificate as its own (pin it, or give the server one of its own)")]
    AuthorityAsServer,
    /// The certificate is not for servers.
    #[error("the server's certificate is not meant for servers (extended key usage)")]
    WrongPurpose,
    /// The certificate cannot be read.
    #[error("the server's certificate cannot be read: {0}")]
    Unreadable(String),
    /// Signed with something too weak or unknown.
    #[error("the server's certificate uses a signature algorithm that is not supported: {0}")]
    UnsupportedAlgorithm(String),
    /// None of the pins fits; the digest is that of the certificate presented.
    #[error("the server's certificate is none of the pinned ones; its SHA-256 is {0}")]
    PinMismatch(String),
    /// The server does not offer STARTTLS, or refused it.
    #[error("the server does not let us start TLS on this port: {0}")]
    StartTlsRefused(String),
    /// Bytes that were sent in plain text stood behind the answer to STARTTLS.
    #[error("plain-text bytes were injected behind the answer to STARTTLS")]
    StartTlsInjection,
    /// What answered was no TLS.
    #[error("the server does not speak TLS on this port (plain IMAP port? then use imap:// with STARTTLS)")]
    NotTls,
    /// The trust settings cannot be used.
    #[error("{0}")]
    TrustSettings(String),
    /// No protocol version or cipher in common, or any other failure, in the library's words.
    #[error("{0}")]
    Other(String),
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") }
}

/// How a failure is met: by whom, and how much has to be set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorClass {
    /// This one message: isolate it and go on.
    Message,
    /// This mailbox: map, create, or set it aside; the others go on.
    Mailbox,
    /// The target is full.
    Quota,
    /// Asked to slow down, host-wide. See [`ImapError::retry_after`].
    Throttle,
    /// Credentials.
    SignIn,
    /// Lost, timed out, refused for the moment: reconnect with backoff.
    Network,
    /// The server has a passing trouble of its own.
    Server,
    /// One of the two sides broke the protocol: reconnect, and do not repeat for ever.
    Protocol,
    /// The server could not be proved to be the right one.
    Tls,
    /// The right to write was lost.
    Lease,
    /// The caller's settings or arguments.
    Usage,
}

impl ImapError {
    /// How this failure is met.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Closed { .. } | Self::TimedOut { .. } => {
                ErrorClass::Network
            }
            Self::Tls { check: TlsCheck::TrustSettings(_), .. } => ErrorClass::Usage,
            // Somebody who is signed in already cannot be asked for TLS, nor told who we are (RFC 9051 §11.1). It stays so,
            // however often one comes again.
            Self::Tls { .. } | Self::OldTls { .. } | Self::PreAuth { .. } => ErrorClass::Tls,
            Self::Greeting { text, .. } | Self::Bye { text } => {
                if crate::status_line::asks_to_slow_down(text) {
                    ErrorClass::Throttle
                } else {
                    ErrorClass::Network
                }
            }
            Self::LimitExceeded { .. } | Self::Protocol { .. } => ErrorClass::Protocol,
            Self::SignIn { status } => status.class(Context::SignIn),
            Self::SignInImpossible { .. } => ErrorClass::SignIn,
            Self::Refused { command, status } => status.class(Context::of_command(command)),
            Self::CommitRefused => ErrorClass::Lease,
            Self::NotPublic { .. } | Self::Usage { .. } => ErrorClass::Usage,
        }
    }

    /// The server's words, if it said any.
    #[must_use]
    pub fn server_words(&self) -> Option<String> {
        match self {
            Self::SignIn { status } | Self::Refused { status, .. } => Some(status.to_string()),
            Self::Bye { text } | Self::Greeting { text, .. } => Some(text.clone()),
            _ => None,
        }
    }

    /// Whether a server that asks to slow down means this account alone, and not everybody who uses the host.
    #[must_use]
    pub fn concerns_one_account(&self) -> bool {
        self.server_words().is_some_and(|words| crate::status_line::means_one_account(&words))
    }

    /// How long the server asked us to wait, if it named a figure.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::SignIn { status } | Self::Refused { status, .. } => status.retry_after(),
            Self::Bye { text } | Self::Greeting { text, .. } => crate::status_line::suggested_wait(text),
            _ => None,
        }
    }

    /// Whether the connection can go on being used after this error: only a refusal leaves it in step.
    #[must_use]
    pub fn leaves_connection_usable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Usage { .. })
    }
}
