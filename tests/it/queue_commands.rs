//! The operator's commands on a state file, without a server: what is set up, listed, changed, refused and forgotten.

use crate::harness::{Said, finish, mailhaul};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const LIST: &str = "account,source_user,source_password,target_user,target_password,priority\n\
                    alice,alice,canary-1,alice@new.example,canary-2,9\n\
                    bob,bob,canary-3,bob@new.example,canary-4,\n";

/// A folder with a state file and its key.
struct Desk {
    folder: TempDir,
}

impl Desk {
    /// Nothing is there yet.
    fn empty() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    /// A state file with two endpoints.
    fn ready() -> Self {
        let desk = Self::empty();
        desk.done(&["init"]);
        desk.done(&["endpoint", "add", "old", "imaps://old.example", "--max-connections", "20"]);
        desk.done(&["endpoint", "add", "new", "imaps://new.example"]);
        desk
    }

    /// The same with two accounts in a wave.
    fn with_accounts() -> Self {
        let desk = Self::ready();
        desk.import(LIST, &[]);
        desk
    }

    /// The same with their first copies in line.
    fn with_jobs() -> Self {
        let desk = Self::with_accounts();
        desk.done(&["run", "--wave", "staff", "--detach"]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn say(&self, words: &[&str]) -> Said {
        let mut command = mailhaul();
        command.args(words).arg("--state").arg(self.path("state/mailhaul.db"));
        command.arg("--key-file").arg(self.path("key/mailhaul.key"));
        finish(command)
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let said = self.say(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.stdout
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let text = self.done(&[words, &["--json"]].concat());
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"));
        assert_eq!(value["schema"], 1, "{words:?}: {text}");
        value
    }

    /// Fails with code 2 and says all of this.
    #[track_caller]
    fn refused(&self, words: &[&str], parts: &[&str]) {
        let said = self.say(words);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{words:?}: {said:?}");
        for part in parts {
            assert!(said.stderr.contains(part), "{words:?}: no `{part}`: {}", said.stderr);
        }
        assert!(!said.stderr.contains("canary"), "{}", said.stderr);
    }

    fn list(&self, text: &str) -> String {
        let path = self.path("list");
        std::fs::write(&path, text).expect("a list");
        path.to_str().expect("a path in plain letters").to_owned()
    }

    #[track_caller]
    fn import(&self, text: &str, options: &[&str]) -> Value {
        let list = self.list(text);
        self.json(
            &[&["accounts", "import", &list, "--wave", "staff", "--from", "old", "--to", "new"], options].concat(),
        )
    }

    /// Accounts and states of the jobs.
    #[track_caller]
    fn states(&self) -> Vec<(String, String)> {
        let jobs = self.json(&["jobs"]);
        let word = |job: &Value, name: &str| job[name].as_str().expect("a word").to_owned();
        let jobs = jobs["jobs"].as_array().expect("jobs").iter();
        jobs.map(|job| (word(job, "account"), word(job, "state"))).collect()
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn init_makes_state_and_key_once_and_then_says_what_is_there() {
    let desk = Desk::empty();
    let first = desk.json(&["init"]);
    assert_eq!((&first["new_key"], &first["new_state"]), (&true.into(), &true.into()));
    assert_eq!(mode(&desk.path("key/mailhaul.key")), 0o600);
    assert_eq!(mode(&desk.path("state/mailhaul.db")), 0o600);
    let key = std::fs::read(desk.path("key/mailhaul.key")).expect("a key");
    let second = desk.json(&["init"]);
    assert_eq!((&second["new_key"], &second["new_state"]), (&false.into(), &false.into()));
    assert_eq!(first["key_id"], second["key_id"]);
    assert_eq!(std::fs::read(desk.path("key/mailhaul.key")).expect("a key"), key);
    assert!(desk.done(&["init"]).contains("nothing was changed"));
}

#[test]
fn without_a_state_file_every_command_says_how_to_make_one() {
    let desk = Desk::empty();
    for words in [&["status"][..], &["jobs"], &["endpoint", "list"], &["run", "--wave", "w"], &["serve"]] {
        desk.refused(words, &["no state file", "mailhaul init"]);
    }
    assert!(!desk.path("state").exists());
}

#[test]
fn an_endpoint_is_added_once_changed_and_removed() {
    let desk = Desk::ready();
    desk.refused(&["endpoint", "add", "old", "imaps://elsewhere.example"], &["already", "endpoint set old"]);
    let changes = [
        "--max-connections",
        "none",
        "--bytes-per-second",
        "2M",
        "--window",
        "nights Europe/Berlin",
        "--exclude",
        "Trash",
    ];
    desk.done(&[&["endpoint", "set", "old"], &changes[..]].concat());
    let shown = desk.json(&["endpoint", "show", "old"]);
    assert_eq!(shown["url"], "imaps://old.example");
    assert_eq!(shown["limits"]["connections"], Value::Null);
    assert_eq!(shown["limits"]["bytes_per_second"], 2 << 20);
    assert_eq!(shown["limits"]["windows"][0], "nights Europe/Berlin");
    assert_eq!(shown["options"]["copy"]["exclude"][0], "Trash");
    desk.done(&["endpoint", "set", "old", "--window", "none"]);
    assert_eq!(desk.json(&["endpoint", "show", "old"])["limits"]["windows"], Value::Null);
    desk.done(&["endpoint", "remove", "new"]);
    assert_eq!(desk.json(&["endpoint", "list"])["endpoints"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_endpoint_that_cannot_be_meant_is_refused_in_words() {
    let desk = Desk::ready();
    for (words, parts) in [
        (&["x", "imaps://alice@x.example"][..], &["names no user"][..]),
        (&["x", "imaps://alice:canary@x.example"], &["password"]),
        (&["x", "imap://x.example?tls=none"], &["plain text", "--allow-plaintext"]),
        (&["x", "imap://x.example?tls=none", "--allow-plaintext", "y.example"], &["not the host"]),
        (&["x", "imaps://x.example", "--window", "whenever"], &["window `whenever`", "Mon-Fri"]),
        (&["x", "imaps://x.example", "--pin", "abc"], &["SHA-256"]),
        (&["x", "imaps://x.example", "--max-connections", "0"], &["whole number from 1"]),
        (&["x y", "imaps://x.example"], &["cannot be the name"]),
        (&["x", "imaps://x.example", "--ca-file", "/nonexistent/ca.pem"], &["/nonexistent/ca.pem"]),
    ] {
        desk.refused(&[&["endpoint", "add"], words].concat(), parts);
    }
    desk.refused(&["endpoint", "show", "odl"], &["no endpoint `odl`", "did you mean `old`"]);
    assert_eq!(desk.json(&["endpoint", "list"])["endpoints"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_administrator_is_stored_with_a_sealed_password_and_never_shown() {
    let desk = Desk::ready();
    let password = desk.list("canary-admin\n");
    let admin = ["--admin", "boss", "--admin-style", "master", "--separator", "+", "--admin-password-file", &password];
    desk.done(&[&["endpoint", "set", "old"], &admin[..]].concat());
    let shown = desk.json(&["endpoint", "show", "old"]);
    assert_eq!((&shown["options"]["admin"]["user"], &shown["has_admin_password"]), (&"boss".into(), &true.into()));
    assert!(!shown.to_string().contains("canary"), "{shown}");
    desk.done(&["endpoint", "set", "old", "--admin", "none"]);
    let shown = desk.json(&["endpoint", "show", "old"]);
    assert_eq!((&shown["options"]["admin"], &shown["has_admin_password"]), (&Value::Null, &false.into()));
}

#[test]
fn the_same_list_again_changes_nothing_and_a_changed_one_says_what() {
    let desk = Desk::ready();
    let dry = desk.import(LIST, &["--dry-run"]);
    assert_eq!((&dry["added"], &dry["dry_run"]), (&2.into(), &true.into()));
    assert_eq!(desk.json(&["accounts", "list"])["accounts"], Value::Array(Vec::new()));
    let first = desk.import(LIST, &[]);
    assert_eq!((&first["added"], &first["passwords"], &first["new_waves"][0]), (&2.into(), &4.into(), &"staff".into()));
    let again = desk.import(LIST, &[]);
    assert_eq!((&again["added"], &again["unchanged"], &again["passwords"]), (&0.into(), &2.into(), &0.into()));
    let changed = desk.import(&LIST.replace("canary-3", "canary-5").replace(",9\n", ",8\n"), &[]);
    assert_eq!((&changed["unchanged"], &changed["passwords"]), (&0.into(), &1.into()));
    let changes = changed["changed"].to_string();
    assert!(changes.contains("source_password") && changes.contains("priority"), "{changes}");
    assert!(!changes.contains("canary"));
}

#[test]
fn a_list_with_faults_names_every_line_and_stores_nothing() {
    let desk = Desk::ready();
    let bad =
        desk.list("account,source_user,source_password,priority\na,,canary,\nb,b,canary,77\nc,c,canary,1\nc,d,x,1\n");
    let words = ["accounts", "import", &bad, "--wave", "staff", "--from", "old", "--to", "new"];
    desk.refused(&words, &["line 2:", "line 3:", "line 5:", "nothing was stored"]);
    desk.refused(
        &["accounts", "import", &bad, "--wave", "staff", "--from", "odl", "--to", "new"],
        &["did you mean `old`"],
    );
    let unknown = desk.list("source_user,source_password,from\na,canary,nowhere\n");
    let words = ["accounts", "import", &unknown, "--wave", "staff", "--to", "new"];
    desk.refused(&words, &["line 2:", "no endpoint `nowhere`"]);
    let twice = desk.list("source_user,source_password,target_user\na,canary,same\nb,canary,same\n");
    let words = ["accounts", "import", &twice, "--wave", "staff", "--from", "old", "--to", "new"];
    desk.refused(&words, &["already writes into `same`"]);
    assert_eq!(desk.json(&["accounts", "list"])["accounts"], Value::Array(Vec::new()));
    assert_eq!(desk.json(&["wave", "list"])["waves"], Value::Array(Vec::new()));
}

#[test]
fn accounts_are_shown_changed_exported_removed_and_imported_again() {
    let desk = Desk::with_accounts();
    let password = desk.list("canary-7\n");
    let changes = ["--priority", "0", "--target-user", "al", "--exclude", "Junk", "--target-password-file", &password];
    desk.done(&[&["accounts", "set", "alice"], &changes[..]].concat());
    let shown = desk.json(&["accounts", "show", "alice"]);
    assert_eq!((&shown["priority"], &shown["target_user"]), (&0.into(), &"al".into()));
    assert_eq!(shown["options"]["exclude"][0], "Junk");
    assert_eq!((&shown["passwords"]["source"], &shown["passwords"]["target"]), (&true.into(), &true.into()));
    desk.refused(&["accounts", "set", "bob", "--target-user", "al"], &["already writes into `al`"]);
    desk.refused(&["accounts", "show", "alcie"], &["did you mean `alice`"]);
    for format in ["csv", "json"] {
        let exported = desk.done(&["accounts", "export", "--format", format]);
        assert!(!exported.contains("canary"), "{exported}");
        let list = desk.list(&exported);
        let again = desk.json(&["accounts", "import", &list]);
        assert_eq!((&again["added"], &again["unchanged"]), (&0.into(), &2.into()), "{again}");
        desk.done(&["accounts", "remove", "alice"]);
        let back = desk.json(&["accounts", "import", &list]);
        assert_eq!((&back["added"], &back["unchanged"]), (&1.into(), &1.into()), "{back}");
        assert_eq!(back["without_password"].as_array().map(Vec::len), Some(2), "{back}");
    }
}

#[test]
fn jobs_are_queued_paused_resumed_and_cancelled_while_nobody_works() {
    let desk = Desk::with_jobs();
    assert_eq!(desk.states(), pairs(&[("alice", "queued"), ("bob", "queued")]));
    let again = desk.done(&["run", "--wave", "staff", "--detach"]);
    assert!(again.starts_with("0 jobs queued"), "{again}");
    assert_eq!(desk.json(&["pause", "--account", "bob", "--reason", "holiday"])["jobs"], 1);
    assert_eq!(desk.states(), pairs(&[("alice", "queued"), ("bob", "paused")]));
    let why = desk.done(&["explain", "bob"]);
    assert!(
        why.contains("paused") && why.contains("holiday") && why.contains("mailhaul resume --account bob"),
        "{why}"
    );
    assert_eq!(desk.json(&["pause", "--all"])["jobs"], 1);
    let still = desk.done(&["resume", "--account", "bob"]);
    assert!(still.contains("still paused: everything"), "{still}");
    assert_eq!(desk.states(), pairs(&[("alice", "paused"), ("bob", "paused")]));
    desk.done(&["resume", "--all"]);
    assert_eq!(desk.states(), pairs(&[("alice", "queued"), ("bob", "queued")]));
    assert_eq!(desk.json(&["cancel", "--wave", "staff"])["jobs"], 2);
    assert_eq!(desk.states(), pairs(&[("alice", "cancelled"), ("bob", "cancelled")]));
    assert_eq!(desk.json(&["retry", "--failed"])["jobs"], 0);
    assert_eq!(desk.json(&["retry", "--account", "bob"])["jobs"], 1);
    assert_eq!(desk.states(), pairs(&[("alice", "cancelled"), ("bob", "queued")]));
    let log = desk.json(&["log", "bob"]).to_string();
    for part in ["holiday", "queued → paused", "cancelled"] {
        assert!(log.contains(part), "no {part}: {log}");
    }
}

#[test]
fn exactly_one_thing_is_paused_at_a_time_and_it_exists() {
    let desk = Desk::with_jobs();
    desk.refused(&["pause"], &["--all"]);
    desk.refused(&["pause", "--all", "--wave", "staff"], &["cannot be used with"]);
    desk.refused(&["pause", "--wave", "stafff"], &["did you mean `staff`"]);
    desk.refused(&["cancel", "--job", "99"], &["no job 99"]);
    desk.refused(&["retry"], &["--failed"]);
    desk.refused(&["jobs", "--in", "sleeping"], &["queued", "credentials"]);
    desk.refused(&["jobs", "--class", "boredom"], &["sign_in"]);
    assert_eq!(desk.states(), pairs(&[("alice", "queued"), ("bob", "queued")]));
}

#[test]
fn status_says_in_five_words_where_things_stand() {
    let desk = Desk::with_jobs();
    desk.done(&["pause", "--account", "bob"]);
    let status = desk.json(&["status", "--wave", "staff"]);
    assert_eq!((&status["summary"]["waiting"], &status["summary"]["stopped"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(status["workers"], 0);
    let text = desk.done(&["status"]);
    assert!(text.contains("1 waiting, 0 running, 0 done, 0 attention, 1 stopped"), "{text}");
    assert!(text.contains("nobody is working"), "{text}");
    let explained = desk.done(&["explain", "alice"]);
    assert!(explained.contains("in line") && explained.contains("No worker is running"), "{explained}");
    let report = desk.json(&["report", "--wave", "staff"]);
    assert_eq!((&report["verdict"], &report["totals"]["accounts"]), (&"unfinished".into(), &2.into()), "{report}");
}

#[test]
fn a_wave_is_planned_and_what_waits_for_its_plan_follows() {
    let desk = Desk::with_accounts();
    let plan = ["--start-after", "2099-01-01 20:00 Europe/Berlin", "--every", "6h", "--order", "largest"];
    desk.done(&[&["run", "--wave", "staff", "--detach"], &plan[..]].concat());
    assert_eq!(desk.states(), pairs(&[("alice", "waiting"), ("bob", "waiting")]));
    let shown = desk.json(&["wave", "show", "staff"]);
    assert_eq!((&shown["order"], &shown["plan"]["every_secs"]), (&"largest".into(), &21_600.into()), "{shown}");
    desk.done(&["wave", "set", "staff", "--start-after", "none", "--exclude", "Trash"]);
    assert_eq!(desk.states(), pairs(&[("alice", "queued"), ("bob", "queued")]));
    // What stands in line already does not begin before a start that is set later either.
    desk.done(&["wave", "set", "staff", "--start-after", "2099-01-01 20:00 UTC"]);
    assert_eq!(desk.states(), pairs(&[("alice", "waiting"), ("bob", "waiting")]));
    desk.done(&["wave", "set", "staff", "--start-after", "none"]);
    let shown = desk.json(&["wave", "show", "staff"]);
    assert_eq!(
        (&shown["plan"]["start_after_unix_ms"], &shown["options"]["exclude"][0]),
        (&Value::Null, &"Trash".into())
    );
    desk.refused(&["wave", "set", "staff", "--every", "often"], &["6h"]);
    desk.refused(&["wave", "set", "staff", "--complete-after", "soon"], &["2026-11-28"]);
}

#[test]
fn accounts_that_join_a_wave_at_work_are_queued_too() {
    let desk = Desk::with_jobs();
    let joined = desk.import("source_user,source_password,target_password\ncarol,canary-8,canary-9\n", &[]);
    assert_eq!((&joined["added"], &joined["queued"]), (&1.into(), &1.into()), "{joined}");
    assert_eq!(desk.states(), pairs(&[("alice", "queued"), ("bob", "queued"), ("carol", "queued")]));
}

#[test]
fn closing_a_wave_wipes_its_passwords_and_only_by_force_its_jobs() {
    let desk = Desk::with_jobs();
    desk.refused(&["wave", "close", "staff"], &["2 jobs not over", "--force"]);
    assert_eq!(desk.json(&["accounts", "show", "bob"])["passwords"]["source"], true);
    let closed = desk.done(&["wave", "close", "staff", "--force"]);
    assert!(closed.contains("4 passwords wiped") && closed.contains("2 jobs cancelled"), "{closed}");
    assert_eq!(desk.json(&["accounts", "show", "bob"])["passwords"]["source"], false);
    desk.refused(&["run", "--wave", "staff"], &["is closed"]);
    let list = desk.list(LIST);
    let words = ["accounts", "import", &list, "--wave", "staff", "--from", "old", "--to", "new"];
    desk.refused(&words, &["wave `staff` is closed"]);
    desk.json(&["report", "--wave", "staff"]);
}

#[test]
fn a_new_key_opens_what_the_old_one_no_longer_does() {
    let desk = Desk::with_accounts();
    let old = std::fs::read(desk.path("key/mailhaul.key")).expect("a key");
    let rotated = desk.json(&["key", "rotate"]);
    assert_eq!(rotated["passwords"], 4);
    assert_ne!(rotated["old_key_id"], rotated["new_key_id"]);
    assert_ne!(std::fs::read(desk.path("key/mailhaul.key")).expect("a key"), old);
    assert_eq!(mode(&desk.path("key/mailhaul.key")), 0o600);
    assert_eq!(desk.import(LIST, &[])["unchanged"], 2);
    std::fs::write(desk.path("key/mailhaul.key"), old).expect("the old key is put back");
    desk.refused(&["serve"], &["not the one that the secrets are sealed under", "--key-file"]);
    let list = desk.list(LIST);
    let words = ["accounts", "import", &list, "--wave", "staff", "--from", "old", "--to", "new"];
    desk.refused(&words, &["not the one that the secrets are sealed under"]);
    assert_eq!(desk.json(&["jobs"])["jobs"], Value::Array(Vec::new()));
}

#[test]
fn a_key_that_others_can_read_or_that_is_gone_is_refused() {
    let desk = Desk::with_accounts();
    let key = desk.path("key/mailhaul.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    desk.refused(&["run", "--wave", "staff"], &["mailhaul.key", "chmod 600"]);
    assert_eq!(desk.states(), Vec::new(), "nothing is queued that could not be done");
    std::fs::remove_file(&key).expect("it was there");
    desk.refused(&["run", "--wave", "staff"], &["does not exist", "--key-file"]);
    desk.refused(&["init"], &["does not exist"]);
    assert!(!key.exists(), "a new key was made although secrets are sealed under another");
    // Looking needs no key.
    desk.json(&["accounts", "list"]);
}

#[test]
fn a_report_in_a_file_is_for_its_owner_only() {
    let desk = Desk::with_jobs();
    let file = desk.path("report.html");
    let name = file.to_str().expect("a path in plain letters");
    assert_eq!(desk.done(&["report", "--wave", "staff", "--format", "html", "--output", name]), "");
    assert_eq!(mode(&file), 0o600);
    let page = std::fs::read_to_string(&file).expect("a page");
    assert!(page.contains("Content-Security-Policy") && page.contains("alice"), "{page}");
    let csv = desk.done(&["report", "--wave", "staff", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn names_that_could_steer_a_terminal_do_not_come_in() {
    let desk = Desk::ready();
    let list = desk.list("account,source_user,source_password\nodd\u{202e}name,odd,canary\n");
    let words = ["accounts", "import", &list, "--wave", "staff", "--from", "old", "--to", "new"];
    desk.refused(&words, &["line 2:", "control character"]);
    for words in [
        &["endpoint", "add", "odd\u{202e}", "imaps://x.example"][..],
        &["endpoint", "show", "odd\u{202e}\u{1b}[31m"],
        &["explain", "odd\u{202e}\u{1b}[31m"],
        &["pause", "--wave", "odd\u{202e}\u{1b}[31m"],
    ] {
        let said = desk.say(words);
        assert_eq!(said.code, 2, "{words:?}: {said:?}");
        assert!(!said.stderr.contains(['\u{202e}', '\u{1b}']), "{words:?}: {said:?}");
    }
}
