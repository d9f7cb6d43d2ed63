//! Makes the state file that a release leaves for later ones to open; see `tests/data/states/README.md`.
//!
//! `cargo run -p mailhaul-db --example keep_state -- tests/data/states/NAME.state`

use mailhaul_db::queue::{
    AccessKind, NewAccess, NewAccount, NewEndpoint, NewWave, Queue, SealedSecret, SecretOwner, SecretPlace, Subject,
    VaultRow, WaveOrder,
};
use mailhaul_db::{
    AccountIdentity, Exception, ExceptionState, HostKey, Ledger, Mapping, OpenOptions, PairIdentity, PassCounts,
    ProfileChange, RunVerdict, Settled, SettledState, Settlement, Synced,
};
use mailhaul_queue::{
    AccountId, Clock, FailureClass, Finished, HostSign, JobEnd, JobId, Limits, NewJob, Now, Outcome, Phase, Priority,
    Scope, Side, Store, Tick, WorkerId,
};
use mailhaul_types::{Flags, KeyStrength, MessageKey, ModSeq, Uid, UidValidity};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A moment that stands still.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Now {
        Now { boot_ms: 1_000_000, unix_ms: 1_795_000_000_000 }
    }

    fn boot_id(&self) -> Arc<str> {
        "the boot that made this file".into()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args().nth(1).ok_or("say where the file is to be made")?.into();
    if path.exists() {
        return Err("the file is there already; files of earlier versions are never made anew".into());
    }
    let directory = tempfile::tempdir()?;
    let made = directory.path().join("made.db");
    make(&made).await?;
    std::fs::copy(&made, &path)?;
    Ok(())
}

async fn make(path: &Path) -> Result<(), Box<dyn Error>> {
    let options = OpenOptions { clock: || 1_795_000_000, ..OpenOptions::default() };
    let ledger = Ledger::open(path, options).await?;
    copy_alice(&ledger).await?;
    learn(&ledger).await;
    let queue = ledger.queue(Arc::new(Noon), "carol").await?;
    let accounts = import(&queue).await?;
    work(&queue, &accounts).await?;
    let_in(&queue).await?;
    queue.close().await?;
    ledger.close().await?;
    Ok(())
}

async fn copy_alice(ledger: &Ledger) -> Result<(), Box<dyn Error>> {
    let lease = ledger
        .claim_pair(&PairIdentity {
            source: AccountIdentity::new("old.example", "alice", None),
            target: AccountIdentity::new("new.example", "alice", None),
        })
        .await?;
    lease.map_mailboxes(vec![Mapping { source: "INBOX".to_owned(), target: "INBOX".to_owned() }]).await?;
    let inbox = lease.mailbox("INBOX").await?;
    inbox.bind(UidValidity(17), UidValidity(4), Uid(1)).await?;
    let message = |uid| Settled {
        source_uid: Uid(uid),
        target_uid: Some(Uid(uid)),
        state: SettledState::Copied,
        key: Some(MessageKey { digest: u64::from(uid) * 77, strength: KeyStrength::MessageId }),
        flags: Flags::new(),
    };
    let messages = (1..=40).map(message).collect();
    inbox.settle(Settlement { messages, target_mark: Some(Uid(41)), clear_sent: true }).await?;
    let refused = Exception {
        uid: Some(Uid(41)),
        state: ExceptionState::Refused,
        reason: "NO [LIMIT] too large".to_owned(),
        key: None,
    };
    inbox.record_exception(refused).await?;
    let counts = PassCounts { source: 41, copied: 40, refused: 1, bytes: 81_920, ..PassCounts::default() };
    inbox.record_pass(counts, Vec::new()).await?;
    let synced = Synced {
        source_uid_validity: UidValidity(17),
        uid_next: Uid(42),
        exists: 38,
        highest_modseq: Some(ModSeq(4_711)),
        mailbox_id: Some("M1".to_owned()),
        target_uid_validity: UidValidity(4),
        departed: [3, 7, 8].into_iter().map(Uid).collect(),
        skipped: 0,
        refused: 1,
        unreadable: 0,
        exceptions: 1,
        policy: 0x5eed,
        at_unix_secs: 1_795_000_000,
    };
    inbox.record_synced(synced).await?;
    inbox.note_made().await?;
    inbox.note_name_kept().await?;
    lease.finish_run(RunVerdict::Exceptions, "40 copied, 1 refused").await?;
    Ok(())
}

