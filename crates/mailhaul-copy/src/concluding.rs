//! What is concluded from messages that have left their mailboxes and were not found in another, once every mailbox was
//! passed.
//!
//! A message that is moved while a run is at work can be seen leaving and not be seen arriving: the mailbox that it
//! went to was looked at before. A server shows the arrival no later than the departure, so one more look at the figures
//! of all mailboxes, after the last pass, tells whether there is anything that no pass has seen. If one of these messages
//! has the key of one that has left, nothing is concluded about the mailbox that it left: the next run sees both ends of
//! the move.

use crate::account::Run;
use crate::bounds;
use crate::deletions::apply_deletions;
use crate::error::{WalkError, on};
use crate::listing::list_again;
use crate::pass::PassEnd;
use crate::passes::Held;
use crate::pause;
use crate::plan_run::Planned;
use crate::tail::read_known;
use crate::tally::Tally;
use crate::walk::Pair;
use crate::words;
use mailhaul_db::MailboxLedger;
use mailhaul_plan::mailboxes::LeftOutReason;
use mailhaul_plan::policy::DeletionPolicy;
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::{difference, is_mass_absence};
use mailhaul_plan::visits::Figures;
use mailhaul_report::count_of;
use mailhaul_types::{MailboxName, MessageKey, NameEncoding, Side, Uid, UidRange, UidSet, UidValidity, escape};
use std::collections::{BTreeMap, BTreeSet};

/// Up to where a mailbox was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    pub(crate) uid_validity: Option<UidValidity>,
    /// Every message below it was listed; `None` if the source does not tell.
    pub(crate) uid_next: Option<Uid>,
}

