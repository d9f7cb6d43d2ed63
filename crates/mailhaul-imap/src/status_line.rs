//! The server's verdicts (RFC 9051 §7.1): status, response code, words; and what they mean for the work.

use crate::error::ErrorClass;
use std::fmt;
use std::time::Duration;

/// The five conditions of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Done.
    Ok,
    /// Refused or failed.
    No,
    /// Not understood, or refused by servers that mix the two up.
    Bad,
    /// The connection is about to be closed.
    Bye,
    /// A greeting that claims an earlier sign-in.
    PreAuth,
}

impl Status {
    /// Recognises the word in any case.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        const WORDS: [(&[u8], Status); 5] = [
            (b"OK", Status::Ok),
            (b"NO", Status::No),
            (b"BAD", Status::Bad),
            (b"BYE", Status::Bye),
            (b"PREAUTH", Status::PreAuth),
        ];
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, status)| *status)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::Bye => "BYE",
            Self::PreAuth => "PREAUTH",
        })
    }
}

/// A status response with the server's own words. It displays as the server wrote it, without the tag and unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLine {
    /// The verdict.
    pub status: Status,
    /// What stood between the brackets, as it stood there: `OVERQUOTA`, `APPENDUID 1 2:3`. `None` also if it was absurdly
    /// long.
    pub code: Option<String>,
    /// The words for people, decoded lossily. At most a few KiB are kept.
    pub text: String,
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

/// What was being done when the server refused: the same words mean different things (`OVERQUOTA` on APPEND is a full
/// mailbox; on FETCH it is a daily allowance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// Signing in.
    SignIn,
    /// SELECT, EXAMINE, STATUS, CREATE, RENAME, SUBSCRIBE, UID EXPUNGE: one mailbox as a whole.
    Mailbox,
    /// Reading messages.
    Fetch,
    /// Storing messages, also by copying or moving them on the server, and changing their flags.
    Append,
    /// Anything else.
    Other,
}

impl Context {
    /// The context of a command, by its name.
    #[must_use]
    pub fn of_command(command: &str) -> Self {
        match command {
            "LOGIN" | "AUTHENTICATE" => Self::SignIn,
            "SELECT" | "EXAMINE" | "STATUS" | "CREATE" | "RENAME" | "SUBSCRIBE" | "UNSUBSCRIBE" | "UID EXPUNGE" => {
                Self::Mailbox
            }
            "UID FETCH" | "FETCH" | "UID SEARCH" => Self::Fetch,
            "APPEND" | "UID COPY" | "UID MOVE" | "UID STORE" => Self::Append,
            _ => Self::Other,
        }
    }
}

impl StatusLine {
    /// The first word of the response code, in upper case.
    #[must_use]
    pub fn code_name(&self) -> Option<String> {
        let code = self.code.as_deref()?;
        code.split_ascii_whitespace().next().map(str::to_ascii_uppercase)
    }

    /// How this refusal is met.
    #[must_use]
    pub fn class(&self, context: Context) -> ErrorClass {
        let words = self.to_string();
        if asks_to_slow_down(&words) {
            return ErrorClass::Throttle;
        }
        if let Some(class) = self.code_name().and_then(|code| class_of_code(&code, context)) {
            return class;
        }
        class_of_words(&words.to_ascii_lowercase(), self.status, context)
    }

    /// How long the server asked us to wait, if it named a figure.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        suggested_wait(&self.text)
    }

    /// Whether the server says that it is slowing us down, even inside an OK (Gmail: `OK Success [THROTTLED]`).
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        asks_to_slow_down(&self.to_string())
    }
}

/// RFC 5530, RFC 4315, RFC 7889 and the codes that servers made up.
fn class_of_code(code: &str, context: Context) -> Option<ErrorClass> {
    Some(match (code, context) {
        ("OVERQUOTA", Context::Fetch | Context::SignIn) => ErrorClass::Throttle,
        ("OVERQUOTA", Context::Mailbox | Context::Append | Context::Other) => ErrorClass::Quota,
        ("AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED" | "PRIVACYREQUIRED" | "CONTACTADMIN", _) => {
            ErrorClass::SignIn
        }
        ("LIMIT", Context::Append) => ErrorClass::Message,
        ("LIMIT", _) => ErrorClass::Throttle,
        ("TRYCREATE" | "NONEXISTENT" | "NOPERM" | "INUSE" | "ALREADYEXISTS", _) => ErrorClass::Mailbox,
        ("CANNOT", Context::Append) => ErrorClass::Message,
        ("CANNOT", Context::Mailbox) => ErrorClass::Mailbox,
        ("TOOBIG" | "BADCHARSET" | "UNKNOWN-CTE" | "PARSE", _) => ErrorClass::Message,
        ("UNAVAILABLE" | "SERVERBUG", Context::Fetch) => ErrorClass::Message,
        ("UNAVAILABLE" | "SERVERBUG" | "CORRUPTION", _) => ErrorClass::Server,
        ("CLIENTBUG", Context::Append | Context::Fetch) => ErrorClass::Message,
        ("CLIENTBUG", _) => ErrorClass::Protocol,
        _ => return None,
    })
}

