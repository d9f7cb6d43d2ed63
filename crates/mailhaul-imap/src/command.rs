//! Writing commands: strings are quoted where that is safe and sent as literals where it is not, and nothing that a
//! stranger named can end a line.

use crate::capabilities::LiteralMode;
use crate::error::ImapError;
use crate::response::{Response, bye, own_tag};
use crate::status_line::{Status, StatusLine};
use crate::wire::Wire;
use mailhaul_types::MailboxName;
use std::time::Duration;
use zeroize::Zeroizing;

/// Responses to one command that are not streamed to anybody.
const UNTAGGED_MAX: usize = 200_000;
/// Strings longer than this are sent as literals, whatever is in them.
const QUOTED_MAX: usize = 1_000;

/// A command without its tag.
pub(crate) struct Command {
    name: &'static str,
    parts: Vec<Part>,
}

enum Part {
    Text(Zeroizing<Vec<u8>>),
    Literal(Zeroizing<Vec<u8>>),
}

impl Command {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, parts: vec![Part::Text(Zeroizing::new(name.as_bytes().to_vec()))] }
    }

    /// Text of our own.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.last_text().extend_from_slice(text.as_bytes());
        self
    }

    /// A blank and a mailbox name.
    pub(crate) fn mailbox(self, name: &MailboxName) -> Result<Self, ImapError> {
        if name.wire().iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
            return Err(ImapError::Usage {
                what: format!("mailbox name {name} cannot be sent: it contains CR, LF or NUL"),
            });
        }
        Ok(self.string(name.wire()))
    }

    /// A blank and a string of any octets but NUL (RFC 9051 §9, `CHAR8`).
    pub(crate) fn string(mut self, octets: &[u8]) -> Self {
        let text = self.last_text();
        text.push(b' ');
        if can_be_quoted(octets) {
            text.push(b'"');
            text.extend_from_slice(octets);
            text.push(b'"');
        } else {
            self.parts.push(Part::Literal(Zeroizing::new(octets.to_vec())));
        }
        self
    }

    /// The whole of a command without literals, with its line end.
    fn line(&self) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(Vec::new());
        for part in &self.parts {
            match part {
                Part::Text(text) => line.extend_from_slice(text),
                Part::Literal(_) => unreachable!("only commands of our own words are sent together"),
            }
        }
        line.extend_from_slice(b"\r\n");
        line
    }

    fn last_text(&mut self) -> &mut Vec<u8> {
        if !matches!(self.parts.last(), Some(Part::Text(_))) {
            self.parts.push(Part::Text(Zeroizing::new(Vec::new())));
        }
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text,
            _ => unreachable!("a text was pushed just now"),
        }
    }
}

/// Printable ASCII without the two specials of a quoted string (RFC 9051 §9).
pub(crate) fn can_be_quoted(octets: &[u8]) -> bool {
    octets.len() <= QUOTED_MAX && octets.iter().all(|octet| matches!(octet, b' '..=b'~') && !b"\"\\".contains(octet))
}

/// Appends a string that needs no waiting. `None` if it would.
pub(crate) fn immediate_string(octets: &[u8], mode: LiteralMode) -> Option<Vec<u8>> {
    if can_be_quoted(octets) {
        return Some([b"\"", octets, b"\""].concat());
    }
    let announcement = format!("{{{}+}}\r\n", octets.len());
    mode.needs_no_wait(octets.len() as u64).then(|| [announcement.as_bytes(), octets].concat())
}

