//! Row 12: SIGTERM and SIGINT at random moments between real servers.
//!
//! After each the command is out within ten seconds, with its documented exit code; the ledger says that nothing is in
//! flight, and has settled exactly as many messages as the target holds. Now and then the target hangs: then what was
//! sent and not answered is named.

use crate::process::{send, wait_at_most};
use crate::{Ask, Before, Ended, Lane, Moment, Outcome, Row, Scale, mail};
use mailhaul_testing::Dovecot;
use mailhaul_testing::dovecot::Store;
use mailhaul_testing::histories::Dice;
use rustix::process::Signal;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const ROW: Row = Row { number: 12, name: "SIGTERM and SIGINT at random moments", play };

/// How long a command may take to end.
const OUT_WITHIN: Duration = Duration::from_secs(10);
/// Signals for one copy, until it is run to its end and judged.
const SIGNALS_A_ROUND: usize = 15;
const MAILBOXES: usize = 4;
/// Where the target hangs, one signal in so many.
const HANGS_IN: usize = 8;
/// What the command documents for a run that was interrupted.
const INTERRUPTED: i32 = 130;
/// Messages that arrive when all has been copied.
const MORE: usize = 300;
const USER: &str = "alice";

#[derive(Default)]
struct Sent {
    met: u64,
    hanging: u64,
    slowest: Duration,
}

fn play(ask: &Ask) -> Outcome {
    let messages = if ask.scale == Scale::Quick { 250 } else { 1_500 };
    let source = Dovecot::start();
    let corpus = mail::account(0, MAILBOXES, messages);
    corpus.write_maildir(&source, USER).expect("the source takes its mail");
    let (mut outcome, mut sent) = (Outcome::default(), Sent::default());
    let mut seeds = ask.seeds(6, 30, 300);
    while let Some(seed) = seeds.next() {
        let signals = 1 + seeds.by_ref().take(SIGNALS_A_ROUND - 1).count();
        let repeat = format!("--row 12 --seed {seed} --runs {signals}{}", ask.scale.word());
        one_round(&source, mail::octets(&corpus), (seed, signals), &repeat, &mut sent, &mut outcome);
    }
    let slowest = sent.slowest.as_secs_f64();
    outcome
        .figure(format!("{} met a running copy, {} a hanging target; slowest {slowest:.1} s", sent.met, sent.hanging));
    outcome
}

fn one_round(
    source: &Dovecot,
    mut octets: u64,
    (seed, signals): (u64, usize),
    repeat: &str,
    sent: &mut Sent,
    outcome: &mut Outcome,
) {
    let target = Dovecot::builder().store(Store::Sdbox).start();
    let folder = TempDir::new().expect("a temporary folder");
    let lane = Lane::new(source, &target, (USER, USER), folder.path());
    let mut dice = Dice::of(seed);
    for left in (1..=signals).rev() {
        outcome.runs += 1;
        let rest = octets.saturating_sub(lane.target_proxy.statistics().bytes_to_server) / left as u64;
        if !signal_once(&lane, &mut dice, (rest * 2).max(20_000), repeat, sent, outcome) {
            octets += mail::deliver_more(source, USER, MORE);
        }
    }
    let last = lane.run(&[]);
    if !last.is_complete() {
        outcome
            .fail(repeat, format!("the run after the signals ended with {}: {}{}", last.code, last.json, last.stderr));
    }
    outcome.take_in(repeat, &lane.judge(&mail::rules()));
    let before = lane.appends();
    if !lane.run(&[]).is_complete() || lane.appends() != before {
        outcome.fail(repeat, "a run with nothing to do sent APPEND, or was not complete");
    }
}

/// Starts a copy, sends it a signal at a random moment, and looks at how it ends and what it leaves behind. False if it
/// had ended by itself.
fn signal_once(
    lane: &Lane,
    dice: &mut Dice,
    octets: u64,
    repeat: &str,
    sent: &mut Sent,
    outcome: &mut Outcome,
) -> bool {
    let signal = dice.one_of(&[Signal::TERM, Signal::INT]);
    let hangs = dice.once_in(HANGS_IN);
    let moment = Moment::of(dice, octets);
    let connections = || lane.source_proxy.statistics().connections + lane.target_proxy.statistics().connections;
    let (had, before) = (connections(), Before::of(lane));
    // What a hanging target has left open, the next run must first look for, and may be stopped again before it has.
    let open = hangs || !lane.ledger().in_flight.is_empty();
    let mut copy = lane.start(&[]);
    let met = moment.wait(lane, &before, &mut copy);
    if hangs {
        lane.target_proxy.stall_all();
    }
    if met {
        send(&copy, signal);
    }
    let Some(took) = wait_at_most(&mut copy, OUT_WITHIN) else {
        outcome.fail(repeat, format!("{signal:?} at {moment:?}, hanging {hangs}: not out within {OUT_WITHIN:?}"));
        copy.kill().expect("kill -9");
        let _ = Ended::of(copy);
        return met;
    };
    let ended = Ended::of(copy);
    sent.met += u64::from(met);
    sent.hanging += u64::from(met && hangs);
    sent.slowest = sent.slowest.max(took);
    let faults = look(lane, &ended, Circumstances { met, open, had_begun: connections() > had });
    for fault in faults {
        outcome.fail(
            repeat,
            format!("{signal:?} at {moment:?}, hanging {hangs}: {fault}: {}{}", ended.json, ended.stderr),
        );
    }
    met
}

/// Under which circumstances a copy has ended.
#[derive(Clone, Copy)]
struct Circumstances {
    /// The signal met it while it ran.
    met: bool,
    /// Something may be in flight, from this run or an earlier one.
    open: bool,
    /// It had connected to a server.
    had_begun: bool,
}

fn look(lane: &Lane, ended: &Ended, circumstances: Circumstances) -> Vec<String> {
    let Circumstances { met, open, had_begun } = circumstances;
    let mut faults = Vec::new();
    // Before it listens for signals, one ends it as it ends any process.
    let by_signal = ended.code == -1 && !had_begun;
    let in_order = ended.code == INTERRUPTED || by_signal || ended.code == 0 && ended.is_complete();
    if !in_order {
        faults.push(format!("exit code {}", ended.code));
    }
    let ledger = lane.ledger();
    if !ledger.in_flight.is_empty() && !open {
        faults.push(format!("in flight: {}", ledger.in_flight.join(", ")));
    }
    let named = ended.json["stop"]["reason"].as_str().is_some_and(|reason| reason.contains("sent and not answered"));
    if met && !by_signal && ledger.in_flight.is_empty() == named {
        faults.push(format!("in flight: {:?}, and named: {named}", ledger.in_flight));
    }
    let on_target = lane.on_target();
    if ledger.in_flight.is_empty() && ledger.settled != on_target {
        faults.push(format!("{} messages are settled and {on_target} are on the target", ledger.settled));
    }
    faults
}
