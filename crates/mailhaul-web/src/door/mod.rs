//! The door: under which names we are called, who is asking, and whether he may.
//!
//! A request passes, in this order: the `Host` it names must be ours (or a foreign page could reach us by a name of its
//! own that it lets point at us); a request that changes something must come from our own pages (`Origin`); there must be
//! a token or a session; a browser's change must carry what only our pages know; and the role must suffice.

mod check;
mod headers;
mod hosts;
mod throttle;

pub(crate) use check::{COOKIE_LIFE_SECS, admit, check_host, cookie_name, identify, refuse};
pub(crate) use headers::{PAGE_POLICY, secure};
pub(crate) use hosts::{Bound, Hosts};
pub(crate) use throttle::{Throttle, Way};

use std::net::IpAddr;

/// Whence a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// Over the network, or loopback.
    Address(IpAddr),
    /// Through the Unix socket: whoever may open that file.
    Socket,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket => f.write_str("the Unix socket"),
        }
    }
}
