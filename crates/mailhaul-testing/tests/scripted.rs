//! The scripted servers.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use mailhaul_testing::imap_client::{Client, ClientError};
use mailhaul_testing::scripted::{Handled, Program, ScriptedServer};

const SESSION: &str = r#"
# Sign-in, a message, a refusal; then a second connection that nobody answers.
S: * OK [CAPABILITY IMAP4rev1] ready
C: a LOGIN <any>
S: a OK signed in
C: b CAPABILITY
S: * CAPABILITY IMAP4rev1
S: b OK
C: c APPEND "INBOX" () {<word>}
S: * OK Still here
S: + go on
C-literal: "x\r\n"
C:
S: c OK [APPENDUID 9 4] done
C: d UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])
S: * 1 FETCH (UID 7 BODY[] {literal}
S-literal: "Subject: x\r\n\r\n\xff\r\n"
S: )
S: d OK
C: e NOOP
S: e NO [LIMIT] enough
S-close
---
S: * OK ready
S-silence
"#;

#[test]
fn a_transcript_is_played_with_whatever_tags_the_client_uses() {
    let server = ScriptedServer::play_text(SESSION);
    let mut client = Client::sign_in(server.address(), "alice", "secret").unwrap();
    let stored = client.append("INBOX", &[], None, b"x\r\n").unwrap().unwrap();
    assert_eq!((stored.uid_validity, stored.uids), (9, vec![4]));
    assert_eq!(client.fetch_all().unwrap()[0].octets, b"Subject: x\r\n\r\n\xff\r\n");
    let refused = client.command("NOOP").unwrap_err();
    assert!(refused.to_string().ends_with("NO [LIMIT] enough"), "{refused}");
    drop(client);
    let mut silent = TcpStream::connect(server.address()).unwrap();
    silent.write_all(b"a NOOP\r\n").unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut got = [0; 100];
    assert_eq!(silent.read(&mut got).unwrap(), b"* OK ready\r\n".len());
    assert!(silent.read(&mut got).is_err());
    drop(silent);
    server.finish();
}

#[test]
fn a_client_that_says_something_else_is_reported_with_line_and_conversation() {
    let server = ScriptedServer::play_text("S: * OK ready\n\nC: a CAPABILITY\nS: a OK\n");
    let mut client = Client::connect(server.address()).unwrap();
    let _ = client.command("NOOP");
    let mismatch = server.try_finish().unwrap_err();
    for part in ["connection 1", "line 3", "expected \"CAPABILITY\", got \"NOOP\"", "S: * OK ready"] {
        assert!(mismatch.contains(part), "{part} is not in: {mismatch}");
    }
}

#[test]
fn a_client_that_leaves_early_or_comes_once_more_is_reported() {
    let server = ScriptedServer::play_text("S: * OK ready\nC: a CAPABILITY\nS: a OK\n");
    drop(Client::connect(server.address()).unwrap());
    assert!(server.try_finish().unwrap_err().contains("the client left"));

    let server = ScriptedServer::play_text("S: * OK ready\nC-close\n");
    drop(Client::connect(server.address()).unwrap());
    server.finish();
    assert!(Client::connect(server.address()).is_err());
    assert!(server.try_finish().unwrap_err().contains("not expected"));
}

#[test]
fn a_reset_is_a_reset() {
    let server = ScriptedServer::play_text("S: * OK ready\nC: a NOOP\nS-reset\n");
    let lost = Client::connect(server.address()).unwrap().command("NOOP").unwrap_err();
    assert!(matches!(&lost, ClientError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset), "{lost}");
}

#[test]
fn a_program_answers_what_it_likes_and_leaves_the_rest() {
    let program = Program::new(|command, session| match command.name.as_str() {
        "APPEND" if command.literals.iter().any(|literal| literal.contains(&0)) => {
            session.tagged(command, "NO Message contains NUL characters");
            Handled::Yes
        }
        "UID FETCH" => {
            session.literal("* 1 FETCH (UID 5 BODY[] ", b"octets", ")");
            session.tagged(command, "OK");
            Handled::Yes
        }
        "EXAMINE" => Handled::Close,
        _ => Handled::No,
    });
    let server = ScriptedServer::program(program.capabilities("IMAP4rev1 MULTIAPPEND"));
    let mut client = Client::sign_in(server.address(), "alice", "secret").unwrap();
    assert!(client.append("INBOX", &[], None, b"a\0").unwrap_err().to_string().contains("NUL"));
    client.append("INBOX", &[], None, b"ab").unwrap();
    client.select("INBOX").unwrap();
    assert_eq!(client.fetch_all().unwrap()[0].octets, b"octets");
    assert!(matches!(client.examine("INBOX"), Err(ClientError::Io(_))));
    assert!(server.wait_for_command("APPEND", 2, Duration::ZERO));
    assert_eq!(server.commands()[..2], ["LOGIN", "CAPABILITY"]);
}

#[test]
fn a_program_may_refuse_before_the_literal_comes() {
    let program = Program::new(|command, session| {
        if command.name != "APPEND" || !command.literals.is_empty() {
            return Handled::No;
        }
        session.tagged(command, "NO [TRYCREATE] no such mailbox");
        Handled::Yes
    });
    let server = ScriptedServer::program(program.ask_before_literals().capabilities("IMAP4rev1"));
    let mut client = Client::sign_in(server.address(), "alice", "secret").unwrap();
    assert!(client.append("INBOX", &[], None, b"ab").unwrap_err().to_string().contains("TRYCREATE"));
    client.command("NOOP").unwrap();
}
