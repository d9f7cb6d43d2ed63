//! Endpoints as an operator types them: `imaps://alice@old.example`.
//!
//! `imaps://host[:993]` is TLS from the first byte, `imap://host[:143]` is STARTTLS and requires it,
//! `imap://host:143?tls=none` is plain text and only for loopback or for a host that was named for it.
//! `?compress=on` or `off` says what else mailhaul finds out (RFC 4978).
//! A password in a URL would stand in the process list and in the shell's history, so it is refused.

use mailhaul_imap::{Compress, TlsMode};
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use url::{Host, Url};

/// A server, and perhaps a user on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// The user in front of the host; empty if there is none.
    pub user: String,
    /// Whether octets are compressed on the way; `None` if the URL does not say.
    pub compress: Option<Compress>,
}

/// What is wrong with an endpoint's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It holds a password. The text does not.
    #[error("a URL must not hold a password: other users of this machine could read it")]
    HoldsPassword,
    /// Anything else, in a sentence.
    #[error("{0}")]
    Wrong(String),
}

impl EndpointUrl {
    /// Reads an endpoint. Plain text is taken for loopback and for `plaintext_hosts`.
    ///
    /// # Errors
    /// If it is not an endpoint that can be connected to.
    pub fn parse(text: &str, plaintext_hosts: &[String]) -> Result<Self, UrlFault> {
        let wrong = |what: String| UrlFault::Wrong(what);
        let url = Url::parse(text).map_err(|error| wrong(format!("this is not a URL: {error}")))?;
        if url.password().is_some() {
            return Err(UrlFault::HoldsPassword);
        }
        let implicit = match url.scheme() {
            "imaps" => true,
            "imap" => false,
            other => return Err(wrong(format!("`{other}` is not something mailhaul can copy from or to"))),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong("nothing may follow the host; mailboxes are chosen by --mailbox".to_owned()));
        }
        let host = match url.host() {
            // The `url` crate keeps the host of an unknown scheme as it was typed, so an address has to be looked for.
            Some(Host::Domain(name)) => percent_decode_str(name).decode_utf8_lossy().into_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(wrong("the host is missing".to_owned())),
        };
        let user = percent_decode_str(url.username())
            .decode_utf8()
            .map_err(|_| wrong("the user name is not UTF-8 once its %-escapes are undone".to_owned()))?
            .into_owned();
        if user.chars().any(char::is_control) {
            return Err(wrong("the user name holds a control character".to_owned()));
        }
        let tls = tls_mode(&url, implicit, &host, plaintext_hosts).map_err(wrong)?;
        let port = url.port().unwrap_or(if implicit { 993 } else { 143 });
        let compress = compression(&url).map_err(wrong)?;
        Ok(Self { host, port, tls, user, compress })
    }
}

fn tls_mode(url: &Url, implicit: bool, host: &str, plaintext_hosts: &[String]) -> Result<TlsMode, String> {
    let mut mode = if implicit { TlsMode::Implicit } else { TlsMode::StartTls };
    for (name, value) in url.query_pairs() {
        match (name.as_ref(), value.as_ref()) {
            ("tls", "none") if implicit => {
                return Err("imaps:// and tls=none contradict each other; use imap://".to_owned());
            }
            ("tls", "none") => mode = TlsMode::Plain,
            ("compress", _) => {}
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

fn compression(url: &Url) -> Result<Option<Compress>, String> {
    let said = url.query_pairs().filter(|(name, _)| name == "compress").last();
    said.map(|(_, value)| match value.as_ref() {
        "auto" => Ok(Compress::Auto),
        "on" => Ok(Compress::On),
        "off" => Ok(Compress::Off),
        other => Err(format!("compress is `auto`, `on` or `off`, and not `{other}`")),
    })
    .transpose()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<EndpointUrl, UrlFault> {
        EndpointUrl::parse(text, &["old.lan".to_owned()])
    }

    #[test]
    fn reads_what_is_wanted_of_compression() {
        for (word, expected) in [("auto", Compress::Auto), ("on", Compress::On), ("off", Compress::Off)] {
            let url = parsed(&format!("imap://a@127.0.0.1:1143?tls=none&compress={word}")).expect("a URL");
            assert_eq!((url.compress, url.tls), (Some(expected), TlsMode::Plain));
        }
        assert!(parsed("imaps://a@old.example?compress=gzip").is_err());
    }

    #[test]
    fn reads_the_three_kinds_of_endpoint() {
        for (text, host, port, tls, user) in [
            ("imaps://alice@old.example", "old.example", 993, TlsMode::Implicit, "alice"),
            ("imaps://old.example", "old.example", 993, TlsMode::Implicit, ""),
            ("imap://alice@old.example/", "old.example", 143, TlsMode::StartTls, "alice"),
            ("imaps://al%20ice%40x@old.example:1993", "old.example", 1993, TlsMode::Implicit, "al ice@x"),
            ("imaps://alice@corp.example@old.example", "old.example", 993, TlsMode::Implicit, "alice@corp.example"),
            ("imap://a@127.0.0.1:1143?tls=none", "127.0.0.1", 1143, TlsMode::Plain, "a"),
            ("imap://a@[::1]:1143?tls=none", "::1", 1143, TlsMode::Plain, "a"),
            ("imap://a@old.lan?tls=none", "old.lan", 143, TlsMode::Plain, "a"),
        ] {
            let expected = EndpointUrl { host: host.into(), port, tls, user: user.into(), compress: None };
            assert_eq!(parsed(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_would_be_wrong_or_dangerous() {
        for (text, word) in [
            ("imaps://alice:secret@old.example", "password"),
            ("old.example", "not a URL"),
            ("http://alice@old.example", "http"),
            ("imaps://alice@", "not a URL"),
            ("imaps://alice@old.example/INBOX", "--mailbox"),
            ("imap://alice@old.example?tls=none", "--allow-plaintext"),
            ("imaps://alice@old.example?tls=none", "contradict"),
            ("imaps://alice@old.example?tls=nope", "tls"),
            ("imaps://al%0Dice@old.example", "control character"),
        ] {
            let error = parsed(text).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
