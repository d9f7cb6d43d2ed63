//! Many simulated cases, two at a time, and what must hold after each.

use super::pass::{Ended, Order};
use super::past::Former;
use super::stage::Stage;
use super::truth::expect_true_ledger;
use crate::Outcome;
use mailhaul_report::{ExceptionState, Verdict};
use mailhaul_testing::histories::Dice;
use mailhaul_types::Side;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Threads that play cases. The promise of minutes is for two cores.
const PLAYERS: usize = 2;

/// Plays all cases, each on a thread that stays with it.
pub fn play_all<C: Sync>(cases: &[C], play: impl Fn(&C) -> Outcome + Sync) -> Outcome {
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = play(case);
                    sum.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One case: plays it, counts it, and takes a panic for what it is.
pub fn one_case(repeat: &str, play: impl FnOnce(&mut Outcome)) -> Outcome {
    let mut outcome = Outcome { runs: 1, ..Outcome::default() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(&mut outcome))) {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        outcome.fail(repeat, format!("a panic: {}", words.unwrap_or("without words")));
    }
    outcome
}

/// So many of all cases, spread evenly: one of each stretch, which one the dice say, because cases that differ in one
/// respect only stand at even distances. One alone is the one that `seed` names.
#[must_use]
pub fn sample(total: usize, wanted: u64, seed: u64) -> Vec<usize> {
    let wanted = usize::try_from(wanted).unwrap_or(total).clamp(1, total.max(1));
    if wanted == 1 {
        return vec![usize::try_from(seed.saturating_sub(1)).unwrap_or(0) % total.max(1)];
    }
    stretches(total, wanted, seed)
}

/// So many of all: one of each stretch.
#[must_use]
pub fn stretches(total: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut dice = Dice::of(seed);
    let begin = |number: usize| number * total / wanted;
    (0..wanted).map(|number| begin(number) + dice.below(begin(number + 1) - begin(number))).collect()
}

/// What a pass may not say, nor leave behind in the ledger, however it was broken: that anything is gone that nobody has
/// taken away, or settled that is not there; and that it is still at work.
pub fn expect_no_lies(outcome: &mut Outcome, repeat: &str, stage: &Stage, ended: &Ended) {
    if ended.hung() {
        outcome.fail(repeat, "a pass did not come to an end");
    }
    expect_true_ledger(outcome, repeat, stage, ended);
    let Some(report) = &ended.report else { return };
    // No server of the simulation falls over a message.
    if ended.in_words().contains("times that nothing else was on its way") {
        outcome.fail(repeat, format!("a good message was set aside\n{}", ended.in_words()));
    }
    let contents = stage.target.contents();
    for line in report.mailboxes.iter().filter(|line| line.visited) {
        let counts = &line.messages;
        let denied = stage.learned().denied.iter().filter(|(mailbox, ..)| *mailbox == line.source).count() as u64;
        let left = stage.ever.of(&line.source) + denied;
        if counts.gone > left {
            let words = ended.in_words();
            outcome.fail(repeat, format!("{}: {} called gone, {left} have left\n{words}", line.source, counts.gone));
        }
        let named = stage.named_as_reported(&line.source, ended);
        let there = contents.get(&named).map_or(0, |held| held.len() as u64);
        let settled = counts.already + counts.copied + counts.adopted;
        let taken = stage.doings().taken.iter().filter(|(mailbox, _)| *mailbox == named).count() as u64;
        let merged = if stage.merges() { stage.merged(&line.source, &named) } else { 0 };
        let left_to_owner = if settled > there + taken { stage.left_to_owner(&line.source, &named) } else { 0 };
        if settled > there + taken + merged + left_to_owner {
            outcome.fail(repeat, format!("{}: {settled} settled, {there} there\n{}", line.source, ended.in_words()));
        }
    }
}

/// A pass that says that it is complete is held to it at once, where nothing has happened meanwhile, and nothing since.
/// `named` are the possible duplicates that were named so far, where there may be any.
pub fn expect_kept_word(outcome: &mut Outcome, repeat: &str, stage: &Stage, ended: &Ended, named: Option<&Named>) {
    // Of a source that hides messages from every question there is no telling.
    if !ended.is_complete() || !ended.undisturbed || !ended.denied.is_empty() {
        return;
    }
    let spare = named.map(|named| copies(stage, named)).unwrap_or_default();
    let findings = stage.judge_as_named(ended, &spare, &[]);
    if !findings.is_equal() {
        outcome.lost += findings.lost();
        outcome.doubled += findings.doubled();
        outcome.fail(repeat, format!("a pass in the middle says complete: {findings}{}", ended.in_words()));
    }
}

/// How the passes after the trouble are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lenience {
    /// What was refused or unreadable is tried again.
    pub retries: bool,
    /// The operator has agreed to what he was asked.
    pub agreed: bool,
    /// What was deleted at the source is deleted on the target too.
    pub mirrors: bool,
    /// Messages of which a second copy may be there, because a report has named them as possible duplicates; and those that
    /// the last one names. `None`: nothing may be there twice, whatever is named.
    pub named: Option<Named>,
    /// The target takes no messages larger than this, in octets: they may be missing if the last report names them.
    pub too_large: Option<u64>,
}

