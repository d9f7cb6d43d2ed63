//! `--map`, `--mailbox`, `--exclude`.

use super::*;

fn error_of(source: &AccountListing, rules: &MappingRules) -> String {
    map_mailboxes(source, &account("", '/', &["INBOX"]), rules, &BTreeMap::new()).expect_err("impossible").to_string()
}

#[test]
fn a_rule_wins_and_takes_along_what_lies_below() {
    let source = account("INBOX.", '.', &["INBOX", "INBOX.Old", "INBOX.Old.x", "INBOX.Old.x.y", "INBOX.Older"]);
    let target = account("", '/', &["INBOX"]);
    let mapping = map(&source, &target, &with_map(&[("INBOX.Old", "Kept/2019"), ("INBOX.Old.x.y", "Y")]));
    assert_eq!(
        pairs(&mapping),
        [
            ("INBOX", "INBOX"),
            ("INBOX.Old", "Kept/2019"),
            ("INBOX.Old.x", "Kept/2019/x"),
            ("INBOX.Old.x.y", "Y"),
            ("INBOX.Older", "Older"),
        ]
    );
    let origins: Vec<Origin> = mapping.mailboxes.iter().map(|mapped| mapped.origin).collect();
    assert_eq!(origins, [Origin::Name, Origin::Explicit, Origin::Explicit, Origin::Explicit, Origin::Name]);
}

#[test]
fn a_rule_may_name_a_parent_that_holds_no_mail() {
    for parent in ["Old \\Noselect", "unrelated"] {
        let source = account("", '/', &[parent, "Old/x"]);
        let mapping = map(&source, &account("", '.', &[]), &with_map(&[("Old", "New.Place")]));
        assert!(pairs(&mapping).contains(&("Old/x", "New.Place.x")), "{parent}");
        assert!(mapping.unused_rules.is_empty());
    }
}

#[test]
fn a_new_name_is_taken_as_it_was_typed() {
    let source = account("", '/', &["a"]);
    let target = account("INBOX.", '.', &["INBOX", "archive"]);
    for (new, expected) in
        [("Outside.x", "Outside.x"), ("INBOX.b.", "INBOX.b"), ("Archive", "Archive"), ("inbox", "INBOX")]
    {
        assert_eq!(pairs(&map(&source, &target, &with_map(&[("a", new)]))), [("a", expected)]);
    }
}

#[test]
fn inbox_is_named_in_any_case_and_its_prefix_is_not_its_hierarchy() {
    let rules = with_map(&[("inbox", "Old/Inbox")]);
    let target = account("", '/', &[]);
    assert_eq!(
        pairs(&map(&account("INBOX.", '.', &["INBOX", "INBOX.Work"]), &target, &rules)),
        [("INBOX", "Old/Inbox"), ("INBOX.Work", "Work")]
    );
    assert_eq!(
        pairs(&map(&account("", '/', &["INBOX", "Inbox/Work"]), &target, &rules)),
        [("INBOX", "Old/Inbox"), ("Inbox/Work", "Old/Inbox/Work")]
    );
    let child = with_map(&[("inbox/work", "W"), ("Inbox/Work", "V")]);
    assert_eq!(
        pairs(&map(&account("", '/', &["INBOX", "INBOX/Work"]), &target, &child)),
        [("INBOX", "INBOX"), ("INBOX/Work", "V")]
    );
}

#[test]
fn whoever_is_in_the_way_of_a_rule_gets_a_number() {
    let source = account("", '/', &["A", "B", "B/x"]);
    expect_with(&source, &[("A", "b")], &[("A", "b"), ("B", "B-2"), ("B/x", "B-2/x")]);
    let source = account("", '/', &["A", "A/x", "B", "B/x"]);
    expect_with(&source, &[("A", "B")], &[("A", "B"), ("A/x", "B/x"), ("B", "B-2"), ("B/x", "B-2/x")]);
}

fn expect_with(source: &AccountListing, rules: &[(&str, &str)], expected: &[(&str, &str)]) {
    assert_eq!(pairs(&map(source, &account("", '/', &[]), &with_map(rules))), expected);
}

