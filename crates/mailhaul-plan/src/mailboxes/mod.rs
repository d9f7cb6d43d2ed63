//! Which source mailbox goes into which target mailbox.
//!
//! [`map_mailboxes`] is a function of the two listings, the operator's rules and the names used in earlier runs. Its
//! promises, in the order in which they win:
//!
//! 1. No two source mailboxes ever share a target mailbox: not exactly, and not by names that differ only by case or
//!    by Unicode normalisation. Where that would happen one of them gets a number (`Foo`, `foo-2`) and a remark; where
//!    the operator's own rules ask for it, that is a [`MappingError`].
//! 2. An explicit `--map` decides, for the mailbox and for everything below it.
//! 3. INBOX goes to INBOX.
//! 4. A name used in an earlier run is kept, as long as today's rules still lead there ([`changed`] shows the others).
//! 5. Special use: the source's Sent goes to the target's Sent, whatever the two are called.
//! 6. A name that the target has already is used in the spelling that the target has.
//! 7. Otherwise the name stays, with the target's own prefix and delimiter.
//!
//! `--mailbox` and `--exclude` decide what is copied, never under which name: a partial run and a whole one agree.

mod assign;
mod candidates;
mod claims;
mod earlier;
mod glob;
mod names;
mod rules;
mod same_use;
mod special;
mod target;
#[cfg(test)]
mod tests;
mod tree;

pub use assign::{map_mailboxes, map_renamed_mailboxes};
pub use glob::Glob;
pub use names::{TargetShape, safer_name};

use mailhaul_types::{Escaped, MailboxName, NameEncoding, SpecialUse};
use std::collections::BTreeMap;
use std::fmt;

/// One mailbox as its server listed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEntry {
    /// Its full name.
    pub name: MailboxName,
    /// Its hierarchy delimiter; `None` where the server said NIL: the name has no parts.
    pub delimiter: Option<char>,
    /// Whether it can hold messages: neither `\Noselect` nor `\NonExistent`.
    pub selectable: bool,
    /// The purpose that the server announced (RFC 6154).
    pub special_use: Option<SpecialUse>,
    /// Whether the user subscribed to it.
    pub subscribed: bool,
}

/// A namespace (RFC 2342): where names begin and how they are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The prefix as text, with its delimiter: `""`, `INBOX.`, `user/`.
    pub prefix: String,
    /// The hierarchy delimiter; `None` for NIL.
    pub delimiter: Option<char>,
}

/// The namespaces of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The user's own; the first is where new mailboxes go.
    pub personal: Vec<Namespace>,
    /// Other users'.
    pub other: Vec<Namespace>,
    /// Shared by all.
    pub shared: Vec<Namespace>,
    /// Whether the server answered NAMESPACE. Without it, an account all of whose mailboxes lie below INBOX is taken
    /// to have the prefix `INBOX` + delimiter.
    pub declared: bool,
}

/// What is known of one account's mailboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountListing {
    /// All mailboxes, in any order.
    pub mailboxes: Vec<MailboxEntry>,
    /// Its namespaces.
    pub namespaces: Namespaces,
}

/// What the operator asked for.
///
/// * `map`: pairs OLD, NEW of `--map OLD=NEW`: full names as they are displayed, OLD with the source's prefix and
///   delimiter, NEW with the target's. What lies below OLD follows: with `Old=New`, `Old/x` goes to `New/x` unless it
///   is mapped itself. OLD may be a name that holds no messages. Below INBOX means below it in the hierarchy, so under
///   an `INBOX.` prefix nothing is. Names are compared exactly, INBOX in any case.
/// * `include`, `exclude`: [`Glob`]s over full source names. No `include` means all; `exclude` wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappingRules {
    /// `--map OLD=NEW`.
    pub map: Vec<(String, String)>,
    /// `--mailbox GLOB`.
    pub include: Vec<String>,
    /// `--exclude GLOB`.
    pub exclude: Vec<String>,
    /// Whether other users' and shared mailboxes are wanted too.
    pub all_namespaces: bool,
}

