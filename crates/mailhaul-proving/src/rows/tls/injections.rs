//! What somebody in the middle may say around STARTTLS (RFC 9051 §6.2.1, RFC 7817; the injections are those that were
//! found in mail programs in 2021).

use super::lab::{Case, Lab, Lure, Place};
use crate::Outcome;
use mailhaul_testing::tls::bad::BadCertificate;
use mailhaul_testing::tls::trap::{ServerConfig, Trap, Visit};
use std::sync::Arc;

/// What the server says, one after the other. `TAG` stands for the tag of the command that is answered.
#[derive(Clone, Copy)]
struct Injection {
    name: &'static str,
    greeting: &'static str,
    /// To CAPABILITY in plain text.
    capability: &'static str,
    /// To STARTTLS, in one segment.
    starttls: &'static str,
    then: Then,
    /// How the command ends: 4, no TLS to be trusted; 3, no way to sign in.
    code: i32,
}

/// What happens after the answer to STARTTLS.
#[derive(Clone, Copy)]
enum Then {
    /// A proper handshake, and these capabilities inside; empty: everything.
    Secure(&'static str),
    /// These octets, as soon as the client has begun its handshake, then a proper one.
    SayAndSecure(&'static [u8]),
    /// Goes on in plain text.
    Plain,
    Close,
}

const USUAL: Injection = Injection {
    name: "",
    greeting: "* OK ready\r\n",
    capability: "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nTAG OK\r\n",
    starttls: "TAG OK begin\r\n",
    then: Then::Secure(""),
    code: 4,
};

/// A TLS alert (handshake_failure, fatal), and the head of one that never ends.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
/// A ServerHello of TLS 1.0 in its record.
const OLD_HELLO: &[u8] = &[
    22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 0, 0, 47, 0,
];

const INJECTIONS: &[Injection] = &[
    // The server, or somebody for it, says that there is no TLS.
    Injection {
        name: "STARTTLS is not offered",
        capability: "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK\r\n",
        ..USUAL
    },
    Injection {
        name: "STARTTLS is not offered in the greeting",
        greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n",
        ..USUAL
    },
    Injection { name: "no capabilities at all", capability: "TAG OK\r\n", ..USUAL },
    Injection { name: "CAPABILITY is refused", capability: "TAG NO not now\r\n", ..USUAL },
    Injection { name: "STARTTLS answered by NO", starttls: "TAG NO no certificate\r\n", then: Then::Plain, ..USUAL },
    Injection { name: "STARTTLS answered by BAD", starttls: "TAG BAD what?\r\n", then: Then::Plain, ..USUAL },
    Injection { name: "STARTTLS answered by BYE", starttls: "* BYE shutting down\r\n", then: Then::Close, ..USUAL },
    Injection { name: "STARTTLS answered by the end", starttls: "", then: Then::Close, ..USUAL },
    Injection { name: "signed in by the greeting", greeting: "* PREAUTH welcome alice\r\n", ..USUAL },
    Injection {
        name: "signed in by the greeting, with capabilities",
        greeting: "* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS] welcome alice\r\n",
        ..USUAL
    },
    Injection { name: "greeted by BYE", greeting: "* BYE too many\r\n", then: Then::Close, ..USUAL },
    // OK, and no TLS comes.
    Injection { name: "plain text goes on after OK", then: Then::Plain, ..USUAL },
    Injection { name: "OK without a tag", starttls: "* OK begin\r\n", then: Then::Close, ..USUAL },
    Injection { name: "OK with another tag", starttls: "X9 OK begin\r\n", then: Then::Close, ..USUAL },
    Injection { name: "a continuation instead of OK", starttls: "+ begin\r\n", then: Then::Close, ..USUAL },
    Injection { name: "signed in instead of OK", starttls: "* PREAUTH come in\r\n", then: Then::Close, ..USUAL },
    Injection { name: "the end instead of a handshake", then: Then::Close, ..USUAL },
    // Something stands behind the OK, in the same segment, and would be read as if it had come inside.
    Injection {
        name: "capabilities behind OK",
        starttls: "TAG OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        ..USUAL
    },
    Injection {
        name: "the next answer behind OK",
        starttls: "TAG OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nM3 OK\r\n",
        ..USUAL
    },
    Injection { name: "signed in behind OK", starttls: "TAG OK begin\r\n* PREAUTH welcome\r\n", ..USUAL },
    Injection { name: "a continuation behind OK", starttls: "TAG OK begin\r\n+ \r\n", ..USUAL },
    Injection {
        name: "BYE behind OK",
        starttls: "TAG OK begin\r\n* BYE [REFERRAL imap://elsewhere.example/]\r\n",
        ..USUAL
    },
    Injection { name: "half a line behind OK", starttls: "TAG OK begin\r\n* OK", ..USUAL },
    Injection { name: "an empty line behind OK", starttls: "TAG OK begin\r\n\r\n", ..USUAL },
    Injection { name: "one octet behind OK", starttls: "TAG OK begin\r\n\0", ..USUAL },
    Injection { name: "OK twice", starttls: "TAG OK begin\r\nTAG OK begin\r\n", ..USUAL },
    Injection { name: "a record of TLS behind OK", starttls: "TAG OK begin\r\n\x16\x03\x01\0\x02\x02(", ..USUAL },
    Injection { name: "a literal in OK", starttls: "TAG OK begin {9}\r\n* OK AUTH\r\n", ..USUAL },
    Injection {
        name: "a line end without CR",
        starttls: "TAG OK begin\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        ..USUAL
    },
    // Answers to what was not yet asked.
    Injection {
        name: "OK before STARTTLS was sent",
        capability: "* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK\r\nM2 OK begin\r\n",
        ..USUAL
    },
    Injection {
        name: "both answers together with the greeting",
        greeting: "* OK ready\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\nM1 OK\r\nM2 OK begin\r\n",
        ..USUAL
    },
    Injection {
        name: "OK together with a greeting that has the capabilities",
        greeting: "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\nM1 OK begin\r\n",
        ..USUAL
    },
    // In the middle of the handshake.
    Injection {
        name: "a line between OK and handshake",
        then: Then::SayAndSecure(b"* CAPABILITY AUTH=PLAIN\r\n"),
        ..USUAL
    },
    Injection { name: "an alert instead of a handshake", then: Then::SayAndSecure(ALERT), ..USUAL },
    Injection { name: "TLS 1.0 after OK", then: Then::SayAndSecure(OLD_HELLO), ..USUAL },
    // What was announced in plain text is forgotten inside.
    Injection {
        name: "ways to sign in are announced in plain text only",
        capability: "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\nTAG OK\r\n",
        then: Then::Secure("IMAP4rev1 LOGINDISABLED"),
        code: 3,
        ..USUAL
    },
];

/// How many there are, each in two places.
pub(super) fn count() -> usize {
    INJECTIONS.len()
}

pub(super) fn cases(lab: &Lab) -> Vec<Case<'_>> {
    let good = lab.certificates.good().server();
    let mut cases: Vec<Case<'_>> = Vec::new();
    for place in Place::BOTH {
        for injection in INJECTIONS.iter().chain([&USUAL]) {
            let good = Arc::clone(&good);
            cases.push(Box::new(move || inject(lab, place, injection, &good)));
        }
        // STARTTLS as it should be, and a certificate that is not: a few of them, for the check is the same.
        let bad = lab.certificates.bad().into_iter().step_by(6);
        cases.extend(bad.map(|bad| -> Case<'_> { Box::new(move || badly_secured(lab, place, &bad)) }));
    }
    cases
}

fn inject(lab: &Lab, place: Place, injection: &'static Injection, good: &Arc<ServerConfig>) -> Outcome {
    let mut outcome = Outcome::default();
    let trap = trap(*injection, good);
    let lure = Lure { scheme: "imap", host: "localhost", address: trap.address(), options: &lab.trusting() };
    let ended = lab.lead_to(&trap, place, &lure);
    let (name, heard) = (format!("`{}`, {place:?}", injection.name), trap.heard());
    match injection.name {
        "" => lab.must_be_heard(&mut outcome, "STARTTLS as it should be", &heard, &ended),
        _ => lab.judge(&mut outcome, &name, &heard, &ended, injection.code),
    }
    outcome
}

fn badly_secured(lab: &Lab, place: Place, bad: &BadCertificate) -> Outcome {
    let mut outcome = Outcome::default();
    let trap = trap(USUAL, &bad.presented.server());
    let lure = Lure { scheme: "imap", host: bad.host, address: trap.address(), options: &lab.trusting() };
    let ended = lab.lead_to(&trap, place, &lure);
    let name = format!("STARTTLS with certificate `{}`, {place:?}", bad.name);
    lab.judge(&mut outcome, &name, &trap.heard(), &ended, 4);
    outcome
}

fn trap(injection: Injection, good: &Arc<ServerConfig>) -> Trap {
    let good = Arc::clone(good);
    Trap::set(move |visit| act(visit, &injection, &good))
}

fn act(visit: &mut Visit, injection: &Injection, good: &Arc<ServerConfig>) {
    visit.say(injection.greeting.as_bytes());
    loop {
        let Some(line) = visit.line() else { return };
        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command {
            "CAPABILITY" => injection.capability,
            "STARTTLS" => injection.starttls,
            // Whoever does not ask for TLS is welcome too.
            _ => "TAG OK as you like\r\n",
        };
        visit.say(answer.replace("TAG", tag).as_bytes());
        if command == "STARTTLS" {
            break;
        }
    }
    match injection.then {
        Then::Secure(capabilities) => {
            visit.secure(good);
            visit.lure(capabilities);
        }
        Then::SayAndSecure(octets) => {
            visit.wait_for_octets();
            visit.say(octets);
            visit.secure(good);
            visit.lure("");
        }
        Then::Plain => visit.lure(""),
        Then::Close => visit.leave(),
    }
}
