//! COMPRESS=DEFLATE against a real Dovecot 2.3 (`imap_zlib`), in plain text, after STARTTLS and under TLS: messages small and large go
//! through fetching and storing unchanged, several commands at once.

use mailhaul_imap::{
    AppendEvent, AppendOptions, Compress, Connection, Credentials, Dial, Endpoint, FetchBatch, FetchEvent,
    FetchOptions, ImapError, Timeouts, TlsMode, Trust,
};
use mailhaul_testing::{Client, Dovecot, TestAuthority};
use mailhaul_types::{MailboxName, NameEncoding, Secret, Side, Uid};
use std::sync::Arc;

async fn open(side: Side, server: &Dovecot, tls: TlsMode, compress: Compress) -> Result<Connection, ImapError> {
    let address = if tls == TlsMode::Implicit { server.tls_address().expect("it has TLS") } else { server.address() };
    let endpoint = Endpoint {
        host: address.ip().to_string(),
        port: address.port(),
        tls,
        trust: server.ca_file().map_or(Trust::System, Trust::CaFile),
        dial: Dial::Tcp,
        compress,
    };
    let password = Secret::new(server.password().as_bytes().to_vec());
    let credentials = Credentials { user: "alice".to_owned(), password, authorization_identity: None };
    Connection::open(side, &endpoint, &credentials, &Timeouts::default()).await
}

/// Text that shrinks, octets that do not, and one message that is larger than what passes in one piece.
fn mails() -> Vec<Vec<u8>> {
    let text =
        |number: usize| format!("Subject: {number}\r\n\r\n{}", "the same again and again\r\n".repeat(number * 40));
    let mut mails: Vec<Vec<u8>> = (1..=60).map(|number| text(number).into_bytes()).collect();
    let mut state = 7_u64;
    let noise: String = std::iter::from_fn(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(char::from(b'!' + u8::try_from(state >> 33 & 63).expect("six bits")))
    })
    .take(3 << 20)
    .collect();
    mails.push(format!("Subject: large\r\n\r\n{noise}\r\n").into_bytes());
    mails
}

/// Copies INBOX by the bulk commands; every message is streamed if it is large.
async fn relay(source: &mut Connection, target: &mut Connection, count: u32) {
    let inbox = MailboxName::from_text("INBOX", NameEncoding::ModifiedUtf7);
    source.examine(&inbox).await.expect("opened");
    let mut fetcher = source.fetch_bodies(FetchOptions::default());
    for uid in 1..=count {
        let large = uid == count;
        fetcher.push(FetchBatch {
            id: uid.into(),
            uids: [Uid(uid)].into_iter().collect(),
            bytes_expected: 1,
            octets_max: u64::MAX,
            large,
        });
    }
    let (mut writer, mut reader) = target.append_to(&inbox, AppendOptions::default());
    let writing = async move {
        writer.begin(1).await.expect("room");
        while let Some(event) = fetcher.next().await.expect("the source speaks") {
            match event {
                FetchEvent::Message { flags, date, body, .. } => {
                    writer.message(&flags, date.as_ref(), body.len() as u64).await.expect("taken");
                    writer.body(body).await.expect("taken");
                    writer.end_message().await.expect("whole");
                }
                FetchEvent::LargeStart { flags, date, octets, .. } => {
                    writer.message(&flags, date.as_ref(), octets).await.expect("taken");
                }
                FetchEvent::LargeChunk(chunk) => writer.body(chunk).await.expect("taken"),
                FetchEvent::LargeEnd => writer.end_message().await.expect("whole"),
                FetchEvent::BatchEnd { missing, .. } => assert!(missing.is_empty()),
            }
        }
        writer.finish(&|| true).await.expect("complete");
    };
    let reading = async {
        let mut stored = 0;
        while let Some(event) = reader.next().await.expect("the target speaks") {
            let AppendEvent::Stored { messages, .. } = event else { panic!("refused: {event:?}") };
            stored += messages;
        }
        stored
    };
    let ((), stored) = tokio::join!(writing, reading);
    assert_eq!(stored, count);
}

#[tokio::test]
async fn mail_passes_unchanged_through_compressed_connections() {
    let authority = Arc::new(TestAuthority::new());
    let start = || Dovecot::builder().compress().tls(&authority).start();
    let mails = mails();
    for tls in [TlsMode::Plain, TlsMode::StartTls, TlsMode::Implicit] {
        let (old, new) = (start(), start());
        let mut owner = Client::sign_in(old.address(), "alice", old.password()).expect("signs in");
        for mail in &mails {
            owner.append("INBOX", &["\\Seen"], None, mail).expect("stored");
        }
        let mut source = open(Side::Source, &old, tls, Compress::On).await.expect("compressed");
        let mut target = open(Side::Target, &new, tls, Compress::On).await.expect("compressed");
        assert!(source.is_compressed() && target.is_compressed());
        relay(&mut source, &mut target, u32::try_from(mails.len()).expect("few")).await;
        source.logout().await.expect("a good end");
        target.logout().await.expect("a good end");
        let mut owner = Client::sign_in(new.address(), "alice", new.password()).expect("signs in");
        owner.select("INBOX").expect("opened");
        let copied: Vec<Vec<u8>> = owner.fetch_all().expect("read").into_iter().map(|mail| mail.octets).collect();
        assert!(copied == mails, "{tls:?}");
    }
}

#[tokio::test]
async fn it_begins_between_two_commands_and_is_left_alone_where_it_is_not_wanted() {
    let server = Dovecot::builder().compress().start();
    let mut connection = open(Side::Source, &server, TlsMode::Plain, Compress::Auto).await.expect("signs in");
    connection.list_mailboxes_with_status().await.expect("listed");
    assert!(connection.may_compress() && connection.round_trip().is_some());
    assert!(connection.compress().await.expect("taken"));
    connection.list_mailboxes_with_status().await.expect("listed");
    let off = open(Side::Source, &server, TlsMode::Plain, Compress::Off).await.expect("signs in");
    assert!(!off.may_compress() && !off.is_compressed());
}

#[tokio::test]
async fn a_server_without_it_is_an_error_only_for_those_who_insist() {
    let server = Dovecot::start();
    let connection = open(Side::Source, &server, TlsMode::Plain, Compress::Auto).await.expect("signs in");
    assert!(!connection.may_compress());
    let error = open(Side::Source, &server, TlsMode::Plain, Compress::On).await.expect_err("insisted upon");
    assert!(matches!(&error, ImapError::Usage { what } if what.contains("COMPRESS=DEFLATE")), "{error}");
}
