use super::*;
use crate::keys::KeyMaker;
use proptest::prelude::*;

/// A message: octets, internal date, whether it is a draft.
type Mail<'a> = (&'a str, i64, bool);

fn sides(mails: &[Mail<'_>], first: u32) -> (Vec<Loose>, Prints) {
    let keys = KeyMaker::new(*b"0123456789abcdef");
    let read = |(uid, (octets, date, draft)): (u32, &Mail<'_>)| {
        // Latin-1: one octet a character, as old mail has it.
        let octets: Vec<u8> = octets.chars().map(|one| u8::try_from(u32::from(one)).expect("Latin-1")).collect();
        let likeness = keys.likeness_of_headers(&octets);
        let mut printer = keys.printer();
        printer.push(&octets);
        (Loose { uid: Uid(uid), likeness, date: Some(*date), draft: *draft, sent: false }, printer.finish())
    };
    let read: Vec<(Loose, Print)> = (first..).zip(mails).map(read).collect();
    let prints = read.iter().map(|(loose, print)| (loose.uid, print.clone())).collect();
    (read.into_iter().map(|(loose, _)| loose).collect(), prints)
}

/// The pairs of mail of which nothing was sent, as text.
fn matched(source: &[Mail<'_>], target: &[Mail<'_>], bodies: Bodies) -> String {
    paired(sides(source, 1), target, bodies)
}

/// The same where all of it was sent, and nobody knows what became of it.
fn matched_as_sent(source: &[Mail<'_>], target: &[Mail<'_>], bodies: Bodies) -> String {
    let (mut ours, prints) = sides(source, 1);
    ours.iter_mut().for_each(|loose| loose.sent = true);
    paired((ours, prints), target, bodies)
}

fn paired(ours: (Vec<Loose>, Prints), target: &[Mail<'_>], bodies: Bodies) -> String {
    let theirs = sides(target, 101);
    let (our_uids, their_uids) = worth_comparing(&ours.0, &theirs.0);
    let pairs = match_loosely((&ours.0, &ours.1), (&theirs.0, &theirs.1), bodies);
    for (one, other) in &pairs {
        assert!(our_uids.contains(*one) && their_uids.contains(*other), "paired without being worth comparing");
    }
    pairs.iter().map(|(one, other)| format!("{one}={other}")).collect::<Vec<_>>().join(" ")
}

const KEEPS: Bodies = Bodies::Kept;
const REBUILDS: Bodies = Bodies::Rebuilt;

const ID: &str = "Date: d\r\nFrom: a\r\nSubject: one\r\nMessage-ID: <1@x>\r\nX-Y: z\r\n\r\nbody\r\n";
const NO_ID: &str = "Date: d\r\nFrom: a\r\nSubject: one\r\nX-Y: z\r\n\r\nbody\r\n";
const NOTHING: &str = "X-Y: z\r\n\r\nbody\r\n";

#[test]
fn what_servers_do_to_mail_is_recognised() {
    let munged = (
        "Subject: gr\u{fc}n\r\nMessage-ID: <1@x>\r\n\r\nb\u{fc}\r\n",
        "Subject: grXn\r\nMessage-ID: <1@x>\r\n\r\nb\u{fc}\r\n",
    );
    let munged_without_id = ("Subject: gr\u{fc}n\r\n\r\nbody", "Subject: grXn\r\n\r\nbody");
    for (ours, theirs) in [
        munged,
        munged_without_id,
        // Fields added: by trace, by name, a Message-ID where there was none.
        (
            ID,
            "Received: by x\r\nDate: d\r\nFrom: a\r\nSubject: one\r\nMessage-ID: <1@x>\r\nX-Y: z\r\nCc: me\r\n\r\nbody\r\n",
        ),
        (NO_ID, "Date: d\r\nFrom: a\r\nSubject: one\r\nX-Y: z\r\nMessage-ID: <new@server>\r\n\r\nbody\r\n"),
        (NOTHING, "X-New: 1\r\nX-Y: z\r\n\r\nbody\r\n"),
        // Fields dropped: identity fields, others, the Message-ID.
        (ID, "Subject: one\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n"),
        (ID, "Date: d\r\nFrom: a\r\nSubject: one\r\n\r\nbody\r\n"),
        (NO_ID, "Date: d\r\nFrom: a\r\nSubject: one\r\n\r\nbody\r\n"),
        ("Cc: c\r\nDate: d\r\nFrom: a\r\nSubject: one\r\n\r\nbody", "Date: d\r\nFrom: a\r\nSubject: one\r\n\r\nbody"),
        // Both, and other line ends.
        (ID, "Return-Path: <>\r\nSubject: one\r\nMessage-ID: <1@x>\r\n\r\nbody\n"),
    ] {
        assert_eq!(matched(&[(ours, 7, false)], &[(theirs, 7, false)], KEEPS), "1=101", "{theirs:?}");
        for date in [7, 8] {
            assert_eq!(matched_as_sent(&[(ours, 7, false)], &[(theirs, date, false)], KEEPS), "1=101", "{theirs:?}");
        }
    }
}

#[test]
fn another_date_speaks_against_mail_that_was_not_sent_and_has_other_fields() {
    for (ours, theirs, same) in [
        (NO_ID, NO_ID, "1=101"),
        (
            ID,
            "Received: by x\r\nDate: d\r\nFrom: a\r\nSubject: one\r\nMessage-ID: <1@x>\r\nX-Y: z\r\n\r\nbody\r\n",
            "1=101",
        ),
        (NO_ID, "Date: d\r\nFrom: a\r\nSubject: one\r\n\r\nbody\r\n", ""),
        (ID, "Subject: one\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n", ""),
        (NOTHING, "X-New: 1\r\nX-Y: z\r\n\r\nbody\r\n", ""),
    ] {
        assert_eq!(matched(&[(ours, 7, false)], &[(theirs, 8, false)], KEEPS), same, "{theirs:?}");
    }
}

#[test]
fn what_no_server_has_masked_is_told_apart() {
    let mail = |octet: &str| format!("Date: d\r\nFrom: a\r\nSubject: Server {octet} is down\r\n\r\n");
    let (one, other, munged) = (mail("\u{c0}"), mail("\u{c1}"), mail("X"));
    for matched in [matched, matched_as_sent] {
        assert_eq!(matched(&[(&one, 7, false)], &[(&other, 7, false)], KEEPS), "");
        assert_eq!(matched(&[(&one, 7, false)], &[(&munged, 7, false)], KEEPS), "1=101");
        // A server puts X in place of such octets, and never the other way round.
        assert_eq!(matched(&[(&munged, 7, false)], &[(&one, 7, false)], KEEPS), "");
    }
}

#[test]
fn what_is_another_mail_is_not_recognised() {
    for (ours, theirs) in [
        // An edited draft under its Message-ID, and anything else with another body.
        (ID, "Date: d\r\nFrom: a\r\nSubject: one\r\nMessage-ID: <1@x>\r\nX-Y: z\r\n\r\nBody\r\n"),
        // The same body and Message-ID under another subject: somebody has edited that.
        (ID, "Date: d\r\nFrom: a\r\nSubject: two\r\nMessage-ID: <1@x>\r\nX-Y: z\r\n\r\nbody\r\n"),
        // Another Message-ID.
        (ID, "Date: d\r\nFrom: a\r\nSubject: one\r\nMessage-ID: <2@x>\r\nX-Y: z\r\n\r\nbody\r\n"),
        // Two notices of one machine: nothing but the body in common.
        (NO_ID, "Date: d\r\nFrom: b\r\nSubject: one\r\nX-Y: z\r\n\r\nbody\r\n"),
        ("\r\nbody", "Subject: one\r\n\r\nbody"),
        // Nothing in common at all.
        ("X-A: 1\r\n\r\n", "X-B: 2\r\n\r\n"),
        ("X-A: 1\r\n\r\nbody", "X-B: 2\r\n\r\nbody"),
        ("", "X-B: 2\r\n\r\n"),
        // As long and alike but for an octet that no server has masked.
        ("Subject: gr\u{fc}n\r\n\r\nbody", "Subject: gryn\r\n\r\nbody"),
    ] {
        assert_eq!(matched(&[(ours, 7, false)], &[(theirs, 7, false)], KEEPS), "", "{ours:?} {theirs:?}");
    }
}

#[test]
fn a_draft_is_not_recognised_by_what_its_author_may_have_edited() {
    let without_cc = "Date: d\r\nFrom: a\r\nSubject: one\r\nMessage-ID: <1@x>\r\nX-Y: z\r\n\r\nbody\r\n";
    let with_cc = "Date: d\r\nFrom: a\r\nCc: b\r\nSubject: one\r\nMessage-ID: <1@x>\r\nX-Y: z\r\n\r\nbody\r\n";
    for (one, other) in [(true, false), (false, true), (true, true)] {
        assert_eq!(matched(&[(with_cc, 7, one)], &[(without_cc, 7, other)], KEEPS), "");
        let edited = with_cc.replace("body", "BODY");
        assert_eq!(matched(&[(with_cc, 7, one)], &[(&edited, 7, other)], REBUILDS), "");
    }
    // What was sent itself is looked for as it was sent.
    let (mut ours, prints) = sides(&[(with_cc, 7, true)], 1);
    ours[0].sent = true;
    let theirs = sides(&[(without_cc, 7, true)], 101);
    assert_eq!(match_loosely((&ours, &prints), (&theirs.0, &theirs.1), KEEPS), [(Uid(1), Uid(101))]);
    let munged = ("Subject: \u{fc}\r\nMessage-ID: <1@x>\r\n\r\nb", "Subject: X\r\nMessage-ID: <1@x>\r\n\r\nb");
    assert_eq!(matched(&[(munged.0, 7, true)], &[(munged.1, 7, true)], KEEPS), "");
    assert_eq!(matched_as_sent(&[(munged.0, 7, true)], &[(munged.1, 7, true)], KEEPS), "1=101");
}

#[test]
fn mails_that_look_alike_when_munged_are_paired_by_their_number_and_dates() {
    let (one, other, munged) = ("Subject: \u{fc}\r\n\r\nb", "Subject: \u{e4}\r\n\r\nb", "Subject: X\r\n\r\nb");
    assert_eq!(matched(&[(one, 7, false), (other, 8, false)], &[(munged, 8, false)], KEEPS), "2=101");
    assert_eq!(matched(&[(one, 7, false), (other, 8, false)], &[(munged, 9, false)], KEEPS), "1=101");
    let both = [(munged, 8, false), (munged, 7, false), (munged, 7, false)];
    assert_eq!(matched(&[(one, 7, false), (other, 8, false)], &both, KEEPS), "1=102 2=101");
    // What stands first in the list is served first, whatever its UID.
    let (mut ours, prints) = sides(&[(one, 7, false), (other, 7, false)], 1);
    ours.reverse();
    let theirs = sides(&[(munged, 7, false)], 101);
    assert_eq!(match_loosely((&ours, &prints), (&theirs.0, &theirs.1), KEEPS), [(Uid(2), Uid(101))]);
}

#[test]
fn equal_headers_speak_for_a_body_only_where_bodies_are_known_to_be_rebuilt() {
    let rebuilt = ID.replace("body", "re-encoded");
    assert_eq!(matched_as_sent(&[(ID, 7, false)], &[(&rebuilt, 7, false)], KEEPS), "");
    assert_eq!(matched_as_sent(&[(ID, 7, false)], &[(&rebuilt, 8, false)], REBUILDS), "1=101");
    assert_eq!(matched(&[(ID, 7, false)], &[(&rebuilt, 7, false)], REBUILDS), "", "it may be other mail");
    let rebuilt = NO_ID.replace("body", "re-encoded");
    assert_eq!(matched_as_sent(&[(NO_ID, 7, false)], &[(&rebuilt, 7, false)], REBUILDS), "1=101");
    assert_eq!(matched_as_sent(&[(NO_ID, 7, false)], &[(&rebuilt, 8, false)], REBUILDS), "", "no date, no Message-ID");
    assert_eq!(
        matched_as_sent(&[(NO_ID, 7, false)], &[(&rebuilt, 7, false)], Bodies::Unknown),
        "",
        "nobody has seen it"
    );
    let nothing = NOTHING.replace("body", "re-encoded");
    assert_eq!(matched_as_sent(&[(NOTHING, 7, false)], &[(&nothing, 7, false)], REBUILDS), "");
    // Equal bodies come first, and dates before the order.
    let two = [(ID, 7, false), (ID, 8, false)];
    let rebuilt = ID.replace("body", "re-encoded");
    assert_eq!(matched_as_sent(&two, &[(&rebuilt, 8, false), (ID, 9, false)], REBUILDS), "1=102 2=101");
}

#[test]
fn what_is_alike_but_for_the_body_is_counted_as_pairs() {
    let rebuilt = ID.replace("body", "re-encoded");
    let alike = |ours: &[Mail<'_>], theirs: &[Mail<'_>]| alike_but_for_bodies(&sides(ours, 1).0, &sides(theirs, 101).0);
    assert_eq!(alike(&[(ID, 7, false)], &[(&rebuilt, 8, false)]), 1);
    assert_eq!(alike(&[(ID, 7, false)], &[(NO_ID, 7, false)]), 0);
    assert_eq!(alike(&[(ID, 7, false), (ID, 7, false), (NO_ID, 7, false)], &[(&rebuilt, 7, false)]), 1);
    assert_eq!(alike(&[(ID, 7, false)], &[(&rebuilt, 7, false), (ID, 7, false), (NOTHING, 7, false)]), 1);
}

#[test]
fn foreign_mail_is_not_even_read() {
    let mails =
        ["Subject: a\r\nMessage-ID: <1>\r\n\r\n", "Subject: b\r\n\r\n", "Subject: c\r\nMessage-ID: <3>\r\n\r\n"];
    let ours: Vec<Mail<'_>> = mails.iter().map(|mail| (*mail, 7, false)).collect();
    let theirs =
        [("Subject: a\r\nMessage-ID: <9>\r\n\r\n", 7, false), ("X: y\r\n\r\n", 7, false), (mails[2], 7, false)];
    let (our_uids, their_uids) = worth_comparing(&sides(&ours, 1).0, &sides(&theirs, 101).0);
    assert_eq!((our_uids.to_string(), their_uids.to_string()), ("3".to_owned(), "103".to_owned()));
}

#[test]
fn a_message_that_could_not_be_read_equals_nothing() {
    let (ours, theirs) = (sides(&[(ID, 7, false)], 1), sides(&[(ID, 7, false)], 101));
    assert!(match_loosely((&ours.0, &Prints::new()), (&theirs.0, &theirs.1), KEEPS).is_empty());
    assert!(match_loosely((&ours.0, &ours.1), (&theirs.0, &Prints::new()), KEEPS).is_empty());
}

#[test]
fn many_alike_are_paired_without_searching_and_many_unlike_are_given_up() {
    let same = [(ID, 7, false)];
    let (loose, prints) = sides(&same, 1);
    let many = |count: u32| -> (Vec<Loose>, Prints) {
        let loose = (0..count).map(|uid| Loose { uid: Uid(uid + 1), ..loose[0] }).collect();
        (loose, (0..count).map(|uid| (Uid(uid + 1), prints[&Uid(1)].clone())).collect())
    };
    let (ours, theirs) = (many(20_000), many(20_000));
    let pairs = match_loosely((&ours.0, &ours.1), (&theirs.0, &theirs.1), KEEPS);
    assert!(pairs.len() == 20_000 && pairs.iter().all(|(one, other)| one == other));
    let unlike = sides(&[(&ID.replace("Subject: one", "Subject: two"), 7, false)], 1);
    let others: Vec<Loose> = (0..20_000).map(|uid| Loose { uid: Uid(uid + 1), ..unlike.0[0] }).collect();
    let other_prints = (0..20_000).map(|uid| (Uid(uid + 1), unlike.1[&Uid(1)].clone())).collect();
    assert!(match_loosely((&ours.0, &ours.1), (&others, &other_prints), KEEPS).is_empty());
}

fn any_mail() -> impl Strategy<Value = (String, i64, bool)> {
    let subject = prop_oneof![Just("Subject: \u{fc}\r\n"), Just("Subject: X\r\n"), Just("")];
    let id = prop_oneof![Just("Message-ID: <1>\r\n"), Just("Message-ID: <2>\r\n"), Just("")];
    let other = prop_oneof![Just("X-A: 1\r\n"), Just("X-A: 2\r\n"), Just("")];
    let mail = (subject, id, other, prop_oneof![Just("a"), Just("b")], 0i64..2, any::<bool>());
    mail.prop_map(|(subject, id, other, body, date, draft)| (format!("{subject}{id}{other}\r\n{body}"), date, draft))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_paired_twice_and_bodies_never_differ(
        ours in proptest::collection::vec(any_mail(), 0..8),
        theirs in proptest::collection::vec(any_mail(), 0..8),
    ) {
        let borrowed = |mails: &[(String, i64, bool)]| -> Vec<(String, i64, bool)> { mails.to_vec() };
        let (our_mails, their_mails) = (borrowed(&ours), borrowed(&theirs));
        let view = |mails: &[(String, i64, bool)], first| {
            let mails: Vec<Mail<'_>> = mails.iter().map(|(text, date, draft)| (text.as_str(), *date, *draft)).collect();
            sides(&mails, first)
        };
        let (ours, theirs) = (view(&our_mails, 1), view(&their_mails, 101));
        let pairs = match_loosely((&ours.0, &ours.1), (&theirs.0, &theirs.1), KEEPS);
        let (one, other): (BTreeSet<Uid>, BTreeSet<Uid>) = pairs.iter().copied().unzip();
        prop_assert_eq!((one.len(), other.len()), (pairs.len(), pairs.len()));
        for (one, other) in pairs {
            prop_assert_eq!(ours.1[&one].digests.body, theirs.1[&other].digests.body);
        }
    }
}
