//! Further connections to the source, on which the mailbox that is copied is read beside the run's own: where they come
//! from, and what they must show before anything that they say is used.

use super::trial::Trial;
use crate::bounds;
use crate::budget::Share;
use crate::error::LinkError;
use crate::oversight::ServerSign;
use crate::scan::Listing;
use crate::sources::Seat;
use crate::walk::{Links, Pair, Walk};
use mailhaul_imap::{Connection, ImapError, SelectedMailbox};
use mailhaul_types::{MailboxName, ModSeq, NameEncoding, Side, Uid, UidValidity, escape};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a pass has for the reading of its mailbox beside the run's connection. It outlives the single transfer.
pub(crate) struct Aid<'a> {
    walk: &'a Walk<'a>,
    mailbox: &'a MailboxName,
    /// What the run's own connection has seen of the mailbox.
    known: Known,
    encoding: NameEncoding,
    kept: Mutex<Vec<Further>>,
    trial: Mutex<Trial>,
}

/// By what a mailbox is known to be the same.
#[derive(Debug, Clone)]
struct Known {
    uid_validity: UidValidity,
    uid_next: Option<Uid>,
    highest_modseq: Option<ModSeq>,
    mailbox_id: Option<String>,
}

/// A further connection, with the mailbox open, and its place among those of the account.
pub(crate) struct Further {
    pub(super) connection: Connection,
    pub(super) _seat: Seat,
}

/// With what a further connection begins.
pub(super) struct Beginning {
    pub(super) kind: Kind,
    /// Memory for what it delivers before its turn.
    pub(super) room: Share,
}

/// Where it comes from.
pub(super) enum Kind {
    Open(Box<Further>),
    /// It has to be made first; whether its line is to be compressed.
    New(Seat, bool),
}

impl<'a> Aid<'a> {
    pub(crate) fn new(walk: &'a Walk<'a>, links: &Links, pair: &Pair<'a>, listing: &Listing) -> Self {
        let Listing { uid_validity, uid_next, highest_modseq, mailbox_id, .. } = listing;
        let known = Known {
            uid_validity: *uid_validity,
            uid_next: *uid_next,
            highest_modseq: *highest_modseq,
            mailbox_id: mailbox_id.clone(),
        };
        let encoding = links.source.name_encoding();
        Self { walk, mailbox: pair.source, known, encoding, kept: Mutex::default(), trial: Mutex::default() }
    }

    /// How many are wanted from the beginning, whatever there is to measure.
    pub(super) fn wanted_at_once(&self) -> usize {
        self.walk.job.connections.reading.saturating_sub(1)
    }

    /// Whether one more may be tried.
    pub(super) fn may_try(&self) -> bool {
        self.walk.sources.may_try_reader()
    }

    /// Whether those that there are are wanted elsewhere.
    pub(super) fn is_wanted_elsewhere(&self) -> bool {
        self.walk.sources.do_mailboxes_wait() || self.walk.supervisor.is_reading_crowded()
    }

    /// Nothing further is tried for a while, or in this run.
    pub(super) fn give_up(&self, for_good: bool) {
        self.walk.sources.no_more_readers(for_good);
    }

    /// A connection that is open already, or room for a new one.
    pub(super) fn begin(&self, compress: bool) -> Option<Beginning> {
        let room = self.room()?;
        let kind = match self.lock().pop() {
            Some(further) => Kind::Open(Box::new(further)),
            None => Kind::New(self.walk.sources.widen_reading(&*self.walk.supervisor)?, compress),
        };
        Some(Beginning { kind, room })
    }

    /// Memory for what one connection delivers before its turn.
    pub(super) fn room(&self) -> Option<Share> {
        self.walk.sources.budgets.held.take(bounds::HELD_BY_READER)
    }

    /// Whether one is open from an earlier transfer.
    pub(super) fn has_kept(&self) -> bool {
        !self.lock().is_empty()
    }

    /// What a server has said on a further connection, if it asks everybody to slow down.
    pub(super) fn note_throttle(&self, error: ImapError) {
        if let Some(sign @ ServerSign::Throttled(_)) = LinkError::new(Side::Source, error).sign() {
            self.walk.supervisor.sign(Side::Source, sign);
        }
    }

