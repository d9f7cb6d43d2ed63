//! The servers' own limits, and a bare relay: small programs that check nothing but OK.
//!
//! None of them shares code with the product. What they measure is how fast the server hands out, how fast it takes in, and how
//! fast both go together when nobody keeps a ledger. They use the product's windows, and TLS where it does.

mod answers;
mod append;
mod asked;
mod drain;
mod listing;
mod relay;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;

use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

pub(crate) use append::{Composed, append, compose};
pub(crate) use asked::Letters;
pub(crate) use drain::drain;
pub(crate) use listing::list_with_status;
pub(crate) use relay::{Form, relay};
pub(crate) use wire::connector;

/// A batch, as the product cuts them: so many messages or octets at most, and larger messages alone.
pub(crate) const BATCH_MESSAGES: usize = 200;
const BATCH_BYTES: usize = 2 << 20;
const ALONE_FROM: usize = 1 << 20;

/// Where an account is, and how it is reached.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
    /// None for plain text.
    pub(crate) tls: Option<TlsConnector>,
}

impl Account {
    /// The same account by another way, such as a proxy.
    pub(crate) fn at(&self, address: SocketAddr) -> Account {
        Account { address, ..self.clone() }
    }
}

/// Runs one of the programs below to its end, on two threads like the product.
fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().ok();
    let runtime = RUNTIME.get_or_init(build).as_ref();
    Ok(runtime.ok_or_else(|| std::io::Error::other("no threads to work with"))?.block_on(work))
}
