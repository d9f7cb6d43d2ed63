//! APPEND: literals in every mode, the window, odd APPENDUIDs, refusals at every place.

use super::peer::{Peer, mailbox, signed_in};
use crate::{AppendEvent, AppendOptions, AppendReader, AppendWriter, Connection, ImapError};
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, MailboxName, NameEncoding, Side, Uid, UidValidity};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Batches of messages: batch `n` holds the texts of `batches[n]`.
async fn send(mut writer: AppendWriter<'_>, batches: &[&[&str]]) -> Result<(), ImapError> {
    for (batch, messages) in batches.iter().enumerate() {
        writer.begin(batch as u64).await?;
        for text in *messages {
            let date = InternalDate::parse(b"17-Jul-1996 02:44:25 -0700");
            let flags = Flags::from_parts(1, ["$x"]);
            writer.message(&flags, date.as_ref(), text.len() as u64).await?;
            for half in [&text[..text.len() / 2], &text[text.len() / 2..]] {
                writer.body(Bytes::copy_from_slice(half.as_bytes())).await?;
            }
            writer.end_message().await?;
        }
        writer.finish(&|| true).await?;
    }
    writer.drained().await
}

async fn collect(mut reader: AppendReader<'_>) -> Result<Vec<AppendEvent>, ImapError> {
    let mut events = Vec::new();
    while let Some(event) = reader.next().await? {
        events.push(event);
    }
    Ok(events)
}

/// Sends the batches while the peer follows its script; the events, or the reader's error.
async fn exchange<S: Future>(
    connection: &mut Connection,
    options: AppendOptions,
    batches: &[&[&str]],
    script: S,
) -> (Result<(), ImapError>, Result<Vec<AppendEvent>, ImapError>, S::Output) {
    let (writer, reader) = connection.append_to(&mailbox("a b"), options);
    tokio::join!(send(writer, batches), collect(reader), script)
}

fn told(events: &[AppendEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            AppendEvent::Stored { batch, first, messages, uids, .. } => {
                let uids = uids.as_ref().map(|(UidValidity(validity), uids)| {
                    let uids: Vec<u32> = uids.iter().map(|Uid(uid)| *uid).collect();
                    format!("{validity}:{uids:?}")
                });
                format!("{batch}.{first}+{messages} stored {}", uids.unwrap_or_default())
            }
            AppendEvent::Refused { batch, first, count, status } => format!("{batch}.{first}+{count} {status}"),
        })
        .collect()
}

const HEAD: &str = " (\\Seen $x) \"17-Jul-1996 02:44:25 -0700\"";

