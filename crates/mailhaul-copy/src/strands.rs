//! Several mailboxes at once, the largest first, each in a *strand*: a pair of connections of its own.
//!
//! Strands are futures of one task. They share the lease, the ledger and its one writer, the wish to stop, and whoever keeps
//! the rates; each has its own connections and counts by itself. A strand that loses its connection for good gives its
//! mailbox back to the queue, and the others go on. Only mailboxes of which nothing is known yet are worked on side by
//! side: between them nothing was moved that would have to be recognised in a certain order. See `docs/decisions/0013-mailboxes-side-by-side.md`.

use crate::account::{Run, say_goodbye};
use crate::bounds;
use crate::concluding::Seen;
use crate::error::WalkError;
use crate::growth::{Growth, Judged};
use crate::moves::Departures;
use crate::oversight::Widened;
use crate::passes::Held;
use crate::plan_run::Planned;
use crate::progress::Progress;
use crate::summary::Summary;
use crate::visits::Visited;
use crate::waiting::{Queue, Spare, Waiting};
use crate::walk::{Links, Walk};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mailhaul_plan::profile::Ceiling;
use mailhaul_types::Side;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What strands have finished and the run has not taken over yet. It outlives a run that is given up in the middle.
pub(crate) type Shelf = Arc<Mutex<Vec<Finished>>>;

/// What became of one mailbox, or of several.
pub(crate) struct Finished {
    summary: Summary,
    passed: BTreeMap<String, Seen>,
    held: Vec<Held>,
    all_passed: bool,
}

/// What a strand begins with.
struct Start {
    progress: Arc<Progress>,
    departures: Departures,
    shelf: Shelf,
    of: Of,
}

/// Whose connections a strand works with.
enum Of {
    /// Those of the run, which may not be open, and whether the source was asked on them to tell what is gone.
    Run(Option<Box<Links>>, bool),
    /// Its own, for which there is room.
    Itself(Widened),
}

/// What a strand leaves.
struct End {
    departures: Departures,
    /// The connections of the run, and whether the source was asked on them to tell what is gone.
    links: Option<(Option<Links>, bool)>,
    /// Which server would not have one more connection, or got into trouble over it.
    too_many: Vec<(Side, Ceiling)>,
    leaves: Leaves,
}

/// How a strand has left its work.
enum Leaves {
    /// There was nothing more to do, or it was to be left to others.
    Done,
    /// Its connection was lost, and its mailbox waits for another strand.
    Lost(WalkError),
    /// Something concerns the account.
    Failed(WalkError),
}

impl From<Result<(), WalkError>> for Leaves {
    fn from(result: Result<(), WalkError>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) if error.concerns_a_connection() => Self::Lost(error),
            Err(error) => Self::Failed(error),
        }
    }
}

