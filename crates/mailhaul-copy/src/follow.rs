//! Staying connected and copying changes as they come, until somebody ends it: what runs in the last hours before the
//! switch. Each round is what a copy does in one run, over the same two connections and under one lease; between two
//! rounds the source is listened to.
//!
//! ```text
//! round ──▶ something was done? ──▶ round again, at once
//!   ▲                │ no
//!   └── news, or time is up ◀── wait: NOTIFY, else IDLE on one mailbox
//! ```
//!
//! News is only ever a reason to look. What is new is found by the round, from the figures that it asks for itself, so
//! that nothing is missed when a server tells too little, and nothing is believed when it tells too much. What came while
//! a round was at work is found because a round that has done something is followed by another one, and because news
//! heard meanwhile ends the next waiting at once.
//!
//! Once a first round has come to its end nothing but a stop, a refused sign-in, or a decision that only the operator can
//! take ends it: a source that is down for an hour is waited for.

use crate::account::{Run, finish, say_goodbye, stopped_for_long};
use crate::bounds;
use crate::error::{WalkError, on, stop_of, stop_of_ledger};
use crate::follow_listen::{Ear, Heard};
use crate::follow_story::Story;
use crate::job::{CopyJob, RetryExceptions};
use crate::learning::Learning;
use crate::oversight::Oversight;
use crate::pause;
use crate::progress::FollowState;
use crate::walk::{Links, Walk};
use mailhaul_db::{Ledger, PairLease};
use mailhaul_imap::ErrorClass;
use mailhaul_plan::keys::KeyMaker;
use mailhaul_report::RunReport;
use mailhaul_types::Side;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How an account is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowOptions {
    /// How long after a round the next one begins at the latest where the source tells of one mailbox only (IDLE), or
    /// of none; between 1 second and 10 minutes.
    pub poll: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { poll: Duration::from_secs(30) }
    }
}

impl FollowOptions {
    fn poll(self) -> Duration {
        self.poll.clamp(Duration::from_secs(1), bounds::FOLLOW_POLL_MAX)
    }
}

/// Copies one account and goes on copying what changes, until a stop is asked for. In step at that moment, the run ends
/// with its verdict; else it ends as interrupted. Never panics and never fails: what went wrong stands in the report.
pub async fn follow_account(
    job: &CopyJob,
    ledger: &Ledger,
    oversight: &Oversight<'_>,
    options: &FollowOptions,
) -> RunReport {
    let started = Instant::now();
    let mut report = match ledger.claim_pair_over(&job.accounts.identity(), oversight.stale_holder).await {
        Ok(lease) => {
            let report = follow_with_lease(job, ledger, &lease, oversight, *options).await;
            finish(lease, report).await
        }
        Err(error) => RunReport { stop: Some(stop_of_ledger(&error)), ..RunReport::default() },
    };
    report.seconds = started.elapsed().as_secs_f64();
    report
}

async fn follow_with_lease(
    job: &CopyJob,
    ledger: &Ledger,
    lease: &PairLease,
    oversight: &Oversight<'_>,
    options: FollowOptions,
) -> RunReport {
    let learning = Arc::new(Learning::recall(ledger, &job.accounts).await);
    let walk = Walk::new(job, lease, KeyMaker::new(ledger.digest_key()), oversight, Arc::clone(&learning));
    // What was refused is offered again once, and not in every round.
    let later = CopyJob { retry_exceptions: RetryExceptions::Nowhere, ..job.clone() };
    let keys = KeyMaker::new(ledger.digest_key());
    // What the source has refused in the first round is not asked for in the others.
    let later_walk = Walk::new(&later, lease, keys, oversight, Arc::clone(&learning)).after(&walk);
    let mut follower = Follower {
        walk: &walk,
        later_walk: &later_walk,
        poll: options.poll(),
        links: None,
        ear: Ear::default(),
        story: Story::default(),
        looked_at: None,
        in_step_since: None,
        haste: Haste::default(),
    };
    let end = follower.follow().await;
    let Follower { links, story, in_step_since, .. } = follower;
    if let Some(links) = &links {
        learning.look_at(links);
    }
    learning.keep(ledger, &job.accounts).await;
    if let (Some(links), Ok(())) = (links, &end) {
        say_goodbye(links).await;
    }
    story.into_report(end.err().map(stop_of), in_step_since.is_some())
}

