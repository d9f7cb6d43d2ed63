//! Everything that can be asked over one connection, once. What comes of each question does not matter here, as long as
//! something comes.

use super::server::{Spoilt, ToSpoilt};
use mailhaul_imap::{
    AppendOptions, Connection, Credentials, Dial, Endpoint, FetchBatch, FetchOptions, ScanItems, StoreMode, Timeouts,
    TlsMode, Trust,
};
use mailhaul_types::{Flags, MailboxName, ModSeq, NameEncoding, Secret, Side, SystemFlag, Uid, UidRange, UidSet};
use std::sync::Arc;
use std::time::Duration;

/// How many answers a session has, and some that it does not come to.
pub(super) const ANSWERS: usize = 42;

/// Simulated: every limit of a connection is far below.
const FOR_EVER: Duration = Duration::from_secs(24 * 3_600);

/// How long is listened.
const A_WHILE: Duration = Duration::from_secs(60);

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// False when it did not come to its end.
pub(super) fn play(server: Arc<Spoilt>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime
        .expect("a runtime needs nothing")
        .block_on(async { tokio::time::timeout(FOR_EVER, ask_everything(server)).await.is_ok() })
}

async fn ask_everything(server: Arc<Spoilt>) {
    let endpoint = Endpoint {
        host: "spoilt.example".to_owned(),
        port: 143,
        tls: TlsMode::Plain,
        trust: Trust::System,
        dial: Dial::Through(Arc::new(ToSpoilt(server))),
        compress: mailhaul_imap::Compress::Auto,
    };
    let credentials = Credentials {
        user: "alice".to_owned(),
        password: Secret::new(b"secret".to_vec()),
        authorization_identity: None,
    };
    let opened = Connection::open(Side::Source, &endpoint, &credentials, &Timeouts::default()).await;
    let Ok(mut connection) = opened else { return };
    look_around(&mut connection).await;
    read(&mut connection).await;
    listen(&mut connection).await;
    write(&mut connection).await;
    let _ = connection.noop().await;
    let _ = connection.logout().await;
}

fn name(text: &str) -> MailboxName {
    MailboxName::from_text(text, NameEncoding::ModifiedUtf7)
}

fn uids() -> UidSet {
    (1..=6).map(Uid).collect()
}

async fn look_around(connection: &mut Connection) {
    let _ = connection.namespaces().await;
    let _ = connection.list_mailboxes().await;
    let _ = connection.list_mailboxes_with_status().await;
    let _ = connection.status(&name("Work")).await;
    let _ = connection.status_with_size(&name("Work")).await;
    let _ = connection.quotas_of(&name("Work")).await;
    let _ = connection.enable_qresync().await;
}

async fn read(connection: &mut Connection) {
    let _ = connection.examine(&name("Work")).await;
    let range = UidRange { first: Uid(1), last: Uid(6) };
    let items = ScanItems { internal_date: true, flags: true };
    let _ = connection.scan(&[range], items, &mut |_| {}).await;
    let _ = connection.fetch_headers(&uids(), &mut |_| {}).await;
    let _ = connection.fetch_flags(&uids(), &mut |_| {}).await;
    let _ = connection.fetch_changes(range, ModSeq(1), &mut |_| {}).await;
    let _ = connection.uid_search_present(&uids()).await;
    let _ = connection.uid_search_all().await;
    for large in [false, true] {
        let mut fetcher = connection.fetch_bodies(FetchOptions::default());
        let uids = if large { std::iter::once(Uid(1)).collect() } else { uids() };
        fetcher.push(FetchBatch { id: 1, uids, bytes_expected: 1_000, large, octets_max: u64::MAX });
        while let Ok(Some(_)) = fetcher.next().await {}
    }
}

/// News of the mailbox that is open, and of all others where the server tells of them.
async fn listen(connection: &mut Connection) {
    for _ in 0..2 {
        let _ = connection.wait_for_news(A_WHILE, std::future::pending()).await;
    }
    let _ = connection.unselect().await;
    let _ = connection.begin_notify().await;
    let _ = connection.wait_for_news(A_WHILE, std::future::pending()).await;
}

async fn write(connection: &mut Connection) {
    let _ = connection.select(&name("Work")).await;
    let mut seen = Flags::new();
    seen.insert(SystemFlag::Seen);
    let _ = connection.store_flags(&uids(), StoreMode::Add, &seen).await;
    let _ = connection.create(&name("New")).await;
    let _ = connection.subscribe(&name("New")).await;
    let _ = connection.unsubscribe(&name("New")).await;
    let _ = connection.rename(&name("New"), &name("Newer")).await;
    append(connection).await;
    let _ = connection.uid_copy(&uids(), &name("INBOX")).await;
    let _ = connection.uid_move(&uids(), &name("INBOX")).await;
    let _ = connection.uid_expunge(&uids()).await;
    let _ = connection.unselect().await;
}

async fn append(connection: &mut Connection) {
    let (mut writer, mut reader) = connection.append_to(&name("Work"), AppendOptions::default());
    let write = async move {
        writer.begin(1).await?;
        for _ in 0..3 {
            writer.message(&Flags::new(), None, MESSAGE.len() as u64).await?;
            writer.body(MESSAGE.into()).await?;
            writer.end_message().await?;
        }
        writer.finish(&|| true).await?;
        writer.flush().await
    };
    // The reader ends when everything that was sent is answered and the writer is no more.
    let write = async move {
        let _ = write.await;
    };
    let read = async { while let Ok(Some(_)) = reader.next().await {} };
    tokio::join!(write, read);
}
