//! Names of earlier runs are kept, and a changed rule shows.

use super::*;

fn again(
    source: &AccountListing,
    target: &AccountListing,
    rules: &MappingRules,
    stored: &[(&str, &str)],
) -> (Mapping, Vec<MappingChange>) {
    let stored = names_of(stored);
    let mapping = map_mailboxes(source, target, rules, &stored).expect("rules that can be followed");
    let changes = changed(&stored, &mapping);
    (mapping, changes)
}

/// Why; the source's mailboxes; the target's; one of the source's; the name it had in an earlier run.
type Case = (&'static str, &'static [&'static str], &'static [&'static str], &'static str, &'static str);

#[test]
fn a_name_is_kept_whatever_came_up_meanwhile() {
    let cases: [Case; 9] = [
        ("a rival with an earlier name", &["Foo", "foo"], &[], "foo", "foo"),
        ("the rival is gone", &["foo"], &[], "foo", "foo-2"),
        ("the target announces a use by now", &["Gesendet \\Sent"], &["Sent \\Sent"], "Gesendet", "Gesendet"),
        ("the use is no longer announced", &["Gesendet"], &["Sent Items"], "Gesendet", "Sent Items"),
        ("both are for trash, oddly named", &["Old \\Trash"], &["AAA \\Trash", "Mull \\Trash"], "Old", "Mull"),
        ("the target has another spelling by now", &["foo"], &["Foo"], "foo", "foo"),
        ("the spelling that was used is gone", &["foo"], &[], "foo", "FOO"),
        ("a refused name was made safer", &["a|b"], &["a_b"], "a|b", "a_b"),
        ("a refused name was made safer and numbered", &["a|b", "a_b"], &[], "a|b", "a_b-2"),
    ];
    for (why, here, there, name, earlier) in cases {
        let (mapping, changes) =
            again(&account("", '/', here), &account("", '/', there), &MappingRules::default(), &[(name, earlier)]);
        assert!(changes.is_empty(), "{why}: {changes:?}");
        assert!(pairs(&mapping).contains(&(name, earlier)), "{why}: {:?}", pairs(&mapping));
        let kept = mapping.mailboxes.iter().find(|mapped| mapped.source.text() == name).expect("mapped");
        assert_eq!(kept.origin, Origin::Earlier, "{why}");
    }
}

#[test]
fn a_newcomer_never_takes_a_name_that_is_in_use() {
    let (mapping, changes) = again(
        &account("", '/', &["Foo", "foo", "foo/x", "Foo/x"]),
        &account("", '/', &["foo", "foo/x"]),
        &MappingRules::default(),
        &[("foo", "foo"), ("foo/x", "foo/x")],
    );
    assert_eq!(pairs(&mapping), [("Foo", "Foo-2"), ("Foo/x", "Foo-2/x"), ("foo", "foo"), ("foo/x", "foo/x")]);
    assert!(changes.is_empty());
}

#[test]
fn a_name_of_a_mailbox_that_is_gone_is_free_again() {
    let (mapping, _) =
        again(&account("", '/', &["Foo"]), &account("", '/', &["foo"]), &MappingRules::default(), &[("foo", "foo")]);
    assert_eq!(pairs(&mapping), [("Foo", "foo")]);
}

#[test]
fn a_name_of_a_mailbox_that_is_excluded_today_is_not_free() {
    let rules = MappingRules { exclude: vec!["foo".into()], ..MappingRules::default() };
    let (mapping, changes) =
        again(&account("", '/', &["Foo", "foo"]), &account("", '/', &["foo"]), &rules, &[("foo", "foo")]);
    assert_eq!(pairs(&mapping), [("Foo", "Foo-2")]);
    assert!(changes.is_empty());
}

#[test]
fn names_that_earlier_runs_used_side_by_side_stay_side_by_side() {
    let stored = [("Foo", "Foo"), ("foo", "foo")];
    let (mapping, changes) =
        again(&account("", '/', &["Foo", "foo"]), &account("", '/', &["foo"]), &MappingRules::default(), &stored);
    assert_eq!(pairs(&mapping), stored);
    assert!(changes.is_empty());
}

#[test]
fn one_stored_name_for_two_mailboxes_is_a_change_for_the_second() {
    let (mapping, changes) = again(
        &account("", '/', &["a", "b"]),
        &account("", '/', &["a"]),
        &MappingRules::default(),
        &[("a", "a"), ("b", "a")],
    );
    assert_eq!(pairs(&mapping), [("a", "a"), ("b", "b")]);
    assert_eq!(changes, [MappingChange { source: "b".into(), stored: "a".into(), now: "b".into() }]);
}

#[test]
fn a_new_rule_shows_as_a_change_also_below() {
    let stored = [("INBOX", "INBOX"), ("Old", "Old"), ("Old/x", "Old/x"), ("Other", "Other")];
    let source = account("", '/', &["INBOX", "Old", "Old/x", "Old/new", "Other"]);
    let (mapping, changes) =
        again(&source, &account("", '/', &["Old", "Old/x"]), &with_map(&[("Old", "New")]), &stored);
    assert_eq!(
        pairs(&mapping),
        [("INBOX", "INBOX"), ("Old", "New"), ("Old/new", "New/new"), ("Old/x", "New/x"), ("Other", "Other")]
    );
    let shown: Vec<(&str, &str)> = changes.iter().map(|change| (change.stored.as_str(), change.now.as_str())).collect();
    assert_eq!(shown, [("Old", "New"), ("Old/x", "New/x")]);
}

#[test]
fn a_dropped_rule_shows_as_a_change_also_below() {
    let stored = [("Old", "New"), ("Old/x", "New/x")];
    let source = account("", '/', &["Old", "Old/x"]);
    let (mapping, changes) = again(&source, &account("", '/', &["New", "New/x"]), &MappingRules::default(), &stored);
    assert_eq!(pairs(&mapping), [("Old", "Old"), ("Old/x", "Old/x")]);
    assert_eq!(changes.len(), 2);
}

#[test]
fn the_same_rule_again_is_no_change() {
    let stored = [("INBOX", "In"), ("Old", "New"), ("Old/x", "New/x")];
    let source = account("", '/', &["INBOX", "Old", "Old/x"]);
    let rules = with_map(&[("Old", "New"), ("INBOX", "In")]);
    let (mapping, changes) = again(&source, &account("", '/', &["New", "New/x", "In"]), &rules, &stored);
    assert_eq!(pairs(&mapping), stored);
    assert!(changes.is_empty());
}

#[test]
fn a_target_that_changed_its_manner_is_a_change() {
    let (mapping, changes) = again(
        &account("", '/', &["INBOX", "Work"]),
        &account("", '/', &["INBOX"]),
        &MappingRules::default(),
        &[("INBOX", "INBOX"), ("Work", "INBOX.Work")],
    );
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("Work", "Work")]);
    assert_eq!(changes.len(), 1);
}

#[test]
fn a_guessed_source_prefix_may_turn_out_otherwise() {
    let target = account("", '/', &["Work", "INBOX"]);
    let (mapping, changes) = again(
        &undeclared('.', &["INBOX", "INBOX.Work", "Late"]),
        &target,
        &MappingRules::default(),
        &[("INBOX.Work", "Work")],
    );
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("INBOX.Work", "Work"), ("Late", "Late")]);
    assert!(changes.is_empty());
}

