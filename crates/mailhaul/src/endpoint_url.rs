//! Endpoints as an operator types them: `imaps://alice@old.example`.
//!
//! `imaps://user@host[:993]` is TLS from the first byte, `imap://user@host[:143]` is STARTTLS and requires it,
//! `imap://user@host:143?tls=none` is plain text and only for loopback or for a host named by `--allow-plaintext`.
//! A password in a URL would stand in the process list and in the shell's history, so it is refused.

use crate::exit::CommandError;
use mailhaul_imap::TlsMode;
use mailhaul_types::Side;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use url::{Host, Url};

/// One end of a copy, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: TlsMode,
    pub(crate) user: String,
}

/// Reads an endpoint; `option` is the name under which the operator gave it.
pub(crate) fn parse(side: Side, text: &str, plaintext_hosts: &[String]) -> Result<EndpointUrl, CommandError> {
    let option = if side == Side::Source { "--from" } else { "--to" };
    let usage = |what: String| {
        CommandError::usage(
            format!("{option}: {what}"),
            "an endpoint looks like imaps://alice@mail.example, or imap://alice@mail.example for STARTTLS",
        )
    };
    let url = Url::parse(text).map_err(|error| usage(format!("this is not a URL: {error}")))?;
    if url.password().is_some() {
        return Err(CommandError::usage(
            format!("{option}: a URL must not hold a password: other users of this machine could read it"),
            format!("write it into a file that only you can read and give {option}-password-file FILE"),
        ));
    }
    let implicit = match url.scheme() {
        "imaps" => true,
        "imap" => false,
        other => return Err(usage(format!("`{other}` is not something mailhaul can copy from or to"))),
    };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(usage("nothing may follow the host; mailboxes are chosen by --mailbox".to_owned()));
    }
    let host = match url.host() {
        // The `url` crate keeps the host of an unknown scheme as it was typed, so an address has to be looked for.
        Some(Host::Domain(name)) => percent_decode_str(name).decode_utf8_lossy().into_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(usage("the host is missing".to_owned())),
    };
    let user = percent_decode_str(url.username())
        .decode_utf8()
        .map_err(|_| usage("the user name is not UTF-8 once its %-escapes are undone".to_owned()))?
        .into_owned();
    if user.is_empty() {
        return Err(usage("the user name is missing".to_owned()));
    }
    if user.chars().any(char::is_control) {
        return Err(usage("the user name holds a control character".to_owned()));
    }
    let tls = tls_mode(&url, implicit, &host, plaintext_hosts).map_err(usage)?;
    let port = url.port().unwrap_or(if implicit { 993 } else { 143 });
    Ok(EndpointUrl { host, port, tls, user })
}

fn tls_mode(url: &Url, implicit: bool, host: &str, plaintext_hosts: &[String]) -> Result<TlsMode, String> {
    let mut mode = if implicit { TlsMode::Implicit } else { TlsMode::StartTls };
    for (name, value) in url.query_pairs() {
        match (name.as_ref(), value.as_ref()) {
            ("tls", "none") if implicit => {
                return Err("imaps:// and tls=none contradict each other; use imap://".to_owned());
            }
            ("tls", "none") => mode = TlsMode::Plain,
            (name, _) => return Err(format!("`{name}` is not an option of an endpoint")),
        }
    }
    let allowed = is_loopback(host) || plaintext_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
    if mode == TlsMode::Plain && !allowed {
        return Err(format!(
            "plain text would send the password and all mail readable over the network; if that is acceptable, \
             add --allow-plaintext {host}"
        ));
    }
    Ok(mode)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<EndpointUrl, String> {
        parse(Side::Source, text, &["old.lan".to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_three_kinds_of_endpoint() {
        for (text, host, port, tls, user) in [
            ("imaps://alice@old.example", "old.example", 993, TlsMode::Implicit, "alice"),
            ("imap://alice@old.example/", "old.example", 143, TlsMode::StartTls, "alice"),
            ("imaps://al%20ice%40x@old.example:1993", "old.example", 1993, TlsMode::Implicit, "al ice@x"),
            ("imaps://alice@corp.example@old.example", "old.example", 993, TlsMode::Implicit, "alice@corp.example"),
            ("imap://a@127.0.0.1:1143?tls=none", "127.0.0.1", 1143, TlsMode::Plain, "a"),
            ("imap://a@[::1]:1143?tls=none", "::1", 1143, TlsMode::Plain, "a"),
            ("imap://a@old.lan?tls=none", "old.lan", 143, TlsMode::Plain, "a"),
        ] {
            let expected = EndpointUrl { host: host.into(), port, tls, user: user.into() };
            assert_eq!(parsed(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_would_be_wrong_or_dangerous() {
        for (text, word) in [
            ("imaps://alice:secret@old.example", "password"),
            ("old.example", "not a URL"),
            ("http://alice@old.example", "http"),
            ("imaps://old.example", "user name is missing"),
            ("imaps://alice@", "not a URL"),
            ("imaps://alice@old.example/INBOX", "--mailbox"),
            ("imap://alice@old.example?tls=none", "--allow-plaintext"),
            ("imaps://alice@old.example?tls=none", "contradict"),
            ("imaps://alice@old.example?tls=nope", "tls"),
            ("imaps://al%0Dice@old.example", "control character"),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
