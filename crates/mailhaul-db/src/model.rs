//! The words of the ledger: who is copied where, what was settled, what went wrong, what the last pass counted.

use mailhaul_types::{Escaped, Flags, MessageKey, ModSeq, Uid, UidRange, UidSet, UidValidity};
use std::fmt;

/// A pair's number in one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId(pub i64);

/// How often a pair has been claimed. Writes of any but the newest generation are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// One side of a pair. Port and TLS mode do not count: the same account reached by another door is the same account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountIdentity {
    pub(crate) host: String,
    pub(crate) login: String,
    pub(crate) authorization_identity: String,
}

impl AccountIdentity {
    /// `host` is compared without regard to ASCII case and a final dot; the login exactly as given. An empty
    /// authorization identity is the same as none (RFC 4616 §2).
    #[must_use]
    pub fn new(host: &str, login: &str, authorization_identity: Option<&str>) -> Self {
        Self {
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            login: login.to_owned(),
            authorization_identity: authorization_identity.unwrap_or_default().to_owned(),
        }
    }

    /// Host name or address, lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name that signs in.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The account acted for, if it is another than the one that signs in.
    #[must_use]
    pub fn authorization_identity(&self) -> Option<&str> {
        (!self.authorization_identity.is_empty()).then_some(self.authorization_identity.as_str())
    }
}

/// `alice@old.example`, with the authorization identity in front where there is one. Escaped.
impl fmt::Display for AccountIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.authorization_identity() {
            write!(f, "{} by ", Escaped(name))?;
        }
        write!(f, "{} on {}", Escaped(&self.login), Escaped(&self.host))
    }
}

/// A source account and the target account it is copied to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairIdentity {
    /// Where the mail comes from.
    pub source: AccountIdentity,
    /// Where it goes.
    pub target: AccountIdentity,
}

impl fmt::Display for PairIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.source, self.target)
    }
}

/// Which source mailbox goes to which target mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mapping {
    /// The source mailbox's name as text (`MailboxName::text`).
    pub source: String,
    /// The target mailbox's name as text.
    pub target: String,
}

/// How a settled message came to be on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SettledState {
    /// We appended it.
    Copied = 0,
    /// It was there already, octet for octet as far as was looked at.
    Adopted = 1,
    /// It was there already with an equal body and other headers.
    AdoptedAltered = 2,
    /// It was settled, the target has given out other UIDs since, and a message with its key is there: nothing shows that
    /// it is the copy and not other mail of the target's owner. Counts as adopted.
    Likely = 3,
}

/// One message that needs no further work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its UID at the source.
    pub source_uid: Uid,
    /// Its UID at the target under the mailbox's present target UIDVALIDITY; `None` if not known. A message whose
    /// UID is not known must not be settled before the target's tail has been read past it: the next reader of the
    /// tail could not tell that copy from one that nobody has claimed.
    pub target_uid: Option<Uid>,
    /// How it got there.
    pub state: SettledState,
    /// What it is recognised by when UIDs become void; `None` if no key could be made.
    pub key: Option<MessageKey>,
    /// The flags as they were sent or found: the last synced value for a later three-way merge.
    pub flags: Flags,
}

/// What is settled by one write; all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The messages, in any order. A message settled before is replaced.
    pub messages: Vec<Settled>,
    /// The new mark U: every target UID below it is accounted for. `None` leaves it where it is.
    pub target_mark: Option<Uid>,
    /// Whether nothing is in flight any more: the sent range is taken back.
    pub clear_sent: bool,
}

/// Why a message, or a whole mailbox, is an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExceptionState {
    /// The target refused this message.
    Refused = 1,
    /// The source lists the message and does not deliver it.
    Unreadable = 2,
    /// Proved absent at the source after it had been listed. A remark rather than a fault.
    Gone = 3,
    /// Sent again although an earlier copy may have landed.
    PossibleDuplicate = 4,
    /// The source's listing never added up; what was listed is copied. Concerns the mailbox.
    ViewIncomplete = 5,
    /// The mailbox could not be worked on. Concerns the mailbox.
    MailboxFailed = 6,
    /// The source may show only a part of the mailbox; what it shows is copied. Concerns the mailbox.
    ViewDoubtful = 7,
    /// The mailbox waits for the operator's decision. Concerns the mailbox.
    MailboxStopped = 8,
}