/// The whole mapping of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// What is copied, by source name with INBOX first.
    pub mailboxes: Vec<MappedMailbox>,
    /// What is not copied, and why; by source name.
    pub left_out: Vec<LeftOut>,
    /// `--map` and `--mailbox` arguments that fit no mailbox: probably misspelt. `--exclude` may fit nothing.
    pub unused_rules: Vec<String>,
    /// Prefix and delimiter of new names on the target.
    pub shape: TargetShape,
}

/// One mailbox pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedMailbox {
    /// Where the mail comes from.
    pub source: MailboxName,
    /// The full target name as text.
    pub target_text: String,
    /// Whether the target has it already, under exactly this name and able to hold messages.
    pub exists_on_target: bool,
    /// The target's own spelling, octet by octet, of a name that its listing shows, with or without messages in it.
    pub listed_name: Option<MailboxName>,
    /// Its purpose at the source, announced or (only where that decided the name) read from its name.
    pub special_use: Option<SpecialUse>,
    /// Whether it is subscribed at the source.
    pub subscribed: bool,
    /// What decided the name.
    pub origin: Origin,
    /// What the operator should know, in a fixed order; often nothing.
    pub remarks: Vec<MappingRemark>,
}

/// What decided a target name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The source name, in the target's manner.
    Name,
    /// A `--map` for this mailbox or for one above it.
    Explicit,
    /// The same special use.
    SpecialUse,
    /// An earlier run.
    Earlier,
}

/// Something about a mailbox's name that is worth a line in the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingRemark {
    /// Characters that the target cannot have in a name were replaced: its delimiter within a part of the name,
    /// control characters, octets that are no text, empty parts.
    CharactersReplaced,
    /// The target has no hierarchy: the parts of the name were joined.
    Flattened,
    /// The name was taken by (or too like that of) another source mailbox, so this one got a number.
    KeptApart {
        /// The name it would have had.
        wanted: String,
        /// The source mailbox that has it.
        taken_by: String,
    },
    /// The target has the name already in another spelling, which is used.
    OtherSpelling,
    /// Mapped to the target's mailbox for the same use.
    SpecialUse {
        /// Which use.
        used_for: SpecialUse,
        /// Whether one of the two sides was recognised by its name instead of its attribute.
        by_name: bool,
    },
    /// Several mailboxes look as if they were for this use; none was mapped by it.
    AmbiguousUse(SpecialUse),
    /// A view of messages that also lie in other mailboxes (`\All`, `\Flagged`): they arrive once more.
    Virtual(SpecialUse),
    /// The name of an earlier run is kept, although a first run would choose another.
    KeptFromEarlier {
        /// That other name.
        instead_of: String,
    },
    /// From another user's or a shared namespace.
    OtherNamespace,
}

/// A mailbox that is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Which one.
    pub source: MailboxName,
    /// Why.
    pub reason: LeftOutReason,
}

/// Why a mailbox is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// It cannot hold messages.
    NotSelectable,
    /// Another user's or a shared one, and those were not asked for.
    OtherNamespace,
    /// No `--mailbox` fits it.
    NotIncluded,
    /// This `--exclude` fits it.
    Excluded(String),
    /// Another mailbox, spelt with other octets, is shown by the same text; only one of them can be told by it.
    SameText,
}

/// Rules that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A `--map` with an empty side, or with characters that no mailbox name may hold.
    #[error("--map `{}={}`: {problem}", Escaped(.old), Escaped(.new))]
    BadRule {
        /// Left of the `=`.
        old: String,
        /// Right of it.
        new: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The rules lead two source mailboxes to one target mailbox.
    #[error(
        "mailboxes `{}` and `{}` would both be copied into `{}`: map one of them elsewhere or exclude it",
        Escaped(.first), Escaped(.second), Escaped(.target)
    )]
    Merged {
        /// One source mailbox.
        first: String,
        /// The other.
        second: String,
        /// The target name.
        target: String,
    },
}

/// A mailbox whose target would be another than in earlier runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingChange {
    /// The source mailbox, as text.
    pub source: String,
    /// Where its mail went so far.
    pub stored: String,
    /// Where it would go now.
    pub now: String,
}

