//! What the ledger can tell about all its pairs.

use crate::model::{Mapping, PairIdentity, PassCounts, Remark, RunVerdict, Scan, SettledCounts, StoredException};
use mailhaul_types::UidRange;

/// The latest run over a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// When it began, in seconds since 1970.
    pub started_unix_secs: i64,
    /// When it ended; `None` if it did not say so: it is still running or was killed.
    pub finished_unix_secs: Option<i64>,
    /// How it ended.
    pub verdict: Option<RunVerdict>,
    /// The last line that the operator was shown.
    pub detail: String,
}

/// One mailbox of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxReport {
    /// Source and target name.
    pub mapping: Mapping,
    /// What is settled in all, up to the last commit.
    pub settled: SettledCounts,
    /// What may be in flight.
    pub sent: Option<UidRange>,
    /// The last counted scan of the source.
    pub scan: Option<Scan>,
    /// What the last finished pass counted, and when, in seconds since 1970.
    pub last_pass: Option<(PassCounts, i64)>,
    /// Everything that needs attention.
    pub exceptions: Vec<StoredException>,
    /// Everything worth telling.
    pub remarks: Vec<Remark>,
}

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairReport {
    /// Who is copied where.
    pub identity: PairIdentity,
    /// The latest run.
    pub run: Option<RunReport>,
    /// Its mailboxes, ordered by source name.
    pub mailboxes: Vec<MailboxReport>,
    /// Remarks about the account.
    pub remarks: Vec<Remark>,
}