#[test]
fn inbox_goes_to_inbox_whatever_is_stored() {
    let (mapping, changes) = again(
        &account("", '/', &["INBOX"]),
        &account("", '/', &["Old"]),
        &MappingRules::default(),
        &[("INBOX", "Old")],
    );
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX")]);
    assert_eq!(changes.len(), 1);
}

#[test]
fn children_that_come_later_follow_the_name_their_parent_was_given() {
    let (mapping, changes) = again(
        &account("", '/', &["foo", "foo/new"]),
        &account("", '/', &["foo-2"]),
        &MappingRules::default(),
        &[("foo", "foo-2")],
    );
    assert_eq!(pairs(&mapping), [("foo", "foo-2"), ("foo/new", "foo-2/new")]);
    assert!(changes.is_empty());
    assert_eq!(remarks_of(&mapping, "foo"), [MappingRemark::KeptFromEarlier { instead_of: "foo".into() }]);
}

#[test]
fn a_child_keeps_its_place_when_its_parent_is_given_another() {
    // The first run copied only foo/x; now foo itself comes along, and Foo is in its way.
    let (mapping, changes) = again(
        &account("", '/', &["Foo", "foo", "foo/x"]),
        &account("", '/', &["foo/x"]),
        &MappingRules::default(),
        &[("foo/x", "foo/x")],
    );
    assert_eq!(pairs(&mapping), [("Foo", "Foo"), ("foo", "foo-2"), ("foo/x", "foo/x")]);
    assert!(changes.is_empty());
}

