//! The scripted peer: the server's side of a pipe, and the steps that tests tell it.

use crate::connect::open_over;
use crate::{Connection, Credentials, Dial, Endpoint, ImapError, Introduction, Timeouts, TlsMode, Trust};
use mailhaul_types::{MailboxName, NameEncoding, Secret, Side};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

pub(super) const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(10), control: Duration::from_secs(20), idle: Duration::from_secs(60) };

pub(super) struct Peer {
    stream: BufReader<DuplexStream>,
}

impl Peer {
    pub(super) fn new(stream: DuplexStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub(super) fn into_stream(self) -> DuplexStream {
        assert!(self.stream.buffer().is_empty(), "the client sent something in advance");
        self.stream.into_inner()
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.say_octets(text.as_bytes()).await;
    }

    pub(super) async fn say_octets(&mut self, octets: &[u8]) {
        self.stream.get_mut().write_all(octets).await.expect("the client reads");
    }

    /// The next line from the client, without its end.
    pub(super) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.expect("the client writes");
        let line = line.strip_suffix(b"\r\n").expect("a whole line").to_vec();
        String::from_utf8_lossy(&line).into_owned()
    }

    pub(super) async fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).await.expect("the client writes");
        octets
    }

    /// The next command; its text without the tag must be this. The tag is returned.
    pub(super) async fn command(&mut self, expected: &str) -> String {
        let line = self.line().await;
        let (tag, text) = line.split_once(' ').expect("a tag");
        assert_eq!(text, expected);
        tag.to_owned()
    }

    /// The next command, whatever it is: tag and text.
    pub(super) async fn any_command(&mut self) -> (String, String) {
        let line = self.line().await;
        let (tag, text) = line.split_once(' ').expect("a tag");
        (tag.to_owned(), text.to_owned())
    }

    /// Expects a command and answers it: `answer` with every `TAG` replaced.
    pub(super) async fn answer(&mut self, expected: &str, answer: &str) {
        let tag = self.command(expected).await;
        self.say(&answer.replace("TAG", &tag)).await;
    }

    /// Whether the client has closed, and sent nothing more.
    pub(super) async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.expect("the pipe") == 0
    }
}

pub(super) fn endpoint(tls: TlsMode) -> Endpoint {
    Endpoint {
        host: "localhost".to_owned(),
        port: 143,
        tls,
        trust: Trust::System,
        dial: Dial::Tcp,
        compress: crate::Compress::Auto,
    }
}

pub(super) fn credentials() -> Credentials {
    Credentials {
        user: "alice".to_owned(),
        password: Secret::new(b"canary-pass".to_vec()),
        authorization_identity: None,
    }
}

pub(super) fn mailbox(text: &str) -> MailboxName {
    MailboxName::from_text(text, NameEncoding::ModifiedUtf7)
}

/// A wire pair with small pipes, so that both sides have to wait for each other.
pub(super) fn pipe() -> (DuplexStream, Peer) {
    let (ours, theirs) = duplex(16 * 1024);
    (ours, Peer::new(theirs))
}

/// Opens with the given script, both sides at once.
pub(super) async fn open_with<S>(
    side: Side,
    tls: TlsMode,
    credentials: &Credentials,
    script: impl FnOnce(Peer) -> S,
) -> (Result<Connection, ImapError>, S::Output)
where
    S: Future,
{
    open_as((side, false), tls, credentials, script).await
}

/// The same for somebody who lists the mailboxes next.
pub(super) async fn open_to_list<S>(
    side: Side,
    script: impl FnOnce(Peer) -> S,
) -> (Result<Connection, ImapError>, S::Output)
where
    S: Future,
{
    open_as((side, true), TlsMode::Plain, &credentials(), script).await
}

async fn open_as<S>(
    (side, list): (Side, bool),
    tls: TlsMode,
    credentials: &Credentials,
    script: impl FnOnce(Peer) -> S,
) -> (Result<Connection, ImapError>, S::Output)
where
    S: Future,
{
    let (ours, peer) = pipe();
    let endpoint = endpoint(tls);
    let opening = async {
        let opened =
            open_over(side, Box::new(ours), &endpoint, credentials, &TIMEOUTS, &mut Introduction::default()).await?;
        Connection::learn(side, opened, &TIMEOUTS, list).await
    };
    tokio::join!(opening, script(peer))
}

/// A connection that has signed in to a server with these capabilities beside IMAP4rev1.
pub(super) async fn signed_in(side: Side, capabilities: &str) -> (Connection, Peer) {
    let capabilities = format!("IMAP4rev1 {capabilities}");
    let (connection, peer) = open_with(side, TlsMode::Plain, &credentials(), |mut peer| async move {
        peer.say("* OK ready\r\n").await;
        peer.answer("CAPABILITY", &format!("* CAPABILITY {capabilities}\r\nTAG OK done\r\n")).await;
        peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG OK in\r\n").await;
        peer.answer("CAPABILITY", &format!("* CAPABILITY {capabilities}\r\nTAG OK done\r\n")).await;
        peer
    })
    .await;
    (connection.expect("signs in"), peer)
}
