//! A model of an IMAP4rev1 server in memory: octets in, octets out.
//!
//! It has neither threads nor a clock: [`ModelConnection::receive`] takes octets however they are cut, and
//! [`ModelConnection::output`] hands out what is to be sent back; simulated time passes when [`ModelServer::advance`] says so.
//! A whole account therefore can be copied in milliseconds, over any network that a test makes up, and the same steps have the
//! same outcome each time.
//!
//! [`Traits`] says what the server announces and in what it is odd. Any user name signs in, with [`PASSWORD`].
//! [`ModelServer`] is also its owner's hand: mail is delivered, moved and deleted without IMAP, and mailboxes are read for
//! judgement. [`ModelServer::on_command`] answers a chosen command otherwise, and [`serve()`] puts a model behind a real port.
//!
//! Not modelled: TLS, ENVELOPE and BODYSTRUCTURE, `\Recent`, NOTIFY, UTF8=ACCEPT, shared mailboxes.

mod append;
mod connection;
mod dispatch;
mod extras;
mod fetch_items;
mod gather;
mod hook;
mod list;
mod mailbox;
mod manage;
mod moving;
mod parse;
mod reply;
mod search;
mod section;
mod select;
mod serve;
mod sign_in;
mod status;
mod store;
mod traits;
mod uid_fetch;
mod uids;
mod view;
mod world;

pub use connection::ModelConnection;
pub use hook::{Answer, Seen};
pub use serve::{Served, serve};
pub use traits::{Alters, Duplicates, Landing, Literals, Traits};

use crate::corpus::{Corpus, CorpusMessage};
use crate::judge::MailboxPath;
use hook::Hooked;
use mailbox::{Incoming, flag_set};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::{Holdings, World};

/// The password of every user.
pub const PASSWORD: &str = "demo-secret";

/// A message that a model holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its UID.
    pub uid: u32,
    /// Its octets.
    pub octets: Arc<[u8]>,
    /// Its internal date in seconds since 1970.
    pub date: i64,
    /// Its flags and keywords, sorted; never `\Recent`.
    pub flags: Vec<String>,
}

/// A server as it was at some moment: mailboxes, messages, UIDs, subscriptions.
#[derive(Clone, Debug)]
pub struct Saved(Holdings);

/// A model server with one account. Clones are the same server.
#[derive(Clone, Debug)]
pub struct ModelServer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    hooked: Hooked,
}

impl ModelServer {
    /// A server with an empty INBOX.
    #[must_use]
    pub fn new(traits: Traits) -> Self {
        Self(Arc::new(Shared { world: Mutex::new(World::new(traits)), hooked: Hooked::default() }))
    }

    /// Another server that is now as this one is: what happens to one from here on does not happen to the other. Hooks,
    /// counts and connections stay with this one.
    #[must_use]
    pub fn fork(&self) -> Self {
        let world = self.world().clone();
        Self(Arc::new(Shared { world: Mutex::new(world), hooked: Hooked::default() }))
    }

    /// A new connection; the greeting waits in its output.
    #[must_use]
    pub fn connect(&self) -> ModelConnection {
        let number = self.world().connections_next();
        ModelConnection::new(self.clone(), number)
    }

    /// Asks `hook` about every command from now on, before it is carried out, and about every greeting. The hook may use the
    /// server's other methods, as its owner would at that moment, but neither this one nor [`ModelServer::as_usual`].
    pub fn on_command(&self, hook: impl FnMut(&Seen) -> Answer + Send + 'static) {
        self.0.hooked.set(Some(Box::new(hook)));
    }

    /// Everything is answered as usual again.
    pub fn as_usual(&self) {
        self.0.hooked.set(None);
    }

