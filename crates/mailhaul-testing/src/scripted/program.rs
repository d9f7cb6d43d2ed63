//! A server that asks a closure about each command, and answers by itself what the closure leaves alone.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::wire::Wire;
use crate::imap_client::literal_length;

/// A command with its literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Its tag.
    pub tag: String,
    /// Its name in capitals (`UID FETCH`).
    pub name: String,
    /// Everything after the tag, without the literals: `APPEND "x" () {5+}` and so on, lines joined.
    pub text: String,
    /// The literals, in order.
    pub literals: Vec<Vec<u8>>,
}

/// What the closure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It said all that is to be said.
    Yes,
    /// The server is to answer as usual.
    No,
    /// FIN.
    Close,
    /// RST.
    Reset,
    /// Nothing is said any more until the client leaves.
    Silence,
}

/// The server's voice.
#[derive(Debug)]
pub struct Session<'a> {
    wire: &'a mut Wire,
    program: &'a Program,
    lost: bool,
}

impl Session<'_> {
    /// Sends a line; CRLF is added. A client that has left is not an error.
    pub fn line(&mut self, line: &str) {
        self.octets(format!("{line}\r\n").as_bytes());
    }

    /// Sends octets as they are.
    pub fn octets(&mut self, octets: &[u8]) {
        self.lost |= self.wire.send(octets).is_err();
    }

    /// Sends `before`, the octets as a literal, and `after` with CRLF.
    pub fn literal(&mut self, before: &str, octets: &[u8], after: &str) {
        self.octets(format!("{before}{{{}}}\r\n", octets.len()).as_bytes());
        self.octets(octets);
        self.line(after);
    }

    /// Sends a tagged answer: `session.tagged(command, "OK done")`.
    pub fn tagged(&mut self, command: &Command, answer: &str) {
        self.line(&format!("{} {answer}", command.tag));
    }

    /// Answers as the server does by itself.
    pub fn usual(&mut self, command: &Command) -> Handled {
        let capabilities = format!("* CAPABILITY {}", self.program.capabilities);
        let word = command.name.as_str();
        match word {
            "CAPABILITY" => self.line(&capabilities),
            "NAMESPACE" => self.line("* NAMESPACE ((\"\" \"/\")) NIL NIL"),
            "ID" => self.line("* ID NIL"),
            "LIST" => self.line("* LIST () \"/\" INBOX"),
            "LSUB" => self.line("* LSUB () \"/\" INBOX"),
            "SELECT" | "EXAMINE" => self.selected(word),
            "STATUS" => self.line("* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)"),
            "LOGOUT" => {
                self.line("* BYE see you");
                self.tagged(command, "OK gone");
                return Handled::Close;
            }
            "LOGIN" | "AUTHENTICATE" | "NOOP" | "CHECK" | "CREATE" | "SUBSCRIBE" | "ENABLE" | "CLOSE" | "UNSELECT"
            | "APPEND" => {}
            _ => {
                self.tagged(command, "BAD not in this script");
                return Handled::Yes;
            }
        }
        self.tagged(command, &format!("OK {word} done"));
        Handled::Yes
    }

    fn selected(&mut self, word: &str) {
        self.line("* 0 EXISTS");
        self.line("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)");
        let permanent = if word == "SELECT" { "\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*" } else { "" };
        self.line(&format!("* OK [PERMANENTFLAGS ({permanent})] kept"));
        self.line("* OK [UIDVALIDITY 1] valid");
        self.line("* OK [UIDNEXT 1] next");
    }
}

type Handler = dyn FnMut(&Command, &mut Session<'_>) -> Handled + Send;

/// A programmed server.
///
/// ```
/// use mailhaul_testing::scripted::{Handled, Program, ScriptedServer};
/// let server = ScriptedServer::program(Program::new(|command, session| {
///     if command.name != "SELECT" {
///         return Handled::No;
///     }
///     session.tagged(command, "NO [INUSE] mailbox is locked");
///     Handled::Yes
/// }));
/// ```
pub struct Program {
    greeting: String,
    capabilities: String,
    continues: bool,
    handler: Mutex<Box<Handler>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Program").field("greeting", &self.greeting).finish_non_exhaustive()
    }
}

