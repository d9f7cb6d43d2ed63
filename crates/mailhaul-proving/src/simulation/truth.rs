//! The ledger's rows, held against what really was on both servers: whatever is struck, nothing may stand in them that is
//! not so. The judge remembers both servers by UIDVALIDITY and UID, and reads the rows as any other reader would.

use super::denials::Denials;
use super::network::Network;
use super::pass::{Ended, accounts};
use super::past::KeptFlags;
use super::plan::Weather;
use super::stage::Stage;
use crate::Outcome;
use mailhaul_db::{ExceptionState, Ledger, MailboxState, OpenOptions, Settled, SettledState};
use mailhaul_testing::model::{Held, ModelServer};
use mailhaul_types::{Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// A mailbox as the ledger has it.
struct Rows {
    source: String,
    state: MailboxState,
    settled: Vec<Settled>,
}

/// What may not stand in the ledger after any pass, however it ended:
///
/// * a message that is settled and was never at the source, or whose copy was never on the target,
/// * a message called gone or departed that is at the source,
/// * a mark above a copy that nobody has accounted for, or above UIDNEXT,
/// * a mailbox called in step while a message below its UIDNEXT is neither settled nor set aside.
pub fn expect_true_ledger(outcome: &mut Outcome, repeat: &str, stage: &Stage, ended: &Ended) {
    match read(stage) {
        Err(error) => outcome.fail(repeat, format!("the ledger cannot be read: {error}")),
        Ok(mailboxes) => {
            learn(stage, &mailboxes);
            for rows in mailboxes {
                let truth = Truth::about(stage, &rows);
                truth.excuse_denied(&ended.denied);
                let wrong = truth.wrong();
                if !wrong.is_empty() {
                    let name = &rows.source;
                    outcome.fail(repeat, format!("the ledger is not true of {name}: {}", wrong.join("; ")));
                }
            }
        }
    }
}

/// Remembers what was found rather than confirmed since the ledger was looked at last, and with which flags that the source
/// had taken away by then.
fn learn(stage: &Stage, mailboxes: &[Rows]) {
    let mut learned = stage.learned();
    for rows in mailboxes {
        let Some(validity) = rows.state.source_uid_validity else { continue };
        learned.validities.insert(rows.source.clone(), validity.0);
        for settled in &rows.settled {
            if learned.known.insert((validity.0, settled.source_uid.0)) && settled.state != SettledState::Copied {
                learned.adopted.extend(kept_flags(stage, rows, settled));
            }
        }
    }
}

/// The flags that a copy has, that its message once had at the source, and has there no more.
fn kept_flags(stage: &Stage, rows: &Rows, settled: &Settled) -> Option<KeptFlags> {
    let octets = stage.at_source.octets(rows.state.source_uid_validity?.0, settled.source_uid.0)?;
    let essence = stage.essence(&octets);
    let is_it = |held: &&Held| stage.essence(&held.octets) == essence;
    let target = stage.target.contents().remove(&rows.state.mapping.target)?;
    let copies = target.iter().filter(is_it).filter(|held| settled.target_uid.is_none_or(|uid| uid.0 == held.uid));
    let source = stage.source.contents().remove(&rows.source)?;
    let now = &source.iter().find(|held| held.uid == settled.source_uid.0)?.flags;
    let once = stage.at_source.flags_of(|known| stage.essence(known) == essence);
    let flags = copies.flat_map(|held| held.flags.iter().filter(|flag| !now.contains(flag) && once.contains(*flag)));
    let flags: BTreeSet<String> = flags.cloned().collect();
    (!flags.is_empty()).then_some(KeptFlags { essence, flags })
}

/// An old state was put back: what it does not know of may come back, and may be found rather than confirmed. What it
/// knows is held to.
pub(super) fn forget_what_it_forgot(stage: &Stage) {
    let known = settled_targets(stage);
    stage.doings().taken_for_good.retain_mut(|gone| {
        let Some(from) = known.get(&gone.place) else { return false };
        gone.from.clone_from(from);
        true
    });
    let rows = read(stage).unwrap_or_default();
    let of = |rows: &Rows| {
        let validity = rows.state.source_uid_validity.map_or(0, |validity| validity.0);
        rows.settled.iter().map(|settled| (validity, settled.source_uid.0)).collect::<Vec<_>>()
    };
    stage.learned().known = rows.iter().flat_map(of).collect();
}

/// The copies that the ledger knows of, by UIDVALIDITY and UID; and of which source mailbox under which UIDVALIDITY.
pub(super) type KnownCopies = BTreeMap<(u32, u32), (String, u32)>;

pub(super) fn settled_targets(stage: &Stage) -> KnownCopies {
    let copies = |rows: Rows| {
        let target = rows.state.target_uid_validity.map_or(0, |validity| validity.0);
        let source = (rows.source, rows.state.source_uid_validity.map_or(0, |validity| validity.0));
        let copies = rows.settled.into_iter().filter_map(move |settled| Some((target, settled.target_uid?.0)));
        copies.map(move |copy| (copy, source.clone()))
    };
    read(stage).unwrap_or_default().into_iter().flat_map(copies).collect()
}

fn read(stage: &Stage) -> Result<Vec<Rows>, String> {
    let path = stage.state_folder().join("mailhaul.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let network = Network::new(&stage.source, &stage.target, Weather::default());
        let ledger = Ledger::open_read_only(&path, OpenOptions::default()).await.map_err(|error| error.to_string())?;
        let rows = read_pair(&ledger, &accounts(&network).identity()).await.map_err(|error| error.to_string());
        ledger.close().await.map_err(|error| error.to_string())?;
        rows
    })
}

