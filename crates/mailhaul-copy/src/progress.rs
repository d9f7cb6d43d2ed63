//! What a run is doing right now, for whoever draws it. Numbers only: the report is computed elsewhere, from the ledger.

use mailhaul_imap::WirePulse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    following: Arc<Mutex<Option<FollowState>>>,
    /// What is counted beside this, while several mailboxes are worked on at once.
    strands: Mutex<Vec<Arc<Progress>>>,
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
        let strands = self.strands();
        let mut all = Sum::default();
        all.add(self);
        strands.iter().for_each(|strand| all.add(strand));
        let (messages, bytes) = (all.messages_settled + all.listed.0, all.bytes_settled + all.listed.1);
        let known = all.mailboxes_finished + all.foreseen.len() as u64 + all.at_work;
        let foreseen: u64 = all.foreseen.values().sum();
        let mailboxes_expected = self.mailboxes_expected.load(Ordering::Relaxed);
        Snapshot {
            messages_expected: messages + foreseen,
            messages_listed: messages,
            bytes_expected: bytes.saturating_add(foreseen.saturating_mul(usual_size(&all.seen))),
            messages_settled: all.messages_settled,
            bytes_settled: all.bytes_settled,
            bytes_moved: all.bytes_moved,
            is_estimate: foreseen > 0,
            is_whole: mailboxes_expected > 0 && known >= mailboxes_expected,
            mailboxes_expected,
            mailboxes_finished: all.mailboxes_finished,
            mailboxes_unchanged: self.mailboxes_unchanged.load(Ordering::Relaxed),
            activity: activity(self, &strands),
            following: self.following(),
        }
    }

    /// What counts beside this from now on, as a part of it.
    pub(crate) fn open_strand(&self) -> Arc<Progress> {
        // What is lost beside this is lost for all.
        let strand = Arc::new(Progress { following: Arc::clone(&self.following), ..Progress::default() });
        self.strands.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&strand));
        strand
    }

    /// Takes over what was counted beside this.
    pub(crate) fn close_strands(&self) {
        let strands = std::mem::take(&mut *self.strands.lock().unwrap_or_else(PoisonError::into_inner));
        for strand in strands {
            let mut ahead = self.ahead();
            let counters = [
                (&self.messages_settled, &strand.messages_settled),
                (&self.bytes_settled, &strand.bytes_settled),
                (&self.mailboxes_finished, &strand.mailboxes_finished),
                (&self.steps, &strand.steps),
            ];
            for (ours, theirs) in counters {
                ours.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            ahead.seen.append(&mut strand.ahead().seen);
        }
    }

    /// Hands a mailbox that is foreseen here to a strand.
    pub(crate) fn hand_over(&self, mailbox: &str, strand: &Progress) {
        if let Some(messages) = self.ahead().foreseen.remove(mailbox) {
            strand.foresee(mailbox, messages);
        }
    }

    /// Takes back a mailbox that a strand has not come to the end of.
    pub(crate) fn take_back(&self, mailbox: &str, strand: &Progress) {
        let left = {
            let mut ahead = strand.ahead();
            ahead.moved = 0;
            let listed = ahead.listed.take().map(|(messages, _)| messages);
            ahead.foreseen.remove(mailbox).or(listed)
        };
        self.foresee(mailbox, left.unwrap_or_default());
    }

    fn strands(&self) -> Vec<Arc<Progress>> {
        self.strands.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Says that a connection was lost, and with which words. Nobody knows then whether an account that is followed is still
    /// in step.
    pub(crate) fn lost_connection(&self, words: &str) {
        self.doing(format!("reconnecting after: {words}"));
        if let Some(state) = self.following.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            state.in_step_since = None;
        }
    }

    /// Since when an account that is followed is known to be in step.
    pub(crate) fn in_step_since(&self) -> Option<Instant> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.in_step_since
    }

    /// A number that changes with every sign of life: a step, or an octet on either connection.
    #[must_use]
    pub fn beats(&self) -> u64 {
        let strands = self.strands().iter().fold(0, |beats: u64, strand| beats.wrapping_add(strand.beats()));
        let wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.steps.load(Ordering::Relaxed).wrapping_add(strands);
        wires.iter().fold(own, |beats, wire| beats.wrapping_add(wire.mark()))
    }

    /// Until when the run knowingly waits, if it does.
    #[must_use]
    pub fn waits_until(&self) -> Option<Instant> {
        let own = *self.waits_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.strands().iter().filter_map(|strand| strand.waits_until()).chain(own).max()
    }

    /// Forgets what was counted: the run begins something that is counted by itself.
    pub(crate) fn begin_again(&self) {
        self.step();
        let mut ahead = self.ahead();
        let messages = [&self.messages_settled, &self.bytes_settled];
        let mailboxes = [&self.mailboxes_expected, &self.mailboxes_finished, &self.mailboxes_unchanged];
        messages.into_iter().chain(mailboxes).for_each(|counter| counter.store(0, Ordering::Relaxed));
        self.strands.lock().unwrap_or_else(PoisonError::into_inner).clear();
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

/// The numbers of everything that is counted side by side.
#[derive(Default)]
struct Sum {
    messages_settled: u64,
    bytes_settled: u64,
    bytes_moved: u64,
    mailboxes_finished: u64,
    /// Mailboxes that are listed and not finished.
    at_work: u64,
    /// What of them is not settled: messages, octets.
    listed: (u64, u64),
    foreseen: BTreeMap<String, u64>,
    seen: BTreeMap<String, (u64, u64)>,
}

impl Sum {
    fn add(&mut self, progress: &Progress) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let ahead = progress.ahead();
        let (messages, bytes) = ahead.listed.unwrap_or_default();
        let bytes_settled = load(&progress.bytes_settled);
        self.messages_settled += load(&progress.messages_settled);
        self.bytes_settled += bytes_settled;
        self.bytes_moved += bytes_settled + ahead.moved.min(bytes);
        self.mailboxes_finished += load(&progress.mailboxes_finished);
        self.at_work += u64::from(ahead.listed.is_some());
        self.listed = (self.listed.0 + messages, self.listed.1 + bytes);
        self.foreseen.extend(ahead.foreseen.iter().map(|(name, messages)| (name.clone(), *messages)));
        self.seen.extend(ahead.seen.iter().map(|(name, listed)| (name.clone(), *listed)));
    }
}