impl Wire {
    /// Sends a command, hands every untagged response to `untagged`, and returns the OK that ended it.
    ///
    /// The whole of it has to be over within `deadline`, if there is one. NO and BAD are [`ImapError::Refused`].
    pub(crate) async fn run(
        &mut self,
        command: Command,
        mode: LiteralMode,
        deadline: Option<Duration>,
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<StatusLine, ImapError> {
        let name = command.name;
        let conversation = self.converse(command, mode, untagged);
        let line = match deadline {
            None => conversation.await?,
            Some(after) => tokio::time::timeout(after, conversation)
                .await
                .unwrap_or(Err(ImapError::TimedOut { during: name, after }))?,
        };
        match line.status {
            Status::Ok => Ok(line),
            _ => Err(ImapError::Refused { command: name, status: line }),
        }
    }

    async fn converse(
        &mut self,
        command: Command,
        mode: LiteralMode,
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<StatusLine, ImapError> {
        self.step_out(command.name)?;
        self.expect_lines(command.name);
        self.reach(command.name, "before")?;
        let tag = self.next_tag();
        let mut budget = UNTAGGED_MAX;
        // Gathered here and not in the writer's buffer, because it may be a password; sent in one piece.
        let mut pending = Zeroizing::new(format!("M{tag} ").into_bytes());
        for part in &command.parts {
            match part {
                Part::Text(text) => pending.extend_from_slice(text),
                Part::Literal(octets) if mode.needs_no_wait(octets.len() as u64) => {
                    pending.extend_from_slice(format!("{{{}+}}\r\n", octets.len()).as_bytes());
                    pending.extend_from_slice(octets);
                }
                Part::Literal(octets) => {
                    pending.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
                    self.writer.write_secret(&pending).await?;
                    if let Some(line) = self.await_answer(tag, true, &mut budget, untagged).await? {
                        self.back_in_step();
                        return Ok(line);
                    }
                    pending = Zeroizing::new(octets.to_vec());
                }
            }
        }
        pending.extend_from_slice(b"\r\n");
        self.writer.write_secret(&pending).await?;
        self.reach(command.name, "sent")?;
        let line = self.await_answer(tag, false, &mut budget, untagged).await?;
        self.reach(command.name, "answered")?;
        self.back_in_step();
        line.ok_or_else(|| ImapError::Protocol { during: command.name, detail: "no verdict".to_owned() })
    }

    /// Sends commands at once, which costs one round trip, and returns their verdicts in their order. All are carried out,
    /// whatever becomes of the first. None may hold a literal, and their untagged responses must tell by themselves whose
    /// they are: a server may take one in hand before it has answered another (RFC 9051 §5.5). All of it has to be over
    /// within `deadline`, if there is one.
    ///
    /// # Errors
    /// Whatever ends the connection; a refusal is a verdict.
    pub(crate) async fn run_together(
        &mut self,
        commands: &[Command],
        deadline: Option<Duration>,
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<Vec<StatusLine>, ImapError> {
        let Some(first) = commands.first() else { return Ok(Vec::new()) };
        let during = first.name;
        let conversation = self.converse_together(during, commands, untagged);
        match deadline {
            None => conversation.await,
            Some(after) => {
                tokio::time::timeout(after, conversation).await.unwrap_or(Err(ImapError::TimedOut { during, after }))
            }
        }
    }

    async fn converse_together(
        &mut self,
        during: &'static str,
        commands: &[Command],
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<Vec<StatusLine>, ImapError> {
        self.step_out(during)?;
        self.expect_lines(during);
        let mut verdicts: Vec<Option<StatusLine>> = commands.iter().map(|_| None).collect();
        let tags: Vec<u64> = commands.iter().map(|_| self.next_tag()).collect();
        for (tag, command) in tags.iter().zip(commands) {
            self.reach(command.name, "before")?;
            self.writer.put(format!("M{tag} ").as_bytes());
            self.writer.put(&command.line());
        }
        let mut budget = commands.len() * UNTAGGED_MAX;
        while verdicts.iter().any(Option::is_none) {
            let frame = self.next_frame().await?;
            match Response::of(&frame) {
                Response::Tagged { tag, line } => {
                    let place = own_tag(tag).and_then(|tag| tags.iter().position(|known| *known == tag));
                    let place =
                        place.filter(|place| verdicts[*place].is_none()).ok_or_else(|| self.foreign_tag(tag))?;
                    self.reach(commands[place].name, "answered")?;
                    verdicts[place] = Some(line.to_line());
                }
                Response::Status(line) if line.is_bye() => return Err(bye(self, &line.to_line())),
                other => {
                    self.overhear(&other);
                    untagged(other);
                }
            }
            budget = budget.checked_sub(1).ok_or_else(|| ImapError::LimitExceeded {
                what: format!("more than {UNTAGGED_MAX} responses to a command"),
            })?;
        }
        self.back_in_step();
        Ok(verdicts.into_iter().flatten().collect())
    }

    /// Reads until the command's verdict, or until `+` if that is waited for (`None`).
    pub(crate) async fn await_answer(
        &mut self,
        tag: u64,
        continuation: bool,
        budget: &mut usize,
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<Option<StatusLine>, ImapError> {
        loop {
            let frame = self.next_frame().await?;
            match Response::of(&frame) {
                Response::Tagged { tag: seen, line } if own_tag(seen) == Some(tag) => return Ok(Some(line.to_line())),
                Response::Tagged { tag: seen, .. } => return Err(self.foreign_tag(seen)),
                Response::Continue if continuation => return Ok(None),
                Response::Status(line) if line.is_bye() => return Err(bye(self, &line.to_line())),
                other => {
                    self.overhear(&other);
                    untagged(other);
                }
            }
            *budget = budget.checked_sub(1).ok_or_else(|| ImapError::LimitExceeded {
                what: format!("more than {UNTAGGED_MAX} responses to one command"),
            })?;
        }
    }

    pub(crate) fn foreign_tag(&self, tag: &[u8]) -> ImapError {
        foreign_tag(self.reader.during(), tag)
    }
}

/// The error for a tagged response that answers nothing that was asked.
pub(crate) fn foreign_tag(during: &'static str, tag: &[u8]) -> ImapError {
    let tag = String::from_utf8_lossy(&tag[..tag.len().min(40)]).into_owned();
    ImapError::Protocol { during, detail: format!("an answer to a command that was not sent: tag {tag:?}") }
}
