//! What the model answers, command by command.

use super::*;

/// A connection that is signed in.
fn signed_in(server: &ModelServer) -> ModelConnection {
    let mut connection = server.connect();
    connection.output();
    assert_eq!(say(&mut connection, "s LOGIN alice demo-secret"), "s OK signed in\r\n");
    connection
}

/// Sends a line and takes what is answered.
fn say(connection: &mut ModelConnection, line: &str) -> String {
    connection.receive(format!("{line}\r\n").as_bytes());
    String::from_utf8(connection.output()).expect("ASCII")
}

#[test]
fn a_message_comes_back_as_it_was_appended() {
    let server = ModelServer::new(Traits::default());
    let mut alice = signed_in(&server);
    let answer = say(&mut alice, "a APPEND INBOX (\\Seen $Work) \" 7-Feb-1994 21:52:25 -0800\" {5+}\r\na\r\nbc");
    assert_eq!(answer, "a OK [APPENDUID 1700000001 1] stored\r\n");
    assert!(say(&mut alice, "b SELECT INBOX").contains("* 1 EXISTS\r\n"));
    assert_eq!(
        say(&mut alice, "c UID FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"),
        "* 1 FETCH (UID 1 FLAGS ($Work \\Seen) INTERNALDATE \" 8-Feb-1994 05:52:25 +0000\" RFC822.SIZE 5 \
         BODY[] {5}\r\na\r\nbc)\r\nc OK fetched\r\n"
    );
    assert_eq!(server.appended(), 1);
    assert_eq!(server.contents()["INBOX"][0].date, 760_686_745);
}
