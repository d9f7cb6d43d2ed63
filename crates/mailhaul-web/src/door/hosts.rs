//! The names under which we may be called. A page elsewhere can let a name of its own point at our address; the browser
//! then sends that name as `Host`, and is refused. Values are parsed, never searched for substrings.

use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// Where we listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound {
    /// A port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Socket,
}

/// The names under which we may be called, and the prefix of all paths.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    bound: Vec<Bound>,
    public: Option<Url>,
    prefix: String,
    is_tls: bool,
}

/// A host and a port, as a request names them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    host: Host<String>,
    port: u16,
}

impl Hosts {
    /// `public` is the URL under which a proxy shows us.
    pub(crate) fn new(bound: Vec<Bound>, is_tls: bool, public: Option<Url>) -> Self {
        let prefix = public.as_ref().map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        Self { bound, public, prefix, is_tls }
    }

    /// `/mail`, or nothing.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether browsers reach us over TLS: cookies then never go over anything else.
    pub(crate) fn is_https(&self) -> bool {
        self.public.as_ref().map_or(self.is_tls, |url| url.scheme() == "https")
    }

    /// Whether a `Host` header names us.
    pub(crate) fn knows_host(&self, header: &str) -> bool {
        let scheme = if self.is_tls { "https" } else { "http" };
        let Some(named) = authority(scheme, header) else { return false };
        if self.is_public(header) {
            return true;
        }
        self.bound.iter().any(|bound| match bound {
            Bound::Tcp(address) => named.port == address.port() && is_name_of(&named.host, address.ip()),
            // Nobody reaches a socket by a name; clients send what they like, and browsers cannot connect to one.
            Bound::Socket => is_local(&named.host),
        })
    }

    /// Whether an `Origin` header is that of our own pages.
    pub(crate) fn knows_origin(&self, header: &str) -> bool {
        let Ok(origin) = Url::parse(header) else { return false };
        if origin.path() != "/" || origin.query().is_some() || origin.fragment().is_some() || header.ends_with('/') {
            return false;
        }
        if let Some(public) = &self.public
            && origin.origin() == public.origin()
        {
            return true;
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        let (Some(host), Some(port)) = (origin.host(), origin.port_or_known_default()) else { return false };
        let host = host.to_owned();
        origin.scheme() == scheme
            && self.bound.iter().any(|bound| match bound {
                Bound::Tcp(address) => port == address.port() && is_name_of(&host, address.ip()),
                Bound::Socket => false,
            })
    }

    fn is_public(&self, header: &str) -> bool {
        let Some(public) = &self.public else { return false };
        let (Some(host), Some(port)) = (public.host(), public.port_or_known_default()) else { return false };
        authority(public.scheme(), header).is_some_and(|named| named.host == host.to_owned() && named.port == port)
    }

    /// Where a browser on this machine finds us; `None` if we listen on a socket only and no proxy is named.
    pub(crate) fn url(&self) -> Option<String> {
        if let Some(public) = &self.public {
            return Some(public.as_str().trim_end_matches('/').to_owned());
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        self.bound.iter().find_map(|bound| match bound {
            Bound::Tcp(address) if address.ip().is_unspecified() => {
                Some(format!("{scheme}://localhost:{}", address.port()))
            }
            Bound::Tcp(address) => Some(format!("{scheme}://{address}")),
            Bound::Socket => None,
        })
    }

    /// A number that tells several of us on one host apart, for cookies know no ports.
    pub(crate) fn number(&self) -> u16 {
        let ports = self.bound.iter().filter_map(|bound| match bound {
            Bound::Tcp(address) => Some(address.port()),
            Bound::Socket => None,
        });
        ports.min().unwrap_or(0)
    }
}

/// Reads `host:port`; nothing else may stand in it.
fn authority(scheme: &str, header: &str) -> Option<Authority> {
    if header.is_empty() || header.contains(['/', '@', '?', '#', '\\']) || header.chars().any(char::is_whitespace) {
        return None;
    }
    let url = Url::parse(&format!("{scheme}://{header}")).ok()?;
    Some(Authority { host: url.host()?.to_owned(), port: url.port_or_known_default()? })
}

fn is_name_of(host: &Host<String>, bound: IpAddr) -> bool {
    let named = match host {
        Host::Domain(name) => return name == "localhost" && (bound.is_loopback() || bound.is_unspecified()),
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
    };
    // An address cannot be made to point elsewhere, as a name can.
    named == bound || bound.is_unspecified() || (named.is_loopback() && bound.is_loopback())
}

fn is_local(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(bound: &str, public: Option<&str>) -> Hosts {
        let bound = vec![Bound::Tcp(bound.parse().expect("an address"))];
        Hosts::new(bound, false, public.map(|url| Url::parse(url).expect("a URL")))
    }

    #[test]
    fn only_our_own_names_are_hosts() {
        let ours = hosts("127.0.0.1:8025", None);
        for good in ["127.0.0.1:8025", "localhost:8025", "LOCALHOST:8025", "[::1]:8025"] {
            assert!(ours.knows_host(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "127.0.0.1",
            "localhost:8026",
            "evil.example:8025",
            "127.0.0.1.evil.example:8025",
            "localhost.evil.example:8025",
            "localhost:8025.evil.example",
            "evil.example",
            "user@localhost:8025",
            "localhost:8025/x",
            "10.0.0.1:8025",
            "localhost:8025#",
            "local host:8025",
            "0.0.0.0:8025",
        ] {
            assert!(!ours.knows_host(bad), "{bad}");
        }
        let open = hosts("0.0.0.0:8025", None);
        assert!(open.knows_host("192.0.2.7:8025") && open.knows_host("localhost:8025"));
        assert!(!open.knows_host("evil.example:8025"));
    }

    #[test]
    fn behind_a_proxy_its_name_counts_too() {
        let ours = hosts("127.0.0.1:8025", Some("https://mail.example/haul/"));
        assert_eq!(ours.prefix(), "/haul");
        assert!(ours.is_https());
        assert!(ours.knows_host("mail.example") && ours.knows_host("mail.example:443"));
        assert!(ours.knows_host("127.0.0.1:8025"), "a proxy that does not pass the name on");
        assert!(!ours.knows_host("mail.example:8025") && !ours.knows_host("other.example"));
        assert!(ours.knows_origin("https://mail.example"));
        assert!(!ours.knows_origin("http://mail.example") && !ours.knows_origin("https://mail.example.evil.example"));
        assert_eq!(ours.url().as_deref(), Some("https://mail.example/haul"));
    }

    #[test]
    fn only_our_own_pages_are_origins() {
        let ours = hosts("127.0.0.1:8025", None);
        assert!(ours.knows_origin("http://127.0.0.1:8025") && ours.knows_origin("http://localhost:8025"));
        for bad in [
            "null",
            "",
            "https://127.0.0.1:8025",
            "http://127.0.0.1",
            "http://127.0.0.1:80",
            "http://evil.example:8025",
            "http://localhost:8025.evil.example",
            "http://localhost:8025/",
            "http://localhost:8025/x",
            "localhost:8025",
            "file://",
            "http://evil.example#http://localhost:8025",
        ] {
            assert!(!ours.knows_origin(bad), "{bad}");
        }
    }
}
