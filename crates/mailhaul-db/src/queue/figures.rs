//! Figures for monitoring: what stands where and what became of attempts, by endpoints, wave and kind. Each is one
//! statement whose answer is small, whatever the number of accounts.

use crate::error::DbError;
use crate::queue::Queue;
use crate::queue::decode::Cells;

/// Whose figures these are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The source endpoint's name.
    pub source: String,
    /// The target endpoint's name.
    pub target: String,
    /// The wave's name.
    pub wave: String,
}

/// Jobs in one state, the latest of each kind for each account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFigure {
    /// Whose.
    pub lane: Lane,
    /// Their kind.
    pub kind: String,
    /// Their state, by its word.
    pub state: String,
    /// What they wait for, or in which way they failed, by its word; empty if neither.
    pub reason: String,
    /// How many.
    pub jobs: u64,
    /// When the oldest of them was queued, in milliseconds since 1970.
    pub oldest_unix_ms: i64,
}

/// Attempts that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptFigure {
    /// Whose.
    pub lane: Lane,
    /// The kind of their jobs.
    pub kind: String,
    /// `done`, `done_with_exceptions`, `failed`, `yielded` or `lost`.
    pub outcome: String,
    /// In which way they failed; empty otherwise.
    pub class: String,
    /// How many.
    pub attempts: u64,
}

const JOINED: &str = "JOIN wave w ON w.wave_id = j.wave_id JOIN lane l ON l.lane_id = j.lane_id \
     JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id \
     JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id";

impl Queue {
    /// How many jobs stand where.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn job_figures(&self) -> Result<Vec<JobFigure>, DbError> {
        let sql = format!(
            "SELECT s.name, t.name, w.name, j.kind, j.state, \
                    COALESCE(CASE j.state WHEN 'waiting' THEN j.wait_reason END, j.failure_class, '') AS why, \
                    COUNT(*), MIN(j.queued_at_ms) \
             FROM job j {JOINED} WHERE j.superseded = 0 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6"
        );
        self.read_all(sqlx::AssertSqlSafe(sql), |row| {
            let mut cells = Cells::of(row, "job");
            Ok(JobFigure {
                lane: Lane { source: cells.take()?, target: cells.take()?, wave: cells.take()? },
                kind: cells.take()?,
                state: cells.take()?,
                reason: cells.take()?,
                jobs: cells.number()?,
                oldest_unix_ms: cells.take()?,
            })
        })
        .await
    }

    /// What became of attempts, over all time.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn attempt_figures(&self) -> Result<Vec<AttemptFigure>, DbError> {
        let sql = format!(
            "SELECT s.name, t.name, w.name, j.kind, n.outcome, COALESCE(n.failure_class, ''), COUNT(*) \
             FROM attempt n JOIN job j ON j.job_id = n.job_id {JOINED} \
             WHERE n.outcome IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6"
        );
        self.read_all(sqlx::AssertSqlSafe(sql), |row| {
            let mut cells = Cells::of(row, "attempt");
            Ok(AttemptFigure {
                lane: Lane { source: cells.take()?, target: cells.take()?, wave: cells.take()? },
                kind: cells.take()?,
                outcome: cells.take()?,
                class: cells.take()?,
                attempts: cells.number()?,
            })
        })
        .await
    }

    /// Octets of mail moved, over all days.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn byte_figures(&self) -> Result<Vec<(Lane, u64)>, DbError> {
        self.read_all(
            "SELECT s.name, t.name, w.name, SUM(u.bytes) FROM usage u JOIN account a ON a.account_id = u.account_id \
                 JOIN wave w ON w.wave_id = a.wave_id JOIN lane l ON l.lane_id = a.lane_id \
                 JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id \
                 JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            |row| {
                let mut cells = Cells::of(row, "usage");
                let lane = Lane { source: cells.take()?, target: cells.take()?, wave: cells.take()? };
                Ok((lane, cells.number()?))
            },
        )
        .await
    }
}
