//! Two source mailboxes never share a target mailbox.

use super::*;

#[test]
fn names_that_differ_by_case_get_numbers() {
    let source = account("", '/', &["INBOX", "Work", "work", "WORK", "Work/x", "work/x"]);
    let mapping = map(&source, &account("", '/', &["INBOX"]), &MappingRules::default());
    assert_eq!(
        pairs(&mapping),
        [
            ("INBOX", "INBOX"),
            ("WORK", "WORK"),
            ("Work", "Work-2"),
            ("Work/x", "Work-2/x"),
            ("work", "work-3"),
            ("work/x", "work-3/x"),
        ]
    );
    let expected = MappingRemark::KeptApart { wanted: "work".into(), taken_by: "WORK".into() };
    assert_eq!(remarks_of(&mapping, "work"), [expected]);
    assert!(remarks_of(&mapping, "work/x").is_empty());
}

#[test]
fn names_that_differ_by_normalisation_get_numbers() {
    let source = account("", '/', &["Entw\u{fc}rfe-x", "Entwu\u{308}rfe-x", "Stra\u{df}e", "STRASSE", "ΟΔΟΣ", "οδος"]);
    let mapping = map(&source, &account("", '/', &[]), &MappingRules::default());
    let targets: Vec<&str> = mapping.mailboxes.iter().map(|mapped| mapped.target_text.as_str()).collect();
    assert_eq!(targets, ["Entwu\u{308}rfe-x", "Entw\u{fc}rfe-x-2", "STRASSE", "Stra\u{df}e-2", "ΟΔΟΣ", "οδος-2"]);
}

#[test]
fn what_only_looks_alike_stays_as_it_is() {
    expect(
        &account("", '/', &["①", "1", "ﬁ", "fi"]),
        &account("", '/', &[]),
        &[("1", "1"), ("fi", "fi"), ("①", "①"), ("ﬁ", "ﬁ-2")],
    );
}

#[test]
fn a_number_that_is_a_mailbox_of_its_own_is_passed_over() {
    expect(
        &account("", '/', &["a", "A", "A-2", "a-3", "a/x", "A/x"]),
        &account("", '/', &[]),
        &[("A", "A"), ("A-2", "A-2"), ("A/x", "A/x"), ("a", "a-4"), ("a-3", "a-3"), ("a/x", "a-4/x")],
    );
}

#[test]
fn a_name_that_stands_as_it_is_goes_before_one_that_was_respelt() {
    let source = account("", '/', &["a.b", "a_b"]);
    expect(&source, &account("", '.', &[]), &[("a.b", "a_b-2"), ("a_b", "a_b")]);
    expect(&source, &account("", '.', &["a_b", "a_b-2"]), &[("a.b", "a_b-2"), ("a_b", "a_b")]);
}

#[test]
fn two_respelt_names_stay_apart() {
    expect(&account("", '/', &["a.b", "a\u{1}b"]), &account("", '.', &[]), &[("a\u{1}b", "a_b"), ("a.b", "a_b-2")]);
}

#[test]
fn a_name_that_the_target_has_exactly_goes_to_whoever_has_it_exactly() {
    expect(&account("", '/', &["Foo", "foo"]), &account("", '/', &["foo"]), &[("Foo", "Foo-2"), ("foo", "foo")]);
}

#[test]
fn names_that_the_target_itself_keeps_apart_need_no_number() {
    expect(
        &account("", '/', &["Foo", "foo", "FOO"]),
        &account("", '/', &["Foo", "foo"]),
        &[("FOO", "FOO-2"), ("Foo", "Foo"), ("foo", "foo")],
    );
}

