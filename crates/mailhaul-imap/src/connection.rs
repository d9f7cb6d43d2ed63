//! The connection: what callers hold.

use crate::append::{AppendOptions, AppendReader, AppendWriter};
use crate::bodies::{BodyFetcher, FetchOptions};
use crate::capabilities::Capabilities;
use crate::endpoint::{Credentials, Endpoint, Timeouts};
use crate::error::ImapError;
use crate::headers::HeaderRow;
use crate::list::ListedMailbox;
use crate::namespace::Namespaces;
use crate::scan::{ScanItems, ScanRow, ScanTally};
use crate::select::SelectedMailbox;
use crate::status::MailboxStatus;
use mailhaul_types::{MailboxName, NameEncoding, Side, UidRange, UidSet};

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

/// A signed-in connection to one server for one account.
pub struct Connection {
    capabilities: Capabilities,
}

fn unbuilt<T>() -> Result<T, ImapError> {
    Err(ImapError::Usage { what: "not built yet".to_owned() })
}

impl Connection {
    /// Resolves, connects, secures, signs in, and learns what the server can do.
    ///
    /// # Errors
    /// Every way in which that fails; see [`ImapError`].
    pub async fn open(
        side: Side,
        endpoint: &Endpoint,
        credentials: &Credentials,
        timeouts: &Timeouts,
    ) -> Result<Self, ImapError> {
        let _ = (side, endpoint, credentials, timeouts);
        unbuilt()
    }
    /// What the server announced after sign-in.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    /// How mailbox names are spelt on this connection.
    #[must_use]
    pub fn name_encoding(&self) -> NameEncoding {
        NameEncoding::ModifiedUtf7
    }
    /// The server's name and version from ID, or else its greeting.
    #[must_use]
    pub fn server_software(&self) -> Option<&str> {
        None
    }
    /// What went over the wire so far.
    #[must_use]
    pub fn statistics(&self) -> WireStatistics {
        WireStatistics::default()
    }
    /// The namespaces.
    ///
    /// # Errors
    /// As every command.
    pub async fn namespaces(&mut self) -> Result<Namespaces, ImapError> {
        unbuilt()
    }
    /// Every mailbox that the server lists.
    ///
    /// # Errors
    /// As every command.
    pub async fn list_mailboxes(&mut self) -> Result<Vec<ListedMailbox>, ImapError> {
        unbuilt()
    }
    /// The figures of one mailbox.
    ///
    /// # Errors
    /// As every command.
    pub async fn status(&mut self, name: &MailboxName) -> Result<MailboxStatus, ImapError> {
        let _ = name;
        unbuilt()
    }
    /// Opens a mailbox read-only.
    ///
    /// # Errors
    /// As every command.
    pub async fn examine(&mut self, name: &MailboxName) -> Result<SelectedMailbox, ImapError> {
        let _ = name;
        unbuilt()
    }
    /// Opens a mailbox for writing.
    ///
    /// # Errors
    /// As every command.
    pub async fn select(&mut self, name: &MailboxName) -> Result<SelectedMailbox, ImapError> {
        let _ = name;
        unbuilt()
    }
    /// Creates a mailbox.
    ///
    /// # Errors
    /// As every command.
    pub async fn create(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        let _ = name;
        unbuilt()
    }
    /// Subscribes to a mailbox.
    ///
    /// # Errors
    /// As every command.
    pub async fn subscribe(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        let _ = name;
        unbuilt()
    }
    /// Lets the server speak.
    ///
    /// # Errors
    /// As every command.
    pub async fn noop(&mut self) -> Result<(), ImapError> {
        unbuilt()
    }
    /// Ends the session.
    ///
    /// # Errors
    /// As every command.
    pub async fn logout(self) -> Result<(), ImapError> {
        unbuilt()
    }
    /// Lists UIDs and sizes over ranges of the selected mailbox.
    ///
    /// # Errors
    /// As every command; rows handed out before an error prove nothing about the rest.
    pub async fn scan(
        &mut self,
        ranges: &[UidRange],
        items: ScanItems,
        row: &mut (dyn FnMut(ScanRow) + Send),
    ) -> Result<ScanTally, ImapError> {
        let _ = (ranges, items, row);
        unbuilt()
    }
    /// Fetches key material.
    ///
    /// # Errors
    /// As every command.
    pub async fn fetch_headers(
        &mut self,
        uids: &UidSet,
        row: &mut (dyn FnMut(HeaderRow) + Send),
    ) -> Result<(), ImapError> {
        let _ = (uids, row);
        unbuilt()
    }
    /// Which of these UIDs exist in the selected mailbox.
    ///
    /// # Errors
    /// As every command; also if an OK came without an answer.
    pub async fn uid_search_present(&mut self, uids: &UidSet) -> Result<UidSet, ImapError> {
        let _ = uids;
        unbuilt()
    }
    /// Begins fetching bodies from the selected mailbox.
    pub fn fetch_bodies(&mut self, options: FetchOptions) -> BodyFetcher<'_> {
        let _ = options;
        unimplemented!()
    }
    /// Begins storing messages in a mailbox.
    pub fn append_to(&mut self, mailbox: &MailboxName, options: AppendOptions) -> (AppendWriter<'_>, AppendReader<'_>) {
        let _ = (mailbox, options);
        unimplemented!()
    }
}
