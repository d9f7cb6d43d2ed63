//! Which source mailbox was renamed into which, and whether the target's mailbox may be renamed after it.
//!
//! A mailbox that was renamed is not under its name any more: the name is gone, or another mailbox has it. It is looked
//! for among the mailboxes that nobody knows under their names. The server's own MAILBOXID says it outright; numbers
//! only make a suspicion, which a sample of stored keys has to confirm: many servers give one UIDVALIDITY to all their
//! mailboxes, or one to all that are made within the same second.

use mailhaul_types::{Escaped, MessageKey, SpecialUse, Uid, UidSet, UidValidity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Settled messages whose keys are compared at most.
pub const SAMPLE_MESSAGES_MAX: usize = 10;
/// Settled messages that are asked for at most, to find a sample among those that are still there.
pub const SAMPLE_ASKED_MAX: usize = 500;
/// Mailboxes that are looked into at most for one that is not under its name any more.
pub const CANDIDATES_MAX: usize = 16;

/// A source mailbox as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerMailbox {
    /// The name that it had.
    pub name: String,
    /// What its UIDs belonged to.
    pub uid_validity: UidValidity,
    /// UIDNEXT when it was last listed.
    pub uid_next: Option<Uid>,
    /// MAILBOXID, where the server has it.
    pub mailbox_id: Option<String>,
    /// How many messages were copied from it.
    pub settled: u64,
    /// Whether it is not known what became of messages that were sent.
    pub in_flight: bool,
}

/// A source mailbox as it is listed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentMailbox {
    /// Its name.
    pub name: String,
    /// UIDVALIDITY, if the server told it.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT, if the server told it.
    pub uid_next: Option<Uid>,
    /// MAILBOXID, where the server has it.
    pub mailbox_id: Option<String>,
}

/// Why a present mailbox may be a former one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// MAILBOXID is the same: proof.
    SameId,
    /// The numbers do not contradict it: MAILBOXID as the mailbox tells it when it is opened, or else a sample of keys,
    /// decides.
    SameNumbers,
}

/// A former mailbox that is not under its name any more, and where it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// Its place among the former ones.
    pub former: usize,
    /// Places among the present ones, the likeliest first.
    pub candidates: Vec<(usize, Evidence)>,
}

/// Whether the mailbox is not the one that stands under its name now. `present` is what is listed under that name.
#[must_use]
pub fn is_displaced(former: &FormerMailbox, present: Option<&PresentMailbox>) -> bool {
    let Some(present) = present else { return true };
    match (&former.mailbox_id, &present.mailbox_id) {
        // The same mailbox may have been renumbered, and another one may have the same numbers.
        (Some(then), Some(now)) => then != now,
        // UIDNEXT never goes back. Where all mailboxes have one UIDVALIDITY, this alone shows a new one.
        _ => present.uid_validity.is_some_and(|now| now != former.uid_validity) || is_shorter(former, present),
    }
}

/// Former mailboxes that may stand under another name now. INBOX never does: renaming it moves its messages into a new
/// mailbox (RFC 9051 §6.3.6).
#[must_use]
pub fn suspicions(formers: &[FormerMailbox], present: &[PresentMailbox]) -> Vec<Suspicion> {
    let by_name: BTreeMap<&str, &PresentMailbox> =
        present.iter().map(|mailbox| (mailbox.name.as_str(), mailbox)).collect();
    let displaced = |former: &FormerMailbox| {
        !is_inbox(&former.name) && is_displaced(former, by_name.get(former.name.as_str()).copied())
    };
    // A mailbox that stands under its own name still is nobody else's new one.
    let at_home: BTreeSet<&str> =
        formers.iter().filter(|former| !displaced(former)).map(|former| former.name.as_str()).collect();
    let strangers: Vec<(usize, &PresentMailbox)> = present
        .iter()
        .enumerate()
        .filter(|(_, mailbox)| !is_inbox(&mailbox.name) && !at_home.contains(mailbox.name.as_str()))
        .collect();
    let suspicion = |(place, former): (usize, &FormerMailbox)| {
        let mut candidates: Vec<(usize, &PresentMailbox, Evidence)> = strangers
            .iter()
            .filter_map(|(place, mailbox)| Some((*place, *mailbox, evidence(former, mailbox)?)))
            .collect();
        if candidates.iter().any(|(_, _, evidence)| *evidence == Evidence::SameId) {
            candidates.retain(|(_, _, evidence)| *evidence == Evidence::SameId);
        }
        candidates.sort_by_key(|(_, mailbox, _)| {
            let other_part = last_part(&mailbox.name) != last_part(&former.name);
            (other_part, mailbox.uid_next != former.uid_next, mailbox.name.as_str())
        });
        candidates.truncate(CANDIDATES_MAX);
        let candidates: Vec<_> = candidates.into_iter().map(|(place, _, evidence)| (place, evidence)).collect();
        (!candidates.is_empty()).then_some(Suspicion { former: place, candidates })
    };
    formers.iter().enumerate().filter(|(_, former)| displaced(former)).filter_map(suspicion).collect()
}

