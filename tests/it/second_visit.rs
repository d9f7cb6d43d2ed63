//! What a second visit costs and what it brings over: commands and octets are counted on both sides, between Dovecots that
//! announce all, some and none of what makes it cheap.

use crate::harness::{Bench, USER};
use crate::stage::{fill, fill_more};
use mailhaul_testing::dovecot::{Dovecot, Offer};
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::judge::{Account, Rules, assert_equal};
use mailhaul_testing::proxy::{Proxy, Statistics, WRITING_COMMANDS};
use serde_json::Value;
use std::collections::BTreeMap;

/// Two servers behind proxies.
struct Visits {
    source: Dovecot,
    target: Dovecot,
    source_proxy: Proxy,
    target_proxy: Proxy,
    bench: Bench,
}

/// What went over the wire in one run.
struct Cost {
    source: Statistics,
    target: Statistics,
    report: Value,
}

impl Visits {
    fn offering(offer: Offer) -> Self {
        let (source, target) = (Dovecot::builder().offer(offer).start(), Dovecot::builder().offer(offer).start());
        let (source_proxy, target_proxy) = (Proxy::start(source.address()), Proxy::start(target.address()));
        let bench =
            Bench::between(source_proxy.address(), source.password(), target_proxy.address(), target.password());
        Self { source, target, source_proxy, target_proxy, bench }
    }

    fn run(&self, options: &[&str]) -> Cost {
        let before = (self.source_proxy.statistics(), self.target_proxy.statistics());
        let report = self.bench.copy_completely(options);
        let source = self.source_proxy.statistics().since(&before.0);
        Cost { source, target: self.target_proxy.statistics().since(&before.1), report }
    }

    fn at_source(&self) -> Client {
        Client::sign_in(self.source.address(), USER, self.source.password()).expect("sign in")
    }

    fn at_target(&self) -> Client {
        Client::sign_in(self.target.address(), USER, self.target.password()).expect("sign in")
    }

    fn assert_same_mail(&self) {
        let account = |server: &Dovecot| Account::new(server.address(), USER, server.password());
        assert_equal(&account(&self.source), &account(&self.target), &Rules::new());
    }
}

impl Cost {
    /// Nothing was opened or changed anywhere.
    fn assert_idle(&self) {
        for side in [&self.source, &self.target] {
            assert_eq!(side.count_of(&WRITING_COMMANDS), 0, "{:?}", side.commands);
            assert_eq!(side.count_of(&["SELECT", "EXAMINE", "UID FETCH", "UID SEARCH"]), 0, "{:?}", side.commands);
        }
        let mailboxes = self.report["mailboxes"].as_array().expect("mailboxes");
        assert!(mailboxes.iter().all(|mailbox| mailbox["visited"] == false), "{:#}", self.report);
    }

    fn remarks(&self) -> String {
        self.report["remarks"].to_string()
    }
}

/// Flags by UID, in the server's spelling, sorted.
fn flags(client: &mut Client, mailbox: &str) -> BTreeMap<u32, String> {
    client.examine(mailbox).expect("examine");
    let messages = client.fetch_flags().expect("flags");
    let shown = messages.into_iter().map(|message| {
        let mut flags: Vec<String> = message.flags.into_iter().filter(|flag| flag != "\\Recent").collect();
        flags.sort();
        (message.uid, flags.join(" "))
    });
    shown.collect()
}

#[test]
fn an_unchanged_account_costs_one_list_on_each_side_however_many_mailboxes_it_has() {
    let visits = Visits::offering(Offer::Everything);
    for number in 0..99 {
        fill(&visits.source, &format!("Folder {number}"), 3);
    }
    fill(&visits.source, "INBOX", 20);
    visits.run(&[]);
    let again = visits.run(&[]);
    again.assert_idle();
    assert_eq!(again.report["messages"]["already"], 99 * 3 + 20, "{:#}", again.report);
    for side in [&again.source, &again.target] {
        assert_eq!((side.count("LIST"), side.count("STATUS")), (1, 0), "{:?}", side.commands);
        assert_eq!(side.commands_at_work(), 1 + side.count("NAMESPACE"), "{:?}", side.commands);
        assert!(side.bytes_to_server <= 100 * 40, "{} octets sent", side.bytes_to_server);
        assert!(side.bytes_to_client <= 100 * 250, "{} octets received", side.bytes_to_client);
    }
}

