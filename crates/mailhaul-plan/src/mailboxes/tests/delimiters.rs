//! Prefixes and delimiters between any two kinds of server.

use super::*;

const SLASH: [&str; 5] = ["INBOX", "Work", "Work/2019", "Work/2019/July", "INBOX/Bills"];

#[test]
fn the_same_manner_on_both_sides_changes_nothing() {
    let expected: Vec<(&str, &str)> = vec![
        ("INBOX", "INBOX"),
        ("INBOX/Bills", "INBOX/Bills"),
        ("Work", "Work"),
        ("Work/2019", "Work/2019"),
        ("Work/2019/July", "Work/2019/July"),
    ];
    expect(&account("", '/', &SLASH), &account("", '/', &["INBOX"]), &expected);
}

#[test]
fn a_prefix_is_added_and_the_delimiter_converted() {
    expect(
        &account("", '/', &["INBOX", "Work", "Work/2019", "Work/2019/July"]),
        &account("INBOX.", '.', &["INBOX"]),
        &[
            ("INBOX", "INBOX"),
            ("Work", "INBOX.Work"),
            ("Work/2019", "INBOX.Work.2019"),
            ("Work/2019/July", "INBOX.Work.2019.July"),
        ],
    );
}

#[test]
fn a_prefix_is_taken_off_and_the_delimiter_converted() {
    expect(
        &account("INBOX.", '.', &["INBOX", "INBOX.Work", "INBOX.Work.2019"]),
        &account("", '/', &["INBOX"]),
        &[("INBOX", "INBOX"), ("INBOX.Work", "Work"), ("INBOX.Work.2019", "Work/2019")],
    );
}

#[test]
fn one_prefix_becomes_another() {
    expect(
        &account("INBOX.", '.', &["INBOX", "INBOX.Work.a/b"]),
        &account("INBOX/", '/', &["INBOX"]),
        &[("INBOX", "INBOX"), ("INBOX.Work.a/b", "INBOX/Work/a_b")],
    );
    expect(
        &account("mail/", '/', &["INBOX", "mail/Work"]),
        &account("INBOX.", '.', &[]),
        &[("INBOX", "INBOX"), ("mail/Work", "INBOX.Work")],
    );
}

#[test]
fn a_prefix_without_its_delimiter_gets_one() {
    expect(
        &account("INBOX", '.', &["INBOX", "INBOX.Work"]),
        &account("mail", '/', &[]),
        &[("INBOX", "INBOX"), ("INBOX.Work", "mail/Work")],
    );
}

#[test]
fn the_inbox_in_a_prefix_is_recognised_in_any_case() {
    expect(
        &account("Inbox.", '.', &["inbox", "INBOX.Work", "inbox.Work.x"]),
        &account("", '/', &[]),
        &[("INBOX", "INBOX"), ("INBOX.Work", "Work"), ("inbox.Work.x", "Work/x")],
    );
}

#[test]
fn children_of_inbox_stay_below_it_where_there_is_no_prefix() {
    expect(
        &account("", '/', &["INBOX", "INBOX/Bills", "Inbox/x", "INBOX/Bills/2019"]),
        &account("", '.', &["INBOX"]),
        &[
            ("INBOX", "INBOX"),
            ("INBOX/Bills", "INBOX.Bills"),
            ("INBOX/Bills/2019", "INBOX.Bills.2019"),
            ("Inbox/x", "INBOX.x"),
        ],
    );
}

#[test]
fn children_of_inbox_and_top_names_meet_below_a_prefix_without_merging() {
    expect(
        &account("", '/', &["INBOX", "INBOX/Bills", "Bills", "Bills/x", "INBOX/Bills/x", "INBOX/only"]),
        &account("INBOX.", '.', &["INBOX"]),
        &[
            ("INBOX", "INBOX"),
            ("Bills", "INBOX.Bills"),
            ("Bills/x", "INBOX.Bills.x"),
            ("INBOX/Bills", "INBOX.Bills-2"),
            ("INBOX/Bills/x", "INBOX.Bills-2.x"),
            ("INBOX/only", "INBOX.only"),
        ],
    );
}

