//! Storing messages: windowed MULTIAPPEND (RFC 3502) or pipelined APPEND, with APPENDUID (RFC 4315) mapped.
//!
//! A writer and a reader share one connection and work at the same time. The writer sends commands without waiting
//! for their answers, as far as the window goes; the reader matches the answers by tag. Where literals have to be
//! asked for (RFC 9051 §4.3), the writer waits for what the reader learns.
//!
//! Nothing is stored before the CRLF that ends its command; that CRLF goes out only after everything before it has
//! left and the caller has said yes.
//!
//! On a connection where UTF8=ACCEPT is enabled (a target only if it is UTF8=ONLY) messages go as `UTF8 (~{n} …)`,
//! which is how RFC 6855 §4 lets 8-bit header fields pass unchanged.

use crate::capabilities::{Capabilities, LiteralMode};
use crate::command::{foreign_tag, immediate_string};
use crate::error::ImapError;
use crate::response::{Response, bye_of, own_tag};
use crate::sequence::read_append_uid;
use crate::status_line::{Status, StatusLine};
use crate::wire::reader::{Piece, Reader};
use crate::wire::writer::Writer;
use crate::wire::{self, Wire};
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, MailboxName, Side, SystemFlag, Uid, UidValidity};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::{Future as _, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::Notify;

const NAME: &str = "APPEND";

/// How appends are sent.
#[derive(Debug, Clone, Copy)]
pub struct AppendOptions {
    /// Use MULTIAPPEND where the server announces it.
    pub multiappend_allowed: bool,
    /// Octets sent and unanswered beyond which no further command is begun.
    pub window_bytes: u64,
    /// Messages sent and unanswered beyond which no further command is begun.
    pub window_messages: u64,
}

impl Default for AppendOptions {
    fn default() -> Self {
        // As much as is fetched in a round trip of 300 ms, and what the target is still working on.
        Self { multiappend_allowed: true, window_bytes: 48 << 20, window_messages: 15_000 }
    }
}

/// What the server said about messages that were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendEvent {
    /// Stored.
    Stored {
        /// The batch.
        batch: u64,
        /// Position of the first of these messages in its batch, from 0. Always 0 for MULTIAPPEND.
        first: u32,
        /// How many.
        messages: u32,
        /// Their UIDs in the order of transmission; `None` if the server named none, or a set that does not fit.
        uids: Option<(UidValidity, Vec<Uid>)>,
        /// The server's words (it may ask to slow down inside an OK).
        status: StatusLine,
    },
    /// Not stored, none of them.
    Refused {
        /// The batch.
        batch: u64,
        /// Position of the first of these messages in its batch, from 0. Always 0 for MULTIAPPEND.
        first: u32,
        /// How many messages the refusal covers: with MULTIAPPEND the whole batch, also what was not even sent
        /// because the refusal came first.
        count: u32,
        /// The server's words.
        status: StatusLine,
    },
}

/// What both halves know.
struct Shared {
    state: Mutex<State>,
    to_writer: Notify,
    to_reader: Notify,
}

#[derive(Default)]
struct State {
    in_flight: VecDeque<Flight>,
    /// Octets and messages of everything in flight.
    bytes: u64,
    messages: u64,
    /// The command whose literal waits for `+`, and whether that came.
    awaiting: Option<u64>,
    granted: bool,
    writer_gone: bool,
    reader_gone: bool,
    /// Why this connection is lost, told to the half that did not notice.
    failure: Option<ImapError>,
}

/// A command that was begun.
struct Flight {
    tag: u64,
    batch: u64,
    first: u32,
    count: u32,
    bytes: u64,
    /// Whether its last octet is on its way (or will never be, because it was refused at a literal).
    complete: bool,
    /// An answer that came before it was complete.
    verdict: Option<StatusLine>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn flight(&mut self, tag: u64) -> Option<&mut Flight> {
        self.in_flight.iter_mut().rev().find(|flight| flight.tag == tag)
    }

