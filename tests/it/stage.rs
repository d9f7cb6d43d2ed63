//! A stage for things that go wrong: two Dovecots with mail, each behind a proxy, and the judge at their own doors.

use crate::harness::{Bench, USER};
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder};
use mailhaul_testing::imap_client::{Client, Outgoing};
use mailhaul_testing::judge::{Account, Rules, assert_equal};
use mailhaul_testing::proxy::Proxy;
use serde_json::Value;

/// Servers, proxies, and a copy to be run between them.
pub(crate) struct Stage {
    pub(crate) source: Dovecot,
    pub(crate) target: Dovecot,
    pub(crate) source_proxy: Proxy,
    pub(crate) target_proxy: Proxy,
    pub(crate) bench: Bench,
    /// The copier's patience with a silent server, as it stands on the command line.
    options: Vec<&'static str>,
}

impl Stage {
    /// With this many messages in each of three mailboxes at the source.
    pub(crate) fn with_messages(messages: u32) -> Self {
        Self::build(messages, Dovecot::builder())
    }

    /// The same with a target of one's own.
    pub(crate) fn build(messages: u32, target: DovecotBuilder) -> Self {
        Self::between(messages, Dovecot::builder(), target, vec!["--timeout", "5"])
    }

    /// The same with both servers of one's own, and with options for every copy.
    pub(crate) fn between(
        messages: u32,
        source: DovecotBuilder,
        target: DovecotBuilder,
        options: Vec<&'static str>,
    ) -> Self {
        let (source, target) = (source.start(), target.start());
        for mailbox in ["INBOX", "Archive", "Archive/2019 été"] {
            fill(&source, mailbox, messages);
        }
        let source_proxy = Proxy::start(source.address());
        let target_proxy = Proxy::start(target.address());
        let bench =
            Bench::between(source_proxy.address(), source.password(), target_proxy.address(), target.password());
        Self { source, target, source_proxy, target_proxy, bench, options }
    }

    /// Copies through whatever the proxies do, and insists on the result.
    pub(crate) fn copy_completely(&self) -> Value {
        self.bench.copy_completely(&self.options)
    }

    /// Copies, with the exit code and the JSON result.
    pub(crate) fn copy(&self) -> (i32, Value) {
        self.bench.copy(&self.options)
    }

    /// APPEND commands that reached the target so far.
    pub(crate) fn appends(&self) -> u32 {
        self.target_proxy.statistics().count("APPEND")
    }

    /// Both accounts hold the same multiset of messages.
    pub(crate) fn assert_same_mail(&self) {
        let account = |server: &Dovecot| Account::new(server.address(), USER, server.password());
        assert_equal(&account(&self.source), &account(&self.target), &Rules::new());
    }

    /// The promise: both accounts hold the same multiset of messages, and a further run sends nothing.
    pub(crate) fn assert_exact(&self) {
        self.assert_same_mail();
        let before = self.appends();
        self.copy_completely();
        assert_eq!(self.appends(), before, "a run with nothing to do sent APPEND");
    }
}

/// Puts messages into a mailbox: numbered ones, and among each ten a pair of twins and one without a Message-ID.
pub(crate) fn fill(server: &Dovecot, mailbox: &str, messages: u32) {
    let mut client = Client::sign_in(server.address(), USER, server.password()).expect("sign in");
    if mailbox != "INBOX" {
        client.create(mailbox).expect("create");
    }
    let texts: Vec<String> = (0..messages).map(|number| text(mailbox, number)).collect();
    let flags = ["\\Seen".to_owned(), "$Label1".to_owned()];
    let date = "09-Sep-2001 01:46:40 +0000";
    for part in texts.chunks(100) {
        let outgoing: Vec<Outgoing<'_>> = part
            .iter()
            .map(|text| Outgoing { flags: &flags[..text.len() % 3], date: Some(date), octets: text.as_bytes() })
            .collect();
        client.append_all(mailbox, &outgoing).expect("append");
    }
}

/// Appends a few more to a mailbox that is there.
pub(crate) fn fill_more(server: &Dovecot, mailbox: &str, messages: u32) {
    let mut client = Client::sign_in(server.address(), USER, server.password()).expect("sign in");
    for number in 0..messages {
        let text = format!("Message-ID: <more-{number}@x>\r\nSubject: more\r\n\r\nmore {number}\r\n");
        client.append(mailbox, &[], Some("09-Sep-2001 01:46:40 +0000"), text.as_bytes()).expect("append");
    }
}

fn text(mailbox: &str, number: u32) -> String {
    // 4 and 5 are the same mail twice; 7 has no Message-ID.
    let number = if number % 10 == 5 { number - 1 } else { number };
    let id = if number % 10 == 7 { String::new() } else { format!("Message-ID: <{number}@{}>\r\n", mailbox.len()) };
    let filler = "All work and no play makes Jack a dull boy.\r\n".repeat(1 + (number as usize * 7) % 40);
    format!(
        "From: a@example.org\r\nTo: b@example.org\r\nDate: Sun, 09 Sep 2001 01:46:40 +0000\r\n{id}Subject: {number}\r\n\
         \r\n{mailbox} {number}\r\n{filler}"
    )
}