#[test]
fn a_mailbox_called_inbox_below_the_prefix_is_not_the_inbox() {
    let source = account("INBOX.", '.', &["INBOX", "INBOX.INBOX", "INBOX.Inbox.x"]);
    expect(
        &source,
        &account("", '/', &[]),
        &[("INBOX", "INBOX"), ("INBOX.INBOX", "INBOX-2"), ("INBOX.Inbox.x", "Inbox/x")],
    );
    expect(
        &source,
        &account("INBOX.", '.', &[]),
        &[("INBOX", "INBOX"), ("INBOX.INBOX", "INBOX.INBOX-2"), ("INBOX.Inbox.x", "INBOX.Inbox.x")],
    );
}

#[test]
fn the_targets_delimiter_within_a_part_is_replaced_and_told() {
    let mapping = map(
        &account("", '/', &["INBOX", "a.b", "a.b/c", "v1.0/notes.txt", "plain"]),
        &account("INBOX.", '.', &["INBOX"]),
        &MappingRules::default(),
    );
    assert_eq!(
        pairs(&mapping),
        [
            ("INBOX", "INBOX"),
            ("a.b", "INBOX.a_b"),
            ("a.b/c", "INBOX.a_b.c"),
            ("plain", "INBOX.plain"),
            ("v1.0/notes.txt", "INBOX.v1_0.notes_txt"),
        ]
    );
    assert_eq!(remarks_of(&mapping, "a.b"), [MappingRemark::CharactersReplaced]);
    assert_eq!(remarks_of(&mapping, "v1.0/notes.txt"), [MappingRemark::CharactersReplaced]);
    assert!(remarks_of(&mapping, "plain").is_empty());
}

#[test]
fn an_unusual_delimiter_is_like_any_other() {
    expect(
        &account("", '\\', &["INBOX", "a\\b", "a/b"]),
        &account("", '_', &["INBOX"]),
        &[("INBOX", "INBOX"), ("a/b", "a/b"), ("a\\b", "a_b")],
    );
    expect(&account("", '/', &["x_y/z"]), &account("", '_', &[]), &[("x_y/z", "x-y_z")]);
    expect(&account("", '日', &["a日b", "c"]), &account("", '/', &[]), &[("a日b", "a/b"), ("c", "c")]);
}

#[test]
fn a_target_without_hierarchy_gets_joined_names() {
    let mut target = account("", '/', &["INBOX"]);
    target.namespaces.personal[0].delimiter = None;
    target.mailboxes[0].delimiter = None;
    let source = account("", '/', &["INBOX", "a", "a/b", "a/b/c", "a_b"]);
    let mapping = map(&source, &target, &MappingRules::default());
    assert_eq!(
        pairs(&mapping),
        [("INBOX", "INBOX"), ("a", "a"), ("a/b", "a_b-2"), ("a/b/c", "a_b-2_c"), ("a_b", "a_b")]
    );
    assert!(remarks_of(&mapping, "a/b/c").contains(&MappingRemark::Flattened));
    assert!(remarks_of(&mapping, "a").is_empty());
}

#[test]
fn a_source_name_without_delimiter_has_one_part() {
    let mut source = account("", '/', &["INBOX"]);
    source.mailboxes.push(entry("a/b.c", None));
    expect(&source, &account("", '.', &[]), &[("INBOX", "INBOX"), ("a/b.c", "a/b_c")]);
}

#[test]
fn each_mailbox_is_cut_by_its_own_delimiter() {
    let mut source = account("", '/', &["INBOX", "x/y"]);
    source.mailboxes.push(entry("Public.x", Some('.')));
    expect(&source, &account("", '/', &[]), &[("INBOX", "INBOX"), ("Public.x", "Public/x"), ("x/y", "x/y")]);
}

#[test]
fn empty_parts_and_trailing_delimiters_do_no_harm() {
    expect(
        &account("", '/', &["INBOX", "a//b", "a/b", "c/", "/", "/d"]),
        &account("", '.', &[]),
        &[("INBOX", "INBOX"), ("/", "_._"), ("/d", "_.d"), ("a//b", "a._.b"), ("a/b", "a.b"), ("c/", "c")],
    );
}

#[test]
fn control_characters_never_reach_the_target() {
    expect(
        &account("", '/', &["a\r\nb", "c\0d", "e\u{85}f"]),
        &account("", '/', &[]),
        &[("a\r\nb", "a__b"), ("c\0d", "c_d"), ("e\u{85}f", "e_f")],
    );
}

