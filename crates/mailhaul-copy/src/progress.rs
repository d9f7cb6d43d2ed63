//! What a run is doing right now, for whoever draws it. Numbers only: the report is computed elsewhere, from the ledger.

use mailhaul_imap::WirePulse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared between the walker, which counts, and a display, which reads at its own pace.
#[derive(Debug, Default)]
pub struct Progress {
    messages_settled: AtomicU64,
    bytes_settled: AtomicU64,
    mailboxes_expected: AtomicU64,
    mailboxes_finished: AtomicU64,
    mailboxes_unchanged: AtomicU64,
    steps: AtomicU64,
    wires: Mutex<Vec<WirePulse>>,
    waits_until: Mutex<Option<Instant>>,
    ahead: Mutex<Ahead>,
    following: Mutex<Option<FollowState>>,
}

/// Where an account that is followed stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Following {
    /// How often it was looked at.
    pub rounds: u64,
    /// Messages copied or changed since the first round.
    pub brought_over: u64,
    /// How long both sides have been in step; `None` while they may not be.
    pub in_step_for: Option<Duration>,
    /// How long the last change took that was brought over.
    pub last_lag: Option<Duration>,
    /// The longest that any took.
    pub greatest_lag: Option<Duration>,
}

/// The same with the moment from which it counts.
#[derive(Debug, Clone)]
pub(crate) struct FollowState {
    pub(crate) rounds: u64,
    pub(crate) brought_over: u64,
    pub(crate) in_step_since: Option<Instant>,
    pub(crate) last_lag: Option<Duration>,
    pub(crate) greatest_lag: Option<Duration>,
}

/// The numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Messages that this run has to look after, as far as is known.
    pub messages_expected: u64,
    /// Those of them that are listed, so that their sizes are known.
    pub messages_listed: u64,
    /// The octets of what is expected, as the source announces them; what is not listed yet is counted at the size that
    /// is usual in the mailboxes that are.
    pub bytes_expected: u64,
    /// Messages settled so far: copied, adopted, or set aside.
    pub messages_settled: u64,
    /// Their octets.
    pub bytes_settled: u64,
    /// The octets settled and those on their way to the target; never above `bytes_expected`.
    pub bytes_moved: u64,
    /// What is expected will change: some mailboxes are only counted, not listed.
    pub is_estimate: bool,
    /// Whether every mailbox is counted or listed, so that what is expected is the whole work and not a part of it.
    pub is_whole: bool,
    /// Mailboxes to be visited.
    pub mailboxes_expected: u64,
    /// Mailboxes finished.
    pub mailboxes_finished: u64,
    /// Those of them that were not visited, because nothing has changed in them.
    pub mailboxes_unchanged: u64,
    /// What is being done, for people, already escaped.
    pub activity: String,
    /// Where it stands, if the account is followed. The other numbers are then those of the present round.
    pub following: Option<Following>,
}

/// What lies ahead, by mailbox. A mailbox that is listed a second time, after a lost connection, replaces itself.
#[derive(Debug, Default)]
struct Ahead {
    /// Counted by the server and not listed yet.
    foreseen: BTreeMap<String, u64>,
    /// Listed and not settled yet: the mailbox that is worked on.
    listed: Option<(u64, u64)>,
    /// Messages and octets of every mailbox as it was first listed.
    seen: BTreeMap<String, (u64, u64)>,
    /// Octets of these that are written to the target and not settled yet.
    moved: u64,
    activity: String,
}

