//! The processes that work on a wave, each with a clock of its own. Who ends is replaced.

use super::state::State;
use super::{Book, LEASE};
use crate::shim::{Control, Shim};
use crate::{Wave, Worker};
use std::path::Path;
use std::time::{Duration, Instant};

const PROCESSES: usize = 3;
/// Two of three can carry the whole wave, so that what one loses is taken up at once.
const WORKERS: &str = "6";
/// How a process may end: it has settled, or the lock was held for too long, or the wave waits for somebody.
const DOCUMENTED: [i32; 4] = [0, 4, 5, 6];
/// New mail of each account once all have theirs.
const MORE_MAILS: usize = 40;
/// What the ledger says to a process whose claim of an account is not the newest.
const REFUSED: &str = "is no longer the newest";

pub(super) struct Crew<'a> {
    wave: &'a Wave,
    shim: &'a Shim,
    pub(super) hands: Vec<Hand>,
    /// Refused writes of those who have ended.
    refused: usize,
    /// Whether all had their mail once, and more has come since.
    has_more: bool,
}

/// Who is to be hit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom {
    TheFirst,
    Counted(usize),
}

/// One process and its clock.
pub(super) struct Hand {
    pub(super) worker: Worker,
    pub(super) control: Control,
}

impl<'a> Crew<'a> {
    /// The first of them.
    pub(super) fn of(wave: &'a Wave, shim: &'a Shim) -> Crew<'a> {
        Crew { wave, shim, hands: vec![begin(wave, shim, false)], refused: 0, has_more: false }
    }

    /// The others come.
    pub(super) fn complete(&mut self) {
        while self.hands.len() < PROCESSES {
            self.hands.push(begin(self.wave, self.shim, self.has_more));
        }
    }

    /// Somebody who is at work: it lives, and jobs are its own. The first if it is he who is asked for, else the how
    /// manyeth, counted round.
    pub(super) fn at_work(&mut self, whom: Whom, state: &State) -> Option<usize> {
        let holders = state.holders();
        let holds = |hand: &mut Hand| !hand.worker.has_ended() && holders.contains_key(&hand.worker.child.id());
        let busy: Vec<usize> = (0..self.hands.len()).filter(|place| holds(&mut self.hands[*place])).collect();
        match whom {
            Whom::TheFirst => busy.first().copied().filter(|place| *place == 0),
            Whom::Counted(_) if busy.is_empty() => None,
            Whom::Counted(number) => Some(busy[number % busy.len()]),
        }
    }

    /// Replaces those who have ended because of what was done to them, has jobs tried again that were put aside, and
    /// brings more mail where nothing is left to do.
    pub(super) fn keep_at_work(&mut self, state: &State, book: &mut Book) {
        if state.open_jobs() == 0 {
            let servers = &self.wave.servers;
            servers.accounts.iter().for_each(|account| servers.deliver(account, MORE_MAILS));
            self.has_more = true;
        }
        if state.failed() > 0 {
            let _ = self.wave.say(&["retry", "--failed"]);
        }
        for hand in &mut self.hands {
            if hand.worker.has_ended() {
                let code = hand.worker.code(Duration::ZERO).unwrap_or(-1);
                judge_end(hand, code, book);
                self.refused += hand.refused_writes();
                *hand = begin(self.wave, self.shim, self.has_more);
            }
        }
    }

    /// Waits until all have ended.
    pub(super) fn see_out(&mut self, at_most: Duration, book: &mut Book) {
        let until = Instant::now() + at_most;
        for hand in &mut self.hands {
            match hand.worker.code(until.saturating_duration_since(Instant::now())) {
                Some(code) => judge_end(hand, code, book),
                None => book.outcome.fail(&book.repeat, format!("a process did not end:\n{}", hand.worker.said())),
            }
        }
    }

    /// Writes of all of them, also of those who have ended, that the ledger has refused because somebody else had taken
    /// over.
    pub(super) fn refused_writes(&self) -> usize {
        self.refused + self.hands.iter().map(Hand::refused_writes).sum::<usize>()
    }

    /// What they work on.
    pub(super) fn wave(&self) -> &'a Wave {
        self.wave
    }
}

impl Hand {
    pub(super) fn refused_writes(&self) -> usize {
        self.worker.said().matches(REFUSED).count()
    }
}

fn begin(wave: &Wave, shim: &Shim, resync: bool) -> Hand {
    let control = shim.control();
    let lease = LEASE.as_millis().to_string();
    let mut words = vec!["--workers", WORKERS, "--lease-ms", &lease];
    if resync {
        words.extend(["--kind", "resync"]);
    }
    let mut command = wave.run_command(&words);
    control.rule(&mut command, Path::new("/nowhere"));
    Hand { worker: wave.start(command), control }
}

fn judge_end(hand: &Hand, code: i32, book: &mut Book) {
    if !DOCUMENTED.contains(&code) {
        book.outcome.fail(&book.repeat, format!("a process ended with {code}:\n{}", hand.worker.said()));
    }
}
