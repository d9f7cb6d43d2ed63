//! What a look at an account before its first copy found: can it be reached, what is there, what would happen.
//!
//! The types here are stored as JSON and read back by later versions, so a field is only ever added, with a default.
//! Strangers' words in them are escaped by whoever fills them in.

mod account_text;
mod changes;
mod estimate;
mod side_word;
mod wave;
mod wave_text;

pub use changes::{Change, ChangeKind};
pub use estimate::{Bottleneck, ConnectionRate, Estimate, EstimateLimits};
pub use wave::{WaveCounts, WavePreflight};

use mailhaul_types::Side;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether an account can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreflightVerdict {
    /// Nothing is in the way.
    Ready,
    /// Nothing is in the way, and something is worth knowing before.
    Remarks,
    /// Something is in the way.
    Blocked,
}

impl PreflightVerdict {
    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Remarks => "ready with remarks",
            Self::Blocked => "blocked",
        }
    }
}

/// What is done one after the other on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreflightStep {
    /// From the host's name to its addresses.
    Resolve,
    /// The TCP connection.
    Connect,
    /// TLS from the first byte, or STARTTLS, with the check of the certificate.
    Tls,
    /// The server's greeting.
    Greeting,
    /// User and password.
    SignIn,
    /// What the server can do.
    Capabilities,
    /// Namespaces and the list of mailboxes.
    Mailboxes,
    /// Which mailbox goes where.
    Mapping,
    /// Messages and octets of each mailbox.
    Counts,
    /// The room on the target.
    Quota,
}

impl PreflightStep {
    /// The words for people: what was being done.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve the host name",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Greeting => "greeting",
            Self::SignIn => "sign in",
            Self::Capabilities => "capabilities",
            Self::Mailboxes => "list the mailboxes",
            Self::Mapping => "map the mailboxes",
            Self::Counts => "count the messages",
            Self::Quota => "quota",
        }
    }
}

/// What kind of trouble is in the way. The words are those of the classes of failed jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Lost, timed out, could not be reached.
    Network,
    /// The server has a passing trouble of its own.
    Server,
    /// Asked to slow down.
    Throttle,
    /// One of the two sides broke the protocol.
    Protocol,
    /// The server could not be proved to be the right one.
    Tls,
    /// A sign-in was refused, or is not possible.
    SignIn,
    /// The target has not the room.
    Quota,
    /// Something that only an operator can decide.
    Decision,
    /// This machine: the state file, the disk.
    Local,
    /// Settings that cannot be meant.
    Usage,
    /// A fault of the program.
    Internal,
    /// The look was stopped before its end.
    Interrupted,
}