/// Reads one literal's announcement and octets.
async fn take(peer: &mut Peer, before: &str, suffix: &str, text: &str) {
    assert_eq!(peer.line().await, format!("{before}{HEAD} {{{}{suffix}}}", text.len()));
    if suffix.is_empty() {
        peer.say("* OK still here\r\n+ go on\r\n").await;
    }
    assert_eq!(peer.octets(text.len()).await, text.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn multiappend_sends_without_waiting_and_maps_the_uids() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND UIDPLUS").await;
    let script = async {
        take(&mut peer, "M3 APPEND \"a b\"", "+", "one\r\n").await;
        take(&mut peer, "", "+", "").await;
        take(&mut peer, "", "+", "three\r\n").await;
        assert_eq!(peer.line().await, "");
        take(&mut peer, "M4 APPEND \"a b\"", "+", "four\r\n").await;
        assert_eq!(peer.line().await, "");
        peer.say("* 3 EXISTS\r\nM4 OK [APPENDUID 7 12] done\r\n* 1 FETCH (FLAGS ())\r\n").await;
        peer.say("M3 OK [APPENDUID 7 5,9:10] done\r\n").await;
    };
    let batches: [&[&str]; 2] = [&["one\r\n", "", "three\r\n"], &["four\r\n"]];
    let (written, read, ()) = exchange(&mut connection, AppendOptions::default(), &batches, script).await;
    written.expect("all is answered");
    assert_eq!(told(&read.expect("events")), ["1.0+1 stored 7:[12]", "0.0+3 stored 7:[5, 9, 10]"]);
    let (noop, ()) = tokio::join!(connection.noop(), peer.answer("NOOP", "TAG OK\r\n"));
    noop.expect("in step after appending");
}

#[tokio::test(start_paused = true)]
async fn odd_append_uids_are_no_uids() {
    for code in ["[APPENDUID 7 1:4294967295]", "[APPENDUID 7 3]", "[APPENDUID 7 9,8]", "[APPENDUID 0 1:2]", "[X]", ""] {
        let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND").await;
        let script = async {
            take(&mut peer, "M3 APPEND \"a b\"", "+", "1\r\n").await;
            take(&mut peer, "", "+", "2\r\n").await;
            peer.line().await;
            peer.say(&format!("M3 OK {code} done\r\n")).await;
        };
        let (_, read, ()) = exchange(&mut connection, AppendOptions::default(), &[&["1\r\n", "2\r\n"]], script).await;
        assert_eq!(told(&read.expect("events")), ["0.0+2 stored "], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn synchronising_literals_cost_one_wait_a_message() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = async {
        take(&mut peer, "M3 APPEND \"a b\"", "", "one\r\n").await;
        // The answer to the first is held back until the head of the second is here: it must not depend on it.
        assert_eq!(peer.line().await, "");
        assert_eq!(peer.line().await, format!("M4 APPEND \"a b\"{HEAD} {{5}}"));
        peer.say("M3 OK [APPENDUID 7 5] done\r\n+ go\r\n").await;
        assert_eq!(peer.octets(7).await, b"two\r\n\r\n");
        peer.say("M4 OK done\r\n").await;
    };
    let (written, read, ()) =
        exchange(&mut connection, AppendOptions::default(), &[&["one\r\n", "two\r\n"]], script).await;
    written.expect("all is answered");
    assert_eq!(told(&read.expect("events")), ["0.0+1 stored 7:[5]", "0.1+1 stored "]);
}

#[tokio::test(start_paused = true)]
async fn literal_minus_waits_only_above_its_bound() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL- MULTIAPPEND").await;
    let (small, large) = ("s".repeat(4_096), "l".repeat(4_097));
    let script = async {
        take(&mut peer, "M3 APPEND \"a b\"", "+", &small).await;
        take(&mut peer, "", "", &large).await;
        assert_eq!(peer.line().await, "");
        peer.say("M3 OK done\r\n").await;
    };
    let (_, read, ()) = exchange(&mut connection, AppendOptions::default(), &[&[&small, &large]], script).await;
    assert_eq!(told(&read.expect("events")), ["0.0+2 stored "]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_instead_of_plus_refuses_and_the_next_goes_on() {
    let (mut connection, mut peer) = signed_in(Side::Target, "MULTIAPPEND").await;
    let script = async {
        take(&mut peer, "M3 APPEND \"a b\"", "", "one\r\n").await;
        assert_eq!(peer.line().await, format!("{HEAD} {{5}}"));
        peer.say("M3 NO [TOOBIG] too big\r\n").await;
        take(&mut peer, "M4 APPEND \"a b\"", "", "four\r\n").await;
        assert_eq!(peer.line().await, "");
        peer.say("M4 OK done\r\n").await;
    };
    let batches: [&[&str]; 2] = [&["one\r\n", "two\r\n", "three\r\n"], &["four\r\n"]];
    let (written, read, ()) = exchange(&mut connection, AppendOptions::default(), &batches, script).await;
    written.expect("a refusal is an event");
    assert_eq!(told(&read.expect("events")), ["0.0+3 NO [TOOBIG] too big", "1.0+1 stored "]);
}

#[tokio::test(start_paused = true)]
async fn single_appends_are_refused_one_by_one() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+").await;
    let script = async {
        take(&mut peer, "M3 APPEND \"a b\"", "+", "one\r\n").await;
        // Told before the message is over: the rest is sent all the same, for the server counts octets.
        peer.say("M3 NO [OVERQUOTA] full\r\n").await;
        assert_eq!(peer.line().await, "");
        take(&mut peer, "M4 APPEND \"a b\"", "+", "two\r\n").await;
        assert_eq!(peer.line().await, "");
        take(&mut peer, "M5 APPEND \"a b\"", "+", "three\r\n").await;
        assert_eq!(peer.line().await, "");
        peer.say("M4 OK [APPENDUID 7 8] done\r\nM5 BAD odd\r\n").await;
    };
    let (written, read, ()) =
        exchange(&mut connection, AppendOptions::default(), &[&["one\r\n", "two\r\n", "three\r\n"]], script).await;
    written.expect("refusals are events");
    let told = told(&read.expect("events"));
    assert_eq!(told, ["0.0+1 NO [OVERQUOTA] full", "0.1+1 stored 7:[8]", "0.2+1 BAD odd"]);
}

#[tokio::test(start_paused = true)]
async fn an_early_refusal_of_a_multiappend_covers_the_whole_batch() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND").await;
    let large = "x".repeat(100_000);
    let script = async {
        take(&mut peer, "M3 APPEND \"a b\"", "+", "one\r\n").await;
        peer.say("M3 NO invalid header\r\n").await;
        take(&mut peer, "", "+", &large).await;
        assert_eq!(peer.line().await, "");
    };
    let (written, read, ()) =
        exchange(&mut connection, AppendOptions::default(), &[&["one\r\n", &large]], script).await;
    written.expect("a refusal is an event");
    assert_eq!(told(&read.expect("events")), ["0.0+2 NO invalid header"]);
}

#[tokio::test(start_paused = true)]
async fn the_window_stops_further_commands_until_answers_come() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND").await;
    let options = AppendOptions { window_messages: 2, ..AppendOptions::default() };
    let script = async {
        for tag in ["M3", "M4"] {
            take(&mut peer, &format!("{tag} APPEND \"a b\""), "+", "x\r\n").await;
            assert_eq!(peer.line().await, "");
        }
        let early = tokio::time::timeout(std::time::Duration::from_secs(5), peer.line()).await;
        assert!(early.is_err(), "the third command waits: {early:?}");
        peer.say("M3 OK done\r\n").await;
        take(&mut peer, "M5 APPEND \"a b\"", "+", "x\r\n").await;
        assert_eq!(peer.line().await, "");
        peer.say("M4 OK done\r\nM5 OK done\r\n").await;
    };
    let batches: [&[&str]; 3] = [&["x\r\n"], &["x\r\n"], &["x\r\n"]];
    let (written, read, ()) = exchange(&mut connection, options, &batches, script).await;
    written.expect("all is answered");
    assert_eq!(read.expect("events").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_last_line_end_waits_for_permission_and_is_never_sent_without_it() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND").await;
    {
        let (mut writer, mut reader) = connection.append_to(&mailbox("a b"), AppendOptions::default());
        let writing = async move {
            writer.begin(0).await.expect("the window is open");
            writer.message(&Flags::new(), None, 3).await.expect("written");
            writer.body(Bytes::from_static(b"x\r\n")).await.expect("written");
            writer.end_message().await.expect("complete");
            let refused = writer.finish(&|| false).await;
            assert!(matches!(refused, Err(ImapError::CommitRefused)), "{refused:?}");
        };
        let reading = async { reader.next().await.expect_err("the connection is lost") };
        let ((), error) = tokio::join!(writing, reading);
        assert!(matches!(error, ImapError::CommitRefused), "{error:?}");
    }
    assert!(connection.noop().await.is_err(), "an open command is never left for another to complete");
    drop(connection);
    assert_eq!(peer.line().await, "M3 APPEND \"a b\" {3+}");
    assert_eq!(peer.octets(3).await, b"x\r\n");
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn each_single_append_asks_for_permission_if_told_to() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+").await;
    let asked = Arc::new(AtomicU32::new(0));
    let (mut writer, reader) = connection.append_to(&mailbox("a b"), AppendOptions::default());
    let counter = Arc::clone(&asked);
    writer.check_each_commit(Arc::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    }));
    let script = async {
        for tag in ["M3", "M4", "M5"] {
            take(&mut peer, &format!("{tag} APPEND \"a b\""), "+", "x\r\n").await;
            peer.line().await;
            peer.say(&format!("{tag} OK done\r\n")).await;
        }
    };
    let (written, read, ()) = tokio::join!(send(writer, &[&["x\r\n", "x\r\n", "x\r\n"]]), collect(reader), script);
    written.expect("all is answered");
    assert_eq!(read.expect("events").len(), 3);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn earlier_answers_are_read_after_the_writer_gave_up_in_the_middle() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND").await;
    {
        let (mut writer, reader) = connection.append_to(&mailbox("a b"), AppendOptions::default());
        let writing = async move {
            for batch in 0..2 {
                writer.begin(batch).await.expect("open");
                writer.message(&Flags::new(), None, 9).await.expect("written");
                writer.body(Bytes::from_static(b"123456\r\n")).await.expect("written");
                if batch == 0 {
                    writer.body(Bytes::from_static(b"\n")).await.expect("written");
                    writer.end_message().await.expect("complete");
                    writer.finish(&|| true).await.expect("complete");
                }
            }
            assert!(writer.end_message().await.is_err(), "an octet is missing");
        };
        let script = async {
            peer.line().await;
            peer.octets(9).await;
            peer.line().await;
            peer.say("M3 OK [APPENDUID 1 2] done\r\n").await;
        };
        let ((), read, ()) = tokio::join!(writing, collect(reader), script);
        assert_eq!(told(&read.expect("the first is answered")), ["0.0+1 stored 1:[2]"]);
    }
    assert!(connection.noop().await.is_err(), "a command was left open");
}

