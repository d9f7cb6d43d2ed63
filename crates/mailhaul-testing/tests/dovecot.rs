//! The private Dovecot does what its builder says.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use std::sync::Arc;
use std::time::Instant;

use mailhaul_testing::imap_client::{Client, ClientError, format_date};
use mailhaul_testing::{Dovecot, DovecotBuilder, Offer, Store, TestAuthority};

const MESSAGE: &[u8] = b"From: a@example\r\nSubject: one\r\n\r\nbody\r\n";

fn client(dovecot: &Dovecot) -> Client {
    Client::sign_in(dovecot.address(), "alice", dovecot.password()).unwrap()
}

#[test]
fn starts_fast_and_keeps_a_message_with_flags_and_date() {
    let began = Instant::now();
    let dovecot = Dovecot::start();
    assert!(began.elapsed().as_secs() < 10, "took {:?}", began.elapsed());
    let mut client = client(&dovecot);
    let date = format_date(1_000_000_000, 120);
    let stored = client.append("INBOX", &["\\Seen", "$Work"], Some(&date), MESSAGE).unwrap().unwrap();
    let selected = client.select("INBOX").unwrap();
    assert_eq!((selected.exists, selected.uid_validity), (1, Some(stored.uid_validity)));
    let all = client.fetch_all().unwrap();
    assert_eq!(all[0].octets, MESSAGE);
    assert_eq!(all[0].uid, stored.uids[0]);
    assert_eq!(all[0].unix_secs(), Some(1_000_000_000));
    assert_eq!(all[0].flags, ["\\Seen", "$Work"]);
}

#[test]
fn every_store_delimiter_and_prefix_can_be_had() {
    for (store, delimiter, prefix) in [
        (Store::Maildir, '.', "INBOX."),
        (Store::MaildirNested, '/', ""),
        (Store::Sdbox, '/', ""),
        (Store::Mdbox, '.', ""),
    ] {
        let dovecot = Dovecot::builder().store(store).delimiter(delimiter).prefix(prefix).start();
        let mut client = client(&dovecot);
        assert_eq!(client.personal_namespace().unwrap(), (prefix.to_owned(), Some(delimiter)));
        let name = format!("{prefix}Entwürfe{delimiter}2019 & \"more\"");
        client.create(&name).unwrap();
        client.append(&name, &[], None, MESSAGE).unwrap();
        assert_eq!(client.count(&name).unwrap(), 1, "{store:?}");
        assert!(client.list().unwrap().iter().any(|mailbox| mailbox.name == name));
    }
}

#[test]
fn announces_fewer_capabilities_before_and_after_sign_in() {
    let dovecot = Dovecot::builder()
        .without_capability("LITERAL+")
        .without_capability("uidplus")
        .without_capability("SPECIAL-USE")
        .with_capability("LITERAL-")
        .special_use("Sent", "\\Sent")
        .quota_bytes(1_000_000)
        .start();
    let client = client(&dovecot);
    for gone in ["LITERAL+", "UIDPLUS", "SPECIAL-USE"] {
        assert!(!client.has(gone), "{gone} in {}", client.capabilities());
        assert!(!client.greeting().contains(gone));
    }
    for kept in ["LITERAL-", "MULTIAPPEND", "NAMESPACE", "QUOTA"] {
        assert!(client.has(kept), "{kept} not in {}", client.capabilities());
    }
}

#[test]
fn an_offer_is_all_that_is_announced() {
    let dovecot = Dovecot::builder().offer(Offer::NoQresync).offer(Offer::NoMove).start();
    let capable = client(&dovecot);
    for (name, offered) in [("CONDSTORE", true), ("LIST-STATUS", true), ("QRESYNC", false), ("MOVE", false)] {
        assert_eq!(capable.has(name), offered, "{name} in {}", capable.capabilities());
    }
    let dovecot = Dovecot::builder().offer(Offer::Bare).start();
    assert_eq!(client(&dovecot).capabilities(), "IMAP4rev1 NAMESPACE");
}

