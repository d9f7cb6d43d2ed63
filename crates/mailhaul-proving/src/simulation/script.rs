//! Sessions that are played again and again with something else going wrong in each: a first copy, a re-sync, and what
//! comes after a death or after the ground has moved; between servers that can everything and servers that can nothing.

use super::corpus::few;
use super::pass::{Ended, Order, Reply};
use super::stage::Stage;
use mailhaul_testing::model::{Answer, Traits};
use mailhaul_types::Side;

/// Long after a target has fallen silent, and long before it is given up.
const DEATH_MILLIS: u64 = 20_000;

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Everything is copied for the first time.
    FirstCopy,
    /// The same to and from servers without any extension.
    FirstCopyBare,
    /// Mail has come, gone, moved and changed since.
    Resync,
    /// The same between servers without any extension.
    ResyncBare,
    /// The run before has died while messages were in flight that the target had stored: its tail has to be read.
    Recovery,
    /// The same between servers without any extension: what was stored has to be recognised by looking.
    RecoveryBare,
    /// A mailbox was renamed and another renumbered at the source, and one renumbered on the target.
    Moved,
}

impl Script {
    /// Every session.
    pub const ALL: [Script; 7] = [
        Script::FirstCopy,
        Script::FirstCopyBare,
        Script::Resync,
        Script::ResyncBare,
        Script::Recovery,
        Script::RecoveryBare,
        Script::Moved,
    ];

    /// The stage right before the session.
    ///
    /// # Panics
    /// When the first copy that a re-sync stands on does not complete.
    #[must_use]
    pub fn stage(self) -> Stage {
        let traits = match self {
            Script::FirstCopy | Script::Resync | Script::Recovery | Script::Moved => Traits::default(),
            Script::FirstCopyBare | Script::ResyncBare | Script::RecoveryBare => Traits::bare(),
        };
        let mut stage = Stage::new(traits.clone(), traits, &few());
        match self {
            Script::FirstCopy | Script::FirstCopyBare => {}
            Script::Resync | Script::ResyncBare => {
                copy_for_the_first_time(&mut stage);
                change(&stage);
            }
            Script::Recovery | Script::RecoveryBare => die_in_flight(&mut stage),
            Script::Moved => {
                copy_for_the_first_time(&mut stage);
                move_the_ground(&stage);
            }
        }
        stage
    }

    /// The session without anything going wrong.
    #[must_use]
    pub fn undisturbed(self) -> Ended {
        self.stage().clean_pass()
    }
}

fn copy_for_the_first_time(stage: &mut Stage) {
    let first = stage.clean_pass();
    assert!(first.is_complete(), "{}", first.in_words());
}

/// The target stores what the first APPEND brings and says nothing more; the run dies while it waits for the answer.
fn die_in_flight(stage: &mut Stage) {
    let reply = Reply { side: Side::Target, name: "APPEND".to_owned(), nth: 1, answer: Answer::DoneThenSilence };
    let died = stage.pass(Order { replies: vec![reply], dies_at_millis: Some(DEATH_MILLIS), ..Order::default() });
    assert!(died.report.is_none(), "{}", died.in_words());
    assert!(stage.target.appended() > 0, "nothing was stored");
}

/// A name and two numberings are not what they were.
fn move_the_ground(stage: &Stage) {
    let spell = |side, path: &[&str]| stage.spell(side, path);
    stage.source.rename(&spell(Side::Source, &["Work"]), &spell(Side::Source, &["Projects"]));
    stage.source.renumber(&spell(Side::Source, &["INBOX"]));
    stage.target.renumber(&spell(Side::Target, &["INBOX"]));
}

/// What a re-sync has to bring over.
fn change(stage: &Stage) {
    let (inbox, work) = (stage.spell(Side::Source, &["INBOX"]), stage.spell(Side::Source, &["Work"]));
    let held = stage.source.contents();
    let octets = |number: u32| {
        format!("From: a@example.org\r\nMessage-ID: <{number}@later>\r\nSubject: {number}\r\n\r\nLater.\r\n")
            .into_bytes()
    };
    stage.source.deliver(&inbox, &octets(21), 1_000_100_000, &["\\Seen"]);
    stage.source.deliver(&work, &octets(22), 1_000_100_060, &[]);
    stage.source.set_flags(&inbox, held[&inbox][0].uid, &["\\Seen", "\\Flagged"]);
    stage.expunge_at_source(&inbox, &[held[&inbox][1].uid]);
    let moved = &held[&work][0];
    stage.ever.borrow_mut().push((work.clone(), moved.octets.to_vec()));
    stage.source.move_(&work, &[moved.uid], &inbox);
}
