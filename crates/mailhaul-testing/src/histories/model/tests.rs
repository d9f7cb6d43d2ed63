//! The model by itself: what it expects, what it lets pass, and what it refuses.

use std::collections::BTreeMap;

use super::super::mail::{Content, FlagSet};
use super::super::policy::{Deleting, Flagging, Offers, Policy};
use super::super::view::{MailboxView, Message, View};
use super::{Outcome, Passing, World, predict};
use crate::dovecot::Offer;

const SEEN: FlagSet = FlagSet(1);

fn message(serial: u16) -> Message {
    Message { content: Content { serial, edition: 0, named: true }, flags: FlagSet(0) }
}

/// Name, UIDVALIDITY, messages by UID.
type Row<'a> = (&'a str, u32, &'a [(u32, Message)]);

/// An account: `("INBOX", 1, &[(1, message)])`.
fn view(mailboxes: &[Row<'_>]) -> View {
    let mailboxes = mailboxes.iter().map(|(name, uid_validity, messages)| {
        let messages = messages.iter().copied().collect();
        ((*name).to_owned(), MailboxView { uid_validity: *uid_validity, messages })
    });
    mailboxes.collect()
}

/// A model at work: passes over sources, with every mailbox going where it is called.
struct Bench {
    policy: Policy,
    target: Offer,
    worlds: Vec<World>,
    targets: BTreeMap<String, String>,
}

impl Bench {
    fn new() -> Bench {
        let (flags, deletions) = (Flagging::Merge, Deleting::Ignore);
        let policy = Policy { flags, moves: true, deletions, switched: false, accept_source_change: false };
        Bench { policy, target: Offer::Everything, worlds: vec![World::default()], targets: BTreeMap::new() }
    }

    fn outcomes(&self, source: &View) -> Vec<Outcome> {
        let same = source.keys().map(|name| (name.clone(), name.clone()));
        let mut targets: BTreeMap<String, String> = same.collect();
        targets.extend(self.targets.clone());
        let offers = Offers { source: Offer::Everything, target: self.target };
        let passing = Passing { source, policy: &self.policy, offers, targets: &targets, disturbed: false };
        let each = self.worlds.iter().map(|world| predict(world, &passing).expect("few possibilities"));
        each.flatten().flatten().collect()
    }

    fn pass(&mut self, source: &View) {
        self.worlds = self.outcomes(source).into_iter().map(|outcome| outcome.world).collect();
        assert!(!self.worlds.is_empty());
    }

    /// Whether a target may look like this after a pass over the source.
    fn allows(&self, source: &View, target: &[(&str, &[Message])]) -> bool {
        let numbered = target.iter().map(|(name, messages)| {
            let messages = (1..).zip(messages.iter().copied()).collect();
            ((*name).to_owned(), MailboxView { uid_validity: 1, messages })
        });
        let seen: View = numbered.collect();
        self.outcomes(source).iter().any(|outcome| outcome.world.differences(&seen).is_empty())
    }
}

#[test]
fn a_moved_message_is_in_one_place_and_a_copied_one_in_two() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("INBOX", 1, &[(1, message(1))]), ("A", 2, &[])]));
    let moved = view(&[("INBOX", 1, &[]), ("A", 2, &[(1, message(1))])]);
    assert!(bench.allows(&moved, &[("A", &[message(1)])]));
    assert!(!bench.allows(&moved, &[("INBOX", &[message(1)]), ("A", &[message(1)])]));
    assert!(!bench.allows(&moved, &[("INBOX", &[message(1)])]));
    let copied = view(&[("INBOX", 1, &[(1, message(1))]), ("A", 2, &[(1, message(1))])]);
    assert!(bench.allows(&copied, &[("INBOX", &[message(1)]), ("A", &[message(1)])]));
    assert!(!bench.allows(&copied, &[("A", &[message(1)])]));
    bench.policy.moves = false;
    assert!(bench.allows(&moved, &[("INBOX", &[message(1)]), ("A", &[message(1)])]));
}

