//! What becomes of one copy's flags.

use super::super::mail::FlagSet;
use super::super::policy::{Flagging, Policy};
use super::choices::Choices;

/// What the copier compares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    /// At the source now.
    pub(super) source: FlagSet,
    /// At the source when the two were last in step; none when the copy was found on the target.
    pub(super) base: Option<FlagSet>,
    /// On the target now.
    pub(super) target: FlagSet,
}

/// The copy's flags afterwards, and what they were in step with.
pub(super) fn synced(flags: Flags, policy: &Policy, choices: &mut Choices) -> (FlagSet, FlagSet) {
    let source = flags.source.without(FlagSet::DELETED);
    let target = flags.target;
    // Who is asked about a copy that nobody has compared before: the source, until the users have switched.
    let found = if policy.switched { source } else { target.without(FlagSet::DELETED) };
    let base = flags.base.unwrap_or(found);
    let changed = source.differing(base);
    let merged = target.without(changed).with(source.common(changed));
    match policy.flags {
        Flagging::Merge => (merged, source),
        Flagging::Source => (source.with(target.common(FlagSet::DELETED)), source),
        // Whether the owner's word is remembered beyond the moment when both agree again is nobody's promise.
        Flagging::Target if target.without(FlagSet::DELETED) != base => {
            (target, if choices.either() { base } else { source })
        }
        Flagging::Target => (merged, source),
        Flagging::None => (target, base),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::Deleting;
    use super::super::choices::every;
    use super::*;

    fn policy(flags: Flagging, switched: bool) -> Policy {
        Policy { flags, moves: true, deletions: Deleting::Ignore, switched, accept_source_change: false }
    }

    fn after(flagging: Flagging, switched: bool, base: Option<u8>, source: u8, target: u8) -> Vec<u8> {
        let flags = Flags { source: FlagSet(source), base: base.map(FlagSet), target: FlagSet(target) };
        let all = every(10, |choices| synced(flags, &policy(flagging, switched), choices).0.0).unwrap_or_default();
        all.into_iter().collect::<std::collections::BTreeSet<u8>>().into_iter().collect()
    }

    #[test]
    fn only_what_changed_at_the_source_is_changed_on_the_target() {
        assert_eq!(after(Flagging::Merge, false, Some(0b01), 0b10, 0b100_0001), [0b100_0010]);
        assert_eq!(after(Flagging::Merge, false, Some(0b01), 0b01, 0b10), [0b10]);
        assert_eq!(after(Flagging::Source, false, Some(0b01), 0b01, 0b10), [0b01]);
        assert_eq!(after(Flagging::Target, false, Some(0b01), 0b11, 0b00), [0b00]);
        assert_eq!(after(Flagging::Target, false, Some(0b01), 0b11, 0b01), [0b11]);
        assert_eq!(after(Flagging::None, false, Some(0b01), 0b11, 0b01), [0b01]);
    }

    #[test]
    fn of_a_copy_that_was_found_the_source_is_right_until_the_switch() {
        assert_eq!(after(Flagging::Merge, false, None, 0b10, 0b01), [0b10]);
        assert_eq!(after(Flagging::Merge, true, None, 0b10, 0b01), [0b01]);
    }
}
