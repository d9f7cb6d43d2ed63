//! NO, BAD, BYE, end of file and silence, for every command: never an empty result.

use super::peer::{Peer, mailbox, signed_in};
use crate::{
    AppendOptions, Completion, Connection, ErrorClass, FetchBatch, FetchEvent, FetchOptions, ImapError, ScanItems,
};
use bytes::Bytes;
use mailhaul_types::{Flags, Side, Uid, UidRange, UidSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    Bad,
    Bye,
    EndOfFile,
    Silence,
}

const ENDINGS: [Ending; 5] = [Ending::No, Ending::Bad, Ending::Bye, Ending::EndOfFile, Ending::Silence];

const COMMANDS: [&str; 15] = [
    "namespaces",
    "namespaces without the extension",
    "list",
    "extended list",
    "status",
    "examine",
    "select",
    "create",
    "subscribe",
    "noop",
    "scan",
    "headers",
    "search",
    "bodies",
    "append",
];

fn some_uids() -> UidSet {
    [1, 2, 3].map(Uid).into_iter().collect()
}

async fn run(connection: &mut Connection, command: &str) -> Result<(), ImapError> {
    let name = mailbox("a");
    match command {
        "namespaces" | "namespaces without the extension" => connection.namespaces().await.map(drop),
        "list" | "extended list" => connection.list_mailboxes().await.map(drop),
        "status" => connection.status(&name).await.map(drop),
        "examine" => connection.examine(&name).await.map(drop),
        "select" => connection.select(&name).await.map(drop),
        "create" => connection.create(&name).await,
        "subscribe" => connection.subscribe(&name).await,
        "noop" => connection.noop().await,
        "scan" => {
            let range = UidRange { first: Uid(1), last: Uid(9) };
            connection.scan(&[range], ScanItems::default(), &mut |_| {}).await.map(drop)
        }
        "headers" => connection.fetch_headers(&some_uids(), &mut |_| {}).await,
        "search" => connection.uid_search_present(&some_uids()).await.map(drop),
        "bodies" => fetch(connection).await,
        "append" => append(connection).await,
        other => panic!("no such command: {other}"),
    }
}

async fn fetch(connection: &mut Connection) -> Result<(), ImapError> {
    let mut fetcher = connection.fetch_bodies(FetchOptions::default());
    fetcher.push(FetchBatch { id: 7, uids: some_uids(), bytes_expected: 3, large: false, octets_max: u64::MAX });
    let mut ended = None;
    while let Some(event) = fetcher.next().await? {
        match event {
            FetchEvent::BatchEnd { outcome, missing, .. } => ended = Some((outcome, missing)),
            other => panic!("out of nothing came {other:?}"),
        }
    }
    match ended.expect("a batch that was pushed ends") {
        (Completion::Refused(status), missing) => {
            assert_eq!(missing, some_uids());
            Err(ImapError::Refused { command: "UID FETCH", status })
        }
        (Completion::Ok, _) => Ok(()),
    }
}

async fn append(connection: &mut Connection) -> Result<(), ImapError> {
    let (mut writer, mut reader) = connection.append_to(&mailbox("a"), AppendOptions::default());
    let writing = async move {
        writer.begin(1).await?;
        writer.message(&Flags::new(), None, 3).await?;
        writer.body(Bytes::from_static(b"x\r\n")).await?;
        writer.end_message().await?;
        writer.finish(&|| true).await?;
        writer.drained().await
    };
    let reading = async {
        let mut refused = None;
        while let Some(event) = reader.next().await? {
            match event {
                crate::AppendEvent::Refused { status, .. } => refused = Some(status),
                stored => panic!("out of nothing came {stored:?}"),
            }
        }
        Ok(refused)
    };
    let (written, read): (Result<(), ImapError>, Result<_, ImapError>) = tokio::join!(writing, reading);
    if let Some(status) = read? {
        return Err(ImapError::Refused { command: "APPEND", status });
    }
    written
}

