//! Failpoints during a pass: which were reached, and what happens at one of them.

use super::network::Network;
use mailhaul_types::failpoint::{self, Strike};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::Notify;

/// What happens at a failpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Striking {
    /// Its name.
    pub name: String,
    /// At which hit, from 1.
    pub hit: u64,
    /// Whether the engine dies there, or only that step fails.
    pub kills: bool,
}

impl Striking {
    /// At the `nth` failpoint that is reached, whatever its name.
    #[must_use]
    pub fn anywhere(nth: u64, kills: bool) -> Striking {
        Striking { name: ANY.to_owned(), hit: nth, kills }
    }
}

/// Stands for every name.
const ANY: &str = "*";

/// A failpoint, and how often it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its name.
    pub name: String,
    /// How often.
    pub hits: u64,
}

/// Counts what is reached, and strikes.
#[derive(Default)]
pub(super) struct Witness(Rc<RefCell<BTreeMap<String, u64>>>);

impl Witness {
    /// Looks at everything that is reached on this thread from now on.
    pub(super) fn watch(&self, strikings: Vec<Striking>, fate: &Fate) {
        let (seen, fate) = (Rc::clone(&self.0), fate.clone());
        let mut total = 0;
        failpoint::hook(Some(Box::new(move |name| {
            let mut seen = seen.borrow_mut();
            let hits = seen.entry(name.to_owned()).or_default();
            *hits += 1;
            total += 1;
            let named = |striking: &&Striking| striking.name == name && striking.hit == *hits;
            let any = |striking: &&Striking| striking.name == ANY && striking.hit == total;
            match strikings.iter().find(|striking| named(striking) || any(striking)) {
                None => Strike::Pass,
                Some(striking) => {
                    if striking.kills {
                        fate.strike_dead();
                    }
                    Strike::Fail
                }
            }
        })));
    }

    pub(super) fn reached(&self) -> Vec<Reached> {
        self.0.borrow().iter().map(|(name, hits)| Reached { name: name.clone(), hits: *hits }).collect()
    }
}

/// The engine's death. What it still does afterwards, before it is dropped, nobody ever sees: the network takes nothing
/// more from it, and the next pass finds the state as it was at that moment.
#[derive(Clone)]
pub(super) struct Fate(Rc<Death>);

struct Death {
    network: Network,
    state: PathBuf,
    next: PathBuf,
    dead: Cell<bool>,
    told: Notify,
}

impl Fate {
    pub(super) fn new(network: &Network, state: PathBuf, next: PathBuf) -> Fate {
        let network = network.clone();
        Fate(Rc::new(Death { network, state, next, dead: Cell::new(false), told: Notify::new() }))
    }

    /// Resolves when the engine was struck dead at a failpoint.
    pub(super) async fn struck(&self) {
        self.0.told.notified().await;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.dead.get()
    }

    /// `kill -9`: neither farewell nor commit.
    pub(super) fn strike_dead(&self) {
        if self.0.dead.replace(true) {
            return;
        }
        self.0.network.freeze();
        std::fs::create_dir(&self.0.next).expect("a folder for the state");
        // The index of the log is made anew by whoever opens it next.
        for name in ["mailhaul.db", "mailhaul.db-wal"] {
            let from = self.0.state.join(name);
            if from.is_file() {
                std::fs::copy(from, self.0.next.join(name)).expect("a copy of the state");
            }
        }
        self.0.told.notify_one();
    }
}
