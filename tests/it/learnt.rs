//! What one run has learnt of its servers, the next begins with; and what a dry run foretells from it.

use crate::fleet::{Fleet, WAVE};
use crate::harness::{Bench, USER};
use crate::stage::{Stage, fill};
use mailhaul_db::{HostKey, Ledger, OpenOptions, ProfileChange};
use mailhaul_plan::profile::{Ceiling, Found, HostProfile, SingleAppends};
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder};
use mailhaul_testing::judge::{Account, Rules, assert_equal};
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::{Direction, Plan, Proxy, Reply, Which};
use mailhaul_types::Side;
use std::time::{SystemTime, UNIX_EPOCH};

/// Three mailboxes as everywhere, and eight more; each connection of the source is slow.
fn slow_stage() -> Stage {
    let stage = Stage::with_messages(40);
    for number in 1..=8 {
        fill(&stage.source, &format!("Folder {number}"), 40 + number);
    }
    stage.source_proxy.set_plan(slow());
    stage
}

fn slow() -> Plan {
    Plan::new().bandwidth(Direction::ToClient, 150_000)
}

/// The same source, and another account on the same target.
fn copy_for_another(stage: &mut Stage, user: &str) {
    stage.bench.to = stage.bench.to.replacen(USER, user, 1);
    stage.bench.copy_completely(&[]);
    let source = Account::new(stage.source.address(), USER, stage.source.password());
    assert_equal(&source, &Account::new(stage.target.address(), user, stage.target.password()), &Rules::new());
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a moment")
}

fn found(connections: usize) -> Found {
    Found { connections, at_unix_secs: now() - 60 }
}

/// Does something with the state file.
fn in_state<T>(bench: &Bench, work: impl AsyncFnOnce(&Ledger) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let ledger = Ledger::open(&bench.state(), OpenOptions::default()).await.expect("open");
        let done = work(&ledger).await;
        ledger.close().await.expect("close");
        done
    })
}

fn key(side: Side, proxy: &Proxy) -> HostKey {
    HostKey::new(side, "127.0.0.1", proxy.address().port())
}

/// Says what earlier runs would have learnt of both servers.
fn know(stage: &Stage, profile: &HostProfile) {
    let changes = [(Side::Source, &stage.source_proxy), (Side::Target, &stage.target_proxy)].map(|(side, proxy)| {
        let text = profile.to_json();
        let change: ProfileChange = Box::new(move |_| text);
        (key(side, proxy), change)
    });
    in_state(&stage.bench, async |ledger| ledger.learn(changes.into()).await);
}

/// What was learnt of the target.
fn known(stage: &Stage) -> HostProfile {
    known_of(stage, Side::Target)
}

fn known_of(stage: &Stage, side: Side) -> HostProfile {
    let proxy = if side == Side::Source { &stage.source_proxy } else { &stage.target_proxy };
    let key = key(side, proxy);
    let text = in_state(&stage.bench, async |ledger| ledger.host_profile(&key).await);
    HostProfile::from_json(&text.expect("something was learnt")).expect("it can be read")
}

#[test]
fn a_copy_begins_with_as_many_connections_as_were_best() {
    let stage = Stage::with_messages(2);
    let mut profile = HostProfile::default();
    profile.width.best = Some(found(3));
    know(&stage, &profile);
    stage.copy_completely();
    for proxy in [&stage.source_proxy, &stage.target_proxy] {
        assert_eq!(proxy.statistics().connections_peak, 3);
    }
    stage.assert_exact();
}

#[test]
fn a_copy_opens_no_more_connections_than_it_has_learnt_there_should_be() {
    let stage = slow_stage();
    let mut profile = HostProfile::default();
    profile.width.best = Some(found(4));
    profile.width.most = Some((found(1), Ceiling::Refused));
    know(&stage, &profile);
    stage.copy_completely();
    assert_eq!(stage.target_proxy.statistics().connections, 1);
}

/// Lets nobody in.
fn full() -> Plan {
    let no = || Reply::tagged("NO [LIMIT] Maximum number of connections from user+IP exceeded");
    Plan::new().reply("AUTHENTICATE", Which::From(1), no()).reply("LOGIN", Which::From(1), no())
}

#[test]
fn a_connection_that_was_refused_is_not_asked_for_by_the_next_account() {
    let mut stage = slow_stage();
    stage.target_proxy.set_next_plans([Plan::new(), full()]);
    stage.copy_completely();
    let before = stage.target_proxy.statistics().connections;
    assert_eq!(before, 2, "a second one was asked for, once");
    let (most, why) = known(&stage).width.most.expect("learnt");
    assert_eq!((most.connections, why), (1, Ceiling::Refused));
    copy_for_another(&mut stage, "bob");
    assert_eq!(stage.target_proxy.statistics().connections, before + 1, "one, and no other");
}

#[test]
fn what_the_source_has_refused_is_not_held_against_the_target() {
    let mut stage = slow_stage();
    stage.source_proxy.set_next_plans([slow(), full()]);
    stage.copy_completely();
    let before = stage.source_proxy.statistics().connections;
    assert_eq!(before, 2, "a second one was asked for, once, and none to read with either");
    assert_eq!((known(&stage).width.most, known(&stage).width.reading), (None, None));
    let (most, why) = known_of(&stage, Side::Source).width.most.expect("learnt");
    assert_eq!((most.connections, why), (1, Ceiling::Refused));
    copy_for_another(&mut stage, "bob");
    assert_eq!(stage.source_proxy.statistics().connections, before + 1, "one, and no other");
}