impl Run<'_> {
    /// Deals with what has left its mailbox and was not found in another, once every mailbox was passed, and files
    /// what was held until then.
    pub(crate) async fn settle_departures(&mut self, planned: &Planned) -> Result<(), WalkError> {
        let unseen = match self.all_passed && self.is_anything_unexplained(planned) {
            true => self.look_once_more(planned).await?,
            false => Unseen::default(),
        };
        self.held.reverse();
        while let Some(held) = self.held.pop() {
            self.settle_one(planned, held, &unseen).await?;
        }
        if self.all_passed {
            for source in &planned.vanished {
                self.settle_vanished(planned, source, &unseen).await?;
            }
        }
        Ok(())
    }

    /// Deals with what was in a mailbox that is not there any more. Looked for once among what arrives elsewhere; not
    /// for ever.
    async fn settle_vanished(&mut self, planned: &Planned, source: &str, unseen: &Unseen) -> Result<(), WalkError> {
        let ledger = self.walk.lease.mailbox(source).await?;
        let state = ledger.load().await?;
        let left = difference(&state.settled, &state.departed);
        if left.is_empty() || unseen.may_hold(&ledger, &left).await?.is_some() {
            return Ok(());
        }
        if self.walk.job.resync.deletions == DeletionPolicy::Mirror {
            let target = state.mapping.target;
            let mut tally = Tally::default();
            let encoding = self.connected().await?.target.name_encoding();
            let pair =
                (&MailboxName::from_text(source, NameEncoding::Utf8), &MailboxName::from_text(&target, encoding));
            let result = self.delete(planned, pair, &mut tally, &left).await;
            let done = result.is_ok();
            self.summary.vanished_mirrored(pair, &tally, result)?;
            if !done {
                return Ok(());
            }
        }
        Ok(ledger.add_departed(left).await?)
    }

    async fn settle_one(&mut self, planned: &Planned, mut held: Held, unseen: &Unseen) -> Result<(), WalkError> {
        let left = self.departures.left(&held.mapped.source);
        let present = difference(&held.end.settled, &left);
        let ledger = self.walk.lease.mailbox(held.mapped.source.text()).await?;
        let elsewhere = unseen.may_hold(&ledger, &left).await?;
        let concludes = self.all_passed && elsewhere.is_none();
        let result = if let Some(elsewhere) = elsewhere {
            self.leave_open(&mut held, &left, &elsewhere);
            Ok(())
        } else if is_mass_absence(&present, &held.end.settled) && !self.walk.job.accept_mass_absence {
            let words = words::mass_absence(held.tally.listed.len(), held.end.settled.len());
            Err(WalkError::MailboxDecision(words))
        } else if concludes && !left.is_empty() {
            let mapped = &planned.mapping.mailboxes[held.place];
            let encoding = self.connected().await?.target.name_encoding();
            let pair = (&mapped.source, &mapped.target_name(encoding));
            self.delete(planned, pair, &mut held.tally, &left).await
        } else {
            Ok(())
        };
        let result = result.map(|()| {
            let synced = held.end.synced.take().filter(|_| concludes).map(|mut synced| {
                synced.departed.extend_ranges(&held.end.departed);
                synced
            });
            PassEnd { synced, ..PassEnd::default() }
        });
        self.file(&held.mapped, &held.target, &held.tally, result).await
    }

    fn leave_open(&self, held: &mut Held, left: &UidSet, elsewhere: &str) {
        tracing::info!(mailbox.name = %held.mapped.source, left = left.len(), elsewhere, "what became of messages that \
            have left it is found out by the next run");
        if self.walk.job.resync.deletions != DeletionPolicy::Ignore {
            let text = format!(
                "the copies of {} that have left it at the source stay for now: {elsewhere}, and the next run finds out \
                 whether they were moved there",
                count_of(left.len(), "message")
            );
            held.tally.note("deletions", text, left.len());
        }
    }

    fn is_anything_unexplained(&self, planned: &Planned) -> bool {
        let open = |source: &String| {
            planned.briefs.get(source).is_some_and(|brief| brief.counts.total() > brief.departed.len())
        };
        let left = |held: &Held| !self.departures.left(&held.mapped.source).is_empty();
        planned.vanished.iter().any(open) || self.held.iter().any(left)
    }

    /// What has arrived at the source that no pass has seen.
    async fn look_once_more(&mut self, planned: &Planned) -> Result<Unseen, WalkError> {
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        loop {
            match self.look_for_unseen(planned).await {
                Ok(unseen) => return Ok(unseen),
                Err(error) => self.recover(error, &mut pauses, true).await?,
            }
        }
    }

    async fn look_for_unseen(&mut self, planned: &Planned) -> Result<Unseen, WalkError> {
        let (names, figures) = self.list_once_more().await?;
        let arrived = match arrived_unseen(planned, &self.passed, &names, &figures) {
            Ok(arrived) => arrived,
            Err(words) => return Ok(Unseen::Unknown(words)),
        };
        let walk = self.walk;
        let mut keys = BTreeMap::new();
        for (source, range) in arrived {
            let words = format!("mail has arrived in {source} meanwhile");
            let links = self.connected().await?;
            let mut uids = UidSet::new();
            uids.insert_range(range);
            if uids.len() > bounds::UNSEEN_AT_ONCE {
                return Ok(Unseen::Unknown(words));
            }
            match links.source.examine(source).await {
                Ok(_) => {}
                Err(error) if error.leaves_connection_usable() => return Ok(Unseen::Unknown(words)),
                Err(error) => return Err(on(Side::Source)(error)),
            }
            let place = walk.place(source.text(), Side::Source);
            let found = match read_known(&mut links.source, place, &walk.keys, &uids, |_| true).await {
                Ok(found) => found,
                Err(WalkError::Mailbox(_)) => return Ok(Unseen::Unknown(words)),
                Err(error) => return Err(error),
            };
            keys.extend(found.iter().filter_map(|known| Some((known.candidate.key?, words.clone()))));
        }
        Ok(Unseen::Keys(keys))
    }

    async fn list_once_more(&mut self) -> Result<(BTreeSet<String>, BTreeMap<String, Figures>), WalkError> {
        let links = self.connected().await?;
        let (listing, figures) = list_again(links).await?;
        let selectable = listing.mailboxes.into_iter().filter(|entry| entry.selectable);
        Ok((selectable.map(|entry| entry.name.text().to_owned()).collect(), figures))
    }

    /// Hands deletions over, in a mailbox by its names at the source and on the target.
    async fn delete(
        &mut self,
        planned: &Planned,
        (source, target): (&MailboxName, &MailboxName),
        tally: &mut Tally,
        left: &UidSet,
    ) -> Result<(), WalkError> {
        let walk = self.walk;
        if walk.job.resync.deletions == DeletionPolicy::Ignore {
            return Ok(());
        }
        if let Some(why) = may_be_where_nobody_looks(planned, &walk.job.selection) {
            let text = format!(
                "the copies of {} that have left it at the source stay: {why}, and they may have been moved there",
                count_of(left.len(), "message")
            );
            tally.note("deletions", text, left.len());
            return Ok(());
        }
        let mut pauses = pause::reconnects(walk.supervisor.reconnects());
        loop {
            let drafts = self.departures.holds_drafts(source.text());
            let links = self.connected().await?;
            let ledger = walk.lease.mailbox(source.text()).await?;
            let figures = planned.source.get(source.text());
            let pair = Pair { source, target, target_is_missing: false, ledger: &ledger, figures, drafts };
            let error = match apply_deletions(walk, links, &pair, tally, left).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.recover(error, &mut pauses, true).await?;
        }
    }
}