#[test]
fn owners_move_copy_rename_and_renumber_their_mail() {
    let dovecot = Dovecot::start();
    let mut client = client(&dovecot);
    client.create("Mail/Child").unwrap();
    client.create("Mail").unwrap();
    let one = client.append("INBOX", &["$Work"], None, MESSAGE).unwrap().unwrap().uids[0];
    let two = client.append("INBOX", &[], None, MESSAGE).unwrap().unwrap().uids[0];
    client.select("INBOX").unwrap();
    let moved = client.move_to(&one.to_string(), "Mail").unwrap().unwrap();
    assert_eq!(moved.pairs, [(one, 1)]);
    assert_eq!(client.copy_to(&two.to_string(), "Mail").unwrap().unwrap().pairs, [(two, 2)]);
    assert_eq!(client.copy_and_expunge(&two.to_string(), "Mail").unwrap().unwrap().pairs, [(two, 3)]);
    client.rename("Mail", "Post").unwrap();
    let before = client.status("Post").unwrap();
    assert_eq!((before.messages, before.uid_next, client.count("INBOX").unwrap()), (3, 4, 0));
    client.select("Post").unwrap();
    client.uid_expunge("2").unwrap();
    client.renumber("Post", "Aside").unwrap();
    let after = client.status("Post").unwrap();
    assert_eq!((after.messages, after.uid_next), (2, 3));
    assert!(after.uid_validity != before.uid_validity, "{after:?}");
    client.select("Post").unwrap();
    assert_eq!(client.fetch_flags().unwrap()[0].flags, ["$Work"]);
    let names: Vec<String> = client.list().unwrap().into_iter().map(|mailbox| mailbox.name).collect();
    assert!(names.contains(&"Post/Child".to_owned()) && !names.contains(&"Aside".to_owned()), "{names:?}");
}

#[test]
fn a_full_account_takes_mail_again_when_the_quota_is_gone() {
    let mut dovecot = Dovecot::builder().quota(1_000_000, 1).start();
    client(&dovecot).append("INBOX", &[], None, MESSAGE).unwrap();
    let refused = client(&dovecot).append("INBOX", &[], None, MESSAGE).unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused { answer, .. } if answer.starts_with("NO [OVERQUOTA]")),
        "{refused}"
    );
    dovecot.reconfigure(DovecotBuilder::no_quota);
    client(&dovecot).append("INBOX", &[], None, MESSAGE).unwrap();
    assert_eq!(client(&dovecot).count("INBOX").unwrap(), 2);
}

#[test]
fn mail_survives_kill_dash_9_and_restart_on_the_same_port() {
    let mut dovecot = Dovecot::start();
    let address = dovecot.address();
    let mut before = client(&dovecot);
    before.append("INBOX", &[], None, MESSAGE).unwrap();
    dovecot.kill_dash_9();
    assert!(before.command("NOOP").is_err());
    assert!(Client::connect(address).is_err());
    dovecot.restart();
    assert_eq!(dovecot.address(), address);
    assert_eq!(client(&dovecot).count("INBOX").unwrap(), 1);
}

#[test]
fn wrong_passwords_are_refused_at_once_and_masters_sign_in_for_others() {
    let dovecot = Dovecot::builder().master_user("root", "master-secret").start();
    let began = Instant::now();
    for _ in 0..5 {
        assert!(Client::sign_in(dovecot.address(), "alice", "wrong").is_err());
    }
    assert!(began.elapsed().as_secs() < 5, "no penalty for others: {:?}", began.elapsed());
    Client::sign_in(dovecot.address(), "alice*root", "master-secret").unwrap();
}

#[test]
fn refuses_connections_above_the_limit() {
    let dovecot = Dovecot::builder().connections_max(1).start();
    let _first = client(&dovecot);
    assert!(Client::sign_in(dovecot.address(), "alice", dovecot.password()).is_err());
}

#[test]
fn uid_validity_can_be_changed_and_sessions_be_kicked() {
    let dovecot = Dovecot::start();
    let mut session = client(&dovecot);
    session.append("INBOX", &[], None, MESSAGE).unwrap();
    dovecot.set_uid_validity("alice", "INBOX", 4711);
    assert_eq!(client(&dovecot).select("INBOX").unwrap().uid_validity, Some(4711));
    dovecot.kick("alice");
    assert!(session.command("NOOP").is_err());
}

#[test]
fn special_uses_and_quota_are_announced() {
    let dovecot = Dovecot::builder().special_use("Gesendet", "\\Sent").prefix("INBOX.").delimiter('.').start();
    let mailboxes = client(&dovecot).list().unwrap();
    let sent = mailboxes.iter().find(|mailbox| mailbox.name == "INBOX.Gesendet").unwrap();
    assert!(sent.attributes.iter().any(|attribute| attribute == "\\Sent"), "{sent:?}");
}

#[test]
fn speaks_tls_with_the_authority_it_was_given() {
    let authority = Arc::new(TestAuthority::new());
    let dovecot = Dovecot::builder().tls(&authority).start();
    let output = std::process::Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-CAfile"])
        .arg(dovecot.ca_file().unwrap())
        .args(["-connect", &dovecot.tls_address().unwrap().to_string()])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(Client::connect(dovecot.address()).unwrap().greeting().contains("STARTTLS"));
}

#[test]
fn leaves_no_process_behind() {
    let dovecot = Dovecot::start();
    let folder = dovecot.folder().to_owned();
    let _session = client(&dovecot);
    let runs = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(folder.to_str().unwrap())).count()
    };
    assert_eq!(runs(), 1);
    drop(dovecot);
    assert_eq!(runs(), 0);
    assert!(!folder.exists());
}
