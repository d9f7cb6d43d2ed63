//! The first phase of a run: what both sides show, what earlier runs knew, and which mailbox goes where.

use crate::account::Run;
use crate::error::{LinkError, WalkError};
use crate::listing::{Listings, list_both};
use crate::mapping::agree_on_mapping;
use crate::pause;
use crate::renames::evidence::has_something_left;
use crate::renames::{Renamed, follow_renames};
use crate::unlisted::complete_target_list;
use mailhaul_db::MailboxBrief;
use mailhaul_plan::mailboxes::{AccountListing, LeftOutReason, MappedMailbox, Mapping, use_suggested_by};
use mailhaul_plan::visits::Figures;
use mailhaul_types::{MailboxName, Side, SpecialUse};
use std::collections::{BTreeMap, BTreeSet};

/// What a run knows before it works on the first mailbox.
#[derive(Clone)]
pub(crate) struct Planned {
    /// What the source tells of its mailboxes along with their list, by name as text.
    pub(crate) source: BTreeMap<String, Figures>,
    /// The same of the target.
    pub(crate) target: BTreeMap<String, Figures>,
    /// Names of the target mailboxes that are subscribed.
    pub(crate) subscribed: BTreeSet<String>,
    pub(crate) mapping: Mapping,
    /// What earlier runs have left in the ledger, by source mailbox.
    pub(crate) briefs: BTreeMap<String, MailboxBrief>,
    /// Source mailboxes that earlier runs knew and that are not listed any more. Once the rest was told: only those that
    /// are proved not to be there.
    pub(crate) vanished: Vec<String>,
    /// Source mailboxes whose mail stands among drafts, by the word of either side or by the target's name: a rule may
    /// lead any mailbox there.
    pub(crate) drafts: BTreeSet<String>,
}

impl Planned {
    /// MESSAGES of a source mailbox, if the source told them.
    pub(crate) fn messages(&self, source: &MailboxName) -> Option<u32> {
        self.source.get(source.text())?.messages
    }

    /// The source mailboxes that are copied, with their places in the mapping.
    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = (usize, &MappedMailbox)> {
        self.mapping.mailboxes.iter().enumerate()
    }
}

/// What earlier runs have left in the ledger, by source mailbox.
pub(crate) fn by_source(briefs: Vec<MailboxBrief>) -> BTreeMap<String, MailboxBrief> {
    briefs.into_iter().map(|brief| (brief.mapping.source.clone(), brief)).collect()
}

/// See [`Planned::drafts`].
fn for_drafts(mapping: &Mapping, target: &AccountListing) -> BTreeSet<String> {
    let announced = target.mailboxes.iter().filter(|entry| entry.special_use == Some(SpecialUse::Drafts));
    let announced: BTreeSet<&str> = announced.map(|entry| entry.name.text()).collect();
    let is_for_drafts = |mapped: &&MappedMailbox| {
        mapped.special_use == Some(SpecialUse::Drafts)
            || announced.contains(mapped.target_text.as_str())
            || use_suggested_by(&mapped.target_text) == Some(SpecialUse::Drafts)
    };
    mapping.mailboxes.iter().filter(is_for_drafts).map(|mapped| mapped.source.text().to_owned()).collect()
}

