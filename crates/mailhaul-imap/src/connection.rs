//! The connection: what callers hold. Each method is one command in a file of its own; those of the later commands stand
//! in their files.

use crate::append::{self, AppendOptions, AppendReader, AppendWriter};
use crate::bodies::{BodyFetcher, FetchOptions};
use crate::capabilities::Capabilities;
use crate::connect;
use crate::control::{self, Session};
use crate::endpoint::{Credentials, Endpoint, Timeouts};
use crate::error::ImapError;
use crate::first_questions::{self, Wanted};
use crate::headers::{self, HeaderRow};
use crate::introduction::{Introduction, OpeningStep};
use crate::list::{self, ListedMailbox};
use crate::list_status;
use crate::namespace::{self, Namespaces};
use crate::scan::{self, ScanItems, ScanRow, ScanTally};
use crate::search;
use crate::select::{self, Access, CondStore, SelectedMailbox};
use crate::session::{Talk, set_octets_max};
use crate::status::{self, MailboxStatus};
use crate::wire::Wire;
use crate::wire::io::Progress;
use mailhaul_types::{MailboxName, NameEncoding, Side, UidRange, UidSet};
use std::sync::Arc;

/// What went over the wire so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireStatistics {
    /// Commands sent.
    pub commands: u64,
    /// Octets received, after TLS.
    pub bytes_in: u64,
    /// Octets sent, before TLS.
    pub bytes_out: u64,
}

/// A connection's signs of life, for whoever watches it from outside. Outlives the connection.
#[derive(Debug, Clone)]
pub struct WirePulse(Arc<Progress>);

impl WirePulse {
    /// A number that changes while octets move in either direction.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.0.mark()
    }
}

/// A signed-in connection to one server for one account.
///
/// After any error for which [`ImapError::leaves_connection_usable`] is false, and after a future of it was dropped
/// in the middle, every further command fails: drop the connection and open another.
pub struct Connection {
    session: Session,
    capabilities: Capabilities,
    encoding: NameEncoding,
    software: Option<String>,
    timeouts: Timeouts,
    set_octets_max: usize,
    /// Whether the server takes the CONDSTORE that it announces.
    pub(crate) condstore: CondStore,
    /// What the server told of its namespaces when it was asked who it is.
    namespaces: Option<Namespaces>,
    /// What it listed then, until somebody asks.
    listed: Option<Vec<ListedMailbox>>,
    /// EXISTS of the mailbox that is open, when it was opened.
    pub(crate) selected: Option<u32>,
    /// How often a mailbox was opened, or tried to be.
    openings: u64,
    /// Whether the server said ENABLED QRESYNC.
    pub(crate) qresync_enabled: bool,
    /// Whether the server said OK to NOTIFY.
    pub(crate) notifying: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("software", &self.software).finish_non_exhaustive()
    }
}

impl Connection {
    /// Resolves, connects, secures, signs in, and learns what the server can do.
    ///
    /// UTF8=ACCEPT (RFC 6855) is enabled on a source that offers it, because it may otherwise hand out downgraded
    /// mail; on a target only if it takes nothing else.
    ///
    /// # Errors
    /// Every way in which that fails; see [`ImapError`].
    pub async fn open(
        side: Side,
        endpoint: &Endpoint,
        credentials: &Credentials,
        timeouts: &Timeouts,
    ) -> Result<Self, ImapError> {
        Self::open_telling(side, endpoint, credentials, timeouts, &mut Introduction::default()).await
    }

    /// The same, and tells what the server showed on the way, as far as it came.
    ///
    /// # Errors
    /// As [`Connection::open`]; [`Introduction::step`] is then the step that failed.
    pub async fn open_telling(
        side: Side,
        endpoint: &Endpoint,
        credentials: &Credentials,
        timeouts: &Timeouts,
        introduction: &mut Introduction,
    ) -> Result<Self, ImapError> {
        let opened = connect::open(side, endpoint, credentials, timeouts, introduction).await?;
        let mut connection = Self::learn(side, opened, timeouts, false).await?;
        connection.obey(endpoint.compress).await?;
        introduction.pass(OpeningStep::Capabilities);
        Ok(connection)
    }

