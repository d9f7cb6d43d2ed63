//! The main job: everything goes over once, exactly, and the second run finds nothing to do.

use crate::harness::{Bench, USER};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;

fn fill(server: &Dovecot, mailbox: &str, messages: u32) {
    let mut client = Client::sign_in(server.address(), USER, server.password()).expect("sign in");
    if mailbox != "INBOX" {
        client.create(mailbox).expect("create");
    }
    for number in 0..messages {
        let text = format!("Message-ID: <{number}@{}>\r\nSubject: {number}\r\n\r\nbody {number}\r\n", mailbox.len());
        client.append(mailbox, &["\\Seen"], Some("09-Sep-2001 01:46:40 +0000"), text.as_bytes()).expect("append");
    }
}

#[test]
fn copies_everything_once_and_then_finds_nothing_to_do() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    fill(&source, "INBOX", 300);
    fill(&source, "Archive", 30);
    let bench = Bench::dovecots(&source, &target);
    let first = bench.copy_completely(&[]);
    assert_eq!(first["messages"]["copied"], 330, "{first:#}");
    let again = bench.copy_completely(&[]);
    assert_eq!(again["messages"]["already"], 330, "{again:#}");
}
