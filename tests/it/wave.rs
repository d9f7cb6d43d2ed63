//! A whole wave: five hundred accounts, of which a dozen get into trouble in a dozen ways, to a table that is exact;
//! then the causes are mended, and what can be repaired is, and nothing else is touched.

use crate::fleet::{Fleet, Job, PATIENCE, WAVE, Worker, until_in};
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::{Reply, UserPlan, Which};
use std::collections::{BTreeMap, BTreeSet};

const ACCOUNTS: usize = 500;
const MAILS: usize = 40;
/// Connections at each server, and jobs at once.
const WORKERS: &str = "24";

/// Who gets into which trouble. Numbers are spread over the list, so that trouble comes at all times.
mod who {
    pub(super) const WRONG_SOURCE_PASSWORD: usize = 7;
    pub(super) const WRONG_TARGET_PASSWORD: usize = 58;
    pub(super) const NO_PASSWORD: usize = 109;
    pub(super) const TARGET_FULL: usize = 160;
    pub(super) const POISONED_MAIL: usize = 211;
    pub(super) const NEVER_CONNECTED: usize = 262;
    pub(super) const BROKEN_ON_SERVER: usize = 313;
    pub(super) const UNAVAILABLE_ONCE: usize = 364;
    pub(super) const THROTTLED_AT_SIGN_IN: usize = 415;
    pub(super) const THROTTLED_AT_APPEND: usize = 440;
    pub(super) const CONNECTIONS_TAKEN: usize = 466;
    pub(super) const CUT_OFF_ONCE: usize = 490;
}

/// What is expected of those that somebody has to look at. All others are done.
const EXPECTED: [(usize, &str); 7] = [
    (who::WRONG_SOURCE_PASSWORD, "waiting (credentials)"),
    (who::WRONG_TARGET_PASSWORD, "waiting (credentials)"),
    (who::NO_PASSWORD, "waiting (credentials)"),
    (who::TARGET_FULL, "waiting (quota)"),
    (who::POISONED_MAIL, "done_with_exceptions"),
    (who::NEVER_CONNECTED, "failed (network)"),
    (who::BROKEN_ON_SERVER, "failed (server)"),
];

/// Who gets into trouble that passes, and is done in the end with nothing charged for what was no fault of his.
const PASSING: [usize; 3] = [who::THROTTLED_AT_SIGN_IN, who::THROTTLED_AT_APPEND, who::CONNECTIONS_TAKEN];

#[test]
fn five_hundred_accounts_end_in_an_exact_table_and_retry_repairs_what_can_be_repaired() {
    let accounts = ManyAccounts::new(ACCOUNTS).mails(MAILS).target(|target| target.connections_max(5));
    let fleet = Fleet::without_endpoints(accounts);
    fleet.add_endpoints(&["--max-connections", WORKERS]);
    fleet.import(&list(&fleet, false), &[]);
    let taken = make_trouble(&fleet);

    let mut run = fleet.start_run(&["--workers", WORKERS]);
    let said = pass_what_passes(&fleet, taken, &mut run);
    assert_eq!(said.code, 5, "trouble of several kinds: {said:?}");
    assert_table(&fleet);
    let troubled = names(&fleet, &EXPECTED.map(|(number, _)| number));
    let troubled: Vec<&str> = troubled.iter().map(String::as_str).collect();
    fleet.servers.judge().assert_equal_except(&troubled);
    let report = fleet.say(&["report", "--wave", WAVE, "--format", "json"]).json();
    assert_eq!((&report["verdict"], &report["adds_up"]), (&"attention".into(), &true.into()), "{}", report["totals"]);
    assert_eq!(report["totals"]["complete"], ACCOUNTS - EXPECTED.len(), "{}", report["totals"]);

    repair(&fleet);
    let report = fleet.say(&["report", "--wave", WAVE, "--format", "json"]).json();
    assert_eq!((&report["verdict"], &report["adds_up"]), (&"complete".into(), &true.into()), "{}", report["totals"]);
    assert_eq!(report["totals"]["messages"]["source"], ACCOUNTS * MAILS, "{}", report["totals"]);
    fleet.servers.judge().assert_equal();
    assert_eq!(fleet.in_flight(), Vec::<String>::new());
}

