//! One mailbox after the other, over as many connections as it takes, and the filing of what became of each.

use crate::account::Run;
use crate::error::WalkError;
use crate::pass::{PassEnd, pass};
use crate::pause;
use crate::plan_run::Planned;
use crate::prepare::prepare_target;
use crate::tally::Tally;
use crate::visits::Visited;
use crate::walk::Pair;
use mailhaul_plan::mailboxes::MappedMailbox;
use mailhaul_types::{MailboxName, Side};
use tracing::Instrument as _;

/// A mailbox that was passed to its end and is not filed yet: messages have left it, and what that means is not known
/// before every mailbox was passed.
pub(crate) struct Held {
    /// Its place in the mapping.
    pub(crate) place: usize,
    pub(crate) mapped: MappedMailbox,
    pub(crate) target: String,
    pub(crate) tally: Tally,
    pub(crate) end: PassEnd,
}

impl Run<'_> {
    /// Passes over what is to be visited.
    pub(crate) async fn pass_over(&mut self, planned: &mut Planned, visits: &[Visited]) -> Result<(), WalkError> {
        let order = in_order(planned, visits);
        if let Err(error) = self.prepare_ahead(planned, &order).await {
            self.not_reached(&order, planned);
            return Err(error);
        }
        let (new, known): (Vec<Visited>, Vec<Visited>) = order.iter().partition(|visit| is_new(planned, visit.place));
        if self.walk.job.connections.most < 2 || self.walk.job.recognise_only || new.len() < 2 {
            return self.pass_in_order(planned, &order).await;
        }
        if let Err(error) = self.pass_in_order(planned, &known).await {
            self.not_reached(&new, planned);
            return Err(error);
        }
        // What has left a mailbox and waits for an explanation is looked for in one mailbox after the other.
        match self.departures.is_empty() {
            true => self.pass_together(planned, &new).await,
            false => self.pass_in_order(planned, &new).await,
        }
    }

    /// One mailbox after the other.
    async fn pass_in_order(&mut self, planned: &mut Planned, order: &[Visited]) -> Result<(), WalkError> {
        for (number, visit) in order.iter().enumerate() {
            if !self.walk.supervisor.goes_on() {
                self.not_reached(&order[number..], planned);
                return Err(WalkError::Interrupted { unanswered: 0 });
            }
            let end = self.pass_one(planned, visit.place).await;
            if let Err(error) = end {
                self.not_reached(&order[number + 1..], planned);
                return Err(error);
            }
        }
        Ok(())
    }

    /// One mailbox, from its first pass to its line in the report. An error concerns more than this mailbox.
    async fn pass_one(&mut self, planned: &mut Planned, place: usize) -> Result<(), WalkError> {
        let mut tally = Tally::default();
        let result = self.work_on(place, planned, &mut tally).await;
        self.conclude(planned, place, tally, result).await
    }

    /// What is left to do of a mailbox when nothing more is done in it: it is filed, or held. An error concerns more than
    /// this mailbox.
    pub(crate) async fn conclude(
        &mut self,
        planned: &Planned,
        place: usize,
        tally: Tally,
        result: Result<PassEnd, WalkError>,
    ) -> Result<(), WalkError> {
        let walk = self.walk;
        let mapped = planned.mapping.mailboxes[place].clone();
        tell_of(&mapped, &tally);
        let target = planned.mapping.mailboxes[place].target_text.clone();
        self.all_passed &= result.is_ok() && tally.counts().remaining == 0;
        if let Ok(end) = &result {
            self.passed.insert(mapped.source.text().to_owned(), end.seen);
        }
        let filed = match result {
            Ok(end) if !end.departed.is_empty() => {
                self.held.push(Held { place, mapped: mapped.clone(), target, tally, end });
                Ok(())
            }
            result => self.file(&mapped, &target, &tally, result).await,
        };
        walk.progress.finish_mailbox(mapped.source.text());
        filed
    }

    /// Files one mailbox. What the source was is recorded only behind everything that was found out about it.
    pub(crate) async fn file(
        &mut self,
        mapped: &MappedMailbox,
        target: &str,
        tally: &Tally,
        result: Result<PassEnd, WalkError>,
    ) -> Result<(), WalkError> {
        let (result, synced) = match result {
            Ok(end) => (Ok(()), end.synced),
            Err(error) => (Err(error), None),
        };
        self.summary.file(self.walk, mapped, target, tally, result).await?;
        if let Some(synced) = synced {
            let ledger = self.walk.lease.mailbox(mapped.source.text()).await?;
            // Not waited for: it goes to the disk with what the next mailbox has to say, or with the end of the run.
            ledger.record_synced(synced).await?;
        }
        Ok(())
    }

    /// Files what was passed and not filed when the run ended early. What has left these mailboxes is found again by
    /// the next run.
    pub(crate) async fn file_held(&mut self) {
        self.take_over();
        for held in std::mem::take(&mut self.held) {
            let filed = self.summary.file(self.walk, &held.mapped, &held.target, &held.tally, Ok(())).await;
            if let Err(error) = filed {
                tracing::warn!(mailbox.name = %held.mapped.source, ?error, "could not be filed");
            }
        }
    }

    /// Files the mailboxes that the run did not come to, as far as it is still known what they hold.
    pub(crate) fn not_reached(&mut self, rest: &[Visited], planned: &Planned) {
        for visit in rest {
            let mapped = &planned.mapping.mailboxes[visit.place];
            let brief = planned.briefs.get(mapped.source.text());
            let settled = brief.map_or(0, |brief| brief.counts.total());
            let scanned = brief.and_then(|brief| brief.scan.as_ref()).map(|scan| scan.exists);
            let messages = planned.messages(&mapped.source).or(scanned).map_or(settled, u64::from);
            self.summary.not_reached(mapped, messages, settled);
        }
    }

    /// Passes over one mailbox until one comes to its end.
    pub(crate) async fn work_on(
        &mut self,
        place: usize,
        planned: &mut Planned,
        tally: &mut Tally,
    ) -> Result<PassEnd, WalkError> {
        let source = planned.mapping.mailboxes[place].source.clone();
        let span = tracing::info_span!("mailbox", mailbox.name = %source);
        self.pass_until_one_ends(place, planned, tally).instrument(span).await
    }

    async fn pass_until_one_ends(
        &mut self,
        place: usize,
        planned: &mut Planned,
        tally: &mut Tally,
    ) -> Result<PassEnd, WalkError> {
        let walk = self.walk;
        let source = planned.mapping.mailboxes[place].source.clone();
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        let mut first = true;
        loop {
            let settled = tally.progress() + walk.reading.progress(source.text());
            let (pass, waited) = (walk.learning.begin_pass(), walk.progress.waits_until());
            let error = match self.try_to_pass(place, planned, tally).await {
                Ok(end) => {
                    // What was found there already, or waited for, says nothing of what copying takes.
                    if let Some(load) = tally.first_load().filter(|_| first && waited == walk.progress.waits_until()) {
                        pass.tells(&load);
                    }
                    return Ok(end);
                }
                Err(error) => error,
            };
            drop(pass);
            let went_on = tally.progress() + walk.reading.progress(source.text()) > settled;
            tally.suspects.pass_was_lost(went_on);
            if went_on {
                pauses = pause::reconnects(walk.supervisor.reconnects());
            }
            tracing::debug!(mailbox.name = %source, "the pass was broken off");
            if let Err(error) = self.recover(error, &mut pauses, first).await {
                return Err(self.named(error, &source, tally));
            }
            first = false;
        }
    }

    /// An error that ends the work here, with the messages over which connections were lost.
    fn named(&self, error: WalkError, source: &MailboxName, tally: &Tally) -> WalkError {
        let WalkError::Link(link) = error else { return error };
        let side = link.side;
        // What is sent is known by its UID at the source, whichever side falls over it.
        let sent = link.over(Side::Source, source, &tally.suspects.named(side));
        WalkError::Link(sent.over(side, source, &self.walk.reading.named(source.text(), side)))
    }

    async fn try_to_pass(
        &mut self,
        place: usize,
        planned: &mut Planned,
        tally: &mut Tally,
    ) -> Result<PassEnd, WalkError> {
        let walk = self.walk;
        let source = planned.mapping.mailboxes[place].source.clone();
        // Where there is nothing that changes could begin from, there is nothing to ask for.
        match planned.briefs.values().any(|brief| brief.synced.is_some()) {
            true => self.connected_for_changes().await?,
            false => self.connected().await?,
        };
        let Self { links: Some(links), departures, .. } = self else {
            return Err(WalkError::Mailbox("not connected".to_owned()));
        };
        let ledger = walk.lease.mailbox(source.text()).await?;
        let prepared = prepare_target(walk, links, planned, place, &ledger).await?;
        let pair = Pair {
            source: &source,
            target: &prepared.name,
            target_is_missing: prepared.is_missing,
            ledger: &ledger,
            figures: planned.source.get(source.text()),
            drafts: departures.holds_drafts(source.text()),
        };
        walk.doing(&pair, "copying");
        let result = pass(walk, links, &pair, tally, departures).await;
        ledger.flush().await?;
        result
    }
}

