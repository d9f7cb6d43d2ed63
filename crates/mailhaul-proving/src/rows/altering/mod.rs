//! Row 8 as well: servers that alter what they are given, in the situations in which a copy has to be recognised.
//!
//! Every alteration meets every trouble. What must hold in the end: of every message what this server keeps is there, as
//! often as at the source; and a further pass sends nothing.

mod cyrus;
mod judge;
mod mail;

use crate::simulation::{Ended, Order, Reply, Stage, one_case, play_all, say_pace};
use crate::{Ask, Outcome, Row, Scale};
use judge::survivors;
use mail::{more, shelf};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{Alters, Answer, Traits};
use mailhaul_types::Side;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 8, name: "servers that alter what they are given", play };

const ALTERATIONS: [Alters; 7] = [
    Alters::Nothing,
    Alters::AddsHeader,
    Alters::EightBitHeaders,
    Alters::DropsKeywords,
    Alters::IgnoresDates,
    Alters::DropsHeaders,
    Alters::RebuildsBody,
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The answer to an APPEND is lost.
    Lost,
    /// The state is gone when everything was copied.
    Forgotten,
    /// A state is put back that knows of a part only.
    Old,
    /// Nothing but a second pass, with more mail.
    Later,
    /// The target numbers its mailboxes anew.
    TargetRenumbered,
    /// The source does.
    SourceRenumbered,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Lost,
    Trouble::Forgotten,
    Trouble::Old,
    Trouble::Later,
    Trouble::TargetRenumbered,
    Trouble::SourceRenumbered,
];

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let seeds: Vec<u64> = ask.seeds(84, 840, 20_000).collect();
    let twice = AtomicU64::new(0);
    let mut outcome = play_all(&seeds, |seed| play_one(*seed, &twice));
    if ask.scale != Scale::Quick {
        outcome.add(cyrus::play(ask.seed));
    }
    outcome.figure(format!("{} alterations, {} troubles", ALTERATIONS.len(), TROUBLES.len()));
    outcome.figure(format!("{} there twice where bodies are rebuilt, as said or asked", twice.into_inner()));
    say_pace(&mut outcome, began);
    outcome
}

/// One run. Neighbouring seeds play every alteration with every trouble, with UIDPLUS and without.
fn play_one(seed: u64, twice: &AtomicU64) -> Outcome {
    let number = usize::try_from(seed).unwrap_or(0);
    let alters = ALTERATIONS[number % ALTERATIONS.len()];
    let trouble = TROUBLES[number / ALTERATIONS.len() % TROUBLES.len()];
    let named = (number / ALTERATIONS.len() / TROUBLES.len()).is_multiple_of(2);
    let repeat = format!("--row 8 --runs 1 --seed {seed} ({alters:?}, {trouble:?}, UIDPLUS {named})");
    one_case(&repeat, |outcome| {
        let mut dice = Dice::of(seed);
        let traits = if named { Traits::default() } else { Traits::bare() };
        let stage = Stage::new(traits.clone(), Traits { alters, ..traits }, &shelf(&mut dice));
        let mut scene = Scene { stage, alters, said: 0, twice, repeat: &repeat, outcome };
        scene.trouble(trouble, &mut dice);
        scene.expect_survival(trouble);
    })
}

/// One run in the making.
struct Scene<'a> {
    stage: Stage,
    alters: Alters,
    /// How many messages reports have said to be there twice, perhaps.
    said: u64,
    /// How many are there twice after that was said.
    twice: &'a AtomicU64,
    repeat: &'a str,
    outcome: &'a mut Outcome,
}

