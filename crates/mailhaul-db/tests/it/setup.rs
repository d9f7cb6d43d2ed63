//! Builders with good defaults, so that a test shows only what matters to it.

use mailhaul_db::{
    AccountIdentity, Ledger, MailboxLedger, Mapping, OpenOptions, PairIdentity, PairLease, Settled, SettledState,
    Settlement, Synced,
};
use mailhaul_types::{Flags, KeyStrength, MessageKey, ModSeq, Uid, UidRange, UidSet, UidValidity};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const SOURCE: UidValidity = UidValidity(1_700_000_000);
pub(crate) const TARGET: UidValidity = UidValidity(1_800_000_000);

pub(crate) fn clock() -> i64 {
    1_795_000_000
}

/// Groups are committed only when they are full or awaited, so that nothing depends on time.
pub(crate) fn options() -> OpenOptions {
    OpenOptions { group_delay: Duration::from_secs(3_600), clock, ..OpenOptions::default() }
}

/// As [`options`], and does not wait for locks.
pub(crate) fn impatient() -> OpenOptions {
    OpenOptions { busy_timeout: Duration::ZERO, ..options() }
}

pub(crate) fn identity(login: &str) -> PairIdentity {
    PairIdentity {
        source: AccountIdentity::new("old.example", login, None),
        target: AccountIdentity::new("new.example", login, None),
    }
}

pub(crate) fn mapping(name: &str) -> Mapping {
    Mapping { source: name.to_owned(), target: format!("Copy/{name}") }
}

pub(crate) fn range(first: u32, last: u32) -> UidRange {
    UidRange { first: Uid(first), last: Uid(last) }
}

pub(crate) fn key(number: u32) -> MessageKey {
    let digest = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    MessageKey { digest, strength: KeyStrength::MessageId }
}

pub(crate) fn copied(source: u32, target: u32) -> Settled {
    Settled {
        source_uid: Uid(source),
        target_uid: Some(Uid(target)),
        state: SettledState::Copied,
        key: Some(key(source)),
        flags: Flags::from_parts(u8::from(source.is_multiple_of(3)), []),
    }
}

pub(crate) fn settlement(messages: Vec<Settled>) -> Settlement {
    Settlement { messages, ..Settlement::default() }
}

pub(crate) fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

/// A pass that accounted for everything below `uid_next`.
pub(crate) fn synced(uid_next: u32, departed: UidSet) -> Synced {
    Synced {
        source_uid_validity: SOURCE,
        uid_next: Uid(uid_next),
        exists: uid_next.saturating_sub(1),
        highest_modseq: Some(ModSeq(77)),
        mailbox_id: None,
        target_uid_validity: TARGET,
        departed,
        skipped: 1,
        refused: 2,
        unreadable: 3,
        exceptions: 4,
        policy: 5,
        at_unix_secs: clock(),
    }
}

/// A directory with a state file in it.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let file = directory.path().join("state").join("mailhaul.db");
        Self { directory, file }
    }

    pub(crate) async fn open(&self) -> Ledger {
        Ledger::open(&self.file, options()).await.expect("the ledger opens")
    }

    /// The file as SQLite sees it, without the ledger's eyes.
    pub(crate) async fn raw(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(&self.file).foreign_keys(false).connect().await.expect("opens")
    }

    /// From now on SQLite takes every transaction back that writes a new row there, as it does when a disk refuses.
    pub(crate) async fn refuse_writes_to(&self, table: &str) {
        let sql = format!(
            "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ROLLBACK, 'the disk refuses'); END"
        );
        self.alter(sql).await;
    }

    /// The end of that.
    pub(crate) async fn take_writes_to(&self, table: &str) {
        self.alter(format!("DROP TRIGGER refuse_{table}")).await;
    }

    async fn alter(&self, sql: String) {
        let mut db = self.raw().await;
        db.execute(AssertSqlSafe(sql)).await.expect("altered");
        db.close().await.expect("closed");
    }

    /// Opens, claims alice and binds her INBOX.
    pub(crate) async fn inbox(&self) -> (Ledger, PairLease, MailboxLedger) {
        let ledger = self.open().await;
        let lease = ledger.claim_pair(&identity("alice")).await.expect("nobody else has alice");
        lease.map_mailboxes(vec![mapping("INBOX")]).await.expect("mapped");
        let inbox = lease.mailbox("INBOX").await.expect("mapped before");
        inbox.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
        (ledger, lease, inbox)
    }
}

/// Every file of a directory, with size and checksum; directories left out.
pub(crate) fn snapshot(directory: &Path) -> Vec<(PathBuf, usize, u32)> {
    let entries = std::fs::read_dir(directory).expect("readable");
    let paths = entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_file());
    let described = paths.map(|path| {
        let octets = std::fs::read(&path).expect("readable");
        (path, octets.len(), crc32fast::hash(&octets))
    });
    let mut files: Vec<_> = described.collect();
    files.sort();
    files
}
