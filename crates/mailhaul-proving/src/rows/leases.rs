//! Row 6: several processes share a wave, and lose their leases.
//!
//! Leases last a second. At random moments a process is stopped for half a lease to three of them, its clock jumps by
//! a second to five years, or somebody else holds the lock of the state file. Whoever has lost his lease writes nothing
//! more; what it did before is found on the target by the next.

use crate::process::send;
use crate::shim::{Control, Shim};
use crate::{Ask, Outcome, Row, Scale, Wave, Worker, sqlite};
use mailhaul_testing::ManyAccounts;
use mailhaul_testing::histories::Dice;
use rustix::process::Signal;
use std::time::{Duration, Instant};

pub(super) const ROW: Row =
    Row { number: 6, name: "stopped processes, lost leases, jumping clocks, locked files", play };

const LEASE_MS: u64 = 1_000;
const PROCESSES: usize = 3;
/// Troubles in one wave, until it is run to its end and judged.
const TROUBLES_A_WAVE: usize = 15;
/// Longer than mailhaul waits for somebody else's lock: then a process ends, and says why.
const LONG_LOCK: Duration = Duration::from_secs(12);
const LOCK_OF_A_MINUTE: Duration = Duration::from_secs(60);
const FIVE_YEARS_SECS: f64 = 5.0 * 365.25 * 86_400.0;
/// Slow enough that a wave is still under way after its last trouble.
const BYTES_PER_SEC: u64 = 12_000;
/// How a process may end: it has settled, or the lock was held for too long, or the wave waits for somebody.
const DOCUMENTED: [i32; 4] = [0, 4, 5, 6];
const PATIENCE: Duration = Duration::from_secs(120);

/// What is done to a process, or to the file.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Stop(Duration),
    Clock(i64),
    Lock(Duration),
}

#[derive(Default)]
struct Figures {
    stops: u64,
    jumps: u64,
    locks: u64,
    lost: usize,
}

/// One process and its clock.
struct Hand {
    worker: Worker,
    control: Control,
}

fn play(ask: &Ask) -> Outcome {
    let shim = Shim::build();
    let (mut outcome, mut figures) = (Outcome::default(), Figures::default());
    let mut seeds = ask.seeds(5, 30, 500);
    while let Some(seed) = seeds.next() {
        let troubles = 1 + seeds.by_ref().take(TROUBLES_A_WAVE - 1).count();
        one_wave(ask.scale, &shim, seed, troubles, &mut figures, &mut outcome);
    }
    let Figures { stops, jumps, locks, lost } = figures;
    outcome.figure(format!("{stops} stops, {jumps} clock jumps, {locks} locks; {lost} leases lost"));
    outcome
}

fn one_wave(scale: Scale, shim: &Shim, seed: u64, troubles: usize, figures: &mut Figures, outcome: &mut Outcome) {
    let repeat = format!("--row 6 --seed {seed} --runs {troubles}");
    let wave = Wave::of(ManyAccounts::new(12).mails(90));
    wave.slow_down(BYTES_PER_SEC);
    let mut dice = Dice::of(seed);
    let mut hands: Vec<Hand> = (0..PROCESSES).map(|_| begin(&wave, shim)).collect();
    for turn in 0..troubles {
        outcome.runs += 1;
        std::thread::sleep(Duration::from_millis(dice.below(700) as u64));
        let last_of_wave = turn + 1 == troubles;
        let trouble = Trouble::of(&mut dice, scale, last_of_wave);
        let place = dice.below(hands.len());
        trouble.make(&wave, &mut hands[place], figures);
        for hand in &mut hands {
            replace_if_ended(hand, &wave, shim, &repeat, outcome);
        }
    }
    wave.slow_down(10_000_000);
    let until = Instant::now() + PATIENCE;
    for hand in &mut hands {
        let left = until.saturating_duration_since(Instant::now());
        match hand.worker.code(left) {
            Some(code) => judge_end(hand, code, &repeat, outcome),
            None => outcome.fail(&repeat, format!("a process did not end:\n{}", hand.worker.said())),
        }
    }
    figures.lost += wave.leases_lost();
    conclude(&wave, &repeat, outcome);
}