/// What is being done: in the first strand, and in how many others, while there are strands.
fn activity(all: &Progress, strands: &[Arc<Progress>]) -> String {
    let busy = strands.iter().map(|strand| strand.ahead().activity.clone()).filter(|activity| !activity.is_empty());
    let busy: Vec<String> = busy.collect();
    match busy.as_slice() {
        [] => all.ahead().activity.clone(),
        [alone] => alone.clone(),
        [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
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
    fn strands_count_into_the_whole_while_they_are_open_and_afterwards() {
        let progress = Progress::default();
        progress.expect_mailboxes(2);
        progress.foresee("a", 10);
        progress.foresee("b", 20);
        let strand = progress.open_strand();
        progress.hand_over("a", &strand);
        strand.doing("a: copying".to_owned());
        strand.listed("a", 10, 1_000);
        strand.settle(4, 400);
        let now = progress.snapshot();
        assert_eq!((now.messages_expected, now.messages_settled, now.bytes_settled), (30, 4, 400));
        assert_eq!((now.is_whole, now.activity.as_str()), (true, "a: copying"));
        strand.settle(6, 600);
        strand.finish_mailbox("a");
        let open = progress.snapshot();
        progress.close_strands();
        assert_eq!((open.messages_expected, open.mailboxes_finished), (30, 1));
        assert_eq!(Snapshot { activity: open.activity.clone(), ..progress.snapshot() }, open);
    }

    #[test]
    fn a_mailbox_that_a_strand_gives_back_is_expected_once() {
        let progress = Progress::default();
        progress.expect_mailboxes(1);
        progress.foresee("a", 10);
        let (lost, other) = (progress.open_strand(), progress.open_strand());
        progress.hand_over("a", &lost);
        lost.listed("a", 10, 1_000);
        lost.settle(4, 400);
        progress.take_back("a", &lost);
        let between = progress.snapshot();
        assert_eq!((between.messages_expected, between.messages_settled, between.is_whole), (10, 4, true));
        progress.hand_over("a", &other);
        other.listed("a", 6, 600);
        other.settle(6, 600);
        other.finish_mailbox("a");
        let end = progress.snapshot();
        assert_eq!((end.messages_expected, end.messages_settled, end.bytes_settled), (10, 10, 1_000));
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