impl Scene<'_> {
    fn trouble(&mut self, trouble: Trouble, dice: &mut Dice) {
        match trouble {
            Trouble::Lost => self.lose_answers(dice),
            Trouble::Forgotten => {
                let nothing = self.stage.keep_state();
                self.pass(Order::default());
                self.stage.put_state_back(&nothing);
            }
            Trouble::Old => self.put_back(dice),
            Trouble::Later => {
                self.pass(Order::default());
                more(&self.stage, dice);
            }
            Trouble::TargetRenumbered | Trouble::SourceRenumbered => {
                self.pass(Order::default());
                let Stage { source, target, .. } = &self.stage;
                let server = if trouble == Trouble::SourceRenumbered { source } else { target };
                ["INBOX", "Work"].iter().for_each(|mailbox| server.renumber(mailbox));
                more(&self.stage, dice);
            }
        }
    }

    /// Answers to APPEND are lost, and the run may be killed besides.
    fn lose_answers(&mut self, dice: &mut Dice) {
        let mut dies_at_millis = dice.once_in(2).then(|| 100 + dice.below(4_000) as u64);
        for _ in 0..1 + dice.below(3) {
            let answer = if dice.once_in(2) { Answer::DoneThenEnd } else { Answer::DoneThenSilence };
            let nth = 1 + dice.below(12) as u64;
            let replies = vec![Reply { side: Side::Target, name: "APPEND".to_owned(), nth, answer }];
            let ended = self.pass(Order { replies, dies_at_millis: dies_at_millis.take(), ..Order::default() });
            if ended.hung() {
                self.outcome.fail(self.repeat, "a pass did not come to an end");
            }
        }
    }

    /// A state that knows of nothing, or of what was copied before a death.
    fn put_back(&mut self, dice: &mut Dice) {
        self.pass(Order { dies_at_millis: Some(dice.below(400) as u64), ..Order::default() });
        let kept = self.stage.keep_state();
        self.pass(Order::default());
        more(&self.stage, dice);
        self.pass(Order::default());
        self.stage.put_state_back(&kept);
    }

    fn pass(&mut self, order: Order) -> Ended {
        let ended = self.stage.pass(order);
        let remarks = ended.report.iter().flat_map(|report| &report.remarks);
        let counts = remarks.filter(|remark| remark.text.contains("may be there twice"));
        self.said += counts.filter_map(|remark| remark.text.split(' ').next()?.parse::<u64>().ok()).sum::<u64>();
        ended
    }

    /// A pass without faults completes, everything that this server keeps is there as often as at the source, and one
    /// more pass sends nothing. Where bodies are rebuilt, a copy may be there twice if that was said, and a source that
    /// numbers anew is a question.
    fn expect_survival(&mut self, trouble: Trouble) {
        let rebuilds = self.alters == Alters::RebuildsBody;
        let mut last = self.pass(Order::default());
        let renumbered = matches!(trouble, Trouble::SourceRenumbered | Trouble::TargetRenumbered);
        if rebuilds && renumbered && !last.is_complete() {
            // It asked, and somebody has said yes: what cannot be recognised is copied once more.
            last = self.pass(Order { agreed: true, ..Order::default() });
            self.said = u64::MAX;
        }
        if !last.is_complete() {
            self.outcome.fail(self.repeat, format!("the pass without faults did not complete:\n{}", last.in_words()));
        }
        let (lost, doubled, seen) = self.compare();
        if lost > 0 || doubled > 0 && !(rebuilds && doubled <= self.said) {
            self.outcome.lost += lost;
            self.outcome.doubled += doubled;
            self.outcome.fail(self.repeat, format!("{seen}{}", last.in_words()));
        }
        self.twice.fetch_add(doubled, Ordering::Relaxed);
        let again = self.pass(Order::default());
        let sent = again.count(Side::Target, "APPEND");
        if sent > 0 {
            self.outcome.fail(self.repeat, format!("one more pass sent APPEND {sent} times:\n{}", again.in_words()));
        }
    }

    /// How many are lost, how many doubled, and what, for people.
    fn compare(&self) -> (u64, u64, String) {
        let mut balance: BTreeMap<_, i64> = BTreeMap::new();
        for (mailbox, held) in self.stage.source.contents() {
            for held in held {
                let what = survivors(self.alters, &held, Side::Source);
                *balance.entry((self.stage.named(&mailbox), what)).or_default() += 1;
            }
        }
        for (mailbox, held) in self.stage.target.contents() {
            for held in held {
                let what = survivors(self.alters, &held, Side::Target);
                *balance.entry((mailbox.clone(), what)).or_default() -= 1;
            }
        }
        let (mut lost, mut doubled, mut seen) = (0, 0, String::new());
        for ((mailbox, (octets, date, flags)), count) in balance.into_iter().filter(|(_, count)| *count != 0) {
            *(if count > 0 { &mut lost } else { &mut doubled }) += count.unsigned_abs();
            let text = String::from_utf8_lossy(&octets);
            seen += &format!("{count} of {mailbox}: {text:?} {date:?} {flags:?}\n");
        }
        (lost, doubled, seen)
    }
}
