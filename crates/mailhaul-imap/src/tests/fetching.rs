//! Bodies: orders, oddities, large ones, windows.

use super::peer::{Peer, signed_in};
use crate::{Completion, Connection, FetchBatch, FetchEvent, FetchOptions, ImapError};
use mailhaul_types::{Side, Uid, UidRange, UidSet};
use std::future::{Future as _, poll_fn};
use std::pin::pin;

fn uids(first: u32, last: u32) -> UidSet {
    let mut set = UidSet::new();
    set.insert_range(UidRange { first: Uid(first), last: Uid(last) });
    set
}

fn batch(id: u64, uids: UidSet) -> FetchBatch {
    FetchBatch { id, bytes_expected: 10 * uids.len(), uids, large: false, octets_max: u64::MAX }
}

/// Every event as a line; large messages joined. Whenever nothing has come, the waiting is given up and begun again.
async fn collect(
    connection: &mut Connection,
    options: FetchOptions,
    batches: Vec<FetchBatch>,
) -> Result<Vec<String>, ImapError> {
    let mut fetcher = connection.fetch_bodies(options);
    for batch in batches {
        fetcher.push(batch);
    }
    let mut told = Vec::new();
    let mut octets = 0;
    while let Some(event) = poll_fn(|task| pin!(fetcher.next()).poll(task)).await? {
        match event {
            FetchEvent::Message { batch, uid, flags, date, body } => {
                let body = String::from_utf8_lossy(&body).into_owned();
                told.push(format!("{batch}: {uid} ({flags}) {} {body:?}", date.is_some()));
            }
            FetchEvent::LargeStart { batch, uid, flags, octets: announced, .. } => {
                told.push(format!("{batch}: {uid} ({flags}) large {announced}"));
                octets = 0;
            }
            FetchEvent::LargeChunk(chunk) => {
                assert!(chunk.len() <= 1 << 20);
                octets += chunk.len();
            }
            FetchEvent::LargeEnd => told.push(format!("had {octets}")),
            FetchEvent::BatchEnd { batch, outcome, missing } => {
                let outcome = match outcome {
                    Completion::Ok => "ok".to_owned(),
                    Completion::Refused(status) => status.to_string(),
                };
                told.push(format!("{batch}: {outcome} missing [{missing}]"));
            }
        }
    }
    assert_eq!(fetcher.pending(), 0);
    Ok(told)
}

async fn exchange(script: impl AsyncFnOnce(&mut Peer), batches: Vec<FetchBatch>) -> Result<Vec<String>, ImapError> {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let options = FetchOptions { inline_max: 100, ..FetchOptions::default() };
    let (told, ()) = tokio::join!(collect(&mut connection, options, batches), script(&mut peer));
    if told.is_ok() {
        let (noop, ()) = tokio::join!(connection.noop(), peer.answer("NOOP", "TAG OK\r\n"));
        noop.expect("in step after fetching");
    }
    told
}

const ITEMS: &str = "(UID FLAGS INTERNALDATE BODY.PEEK[])";

