//! Places in line, for many jobs at once: what [`mailhaul_queue::Priority::place_in_line`] says, and the order of the wave.
//!
//! In a wave with an order of its own, all jobs that were queued within the same hour count as queued together, so
//! that size decides between them; an hour is what a step of priority is worth.

use crate::fault::Fault;
use crate::queue::change::Change;
use mailhaul_queue::WaveId;

/// The place of a job, from `a` (its account), `w` (its wave) and the moment it was queued. The figure is the one of
/// [`Priority::place_in_line`]; a test holds them together.
///
/// [`Priority::place_in_line`]: mailhaul_queue::Priority::place_in_line
macro_rules! place {
    ($queued:literal) => {
        concat!(
            "(CASE w.job_order WHEN 'fifo' THEN ",
            $queued,
            " ELSE ",
            $queued,
            " - ",
            $queued,
            " % 3600000 END \
              - a.priority * 3600000)"
        )
    };
}
pub(super) use place;

/// What applies to an account `a` with its wave `w`, lane `l` and endpoints `s` and `t`, as one number: it differs
/// whenever one of their revisions does, or the wave or the lane is another. The factors keep a change of one from being
/// made up for by another's.
macro_rules! revision {
    () => {
        "(a.revision + 7919 * w.revision + 104729 * s.revision + 1299709 * t.revision + 15485863 * w.wave_id \
          + 179424673 * l.lane_id)"
    };
}
pub(super) use revision;

/// What decides within a place.
macro_rules! order_key {
    () => {
        "(CASE w.job_order WHEN 'largest' THEN COALESCE(-a.size_hint_bytes, 9223372036854775807) \
              WHEN 'smallest' THEN COALESCE(a.size_hint_bytes, 9223372036854775807) ELSE 0 END)"
    };
}
pub(super) use order_key;

const OPEN: &str = "j.state NOT IN ('done', 'done_with_exceptions', 'failed', 'cancelled')";

impl Change<'_> {
    /// Ranks the touched jobs anew.
    pub(super) async fn rank_touched(&mut self) -> Result<(), Fault> {
        const SQL: &str = concat!(
            "UPDATE job AS j SET priority = a.priority, place = ",
            place!("j.queued_at_ms"),
            ", order_key = ",
            order_key!(),
            " FROM account a JOIN wave w ON w.wave_id = a.wave_id \
             WHERE a.account_id = j.account_id AND j.job_id IN (SELECT job_id FROM temp.touched)"
        );
        sqlx::query(SQL).execute(self.db()).await?;
        Ok(())
    }

    /// Ranks all open jobs of a wave anew.
    pub(super) async fn rank_wave(&mut self, wave: WaveId) -> Result<(), Fault> {
        self.touch_none().await?;
        let sql = format!("INSERT INTO temp.touched (job_id) SELECT job_id FROM job j WHERE j.wave_id = $1 AND {OPEN}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(wave.0).execute(self.db()).await?;
        self.rank_touched().await
    }
}
