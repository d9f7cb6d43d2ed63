//! Row 1: `kill -9` at random moments between real servers.
//!
//! Three accounts are copied by three processes into one state file, each killed again and again. The moments follow
//! what is left to copy, so that a copy is under way until its last kill.

use crate::{Ask, Before, Ended, Lane, Moment, Outcome, Row, Scale, mail};
use mailhaul_testing::dovecot::Store;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::{Corpus, Dovecot};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) const ROW: Row = Row { number: 1, name: "kill -9 at random moments", play };

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const MAILBOXES: usize = 12;
/// Kills of all three accounts together, until they are copied to their end and judged.
const KILLS_A_ROUND: u64 = 60;
/// Each kill of such a number is the second one, shortly after the restart.
const SECOND_KILL_EACH: usize = 10;
const SECOND_KILL_WITHIN: Duration = Duration::from_millis(100);
/// A kill that comes too late is tried again, so many times: on a busy machine a small copy ends before it is looked at.
const TRIES: usize = 8;
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
        for killed in one_round(&source, &corpora, seed, kills, ask.scale) {
            met += killed.met;
            again += killed.again;
            outcome.add(killed.outcome);
        }
    }
    outcome.figure(format!("{met} met a running copy, {again} within 100 ms of the restart"));
    let repeat = format!("--row 1 --seed {} --runs {}{}", ask.seed, ask.runs(12, 60, 1_000), ask.scale.word());
    if met * 2 < outcome.runs {
        outcome.fail(&repeat, format!("only {met} of {} kills met a running copy", outcome.runs));
    }
    let demanded = outcome.runs / SECOND_KILL_EACH as u64;
    if again < demanded {
        outcome.fail(&repeat, format!("only {again} of {demanded} second kills came within 100 ms of the restart"));
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

fn one_round(source: &Dovecot, corpora: &[Corpus], seed: u64, kills: usize, scale: Scale) -> Vec<Killed> {
    let target = Dovecot::builder().store(Store::Sdbox).start();
    let folder = TempDir::new().expect("a temporary folder");
    let repeat = format!("--row 1 --seed {seed} --runs {kills}{}", scale.word());
    std::thread::scope(|scope| {
        let threads = USERS.iter().zip(corpora).enumerate().map(|(number, (user, corpus))| {
            let (target, folder, repeat) = (&target, folder.path(), &repeat);
            // The kills of all are numbered in turn.
            let numbers: Vec<usize> = (1..=kills).skip(number).step_by(USERS.len()).collect();
            scope.spawn(move || {
                let lane = Lane::new(source, target, (user, user), folder);
                let mut killing =
                    Killing { source, lane, dice: Dice::of(seed * 10 + number as u64), mail: mail::octets(corpus) };
                killing.all(&numbers, repeat)
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
    fn all(&mut self, numbers: &[usize], repeat: &str) -> Killed {
        let mut killed = Killed::default();
        for (turn, number) in numbers.iter().enumerate() {
            let second = number.is_multiple_of(SECOND_KILL_EACH);
            let met = if second { self.shortly_after_the_start() } else { self.at_some_moment(numbers.len() - turn) };
            killed.met += u64::from(met);
            killed.again += u64::from(second && met);
            killed.outcome.runs += 1;
        }
        self.conclude(repeat, &mut killed.outcome);
        killed
    }

    /// Kills a copy at a random moment of what is left to do, and says whether it was still at work.
    fn at_some_moment(&mut self, left: usize) -> bool {
        (0..TRIES).any(|_| self.once_at_some_moment(left))
    }

    fn once_at_some_moment(&mut self, left: usize) -> bool {
        let sent = self.lane.target_proxy.statistics().bytes_to_server;
        let rest = self.mail.saturating_sub(sent) / left as u64;
        let moment = Moment::of(&mut self.dice, (rest * 2).max(20_000));
        let before = Before::of(&self.lane);
        let mut copy = self.lane.start(&[]);
        let met = moment.wait(&self.lane, &before, &mut copy);
        copy.kill().expect("kill -9");
        let _ = Ended::of(copy);
        if !met {
            self.mail += mail::deliver_more(self.source, &self.lane.source_user, MORE);
        }
        met
    }

    /// Kills a copy that was just killed and started again; whether it was at work and its time had not passed.
    fn shortly_after_the_start(&mut self) -> bool {
        (0..TRIES).any(|_| {
            let moment = Moment::early(&mut self.dice);
            let (before, started) = (Before::of(&self.lane), Instant::now());
            let mut copy = self.lane.start(&[]);
            // What has not come a little earlier would come too late.
            let left = (SECOND_KILL_WITHIN * 9 / 10).saturating_sub(started.elapsed());
            let met = moment.wait_at_most(&self.lane, &before, &mut copy, left);
            copy.kill().expect("kill -9");
            let in_time = started.elapsed() <= SECOND_KILL_WITHIN;
            let _ = Ended::of(copy);
            met && in_time
        })
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
