//! One running job, as the engine sees it: its lease, its signs of life, what it was asked to do.

use super::{EngineOptions, JobControl};
use crate::ids::LeaseKey;
use crate::state::{FailureClass, Outcome, Yield};
use crate::store::JobEnd;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::Instant;

pub(super) struct Running {
    pub(super) key: LeaseKey,
    control: JobControl,
    task: AbortHandle,
    renewed_at: Instant,
    beats: u64,
    moved_at: Instant,
    asked_at: Option<Instant>,
    lost: bool,
    stalled: bool,
}

impl Running {
    pub(super) fn new(key: LeaseKey, control: JobControl, task: AbortHandle) -> Self {
        let now = Instant::now();
        Self {
            key,
            control,
            task,
            renewed_at: now,
            beats: 0,
            moved_at: now,
            asked_at: None,
            lost: false,
            stalled: false,
        }
    }

    pub(super) fn is_task(&self, id: tokio::task::Id) -> bool {
        self.task.id() == id
    }

    /// Whether the lease is to be renewed now: its time has come, and the job lives.
    pub(super) fn is_due_for_renewal(&mut self, options: &EngineOptions) -> bool {
        self.look_for_life();
        self.renewed_at.elapsed() >= options.renew && !self.has_stalled(options) && !self.lost
    }

    fn look_for_life(&mut self) {
        let (beats, waits_until) = self.control.beats();
        let now = Instant::now();
        if beats != self.beats {
            (self.beats, self.moved_at) = (beats, now);
        }
        if let Some(until) = waits_until {
            self.moved_at = self.moved_at.max(now.min(Instant::from_std(until)));
        }
    }

    /// Whether nothing has moved for as long as a job may stand still. Every wait for a server has a deadline of its
    /// own that is no longer than this.
    pub(super) fn has_stalled(&self, options: &EngineOptions) -> bool {
        self.moved_at.elapsed() > options.stall
    }

    pub(super) fn renewed(&mut self, until_boot_ms: i64) {
        self.renewed_at = Instant::now();
        self.control.renewed(until_boot_ms);
    }

    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.control.renewed(i64::MIN);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn ask(&mut self, asked: Yield) {
        self.asked_at.get_or_insert_with(Instant::now);
        self.control.ask(asked);
    }

    pub(super) fn options_changed(&self) {
        self.control.set_options_changed();
    }

    pub(super) fn overdue(&self, limit: Duration) -> bool {
        self.asked_at.is_some_and(|asked_at| asked_at.elapsed() > limit)
    }

    /// Cuts off a job that has stalled. Unlike one that was asked to yield, it has failed.
    pub(super) fn give_up(&mut self) {
        self.stalled = true;
        self.cut_off();
    }

    pub(super) fn cut_off(&self) {
        self.task.abort();
    }

    /// The end of a task that did not come to its own: cut off after it was asked to yield, or panicked.
    pub(super) fn end_of_broken_task(&self, error: &JoinError) -> JobEnd {
        let failed = |class| Outcome::Failed { class, retry_after: None };
        let (outcome, words) = match self.control.must_yield() {
            _ if !error.is_cancelled() => (
                failed(FailureClass::Internal),
                "a fault in this program ended the attempt; please report it with the log",
            ),
            _ if self.stalled => (failed(FailureClass::Network), "cut off: nothing had moved for too long"),
            Some(asked) => (Outcome::Yielded(asked), "cut off: it did not stop by itself in time"),
            None => (Outcome::Yielded(Yield::Shutdown), "cut off"),
        };
        JobEnd { outcome, words: words.to_owned(), counts: "{}".to_owned(), progressed: false, then: Vec::new() }
    }
}
