//! What is tried when a server refuses a name.

use super::*;

fn shape(prefix: &str, delimiter: Option<char>, declared: bool) -> TargetShape {
    TargetShape { prefix: prefix.to_owned(), delimiter, declared }
}

fn all(name: &str, shape: &TargetShape) -> Vec<String> {
    (0..).map_while(|attempt| safer_name(name, shape, attempt)).collect()
}

#[test]
fn the_first_suggestion_removes_what_common_servers_refuse() {
    let slash = shape("", Some('/'), true);
    let cases = [
        ("a!b\"c%d&e*f:g;h<i>j?k\\l^m`n{o|p}q", "a_b_c_d_e_f_g_h_i_j_k_l_m_n_o_p_q"),
        (" Work  stuff /x ", "Work stuff/x"),
        ("~private", "_private"),
        ("#news/x", "_news/x"),
        (".hidden/etc.", "_hidden/etc_"),
        ("a//b", "a/_/b"),
        ("../..", "__/__"),
        ("R&D/50% off", "R_D/50_ off"),
    ];
    for (name, expected) in cases {
        let first = safer_name(name, &slash, 0).expect("something to try");
        assert_eq!(first, expected, "{name}");
    }
}

#[test]
fn the_delimiter_and_the_prefix_survive() {
    let dotted = shape("INBOX.", Some('.'), true);
    assert_eq!(safer_name("INBOX.a|b.c", &dotted, 0).as_deref(), Some("INBOX.a_b.c"));
    assert_eq!(all("INBOX.Files", &dotted), ["INBOX.Files_"]);
    assert_eq!(all("INBOX.a.b", &dotted), ["INBOX.a.b_", "INBOX.a_b"]);
}

#[test]
fn a_reserved_word_gets_a_mark() {
    assert_eq!(all("Files", &shape("", Some('/'), true)), ["Files_"]);
}

#[test]
fn children_of_inbox_are_tried_beside_it() {
    let list = all("INBOX/x/y", &shape("", Some('/'), true));
    assert_eq!(list[0], "INBOX_x/y");
}

#[test]
fn a_server_that_declared_no_namespace_is_tried_below_inbox() {
    let list = all("Work.x", &shape("", Some('.'), false));
    assert_eq!(list[0], "INBOX.Work.x");
    assert!(!all("Work.x", &shape("", Some('.'), true)).iter().any(|name| name.starts_with("INBOX")));
}

#[test]
fn foreign_letters_give_way_to_plain_ones_and_stay_distinct() {
    let slash = shape("", Some('/'), true);
    assert_eq!(safer_name("Entwürfe/Reçus", &slash, 0).as_deref(), Some("Entwurfe/Recus"));
    let (one, other) = (safer_name("日本語", &slash, 0), safer_name("台北市", &slash, 0));
    assert!(one.as_deref().is_some_and(|name| name.starts_with("mailbox-") && name.is_ascii()));
    assert_ne!(one, other);
    // What falls apart into a slash must not become a level of its own.
    assert_eq!(safer_name("℀x", &slash, 0).as_deref(), Some("a_cx"));
}

#[test]
fn long_parts_are_shortened_and_stay_distinct() {
    let slash = shape("", Some('/'), true);
    let (one, other) = ("x".repeat(300) + "1", "x".repeat(300) + "2");
    let (one, other) = (safer_name(&one, &slash, 0).expect("some"), safer_name(&other, &slash, 0).expect("some"));
    assert_eq!((one.len(), other.len()), (49, 49));
    assert_ne!(one, other);
}

#[test]
fn inbox_has_no_other_name() {
    for name in ["INBOX", "inbox"] {
        assert_eq!(safer_name(name, &shape("", Some('/'), true), 0), None);
    }
}

#[test]
fn a_suggestion_never_meets_another_mailbox_of_the_mapping() {
    let mut mapping =
        map(&account("", '/', &["a|b", "a:b", "A_B", "a_b-2"]), &account("", '/', &[]), &MappingRules::default());
    let name = |text: &str| MailboxName::from_text(text, NameEncoding::ModifiedUtf7);
    let first = mapping.safer_name(&name("a|b"), 0).expect("something to try");
    assert_eq!(first, "a_b-3");
    mapping.rename(&name("a|b"), &first);
    assert_eq!(mapping.safer_name(&name("a:b"), 0).as_deref(), Some("a_b-4"));
    assert_eq!(mapping.safer_name(&name("not there"), 0), None);
    assert_eq!(
        mapping.mailboxes.iter().find(|mapped| mapped.source == name("a|b")).map(|mapped| &mapped.target_text),
        Some(&first)
    );
}

#[test]
fn a_name_found_that_way_is_kept_by_the_next_run() {
    let source = account("", '/', &["a|b", "a:b", "a|b/c"]);
    let target = account("INBOX.", '.', &[]);
    let mut mapping = map(&source, &target, &MappingRules::default());
    for refused in ["a:b", "a|b", "a|b/c"] {
        let name = MailboxName::from_text(refused, NameEncoding::ModifiedUtf7);
        let accepted = mapping.safer_name(&name, 0).expect("something to try");
        mapping.rename(&name, &accepted);
    }
    let stored = names_of(&pairs(&mapping));
    let next = map_mailboxes(&source, &target, &MappingRules::default(), &stored).expect("possible");
    assert_eq!(pairs(&next), pairs(&mapping));
    assert!(changed(&stored, &next).is_empty());
}
