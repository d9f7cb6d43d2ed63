//! Row 6: several processes share a wave, and lose their leases.
//!
//! Leases last a second. A process is stopped for half a lease to three of them, its clock jumps by a second to five
//! years, or somebody else holds the lock of the state file, once for a minute. Each trouble strikes when something has
//! just happened ([`step`]), and counts only if it met a process at work. Whoever has lost his lease writes nothing
//! more ([`ghost`]); what it did before is found on the target by the next.

mod crew;
mod ghost;
mod state;
mod step;
mod trouble;

use crate::shim::Shim;
use crate::{Ask, Outcome, Row, Scale, Wave, sqlite};
use crew::Crew;
use mailhaul_testing::ManyAccounts;
use mailhaul_testing::histories::Dice;
use state::State;
use std::sync::Mutex;
use std::time::Duration;
use step::Step;
use trouble::Trouble;

pub(super) const ROW: Row =
    Row { number: 6, name: "stopped processes, lost leases, jumping clocks, locked files", play };

const LEASE: Duration = Duration::from_secs(1);
/// Troubles in one wave, until it is run to its end and judged; fewer in one that waits for a minute.
const TROUBLES_A_WAVE: usize = 13;
const TROUBLES_WITH_A_MINUTE: usize = 4;
/// A wave in so many seeds ends with a lock of a minute.
const MINUTE_IN: u64 = 30;
/// Waves at once: they wait most of their time.
const AT_ONCE: usize = 3;
/// How often a trouble may find nobody at work before the wave is given up.
const TRIES: usize = 3;
/// Slow enough that a wave is under way for as long as most troubles last; whoever is done before gets more mail.
const SLOW_BYTES_PER_SEC: u64 = 6_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What was met.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    stops: u64,
    jumps: u64,
    locks: u64,
    minutes: u64,
    /// Processes that were seen alone after their jobs had gone to others.
    ghosts: u64,
    /// Those among them whose successors had sent again what they had not found: what the loser still completes is
    /// there twice.
    late_ghosts: u64,
    lost: usize,
    /// Writes of theirs that the ledger has refused.
    refused: usize,
}

impl Figures {
    fn add(&mut self, other: Figures) {
        self.stops += other.stops;
        self.jumps += other.jumps;
        self.locks += other.locks;
        self.minutes += other.minutes;
        self.ghosts += other.ghosts;
        self.late_ghosts += other.late_ghosts;
        self.lost += other.lost;
        self.refused += other.refused;
    }
}

/// One wave to be played.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    troubles: usize,
    has_minute: bool,
    /// Long waits are in it.
    is_long: bool,
}

impl Plan {
    /// Whether its first loser is kept back until its successors have sent again what they did not find.
    fn is_patient(&self) -> bool {
        self.is_long && !self.has_minute
    }
}

/// What is written down of a wave.
#[derive(Debug, Default)]
struct Book {
    repeat: String,
    figures: Figures,
    outcome: Outcome,
}

fn play(ask: &Ask) -> Outcome {
    let plans = plans(ask);
    let shim = Shim::build();
    let (next, sum) = (Mutex::new(plans.iter()), Mutex::new((Outcome::default(), Figures::default())));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(plans.len()) {
            scope.spawn(|| {
                loop {
                    let Some(plan) = next.lock().expect("nobody panics with it").next() else { return };
                    let book = one_wave(plan, &shim, ask.scale);
                    let mut sum = sum.lock().expect("nobody panics with it");
                    sum.0.add(book.outcome);
                    sum.1.add(book.figures);
                }
            });
        }
    });
    let (mut outcome, figures) = sum.into_inner().expect("nobody panics with it");
    conclude(&plans, &figures, ask, &mut outcome);
    outcome
}

/// The waves, one after the other through the seeds.
fn plans(ask: &Ask) -> Vec<Plan> {
    let seeds = ask.seeds(5, 30, 500);
    let (mut plans, mut seed) = (Vec::new(), seeds.start);
    while seed < seeds.end {
        let has_minute = ask.scale != Scale::Quick && seed % MINUTE_IN == 1;
        let most = if has_minute { TROUBLES_WITH_A_MINUTE } else { TROUBLES_A_WAVE };
        let troubles = most.min(usize::try_from(seeds.end - seed).unwrap_or(most));
        plans.push(Plan { seed, troubles, has_minute, is_long: ask.scale != Scale::Quick });
        seed += troubles as u64;
    }
    plans
}

