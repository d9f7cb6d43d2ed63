//! What the model answers, command by command.

mod answers;
mod commands;
mod landing;
mod oddities;
mod owner;
mod robust;

use super::{ModelConnection, ModelServer, Traits};

/// A message of 24 octets.
const MESSAGE: &str = "Subject: one\r\n\r\nhello\r\n";

/// A server, and a connection that is signed in.
fn server(traits: Traits) -> (ModelServer, ModelConnection) {
    let server = ModelServer::new(traits);
    let connection = signed_in(&server);
    (server, connection)
}

fn signed_in(server: &ModelServer) -> ModelConnection {
    let mut connection = server.connect();
    assert!(taken(&mut connection).starts_with("* OK "));
    connection.receive(b"s LOGIN alice demo-secret\r\n");
    let answer = taken(&mut connection);
    assert!(answer.starts_with("s OK "), "{answer}");
    connection
}

/// Sends a line and takes what is answered.
fn say(connection: &mut ModelConnection, line: &str) -> String {
    connection.receive(format!("{line}\r\n").as_bytes());
    taken(connection)
}

fn taken(connection: &mut ModelConnection) -> String {
    String::from_utf8(connection.output()).expect("ASCII")
}

/// An APPEND of a message, without the CRLF that ends it.
fn append(tag: &str, mailbox: &str) -> String {
    format!("{tag} APPEND {mailbox} {{{}+}}\r\n{MESSAGE}", MESSAGE.len())
}

/// The tagged line among these.
fn verdict(answer: &str) -> &str {
    let line = answer.lines().rfind(|line| !line.starts_with(['*', '+'])).unwrap_or_default();
    line.split_once(' ').map_or("", |(_, rest)| rest)
}