fn evidence(former: &FormerMailbox, present: &PresentMailbox) -> Option<Evidence> {
    if let (Some(then), Some(now)) = (&former.mailbox_id, &present.mailbox_id) {
        return (then == now).then_some(Evidence::SameId);
    }
    // Without messages on the target there is nothing to take a sample of. Some servers tell MAILBOXID only of an open mailbox.
    let same_numbers = present.uid_validity == Some(former.uid_validity) && !is_shorter(former, present);
    let decidable = former.settled > 0 || former.in_flight || former.mailbox_id.is_some();
    (same_numbers && decidable).then_some(Evidence::SameNumbers)
}

fn is_shorter(former: &FormerMailbox, present: &PresentMailbox) -> bool {
    matches!((former.uid_next, present.uid_next), (Some(then), Some(now)) if now < then)
}

fn is_inbox(name: &str) -> bool {
    name.eq_ignore_ascii_case("INBOX")
}

/// Only says where to look first, so that a guess at the delimiter will do.
fn last_part(name: &str) -> &str {
    name.rsplit(['/', '.', '\\']).next().unwrap_or(name)
}

/// Keeps the pairs (former, present) in which nobody occurs twice. Where two fit, nothing is known.
#[must_use]
pub fn unambiguous(confirmed: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let alone =
        |pair: &&(usize, usize)| confirmed.iter().filter(|other| other.0 == pair.0 || other.1 == pair.1).count() == 1;
    confirmed.iter().filter(alone).copied().collect()
}

/// Up to `most` of these UIDs, spread evenly over them, the first and the last among them.
#[must_use]
pub fn spread(uids: &UidSet, most: usize) -> UidSet {
    let (all, most) = (uids.len(), most as u64);
    if all <= most {
        return uids.clone();
    }
    let mut wanted = (0..most).map(|step| step * (all - 1) / (most - 1).max(1)).peekable();
    let mut before = 0;
    let mut chosen = UidSet::new();
    for range in uids.ranges() {
        let width = u64::from(range.last.0 - range.first.0) + 1;
        while let Some(rank) = wanted.next_if(|rank| *rank < before + width) {
            let offset = u32::try_from(rank - before).expect("within a range of 32-bit UIDs");
            chosen.insert(Uid(range.first.0 + offset));
        }
        before += width;
    }
    chosen
}

/// Whether a sample speaks for the same mailbox: at least one stored key is found under its UID, and none contradicts.
/// `found` holds the messages that are there; a message without a key says nothing.
#[must_use]
pub fn sample_agrees(stored: &[(Uid, Option<MessageKey>)], found: &BTreeMap<Uid, Option<MessageKey>>) -> bool {
    let mut seen = false;
    for (uid, stored) in stored {
        let (Some(stored), Some(Some(found))) = (stored, found.get(uid)) else { continue };
        if stored != found {
            return false;
        }
        seen = true;
    }
    seen
}

/// A mailbox of the target, as far as renaming is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetMailbox {
    /// Its name.
    pub name: String,
    /// Its hierarchy delimiter.
    pub delimiter: Option<char>,
    /// Whether it can hold messages.
    pub selectable: bool,
}

