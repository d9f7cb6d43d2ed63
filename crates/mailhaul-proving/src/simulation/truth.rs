//! The ledger's rows, held against what really was on both servers: whatever is struck, nothing may stand in them that is
//! not so. The judge remembers both servers by UIDVALIDITY and UID, and reads the rows as any other reader would.

use super::network::Network;
use super::pass::accounts;
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
pub fn expect_true_ledger(outcome: &mut Outcome, repeat: &str, stage: &Stage) {
    match read(stage) {
        Err(error) => outcome.fail(repeat, format!("the ledger cannot be read: {error}")),
        Ok(mailboxes) => {
            for rows in mailboxes {
                let wrong = Truth::about(stage, &rows).wrong();
                if !wrong.is_empty() {
                    let name = &rows.source;
                    outcome.fail(repeat, format!("the ledger is not true of {name}: {}", wrong.join("; ")));
                }
            }
        }
    }
}

/// The copies that the ledger knows of, by UIDVALIDITY and UID.
pub(super) fn settled_targets(stage: &Stage) -> BTreeSet<(u32, u32)> {
    let uids = |rows: Rows| {
        let validity = rows.state.target_uid_validity.map_or(0, |validity| validity.0);
        rows.settled.into_iter().filter_map(move |settled| Some((validity, settled.target_uid?.0)))
    };
    read(stage).unwrap_or_default().into_iter().flat_map(uids).collect()
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
                Some(_) if settled.state == SettledState::AdoptedAltered => None,
                Some(copy) if self.stage.essence(&copy) == octets => None,
                Some(_) => Some(format!("{uid} is settled as {:?}, which is another message", settled.target_uid)),
            }
        };
        self.rows.settled.iter().filter_map(untrue).collect()
    }

    fn untrue_departures(&self) -> Vec<String> {
        let Some(held) = &self.source else { return Vec::new() };
        let state = &self.rows.state;
        let exceptions = state.exceptions.iter().map(|stored| &stored.exception);
        let gone = exceptions.filter(|exception| exception.state == ExceptionState::Gone);
        let gone: UidSet = gone.filter_map(|exception| exception.uid).collect();
        let untrue = |held: &&Held| gone.contains(Uid(held.uid)) || state.departed.contains(Uid(held.uid));
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
