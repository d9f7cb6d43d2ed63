//! Row 15: whom mailhaul talks to. Certificates that are bad in every way that can be made, and everything that somebody
//! in the middle may say around STARTTLS: refused, in the source's place and in the target's, before an octet of a
//! credential has left.
//!
//! The servers are traps, which offer everything and hear everything, also inside TLS. That they would hear a password is
//! shown by those with which nothing is wrong.

mod certificates;
mod injections;
mod lab;

use crate::{Ask, Outcome, Row, Scale};
use lab::Lab;

pub(super) const ROW: Row = Row { number: 15, name: "bad certificates and STARTTLS injections", play };

/// All of it, or in a hurry a third of it.
fn play(ask: &Ask) -> Outcome {
    let lab = Lab::open(ask);
    let mut cases = certificates::cases(&lab);
    cases.extend(injections::cases(&lab));
    if ask.scale == Scale::Quick {
        // 40 certificates in one place, then in the other: each third is another third there.
        cases = cases.into_iter().step_by(3).collect();
    }
    let mut outcome = lab.play(&cases);
    outcome.figure(format!("{} certificates, {} injections", certificates::count(&lab), injections::count()));
    outcome
}