/// A row that has met nothing has shown nothing.
fn conclude(plans: &[Plan], figures: &Figures, ask: &Ask, outcome: &mut Outcome) {
    let Figures { stops, jumps, locks, minutes, ghosts, late_ghosts, lost, refused } = *figures;
    outcome.figure(format!(
        "{stops} stops, {jumps} clock jumps, {locks} locks ({minutes} of a minute) met a process at work; \
         {lost} leases lost, {ghosts} losers seen alone, {late_ghosts} of them after their mail was sent again, {refused} \
         of their writes refused"
    ));
    let repeat = format!("--row 6 --seed {} --runs {}{}", ask.seed, ask.runs(5, 30, 500), ask.scale.word());
    let wanted = plans.iter().filter(|plan| plan.has_minute).count() as u64;
    for (met, what) in [
        (lost > 0, "no lease was lost"),
        (refused > 0, "no write of a process that had lost its lease was refused"),
        (ghosts > 0, "no process was seen that had lost its lease"),
        (
            late_ghosts > 0 || !plans.iter().any(Plan::is_patient),
            "no process that had lost its lease was seen after others had sent its mail again",
        ),
        (minutes >= wanted, "no lock of a minute met a process at work"),
    ] {
        if !met {
            outcome.fail(&repeat, what);
        }
    }
}

fn one_wave(plan: &Plan, shim: &Shim, scale: Scale) -> Book {
    let repeat = format!("--row 6 --seed {} --runs {}{}", plan.seed, plan.troubles, scale.word());
    let mut book = Book { repeat, ..Book::default() };
    let mut dice = Dice::of(plan.seed);
    let wave = Wave::of(ManyAccounts::new(12).mails(120).mail_bytes(700));
    // Mail that comes slowly leaves commands open; mail that goes slowly leaves commands unanswered.
    match dice.once_in(2) {
        true => wave.slow_source_down(SLOW_BYTES_PER_SEC),
        false => wave.slow_down(SLOW_BYTES_PER_SEC),
    }
    ghost::arrange(&wave, &mut dice);
    let mut crew = Crew::of(&wave, shim);
    let state = State::at(wave.state());
    if !ghost::is_arranged(&wave, &mut crew, &state) {
        let said = crew.hands[0].worker.said();
        book.outcome.fail(&book.repeat, format!("the first process did not come to hold its accounts:\n{said}"));
    }
    make_troubles(plan, &state, &mut crew, &mut dice, &mut book);
    wave.hurry();
    crew.see_out(PATIENCE, &mut book);
    book.figures.refused += crew.refused_writes();
    book.figures.lost += wave.leases_lost();
    judge(&wave, &book.repeat, &mut book.outcome);
    book
}

fn make_troubles(plan: &Plan, state: &State, crew: &mut Crew<'_>, dice: &mut Dice, book: &mut Book) {
    let (mut met, mut tries, mut idle) = (0, plan.troubles * TRIES, 0);
    while met < plan.troubles && tries > 0 {
        tries -= 1;
        let trouble = Trouble::of(dice, plan, met);
        let step = Step::of(dice);
        crew.keep_at_work(state, book);
        // The first trouble finds everything arranged.
        if (met == 0 || step.wait(crew.wave(), state)) && trouble.make(crew, state, book) {
            met += 1;
        }
        idle += usize::from(state.holders().is_empty());
    }
    book.outcome.runs += met as u64;
    if met < plan.troubles {
        let short = format!(
            "only {met} of {} troubles met a process at work; after {idle} of the tries nobody held a job, and {} jobs \
             are not done",
            plan.troubles,
            state.open_jobs()
        );
        book.outcome.fail(&book.repeat, short);
    }
}

fn judge(wave: &Wave, repeat: &str, outcome: &mut Outcome) {
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
        outcome.take_in(&format!("{repeat} (account {name})"), of_account);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(scale: Scale, seed: u64, runs: Option<u64>) -> Ask {
        Ask { scale, runs, seed }
    }

    #[test]
    fn what_a_failure_names_is_the_very_wave_again() {
        for scale in [Scale::Quick, Scale::Prove, Scale::Long] {
            for plan in plans(&ask(scale, 1, None)) {
                let again = plans(&ask(scale, plan.seed, Some(plan.troubles as u64)));
                assert_eq!(format!("{again:?}"), format!("{:?}", [plan]));
            }
        }
    }

    #[test]
    fn thirty_troubles_have_one_minute_among_them() {
        let plans = plans(&ask(Scale::Prove, 1, None));
        assert_eq!(plans.iter().filter(|plan| plan.has_minute).count(), 1);
        assert_eq!(plans.iter().map(|plan| plan.troubles).sum::<usize>(), 30);
    }
}