#[test]
fn a_target_without_the_means_keeps_both() {
    let mut bench = Bench { target: Offer::Bare, ..Bench::new() };
    bench.pass(&view(&[("INBOX", 1, &[(1, message(1))]), ("A", 2, &[])]));
    let moved = view(&[("INBOX", 1, &[]), ("A", 2, &[(1, message(1))])]);
    assert!(bench.allows(&moved, &[("INBOX", &[message(1)]), ("A", &[message(1)])]));
    assert!(!bench.allows(&moved, &[("A", &[message(1)])]));
}

#[test]
fn what_the_owner_deleted_does_not_come_back_by_being_moved() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("INBOX", 1, &[(1, message(1))]), ("A", 2, &[])]));
    bench.worlds = bench.worlds[0].owner_deletes("INBOX", message(1));
    let moved = view(&[("INBOX", 1, &[]), ("A", 2, &[(1, message(1))])]);
    assert!(bench.allows(&moved, &[]));
    assert!(!bench.allows(&moved, &[("A", &[message(1)])]));
}

#[test]
fn what_the_owner_filed_where_the_source_moves_it_too_is_it() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("INBOX", 1, &[(1, message(1))]), ("A", 2, &[])]));
    bench.worlds = bench.worlds[0].owner_files("INBOX", message(1), "A");
    let moved = view(&[("INBOX", 1, &[]), ("A", 2, &[(1, message(1))])]);
    assert!(bench.allows(&moved, &[("A", &[message(1)])]));
    assert!(!bench.allows(&moved, &[("A", &[message(1), message(1)])]));
}

#[test]
fn either_of_two_twins_may_be_the_one_that_moved() {
    let mut bench = Bench::new();
    let both = [("A", 2, &[(1, message(1))][..]), ("B", 3, &[(1, message(1))][..]), ("C", 4, &[][..])];
    bench.pass(&view(&both));
    let source = view(&[("A", 2, &[]), ("B", 3, &[]), ("C", 4, &[(1, message(1))])]);
    assert!(bench.allows(&source, &[("A", &[message(1)]), ("C", &[message(1)])]));
    assert!(bench.allows(&source, &[("B", &[message(1)]), ("C", &[message(1)])]));
    assert!(!bench.allows(&source, &[("C", &[message(1)])]));
    assert!(!bench.allows(&source, &[("A", &[message(1)]), ("B", &[message(1)]), ("C", &[message(1)])]));
}

#[test]
fn mail_that_comes_back_into_its_mailbox_is_not_doubled() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("A", 2, &[(1, message(1))])]));
    let back = view(&[("A", 2, &[(2, message(1))])]);
    assert!(bench.allows(&back, &[("A", &[message(1)])]));
    assert!(!bench.allows(&back, &[("A", &[message(1), message(1)])]));
}

#[test]
fn an_edited_draft_is_another_mail() {
    let mut bench = Bench { policy: Policy { deletions: Deleting::Mirror, ..Bench::new().policy }, ..Bench::new() };
    bench.pass(&view(&[("A", 2, &[(1, message(1))])]));
    let edited = Message { content: Content { edition: 2, ..message(1).content }, ..message(1) };
    let source = view(&[("A", 2, &[(2, edited)])]);
    assert!(bench.allows(&source, &[("A", &[edited])]));
    assert!(!bench.allows(&source, &[("A", &[message(1)])]));
}

#[test]
fn deletions_follow_the_policy() {
    let gone = view(&[("A", 2, &[])]);
    let deleted = Message { flags: FlagSet::DELETED, ..message(1) };
    for (deletions, expected) in [
        (Deleting::Ignore, ("A", message(1))),
        (Deleting::Flag, ("A", deleted)),
        (Deleting::Trash, ("Trash", message(1))),
    ] {
        let mut bench = Bench { policy: Policy { deletions, ..Bench::new().policy }, ..Bench::new() };
        bench.pass(&view(&[("A", 2, &[(1, message(1))])]));
        assert!(bench.allows(&gone, &[(expected.0, &[expected.1])]), "{deletions:?}");
        assert!(!bench.allows(&gone, &[]), "{deletions:?}");
    }
}

