//! Mailboxes for the same use come together, and nothing is guessed that could be wrong.

use super::*;

#[test]
fn announced_uses_meet_whatever_they_are_called() {
    let source = account(
        "",
        '/',
        &[
            "INBOX",
            "Gesendet \\Sent",
            "Gesendet/2019",
            "Papierkorb \\Trash",
            "Spamverdacht \\Junk",
            "Entwürfe \\Drafts",
            "Ablage \\Archive",
        ],
    );
    let target = account(
        "INBOX.",
        '.',
        &[
            "INBOX",
            "INBOX.Sent Items \\Sent",
            "INBOX.Trash \\Trash",
            "INBOX.Junk \\Junk",
            "INBOX.Drafts \\Drafts",
            "INBOX.Archives \\Archive",
        ],
    );
    let mapping = map(&source, &target, &MappingRules::default());
    assert_eq!(
        pairs(&mapping),
        [
            ("INBOX", "INBOX"),
            ("Ablage", "INBOX.Archives"),
            ("Entwürfe", "INBOX.Drafts"),
            ("Gesendet", "INBOX.Sent Items"),
            ("Gesendet/2019", "INBOX.Sent Items.2019"),
            ("Papierkorb", "INBOX.Trash"),
            ("Spamverdacht", "INBOX.Junk"),
        ]
    );
    let by_attribute = MappingRemark::SpecialUse { used_for: SpecialUse::Sent, by_name: false };
    assert_eq!(remarks_of(&mapping, "Gesendet"), [by_attribute]);
    assert_eq!(mapping.mailboxes[3].origin, Origin::SpecialUse);
    assert!(mapping.mailboxes[3].exists_on_target);
}

#[test]
fn a_use_is_recognised_by_name_where_one_side_announces_nothing() {
    let target = account("", '/', &["INBOX", "Sent Items \\Sent", "Deleted \\Trash"]);
    for (prefix, delimiter, sent, trash) in
        [("", '/', "Gesendete Objekte", "Papierkorb"), ("INBOX.", '.', "INBOX.Envoyés", "INBOX.Corbeille")]
    {
        let source = account(prefix, delimiter, &["INBOX", sent, trash]);
        let mapping = map(&source, &target, &MappingRules::default());
        let mapped: BTreeMap<&str, &str> = pairs(&mapping).into_iter().collect();
        assert_eq!((mapped[sent], mapped[trash]), ("Sent Items", "Deleted"));
        let by_name = MappingRemark::SpecialUse { used_for: SpecialUse::Sent, by_name: true };
        assert_eq!(remarks_of(&mapping, sent), [by_name]);
    }
    expect(
        &account("", '/', &["Bin \\Trash"]),
        &account("INBOX.", '.', &["INBOX", "INBOX.Trash"]),
        &[("Bin", "INBOX.Trash")],
    );
}

#[test]
fn nothing_is_guessed_where_neither_side_announces_a_use() {
    expect(&account("", '/', &["Gesendet"]), &account("", '/', &["Sent"]), &[("Gesendet", "Gesendet")]);
}

#[test]
fn below_inbox_and_below_a_providers_brackets_names_are_recognised_too() {
    let target = account("", '/', &["Sent \\Sent", "Trash \\Trash"]);
    expect(&account("", '/', &["INBOX", "INBOX/Gesendet"]), &target, &[("INBOX", "INBOX"), ("INBOX/Gesendet", "Sent")]);
    expect(
        &account("", '/', &["[Gmail] \\Noselect", "[Gmail]/Papierkorb"]),
        &target,
        &[("[Gmail]/Papierkorb", "Trash")],
    );
    expect(&account("", '/', &["Work/Sent Items"]), &target, &[("Work/Sent Items", "Work/Sent Items")]);
}

#[test]
fn several_names_for_one_use_keep_their_names_and_are_told() {
    let mapping = map(
        &account("", '/', &["Sent Items", "Sent Messages"]),
        &account("", '/', &["Gesendet \\Sent"]),
        &MappingRules::default(),
    );
    assert_eq!(pairs(&mapping), [("Sent Items", "Sent Items"), ("Sent Messages", "Sent Messages")]);
    assert_eq!(remarks_of(&mapping, "Sent Items"), [MappingRemark::AmbiguousUse(SpecialUse::Sent)]);
}

#[test]
fn a_source_mailbox_with_the_targets_own_name_needs_no_guess() {
    expect(
        &account("", '/', &["Sent", "Sent Items"]),
        &account("", '/', &["Sent \\Sent"]),
        &[("Sent", "Sent"), ("Sent Items", "Sent Items")],
    );
    expect(
        &account("", '/', &["sent", "Sent Items"]),
        &account("", '/', &["Sent \\Sent"]),
        &[("Sent Items", "Sent Items"), ("sent", "Sent")],
    );
}

