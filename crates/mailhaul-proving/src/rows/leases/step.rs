//! What must just have happened when trouble strikes: a step of the work that is seen from outside.

use super::state::State;
use crate::Wave;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::proxy::{Direction, Event};
use std::time::{Duration, Instant};

/// A step that has not come by then does not come: nobody is at work.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// So many further messages were begun on the way to the target.
    Messages(u32),
    /// So many further octets came from the source.
    Octets(u64),
    /// Another APPEND was answered.
    Answer,
    /// Another row of the state file says that a job was claimed.
    Claim,
    /// Another row of the ledger has been written.
    Settled,
}

impl Step {
    pub(super) fn of(dice: &mut Dice) -> Step {
        match dice.below(10) {
            0..=3 => Step::Messages(1 + u32::try_from(dice.below(25)).unwrap_or(0)),
            4..=6 => Step::Octets(1 + dice.below(30_000) as u64),
            7 => Step::Answer,
            8 => Step::Claim,
            _ => Step::Settled,
        }
    }

    /// Waits for it; false if it does not come.
    pub(super) fn wait(self, wave: &Wave, state: &State) -> bool {
        let target = || wave.target.statistics();
        let source = || wave.source.statistics();
        match self {
            Step::Messages(more) => {
                let event = Event::AppendedMessage(target().appended_messages + more);
                wave.target.wait_at_most(&event, PATIENCE)
            }
            Step::Octets(more) => {
                let event = Event::Bytes(Direction::ToClient, source().bytes(Direction::ToClient) + more);
                wave.source.wait_at_most(&event, PATIENCE)
            }
            Step::Answer => {
                let answered = target().answers.get("APPEND").copied().unwrap_or(0);
                wave.target.wait_at_most(&Event::Answered("APPEND".to_owned(), answered + 1), PATIENCE)
            }
            // Claims are rare once everybody has what he can carry; then the next commit will do.
            Step::Claim => change(|| (state.claims(), state.ledger_sum())),
            Step::Settled => change(|| state.ledger_sum()),
        }
    }
}

fn change<T: PartialEq>(look: impl Fn() -> T) -> bool {
    let (before, until) = (look(), Instant::now() + PATIENCE);
    while Instant::now() < until {
        if look() != before {
            return true;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    false
}
