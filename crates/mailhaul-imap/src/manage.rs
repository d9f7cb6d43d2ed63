//! CREATE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.4, §6.3.6 to §6.3.8), the first and the third also in bursts.

use crate::command::{Command, immediate_string};
use crate::connection::Connection;
use crate::error::{ErrorClass, ImapError};
use crate::pipeline::{self, InFlight, Pipelined, Refusals};
use crate::status_line::{Context, StatusLine};
use bytes::Bytes;
use mailhaul_types::MailboxName;
use std::collections::VecDeque;
use tokio::time::Instant;

/// What became of mailboxes that were asked for together.
#[derive(Debug)]
pub struct Managed {
    /// For each of them whether the server has answered OK.
    pub done: Vec<bool>,
    /// Whatever ended the connection. What was answered before is done all the same.
    pub end: Result<(), ImapError>,
    /// When half of them were answered; `None` if it has not come to that. The later half takes longer where each costs
    /// the server more the more there are.
    pub halfway: Option<Instant>,
}

impl Connection {
    /// Creates a mailbox.
    ///
    /// # Errors
    /// As every command; `Refused` also if it exists already.
    pub async fn create(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("CREATE").mailbox(name)?).await
    }

    /// Renames a mailbox, and with it those beneath it. Its UIDs stay valid on most servers; look at UIDVALIDITY.
    /// Subscriptions do not follow (RFC 9051 §6.3.6), and renaming INBOX moves its messages out of it and leaves it.
    ///
    /// # Errors
    /// As every command; `Refused` also if the new name is taken.
    pub async fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("RENAME").mailbox(from)?.mailbox(to)?).await
    }

    /// Subscribes to a mailbox.
    ///
    /// # Errors
    /// As every command.
    pub async fn subscribe(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("SUBSCRIBE").mailbox(name)?).await
    }

    /// Ends the subscription to a mailbox, which need not exist any more.
    ///
    /// # Errors
    /// As every command.
    pub async fn unsubscribe(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("UNSUBSCRIBE").mailbox(name)?).await
    }

    /// Creates mailboxes, in this order, with up to `at_once` commands (one at least) in flight; for each, whether it was
    /// created just now. One that is refused, or whose name the server would have to be waited for, is not: ask for it
    /// alone. Where the server asks to slow down, the rest is left out.
    pub async fn create_all(&mut self, names: &[&MailboxName], at_once: usize) -> Managed {
        self.manage_all("CREATE", names, at_once).await
    }

    /// Subscribes to mailboxes, else as [`Connection::create_all`].
    pub async fn subscribe_all(&mut self, names: &[&MailboxName], at_once: usize) -> Managed {
        self.manage_all("SUBSCRIBE", names, at_once).await
    }

    async fn manage_all(&mut self, word: &'static str, names: &[&MailboxName], at_once: usize) -> Managed {
        let talk = self.talk();
        let mode = talk.capabilities.literal_mode();
        let can_be_sent = |name: &MailboxName| !name.wire().iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
        let jobs: VecDeque<Named> = names
            .iter()
            .enumerate()
            .filter(|(_, name)| can_be_sent(name))
            .filter_map(|(place, name)| Some(Named { place, name: immediate_string(name.wire(), mode)? }))
            .collect();
        let mut work =
            Burst { word, done: vec![false; names.len()], to_halfway: jobs.len().div_ceil(2), halfway: None };
        let end = match pipeline::run_many(talk.wire, word, &mut work, jobs, at_once.max(1)).await {
            Err(ImapError::Refused { .. }) => Ok(()),
            end => end,
        };
        Managed { done: work.done, end, halfway: work.halfway }
    }

    async fn manage(&mut self, command: Command) -> Result<(), ImapError> {
        self.talk().run(command, &mut |_| {}).await.map(drop)
    }
}

/// A mailbox by its place in what was asked for, with its name ready to be sent.
struct Named {
    place: usize,
    name: Vec<u8>,
}

struct Burst {
    word: &'static str,
    done: Vec<bool>,
    /// Answers that are missing until half of all are there.
    to_halfway: usize,
    halfway: Option<Instant>,
}

impl Burst {
    fn note_answer(&mut self) {
        self.to_halfway = self.to_halfway.saturating_sub(1);
        if self.to_halfway == 0 {
            self.halfway.get_or_insert_with(Instant::now);
        }
    }
}

impl Pipelined for Burst {
    type Job = Named;

    fn command(&self, job: &Named) -> Vec<u8> {
        [self.word.as_bytes(), b" ", &job.name].concat()
    }

    fn untagged(&mut self, _: &Bytes, _: bool, _: &mut InFlight<Named>) {}

    fn answered(&mut self, job: Named, _: &StatusLine) -> Result<Vec<Named>, ImapError> {
        self.done[job.place] = true;
        self.note_answer();
        Ok(Vec::new())
    }

    fn refused(&mut self, _: Named, line: &StatusLine) -> Refusals {
        self.note_answer();
        let class = line.class(Context::Mailbox);
        if matches!(class, ErrorClass::Throttle | ErrorClass::SignIn) { Refusals::End } else { Refusals::GoOn }
    }
}