#[test]
fn a_guess_never_wins_over_a_name_that_the_target_has() {
    expect(
        &account("", '/', &["Gesendet"]),
        &account("", '/', &["Gesendet", "Sent \\Sent"]),
        &[("Gesendet", "Gesendet")],
    );
}

#[test]
fn an_announced_use_wins_over_an_ordinary_mailbox_of_that_name() {
    let mapping = map(
        &account("", '/', &["Sent \\Sent", "Sent Items", "Sent Items/x"]),
        &account("", '/', &["Sent Items \\Sent"]),
        &MappingRules::default(),
    );
    assert_eq!(
        pairs(&mapping),
        [("Sent", "Sent Items"), ("Sent Items", "Sent Items-2"), ("Sent Items/x", "Sent Items-2/x")]
    );
}

#[test]
fn of_two_announced_mailboxes_the_one_with_the_targets_name_is_taken() {
    expect(
        &account("", '/', &["Bin \\Trash", "Trash \\Trash"]),
        &account("", '/', &["Trash \\Trash"]),
        &[("Bin", "Bin"), ("Trash", "Trash")],
    );
    expect(
        &account("", '/', &["Bin \\Trash", "Waste \\Trash"]),
        &account("", '/', &["Trash \\Trash"]),
        &[("Bin", "Trash"), ("Waste", "Waste")],
    );
}

#[test]
fn an_explicit_rule_is_never_guessed_over() {
    let source = account("", '/', &["Gesendet \\Sent", "Sent Items"]);
    let target = account("", '/', &["Sent \\Sent"]);
    let mapping = map(&source, &target, &with_map(&[("Gesendet", "Old/Gesendet")]));
    assert_eq!(pairs(&mapping), [("Gesendet", "Old/Gesendet"), ("Sent Items", "Sent Items")]);
    let mapping = map(&source, &target, &with_map(&[("Sent Items", "Sent")]));
    assert_eq!(pairs(&mapping), [("Gesendet", "Gesendet"), ("Sent Items", "Sent")]);
    let below = account("", '/', &["Old/x", "INBOX", "INBOX/Gesendet"]);
    let mapping = map(&below, &target, &with_map(&[("INBOX", "In")]));
    assert_eq!(pairs(&mapping), [("INBOX", "In"), ("INBOX/Gesendet", "In/Gesendet"), ("Old/x", "Old/x")]);
}

#[test]
fn a_use_without_partner_keeps_its_name() {
    expect(
        &account("", '/', &["Gesendet \\Sent"]),
        &account("", '/', &["INBOX", "Trash \\Trash"]),
        &[("Gesendet", "Gesendet")],
    );
}

#[test]
fn views_are_copied_under_their_own_name_and_told() {
    let source = account("", '/', &["[Gmail] \\Noselect", "[Gmail]/All Mail \\All", "[Gmail]/Starred \\Flagged"]);
    let target = account("", '/', &["Everything \\All", "Marked \\Flagged"]);
    let mapping = map(&source, &target, &MappingRules::default());
    assert_eq!(pairs(&mapping), [("[Gmail]/All Mail", "[Gmail]/All Mail"), ("[Gmail]/Starred", "[Gmail]/Starred")]);
    assert_eq!(remarks_of(&mapping, "[Gmail]/All Mail"), [MappingRemark::Virtual(SpecialUse::All)]);
}

#[test]
fn a_foreign_mailbox_is_nobodys_sent() {
    let mut source = account("", '/', &["INBOX", "Shared/Sent \\Sent"]);
    source.namespaces.shared = vec![Namespace { prefix: "Shared/".into(), delimiter: Some('/') }];
    let target = account("", '/', &["Gesendet \\Sent"]);
    let rules = MappingRules { all_namespaces: true, ..MappingRules::default() };
    assert_eq!(pairs(&map(&source, &target, &rules)), [("INBOX", "INBOX"), ("Shared/Sent", "Shared/Sent")]);

    let mut target = account("", '/', &["Shared/Sent \\Sent"]);
    target.namespaces.shared = vec![Namespace { prefix: "Shared/".into(), delimiter: Some('/') }];
    expect(&account("", '/', &["Gesendet \\Sent"]), &target, &[("Gesendet", "Gesendet")]);
}

#[test]
fn a_use_that_no_mailbox_holds_is_no_use() {
    expect(
        &account("", '/', &["Gesendet \\Sent"]),
        &account("", '/', &["Sent \\Noselect"]),
        &[("Gesendet", "Gesendet")],
    );
}
