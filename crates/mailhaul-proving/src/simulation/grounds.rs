//! What lies before the sessions: passes that were made, and what has happened since.

use super::corpus::LARGE_OCTETS;
use super::pass::{Order, Reply, Trigger};
use super::stage::{Stage, expunge};
use mailhaul_testing::model::Answer;
use mailhaul_types::Side;

/// Long after a target has fallen silent, and long before it is given up.
const DEATH_MILLIS: u64 = 20_000;

fn copy_for_the_first_time(stage: &mut Stage) {
    let first = stage.clean_pass();
    assert!(first.is_complete(), "{}", first.in_words());
}

/// The target stores what the first APPEND brings and says nothing more; the run dies while it waits for the answer.
pub(super) fn die_in_flight(stage: &mut Stage) {
    let reply = Reply { side: Side::Target, name: "APPEND".to_owned(), nth: 1, answer: Answer::DoneThenSilence };
    let died = stage.pass(Order { replies: vec![reply], dies_at_millis: Some(DEATH_MILLIS), ..Order::default() });
    assert!(died.report.is_none(), "{}", died.in_words());
    assert!(stage.target.appended() > 0, "nothing was stored");
}

/// Another tool brings a message of INBOX, a twin, while the one before it is being stored; the run is told of the UIDs on
/// both sides of it, and dies before it comes to that message itself.
pub(super) fn die_beside_another_tool(stage: &mut Stage) {
    let [_, second, twin, _] = &stage.source.contents()["INBOX"][..] else { panic!("four messages") };
    let (subject, twin) = (String::from_utf8_lossy(&second.octets).into_owned(), twin.clone());
    let brings = Trigger {
        side: Side::Target,
        name: "APPEND",
        containing: subject,
        what: Box::new(move |_, target, _| {
            let flags: Vec<&str> = twin.flags.iter().map(String::as_str).collect();
            target.deliver("INBOX", &twin.octets, twin.date, &flags);
        }),
    };
    let silent = Reply { side: Side::Target, name: "APPEND".to_owned(), nth: 3, answer: Answer::Silence };
    let died = stage.pass(Order {
        replies: vec![silent],
        triggers: vec![brings],
        dies_at_millis: Some(DEATH_MILLIS),
        ..Order::default()
    });
    assert!(died.report.is_none(), "{}", died.in_words());
    assert_eq!(stage.target.contents()["INBOX"].len(), 3, "two of ours, and one of the other tool");
}

/// A name and two numberings are not what they were.
pub(super) fn move_everything(stage: &mut Stage) {
    copy_for_the_first_time(stage);
    rename_work(stage);
    stage.source.renumber(&stage.spell(Side::Source, &["INBOX"]));
    stage.target.renumber(&stage.spell(Side::Target, &["INBOX"]));
}

/// From now on the copy may be called by either name: where a command was refused, it keeps the one that it has.
fn rename_work(stage: &mut Stage) {
    let (from, to) = (stage.spell(Side::Source, &["Work"]), stage.spell(Side::Source, &["Projects"]));
    stage.source.rename(&from, &to);
    stage.aliases.insert(to, from);
}

/// What a re-sync has to bring over.
pub(super) fn change(stage: &mut Stage) {
    copy_for_the_first_time(stage);
    let (inbox, work) = (stage.spell(Side::Source, &["INBOX"]), stage.spell(Side::Source, &["Work"]));
    let held = stage.source.contents();
    stage.source.deliver(&inbox, &later(21), 1_000_100_000, &["\\Seen"]);
    stage.source.deliver(&work, &later(22), 1_000_100_060, &[]);
    stage.source.set_flags(&inbox, held[&inbox][0].uid, &["\\Seen", "\\Flagged"]);
    stage.expunge_at_source(&inbox, &[held[&inbox][1].uid]);
    stage.move_at_source(&work, held[&work][0].uid, &inbox);
}

fn later(number: u32) -> Vec<u8> {
    format!("From: a@example.org\r\nMessage-ID: <{number}@later>\r\nSubject: {number}\r\n\r\nLater.\r\n").into_bytes()
}

/// A first copy has left out two messages that the target found too large; it takes the smaller one now.
pub(super) fn refuse_large_mail(stage: &mut Stage) {
    let limit = |stage: &Stage, octets: usize| {
        stage.target.change_traits(|traits| traits.append_limit = Some(octets as u64));
    };
    limit(stage, LARGE_OCTETS[0] / 2);
    let first = stage.clean_pass();
    let refused = first.report.as_ref().map_or(0, |report| report.exceptions.len());
    assert_eq!(refused, LARGE_OCTETS.len(), "{}", first.in_words());
    limit(stage, LARGE_OCTETS[1] - 1);
}

/// A new mailbox has a name that the target does not take; another was renamed, and the target's owner has put mail into
/// its copy.
pub(super) fn stand_in_the_way(stage: &mut Stage) {
    copy_for_the_first_time(stage);
    rename_work(stage);
    let own = later(31);
    stage.deliver_own(&stage.spell(Side::Target, &["Work"]), &own, 1_000_200_000);
    let new = stage.spell(Side::Source, &["What?"]);
    stage.source.create(&new);
    stage.source.deliver(&new, &later(32), 1_000_200_060, &[]);
    stage.aliases.insert(new, "*".to_owned());
}

/// The second message of INBOX leaves when it is asked for, and the target's Work when something is to be put into it.
pub(super) fn elude(stage: &Stage) -> Vec<Trigger> {
    let (inbox, work) = (stage.spell(Side::Source, &["INBOX"]), stage.spell(Side::Target, &["Work"]));
    let uid = stage.source.contents()[&inbox][1].uid;
    let asked_for = Trigger {
        side: Side::Source,
        name: "UID FETCH",
        containing: "BODY.PEEK[]".to_owned(),
        what: Box::new(move |source, _, ever| expunge(source, ever, &inbox, &[uid])),
    };
    let filled = Trigger {
        side: Side::Target,
        name: "APPEND",
        containing: work.clone(),
        what: Box::new(move |_, target, _| {
            target.delete_mailbox(&work);
        }),
    };
    vec![asked_for, filled]
}
