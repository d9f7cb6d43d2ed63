//! Row 8 as well: servers that alter what they are given, in the situations in which a copy has to be recognised.
//!
//! Every alteration meets every trouble. What must hold in the end: of every message what this server keeps is there, as
//! often as at the source; and a further pass sends nothing.

mod cyrus;
mod judge;
mod mail;

use crate::simulation::{Ended, Order, Reply, Stage, one_case, play_all, say_pace};
use crate::{Ask, Outcome, Row, Scale};
use judge::{Survivors, survivors};
use mail::{look_alike, more, shelf};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{Alters, Answer, Held, Traits};
use mailhaul_types::Side;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Copies land unanswered, some of their originals leave the source, and somebody puts mail on the target that looks
    /// like what is still to be copied.
    Foreign,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Lost,
    Trouble::Forgotten,
    Trouble::Old,
    Trouble::Later,
    Trouble::TargetRenumbered,
    Trouble::SourceRenumbered,
    Trouble::Foreign,
];

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let seeds: Vec<u64> = ask.seeds(98, 980, 20_000).collect();
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
        let mut scene = Scene {
            stage,
            alters,
            said: 0,
            twice,
            foreign: Vec::new(),
            left: Vec::new(),
            agreed: BTreeMap::new(),
            repeat: &repeat,
            outcome,
        };
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
    /// Mail that somebody else has put on the target.
    foreign: Vec<Vec<u8>>,
    /// What was expunged at the source, by mailbox on the target: its copies stay.
    left: Vec<(String, Survivors)>,
    /// What may be there once more, and how often, because somebody has agreed that a mailbox is another one by now.
    agreed: BTreeMap<(String, Survivors), u64>,
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
            Trouble::Foreign => self.put_look_alikes(dice),
        }
    }

    /// Some copies have landed and nobody knows it; what was copied leaves the source here and there, and beside what was
    /// not stands foreign mail under its header, or nearly.
    fn put_look_alikes(&mut self, dice: &mut Dice) {
        let nth = 1 + dice.below(3) as u64;
        let reply = Reply { side: Side::Target, name: "APPEND".to_owned(), nth, answer: Answer::DoneThenSilence };
        let dies = Some(1_000 + dice.below(1_000) as u64);
        self.pass(Order { replies: vec![reply], dies_at_millis: dies, ..Order::default() });
        for (mailbox, held) in self.stage.source.contents() {
            let there = self.stage.named(&mailbox);
            for held in held {
                if dice.once_in(6) {
                    self.left.push((there.clone(), survivors(self.alters, &held, Side::Source)));
                    self.stage.source.expunge(&mailbox, &[held.uid]);
                } else if dice.once_in(2) && self.stage.target.contents().contains_key(&there) {
                    // Where bodies are rebuilt, nobody can tell a rebuilt one from another one.
                    let same_header = self.alters != Alters::RebuildsBody && dice.once_in(2);
                    let octets = look_alike(&held.octets, same_header);
                    let flags: Vec<&str> = held.flags.iter().map(String::as_str).collect();
                    self.stage.target.deliver(&there, &octets, held.date, &flags);
                    self.foreign.push(octets);
                }
            }
        }
        more(&self.stage, dice);
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
            self.agreed = self.copied_of_what_is_asked(&last);
            last = self.pass(Order { agreed: true, ..Order::default() });
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

    /// The messages that are on both sides, by mailbox on the target: of those mailboxes of which it is asked whether the
    /// source has another one by now. Each may be copied a second time, and nothing else may.
    fn copied_of_what_is_asked(&self, ended: &Ended) -> BTreeMap<(String, Survivors), u64> {
        let exceptions = ended.report.iter().flat_map(|report| &report.exceptions);
        let asks = exceptions.filter(|one| one.uid.is_none() && one.reason.contains("--accept-source-change"));
        let asked: BTreeSet<&String> = asks.map(|one| &one.mailbox).collect();
        let mut both: BTreeMap<_, u64> = BTreeMap::new();
        for (mailbox, held) in self.stage.source.contents().into_iter().filter(|(name, _)| asked.contains(name)) {
            let there = self.stage.named(&mailbox);
            let mut copies = self.stage.target.contents().remove(&there).unwrap_or_default();
            for held in held {
                let what = survivors(self.alters, &held, Side::Source);
                let is_it = |copy: &Held| survivors(self.alters, copy, Side::Target) == what;
                if let Some(place) = copies.iter().position(is_it) {
                    copies.swap_remove(place);
                    *both.entry((there.clone(), what)).or_default() += 1;
                }
            }
        }
        both
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
        let mut foreign = self.foreign.clone();
        for (mailbox, held) in self.stage.target.contents() {
            for held in held {
                if let Some(place) = foreign.iter().position(|octets| octets[..] == held.octets[..]) {
                    foreign.swap_remove(place);
                    continue;
                }
                let what = survivors(self.alters, &held, Side::Target);
                *balance.entry((mailbox.clone(), what)).or_default() -= 1;
            }
        }
        for left in &self.left {
            // Its copy may be there or not.
            if let Some(count) = balance.get_mut(left).filter(|count| **count < 0) {
                *count += 1;
            }
        }
        for (what, times) in &self.agreed {
            if let Some(count) = balance.get_mut(what).filter(|count| **count < 0) {
                let asked = count.unsigned_abs().min(*times);
                *count += i64::try_from(asked).unwrap_or(i64::MAX);
                self.twice.fetch_add(asked, Ordering::Relaxed);
            }
        }
        let (mut lost, mut doubled, mut seen) = (0, 0, String::new());
        if !foreign.is_empty() {
            lost += foreign.len() as u64;
            seen += &format!("{} that somebody else had put there are gone\n", foreign.len());
        }
        for ((mailbox, (octets, date, flags)), count) in balance.into_iter().filter(|(_, count)| *count != 0) {
            *(if count > 0 { &mut lost } else { &mut doubled }) += count.unsigned_abs();
            let text = String::from_utf8_lossy(&octets);
            seen += &format!("{count} of {mailbox}: {text:?} {date:?} {flags:?}\n");
        }
        (lost, doubled, seen)
    }
}
