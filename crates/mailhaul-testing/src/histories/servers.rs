//! The servers that all histories share: one for each set of extensions on each side, started when it is first needed. Users
//! cost nothing: each history has its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::policy::Offers;
use crate::dovecot::{Dovecot, Offer, Store};

/// Many users come and go: a process that has served one of them serves the next.
const REUSE: &str = "service imap {\n  service_count = 500\n  process_min_avail = 4\n}\n";

/// Both sides' servers.
#[derive(Debug, Default)]
pub struct Servers {
    sources: Mutex<BTreeMap<Offer, Arc<Dovecot>>>,
    targets: Mutex<BTreeMap<Offer, Arc<Dovecot>>>,
}

impl Servers {
    /// Source and target that announce this.
    #[must_use]
    pub fn of(&self, offers: Offers) -> (Arc<Dovecot>, Arc<Dovecot>) {
        let source = started(&self.sources, offers.source, || {
            Dovecot::builder().store(Store::Maildir).offer(offers.source).extra(REUSE).start()
        });
        let target = started(&self.targets, offers.target, || {
            let target = Dovecot::builder().store(Store::Sdbox).offer(offers.target).extra(REUSE);
            target.special_use("Trash", "\\Trash").start()
        });
        (source, target)
    }
}

fn started(
    servers: &Mutex<BTreeMap<Offer, Arc<Dovecot>>>,
    offer: Offer,
    start: impl FnOnce() -> Dovecot,
) -> Arc<Dovecot> {
    let mut servers = servers.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(servers.entry(offer).or_insert_with(|| Arc::new(start())))
}