/// Why a message that has left its mailbox may still be at the source although no pass has seen it arrive.
fn may_be_where_nobody_looks(planned: &Planned, selection: &Selection) -> Option<String> {
    if *selection != Selection::default() {
        return Some("messages are left out of this copy".to_owned());
    }
    let left_out = planned.mapping.left_out.iter().find(|left_out| left_out.reason != LeftOutReason::NotSelectable)?;
    Some(format!("mailboxes are left out of this copy ({} among them)", left_out.source))
}

/// What has arrived at the source since it was looked at.
enum Unseen {
    /// Messages with these keys, and where in words.
    Keys(BTreeMap<MessageKey, String>),
    /// Nobody can tell, and why.
    Unknown(String),
}

impl Default for Unseen {
    fn default() -> Self {
        Self::Keys(BTreeMap::new())
    }
}

impl Unseen {
    /// Where one of these departed messages may be, in words.
    async fn may_hold(&self, ledger: &MailboxLedger, departed: &UidSet) -> Result<Option<String>, WalkError> {
        match self {
            _ if departed.is_empty() => Ok(None),
            Self::Unknown(words) => Ok(Some(words.clone())),
            Self::Keys(keys) if keys.is_empty() => Ok(None),
            Self::Keys(keys) => {
                let records = ledger.settled_in(departed).await?;
                Ok(records.iter().filter_map(|record| record.key).find_map(|key| keys.get(&key).cloned()))
            }
        }
    }
}

/// Where mail has arrived since the mailbox's pass, or since the source was listed if it was not visited. An error, in
/// words, if that cannot be told: a mailbox is new, or nothing is known of one.
fn arrived_unseen<'p>(
    planned: &'p Planned,
    passed: &BTreeMap<String, Seen>,
    names: &BTreeSet<String>,
    now: &BTreeMap<String, Figures>,
) -> Result<Vec<(&'p MailboxName, UidRange)>, String> {
    let mapped = planned.mapping.mailboxes.iter().map(|mapped| &mapped.source);
    let left_out = planned.mapping.left_out.iter().map(|left_out| &left_out.source);
    let known: BTreeSet<&str> = mapped.clone().chain(left_out).map(MailboxName::text).collect();
    if let Some(new) = names.iter().find(|name| !known.contains(name.as_str())) {
        return Err(format!("{} is a new mailbox at the source", escape(new)));
    }
    let mut arrived = Vec::new();
    for source in mapped {
        let seen = |figures: &Figures| Seen { uid_validity: figures.uid_validity, uid_next: figures.uid_next };
        let then = passed.get(source.text()).copied().or_else(|| planned.source.get(source.text()).map(seen));
        let now = now.get(source.text()).map(seen).unwrap_or_default();
        match since(then.unwrap_or_default(), now) {
            Ok(None) => {}
            Ok(Some(range)) => arrived.push((source, range)),
            Err(()) => return Err(format!("it is not known what has arrived in {source} meanwhile")),
        }
    }
    Ok(arrived)
}

/// The UIDs that a mailbox has given out between two looks, if both tell.
fn since(then: Seen, now: Seen) -> Result<Option<UidRange>, ()> {
    if then.uid_validity.is_none() || then.uid_validity != now.uid_validity {
        return Err(());
    }
    let (Some(first), Some(next)) = (then.uid_next, now.uid_next) else { return Err(()) };
    Ok((first < next).then(|| UidRange { first, last: Uid(next.0 - 1) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_is_known_only_if_both_looks_tell() {
        let seen = |uid_validity: u32, uid_next: u32| Seen {
            uid_validity: Some(UidValidity(uid_validity)),
            uid_next: Some(Uid(uid_next)),
        };
        let range = |first, last| Ok(Some(UidRange { first: Uid(first), last: Uid(last) }));
        let then = seen(7, 10);
        assert_eq!(since(then, seen(7, 10)), Ok(None));
        assert_eq!(since(then, seen(7, 11)), range(10, 10));
        assert_eq!(since(then, seen(7, 20)), range(10, 19));
        assert_eq!(since(then, seen(8, 10)), Err(()));
        assert_eq!(since(then, Seen { uid_next: None, ..then }), Err(()));
        assert_eq!(since(Seen { uid_validity: None, ..then }, Seen { uid_validity: None, ..then }), Err(()));
        assert_eq!(since(then, Seen::default()), Err(()));
    }
}
