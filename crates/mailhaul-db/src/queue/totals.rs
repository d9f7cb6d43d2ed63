//! What the ledger knows of the accounts of a wave, summed up by SQLite: progress is derived, and never a second truth.

use crate::error::DbError;
use crate::fault::Fault;
use crate::model::{ExceptionState, PassCounts, SettledCounts};
use crate::queue::Queue;
use crate::queue::decode::Cells;
use crate::queue::jobs_model::{Totals, WaveTotals};
use crate::report::{PairReport, read_pair};
use crate::rows::PairRow;
use mailhaul_queue::{AccountId, WaveId};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;

/// The pair of the account `a` on the lane `l`, with its endpoints `s` and `t`.
const PAIR: &str = "p.source_host = s.host AND p.target_host = t.host \
     AND (CASE p.source_authz WHEN '' THEN p.source_login ELSE p.source_authz END) = a.source_owner \
     AND (CASE p.target_authz WHEN '' THEN p.target_login ELSE p.target_authz END) = a.target_owner";

const JOINED: &str = "FROM account a CROSS JOIN lane l ON l.lane_id = a.lane_id \
     CROSS JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id \
     CROSS JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id";

impl Queue {
    /// What the ledger knows of a wave's accounts, up to the last commit.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn totals(&self, wave: WaveId) -> Result<WaveTotals, DbError> {
        // Of several pairs with the same owners, the one that was worked on last counts.
        let sql = format!(
            "WITH known AS MATERIALIZED ( \
                 SELECT a.account_id, a.name, a.size_hint_bytes, \
                        (SELECT p.pair_id FROM pair p LEFT JOIN run r ON r.pair_id = p.pair_id WHERE {PAIR} \
                         ORDER BY r.started_at_secs DESC, p.pair_id DESC LIMIT 1) AS pair_id \
                 {JOINED} WHERE a.wave_id = {wave}) \
             SELECT k.account_id, k.name, COUNT(m.mailbox_id), COUNT(c.mailbox_id), TOTAL(m.copied), \
                    TOTAL(m.adopted), TOTAL(m.adopted_altered), TOTAL(c.source), TOTAL(c.already), TOTAL(c.copied), \
                    TOTAL(c.adopted), TOTAL(c.skipped), TOTAL(c.refused), TOTAL(c.gone), TOTAL(c.unreadable), \
                    TOTAL(c.remaining), TOTAL(c.bytes), \
                    TOTAL((SELECT COUNT(*) FROM mailbox_exception x WHERE x.mailbox_id = m.mailbox_id \
                           AND x.state <> {gone})), \
                    (SELECT TOTAL(u.bytes) FROM usage u WHERE u.account_id = k.account_id), \
                    COALESCE(k.size_hint_bytes, 0) \
             FROM known k LEFT JOIN mailbox m ON m.pair_id = k.pair_id \
             LEFT JOIN mailbox_pass c ON c.mailbox_id = m.mailbox_id \
             GROUP BY k.account_id ORDER BY k.name",
            wave = wave.0,
            gone = ExceptionState::Gone as u8,
        );
        let accounts = self.read_all(AssertSqlSafe(sql), totals).await?;
        let sum = accounts.iter().fold(Totals::default(), |sum, (_, _, totals)| sum.and(totals));
        Ok(WaveTotals { accounts, sum })
    }

    /// Everything the ledger knows of an account, every row of it verified; `None` before it was first copied.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn account_report(&self, account: AccountId) -> Result<Option<PairReport>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let read = async {
            let sql = format!(
                "SELECT p.pair_id {JOINED} JOIN pair p ON {PAIR} LEFT JOIN run r ON r.pair_id = p.pair_id \
                 WHERE a.account_id = $1 ORDER BY r.started_at_secs DESC, p.pair_id DESC LIMIT 1"
            );
            let pair: Option<i64> =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(account.0).fetch_optional(&mut *db).await?;
            match pair {
                Some(pair) => {
                    let pair = PairRow::read(&mut db, pair).await?;
                    read_pair(&mut db, pair).await.map(Some)
                }
                None => Ok(None),
            }
        };
        read.await.map_err(|fault: Fault| self.inner.reader.fail(fault))
    }
}

impl Totals {
    fn and(self, other: &Self) -> Self {
        let (a, b) = (self.last_pass, other.last_pass);
        Self {
            mailboxes: self.mailboxes + other.mailboxes,
            passed: self.passed + other.passed,
            settled: SettledCounts {
                copied: self.settled.copied + other.settled.copied,
                adopted: self.settled.adopted + other.settled.adopted,
                adopted_altered: self.settled.adopted_altered + other.settled.adopted_altered,
            },
            last_pass: PassCounts {
                source: a.source + b.source,
                already: a.already + b.already,
                copied: a.copied + b.copied,
                adopted: a.adopted + b.adopted,
                skipped: a.skipped + b.skipped,
                refused: a.refused + b.refused,
                gone: a.gone + b.gone,
                unreadable: a.unreadable + b.unreadable,
                remaining: a.remaining + b.remaining,
                bytes: a.bytes + b.bytes,
            },
            exceptions: self.exceptions + other.exceptions,
            moved_bytes: self.moved_bytes + other.moved_bytes,
            size_hint_bytes: self.size_hint_bytes + other.size_hint_bytes,
        }
    }
}

fn totals(row: &SqliteRow) -> Result<(AccountId, String, Totals), Fault> {
    let mut cells = Cells::of(row, "account");
    let (account, name) = (AccountId(cells.take()?), cells.take()?);
    let (mailboxes, passed) = (cells.number()?, cells.number()?);
    let mut sum = || cells.take::<f64>().map(whole);
    let settled = SettledCounts { copied: sum()?, adopted: sum()?, adopted_altered: sum()? };
    let last_pass = PassCounts {
        source: sum()?,
        already: sum()?,
        copied: sum()?,
        adopted: sum()?,
        skipped: sum()?,
        refused: sum()?,
        gone: sum()?,
        unreadable: sum()?,
        remaining: sum()?,
        bytes: sum()?,
    };
    let (exceptions, moved_bytes) = (sum()?, sum()?);
    let size_hint_bytes = cells.number()?;
    Ok((account, name, Totals { mailboxes, passed, settled, last_pass, exceptions, moved_bytes, size_hint_bytes }))
}

/// TOTAL() never overflows and is exact below 2^53, which is more than any of these sums.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sums of counts, far below 2^53")]
fn whole(total: f64) -> u64 {
    total as u64
}