/// A target that takes one message with a command.
fn single(target: DovecotBuilder) -> Stage {
    let stage = Stage::build(0, target.without_capability("MULTIAPPEND"));
    fill(&stage.source, "Many", 900);
    stage
}

fn better(unselected: bool) -> HostProfile {
    let (selected_secs, unselected_secs) = if unselected { (1.0, 0.1) } else { (0.1, 1.0) };
    let single_appends = SingleAppends { selected_secs, unselected_secs, at_unix_secs: now() - 60 };
    HostProfile { single_appends, ..HostProfile::default() }
}

#[test]
fn both_ways_to_store_single_messages_are_tried_once() {
    let mut stage = single(Dovecot::builder());
    stage.copy_completely();
    let told = stage.target_proxy.statistics();
    assert!(told.count("UNSELECT") >= 2, "{told:?}");
    let learnt = known(&stage).single_appends;
    assert!(learnt.better_unselected(now()).is_some(), "{learnt:?}");
    stage.assert_exact();
    // Without a trial: as often as the way that was found to be better asks for.
    let before = stage.target_proxy.statistics().count("UNSELECT");
    copy_for_another(&mut stage, "bob");
    let times = stage.target_proxy.statistics().count("UNSELECT") - before;
    assert_eq!(times, u32::from(learnt.better_unselected(now()) == Some(true)));
}

#[test]
fn the_mailbox_is_left_or_kept_as_was_learnt() {
    for (target, unselected) in [
        (Dovecot::builder(), true),
        (Dovecot::builder(), false),
        (Dovecot::builder().without_capability("UIDPLUS"), true),
        (Dovecot::builder().without_capability("LITERAL+"), true),
    ] {
        let stage = single(target);
        know(&stage, &better(unselected));
        stage.copy_completely();
        assert_eq!(stage.target_proxy.statistics().count("UNSELECT") > 0, unselected);
        stage.assert_exact();
    }
}

#[test]
fn a_target_that_cannot_leave_a_mailbox_keeps_it() {
    let stage = single(Dovecot::builder().without_capability("UNSELECT"));
    stage.copy_completely();
    assert_eq!(stage.target_proxy.statistics().count("UNSELECT"), 0);
    assert_eq!(known(&stage).single_appends, SingleAppends::default());
    stage.assert_exact();
}

#[test]
fn what_goes_wrong_while_no_mailbox_is_selected_is_mended() {
    let stage = single(Dovecot::builder());
    know(&stage, &better(true));
    let refusal = Plan::new().reply("APPEND", Which::Nth(300), Reply::tagged("NO [SERVERBUG] try again later"));
    stage.target_proxy.set_next_plans([refusal]);
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_state_file_whose_profiles_are_nonsense_is_worked_with() {
    let stage = Stage::with_messages(5);
    for text in ["", "{\"width\":7}", "{\"alone\":{\"seconds\":-1}}"] {
        let changes =
            [(Side::Source, &stage.source_proxy), (Side::Target, &stage.target_proxy)].map(|(side, proxy)| {
                let change: ProfileChange = Box::new(move |_| text.to_owned());
                (key(side, proxy), change)
            });
        in_state(&stage.bench, async |ledger| ledger.learn(changes.into()).await);
        stage.copy_completely();
    }
    stage.assert_exact();
}

#[test]
fn a_dry_run_says_how_long_it_will_take_and_how_it_knows() {
    let mut stage = slow_stage();
    let foretold = |bench: &Bench| {
        let said = bench.run("copy", &["--dry-run", "--json"]);
        assert_eq!(said.code, 0, "{said:?}");
        let estimate = said.json()["estimate"].clone();
        let figures =
            ["least_seconds", "seconds", "most_seconds"].map(|name| estimate[name].as_f64().expect("a figure"));
        assert!(0.0 < figures[0] && figures[0] <= figures[1] && figures[1] <= figures[2], "{estimate:#}");
        (estimate["basis"].as_str().expect("a word").to_owned(), bench.run("copy", &["--dry-run"]).stdout)
    };
    let (basis, text) = foretold(&stage.bench);
    assert_eq!(basis, "assumed");
    assert!(text.contains("estimated time: between ") && text.contains("is not known before"), "{text}");
    stage.copy_completely();
    assert_eq!(stage.bench.run("copy", &["--dry-run", "--json"]).json()["estimate"], serde_json::Value::Null);
    stage.bench.to = stage.bench.to.replacen(USER, "bob", 1);
    let (basis, text) = foretold(&stage.bench);
    assert!(basis.starts_with("measured"), "{basis}");
    assert!(text.contains("estimated time: about ") && text.contains(" just now"), "{text}");
}

#[test]
fn the_preflight_of_a_wave_reckons_with_what_was_measured() {
    let fleet = Fleet::without_endpoints(ManyAccounts::new(2).mails(300).mail_bytes(3_000));
    fleet.add_endpoints(&[]);
    fleet.import(&fleet.servers.csv(), &[]);
    let rate = || fleet.json(&["preflight", "--wave", WAVE])["estimate"]["limits"]["rate"].clone();
    assert_eq!(rate()["measured"], false);
    // A slow source, so that there is enough to measure.
    fleet.source.set_plan(Plan::new().bandwidth(Direction::ToClient, 400_000));
    fleet.run_completely(&[]);
    fleet.source.set_plan(Plan::new());
    let rate = rate();
    assert_eq!(rate["measured"], true, "{rate:#}");
    assert!(rate["bytes_per_second"].as_f64().is_some_and(|rate| rate < 2e7), "{rate:#}");
}
