//! One event for many jobs, in a handful of statements.
//!
//! The jobs stand in the temporary table `touched`. Those that are alike in all that decides form a group; the state
//! function is asked once for each group, and SQL writes its answer into all rows of it. So ten thousand jobs go
//! where the function would have sent each of them, without being read.

use crate::fault::Fault;
use crate::queue::change::Change;
use crate::queue::decode::{Cells, STANDING, class_column, wanted_columns};
use mailhaul_queue::{Event, JobState, Next, Standing, Wait, WaitReason, apply};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;

/// Whether a pause covers the job `j`.
macro_rules! covered {
    () => {
        "(EXISTS (SELECT 1 FROM hold h WHERE h.scope = 'everything' AND h.subject_id = 0) \
          OR EXISTS (SELECT 1 FROM hold h WHERE h.scope = 'wave' AND h.subject_id = j.wave_id) \
          OR EXISTS (SELECT 1 FROM hold h WHERE h.scope = 'account' AND h.subject_id = j.account_id) \
          OR EXISTS (SELECT 1 FROM hold h WHERE h.scope = 'job' AND h.subject_id = j.job_id) \
          OR EXISTS (SELECT 1 FROM lane l CROSS JOIN hold h ON h.scope = 'endpoint' \
                         AND h.subject_id IN (l.source_endpoint_id, l.target_endpoint_id) \
                     WHERE l.lane_id = j.lane_id))"
    };
}
pub(super) use covered;

/// What the representative of a group has been charged. Any number but 0 tells "as before" from "anew".
const CHARGED: u32 = 1;

/// Jobs that are alike in all that decides.
struct Group {
    standing: Standing,
    /// The columns by which its rows are found.
    key: GroupKey,
}

struct GroupKey {
    state: String,
    wait_reason: Option<String>,
    timed: bool,
    past: bool,
    failure_class: Option<String>,
    wanted: Option<String>,
    held: bool,
}

