//! One connection to a model: from octets to commands, from answers to octets, and how it ends.

use super::append::{Append, appended};
use super::dispatch::{Session, Step, begin, carry_out, refuse_literal};
use super::gather::{Gatherer, Piece};
use super::hook::Answer;
use super::reply::{Output, Verdict};
use super::sign_in;
use super::traits::Landing;
use super::{ModelServer, World};

/// What [`Answer::OkForAnother`] says.
const FOREIGN: &[u8] = b"M999999999 OK done\r\n";

/// A connection to a [`ModelServer`].
#[derive(Debug)]
pub struct ModelConnection {
    server: ModelServer,
    number: u64,
    gatherer: Gatherer,
    session: Session,
    mode: Mode,
    output: Vec<u8>,
    /// Nothing is received any more; what waits in the output may still be taken.
    ended: bool,
    /// Nothing is carried out or answered any more; octets are still taken.
    silent: bool,
}

/// What the connection is in the middle of.
#[derive(Debug)]
enum Mode {
    Commands,
    /// The response to the challenge of AUTHENTICATE comes next.
    SignIn {
        tag: String,
    },
    /// DONE comes next.
    Idle {
        tag: String,
    },
    /// APPEND is carried out when its answer is taken.
    Held {
        tag: String,
        append: Append,
        answer: Answer,
    },
    /// APPEND is being carried out.
    Underway {
        tag: String,
        number: u64,
        answer: Answer,
    },
}

impl ModelConnection {
    pub(super) fn new(server: ModelServer, number: u64) -> Self {
        let mut connection = Self {
            server,
            number,
            gatherer: Gatherer::default(),
            session: Session::default(),
            mode: Mode::Commands,
            output: Vec::new(),
            ended: false,
            silent: false,
        };
        connection.greet();
        connection
    }

    /// Takes what the client sends, however it is cut. After the end it is passed over.
    pub fn receive(&mut self, octets: &[u8]) {
        if !self.ended {
            self.gatherer.push(octets);
            self.work();
        }
    }

    /// What is to be sent to the client. With IDLE, and with [`Landing::Late`] or [`Landing::Slow`], something may have come up
    /// also if nothing was received.
    pub fn output(&mut self) -> Vec<u8> {
        loop {
            self.work();
            let Mode::Held { .. } = self.mode else { break };
            self.carry_out_held();
        }
        if matches!(self.mode, Mode::Idle { .. }) {
            self.tell_while_idle();
        }
        std::mem::take(&mut self.output)
    }

    /// Whether the server has ended the connection, or the client is gone. What waits in the output comes before that end.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The client is gone. Commands that had come whole are carried out all the same, those of APPEND as [`Landing`] says;
    /// nobody hears of it.
    pub fn close(&mut self) {
        let server = self.server.clone();
        let landing = server.world().traits.landing;
        let delay = match landing {
            Landing::AtOnce => 0,
            Landing::Late { millis } | Landing::Slow { millis } => millis,
        };
        while !self.ended && !self.silent {
            self.work();
            match std::mem::replace(&mut self.mode, Mode::Commands) {
                Mode::Held { append, .. } => {
                    server.world().send_off(append.mailbox, append.incoming, delay);
                }
                // It lands by itself.
                Mode::Underway { .. } => {}
                _ => break,
            }
        }
        self.ended = true;
        self.output.clear();
    }

    fn greet(&mut self) {
        let answer = self.server.0.hooked.ask("GREETING", self.number, b"");
        let traits = self.server.world().traits.clone();
        let code =
            if traits.tells_capabilities { format!("[CAPABILITY {}] ", traits.capabilities()) } else { String::new() };
        let mut output = Output::default();
        output.untagged(&format!("OK {code}model server ready"));
        match answer {
            Answer::AsUsual | Answer::WithoutData => self.output = output.octets,
            Answer::No(text) => self.output = format!("* NO {text}\r\n").into_bytes(),
            Answer::Bad(text) => self.output = format!("* BAD {text}\r\n").into_bytes(),
            Answer::Malformed(octets) => self.output = octets,
            Answer::OkForAnother => self.output = FOREIGN.to_vec(),
            Answer::Bye => self.say_good_bye("not now"),
            Answer::End | Answer::DoneThenEnd => self.ended = true,
            Answer::Silence | Answer::DoneThenSilence => self.silent = true,
        }
    }

    /// Goes through what has been received, as far as it goes.
    fn work(&mut self) {
        while !self.ended && !self.silent {
            match &self.mode {
                Mode::Held { .. } => return,
                Mode::Underway { .. } => {
                    if !self.take_landed() {
                        return;
                    }
                    continue;
                }
                Mode::Commands | Mode::SignIn { .. } | Mode::Idle { .. } => {}
            }
            let Some(piece) = self.gatherer.next() else { return };
            match piece {
                Piece::Command { octets, unasked } => self.take_line(&octets, unasked),
                Piece::Waiting { so_far, octets } => self.take_announcement(&so_far, octets),
                Piece::TooLong => self.say_good_bye("too long"),
            }
        }
    }

    fn take_announcement(&mut self, so_far: &[u8], octets: u64) {
        let refusal = match self.mode {
            Mode::Commands => refuse_literal(&self.session, &mut self.server.world(), so_far, octets),
            _ => Some(("*".to_owned(), Verdict::bad("a literal is not expected here"))),
        };
        match refusal {
            None => self.send(b"+ go on\r\n"),
            Some((tag, verdict)) => {
                self.gatherer.abandon();
                self.send(verdict.line(&tag).as_bytes());
            }
        }
    }