    /// Keeps one for the next transfer.
    pub(super) fn keep(&self, further: Further) {
        self.lock().push(further);
    }

    pub(super) fn trial(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Further>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs in and opens the mailbox; in words why it cannot be read there.
    pub(super) async fn open(&self, compress: bool) -> Result<Connection, String> {
        let told = |error: ImapError| {
            let words = escape(&error.to_string());
            self.note_throttle(error);
            words
        };
        let accounts = &self.walk.job.accounts;
        let (endpoint, credentials) = (&accounts.source.endpoint, &accounts.source.credentials);
        let opened = Connection::open(Side::Source, endpoint, credentials, &accounts.timeouts).await;
        let mut connection = opened.map_err(told)?;
        if connection.name_encoding() != self.encoding {
            return Err("it spells names otherwise than the first connection".to_owned());
        }
        if compress {
            connection.compress().await.map_err(told)?;
        }
        let selected = connection.examine(self.mailbox).await.map_err(told)?;
        self.known.compare(&selected)?;
        Ok(connection)
    }

    /// Nothing more is read. A server that does not answer to the good-bye in time is left without.
    pub(crate) async fn close(&self) {
        let kept = std::mem::take(&mut *self.lock());
        let farewells = kept.into_iter().map(Further::farewell);
        futures_util::future::join_all(farewells).await;
    }
}

impl Further {
    pub(super) async fn farewell(self) {
        if tokio::time::timeout(bounds::LOGOUT, self.connection.logout()).await.is_err() {
            tracing::debug!("the source did not answer LOGOUT");
        }
    }
}

impl Known {
    /// Whether this is the same mailbox in a state that is not older; in words if not.
    fn compare(&self, selected: &SelectedMailbox) -> Result<(), String> {
        if selected.uid_validity != Some(self.uid_validity) {
            return Err("it shows another UIDVALIDITY".to_owned());
        }
        if let (Some(known), Some(shown)) = (&self.mailbox_id, &selected.mailbox_id)
            && known != shown
        {
            return Err("it shows another mailbox under this name".to_owned());
        }
        let is_older =
            |known: Option<u64>, shown: Option<u64>| known.is_some() && shown.is_none_or(|shown| Some(shown) < known);
        let number = |uid: Uid| u64::from(uid.0);
        // Flags come with the bodies, and the mailbox counts as in step with the first connection's HIGHESTMODSEQ: older
        // ones would stay (RFC 7162 §3.1.2.1).
        if selected.uid_next.is_some() && is_older(self.uid_next.map(number), selected.uid_next.map(number))
            || is_older(self.highest_modseq.map(|modseq| modseq.0), selected.highest_modseq.map(|modseq| modseq.0))
        {
            return Err("it shows an older state of the mailbox".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_mailbox_in_a_state_that_is_not_older_is_read() {
        let known = Known {
            uid_validity: UidValidity(7),
            uid_next: Some(Uid(10)),
            highest_modseq: Some(ModSeq(50)),
            mailbox_id: Some("a".to_owned()),
        };
        let shown = |validity, uid_next: Option<u32>, id: Option<&str>| SelectedMailbox {
            uid_validity: validity,
            uid_next: uid_next.map(Uid),
            mailbox_id: id.map(str::to_owned),
            exists: 1,
            highest_modseq: Some(ModSeq(50)),
            permanent_flags: mailhaul_imap::PermanentFlags::default(),
            read_only: true,
        };
        let same = Some(UidValidity(7));
        for good in [shown(same, Some(10), Some("a")), shown(same, Some(11), None), shown(same, None, None)] {
            assert_eq!(known.compare(&good), Ok(()), "{good:?}");
        }
        let other = Some(UidValidity(8));
        let bad = [
            shown(other, Some(10), Some("a")),
            shown(None, Some(10), Some("a")),
            shown(same, Some(9), Some("a")),
            shown(same, Some(10), Some("b")),
            SelectedMailbox { highest_modseq: Some(ModSeq(49)), ..shown(same, Some(10), Some("a")) },
            SelectedMailbox { highest_modseq: None, ..shown(same, Some(10), Some("a")) },
        ];
        for bad in bad {
            assert!(known.compare(&bad).is_err(), "{bad:?}");
        }
    }
}
