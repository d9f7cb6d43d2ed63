//! Whether a mailbox has to be visited, decided from what both servers say of it along with their lists.
//!
//! A mailbox is left alone only if every figure that could tell of a change is there and says that there is none. What
//! is missing is never taken for unchanged: RFC 5819 §2 allows a server to leave a mailbox's figures out.

use crate::policy::FlagPolicy;
use mailhaul_types::{ModSeq, Uid, UidValidity};
use std::fmt;

/// What a source mailbox was when a pass last accounted for everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// Its UIDNEXT.
    pub uid_next: Uid,
    /// How many messages it held.
    pub exists: u32,
    /// Its HIGHESTMODSEQ, where it had one.
    pub highest_modseq: Option<ModSeq>,
    /// Its MAILBOXID, where it had one.
    pub mailbox_id: Option<String>,
    /// The UIDVALIDITY of the target mailbox.
    pub target_uid_validity: UidValidity,
    /// What the operator had decided, as one number.
    pub policy: u64,
}

/// The figures of a mailbox as its server tells them (RFC 9051 §6.3.11); `None` for what it does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// UIDVALIDITY.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT.
    pub uid_next: Option<Uid>,
    /// MESSAGES.
    pub messages: Option<u32>,
    /// HIGHESTMODSEQ (RFC 7162).
    pub highest_modseq: Option<ModSeq>,
    /// MAILBOXID (RFC 8474).
    pub mailbox_id: Option<String>,
}

/// What the target's list says of the mailbox that a source mailbox goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetView {
    /// It is not in the list.
    Absent,
    /// It is, with these figures.
    Listed(Figures),
}

/// Everything that decides about one mailbox.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// The last complete pass; `None` if there was none.
    pub remembered: Option<&'a Remembered>,
    /// The source mailbox now; `None` if its line was missing.
    pub source: Option<&'a Figures>,
    /// The target mailbox now.
    pub target: &'a TargetView,
    /// Every target UID below it is accounted for.
    pub target_mark: Option<Uid>,
    /// Whether messages were sent and it is not known what became of them.
    pub in_flight: bool,
    /// Whether something is filed against the mailbox itself.
    pub failed: bool,
    /// Whether exceptions in it are to be tried again.
    pub retry: bool,
    /// Whether every mailbox is to be visited.
    pub thorough: bool,
    /// What the operator has decided, as one number.
    pub policy: u64,
    /// What he has decided about flags.
    pub flags: FlagPolicy,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// Nothing has changed: the mailbox need not be opened on either side.
    Unchanged,
    /// Nothing has changed at the source, and the target mailbox is not there any more. It is not made again.
    TargetGone,
    /// It has to be visited.
    Needed(Reason),
}

/// Why a mailbox is visited: the first reason that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Every mailbox is.
    Thorough,
    /// No pass has come to its end in it yet.
    NeverComplete,
    /// Messages may be in flight.
    InFlight,
    /// Something is filed against the mailbox.
    Failed,
    /// Exceptions are to be tried again.
    Retry,
    /// The operator has decided otherwise since.
    OtherDecisions,
    /// The source does not tell its figures, or not all of them.
    NoFigures,
    /// The source has renumbered it.
    Renumbered,
    /// Another mailbox stands under its name.
    Replaced,
    /// UIDs were given out: mail has arrived.
    Arrivals,
    /// There are more or fewer messages.
    OtherCount,
    /// The source does not tell whether flags have changed.
    FlagsUnknown,
    /// Flags, or something else about messages, have changed.
    FlagsChanged,
    /// The target's flags are to be made equal to the source's, and it does not tell whether they still are.
    TargetFlags,
    /// The target does not tell its figures.
    NoTargetFigures,
    /// The target mailbox is another one, or was renumbered.
    TargetRenumbered,
    /// The target mailbox was put back to an earlier state.
    TargetPutBack,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thorough => "every mailbox is visited",
            Self::NeverComplete => "no pass has accounted for everything in it yet",
            Self::InFlight => "messages may be in flight",
            Self::Failed => "something is filed against it",
            Self::Retry => "its exceptions are to be tried again",
            Self::OtherDecisions => "other options than in the last pass",
            Self::NoFigures => "the source does not tell its figures",
            Self::Renumbered => "the source has renumbered it",
            Self::Replaced => "another mailbox stands under its name",
            Self::Arrivals => "mail has arrived",
            Self::OtherCount => "the number of messages has changed",
            Self::FlagsUnknown => "the source does not tell whether flags have changed",
            Self::FlagsChanged => "flags have changed",
            Self::TargetFlags => "the target's flags are compared",
            Self::NoTargetFigures => "the target does not tell its figures",
            Self::TargetRenumbered => "the target mailbox was made anew or renumbered",
            Self::TargetPutBack => "the target mailbox was put back to an earlier state",
        })
    }
}