#[test]
fn names_that_are_no_text_become_readable_and_stay_apart() {
    let raw = |octets: &[u8]| MailboxEntry {
        name: MailboxName::from_wire(octets, NameEncoding::ModifiedUtf7),
        ..entry("x", Some('/'))
    };
    let mut source = account("", '/', &["Café"]);
    source.mailboxes.extend([raw(b"Caf\xe9"), raw("Café".as_bytes()), raw(b"Ges&endet"), raw(b"x\x85y/\xff")]);
    let mapping = map(&source, &account("", '/', &[]), &MappingRules::default());
    let targets: Vec<&str> = mapping.mailboxes.iter().map(|mapped| mapped.target_text.as_str()).collect();
    // The proper name stands first, then the raw ones by their octets: UTF-8 begins with C3, Latin-1 holds E9.
    assert_eq!(targets, ["Café", "Café-2", "Café-3", "Ges&endet", "x\u{f785}y/ÿ".replace('\u{f785}', "_").as_str()]);
}

#[test]
fn an_undeclared_prefix_shows_in_the_names() {
    expect(
        &undeclared('.', &["INBOX", "INBOX.Work", "INBOX.Work.x"]),
        &undeclared('/', &["INBOX", "Drafts"]),
        &[("INBOX", "INBOX"), ("INBOX.Work", "Work"), ("INBOX.Work.x", "Work/x")],
    );
    expect(
        &account("", '/', &["INBOX", "Work", "Work/x"]),
        &undeclared('.', &["INBOX", "INBOX.Trash"]),
        &[("INBOX", "INBOX"), ("Work", "INBOX.Work"), ("Work/x", "INBOX.Work.x")],
    );
}

#[test]
fn an_undeclared_account_with_names_beside_inbox_has_no_prefix() {
    expect(
        &undeclared('/', &["INBOX", "INBOX/Bills", "Work"]),
        &undeclared('.', &["INBOX"]),
        &[("INBOX", "INBOX"), ("INBOX/Bills", "INBOX.Bills"), ("Work", "Work")],
    );
    assert_eq!(map(&undeclared('/', &["INBOX"]), &undeclared('.', &["INBOX"]), &with_map(&[])).shape.prefix, "");
    // Beginning with the same letters is not lying below it.
    expect(
        &undeclared('.', &["INBOX", "INBOXES"]),
        &undeclared('.', &["INBOX"]),
        &[("INBOX", "INBOX"), ("INBOXES", "INBOXES")],
    );
}

#[test]
fn a_declared_prefix_is_believed_even_where_everything_lies_below_inbox() {
    expect(
        &account("", '/', &["INBOX", "INBOX/Bills"]),
        &account("", '/', &["INBOX", "INBOX/Other"]),
        &[("INBOX", "INBOX"), ("INBOX/Bills", "INBOX/Bills")],
    );
}

#[test]
fn without_any_delimiter_told_the_names_own_is_used() {
    let mut target = account("", '.', &["INBOX", "Old.x"]);
    target.namespaces = Namespaces::default();
    expect(&account("", '/', &["a/b"]), &target, &[("a/b", "a.b")]);
}

#[test]
fn only_the_first_own_namespace_loses_its_prefix() {
    let mut source = account("", '/', &["INBOX", "Work", "Vault/2019"]);
    source.namespaces.personal.push(Namespace { prefix: "Vault/".into(), delimiter: Some('/') });
    expect(
        &source,
        &account("INBOX.", '.', &[]),
        &[("INBOX", "INBOX"), ("Vault/2019", "INBOX.Vault.2019"), ("Work", "INBOX.Work")],
    );
}

#[test]
fn two_own_namespaces_that_meet_stay_apart() {
    let mut source = account("INBOX.", '.', &["INBOX", "INBOX.Work", "Work", "Loose"]);
    source.namespaces.personal.push(Namespace { prefix: String::new(), delimiter: Some('.') });
    expect(
        &source,
        &account("", '/', &[]),
        &[("INBOX", "INBOX"), ("INBOX.Work", "Work"), ("Loose", "Loose"), ("Work", "Work-2")],
    );
}

