//! One server that is as it should be, and the command that is led from it to a trap, or from a trap to it.

use crate::canary::Canary;
use crate::{Ask, Ended, Outcome, Scale, mailhaul};
use mailhaul_testing::Dovecot;
use mailhaul_testing::tls::bad::Certificates;
use mailhaul_testing::tls::trap::Trap;
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

const USER: &str = "alice";

/// Cases that are played at once.
const AT_ONCE: usize = 32;
/// The same where every case is seen to its end: many are tried again and again by the command, which mostly waits then,
/// for most of a minute.
const PATIENTLY_AT_ONCE: usize = 96;

/// The exit code of a command that somebody stopped.
const STOPPED: i32 = 130;

/// Whose place a trap takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Source,
    Target,
}

impl Place {
    pub(super) const BOTH: [Place; 2] = [Place::Source, Place::Target];
}

pub(super) struct Lab {
    pub(super) certificates: Certificates,
    pub(super) canary: Canary,
    honest: Dovecot,
    folder: TempDir,
    turn: AtomicUsize,
    /// Whether to see what comes of trying again, up to the end, and not only that it comes to the same.
    patient: bool,
}

/// One thing to be tried in one place: `bad certificate, Source`.
pub(super) type Case<'a> = Box<dyn Fn() -> Outcome + Send + Sync + 'a>;

/// Where the command is led to.
pub(super) struct Lure<'a> {
    /// `imaps` or `imap`.
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) address: SocketAddr,
    /// More options, in which `SIDE` stands for `from` or `to`.
    pub(super) options: &'a [String],
}

impl Lab {
    pub(super) fn open(ask: &Ask) -> Lab {
        let certificates = Certificates::new();
        let canary = Canary::new(USER, "kanarienvogel 4711");
        let honest = Dovecot::start();
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in
            [("honest", honest.password()), ("trap", canary.secret()), ("ca.pem", &certificates.ca_pem())]
        {
            std::fs::write(folder.path().join(name), format!("{text}\n")).expect("a file of ours");
        }
        let patient = ask.scale != Scale::Quick;
        Lab { certificates, canary, honest, folder, turn: AtomicUsize::new(0), patient }
    }

    /// Plays all cases, many at a time.
    pub(super) fn play(&self, cases: &[Case<'_>]) -> Outcome {
        let at_once = if self.patient { PATIENTLY_AT_ONCE } else { AT_ONCE };
        let (turn, sum) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
        std::thread::scope(|scope| {
            for _ in 0..at_once.min(cases.len()) {
                scope.spawn(|| {
                    while let Some(case) = cases.get(turn.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = case();
                        sum.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
                    }
                });
            }
        });
        sum.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// `--ca-file` with the authority that is to be trusted.
    pub(super) fn trusting(&self) -> Vec<String> {
        vec!["--ca-file".to_owned(), self.file("ca.pem").display().to_string()]
    }

    /// Lets the command go where it is led, to its end.
    pub(super) fn lead(&self, place: Place, lure: &Lure<'_>) -> Ended {
        Ended::of(self.command(place, lure).spawn().expect("it can be started"))
    }

    /// The same; a trap to which it comes a second time has heard enough, unless we are patient.
    pub(super) fn lead_to(&self, trap: &Trap, place: Place, lure: &Lure<'_>) -> Ended {
        let mut child = self.command(place, lure).spawn().expect("it can be started");
        while !self.patient && !has_ended(&mut child) {
            if trap.wait_for_visits(2, Duration::from_millis(50)) {
                // It may have ended this very moment.
                let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
                break;
            }
        }
        Ended::of(child)
    }

    fn command(&self, place: Place, lure: &Lure<'_>) -> Command {
        let trap = format!("{}://{USER}@{}:{}", lure.scheme, lure.host, lure.address.port());
        let honest = format!("imap://{USER}@{}?tls=none", self.honest.address());
        let (ours, theirs) = match place {
            Place::Source => ("from", "to"),
            Place::Target => ("to", "from"),
        };
        let mut command = mailhaul();
        command.args(["copy", "--json", "-vvv", "--timeout", "4"]);
        command.arg(format!("--{ours}")).arg(trap).arg(format!("--{theirs}")).arg(honest);
        command.arg(format!("--{ours}-password-file")).arg(self.file("trap"));
        command.arg(format!("--{theirs}-password-file")).arg(self.file("honest"));
        // One account is worked on once at a time, so each has a state of its own.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        command.arg("--state").arg(self.file(&format!("state-{turn}/mailhaul.db")));
        command.args(lure.options.iter().map(|option| option.replace("SIDE", ours)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Nothing may have been heard of how to sign in, and the command must have ended with this code, or been stopped when
    /// it tried again.
    pub(super) fn judge(&self, outcome: &mut Outcome, case: &str, heard: &[u8], ended: &Ended, code: i32) {
        outcome.runs += 1;
        let text = String::from_utf8_lossy(heard).to_ascii_uppercase();
        let said = ["AUTHENTICATE", " LOGIN "].iter().any(|word| text.contains(word));
        if said || self.canary.sings_in(heard).is_some() {
            outcome.fail(case, format!("it was led to sign in; heard: {text:?}; {}", ended.stderr));
        }
        if ended.code != code && (self.patient || ended.code != STOPPED) {
            outcome.fail(case, format!("it ended with {} and not {code}: {} {}", ended.code, ended.json, ended.stderr));
        }
        if self.canary.sings_in(ended.stderr.as_bytes()).is_some() {
            outcome.fail(case, "the password stands in what it says".to_owned());
        }
    }

    /// The password must have been heard: a trap that hears nothing shows nothing.
    pub(super) fn must_be_heard(&self, outcome: &mut Outcome, case: &str, heard: &[u8], ended: &Ended) {
        outcome.runs += 1;
        if self.canary.sings_in(heard).is_none() {
            outcome.fail(case, format!("nothing is wrong here, and it did not sign in: {}", ended.stderr));
        }
    }
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}
