//! One job at a time: its end, and its loss. The state function says where it goes; here it is written down.

use crate::fault::Fault;
use crate::queue::bulk::{covered, wait_of};
use crate::queue::change::Change;
use crate::queue::decode::{Cells, STANDING, class_column, wanted_columns};
use mailhaul_queue::{
    AccountId, Event, FailureClass, Finished, Generation, JobId, JobState, LeaseKey, Next, Outcome, Standing,
    WaitReason, Wanted, WorkerId, Yield, apply,
};
use sqlx::AssertSqlSafe;

/// A running job, as far as its end depends on it.
struct Running {
    key: LeaseKey,
    account: AccountId,
    worker: Option<WorkerId>,
    attempts: u32,
    standing: Standing,
    /// Its options are not those any more that it began with.
    options_changed: bool,
}

impl Change<'_> {
    /// Records the end of an attempt. `false`: the claim is not the newest, and nothing was written.
    pub(super) async fn finish(&mut self, finished: &Finished) -> Result<bool, Fault> {
        let Some(running) = self.running(finished.key.job).await?.filter(|running| running.key == finished.key) else {
            return Ok(false);
        };
        self.worker = running.worker;
        let end = &finished.end;
        let came_to_its_end = matches!(end.outcome, Outcome::Done | Outcome::DoneWithExceptions);
        // What was done under options that had changed before it ended is looked at once more under the new ones.
        let outcome =
            if came_to_its_end && running.options_changed { &Outcome::Yielded(Yield::Options) } else { &end.outcome };
        let mut standing = running.standing.clone();
        if end.progressed {
            standing.attempts_charged = 0;
        }
        let next = self.judge(&standing, running.key.job, outcome, finished.jitter).await?;
        let (word, class) = outcome_columns(outcome);
        self.end_attempt(&running, word, class, &end.words, &end.counts).await?;
        self.put_down(&running, &next, gates(outcome, &next), None, &end.words).await?;
        if matches!(outcome, Outcome::Failed { class: FailureClass::Throttle, .. }) {
            self.send_to_the_end_of_the_line(running.key.job).await?;
        }
        let subject = (running.account, running.key.job);
        self.note_job("end", subject, &running.standing.state, &next.state, &next.why).await?;
        // Whoever cancelled it wants nothing to follow, even if it came to its end before it heard.
        if next.state.is_terminal() && standing.wanted != Some(Wanted::Cancel) {
            self.enqueue(&end.then, "follows").await?;
        }
        Ok(true)
    }

    /// What follows from the end of an attempt. Each class of trouble has a ceiling of its own, so a failure is counted
    /// among those of its class; what is stored counts them all.
    async fn judge(&mut self, standing: &Standing, job: JobId, outcome: &Outcome, jitter: f64) -> Result<Next, Fault> {
        let mut of_class = standing.clone();
        if let Outcome::Failed { class, .. } = outcome {
            let alike: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM (SELECT failure_class FROM attempt WHERE job_id = $1 AND outcome = 'failed' \
                     AND failure_class <> 'throttle' ORDER BY number DESC LIMIT $2) WHERE failure_class = $3",
            )
            .bind(job.0)
            .bind(standing.attempts_charged)
            .bind(class.word())
            .fetch_one(self.db())
            .await?;
            of_class.attempts_charged = u32::try_from(alike).unwrap_or(u32::MAX);
        }
        let next = apply(&of_class, &Event::End(outcome.clone()), self.policy, self.now.unix_ms, jitter)
            .map_err(|error| Fault::Internal(error.to_string()))?;
        let charged = next.attempts_charged.saturating_sub(of_class.attempts_charged);
        let attempts_charged = standing.attempts_charged.saturating_add(charged);
        Ok(Next { attempts_charged, ..next })
    }

    /// Whoever was asked to slow down lets everybody else go first, whatever its priority. A host that rests is opened by
    /// one probe, the head of the line: were that the same account each time, and the trouble its own, nobody else would
    /// ever get in.
    async fn send_to_the_end_of_the_line(&mut self, job: JobId) -> Result<(), Fault> {
        let now = self.now.unix_ms;
        sqlx::query("UPDATE job SET place = $2 WHERE job_id = $1").bind(job.0).bind(now).execute(self.db()).await?;
        Ok(())
    }

    /// Takes a job from a worker that does not answer for it. `stale_process` may still be there.
    pub(super) async fn orphan(&mut self, job: i64, stale_process: Option<u32>, evidence: &str) -> Result<(), Fault> {
        let Some(running) = self.running(JobId(job)).await? else {
            return Ok(());
        };
        let next = apply(&running.standing, &Event::Orphan, self.policy, self.now.unix_ms, 0.5)
            .map_err(|error| Fault::Internal(error.to_string()))?;
        let words = format!("attempt {} was lost: {evidence}; {}", running.attempts, next.why);
        self.end_attempt(&running, "lost", None, evidence, "{}").await?;
        self.put_down(&running, &next, false, stale_process, &words).await?;
        let subject = (running.account, running.key.job);
        self.note_job("orphan", subject, &running.standing.state, &next.state, &words).await
    }

    async fn running(&mut self, job: JobId) -> Result<Option<Running>, Fault> {
        const COVERED: &str = covered!();
        let sql = format!(
            "SELECT {STANDING}, j.attempts_charged, j.crashes, {COVERED}, j.generation, j.account_id, j.worker_id, \
                    j.attempts, COALESCE(j.wanted = 'options', FALSE) FROM job j WHERE j.job_id = $1 AND j.state = 'running'"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(job.0).fetch_optional(self.db()).await?;
        row.map(|row| {
            let mut cells = Cells::of(&row, "job");
            let stored = cells.state()?;
            let standing = stored.standing(cells.number()?, cells.number()?, cells.take()?);
            Ok(Running {
                standing,
                key: LeaseKey { job, generation: Generation(cells.take()?) },
                account: AccountId(cells.take()?),
                worker: cells.take::<Option<i64>>()?.map(WorkerId),
                attempts: cells.number()?,
                options_changed: cells.take()?,
            })
        })
        .transpose()
    }

    async fn end_attempt(
        &mut self,
        running: &Running,
        outcome: &str,
        class: Option<FailureClass>,
        words: &str,
        counts: &str,
    ) -> Result<(), Fault> {
        let now = self.now.unix_ms;
        sqlx::query(
            "UPDATE attempt SET ended_at_ms = $3, outcome = $4, failure_class = $5, words = $6, counts = $7 \
             WHERE job_id = $1 AND number = $2",
        )
        .bind(running.key.job.0)
        .bind(running.attempts)
        .bind(now)
        .bind(outcome)
        .bind(class.map(FailureClass::word))
        .bind(words)
        .bind(counts)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Writes where a job goes that no worker has any more. Its account may have been changed meanwhile.
    async fn put_down(
        &mut self,
        running: &Running,
        next: &Next,
        gated: bool,
        stale_process: Option<u32>,
        words: &str,
    ) -> Result<(), Fault> {
        let now = self.now.unix_ms;
        let wait = wait_of(&next.state, next.wait_before_pause);
        let (wanted, wanted_reason, wanted_until) = wanted_columns(next.wanted);
        sqlx::query(
            "UPDATE job AS j SET state = $2, wait_reason = $3, wait_until_ms = $4, gated = $5, failure_class = $6, \
                 wanted = $7, wanted_reason = $8, wanted_until_ms = $9, attempts_charged = $10, crashes = $11, \
                 worker_id = NULL, process = NULL, lease_boot_id = NULL, lease_until_boot_ms = NULL, \
                 stale_process = $12, finished_at_ms = $13, words = $14, wave_id = a.wave_id, lane_id = a.lane_id \
             FROM account a WHERE j.job_id = $1 AND a.account_id = j.account_id",
        )
        .bind(running.key.job.0)
        .bind(next.state.word())
        .bind(wait.map(|wait| wait.reason.word()))
        .bind(wait.and_then(|wait| wait.until_unix_ms))
        .bind(gated && wait.is_some())
        .bind(class_column(&next.state))
        .bind(wanted)
        .bind(wanted_reason)
        .bind(wanted_until)
        .bind(next.attempts_charged)
        .bind(next.crashes)
        .bind(stale_process)
        .bind(now)
        .bind(words)
        .execute(self.db())
        .await?;
        if next.state.is_terminal() && running.standing.held {
            // A pause of a job that is over covers nothing, and must not cover another try.
            sqlx::query("DELETE FROM hold WHERE scope = 'job' AND subject_id = $1")
                .bind(running.key.job.0)
                .execute(self.db())
                .await?;
        }
        Ok(())
    }
}

/// Whether the job now waits for an endpoint to open, and goes on as soon as it does.
fn gates(outcome: &Outcome, next: &Next) -> bool {
    let for_endpoint = matches!(
        wait_of(&next.state, next.wait_before_pause).map(|wait| wait.reason),
        Some(WaitReason::HostLimit | WaitReason::Window)
    );
    for_endpoint && matches!(outcome, Outcome::Yielded(Yield::Gate { .. })) && next.state != JobState::Running
}

fn outcome_columns(outcome: &Outcome) -> (&'static str, Option<FailureClass>) {
    match outcome {
        Outcome::Done => ("done", None),
        Outcome::DoneWithExceptions => ("done_with_exceptions", None),
        Outcome::Failed { class, .. } => ("failed", Some(*class)),
        Outcome::Yielded(_) => ("yielded", None),
    }
}