impl Program {
    /// A server with this closure. It is asked when a command is complete with its literals; commands of all connections share it.
    #[must_use]
    pub fn new(handler: impl FnMut(&Command, &mut Session<'_>) -> Handled + Send + 'static) -> Program {
        Program {
            greeting: "* OK ready".to_owned(),
            capabilities: "IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND NAMESPACE".to_owned(),
            continues: true,
            handler: Mutex::new(Box::new(handler)),
        }
    }

    /// The greeting line, without CRLF.
    #[must_use]
    pub fn greeting(mut self, line: &str) -> Program {
        line.clone_into(&mut self.greeting);
        self
    }

    /// What CAPABILITY tells.
    #[must_use]
    pub fn capabilities(mut self, list: &str) -> Program {
        list.clone_into(&mut self.capabilities);
        self
    }

    /// The closure is asked when a synchronising literal is announced, before any `+`: `command.literals` then lacks it. [`Handled::No`] sends
    /// the `+`; [`Handled::Yes`] means that the command was refused.
    #[must_use]
    pub fn ask_before_literals(mut self) -> Program {
        self.continues = false;
        self
    }

    pub(crate) fn serve(&self, wire: &mut Wire, connection: usize, seen: &dyn Fn(String)) -> Result<(), String> {
        // A client that leaves in the middle is its own affair.
        match self.converse(wire, connection, seen) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error.to_string()),
            Err(_) => Ok(()),
        }
    }

    fn converse(&self, wire: &mut Wire, connection: usize, seen: &dyn Fn(String)) -> io::Result<()> {
        wire.send(format!("{}\r\n", self.greeting).as_bytes())?;
        while let Some(line) = wire.line()? {
            let Some(mut command) = begin(connection, &line)? else { continue };
            let mut handled = Handled::No;
            let mut length = literal_length(&line);
            let mut waits = !line.ends_with(b"+}");
            while let Some(octets) = length {
                if waits && !self.continues {
                    handled = self.ask(wire, &command);
                    if handled != Handled::No {
                        break;
                    }
                }
                if waits {
                    wire.send(b"+ go on\r\n")?;
                }
                command.literals.push(wire.octets(octets)?);
                let Some(rest) = wire.line()? else { return Ok(()) };
                command.text.push_str(&String::from_utf8_lossy(&rest));
                length = literal_length(&rest);
                waits = !rest.ends_with(b"+}");
            }
            let secret = command.name == "LOGIN" || command.name == "AUTHENTICATE";
            seen(if secret { command.name.clone() } else { command.text.clone() });
            if handled == Handled::No {
                self.steps_of_sign_in(wire, &command)?;
                handled = self.ask(wire, &command);
            }
            if handled == Handled::No {
                let mut session = Session { wire, program: self, lost: false };
                handled = session.usual(&command);
            }
            match handled {
                Handled::Yes | Handled::No => {}
                Handled::Close => return close(wire),
                Handled::Reset => {
                    wire.reset();
                    return Ok(());
                }
                Handled::Silence => {
                    wire.wait_for_leave();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// AUTHENTICATE without an initial response: the client's next line belongs to it.
    fn steps_of_sign_in(&self, wire: &mut Wire, command: &Command) -> io::Result<()> {
        if command.name == "AUTHENTICATE" && command.text.split(' ').count() == 2 {
            wire.send(b"+ \r\n")?;
            wire.line()?;
        }
        Ok(())
    }

    fn ask(&self, wire: &mut Wire, command: &Command) -> Handled {
        let mut session = Session { wire, program: self, lost: false };
        let mut handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        let handled = handler(command, &mut session);
        if session.lost { Handled::Close } else { handled }
    }
}

fn close(wire: &mut Wire) -> io::Result<()> {
    wire.close();
    Ok(())
}

/// The command that a line begins; none for an empty line.
fn begin(connection: usize, line: &[u8]) -> io::Result<Option<Command>> {
    let line = String::from_utf8_lossy(line).into_owned();
    if line.is_empty() {
        return Ok(None);
    }
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("no command: {line:?}"));
    let (tag, text) = line.split_once(' ').ok_or_else(unreadable)?;
    let mut words = text.split(' ').map(str::to_ascii_uppercase);
    let mut name = words.next().unwrap_or_default();
    if name == "UID" {
        name = format!("UID {}", words.next().unwrap_or_default());
    }
    Ok(Some(Command { connection, tag: tag.to_owned(), name, text: text.to_owned(), literals: Vec::new() }))
}