    /// As [`Connection::open`], for somebody who lists the mailboxes with their figures before anything else: LIST goes
    /// out along with the other questions, where it can, and [`Connection::list_mailboxes_with_status`] has the answer.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_and_list(
        side: Side,
        endpoint: &Endpoint,
        credentials: &Credentials,
        timeouts: &Timeouts,
    ) -> Result<Self, ImapError> {
        let opened = connect::open(side, endpoint, credentials, timeouts, &mut Introduction::default()).await?;
        let mut connection = Self::learn(side, opened, timeouts, true).await?;
        connection.obey(endpoint.compress).await?;
        Ok(connection)
    }

    /// What is asked on a session that has just signed in.
    pub(crate) async fn learn(
        side: Side,
        opened: connect::Opened,
        timeouts: &Timeouts,
        list: bool,
    ) -> Result<Self, ImapError> {
        let mut session = opened.session;
        let mut capabilities = match opened.announced {
            Some(capabilities) => capabilities,
            None => control::capabilities(&mut session, timeouts.control).await?,
        };
        let only_utf8 = capabilities.has("UTF8=ONLY");
        let utf8 = only_utf8 || (side == Side::Source && capabilities.has("UTF8=ACCEPT"));
        let wanted = Wanted { greeting: &opened.greeting, utf8, list };
        let told = first_questions::ask(session.get_mut(), &capabilities, wanted, timeouts.control).await?;
        let encoding = match told.utf8 {
            Some(Ok(true)) => NameEncoding::Utf8,
            Some(Err(error)) if only_utf8 => return Err(error),
            _ => NameEncoding::ModifiedUtf7,
        };
        let software = told.software.or_else(|| Some(opened.greeting).filter(|text| !text.is_empty()));
        capabilities.distrust(software.as_deref());
        let set_octets_max = set_octets_max(software.as_deref());
        Ok(Self {
            session,
            capabilities,
            encoding,
            software,
            timeouts: *timeouts,
            set_octets_max,
            condstore: CondStore::default(),
            namespaces: told.namespaces,
            listed: told.listed,
            selected: None,
            openings: 0,
            qresync_enabled: false,
            notifying: false,
        })
    }

    /// For tests that look at what the transport holds.
    #[cfg(test)]
    pub(crate) fn wire_for_tests(&mut self) -> &mut crate::wire::Wire {
        self.session.get_mut()
    }

    pub(crate) fn wire(&self) -> &Wire {
        self.session.get_ref()
    }

    pub(crate) fn talk(&mut self) -> Talk<'_> {
        Talk {
            wire: self.session.get_mut(),
            capabilities: &self.capabilities,
            encoding: self.encoding,
            timeouts: self.timeouts,
            set_octets_max: self.set_octets_max,
        }
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// What the server announced after sign-in.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// How mailbox names are spelt on this connection.
    #[must_use]
    pub fn name_encoding(&self) -> NameEncoding {
        self.encoding
    }

    /// The server's name and version from ID, or else its greeting. Its own words: escape them.
    #[must_use]
    pub fn server_software(&self) -> Option<&str> {
        self.software.as_deref()
    }

    /// What went over the wire so far.
    #[must_use]
    pub fn statistics(&self) -> WireStatistics {
        let wire = self.session.get_ref();
        WireStatistics { commands: wire.commands(), bytes_in: wire.bytes_in(), bytes_out: wire.bytes_out() }
    }

    /// The connection's signs of life.
    #[must_use]
    pub fn pulse(&self) -> WirePulse {
        WirePulse(self.session.get_ref().progress())
    }

    /// The namespaces; without the extension one personal namespace without a prefix.
    ///
    /// # Errors
    /// As every command.
    pub async fn namespaces(&mut self) -> Result<Namespaces, ImapError> {
        match &self.namespaces {
            Some(namespaces) => Ok(namespaces.clone()),
            None => namespace::namespaces(&mut self.talk()).await,
        }
    }

    /// Every mailbox that the server lists, by the order of the names' octets.
    ///
    /// # Errors
    /// As every command; also if a line could not be read, since that mailbox would be lost.
    pub async fn list_mailboxes(&mut self) -> Result<Vec<ListedMailbox>, ImapError> {
        list::list_mailboxes(&mut self.talk()).await
    }

    /// The same, with the figures of each selectable mailbox, as far as the server tells them: with LIST-STATUS in one
    /// command, else by one burst of STATUS. To be asked while no mailbox is selected.
    ///
    /// # Errors
    /// As [`Connection::list_mailboxes`]. A mailbox whose STATUS is refused has none; that is no error.
    pub async fn list_mailboxes_with_status(&mut self) -> Result<Vec<ListedMailbox>, ImapError> {
        match self.listed.take() {
            Some(listed) => Ok(listed),
            None => list_status::list_mailboxes(&mut self.talk()).await,
        }
    }

    /// The figures of one mailbox. Not for the mailbox that is selected (RFC 9051 §6.3.11).
    ///
    /// # Errors
    /// As every command.
    pub async fn status(&mut self, name: &MailboxName) -> Result<MailboxStatus, ImapError> {
        status::status(&mut self.talk(), name).await
    }

    /// The same with SIZE (RFC 8438) and APPENDLIMIT (RFC 7889), where the server announces them.
    ///
    /// # Errors
    /// As every command.
    pub async fn status_with_size(&mut self, name: &MailboxName) -> Result<MailboxStatus, ImapError> {
        status::status_with_size(&mut self.talk(), name).await
    }

    /// Opens a mailbox read-only. Where CONDSTORE is announced it is asked for along with that, so that
    /// [`SelectedMailbox::highest_modseq`] is a point that changes can be asked from.
    ///
    /// # Errors
    /// As every command.
    pub async fn examine(&mut self, name: &MailboxName) -> Result<SelectedMailbox, ImapError> {
        self.open_mailbox(name, Access::ReadOnly).await
    }

    /// Opens a mailbox for writing, else as [`Connection::examine`].
    ///
    /// # Errors
    /// As every command.
    pub async fn select(&mut self, name: &MailboxName) -> Result<SelectedMailbox, ImapError> {
        self.open_mailbox(name, Access::ReadWrite).await
    }

    /// A mailbox is about to be opened, and whatever was open is so no more (RFC 9051 §6.3.2).
    pub(crate) fn begin_opening(&mut self) {
        self.selected = None;
        self.openings += 1;
    }

    /// How often a mailbox was opened, or tried to be: while this number stands still, the same one is open.
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.openings
    }

    async fn open_mailbox(&mut self, name: &MailboxName, access: Access) -> Result<SelectedMailbox, ImapError> {
        self.begin_opening();
        let mut takes = self.condstore;
        let opened = select::open_for_changes(&mut self.talk(), name, access, &mut takes).await;
        self.condstore = takes;
        // RFC 9051 §6.3.2: a failed SELECT leaves nothing selected.
        self.selected = opened.as_ref().ok().map(|mailbox| mailbox.exists);
        opened
    }

    /// Lets the server speak.
    ///
    /// # Errors
    /// As every command.
    pub async fn noop(&mut self) -> Result<(), ImapError> {
        control::noop(&mut self.session, self.timeouts.control).await
    }

    /// Ends the session. A server that closes without confirming is no error.
    ///
    /// # Errors
    /// As every command.
    pub async fn logout(mut self) -> Result<(), ImapError> {
        control::logout(&mut self.session, self.timeouts.control).await
    }

    /// Lists UIDs and sizes over ranges of the selected mailbox, which must not overlap.
    ///
    /// # Errors
    /// As every command; rows handed out before an error prove nothing about the rest.
    pub async fn scan(
        &mut self,
        ranges: &[UidRange],
        items: ScanItems,
        row: &mut (dyn FnMut(ScanRow) + Send),
    ) -> Result<ScanTally, ImapError> {
        scan::scan(&mut self.talk(), ranges, items, row).await
    }

    /// Fetches key material. `uids` should be UIDs known to exist: the width of the set is what it costs.
    ///
    /// # Errors
    /// As every command; no row for a UID proves nothing about it.
    pub async fn fetch_headers(
        &mut self,
        uids: &UidSet,
        row: &mut (dyn FnMut(HeaderRow) + Send),
    ) -> Result<(), ImapError> {
        headers::fetch_headers(&mut self.talk(), uids, row).await
    }

    /// Which of these UIDs exist in the selected mailbox.
    ///
    /// # Errors
    /// As every command; also if an OK came without an answer.
    pub async fn uid_search_present(&mut self, uids: &UidSet) -> Result<UidSet, ImapError> {
        search::present(&mut self.talk(), uids).await
    }

    /// Begins fetching bodies from the selected mailbox.
    pub fn fetch_bodies(&mut self, options: FetchOptions) -> BodyFetcher<'_> {
        BodyFetcher::new(self.session.get_mut(), options, self.set_octets_max)
    }

    /// Begins storing messages in a mailbox. It need not be selected.
    ///
    /// Both halves must be polled at once: the writer waits for what the reader learns.
    pub fn append_to(&mut self, mailbox: &MailboxName, options: AppendOptions) -> (AppendWriter<'_>, AppendReader<'_>) {
        let utf8 = self.encoding == NameEncoding::Utf8;
        append::begin(self.session.get_mut(), &self.capabilities, mailbox, options, utf8)
    }
}