pub(crate) struct Follower<'a> {
    pub(crate) walk: &'a Walk<'a>,
    /// What takes its place once the first round has come to its end.
    later_walk: &'a Walk<'a>,
    /// The longest time between two rounds where not every mailbox is listened to.
    pub(crate) poll: Duration,
    pub(crate) links: Option<Links>,
    pub(crate) ear: Ear,
    pub(crate) story: Story,
    /// When the last round began that came to its end; `None` before the first has.
    looked_at: Option<Instant>,
    /// Since when both sides are known to have been in step; `None` while they may not be.
    in_step_since: Option<Instant>,
    haste: Haste,
}

impl Follower<'_> {
    /// Round after round. Ends well only by a stop while both sides are in step.
    async fn follow(&mut self) -> Result<(), WalkError> {
        let mut pauses = endless_pauses();
        // When news came that no round has answered yet.
        let mut news_at: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let looked = match self.round().await {
                Ok(brought_over) => {
                    self.settle(brought_over, began, news_at.take());
                    if self.walk.stop.is_requested() {
                        return Ok(());
                    }
                    pauses = endless_pauses();
                    match brought_over {
                        0 => self.wait_unhurried().await,
                        _ => {
                            self.haste = Haste::default();
                            // Whatever came meanwhile is found by looking again. A moment in between lets a burst end.
                            self.pause(bounds::FOLLOW_AFTER_CHANGES).await.map(|()| Heard::Nothing)
                        }
                    }
                }
                Err(error) => Err(error),
            };
            match looked {
                Ok(_) if self.in_step_since.is_some() && self.walk.stop.is_requested() => return Ok(()),
                Ok(Heard::Nothing) => {}
                Ok(Heard::News) => {
                    news_at = Some(Instant::now());
                    self.in_step_since = None;
                    self.publish();
                }
                Err(error) => {
                    self.in_step_since = None;
                    self.publish();
                    self.recover(error, &mut pauses).await?;
                }
            }
        }
    }

    /// One run over the account; returns how many messages it copied or changed.
    async fn round(&mut self) -> Result<u64, WalkError> {
        let walk = self.walk;
        if self.looked_at.is_some() {
            walk.progress.begin_again();
        }
        self.unselect().await?;
        let mut run = Run::new(walk);
        run.links = self.links.take();
        let end = tokio::select! {
            end = run.work() => end,
            () = stopped_for_long(walk.stop) => Err(WalkError::Interrupted { unanswered: 0 }),
        };
        run.file_held().await;
        let Run { links, summary, .. } = run;
        let report = summary.into_report(None);
        // A round looks after its connections itself, and says in what it shows that one was lost.
        self.in_step_since = walk.progress.in_step_since();
        let brought_over = self.story.take(report, self.looked_at.is_some());
        end?;
        // A connection that was made within the round does not listen to anything yet.
        self.links = links;
        Ok(brought_over)
    }

    /// A round came to its end: both sides are in step, as far as it looked.
    fn settle(&mut self, brought_over: u64, began: Instant, news_at: Option<Instant>) {
        if let Some(looked_at) = self.looked_at.filter(|_| brought_over > 0) {
            // Nobody knows when a change was made that nobody told of; but not before the last look.
            let lag = news_at.unwrap_or(looked_at).elapsed();
            self.story.lagged(lag);
            tracing::info!(
                brought_over,
                lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX),
                "{brought_over} changes brought over"
            );
        }
        self.looked_at = Some(began);
        self.walk = self.later_walk;
        if brought_over > 0 || self.in_step_since.is_none() {
            self.in_step_since = Some(Instant::now());
        }
        self.publish();
    }

    fn publish(&self) {
        self.walk.progress.follow(FollowState {
            rounds: self.story.rounds(),
            brought_over: self.story.brought_over(),
            in_step_since: self.in_step_since,
            last_lag: self.story.last_lag(),
            greatest_lag: self.story.greatest_lag(),
        });
    }

    /// The same, after a round that brought nothing over: a server whose figures never stand still, or that tells of news
    /// without end, is not asked without end.
    async fn wait_unhurried(&mut self) -> Result<Heard, WalkError> {
        let began = Instant::now();
        let heard = self.wait().await?;
        let pause = self.haste.pause_after(began.elapsed(), self.poll);
        if !pause.is_zero() {
            self.pause(pause).await?;
        }
        Ok(heard)
    }

    /// Waits until the source tells of something, or it is time to look again, or a stop is asked for.
    async fn wait(&mut self) -> Result<Heard, WalkError> {
        let stop = self.walk.stop;
        tokio::select! {
            heard = self.listen() => heard,
            // A server that hangs over the end of its IDLE.
            () = stopped_for_long(stop) => {
                self.links = None;
                Ok(Heard::Nothing)
            }
        }
    }

    /// Has no mailbox selected on either side: the figures of a selected one may be stale (RFC 9051 §6.3.11), and NOTIFY
    /// tells of it in another way than of the others.
    pub(crate) async fn unselect(&mut self) -> Result<(), WalkError> {
        let Some(links) = self.links.as_mut() else { return Ok(()) };
        let (source, target) = tokio::join!(links.source.unselect(), links.target.unselect());
        source.map_err(on(Side::Source))?;
        target.map_err(on(Side::Target))?;
        Ok(())
    }

    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), WalkError> {
        tokio::select! {
            () = self.walk.stop.requested() => {}
            () = tokio::time::sleep(pause) => {}
        }
        Ok(())
    }

    /// Decides whether to go on after an error, and waits before that.
    async fn recover(&mut self, error: WalkError, pauses: &mut Pauses) -> Result<(), WalkError> {
        let WalkError::Link(link) = error else { return Err(error) };
        self.links = None;
        self.ear = Ear::default();
        let class = link.error.class();
        let is_final = matches!(
            class,
            ErrorClass::SignIn | ErrorClass::Tls | ErrorClass::Usage | ErrorClass::Quota | ErrorClass::Lease
        );
        if is_final || self.looked_at.is_none() {
            return Err(WalkError::Link(link));
        }
        self.story.reconnected();
        let asked = link.error.retry_after().filter(|_| class == ErrorClass::Throttle);
        let pause = asked.or_else(|| pauses.next()).unwrap_or(bounds::THROTTLE_PAUSE).min(bounds::THROTTLE_PAUSE_MAX);
        tracing::warn!(error = %link, again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "connection lost; reconnecting");
        self.walk.progress.lost_connection(&link.to_string());
        self.walk.progress.wait_for(pause);
        self.pause(pause).await?;
        if self.walk.stop.is_requested() {
            return Err(WalkError::Interrupted { unanswered: 0 });
        }
        Ok(())
    }
}

