//! Looking for messages that have left their mailboxes, before anything is copied: what was moved may be found again
//! among the arrivals of a mailbox that is passed earlier than the one it came from.

use crate::account::Run;
use crate::error::WalkError;
use crate::plan_run::Planned;
use crate::visits::Visited;

impl Run<'_> {
    /// Learns what has left the mailboxes that have lost messages.
    pub(crate) async fn survey(&mut self, planned: &Planned, visits: &[Visited]) -> Result<(), WalkError> {
        let losing = visits.iter().filter(|visit| planned.may_have_lost(visit.place)).count();
        tracing::debug!(losing, "mailboxes may have lost messages");
        Ok(())
    }
}

impl Planned {
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
