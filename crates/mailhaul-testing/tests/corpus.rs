//! The corpora on real servers, and the judge over them.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use std::time::Instant;

use mailhaul_testing::imap_client::Client;
use mailhaul_testing::judge::{Account, Rules, Snapshot, assert_equal, judge};
use mailhaul_testing::{Corpus, Cyrus, Dovecot, Store};

fn account(dovecot: &Dovecot, user: &str) -> Account {
    Account::new(dovecot.address(), user, dovecot.password())
}

#[test]
fn the_odd_corpus_can_be_held_by_every_store_of_dovecot_and_reads_back_equal() {
    let corpus = Corpus::odd();
    let one = Dovecot::builder().store(Store::Sdbox).start();
    corpus.load(&mut account(&one, "alice").sign_in().unwrap()).unwrap();
    let snapshot = Snapshot::take(&account(&one, "alice")).unwrap();
    assert_eq!(snapshot.messages(), corpus.count());
    for (store, delimiter, prefix) in [
        (Store::Maildir, '.', "INBOX."),
        (Store::Maildir, '/', ""),
        (Store::MaildirNested, '/', ""),
        (Store::Mdbox, '.', ""),
    ] {
        let other = Dovecot::builder().store(store).delimiter(delimiter).prefix(prefix).start();
        corpus
            .load(&mut account(&other, "bob").sign_in().unwrap())
            .unwrap_or_else(|error| panic!("{store:?} {delimiter}: {error}"));
        assert_equal(&account(&one, "alice"), &account(&other, "bob"), &Rules::new());
    }
}

#[test]
fn dates_and_flags_arrive_as_they_were_meant() {
    let dovecot = Dovecot::start();
    let corpus = Corpus::odd();
    let mut client = account(&dovecot, "alice").sign_in().unwrap();
    corpus.load(&mut client).unwrap();
    client.examine("INBOX").unwrap();
    let stored = client.fetch_all().unwrap();
    for (message, stored) in corpus.mailboxes[0].messages.iter().zip(&stored) {
        assert_eq!(stored.unix_secs(), Some(message.unix_secs), "{}", message.label);
        let sorted = |flags: &[String]| {
            let mut flags = flags.to_vec();
            flags.sort();
            flags
        };
        assert_eq!(sorted(&stored.flags), sorted(&message.flags), "{}", message.label);
    }
    let subscriptions = client.subscriptions().unwrap();
    assert!(subscriptions.contains(&"Empty".to_owned()) && !subscriptions.contains(&"Empty/also empty".to_owned()));
    let mailboxes = client.list().unwrap();
    assert!(mailboxes.iter().any(|mailbox| mailbox.name == "Container" && !mailbox.is_selectable()), "{mailboxes:?}");
}

#[test]
fn cyrus_refuses_exactly_what_is_said_of_it() {
    let cyrus = Cyrus::builder().reject_8bit().start();
    let mut client = Client::sign_in(cyrus.address(), "alice", cyrus.password()).unwrap();
    let mut surprises = Vec::new();
    for message in &Corpus::odd().mailboxes[0].messages {
        let answer = client.append("INBOX", &[], None, &message.octets);
        if answer.is_err() != message.is_refused_by_cyrus(true) {
            surprises.push(format!("{}: {answer:?}", message.label));
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}

#[test]
fn a_cyrus_and_a_dovecot_hold_the_same() {
    let corpus = Corpus::odd().for_cyrus();
    assert!(corpus.count() > 60 && corpus.mailboxes.len() > 15, "{} in {}", corpus.count(), corpus.mailboxes.len());
    let dovecot = Dovecot::start();
    corpus.load(&mut account(&dovecot, "alice").sign_in().unwrap()).unwrap();
    for (unix, alt) in [(true, true), (false, false)] {
        let cyrus = Cyrus::builder().unix_hierarchy(unix).alt_namespace(alt).start();
        let target = Account::new(cyrus.address(), "alice", cyrus.password());
        corpus.load(&mut target.sign_in().unwrap()).unwrap();
        assert_equal(&account(&dovecot, "alice"), &target, &Rules::new());
    }
}

#[test]
fn files_written_as_maildir_are_what_append_would_have_made() {
    let corpus = Corpus::odd().and(Corpus::small(2000));
    for store in [Store::Maildir, Store::MaildirNested] {
        let dovecot = Dovecot::builder().store(store).start();
        let began = Instant::now();
        corpus.write_maildir(&dovecot, "files").unwrap();
        let took = began.elapsed();
        assert!(took.as_secs() < 20, "{took:?}");
        corpus.load(&mut account(&dovecot, "append").sign_in().unwrap()).unwrap();
        assert_equal(&account(&dovecot, "append"), &account(&dovecot, "files"), &Rules::new());
    }
}

#[test]
fn the_judge_sees_a_flag_a_date_a_twin_and_an_octet() {
    let dovecot = Dovecot::start();
    let corpus = Corpus::small(20);
    for user in ["alice", "bob"] {
        corpus.load(&mut account(&dovecot, user).sign_in().unwrap()).unwrap();
    }
    let (alice, bob) = (account(&dovecot, "alice"), account(&dovecot, "bob"));
    assert_equal(&alice, &bob, &Rules::new());

    let mut client = bob.sign_in().unwrap();
    client.select("INBOX").unwrap();
    client.store("3", "+FLAGS", &["\\Flagged"]).unwrap();
    let mut message = client.fetch_all().unwrap().swap_remove(4);
    client.append("INBOX", &[], Some(&message.internal_date), &message.octets).unwrap();
    message.octets[0] ^= 1;
    client.append("INBOX", &[], Some(&message.internal_date), &message.octets).unwrap();
    client.expunge("7:8").unwrap();
    let judgement = judge(&alice, &bob, &Rules::new()).unwrap();
    assert_eq!(
        (judgement.lost(), judgement.doubled(), judgement.altered(), judgement.extra()),
        (2, 1, 1, 1),
        "{judgement}"
    );
}

#[test]
fn corpora_are_the_same_each_time_and_large_ones_as_large_as_asked() {
    assert_eq!(Corpus::lively(10, 1 << 20), Corpus::lively(10, 1 << 20));
    let large = Corpus::one_large(30 << 20).mailboxes.remove(0).messages.remove(0);
    assert!((30 << 20..(30 << 20) + 200).contains(&large.octets.len()), "{}", large.octets.len());
}

#[test]
fn the_judge_runs_as_a_program() {
    let dovecot = Dovecot::start();
    Corpus::small(3).load(&mut account(&dovecot, "alice").sign_in().unwrap()).unwrap();
    let url = |user: &str| format!("imap://{user}:{}@{}", dovecot.password(), dovecot.address());
    let run = |target: &str| mailhaul_testing::judge::program(&[url("alice"), url(target)]);
    let (words, equal) = run("alice").unwrap();
    assert!(equal && words.ends_with("equal: 3 messages in 1 mailboxes (octets, dates, flags)"), "{words}");
    let (words, equal) = run("bob").unwrap();
    assert!(!equal && words.contains("DIFFERENT: 3 lost"), "{words}");
    assert!(mailhaul_testing::judge::program(&["imap://nobody".to_owned()]).is_err());
}