async fn read_pair(ledger: &Ledger, identity: &mailhaul_db::PairIdentity) -> Result<Vec<Rows>, mailhaul_db::DbError> {
    let Some(pair) = ledger.find_pair(identity).await? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for mapping in pair.mappings().await? {
        let source = mapping.source;
        let (Some(state), Some(mut pages)) = (pair.load(&source).await?, pair.messages(&source).await?) else {
            continue;
        };
        let mut settled = Vec::new();
        while let Some(page) = pages.next().await? {
            settled.extend(page);
        }
        all.push(Rows { source, state, settled });
    }
    Ok(all)
}

/// A mailbox's rows beside what is there now, as far as both mean the same by a UID.
struct Truth<'a> {
    stage: &'a Stage,
    rows: &'a Rows,
    /// What the source holds; `None` if it has renumbered it since, or has it no more.
    source: Option<Vec<Held>>,
    /// What the target holds, and its UIDNEXT.
    target: Option<(Vec<Held>, u32)>,
}

impl<'a> Truth<'a> {
    fn about(stage: &'a Stage, rows: &'a Rows) -> Truth<'a> {
        let held = |server: &ModelServer, name: &str, validity: Option<u32>| {
            let same = validity.is_some() && server.uid_validity(name) == validity;
            same.then(|| server.contents().remove(name).unwrap_or_default())
        };
        let name = &rows.state.mapping.target;
        let source = held(&stage.source, &rows.source, rows.state.source_uid_validity.map(|validity| validity.0));
        let target = held(&stage.target, name, rows.state.target_uid_validity.map(|validity| validity.0));
        let target = target.zip(stage.target.uid_next(name));
        Truth { stage, rows, source, target }
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = self.untrue_settlements();
        wrong.extend(self.untrue_departures());
        wrong.extend(self.mark_too_high());
        wrong.extend(self.untrue_step());
        wrong
    }

    /// What a settled source message is, if it ever was at the source.
    fn octets(&self, settled: &Settled) -> Option<Vec<u8>> {
        let validity = self.rows.state.source_uid_validity?.0;
        let octets = self.stage.at_source.octets(validity, settled.source_uid.0)?;
        Some(self.stage.essence(&octets))
    }

    fn untrue_settlements(&self) -> Vec<String> {
        let untrue = |settled: &Settled| {
            let uid = settled.source_uid;
            let Some(octets) = self.octets(settled) else { return Some(format!("{uid} was never at the source")) };
            let copy = match settled.target_uid.zip(self.rows.state.target_uid_validity) {
                Some((uid, validity)) => self.stage.on_target.octets(validity.0, uid.0),
                None if self.stage.on_target.knows(|known| self.stage.essence(known) == octets) => return None,
                None => None,
            };
            match copy {
                None => Some(format!("{uid} is settled as {:?}, which was never on the target", settled.target_uid)),
                Some(copy) if self.stage.essence(&copy) == octets => None,
                Some(_) => Some(format!("{uid} is settled as {:?}, which is another message", settled.target_uid)),
            }
        };
        self.rows.settled.iter().filter_map(untrue).collect()
    }

    /// Of a source that leaves messages out of UID FETCH and of UID SEARCH alike there is no telling that they are not
    /// gone: what is called gone behind such answers is excused, for ever and by its UID, if both have asked for it in this
    /// mailbox. That they are taken up again once they are listed is for the end to show.
    fn excuse_denied(&self, denials: &Denials) {
        let called_gone = self.called_gone();
        if denials.is_empty() {
            return;
        }
        let mut learned = self.stage.learned();
        let is_denied =
            |held: &&Held| called_gone.contains(Uid(held.uid)) && denials.cover(&self.rows.source, held.uid);
        for held in self.source.iter().flatten().filter(is_denied) {
            learned.denied.extend(self.place(held.uid));
        }
    }

    /// A message of the source mailbox as it is now numbered.
    fn place(&self, uid: u32) -> Option<(String, u32, u32)> {
        Some((self.rows.source.clone(), self.rows.state.source_uid_validity?.0, uid))
    }

    fn called_gone(&self) -> UidSet {
        let exceptions = self.rows.state.exceptions.iter().map(|stored| &stored.exception);
        let gone = exceptions.filter(|exception| exception.state == ExceptionState::Gone);
        gone.filter_map(|exception| exception.uid).collect()
    }

    fn untrue_departures(&self) -> Vec<String> {
        let Some(held) = &self.source else { return Vec::new() };
        let (gone, departed, learned) = (self.called_gone(), &self.rows.state.departed, self.stage.learned());
        let excused = |uid: u32| self.place(uid).is_some_and(|place| learned.denied.contains(&place));
        let untrue = |held: &&Held| {
            let uid = Uid(held.uid);
            departed.contains(uid) || (gone.contains(uid) && !excused(held.uid))
        };
        held.iter().filter(untrue).map(|held| format!("{} is taken for gone, and is there", held.uid)).collect()
    }

    fn mark_too_high(&self) -> Option<String> {
        let (held, uid_next) = self.target.as_ref()?;
        let mark = self.rows.state.target_mark?.0;
        if mark > *uid_next {
            return Some(format!("the mark is {mark}, and UIDNEXT {uid_next}"));
        }
        let todo = self.to_be_copied();
        let claimed: BTreeSet<u32> =
            self.rows.settled.iter().filter_map(|settled| Some(settled.target_uid?.0)).collect();
        let mut unknown: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for settled in self.rows.settled.iter().filter(|settled| settled.target_uid.is_none()) {
            *unknown.entry(self.octets(settled).unwrap_or_default()).or_default() += 1;
        }
        for held in held.iter().filter(|held| held.uid < mark && !claimed.contains(&held.uid)) {
            let octets = self.stage.essence(&held.octets);
            let owners = unknown.entry(octets.clone()).or_default();
            if *owners > 0 {
                *owners -= 1;
            } else if todo.contains(&octets) && !self.stage.is_own(&held.octets) {
                return Some(format!("the mark is {mark}, and {} below it is nobody's", held.uid));
            }
        }
        None
    }

    /// What is at the source, and neither settled nor set aside.
    fn to_be_copied(&self) -> BTreeSet<Vec<u8>> {
        let held = self.source.iter().flatten();
        let (settled, aside) = (&self.rows.state.settled, self.rows.state.set_aside());
        let todo = held.filter(|held| !settled.contains(Uid(held.uid)) && !aside.contains(Uid(held.uid)));
        todo.map(|held| self.stage.essence(&held.octets)).collect()
    }

    fn untrue_step(&self) -> Option<String> {
        let (held, synced) = (self.source.as_ref()?, self.rows.state.synced.as_ref()?);
        let (settled, aside) = (&self.rows.state.settled, self.rows.state.set_aside());
        let is_open = |held: &&Held| {
            let uid = Uid(held.uid);
            uid < synced.uid_next && !settled.contains(uid) && !aside.contains(uid)
        };
        let open = held.iter().find(is_open)?;
        Some(format!("it is called in step up to {}, and {} is not settled", synced.uid_next, open.uid))
    }
}
