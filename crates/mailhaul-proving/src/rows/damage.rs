//! Row 8: the state file damaged, cut, put back, or gone, between runs of the real command.
//!
//! What must hold: either the next run ends as if nothing had happened, or it stops with a documented exit code and
//! has sent nothing to the mailboxes whose rows are damaged; then `ledger rebuild` mends it. Whatever happens, in the
//! end nothing is lost and nothing doubled, and a further run sends nothing.

mod harm;
mod spared;

use crate::{Ask, Ended, Outcome, Row, Scene, mailhaul};
use harm::{HARMS, Harm};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::imap_client::{Client, Fetched};
use mailhaul_testing::judge::Rules;
use mailhaul_testing::proxy::{Direction, Event};
use mailhaul_testing::{Corpus, Dovecot};
use spared::{Spared, counted, touched};
use std::process::{Child, Stdio};
use std::time::Duration;

pub(super) const ROW: Row = Row { number: 8, name: "the ledger damaged, old or gone", play };

/// The word that tells it from other rows of its number.
pub(super) const ONLY: &str = "damaged";

/// So many scenes at once: much of a run is waiting.
const SCENES: usize = 3;
/// How often is looked whether a command that is to be killed has ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What may end a run that found its state damaged: it is none of ours any more, or waits for a decision.
const REFUSED: [i32; 2] = [2, 6];
/// The mailbox in which the owner of the target takes something away.
const TIDIED: &str = "Lists/discuss";

fn play(ask: &Ask) -> Outcome {
    let seeds: Vec<u64> = ask.seeds(8, 60, 2_000).collect();
    let parts: Vec<Vec<u64>> =
        (0..SCENES).map(|part| seeds.iter().copied().skip(part).step_by(SCENES).collect()).collect();
    let mut outcome = Outcome::default();
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            parts.iter().filter(|part| !part.is_empty()).map(|part| scope.spawn(|| of_part(part))).collect();
        for part in parts {
            let (part, of_part) = part.join().expect("a scene is played to its end");
            outcome.add(part);
            seen.add(of_part);
        }
    });
    let Seen { noticed, rebuilds_killed, copies_killed } = seen;
    outcome.figure(format!(
        "{noticed} noticed and rebuilt, {} harmless or healed; {copies_killed} copies killed before, {rebuilds_killed} rebuilds \
         killed at work",
        outcome.runs - noticed
    ));
    if ask.runs.is_none() && (rebuilds_killed == 0 || copies_killed == 0) {
        let repeat = format!("--row 8 --only {ONLY}{}", ask.scale.word());
        outcome.fail(repeat, "no rebuild, or no copy before the harm, was still at work when it was killed");
    }
    outcome
}

/// What was met, in some runs.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Runs that were stopped by what they found.
    noticed: u64,
    /// Rebuilds that were killed, and were still at work.
    rebuilds_killed: u64,
    /// The same of copies, before anything was harmed.
    copies_killed: u64,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.noticed += other.noticed;
        self.rebuilds_killed += other.rebuilds_killed;
        self.copies_killed += other.copies_killed;
    }
}

/// Several runs in one scene, each for a user and with a state of its own.
fn of_part(seeds: &[u64]) -> (Outcome, Seen) {
    let scene = Scene::start();
    let (mut outcome, mut seen) = (Outcome::default(), Seen::default());
    for &seed in seeds {
        let run =
            Run { scene: &scene, user: format!("user{seed}"), repeat: format!("--row 8 --only {ONLY} --seed {seed}") };
        run.play(seed, &mut seen, &mut outcome);
        outcome.runs += 1;
        let _ = std::fs::remove_dir_all(scene.state().parent().expect("a folder"));
    }
    (outcome, seen)
}

/// Names that only case or composition tells apart are kept apart on the target.
fn names_kept_apart() -> Rules {
    Rules::new().map("Case", "Case-2").map("caf\u{e9}", "caf\u{e9}-2")
}

struct Run<'a> {
    scene: &'a Scene,
    user: String,
    repeat: String,
}

