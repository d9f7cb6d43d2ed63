//! What is done to a process, or to the file that all share.

use super::crew::{Crew, Whom};
use super::state::State;
use super::{Book, LEASE, Plan, ghost};
use crate::process::send;
use crate::sqlite;
use mailhaul_testing::histories::Dice;
use rustix::process::Signal;
use std::time::Duration;

/// Longer than mailhaul waits for somebody else's lock: then a process ends, and says why.
const LONG_LOCK: Duration = Duration::from_secs(12);
const LOCK_OF_A_MINUTE: Duration = Duration::from_secs(60);
const FIVE_YEARS_SECS: f64 = 5.0 * 365.25 * 86_400.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// The process is stopped for so long.
    Stop(Duration),
    /// It is stopped until others have its jobs, and then seen alone.
    Ghost {
        /// Until they have sent something.
        patient: bool,
    },
    /// Its clock is so many seconds off from now on.
    Clock(i64),
    /// Somebody else holds the file's lock.
    Lock(Duration),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    kind: Kind,
    /// Who is hit, among those at work.
    whom: Whom,
}

impl Trouble {
    /// The how-manyth trouble of a wave. The first is a lost lease, and long locks come last: whoever waited for one has
    /// ended.
    pub(super) fn of(dice: &mut Dice, plan: &Plan, turn: usize) -> Trouble {
        let is_last = turn > 0 && turn + 1 == plan.troubles;
        let some_leases = |dice: &mut Dice| LEASE / 2 + LEASE * u32::try_from(dice.below(2_501)).unwrap_or(0) / 1_000;
        let kind = match dice.below(10) {
            _ if turn == 0 => Kind::Ghost { patient: plan.is_patient() },
            _ if is_last && plan.has_minute => Kind::Lock(LOCK_OF_A_MINUTE),
            _ if is_last && plan.is_long && dice.once_in(2) => Kind::Lock(LONG_LOCK),
            0 => Kind::Ghost { patient: false },
            1..=5 => Kind::Stop(some_leases(dice)),
            6..=8 => Kind::Clock(some_jump(dice)),
            _ => Kind::Lock(some_leases(dice)),
        };
        let whom = if turn == 0 { Whom::TheFirst } else { Whom::Counted(dice.below(1_000)) };
        Trouble { kind, whom }
    }

    /// Does it; false if nobody was at work whom it could meet.
    pub(super) fn make(self, crew: &mut Crew<'_>, state: &State, book: &mut Book) -> bool {
        let Some(place) = crew.at_work(self.whom, state) else { return false };
        match self.kind {
            Kind::Stop(time) => {
                stop(crew, place, time);
                book.figures.stops += 1;
                true
            }
            Kind::Ghost { patient } => {
                let met = ghost::haunt(crew, place, state, patient, book);
                book.figures.stops += u64::from(met);
                met
            }
            Kind::Clock(secs) => {
                crew.hands[place].control.shift_clock(secs);
                book.figures.jumps += 1;
                true
            }
            Kind::Lock(time) => {
                let met = sqlite::lock(&crew.wave().state(), time);
                book.figures.locks += u64::from(met);
                book.figures.minutes += u64::from(met && time == LOCK_OF_A_MINUTE);
                met
            }
        }
    }
}

/// How long it lasts is a matter of the trouble; when it begins is not.
fn stop(crew: &mut Crew<'_>, place: usize, time: Duration) {
    let child = &crew.hands[place].worker.child;
    send(child, Signal::STOP);
    std::thread::sleep(time);
    send(child, Signal::CONT);
}

/// From a second to five years, small ones as often as large ones, forwards and back.
fn some_jump(dice: &mut Dice) -> i64 {
    let size = FIVE_YEARS_SECS.powf(dice.below(1_001) as f64 / 1_000.0);
    #[expect(clippy::cast_possible_truncation, reason = "at most five years")]
    let secs = size.round() as i64;
    if dice.once_in(2) { secs } else { -secs }
}