/// What was learnt about both servers, as `mailhaul-plan` writes it.
async fn learn(ledger: &Ledger) {
    let best = r#"{"width":{"best":{"connections":3,"at_unix_secs":1795000000}},"round_trip_secs":0.04}"#;
    let change = |text: &'static str| -> ProfileChange { Box::new(move |_| text.to_owned()) };
    let key = |side, host| HostKey::new(side, host, 993);
    let changes = vec![
        (key(mailhaul_types::Side::Source, "old.example"), change(r#"{"round_trip_secs":0.02}"#)),
        (key(mailhaul_types::Side::Target, "new.example"), change(best)),
    ];
    ledger.learn(changes).await;
}

/// A token, and a link that was used up by the session of a browser. The secrets of which these are the digests are nobody's.
async fn let_in(queue: &Queue) -> Result<(), Box<dyn Error>> {
    let access = |kind, name: &str, hash, parent| NewAccess {
        kind,
        name: name.to_owned(),
        role: "admin".to_owned(),
        hash: [hash; 32],
        parent,
        expires_unix_ms: (kind != AccessKind::Token).then_some(Noon.now().unix_ms + 86_400_000),
    };
    queue.put_access(access(AccessKind::Token, "monitoring", 0x11, None)).await?;
    let link = queue.put_access(access(AccessKind::Link, "dave", 0x22, None)).await?.ok_or("it was not stored")?;
    queue.begin_session(link, access(AccessKind::Session, "dave", 0x33, Some(link))).await?;
    Ok(())
}

const NAMES: [&str; 9] = ["alice", "blocked", "broken", "cancelled", "done", "later", "paused", "queued", "running"];

async fn import(queue: &Queue) -> Result<Vec<AccountId>, Box<dyn Error>> {
    let limits = Limits { connections: Some(20), account_bytes_per_day: Some(1 << 30), ..Limits::default() };
    let endpoint = |name: &str, limits| NewEndpoint {
        name: name.to_owned(),
        url: format!("imaps://{name}.example"),
        host: format!("{name}.example"),
        limits,
        options: "{}".to_owned(),
    };
    let source = queue.put_endpoint(endpoint("old", limits)).await?;
    let target = queue.put_endpoint(endpoint("new", Limits::default())).await?;
    let wave = NewWave {
        name: "staff".to_owned(),
        order: WaveOrder::Largest,
        options: "{}".to_owned(),
        plan: r#"{"every":"6h"}"#.to_owned(),
    };
    let wave = queue.put_wave(wave).await?;
    let account = |(at, name): (usize, &&str)| NewAccount {
        name: (*name).to_owned(),
        wave,
        source,
        target,
        source_user: (*name).to_owned(),
        target_user: (*name).to_owned(),
        source_owner: (*name).to_owned(),
        target_owner: (*name).to_owned(),
        priority: Priority::USUAL,
        options: "{}".to_owned(),
        // In this order are they claimed.
        size_hint_bytes: Some(1_000_000 - 1_000 * u64::try_from(at).unwrap_or(0)),
    };
    let ids = queue.import(NAMES.iter().enumerate().map(account).collect()).await?.ids;
    let place =
        SecretPlace { owner: SecretOwner::Account(ids[0]), side: Some(Side::Source), field: "password".to_owned() };
    queue.put_secrets(vec![SealedSecret { place, key_id: "k1".to_owned(), sealed: vec![0x5a; 56] }]).await?;
    queue.put_vault(VaultRow { key_id: "k1".to_owned(), check_value: vec![0xa5; 48] }).await?;
    queue.put_preflight(ids[0], r#"{"verdict":"ready"}"#).await?;
    Ok(ids)
}

async fn work(queue: &Queue, accounts: &[AccountId]) -> Result<(), Box<dyn Error>> {
    let job = |account: AccountId, not_before_unix_ms| NewJob {
        account,
        kind: "bulk".to_owned(),
        phase: Phase::Bulk,
        payload: "{}".to_owned(),
        not_before_unix_ms,
    };
    let of = |name: &str| accounts[NAMES.iter().position(|known| *known == name).unwrap_or(0)];
    let refused = |class| Outcome::Failed { class, retry_after: None };
    for (name, outcome) in [
        ("alice", Some(Outcome::DoneWithExceptions)),
        ("blocked", Some(refused(FailureClass::SignIn))),
        ("broken", Some(refused(FailureClass::Tls))),
        ("done", Some(Outcome::Done)),
        ("running", None),
    ] {
        queue.enqueue(vec![job(of(name), None)]).await?;
        let claimed = queue.tick(tick()).await?.claimed;
        if let Some(outcome) = outcome {
            let words = format!("the words of {name}");
            let end =
                JobEnd { outcome, words, counts: r#"{"copied":40}"#.to_owned(), progressed: false, then: Vec::new() };
            queue.finish(Finished { key: claimed[0].key, now: Noon.now(), end, jitter: 0.5 }).await?;
        }
    }
    let later = Some(Noon.now().unix_ms + 3_600_000);
    queue.enqueue(vec![job(of("later"), later), job(of("queued"), None)]).await?;
    queue.enqueue(vec![job(of("cancelled"), None), job(of("paused"), None)]).await?;
    let all = queue.jobs(mailhaul_db::queue::JobFilter::default()).await?;
    let id = |name: &str| all.iter().find(|job| job.account_name == name).map_or(JobId(0), |job| job.id);
    let cancelled = mailhaul_db::queue::JobFilter { job: Some(id("cancelled")), ..Default::default() };
    queue.cancel(cancelled, "left the firm").await?;
    queue.pause(Subject::Account(of("paused")), "on holiday").await?;
    queue.moved(of("alice"), 81_920, Noon.now()).await?;
    let endpoints = queue.endpoints().await?;
    queue.signs(endpoints.iter().map(|endpoint| (endpoint.id, HostSign::Served)).collect(), Noon.now()).await?;
    // A worker that was killed: its row stays behind.
    drop(queue.register("run").await?);
    Ok(())
}

fn tick() -> Tick {
    Tick {
        worker: WorkerId(1),
        now: Noon.now(),
        renew: Vec::new(),
        hold: Vec::new(),
        slots: 1,
        lease: Duration::from_secs(30),
        margin: Duration::from_secs(5),
        scope: Scope::default(),
    }
}