impl BlockKind {
    /// Whether it may be gone by itself at the next look. It then says nothing about the account, and the look is to be
    /// repeated; otherwise somebody has to act.
    #[must_use]
    pub fn passes(self) -> bool {
        match self {
            Self::Network | Self::Server | Self::Throttle | Self::Protocol | Self::Local | Self::Interrupted => true,
            Self::Tls | Self::SignIn | Self::Quota | Self::Decision | Self::Usage | Self::Internal => false,
        }
    }

    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "not reached",
            Self::Server => "server trouble",
            Self::Throttle => "asked to slow down",
            Self::Protocol => "protocol broken",
            Self::Tls => "certificate",
            Self::SignIn => "sign-in",
            Self::Quota => "no room",
            Self::Decision => "needs a decision",
            Self::Local => "this machine",
            Self::Usage => "settings",
            Self::Internal => "fault of the program",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Something that is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What kind of trouble it is.
    pub kind: BlockKind,
    /// On which side; `None` if on neither alone.
    #[serde(with = "side_word", default)]
    pub side: Option<Side>,
    /// At which step.
    pub step: PreflightStep,
    /// What happened, in words for people, with the server's own in quotes.
    pub words: String,
    /// The server's own words alone, if it said any.
    #[serde(default)]
    pub server_words: Option<String>,
    /// How many milliseconds the server asked to be left alone, if it named a figure.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// What to do; empty if there is nothing to add.
    #[serde(default)]
    pub hint: String,
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkKind {
    /// A mailbox will have another name on the target.
    NameChanged,
    /// A mailbox is mapped by something else than its name: its use, an earlier run. Only for information.
    Mapped,
    /// A mailbox shows messages that other mailboxes hold too: they are copied once more.
    View,
    /// A mailbox is left out. Only for information.
    LeftOut,
    /// A mailbox cannot be looked at.
    MailboxFailed,
    /// A mailbox waits for the operator.
    MailboxStopped,
    /// Messages are larger than the target takes.
    TooLarge,
    /// The source shows fewer messages than it has, or may do so.
    CappedView,
    /// Earlier runs have set messages aside.
    Exceptions,
    /// The room on the target is scarce.
    Room,
    /// The server lacks an extension, and that costs time. Only for information.
    Extension,
    /// The target cannot keep some flags.
    Flags,
    /// The connection is not encrypted, or the certificate ends soon.
    Security,
    /// Something could not be found out.
    Unknown,
}

impl RemarkKind {
    /// Whether an operator should know it before; otherwise it is only for information.
    #[must_use]
    pub fn weighs(self) -> bool {
        !matches!(self, Self::Mapped | Self::LeftOut | Self::Extension)
    }

    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameChanged => "names changed",
            Self::Mapped => "mapped by use",
            Self::View => "views",
            Self::LeftOut => "left out",
            Self::MailboxFailed => "mailbox failed",
            Self::MailboxStopped => "mailbox stopped",
            Self::TooLarge => "messages too large",
            Self::CappedView => "capped view",
            Self::Exceptions => "earlier exceptions",
            Self::Room => "room is scarce",
            Self::Extension => "extension missing",
            Self::Flags => "flags not kept",
            Self::Security => "security",
            Self::Unknown => "not found out",
        }
    }
}

/// Something worth knowing before the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightRemark {
    /// What it is about.
    pub kind: RemarkKind,
    /// On which side, if on one.
    #[serde(with = "side_word", default)]
    pub side: Option<Side>,
    /// The source mailbox, if it is about one.
    #[serde(default)]
    pub mailbox: Option<String>,
    /// What there is to know.
    pub text: String,
}

/// One side of an account, as far as it was come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidePreflight {
    /// The host as given.
    pub host: String,
    /// The steps that were passed, in their order.
    pub passed: Vec<PreflightStep>,
    /// The step that failed, if one did.
    pub failed: Option<PreflightStep>,
    /// Milliseconds from the first packet until the sign-in was accepted.
    pub sign_in_ms: Option<u64>,
    /// The server's name and version, as it says itself.
    pub software: Option<String>,
    /// TLS version and cipher; `None` in plain text.
    pub tls: Option<String>,
    /// What the server announced after sign-in, in upper case.
    pub capabilities: Vec<String>,
    /// Mailboxes that it lists.
    pub mailboxes: u64,
}

/// One source mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreflightMailbox {
    /// Its name.
    pub source: String,
    /// Its name on the target; `None` if it is left out.
    pub target: Option<String>,
    /// Whether the target has no such mailbox yet.
    pub creates: bool,
    /// Messages in it.
    pub messages: u64,
    /// Octets in it; `None` if the server does not tell.
    pub bytes: Option<u64>,
    /// Messages that earlier runs have copied or found on the target.
    pub settled_messages: u64,
    /// Messages that are left to be copied, or to be found on the target.
    pub to_copy_messages: u64,
    /// Octets of these.
    pub to_copy_bytes: u64,
    /// Messages of these that are larger than the target takes.
    pub too_large_messages: u64,
    /// Messages in the target mailbox that no earlier run knows of: some of those to be copied may be among them.
    pub unknown_on_target: Option<u64>,
}

