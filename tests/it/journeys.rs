//! What a wave is made of besides the first copy: an account that was begun by hand, passes on a schedule until the final
//! one, one administrator for everybody, and passwords that are seen nowhere.

use crate::fleet::{Fleet, PATIENCE, WAVE, until};
use crate::harness::{files_below, finish, mailhaul};
use base64::Engine as _;
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::UserPlan;
use std::time::Duration;

#[test]
fn an_account_that_was_copied_by_hand_goes_on_in_a_wave_where_it_was() {
    let fleet = Fleet::of(ManyAccounts::new(1).mails(20));
    let account = fleet.account(1);
    let (from, to) =
        (fleet.list_file("from", &account.source_password), fleet.list_file("to", &account.target_password));
    let url = |base: String, user: &str| base.replace("imap://", &format!("imap://{}@", user.replace('@', "%40")));
    let mut copy = mailhaul();
    copy.args(["copy", "--from", &url(fleet.old_url(), &account.source_user)]);
    copy.args(["--to", &url(fleet.new_url(), &account.target_user), "--state"]).arg(fleet.state());
    copy.arg("--from-password-file").arg(from).arg("--to-password-file").arg(to);
    let said = finish(copy);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fleet.sent(), 20);
    fleet.run_completely(&[]);
    assert_eq!(fleet.sent(), 20, "the wave sent again what had been copied by hand");
    fleet.servers.deliver(account, 3);
    fleet.run_completely(&["--kind", "resync"]);
    assert_eq!(fleet.sent(), 23);
    fleet.assert_exact();
}

/// The moment in so many seconds, as it is written on the command line.
fn in_seconds(seconds: u64) -> String {
    (jiff::Timestamp::now() + Duration::from_secs(seconds)).to_string()
}

#[test]
fn passes_repeat_for_new_mail_until_the_final_one_compares_both_sides() {
    let fleet = Fleet::of(ManyAccounts::new(6).mails(10));
    let mut run = fleet.start_run(&["--every", "1s"]);
    let passed = |kind: &str, attempts: u64| {
        let jobs = fleet.jobs_with(&["--kind", kind]);
        jobs.len() == 6 && jobs.iter().all(|job| job.attempts >= attempts || job.state == "done")
    };
    until("the first copies are done", PATIENCE, || passed("bulk", 1) && fleet.sent() == 60);
    for round in 1..=2 {
        for account in &fleet.servers.accounts {
            fleet.servers.deliver(account, 2);
        }
        until("the new mail has been copied", PATIENCE, || fleet.sent() == 60 + round * 12);
    }
    assert!(run.has_ended().is_none(), "there is always a next pass");
    for account in &fleet.servers.accounts {
        fleet.servers.deliver(account, 1);
    }
    fleet.done(&["wave", "set", WAVE, "--complete-after", &in_seconds(1)]);
    let said = run.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    let finals = fleet.jobs_with(&["--kind", "final"]);
    assert!(finals.len() == 6 && finals.iter().all(|job| job.state == "done"), "{finals:#?}");
    assert_eq!(fleet.sent(), 60 + 24 + 6);
    let report = fleet.json(&["report", "--wave", WAVE]);
    assert_eq!(report["totals"]["target_counted"], 6, "the final pass compares both sides: {}", report["totals"]);
    assert_eq!(report["totals"]["target_messages"], 90, "{}", report["totals"]);
    fleet.assert_exact();
}

#[test]
fn nothing_begins_before_the_moment_that_was_given() {
    let fleet = Fleet::of(ManyAccounts::new(2).mails(4));
    let mut run = fleet.start_run(&["--start-after", &in_seconds(3600)]);
    fleet.wait_for_jobs("both wait", PATIENCE, |jobs| {
        jobs.len() == 2 && jobs.iter().all(|job| job.standing() == "waiting (schedule)")
    });
    assert!(run.has_ended().is_none());
    assert_eq!(fleet.source.statistics().connections, 0);
}