impl ExceptionState {
    /// All of them, ascending.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Unreadable,
        Self::Gone,
        Self::PossibleDuplicate,
        Self::ViewIncomplete,
        Self::MailboxFailed,
        Self::ViewDoubtful,
        Self::MailboxStopped,
    ];

    /// Whether the message is out of the work for now: neither copied nor todo.
    #[must_use]
    pub fn settles(self) -> bool {
        matches!(self, Self::Refused | Self::Unreadable | Self::Gone)
    }

    /// Whether it is about the mailbox as a whole, and not about one message.
    #[must_use]
    pub fn concerns_mailbox(self) -> bool {
        matches!(self, Self::ViewIncomplete | Self::MailboxFailed | Self::ViewDoubtful | Self::MailboxStopped)
    }

    /// The word in reports: `refused`, `possible_duplicate`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Gone => "gone",
            Self::PossibleDuplicate => "possible_duplicate",
            Self::ViewIncomplete => "view_incomplete",
            Self::MailboxFailed => "mailbox_failed",
            Self::ViewDoubtful => "view_doubtful",
            Self::MailboxStopped => "mailbox_stopped",
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| i64::from(*state as u8) == code)
    }
}

/// A message or mailbox that needs somebody's attention, with the words that explain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The source UID; `None` if the whole mailbox is meant.
    pub uid: Option<Uid>,
    /// What happened.
    pub state: ExceptionState,
    /// The server's own words, verbatim; escape before showing.
    pub reason: String,
    /// The message's key where it is known.
    pub key: Option<MessageKey>,
}

/// An [`Exception`] as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredException {
    /// What was recorded.
    pub exception: Exception,
    /// The source UIDVALIDITY under which the UID was meant; `None` if the whole mailbox is meant.
    pub source_uid_validity: Option<UidValidity>,
    /// When, in seconds since 1970.
    pub at_unix_secs: i64,
}

/// Something worth telling that is no fault: skipped by selection, a keyword not stored, a name that was changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// A short word that groups remarks: `skipped`, `renamed`, `flags`.
    pub kind: String,
    /// The sentence.
    pub text: String,
    /// How many messages it concerns; 0 if it is not about messages.
    pub messages: u64,
}

/// A counted scan of the source mailbox: its view can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// UIDNEXT as the first SELECT said it.
    pub uid_next: Option<Uid>,
    /// How many messages there were.
    pub exists: u32,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.2.1), where the server has it.
    pub highest_modseq: Option<ModSeq>,
    /// MAILBOXID (RFC 8474 §4), where the server has it.
    pub mailbox_id: Option<String>,
}

/// What one pass over one mailbox counted. `source` is the sum of the others unless the mailbox does not add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassCounts {
    /// Messages listed at the source.
    pub source: u64,
    /// Settled by earlier runs.
    pub already: u64,
    /// Copied by this run.
    pub copied: u64,
    /// Adopted by this run.
    pub adopted: u64,
    /// Left out by the operator's selection.
    pub skipped: u64,
    /// Refused by the target.
    pub refused: u64,
    /// Gone from the source.
    pub gone: u64,
    /// Not delivered by the source.
    pub unreadable: u64,
    /// Still to do.
    pub remaining: u64,
    /// Octets copied by this run.
    pub bytes: u64,
}

/// How a run over a pair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RunVerdict {
    /// Everything is copied and accounted for.
    Complete = 1,
    /// Finished, with exceptions.
    Exceptions = 2,
    /// Stopped for the operator's decision.
    Stopped = 3,
    /// Interrupted by the operator.
    Interrupted = 4,
    /// Failed.
    Failed = 5,
}

impl RunVerdict {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Exceptions => "exceptions",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        [Self::Complete, Self::Exceptions, Self::Stopped, Self::Interrupted, Self::Failed]
            .into_iter()
            .find(|verdict| i64::from(*verdict as u8) == code)
    }
}

/// How many messages of a mailbox are settled, by how they got there. Messages that have since left the source count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettledCounts {
    /// Appended by us.
    pub copied: u64,
    /// Found on the target.
    pub adopted: u64,
    /// Found on the target with other headers.
    pub adopted_altered: u64,
}

impl SettledCounts {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.copied + self.adopted + self.adopted_altered
    }
}

/// What stands for messages that were in flight when the source gave out other UIDs: they may have any UID now, and
/// nothing else than that may be concluded from it. No listed range is like it, because no message has the last UID.
pub const SENT_UNKNOWN: UidRange = UidRange { first: Uid(1), last: Uid(u32::MAX) };