/// Reads whatever the command is, and ends it. For what is asked a second time after a refusal as well.
async fn end(mut peer: Peer, ending: Ending, command: &str) -> Option<Peer> {
    let times = if command == "extended list" && matches!(ending, Ending::No | Ending::Bad) { 2 } else { 1 };
    for _ in 0..times {
        let (tag, text) = peer.any_command().await;
        if text.starts_with("APPEND") {
            peer.octets(5).await;
        }
        match ending {
            Ending::No => peer.say(&format!("* OK still here\r\n{tag} NO [X-CODE] not today \r\n")).await,
            Ending::Bad => peer.say(&format!("{tag} BAD what\r\n")).await,
            Ending::Bye => {
                peer.say(&format!("* BYE Too many connections\r\n{tag} NO [LIMIT] Rate limit hit\r\n")).await
            }
            Ending::EndOfFile => return None,
            Ending::Silence => {}
        }
    }
    Some(peer)
}

#[tokio::test(start_paused = true)]
async fn no_ending_but_its_own_ok_is_taken_for_an_answer() {
    for command in COMMANDS {
        for ending in ENDINGS {
            let capabilities = match command {
                "namespaces" => "NAMESPACE",
                "extended list" => "LIST-EXTENDED",
                "append" => "LITERAL+ MULTIAPPEND",
                _ => "",
            };
            let (mut connection, peer) = signed_in(Side::Source, capabilities).await;
            let (outcome, peer) = tokio::join!(run(&mut connection, command), end(peer, ending, command));
            let error = outcome.expect_err(&format!("{command} ended by {ending:?}"));
            let fits = match (&error, ending) {
                (ImapError::Refused { status, .. }, Ending::No) => status.to_string() == "NO [X-CODE] not today",
                (ImapError::Refused { status, .. }, Ending::Bad) => status.to_string() == "BAD what",
                (ImapError::Bye { .. }, Ending::Bye) => error.class() == ErrorClass::Throttle,
                (ImapError::Closed { .. }, Ending::EndOfFile) | (ImapError::TimedOut { .. }, Ending::Silence) => {
                    error.class() == ErrorClass::Network
                }
                _ => false,
            };
            assert!(fits, "{command} ended by {ending:?}: {error:?}");
            assert_eq!(error.leaves_connection_usable(), matches!(ending, Ending::No | Ending::Bad));

            // After a refusal the conversation goes on; after anything else nothing more is asked.
            if matches!(ending, Ending::No | Ending::Bad) {
                let mut peer = peer.expect("still there");
                let (outcome, ()) = tokio::join!(connection.noop(), peer.answer("NOOP", "TAG OK\r\n"));
                outcome.expect("in step after a refusal");
            } else {
                let error = connection.noop().await.expect_err("out of step");
                assert!(matches!(error, ImapError::Closed { .. }), "{error:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ok_without_an_answer_is_no_answer() {
    for command in ["namespaces", "status", "examine", "select", "search"] {
        let (mut connection, mut peer) = signed_in(Side::Source, "NAMESPACE").await;
        let answering = async {
            let (tag, _) = peer.any_command().await;
            peer.say(&format!("* 3 EXPUNGE\r\n{tag} OK nothing to say\r\n")).await;
        };
        let (outcome, ()) = tokio::join!(run(&mut connection, command), answering);
        assert!(matches!(outcome, Err(ImapError::Protocol { .. })), "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_tag_ends_the_connection() {
    for command in ["status", "list", "scan", "headers", "search", "bodies", "append"] {
        let (mut connection, mut peer) = signed_in(Side::Source, "LITERAL+").await;
        let answering = async {
            peer.line().await;
            peer.say("M999 OK done\r\n").await;
        };
        let (outcome, ()) = tokio::join!(run(&mut connection, command), answering);
        assert!(matches!(outcome, Err(ImapError::Protocol { .. })), "{command}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_given_up_leaves_the_connection_unusable() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let name = mailbox("a");
    {
        let status = connection.status(&name);
        tokio::pin!(status);
        tokio::select! {
            biased;
            outcome = &mut status => panic!("nobody answered: {outcome:?}"),
            _ = peer.line() => {}
        }
    }
    let error = connection.noop().await.expect_err("an answer is outstanding");
    assert!(error.to_string().contains("left unanswered"), "{error}");
}
