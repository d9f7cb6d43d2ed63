#![doc = include_str!("../README.md")]

mod process;

pub mod corpus;
pub mod cyrus;
pub mod dovecot;
pub mod histories;
pub mod imap_client;
pub mod judge;
pub mod many;
pub mod model;
pub mod mutate;
pub mod proxy;
pub mod scripted;
pub mod tls;

pub use corpus::Corpus;
pub use cyrus::{Cyrus, CyrusBuilder};
pub use dovecot::{Dovecot, DovecotBuilder, Offer, Store, User};
pub use imap_client::Client;
pub use many::{ManyAccounts, TwoServers};
pub use proxy::Proxy;
pub use scripted::{ScriptedServer, Transcript};
pub use tls::{CertificateKind, TestAuthority, old_tls_server};
