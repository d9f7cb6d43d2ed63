//! Row 13: passwords. Every command is run at its loudest, with sign-ins that fail and with deaths in the middle; then
//! all that was said, all that was written, and what every process was called with is searched for the passwords, in
//! every form in which they travel.

mod search;
mod spy;

use crate::{Ask, Outcome, Row, Scene, Wave, mailhaul};
use mailhaul_testing::Dovecot;
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::{Direction, Event, Plan};
use mailhaul_testing::{Client, Corpus};
use search::Search;
use spy::Spy;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) const ROW: Row = Row { number: 13, name: "secrets, however much is said", play };

const LOUD: [&str; 3] = ["-vvv", "--log-format", "json"];

fn play(ask: &Ask) -> Outcome {
    let mut outcome = Outcome::default();
    let spy = Spy::send(mailhaul().get_program());
    let mut searched = 0;
    for seed in ask.seeds(1, 2, 20) {
        for (name, of) in [("one account", one_account as fn() -> Search), ("a wave", a_wave)] {
            let search = of();
            let repeat = format!("--row 13 --seed {seed}{}", ask.scale.word());
            for hit in search.hits() {
                outcome.fail(repeat.clone(), format!("{name}: {hit}"));
            }
            for hit in spy.hits(search.canaries()) {
                outcome.fail(repeat.clone(), format!("{name}: {hit}"));
            }
            if let Err(seen) = search.can_find() {
                outcome.fail(repeat, format!("{name}: the search finds nothing that is there: {seen}"));
            }
            searched += search.places();
        }
        outcome.runs += 1;
    }
    if spy.processes() < 4 {
        outcome.fail("--row 13", format!("only {} processes were looked at while they ran", spy.processes()));
    }
    outcome.figure(format!("{searched} files and outputs, {} processes", spy.processes()));
    outcome
}

/// `copy` and what looks at its result; passwords from files, and from a command; a wrong one; a death.
fn one_account() -> Search {
    const USER: &str = "alice";
    let (old, new, wrong) = ("Kanari/4711+alt", "Kanari/0815+neu", "Kanari/2342+falsch");
    let scene = Scene::build(Dovecot::builder().password(old), Dovecot::builder().password(new));
    let mut owner = Client::sign_in(scene.source.address(), USER, old).expect("the source lets its owner in");
    Corpus::small(300).load(&mut owner).expect("the source takes the corpus");
    let mut search = Search::below(scene.folder(), &["from", "to", "wrong"]);
    for secret in [old, new, wrong] {
        search.add_canary(USER, secret);
    }
    let file = scene.folder().join("wrong");
    std::fs::write(&file, format!("{wrong}\n")).expect("a password file");
    let url = |server: &Dovecot| format!("imap://{USER}@{}?tls=none", server.address());
    let by_file = |side: &str| [format!("--{side}-password-file"), scene.folder().join(side).display().to_string()];
    let by_command = |side: &str| {
        let path = scene.folder().join(side);
        [format!("--{side}-password-command"), format!("cat {}", path.display())]
    };
    let wrongly = |side: &str| [format!("--{side}-password-file"), file.display().to_string()];
    let command = |verb: &[&str], from: [String; 2], to: [String; 2]| {
        let mut command = mailhaul();
        command.args(verb).args(["--from", &url(&scene.source), "--to", &url(&scene.target)]).args(from).args(to);
        command.arg("--state").arg(scene.state());
        command
    };
    let failing = command(&["copy"], by_file("from"), wrongly("to"));
    search.say("copy, wrong password on the target", failing, Some(3));
    search.say("copy, wrong password at the source", command(&["copy"], wrongly("from"), by_file("to")), Some(3));
    let mut dying = command(&["copy"], by_command("from"), by_file("to"));
    dying.env("MAILHAUL_FAILPOINT", "commit settle before:1:abort");
    search.say("copy, and it dies", dying, Some(-1));
    search.look("after a death");
    for side in ["source", "target"] {
        // With the password in its hands.
        let mut panicking = command(&["copy"], by_command("from"), by_file("to"));
        panicking.env("MAILHAUL_FAILPOINT", format!("{side} AUTHENTICATE sent:1:panic")).env("RUST_BACKTRACE", "full");
        search.say_panicking(&format!("copy, and it panics while it signs in at the {side}"), panicking);
    }
    search.look("after a panic");
    search.say("copy --dry-run", command(&["copy", "--dry-run"], by_file("from"), by_file("to")), Some(0));
    search.say("copy --json", command(&["copy", "--json"], by_command("from"), by_command("to")), Some(0));
    for level in ["keys", "bytes"] {
        search.say("verify", command(&["verify", "--level", level], by_file("from"), by_file("to")), Some(0));
    }
    let mut report = mailhaul();
    report.args(["report", "--state"]).arg(scene.state());
    search.say("report", report, Some(0));
    search.look("in the end");
    search.keep(scene);
    search
}

