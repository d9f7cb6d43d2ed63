//! What the operator decides about changes after the first copy: refused where it contradicts itself, asked about where
//! mail may be removed, and kept for endpoints, waves and accounts.

use crate::harness::{Bench, Said, USER, finish, mailhaul};
use crate::stage::{fill, fill_more};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{ChildStderr, Stdio};
use tempfile::TempDir;

/// A folder with a state file in which two accounts stand in a wave. No server is behind its endpoints.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn ready() -> Self {
        let desk = Self { folder: TempDir::new().expect("a temporary folder") };
        desk.done(&["init"]);
        desk.done(&["endpoint", "add", "old", "imaps://old.example"]);
        desk.done(&["endpoint", "add", "new", "imaps://new.example"]);
        desk.import(&["alice", "bob"], "staff");
        desk
    }

    fn import(&self, names: &[&str], wave: &str) {
        let mut list = "account,source_user,source_password,target_user,target_password\n".to_owned();
        list.extend(names.iter().map(|name| format!("{name},{name},a,{name},b\n")));
        let file = self.path("list");
        std::fs::write(&file, list).expect("a list");
        let file = file.to_str().expect("a path in plain letters");
        self.done(&["accounts", "import", file, "--wave", wave, "--from", "old", "--to", "new"]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn say(&self, words: &[&str]) -> Said {
        let mut command = mailhaul();
        command.args(words).arg("--state").arg(self.path("mailhaul.db"));
        command.arg("--key-file").arg(self.path("mailhaul.key"));
        finish(command)
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let said = self.say(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.stdout
    }

    /// The options that something has of its own.
    #[track_caller]
    fn options(&self, what: &str, name: &str) -> Value {
        let text = self.done(&[what, "show", name, "--json"]);
        let mut json: Value = serde_json::from_str(&text).expect("JSON");
        let options = if what == "endpoint" { &mut json["options"]["copy"] } else { &mut json["options"] };
        options.take()
    }

    /// Fails with code 2 and says all of this.
    #[track_caller]
    fn refused(&self, words: &str, parts: &[&str]) {
        let words: Vec<&str> = words.split(' ').collect();
        assert_refused(&self.say(&words), parts);
    }
}

#[track_caller]
fn assert_refused(said: &Said, parts: &[&str]) {
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    for part in parts {
        assert!(said.stderr.contains(part), "no `{part}`: {}", said.stderr);
    }
}

#[test]
fn options_that_contradict_each_other_are_refused_before_anything_is_opened() {
    let folder = TempDir::new().expect("a temporary folder");
    let state = folder.path().join("state/mailhaul.db");
    let cases: [(&str, &[&str]); 11] = [
        ("--deletions mirror", &["alice at new.invalid", "no terminal", "--yes"]),
        ("--deletions mirror --yes --switched", &["mirror and --switched contradict"]),
        ("--flags source --switched", &["--flags source and --switched contradict", "--flags merge"]),
        ("--max-deletions 5", &["--max-deletions bounds deletions", "--deletions"]),
        ("--max-deletions-percent 5 --deletions ignore", &["--max-deletions-percent bounds deletions"]),
        ("--deletions trash --max-deletions 0", &["--max-deletions", "0"]),
        ("--deletions trash --max-deletions-percent 101", &["101", "1..=100"]),
        ("--deletions all", &["[possible values: ignore, flag, trash, mirror]"]),
        ("--follow --final", &["--follow", "cannot be used with", "--final"]),
        ("--follow --dry-run", &["--follow", "cannot be used with", "--dry-run"]),
        ("--flags both", &["[possible values: merge, source, target, none]"]),
    ];
    for (options, parts) in cases {
        let mut command = mailhaul();
        command.args(["copy", "--from", "imaps://alice@old.invalid", "--to", "imaps://alice@new.invalid"]);
        // Nobody asks for the passwords either: reading them would fail in other words.
        command.args(["--from-password-command", "exit 9", "--to-password-command", "exit 9"]);
        command.args(options.split(' ')).arg("--state").arg(&state);
        assert_refused(&finish(command), parts);
        assert!(!state.exists(), "{options}");
    }
}

#[test]
fn what_is_said_for_endpoints_waves_and_accounts_is_kept_and_shown() {
    let desk = Desk::ready();
    desk.done(&["endpoint", "set", "new", "--flags", "target", "--max-deletions", "500", "--accept-source-change"]);
    let more = ["--deletions", "trash", "--max-deletions-percent", "25", "--moves", "copy"];
    desk.done(&[&["wave", "set", "staff"], &more[..]].concat());
    let views = ["--switched", "--accept-view", "INBOX", "--accept-view", "Old mail"];
    desk.done(&[&["accounts", "set", "alice"], &views[..]].concat());
    let expected = serde_json::json!({ "flags": "target", "max_deletions": 500, "accept_source_change": true });
    assert_eq!(desk.options("endpoint", "new"), expected);
    let expected = serde_json::json!({ "deletions": "trash", "max_deletions_percent": 25, "moves": "copy" });
    assert_eq!(desk.options("wave", "staff"), expected);
    let expected = serde_json::json!({ "switched": true, "accept_view": ["INBOX", "Old mail"] });
    assert_eq!(desk.options("accounts", "alice"), expected);
    assert_eq!(desk.options("accounts", "bob"), serde_json::json!({}));
    let shown = desk.done(&["wave", "show", "staff"]);
    assert!(shown.contains("--moves copy, --deletions trash, --max-deletions-percent 25"), "{shown}");
    let shown = desk.done(&["accounts", "show", "alice"]);
    assert!(shown.contains("--switched=true, --accept-view 'INBOX', --accept-view 'Old mail'"), "{shown}");
    desk.done(&["wave", "set", "staff", "--inherit", "--deletions", "flag"]);
    assert_eq!(desk.options("wave", "staff"), serde_json::json!({ "deletions": "flag" }));
}

#[test]
fn mirror_is_stored_only_when_somebody_has_confirmed_it() {
    let desk = Desk::ready();
    for (words, whom) in [
        ("wave set staff --deletions mirror", "all accounts of wave staff"),
        ("accounts set alice --deletions mirror", "account alice"),
        ("endpoint set new --deletions mirror", "from or to endpoint new"),
        ("endpoint add other imaps://other.example --deletions mirror", "from or to endpoint other"),
    ] {
        desk.refused(words, &[whom, "no terminal to ask on", "--yes"]);
    }
    assert_eq!(desk.options("wave", "staff"), serde_json::json!({}));
    desk.done(&["wave", "set", "staff", "--deletions", "mirror", "--yes"]);
    assert_eq!(desk.options("wave", "staff"), serde_json::json!({ "deletions": "mirror" }));
}

#[test]
fn mirror_and_the_switch_exclude_each_other_wherever_they_are_said() {
    let desk = Desk::ready();
    desk.done(&["endpoint", "set", "new", "--deletions", "mirror", "--yes"]);
    let parts = ["account `alice`", "endpoint `new` says --deletions mirror", "wave `staff` says --switched"];
    desk.refused("wave set staff --switched=true", &parts);
    desk.refused("accounts set bob --switched", &["account `bob`", "endpoint `new` says --deletions mirror"]);
    assert_eq!(desk.options("wave", "staff"), serde_json::json!({}));
    // Where all accounts say otherwise, the endpoint's word is in force nowhere.
    desk.done(&["accounts", "set", "alice", "--deletions", "trash"]);
    desk.refused("wave set staff --switched", &["account `bob`"]);
    desk.done(&["wave", "set", "staff", "--deletions", "ignore"]);
    desk.done(&["wave", "set", "staff", "--switched"]);
    for words in ["wave set staff --deletions mirror --yes", "accounts set bob --deletions mirror --yes"] {
        desk.refused(words, &["contradict each other", "--switched"]);
    }
    // Taking back what hides the endpoint's word brings it into force.
    desk.refused("wave set staff --inherit --switched", &["account `bob`", "endpoint `new` says --deletions mirror"]);
    desk.done(&["wave", "set", "staff", "--inherit", "--deletions", "mirror", "--yes"]);
    desk.refused("endpoint set old --switched", &["account `bob`", "endpoint `old` says --switched"]);
}

#[test]
fn an_account_is_not_moved_to_where_its_options_contradict_those_in_force() {
    let desk = Desk::ready();
    desk.import(&["carol"], "late");
    desk.done(&["wave", "set", "staff", "--switched"]);
    desk.done(&["accounts", "set", "carol", "--deletions", "mirror", "--yes"]);
    let parts = ["account `carol` says --deletions mirror", "wave `staff` says --switched"];
    desk.refused("accounts set carol --wave staff", &parts);
    desk.done(&["accounts", "set", "carol", "--wave", "staff", "--deletions", "flag"]);
    assert_eq!(desk.options("accounts", "carol"), serde_json::json!({ "deletions": "flag" }));
}

#[test]
fn a_job_does_not_begin_under_options_that_a_list_has_brought_together() {
    let desk = Desk::ready();
    desk.import(&["carol"], "late");
    desk.done(&["accounts", "set", "carol", "--deletions", "mirror", "--yes"]);
    desk.import(&["dave"], "moved");
    desk.done(&["wave", "set", "moved", "--switched"]);
    desk.done(&["accounts", "remove", "dave"]);
    // A list asks nobody; it is the job that refuses.
    desk.import(&["carol"], "moved");
    let said = desk.say(&["run", "--wave", "moved"]);
    assert_ne!(said.code, 0, "{said:?}");
    let jobs: Value = serde_json::from_str(&desk.done(&["jobs", "--wave", "moved", "--json"])).expect("JSON");
    let job = &jobs["jobs"][0];
    assert_eq!((&job["account"], &job["state"], &job["class"]), (&"carol".into(), &"failed".into(), &"usage".into()));
    let words = job["words"].as_str().expect("words");
    assert!(words.contains("--deletions mirror and --switched contradict each other"), "{words}");
}

/// Reads talk until a line has this in it.
#[track_caller]
fn read_until(talk: &mut BufReader<ChildStderr>, part: &str) -> String {
    let mut heard = String::new();
    loop {
        let before = heard.len();
        let read = talk.read_line(&mut heard).expect("talk");
        assert!(read > 0, "it ended without `{part}`: {heard}");
        if heard[before..].contains(part) {
            return heard[before..].to_owned();
        }
    }
}

#[test]
fn a_followed_account_says_when_it_is_in_step_and_what_came_and_ends_well_on_ctrl_c() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    fill(&source, "INBOX", 3);
    let bench = Bench::dovecots(&source, &target);
    let mut command = bench.command("copy", &["--follow", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut talk = BufReader::new(child.stderr.take().expect("talk"));
    read_until(&mut talk, "in step; ");
    fill_more(&source, "INBOX", 2);
    let mut brought = 0;
    while brought < 2 {
        // Two letters may come in one round or in two.
        let line = read_until(&mut talk, " brought over after ");
        brought += line.split(' ').next().and_then(|number| number.parse::<u32>().ok()).expect("a number");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    let mut result = String::new();
    child.stdout.take().expect("data").read_to_string(&mut result).expect("data");
    let status = child.wait().expect("it ends");
    let json: Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!((status.code(), &json["verdict"]), (Some(0), &"complete".into()), "{json:#}");
    assert_eq!(json["messages"]["copied"], 5, "{json:#}");
    let followed = &json["followed"];
    assert_eq!((&followed["in_step"], &followed["brought_over"]), (&true.into(), &2.into()), "{json:#}");
}

#[test]
fn a_last_pass_ends_with_a_comparison_and_its_exit_code() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    fill(&source, "INBOX", 20);
    let bench = Bench::dovecots(&source, &target);
    let json = bench.copy_completely(&["--final"]);
    assert_eq!(json["verified"]["verdict"], "equal", "{json:#}");
    let mut there = Client::sign_in(target.address(), USER, target.password()).expect("sign in");
    there.select("INBOX").expect("select");
    there.expunge("3").expect("expunge");
    let (code, json) = bench.copy(&["--final"]);
    assert_eq!(code, 7, "{json:#}");
    let differences = json["verified"]["differences"].as_array().expect("a list");
    assert_eq!((differences.len(), &differences[0]["source_uid"]), (1, &3.into()), "{json:#}");
    let json = bench.copy_completely(&["--final", "--switched"]);
    assert_eq!(json["verified"]["verdict"], "equal", "by then it is the owner's affair: {json:#}");
}
