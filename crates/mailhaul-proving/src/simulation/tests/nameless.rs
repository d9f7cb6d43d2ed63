//! Mail without a Message-ID that is replaced by its like while its mailbox is numbered anew: a device gives all its mail one
//! header. What is new must come, and what was copied must not be there twice.

use super::super::pass::{MALFORMED, Order, READS, Reply};
use super::super::stage::Stage;
use mailhaul_testing::model::{Alters, Answer, Traits};
use mailhaul_types::Side;

const FIRST: &str = "page 1";
/// As long as the first.
const OTHER: &str = "page 2";
const DATE: i64 = 1_000_400_000;

/// A page from a device; Latin-1 and a field that some servers alter.
fn page(body: &str) -> Vec<u8> {
    let header = "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nFrom: scanner@example.org\r\nX-Odd: 1\r\n";
    [header.as_bytes(), b"Subject: ger\xe4t\r\n\r\n", body.as_bytes(), b"\r\n"].concat()
}

/// A page and some other mail were copied to a target that does this to its mail, and has mail of its own.
fn copied(alters: Alters) -> Stage {
    let mut stage = Stage::new(Traits::default(), Traits { alters, ..Traits::default() }, &Vec::new());
    stage.deliver_own("INBOX", b"From: b@example.org\r\nMessage-ID: <own@x.example>\r\n\r\nMine.\r\n", DATE);
    for number in 1..=5 {
        let named = format!("From: a@example.org\r\nMessage-ID: <{number}@named.example>\r\n\r\n{number}\r\n");
        stage.source.deliver("INBOX", named.as_bytes(), DATE, &[]);
    }
    stage.source.deliver("INBOX", &page(FIRST), DATE, &[]);
    stage.clean_pass();
    stage
}

/// The page goes, and another arrives.
fn replace(stage: &mut Stage, body: &str, date: i64) {
    let uid = stage.source.contents()["INBOX"].last().expect("the page is the last one").uid;
    stage.expunge_at_source("INBOX", &[uid]);
    stage.source.deliver("INBOX", &page(body), date, &[]);
}

fn count(stage: &Stage, body: &str) -> usize {
    let has_body = |octets: &[u8]| octets.ends_with(&[body.as_bytes(), b"\r\n"].concat());
    stage.target.contents()["INBOX"].iter().filter(|held| has_body(&held.octets)).count()
}

const ALTERATIONS: [Alters; 5] =
    [Alters::Nothing, Alters::NamesMail, Alters::AddsHeader, Alters::DropsHeaders, Alters::EightBitHeaders];

#[test]
fn a_message_without_a_message_id_that_replaces_its_like_is_copied_when_its_mailbox_is_renumbered() {
    let long = "page 2 ".repeat(700);
    for alters in ALTERATIONS {
        for target_too in [false, true] {
            for (body, date) in [(OTHER, DATE + 60), (&long[..], DATE + 60), (&long[..], DATE)] {
                let mut stage = copied(alters);
                replace(&mut stage, body, date);
                stage.source.renumber("INBOX");
                if target_too {
                    stage.target.renumber("INBOX");
                }
                let last = stage.clean_pass();
                let findings = stage.judge();
                assert_eq!(count(&stage, body), 1, "{alters:?} {target_too}: {}", last.in_words());
                assert!(last.is_complete() && findings.is_equal(), "{alters:?}: {findings}{}", last.in_words());
                let said = last.in_words().contains("no copy shows that 1 message without a Message-ID");
                let expected = target_too || matches!(alters, Alters::NamesMail | Alters::EightBitHeaders);
                assert_eq!(said, expected, "{alters:?} {target_too}: {}", last.in_words());
            }
        }
    }
}

#[test]
fn a_message_without_a_message_id_is_not_doubled_when_its_mailbox_is_renumbered() {
    for alters in ALTERATIONS {
        for target_too in [false, true] {
            let mut stage = copied(alters);
            stage.source.renumber("INBOX");
            if target_too {
                stage.target.renumber("INBOX");
            }
            let sent = stage.target.appended();
            let last = stage.clean_pass();
            let findings = stage.judge();
            assert_eq!(count(&stage, FIRST), 1, "{alters:?} {target_too}: {}", last.in_words());
            assert_eq!(stage.target.appended(), sent, "{alters:?} {target_too}: {}", last.in_words());
            assert!(last.is_complete() && findings.is_equal(), "{alters:?}: {findings}{}", last.in_words());
        }
    }
}

#[test]
fn a_message_without_a_message_id_is_not_doubled_when_the_target_hides_its_copy_while_the_source_is_renumbered() {
    let mut stopped = 0;
    for nth in 1..=8 {
        for answer in [Answer::WithoutData, Answer::Malformed(MALFORMED.to_vec())] {
            let mut stage = copied(Alters::Nothing);
            stage.source.renumber("INBOX");
            let reply = Reply { side: Side::Target, name: READS.to_owned(), nth, answer };
            let second = stage.pass(Order { replies: vec![reply], ..Order::default() });
            stopped += u32::from(second.in_words().contains("which copies the target still has cannot be told"));
            let last = stage.clean_pass();
            let findings = stage.judge();
            assert!(
                last.is_complete() && findings.is_equal(),
                "{nth}: {findings}{}{}",
                second.in_words(),
                last.in_words()
            );
        }
    }
    assert!(stopped > 0, "it was hidden when it was asked for");
}
