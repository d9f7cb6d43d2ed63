//! What was ever there: the judge's memory of both servers.

use mailhaul_testing::model::{Held, ModelServer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A message that was somewhere: mailbox and octets.
pub type Former = (String, Vec<u8>);

/// What the target's owner has done to copies, by the target's mailbox.
#[derive(Clone, Debug, Default)]
pub struct Doings {
    /// He has deleted it there, or moved it away.
    pub taken: Vec<Former>,
    /// The same, where the ledger knew of the copy: it does not come back.
    pub taken_for_good: Vec<Former>,
    /// He has moved it here.
    pub brought: Vec<Former>,
    /// He has changed its flags.
    pub flagged: Vec<Former>,
}

/// What was at the source and is not any more: mailbox and octets, once for each message. Clones are the same memory.
#[derive(Clone, Debug, Default)]
pub struct Past(Arc<Mutex<Vec<Former>>>);

impl Past {
    /// A memory of its own that knows the same.
    #[must_use]
    pub fn fork(&self) -> Past {
        Past(Arc::new(Mutex::new(lock(&self.0).clone())))
    }

    /// A message has left this mailbox.
    pub fn add(&self, mailbox: &str, octets: &[u8]) {
        lock(&self.0).push((mailbox.to_owned(), octets.to_vec()));
    }

    /// Everything that has left.
    #[must_use]
    pub fn all(&self) -> Vec<Former> {
        lock(&self.0).clone()
    }

    /// How many messages have left a mailbox.
    #[must_use]
    pub fn of(&self, mailbox: &str) -> u64 {
        lock(&self.0).iter().filter(|(name, _)| name == mailbox).count() as u64
    }
}

/// Every message that a server was ever seen to hold, by UIDVALIDITY and UID: the model gives no UIDVALIDITY twice, and no
/// UID twice beneath it. Clones are the same memory.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Seen>>);

#[derive(Clone, Debug, Default)]
struct Seen {
    messages: BTreeMap<(u32, u32), Arc<[u8]>>,
    /// What each mailbox was ever seen to hold under which UID, whatever its UIDVALIDITY was.
    by_name: BTreeSet<(String, u32, Arc<[u8]>)>,
}

impl Memory {
    /// A memory of its own that knows the same.
    #[must_use]
    pub fn fork(&self) -> Memory {
        Memory(Arc::new(Mutex::new(lock(&self.0).clone())))
    }

    /// Looks at everything that the server holds now.
    pub fn observe(&self, server: &ModelServer) {
        let mut seen = lock(&self.0);
        for (mailbox, held) in server.contents() {
            let Some(validity) = server.uid_validity(&mailbox) else { continue };
            for Held { uid, octets, .. } in held {
                seen.messages.insert((validity, uid), Arc::clone(&octets));
                seen.by_name.insert((mailbox.clone(), uid, octets));
            }
        }
    }

    /// What stood, or stands, under this UID.
    #[must_use]
    pub fn octets(&self, validity: u32, uid: u32) -> Option<Arc<[u8]>> {
        lock(&self.0).messages.get(&(validity, uid)).cloned()
    }

    /// Whether such a message was ever there.
    #[must_use]
    pub fn knows(&self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        lock(&self.0).messages.values().any(|known| is_it(known))
    }

    /// Everything that a mailbox has ever held under this UID.
    #[must_use]
    pub fn under(&self, mailbox: &str, uid: u32) -> Vec<Arc<[u8]>> {
        let seen = lock(&self.0);
        let found = seen.by_name.iter().filter(|(name, known, _)| name == mailbox && *known == uid);
        found.map(|(_, _, octets)| Arc::clone(octets)).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it has failed the case already.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
