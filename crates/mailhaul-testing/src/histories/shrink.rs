//! Making a failing history short: steps are taken out while it still fails.

use super::operation::{History, Step};
use super::play::Failure;

/// The shortest history that was found to fail the same way, and how; after so many plays, at most. `fails` plays a history.
pub fn shrink(
    history: &History,
    failure: Box<Failure>,
    plays_max: usize,
    fails: &mut dyn FnMut(&History) -> Option<Box<Failure>>,
) -> (History, Box<Failure>) {
    let mut shortest = (history.clone(), failure);
    let mut plays = 0;
    let mut part = history.steps.len().div_ceil(2);
    while part > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < shortest.0.steps.len() {
            if plays == plays_max {
                return shortest;
            }
            plays += 1;
            let candidate = without(&shortest.0, from, part);
            match fails(&candidate) {
                Some(failure) if failure.kind == shortest.1.kind => {
                    shortest = (candidate, failure);
                    shorter = true;
                }
                _ => from += part,
            }
        }
        if !shorter || part > 1 {
            part /= 2;
        }
    }
    calm(&mut shortest, fails);
    shortest
}

fn without(history: &History, from: usize, part: usize) -> History {
    let mut shorter = history.clone();
    let to = (from + part).min(shorter.steps.len());
    shorter.steps.drain(from..to);
    shorter
}

/// A pass that need not be disturbed is better undisturbed.
fn calm(shortest: &mut (History, Box<Failure>), fails: &mut dyn FnMut(&History) -> Option<Box<Failure>>) {
    for place in 0..shortest.0.steps.len() {
        if matches!(shortest.0.steps[place], Step::Pass(Some(_))) {
            let mut candidate = shortest.0.clone();
            candidate.steps[place] = Step::Pass(None);
            if let Some(failure) = fails(&candidate).filter(|failure| failure.kind == shortest.1.kind) {
                *shortest = (candidate, failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::{AtSource, Kinds};
    use super::*;

    fn failure() -> Box<Failure> {
        Box::new(Failure { kind: "wrong".to_owned(), details: String::new(), story: Vec::new() })
    }

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let mut history = History::of(1, Kinds::ALL);
        let (one, other) = (AtSource::Create { name: 1_000_001 }, AtSource::Delete { of: 1_000_002, messages: 1 });
        history.steps.insert(2, Step::Source(one.clone()));
        history.steps.insert(7, Step::Source(other.clone()));
        let wanted = [Step::Source(one), Step::Source(other)];
        let mut fails = |history: &History| {
            let both = wanted.iter().all(|step| history.steps.contains(step));
            both.then(failure)
        };
        let (shortest, _) = shrink(&history, failure(), 1_000, &mut fails);
        assert_eq!(shortest.steps, wanted);
    }
}
