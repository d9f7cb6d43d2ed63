//! What has left source mailboxes in this run and has not been explained yet.
//!
//! The ledger remembers a message that left its mailbox: what it is recognised by, where its copy is, and which flags
//! both sides last had in common. As long as nobody knows what became of it, an arrival elsewhere may be that message.

use crate::error::WalkError;
use crate::walk::Walk;
use mailhaul_db::{MailboxBrief, MailboxLedger, Settled};
use mailhaul_plan::mailboxes::use_suggested_by;
use mailhaul_plan::steps::difference;
use mailhaul_types::{MailboxName, SpecialUse, Uid, UidSet, UidValidity};
use std::collections::{BTreeMap, BTreeSet};

/// Settled messages that have left their source mailboxes and have not been dealt with, as far as the run has looked.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    mailboxes: BTreeMap<String, Departed>,
    /// Source mailboxes for drafts, as far as it is known from more than their names.
    drafts: BTreeSet<String>,
    /// From which UID on messages of a source mailbox have arrived since a pass last came to its end there, when this
    /// run began.
    since: BTreeMap<String, Uid>,
    /// Arrivals that were explained in this run, by the source mailbox they arrived in.
    explained: BTreeMap<String, UidSet>,
}

/// What has left one mailbox.
#[derive(Debug)]
struct Departed {
    /// Where the copies are, or were.
    target: MailboxName,
    /// Not explained yet.
    open: UidSet,
    /// Explained by arrivals: moved on the target too, or left to the target's owner.
    followed: UidSet,
    /// What the ledger says of those in `open`, once it was asked.
    records: Option<Vec<Settled>>,
}

impl Departures {
    /// What a listing has shown to have left a source mailbox, without what earlier passes have dealt with. Replaces
    /// what was known of it; what was followed since stays followed.
    pub(crate) fn learn(&mut self, source: &MailboxName, target: &MailboxName, departed: &UidSet) {
        let entry = self.mailboxes.entry(source.text().to_owned()).or_insert_with(|| Departed {
            target: target.clone(),
            open: UidSet::new(),
            followed: UidSet::new(),
            records: None,
        });
        entry.target.clone_from(target);
        let open = difference(departed, &entry.followed);
        if open != entry.open {
            (entry.open, entry.records) = (open, None);
        }
    }