    /// Whether the server owes us an answer: a deadline runs only then.
    fn is_owed(&self) -> bool {
        self.failure.is_some()
            || self.awaiting.is_some()
            || self.in_flight.front().is_some_and(|flight| flight.complete)
    }
}

/// The writing half.
pub struct AppendWriter<'a> {
    writer: &'a mut Writer,
    tags: &'a mut u64,
    shared: Arc<Shared>,
    options: AppendOptions,
    literals: LiteralMode,
    multiappend: bool,
    utf8: bool,
    /// The mailbox name: ready to send, or to be sent as a literal that is waited for.
    mailbox: Result<Vec<u8>, Vec<u8>>,
    batch: Option<OpenBatch>,
    scratch: String,
    each_commit: Option<CommitCheck>,
}

/// Whether the caller may still write. Asked right before a command is completed.
type CommitCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// The batch that is being written.
struct OpenBatch {
    id: u64,
    messages: u32,
    /// The command that is open; `None` before the first message and after a refusal at a literal.
    tag: Option<u64>,
    in_message: bool,
    octets_left: u64,
    /// Whether what remains of the open command is swallowed, because it was refused at a literal.
    refused: bool,
}

/// The reading half. It must be polled for the writer to make progress.
pub struct AppendReader<'a> {
    reader: &'a mut Reader,
    in_step: &'a mut bool,
    shared: Arc<Shared>,
}

pub(crate) fn begin<'a>(
    wire: &'a mut Wire,
    capabilities: &Capabilities,
    mailbox: &MailboxName,
    options: AppendOptions,
    utf8: bool,
) -> (AppendWriter<'a>, AppendReader<'a>) {
    let mut state = State::default();
    if let Err(error) = wire.step_out(NAME) {
        state.failure = Some(error);
    } else if mailbox.wire().iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
        wire.back_in_step();
        state.failure = Some(ImapError::Usage {
            what: format!("mailbox name {mailbox} cannot be sent: it contains CR, LF or NUL"),
        });
    }
    wire.expect_lines(NAME);
    let shared = Arc::new(Shared { state: Mutex::new(state), to_writer: Notify::new(), to_reader: Notify::new() });
    let literals = capabilities.literal_mode();
    let halves = wire.halves();
    let writer = AppendWriter {
        writer: halves.writer,
        tags: halves.tags,
        shared: Arc::clone(&shared),
        options,
        literals,
        multiappend: options.multiappend_allowed && capabilities.multiappend(),
        utf8,
        mailbox: immediate_string(mailbox.wire(), literals).ok_or_else(|| mailbox.wire().to_vec()),
        batch: None,
        scratch: String::new(),
        each_commit: None,
    };
    (writer, AppendReader { reader: halves.reader, in_step: halves.in_step, shared })
}