impl Run<'_> {
    /// Passes over mailboxes of which nothing is known yet.
    pub(crate) async fn pass_together(&mut self, planned: &Planned, visits: &[Visited]) -> Result<(), WalkError> {
        let walk = self.walk;
        let queue = Queue::largest_first(planned, visits);
        let most = walk.job.connections.most.min(walk.learning.most_connections());
        let mut growth = Growth::new(most.min(visits.len()));
        let round_trip =
            self.links.as_ref().and_then(|Links { source, target }| source.round_trip().max(target.round_trip()));
        let messages =
            visits.iter().filter_map(|visit| planned.messages(&planned.mapping.mailboxes[visit.place].source));
        let known = walk.learning.begin_with(visits.len(), messages.map(u64::from).sum());
        let first = begin_with(walk.job.connections.first, round_trip, visits.len());
        let first = known.unwrap_or(first).min(growth.most);
        let of = Of::Run(self.links.take().map(Box::new), self.asked_for_vanished);
        let (departures, shelf) = (self.departures.for_strand(), Arc::clone(&self.shelf));
        let start = |of| Start {
            progress: walk.progress.open_strand(),
            departures: departures.for_strand(),
            shelf: Arc::clone(&shelf),
            of,
        };
        let mut strands = FuturesUnordered::new();
        strands.push(strand(walk, planned, &queue, start(of)));
        growth.opened();
        for room in (1..first).map_while(|_| walk.sources.widen(&*walk.supervisor)) {
            strands.push(strand(walk, planned, &queue, start(Of::Itself(room))));
            growth.opened();
        }
        let (mut result, mut rest, mut lost) = (Ok(()), Vec::new(), None);
        let mut watched = Box::pin(tokio::time::sleep(bounds::STRAND_WATCHED_FOR));
        loop {
            tokio::select! {
                biased;
                end = strands.next() => {
                    let Some(end) = end else { break };
                    self.departures.absorb(end.departures);
                    growth.ended(&end.too_many);
                    if end.too_many.contains(&(Side::Source, Ceiling::Refused)) {
                        walk.sources.strand_is_refused();
                    }
                    if let Some((links, asked_for_vanished)) = end.links {
                        (self.links, self.asked_for_vanished) = (links, asked_for_vanished);
                    }
                    match end.leaves {
                        Leaves::Done => {}
                        Leaves::Lost(error) => lost = Some(error),
                        Leaves::Failed(error) => result = worse(result, Err(error)),
                    }
                    if result.is_err() {
                        rest.extend(queue.close());
                    }
                    if strands.is_empty() && !queue.is_empty() {
                        // What was given back when nobody was left to take it.
                        self.take_spare(&queue);
                        if let (None, Some(error)) = (&self.links, lost.take()) {
                            result = Err(error);
                            break;
                        }
                        let of = Of::Run(self.links.take().map(Box::new), self.asked_for_vanished);
                        strands.push(strand(walk, planned, &queue, start(of)));
                        growth.opened();
                    }
                }
                () = &mut watched => {
                    if walk.supervisor.is_crowded() || walk.sources.wants_seat() {
                        drop(queue.take_spare());
                    }
                    let strand_room = || walk.sources.widen(&*walk.supervisor);
                    match growth.judge(&walk.progress.snapshot(), queue.at_work(), !queue.is_empty()) {
                        Judged::Grow => match strand_room() {
                            Some(room) => {
                                strands.push(strand(walk, planned, &queue, start(Of::Itself(room))));
                                growth.opened();
                            }
                            None => growth.not_grown(),
                        },
                        Judged::Shrink => queue.keep_at_most(growth.most),
                        Judged::Stay => {}
                    }
                    watched.as_mut().reset(tokio::time::Instant::now() + bounds::STRAND_WATCHED_FOR);
                }
            }
        }
        drop(strands);
        growth.teach(&walk.learning);
        rest.extend(queue.close());
        walk.sources.say_mailboxes_wait(false);
        walk.progress.close_strands();
        self.take_over();
        self.take_spare(&queue);
        if let Some(spare) = queue.take_spare() {
            say_goodbye(spare.links).await;
        }
        if let Err(error) = &result {
            self.file_rest(planned, rest, error).await;
        }
        result
    }

    /// Goes on over connections that a strand has left, if the run has lost its own.
    fn take_spare(&mut self, queue: &Queue) {
        if self.links.is_none()
            && let Some(spare) = queue.take_spare()
        {
            (self.links, self.asked_for_vanished) = (Some(spare.links), spare.asked_for_vanished);
        }
    }

    /// Files what nobody takes any more.
    async fn file_rest(&mut self, planned: &Planned, rest: Vec<Waiting>, error: &WalkError) {
        let (begun, untouched): (Vec<Waiting>, Vec<Waiting>) = rest.into_iter().partition(Waiting::is_begun);
        for Waiting { visit, tally, .. } in begun {
            // It hands the error back that the run ends with.
            let _ = self.conclude(planned, visit.place, tally, Err(error.clone())).await;
        }
        let untouched: Vec<Visited> = untouched.into_iter().map(|waiting| waiting.visit).collect();
        self.not_reached(&untouched, planned);
    }

    /// Takes over what strands have finished.
    pub(crate) fn take_over(&mut self) {
        let finished = std::mem::take(&mut *self.shelf.lock().unwrap_or_else(PoisonError::into_inner));
        for Finished { summary, passed, held, all_passed } in finished {
            self.summary.absorb(summary);
            self.passed.extend(passed);
            self.held.extend(held);
            self.all_passed &= all_passed;
        }
    }

    /// Puts what this strand has finished where the run finds it, whatever becomes of the strand.
    fn put_by(&mut self) {
        let finished = Finished {
            summary: std::mem::take(&mut self.summary),
            passed: std::mem::take(&mut self.passed),
            held: std::mem::take(&mut self.held),
            all_passed: std::mem::replace(&mut self.all_passed, true),
        };
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).push(finished);
    }

    /// One mailbox after the other, as they come.
    async fn work_off(
        &mut self,
        planned: &mut Planned,
        queue: &Queue,
        all: &Progress,
        is_first: bool,
    ) -> Result<(), WalkError> {
        loop {
            let is_alone = queue.at_work() < 2;
            let is_over = || !self.troubled.is_empty() || self.walk.supervisor.is_crowded() || queue.is_too_wide();
            if !is_first && !is_alone && is_over() {
                return Ok(());
            }
            if !queue.is_empty() && !self.walk.supervisor.goes_on() {
                return Err(WalkError::Interrupted { unanswered: 0 });
            }
            let Some(Waiting { visit, mut tally, quarantine }) = queue.next() else { return Ok(()) };
            self.walk.sources.say_mailboxes_wait(!queue.is_empty());
            let name = planned.mapping.mailboxes[visit.place].source.text().to_owned();
            self.walk.quarantine_at_least(quarantine);
            all.hand_over(&name, self.walk.progress);
            match self.work_on(visit.place, planned, &mut tally).await {
                Err(error) if error.concerns_a_connection() => {
                    tracing::warn!(mailbox.name = %name, ?error, "a connection is given up; others go on here");
                    all.take_back(&name, self.walk.progress);
                    queue.give_back(Waiting { visit, tally, quarantine: self.walk.quarantine() });
                    self.walk.sources.say_mailboxes_wait(true);
                    return Err(error);
                }
                result => {
                    let concluded = self.conclude(planned, visit.place, tally, result).await;
                    self.put_by();
                    concluded?;
                }
            }
        }
    }
}

