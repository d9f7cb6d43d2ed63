//! Several commands of one kind in flight at once, each ended by its own tag.

use crate::command::foreign_tag;
use crate::error::ImapError;
use crate::response::{Response, bye, own_tag};
use crate::status_line::{Status, StatusLine};
use crate::wire::Wire;
use crate::wire::reader::{Oversize, Piece};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Commands in flight: the next answers must already be on their way while one is read.
const DEPTH: usize = 4;
/// Octets of an oversized literal that are kept where the rest is of no use.
pub(crate) const CUT_OCTETS: usize = 256 * 1024;

/// A literal of which nothing is of use is read to its end up to this size, in octets, so that the connection stays in step.
pub(crate) const USELESS_OCTETS_MAX: u64 = 1 << 30;

/// Commands without an answer, by their tags, oldest first.
pub(crate) type InFlight<J> = VecDeque<(u64, J)>;

/// One kind of pipelined work.
pub(crate) trait Pipelined {
    /// What one command asks for.
    type Job: Send;
    /// The command without tag and line end.
    fn command(&self, job: &Self::Job) -> Vec<u8>;
    /// The command's name in those of failpoints, where the work has commands of more than one name.
    fn moment(&self, _job: &Self::Job) -> Option<&'static str> {
        None
    }
    /// An untagged response; `cut` if a literal in it was cut at [`CUT_OCTETS`].
    fn untagged(&mut self, frame: &Bytes, cut: bool, in_flight: &mut InFlight<Self::Job>);
    /// A command was answered OK; further jobs that follow from that.
    fn answered(&mut self, job: Self::Job, line: &StatusLine) -> Result<Vec<Self::Job>, ImapError>;
    /// A command was answered NO or BAD.
    fn refused(&mut self, _job: Self::Job, _line: &StatusLine) -> Refusals {
        Refusals::End
    }
}

/// What a refusal means for the commands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusals {
    /// It is the result of the whole work.
    End,
    /// It concerned this job alone.
    GoOn,
}

/// Runs all jobs, a few at a time; see [`run_many`].
pub(crate) async fn run<P: Pipelined + Send>(
    wire: &mut Wire,
    name: &'static str,
    work: &mut P,
    jobs: VecDeque<P::Job>,
) -> Result<(), ImapError> {
    run_many(wire, name, work, jobs, DEPTH).await
}

/// Runs all jobs. A refusal ends the work, but only after the answers to everything in flight have been read, so that
/// the connection stays in step.
pub(crate) async fn run_many<P: Pipelined + Send>(
    wire: &mut Wire,
    name: &'static str,
    work: &mut P,
    mut jobs: VecDeque<P::Job>,
    depth: usize,
) -> Result<(), ImapError> {
    if jobs.is_empty() {
        return Ok(());
    }
    wire.step_out(name)?;
    wire.reader.expect(name, CUT_OCTETS, Oversize::Stream);
    let mut in_flight: InFlight<P::Job> = VecDeque::new();
    let mut refusal: Option<ImapError> = None;
    loop {
        while refusal.is_none() && in_flight.len() < depth {
            let Some(job) = jobs.pop_front() else { break };
            wire.reach(work.moment(&job).unwrap_or(name), "before")?;
            let tag = wire.next_tag();
            wire.writer.put(format!("M{tag} ").as_bytes());
            wire.writer.put(&work.command(&job));
            wire.writer.put(b"\r\n");
            in_flight.push_back((tag, job));
        }
        if in_flight.is_empty() {
            break;
        }
        let (frame, cut) = next_cut_frame(wire).await?;
        match Response::of(&frame) {
            Response::Tagged { tag, line } => {
                let place = own_tag(tag).and_then(|tag| in_flight.iter().position(|(known, _)| *known == tag));
                let Some((_, job)) = place.and_then(|place| in_flight.remove(place)) else {
                    return Err(foreign_tag(name, tag));
                };
                let line = line.to_line();
                wire.reach(work.moment(&job).unwrap_or(name), "answered")?;
                if line.status == Status::Ok {
                    match work.answered(job, &line) {
                        Ok(more) => jobs.extend(more),
                        Err(error) => drop(refusal.get_or_insert(error)),
                    }
                } else if work.refused(job, &line) == Refusals::End {
                    refusal.get_or_insert(ImapError::Refused { command: name, status: line });
                }
            }
            Response::Status(line) if line.is_bye() => return Err(bye(wire, &line.to_line())),
            other => {
                wire.overhear(&other);
                work.untagged(&frame, cut, &mut in_flight);
            }
        }
    }
    wire.back_in_step();
    refusal.map_or(Ok(()), Err)
}

/// The next response; an oversized literal in it is cut, and the response put together as if the server had sent
/// only that much.
async fn next_cut_frame(wire: &mut Wire) -> Result<(Bytes, bool), ImapError> {
    loop {
        match wire.reader.take()? {
            Some(Piece::Frame(frame) | Piece::Tail(frame)) => return Ok((frame, false)),
            Some(Piece::Head { head, .. }) => return Ok((gather(wire, &head, CUT_OCTETS).await?, true)),
            None => wire.exchange().await?,
        }
    }
}

/// Reads an open literal to its end, keeping at most `keep` octets, and puts the response together anew.
///
/// # Errors
/// [`ImapError::LimitExceeded`] where so much is announced that it is not worth its reading.
pub(crate) async fn gather(wire: &mut Wire, head: &Bytes, keep: usize) -> Result<Bytes, ImapError> {
    Gathering::begin(wire, head.clone(), keep)?.finish(wire).await
}

/// An open literal on the way to its end. The reading may be given up between two octets and gone on with later.
pub(crate) struct Gathering {
    head: Bytes,
    kept: BytesMut,
    keep: usize,
}

impl Gathering {
    /// See [`gather`].
    pub(crate) fn begin(wire: &Wire, head: Bytes, keep: usize) -> Result<Self, ImapError> {
        let announced = wire.reader.open_literal();
        if announced > USELESS_OCTETS_MAX {
            let during = wire.reader.during();
            return Err(ImapError::LimitExceeded {
                what: format!("a literal of {announced} octets while {during}, of which at most {keep} are of use"),
            });
        }
        Ok(Self { head, kept: BytesMut::new(), keep })
    }

    /// The response, once all of it has come.
    pub(crate) async fn finish(&mut self, wire: &mut Wire) -> Result<Bytes, ImapError> {
        while wire.reader.open_literal() > 0 {
            match wire.reader.take_chunk() {
                Some(chunk) => {
                    let room = self.keep - self.kept.len();
                    self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                None => wire.exchange().await?,
            }
        }
        let tail = loop {
            match wire.reader.take()? {
                Some(Piece::Frame(tail) | Piece::Tail(tail)) => break tail,
                Some(Piece::Head { .. }) => {
                    return Err(ImapError::LimitExceeded { what: "two large literals in one response".to_owned() });
                }
                None => wire.exchange().await?,
            }
        };
        let Self { head, kept, .. } = self;
        let brace = head.iter().rposition(|octet| *octet == b'{').unwrap_or(head.len());
        let mut frame = BytesMut::with_capacity(brace + kept.len() + tail.len() + 16);
        frame.extend_from_slice(&head[..brace]);
        frame.extend_from_slice(format!("{{{}}}\r\n", kept.len()).as_bytes());
        frame.extend_from_slice(kept);
        frame.extend_from_slice(&tail);
        Ok(frame.freeze())
    }
}