impl Change<'_> {
    /// Forgets the jobs of the last bulk change.
    pub(super) async fn touch_none(&mut self) -> Result<(), Fault> {
        sqlx::query("DELETE FROM temp.touched").execute(self.db()).await?;
        Ok(())
    }

    /// Does to every touched job what the state function says; jobs that do not take the event stay as they are. Its
    /// own words if `why` is empty. How many took it.
    pub(super) async fn apply_to_touched(&mut self, event: &Event, why: &str) -> Result<u64, Fault> {
        let mut taken = 0;
        for group in self.groups().await? {
            let Ok(next) = apply(&group.standing, event, self.policy, self.now.unix_ms, 0.5) else {
                continue;
            };
            // What is so already is no change. That also keeps jobs of an earlier group, which look like this one by
            // now, from being told twice.
            if next.clone().standing(group.standing.held) != group.standing {
                let why = if why.is_empty() { &next.why } else { why };
                taken += self.move_group(&group, &next, event, why).await?;
            }
        }
        Ok(taken)
    }

    async fn groups(&mut self) -> Result<Vec<Group>, Fault> {
        const SQL: &str = concat!(
            "SELECT DISTINCT j.state, j.wait_reason, j.wait_until_ms IS NOT NULL, \
                    COALESCE(j.wait_until_ms <= $1, FALSE), j.failure_class, j.wanted, ",
            covered!(),
            " FROM temp.touched t CROSS JOIN job j ON j.job_id = t.job_id"
        );
        let now = self.now.unix_ms;
        let rows = sqlx::query(SQL).bind(now).fetch_all(self.db()).await?;
        let mut groups = Vec::with_capacity(rows.len());
        for row in &rows {
            let key = group_key(row)?;
            let standing = self.representative(&key).await?;
            groups.push(Group { standing, key });
        }
        Ok(groups)
    }

    /// One of the group, with the numbers that do not decide replaced by ones that are recognised.
    async fn representative(&mut self, key: &GroupKey) -> Result<Standing, Fault> {
        let sql = format!(
            "SELECT {STANDING} FROM temp.touched t CROSS JOIN job j ON j.job_id = t.job_id WHERE {IN_GROUP} LIMIT 1"
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let now = self.now.unix_ms;
        let row = bind_group(query, key, now).fetch_one(self.db()).await?;
        Ok(Cells::of(&row, "job").state()?.standing(CHARGED, CHARGED, key.held))
    }

    async fn move_group(&mut self, group: &Group, next: &Next, event: &Event, why: &str) -> Result<u64, Fault> {
        let (now, who) = (self.now.unix_ms, self.who());
        let sql = format!(
            "INSERT INTO event (at_ms, who, what, account_id, job_id, from_state, to_state, why) \
             SELECT $1, $9, $10, j.account_id, j.job_id, j.state, $11, $12 \
             FROM temp.touched t CROSS JOIN job j ON j.job_id = t.job_id WHERE {IN_GROUP}"
        );
        let query = bind_group(sqlx::query(AssertSqlSafe(sql)), &group.key, now);
        query.bind(who).bind(event.word()).bind(next.state.word()).bind(why).execute(self.db()).await?;

        let (wait_before, wait) = (
            wait_of(&group.standing.state, group.standing.wait_before_pause),
            wait_of(&next.state, next.wait_before_pause),
        );
        let keeps_wanted = next.wanted == group.standing.wanted && next.state == JobState::Running;
        let (wanted, wanted_reason, wanted_until) = wanted_columns(next.wanted);
        let retried = matches!(event, Event::Retry);
        let sql = format!(
            "UPDATE job AS j SET state = $9, \
                 wait_reason = CASE WHEN $10 THEN wait_reason ELSE $11 END, \
                 wait_until_ms = CASE WHEN $10 THEN wait_until_ms ELSE $12 END, \
                 gated = CASE WHEN $13 THEN 1 WHEN $11 IS NULL THEN 0 ELSE gated END, \
                 failure_class = $14, \
                 wanted = CASE WHEN $15 THEN wanted ELSE $16 END, \
                 wanted_reason = CASE WHEN $15 THEN wanted_reason ELSE $17 END, \
                 wanted_until_ms = CASE WHEN $15 THEN wanted_until_ms ELSE $18 END, \
                 attempts_charged = CASE WHEN $19 = {CHARGED} THEN attempts_charged ELSE $19 END, \
                 crashes = CASE WHEN $20 = {CHARGED} THEN crashes ELSE $20 END, \
                 queued_at_ms = CASE WHEN $21 THEN $1 ELSE queued_at_ms END, \
                 not_before_ms = CASE WHEN $21 THEN NULL ELSE not_before_ms END \
             WHERE j.job_id IN (SELECT job_id FROM temp.touched) AND {IN_GROUP}"
        );
        let query = bind_group(sqlx::query(AssertSqlSafe(sql)), &group.key, now);
        let done = query
            .bind(next.state.word())
            .bind(wait.is_some() && wait == wait_before)
            .bind(wait.map(|wait| wait.reason.word()))
            .bind(wait.and_then(|wait| wait.until_unix_ms))
            .bind(matches!(event, Event::Gate { .. }) && wait.is_some())
            .bind(class_column(&next.state))
            .bind(keeps_wanted)
            .bind(wanted)
            .bind(wanted_reason)
            .bind(wanted_until)
            .bind(next.attempts_charged)
            .bind(next.crashes)
            .bind(retried)
            .execute(self.db())
            .await?;
        Ok(done.rows_affected())
    }
}

/// What a job waits for, or goes on waiting for when it is resumed: both stand in the same columns.
pub(super) fn wait_of(state: &JobState, wait_before_pause: Option<Wait>) -> Option<Wait> {
    match state {
        JobState::Waiting { reason, until_unix_ms } => Some(Wait { reason: *reason, until_unix_ms: *until_unix_ms }),
        JobState::Paused => wait_before_pause,
        _ => None,
    }
}

/// `$1` is the moment, `$2` to `$8` the key.
const IN_GROUP: &str = concat!(
    "j.state = $2 AND j.wait_reason IS $3 AND (j.wait_until_ms IS NOT NULL) = $4 \
     AND COALESCE(j.wait_until_ms <= $1, FALSE) = $5 AND j.failure_class IS $6 AND j.wanted IS $7 AND ",
    covered!(),
    " = $8"
);

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind_group<'q>(query: Query<'q>, key: &'q GroupKey, now: i64) -> Query<'q> {
    query
        .bind(now)
        .bind(&key.state)
        .bind(&key.wait_reason)
        .bind(key.timed)
        .bind(key.past)
        .bind(&key.failure_class)
        .bind(&key.wanted)
        .bind(key.held)
}

fn group_key(row: &SqliteRow) -> Result<GroupKey, Fault> {
    let mut cells = Cells::of(row, "job");
    Ok(GroupKey {
        state: cells.take()?,
        wait_reason: cells.optional_word(|word| WaitReason::from_word(word).map(|_| word.to_owned()))?,
        timed: cells.take()?,
        past: cells.take()?,
        failure_class: cells.take()?,
        wanted: cells.take()?,
        held: cells.take()?,
    })
}
