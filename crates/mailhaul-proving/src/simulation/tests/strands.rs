//! Several connections for one account, of which some are lost and not let in again: as long as one is left, everything is
//! copied over it.

use super::super::corpus::{Shelf, few};
use super::super::pass::{Order, Reply};
use super::super::stage::Stage;
use mailhaul_report::StopCause;
use mailhaul_testing::model::{Answer, Traits};
use mailhaul_types::Side;

/// Seven mailboxes.
fn several() -> Shelf {
    let mut shelf = few();
    let mails = shelf[0].1.clone();
    shelf.extend(["A", "B", "C", "D", "E"].map(|name| (vec![name], mails.clone())));
    shelf
}

fn stage() -> Stage {
    Stage::new(Traits::default(), Traits { multiappend: false, ..Traits::default() }, &several())
}

/// The target answers so from this sign-in on.
fn sign_ins_from(nth: u64, answer: &Answer) -> Vec<Reply> {
    let reply = |name: &str, nth| Reply { side: Side::Target, name: name.to_owned(), nth, answer: answer.clone() };
    (nth..nth + 60).flat_map(|nth| ["LOGIN", "AUTHENTICATE"].map(|name| reply(name, nth))).collect()
}

fn too_many() -> Answer {
    Answer::No("[UNAVAILABLE] Too many connections".to_owned())
}

#[test]
fn whichever_connection_is_lost_and_not_let_in_again_the_others_copy_everything() {
    for (connections, answer) in [(2, Answer::End), (2, too_many()), (3, too_many())] {
        for nth in 1..=26 {
            for lost in [Answer::End, Answer::DoneThenEnd, Answer::DoneThenSilence] {
                let mut stage = stage();
                let mut replies = sign_ins_from(connections + 1, &answer);
                replies.push(Reply { side: Side::Target, name: "APPEND".to_owned(), nth, answer: lost.clone() });
                let connections = usize::try_from(connections).unwrap_or(1);
                let ended = stage.pass(Order { replies, connections, ..Order::default() });
                let (words, findings) = (ended.in_words(), stage.judge());
                assert!(ended.is_complete() && findings.is_equal(), "{nth} {lost:?} {answer:?}: {findings}{words}");
            }
        }
    }
}

#[test]
fn a_run_that_has_no_connection_left_ends_with_the_error_and_loses_nothing() {
    let mut stage = stage();
    let mut replies = sign_ins_from(3, &too_many());
    let lost = |nth| Reply { side: Side::Target, name: "APPEND".to_owned(), nth, answer: Answer::DoneThenEnd };
    replies.extend((3..=20).map(lost));
    let ended = stage.pass(Order { replies, connections: 2, ..Order::default() });
    let report = ended.report.as_ref().expect("the pass has ended");
    let cause = report.stop.as_ref().map(|stop| stop.cause);
    assert_eq!(cause, Some(StopCause::Throttle), "{}", ended.in_words());
    assert_eq!(report.mailboxes.len(), 7, "{}", ended.in_words());
    let last = stage.clean_pass();
    assert!(last.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), last.in_words());
}

#[test]
fn a_further_sign_in_that_is_refused_is_not_tried_again_and_fails_nobody() {
    let mut stage = stage();
    let replies = sign_ins_from(2, &Answer::No("[AUTHENTICATIONFAILED] Wrong password".to_owned()));
    let ended = stage.pass(Order { replies, connections: 4, ..Order::default() });
    // Some servers say so of a connection too many, having taken the same password for the first one.
    assert!(ended.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), ended.in_words());
    let asked = ended.count(Side::Target, "AUTHENTICATE") + ended.count(Side::Target, "LOGIN");
    // Those of one beginning are under way together.
    assert!((2..=4).contains(&asked), "{asked} sign-ins: {}", ended.in_words());
}