/// Everything that works on lists, and every form of report.
fn a_wave() -> Search {
    let wave = Wave::of(ManyAccounts::new(6).mails(30));
    let folder = wave.state_folder().parent().expect("the wave's folder").to_owned();
    let mut search = Search::below(&folder, &["accounts.csv"]);
    for account in &wave.servers.accounts {
        search.add_canary(&account.source_user, &account.source_password);
        search.add_canary(&account.target_user, &account.target_password);
    }
    let mended = wave.servers.accounts[1].source_user.clone();
    wave.servers.source.change_user(&mended, |user| user.password("Kanari/anders"));
    search.add_canary(&mended, "Kanari/anders");
    search.say("preflight", wave.command(&["preflight", "--wave", "staff"]), None);
    kill_at_work(&wave, &mut search);
    let mut panicking = wave.run_command(&[]);
    panicking.env("MAILHAUL_FAILPOINT", "target AUTHENTICATE sent:2:panic").env("RUST_BACKTRACE", "full");
    search.say_panicking("run, and a job of it panics while it signs in", panicking);
    search.say("retry", wave.command(&["retry", "--failed"]), None);
    search.say("run", wave.run_command(&[]), Some(3));
    search.say("run --kind verify", wave.run_command(&["--kind", "verify"]), None);
    for words in [
        &["accounts", "export"][..],
        &["jobs", "--json"],
        &["status"],
        &["key", "rotate"],
        &["report", "--wave", "staff", "--format", "text"],
        &["report", "--wave", "staff", "--format", "json"],
        &["report", "--wave", "staff", "--format", "csv"],
        &["report", "--wave", "staff", "--format", "html"],
        &["accounts", "import", "no-such-list.csv", "--wave", "staff"],
    ] {
        search.say(&words.join(" "), wave.command(words), None);
    }
    for form in ["text", "json", "csv", "html"] {
        let file = folder.join(format!("report.{form}"));
        let file = file.to_str().expect("a path in plain letters");
        let words = ["report", "--wave", "staff", "--format", form, "--output", file];
        search.say(&words.join(" "), wave.command(&words), Some(0));
    }
    search.look("in the end");
    search.keep(wave);
    search
}

/// Kills a worker with `-9` while it writes, so that the log of the database is there to be read.
fn kill_at_work(wave: &Wave, search: &mut Search) {
    wave.slow_down(20_000);
    let mut command = wave.run_command(&LOUD);
    command.env("RUST_LOG", "trace");
    let mut worker = wave.start(command);
    let goal = wave.target.statistics().bytes(Direction::ToServer) + 20_000;
    // It may have ended before; then there is no less to be read.
    let _ = wave.target.wait_at_most(&Event::Bytes(Direction::ToServer, goal), Duration::from_secs(20));
    search.look("while it works");
    worker.child.kill().expect("kill -9");
    let _ = worker.child.wait();
    search.look("after kill -9");
    wave.target.set_plan(Plan::new());
}

/// How a command ends (-1: by a signal), and what it says at its loudest, on stdout and on stderr.
fn loudly(mut command: Command) -> (i32, Vec<u8>, Vec<u8>) {
    command.args(LOUD).env("RUST_LOG", "trace").stdin(Stdio::null());
    let output = command.output().expect("it can be started");
    (output.status.code().unwrap_or(-1), output.stdout, output.stderr)
}
