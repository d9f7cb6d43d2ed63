//! What holds for any names that a server can send.

use super::*;
use crate::mailboxes::names::{fold, numbered, without_number};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Octets with many delimiters, INBOXes, cases, marks and raw octets among them.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[aAbB]{1,2}".prop_map(String::into_bytes),
        2 => "[./_]".prop_map(String::into_bytes),
        1 => "(INBOX|inbox|Inbox)".prop_map(String::into_bytes),
        1 => "(Sent|Gesendet|Trash|a-2)".prop_map(String::into_bytes),
        1 => ".".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..3),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn any_account() -> impl Strategy<Value = AccountListing> {
    let delimiter = prop_oneof![3 => Just(Some('/')), 3 => Just(Some('.')), 1 => Just(None)];
    let mailbox = (any_name(), 0u8..12);
    (delimiter, any::<bool>(), any::<bool>(), proptest::collection::vec(mailbox, 0..12)).prop_map(
        |(delimiter, prefixed, declared, mailboxes)| {
            let prefix = match delimiter {
                Some(delimiter) if prefixed => format!("INBOX{delimiter}"),
                _ => String::new(),
            };
            let mailboxes = mailboxes.into_iter().map(|(name, kind)| MailboxEntry {
                name: MailboxName::from_wire(&name, NameEncoding::ModifiedUtf7),
                delimiter,
                selectable: kind != 0,
                special_use: [None, Some(SpecialUse::Sent), Some(SpecialUse::Trash), Some(SpecialUse::All)]
                    [usize::from(kind.saturating_sub(8))],
                subscribed: kind % 2 == 0,
            });
            AccountListing {
                mailboxes: mailboxes.collect(),
                namespaces: Namespaces {
                    personal: vec![Namespace { prefix, delimiter }],
                    declared,
                    ..Namespaces::default()
                },
            }
        },
    )
}

/// Two targets that a server could take for one, although it does not show them side by side.
fn merged(mapping: &Mapping, target: &AccountListing) -> Option<(String, String)> {
    let existing: BTreeSet<&str> = target.mailboxes.iter().map(|entry| entry.name.text()).collect();
    let targets: Vec<&str> = mapping.mailboxes.iter().map(|mapped| mapped.target_text.as_str()).collect();
    let alike = |one: &str, other: &str| {
        let proved_apart = one != other && existing.contains(one) && existing.contains(other);
        fold(one) == fold(other) && !proved_apart
    };
    let pairs =
        targets.iter().enumerate().flat_map(|(place, one)| targets[place + 1..].iter().map(move |other| (one, other)));
    pairs.filter(|(one, other)| alike(one, other)).map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).next()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_mailbox_is_mapped_or_left_out_and_none_are_merged(source in any_account(), target in any_account()) {
        let mapping = map(&source, &target, &MappingRules::default());
        let distinct: BTreeSet<&MailboxName> = source.mailboxes.iter().map(|entry| &entry.name).collect();
        prop_assert_eq!(mapping.mailboxes.len() + mapping.left_out.len(), distinct.len());
        prop_assert_eq!(merged(&mapping, &target), None);
        for mapped in &mapping.mailboxes {
            prop_assert!(!mapped.target_text.is_empty());
            let new = mapped.listed_name.is_none();
            prop_assert!(!new || !mapped.target_text.chars().any(char::is_control));
            prop_assert_eq!(mapped.source.is_inbox(), mapped.target_text == "INBOX");
            let existing = target.mailboxes.iter().any(|entry| entry.selectable && entry.name.text() == mapped.target_text);
            prop_assert_eq!(mapped.exists_on_target, existing);
        }
    }

    #[test]
    fn the_order_of_the_listings_does_not_matter(source in any_account(), target in any_account()) {
        let reversed = |listing: &AccountListing| AccountListing {
            mailboxes: listing.mailboxes.iter().rev().cloned().collect(),
            namespaces: listing.namespaces.clone(),
        };
        let rules = MappingRules::default();
        prop_assert_eq!(map(&source, &target, &rules), map(&reversed(&source), &reversed(&target), &rules));
    }

    #[test]
    fn the_next_run_keeps_every_name_even_when_mailboxes_came_and_went(
        source in any_account(), target in any_account(), more in any_account(), gone in any::<prop::sample::Index>(),
    ) {
        // Prefixes that are guessed may turn out otherwise, which is a change; here both servers declare theirs.
        let (mut source, mut target) = (source, target);
        (source.namespaces.declared, target.namespaces.declared) = (true, true);
        let mut seen = BTreeSet::new();
        source.mailboxes.retain(|entry| seen.insert(entry.name.text().to_owned()));
        let first = map(&source, &target, &MappingRules::default());
        let stored = names_of(&pairs(&first));

        let delimiter = source.namespaces.personal[0].delimiter;
        let mut later = source;
        if !later.mailboxes.is_empty() {
            later.mailboxes.remove(gone.index(later.mailboxes.len()));
        }
        let new = more.mailboxes.into_iter().filter(|entry| seen.insert(entry.name.text().to_owned()));
        later.mailboxes.extend(new.map(|entry| MailboxEntry { delimiter, ..entry }));
        let made = first.mailboxes.iter().filter(|mapped| !mapped.exists_on_target);
        target.mailboxes.extend(made.map(|mapped| entry(&mapped.target_text, first.shape.delimiter)));
        let next = map_mailboxes(&later, &target, &MappingRules::default(), &stored).expect("no rules");

        prop_assert_eq!(changed(&stored, &next), vec![]);
        prop_assert_eq!(merged_but_earlier(&next, &target, &stored), None);
    }

    #[test]
    fn safer_names_are_few_different_and_tame(name in any_name(), prefixed in any::<bool>(), declared in any::<bool>()) {
        let name = MailboxName::from_wire(&name, NameEncoding::ModifiedUtf7).text().to_owned();
        let prefix = if prefixed { "INBOX/".to_owned() } else { String::new() };
        let shape = TargetShape { prefix, delimiter: Some('/'), declared };
        let list: Vec<String> = (0..).map_while(|attempt| safer_name(&name, &shape, attempt)).collect();
        prop_assert!(list.len() <= 8);
        let distinct: BTreeSet<&String> = list.iter().collect();
        prop_assert_eq!(distinct.len(), list.len());
        for suggestion in &list {
            prop_assert!(suggestion != &name && !suggestion.is_empty());
            prop_assert!(!suggestion.chars().any(char::is_control));
            prop_assert!(!suggestion.eq_ignore_ascii_case("INBOX"));
        }
    }

    #[test]
    fn a_number_can_be_taken_off_again(name in ".{0,12}", number in 2u32..) {
        let with_number = numbered(&name, number);
        prop_assert_eq!(without_number(&with_number), Some(name.as_str()));
    }

    #[test]
    fn folding_settles(name in ".{0,12}") {
        prop_assert_eq!(fold(&fold(&name)), fold(&name));
    }
}

/// Like [`merged`], but names that an earlier run used side by side count as two.
fn merged_but_earlier(
    mapping: &Mapping,
    target: &AccountListing,
    stored: &BTreeMap<String, String>,
) -> Option<(String, String)> {
    let earlier: BTreeSet<&String> = stored.values().collect();
    merged(mapping, target).filter(|(one, other)| one == other || !earlier.contains(one) || !earlier.contains(other))
}
