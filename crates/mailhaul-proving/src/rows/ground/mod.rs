//! Row 10: the ground moves on both sides.
//!
//! Mailboxes are renumbered, renamed, deleted, made anew and put back to snapshots, while mail is in flight or a run is at
//! work. Each scenario ends in the state that its story asks for, judged message by message, or in a question (exit code 6)
//! that is answered; and a further run sends nothing.

mod at_source;
mod at_target;
mod both;
mod stage;

use crate::{Ask, Outcome, Row};
use stage::Stage;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) const ROW: Row = Row { number: 10, name: "the ground moves", play };

/// Scenarios that are played at once: most of their time goes in waits after connections that were lost.
const PLAYERS: usize = 4;

/// A story with its name.
type Scenario = (&'static str, fn(&mut Stage));

/// All of them, always.
const SCENARIOS: [Scenario; 12] = [
    ("renumbered while mail was in flight", at_source::renumbered_in_flight),
    ("renumbered three times within one run", at_source::renumbered_three_times_in_one_run),
    ("made anew in another order", at_source::made_anew_in_another_order),
    ("made anew before the conclusion", at_source::made_anew_before_the_conclusion),
    ("renamed and replaced in flight", at_source::renamed_and_replaced_in_flight),
    ("put back at the source", at_source::put_back),
    ("another takes the name of a deleted one", at_source::another_takes_the_name),
    ("both sides renumbered in flight", both::renumbered_in_flight),
    ("a chain of names, renumbered", both::chain_of_names_renumbered),
    ("renamed by both", both::renamed_by_both),
    ("the copy made anew by its owner", at_target::made_anew_by_its_owner),
    ("the target put back, renumbered and at work", at_target::put_back_and_renumbered),
];

fn play(_: &Ask) -> Outcome {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some((name, story)) = SCENARIOS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = Stage::play(name, *story);
                    outcomes.lock().expect("no player fails with the lock in hand").add(outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("no player failed")
}