/// Decides whether a mailbox has to be visited.
#[must_use]
pub fn decide_visit(look: &Look<'_>) -> Visit {
    if look.thorough {
        return Visit::Needed(Reason::Thorough);
    }
    let Some(remembered) = look.remembered else { return Visit::Needed(Reason::NeverComplete) };
    let standing = [
        (look.in_flight, Reason::InFlight),
        (look.failed, Reason::Failed),
        (look.retry, Reason::Retry),
        (look.policy != remembered.policy, Reason::OtherDecisions),
    ];
    if let Some((_, reason)) = standing.into_iter().find(|(holds, _)| *holds) {
        return Visit::Needed(reason);
    }
    if let Some(reason) = change_at_source(look, remembered) {
        return Visit::Needed(reason);
    }
    match look.target {
        // Flags that cannot be looked at cannot differ either.
        TargetView::Absent => Visit::TargetGone,
        TargetView::Listed(_) if look.flags == FlagPolicy::Source => Visit::Needed(Reason::TargetFlags),
        TargetView::Listed(figures) => match change_on_target(look, remembered, figures) {
            Some(reason) => Visit::Needed(reason),
            None => Visit::Unchanged,
        },
    }
}

fn change_at_source(look: &Look<'_>, remembered: &Remembered) -> Option<Reason> {
    let Some(Figures { uid_validity: Some(uid_validity), uid_next: Some(uid_next), messages: Some(messages), .. }) =
        look.source
    else {
        return Some(Reason::NoFigures);
    };
    let now = look.source?;
    if *uid_validity != remembered.uid_validity {
        return Some(Reason::Renumbered);
    }
    if let (Some(then), Some(now)) = (&remembered.mailbox_id, &now.mailbox_id)
        && then != now
    {
        return Some(Reason::Replaced);
    }
    if *uid_next != remembered.uid_next {
        return Some(Reason::Arrivals);
    }
    if *messages != remembered.exists {
        return Some(Reason::OtherCount);
    }
    match (look.flags, remembered.highest_modseq, now.highest_modseq) {
        (FlagPolicy::None, ..) => None,
        (_, Some(then), Some(now)) => (then != now).then_some(Reason::FlagsChanged),
        // An empty mailbox has no flags.
        _ if remembered.exists == 0 => None,
        _ => Some(Reason::FlagsUnknown),
    }
}