#[test]
fn others_and_shared_mailboxes_are_left_out_unless_asked_for() {
    let mut source =
        account("INBOX.", '.', &["INBOX", "INBOX.Work", "user.bob", "user.bob.Sent", "Bulletins", "userguide"]);
    source.namespaces.other = vec![Namespace { prefix: "user.".into(), delimiter: Some('.') }];
    source.namespaces.shared = vec![Namespace { prefix: String::new(), delimiter: Some('.') }];
    let target = account("", '/', &[]);
    let mapping = map(&source, &target, &MappingRules::default());
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("INBOX.Work", "Work")]);
    let left: Vec<_> = mapping.left_out.iter().map(|left| (left.source.text(), &left.reason)).collect();
    let other = &LeftOutReason::OtherNamespace;
    assert_eq!(left, [("Bulletins", other), ("user.bob", other), ("user.bob.Sent", other), ("userguide", other)]);

    let mapping = map(&source, &target, &MappingRules { all_namespaces: true, ..MappingRules::default() });
    assert_eq!(
        pairs(&mapping),
        [
            ("INBOX", "INBOX"),
            ("Bulletins", "Bulletins"),
            ("INBOX.Work", "Work"),
            ("user.bob", "user/bob"),
            ("user.bob.Sent", "user/bob/Sent"),
            ("userguide", "userguide"),
        ]
    );
    assert_eq!(remarks_of(&mapping, "user.bob"), [MappingRemark::OtherNamespace]);
}

#[test]
fn the_bare_name_of_a_foreign_namespace_is_foreign_too() {
    let mut source = account("", '/', &["INBOX", "Shared", "Shared/x", "Sharedfile"]);
    source.namespaces.shared = vec![Namespace { prefix: "Shared/".into(), delimiter: Some('/') }];
    expect(&source, &account("", '/', &[]), &[("INBOX", "INBOX"), ("Sharedfile", "Sharedfile")]);
}

#[test]
fn a_name_outside_every_namespace_is_the_users_own() {
    expect(
        &account("INBOX.", '.', &["INBOX", "Stray.x"]),
        &account("", '/', &[]),
        &[("INBOX", "INBOX"), ("Stray.x", "Stray/x")],
    );
}

#[test]
fn parents_that_hold_no_mail_are_counted_and_still_carry_their_children() {
    let mapping = map(
        &account("", '/', &["INBOX", "Work \\Noselect", "Work/a", "Implied/b"]),
        &account("INBOX.", '.', &[]),
        &MappingRules::default(),
    );
    assert_eq!(pairs(&mapping), [("INBOX", "INBOX"), ("Implied/b", "INBOX.Implied.b"), ("Work/a", "INBOX.Work.a")]);
    assert_eq!(mapping.left_out.len(), 1);
    assert_eq!(mapping.left_out[0].reason, LeftOutReason::NotSelectable);
}

#[test]
fn a_mailbox_listed_twice_is_one_mailbox() {
    expect(&account("", '/', &["a", "a", "a \\Noselect"]), &account("", '/', &[]), &[("a", "a")]);
}

#[test]
fn two_names_shown_by_one_text_are_told_apart_or_reported() {
    let mut source = account("", '/', &["a&b"]);
    let raw = MailboxName::from_wire(b"a&b", NameEncoding::ModifiedUtf7);
    let same_text = raw.text() == "a&b";
    source.mailboxes.push(MailboxEntry { name: raw, ..entry("x", Some('/')) });
    let mapping = map(&source, &account("", '/', &[]), &MappingRules::default());
    if same_text {
        assert_eq!(mapping.left_out.len(), 1);
        assert_eq!(mapping.left_out[0].reason, LeftOutReason::SameText);
    } else {
        assert_eq!(mapping.mailboxes.len(), 2);
    }
}

#[test]
fn a_name_of_countless_parts_costs_no_more_than_its_length() {
    let bomb = "/".repeat(100_000) + "x";
    let deep = "a/".repeat(200) + "z";
    let source = account("", '/', &[&bomb, &deep]);
    let mapping = map(&source, &account("", '.', &[]), &MappingRules::default());
    assert_eq!(mapping.mailboxes.len(), 2);
    assert!(mapping.mailboxes[1].target_text.starts_with("a.a.a.") && mapping.mailboxes[1].target_text.ends_with("z"));
}

#[test]
fn control_characters_that_the_target_announces_are_not_taken_over() {
    let source = account("", '/', &["a/b", "Gesendet \\Sent"]);
    expect(&source, &account("x\r\n", '\n', &["Se\nnt \\Sent"]), &[("Gesendet", "Gesendet"), ("a/b", "a_b")]);
}
