//! The bare relay: FETCH streamed into MULTIAPPEND, in the same batches and windows as the product, one connection a side, both
//! signing in at once. It keeps no ledger, makes no keys and checks nothing but OK.

use std::io;
use std::time::{Duration, Instant};

use super::answers::Answers;
use super::asked::{Batch, Letters, batches};
use super::wire::{Input, Output, sign_in, unexpected};
use super::{Account, block_on};

/// Messages and octets asked for ahead, as the product has it.
const AHEAD_MESSAGES: usize = 2_000;
const AHEAD_BYTES: u64 = 8 << 20;

/// What the target takes, and what is done on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// One command for a batch, and not for a message.
    pub(crate) multiappend: bool,
    /// Literals that are not waited for.
    pub(crate) eager: bool,
    /// Each mailbox is selected before it is written into.
    pub(crate) select: bool,
    /// Each mailbox but INBOX is created and subscribed.
    pub(crate) create: bool,
}

impl Default for Form {
    fn default() -> Form {
        Form { multiappend: true, eager: true, select: false, create: true }
    }
}

/// Moves all of it, from the first connection to the last answer.
pub(crate) fn relay(source: &Account, target: &Account, letters: &[Letters], form: Form) -> io::Result<Duration> {
    let begin = Instant::now();
    block_on(async {
        let (source, target) = tokio::try_join!(sign_in(source), sign_in(target))?;
        let answers = Answers::read(target.0);
        let out = Sink { out: target.1, answers, form, commands: 0, open: false, single_to: String::new() };
        Relay { letters, batches: batches(letters), input: source.0, ask: source.1, sink: out }.run().await
    })??;
    Ok(begin.elapsed())
}

struct Relay<'a> {
    letters: &'a [Letters],
    batches: Vec<Batch>,
    input: Input,
    ask: Output,
    sink: Sink,
}

impl Relay<'_> {
    async fn run(mut self) -> io::Result<()> {
        // Dovecot begins to answer the next FETCH while the last one waits for room in the socket, so the messages of a
        // batch are counted, and its tagged answer is not waited for.
        let mut asked = 0;
        for now in 0..self.batches.len() {
            asked = self.ask_ahead(now, asked).await?;
            self.sink.begin(&self.batches[now], &self.letters[self.batches[now].mailbox].mailbox).await?;
            for _ in 0..self.batches[now].messages {
                self.message().await?;
            }
            self.sink.end().await?;
        }
        self.sink.finish().await
    }

    /// Asks for batches as far as the window goes; `now` is the one that is being answered.
    async fn ask_ahead(&mut self, now: usize, mut asked: usize) -> io::Result<usize> {
        let (mut messages, mut bytes) = (0, 0);
        for batch in &self.batches[now..asked.max(now)] {
            messages += batch.messages;
            bytes += batch.bytes;
        }
        while let Some(batch) = self.batches.get(asked) {
            messages += batch.messages;
            bytes += batch.bytes;
            if asked > now && (messages > AHEAD_MESSAGES || bytes > AHEAD_BYTES) {
                break;
            }
            if batch.opens {
                let name = &self.letters[batch.mailbox].mailbox;
                self.ask.put(format!("E{asked} EXAMINE \"{name}\"\r\n").as_bytes()).await?;
            }
            let last = batch.first_uid + batch.messages - 1;
            let set = format!("{}:{last}", batch.first_uid);
            let command = format!("F{asked} UID FETCH {set} (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n");
            self.ask.put(command.as_bytes()).await?;
            asked += 1;
        }
        self.ask.flush().await?;
        Ok(asked)
    }

    /// The next message, whatever else is said before it.
    async fn message(&mut self) -> io::Result<()> {
        let head = loop {
            let range = self.input.line().await?;
            let line = self.input.octets(range);
            if line.ends_with(b"}\r\n") && line.starts_with(b"* ") {
                break std::str::from_utf8(line).map_err(|_| unexpected(line))?.to_owned();
            }
            let tagged = line.starts_with(b"F") || line.starts_with(b"E");
            if tagged && line.split(|octet| *octet == b' ').nth(1) != Some(b"OK") {
                return Err(unexpected(line));
            }
        };
        let told = || unexpected(head.as_bytes());
        let between = |begin: &str, end: &str| head.split_once(begin)?.1.split_once(end).map(|(found, _)| found);
        let flags = between("FLAGS (", ")").ok_or_else(told)?;
        let date = between("INTERNALDATE \"", "\"").ok_or_else(told)?;
        let size = between("BODY[] {", "}").ok_or_else(told)?;
        let mut left: usize = size.parse().map_err(|_| told())?;
        // \Recent is the server's to set, and stands anywhere among them.
        let flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
        self.sink.message(&flags.join(" "), date, left).await?;
        while left > 0 {
            let range = self.input.some(left).await?;
            left -= range.len();
            self.sink.out.put(self.input.octets(range)).await?;
        }
        Ok(())
    }
}

/// The target's side.
struct Sink {
    out: Output,
    answers: Answers,
    form: Form,
    /// Commands sent so far.
    commands: u64,
    /// Whether an APPEND is open.
    open: bool,
    /// Where single messages go.
    single_to: String,
}

impl Sink {
    async fn command(&mut self, letter: char, rest: &str) -> io::Result<()> {
        self.out.put(format!("{letter}{} {rest}", self.commands).as_bytes()).await?;
        self.commands += 1;
        Ok(())
    }

    async fn begin(&mut self, batch: &Batch, mailbox: &str) -> io::Result<()> {
        if batch.opens && self.form.create && mailbox != "INBOX" {
            self.command('C', &format!("CREATE \"{mailbox}\"\r\n")).await?;
            self.command('S', &format!("SUBSCRIBE \"{mailbox}\"\r\n")).await?;
        }
        if batch.opens && self.form.select {
            self.command('X', &format!("SELECT \"{mailbox}\"\r\n")).await?;
        }
        if !self.form.multiappend {
            // Every message is a command of its own, ended by its successor.
            mailbox.clone_into(&mut self.single_to);
            return Ok(());
        }
        self.append_to(mailbox).await
    }

    async fn append_to(&mut self, mailbox: &str) -> io::Result<()> {
        if !self.answers.has_room() {
            self.out.flush().await?;
            self.answers.room().await?;
        }
        self.answers.begin();
        self.open = true;
        self.command('M', &format!("APPEND \"{mailbox}\"")).await
    }

    async fn message(&mut self, flags: &str, date: &str, octets: usize) -> io::Result<()> {
        if !self.form.multiappend {
            self.close().await?;
            let mailbox = self.single_to.clone();
            self.append_to(&mailbox).await?;
        }
        let plus = if self.form.eager { "+" } else { "" };
        self.out.put(format!(" ({flags}) \"{date}\" {{{octets}{plus}}}\r\n").as_bytes()).await?;
        self.answers.add(u64::try_from(octets).unwrap_or(0), 1);
        if !self.form.eager {
            self.out.flush().await?;
            self.answers.granted().await?;
        }
        Ok(())
    }

    /// Ends the command that is open.
    async fn close(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.open) { self.out.put(b"\r\n").await } else { Ok(()) }
    }

    async fn end(&mut self) -> io::Result<()> {
        self.close().await?;
        self.out.flush().await
    }

    async fn finish(self) -> io::Result<()> {
        self.answers.all(self.commands).await
    }
}
