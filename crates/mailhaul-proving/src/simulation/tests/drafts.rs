//! Drafts that are edited while nobody looks. An edition keeps header and length, so that nothing but the contents tells
//! it from the one before; and what was not edited must not be there twice.

use super::super::corpus::few;
use super::super::grounds::die_in_flight;
use super::super::pass::{Ended, Order};
use super::super::stage::Stage;
use mailhaul_testing::model::{Alters, Traits};

const FIRST: &str = "meet at 3";
const LAST: &str = "meet at 5";

/// A message as its author has it at one time. Latin-1 in its subject: some servers alter that.
fn draft(body: &str) -> Vec<u8> {
    let header = "Date: Sun, 9 Sep 2001 01:46:40 +0000\r\nFrom: a@example.org\r\nMessage-ID: <draft@x.example>\r\n";
    [header.as_bytes(), b"Subject: dr\xe4ft\r\n\r\n", body.as_bytes(), b"\r\n"].concat()
}

/// Where a draft stands, and what marks it as one.
#[derive(Clone, Copy, Debug)]
enum Place {
    ByFlag,
    ByMailbox,
}

impl Place {
    const BOTH: [Self; 2] = [Self::ByFlag, Self::ByMailbox];

    fn mailbox(self) -> &'static str {
        match self {
            Self::ByFlag => "INBOX",
            Self::ByMailbox => "Drafts",
        }
    }

    fn deliver(self, stage: &Stage, octets: &[u8]) {
        let (date, flags): (i64, &[&str]) = match self {
            Self::ByFlag => (1_000_300_000, &["\\Draft"]),
            Self::ByMailbox => (1_000_300_000, &[]),
        };
        stage.source.deliver(self.mailbox(), octets, date, flags);
    }

    /// Two servers, and a draft in its first form at the source.
    fn stage(self, target: Traits) -> Stage {
        let stage = Stage::new(Traits::default(), target, &few());
        if self.mailbox() != "INBOX" {
            stage.source.create(self.mailbox());
        }
        self.deliver(&stage, &draft(FIRST));
        stage
    }

    /// The author puts another edition in the place of the last message.
    fn replace(self, stage: &mut Stage, octets: &[u8]) {
        let uid = stage.source.contents()[self.mailbox()].last().expect("the draft is the last one").uid;
        stage.expunge_at_source(self.mailbox(), &[uid]);
        self.deliver(stage, octets);
    }

    fn edit(self, stage: &mut Stage) {
        self.replace(stage, &draft(LAST));
    }

    /// How often the target has the draft in this form.
    fn count(self, stage: &Stage, body: &str) -> usize {
        let held = stage.target.contents();
        let held = held.get(self.mailbox()).map_or(&[][..], |held| held);
        held.iter().filter(|held| held.octets.windows(body.len()).any(|part| part == body.as_bytes())).count()
    }
}

/// The last form has come, and the pass says the truth.
fn expect_last_form(stage: &Stage, place: Place, last: &Ended) {
    assert_eq!(place.count(stage, LAST), 1, "{place:?}: {}", last.in_words());
    expect_good_end(stage, place, last);
}

fn expect_good_end(stage: &Stage, place: Place, last: &Ended) {
    let findings = stage.judge();
    assert!(last.is_complete() && findings.is_equal(), "{place:?}: {findings}{}", last.in_words());
}

/// What was not edited is there once, and nothing is sent any more.
fn expect_unchanged(stage: &mut Stage, place: Place) {
    let sent = stage.target.appended();
    let last = stage.clean_pass();
    assert_eq!(place.count(stage, FIRST), 1, "{place:?}: {}", last.in_words());
    assert_eq!(stage.target.appended(), sent, "{place:?}: {}", last.in_words());
    expect_good_end(stage, place, &last);
}

#[test]
fn a_draft_that_is_edited_after_a_first_copy_broke_off_is_copied_in_its_last_form() {
    for renumbers in [false, true] {
        let place = Place::ByFlag;
        let mut stage = place.stage(Traits::default());
        die_in_flight(&mut stage);
        place.edit(&mut stage);
        if renumbers {
            stage.source.renumber(place.mailbox());
        }
        let second = stage.pass(Order { agreed: true, ..Order::default() });
        expect_last_form(&stage, place, &second);
    }
}

#[test]
fn a_draft_that_is_edited_while_the_state_is_lost_is_copied_in_its_last_form() {
    for place in Place::BOTH {
        let mut stage = place.stage(Traits::default());
        let nothing = stage.keep_state();
        stage.clean_pass();
        stage.put_state_back(&nothing);
        place.edit(&mut stage);
        let second = stage.clean_pass();
        expect_last_form(&stage, place, &second);
    }
}

