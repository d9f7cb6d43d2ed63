//! One direction's reader: looks at every piece of the session and decides what becomes of it.

use super::connection::{Connection, Open, Session, Task};
use super::plan::{Direction, Fault, Moment, Reply};
use super::pump_user::noop;
use super::scanner::{Piece, Scanner};
use super::user::user_of_response;

/// The command whose octets are passing.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) tag: Vec<u8>,
    name: String,
    number: u32,
    /// How many commands the connection had seen with this one.
    number_of_all: u32,
    /// Answered in the server's place: the rest of it is thrown away.
    replaced: bool,
}

/// A direction's reader.
pub(crate) struct Pump<'a> {
    pub(super) connection: &'a Connection,
    direction: Direction,
    scanner: Scanner,
    pub(super) command: Option<Passing>,
    commands: u32,
    continuations: u32,
    literals: u32,
    /// Octets of the present literal that went through.
    literal_at: u64,
    /// An APPEND that is kept back until it is complete.
    pub(super) held: Option<Vec<u8>>,
    /// The first literal of a LOGIN: who signs in.
    pub(super) login_name: Vec<u8>,
    /// The name of the command whose octets, or whose answer's, are passing.
    concerning: Option<String>,
}

impl<'a> Pump<'a> {
    pub(crate) fn new(connection: &'a Connection, direction: Direction) -> Pump<'a> {
        let scanner = Scanner::new();
        Pump {
            connection,
            direction,
            scanner,
            command: None,
            commands: 0,
            continuations: 0,
            literals: 0,
            literal_at: 0,
            held: None,
            login_name: Vec::new(),
            concerning: None,
        }
    }

    /// Faults that strike before the first octet.
    pub(crate) fn begin(&mut self) {
        let direction = self.direction;
        self.strike(&mut self.connection.session(), |moment| *moment == Moment::Bytes(direction, 0));
    }

    /// Octets that arrived. Both directions take the session's lock for a whole chunk, so that what one of them slips in
    /// never lands in the middle of the other's line.
    pub(crate) fn take(&mut self, octets: &[u8]) {
        let connection = self.connection;
        let mut session = connection.session();
        if session.opaque {
            self.scanner.be_opaque();
        }
        if self.scanner.is_waiting() {
            let refused = session.waiting.take().is_some_and(|(_, refused)| refused);
            if refused && self.direction == Direction::ToServer {
                self.scanner.cancel_literal();
                self.command = None;
            }
        }
        for piece in self.scanner.feed(octets) {
            match piece {
                Piece::Head(line) if self.direction == Direction::ToServer => self.command_line(&mut session, &line),
                Piece::Head(line) => self.response_line(&mut session, &line),
                Piece::Rest(octets) => {
                    self.end_login_name(&mut session);
                    self.pass(&mut session, &octets);
                }
                Piece::LiteralStart { waits } => self.literal_start(&mut session, waits),
                Piece::Literal(octets) => self.literal(&mut session, &octets),
                Piece::End if self.direction == Direction::ToServer => self.command_end(&mut session),
                Piece::End => self.response_end(&mut session),
            }
        }
    }

    /// The near end closed its sending side.
    pub(crate) fn end(&mut self) {
        let mut session = self.connection.session();
        let leftover = self.scanner.leftover();
        self.send(&mut session, &leftover);
        if !session.swallowed[self.direction as usize] {
            self.connection.push_task(self.direction, Task::Fin);
        }
    }

    fn command_line(&mut self, session: &mut Session, line: &[u8]) {
        let Some((tag, name)) = tag_and_name(line) else {
            // A continuation: DONE, or the next step of AUTHENTICATE.
            self.command = None;
            if let (Some(tag), Some(user)) = (session.authenticating.take(), user_of_response(line)) {
                self.signs_in(session, &tag, user);
            }
            return self.send(session, line);
        };
        let number = session.begun.entry(name.clone()).or_default();
        *number += 1;
        let number = *number;
        self.commands += 1;
        self.concerning = Some(name.clone());
        self.connection.watched.begin_command(&name, line);
        self.strike(
            session,
            |moment| matches!(moment, Moment::BeforeCommand(other, nth) if is(other, &name) && *nth == number),
        );
        let reply = session.replies.iter().find(|(other, which, _)| *other == name && which.has(number));
        let reply = reply.map(|(_, _, reply)| reply.clone());
        let reply = reply.or_else(|| self.reply_to_user(session, &name));
        let replaced = reply.is_some();
        session.open.insert(tag.clone(), Open { name: name.clone(), number, turn: self.commands, reply });
        match name.as_str() {
            "LOGIN" | "AUTHENTICATE" if !replaced => self.sign_in_line(session, &tag, &name, line),
            "APPEND" if !replaced && self.holds_back(session) => self.held = Some(Vec::new()),
            _ => {}
        }
        if replaced {
            self.send(session, &noop(&tag));
        } else {
            self.forward(session, line);
        }
        self.command = Some(Passing { tag, name, number, number_of_all: self.commands, replaced });
    }

    fn command_end(&mut self, session: &mut Session) {
        let Some(command) = self.command.take() else { return };
        self.release(session, &command.tag);
        self.connection.push_task(self.direction, Task::Forwarded(command.name.clone()));
        self.strike(session, |moment| match moment {
            Moment::AfterCommand(other, nth) => is(other, &command.name) && *nth == command.number,
            Moment::AfterAnyCommand(nth) => *nth == command.number_of_all,
            _ => false,
        });
    }

    fn response_line(&mut self, session: &mut Session, line: &[u8]) {
        session.inside_response = true;
        let first = line.split(|octet| matches!(octet, b' ' | b'\r' | b'\n')).next().unwrap_or_default();
        self.concerning = session.answered_by(first);
        if first == b"+" {
            self.continuations += 1;
            let number = self.continuations;
            self.strike(session, |moment| *moment == Moment::BeforeContinuation(number));
            return self.send(session, line);
        }
        let Some(open) = session.open.remove(first) else { return self.send(session, line) };
        if let Some((tag, refused)) = &mut session.waiting
            && tag == first
        {
            *refused = true;
        }
        let Open { name, number, reply, .. } = open;
        self.strike(
            session,
            |moment| matches!(moment, Moment::BeforeAnswer(other, nth) if is(other, &name) && *nth == number),
        );
        if let Some(reply) = reply {
            return self.reply(session, first, &reply);
        }
        self.send(session, line);
        let status = line.get(first.len() + 1..first.len() + 3).unwrap_or_default();
        // From here on the session is encrypted or compressed.
        session.opaque |= status.eq_ignore_ascii_case(b"OK") && (name == "STARTTLS" || name == "COMPRESS");
        if !session.swallowed[self.direction as usize] {
            self.connection.push_task(self.direction, Task::Answered(name.clone()));
        }
        self.strike(
            session,
            |moment| matches!(moment, Moment::AfterAnswer(other, nth) if is(other, &name) && *nth == number),
        );
    }

    fn reply(&mut self, session: &mut Session, tag: &[u8], reply: &Reply) {
        let tag = String::from_utf8_lossy(tag);
        for line in &reply.lines {
            self.send(session, format!("{}\r\n", line.replace("{tag}", &tag)).as_bytes());
        }
        match reply.then {
            Some(cut) => self.connection.push_task(self.direction, Task::Cut(cut)),
            None => self.connection.watched.change(|statistics| statistics.faults += 1),
        }
    }

    fn response_end(&mut self, session: &mut Session) {
        session.inside_response = false;
        for line in std::mem::take(&mut session.injections) {
            self.connection.push(self.direction, &line);
        }
    }

    fn literal_start(&mut self, session: &mut Session, waits: bool) {
        self.literals += 1;
        self.literal_at = 0;
        if self.direction == Direction::ToServer
            && let Some(command) = &self.command
        {
            let message = command.name == "APPEND" && !command.replaced;
            self.connection.watched.begin_literal(message, waits);
            session.waiting = (waits && self.held.is_none()).then(|| (command.tag.clone(), false));
            if waits && let Some(held) = &mut self.held {
                // The client is told to go on here, so the server must not be asked: `{n}` becomes `{n+}`.
                held.truncate(held.len().saturating_sub(b"}\r\n".len()));
                held.extend_from_slice(b"+}\r\n");
                slip_in(self.connection, session, b"+ go ahead\r\n".to_vec());
            }
        }
        self.strike_in_literal(session);
    }

    fn literal(&mut self, session: &mut Session, mut octets: &[u8]) {
        if session.user.is_none() && self.command.as_ref().is_some_and(|command| command.name == "LOGIN") {
            self.login_name.extend_from_slice(octets);
        }
        while !octets.is_empty() {
            let (direction, number, at) = (self.direction, self.literals, self.literal_at);
            let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
            let next = session.faults.iter().filter_map(|(moment, _)| match moment {
                Moment::InLiteral(other, nth, offset) if *other == direction && *nth == number => Some(*offset),
                _ => None,
            });
            let next = next.filter(|offset| (at + 1..=at + length).contains(offset)).min().unwrap_or(at + length);
            let (part, rest) = octets.split_at(usize::try_from(next - at).unwrap_or(octets.len()));
            self.pass(session, part);
            self.literal_at = next;
            self.strike_in_literal(session);
            octets = rest;
        }
    }

    fn strike_in_literal(&mut self, session: &mut Session) {
        let here = Moment::InLiteral(self.direction, self.literals, self.literal_at);
        self.strike(session, |moment| *moment == here);
    }

    /// Forwards what belongs to the present command or response, unless the proxy answers it itself.
    fn pass(&mut self, session: &mut Session, octets: &[u8]) {
        if self.command.as_ref().is_none_or(|command| !command.replaced) {
            self.forward(session, octets);
        }
    }

    /// Sends octets on, or keeps them with the rest of the command.
    fn forward(&mut self, session: &mut Session, octets: &[u8]) {
        match &mut self.held {
            Some(held) => held.extend_from_slice(octets),
            None => self.send(session, octets),
        }
    }

    /// Hands octets on, up to the next fault that is bound to a number of octets, and beyond it if it lets them.
    pub(super) fn send(&mut self, session: &mut Session, mut octets: &[u8]) {
        let direction = self.direction;
        while !octets.is_empty() && !session.swallowed[direction as usize] {
            let at = session.bytes[direction as usize];
            let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
            let next = session.faults.iter().filter_map(|(moment, _)| match moment {
                Moment::Bytes(other, count) if *other == direction => Some(*count),
                _ => None,
            });
            let next = next.filter(|count| (at + 1..=at + length).contains(count)).min().unwrap_or(at + length);
            let (part, rest) = octets.split_at(usize::try_from(next - at).unwrap_or(octets.len()));
            self.connection.push(direction, part);
            if let Some(name) = &self.concerning {
                self.connection.watched.change(|statistics| statistics.add_octets_of(name, direction, part.len()));
            }
            session.bytes[direction as usize] = next;
            self.strike(session, |moment| *moment == Moment::Bytes(direction, next));
            octets = rest;
        }
    }

    /// Lets all faults strike whose moment has come. Each strikes once.
    fn strike(&self, session: &mut Session, come: impl Fn(&Moment) -> bool) {
        if session.swallowed[self.direction as usize] {
            return;
        }
        let (now, later) = std::mem::take(&mut session.faults).into_iter().partition(|(moment, _)| come(moment));
        session.faults = later;
        for (_, fault) in now {
            self.apply(session, fault);
        }
    }

    fn apply(&self, session: &mut Session, fault: Fault) {
        match fault {
            // These travel in the lane, behind what was let through; they are counted when they arrive.
            Fault::Cut(cut) => {
                self.connection.push_task(self.direction, Task::Cut(cut));
                session.swallowed[self.direction as usize] = true;
                return;
            }
            Fault::Stall => {
                self.connection.push_task(self.direction, Task::Stall);
                session.swallowed[self.direction as usize] = true;
                return;
            }
            Fault::Hold => return self.connection.push_task(self.direction, Task::Hold),
            Fault::HalfClose(direction) => self.connection.push_task(direction, Task::Fin),
            Fault::Swallow(direction) => session.swallowed[direction as usize] = true,
            // A reader of the server's side strikes before the line that it has in hand.
            Fault::Inject(line) if self.direction == Direction::ToClient => {
                self.connection.push(Direction::ToClient, &line);
            }
            Fault::Inject(line) => slip_in(self.connection, session, line),
            Fault::AnswerEarly(words) => return self.answer_early(session, &words),
        }
        self.connection.watched.change(|statistics| statistics.faults += 1);
    }
}

impl Pump<'_> {
    /// Answers before the server does. Its own answer counts as the fault when it is swallowed.
    fn answer_early(&self, session: &mut Session, words: &str) {
        let waiting = session.waiting.as_ref().map(|(tag, _)| tag.clone());
        let passing = || self.command.as_ref().map(|command| command.tag.clone());
        let Some(tag) = waiting.or_else(passing) else { return };
        if let Some(open) = session.open.get_mut(&tag) {
            open.reply = Some(Reply::silence());
        }
        let line = format!("{} {words}\r\n", String::from_utf8_lossy(&tag)).into_bytes();
        match self.direction {
            Direction::ToClient => self.connection.push(Direction::ToClient, &line),
            Direction::ToServer => slip_in(self.connection, session, line),
        }
    }
}

/// Sends a line to the client, between responses of the server.
fn slip_in(connection: &Connection, session: &mut Session, line: Vec<u8>) {
    if session.inside_response {
        session.injections.push(line);
    } else {
        connection.push(Direction::ToClient, &line);
    }
}

fn is(wanted: &str, name: &str) -> bool {
    wanted.eq_ignore_ascii_case(name)
}

/// The tag and the name of a command (`UID FETCH`); none for a line that continues one.
fn tag_and_name(line: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut words = line.split(|octet| matches!(octet, b' ' | b'\r' | b'\n')).filter(|word| !word.is_empty());
    let tag = words.next()?.to_vec();
    let mut name = String::from_utf8_lossy(words.next()?).to_ascii_uppercase();
    if name == "UID" {
        name.push(' ');
        name += &String::from_utf8_lossy(words.next()?).to_ascii_uppercase();
    }
    Some((tag, name))
}