fn change_on_target(look: &Look<'_>, remembered: &Remembered, now: &Figures) -> Option<Reason> {
    let (Some(uid_validity), Some(uid_next)) = (now.uid_validity, now.uid_next) else {
        return Some(Reason::NoTargetFigures);
    };
    if uid_validity != remembered.target_uid_validity {
        return Some(Reason::TargetRenumbered);
    }
    // Mail that others bring to the target lies above the mark and is nobody's business until something is sent.
    look.target_mark.is_none_or(|mark| uid_next < mark).then_some(Reason::TargetPutBack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn remembered() -> Remembered {
        Remembered {
            uid_validity: UidValidity(7),
            uid_next: Uid(101),
            exists: 90,
            highest_modseq: Some(ModSeq(500)),
            mailbox_id: Some("m1".to_owned()),
            target_uid_validity: UidValidity(9),
            policy: 42,
        }
    }

    fn source() -> Figures {
        Figures {
            uid_validity: Some(UidValidity(7)),
            uid_next: Some(Uid(101)),
            messages: Some(90),
            highest_modseq: Some(ModSeq(500)),
            mailbox_id: Some("m1".to_owned()),
        }
    }

    fn target() -> Figures {
        let (uid_validity, uid_next) = (Some(UidValidity(9)), Some(Uid(95)));
        Figures { uid_validity, uid_next, messages: Some(94), ..Figures::default() }
    }

    /// The decision after `change` was made to a mailbox in which nothing has changed.
    fn after(change: impl FnOnce(&mut Remembered, &mut Figures, &mut Figures, &mut Look<'_>)) -> Visit {
        let (mut remembered, mut source, mut target) = (remembered(), source(), target());
        let nowhere = TargetView::Absent;
        let mut look = Look {
            remembered: None,
            source: None,
            target: &nowhere,
            target_mark: Some(Uid(95)),
            in_flight: false,
            failed: false,
            retry: false,
            thorough: false,
            policy: 42,
            flags: FlagPolicy::Merge,
        };
        change(&mut remembered, &mut source, &mut target, &mut look);
        let view = TargetView::Listed(target);
        decide_visit(&Look { remembered: Some(&remembered), source: Some(&source), target: &view, ..look })
    }

    #[test]
    fn a_mailbox_without_any_change_is_left_alone() {
        assert_eq!(after(|_, _, _, _| {}), Visit::Unchanged);
    }

    #[test]
    fn every_change_that_matters_is_a_reason_with_a_name() {
        type Change = fn(&mut Remembered, &mut Figures, &mut Figures, &mut Look<'_>);
        let cases: [(Change, Reason); 18] = [
            (|_, _, _, look| look.thorough = true, Reason::Thorough),
            (|_, _, _, look| look.in_flight = true, Reason::InFlight),
            (|_, _, _, look| look.failed = true, Reason::Failed),
            (|_, _, _, look| look.retry = true, Reason::Retry),
            (|_, _, _, look| look.policy = 43, Reason::OtherDecisions),
            (|_, source, _, _| source.uid_validity = None, Reason::NoFigures),
            (|_, source, _, _| source.uid_next = None, Reason::NoFigures),
            (|_, source, _, _| source.messages = None, Reason::NoFigures),
            (|_, source, _, _| source.uid_validity = Some(UidValidity(8)), Reason::Renumbered),
            (|_, source, _, _| source.mailbox_id = Some("m2".to_owned()), Reason::Replaced),
            (|_, source, _, _| source.uid_next = Some(Uid(102)), Reason::Arrivals),
            (|_, source, _, _| source.messages = Some(89), Reason::OtherCount),
            (|_, source, _, _| source.highest_modseq = Some(ModSeq(501)), Reason::FlagsChanged),
            (|_, source, _, _| source.highest_modseq = None, Reason::FlagsUnknown),
            (|remembered, _, _, _| remembered.highest_modseq = None, Reason::FlagsUnknown),
            (|_, _, target, _| target.uid_next = None, Reason::NoTargetFigures),
            (|_, _, target, _| target.uid_validity = Some(UidValidity(1)), Reason::TargetRenumbered),
            (|_, _, target, _| target.uid_next = Some(Uid(94)), Reason::TargetPutBack),
        ];
        for (change, reason) in cases {
            assert_eq!(after(change), Visit::Needed(reason), "{reason}");
        }
        let policy = after(|_, _, _, look| look.flags = FlagPolicy::Source);
        assert_eq!(policy, Visit::Needed(Reason::TargetFlags));
    }

    #[test]
    fn what_does_not_matter_is_no_reason() {
        type Change = fn(&mut Remembered, &mut Figures, &mut Figures, &mut Look<'_>);
        let cases: [Change; 6] = [
            |_, source, _, _| source.mailbox_id = None,
            |remembered, _, _, _| remembered.mailbox_id = None,
            |_, _, target, _| target.uid_next = Some(Uid(4_000)),
            |_, _, target, _| target.messages = Some(0),
            |_, source, _, look| (source.highest_modseq, look.flags) = (None, FlagPolicy::None),
            |remembered, source, _, _| {
                (remembered.exists, source.messages) = (0, Some(0));
                (remembered.highest_modseq, source.highest_modseq) = (None, None);
            },
        ];
        for (place, change) in cases.into_iter().enumerate() {
            assert_eq!(after(change), Visit::Unchanged, "{place}");
        }
    }

    #[test]
    fn what_is_missing_is_never_taken_for_unchanged() {
        let (remembered, source) = (remembered(), source());
        let listed = TargetView::Listed(target());
        let look = Look {
            remembered: Some(&remembered),
            source: Some(&source),
            target: &listed,
            target_mark: Some(Uid(95)),
            in_flight: false,
            failed: false,
            retry: false,
            thorough: false,
            policy: 42,
            flags: FlagPolicy::Merge,
        };
        assert_eq!(decide_visit(&look), Visit::Unchanged);
        let unknown = decide_visit(&Look { remembered: None, ..look.clone() });
        assert_eq!(unknown, Visit::Needed(Reason::NeverComplete));
        let silent = decide_visit(&Look { source: None, ..look.clone() });
        assert_eq!(silent, Visit::Needed(Reason::NoFigures));
        let unmarked = decide_visit(&Look { target_mark: None, ..look.clone() });
        assert_eq!(unmarked, Visit::Needed(Reason::TargetPutBack));
        let gone = decide_visit(&Look { target: &TargetView::Absent, ..look.clone() });
        assert_eq!(gone, Visit::TargetGone);
        let arrived = Figures { uid_next: Some(Uid(102)), ..source.clone() };
        let needed = decide_visit(&Look { source: Some(&arrived), target: &TargetView::Absent, ..look });
        assert_eq!(needed, Visit::Needed(Reason::Arrivals));
    }

    proptest! {
        #[test]
        fn a_mailbox_is_left_alone_only_if_every_figure_agrees(
            uid_next in prop::option::of(100_u32..103),
            messages in prop::option::of(89_u32..92),
            modseq in prop::option::of(499_u64..502),
            validity in prop::option::of(6_u32..9),
        ) {
            let shown = Figures {
                uid_validity: validity.map(UidValidity),
                uid_next: uid_next.map(Uid),
                messages,
                highest_modseq: modseq.map(ModSeq),
                mailbox_id: None,
            };
            let same = shown == Figures { mailbox_id: None, ..source() };
            let visit = after(|_, source, _, _| *source = shown);
            prop_assert_eq!(visit == Visit::Unchanged, same);
        }
    }
}