/// The list of all accounts: at first without one password, later with the one that the source knows by then.
fn list(fleet: &Fleet, mended: bool) -> String {
    let missing = &fleet.account(who::NO_PASSWORD).target_password;
    let stale = &fleet.account(who::WRONG_SOURCE_PASSWORD).source_password;
    let lines = fleet.servers.csv();
    let lines = lines.lines().map(|line| match line {
        line if !mended && line.ends_with(&format!(",{missing}")) => line.replace(missing, ""),
        line if mended && line.contains(&format!(",{stale},")) => line.replace(&format!(",{stale},"), ",changed,"),
        line => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Sets everything up that is to go wrong; what is returned holds somebody's connections.
fn make_trouble(fleet: &Fleet) -> Vec<Client> {
    let source = |number| fleet.account(number).source_user.as_str();
    let target = |number| fleet.account(number).target_user.as_str();
    let (at_source, at_target) = (&fleet.servers.source, &fleet.servers.target);
    at_source.change_user(source(who::WRONG_SOURCE_PASSWORD), |user| user.password("changed"));
    at_target.change_users(|users| {
        users.entry(target(who::WRONG_TARGET_PASSWORD).to_owned()).and_modify(|user| user.password += "-new");
        users.entry(target(who::TARGET_FULL).to_owned()).and_modify(|user| user.quota_messages = Some(5));
    });
    let plan = |user, plan| fleet.source.set_user_plan(user, plan);
    plan(source(who::NEVER_CONNECTED), UserPlan::new().refuse_connection());
    let bug = Reply::tagged("NO [SERVERBUG] Internal error occurred. Refer to server log for more information.");
    plan(source(who::BROKEN_ON_SERVER), UserPlan::new().reply("LIST", Which::From(1), bug));
    let unavailable = Reply::tagged("NO [UNAVAILABLE] Server is down for maintenance");
    plan(source(who::UNAVAILABLE_ONCE), UserPlan::new().reply("LIST", Which::Nth(1), unavailable));
    let patience = UserPlan::new().refuse_sign_in("[LIMIT] Too many connections, try again later");
    plan(source(who::THROTTLED_AT_SIGN_IN), patience);
    let plan = |user, plan| fleet.target.set_user_plan(user, plan);
    let virus = UserPlan::new().refuse_message(poison(fleet), "[CANNOT] The message contains a virus");
    plan(target(who::POISONED_MAIL), virus);
    let slow = Reply::tagged("NO Request is throttled. Suggested Backoff Time: 300 milliseconds");
    plan(target(who::THROTTLED_AT_APPEND), UserPlan::new().reply("APPEND", Which::Nth(1), slow));
    let gone = Reply::bye("Server shutting down");
    plan(target(who::CUT_OFF_ONCE), UserPlan::new().reply("SELECT", Which::Nth(2), gone));
    at_target.occupy(target(who::CONNECTIONS_TAKEN), 5).expect("all connections are taken")
}

/// The octets of one of the mails of the account whose mail is poisoned.
fn poison(fleet: &Fleet) -> Vec<u8> {
    let corpus = fleet.servers.corpus(fleet.account(who::POISONED_MAIL));
    corpus.mailboxes[0].messages[3].octets.clone()
}

/// Ends what is to pass when everybody else has come to an end, and waits for the run to end by itself.
fn pass_what_passes(fleet: &Fleet, taken: Vec<Client>, run: &mut Worker) -> crate::harness::Said {
    let throttled = &fleet.account(who::THROTTLED_AT_SIGN_IN).source_user;
    let crowded = &fleet.account(who::CONNECTIONS_TAKEN).target_user;
    let sent_away = || {
        let (source, target) = (fleet.source.statistics(), fleet.target.statistics());
        (source.user(throttled).faults, target.user(crowded).sign_ins)
    };
    let both_twice = || sent_away().0 >= 2 && sent_away().1 >= 2;
    assert!(until_in(PATIENCE, both_twice), "sent away {:?}: {:#?}", sent_away(), fleet.unfinished());
    assert!(run.has_ended().is_none(), "the run ended before two of its accounts could be done");
    fleet.source.clear_user_plan(throttled);
    drop(taken);
    run.ended_within(PATIENCE)
}

fn names(fleet: &Fleet, numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| fleet.account(*number).name.clone()).collect()
}

/// The outcome of every account, by its job.
fn assert_table(fleet: &Fleet) {
    let jobs = fleet.copies();
    assert_eq!(jobs.len(), ACCOUNTS);
    let expected: BTreeMap<&str, &str> =
        EXPECTED.iter().map(|(number, standing)| (fleet.account(*number).name.as_str(), *standing)).collect();
    let wrong: Vec<&Job> = jobs
        .values()
        .filter(|job| job.standing() != expected.get(job.account.as_str()).copied().unwrap_or("done"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for number in PASSING {
        let job = &jobs[&fleet.account(number).name];
        assert!(job.attempts > 1 && job.attempts_charged == 0, "nothing is charged for being sent away: {job:?}");
    }
    // Others may have been asked to make way for a while; that is charged to nobody.
    let own_trouble: Vec<&str> =
        jobs.values().filter(|job| job.attempts_charged > 0).map(|job| &*job.account).collect();
    let excused = names(fleet, &[who::NEVER_CONNECTED, who::BROKEN_ON_SERVER]);
    assert_eq!(own_trouble, excused, "trouble spread");
    let words = &jobs[&fleet.account(who::BROKEN_ON_SERVER).name].words;
    assert!(words.contains("Internal error occurred"), "the server's own words: {words}");
    let attention: BTreeSet<String> = fleet.jobs_with(&["--failed"]).into_iter().map(|job| job.account).collect();
    assert_eq!(attention, expected.keys().map(|name| (*name).to_owned()).collect());
}

/// Mends every cause, has what failed tried again, and shows that nobody else was touched.
fn repair(fleet: &Fleet) {
    let before = fleet.copies();
    let (source_before, target_before) = (fleet.source.statistics(), fleet.target.statistics());
    mend(fleet);
    fleet.import(&list(fleet, true), &[]);
    fleet.done(&["retry", "--wave", WAVE, "--failed"]);
    let said = fleet.run(&["--workers", WORKERS]);
    assert_eq!(said.code, 5, "one mail is still set aside: {said:?}");
    fleet.done(&["retry", "--wave", WAVE, "--exceptions"]);
    fleet.run_completely(&["--workers", WORKERS]);

    let troubled: BTreeSet<String> = names(fleet, &EXPECTED.map(|(number, _)| number)).into_iter().collect();
    let touched = |job: &&Job| before[&job.account].attempts != job.attempts || before[&job.account].id != job.id;
    let after = fleet.copies();
    let touched: BTreeSet<String> = after.values().filter(touched).map(|job| job.account.clone()).collect();
    assert_eq!(touched, troubled, "exactly those that failed were tried again");
    let (source, target) = (fleet.source.statistics(), fleet.target.statistics());
    for account in fleet.servers.accounts.iter().filter(|account| !troubled.contains(&account.name)) {
        let (old, new) = (account.source_user.as_str(), account.target_user.as_str());
        assert_eq!(source.user(old).sign_ins, source_before.user(old).sign_ins, "{old} was signed in again");
        assert_eq!(target.user(new).sign_ins, target_before.user(new).sign_ins, "{new} was signed in again");
    }
}

fn mend(fleet: &Fleet) {
    for number in [who::NEVER_CONNECTED, who::BROKEN_ON_SERVER] {
        fleet.source.clear_user_plan(&fleet.account(number).source_user);
    }
    fleet.servers.target.change_users(|users| {
        let wrong = fleet.account(who::WRONG_TARGET_PASSWORD);
        users.entry(wrong.target_user.clone()).and_modify(|user| user.password.clone_from(&wrong.target_password));
        let full = fleet.account(who::TARGET_FULL).target_user.clone();
        users.entry(full).and_modify(|user| user.quota_messages = None);
    });
    // The first retry leaves exceptions alone, although this one would succeed now.
    fleet.target.clear_user_plan(&fleet.account(who::POISONED_MAIL).target_user);
}