#[test]
fn two_mailboxes_can_change_places() {
    expect_with(&account("", '/', &["A", "B"]), &[("A", "B"), ("B", "A")], &[("A", "B"), ("B", "A")]);
    expect_with(
        &account("", '/', &["INBOX", "A"]),
        &[("A", "INBOX"), ("INBOX", "A")],
        &[("INBOX", "A"), ("A", "INBOX")],
    );
}

#[test]
fn rules_that_merge_mailboxes_are_refused() {
    let source = account("", '/', &["INBOX", "A", "B"]);
    for rules in [&[("A", "X"), ("B", "X")][..], &[("A", "X"), ("B", "x")], &[("A", "Inbox")]] {
        let text = error_of(&source, &with_map(rules));
        assert!(text.contains("would both be copied into"), "{text}");
    }
    assert_eq!(
        error_of(&source, &with_map(&[("A", "X"), ("B", "X")])),
        "mailboxes `A` and `B` would both be copied into `X`: map one of them elsewhere or exclude it"
    );
}

#[test]
fn a_merge_is_no_merge_when_only_one_of_the_two_is_copied() {
    let source = account("", '/', &["INBOX", "A", "B"]);
    let rules = |exclude: &str, pairs| MappingRules { exclude: vec![exclude.to_owned()], ..with_map(pairs) };
    let target = account("", '/', &["INBOX"]);
    let mapping = map(&source, &target, &rules("INBOX", &[("A", "INBOX")]));
    assert_eq!(pairs(&mapping), [("A", "INBOX"), ("B", "B")]);
    let mapping = map(&source, &target, &rules("A", &[("A", "X"), ("B", "X")]));
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("B", "X")]);
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    let source = account("", '/', &["A"]);
    let cases = [
        (&[("", "X")][..], "both sides need a name"),
        (&[("A", "")], "both sides need a name"),
        (&[("A", "/")], "both sides need a name"),
        (&[("A", "x\r\ny")], "control characters"),
        (&[("A", "X"), ("A", "Y")], "another --map"),
        (&[("A", "X"), ("A/", "Y")], "another --map"),
    ];
    for (rules, expected) in cases {
        let text = error_of(&source, &with_map(rules));
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains('\r'));
    }
    expect_with(&source, &[("A", "X"), ("A/", "X/")], &[("A", "X")]);
}

#[test]
fn rules_that_fit_nothing_are_told() {
    let source = account("", '/', &["A", "B/c"]);
    let rules = MappingRules {
        include: vec!["A*".into(), "Aa*".into(), "B/%".into()],
        exclude: vec!["nothing".into()],
        ..with_map(&[("a", "X"), ("B", "Y"), ("Q/r", "Z")])
    };
    let mapping = map(&source, &account("", '/', &[]), &rules);
    assert_eq!(mapping.unused_rules, ["Q/r=Z", "a=X", "Aa*"]);
}

#[test]
fn globs_choose_and_each_mailbox_left_out_has_its_reason() {
    let source = account("", '/', &["INBOX", "Work", "Work/a", "Work/a/b", "Trash", "Trash/x", "P \\Noselect"]);
    let rules = MappingRules {
        include: vec!["inbox".into(), "Work*".into(), "Trash".into()],
        exclude: vec!["Work/%".into(), "T*".into()],
        ..MappingRules::default()
    };
    let mapping = map(&source, &account("", '/', &[]), &rules);
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("Work", "Work"), ("Work/a/b", "Work/a/b")]);
    let left: Vec<(&str, String)> =
        mapping.left_out.iter().map(|left| (left.source.text(), left.reason.to_string())).collect();
    let expected = [
        ("P", "holds no messages itself"),
        ("Trash", "left out by --exclude `T*`"),
        ("Trash/x", "no --mailbox fits it"),
        ("Work/a", "left out by --exclude `Work/%`"),
    ];
    assert_eq!(left, expected.map(|(name, reason)| (name, reason.to_owned())));
}

#[test]
fn an_excluded_parent_leaves_its_children_where_they_would_be() {
    let source = account("", '/', &["Foo", "foo", "foo/x"]);
    let rules = MappingRules { exclude: vec!["foo".into()], ..MappingRules::default() };
    let mapping = map(&source, &account("", '/', &[]), &rules);
    assert_eq!(pairs(&mapping), [("Foo", "Foo"), ("foo/x", "foo-2/x")]);
}
