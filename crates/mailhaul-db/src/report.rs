//! What the ledger can tell about all its pairs.

use crate::fault::Fault;
use crate::model::{Mapping, PairIdentity, PassCounts, Remark, RunVerdict, Scan, SettledCounts, StoredException};
use crate::rows::{DepartedRow, ExceptionRow, MailboxRow, PairRow, PassRow, RemarkRow, RunRow, StoredRow};
use mailhaul_types::UidRange;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;

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
    /// How many messages have left the source since they were settled or set aside, and have been dealt with.
    pub departed: u64,
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

impl MailboxReport {
    /// Whether nothing is at the source any more of what the last pass still counted there: it is not listed any more,
    /// and what was in it has been dealt with. Where it is listed, the pass that found it empty has counted again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.departed == self.settled.total() && self.last_pass.as_ref().is_some_and(|(pass, _)| present(pass) > 0)
    }
}

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairReport {
    /// Who is copied where.
    pub identity: PairIdentity,
    /// The latest run; every claim begins one.
    pub run: RunReport,
    /// Its mailboxes, ordered by source name.
    pub mailboxes: Vec<MailboxReport>,
    /// Remarks about the account.
    pub remarks: Vec<Remark>,
}

impl PairReport {
    /// How many of the messages settled in a mailbox of this pair are not at the source any more: what is settled, less
    /// this, is what the last pass counted as copied or found. While a run is at work, or after one that did not come
    /// to its end, only those count that were dealt with: what is settled beyond the last pass may be new.
    #[must_use]
    pub fn left_since(&self, mailbox: &MailboxReport) -> u64 {
        let settled = mailbox.settled.total();
        let Some((pass, _)) = &mailbox.last_pass else { return mailbox.departed.min(settled) };
        let beyond = settled.saturating_sub(present(pass));
        let passed_all = matches!(self.run.verdict, Some(RunVerdict::Complete | RunVerdict::Exceptions));
        match passed_all {
            _ if mailbox.is_gone() => settled,
            true => beyond,
            false => beyond.min(mailbox.departed),
        }
    }
}

/// What a pass counted as settled and at the source.
fn present(pass: &PassCounts) -> u64 {
    pass.already.saturating_add(pass.copied).saturating_add(pass.adopted)
}

/// Everything about every pair, in one snapshot.
pub(crate) async fn read_report(db: &mut SqliteConnection) -> Result<Vec<PairReport>, Fault> {
    let mut reports = Vec::new();
    for pair in PairRow::read_all(db).await? {
        reports.push(read_pair(db, pair).await?);
    }
    Ok(reports)
}

pub(crate) async fn read_pair(db: &mut SqliteConnection, pair: PairRow) -> Result<PairReport, Fault> {
    let run = RunRow::read(db, pair.pair_id).await?.filter(|run| run.generation == pair.generation);
    let missing = || Fault::Damaged { table: RunRow::TABLE, row: format!("pair {}", pair.pair_id) };
    let run = run.ok_or_else(missing)?;
    let run = RunReport {
        started_unix_secs: run.started_at_secs,
        finished_unix_secs: run.finished.map(|(at, _)| at),
        verdict: run.finished.map(|(_, verdict)| verdict),
        detail: run.detail,
    };
    let mailboxes = MailboxRow::read_all(db, pair.pair_id, pair.mailboxes).await?;
    let mut passes: HashMap<_, _> =
        PassRow::read_all(db, pair.pair_id).await?.into_iter().map(|row| (row.mailbox_id, row)).collect();
    let mut exceptions: HashMap<i64, Vec<_>> = HashMap::new();
    for row in ExceptionRow::read_all_of_pair(db, pair.pair_id).await? {
        exceptions.entry(row.mailbox_id).or_default().push(row.stored);
    }
    let mut remarks: HashMap<i64, Vec<_>> = HashMap::new();
    for row in RemarkRow::read_all(db, pair.pair_id).await? {
        remarks.entry(row.mailbox_id).or_default().push(row.remark);
    }
    let mut departed = DepartedRow::read_all(db, pair.pair_id).await?;
    let mailboxes = mailboxes.into_iter().map(|mailbox| {
        let departed = DepartedRow::set_of(departed.remove(&mailbox.mailbox_id), &mailbox)?;
        Ok(MailboxReport {
            settled: mailbox.counts,
            departed: departed.len(),
            sent: mailbox.sent,
            scan: mailbox.scan,
            last_pass: passes.remove(&mailbox.mailbox_id).map(|pass| (pass.counts, pass.at_secs)),
            exceptions: exceptions.remove(&mailbox.mailbox_id).unwrap_or_default(),
            remarks: remarks.remove(&mailbox.mailbox_id).unwrap_or_default(),
            mapping: mailbox.mapping,
        })
    });
    Ok(PairReport {
        mailboxes: mailboxes.collect::<Result<_, Fault>>()?,
        remarks: remarks.remove(&0).unwrap_or_default(),
        identity: pair.identity,
        run,
    })
}