#[test]
fn a_name_that_exists_in_another_spelling_is_used_as_it_is_spelt() {
    let target = account("", '/', &["INBOX", "archive", "archive/Old", "Entwu\u{308}rfe-x"]);
    let source = account("", '/', &["Archive", "Archive/old", "Archive/new", "Entw\u{fc}rfe-x"]);
    let mapping = map(&source, &target, &MappingRules::default());
    assert_eq!(
        pairs(&mapping),
        [
            ("Archive", "archive"),
            ("Archive/new", "archive/new"),
            ("Archive/old", "archive/Old"),
            ("Entw\u{fc}rfe-x", "Entwu\u{308}rfe-x"),
        ]
    );
    assert_eq!(remarks_of(&mapping, "Archive"), [MappingRemark::OtherSpelling]);
    assert!(remarks_of(&mapping, "Archive/new").is_empty());
    assert!(mapping.mailboxes[0].exists_on_target && !mapping.mailboxes[1].exists_on_target);
}

#[test]
fn a_parent_without_mail_takes_the_targets_spelling_and_may_be_shared() {
    expect(
        &account("", '/', &["foo/a", "Foo/b", "FOO/a"]),
        &account("", '/', &["Foo \\Noselect"]),
        &[("FOO/a", "Foo/a"), ("Foo/b", "Foo/b"), ("foo/a", "Foo/a-2")],
    );
}

#[test]
fn a_target_name_without_mail_must_still_be_created() {
    let mapping = map(&account("", '/', &["a"]), &account("", '/', &["a \\Noselect"]), &MappingRules::default());
    assert_eq!(pairs(&mapping), [("a", "a")]);
    assert!(!mapping.mailboxes[0].exists_on_target);
}

#[test]
fn running_again_without_memory_gives_the_same_names() {
    let source = account("", '/', &["INBOX", "Work", "work", "WORK", "work/x", "a.b", "a_b"]);
    let first = map(&source, &account("INBOX.", '.', &["INBOX"]), &MappingRules::default());
    let names: Vec<&str> = first.mailboxes.iter().map(|mapped| mapped.target_text.as_str()).collect();
    let second = map(&source, &account("INBOX.", '.', &names), &MappingRules::default());
    assert_eq!(pairs(&first), pairs(&second));
    assert!(second.mailboxes.iter().all(|mapped| mapped.exists_on_target));
}

#[test]
fn the_order_of_the_listings_does_not_matter() {
    let names = ["INBOX", "a", "A", "a/b", "A/b", "b.c", "b_c", "Sent \\Sent", "inbox/x", "INBOX/x"];
    let there = ["INBOX", "Sent Items \\Sent", "B_c", "sent"];
    let reversed = |names: &[&'static str]| names.iter().rev().copied().collect::<Vec<_>>();
    let one = map(&account("", '/', &names), &account("", '.', &there), &MappingRules::default());
    let other =
        map(&account("", '/', &reversed(&names)), &account("", '.', &reversed(&there)), &MappingRules::default());
    assert_eq!(one, other);
}

#[test]
fn filters_never_change_a_name() {
    let source = account("", '/', &["Foo", "foo", "foo/x"]);
    let target = account("", '/', &[]);
    let whole = map(&source, &target, &MappingRules::default());
    let part = map(&source, &target, &MappingRules { include: vec!["foo*".into()], ..MappingRules::default() });
    assert_eq!(pairs(&part), pairs(&whole)[1..]);
}

#[test]
fn thousands_of_like_names_are_numbered_quickly() {
    let names: Vec<String> = (0..4_096u32)
        .map(|bits| {
            "abcdefghijkl"
                .chars()
                .enumerate()
                .map(|(place, letter)| if bits >> place & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
                .collect()
        })
        .collect();
    let lines: Vec<&str> = names.iter().map(String::as_str).collect();
    let mapping = map(&account("", '/', &lines), &account("", '/', &[]), &MappingRules::default());
    let folded: std::collections::BTreeSet<String> =
        mapping.mailboxes.iter().map(|mapped| super::super::names::fold(&mapped.target_text)).collect();
    assert_eq!(folded.len(), 4_096);
}
