//! How large the file is when a thousand accounts of five thousand mails each have been moved.
//!
//! It is filled as a real run fills it: passwords and findings of the preflight for each account; the jobs of a wave
//! that looks for new mail every six hours of a day and then compares; for each mailbox a scan, marks, settlements with
//! random keys (they are hashes, so nothing can be saved on them), and the counts of a pass.

use crate::setting::Setting;
use crate::told::{Bound, say};
use mailhaul_db::queue::{SealedSecret, SecretOwner, SecretPlace};
use mailhaul_db::{
    AccountIdentity, Mapping, PairIdentity, PassCounts, RunVerdict, Scan, Settled, SettledState, Settlement,
};
use mailhaul_queue::{AccountId, Side};
use mailhaul_types::{Flags, KeyStrength, MessageKey, ModSeq, Uid, UidRange, UidValidity};
use std::error::Error;

const ACCOUNTS: u32 = 1_000;
/// The mailboxes of an account with their mails: five thousand in all.
const MAILBOXES: [(&str, u32); 10] = [
    ("INBOX", 2_000),
    ("Sent", 1_000),
    ("Archive/2024", 700),
    ("Archive/2023", 500),
    ("Trash", 300),
    ("Projects/Alpha", 200),
    ("Projects/Beta", 150),
    ("Junk", 100),
    ("Drafts", 50),
    ("Notes", 0),
];
/// What the target acknowledges at once.
const SETTLED_AT_ONCE: usize = 200;
/// Jobs of an account, in their order.
const JOBS: [&str; 7] = ["preflight", "bulk", "resync", "resync", "resync", "resync", "final"];
/// Octets of a sealed password: nonce, a usual length, tag.
const SEALED_OCTETS: usize = 24 + 16 + 16;
/// Octets of what a preflight finds out about an account with ten mailboxes, as JSON.
const FOUND_OCTETS: usize = 2_500;
/// Octets of what an attempt counts, as JSON.
const COUNTS_OCTETS: usize = 260;
const MIB_MOST: f64 = 200.0;

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let setting = Setting::make().await?;
    let ids = setting.queue.import(setting.accounts(0..ACCOUNTS)).await?.ids;
    seal(&setting, &ids).await?;
    work(&setting, &ids).await?;
    let queue_alone = mib(&setting).await?;
    for number in 0..ACCOUNTS {
        copy(&setting, number).await?;
    }
    let all = mib(&setting).await?;
    say("1,000 accounts x 5,000 mails: ledger and queue", "MiB", Bound::AtMost(MIB_MOST), &[all]);
    say("  the queue alone: 7 jobs an account, all done", "MiB", Bound::None, &[queue_alone]);
    let mails = f64::from(ACCOUNTS) * f64::from(MAILBOXES.iter().map(|(_, mails)| mails).sum::<u32>());
    say("  the ledger, octets a mail", "B", Bound::None, &[(all - queue_alone) * 1_048_576.0 / mails]);
    setting.close().await?;
    Ok(())
}

/// The size with everything in the file itself: closing empties the log, and the next write opens it again.
async fn mib(setting: &Setting) -> Result<f64, Box<dyn Error>> {
    setting.queue.close().await?;
    let octets = |suffix: &str| {
        let mut name = setting.file().into_os_string();
        name.push(suffix);
        std::fs::metadata(name).map_or(0, |metadata| metadata.len())
    };
    let kib = u32::try_from((octets("") + octets("-wal")) / 1_024)?;
    Ok(f64::from(kib) / 1_024.0)
}

async fn seal(setting: &Setting, accounts: &[AccountId]) -> Result<(), Box<dyn Error>> {
    let mut secrets = Vec::new();
    for account in accounts {
        for side in [Side::Source, Side::Target] {
            let owner = SecretOwner::Account(*account);
            let place = SecretPlace { owner, side: Some(side), field: "password".to_owned() };
            secrets.push(SealedSecret { place, key_id: "k1".to_owned(), sealed: vec![0x5a; SEALED_OCTETS] });
        }
        let found = format!("{{\"verdict\":\"ready\",\"found\":\"{}\"}}", "x".repeat(FOUND_OCTETS));
        setting.queue.put_preflight(*account, &found).await?;
    }
    setting.queue.put_secrets(secrets).await?;
    Ok(())
}