/// Whether nothing was ever done in a mailbox, and it is there on the target: then nothing that happened in another has to
/// be known before.
fn is_new(planned: &Planned, place: usize) -> bool {
    let mapped = &planned.mapping.mailboxes[place];
    let is_there = mapped.exists_on_target || mapped.target_text.eq_ignore_ascii_case("INBOX");
    is_there
        && planned.briefs.get(mapped.source.text()).is_none_or(|brief| {
            brief.counts.total() == 0 && brief.sent.is_none() && brief.synced.is_none() && !brief.mailbox_failed
        })
}

/// Mailboxes in which something is in flight come first, so that a move that was broken off is found before another
/// mailbox could claim the same message. Then those that have only lost messages: what has left them is known by the time
/// that mail arrives elsewhere.
fn in_order(planned: &Planned, visits: &[Visited]) -> Vec<Visited> {
    let rank = |visit: &Visited| {
        let only_lost = planned.may_have_lost(visit.place) && !planned.may_arrive(visit.place);
        (!planned.is_in_flight(visit.place), !only_lost)
    };
    let mut order = visits.to_vec();
    order.sort_by_key(rank);
    order
}

/// One line of the story an operator can follow.
fn tell_of(mapped: &MappedMailbox, tally: &Tally) {
    let (listed, copied, adopted) = (tally.listed.len(), tally.copied.len(), tally.adopted.len());
    tracing::info!(mailbox.name = %mapped.source, listed, copied, adopted, "mailbox {}: {copied} of {listed} messages \
        copied, {adopted} found on the target", mapped.source);
}