#[test]
fn without_list_status_an_unchanged_mailbox_costs_one_short_status_on_each_side() {
    let visits = Visits::offering(Offer::NoListStatus);
    for number in 0..30 {
        fill(&visits.source, &format!("Folder {number}"), 2);
    }
    visits.run(&[]);
    let again = visits.run(&[]);
    again.assert_idle();
    for side in [&again.source, &again.target] {
        assert_eq!((side.count("LIST"), side.count("STATUS")), (1, 31), "{:?}", side.commands);
        assert!(side.bytes_sent_for("STATUS") <= 31 * 120, "{:?}", side.command_bytes);
    }
}

#[test]
fn one_flag_that_changed_in_a_large_mailbox_costs_one_row() {
    let visits = Visits::offering(Offer::Everything);
    fill(&visits.source, "INBOX", 3_000);
    fill(&visits.source, "Archive", 50);
    visits.run(&[]);
    let mut client = visits.at_source();
    client.select("INBOX").expect("select");
    client.store("1500", "+FLAGS", &["\\Flagged"]).expect("store");
    client.logout();
    let cost = visits.run(&[]);
    assert_eq!(cost.report["changes"]["flags"], 1, "{:#}", cost.report);
    assert_eq!((cost.source.count("EXAMINE"), cost.source.count("UID FETCH")), (1, 1), "{:?}", cost.source.commands);
    let octets = cost.source.bytes_answered_to("UID FETCH");
    assert!(octets <= 300, "{octets} octets for one flag");
    assert_eq!(cost.source.count("UID SEARCH"), 0, "{:?}", cost.source.commands);
    assert_eq!((cost.target.count("SELECT"), cost.target.count("UID STORE")), (1, 1), "{:?}", cost.target.commands);
    assert_eq!(cost.target.count_of(&WRITING_COMMANDS), 1, "{:?}", cost.target.commands);
    assert!(cost.target.bytes_to_server <= 600, "{} octets", cost.target.bytes_to_server);
    visits.assert_same_mail();
    visits.run(&[]).assert_idle();
}

#[test]
fn new_mail_deleted_mail_and_changed_flags_are_found_with_and_without_extensions() {
    for offer in [Offer::Everything, Offer::NoQresync, Offer::NoCondstore, Offer::NoUidplus, Offer::Bare] {
        let visits = Visits::offering(offer);
        fill(&visits.source, "INBOX", 120);
        fill(&visits.source, "Archive", 5);
        visits.run(&[]);
        let mut client = visits.at_source();
        client.select("INBOX").expect("select");
        client.expunge("10:14").expect("expunge");
        client.store("20:29", "+FLAGS", &["\\Flagged", "$Later"]).expect("store");
        client.store("30:39", "-FLAGS", &["\\Seen", "$Label1"]).expect("store");
        client.logout();
        fill_more(&visits.source, "INBOX", 7);
        let cost = visits.run(&[]);
        let messages = &cost.report["messages"];
        assert_eq!((&messages["copied"], &messages["already"]), (&7.into(), &120.into()), "{offer:?}: {messages:#}");
        assert_eq!(cost.target.appended_messages, 7, "{offer:?}");
        let (ours, theirs) = (flags(&mut visits.at_source(), "INBOX"), flags(&mut visits.at_target(), "INBOX"));
        assert_eq!((ours.len(), theirs.len()), (122, 127), "{offer:?}: deletions are not handed over unless asked");
        for (uid, flags) in &ours {
            assert_eq!(theirs.get(uid), Some(flags), "{offer:?}: UID {uid}");
        }
        let again = visits.run(&[]);
        assert_eq!(again.target.count_of(&WRITING_COMMANDS), 0, "{offer:?}: {:?}", again.target.commands);
        assert_eq!(again.report["messages"]["already"], 127, "{offer:?}");
        if ![Offer::NoCondstore, Offer::Bare].contains(&offer) {
            again.assert_idle();
        }
    }
}

