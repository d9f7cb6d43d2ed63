//! The IMAP edge of mailhaul: one [`Connection`] per server and account, and everything that is said over it.
//!
//! Four layers, each in its own files:
//!
//! * **Transport** (`wire`): one byte stream with separate reading and writing halves, a rolling read buffer of
//!   256 KiB, and *frames*: a response line with its literals. Limits are checked before anything is parsed, nothing
//!   that is merely announced is allocated, end of file is an error, and a deadline runs only while the server owes
//!   us something.
//! * **Opening** (`connect`, `tls`, `sign_in`): address, TLS, greeting, STARTTLS, credentials. All of it is our own
//!   conversation, so that secrets never pass through code that logs what it sends. What the server shows on the way
//!   (`introduction`, `certificate`) is kept for whoever wants to know.
//! * **Control** (`control`): once signed in, the transport is handed to `async_imap::Session`, which drives
//!   CAPABILITY, ID, NOOP and LOGOUT.
//! * **Bulk** (one file per command): everything that names a mailbox, carries data or decides something, on a tolerant
//!   tokenizer. What there is: `list`, `list_status`, `namespace`, `status`, `quota`. Reading: `select`, `search`,
//!   `search_all`, `scan`, `headers`, `bodies`, `fetch_flags`, `changes`. Writing: `append`, `store`, `moving`, `expunge`,
//!   `manage`. Waiting: `watch`, with what it hears in `news`.
//!
//! What holds everywhere: a command ends only with its own tagged response, and its status is looked at; NO, BAD,
//! BYE, end of file and silence are errors and never an empty result.
//!
//! ```no_run
//! # async fn example() -> Result<(), mailhaul_imap::ImapError> {
//! use mailhaul_imap::{Compress, Connection, Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
//! use mailhaul_types::{Secret, Side};
//!
//! let (tls, trust, dial) = (TlsMode::Implicit, Trust::System, Dial::Tcp);
//! let endpoint = Endpoint { host: "old.example".into(), port: 993, tls, trust, dial, compress: Compress::Auto };
//! let credentials =
//!     Credentials { user: "alice".into(), password: Secret::new(b"...".to_vec()), authorization_identity: None };
//! let mut source = Connection::open(Side::Source, &endpoint, &credentials, &Timeouts::default()).await?;
//! for mailbox in source.list_mailboxes().await? {
//!     let status = source.status(&mailbox.name).await?;
//!     // …
//!     # let _ = status;
//! }
//! source.logout().await
//! # }
//! ```

mod append;
mod bodies;
mod capabilities;
mod certificate;
mod changes;
mod command;
mod compress;
mod connect;
mod connection;
mod control;
mod enable;
mod endpoint;
mod error;
mod expunge;
mod fetch_flags;
mod fetch_items;
mod first_questions;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod introduction;
mod list;
mod list_status;
mod manage;
mod message_limit;
mod moving;
mod namespace;
mod news;
mod open_and_scan;
mod pipeline;
mod quota;
mod reach;
mod response;
mod scan;
mod search;
mod search_all;
mod select;
mod sequence;
mod session;
mod sets;
mod sign_in;
mod software;
mod status;
mod status_line;
mod store;
mod tls;
mod tokens;
mod watch;
mod wire;

pub use append::{AppendEvent, AppendOptions, AppendReader, AppendWriter};
pub use bodies::{BodyFetcher, Completion, FetchBatch, FetchEvent, FetchOptions};
pub use capabilities::{Capabilities, LiteralMode};
pub use changes::Changes;
pub use compress::{Compress, CompressionSample};
pub use connect::look_without_sign_in;
pub use connection::{Connection, WirePulse, WireStatistics};
pub use endpoint::{Credentials, Dial, Dialer, Dialled, Endpoint, Stream, Timeouts, TlsMode, Trust};
pub use error::{ErrorClass, ImapError, TlsCheck};
pub use fetch_flags::FlagsRow;
pub use headers::HeaderRow;
pub use introduction::{Introduction, OpeningStep, TlsFacts};
pub use list::ListedMailbox;
pub use manage::Managed;
pub use moving::CopyUid;
pub use namespace::{Namespace, Namespaces};
pub use news::News;
pub use quota::{Quota, QuotaUse};
pub use reach::is_public;
pub use scan::{ScanItems, ScanRow, ScanTally};
pub use select::{PermanentFlags, SelectedMailbox};
pub use status::MailboxStatus;
pub use status_line::{Context, Status, StatusLine};
pub use store::StoreMode;

#[cfg(test)]
mod tests;