#[test]
fn a_draft_that_is_edited_while_both_sides_renumber_is_copied_in_its_last_form() {
    for place in Place::BOTH {
        for edited in [true, false] {
            let mut stage = place.stage(Traits::default());
            stage.clean_pass();
            if edited {
                place.edit(&mut stage);
            }
            stage.source.renumber(place.mailbox());
            stage.target.renumber(place.mailbox());
            match edited {
                true => {
                    let second = stage.clean_pass();
                    expect_last_form(&stage, place, &second);
                }
                false => expect_unchanged(&mut stage, place),
            }
        }
    }
}

#[test]
fn a_draft_whose_header_the_target_has_altered_is_compared_when_the_source_renumbers() {
    for alters in [Alters::EightBitHeaders, Alters::DropsHeaders, Alters::AddsHeader] {
        for place in Place::BOTH {
            for edited in [true, false] {
                let mut stage = place.stage(Traits { alters, ..Traits::default() });
                stage.clean_pass();
                if edited {
                    place.edit(&mut stage);
                }
                stage.source.renumber(place.mailbox());
                match edited {
                    true => {
                        let second = stage.clean_pass();
                        expect_last_form(&stage, place, &second);
                    }
                    false => expect_unchanged(&mut stage, place),
                }
            }
        }
    }
}

#[test]
fn a_draft_that_gets_nothing_but_another_recipient_is_another_edition() {
    for field in ["Bcc", "Return-Receipt-To", "X-Mozilla-Draft-Info", "Newsgroups"] {
        let edition = [format!("{field}: meet at 5 <b@example.org>\r\n").into_bytes(), draft(FIRST)].concat();
        for (alters, state_is_lost) in [(Alters::Nothing, true), (Alters::Nothing, false), (Alters::AddsHeader, true)] {
            let place = Place::ByFlag;
            let mut stage = place.stage(Traits { alters, ..Traits::default() });
            let nothing = stage.keep_state();
            stage.clean_pass();
            match state_is_lost {
                true => stage.put_state_back(&nothing),
                false => stage.source.renumber(place.mailbox()),
            }
            place.replace(&mut stage, &edition);
            let second = stage.clean_pass();
            expect_last_form(&stage, place, &second);
        }
    }
}

#[test]
fn a_draft_that_was_not_edited_is_found_when_the_state_is_lost_whatever_the_target_does_to_headers() {
    for alters in [Alters::Nothing, Alters::AddsHeader, Alters::DropsHeaders] {
        for place in Place::BOTH {
            let mut stage = place.stage(Traits { alters, ..Traits::default() });
            let nothing = stage.keep_state();
            stage.clean_pass();
            stage.put_state_back(&nothing);
            expect_unchanged(&mut stage, place);
        }
    }
}

#[test]
fn a_draft_that_is_edited_anew_after_its_mailbox_was_put_back_is_copied_in_its_last_form() {
    let place = Place::ByMailbox;
    let mut stage = place.stage(Traits::default());
    stage.clean_pass();
    stage.observe();
    let before = stage.source.snapshot();
    place.replace(&mut stage, &draft("meet at 4"));
    let uid = stage.source.contents()[place.mailbox()][0].uid;
    stage.source.set_flags(place.mailbox(), uid, &["\\Seen"]);
    stage.clean_pass();
    // The same UID, and the same number of messages, for another edition.
    stage.observe();
    place.replace(&mut stage, &draft("none"));
    stage.source.put_back(before);
    place.edit(&mut stage);
    assert_eq!(stage.source.contents()[place.mailbox()][0].uid, uid);
    let last = stage.clean_pass();
    expect_last_form(&stage, place, &last);
}

#[test]
fn a_draft_that_is_edited_while_its_copy_is_deleted_is_copied_in_its_last_form() {
    for (place, whole_mailbox) in [(Place::ByFlag, false), (Place::ByMailbox, false), (Place::ByMailbox, true)] {
        let mut stage = place.stage(Traits::default());
        stage.clean_pass();
        let copy = stage.target.contents()[place.mailbox()].last().expect("the draft is the last one").uid;
        place.edit(&mut stage);
        stage.source.renumber(place.mailbox());
        match whole_mailbox {
            true => drop(stage.target.delete_mailbox(place.mailbox())),
            false => stage.target.expunge(place.mailbox(), &[copy]),
        }
        let second = stage.clean_pass();
        expect_last_form(&stage, place, &second);
    }
}
