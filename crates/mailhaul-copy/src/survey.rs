//! Looking for messages that have left their mailboxes, before anything is copied: what was moved may be found again
//! among the arrivals of a mailbox that is passed earlier than the one it came from.

use crate::account::Run;
use crate::carry_over::moved_ground;
use crate::error::{WalkError, mailbox_error};
use crate::pause;
use crate::plan_run::Planned;
use crate::source_side::list_source;
use crate::visits::Visited;
use crate::walk::Pair;
use mailhaul_plan::policy::MovePolicy;
use mailhaul_plan::steps::difference;
use mailhaul_types::{MailboxName, Side};

impl Run<'_> {
    /// Learns what has left the mailboxes that may have lost messages and in which mail arrives too. The others are
    /// passed first and tell it themselves; unless something is in flight: then that is looked for before anything else,
    /// and has to know what it may be.
    pub(crate) async fn survey(&mut self, planned: &Planned, visits: &[Visited]) -> Result<(), WalkError> {
        let arriving = visits.iter().filter(|visit| planned.may_arrive(visit.place)).count();
        if arriving == 0 || self.walk.job.resync.moves == MovePolicy::Copy {
            return Ok(());
        }
        self.learn_from_vanished(planned).await?;
        let in_flight = visits.iter().any(|visit| planned.is_in_flight(visit.place));
        let wanted = |visit: &&Visited| {
            // Where mail arrives in one mailbox only, it is the one that is passed last.
            let late = in_flight || (arriving > 1 && planned.may_arrive(visit.place));
            late && planned.may_have_lost(visit.place)
        };
        for visit in visits.iter().filter(wanted) {
            let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
            while let Err(error) = self.look_for_departed(planned, visit.place).await {
                self.recover(error, &mut pauses, true).await?;
            }
        }
        Ok(())
    }

    /// What was in mailboxes that the source does not list any more has left them.
    async fn learn_from_vanished(&mut self, planned: &Planned) -> Result<(), WalkError> {
        for source in &planned.vanished {
            if planned.briefs.get(source).is_none_or(|brief| brief.counts.total() == 0) {
                continue;
            }
            let encoding = self.connected().await?.target.name_encoding();
            let state = self.walk.lease.mailbox(source).await?.load().await?;
            let departed = difference(&state.settled, &state.departed);
            let (source, target) = (source.as_str(), state.mapping.target.as_str());
            let name = |text: &str| MailboxName::from_text(text, encoding);
            self.departures.learn(&name(source), &name(target), &departed);
        }
        Ok(())
    }

    /// What cannot be looked at here is dealt with by the pass.
    async fn look_for_departed(&mut self, planned: &Planned, place: usize) -> Result<(), WalkError> {
        let walk = self.walk;
        let mapped = &planned.mapping.mailboxes[place];
        let ledger = walk.lease.mailbox(mapped.source.text()).await?;
        let state = ledger.load().await?;
        let drafts = self.departures.holds_drafts(mapped.source.text());
        let links = self.connected_for_changes().await?;
        let name = mapped.target_name(links.target.name_encoding());
        let pair = Pair {
            source: &mapped.source,
            target: &name,
            target_is_missing: false,
            ledger: &ledger,
            figures: planned.source.get(mapped.source.text()),
            drafts,
        };
        walk.doing(&pair, "looking for changes");
        let selected = match links.source.examine(pair.source).await {
            Ok(selected) => selected,
            Err(error) => match mailbox_error(Side::Source, error) {
                WalkError::Mailbox(_) => return Ok(()),
                other => return Err(other),
            },
        };
        let Some(uid_validity) = selected.uid_validity else { return Ok(()) };
        if moved_ground(&selected, uid_validity, &state).is_some() {
            return Ok(());
        }
        match list_source(walk, links, &pair, selected, uid_validity, &state).await {
            Ok(listing) => self.departures.learn(pair.source, pair.target, &listing.departed),
            Err(WalkError::Mailbox(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Planned {
    /// Whether it is not known what became of messages that were sent into a mailbox.
    pub(crate) fn is_in_flight(&self, place: usize) -> bool {
        let source = self.mapping.mailboxes[place].source.text();
        self.briefs.get(source).is_some_and(|brief| brief.sent.is_some())
    }

    /// Whether mail may have arrived in a mailbox since it was last accounted for, as far as its figures tell.
    pub(crate) fn may_arrive(&self, place: usize) -> bool {
        let source = self.mapping.mailboxes[place].source.text();
        let synced = self.briefs.get(source).and_then(|brief| brief.synced.as_ref());
        let uid_next = self.source.get(source).and_then(|figures| figures.uid_next);
        !matches!((synced, uid_next), (Some(synced), Some(uid_next)) if uid_next == synced.uid_next)
    }

    /// Whether messages have left a mailbox since it was last accounted for, as far as its figures tell.
    pub(crate) fn may_have_lost(&self, place: usize) -> bool {
        let source = self.mapping.mailboxes[place].source.text();
        let Some(synced) = self.briefs.get(source).and_then(|brief| brief.synced.as_ref()) else { return false };
        let figures = self.source.get(source);
        let (Some(messages), Some(uid_next)) =
            (figures.and_then(|figures| figures.messages), figures.and_then(|figures| figures.uid_next))
        else {
            return true;
        };
        let arrived = u64::from(uid_next.0.saturating_sub(synced.uid_next.0));
        u64::from(messages) < u64::from(synced.exists) + arrived
    }
}