#[test]
fn mailboxes_that_are_new_or_not_part_of_the_run_are_no_change() {
    let rules = MappingRules { include: vec!["a".into()], ..MappingRules::default() };
    let (_, changes) =
        again(&account("", '/', &["a", "b"]), &account("", '/', &[]), &rules, &[("b", "elsewhere"), ("gone", "too")]);
    assert!(changes.is_empty());
}

#[test]
fn children_stay_where_they_were_when_their_parent_holds_no_mail_any_more() {
    let stored = [("Ablage", "Archives"), ("Ablage/x", "Archives/x")];
    for gone in [&["Ablage \\Noselect", "Ablage/x", "Ablage/new"][..], &["Ablage/x", "Ablage/new"]] {
        let target = account("", '/', &["Archives \\Archive", "Archives/x"]);
        let (mapping, changes) = again(&account("", '/', gone), &target, &MappingRules::default(), &stored);
        assert_eq!(pairs(&mapping), [("Ablage/new", "Archives/new"), ("Ablage/x", "Archives/x")]);
        assert!(changes.is_empty());
    }
}

#[test]
fn a_renamed_mailbox_keeps_the_name_of_its_copy_where_that_was_decided() {
    let source = account("", '/', &["INBOX", "Archive", "Archive-2025", "Archive-2025/x", "Archive-2025/new"]);
    let target = account("", '/', &["INBOX", "Archive", "Archive/x"]);
    let stored = names_of(&[("Archive-2025", "Archive"), ("Archive-2025/x", "Archive/x")]);
    let kept = BTreeSet::from(["Archive-2025".to_owned()]);
    let map = |rules: &MappingRules| {
        map_renamed_mailboxes(&source, &target, rules, &stored, &kept).expect("rules that can be followed")
    };
    let mapping = map(&MappingRules::default());
    assert!(changed(&stored, &mapping).is_empty());
    let expected = [
        ("INBOX", "INBOX"),
        ("Archive", "Archive-2"),
        ("Archive-2025", "Archive"),
        ("Archive-2025/new", "Archive/new"),
        ("Archive-2025/x", "Archive/x"),
    ];
    assert_eq!(pairs(&mapping), expected);
    // The operator's own rule goes before it, and shows as a change.
    let mapping = map(&with_map(&[("Archive-2025", "Old")]));
    assert_eq!(changed(&stored, &mapping).len(), 2);
}

#[test]
fn the_rule_that_named_a_mailbox_before_it_was_renamed_is_no_misspelt_one() {
    let source = account("", '/', &["INBOX", "New"]);
    let target = account("", '/', &["INBOX", "Post"]);
    let stored = names_of(&[("New", "Post")]);
    let rules = with_map(&[("Old", "Post"), ("Misspelt", "Other")]);
    let kept = BTreeSet::from(["New".to_owned()]);
    let mapping = map_renamed_mailboxes(&source, &target, &rules, &stored, &kept).expect("rules");
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("New", "Post")]);
    assert_eq!(mapping.unused_rules, ["Misspelt=Other"]);
}