/// One mailbox as the ledger knows it, every row behind it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxState {
    /// Where it goes.
    pub mapping: Mapping,
    /// The source UIDVALIDITY that everything here belongs to; `None` before first contact.
    pub source_uid_validity: Option<UidValidity>,
    /// The target UIDVALIDITY that target UIDs and the mark belong to; `None` before first contact.
    pub target_uid_validity: Option<UidValidity>,
    /// The mark U: every target UID below it is accounted for. `None` before first contact.
    pub target_mark: Option<Uid>,
    /// Source UIDs that may be in flight: committed ahead of the sending front. [`SENT_UNKNOWN`] if something is, and
    /// nobody knows under which UID.
    pub sent: Option<UidRange>,
    /// The last counted scan.
    pub scan: Option<Scan>,
    /// Source UIDs that are copied or adopted under `source_uid_validity`.
    pub settled: UidSet,
    /// How many of them, by kind.
    pub counts: SettledCounts,
    /// Target UIDs at or above the mark that settled messages own already: the tail's reader must leave these out,
    /// or a twin still todo would be matched to a copy that belongs to another message.
    pub claimed_targets: UidSet,
    /// How many settled messages have no known target UID (not told by the server, or void).
    pub targets_unknown: u64,
    /// Exceptions of this mailbox under `source_uid_validity` and those of the mailbox itself.
    pub exceptions: Vec<StoredException>,
    /// What the source was when a pass last accounted for everything in it; `None` if none has since the ground last
    /// moved: the mailbox is to be visited, and listed as a whole.
    pub synced: Option<Synced>,
    /// Source UIDs that have left the source and have been dealt with. Stays when `synced` goes, as long as the
    /// source's UIDs mean what they meant; where there is `synced`, the same as there.
    pub departed: UidSet,
    /// Whether the target mailbox was made by us, and is still called as it was then (or as we renamed it since).
    pub made: bool,
}

impl MailboxState {
    /// Source UIDs that are out of the work for now because of an exception, and not settled.
    #[must_use]
    pub fn set_aside(&self) -> UidSet {
        let uids = self.exceptions.iter().filter(|stored| stored.exception.state.settles());
        uids.filter_map(|stored| stored.exception.uid).filter(|uid| !self.settled.contains(*uid)).collect()
    }
}

/// What a source mailbox was when a pass last accounted for everything in it: every message settled, set aside or left
/// out. Nothing else may be believed to be unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The source UIDVALIDITY; must be the one that is stored.
    pub source_uid_validity: UidValidity,
    /// UIDNEXT of the source as the pass's own EXAMINE said it: every UID below it was accounted for.
    pub uid_next: Uid,
    /// How many messages the source had at the end of the pass.
    pub exists: u32,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.2.1) of the pass's own EXAMINE; `None` if the source has none.
    pub highest_modseq: Option<ModSeq>,
    /// MAILBOXID (RFC 8474 §4); `None` if the source has none.
    pub mailbox_id: Option<String>,
    /// The target UIDVALIDITY under which the pass worked; must be the one that is stored.
    pub target_uid_validity: UidValidity,
    /// Settled or set-aside source UIDs that are not at the source any more, and have been dealt with. Replaces what
    /// was recorded before.
    pub departed: UidSet,
    /// Messages at the source that the operator's selection left out.
    pub skipped: u64,
    /// Messages at the source that the target refused.
    pub refused: u64,
    /// Messages at the source that it did not deliver.
    pub unreadable: u64,
    /// Everything that the pass reported as an exception, refused and unreadable messages included.
    pub exceptions: u64,
    /// Digest of the options under which the pass was made: under others the mailbox is visited.
    pub policy: u64,
    /// When the pass ended, in seconds since 1970.
    pub at_unix_secs: i64,
}

/// The settled messages of a mailbox under new source UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renumbering {
    /// The source's UIDVALIDITY now. The old one again where the mailbox was put back or made anew under it.
    pub source: UidValidity,
    /// Everything that is settled from now on, in any order; what is not here is todo. Of two with the same source
    /// UID the later counts.
    pub messages: Vec<Settled>,
    /// What is neither settled nor to be sent from now on, by the new UIDs.
    pub set_aside: Vec<Exception>,
}

/// One mailbox without its messages, every row behind it verified: what decides whether it is visited at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxBrief {
    /// Where it goes.
    pub mapping: Mapping,
    /// See [`MailboxState::source_uid_validity`].
    pub source_uid_validity: Option<UidValidity>,
    /// See [`MailboxState::target_uid_validity`].
    pub target_uid_validity: Option<UidValidity>,
    /// The mark U: every target UID below it is accounted for. `None` before first contact.
    pub target_mark: Option<Uid>,
    /// Source UIDs that may be in flight.
    pub sent: Option<UidRange>,
    /// The last counted scan.
    pub scan: Option<Scan>,
    /// How many messages are settled under `source_uid_validity`, by kind.
    pub counts: SettledCounts,
    /// See [`MailboxState::made`].
    pub made: bool,
    /// Whether the target's name stays although no rule leads there: the source mailbox was renamed, and its copy
    /// could not be.
    pub name_kept: bool,
    /// Whether an exception stands against the mailbox itself: one of `mailbox_exceptions`.
    pub mailbox_failed: bool,
    /// Which exceptions stand against the mailbox itself ([`ExceptionState::concerns_mailbox`]), ascending. That one
    /// of them vanished from the file is not noticed here but by [`crate::MailboxLedger::load`].
    pub mailbox_exceptions: Vec<ExceptionState>,
    /// See [`MailboxState::synced`].
    pub synced: Option<Synced>,
    /// See [`MailboxState::departed`].
    pub departed: UidSet,
}
