//! What is decided for a history before it begins: the operator's policies, and what both servers announce.

use super::dice::Dice;
use crate::dovecot::Offer;

/// `--flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flagging {
    /// `merge`
    Merge,
    /// `source`
    Source,
    /// `target`
    Target,
    /// `none`
    None,
}

/// `--deletions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleting {
    /// `ignore`
    Ignore,
    /// `flag`
    Flag,
    /// `trash`
    Trash,
    /// `mirror`
    Mirror,
}

/// The operator's decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of flags.
    pub flags: Flagging,
    /// Whether moves are followed.
    pub moves: bool,
    /// What becomes of what is deleted.
    pub deletions: Deleting,
    /// Whether the users work on the target.
    pub switched: bool,
    /// Whether renumbered mailboxes are taken as they are.
    pub accept_source_change: bool,
}

impl Policy {
    /// What stands on the command line.
    #[must_use]
    pub fn arguments(&self) -> Vec<&'static str> {
        let flags = match self.flags {
            Flagging::Merge => "merge",
            Flagging::Source => "source",
            Flagging::Target => "target",
            Flagging::None => "none",
        };
        let deletions = match self.deletions {
            Deleting::Ignore => "ignore",
            Deleting::Flag => "flag",
            Deleting::Trash => "trash",
            Deleting::Mirror => "mirror",
        };
        let mut arguments = vec!["--flags", flags, "--deletions", deletions];
        arguments.extend(["--moves", if self.moves { "follow" } else { "copy" }]);
        for (holds, argument) in [
            (self.deletions == Deleting::Mirror, "--yes"),
            (self.switched, "--switched"),
            (self.accept_source_change, "--accept-source-change"),
        ] {
            if holds {
                arguments.push(argument);
            }
        }
        arguments
    }
}

/// What the two servers announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offers {
    /// The source.
    pub source: Offer,
    /// The target.
    pub target: Offer,
}

/// What a history is played under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The policies.
    pub policy: Policy,
    /// The servers.
    pub offers: Offers,
    /// Whether it is counted what a pass with nothing to do asks of the source.
    pub costs_count: bool,
}

/// The sources that occur.
pub(super) const SOURCES: [Offer; 5] =
    [Offer::Everything, Offer::NoQresync, Offer::NoCondstore, Offer::NoListStatus, Offer::Bare];
/// The targets that occur.
pub(super) const TARGETS: [Offer; 4] = [Offer::Everything, Offer::NoMove, Offer::NoUidplus, Offer::Bare];

impl Setting {
    /// Rolls one. What is the default for operators comes most often.
    #[must_use]
    pub fn roll(dice: &mut Dice) -> Setting {
        let source = if dice.once_in(3) { dice.one_of(&SOURCES) } else { Offer::Everything };
        let target = if dice.once_in(3) { dice.one_of(&TARGETS) } else { Offer::Everything };
        let has_move = matches!(target, Offer::Everything | Offer::NoUidplus);
        let has_uidplus = matches!(target, Offer::Everything | Offer::NoMove);
        let flags = match dice.below(6) {
            0 => Flagging::Source,
            1 => Flagging::Target,
            2 => Flagging::None,
            _ => Flagging::Merge,
        };
        // The two contradict each other.
        let switched = dice.once_in(5) && flags != Flagging::Source;
        let mut deletions = match dice.below(7) {
            0 => Deleting::Flag,
            1 => Deleting::Trash,
            2 | 3 => Deleting::Mirror,
            _ => Deleting::Ignore,
        };
        // Nothing is deleted after the switch, and what the target cannot do is refused; both have tests of their own.
        let cannot = match deletions {
            Deleting::Mirror => !has_uidplus,
            Deleting::Trash => !has_move && !has_uidplus,
            _ => false,
        };
        if switched || cannot {
            deletions = Deleting::Ignore;
        }
        let policy =
            Policy { flags, moves: !dice.once_in(5), deletions, switched, accept_source_change: dice.once_in(4) };
        Setting { policy, offers: Offers { source, target }, costs_count: true }
    }
}
