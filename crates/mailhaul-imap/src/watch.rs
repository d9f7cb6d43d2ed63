//! Watching: NOTIFY (RFC 5465), IDLE (RFC 2177), and waiting for what a server tells unasked.
//!
//! With NOTIFY one connection hears of every mailbox, and while none is selected nothing has to be sent to hear it. With
//! IDLE it hears of the selected mailbox; without either it waits and then asks by NOOP. What a server tells in the middle of other commands,
//! once watching has begun, is kept until the next waiting.
//!
//! A waiting that is ended from outside leaves no command unanswered: IDLE is always ended by DONE, and its verdict is
//! read. Nothing here gives up in the middle of a response, because what was received stays in the read buffer.

use crate::command::{Command, foreign_tag};
use crate::connection::Connection;
use crate::error::ImapError;
use crate::news::News;
use crate::response::{Response, bye, own_tag};
use crate::status_line::{Status, StatusLine};
use crate::wire::Wire;
use crate::wire::reader::Piece;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// What NOTIFY is asked for, and what is asked if that is refused. MessageNew and MessageExpunge go together (RFC 5465
/// §5.2); FlagChange makes HIGHESTMODSEQ part of the STATUS lines on servers with CONDSTORE.
const EVENTS: [&str; 4] = [
    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange",
    "MessageNew MessageExpunge FlagChange MailboxName",
    "MessageNew MessageExpunge FlagChange",
    "MessageNew MessageExpunge",
];
/// RFC 2177 §3 allows 29 minutes. Boxes on the way forget a silent connection sooner, and a server that is gone is
/// noticed only by asking it something.
const RENEW_AFTER: Duration = Duration::from_secs(10 * 60);
/// The longest waiting: clocks cannot count to any moment.
const LIMIT_MAX: Duration = Duration::from_secs(86_400);

/// Why a stretch of listening ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    News,
    Time,
    FromOutside,
    /// The server ended its IDLE by itself.
    ByServer(StatusLine),
}

impl Connection {
    /// Asks the server to tell of changes in every personal mailbox, with figures (NOTIFY SET STATUS). `false` where it
    /// does not announce NOTIFY or refuses it. The figures that it sends at once are no news.
    ///
    /// # Errors
    /// As every command, except that a refusal is an answer.
    pub async fn begin_notify(&mut self) -> Result<bool, ImapError> {
        if self.notifying || !self.capabilities().notify() {
            return Ok(self.notifying);
        }
        self.talk().wire.listen();
        for events in EVENTS {
            let selected = events.trim_end_matches(" SubscriptionChange").trim_end_matches(" MailboxName");
            let text = format!(" SET STATUS (selected-delayed ({selected})) (personal ({events}))");
            match self.talk().run_long(Command::new("NOTIFY").text(&text), &mut |_| {}).await {
                Err(ImapError::Refused { .. }) => {}
                answered => {
                    answered?;
                    self.notifying = true;
                    break;
                }
            }
        }
        Ok(self.notifying)
    }

    /// Whether the server tells of every mailbox: [`Connection::begin_notify`] succeeded, and there was no overflow since.
    #[must_use]
    pub fn is_notifying(&self) -> bool {
        self.notifying
    }

