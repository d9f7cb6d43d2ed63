//! A process that has lost its jobs and does not know it yet, seen alone.
//!
//! It is stopped until others have its accounts and have begun to write of them; then they are stopped, and it goes on.
//! What the ledger says of those accounts must not change by it, and no message of it may come to its end.
//!
//! In the first scene of a wave it has the means to do harm in its hands when it awakes: of some accounts the rest of a
//! batch, so that the command which is open could be completed; of others an answer that messages were stored.

use super::Book;
use super::crew::Crew;
use super::state::{Account, State};
use crate::Wave;
use crate::process::send;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::proxy::{Direction, Event, Fault, Moment, Plan};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The lease, its margin, and the time that successors take to come and to claim; then some of them must do.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(3);
/// A process that is stopped while it writes keeps everybody waiting, and nobody comes.
const NOBODY_AFTER: Duration = Duration::from_secs(2);
/// How long a successor waits for what may still land from a process that lives, and as long again for what it then
/// does on a busy machine.
const BEGUN_WITHIN: Duration = Duration::from_secs(25);
/// Shorter than the others' leases last.
const ALONE_FOR: Duration = Duration::from_millis(600);
/// So many accounts are held with a command open, and so many with an answer on its way.
const HELD: usize = 3;
const HELD_WITHIN: Duration = Duration::from_secs(10);
/// Messages of a batch that have been sent when it is held; all of the largest batches have more.
const SENT_MAX: usize = 30;

/// Has the next connections held: in the middle of a message from the source, before an answer of the target.
pub(super) fn arrange(wave: &Wave, dice: &mut Dice) {
    let none = (0..HELD).map(|_| Plan::new());
    let in_a_message = || {
        let nth = 2 + u32::try_from(dice.below(SENT_MAX)).unwrap_or(0);
        Plan::new().fault(Moment::InLiteral(Direction::ToClient, nth, 10), Fault::Hold)
    };
    let before_an_answer = || Plan::new().fault(Moment::BeforeAnswer("APPEND".to_owned(), 1), Fault::Hold);
    wave.source.set_next_plans(std::iter::repeat_with(in_a_message).take(HELD).chain(none.clone()));
    wave.target.set_next_plans(none.chain(std::iter::repeat_with(before_an_answer).take(HELD)));
}

/// Waits until they are, with everybody at his place; false if it does not come to that.
pub(super) fn is_arranged(wave: &Wave, crew: &mut Crew<'_>, state: &State) -> bool {
    let held = u32::try_from(HELD).unwrap_or(1);
    let arranged = wave.source.wait_at_most(&Event::Fault(held), HELD_WITHIN)
        && wave.target.wait_at_most(&Event::Fault(1), HELD_WITHIN);
    // Who starts while another does not answer waits for it first.
    crew.complete();
    wait_at_most(HELD_WITHIN, || state.workers() >= crew.hands.len());
    arranged
}

/// Whether it was met: it had jobs, and others took them. With patience its successors come so far that they send again
/// what they did not find.
pub(super) fn haunt(crew: &mut Crew<'_>, place: usize, state: &State, patient: bool, book: &mut Book) -> bool {
    let jobs = state.holders().remove(&crew.hands[place].worker.child.id()).unwrap_or_default();
    send(&crew.hands[place].worker.child, Signal::STOP);
    for proxy in [&crew.wave().source, &crew.wave().target] {
        proxy.release();
    }
    let before = state.accounts();
    let taken = wait_for_successors(state, &before, jobs.len());
    if patient && !taken.is_empty() {
        wait_at_most(BEGUN_WITHIN, || have_begun(&state.accounts(), &before, &taken));
        book.figures.late_ghosts += u64::from(have_begun(&state.accounts(), &before, &taken));
    }
    let (written, now) = see_alone(crew, place, state);
    for pair in &taken {
        // A claim of its own is in order.
        let (then, now) = (&written[pair], &now[pair]);
        if now.generation == then.generation && now != then {
            let seen = format!("account {pair} was written by a process that had lost it: {then:?} → {now:?}");
            book.outcome.fail(&book.repeat, seen);
        }
    }
    book.figures.ghosts += u64::from(!taken.is_empty());
    !taken.is_empty()
}

/// Lets one process go on while the others stand still; the accounts before and after.
fn see_alone(crew: &mut Crew<'_>, place: usize, state: &State) -> (BTreeMap<i64, Account>, BTreeMap<i64, Account>) {
    let mut others = Vec::new();
    for other in (0..crew.hands.len()).filter(|other| *other != place) {
        if !crew.hands[other].worker.has_ended() {
            send(&crew.hands[other].worker.child, Signal::STOP);
            others.push(other);
        }
    }
    let written = state.accounts();
    let refused = crew.hands[place].refused_writes();
    send(&crew.hands[place].worker.child, Signal::CONT);
    wait_at_most(ALONE_FOR, || crew.hands[place].refused_writes() > refused);
    let now = state.accounts();
    for other in others {
        send(&crew.hands[other].worker.child, Signal::CONT);
    }
    (written, now)
}

/// The accounts that somebody has claimed anew, once it is as many as jobs were lost, or time enough has passed.
fn wait_for_successors(state: &State, before: &BTreeMap<i64, Account>, jobs: usize) -> Vec<i64> {
    let taken = || -> Vec<i64> {
        let newer = |(pair, account): &(i64, Account)| {
            before.get(pair).is_some_and(|before| before.generation < account.generation)
        };
        state.accounts().into_iter().filter(newer).map(|(pair, _)| pair).collect()
    };
    wait_at_most(TAKEN_OVER_WITHIN, || taken().len() >= jobs);
    wait_at_most(NOBODY_AFTER, || !taken().is_empty());
    taken()
}

/// Whether the ledger knows something new of most of the accounts that were taken.
fn have_begun(now: &BTreeMap<i64, Account>, before: &BTreeMap<i64, Account>, taken: &[i64]) -> bool {
    let begun = taken.iter().filter(|pair| now[pair].mailboxes() != before[pair].mailboxes()).count();
    begun * 2 > taken.len()
}

fn wait_at_most(time: Duration, holds: impl Fn() -> bool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !holds() {
        std::thread::sleep(LOOK_EVERY);
    }
}
