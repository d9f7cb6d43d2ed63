//! Flags that changed after a message was copied: what to do about them on the target.
//!
//! Three values decide, flag by flag: what the source had when it was last looked at (*base*), what it has now
//! (*source*), and what the target has (*target*). Where source and base agree, nothing has happened and the target's
//! owner has his way; where they differ, the target becomes what the source is. A flag has only two values, so both
//! sides can never have changed it in different directions, and a change can be handed over as a difference, without
//! looking at the target at all.

use crate::policy::FlagPolicy;
use mailhaul_types::{Flags, SystemFlag, Uid, UidSet};
use std::collections::BTreeMap;

/// The flags of one message, all of them filtered by what the target can keep and is meant to get.
#[derive(Debug, Clone, Copy)]
pub struct FlagCase<'a> {
    /// As last synced.
    pub base: &'a Flags,
    /// At the source now.
    pub source: &'a Flags,
    /// On the target now, if it was looked at.
    pub target: Option<&'a Flags>,
}

/// What is added to a message's flags and taken from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagChange {
    /// `+FLAGS`
    pub add: Flags,
    /// `-FLAGS`
    pub remove: Flags,
}

impl FlagChange {
    /// What turns `from` into `to`.
    #[must_use]
    pub fn between(from: &Flags, to: &Flags) -> Self {
        Self { add: missing_in(from, to), remove: missing_in(to, from) }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// The flags after the change.
    #[must_use]
    pub fn applied_to(&self, flags: &Flags) -> Flags {
        let mut after = missing_in(&self.remove, flags);
        for flag in SystemFlag::ALL.into_iter().filter(|flag| self.add.contains(*flag)) {
            after.insert(flag);
        }
        for keyword in missing_in(&after, &self.add).keywords() {
            after.insert_keyword(keyword);
        }
        after
    }

    /// The same without keywords.
    #[must_use]
    pub fn without_keywords(&self) -> Self {
        let system = |flags: &Flags| Flags::from_parts(flags.system_bits(), []);
        Self { add: system(&self.add), remove: system(&self.remove) }
    }
}

/// What becomes of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagStep {
    /// Nothing has happened that concerns the target.
    Nothing,
    /// This is to be done on the target.
    Change(FlagChange),
    /// The source has changed, and so has the target's owner, who wins.
    LeftToOwner,
}

/// Whether the target's flags have to be read before [`decide_flags`] can say something, for messages whose source has
/// changed (`changed`) and for the others.
#[must_use]
pub fn needs_target(policy: FlagPolicy, changed: bool) -> bool {
    match policy {
        FlagPolicy::Merge | FlagPolicy::None => false,
        FlagPolicy::Source => true,
        FlagPolicy::Target => changed,
    }
}

/// Decides about one message. Where the target was not looked at, the change at the source is all that can be done.
#[must_use]
pub fn decide_flags(policy: FlagPolicy, case: FlagCase<'_>) -> FlagStep {
    let change = match (policy, case.target) {
        (FlagPolicy::None, _) => return FlagStep::Nothing,
        (FlagPolicy::Source, Some(target)) => FlagChange::between(target, case.source),
        (FlagPolicy::Target, Some(target)) if !same_flags(target, case.base) => {
            let nothing = same_flags(case.source, case.base) || same_flags(case.source, target);
            return if nothing { FlagStep::Nothing } else { FlagStep::LeftToOwner };
        }
        _ => FlagChange::between(case.base, case.source),
    };
    if change.is_empty() { FlagStep::Nothing } else { FlagStep::Change(change) }
}

/// Whether two sets of flags are the same. Keywords are the same in any case (RFC 9051 §2.3.2): a server may show the
/// spelling that it met first.
#[must_use]
pub fn same_flags(one: &Flags, other: &Flags) -> bool {
    FlagChange::between(one, other).is_empty()
}

/// The flags that both have, spelt as in `one`.
#[must_use]
pub fn common_flags(one: &Flags, other: &Flags) -> Flags {
    missing_in(&missing_in(other, one), one)
}

/// The flags of `all` that `some` lacks.
fn missing_in(some: &Flags, all: &Flags) -> Flags {
    let mut missing = all.clone();
    for flag in SystemFlag::ALL.into_iter().filter(|flag| some.contains(*flag)) {
        missing.remove(flag);
    }
    missing.retain_keywords(|keyword| !some.keywords().iter().any(|known| known.eq_ignore_ascii_case(keyword)));
    missing
}

/// One STORE: the same flags added to, or taken from, many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagStore {
    /// Whether they are added.
    pub add: bool,
    /// The flags.
    pub flags: Flags,
    /// The messages.
    pub uids: UidSet,
}