    /// How many commands of this name were received, over all connections; `GREETING` counts connections.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.0.hooked.count(name)
    }

    /// Changes what the server is from the next command on. Capabilities are announced anew only when they are asked for.
    pub fn change_traits(&self, change: impl FnOnce(&mut Traits)) {
        change(&mut self.world().traits);
    }

    /// Makes a mailbox, by its whole name as the server spells it, if it is not there.
    pub fn create(&self, mailbox: &str) {
        self.world().create(mailbox);
    }

    /// Says what a mailbox is for, with the backslash: `\Sent`.
    ///
    /// # Panics
    /// When there is no such mailbox.
    pub fn set_special_use(&self, mailbox: &str, purpose: &str) {
        let mut world = self.world();
        expect_mailbox(&mut world, mailbox).special_use = Some(purpose.to_owned());
    }

    /// Subscribes to a mailbox.
    pub fn subscribe(&self, mailbox: &str) {
        self.world().holdings.subscriptions.insert(world::canonical(mailbox));
    }

    /// The names that are subscribed to.
    #[must_use]
    pub fn subscriptions(&self) -> BTreeSet<String> {
        self.world().holdings.subscriptions.clone()
    }

    /// Puts a message into a mailbox as it is, whatever the traits say of APPEND. `date` is in seconds since 1970. Its UID.
    ///
    /// # Panics
    /// When there is no such mailbox.
    pub fn deliver(&self, mailbox: &str, octets: &[u8], date: i64, flags: &[&str]) -> u32 {
        let mut world = self.world();
        let holes = world.traits.holes;
        let incoming = Incoming { octets: octets.into(), date, flags: flag_set(flags.iter().copied()) };
        expect_mailbox(&mut world, mailbox).store(incoming, holes)
    }

    /// Makes a corpus's mailboxes and puts its messages into them.
    pub fn fill(&self, corpus: &Corpus) {
        let (prefix, delimiter) = {
            let world = self.world();
            (world.traits.prefix.clone(), world.traits.delimiter)
        };
        for mailbox in &corpus.mailboxes {
            let name = MailboxPath(mailbox.path.clone()).on_server(&prefix, Some(delimiter));
            self.create(&name);
            let deliver = |message: &CorpusMessage| {
                let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
                self.deliver(&name, &message.octets, message.unix_secs, &flags)
            };
            let uids: Vec<u32> = mailbox.messages.iter().map(deliver).collect();
            let gone: Vec<u32> = mailbox.expunged.iter().filter_map(|at| uids.get(*at).copied()).collect();
            self.expunge(&name, &gone);
            if mailbox.subscribed {
                self.subscribe(&name);
            }
        }
    }

    /// Deletes messages for good, whatever their flags are. UIDs that are not there are passed over.
    ///
    /// # Panics
    /// When there is no such mailbox.
    pub fn expunge(&self, mailbox: &str, uids: &[u32]) {
        let mut world = self.world();
        expect_mailbox(&mut world, mailbox).remove(&uids.iter().copied().collect());
    }

    /// Gives a message these flags and no others. Whether it is there.
    ///
    /// # Panics
    /// When there is no such mailbox.
    pub fn set_flags(&self, mailbox: &str, uid: u32, flags: &[&str]) -> bool {
        let mut world = self.world();
        let mailbox = expect_mailbox(&mut world, mailbox);
        mailbox.change_flags(uid, |set| *set = flag_set(flags.iter().copied()));
        mailbox.get(uid).is_some()
    }

    /// Moves messages from one mailbox to another; the pairs of UIDs before and after. UIDs that are not there are passed
    /// over.
    ///
    /// # Panics
    /// When there is no such mailbox.
    pub fn move_(&self, from: &str, uids: &[u32], to: &str) -> Vec<(u32, u32)> {
        let mut world = self.world();
        expect_mailbox(&mut world, from);
        expect_mailbox(&mut world, to);
        world.shift(from, &uids.iter().copied().collect(), to)
    }

    /// Renames a mailbox and those beneath it; UIDs and UIDVALIDITY stay. INBOX stays and gives its messages away. Whether it
    /// could be done.
    pub fn rename(&self, from: &str, to: &str) -> bool {
        self.world().rename(from, to)
    }

    /// Deletes a mailbox with its messages, and leaves those beneath it. Whether it was there.
    pub fn delete_mailbox(&self, mailbox: &str) -> bool {
        self.world().holdings.mailboxes.remove(&world::canonical(mailbox)).is_some()
    }

    /// Gives a mailbox another UIDVALIDITY and its messages other UIDs, in the same order, from 1.
    ///
    /// # Panics
    /// When there is no such mailbox.
    pub fn renumber(&self, mailbox: &str) {
        let mut world = self.world();
        let validity = world.validity();
        expect_mailbox(&mut world, mailbox).renumber(validity);
    }

    /// The server as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Saved {
        Saved(self.world().holdings.clone())
    }

    /// Puts an earlier state back, as from a backup: UIDNEXT goes back too. Connections that are open end with a good-bye at
    /// their next command.
    pub fn put_back(&self, saved: Saved) {
        let mut world = self.world();
        world.holdings = saved.0;
        world.epoch += 1;
    }

    /// All mailboxes and their messages in the order of their UIDs.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<Held>> {
        let world = self.world();
        let held = |mailbox: &mailbox::Mailbox| mailbox.messages.iter().map(Held::of).collect();
        world.holdings.mailboxes.iter().map(|(name, mailbox)| (name.clone(), held(mailbox))).collect()
    }

    /// UIDVALIDITY of a mailbox.
    #[must_use]
    pub fn uid_validity(&self, mailbox: &str) -> Option<u32> {
        self.world().mailbox(mailbox).map(|mailbox| mailbox.uid_validity)
    }

    /// UIDNEXT of a mailbox.
    #[must_use]
    pub fn uid_next(&self, mailbox: &str) -> Option<u32> {
        self.world().mailbox(mailbox).map(|mailbox| mailbox.uid_next)
    }

    /// Lets simulated time pass; what is due meanwhile lands in its order.
    pub fn advance(&self, millis: u64) {
        self.world().advance(millis);
    }

    /// Simulated milliseconds until something lands, if something is on its way.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.world().due()
    }

    /// How many messages APPEND has stored, ever. What was merged with another was not stored.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.world().appended
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // Whoever panicked while holding it has failed the test already.
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(message: &mailbox::Message) -> Self {
        let flags = message.flags.iter().cloned().collect();
        Self { uid: message.uid, octets: Arc::clone(&message.octets), date: message.date, flags }
    }
}

fn expect_mailbox<'a>(world: &'a mut World, name: &str) -> &'a mut mailbox::Mailbox {
    world.mailbox_mut(name).unwrap_or_else(|| panic!("the model has no mailbox {name}"))
}

#[cfg(test)]
mod tests;