/// Messages that reports name as possible duplicates, by source mailbox and UID: however often one is named, it is one.
pub type Named = BTreeSet<(String, u32)>;

/// What must hold in the end: a pass without faults completes, both sides hold the same, and one more pass sends nothing.
pub fn expect_good_end(outcome: &mut Outcome, repeat: &str, stage: &mut Stage, lenience: &Lenience) {
    let Lenience { retries, agreed, mirrors, .. } = *lenience;
    let order = || Order { retries, agreed, mirrors, ..Order::default() };
    let last = stage.pass(order());
    expect_true_ledger(outcome, repeat, stage, &last);
    let named: Option<Named> =
        lenience.named.as_ref().map(|earlier| earlier.union(&possible_duplicates(&last)).cloned().collect());
    let refused = refused(stage, &last, lenience.too_large);
    if !last.is_complete() && !only_names(&last, named.is_some(), &refused) {
        outcome.fail(repeat, format!("the pass without faults did not complete:\n{}", last.in_words()));
    }
    let findings = stage.judge_as_named(&last, &copies(stage, &named.unwrap_or_default()), &copies(stage, &refused));
    if !findings.is_equal() {
        outcome.lost += findings.lost();
        outcome.doubled += findings.doubled();
        outcome.fail(repeat, format!("{findings}{}", last.in_words()));
    }
    let again = stage.pass(order());
    let sent = again.count(Side::Target, "APPEND");
    if sent > 0 {
        outcome.fail(repeat, format!("one more pass sent APPEND {sent} times:\n{}", again.in_words()));
    }
}

/// One copy of each message that was named.
fn copies(stage: &Stage, named: &Named) -> Vec<Former> {
    let copies = |(mailbox, uid): &(String, u32)| {
        let octets = stage.at_source.under(mailbox, *uid).into_iter();
        octets.map(|octets| (mailbox.clone(), octets.to_vec())).collect::<Vec<_>>()
    };
    named.iter().flat_map(copies).collect()
}

/// The messages that a report says were refused, and that are too large for the target indeed.
fn refused(stage: &Stage, ended: &Ended, too_large: Option<u64>) -> Named {
    let Some(limit) = too_large else { return Named::new() };
    let large = |(mailbox, uid): &(String, u32)| {
        stage.at_source.under(mailbox, *uid).iter().any(|octets| octets.len() as u64 > limit)
    };
    told(ended, ExceptionState::Refused).into_iter().filter(large).collect()
}

/// Whether a pass has come to its end, and nothing keeps it from being complete but possible duplicates, where there may
/// be any, and what was refused with good reason.
fn only_names(ended: &Ended, duplicates: bool, refused: &Named) -> bool {
    let is_excused = |one: &mailhaul_report::Exception| match one.state {
        ExceptionState::PossibleDuplicate => duplicates,
        ExceptionState::Refused => one.uid.is_some_and(|uid| refused.contains(&(one.mailbox.clone(), uid))),
        _ => false,
    };
    let Some(report) = &ended.report else { return false };
    report.verdict() == Verdict::Exceptions && report.exceptions.iter().all(is_excused)
}

/// Whether a report sets messages aside that are tried again only when somebody asks for it.
#[must_use]
pub fn sets_aside(ended: &Ended) -> bool {
    let exceptions = ended.report.as_ref().map_or(&[][..], |report| &report.exceptions);
    exceptions.iter().any(|one| matches!(one.state, ExceptionState::Refused | ExceptionState::Unreadable))
}

/// The messages that a report names as possible duplicates.
#[must_use]
pub fn possible_duplicates(ended: &Ended) -> Named {
    told(ended, ExceptionState::PossibleDuplicate)
}

fn told(ended: &Ended, state: ExceptionState) -> Named {
    let exceptions = ended.report.as_ref().map_or(&[][..], |report| &report.exceptions);
    let named = exceptions.iter().filter(|exception| exception.state == state);
    named.filter_map(|exception| Some((exception.mailbox.clone(), exception.uid?))).collect()
}

/// A figure of how long a case took.
pub fn say_pace(outcome: &mut Outcome, began: Instant) {
    let millis = began.elapsed().as_secs_f64() * 1_000.0 / (outcome.runs.max(1) as f64);
    outcome.figure(format!("{millis:.1} ms a case"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_meets_every_kind_of_case_wherever_it_stands() {
        // Cases of four kinds in turn, and every sixteenth of them: each stretch of the list sees all four.
        let chosen = sample(84_412, 84_412 / 16, 1);
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 5_275);
        for part in chosen.chunks(200) {
            assert_eq!(part.iter().map(|case| case % 4).collect::<BTreeSet<_>>().len(), 4);
        }
    }

    #[test]
    fn all_are_all_and_one_is_the_one_that_is_named() {
        assert_eq!(sample(5, 5, 9), [0, 1, 2, 3, 4]);
        assert_eq!(sample(5, 1, 3), [2]);
        assert_eq!(sample(5, 1, 7), [1]);
    }
}