/// Every job of every account, with its attempt and its events.
async fn work(setting: &Setting, accounts: &[AccountId]) -> Result<(), Box<dyn Error>> {
    let counts = format!("{{\"counts\":\"{}\"}}", "x".repeat(COUNTS_OCTETS));
    for kind in JOBS {
        setting.enqueue(0..ACCOUNTS, kind).await?;
        for key in setting.claim(accounts.len()).await? {
            setting.finish(key, "complete: 5000 copied, 0 exceptions, 10 mailboxes", &counts).await?;
        }
    }
    Ok(())
}

async fn copy(setting: &Setting, number: u32) -> Result<(), Box<dyn Error>> {
    let owner =
        |side: &str| AccountIdentity::new(&format!("{side}.example"), &format!("user{number:06}@{side}.example"), None);
    let lease = setting.ledger.claim_pair(&PairIdentity { source: owner("old"), target: owner("new") }).await?;
    let mapping = |name: &str| Mapping { source: name.to_owned(), target: name.to_owned() };
    lease.map_mailboxes(MAILBOXES.iter().map(|(name, _)| mapping(name)).collect()).await?;
    let mut random = u64::from(number) << 32 | 0x9e37;
    for (name, mails) in MAILBOXES {
        let inbox = lease.mailbox(name).await?;
        inbox.bind(UidValidity(1_700_000_000 + number), UidValidity(1_795_000_000), Uid(1)).await?;
        inbox.record_scan(scan(mails, number)).await?;
        let uids = uids(mails, &mut random);
        let mut target = 0;
        for batch in uids.chunks(SETTLED_AT_ONCE) {
            let (first, last) = (batch[0], batch[batch.len() - 1]);
            inbox.mark_sent(UidRange { first, last }, Uid(target + 1)).await?.wait().await?;
            let messages = batch.iter().map(|uid| settled(*uid, &mut target, &mut random)).collect();
            inbox.settle(Settlement { messages, target_mark: Some(Uid(target + 1)), clear_sent: true }).await?;
        }
        let counts = PassCounts {
            source: mails.into(),
            copied: mails.into(),
            bytes: u64::from(mails) * 65_536,
            ..PassCounts::default()
        };
        inbox.record_pass(counts, Vec::new()).await?;
    }
    lease.finish_run(RunVerdict::Complete, "5000 copied").await?;
    lease.release().await?;
    Ok(())
}

fn scan(mails: u32, number: u32) -> Scan {
    Scan {
        uid_next: Some(Uid(mails * 2 + 1)),
        exists: mails,
        highest_modseq: Some(ModSeq(u64::from(number) + 100_000)),
        mailbox_id: None,
    }
}

/// Source UIDs with the gaps that years of deleting leave: one of four mails is still followed by its neighbour.
fn uids(mails: u32, random: &mut u64) -> Vec<Uid> {
    let mut uid = 0;
    let mut next = || {
        let draw = next_random(random);
        uid += if draw.is_multiple_of(4) { 1 } else { 1 + u32::try_from(draw >> 8 & 0x3).unwrap_or(0) };
        Uid(uid)
    };
    (0..mails).map(|_| next()).collect()
}

fn settled(source_uid: Uid, target: &mut u32, random: &mut u64) -> Settled {
    *target += 1;
    let digest = next_random(random);
    let flags: &[&str] = match digest % 16 {
        0 => &[],
        1 => &["\\Seen", "\\Answered"],
        2 => &["\\Seen", "$Forwarded"],
        3 => &["\\Flagged", "\\Seen", "$label1"],
        _ => &["\\Seen"],
    };
    let mut stored = Flags::new();
    for flag in flags {
        stored.insert_wire(flag);
    }
    Settled {
        source_uid,
        target_uid: Some(Uid(*target)),
        state: SettledState::Copied,
        key: Some(MessageKey { digest, strength: KeyStrength::MessageId }),
        flags: stored,
    }
}

/// Steele and Vigna's splitmix64: good enough to be incompressible, and the same in every run.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
