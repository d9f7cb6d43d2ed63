//! Row 1: `kill -9` at random moments between real servers.
//!
//! Three accounts are copied by three processes into one state file, each killed again and again. The moments follow
//! what is left to copy, so that a copy is under way until its last kill.

use crate::{Ask, Ended, Lane, Moment, Outcome, Row, Scale, mail};
use mailhaul_testing::dovecot::Store;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::{Corpus, Dovecot};
use std::time::Duration;
use tempfile::TempDir;

pub(super) const ROW: Row = Row { number: 1, name: "kill -9 at random moments", play };

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const MAILBOXES: usize = 12;
/// Kills of all three accounts together, until they are copied to their end and judged.
const KILLS_A_ROUND: u64 = 60;
/// One kill in so many is the second one, shortly after the restart.
const SECOND_KILL_IN: usize = 10;
const SECOND_KILL_WITHIN_MS: usize = 100;
/// A moment of plain time lies at most so far ahead: longer than a restart waits for what may be in flight.
const MOMENT_WITHIN: Duration = Duration::from_millis(2_600);
/// Messages that arrive for an account whose mail has all been copied before its last kill.
const MORE: usize = 300;

/// What the kills of one account came to.
#[derive(Default)]
struct Killed {
    met: u64,
    again: u64,
    outcome: Outcome,
}

fn play(ask: &Ask) -> Outcome {
    let messages = if ask.scale == Scale::Quick { 50 } else { 2_000 };
    let source = Dovecot::start();
    let corpora = fill(&source, messages);
    let mut outcome = Outcome::default();
    let (mut met, mut again) = (0, 0);
    let mut seeds = ask.seeds(12, 60, 1_000);
    while let Some(seed) = seeds.next() {
        let kills = 1 + seeds.by_ref().take(usize::try_from(KILLS_A_ROUND - 1).unwrap_or(0)).count();
        for killed in one_round(&source, &corpora, seed, kills) {
            met += killed.met;
            again += killed.again;
            outcome.add(killed.outcome);
        }
    }
    outcome.figure(format!("{met} met a running copy, {again} within 100 ms of the restart"));
    if met * 2 < outcome.runs {
        outcome.fail("--row 1", format!("only {met} of {} kills met a running copy", outcome.runs));
    }
    outcome
}

fn fill(source: &Dovecot, messages: usize) -> Vec<Corpus> {
    std::thread::scope(|scope| {
        let threads = USERS.iter().enumerate().map(|(number, user)| {
            scope.spawn(move || {
                let corpus = mail::account(number, MAILBOXES, messages);
                corpus.write_maildir(source, user).expect("the source takes its mail");
                corpus
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("the source is filled")).collect()
    })
}

fn one_round(source: &Dovecot, corpora: &[Corpus], seed: u64, kills: usize) -> Vec<Killed> {
    let target = Dovecot::builder().store(Store::Sdbox).start();
    let folder = TempDir::new().expect("a temporary folder");
    let repeat = format!("--row 1 --seed {seed} --runs {kills}");
    std::thread::scope(|scope| {
        let threads = USERS.iter().zip(corpora).enumerate().map(|(number, (user, corpus))| {
            let (target, folder, repeat) = (&target, folder.path(), &repeat);
            let share = (kills + number) / USERS.len();
            scope.spawn(move || {
                let lane = Lane::new(source, target, (user, user), folder);
                let mut killing =
                    Killing { source, lane, dice: Dice::of(seed * 10 + number as u64), mail: mail::octets(corpus) };
                killing.all(share, repeat)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("an account was played to its end")).collect()
    })
}

/// One account under fire.
struct Killing<'a> {
    source: &'a Dovecot,
    lane: Lane,
    dice: Dice,
    /// Octets of all its mail.
    mail: u64,
}

impl Killing<'_> {
    fn all(&mut self, kills: usize, repeat: &str) -> Killed {
        let mut killed = Killed::default();
        for left in (1..=kills).rev() {
            let second = left < kills && self.dice.once_in(SECOND_KILL_IN);
            let met = if second { self.shortly_after_the_start() } else { self.at_some_moment(left) };
            killed.met += u64::from(met);
            killed.again += u64::from(second && met);
            killed.outcome.runs += 1;
        }
        self.conclude(repeat, &mut killed.outcome);
        killed
    }

    /// Kills a copy at a random moment of what is left to do, and says whether it was still at work.
    fn at_some_moment(&mut self, left: usize) -> bool {
        let sent = self.lane.target_proxy.statistics().bytes_to_server;
        let rest = self.mail.saturating_sub(sent) / left as u64;
        let moment = Moment::of(&mut self.dice, &self.lane, (rest * 2).max(20_000), MOMENT_WITHIN);
        let mut copy = self.lane.start(&[]);
        let met = moment.wait(&self.lane, &mut copy);
        copy.kill().expect("kill -9");
        let _ = Ended::of(copy);
        if !met {
            self.mail += mail::deliver_more(self.source, &self.lane.source_user, MORE);
        }
        met
    }

    fn shortly_after_the_start(&mut self) -> bool {
        let mut copy = self.lane.start(&[]);
        let moment = Moment::After(Duration::from_millis(self.dice.below(SECOND_KILL_WITHIN_MS) as u64));
        let met = moment.wait(&self.lane, &mut copy);
        copy.kill().expect("kill -9");
        let _ = Ended::of(copy);
        met
    }

    fn conclude(&self, repeat: &str, outcome: &mut Outcome) {
        let user = &self.lane.source_user;
        let last = self.lane.run(&[]);
        if !last.is_complete() {
            outcome.fail(
                repeat,
                format!("{user}: the run after the kills ended with {}: {}{}", last.code, last.json, last.stderr),
            );
        }
        outcome.take_in(repeat, &self.lane.judge(&mail::rules()));
        let before = self.lane.appends();
        let again = self.lane.run(&[]);
        if !again.is_complete() || self.lane.appends() != before {
            let sent = self.lane.appends() - before;
            outcome.fail(
                repeat,
                format!("{user}: a run with nothing to do sent APPEND {sent} times, and ended with {}", again.code),
            );
        }
    }
}