/// The purpose that a mailbox seems to have by its name alone: by the last part of it, at any of the usual delimiters.
/// For caution where a server does not say; a name proves nothing.
#[must_use]
pub fn use_suggested_by(name: &str) -> Option<SpecialUse> {
    special::use_of_name(name.rsplit(['/', '.', '\\']).next().unwrap_or(name))
}

/// Compares the mapping with that of earlier runs (source text → target text). Mailboxes that are new, or not part
/// of this run, are no change. A run whose mapping changed stops before it writes anything.
#[must_use]
pub fn changed(stored: &BTreeMap<String, String>, now: &Mapping) -> Vec<MappingChange> {
    let differing = now.mailboxes.iter().filter_map(|mapped| {
        let earlier = stored.get(mapped.source.text())?;
        (*earlier != mapped.target_text).then(|| MappingChange {
            source: mapped.source.text().to_owned(),
            stored: earlier.clone(),
            now: mapped.target_text.clone(),
        })
    });
    differing.collect()
}

impl Mapping {
    /// A name to try next for a mailbox whose target name the server refused, from harmless to drastic as `attempt`
    /// (from 0) rises; `None` when there is nothing left to try. Never the name of another mailbox of this mapping,
    /// nor one that differs from such a name only by case or normalisation. When a server accepts it, put it into
    /// [`Mapping::rename`], so that later suggestions know of it.
    #[must_use]
    pub fn safer_name(&self, source: &MailboxName, attempt: u32) -> Option<String> {
        let refused = self.mailboxes.iter().find(|mapped| mapped.source == *source)?;
        let others = self.mailboxes.iter().filter(|mapped| mapped.source != *source);
        let taken: std::collections::BTreeSet<String> = others.map(|mapped| names::fold(&mapped.target_text)).collect();
        let candidate = safer_name(&refused.target_text, &self.shape, attempt)?;
        let numbered = (2u32..).map(|number| names::numbered(&candidate, number));
        std::iter::once(candidate.clone()).chain(numbered).find(|name| !taken.contains(&names::fold(name)))
    }

    /// Puts an accepted name in the place of the refused one.
    pub fn rename(&mut self, source: &MailboxName, target_text: &str) {
        for mapped in self.mailboxes.iter_mut().filter(|mapped| mapped.source == *source) {
            target_text.clone_into(&mut mapped.target_text);
        }
    }
}

impl MappedMailbox {
    /// The target name as it is sent: in the octets that the target itself uses if it has the name already.
    #[must_use]
    pub fn target_name(&self, encoding: NameEncoding) -> MailboxName {
        match &self.listed_name {
            Some(listed) if listed.text() == self.target_text => listed.clone(),
            _ => MailboxName::from_text(&self.target_text, encoding),
        }
    }
}

impl fmt::Display for MappingRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CharactersReplaced => f.write_str("characters that the target cannot have in a name were replaced"),
            Self::Flattened => f.write_str("the target has no hierarchy, so the parts of the name were joined"),
            Self::KeptApart { wanted, taken_by } => {
                write!(f, "`{}` belongs to source mailbox `{}`", Escaped(wanted), Escaped(taken_by))
            }
            Self::OtherSpelling => f.write_str("the target has this name in another spelling"),
            Self::SpecialUse { used_for, by_name: false } => write!(f, "both are for {used_for:?}"),
            Self::SpecialUse { used_for, by_name: true } => write!(f, "both are for {used_for:?}, judging by the name"),
            Self::AmbiguousUse(used_for) => write!(f, "several mailboxes look as if they were for {used_for:?}"),
            Self::Virtual(used_for) => {
                write!(f, "a view ({used_for:?}) of messages that other mailboxes may hold too; they are copied again")
            }
            Self::KeptFromEarlier { instead_of } => {
                write!(f, "name kept from an earlier run, not `{}`", Escaped(instead_of))
            }
            Self::OtherNamespace => f.write_str("from another user's or a shared namespace"),
        }
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelectable => f.write_str("holds no messages itself"),
            Self::OtherNamespace => f.write_str("belongs to another user or is shared"),
            Self::NotIncluded => f.write_str("no --mailbox fits it"),
            Self::Excluded(glob) => write!(f, "left out by --exclude `{}`", Escaped(glob)),
            Self::SameText => f.write_str("another mailbox is shown by the same text"),
        }
    }
}