/// One strand from its beginning to its end.
async fn strand(outer: &Walk<'_>, planned: &Planned, queue: &Queue, start: Start) -> End {
    let Start { progress, departures, shelf, of } = start;
    let walk = outer.for_strand(&progress);
    let mut run = Run::new(&walk);
    (run.departures, run.shelf) = (departures, shelf);
    let room = match of {
        Of::Run(links, asked_for_vanished) => {
            (run.links, run.asked_for_vanished) = (links.map(|links| *links), asked_for_vanished);
            None
        }
        Of::Itself(room) => Some(room),
    };
    let is_first = room.is_none();
    if let (false, Err(error)) = (is_first, run.connected().await.map(drop)) {
        let why = if error.is_without_words() { Ceiling::Trouble } else { Ceiling::Refused };
        let too_many = error.side().map(|side| (side, why)).into_iter().collect();
        let leaves = if error.concerns_a_connection() || error.is_of_sign_in() {
            // One connection more than a server will have: the account goes on over those that it has. Some say so by
            // refusing the password that they have just taken.
            tracing::info!(?error, "no further connection for this account");
            Leaves::Done
        } else {
            Leaves::Failed(error)
        };
        return End { departures: run.departures, links: None, too_many, leaves };
    }
    let mut planned = planned.clone();
    queue.begins();
    let result = run.work_off(&mut planned, queue, outer.progress, is_first).await;
    queue.ends();
    let Run { links, departures, asked_for_vanished, troubled, .. } = run;
    let links = match (links, room, &result) {
        (links, None, _) => Some((links, asked_for_vanished)),
        (Some(links), Some(room), Ok(())) => {
            let spare = Spare { links, asked_for_vanished, _room: room };
            // Whoever is at work still may lose his connections, and not get others.
            let is_wanted = queue.is_empty() && !outer.supervisor.is_crowded();
            let left = if is_wanted { queue.keep(spare) } else { Some(spare) };
            if let Some(spare) = left {
                say_goodbye(spare.links).await;
            }
            None
        }
        _ => None,
    };
    let too_many = troubled.into_iter().map(|side| (side, Ceiling::Trouble)).collect();
    End { departures, links, too_many, leaves: result.into() }
}

/// With how many connections to begin: where a mailbox costs more in waiting than in mail, a second one pays before it
/// could be measured that it does.
fn begin_with(asked_for: usize, round_trip: Option<Duration>, mailboxes: usize) -> usize {
    let is_far = round_trip.is_some_and(|time| time >= bounds::STRAND_FAR);
    if is_far && mailboxes >= bounds::STRAND_MAILBOXES_FAR { asked_for.max(2) } else { asked_for }
}

/// Of two ends the one that has to be told: a stop says least.
fn worse(one: Result<(), WalkError>, other: Result<(), WalkError>) -> Result<(), WalkError> {
    match (one, other) {
        (Err(WalkError::Interrupted { unanswered }), Err(WalkError::Interrupted { unanswered: more })) => {
            Err(WalkError::Interrupted { unanswered: unanswered + more })
        }
        (Ok(()) | Err(WalkError::Interrupted { .. }), Err(error)) => Err(error),
        (one, _) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_connection_is_open_from_the_beginning_where_many_mailboxes_are_far_away() {
        let far = Some(bounds::STRAND_FAR);
        let near = Some(bounds::STRAND_FAR / 2);
        let cases = [(1, far, 4, 2), (1, far, 3, 1), (1, near, 400, 1), (1, None, 400, 1), (3, far, 4, 3)];
        for (asked_for, round_trip, mailboxes, expected) in cases {
            assert_eq!(begin_with(asked_for, round_trip, mailboxes), expected, "{round_trip:?} {mailboxes}");
        }
    }

    #[test]
    fn a_stop_is_told_only_where_nothing_worse_has_happened() {
        let stopped = |unanswered| Err(WalkError::Interrupted { unanswered });
        let failed = || Err(WalkError::Mailbox("worse".to_owned()));
        assert!(matches!(worse(stopped(1), stopped(2)), Err(WalkError::Interrupted { unanswered: 3 })));
        assert!(matches!(worse(stopped(1), failed()), Err(WalkError::Mailbox(_))));
        assert!(matches!(worse(failed(), stopped(1)), Err(WalkError::Mailbox(_))));
        assert!(matches!(worse(Ok(()), stopped(1)), Err(WalkError::Interrupted { unanswered: 1 })));
        assert!(worse(Ok(()), Ok(())).is_ok());
    }
}