/// For servers that send no code. `words` are in lower case.
fn class_of_words(words: &str, status: Status, context: Context) -> ErrorClass {
    let says = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    if says(&["quota", "mailbox is full", "mailbox full", "no space left", "disk full"]) && context != Context::Fetch {
        return ErrorClass::Quota;
    }
    if says(&["try again", "temporar", "server busy", "server unavailable", "system error", "internal error"]) {
        return ErrorClass::Server;
    }
    match (context, status) {
        (_, Status::Bye) => ErrorClass::Network,
        (Context::SignIn, _) => ErrorClass::SignIn,
        (_, _) if says(&["not authenticated", "authenticated but not connected"]) => ErrorClass::SignIn,
        (Context::Mailbox, _) => ErrorClass::Mailbox,
        (Context::Append, _) if says(&["no such mailbox", "mailbox does not exist", "mailbox doesn't exist"]) => {
            ErrorClass::Mailbox
        }
        (Context::Append | Context::Fetch, _) => ErrorClass::Message,
        (Context::Other, Status::Bad) => ErrorClass::Protocol,
        (Context::Other, _) => ErrorClass::Server,
    }
}

/// Whether the words ask for patience. They may stand in an OK, a NO, a BAD or a BYE.
pub(crate) fn asks_to_slow_down(words: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "throttled",
        "rate limit",
        "suggested backoff time",
        "too many simultaneous connections",
        "maximum number of connections",
        "too many connections",
        "bandwidth limit",
    ];
    let words = words.to_ascii_lowercase();
    SIGNS.iter().any(|sign| words.contains(sign))
}

/// Whether a request for patience is meant for one account: its own connections, its own allowance. Others on the host
/// need not slow down for it.
pub(crate) fn means_one_account(words: &str) -> bool {
    const SIGNS: [&str; 6] =
        ["user+ip", "connections from user", "per user", "per-user", "account exceeded", "[overquota]"];
    let words = words.to_ascii_lowercase();
    SIGNS.iter().any(|sign| words.contains(sign))
}

/// `Suggested Backoff Time: 299961 milliseconds` (Microsoft 365). At most a day is believed.
pub(crate) fn suggested_wait(words: &str) -> Option<Duration> {
    const SIGN: &str = "suggested backoff time:";
    let words = words.to_ascii_lowercase();
    let figure = words.split_once(SIGN)?.1.trim_start();
    let digits: String = figure.chars().take_while(char::is_ascii_digit).take(12).collect();
    let number: u64 = digits.parse().ok()?;
    let unit = figure[digits.len()..].trim_start();
    let wait = if unit.starts_with("sec") { Duration::from_secs(number) } else { Duration::from_millis(number) };
    Some(wait.min(Duration::from_secs(86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: Status, code: Option<&str>, text: &str) -> StatusLine {
        StatusLine { status, code: code.map(str::to_owned), text: text.to_owned() }
    }

    #[test]
    fn displays_the_servers_words() {
        assert_eq!(line(Status::No, Some("OVERQUOTA"), "mailbox full").to_string(), "NO [OVERQUOTA] mailbox full");
        assert_eq!(line(Status::Bad, None, "").to_string(), "BAD");
    }

    #[test]
    fn the_same_code_means_different_things_in_different_places() {
        let full = line(Status::No, Some("OVERQUOTA"), "x");
        assert_eq!(full.class(Context::Append), ErrorClass::Quota);
        assert_eq!(full.class(Context::Fetch), ErrorClass::Throttle);
        let limit = line(Status::No, Some("LIMIT"), "Too many identical emails");
        assert_eq!(limit.class(Context::Append), ErrorClass::Message);
        assert_eq!(limit.class(Context::SignIn), ErrorClass::Throttle);
    }

    #[test]
    fn throttling_is_seen_in_any_status() {
        let odd = line(Status::Bad, None, "Request is throttled. Suggested Backoff Time: 299961 milliseconds");
        assert_eq!(odd.class(Context::Append), ErrorClass::Throttle);
        assert_eq!(odd.retry_after(), Some(Duration::from_millis(299_961)));
        assert!(line(Status::Ok, None, "Success [THROTTLED]").is_throttled());
        assert!(!line(Status::Ok, None, "Append completed").is_throttled());
    }

    #[test]
    fn one_accounts_limit_is_told_from_the_hosts() {
        for (words, one) in [
            ("Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", true),
            ("NO [OVERQUOTA] Account exceeded command or bandwidth limits.", true),
            ("Maximum number of connections exceeded", false),
            ("Request is throttled. Suggested Backoff Time: 1 milliseconds", false),
        ] {
            assert_eq!(means_one_account(words), one, "{words}");
        }
    }

    #[test]
    fn words_decide_where_there_is_no_code() {
        for (text, context, class) in [
            ("Message contains bare newlines", Context::Append, ErrorClass::Message),
            ("You exceeded your mail quota.", Context::Append, ErrorClass::Quota),
            ("LOGIN failed.", Context::SignIn, ErrorClass::SignIn),
            ("Mailbox does not exist", Context::Append, ErrorClass::Mailbox),
            ("Folder name is reserved.", Context::Mailbox, ErrorClass::Mailbox),
            ("Server Busy", Context::Fetch, ErrorClass::Server),
            ("User is authenticated but not connected.", Context::Other, ErrorClass::SignIn),
            ("User is authenticated but not connected.", Context::Mailbox, ErrorClass::SignIn),
        ] {
            assert_eq!(line(Status::No, None, text).class(context), class, "{text}");
        }
    }

    #[test]
    fn a_figure_that_is_no_figure_is_no_wait() {
        assert_eq!(suggested_wait("Suggested Backoff Time: soon"), None);
        assert_eq!(
            suggested_wait("Suggested Backoff Time: 99999999999999999999 ms"),
            Some(Duration::from_secs(86_400))
        );
    }
}
