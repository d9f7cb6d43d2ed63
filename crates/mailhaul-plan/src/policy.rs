//! What the operator has decided about changes that happen after the first copy.

use std::fmt;

/// What becomes of flags that change at the source after a message was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FlagPolicy {
    /// What changed at the source since the last pass is changed on the target, flag by flag. What only the target's
    /// owner changed stays as he has it.
    #[default]
    Merge,
    /// The target's flags are made equal to the source's, also where only the target's owner changed them.
    Source,
    /// As [`FlagPolicy::Merge`], but a message whose flags the target's owner has changed is left alone.
    Target,
    /// Flags are handed over with the message and never looked at again.
    None,
}

/// What becomes of messages that are moved, and mailboxes that are renamed, at the source after they were copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MovePolicy {
    /// The same is done on the target.
    #[default]
    Follow,
    /// The moved message is a new one and is copied; the earlier copy stays.
    Copy,
}

/// What becomes of copies whose original is deleted at the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Ignore,
    /// They get `\Deleted`, and stay.
    Flag,
    /// They are moved to the target's trash mailbox.
    Trash,
    /// They are removed, as far as mailhaul itself has put them there.
    Mirror,
}

/// How much may be deleted in one mailbox by one pass. Beyond that, the operator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeletionBrake {
    /// Hundredths of the mailbox.
    pub percent: u32,
    /// Messages.
    pub messages: u64,
}

impl Default for DeletionBrake {
    fn default() -> Self {
        Self { percent: 10, messages: 1_000 }
    }
}

/// All of that, and what the operator has said when he was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ResyncPolicy {
    /// Flags that change at the source.
    pub flags: FlagPolicy,
    /// Messages and mailboxes that move at the source.
    pub moves: MovePolicy,
    /// Messages that are deleted at the source.
    pub deletions: DeletionPolicy,
    /// How much may be deleted.
    pub deletion_brake: DeletionBrake,
    /// Whether the users work on the target already. Nothing is deleted there any more, what was found there keeps the
    /// flags it has, and what they removed, filed or flagged is no difference for a last pass. Flags that only the
    /// source changes are still brought over.
    pub switched: bool,
    /// Go on in source mailboxes that were renumbered or made anew and hold little of what was copied.
    pub accept_source_change: bool,
    /// Source mailboxes, by their names as text, whose doubtful number of messages the operator has checked.
    pub accepted_views: Vec<String>,
    /// Visit and list every mailbox as a whole, whatever the server says of it.
    pub thorough: bool,
}

/// Gives an enum of words `as_str`, `from_word` and `Display`.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every policy, by its word.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word on the command line and in stored options.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The policy that a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(FlagPolicy { Merge => "merge", Source => "source", Target => "target", None => "none" });
words!(MovePolicy { Follow => "follow", Copy => "copy" });
words!(DeletionPolicy { Ignore => "ignore", Flag => "flag", Trash => "trash", Mirror => "mirror" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for word in FlagPolicy::WORDS {
            assert_eq!(FlagPolicy::from_word(word).map(FlagPolicy::as_str), Some(*word));
        }
        for word in MovePolicy::WORDS {
            assert_eq!(MovePolicy::from_word(word).map(MovePolicy::as_str), Some(*word));
        }
        for word in DeletionPolicy::WORDS {
            assert_eq!(DeletionPolicy::from_word(word).map(DeletionPolicy::as_str), Some(*word));
        }
        assert_eq!(DeletionPolicy::from_word("Mirror"), None);
    }
}