#[test]
fn who_matters_more_goes_first_and_others_by_size() {
    let fleet = Fleet::of(ManyAccounts::new(5).mails(6));
    fleet.servers.deliver(fleet.account(2), 30);
    fleet.servers.deliver(fleet.account(4), 60);
    fleet.done(&["preflight", "--wave", WAVE]);
    fleet.done(&["accounts", "set", "u0005", "--priority", "9"]);
    fleet.run_completely(&["--workers", "1", "--order", "largest"]);
    let listed = fleet.json(&["jobs", "--kind", "bulk"]);
    let mut begun: Vec<(i64, &str)> = listed["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| (job["started_unix_ms"].as_i64().expect("a moment"), job["account"].as_str().expect("a name")))
        .collect();
    begun.sort_unstable();
    let order: Vec<&str> = begun.iter().map(|(_, account)| *account).collect();
    assert_eq!(order[..3], ["u0005", "u0004", "u0002"], "{order:?}");
}

#[test]
fn one_administrator_signs_in_for_everybody() {
    let accounts = ManyAccounts::new(6).mails(8).source(|source| source.master_user("boss", "the-boss-password"));
    let fleet = Fleet::without_endpoints(accounts);
    let password = fleet.list_file("boss", "the-boss-password\n");
    let password = ["--admin", "boss", "--admin-password-file", password.to_str().expect("a path")];
    let master = ["--admin-style", "master", "--separator", "*"];
    fleet.done(&[&["endpoint", "add", "old", &fleet.old_url()], &password[..], &master].concat());
    fleet.done(&["endpoint", "add", "new", &fleet.new_url()]);
    let style = ["--admin-style", "authorization-identity"];
    fleet.done(&[&["endpoint", "add", "also-old", &fleet.old_url()], &password[..], &style].concat());
    // No passwords for the source, and half of the accounts by each way of saying who is meant.
    let mut list = "account,from,source_user,target_user,target_password\n".to_owned();
    for account in &fleet.servers.accounts {
        let from = if account.number % 2 == 0 { "old" } else { "also-old" };
        let (source, target) = (&account.source_user, &account.target_user);
        list += &format!("{},{from},{source},{target},{}\n", account.name, account.target_password);
    }
    fleet.import(&list, &[]);
    fleet.run_completely(&[]);
    fleet.servers.judge().assert_equal();
    let statistics = fleet.source.statistics();
    assert!(statistics.users.keys().any(|user| user.ends_with("*boss")), "{:?}", statistics.users.keys());
    let before = fleet.sent();
    fleet.run_completely(&["--kind", "resync"]);
    assert_eq!(fleet.sent(), before);
}

#[test]
fn passwords_are_seen_nowhere_however_much_is_said() {
    let fleet = Fleet::of(ManyAccounts::new(8).mails(6));
    let loud = ["-vvv", "--log-format", "json"];
    fleet.servers.source.change_user(&fleet.account(2).source_user, |user| user.password("old-secret-other"));
    fleet.target.set_user_plan(&fleet.account(3).target_user, UserPlan::new().refuse_sign_in("[CONTACTADMIN] no"));
    for words in [vec!["preflight", "--wave", WAVE], vec!["probe", "--endpoint", "old", "--account", "u0001"]] {
        fleet.say(&[words, loud.to_vec()].concat());
    }
    let said = fleet.run(&loud);
    assert_eq!(said.code, 3, "only sign-ins failed: {said:?}");
    assert!(said.stderr.contains("account.id"), "the log says little: {}", said.stderr);
    fleet.run(&[&["--kind", "verify"], &loud[..]].concat());
    for format in ["text", "json", "csv", "html"] {
        let file = fleet.folder().join(format!("report.{format}"));
        let file = file.to_str().expect("a path");
        fleet.say(&[&["report", "--wave", WAVE, "--format", format, "--output", file], &loud[..]].concat());
    }
    for words in [
        vec!["accounts", "export"],
        vec!["accounts", "show", "u0002", "--json"],
        vec!["log", "u0002", "--json"],
        vec!["jobs", "--json"],
        vec!["explain", "u0002"],
        vec!["status"],
        vec!["key", "rotate"],
    ] {
        fleet.say(&[words, loud.to_vec()].concat());
    }
    let secrets = secrets(&fleet);
    assert!(holds(fleet.servers.csv().as_bytes(), &secrets[0]), "what is searched for is no part of the passwords");
    let files = files_below(fleet.folder());
    let logs = files.iter().filter(|file| file.to_string_lossy().contains(".logs/")).count();
    assert!(files.len() > 20 && logs >= 8, "{files:?}");
    for file in files {
        let octets = std::fs::read(&file).unwrap_or_default();
        for secret in &secrets {
            assert!(!holds(&octets, secret), "`{secret}` stands in {}", file.display());
        }
    }
}

/// What must be found nowhere: the beginnings of all passwords, and what is sent to sign in with them.
fn secrets(fleet: &Fleet) -> Vec<String> {
    let mut secrets = vec!["old-secret-".to_owned(), "new-secret-".to_owned()];
    for account in &fleet.servers.accounts {
        for (user, password) in
            [(&account.source_user, &account.source_password), (&account.target_user, &account.target_password)]
        {
            let response = format!("\0{user}\0{password}");
            secrets.push(base64::engine::general_purpose::STANDARD.encode(response));
        }
    }
    secrets
}

fn holds(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}