    fn take_line(&mut self, octets: &[u8], unasked: Option<u64>) {
        match std::mem::replace(&mut self.mode, Mode::Commands) {
            Mode::SignIn { tag } => {
                let verdict = sign_in::respond(&mut self.session, &self.server.world(), octets);
                self.send(verdict.line(&tag).as_bytes());
            }
            Mode::Idle { tag } => {
                let verdict = if octets.eq_ignore_ascii_case(b"DONE") {
                    Verdict::ok("idle ended")
                } else {
                    Verdict::bad("DONE expected")
                };
                self.tell_news(true);
                self.send(verdict.line(&tag).as_bytes());
            }
            _ => self.take_command(octets, unasked),
        }
    }

    fn take_command(&mut self, octets: &[u8], unasked: Option<u64>) {
        let command = match begin(octets) {
            Ok(command) => command,
            Err((tag, verdict)) => return self.send(verdict.line(&tag).as_bytes()),
        };
        let tag = command.tag.clone();
        let answer = self.server.0.hooked.ask(&command.name, self.number, command.arguments);
        match answer {
            Answer::No(text) => return self.send(format!("{tag} NO {text}\r\n").as_bytes()),
            Answer::Bad(text) => return self.send(format!("{tag} BAD {text}\r\n").as_bytes()),
            Answer::OkForAnother => return self.send(FOREIGN),
            Answer::Bye => return self.say_good_bye("good-bye"),
            Answer::End => return self.end(),
            Answer::Silence => return self.silent = true,
            _ => {}
        }
        let mut output = Output::default();
        let server = self.server.clone();
        let mut world = server.world();
        match carry_out(&mut self.session, &mut world, &command, unasked, &mut output) {
            Step::Ended(verdict) => {
                self.session.tell(&world, command.may_expunge(), &mut output);
                drop(world);
                self.answer(&tag, &verdict, output, answer);
            }
            Step::Append(append) => self.take_append(&mut world, tag, append, answer),
            Step::Challenge => {
                drop(world);
                self.mode = Mode::SignIn { tag };
                self.send(b"+ \r\n");
            }
            Step::Idle => {
                drop(world);
                self.mode = Mode::Idle { tag };
                self.send(b"+ idling\r\n");
            }
        }
    }

    fn take_append(&mut self, world: &mut World, tag: String, append: Append, answer: Answer) {
        match world.traits.landing {
            Landing::AtOnce => {
                let stored = world.land(&append.mailbox, append.incoming);
                self.answer_append(world, &tag, appended(&world.traits, stored), answer);
            }
            Landing::Late { .. } => self.mode = Mode::Held { tag, append, answer },
            Landing::Slow { millis } => {
                let number = world.send_off(append.mailbox, append.incoming, millis);
                self.mode = Mode::Underway { tag, number, answer };
            }
        }
    }

    fn carry_out_held(&mut self) {
        let Mode::Held { tag, append, answer } = std::mem::replace(&mut self.mode, Mode::Commands) else { return };
        let server = self.server.clone();
        let mut world = server.world();
        let stored = world.land(&append.mailbox, append.incoming);
        self.answer_append(&world, &tag, appended(&world.traits, stored), answer);
    }

    /// Answers the APPEND that is underway if it has landed. Whether it has.
    fn take_landed(&mut self) -> bool {
        let server = self.server.clone();
        let mut world = server.world();
        let Mode::Underway { number, .. } = &self.mode else { return true };
        let Some(stored) = world.take_landed(*number) else { return false };
        let Mode::Underway { tag, answer, .. } = std::mem::replace(&mut self.mode, Mode::Commands) else {
            return true;
        };
        self.answer_append(&world, &tag, appended(&world.traits, stored), answer);
        true
    }

    fn answer_append(&mut self, world: &World, tag: &str, verdict: Verdict, answer: Answer) {
        let mut output = Output::default();
        self.session.tell(world, true, &mut output);
        self.answer(tag, &verdict, output, answer);
    }

    /// Sends what a command is answered, as it is or otherwise.
    fn answer(&mut self, tag: &str, verdict: &Verdict, output: Output, answer: Answer) {
        let bare = Verdict { code: String::new(), ..verdict.clone() };
        let line = |verdict: &Verdict| verdict.line(tag).into_bytes();
        match answer {
            Answer::DoneThenEnd => return self.end(),
            Answer::DoneThenSilence => return self.silent = true,
            Answer::WithoutData => self.send(&line(&bare)),
            Answer::Malformed(octets) => self.send(&[octets, line(verdict)].concat()),
            _ => self.send(&[output.octets, line(verdict)].concat()),
        }
        if self.session.leaves {
            self.ended = true;
        }
    }

    fn tell_while_idle(&mut self) {
        self.tell_news(true);
        if self.session.leaves {
            self.ended = true;
        }
    }

    fn tell_news(&mut self, may_expunge: bool) {
        let mut output = Output::default();
        let server = self.server.clone();
        self.session.tell(&server.world(), may_expunge, &mut output);
        self.send(&output.octets);
    }

    fn send(&mut self, octets: &[u8]) {
        if !self.silent {
            self.output.extend_from_slice(octets);
        }
    }

    fn say_good_bye(&mut self, why: &str) {
        self.send(format!("* BYE {why}\r\n").as_bytes());
        self.ended = true;
    }

    /// Ends without a word.
    fn end(&mut self) {
        self.ended = true;
    }
}
