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
    /// The same, with what might have shared the copy, where a target keeps of equal messages one only.
    pub shared: Vec<Shared>,
    /// The same, where the ledger knew of the copy: it does not come back.
    pub taken_for_good: Vec<ForGood>,
    /// He has moved it here.
    pub brought: Vec<Former>,
    /// He has changed its flags.
    pub flagged: Vec<Former>,
}

/// A copy that its owner has taken away, and what might have shared it by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Where it was, and its octets.
    pub former: Former,
    /// What had ever been at the source, by the source's mailbox.
    pub at_source: Vec<Former>,
}

/// A copy that the ledger knew of and its owner has taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForGood {
    /// Where it was, and its octets.
    pub former: Former,
    /// Its UIDVALIDITY and UID.
    pub place: (u32, u32),
    /// The source mailbox that it was copied from, and the UIDVALIDITY under which the ledger knew that mailbox then.
    pub from: (String, u32),
}

/// Mail of the target's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Where he has put it first, by the target's name.
    pub mailbox: String,
    /// Its octets.
    pub octets: Vec<u8>,
    /// Its internal date, in seconds since 1970.
    pub date: i64,
    /// Its flags.
    pub flags: Vec<String>,
}

/// A message that has left its mailbox at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Which mailbox.
    pub mailbox: String,
    /// Its octets.
    pub octets: Vec<u8>,
    /// Where it was moved, if it was.
    pub to: Option<String>,
}

/// A copy that was found on the target, with flags that the source had taken away by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFlags {
    /// The message's essence.
    pub essence: Vec<u8>,
    /// These flags.
    pub flags: BTreeSet<String>,
}

/// What the judge has learned from the ledger and may excuse something later.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// What stood in the ledger, by the source's UIDVALIDITY and UID, when it was looked at last or ever before since it was
    /// put back.
    pub known: BTreeSet<(u32, u32)>,
    /// Copies that were found rather than confirmed, with flags that the source had taken away by then.
    pub adopted: Vec<KeptFlags>,
    /// Messages, by source mailbox, UIDVALIDITY and UID, that were called gone when the source had denied them in UID
    /// FETCH and in UID SEARCH alike.
    pub denied: BTreeSet<(String, u32, u32)>,
    /// Under which UIDVALIDITY the ledger knew each source mailbox when it was looked at last.
    pub validities: BTreeMap<String, u32>,
}

/// What was at the source and is not any more: once for each message, and whereto. Clones are the same memory.
#[derive(Clone, Debug, Default)]
pub struct Past(Arc<Mutex<Vec<Departure>>>);

impl Past {
    /// A memory of its own that knows the same.
    #[must_use]
    pub fn fork(&self) -> Past {
        Past(Arc::new(Mutex::new(lock(&self.0).clone())))
    }

    /// A message has left this mailbox, for another one if it was moved.
    pub fn add(&self, mailbox: &str, octets: &[u8], to: Option<&str>) {
        let (mailbox, octets, to) = (mailbox.to_owned(), octets.to_vec(), to.map(str::to_owned));
        lock(&self.0).push(Departure { mailbox, octets, to });
    }

    /// Everything that has left, and everything that is at the source: what was ever there, by mailbox.
    #[must_use]
    pub fn and_present(&self, source: &ModelServer) -> Vec<Former> {
        let left = self.all().into_iter().map(|left| (left.mailbox, left.octets));
        let present = source
            .contents()
            .into_iter()
            .flat_map(|(mailbox, held)| held.into_iter().map(move |held| (mailbox.clone(), held.octets.to_vec())));
        left.chain(present).collect()
    }

    /// Everything that has left.
    #[must_use]
    pub fn all(&self) -> Vec<Departure> {
        lock(&self.0).clone()
    }

    /// How many messages have left a mailbox.
    #[must_use]
    pub fn of(&self, mailbox: &str) -> u64 {
        lock(&self.0).iter().filter(|left| left.mailbox == mailbox).count() as u64
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
    /// Every flag that such a message was ever seen with.
    flags: BTreeMap<Arc<[u8]>, BTreeSet<String>>,
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
            for Held { uid, octets, flags, .. } in held {
                seen.messages.insert((validity, uid), Arc::clone(&octets));
                seen.flags.entry(Arc::clone(&octets)).or_default().extend(flags);
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

    /// Whether a mailbox has ever held such a message.
    #[must_use]
    pub fn has_held(&self, mailbox: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
        lock(&self.0).by_name.iter().any(|(name, _, octets)| name == mailbox && is_it(octets))
    }

    /// Every flag that such a message was ever seen with.
    #[must_use]
    pub fn flags_of(&self, is_it: impl Fn(&[u8]) -> bool) -> BTreeSet<String> {
        let seen = lock(&self.0);
        seen.flags.iter().filter(|(octets, _)| is_it(octets)).flat_map(|(_, flags)| flags.clone()).collect()
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