#[tokio::test(start_paused = true)]
async fn both_halves_learn_of_a_good_bye() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = async {
        peer.line().await;
        peer.say("* BYE shutting down\r\n").await;
    };
    let (written, read, ()) = exchange(&mut connection, AppendOptions::default(), &[&["x\r\n"]], script).await;
    for error in [written.expect_err("the writer waits for +"), read.expect_err("the reader saw it")] {
        assert!(matches!(&error, ImapError::Bye { text } if text == "BYE shutting down"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_counts_only_while_the_server_owes_something() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ MULTIAPPEND").await;
    let (mut writer, reader) = connection.append_to(&mailbox("a b"), AppendOptions::default());
    let writing = async move {
        writer.begin(0).await?;
        writer.message(&Flags::new(), None, 3).await?;
        // The source is slow: ten idle limits pass within one message.
        tokio::time::sleep(super::peer::TIMEOUTS.idle * 10).await;
        writer.body(Bytes::from_static(b"x\r\n")).await?;
        writer.end_message().await?;
        writer.finish(&|| true).await?;
        writer.drained().await
    };
    let script = async {
        peer.line().await;
        peer.octets(5).await;
        peer
    };
    let begun = tokio::time::Instant::now();
    let (written, read, _peer) = tokio::join!(writing, collect(reader), script);
    assert!(matches!(read, Err(ImapError::TimedOut { .. })), "{read:?}");
    assert!(matches!(written, Err(ImapError::TimedOut { .. })), "{written:?}");
    assert!(begun.elapsed() >= super::peer::TIMEOUTS.idle * 11, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_ok_before_the_command_is_complete_is_no_ok() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = async {
        peer.line().await;
        peer.say("M3 OK [APPENDUID 1 1] done\r\n").await;
    };
    let (_, read, ()) = exchange(&mut connection, AppendOptions::default(), &[&["x\r\n"]], script).await;
    assert!(matches!(read, Err(ImapError::Protocol { .. })), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stray_plus_opens_no_later_literal() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    peer.say("+ too early\r\n").await;
    let script = async {
        assert!(peer.line().await.ends_with("{3}"));
        let early = tokio::time::timeout(std::time::Duration::from_secs(5), peer.octets(1)).await;
        assert!(early.is_err(), "the literal waits for its own +");
        peer.say("+ now\r\n").await;
        peer.octets(5).await;
        peer.say("M3 OK done\r\n").await;
    };
    // The reader takes the stray line before the writer asks for its literal.
    let (writer, reader) = connection.append_to(&mailbox("a b"), AppendOptions::default());
    let (read, written, ()) = tokio::join!(biased; collect(reader), send(writer, &[&["x\r\n"]]), script);
    written.expect("all is answered");
    assert_eq!(read.expect("events").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_that_cannot_be_quoted_are_literals_and_cannot_end_a_line() {
    let name = MailboxName::from_wire(b"caf\xe9 \"x\"", NameEncoding::ModifiedUtf7);
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let (writer, reader) = connection.append_to(&name, AppendOptions::default());
    let script = async {
        assert_eq!(peer.line().await, "M3 APPEND {8}");
        peer.say("+\r\n").await;
        assert_eq!(peer.octets(8).await, b"caf\xe9 \"x\"");
        take(&mut peer, "", "", "x\r\n").await;
        assert_eq!(peer.line().await, "");
        peer.say("M3 OK done\r\n").await;
    };
    let (written, read, ()) = tokio::join!(send(writer, &[&["x\r\n"]]), collect(reader), script);
    written.expect("all is answered");
    assert_eq!(read.expect("events").len(), 1);

    for evil in ["a\r\nM9 LOGOUT", "a\nb", "a\0"] {
        let name = MailboxName::from_wire(evil.as_bytes(), NameEncoding::ModifiedUtf7);
        {
            let (mut writer, _reader) = connection.append_to(&name, AppendOptions::default());
            assert!(matches!(writer.begin(0).await, Err(ImapError::Usage { .. })));
        }
        assert!(matches!(connection.create(&name).await, Err(ImapError::Usage { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_utf8_only_target_is_given_utf8_data() {
    use super::peer::{credentials, open_with};
    let (opened, mut peer) = open_with(Side::Target, crate::TlsMode::Plain, &credentials(), |mut peer| async move {
        peer.say("* OK ready\r\n").await;
        peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n").await;
        peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG OK in\r\n").await;
        let all = "IMAP4rev1 UTF8=ONLY LITERAL+ MULTIAPPEND";
        peer.answer("CAPABILITY", &format!("* CAPABILITY {all}\r\nTAG OK done\r\n")).await;
        peer.answer("ENABLE UTF8=ACCEPT", "* ENABLED UTF8=ACCEPT\r\nTAG OK done\r\n").await;
        peer
    })
    .await;
    let mut connection = opened.expect("opens");
    let script = async {
        assert_eq!(peer.line().await, format!("M4 APPEND \"a b\"{HEAD} UTF8 (~{{3+}}"));
        assert_eq!(peer.octets(3).await, b"x\r\n");
        assert_eq!(peer.line().await, format!("){HEAD} UTF8 (~{{3+}}"));
        assert_eq!(peer.octets(6).await, b"y\r\n)\r\n");
        peer.say("M4 OK done\r\n").await;
    };
    let (_, read, ()) = exchange(&mut connection, AppendOptions::default(), &[&["x\r\n", "y\r\n"]], script).await;
    assert_eq!(told(&read.expect("events")), ["0.0+2 stored "]);
}
