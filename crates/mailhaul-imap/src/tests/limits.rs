//! Bombs: each is refused at its bound, having cost no more than what was sent.

use super::peer::{Peer, credentials, mailbox, open_with, signed_in};
use crate::wire::frame::LINE_OCTETS_MAX;
use crate::{AppendOptions, ErrorClass, FetchBatch, FetchOptions, ImapError, TlsMode};
use bytes::Bytes;
use mailhaul_types::{Flags, Side, Uid, UidSet};

/// Says `octets` again and again until the client has had enough; how many octets were said.
async fn flood(peer: Peer, octets: &[u8]) -> u64 {
    use tokio::io::AsyncWriteExt;
    let mut stream = peer.into_stream();
    let mut said = 0;
    while stream.write_all(octets).await.is_ok() {
        said += octets.len() as u64;
        assert!(said < 1 << 30, "the client takes everything");
    }
    said
}

#[tokio::test(start_paused = true)]
async fn an_endless_line_ends_at_the_bound() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let name = mailbox("a");
    let asking = async {
        let outcome = connection.status(&name).await;
        drop(connection);
        outcome
    };
    let script = async {
        peer.line().await;
        flood(peer, &[b'x'; 8_192]).await
    };
    let (outcome, said) = tokio::join!(asking, script);
    let error = outcome.expect_err("endless");
    assert!(matches!(error, ImapError::LimitExceeded { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Protocol);
    assert!(said < 2 * LINE_OCTETS_MAX as u64, "{said} octets were taken");
}

#[tokio::test(start_paused = true)]
async fn an_endless_greeting_ends_at_the_bound() {
    let (opened, said) =
        open_with(Side::Source, TlsMode::Plain, &credentials(), |peer| flood(peer, &[b'x'; 8_192])).await;
    assert!(matches!(opened, Err(ImapError::LimitExceeded { .. })));
    assert!(said < 2 * LINE_OCTETS_MAX as u64, "{said} octets were taken");
}

#[tokio::test(start_paused = true)]
async fn a_large_literal_where_none_is_due_is_refused_when_it_is_announced() {
    for announcement in ["* LIST () \"/\" {500000000}\r\n", "* STATUS {65537}\r\n", "* X {99999999999999999999999}\r\n"]
    {
        let (mut connection, mut peer) = signed_in(Side::Source, "").await;
        let script = async {
            peer.line().await;
            peer.say(announcement).await;
            peer
        };
        let name = mailbox("a");
        let (outcome, _peer) = tokio::join!(connection.status(&name), script);
        assert!(matches!(outcome, Err(ImapError::LimitExceeded { .. })), "{announcement}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_literal_that_would_never_end_is_refused_when_it_is_announced() {
    let bodies = [
        // A body far beyond what was expected of it; one that nobody can have; what nobody has asked for.
        ("UID 1 FLAGS () BODY[] {2000000000}", 1 << 30, "UID 1"),
        ("UID 1 FLAGS () BODY[] {4000000000000000000}", u64::MAX, "a literal of more than"),
        ("UID 1 BODY[] {2000000000}", u64::MAX, "are of use"),
        ("UID 1 X-GIFT {2000000000}", u64::MAX, "are of use"),
    ];
    for (answer, octets_max, words) in bodies {
        let (mut connection, mut peer) = signed_in(Side::Source, "").await;
        let mut fetcher = connection.fetch_bodies(FetchOptions::default());
        let uids: UidSet = [Uid(1)].into_iter().collect();
        fetcher.push(FetchBatch { id: 1, uids, bytes_expected: 1, large: false, octets_max });
        let script = async {
            peer.line().await;
            peer.say(&format!("* 1 FETCH ({answer}\r\nabc")).await;
            peer
        };
        let (event, _peer) = tokio::join!(fetcher.next(), script);
        let error = event.expect_err(answer);
        assert!(matches!(&error, ImapError::LimitExceeded { what } if what.contains(words)), "{answer}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_announced_body_costs_nothing_until_it_comes() {
    // Half a GiB is announced in an ordinary batch and never sent: what is held is what was received.
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let mut fetcher = connection.fetch_bodies(FetchOptions { inline_max: 600 << 20, ..FetchOptions::default() });
    let uids: UidSet = [Uid(1)].into_iter().collect();
    fetcher.push(FetchBatch { id: 1, uids, bytes_expected: 1, large: false, octets_max: u64::MAX });
    let script = async move {
        peer.line().await;
        peer.say("* 1 FETCH (UID 1 FLAGS () BODY[] {500000000}\r\nabc").await;
    };
    let (event, ()) = tokio::join!(fetcher.next(), script);
    assert!(matches!(event, Err(ImapError::Closed { .. })), "{event:?}");
    drop(fetcher);
    let held = connection_capacity(&mut connection);
    assert!(held <= 1 << 20, "{held} octets were allocated");
}

fn connection_capacity(connection: &mut crate::Connection) -> usize {
    connection.wire_for_tests().reader.capacity()
}

#[tokio::test(start_paused = true)]
async fn untagged_floods_end_at_the_bound() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let name = mailbox("a");
    let asking = async {
        let outcome = connection.status(&name).await;
        drop(connection);
        outcome
    };
    let script = async {
        peer.line().await;
        flood(peer, "* 1 EXISTS\r\n".repeat(500).as_bytes()).await
    };
    let (outcome, _) = tokio::join!(asking, script);
    assert!(matches!(outcome, Err(ImapError::LimitExceeded { .. })), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wide_append_uid_is_not_expanded() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+").await;
    let (mut writer, mut reader) = connection.append_to(&mailbox("a"), AppendOptions::default());
    let writing = async move {
        writer.begin(0).await?;
        writer.message(&Flags::new(), None, 3).await?;
        writer.body(Bytes::from_static(b"x\r\n")).await?;
        writer.end_message().await?;
        writer.finish(&|| true).await
    };
    let script = async {
        peer.line().await;
        peer.octets(5).await;
        let sets = "1:4294967295,".repeat(50_000);
        peer.say(&format!("M3 OK [APPENDUID 1 {sets}1:4294967295] done\r\n")).await;
    };
    let (written, event, ()) = tokio::join!(writing, reader.next(), script);
    written.expect("sent");
    assert!(matches!(event, Ok(Some(crate::AppendEvent::Stored { uids: None, .. }))), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn deep_nesting_is_set_aside() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let deep = format!("{}{}", "(".repeat(100_000), ")".repeat(100_000));
    let script = async {
        let tag = peer.line().await;
        let tag = tag.split(' ').next().expect("a tag");
        peer.say(&format!(
            "* STATUS a {deep}\r\n* STATUS a (X {deep} MESSAGES 1)\r\n* STATUS a (MESSAGES 2)\r\n{tag} OK\r\n"
        ))
        .await;
    };
    let name = mailbox("a");
    let (status, ()) = tokio::join!(connection.status(&name), script);
    assert_eq!(status.expect("answered").messages, Some(2));
}
