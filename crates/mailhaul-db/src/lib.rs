//! The ledger: which message of which source mailbox is settled, and up to where the target is accounted for.
//!
//! One SQLite file holds the ledgers of any number of pairs (a source account and the target account it is copied
//! to). Several processes may share the file; one at a time works on a pair.
//!
//! ```text
//!  Ledger ── claim_pair ──> PairLease ── mailbox ──> MailboxLedger
//!    │                        │ map_mailboxes          │ load: what is settled, marked, set aside
//!    │ read_report            │ finish_run             │ mark_sent, settle, record_*: queued in order
//!    │ find_pair (no lease)   │ flush, release         v
//!    └──────── readers ───────┴──────────────────> one writer: groups, one transaction each
//! ```
//!
//! In the same file stands the queue: which accounts there are, and what is to be done for them; see [`queue`].
//!
//! What holds, whatever happens:
//!
//! * **What was said to be on disk is on disk**, through kill and power failure (write-ahead log, synced with every
//!   commit). What was queued and not yet committed may be lost, from the end backwards, each request whole.
//! * **Only the newest claim writes.** A lock file keeps other processes out; every transaction also reads the pair's
//!   generation and refuses an older one.
//! * **Nothing is believed that does not prove itself.** Every row carries a checksum over all its columns, and a
//!   mailbox the sum of its rows; what does not agree is [`DbError::Damaged`], never todo and never copied.
//! * **Errors stop.** After one, the lease (or, if the file is concerned, the whole ledger) takes no further writes,
//!   and everybody who asks is told the first reason.
//!
//! ```
//! use mailhaul_db::*;
//! use mailhaul_types::{Flags, Uid, UidRange, UidValidity};
//!
//! # async fn copy(state: &std::path::Path) -> Result<(), DbError> {
//! let ledger = Ledger::open(state, OpenOptions::default()).await?;
//! let lease = ledger
//!     .claim_pair(&PairIdentity {
//!         source: AccountIdentity::new("old.example", "alice", None),
//!         target: AccountIdentity::new("new.example", "alice", None),
//!     })
//!     .await?;
//! lease.map_mailboxes(vec![Mapping { source: "INBOX".to_owned(), target: "INBOX".to_owned() }]).await?;
//! let inbox = lease.mailbox("INBOX").await?;
//! inbox.bind(UidValidity(17), UidValidity(4), Uid(1)).await?;
//! assert!(inbox.load().await?.settled.is_empty());
//!
//! let marked = inbox.mark_sent(UidRange { first: Uid(1), last: Uid(2_000) }, Uid(1)).await?;
//! marked.wait().await?; // nothing is sent before this
//! let message = Settled {
//!     source_uid: Uid(1),
//!     target_uid: Some(Uid(1)),
//!     state: SettledState::Copied,
//!     key: None,
//!     flags: Flags::new(),
//! };
//! let settlement = Settlement { messages: vec![message], target_mark: Some(Uid(2)), clear_sent: true };
//! inbox.settle(settlement).await?; // queued; on disk within a moment
//! lease.finish_run(RunVerdict::Complete, "1 message copied").await?;
//! assert_eq!(inbox.load().await?.settled.len(), 1);
//! drop((inbox, lease));
//! ledger.close().await
//! # }
//! # let directory = tempfile::tempdir().expect("a temporary directory");
//! # let runtime = tokio::runtime::Runtime::new().expect("a runtime");
//! # runtime.block_on(copy(&directory.path().join("mailhaul.db"))).expect("copied");
//! ```

mod cache;
mod check;
mod checksum;
mod departed;
mod error;
mod fault;
mod files;
mod host_profile;
mod lease;
mod ledger;
mod mailbox;
mod model;
mod older;
pub mod queue;
mod read;
mod rebuild;
mod report;
mod rows;
mod segment;
mod still;
mod turns;
mod writer;

pub use check::{AccountCheck, Damage, LedgerCheck, MailboxCheck, QueueCheck, check_ledger};
pub use error::{DbError, DbErrorKind, Doing};
pub use host_profile::{HostKey, ProfileChange};
pub use lease::{LeaseValidity, PairLease};
pub use ledger::{Ledger, OpenOptions, PairView};
pub use mailbox::MailboxLedger;
pub use mailhaul_queue::StaleHolder;
pub use model::{
    AccountIdentity, Exception, ExceptionState, Generation, MailboxBrief, MailboxState, Mapping, PairId, PairIdentity,
    PassCounts, Remark, Renumbering, RunVerdict, SENT_UNKNOWN, Scan, Settled, SettledCounts, SettledState, Settlement,
    StoredException, Synced,
};
pub use read::SettledPages;
pub use rebuild::{SetAside, set_damage_aside};
pub use report::{MailboxReport, PairReport, RunReport};
pub use still::let_time_stand_still;
pub use writer::Committed;
