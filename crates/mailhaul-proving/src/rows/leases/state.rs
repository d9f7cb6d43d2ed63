//! What the state file says while others work on it: who holds which job, which claim of an account is the newest, and
//! what the ledger has of it.

use crate::sqlite;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The state file, looked at from outside.
pub(super) struct State(PathBuf);

/// An account in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// How often it has been claimed.
    pub(super) generation: i64,
    /// Its run and its mailboxes, with all that a pass writes of them: messages stand there by their sums.
    pub(super) written: Value,
}

impl Account {
    fn of(generation: i64, text: &str) -> Account {
        Account { generation, written: serde_json::from_str(text).unwrap_or_default() }
    }

    /// What is known of the mailboxes; a claim alone changes nothing of it.
    pub(super) fn mailboxes(&self) -> &Value {
        &self.written[1]
    }
}

impl State {
    pub(super) fn at(file: PathBuf) -> State {
        State(file)
    }

    /// The processes that hold jobs, and which.
    pub(super) fn holders(&self) -> BTreeMap<u32, BTreeSet<i64>> {
        let mut holders: BTreeMap<u32, BTreeSet<i64>> = BTreeMap::new();
        for (process, job, _) in self.rows("SELECT process, job_id, '' FROM job WHERE state = 'running'") {
            holders.entry(u32::try_from(process).unwrap_or(0)).or_default().insert(job);
        }
        holders
    }

    /// All accounts in the ledger.
    pub(super) fn accounts(&self) -> BTreeMap<i64, Account> {
        let rows = self.rows(
            "SELECT p.pair_id, p.generation, json_array(json_array(r.generation, r.finished_at_secs, r.verdict), \
                 (SELECT json_group_array(json_array(mailbox_id, source_name, target_name, target_mark, sent_first, \
                      sent_last, copied, adopted, row_count, row_sum, sync_sum, departed_sum)) \
                  FROM (SELECT * FROM mailbox WHERE pair_id = p.pair_id ORDER BY mailbox_id))) \
             FROM pair p LEFT JOIN run r ON r.pair_id = p.pair_id",
        );
        rows.into_iter().map(|(pair, generation, text)| (pair, Account::of(generation, &text))).collect()
    }

    /// How often a job was claimed so far.
    pub(super) fn claims(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM attempt")
    }

    /// A number that changes whenever something is settled.
    pub(super) fn ledger_sum(&self) -> i64 {
        self.number("SELECT TOTAL(row_sum) FROM mailbox")
    }

    /// Processes that have come and not gone.
    pub(super) fn workers(&self) -> usize {
        usize::try_from(self.number("SELECT COUNT(*) FROM worker")).unwrap_or(0)
    }

    /// Jobs that were put aside.
    pub(super) fn failed(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM job WHERE state = 'failed'")
    }

    /// Jobs that are not done.
    pub(super) fn open_jobs(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM job WHERE state <> 'done'")
    }

    fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(&format!("SELECT CAST(({sql}) AS INTEGER), 0, ''"));
        rows.first().map_or(0, |(number, _, _)| *number)
    }

    fn rows(&self, sql: &str) -> Vec<(i64, i64, String)> {
        sqlite::rows(&self.0, sql).expect("the state file can be read at any time")
    }
}
