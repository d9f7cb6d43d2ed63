//! Sessions that are played again and again with something else going wrong in each: a first copy and a re-sync, with a
//! target that can everything and one that can nothing.

use super::corpus::few;
use super::pass::Ended;
use super::stage::Stage;
use mailhaul_testing::model::Traits;
use mailhaul_types::Side;

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
}

impl Script {
    /// Every session.
    pub const ALL: [Script; 4] = [Script::FirstCopy, Script::FirstCopyBare, Script::Resync, Script::ResyncBare];

    /// The stage right before the session.
    ///
    /// # Panics
    /// When the first copy that a re-sync stands on does not complete.
    #[must_use]
    pub fn stage(self) -> Stage {
        let traits = match self {
            Script::FirstCopy | Script::Resync => Traits::default(),
            Script::FirstCopyBare | Script::ResyncBare => Traits::bare(),
        };
        let mut stage = Stage::new(traits.clone(), traits, &few());
        if matches!(self, Script::Resync | Script::ResyncBare) {
            let first = stage.clean_pass();
            assert!(first.is_complete(), "{}", first.in_words());
            change(&stage);
        }
        stage
    }

    /// The session without anything going wrong.
    #[must_use]
    pub fn undisturbed(self) -> Ended {
        self.stage().clean_pass()
    }
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