type Pauses = Box<dyn Iterator<Item = Duration> + Send>;

/// As between two tries of a copy, and then for ever at the longest.
fn endless_pauses() -> Pauses {
    Box::new(pause::reconnects(usize::MAX))
}

/// How many rounds in a row brought nothing over and were followed by the next at once.
#[derive(Debug, Clone, Copy, Default)]
struct Haste {
    rounds: u32,
}

impl Haste {
    /// How long to wait on top, after a round that brought nothing over and a waiting that took so long. Beginning to
    /// listen ends a waiting or two at once; a server that does so time and again is left alone for longer and longer.
    fn pause_after(&mut self, waited: Duration, poll: Duration) -> Duration {
        if waited >= bounds::FOLLOW_FLOOR {
            self.rounds = 0;
            return Duration::ZERO;
        }
        self.rounds = self.rounds.saturating_add(1);
        match self.rounds.checked_sub(bounds::FOLLOW_HASTY_ROUNDS + 1) {
            None => Duration::ZERO,
            Some(more) => bounds::FOLLOW_FLOOR.saturating_mul(2_u32.saturating_pow(more)).min(poll),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_each_waiting_at_once_is_left_alone_for_longer_and_longer() {
        let (mut haste, poll) = (Haste::default(), Duration::from_secs(30));
        let seconds = |haste: &mut Haste, waited| haste.pause_after(waited, poll).as_secs();
        let hasty: Vec<u64> = (0..10).map(|_| seconds(&mut haste, Duration::ZERO)).collect();
        assert_eq!(hasty, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(seconds(&mut haste, Duration::from_secs(1)), 0);
        assert_eq!(seconds(&mut haste, Duration::ZERO), 0, "what went before is forgotten");
        let mut haste = Haste { rounds: u32::MAX };
        assert_eq!(seconds(&mut haste, Duration::ZERO), 30);
    }
}