/// Why the target's mailbox keeps its name although the source's was renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It was there before the first copy.
    FoundThere,
    /// A `--map` gave it its name.
    NamedByRule,
    /// It is not the mailbox any more that was copied into.
    AnotherMailbox,
    /// It is not there any more.
    Missing,
    /// Something came into it that nobody copied there.
    Filled,
    /// The target uses it for something.
    InUse(SpecialUse),
    /// It is the INBOX.
    Inbox,
    /// This mailbox lies below it and would move along.
    LiesBelow(String),
    /// The target has a mailbox of the new name.
    NameTaken(String),
    /// The target refuses, in these words.
    Refused(String),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FoundThere => f.write_str("it was there before the first copy"),
            Self::NamedByRule => f.write_str("--map gave it that name"),
            Self::Missing => {
                f.write_str("it is not there any more, and the target has another mailbox of the new name")
            }
            Self::AnotherMailbox => f.write_str("it is not the mailbox any more that was copied into"),
            Self::Filled => f.write_str("it holds messages that were not copied there"),
            Self::InUse(used_for) => write!(f, "the target uses it for {used_for:?}"),
            Self::Inbox => f.write_str("it is the INBOX"),
            Self::LiesBelow(name) => write!(f, "`{}` lies below it and would move along", Escaped(name)),
            Self::NameTaken(name) => write!(f, "the target has `{}` already", Escaped(name)),
            Self::Refused(words) => write!(f, "the target refuses: \"{}\"", Escaped(words)),
        }
    }
}

/// What in the names forbids RENAME `from` `to` now. `moving` holds what is to be renamed, present name → new name: a
/// mailbox below `from` may move along if that is where it is to go.
#[must_use]
pub fn obstacle_in_names(
    target: &[TargetMailbox],
    from: &str,
    to: &str,
    moving: &BTreeMap<String, String>,
) -> Option<Obstacle> {
    if is_inbox(from) {
        return Some(Obstacle::Inbox);
    }
    // A name that only holds other mailboxes is for the server to judge.
    if target.iter().any(|mailbox| mailbox.selectable && mailbox.name == to) || is_inbox(to) {
        return Some(Obstacle::NameTaken(to.to_owned()));
    }
    let below = target.iter().filter(|mailbox| mailbox.selectable);
    let left_behind = below.into_iter().find(|mailbox| match moved(&mailbox.name, from, to, mailbox.delimiter) {
        Some(_) if mailbox.name == from => false,
        Some(then) => moving.get(&mailbox.name) != Some(&then),
        None => false,
    });
    left_behind.map(|mailbox| Obstacle::LiesBelow(mailbox.name.clone()))
}