/// A bound, and what is used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// What is in use.
    pub used: u64,
    /// What is allowed.
    pub limit: u64,
}

impl Room {
    /// What is left.
    #[must_use]
    pub fn free(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// One quota of the target account. What is absent is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaLine {
    /// The server's name for it.
    pub root: String,
    /// Octets.
    pub bytes: Option<Room>,
    /// Messages.
    pub messages: Option<Room>,
}

/// The look at one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountPreflight {
    /// The source.
    pub source: SidePreflight,
    /// The target.
    pub target: SidePreflight,
    /// The source mailboxes, in the order in which they would be copied.
    pub mailboxes: Vec<PreflightMailbox>,
    /// What limits the target account.
    pub quotas: Vec<QuotaLine>,
    /// The largest message that the target takes, in octets, if it says so.
    pub append_limit_bytes: Option<u64>,
    /// What is worth knowing.
    pub remarks: Vec<PreflightRemark>,
    /// What is in the way.
    pub blocks: Vec<Block>,
    /// How long the look took.
    pub seconds: f64,
}

impl AccountPreflight {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> PreflightVerdict {
        if !self.blocks.is_empty() {
            PreflightVerdict::Blocked
        } else if self.remarks.iter().any(|remark| remark.kind.weighs()) {
            PreflightVerdict::Remarks
        } else {
            PreflightVerdict::Ready
        }
    }

    /// Whether it is blocked by nothing but what may be gone at the next look.
    #[must_use]
    pub fn is_to_be_repeated(&self) -> bool {
        !self.blocks.is_empty() && self.blocks.iter().all(|block| block.kind.passes())
    }

    /// Whether the messages were counted: the figures of an account that was not reached say nothing.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.source.passed.contains(&PreflightStep::Counts)
    }

    /// What is in the way, gravest first: what somebody has to mend before what may pass by itself.
    #[must_use]
    pub fn gravest_block(&self) -> Option<&Block> {
        self.blocks.iter().min_by_key(|block| block.kind.passes())
    }

    /// Messages in the mailboxes that would be copied.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.sum(|mailbox| mailbox.messages)
    }

    /// Octets in the mailboxes that would be copied, as far as the server told them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sum(|mailbox| mailbox.bytes.unwrap_or(mailbox.to_copy_bytes))
    }

    /// Messages that are left to be copied, or to be found on the target.
    #[must_use]
    pub fn to_copy_messages(&self) -> u64 {
        self.sum(|mailbox| mailbox.to_copy_messages)
    }

    /// Mailboxes in which any are.
    #[must_use]
    pub fn mailboxes_to_copy(&self) -> u64 {
        self.sum(|mailbox| u64::from(mailbox.to_copy_messages > 0))
    }

    /// Octets of these.
    #[must_use]
    pub fn to_copy_bytes(&self) -> u64 {
        self.sum(|mailbox| mailbox.to_copy_bytes)
    }

    fn sum(&self, figure: fn(&PreflightMailbox) -> u64) -> u64 {
        let wanted = self.mailboxes.iter().filter(|mailbox| mailbox.target.is_some());
        wanted.map(figure).fold(0, u64::saturating_add)
    }

    /// The JSON object that is stored and printed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["schema"] = 1.into();
        json["verdict"] = serde_json::to_value(self.verdict()).unwrap_or_default();
        json["repeat"] = self.is_to_be_repeated().into();
        json["messages"] = self.messages().into();
        json["bytes"] = self.bytes().into();
        json["to_copy_messages"] = self.to_copy_messages().into();
        json["to_copy_bytes"] = self.to_copy_bytes().into();
        json
    }

    /// Reads what [`AccountPreflight::to_json`] wrote, also in an earlier or later version.
    ///
    /// # Errors
    /// If it is no such object.
    pub fn from_json(json: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(json)
    }
}

#[cfg(test)]
mod tests;