impl AppendWriter<'_> {
    /// Whether one batch is one command. If not, each message of it is answered on its own.
    #[must_use]
    pub fn uses_multiappend(&self) -> bool {
        self.multiappend
    }

    /// Without MULTIAPPEND: also asks before each command that is completed within a batch, and not only in
    /// [`AppendWriter::finish`]. That costs one more write a message.
    pub fn check_each_commit(&mut self, may_commit: CommitCheck) {
        self.each_commit = Some(may_commit);
    }

    /// Begins a batch; waits while the window is full.
    ///
    /// # Errors
    /// The connection's end in every form; [`ImapError::Usage`] while another batch is open.
    pub async fn begin(&mut self, batch: u64) -> Result<(), ImapError> {
        if self.batch.is_some() {
            return Err(usage("a batch is begun while another is open"));
        }
        self.await_window().await?;
        self.batch =
            Some(OpenBatch { id: batch, messages: 0, tag: None, in_message: false, octets_left: 0, refused: false });
        Ok(())
    }

    /// Begins a message of exactly `octets` octets. Without MULTIAPPEND this completes the message before it.
    ///
    /// # Errors
    /// The connection's end in every form; [`ImapError::Usage`] outside of a batch.
    pub async fn message(&mut self, flags: &Flags, date: Option<&InternalDate>, octets: u64) -> Result<(), ImapError> {
        let batch = self.batch.as_mut().filter(|batch| !batch.in_message);
        let Some(batch) = batch else { return Err(usage("a message is begun outside of a batch, or within another")) };
        batch.in_message = true;
        batch.octets_left = octets;
        batch.messages += 1;
        let first = batch.messages == 1;
        if !self.multiappend && !first {
            if let Some(may_commit) = self.each_commit.clone() {
                self.flush_and_ask(&*may_commit).await?;
            }
            self.complete_command();
            self.reach("sent")?;
            self.await_window().await?;
        }
        if !self.multiappend || first {
            self.open_command(octets).await?;
        } else {
            self.count_message(octets);
        }
        if self.is_refused() {
            return Ok(());
        }
        self.announce(flags, date, octets).await
    }

    /// The next octets of the message.
    ///
    /// # Errors
    /// The connection's end in every form; [`ImapError::Usage`] for more octets than announced.
    pub async fn body(&mut self, chunk: Bytes) -> Result<(), ImapError> {
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.in_message) else {
            return Err(usage("octets outside of a message"));
        };
        batch.octets_left = batch
            .octets_left
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| usage("a message has more octets than were announced"))?;
        if batch.refused {
            return Ok(());
        }
        let written = self.writer.write(&chunk).await;
        written.map_err(|error| self.fail(error))
    }

    /// Ends the message. Its command stays open.
    ///
    /// # Errors
    /// [`ImapError::Usage`] for fewer octets than announced: the connection must then be dropped, never padded.
    pub async fn end_message(&mut self) -> Result<(), ImapError> {
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.in_message) else {
            return Err(usage("a message is ended that was not begun"));
        };
        if batch.octets_left > 0 {
            return Err(usage("a message has fewer octets than were announced"));
        }
        batch.in_message = false;
        if self.utf8 && !batch.refused {
            self.writer.put(b")");
        }
        Ok(())
    }

    /// Writes everything but the last CRLF, asks `may_commit`, and completes the command. Without MULTIAPPEND that is
    /// the command of the last message; those before it were completed by their successors.
    ///
    /// # Errors
    /// [`ImapError::CommitRefused`] if it said no: the connection must then be dropped.
    pub async fn finish(&mut self, may_commit: &(dyn Fn() -> bool + Sync)) -> Result<(), ImapError> {
        let Some(batch) = self.batch.as_ref().filter(|batch| !batch.in_message) else {
            return Err(usage("a batch is finished that was not begun, or within a message"));
        };
        if batch.messages > 0 {
            self.flush_and_ask(may_commit).await?;
        }
        self.complete_command();
        self.batch = None;
        self.flush().await?;
        self.reach("sent")
    }

    /// A failpoint.
    fn reach(&self, moment: &str) -> Result<(), ImapError> {
        wire::reach(Side::Target, NAME, moment).map_err(|error| self.fail(error))
    }

    /// Everything but the last CRLF leaves before the question is asked, so that no waiting lies between the answer
    /// and that CRLF.
    async fn flush_and_ask(&mut self, may_commit: &(dyn Fn() -> bool + Sync)) -> Result<(), ImapError> {
        if self.is_refused() {
            return Ok(());
        }
        self.flush().await?;
        self.reach("complete but for its end")?;
        if may_commit() { Ok(()) } else { Err(self.fail(ImapError::CommitRefused)) }
    }

    /// Sends whatever is buffered. To be called when the source is idle.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn flush(&mut self) -> Result<(), ImapError> {
        let flushed = self.writer.flush().await;
        flushed.map_err(|error| self.fail(error))
    }

    /// Waits until every batch has been answered.
    ///
    /// # Errors
    /// The connection's end in every form; [`ImapError::Usage`] while a batch is open.
    pub async fn drained(&mut self) -> Result<(), ImapError> {
        if self.batch.is_some() {
            return Err(usage("waiting for answers while a batch is open"));
        }
        self.wait_until(|state| state.in_flight.is_empty()).await
    }

    /// Waits until commands in flight leave room for another.
    async fn await_window(&mut self) -> Result<(), ImapError> {
        let (bytes, messages) = (self.options.window_bytes, self.options.window_messages);
        self.wait_until(|state| state.in_flight.is_empty() || (state.bytes < bytes && state.messages < messages)).await
    }

    /// Waits for the reader to learn something. What is buffered is sent first, or the server could not answer it.
    async fn wait_until(&mut self, mut done: impl FnMut(&mut State) -> bool) -> Result<(), ImapError> {
        let mut flushed = false;
        loop {
            {
                let mut state = self.shared.lock();
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
                if done(&mut state) {
                    return Ok(());
                }
                if state.reader_gone {
                    return Err(usage("nobody reads the answers to APPEND"));
                }
            }
            if flushed {
                self.shared.to_writer.notified().await;
            } else {
                self.flush().await?;
                flushed = true;
            }
        }
    }

    async fn open_command(&mut self, octets: u64) -> Result<(), ImapError> {
        self.reach("before")?;
        *self.tags += 1;
        let tag = *self.tags;
        let Some(batch) = self.batch.as_mut() else { return Err(usage("a command outside of a batch")) };
        batch.tag = Some(tag);
        batch.refused = false;
        {
            let mut state = self.shared.lock();
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            let first = batch.messages - 1;
            state.bytes += octets;
            state.messages += 1;
            state.in_flight.push_back(Flight {
                tag,
                batch: batch.id,
                first,
                count: 1,
                bytes: octets,
                complete: false,
                verdict: None,
            });
        }
        self.put(format_args!("M{tag} {NAME} "));
        match &self.mailbox {
            Ok(ready) => self.writer.put(ready),
            Err(name) => {
                let (size, name) = (name.len(), name.clone());
                self.put(format_args!("{{{size}}}\r\n"));
                if self.await_grant(tag).await? {
                    self.writer.put(&name);
                }
            }
        }
        Ok(())
    }

    fn count_message(&mut self, octets: u64) {
        let Some(tag) = self.batch.as_ref().and_then(|batch| batch.tag) else { return };
        let mut state = self.shared.lock();
        state.bytes += octets;
        state.messages += 1;
        if let Some(flight) = state.flight(tag) {
            flight.count += 1;
            flight.bytes += octets;
        }
    }

    fn is_refused(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.refused)
    }

    /// Flags, date and the announcement of the literal.
    async fn announce(&mut self, flags: &Flags, date: Option<&InternalDate>, octets: u64) -> Result<(), ImapError> {
        // Octet by octet and not by format strings, because it runs for every message.
        if !flags.is_empty() {
            self.put_flags(flags);
        }
        if let Some(date) = date {
            self.writer.put(b" \"");
            self.writer.put(&date.to_wire());
            self.writer.put(b"\"");
        }
        self.writer.put(if self.utf8 { b" UTF8 (~{" } else { b" {" });
        self.put_number(octets);
        if self.literals.needs_no_wait(octets) {
            self.writer.put(b"+}\r\n");
            return Ok(());
        }
        self.writer.put(b"}\r\n");
        match self.batch.as_ref().and_then(|batch| batch.tag) {
            Some(tag) => self.await_grant(tag).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits for `+`. A tagged answer instead of it refuses the command; what remains of it is then swallowed.
    async fn await_grant(&mut self, tag: u64) -> Result<bool, ImapError> {
        {
            let mut state = self.shared.lock();
            state.granted = false;
            // With an answer already there, none will come for the literal.
            let answered = state.flight(tag).is_none_or(|flight| flight.verdict.is_some());
            state.awaiting = (!answered).then_some(tag);
        }
        self.shared.to_reader.notify_one();
        self.wait_until(|state| state.granted || state.awaiting.is_none()).await?;
        let granted = {
            let mut state = self.shared.lock();
            state.awaiting = None;
            std::mem::take(&mut state.granted)
        };
        if !granted && let Some(batch) = self.batch.as_mut() {
            batch.refused = true;
        }
        Ok(granted)
    }

    /// Puts the CRLF that ends the open command. The command counts as complete before the CRLF can leave: its
    /// answer may be here before we are told that the writing is over.
    fn complete_command(&mut self) {
        let Some(batch) = self.batch.as_mut() else { return };
        let Some(tag) = batch.tag.take() else { return };
        if !std::mem::take(&mut batch.refused) {
            self.writer.put(b"\r\n");
        }
        let mut state = self.shared.lock();
        if let Some(flight) = state.flight(tag) {
            flight.complete = true;
        }
        drop(state);
        self.shared.to_reader.notify_one();
    }

    /// A blank and the flags in parentheses; there is at least one.
    fn put_flags(&mut self, flags: &Flags) {
        let mut gap: &[u8] = b" (";
        for flag in SystemFlag::ALL.into_iter().filter(|flag| flags.contains(*flag)) {
            self.writer.put(gap);
            self.writer.put(flag.as_str().as_bytes());
            gap = b" ";
        }
        for keyword in flags.keywords() {
            self.writer.put(gap);
            self.writer.put(keyword.as_bytes());
            gap = b" ";
        }
        self.writer.put(b")");
    }

    fn put_number(&mut self, mut number: u64) {
        // The most that 64 bits need.
        let (mut digits, mut start) = ([0; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            if number == 0 {
                return self.writer.put(&digits[start..]);
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.scratch.clear();
        self.scratch.write_fmt(text).expect("writing to a string does not fail");
        self.writer.put(self.scratch.as_bytes());
    }

    /// Tells the reader that the connection is lost. If the reader knows a better reason already, that is returned.
    fn fail(&self, error: ImapError) -> ImapError {
        let mut state = self.shared.lock();
        let failure = state.failure.get_or_insert(error).clone();
        drop(state);
        self.shared.to_reader.notify_one();
        failure
    }
}

impl Drop for AppendWriter<'_> {
    fn drop(&mut self) {
        self.shared.lock().writer_gone = true;
        self.shared.to_reader.notify_one();
    }
}

impl AppendReader<'_> {
    /// The next verdict; `None` when the writer is dropped and every command that it completed has been answered.
    /// A command that it left open is never stored; the connection is then of no further use.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn next(&mut self) -> Result<Option<AppendEvent>, ImapError> {
        loop {
            if let Some(event) = self.ready_event()? {
                return Ok(Some(event));
            }
            match self.reader.take() {
                Ok(Some(Piece::Frame(frame))) => {
                    if let Err(error) = self.take_frame(&frame) {
                        return Err(self.fail(error));
                    }
                }
                Ok(Some(Piece::Head { .. } | Piece::Tail(_))) => {
                    return Err(self.fail(ImapError::LimitExceeded { what: "a large literal".to_owned() }));
                }
                Err(error) => return Err(self.fail(error)),
                Ok(None) => {
                    if self.is_over()? {
                        return Ok(None);
                    }
                    if let Err(error) = self.await_something().await {
                        return Err(self.fail(error));
                    }
                }
            }
        }
    }

    /// The oldest verdict on a command that the writer is done with.
    fn ready_event(&mut self) -> Result<Option<AppendEvent>, ImapError> {
        let mut state = self.shared.lock();
        let ready = |flight: &Flight| flight.complete && flight.verdict.is_some();
        let Some(place) = state.in_flight.iter().position(ready) else { return Ok(None) };
        let Some(flight) = state.in_flight.remove(place) else { return Ok(None) };
        state.bytes = state.bytes.saturating_sub(flight.bytes);
        state.messages = state.messages.saturating_sub(u64::from(flight.count));
        drop(state);
        self.shared.to_writer.notify_one();
        let Some(status) = flight.verdict else { return Ok(None) };
        Ok(Some(event_of(flight.batch, flight.first, flight.count, status)))
    }

    fn take_frame(&mut self, frame: &Bytes) -> Result<(), ImapError> {
        match Response::of(frame) {
            Response::Tagged { tag, line } => self.take_verdict(tag, line.to_line()),
            Response::Continue => {
                let mut state = self.shared.lock();
                // A `+` that nobody waits for must not be saved up for a later literal.
                state.granted |= state.awaiting.is_some();
                drop(state);
                self.shared.to_writer.notify_one();
                Ok(())
            }
            Response::Status(line) if line.is_bye() => Err(bye_of(self.reader, &line.to_line())),
            _ => Ok(()),
        }
    }

    fn take_verdict(&mut self, tag: &[u8], status: StatusLine) -> Result<(), ImapError> {
        wire::reach(Side::Target, NAME, "answered")?;
        let mut state = self.shared.lock();
        let number = own_tag(tag).unwrap_or(0);
        let Some(flight) = state.in_flight.iter_mut().find(|flight| flight.tag == number && flight.verdict.is_none())
        else {
            return Err(foreign_tag(NAME, tag));
        };
        if status.status == Status::Ok && !flight.complete {
            return Err(ImapError::Protocol {
                during: NAME,
                detail: "a command was answered OK before it was complete".to_owned(),
            });
        }
        flight.verdict = Some(status);
        if state.awaiting == Some(number) {
            state.awaiting = None;
        }
        drop(state);
        self.shared.to_writer.notify_one();
        Ok(())
    }

    /// Whether everything that can be answered has been.
    fn is_over(&mut self) -> Result<bool, ImapError> {
        let state = self.shared.lock();
        if let Some(failure) = &state.failure
            && !state.in_flight.iter().any(|flight| flight.complete)
        {
            return Err(failure.clone());
        }
        if !state.writer_gone || state.in_flight.iter().any(|flight| flight.complete) {
            return Ok(false);
        }
        *self.in_step = state.in_flight.is_empty();
        Ok(true)
    }

    async fn await_something(&mut self) -> Result<(), ImapError> {
        let mut notified = std::pin::pin!(self.shared.to_reader.notified());
        poll_fn(|cx| {
            let owed = self.shared.lock().is_owed();
            if let Poll::Ready(filled) = self.reader.poll_fill(cx, owed) {
                return Poll::Ready(filled);
            }
            notified.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    fn fail(&self, error: ImapError) -> ImapError {
        let mut state = self.shared.lock();
        // What the server said, or did, explains more than a write that failed because of it.
        if !matches!(state.failure, Some(ImapError::CommitRefused)) {
            state.failure = Some(error.clone());
        }
        drop(state);
        self.shared.to_writer.notify_one();
        error
    }
}

impl Drop for AppendReader<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.reader_gone = true;
        // Nothing in flight, nothing lost: the connection can go on, even if nobody asked whether all is answered.
        if state.failure.is_none() && state.in_flight.is_empty() {
            *self.in_step = true;
        }
        drop(state);
        self.shared.to_writer.notify_one();
    }
}

fn event_of(batch: u64, first: u32, count: u32, status: StatusLine) -> AppendEvent {
    if status.status != Status::Ok {
        return AppendEvent::Refused { batch, first, count, status };
    }
    let arguments = status.code.as_deref().and_then(|code| {
        let (name, arguments) = code.split_once(' ')?;
        name.eq_ignore_ascii_case("APPENDUID").then_some(arguments)
    });
    let uids = arguments.and_then(|arguments| read_append_uid(arguments.as_bytes(), count));
    AppendEvent::Stored { batch, first, messages: count, uids, status }
}

fn usage(what: &str) -> ImapError {
    ImapError::Usage { what: what.to_owned() }
}
