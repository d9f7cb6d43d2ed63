//! What the ledger takes for a second pass, in time and memory:
//! `cargo run --release -p mailhaul-db --example ledger_figures`.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use mailhaul_db::{
    AccountIdentity, Ledger, Mapping, OpenOptions, PairIdentity, PairLease, Renumbering, Settled, SettledState,
    Settlement, Synced,
};
use mailhaul_types::{Flags, KeyStrength, MessageKey, ModSeq, Uid, UidSet, UidValidity};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const SOURCE: UidValidity = UidValidity(17);
const TARGET: UidValidity = UidValidity(4);
const MAILBOXES: u32 = 1_000;
const MESSAGES: u32 = 1_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let ledger = Ledger::open(&directory.path().join("mailhaul.db"), OpenOptions::default()).await?;
    many_mailboxes(&ledger).await?;
    many_messages(&ledger, &directory.path().join("mailhaul.db")).await?;
    ledger.close().await?;
    Ok(())
}

async fn claim(ledger: &Ledger, login: &str) -> Result<PairLease, Box<dyn Error>> {
    let source = AccountIdentity::new("old.example", login, None);
    let target = AccountIdentity::new("new.example", login, None);
    Ok(ledger.claim_pair(&PairIdentity { source, target }).await?)
}

fn message(uid: u32) -> Settled {
    Settled {
        source_uid: Uid(uid),
        target_uid: Some(Uid(uid)),
        state: SettledState::Copied,
        key: Some(MessageKey { digest: u64::from(uid) * 77, strength: KeyStrength::MessageId }),
        flags: Flags::from_parts(1, []),
    }
}

fn synced(uid_next: u32, departed: UidSet) -> Synced {
    Synced {
        source_uid_validity: SOURCE,
        uid_next: Uid(uid_next),
        exists: uid_next - 1,
        highest_modseq: Some(ModSeq(4_711)),
        mailbox_id: Some("F2212ea87-6097".to_owned()),
        target_uid_validity: TARGET,
        departed,
        skipped: 0,
        refused: 0,
        unreadable: 0,
        exceptions: 0,
        policy: 1,
        at_unix_secs: 1_795_000_000,
    }
}

/// An account of a thousand mailboxes in which nothing has changed.
async fn many_mailboxes(ledger: &Ledger) -> Result<(), Box<dyn Error>> {
    let lease = claim(ledger, "alice").await?;
    let name = |number| format!("Archive/{number}");
    let mappings = (0..MAILBOXES).map(|number| Mapping { source: name(number), target: name(number) });
    lease.map_mailboxes(mappings.collect()).await?;
    for number in 0..MAILBOXES {
        let mailbox = lease.mailbox(&name(number)).await?;
        mailbox.bind(SOURCE, TARGET, Uid(1)).await?;
        mailbox.settle(Settlement { messages: (1..=50).map(message).collect(), ..Settlement::default() }).await?;
        mailbox.record_synced(synced(51, (1..10).map(Uid).collect())).await?;
    }
    lease.flush().await?;
    let mut best = None;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(lease.overview().await?.len(), 1_000);
        best = Some(best.map_or(began.elapsed(), |best| began.elapsed().min(best)));
    }
    println!("overview of {MAILBOXES} mailboxes: {:.1?}", best.unwrap_or_default());
    Ok(())
}

/// A mailbox of a million messages.
async fn many_messages(ledger: &Ledger, file: &Path) -> Result<(), Box<dyn Error>> {
    let lease = claim(ledger, "bob").await?;
    lease.map_mailboxes(vec![Mapping { source: "INBOX".to_owned(), target: "INBOX".to_owned() }]).await?;
    let inbox = lease.mailbox("INBOX").await?;
    inbox.bind(SOURCE, TARGET, Uid(1)).await?;
    let all: Vec<Settled> = (1..=MESSAGES).map(message).collect();
    for chunk in all.chunks(2_000) {
        inbox.settle(Settlement { messages: chunk.to_vec(), ..Settlement::default() }).await?;
    }
    inbox.flush().await?;

    let changes = (1..=5_000).map(|number| (Uid(number * 10), Flags::from_parts(3, []))).collect();
    let began = Instant::now();
    inbox.set_flags(changes).await?;
    inbox.flush().await?;
    println!("flags of 5,000 messages in 50 of 1,000 segments: {:.1?}", began.elapsed());

    let asked: UidSet = (1..=100).map(|number| Uid(number * 9_999)).collect();
    let began = Instant::now();
    assert_eq!(inbox.settled_in(&asked).await?.len(), 100);
    println!("100 of {MESSAGES} messages by UID: {:.1?}", began.elapsed());

    let departed: UidSet = (1..=MESSAGES / 10).map(|number| Uid(number * 10)).collect();
    let began = Instant::now();
    inbox.record_synced(synced(MESSAGES + 1, departed)).await?;
    inbox.flush().await?;
    println!("synced row with 100,000 departed: {:.1?}", began.elapsed());
    let before = memory_peak();
    let messages = all.into_iter().map(|old| Settled { source_uid: Uid(old.source_uid.0 + 7), ..old }).collect();
    let began = Instant::now();
    inbox.renumber_source(Renumbering { source: UidValidity(18), messages, set_aside: Vec::new() }).await?;
    println!("{MESSAGES} messages renumbered: {:.1?}, {} KiB more memory", began.elapsed(), memory_peak() - before);
    assert_eq!(inbox.load().await?.settled.len(), u64::from(MESSAGES));
    println!("the file: {} KiB", std::fs::metadata(file)?.len() / 1_024);
    Ok(())
}

/// The most that the process ever held, in KiB; 0 where the system does not say.
fn memory_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}