/// Groups changes of many messages into as few commands as there are different sets of flags; what is taken away first.
#[must_use]
pub fn group_changes<'a>(changes: impl IntoIterator<Item = (Uid, &'a FlagChange)>) -> Vec<FlagStore> {
    let mut groups: BTreeMap<(bool, String), FlagStore> = BTreeMap::new();
    for (uid, change) in changes {
        for (add, flags) in [(false, &change.remove), (true, &change.add)] {
            if !flags.is_empty() {
                let new = || FlagStore { add, flags: flags.clone(), uids: UidSet::new() };
                groups.entry((add, flags.to_string())).or_insert_with(new).uids.insert(uid);
            }
        }
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use FlagPolicy::{Merge, None as NoFlags, Source, Target};
    use proptest::prelude::*;

    fn flags(text: &str) -> Flags {
        let mut flags = Flags::new();
        for flag in text.split_whitespace() {
            assert!(flags.insert_wire(flag));
        }
        flags
    }

    #[test]
    fn common_flags_are_those_of_both_in_any_case() {
        let common = common_flags(&flags("\\Seen \\Flagged Work k"), &flags("\\Flagged \\Answered WORK"));
        assert_eq!(common, flags("\\Flagged Work"));
    }

    /// `+\Seen -k`, `=` for nothing, `owner` for left to the owner.
    fn shown(step: &FlagStep) -> String {
        match step {
            FlagStep::Nothing => "=".to_owned(),
            FlagStep::LeftToOwner => "owner".to_owned(),
            FlagStep::Change(FlagChange { add, remove }) => {
                let signed = |sign: char, flags: &Flags| {
                    let words: Vec<_> = flags.to_string().split(' ').map(|word| format!("{sign}{word}")).collect();
                    if flags.is_empty() { String::new() } else { words.join(" ") }
                };
                format!("{} {}", signed('+', add), signed('-', remove)).trim().to_owned()
            }
        }
    }

    #[test]
    fn each_policy_decides_as_it_is_described() {
        // base, source, target, then what merge, source, target and none do.
        let cases = [
            ("", "\\Seen", "", ["+\\Seen", "+\\Seen", "+\\Seen", "="]),
            ("\\Seen", "", "\\Seen", ["-\\Seen", "-\\Seen", "-\\Seen", "="]),
            // Only the owner has changed something.
            ("", "", "\\Flagged", ["=", "-\\Flagged", "=", "="]),
            ("\\Seen", "\\Seen", "", ["=", "+\\Seen", "=", "="]),
            // Both have, different flags.
            ("", "\\Seen", "\\Flagged", ["+\\Seen", "+\\Seen -\\Flagged", "owner", "="]),
            // Both have, and did the same.
            ("", "\\Seen", "\\Seen", ["+\\Seen", "=", "=", "="]),
            ("\\Seen", "\\Answered", "\\Seen", ["+\\Answered -\\Seen"; 4]),
            ("k", "K", "k", ["=", "=", "=", "="]),
            ("a b", "b c", "a b", ["+c -a"; 4]),
        ];
        for (base, source, target, mut expected) in cases {
            expected[3] = "=";
            let (base, source, target) = (flags(base), flags(source), flags(target));
            let case = FlagCase { base: &base, source: &source, target: Some(&target) };
            for (policy, expected) in [Merge, Source, Target, NoFlags].into_iter().zip(expected) {
                let step = decide_flags(policy, case);
                assert_eq!(shown(&step), expected, "{policy}: {base} | {source} | {target}");
            }
        }
    }

    #[test]
    fn the_target_is_read_only_where_its_flags_matter() {
        let needed = |changed| [Merge, Source, Target, NoFlags].map(|policy| needs_target(policy, changed));
        assert_eq!(needed(true), [false, true, true, false]);
        assert_eq!(needed(false), [false, true, false, false]);
    }

    #[test]
    fn equal_changes_are_one_command() {
        let (read, unread) = (FlagChange::between(&flags(""), &flags("\\Seen")), FlagChange::default());
        let moved = FlagChange::between(&flags("a"), &flags("\\Seen"));
        let stores = group_changes([(Uid(3), &read), (Uid(4), &unread), (Uid(5), &moved), (Uid(9), &read)]);
        let shown: Vec<_> = stores.iter().map(|s| format!("{} {} {}", s.add, s.flags, s.uids)).collect();
        assert_eq!(shown, ["false a 5", "true \\Seen 3,5,9"]);
    }

    #[test]
    fn keywords_can_be_left_off() {
        let change = FlagChange::between(&flags("\\Seen a"), &flags("\\Flagged b"));
        let fewer = change.without_keywords();
        assert_eq!(shown(&FlagStep::Change(fewer)), "+\\Flagged -\\Seen");
    }

    fn any_flags() -> impl Strategy<Value = Flags> {
        (0_u8..32, proptest::collection::btree_set("[abAB]", 0..3))
            .prop_map(|(bits, keywords)| Flags::from_parts(bits, keywords.iter().map(String::as_str)))
    }

    proptest! {
        #[test]
        fn a_merge_changes_exactly_what_the_source_changed(
            base in any_flags(), source in any_flags(), target in any_flags()
        ) {
            let case = FlagCase { base: &base, source: &source, target: None };
            let after = match decide_flags(Merge, case) {
                FlagStep::Change(change) => change.applied_to(&target),
                _ => target.clone(),
            };
            for flag in SystemFlag::ALL {
                let changed = base.contains(flag) != source.contains(flag);
                let expected = if changed { source.contains(flag) } else { target.contains(flag) };
                prop_assert_eq!(after.contains(flag), expected);
            }
            let has = |flags: &Flags, word: &str| flags.keywords().iter().any(|k| k.eq_ignore_ascii_case(word));
            for word in ["a", "b"] {
                let changed = has(&base, word) != has(&source, word);
                let expected = if changed { has(&source, word) } else { has(&target, word) };
                prop_assert_eq!(has(&after, word), expected);
            }
        }

        #[test]
        fn with_the_policy_source_both_sides_end_equal(
            base in any_flags(), source in any_flags(), target in any_flags()
        ) {
            let case = FlagCase { base: &base, source: &source, target: Some(&target) };
            let after = match decide_flags(Source, case) {
                FlagStep::Change(change) => change.applied_to(&target),
                _ => target.clone(),
            };
            prop_assert!(same_flags(&after, &source));
        }

        #[test]
        fn a_change_leads_from_one_to_the_other(from in any_flags(), to in any_flags()) {
            let change = FlagChange::between(&from, &to);
            prop_assert!(same_flags(&change.applied_to(&from), &to));
            prop_assert!(same_flags(&from, &from));
        }
    }
}
