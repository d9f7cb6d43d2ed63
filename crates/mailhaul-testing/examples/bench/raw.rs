//! The servers' own limits, and a bare relay: small programs on blocking sockets that check nothing but OK.
//!
//! None of them shares code with the product. What they measure is how fast the server hands out, how fast it takes in, and how
//! fast both go together when nobody keeps a ledger.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::mail::Mail;

/// A batch, as the product cuts them: so many messages or octets at most.
pub(crate) const BATCH_MESSAGES: usize = 200;
const BATCH_BYTES: usize = 2 << 20;
/// Sent and unanswered on the target, as the product has it.
const APPEND_WINDOW_BYTES: u64 = 16 << 20;
const APPEND_WINDOW_MESSAGES: u64 = 5_000;
/// FETCH commands asked ahead: 2,000 messages, as the product has it.
const FETCHES_AHEAD: u64 = 10;
const BLOCK: usize = 256 << 10;
const WRITE_BLOCK: usize = 128 << 10;

/// Where an account is.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// A connection and what was read from it and not used.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    fn sign_in(account: &Account) -> io::Result<Wire> {
        let stream = TcpStream::connect(account.address)?;
        stream.set_nodelay(true)?;
        let mut wire = Wire { stream, buffer: vec![0; 2 * BLOCK], start: 0, end: 0 };
        wire.line()?;
        wire.command(&format!("LOGIN {} \"{}\"", account.user, account.password))?;
        Ok(wire)
    }

    /// One command whose answer has no literals.
    fn command(&mut self, command: &str) -> io::Result<()> {
        self.stream.write_all(format!("C {command}\r\n").as_bytes())?;
        loop {
            let range = self.line()?;
            let line = &self.buffer[range];
            if line.starts_with(b"C ") {
                return if line.starts_with(b"C OK") { Ok(()) } else { Err(unexpected(line)) };
            }
        }
    }

    /// The next line, CRLF included, as a place in the buffer.
    fn line(&mut self) -> io::Result<std::ops::Range<usize>> {
        let mut looked_at = 0;
        loop {
            let unseen = &self.buffer[self.start + looked_at..self.end];
            if let Some(at) = unseen.iter().position(|octet| *octet == b'\n') {
                let range = self.start..self.start + looked_at + at + 1;
                self.start = range.end;
                return Ok(range);
            }
            looked_at = self.end - self.start;
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() - self.end < BLOCK {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let octets = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += octets;
        if octets == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn unexpected(line: &[u8]) -> io::Error {
    io::Error::other(format!("unexpected answer: {}", String::from_utf8_lossy(line).trim_end()))
}

/// Reads every message of INBOX and throws it away. The time from the connection to the tagged answer, and the octets.
pub(crate) fn drain(account: &Account) -> io::Result<(Duration, u64)> {
    let begin = Instant::now();
    let mut wire = Wire::sign_in(account)?;
    wire.command("EXAMINE INBOX")?;
    wire.stream.write_all(b"DRAINED UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n")?;
    let mut octets = 0;
    let mut tail = Vec::new();
    loop {
        let read = wire.stream.read(&mut wire.buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        octets += u64::try_from(read).unwrap_or(0);
        // The tagged answer is the last thing that comes, so only the end of each block is looked at.
        tail.extend_from_slice(&wire.buffer[read.saturating_sub(200)..read]);
        tail.drain(..tail.len().saturating_sub(200));
        if tail.ends_with(b"\r\n") && tail.windows(13).any(|window| window == b")\r\nDRAINED OK") {
            return Ok((begin.elapsed(), octets));
        }
    }
}

/// MULTIAPPEND commands for all of this, ready to be sent.
pub(crate) struct Composed {
    /// Each with its number of messages.
    commands: Vec<(Vec<u8>, u64)>,
}

pub(crate) fn compose(mails: &[Mail]) -> Composed {
    let mut commands: Vec<(Vec<u8>, u64)> = Vec::new();
    let (mut count, mut bytes) = (BATCH_MESSAGES, 0);
    for mail in mails {
        if count == BATCH_MESSAGES || bytes + mail.octets.len() > BATCH_BYTES {
            if let Some((command, _)) = commands.last_mut() {
                command.extend_from_slice(b"\r\n");
            }
            commands.push((format!("M{} APPEND INBOX", commands.len()).into_bytes(), 0));
            (count, bytes) = (0, 0);
        }
        let Some((command, messages)) = commands.last_mut() else { continue };
        let Mail { flags, date, octets } = mail;
        command.extend_from_slice(format!(" ({flags}) \"{date}\" {{{}+}}\r\n", octets.len()).as_bytes());
        command.extend_from_slice(octets);
        *messages += 1;
        count += 1;
        bytes += octets.len();
    }
    if let Some((command, _)) = commands.last_mut() {
        command.extend_from_slice(b"\r\n");
    }
    Composed { commands }
}

/// Sends composed commands into INBOX as fast as the window allows. With `select` the mailbox is selected first, as the
/// product does.
pub(crate) fn append(account: &Account, composed: &Composed, select: bool) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut wire = Wire::sign_in(account)?;
    if select {
        wire.command("SELECT INBOX")?;
    }
    let mut stream = wire.stream.try_clone()?;
    let answers = Answers::read(wire);
    for (command, messages) in &composed.commands {
        answers.window.enter(u64::try_from(command.len()).unwrap_or(0), *messages)?;
        stream.write_all(command)?;
    }
    answers.wait_for(u64::try_from(composed.commands.len()).unwrap_or(u64::MAX))?;
    Ok(begin.elapsed())
}

/// Streams INBOX of the source into INBOX of the target: FETCH in batches, MULTIAPPEND in the same batches, both
/// pipelined, one connection a side.
pub(crate) fn relay(source: &Account, target: &Account, messages: u64) -> io::Result<Duration> {
    let begin = Instant::now();
    let sign_in = {
        let target = target.clone();
        std::thread::spawn(move || Wire::sign_in(&target))
    };
    let mut source = Wire::sign_in(source)?;
    source.command("EXAMINE INBOX")?;
    let target = sign_in.join().map_err(|_| io::Error::other("the relay's other side ended"))??;
    let mut out = Out { stream: target.stream.try_clone()?, buffer: Vec::with_capacity(2 * WRITE_BLOCK) };
    let answers = Answers::read(target);

    let batch = u64::try_from(BATCH_MESSAGES).unwrap_or(1);
    let batches = messages.div_ceil(batch);
    let (mut asked, mut answered, mut written, mut appends) = (0, 0, 0, 0);
    while answered < batches {
        while asked < batches && asked < answered + FETCHES_AHEAD {
            let set = format!("{}:{}", asked * batch + 1, ((asked + 1) * batch).min(messages));
            let command = format!("F{asked} UID FETCH {set} (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n");
            source.stream.write_all(command.as_bytes())?;
            asked += 1;
        }
        let range = source.line()?;
        let line = &source.buffer[range];
        if line == b")\r\n" {
            continue;
        }
        let line = std::str::from_utf8(line).map_err(|_| unexpected(line))?.to_owned();
        if line.starts_with('F') {
            answered += 1;
            continue;
        }
        // Dovecot begins to answer the next FETCH while the last one waits for room in the socket, so the batches
        // are counted anew.
        if written % batch == 0 {
            answers.window.wait()?;
            out.put(format!("M{appends} APPEND INBOX").as_bytes())?;
            appends += 1;
        }
        relay_message(&mut source, &mut out, &answers.window, &line)?;
        written += 1;
        if written % batch == 0 || written == messages {
            out.put(b"\r\n")?;
            out.flush()?;
        }
    }
    answers.wait_for(appends)?;
    if written == messages { Ok(begin.elapsed()) } else { Err(io::Error::other("messages were not handed out")) }
}

/// A message whose FETCH line has just been read.
fn relay_message(source: &mut Wire, out: &mut Out, window: &Window, line: &str) -> io::Result<()> {
    let told = || io::Error::other(format!("unexpected answer: {line}"));
    let between = |begin: &str, end: &str| line.split_once(begin)?.1.split_once(end).map(|(found, _)| found);
    let flags = between("FLAGS (", ")").ok_or_else(told)?;
    let date = between("INTERNALDATE \"", "\"").ok_or_else(told)?;
    let size = between("BODY[] {", "}").ok_or_else(told)?;
    let mut left: usize = size.parse().map_err(|_| told())?;
    // \Recent is the server's to set, and stands anywhere among them.
    let flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
    let head = format!(" ({}) \"{date}\" {{{size}+}}\r\n", flags.join(" "));
    out.put(head.as_bytes())?;
    window.add(u64::try_from(left).unwrap_or(0), 1);
    while left > 0 {
        if source.start == source.end {
            source.fill()?;
        }
        let octets = left.min(source.end - source.start);
        out.put(&source.buffer[source.start..source.start + octets])?;
        source.start += octets;
        left -= octets;
    }
    Ok(())
}

/// The relay's writing side.
struct Out {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Out {
    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.buffer.len() + octets.len() > WRITE_BLOCK {
            self.flush()?;
        }
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// What was sent to the target and not answered.
#[derive(Default)]
struct Window {
    open: Mutex<Open>,
    changed: Condvar,
    /// Batches answered OK.
    answered: AtomicU64,
}

#[derive(Default)]
struct Open {
    /// Octets and messages of each batch, the oldest first.
    batches: std::collections::VecDeque<(u64, u64)>,
    bytes: u64,
    messages: u64,
    failed: Option<String>,
}

impl Window {
    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room and begins an empty batch.
    fn wait(&self) -> io::Result<()> {
        let full = |open: &mut Open| {
            let room = open.bytes < APPEND_WINDOW_BYTES && open.messages < APPEND_WINDOW_MESSAGES;
            !room && open.failed.is_none()
        };
        let mut open = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        open.batches.push_back((0, 0));
        open.failed.clone().map_or(Ok(()), |words| Err(io::Error::other(words)))
    }

    /// Adds to the newest batch.
    fn add(&self, bytes: u64, messages: u64) {
        let mut open = self.lock();
        open.bytes += bytes;
        open.messages += messages;
        if let Some(newest) = open.batches.back_mut() {
            *newest = (newest.0 + bytes, newest.1 + messages);
        }
    }

    fn enter(&self, bytes: u64, messages: u64) -> io::Result<()> {
        self.wait()?;
        self.add(bytes, messages);
        Ok(())
    }

    fn answer(&self) {
        let mut open = self.lock();
        if let Some((bytes, messages)) = open.batches.pop_front() {
            open.bytes -= bytes;
            open.messages -= messages;
        }
        drop(open);
        self.answered.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn fail(&self, error: &io::Error) {
        self.lock().failed = Some(error.to_string());
        self.changed.notify_all();
    }
}

/// The thread that reads the target's answers.
struct Answers {
    window: Arc<Window>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    fn read(mut wire: Wire) -> Answers {
        let window = Arc::new(Window::default());
        let told = Arc::clone(&window);
        let thread = std::thread::spawn(move || {
            loop {
                let outcome = wire.line().and_then(|range| {
                    let line = &wire.buffer[range];
                    if !line.starts_with(b"M") {
                        return Ok(false);
                    }
                    let word = line.split(|octet| *octet == b' ').nth(1);
                    if word == Some(b"OK") { Ok(true) } else { Err(unexpected(line)) }
                });
                match outcome {
                    Ok(true) => told.answer(),
                    Ok(false) => {}
                    Err(error) => return told.fail(&error),
                }
            }
        });
        Answers { window, thread: Some(thread) }
    }

    /// Waits until so many commands have been answered OK.
    fn wait_for(mut self, commands: u64) -> io::Result<()> {
        let waits = |open: &mut Open| open.failed.is_none() && self.window.answered.load(Ordering::SeqCst) < commands;
        let open = self.window.changed.wait_while(self.window.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let failed = open.failed.clone();
        drop(open);
        // The thread ends by itself when the connection does, which is when the process does at the latest.
        drop(self.thread.take());
        failed.map_or(Ok(()), |words| Err(io::Error::other(words)))
    }
}