impl Progress {
    /// The numbers at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let ahead = self.ahead();
        let (messages_settled, bytes_settled) = (load(&self.messages_settled), load(&self.bytes_settled));
        let (messages, bytes) = ahead.listed.unwrap_or_default();
        let bytes_moved = bytes_settled + ahead.moved.min(bytes);
        let (messages, bytes) = (messages_settled + messages, bytes_settled + bytes);
        let foreseen: u64 = ahead.foreseen.values().sum();
        let mailboxes_finished = load(&self.mailboxes_finished);
        let mailboxes_expected = load(&self.mailboxes_expected);
        let known = mailboxes_finished + ahead.foreseen.len() as u64 + u64::from(ahead.listed.is_some());
        Snapshot {
            messages_expected: messages + foreseen,
            messages_listed: messages,
            bytes_expected: bytes.saturating_add(foreseen.saturating_mul(usual_size(&ahead.seen))),
            messages_settled,
            bytes_settled,
            bytes_moved,
            is_estimate: foreseen > 0,
            is_whole: mailboxes_expected > 0 && known >= mailboxes_expected,
            mailboxes_expected,
            mailboxes_finished,
            mailboxes_unchanged: load(&self.mailboxes_unchanged),
            activity: ahead.activity.clone(),
            following: self.following(),
        }
    }

    fn following(&self) -> Option<Following> {
        let state = self.following.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Following {
            rounds: state.rounds,
            brought_over: state.brought_over,
            in_step_for: state.in_step_since.map(|since| since.elapsed()),
            last_lag: state.last_lag,
            greatest_lag: state.greatest_lag,
        })
    }

    /// Says where an account stands that is followed.
    pub(crate) fn follow(&self, state: FollowState) {
        self.step();
        *self.following.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// A number that changes with every sign of life: a step, or an octet on either connection.
    #[must_use]
    pub fn beats(&self) -> u64 {
        let wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.iter().fold(self.steps.load(Ordering::Relaxed), |beats, wire| beats.wrapping_add(wire.mark()))
    }

    /// Until when the run knowingly waits, if it does.
    #[must_use]
    pub fn waits_until(&self) -> Option<Instant> {
        *self.waits_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was counted: the run begins something that is counted by itself.
    pub(crate) fn begin_again(&self) {
        self.step();
        let mut ahead = self.ahead();
        let messages = [&self.messages_settled, &self.bytes_settled];
        let mailboxes = [&self.mailboxes_expected, &self.mailboxes_finished, &self.mailboxes_unchanged];
        messages.into_iter().chain(mailboxes).for_each(|counter| counter.store(0, Ordering::Relaxed));
        *ahead = Ahead { activity: std::mem::take(&mut ahead.activity), ..Ahead::default() };
    }

    /// Watches these connections from now on, and no others.
    pub(crate) fn watch(&self, wires: Vec<WirePulse>) {
        self.step();
        *self.wires.lock().unwrap_or_else(PoisonError::into_inner) = wires;
    }

    /// Says how long the run is about to wait.
    pub(crate) fn wait_for(&self, pause: Duration) {
        self.step();
        *self.waits_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn expect_mailboxes(&self, mailboxes: u64) {
        self.mailboxes_expected.store(mailboxes, Ordering::Relaxed);
    }

    pub(crate) fn foresee(&self, mailbox: &str, messages: u64) {
        self.ahead().foreseen.insert(mailbox.to_owned(), messages);
    }

    pub(crate) fn listed(&self, mailbox: &str, messages: u64, bytes: u64) {
        let mut ahead = self.ahead();
        ahead.foreseen.remove(mailbox);
        ahead.listed = Some((messages, bytes));
        ahead.seen.entry(mailbox.to_owned()).or_insert((messages, bytes));
        ahead.moved = 0;
    }

    /// Octets written to the target that are not settled yet, so that a large message is seen to move. What is settled is
    /// taken off again; a mailbox that is listed anew starts with nothing on its way.
    pub(crate) fn moved(&self, bytes: u64) {
        let mut ahead = self.ahead();
        ahead.moved = ahead.moved.saturating_add(bytes);
    }

    pub(crate) fn settle(&self, messages: u64, bytes: u64) {
        self.step();
        let mut ahead = self.ahead();
        self.messages_settled.fetch_add(messages, Ordering::Relaxed);
        self.bytes_settled.fetch_add(bytes, Ordering::Relaxed);
        ahead.moved = ahead.moved.saturating_sub(bytes);
        if let Some(listed) = &mut ahead.listed {
            *listed = (listed.0.saturating_sub(messages), listed.1.saturating_sub(bytes));
        }
    }

    pub(crate) fn finish_mailbox(&self, mailbox: &str) {
        self.mailboxes_finished.fetch_add(1, Ordering::Relaxed);
        let mut ahead = self.ahead();
        ahead.foreseen.remove(mailbox);
        ahead.listed = None;
        ahead.moved = 0;
    }

    /// A mailbox in which nothing has changed.
    pub(crate) fn leave_unchanged(&self) {
        self.step();
        self.mailboxes_unchanged.fetch_add(1, Ordering::Relaxed);
        self.mailboxes_finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn doing(&self, activity: String) {
        self.step();
        self.ahead().activity = activity;
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of a message in the middle when each counts as large as the average of its mailbox: one mailbox with a few
/// large messages does not make all the others look large.
fn usual_size(seen: &BTreeMap<String, (u64, u64)>) -> u64 {
    let mut averages: Vec<(u64, u64)> =
        seen.values().filter_map(|(messages, bytes)| Some((bytes.checked_div(*messages)?, *messages))).collect();
    averages.sort_unstable();
    let middle = averages.iter().map(|(_, messages)| messages).sum::<u64>() / 2;
    let mut passed = 0;
    for (average, messages) in averages {
        passed += messages;
        if passed > middle {
            return average;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_that_is_listed_again_is_not_expected_twice() {
        let progress = Progress::default();
        progress.foresee("a", 100);
        progress.foresee("b", 50);
        assert_eq!(progress.snapshot().messages_expected, 150);
        progress.listed("a", 80, 8_000);
        progress.settle(30, 3_000);
        progress.listed("a", 50, 5_000);
        let now = progress.snapshot();
        assert_eq!((now.messages_expected, now.messages_settled), (130, 30));
        assert_eq!((now.bytes_expected, now.bytes_settled), (13_000, 3_000));
        progress.settle(50, 5_000);
        progress.finish_mailbox("a");
        assert_eq!(progress.snapshot().messages_expected, 130);
    }

    #[test]
    fn octets_on_their_way_move_the_bar_and_are_counted_once() {
        let progress = Progress::default();
        progress.foresee("b", 1);
        progress.listed("a", 2, 1_000);
        assert!(progress.snapshot().is_estimate);
        progress.moved(600);
        let now = progress.snapshot();
        assert_eq!((now.bytes_settled, now.bytes_moved), (0, 600));
        progress.settle(1, 500);
        let now = progress.snapshot();
        assert_eq!((now.bytes_settled, now.bytes_moved), (500, 600));
        progress.moved(9_000);
        assert_eq!(progress.snapshot().bytes_moved, 1_000, "never more than there is");
        progress.listed("a", 1, 500);
        assert_eq!(progress.snapshot().bytes_moved, 500, "a new pass has nothing on its way");
        progress.listed("b", 1, 100);
        assert!(!progress.snapshot().is_estimate);
    }

    #[test]
    fn the_whole_is_known_only_when_every_mailbox_is_counted() {
        let progress = Progress::default();
        assert!(!progress.snapshot().is_whole, "nothing is known before the mailboxes are");
        progress.expect_mailboxes(2);
        progress.listed("a", 10, 0);
        assert!(!progress.snapshot().is_whole);
        progress.foresee("b", 5);
        assert!(progress.snapshot().is_whole);
        progress.finish_mailbox("a");
        progress.listed("b", 5, 0);
        assert!(progress.snapshot().is_whole);
    }

    #[test]
    fn one_large_message_does_not_make_the_rest_look_large() {
        let progress = Progress::default();
        progress.foresee("c", 1_000);
        progress.listed("a", 60, 600_000);
        progress.settle(60, 600_000);
        progress.finish_mailbox("a");
        progress.listed("b", 1, 30 << 20);
        let now = progress.snapshot();
        assert_eq!(now.bytes_expected, 600_000 + (30 << 20) + 1_000 * 10_000);
        assert_eq!((now.messages_listed, now.messages_expected), (61, 1_061));
    }
}
