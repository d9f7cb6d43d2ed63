//! The private Cyrus does what its builder says.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use mailhaul_testing::Cyrus;
use mailhaul_testing::imap_client::{Client, format_date};

const MESSAGE: &[u8] = b"From: a@example\r\nSubject: one\r\n\r\nbody\r\n";

fn client(cyrus: &Cyrus) -> Client {
    Client::sign_in(cyrus.address(), "alice", cyrus.password()).unwrap()
}

#[test]
fn keeps_a_message_with_flags_and_date() {
    let cyrus = Cyrus::start();
    let mut client = client(&cyrus);
    let date = format_date(1_000_000_000, -300);
    let stored = client.append("INBOX", &["\\Seen", "$Work"], Some(&date), MESSAGE).unwrap().unwrap();
    assert_eq!(client.select("INBOX").unwrap().uid_validity, Some(stored.uid_validity));
    let all = client.fetch_all().unwrap();
    assert_eq!((all[0].octets.as_slice(), all[0].unix_secs()), (MESSAGE, Some(1_000_000_000)));
    let mut flags = all[0].flags.clone();
    flags.sort();
    assert_eq!(flags, ["$Work", "\\Seen"]);
}

#[test]
fn both_name_styles_can_be_had() {
    for (unix, alt, prefix, delimiter) in [(true, true, "", '/'), (false, false, "INBOX.", '.')] {
        let cyrus = Cyrus::builder().unix_hierarchy(unix).alt_namespace(alt).start();
        let mut client = client(&cyrus);
        assert_eq!(client.personal_namespace().unwrap(), (prefix.to_owned(), Some(delimiter)));
        let name = format!("{prefix}Entwürfe{delimiter}2019");
        client.create(&name).unwrap();
        client.append(&name, &[], None, MESSAGE).unwrap();
        assert_eq!(client.count(&name).unwrap(), 1);
    }
}

#[test]
fn is_as_strict_as_it_is_known_for() {
    let cyrus = Cyrus::builder().reject_8bit().start();
    let mut client = client(&cyrus);
    for (message, words) in [
        (&b"Subject: x\n\nbare\n"[..], "bare newlines"),
        (b"Subject: x\r\n\r\n\0\r\n", "NUL"),
        (b"no header\r\n\r\nbody\r\n", "invalid header"),
        (b"Subject: \xfc\r\n\r\nbody\r\n", "non-ASCII characters"),
    ] {
        let refused = client.append("INBOX", &[], None, message).expect_err(words).to_string();
        assert!(refused.contains(words), "{refused}");
    }
    client.create("a;b").unwrap_err();
}

#[test]
fn wrong_passwords_are_refused() {
    let cyrus = Cyrus::start();
    assert!(Client::sign_in(cyrus.address(), "alice", "wrong").is_err());
    client(&cyrus);
}

#[test]
fn a_full_account_refuses() {
    let cyrus = Cyrus::builder().quota_kib(1).start();
    let mut client = client(&cyrus);
    let large = [MESSAGE, &b"abcdef\r\n".repeat(1000)].concat();
    let refused = client.append("INBOX", &[], None, &large).unwrap_err();
    assert!(refused.to_string().contains("NO Over quota"), "{refused}");
}

#[test]
fn mail_survives_kill_dash_9_and_restart_on_the_same_port() {
    let mut cyrus = Cyrus::start();
    client(&cyrus).append("INBOX", &[], None, MESSAGE).unwrap();
    cyrus.kill_dash_9();
    assert!(Client::connect(cyrus.address()).is_err());
    cyrus.restart();
    assert_eq!(client(&cyrus).count("INBOX").unwrap(), 1);
}
