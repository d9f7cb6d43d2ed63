//! Two servers with many accounts: made fast, judged fast, and wrong for one account at a time.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use std::time::Instant;

use mailhaul_testing::imap_client::{Client, ClientError, Outgoing};
use mailhaul_testing::judge::{Account, Rules, Snapshot, assert_equal, compare};
use mailhaul_testing::many::{ManyAccounts, TestAccount, TwoServers};
use mailhaul_testing::{Dovecot, Proxy, Store, User};

const MESSAGE: &[u8] = b"From: a@example\r\nSubject: one\r\n\r\nbody\r\n";

/// A plain copier that knows nothing of the product: what it appends is what the judge has to find equal.
fn copy(from: &Account, to: &Account) -> Result<(), ClientError> {
    let (mut source, mut target) = (from.sign_in()?, to.sign_in()?);
    for mailbox in source.list()? {
        let name = &mailbox.name;
        if mailbox.is_selectable() && name != "INBOX" {
            target.create(name)?;
        }
        if mailbox.is_selectable() && source.examine(name)?.exists > 0 {
            let messages = source.fetch_all()?;
            let flags: Vec<Vec<String>> = messages.iter().map(|message| message.flags.clone()).collect();
            let batch = messages.iter().zip(&flags).map(|(message, flags)| Outgoing {
                flags,
                date: Some(&message.internal_date),
                octets: &message.octets,
            });
            target.append_all(name, &batch.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

fn copy_account(bench: &TwoServers, account: &TestAccount) -> Result<(), ClientError> {
    copy(&bench.source_account(account), &bench.target_account(account))
}

fn words(error: &ClientError) -> String {
    error.to_string()
}

#[test]
fn five_hundred_accounts_are_made_and_judged_in_seconds() {
    let began = Instant::now();
    let bench = ManyAccounts::new(500).mails(40).start();
    let made = began.elapsed();
    let judgement = bench.judge();
    let judged = began.elapsed() - made;
    assert!(made.as_secs() < 60 && judged.as_secs() < 30, "made in {made:?}, judged in {judged:?}");
    assert_eq!(judgement.accounts.len(), 500);
    assert_eq!(judgement.messages(), (20_000, 0));
    assert_eq!(judgement.different().len(), 500);
    let list = bench.csv();
    assert_eq!(list.lines().count(), 501);
    assert!(list.contains("u0500,u0500@old.example,old-secret-500,u0500@new.example,new-secret-500\n"));
}

#[test]
fn the_server_shows_what_was_written_and_the_judge_of_one_account_agrees() {
    let bench = ManyAccounts::new(12).mails(25).odd(10).start();
    for account in &bench.accounts {
        let on_disk = Snapshot::of_maildir(&bench.source, &account.source_user).unwrap();
        assert_eq!(on_disk.messages(), 25);
        assert_eq!(bench.corpus(account).count(), 25);
        let over_imap = Snapshot::take(&bench.source_account(account)).unwrap();
        let agreement = compare(&on_disk, &over_imap, &Rules::new());
        assert!(agreement.is_equal(), "{agreement}");
        copy_account(&bench, account).unwrap();
        assert_equal(&bench.source_account(account), &bench.target_account(account), &Rules::new());
    }
    let judgement = bench.judge();
    judgement.assert_equal();
    assert_eq!(judgement.messages(), (300, 300));
    bench.judge_over_imap(&Rules::new()).assert_equal();
    let mut client = bench.source_account(&bench.accounts[0]).sign_in().unwrap();
    let mut subscribed = client.subscriptions().unwrap();
    subscribed.sort();
    assert_eq!(subscribed, ["Archive/2019", "INBOX", "Sent"]);
}

#[test]
fn accounts_hold_other_mail_than_their_neighbours() {
    let bench = ManyAccounts::new(3).mails(30).odd(0).start();
    let digests = |account: &TestAccount| {
        let snapshot = Snapshot::of_maildir(&bench.source, &account.source_user).unwrap();
        let all = snapshot.mailboxes.into_values().flatten().map(|seen| seen.fingerprint.digest);
        all.collect::<std::collections::BTreeSet<_>>()
    };
    let [one, two, three] = [0, 1, 2].map(|at| digests(&bench.accounts[at]));
    assert_eq!((one.len(), two.len(), three.len()), (30, 30, 30));
    assert!(one.is_disjoint(&two) && two.is_disjoint(&three) && one.is_disjoint(&three));
}

#[test]
fn the_judge_names_the_account_that_lost_or_doubled_a_message() {
    let bench = ManyAccounts::new(4).mails(5).start();
    for account in &bench.accounts {
        copy_account(&bench, account).unwrap();
    }
    bench.judge().assert_equal();
    let mut lossy = bench.target_account(&bench.accounts[1]).sign_in().unwrap();
    lossy.select("INBOX").unwrap();
    let uid = lossy.fetch_all().unwrap()[0].uid.to_string();
    lossy.store(&uid, "+FLAGS", &["\\Deleted"]).unwrap();
    lossy.expunge(&uid).unwrap();
    let mut doubling = bench.target_account(&bench.accounts[2]).sign_in().unwrap();
    doubling.select("INBOX").unwrap();
    doubling.command("UID COPY 1 INBOX").unwrap();
    bench.deliver(&bench.accounts[3], 2);
    let judgement = bench.judge();
    assert_eq!(judgement.different(), ["u0002", "u0003", "u0004"]);
    assert_eq!(
        (judgement.of("u0002").lost(), judgement.of("u0003").doubled(), judgement.of("u0004").lost()),
        (1, 1, 2)
    );
    assert_eq!(judgement.surplus(), 1);
}

#[test]
fn new_mail_is_seen_by_the_server() {
    let bench = ManyAccounts::new(1).mails(5).start();
    let account = &bench.accounts[0];
    let mut client = bench.source_account(account).sign_in().unwrap();
    let before = client.count("INBOX").unwrap();
    bench.deliver(account, 3);
    assert_eq!(client.count("INBOX").unwrap(), before + 3);
    bench.deliver(account, 1);
    assert_eq!(client.count("INBOX").unwrap(), before + 4);
}

#[test]
fn passwords_are_changed_while_the_server_runs() {
    let dovecot = Dovecot::builder().user("alice", User::new("first")).user("bob", User::new("other")).start();
    let sign_in = |user: &str, password: &str| Client::sign_in(dovecot.address(), user, password);
    assert!(sign_in("alice", "other").is_err() && sign_in("nobody", "first").is_err());
    sign_in("alice", "first").unwrap();
    // Passwords of one length within one second: the hardest case for a server that looks at the file's time.
    for password in ["again", "third", "forth"] {
        dovecot.change_user("alice", |alice| alice.password(password));
        assert_eq!(dovecot.password_of("alice"), password);
        sign_in("alice", password).unwrap();
        assert!(sign_in("alice", "first").is_err());
    }
    sign_in("bob", "other").unwrap();
}

#[test]
fn a_master_signs_in_for_every_named_user() {
    let bench = ManyAccounts::new(2).mails(5).source(|source| source.master_user("root", "master-secret")).start();
    for account in &bench.accounts {
        let login = format!("{}*root", account.source_user);
        let mut client = Client::sign_in(bench.source.address(), &login, "master-secret").unwrap();
        assert!(client.count("INBOX").unwrap() > 0);
    }
    assert!(Client::sign_in(bench.source.address(), "u0001@old.example*root", "old-secret-1").is_err());
}

#[test]
fn one_account_is_full_and_its_neighbour_is_not() {
    let dovecot =
        Dovecot::builder().user("full", User::new("x").quota_messages(1)).user("free", User::new("x")).start();
    let append = |user: &str| {
        let mut client = Client::sign_in(dovecot.address(), user, "x").unwrap();
        client.append("INBOX", &[], None, MESSAGE)
    };
    for _ in 0..3 {
        append("free").unwrap();
    }
    append("full").unwrap();
    assert!(words(&append("full").unwrap_err()).contains("NO [OVERQUOTA]"));
    dovecot.change_user("full", User::no_quota);
    append("full").unwrap();
    dovecot.change_user("free", |free| free.quota_bytes(100));
    assert!(words(&append("free").unwrap_err()).contains("NO [OVERQUOTA]"));
}

#[test]
fn one_account_refuses_large_messages() {
    let dovecot = Dovecot::builder().user("small", User::new("x").message_bytes_max(1000)).start();
    let mut client = Client::sign_in(dovecot.address(), "small", "x").unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap();
    let large = [MESSAGE, "x".repeat(2000).as_bytes(), b"\r\n"].concat();
    let refused = words(&client.append("INBOX", &[], None, &large).unwrap_err());
    assert!(refused.contains("NO [LIMIT]"), "{refused}");
    dovecot.change_user("small", User::no_message_limit);
    let mut client = Client::sign_in(dovecot.address(), "small", "x").unwrap();
    client.append("INBOX", &[], None, &large).unwrap();
}

#[test]
fn an_account_whose_connections_are_taken_is_refused_in_the_servers_words() {
    let dovecot =
        Dovecot::builder().connections_max(2).user("busy", User::new("x")).user("idle", User::new("x")).start();
    let taken = dovecot.occupy("busy", 2).unwrap();
    let refused = words(&Client::sign_in(dovecot.address(), "busy", "x").unwrap_err());
    assert!(refused.to_lowercase().contains("maximum number of connections"), "{refused}");
    Client::sign_in(dovecot.address(), "idle", "x").unwrap();
    drop(taken);
    dovecot.kick("busy");
    Client::sign_in(dovecot.address(), "busy", "x").unwrap();
}

#[test]
fn users_survive_a_restart_on_the_same_port() {
    let mut bench = ManyAccounts::new(2).mails(5).start();
    let address = bench.source.address();
    bench.source.change_user("u0001@old.example", |user| user.password("changed"));
    bench.source.stop();
    assert!(Client::connect(address).is_err());
    bench.source.restart();
    assert_eq!(bench.source.address(), address);
    let refused = Client::sign_in(address, "u0001@old.example", "old-secret-1");
    assert!(refused.is_err());
    copy_account(&bench, &bench.accounts[0]).unwrap();
    bench.judge().assert_equal_except(&["u0002"]);
}

#[test]
fn a_target_of_another_store_is_judged_over_imap() {
    let bench = ManyAccounts::new(3).mails(10).target(|target| target.store(Store::Sdbox)).start();
    for account in &bench.accounts[..2] {
        copy_account(&bench, account).unwrap();
    }
    let judgement = bench.judge_over_imap(&Rules::new());
    assert_eq!(judgement.different(), ["u0003"]);
    assert_eq!(judgement.to_string(), "3 accounts, 30 and 20 messages, 1 DIFFERENT: u0003");
}

#[test]
fn five_hundred_users_are_signed_in_at_once_through_a_proxy() {
    let bench = ManyAccounts::new(500).mails(1).start();
    let proxy = Proxy::start(bench.target.address());
    let sign_in = |account: &TestAccount| {
        let mut client = Client::sign_in(proxy.address(), &account.target_user, &account.target_password).unwrap();
        client.select("INBOX").unwrap();
        client
    };
    let mut clients: Vec<Client> = bench.accounts.iter().map(sign_in).collect();
    for client in &mut clients {
        client.append("INBOX", &[], None, MESSAGE).unwrap();
    }
    let statistics = proxy.statistics();
    assert_eq!((statistics.connections_peak, statistics.count("APPEND"), statistics.users.len()), (500, 500, 500));
}