#[test]
fn what_the_owner_of_the_target_has_done_stays_unless_the_source_has_its_way() {
    // The policy, then the flags of the three messages in the end: the source changed the first, the owner the second,
    // both have changed the third.
    let cases = [
        ("merge", ["\\Seen", "\\Flagged", "\\Flagged \\Seen"]),
        ("source", ["\\Seen", "", "\\Seen"]),
        ("target", ["\\Seen", "\\Flagged", "\\Flagged"]),
        ("none", ["", "\\Flagged", "\\Flagged"]),
    ];
    for (policy, expected) in cases {
        let visits = Visits::offering(Offer::Everything);
        fill_more(&visits.source, "INBOX", 3);
        let options = ["--flags", policy];
        visits.run(&options);
        let (mut source, mut target) = (visits.at_source(), visits.at_target());
        source.select("INBOX").expect("select");
        source.store("1,3", "+FLAGS", &["\\Seen"]).expect("store");
        target.select("INBOX").expect("select");
        target.store("2,3", "+FLAGS", &["\\Flagged"]).expect("store");
        for client in [source, target] {
            client.logout();
        }
        visits.run(&options);
        let now: Vec<String> = flags(&mut visits.at_target(), "INBOX").into_values().collect();
        assert_eq!(now, expected, "{policy}");
        let again = visits.run(&options);
        assert_eq!(again.target.count_of(&WRITING_COMMANDS), 0, "{policy}: {:?}", again.target.commands);
    }
}

#[test]
fn mail_that_was_on_the_target_already_gets_the_flags_of_the_source_until_the_switch() {
    for (option, expected) in [(None, "\\Seen"), (Some("--switched"), "\\Flagged")] {
        let visits = Visits::offering(Offer::Everything);
        for server in [&visits.source, &visits.target] {
            fill_more(server, "INBOX", 1);
        }
        for (mut client, flag) in [(visits.at_source(), "\\Seen"), (visits.at_target(), "\\Flagged")] {
            client.select("INBOX").expect("select");
            client.store("1", "+FLAGS", &[flag]).expect("store");
            client.logout();
        }
        let options: Vec<&str> = option.into_iter().collect();
        let cost = visits.run(&options);
        assert_eq!(cost.report["messages"]["adopted"], 1, "{:#}", cost.report);
        assert_eq!(flags(&mut visits.at_target(), "INBOX")[&1], expected, "{option:?}");
        visits.run(&options).assert_idle();
    }
}

#[test]
fn mail_that_disappears_before_it_could_be_copied_is_told_once() {
    let visits = Visits::offering(Offer::Everything);
    fill(&visits.source, "INBOX", 40);
    let small = visits.run(&["--max-size", "1K"]);
    let skipped = small.report["messages"]["skipped"].as_u64().expect("a number");
    assert!(skipped > 10, "{:#}", small.report);
    let mut client = visits.at_source();
    client.select("INBOX").expect("select");
    client.expunge("1:*").expect("expunge");
    client.logout();
    let cost = visits.run(&["--accept-mass-absence"]);
    assert_eq!(cost.report["messages"]["gone"].as_u64(), Some(skipped), "{:#}", cost.report);
    assert_eq!(cost.report["messages"]["source"].as_u64(), Some(skipped), "{:#}", cost.report);
    let again = visits.run(&["--accept-mass-absence"]);
    assert_eq!(again.report["messages"]["gone"], 0, "{:#}", again.report);
}

#[test]
fn a_target_mailbox_that_its_owner_has_deleted_is_not_made_again_for_nothing() {
    let visits = Visits::offering(Offer::Everything);
    fill(&visits.source, "Old", 12);
    visits.run(&[]);
    visits.at_target().delete("Old").expect("delete");
    let cost = visits.run(&[]);
    cost.assert_idle();
    assert!(cost.remarks().contains("`Old` is gone"), "{}", cost.remarks());
    let mut client = visits.at_source();
    client.select("Old").expect("select");
    client.store("1", "+FLAGS", &["\\Flagged"]).expect("store");
    client.logout();
    let cost = visits.run(&[]);
    assert_eq!(cost.target.count_of(&WRITING_COMMANDS), 0, "{:?}", cost.target.commands);
    assert!(cost.remarks().contains("`Old` is gone"), "{}", cost.remarks());
    // With new mail it is another matter: somebody has to say what is meant.
    fill_more(&visits.source, "Old", 1);
    let (code, report) = visits.bench.copy(&[]);
    assert_ne!(code, 0, "{report:#}");
    assert!(report["exceptions"].to_string().contains("--accept-target-change"), "{report:#}");
}