impl Run<'_> {
    /// Signs in, lists both sides, and settles which mailbox goes where.
    pub(crate) async fn plan(&mut self) -> Result<Planned, WalkError> {
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        loop {
            match self.try_to_plan().await {
                Ok(planned) => return Ok(planned),
                Err(error) => self.recover(error, &mut pauses, true).await?,
            }
        }
    }

    async fn try_to_plan(&mut self) -> Result<Planned, WalkError> {
        let walk = self.walk;
        let mut links = self.connected_to_list().await?;
        walk.progress.doing("looking for changes".to_owned());
        let mut listings = list_both(links).await?;
        let mut briefs = by_source(walk.lease.overview().await?);
        complete_target_list(links, &mut listings, &briefs).await?;
        let is_missing = |brief: &MailboxBrief| {
            !listings.source_figures.contains_key(&brief.mapping.source) && has_something_left(brief)
        };
        if briefs.values().any(is_missing) {
            // Looking for renamed mailboxes opens some, and then it is too late to ask.
            links = self.connected_for_changes().await?;
        }
        let renamed = match walk.job.recognise_only {
            true => Renamed::default(),
            false => follow_renames(walk, links, &listings, &briefs).await?,
        };
        if renamed.any {
            briefs = by_source(walk.lease.overview().await?);
        }
        if renamed.target_changed {
            listings = list_both(links).await?;
            complete_target_list(links, &mut listings, &briefs).await?;
        }
        let (mapping, vanished) = agree_on_mapping(walk, &listings.source, &listings.target, &mut briefs).await?;
        self.summary.remark_all(renamed.remarks);
        self.summary.remark_on_mapping(&mapping);
        let Listings { target, source_figures, target_figures, .. } = listings;
        let subscribed = target.mailboxes.iter().filter(|entry| entry.subscribed);
        let subscribed = subscribed.map(|entry| entry.name.text().to_owned()).collect();
        let drafts = for_drafts(&mapping, &target);
        Ok(Planned { source: source_figures, target: target_figures, subscribed, mapping, briefs, vanished, drafts })
    }

    /// Says what is not copied: what is left out, and what is not there any more.
    pub(crate) async fn tell_of_the_rest(&mut self, planned: &mut Planned) -> Result<(), WalkError> {
        self.summary.keep_order(planned.mailboxes().map(|(_, mapped)| mapped.source.to_string()));
        for left_out in &planned.mapping.left_out {
            let wanted = left_out.reason != LeftOutReason::NotSelectable;
            let messages = match planned.messages(&left_out.source) {
                Some(messages) => Some(messages),
                None if wanted => self.messages_at_source(&left_out.source).await?,
                None => None,
            };
            self.summary.leave_out(&left_out.source, &left_out.reason, messages);
        }
        self.look_at_vanished(planned).await
    }

    /// STATUS MESSAGES; `None` if the server will not say.
    async fn messages_at_source(&mut self, name: &MailboxName) -> Result<Option<u32>, WalkError> {
        let links = self.connected().await?;
        match links.source.status(name).await {
            Ok(status) => Ok(status.messages),
            Err(error) if error.leaves_connection_usable() => Ok(None),
            Err(error) => Err(WalkError::Link(LinkError::new(Side::Source, error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::for_drafts;
    use mailhaul_plan::mailboxes::{AccountListing, MailboxEntry, MappingRules, map_mailboxes};
    use mailhaul_types::{MailboxName, NameEncoding, SpecialUse};
    use std::collections::{BTreeMap, BTreeSet};

    fn listing(entries: &[(&str, Option<SpecialUse>)]) -> AccountListing {
        let entry = |(name, special_use): &(&str, Option<SpecialUse>)| MailboxEntry {
            name: MailboxName::from_text(name, NameEncoding::Utf8),
            delimiter: Some('/'),
            selectable: true,
            special_use: *special_use,
            subscribed: false,
        };
        AccountListing { mailboxes: entries.iter().map(entry).collect(), ..AccountListing::default() }
    }

    #[test]
    fn mail_stands_among_drafts_by_the_word_of_either_side_or_by_the_name_that_a_rule_gives_it() {
        let drafts = Some(SpecialUse::Drafts);
        let source = listing(&[("INBOX", None), ("Skizzen", drafts), ("Half", None), ("Later", None)]);
        let target = listing(&[("INBOX", None), ("Unsent", drafts)]);
        let map = [("Half", "Unsent/Half"), ("Later", "Old/Drafts")];
        let map = map.map(|(old, new)| (old.to_owned(), new.to_owned())).to_vec();
        let rules = MappingRules { map, ..MappingRules::default() };
        let mapping = map_mailboxes(&source, &target, &rules, &BTreeMap::new()).expect("rules that can be followed");
        let expected: BTreeSet<String> = ["Skizzen", "Later"].map(str::to_owned).into();
        assert_eq!(for_drafts(&mapping, &target), expected);
        let rules = MappingRules { map: vec![("Half".to_owned(), "Unsent".to_owned())], ..MappingRules::default() };
        let source = listing(&[("INBOX", None), ("Half", None)]);
        let mapping = map_mailboxes(&source, &target, &rules, &BTreeMap::new()).expect("rules that can be followed");
        assert_eq!(for_drafts(&mapping, &target), ["Half".to_owned()].into());
    }
}
