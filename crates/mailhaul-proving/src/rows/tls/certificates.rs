//! Certificates, keys and versions that must not be believed.

use super::lab::{Case, Lab, Lure, Place};
use crate::Outcome;
use mailhaul_testing::tls::bad::BadCertificate;
use mailhaul_testing::tls::openssl::{self, Yesterday};
use mailhaul_testing::tls::trap::{Presented, Trap};

/// How many there are, each in two places.
pub(super) fn count(lab: &Lab) -> usize {
    lab.certificates.bad().len() + openssl::ALL.len() + 2
}

pub(super) fn cases(lab: &Lab) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for place in Place::BOTH {
        cases.push(Box::new(move || good(lab, place)));
        cases.extend(
            lab.certificates.bad().into_iter().map(|case| -> Case<'_> { Box::new(move || bad(lab, place, &case)) }),
        );
        cases.push(Box::new(move || wrong_pin(lab, place)));
        cases.push(Box::new(move || unknown_to_the_system(lab, place)));
        cases.extend(openssl::ALL.map(|old| -> Case<'_> { Box::new(move || of_yesterday(lab, place, old)) }));
    }
    cases
}

fn bad(lab: &Lab, place: Place, case: &BadCertificate) -> Outcome {
    let mut outcome = Outcome::default();
    let name = format!("certificate `{}`, {place:?}", case.name);
    let trap = behind_tls(&case.presented);
    let lure = Lure { scheme: "imaps", host: case.host, address: trap.address(), options: &lab.trusting() };
    let ended = lab.lead_to(&trap, place, &lure);
    lab.judge(&mut outcome, &name, &trap.heard(), &ended, 4);
    if trap.visits() == 0 {
        outcome.fail(name, "nobody came".to_owned());
    }
    outcome
}

/// A trap that speaks TLS from the first octet on, and plain text to those whom that does not suit.
fn behind_tls(presented: &Presented) -> Trap {
    let server = presented.server();
    Trap::set(move |visit| {
        if visit.secure(&server) {
            visit.say(b"* OK ready\r\n");
        }
        visit.lure("");
    })
}

/// With a good certificate, by its authority and by its digest, the trap hears the password.
fn good(lab: &Lab, place: Place) -> Outcome {
    let mut outcome = Outcome::default();
    let presented = lab.certificates.good();
    for (case, options) in [("trusted", lab.trusting()), ("pinned", pin(&presented.sha256()))] {
        let trap = behind_tls(&presented);
        let ended =
            lab.lead(place, &Lure { scheme: "imaps", host: "localhost", address: trap.address(), options: &options });
        lab.must_be_heard(&mut outcome, &format!("good certificate, {case}, {place:?}"), &trap.heard(), &ended);
    }
    outcome
}

fn pin(digest: &[u8; 32]) -> Vec<String> {
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    vec!["--SIDE-pin".to_owned(), hex]
}

/// A certificate that an authority vouches for, and that is not the pinned one.
fn wrong_pin(lab: &Lab, place: Place) -> Outcome {
    let mut outcome = Outcome::default();
    let trap = behind_tls(&lab.certificates.good());
    let options = pin(&lab.certificates.good().sha256());
    let ended =
        lab.lead(place, &Lure { scheme: "imaps", host: "localhost", address: trap.address(), options: &options });
    lab.judge(&mut outcome, &format!("certificate that is not the pinned one, {place:?}"), &trap.heard(), &ended, 4);
    outcome
}

/// A certificate of our own authority, to somebody who trusts the system's authorities.
fn unknown_to_the_system(lab: &Lab, place: Place) -> Outcome {
    let mut outcome = Outcome::default();
    let trap = behind_tls(&lab.certificates.good());
    let ended = lab.lead(place, &Lure { scheme: "imaps", host: "localhost", address: trap.address(), options: &[] });
    lab.judge(&mut outcome, &format!("certificate unknown to the system, {place:?}"), &trap.heard(), &ended, 4);
    outcome
}

fn of_yesterday(lab: &Lab, place: Place, old: Yesterday) -> Outcome {
    let mut outcome = Outcome::default();
    let server = old.start().expect("openssl is there, and makes old things when it is told to");
    let options = ["--ca-file".to_owned(), server.ca_file().display().to_string()];
    let lure = Lure { scheme: "imaps", host: "localhost", address: server.address(), options: &options };
    let ended = lab.lead(place, &lure);
    lab.judge(&mut outcome, &format!("`{}`, {place:?}", old.name), &server.finish(), &ended, 4);
    outcome
}