#[tokio::test(start_paused = true)]
async fn bodies_come_in_any_order_of_items_and_messages() {
    let told = exchange(
        async |peer: &mut Peer| {
            let tag = peer.command(&format!("UID FETCH 1:6 {ITEMS}")).await;
            peer.say(
                "* 2 FETCH (BODY[] {3}\r\nb)\n INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" FLAGS (\\Seen) UID 2)\r\n",
            )
            .await;
            peer.say("* OK still here\r\n* 9 EXISTS\r\n* 1 FETCH (FLAGS (\\Deleted))\r\n").await;
            peer.say("* 1 FETCH (UID 1 FLAGS () INTERNALDATE NIL BODY[] {0}\r\n)\r\n").await;
            peer.say("* 0 FETCH (UID 3 FLAGS (a \\Recent) BODY[] \"q\\\"q\")\r\n").await;
            peer.say("* 4 FETCH (UID 4 FLAGS ($x))\r\n* 4 FETCH (UID 4 BODY[] {1}\r\nd)\r\n").await;
            peer.say("* 5 FETCH (UID 5 BODY[] ~{1}\r\ne)\r\n* 5 FETCH (UID 5 FLAGS (\\Draft))\r\n").await;
            peer.say(&format!("{tag} OK done \r\n")).await;
        },
        vec![batch(1, uids(1, 6))],
    )
    .await
    .expect("answered");
    assert_eq!(
        told,
        [
            "1: 2 (\\Seen) true \"b)\\n\"",
            "1: 1 () false \"\"",
            "1: 3 (a) false \"q\\\"q\"",
            "1: 4 ($x) false \"d\"",
            "1: 5 (\\Draft) false \"e\"",
            "1: ok missing [6]",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_was_asked_for_counts_and_only_once() {
    let told = exchange(
        async |peer: &mut Peer| {
            let tag = peer.command(&format!("UID FETCH 5 {ITEMS}")).await;
            for uid in [4, 5, 5, 6] {
                peer.say(&format!("* 1 FETCH (UID {uid} FLAGS () BODY[] {{1}}\r\nx)\r\n")).await;
            }
            peer.say("* 1 FETCH (FLAGS () BODY[] {1}\r\nx)\r\n").await;
            peer.say(&format!("{tag} OK done\r\n")).await;
        },
        vec![batch(1, uids(5, 5))],
    )
    .await
    .expect("answered");
    assert_eq!(told, ["1: 5 () false \"x\"", "1: ok missing []"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_body_or_no_flags_is_missing() {
    let told = exchange(
        async |peer: &mut Peer| {
            let tag = peer.command(&format!("UID FETCH 1:3 {ITEMS}")).await;
            peer.say("* 1 FETCH (UID 1 FLAGS () BODY[] NIL)\r\n* 2 FETCH (UID 2 FLAGS ())\r\n").await;
            peer.say("* 3 FETCH (UID 3 BODY[] {1}\r\nx)\r\n").await;
            peer.say(&format!("{tag} OK done\r\n")).await;
        },
        vec![batch(1, uids(1, 3))],
    )
    .await
    .expect("answered");
    assert_eq!(told, ["1: ok missing [1:3]"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_what_came_before_and_the_next_batch_goes_on() {
    let told = exchange(
        async |peer: &mut Peer| {
            let first = peer.command(&format!("UID FETCH 1:2 {ITEMS}")).await;
            let second = peer.command(&format!("UID FETCH 3 {ITEMS}")).await;
            peer.say("* 1 FETCH (UID 1 FLAGS () BODY[] {1}\r\nx)\r\n").await;
            peer.say(&format!("{first} NO [UNAVAILABLE] Server error\r\n")).await;
            peer.say(&format!("* 3 FETCH (UID 3 FLAGS () BODY[] {{1}}\r\ny)\r\n{second} OK done\r\n")).await;
        },
        vec![batch(1, uids(1, 2)), batch(2, uids(3, 3))],
    )
    .await
    .expect("answered");
    assert_eq!(
        told,
        [
            "1: 1 () false \"x\"",
            "1: NO [UNAVAILABLE] Server error missing [2]",
            "2: 3 () false \"y\"",
            "2: ok missing []",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_message_is_streamed_with_its_metadata_known_before() {
    let large = FetchBatch { id: 1, uids: uids(7, 7), bytes_expected: 300_000, large: true, octets_max: u64::MAX };
    for uid_place in ["before", "behind", "nowhere"] {
        let body = "y".repeat(300_000);
        let told = exchange(
            async |peer: &mut Peer| {
                let metadata = peer.command("UID FETCH 7 (UID FLAGS INTERNALDATE)").await;
                let content = peer.command("UID FETCH 7 (UID BODY.PEEK[])").await;
                peer.say(&format!("* 3 FETCH (UID 7 FLAGS (\\Seen))\r\n{metadata} OK done\r\n")).await;
                let (before, behind) = match uid_place {
                    "before" => ("UID 7 ", ""),
                    "behind" => ("", " UID 7"),
                    _ => ("", ""),
                };
                peer.say(&format!("* 3 FETCH ({before}BODY[] {{300000}}\r\n{body}{behind})\r\n")).await;
                peer.say(&format!("{content} OK done\r\n")).await;
            },
            vec![large.clone()],
        )
        .await
        .expect("answered");
        assert_eq!(told, ["1: 7 (\\Seen) large 300000", "had 300000", "1: ok missing []"], "{uid_place}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_whose_end_tells_another_uid_is_an_error() {
    let large = FetchBatch { id: 1, uids: uids(7, 7), bytes_expected: 300, large: true, octets_max: u64::MAX };
    let error = exchange(
        async |peer: &mut Peer| {
            let metadata = peer.command("UID FETCH 7 (UID FLAGS INTERNALDATE)").await;
            peer.command("UID FETCH 7 (UID BODY.PEEK[])").await;
            peer.say(&format!("* 3 FETCH (UID 7 FLAGS ())\r\n{metadata} OK done\r\n")).await;
            peer.say(&format!("* 3 FETCH (BODY[] {{300}}\r\n{} UID 8)\r\n", "z".repeat(300))).await;
        },
        vec![large],
    )
    .await
    .expect_err("another message");
    assert!(matches!(error, ImapError::Protocol { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unexpectedly_large_body_streams_or_is_gathered_or_is_left_out() {
    let told = exchange(
        async |peer: &mut Peer| {
            let tag = peer.command(&format!("UID FETCH 1:3 {ITEMS}")).await;
            let body = "z".repeat(200);
            peer.say(&format!("* 1 FETCH (UID 1 FLAGS () BODY[] {{200}}\r\n{body})\r\n")).await;
            peer.say(&format!("* 2 FETCH (BODY[] {{200}}\r\n{body} UID 2 FLAGS (\\Seen))\r\n")).await;
            let size = (16 << 20) + 1;
            peer.say(&format!("* 3 FETCH (UID 3 BODY[] {{{size}}}\r\n")).await;
            let piece = vec![b'z'; 1 << 16];
            let mut rest = size;
            while rest > 0 {
                let some = rest.min(piece.len());
                peer.say_octets(&piece[..some]).await;
                rest -= some;
            }
            peer.say(&format!(" FLAGS ())\r\n{tag} OK done\r\n")).await;
        },
        vec![batch(1, uids(1, 3))],
    )
    .await
    .expect("answered");
    assert_eq!(told.len(), 4);
    assert_eq!(told[..2], ["1: 1 () large 200", "had 200"]);
    assert_eq!(told[2], format!("1: 2 (\\Seen) false {:?}", "z".repeat(200)));
    assert_eq!(told[3], "1: ok missing [3]");
}

#[tokio::test(start_paused = true)]
async fn commands_are_asked_ahead_as_far_as_the_window_goes() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let options = FetchOptions { window_messages: 2, ..FetchOptions::default() };
    let batches = (0..4)
        .map(|id| batch(id, uids(1 + u32::try_from(id).expect("small"), 1 + u32::try_from(id).expect("small"))))
        .collect();
    let script = async {
        let first = peer.command(&format!("UID FETCH 1 {ITEMS}")).await;
        let second = peer.command(&format!("UID FETCH 2 {ITEMS}")).await;
        let early = tokio::time::timeout(std::time::Duration::from_secs(5), peer.line()).await;
        assert!(early.is_err(), "{early:?}");
        peer.say(&format!("{first} OK done\r\n")).await;
        let third = peer.command(&format!("UID FETCH 3 {ITEMS}")).await;
        peer.say(&format!("{second} OK done\r\n{third} OK done\r\n")).await;
        peer.answer(&format!("UID FETCH 4 {ITEMS}"), "TAG OK done\r\n").await;
    };
    let (told, ()) = tokio::join!(collect(&mut connection, options, batches), script);
    let expected: Vec<String> = (0..4).map(|id| format!("{id}: ok missing [{}]", id + 1)).collect();
    assert_eq!(told.expect("answered"), expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_asked_for_yet_can_be_taken_back_and_the_window_changed() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let options = FetchOptions { window_messages: 1, ..FetchOptions::default() };
    let mut fetcher = connection.fetch_bodies(options);
    for uid in 1..=4 {
        fetcher.push(batch(u64::from(uid), uids(uid, uid)));
    }
    let command = format!("UID FETCH 1 {ITEMS}");
    let (first, ()) = tokio::join!(fetcher.next(), peer.answer(&command, "TAG OK done\r\n"));
    assert!(matches!(first, Ok(Some(FetchEvent::BatchEnd { batch: 1, .. }))), "{first:?}");
    let back = fetcher.take_back();
    assert_eq!(back.iter().map(|batch| batch.id).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(fetcher.pending(), 0);
    fetcher.set_window(1 << 20, 2);
    back.into_iter().skip(1).for_each(|batch| fetcher.push(batch));
    let both = async {
        let third = peer.command(&format!("UID FETCH 3 {ITEMS}")).await;
        let fourth = peer.command(&format!("UID FETCH 4 {ITEMS}")).await;
        peer.say(&format!("{third} OK done\r\n{fourth} OK done\r\n")).await;
    };
    let rest = async { while fetcher.next().await.expect("answered").is_some() {} };
    tokio::join!(rest, both);
}

#[tokio::test(start_paused = true)]
async fn a_long_set_becomes_several_commands_of_one_batch() {
    let scattered: UidSet = (0..300).map(|number| Uid(1_000_000 + 2 * number)).collect();
    let told = exchange(
        async |peer: &mut Peer| {
            let mut commands = 0;
            loop {
                let (tag, text) = peer.any_command().await;
                assert!(text.len() <= 1_000);
                commands += 1;
                if text.contains("1000598") {
                    assert!(commands > 1);
                    peer.say(&format!("{tag} OK done\r\n")).await;
                    break;
                }
                peer.say(&format!("{tag} OK done\r\n")).await;
            }
        },
        vec![batch(1, scattered.clone()), batch(2, UidSet::new())],
    )
    .await
    .expect("answered");
    assert!(told.contains(&"2: ok missing []".to_owned()));
    assert!(told.contains(&format!("1: ok missing [{scattered}]")));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_inside_a_body_is_an_error() {
    for large in [false, true] {
        let (mut connection, mut peer) = signed_in(Side::Source, "").await;
        let options = FetchOptions { inline_max: 100, ..FetchOptions::default() };
        let size = if large { 500 } else { 50 };
        let script = async move {
            peer.line().await;
            peer.say(&format!("* 1 FETCH (UID 1 FLAGS () BODY[] {{{size}}}\r\nshort")).await;
        };
        let (told, ()) = tokio::join!(collect(&mut connection, options, vec![batch(1, uids(1, 1))]), script);
        assert!(matches!(told, Err(ImapError::Closed { .. })), "{told:?}");
    }
}