impl Trouble {
    fn of(dice: &mut Dice, scale: Scale, last_of_wave: bool) -> Trouble {
        let some_leases =
            |dice: &mut Dice| Duration::from_millis(LEASE_MS / 2 + dice.below(2_500) as u64 * LEASE_MS / 1_000);
        match dice.below(10) {
            // A long lock comes last: whoever waited for it has ended.
            _ if last_of_wave && scale == Scale::Long && dice.once_in(5) => Trouble::Lock(LOCK_OF_A_MINUTE),
            _ if last_of_wave && scale != Scale::Quick && dice.once_in(3) => Trouble::Lock(LONG_LOCK),
            0..=5 => Trouble::Stop(some_leases(dice)),
            6..=8 => {
                let size = FIVE_YEARS_SECS.powf(dice.below(1_001) as f64 / 1_000.0);
                #[expect(clippy::cast_possible_truncation, reason = "at most five years")]
                let secs = size.round() as i64;
                Trouble::Clock(if dice.once_in(2) { secs } else { -secs })
            }
            _ => Trouble::Lock(some_leases(dice)),
        }
    }

    fn make(self, wave: &Wave, hand: &mut Hand, figures: &mut Figures) {
        match self {
            Trouble::Stop(time) => {
                figures.stops += 1;
                if !hand.worker.has_ended() {
                    send(&hand.worker.child, Signal::STOP);
                    std::thread::sleep(time);
                    send(&hand.worker.child, Signal::CONT);
                }
            }
            Trouble::Clock(secs) => {
                figures.jumps += 1;
                hand.control.shift_clock(secs);
            }
            Trouble::Lock(time) => figures.locks += u64::from(sqlite::lock(&wave.state(), time)),
        }
    }
}

fn begin(wave: &Wave, shim: &Shim) -> Hand {
    let control = shim.control();
    let lease = LEASE_MS.to_string();
    let mut command = wave.run_command(&["--workers", "4", "--lease-ms", &lease]);
    control.rule(&mut command, std::path::Path::new("/nowhere"));
    Hand { worker: wave.start(command), control }
}

/// A process may end because of what was done to it; another takes its place.
fn replace_if_ended(hand: &mut Hand, wave: &Wave, shim: &Shim, repeat: &str, outcome: &mut Outcome) {
    if !hand.worker.has_ended() {
        return;
    }
    let code = hand.worker.code(Duration::ZERO).unwrap_or(-1);
    judge_end(hand, code, repeat, outcome);
    *hand = begin(wave, shim);
}

fn judge_end(hand: &Hand, code: i32, repeat: &str, outcome: &mut Outcome) {
    let said = hand.worker.said();
    if !DOCUMENTED.contains(&code) {
        outcome.fail(repeat, format!("a process ended with {code}:\n{said}"));
    }
}

fn conclude(wave: &Wave, repeat: &str, outcome: &mut Outcome) {
    // Several deaths or failures in a row put a job aside; that is no loss, and is asked for again.
    let _ = wave.run(&[]);
    let _ = wave.say(&["retry", "--failed"]);
    let last = wave.run(&[]);
    if last.code != 0 {
        outcome.fail(repeat, format!("the last run ended with {}: {}{}", last.code, last.json, last.stderr));
    }
    let in_flight = wave.in_flight();
    if !in_flight.is_empty() {
        outcome.fail(repeat, format!("in flight after the end: {in_flight:?}"));
    }
    if let Err(words) = sqlite::integrity(&wave.state()) {
        outcome.fail(repeat, words);
    }
    let judgement = wave.servers.judge();
    for (name, of_account) in &judgement.accounts {
        outcome.take_in(&format!("{repeat}, account {name}"), of_account);
    }
    let (settled, there) = (wave.settled(), judgement.messages().1 as u64);
    if settled != there {
        outcome.fail(repeat, format!("{settled} messages are settled, and {there} are on the target"));
    }
    let before = wave.target.statistics().appended_messages;
    let again = wave.run(&["--kind", "resync"]);
    if again.code != 0 || wave.target.statistics().appended_messages != before {
        outcome.fail(repeat, format!("a pass with nothing to do sent mail, or ended with {}", again.code));
    }
}
