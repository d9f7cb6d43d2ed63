//! Row 9: users who live on the target while mail is still being copied there.
//!
//! The owner of the target deletes a tenth of all mail, files a fifth, re-flags three tenths, gets mail of his own and renames a
//! mailbox: between the passes, and within them, at moments at which the copier's session is held. Meanwhile mail arrives at
//! the source and is flagged there. After each pass the target must hold what follows from what both have done
//! ([`expectation`]): nothing comes back, nothing is copied again, nothing of his is undone.

mod expectation;
mod life;
mod owner;

use crate::{Ask, Outcome, Row, Scale};

pub(super) const ROW: Row = Row { number: 9, name: "users on the target", play };

fn play(ask: &Ask) -> Outcome {
    let mails = match ask.scale {
        Scale::Quick => 400,
        Scale::Prove => 2_000,
        Scale::Long => 10_000,
    };
    let (mut outcome, mut done) = (Outcome::default(), owner::Done::default());
    for seed in ask.seeds(2, 4, 40) {
        let (lived, did) = life::live(seed, mails);
        outcome.add(lived);
        done.add(&did);
    }
    outcome.figure(format!("{} mails, {done}", u64::from(mails) * outcome.runs));
    outcome
}
