//! Answering one chosen command otherwise than the model would.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A command that a model has received whole, and has not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name in upper case, with `UID` where that belongs to it: `UID FETCH`. A connection's greeting is `GREETING`.
    pub name: String,
    /// Which command of this name it is, of all connections to this server, from 1.
    pub nth: u64,
    /// Which command it is of all that this server received, from 1; greetings count.
    pub total: u64,
    /// Which connection it came over, from 1.
    pub connection: u64,
    /// The octets behind the name; long for APPEND.
    pub arguments: Vec<u8>,
}

/// What to do about a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// What the model does of its own accord.
    #[default]
    AsUsual,
    /// It is not carried out, and answered NO with these words; they may begin with a response code in brackets.
    No(String),
    /// It is not carried out, and answered BAD with these words.
    Bad(String),
    /// It is not carried out; the server says good-bye and the connection ends.
    Bye,
    /// It is not carried out; the connection ends without a word.
    End,
    /// It is not carried out, and neither is it answered nor anything behind it carried out, as if the server hung.
    Silence,
    /// It is not carried out; an OK comes under the tag of a command that nobody has sent.
    OkForAnother,
    /// It is carried out and answered with its verdict alone, without untagged responses and response codes.
    WithoutData,
    /// It is carried out, and these octets come in place of its untagged responses; the verdict follows as usual.
    Malformed(Vec<u8>),
    /// It is carried out; the connection ends without a word of that.
    DoneThenEnd,
    /// It is carried out, and neither is it answered nor anything behind it carried out, as if the server hung.
    DoneThenSilence,
}

type Hook = Box<dyn FnMut(&Seen) -> Answer + Send>;

/// The hook of a server, and what has been counted for it. They are locked apart, so that a hook may ask for the counts.
#[derive(Default)]
pub(super) struct Hooked {
    hook: Mutex<Option<Hook>>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    by_name: BTreeMap<String, u64>,
    total: u64,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hooked")
    }
}

impl Hooked {
    pub(super) fn set(&self, hook: Option<Hook>) {
        *lock(&self.hook) = hook;
    }

    /// Commands of this name so far.
    pub(super) fn count(&self, name: &str) -> u64 {
        lock(&self.counts).by_name.get(name).copied().unwrap_or(0)
    }

    /// Counts a command and asks what to do about it.
    pub(super) fn ask(&self, name: &str, connection: u64, arguments: &[u8]) -> Answer {
        let (nth, total) = lock(&self.counts).count(name);
        let mut hook = lock(&self.hook);
        let Some(hook) = hook.as_mut() else { return Answer::AsUsual };
        hook(&Seen { name: name.to_owned(), nth, total, connection, arguments: arguments.to_vec() })
    }
}

impl Counts {
    /// Which of its name, and which of all.
    fn count(&mut self, name: &str) -> (u64, u64) {
        self.total += 1;
        let nth = self.by_name.entry(name.to_owned()).or_default();
        *nth += 1;
        (*nth, self.total)
    }
}

/// A hook that panicked has failed its test already, and counts are whole at any moment.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