    /// Waits until the server tells of something new, until `limit` has passed (a day at most), or until `until` is
    /// ready, and says what is new. News that came during earlier commands end the waiting at once.
    ///
    /// The connection is usable in each case, unless there is an error. Dropping the future instead of making `until`
    /// ready leaves it unusable.
    ///
    /// # Errors
    /// As every command; the server's good-bye and the end of the connection are errors also while nothing is asked.
    pub async fn wait_for_news(&mut self, limit: Duration, until: impl Future<Output = ()>) -> Result<News, ImapError> {
        let deadline = Instant::now() + limit.min(LIMIT_MAX);
        let mut until = pin!(until);
        // Seen with Dovecot 2.3.19: outside of IDLE, NOTIFY tells of what is not selected within a fifth of a second,
        // and of the selected mailbox late or when something else happens.
        let silent = (self.notifying && self.selected.is_none()) || !self.capabilities().idle();
        let control = self.timeouts().control;
        self.talk().wire.listen();
        while !self.talk().wire.has_news() {
            let end = deadline.min(Instant::now() + RENEW_AFTER);
            let wire = self.talk().wire;
            let ended = if silent {
                listen(wire, until.as_mut(), end).await?
            } else {
                idle(wire, until.as_mut(), end, control).await?
            };
            if ended == Ended::FromOutside {
                break;
            }
            if silent && ended == Ended::Time {
                self.talk().run(Command::new("NOOP"), &mut |_| {}).await?;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        let encoding = self.name_encoding();
        let news = self.talk().wire.tell_news(encoding);
        if news.overflow {
            self.notifying = false;
        }
        Ok(news)
    }
}

/// Listens without having asked for anything. It can be given up at any moment.
async fn listen<F: Future<Output = ()>>(wire: &mut Wire, until: Pin<&mut F>, end: Instant) -> Result<Ended, ImapError> {
    wire.step_out(WAITING)?;
    wire.expect_lines(WAITING);
    wire.back_in_step();
    hear(wire, None, until, end).await
}

const WAITING: &str = "waiting for news";

/// One IDLE from `+` to the verdict behind DONE.
async fn idle<F: Future<Output = ()>>(
    wire: &mut Wire,
    until: Pin<&mut F>,
    end: Instant,
    control: Duration,
) -> Result<Ended, ImapError> {
    const IDLE: &str = "IDLE";
    wire.step_out(IDLE)?;
    wire.expect_lines(IDLE);
    let tag = wire.next_tag();
    wire.writer.put(format!("M{tag} IDLE\r\n").as_bytes());
    let late = |_| ImapError::TimedOut { during: IDLE, after: control };
    if let Some(line) = timeout(control, answer(wire, tag, true)).await.map_err(late)?? {
        // No `+`: refused, or over before it began.
        wire.back_in_step();
        return verdict(line).map(Ended::ByServer);
    }
    let ended = hear(wire, Some(tag), until, end).await?;
    if let Ended::ByServer(line) = ended {
        wire.back_in_step();
        return verdict(line).map(Ended::ByServer);
    }
    wire.expect_lines(IDLE);
    wire.writer.put(b"DONE\r\n");
    let line = timeout(control, answer(wire, tag, false)).await.map_err(late)??;
    wire.back_in_step();
    let line = line.ok_or_else(|| ImapError::Protocol { during: IDLE, detail: "no verdict".to_owned() })?;
    verdict(line).map(|_| ended)
}

fn verdict(line: StatusLine) -> Result<StatusLine, ImapError> {
    match line.status {
        Status::Ok => Ok(line),
        _ => Err(ImapError::Refused { command: "IDLE", status: line }),
    }
}

/// Reads to the command's verdict, or to `+` if that is waited for (`None`); what comes before is heard.
async fn answer(wire: &mut Wire, tag: u64, continuation: bool) -> Result<Option<StatusLine>, ImapError> {
    loop {
        let frame = wire.next_frame().await?;
        match take(wire, &frame, Some(tag))? {
            Taken::Verdict(line) => return Ok(Some(line)),
            Taken::Continue if continuation => return Ok(None),
            _ => {}
        }
    }
}

/// Hears what comes until there is news, or one of the other ends.
async fn hear<F: Future<Output = ()>>(
    wire: &mut Wire,
    tag: Option<u64>,
    mut until: Pin<&mut F>,
    end: Instant,
) -> Result<Ended, ImapError> {
    let mut over = pin!(sleep_until(end));
    loop {
        // All that has arrived, so that a burst of changes is told in one.
        while let Some(piece) = wire.reader.take()? {
            let (Piece::Frame(frame) | Piece::Tail(frame) | Piece::Head { head: frame, .. }) = piece;
            if let Taken::Verdict(line) = take(wire, &frame, tag)? {
                return Ok(Ended::ByServer(line));
            }
        }
        if wire.has_news() {
            return Ok(Ended::News);
        }
        let ended = poll_fn(|cx| {
            if wire.writer.has_unsent()
                && let Poll::Ready(Err(error)) = wire.writer.poll_flush(cx)
            {
                return Poll::Ready(Err(error));
            }
            if until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Some(Ended::FromOutside)));
            }
            // The server owes us nothing here and may be silent.
            if let Poll::Ready(filled) = wire.reader.poll_fill(cx, false) {
                return Poll::Ready(filled.map(|()| None));
            }
            over.as_mut().poll(cx).map(|()| Ok(Some(Ended::Time)))
        })
        .await?;
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
}

enum Taken {
    Verdict(StatusLine),
    Continue,
    Heard,
}

fn take(wire: &mut Wire, frame: &[u8], tag: Option<u64>) -> Result<Taken, ImapError> {
    match Response::of(frame) {
        Response::Tagged { tag: seen, line } if tag.is_some() && own_tag(seen) == tag => {
            Ok(Taken::Verdict(line.to_line()))
        }
        Response::Tagged { tag: seen, .. } => Err(foreign_tag(wire.reader.during(), seen)),
        Response::Status(line) if line.is_bye() => Err(bye(wire, &line.to_line())),
        Response::Continue => Ok(Taken::Continue),
        response => {
            wire.hear(&response);
            Ok(Taken::Heard)
        }
    }
}