    /// Tells what is known when a run begins: the source mailboxes that hold drafts, and what earlier runs have left.
    pub(crate) fn begin<'b>(
        &mut self,
        drafts: impl IntoIterator<Item = String>,
        briefs: impl IntoIterator<Item = &'b MailboxBrief>,
    ) {
        self.drafts = drafts.into_iter().collect();
        let since = |brief: &MailboxBrief| brief.synced.as_ref().map_or(Uid(1), |synced| synced.uid_next);
        self.since = briefs.into_iter().map(|brief| (brief.mapping.source.clone(), since(brief))).collect();
    }

    /// From which UID on messages have arrived in a source mailbox that no earlier run has accounted for.
    pub(super) fn arrived_since(&self, source: &str) -> Uid {
        self.since.get(source).copied().unwrap_or(Uid(1))
    }

    /// Notes that it is known of an arrival which departed message it was.
    pub(super) fn explain(&mut self, source: &str, arrivals: &UidSet) {
        self.explained.entry(source.to_owned()).or_default().extend_ranges(arrivals);
    }

    /// Arrivals of which that is known.
    pub(super) fn explained(&self, source: &str) -> UidSet {
        self.explained.get(source).cloned().unwrap_or_default()
    }

    /// Whether a source mailbox holds drafts, by what was told when the run began or by its name.
    pub(crate) fn holds_drafts(&self, source: &str) -> bool {
        self.drafts.contains(source) || use_suggested_by(source) == Some(SpecialUse::Drafts)
    }

    /// What has left this mailbox, and was not found anywhere else.
    pub(crate) fn left(&self, source: &MailboxName) -> UidSet {
        self.open(source.text())
    }

    /// As [`Departures::left`], by the name as text.
    pub(super) fn open(&self, source: &str) -> UidSet {
        self.mailboxes.get(source).map(|departed| departed.open.clone()).unwrap_or_default()
    }

    /// Everything that has left this mailbox, as far as this run has seen, explained or not.
    pub(super) fn known(&self, source: &str) -> UidSet {
        let Some(departed) = self.mailboxes.get(source) else { return UidSet::new() };
        let mut known = departed.open.clone();
        known.extend_ranges(&departed.followed);
        known
    }

    /// Whether nothing is waiting for an explanation.
    pub(crate) fn is_empty(&self) -> bool {
        self.mailboxes.values().all(|departed| departed.open.is_empty())
    }

    /// The same knowledge of the account, for somebody who works on other mailboxes at the same time. To be asked while
    /// nothing is waiting for an explanation.
    pub(crate) fn for_strand(&self) -> Self {
        Self { drafts: self.drafts.clone(), since: self.since.clone(), ..Self::default() }
    }

    /// Adds what somebody has learned who worked on other mailboxes.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.mailboxes.extend(other.mailboxes);
        self.explained.extend(other.explained);
    }

    /// Takes messages out of what is to be explained.
    pub(super) fn follow(&mut self, source: &str, uids: &UidSet) {
        if let Some(departed) = self.mailboxes.get_mut(source) {
            departed.followed.extend_ranges(uids);
            departed.open = difference(&departed.open, uids);
            if let Some(records) = &mut departed.records {
                records.retain(|record| !uids.contains(record.source_uid));
            }
        }
    }

    /// The mailboxes with something to explain, and what the ledger says of it: first `own`, then the others by name.
    pub(super) async fn origins(
        &mut self,
        walk: &Walk<'_>,
        own: &str,
        briefs: &[MailboxBrief],
    ) -> Result<Vec<Origin>, WalkError> {
        let mut origins = Vec::new();
        for brief in briefs {
            let source = &brief.mapping.source;
            let open = self.mailboxes.get_mut(source).filter(|departed| !departed.open.is_empty());
            let Some(departed) = open else { continue };
            let ledger = walk.lease.mailbox(source).await?;
            let records = match &departed.records {
                Some(records) => records.clone(),
                None => {
                    let mut records = ledger.settled_in(&departed.open).await?;
                    records.retain(|record| record.key.is_some());
                    departed.records.insert(records).clone()
                }
            };
            let target = departed.target.clone();
            let (own, source, uid_validity) = (source == own, source.clone(), brief.target_uid_validity);
            origins.push(Origin { own, source, target, uid_validity, records, ledger });
        }
        origins.sort_by_key(|origin| !origin.own);
        Ok(origins)
    }
}

/// A mailbox that messages have left.
#[derive(Debug)]
pub(super) struct Origin {
    /// Whether it is the mailbox in which the arrivals are.
    pub(super) own: bool,
    /// Its name at the source.
    pub(super) source: String,
    /// Its name on the target.
    pub(super) target: MailboxName,
    /// The target UIDVALIDITY under which the records' target UIDs are meant.
    pub(super) uid_validity: Option<UidValidity>,
    /// What the ledger says of the departed messages that have a key, ascending by source UID.
    pub(super) records: Vec<Settled>,
    pub(super) ledger: MailboxLedger,
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_types::NameEncoding;

    fn set(uids: &[u32]) -> UidSet {
        uids.iter().copied().map(Uid).collect()
    }

    #[test]
    fn what_was_followed_is_not_to_be_explained_again() {
        let name = |text| MailboxName::from_text(text, NameEncoding::Utf8);
        let (inbox, archive) = (name("INBOX"), name("Archive"));
        let mut departures = Departures::default();
        assert!(departures.is_empty());
        departures.learn(&inbox, &inbox, &set(&[1, 2, 3]));
        departures.follow("INBOX", &set(&[2]));
        assert_eq!(departures.left(&inbox), set(&[1, 3]));
        departures.learn(&inbox, &inbox, &set(&[2, 3]));
        assert_eq!(departures.left(&inbox), set(&[3]));
        departures.follow("INBOX", &set(&[3]));
        assert!(departures.is_empty());
        assert!(departures.left(&archive).is_empty());
    }

    #[test]
    fn drafts_are_known_by_the_sources_word_or_by_their_name() {
        let mut departures = Departures::default();
        departures.begin(["Skizzen".to_owned()], []);
        for (name, expected) in [("Skizzen", true), ("INBOX.Drafts", true), ("Entwürfe", true), ("Archive", false)] {
            assert_eq!(departures.holds_drafts(name), expected, "{name}");
        }
    }
}