impl Run<'_> {
    fn play(&self, seed: u64, seen: &mut Seen, outcome: &mut Outcome) {
        let mut dice = Dice::of(seed);
        let harm = HARMS[usize::try_from(seed).unwrap_or(0) % HARMS.len()];
        self.fill();
        let removed = self.come_to_the_moment(harm, &mut dice, seen, outcome);
        if harm.leaves_rows_unread() {
            // A mailbox in which nothing has changed is not visited, and its messages not read.
            self.more_mail();
        }
        let told = harm.inflict(&self.scene.state(), &self.backup(), &mut dice);
        let what = format!("{} ({harm:?}: {told})", self.repeat);
        let checked = self.ledger(&["check"]);
        if !matches!(checked.code, 0 | 2 | 6) || checked.stderr.contains("panicked") {
            outcome.fail(&what, format!("ledger check ended with {}: {}", checked.code, checked.stderr));
        }
        let before = counted(&mut self.sign_in(&self.scene.target));
        let next = self.copy();
        if !next.is_complete() {
            let after = counted(&mut self.sign_in(&self.scene.target));
            look_at_refusal(&what, &next, &checked, &touched(&Spared::by(&checked.json), &before, &after), outcome);
        }
        // What a run had no need to read is damaged all the same.
        if !next.is_complete() || self.ledger(&["check"]).code != 0 {
            seen.noticed += 1;
            let before = self.scene.appends();
            seen.rebuilds_killed += u64::from(!seed.is_multiple_of(3) && self.kill_a_rebuild(&mut dice));
            self.rebuild(&what, before, outcome);
            let next = self.copy();
            if !next.is_complete() {
                outcome.fail(&what, format!("after the rebuild a copy ended with {}: {}", next.code, next.stderr));
            }
        }
        let rules = removed
            .iter()
            .fold(names_kept_apart(), |rules, octets| rules.allow_missing(octets, "removed by its owner"));
        outcome.take_in(&what, &self.scene.judge(&self.user, &rules));
        let before = self.scene.appends();
        let again = self.copy();
        if !again.is_complete() || self.scene.appends() != before {
            outcome.fail(&what, format!("a run with nothing to do sent APPEND, or ended with {}", again.code));
        }
    }

    fn fill(&self) {
        let mut owner = self.sign_in(&self.scene.source);
        Corpus::lively(80, 60_000).load(&mut owner).expect("the source takes the corpus");
    }

    /// Brings the copy to the point at which the harm is done; what the owner of the target has removed meanwhile.
    fn come_to_the_moment(&self, harm: Harm, dice: &mut Dice, seen: &mut Seen, outcome: &mut Outcome) -> Vec<Vec<u8>> {
        if harm.needs_a_log() || (harm.may_come_early() && dice.once_in(2)) {
            seen.copies_killed += u64::from(self.kill_on_the_way(dice));
            return Vec::new();
        }
        self.complete(outcome);
        if harm != Harm::OldCopy {
            return Vec::new();
        }
        std::fs::copy(self.scene.state(), self.backup()).expect("a backup is made");
        self.more_mail();
        self.complete(outcome);
        self.tidy_up(dice)
    }

    fn complete(&self, outcome: &mut Outcome) {
        let copied = self.copy();
        if !copied.is_complete() {
            outcome.fail(&self.repeat, format!("before anything was harmed: {} {}", copied.code, copied.stderr));
        }
    }

    /// Kills a copy when so much has been sent; whether it was still at work.
    fn kill_on_the_way(&self, dice: &mut Dice) -> bool {
        let copy = self.scene.copy(&self.user, &["--copy-deleted-flag"]).spawn().expect("it can be started");
        let sent = self.scene.target_proxy.statistics().bytes(Direction::ToServer);
        self.kill_when(copy, Direction::ToServer, sent + 20_000 + dice.below(600_000) as u64)
    }

    /// Kills a rebuild when so much has come from the target; whether it was still at work.
    fn kill_a_rebuild(&self, dice: &mut Dice) -> bool {
        let rebuild = self.start_rebuild();
        let read = self.scene.target_proxy.statistics().bytes(Direction::ToClient);
        self.kill_when(rebuild, Direction::ToClient, read + 1 + dice.below(20_000) as u64)
    }

    /// Kills a command when so many octets have passed the target's proxy; whether it was still at work.
    fn kill_when(&self, mut child: Child, direction: Direction, octets: u64) -> bool {
        let event = Event::Bytes(direction, octets);
        let has_ended = |child: &mut Child| child.try_wait().expect("it was started").is_some();
        while !self.scene.target_proxy.wait_at_most(&event, LOOK_EVERY) && !has_ended(&mut child) {}
        let met = !has_ended(&mut child);
        child.kill().expect("kill -9");
        let _ = Ended::of(child);
        met
    }

    fn more_mail(&self) {
        Corpus::of_size(&["Later"], 30, 2_000)
            .load(&mut self.sign_in(&self.scene.source))
            .expect("the source takes more mail");
        let text = |number: u32| {
            format!("Message-ID: <later{number}@x>\r\nSubject: later {number}\r\n\r\nAfter the backup.\r\n")
        };
        let mut owner = self.sign_in(&self.scene.source);
        for number in 0..10 {
            owner.append(TIDIED, &[], None, text(number).as_bytes()).expect("the source takes it");
        }
    }

    /// The owner of the target removes some of what he has, forgotten by the old state or not; the octets of it.
    fn tidy_up(&self, dice: &mut Dice) -> Vec<Vec<u8>> {
        let mut owner = self.sign_in(&self.scene.target);
        owner.select(TIDIED).expect("it was copied");
        let messages = owner.fetch_all().expect("readable");
        let removed: Vec<&Fetched> = messages.iter().filter(|_| dice.once_in(8)).collect();
        for message in &removed {
            owner.store(&message.uid.to_string(), "+FLAGS.SILENT", &["\\Deleted"]).expect("his own mail");
            owner.uid_expunge(&message.uid.to_string()).expect("his own mail");
        }
        removed.into_iter().map(|message| message.octets.clone()).collect()
    }

    /// Rebuilds the account. Nothing may be sent, nor have been by a rebuild that was killed before.
    fn rebuild(&self, what: &str, before: u32, outcome: &mut Outcome) {
        let rebuilt = Ended::of(self.start_rebuild());
        if rebuilt.code != 0 {
            outcome.fail(what, format!("the rebuild ended with {}: {} {}", rebuilt.code, rebuilt.json, rebuilt.stderr));
        }
        if self.scene.appends() != before {
            outcome.fail(what, "the rebuild sent APPEND");
        }
        let checked = self.ledger(&["check"]);
        if checked.code != 0 {
            outcome.fail(what, format!("damaged after its rebuild: {} {}", checked.json, checked.stderr));
        }
    }

    fn start_rebuild(&self) -> Child {
        self.scene.command(&["ledger", "rebuild"], &self.user, &[]).spawn().expect("it can be started")
    }

    fn copy(&self) -> Ended {
        self.scene.run(&self.user, &["--copy-deleted-flag"])
    }

    fn ledger(&self, words: &[&str]) -> Ended {
        let mut command = mailhaul();
        command.arg("ledger").args(words).arg("--json").arg("--state").arg(self.scene.state());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ended::of(command.spawn().expect("it can be started"))
    }

    fn backup(&self) -> std::path::PathBuf {
        self.scene.folder().join("backup.db")
    }

    fn sign_in(&self, server: &Dovecot) -> Client {
        Client::sign_in(server.address(), &self.user, server.password()).expect("the server lets its owner in")
    }
}

/// A run that does not end as usual must say why, by a code that is documented, and have sent nothing to where the damage
/// is.
fn look_at_refusal(what: &str, next: &Ended, checked: &Ended, touched: &[String], outcome: &mut Outcome) {
    if !REFUSED.contains(&next.code) || next.stderr.contains("panicked") {
        outcome.fail(what, format!("the run ended with {}: {} {}", next.code, next.json, next.stderr));
    }
    if checked.code == 0 {
        outcome.fail(what, format!("the run was refused and the check found nothing: {} {}", next.json, next.stderr));
    }
    if !touched.is_empty() {
        outcome.fail(what, format!("a run sent mail to {touched:?}, of which its state was damaged"));
    }
}