/// What a mailbox is called after RENAME `from` `to`, if that changes its name: what lies below moves along
/// (RFC 9051 §6.3.6).
#[must_use]
pub fn moved(name: &str, from: &str, to: &str, delimiter: Option<char>) -> Option<String> {
    let rest = name.strip_prefix(from)?;
    let below = delimiter.is_some_and(|delimiter| rest.starts_with(delimiter));
    (rest.is_empty() || below).then(|| format!("{to}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_types::{KeyStrength, UidRange};

    /// `name validity uidnext settled [id]`.
    fn former(line: &str) -> FormerMailbox {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u32>().expect("a number");
        FormerMailbox {
            name: words[0].to_owned(),
            uid_validity: UidValidity(number(1)),
            uid_next: Some(Uid(number(2))),
            settled: u64::from(number(3)),
            in_flight: false,
            mailbox_id: words.get(4).map(|id| (*id).to_owned()),
        }
    }

    /// `name validity uidnext [id]`.
    fn present(line: &str) -> PresentMailbox {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u32>().ok();
        PresentMailbox {
            name: words[0].to_owned(),
            uid_validity: number(1).map(UidValidity),
            uid_next: number(2).map(Uid),
            mailbox_id: words.get(3).map(|id| (*id).to_owned()),
        }
    }

    /// Suspicions as `A>B,C D>E`; proof is shown as `A=B`.
    fn suspected(formers: &[&str], presents: &[&str]) -> String {
        let formers: Vec<_> = formers.iter().copied().map(former).collect();
        let presents: Vec<_> = presents.iter().copied().map(present).collect();
        let shown = suspicions(&formers, &presents).into_iter().map(|suspicion| {
            let sign = if suspicion.candidates[0].1 == Evidence::SameId { "=" } else { ">" };
            let names = suspicion.candidates.iter().map(|(place, _)| presents[*place].name.clone());
            format!("{}{sign}{}", formers[suspicion.former].name, names.collect::<Vec<_>>().join(","))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_mailbox_that_is_not_under_its_name_is_looked_for_among_the_new_ones() {
        let cases: [(&[&str], &[&str], &str); 10] = [
            // Nothing happened.
            (&["A 7 10 5"], &["A 7 10"], ""),
            // Plainly renamed, also with new mail in it.
            (&["A 7 10 5"], &["B 7 12"], "A>B"),
            // Deleted, and something else made.
            (&["A 7 10 5"], &["B 8 12"], ""),
            // UIDNEXT never goes back.
            (&["A 7 10 5"], &["B 7 9"], ""),
            // Renamed, and a new one made in its place.
            (&["Archive 7 10 5"], &["Archive 9 1", "Archive-2025 7 10"], "Archive>Archive-2025"),
            // Everything was numbered anew: nobody has moved.
            (&["A 7 10 5", "B 8 10 5"], &["A 17 10", "B 18 10"], ""),
            // A chain of names.
            (&["A 7 10 5", "B 8 10 5"], &["B 7 10", "C 8 10"], "A>B B>C"),
            // Two that have changed their names.
            (&["A 7 10 5", "B 8 10 5"], &["A 8 10", "B 7 10"], "A>B B>A"),
            // The same where all mailboxes have one UIDVALIDITY.
            (&["Archive 1 10 5"], &["Archive 1 3", "Archive-2025 1 10"], "Archive>Archive-2025"),
            // A name that was listed without its numbers is taken for nothing.
            (&["A 7 10 5"], &["A - -", "B 7 10"], ""),
        ];
        for (formers, presents, expected) in cases {
            assert_eq!(suspected(formers, presents), expected, "{formers:?} {presents:?}");
        }
    }

    #[test]
    fn a_mailbox_of_which_nothing_is_settled_is_looked_for_only_if_something_is_in_flight() {
        let present = [present("B 7 10")];
        let nothing = former("A 7 10 0");
        assert_eq!(suspicions(std::slice::from_ref(&nothing), &present), []);
        let in_flight = FormerMailbox { in_flight: true, ..nothing };
        let candidates = vec![(0, Evidence::SameNumbers)];
        assert_eq!(suspicions(&[in_flight], &present), [Suspicion { former: 0, candidates }]);
    }

    #[test]
    fn one_uidvalidity_for_all_makes_many_suspicions_and_no_proof() {
        let presents = ["X 1 50", "Y/A 1 10", "Z 1 10", "kept 1 10"];
        assert_eq!(suspected(&["A 1 10 5", "kept 1 10 5"], &presents), "A>Y/A,Z,X");
        let many: Vec<String> = (0..100).map(|number| format!("new{number} 1 20")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = suspected(&["A 1 10 5"], &many);
        assert_eq!(found.split(',').count(), CANDIDATES_MAX);
    }

    #[test]
    fn the_servers_own_name_for_a_mailbox_is_proof_either_way() {
        let cases: [(&[&str], &[&str], &str); 5] = [
            (&["A 7 10 5 id1"], &["B 7 10 id2", "C 7 10 id1"], "A=C"),
            (&["A 7 10 5 id1"], &["B 7 10 id2"], ""),
            // Also without messages, and whatever the numbers say.
            (&["A 7 10 0 id1"], &["B 9 3 id1"], "A=B"),
            // Renumbered under its own name.
            (&["A 7 10 5 id1"], &["A 9 10 id1", "B 7 10 id2"], ""),
            // Another mailbox with the same numbers.
            (&["A 7 10 5 id1"], &["A 7 10 id3", "B 7 10 id1"], "A=B"),
        ];
        for (formers, presents, expected) in cases {
            assert_eq!(suspected(formers, presents), expected, "{formers:?} {presents:?}");
        }
    }

    #[test]
    fn nothing_is_concluded_from_an_empty_mailbox_or_from_inbox() {
        assert_eq!(suspected(&["A 7 1 0"], &["B 7 1"]), "");
        assert_eq!(suspected(&["A 7 1 0 id1"], &["B 7 1"]), "A>B", "its id is told when it is opened");
        assert_eq!(suspected(&["INBOX 7 10 5"], &["INBOX 8 1", "B 7 10"]), "");
        assert_eq!(suspected(&["A 7 10 5"], &["Inbox 7 10"]), "");
    }

    #[test]
    fn where_two_fit_nothing_is_known() {
        assert_eq!(unambiguous(&[(0, 1), (2, 3)]), [(0, 1), (2, 3)]);
        assert_eq!(unambiguous(&[(0, 1), (0, 2), (3, 4)]), [(3, 4)]);
        assert_eq!(unambiguous(&[(0, 1), (2, 1)]), []);
    }

    #[test]
    fn a_sample_is_spread_over_everything() {
        let uids: UidSet = (1..=100).chain(1_001..=1_100).map(Uid).collect();
        assert_eq!(spread(&uids, 5).to_string(), "1,50,100,1050,1100");
        assert_eq!(spread(&uids, 1).to_string(), "1");
        assert_eq!(spread(&uids, 200), uids);
        assert!(spread(&UidSet::new(), 10).is_empty());
        let mut all = UidSet::new();
        all.insert_range(UidRange { first: Uid(1), last: Uid(u32::MAX) });
        assert_eq!(spread(&all, 2).to_string(), "1,4294967295");
    }

    #[test]
    fn every_key_of_a_sample_must_be_the_stored_one_and_one_must_be_there() {
        let key = |digest| Some(MessageKey { digest, strength: KeyStrength::MessageId });
        let stored = [(Uid(1), key(10)), (Uid(5), key(50)), (Uid(9), None)];
        let found = |rows: &[(u32, u64)]| rows.iter().map(|(uid, digest)| (Uid(*uid), key(*digest))).collect();
        for (rows, agrees) in [
            (&[(1, 10), (5, 50)][..], true),
            (&[(5, 50)], true),
            (&[(1, 10), (5, 51)], false),
            (&[(9, 90)], false),
            (&[], false),
        ] {
            assert_eq!(sample_agrees(&stored, &found(rows)), agrees, "{rows:?}");
        }
        assert!(!sample_agrees(&stored, &BTreeMap::from([(Uid(1), None)])));
    }

    fn listing(names: &[&str]) -> Vec<TargetMailbox> {
        let mailbox = |name: &&str| TargetMailbox {
            name: name.trim_start_matches('!').to_owned(),
            delimiter: Some('/'),
            selectable: !name.starts_with('!'),
        };
        names.iter().map(mailbox).collect()
    }

    #[test]
    fn names_allow_a_renaming_only_if_nothing_else_moves_and_nothing_is_in_the_way() {
        let moving: BTreeMap<String, String> =
            [("A", "B"), ("A/x", "B/x"), ("A/y", "C")].map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        let obstacle = |names: &[&str], from: &str, to: &str| {
            obstacle_in_names(&listing(names), from, to, &moving).map(|obstacle| obstacle.to_string())
        };
        assert_eq!(obstacle(&["INBOX", "A", "A/x", "AB"], "A", "B"), None);
        assert_eq!(obstacle(&["A", "!A/z", "A/x"], "A", "B"), None, "what holds no mail moves along");
        assert!(obstacle(&["A", "B"], "A", "B").is_some_and(|words| words.contains("`B` already")));
        assert_eq!(obstacle(&["A", "!B"], "A", "B"), None, "the server may allow it");
        assert!(obstacle(&["A", "A/z"], "A", "B").is_some_and(|words| words.contains("`A/z` lies below")));
        assert!(obstacle(&["A", "A/y"], "A", "B").is_some_and(|words| words.contains("`A/y` lies below")));
        assert!(obstacle(&["A"], "A", "inbox").is_some());
        assert!(obstacle(&["INBOX"], "Inbox", "B").is_some_and(|words| words.contains("INBOX")));
    }

    #[test]
    fn what_lies_below_moves_along_and_what_only_begins_alike_does_not() {
        let cases = [
            ("A", Some('/'), Some("B/A")),
            ("A/x/y", Some('/'), Some("B/A/x/y")),
            ("AB", Some('/'), None),
            ("A/x", None, None),
            ("a", Some('/'), None),
        ];
        for (name, delimiter, expected) in cases {
            assert_eq!(moved(name, "A", "B/A", delimiter).as_deref(), expected, "{name}");
        }
    }
}