#[test]
fn many_deletions_are_a_question_and_nothing_is_deleted() {
    let all: Vec<(u32, Message)> = (1..=12).map(|uid| (uid, message(u16::try_from(uid).expect("few")))).collect();
    let mut bench = Bench { policy: Policy { deletions: Deleting::Mirror, ..Bench::new().policy }, ..Bench::new() };
    bench.pass(&view(&[("A", 2, &all)]));
    let outcomes = bench.outcomes(&view(&[("A", 2, &all[11..])]));
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].questions.contains("A"));
    let kept: Vec<Message> = all.iter().map(|(_, message)| *message).collect();
    assert!(bench.allows(&view(&[("A", 2, &all[11..])]), &[("A", &kept)]));
    assert!(bench.allows(&view(&[("A", 2, &all[10..])]), &[("A", &kept[10..])]));
}

#[test]
fn a_renamed_mailbox_is_renamed_unless_its_owner_uses_it() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("A", 2, &[(1, message(1))])]));
    let renamed = view(&[("B", 2, &[(1, message(1))])]);
    assert!(bench.allows(&renamed, &[("B", &[message(1)])]));
    assert!(!bench.allows(&renamed, &[("A", &[message(1)])]));
    bench.targets.insert("B".to_owned(), "A".to_owned());
    assert!(bench.outcomes(&renamed).is_empty(), "it must not stay");
    bench.worlds = vec![bench.worlds[0].owner_receives("A", message(9))];
    assert!(bench.allows(&renamed, &[("A", &[message(1), message(9)])]));
    bench.targets.clear();
    assert!(!bench.allows(&renamed, &[("B", &[message(1), message(9)])]), "it must not be taken along");
}

#[test]
fn a_renumbered_mailbox_is_recognised_and_another_one_is_a_question() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("A", 2, &[(1, message(1)), (2, message(2))])]));
    let renumbered = view(&[("A", 7, &[(5, message(2)), (6, Message { flags: SEEN, ..message(1) })])]);
    let expected = [Message { flags: SEEN, ..message(1) }, message(2)];
    assert!(bench.allows(&renumbered, &[("A", &expected)]));
    let another = view(&[("A", 7, &[(1, message(3))])]);
    assert!(bench.outcomes(&another).iter().all(|outcome| outcome.questions.contains("A")));
    assert!(!bench.allows(&another, &[("A", &[message(1), message(2), message(3)])]));
    bench.policy.accept_source_change = true;
    assert!(bench.allows(&another, &[("A", &[message(1), message(2), message(3)])]));
}

#[test]
fn a_draft_whose_copy_is_gone_makes_no_other_mailbox_and_other_mail_does() {
    for (flags, asks) in [(FlagSet::DRAFT, false), (SEEN, true)] {
        let mut bench = Bench::new();
        let all = [Message { flags, ..message(1) }, message(2)];
        bench.pass(&view(&[("A", 2, &[(1, all[0]), (2, all[1])])]));
        bench.worlds = bench.worlds[0].owner_deletes("A", all[0]);
        // Named mail is known by its header; what is not here under it is missed.
        let first = if asks { message(3) } else { all[0] };
        let renumbered = view(&[("A", 7, &[(5, first), (6, all[1])])]);
        assert_eq!(bench.outcomes(&renumbered).iter().all(|outcome| outcome.questions.contains("A")), asks);
        assert_eq!(bench.allows(&renumbered, &[("A", &[all[1], first])]), !asks, "copied again");
    }
}

#[test]
fn flags_of_both_sides_are_kept_apart() {
    let mut bench = Bench::new();
    bench.pass(&view(&[("A", 2, &[(1, message(1))])]));
    bench.worlds = bench.worlds[0].owner_flags("A", message(1), FlagSet(0b10));
    let seen = view(&[("A", 2, &[(1, Message { flags: SEEN, ..message(1) })])]);
    assert!(bench.allows(&seen, &[("A", &[Message { flags: FlagSet(0b11), ..message(1) }])]));
    assert!(!bench.allows(&seen, &[("A", &[Message { flags: SEEN, ..message(1) }])]));
}
