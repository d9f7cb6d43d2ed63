//! Agreeing with the ledger on which mailbox goes where, before anything is written.

use crate::error::WalkError;
use crate::walk::Walk;
use crate::words;
use mailhaul_db::MailboxBrief;
use mailhaul_plan::mailboxes::{AccountListing, LeftOutReason, MappedMailbox, Mapping, changed, map_renamed_mailboxes};
use mailhaul_report::StopCause;
use std::collections::{BTreeMap, BTreeSet};

/// What earlier runs say of the names.
pub(crate) struct Earlier {
    /// Source name → target name.
    pub(crate) stored: BTreeMap<String, String>,
    /// Source names whose target name stays although no rule leads there.
    pub(crate) kept: BTreeSet<String>,
}

impl Earlier {
    pub(crate) fn of<'a>(briefs: impl Iterator<Item = &'a MailboxBrief> + Clone) -> Self {
        let pair = |brief: &MailboxBrief| (brief.mapping.source.clone(), brief.mapping.target.clone());
        let kept = briefs.clone().filter(|brief| brief.name_kept).map(|brief| brief.mapping.source.clone());
        Self { stored: briefs.map(pair).collect(), kept: kept.collect() }
    }
}

/// Maps the mailboxes, and stops the run if an earlier run mapped them otherwise and the operator has not said that
/// this is meant. Also returns the source mailboxes that earlier runs knew and that are not listed any more.
pub(crate) async fn agree_on_mapping(
    walk: &Walk<'_>,
    source: &AccountListing,
    target: &AccountListing,
    briefs: &mut BTreeMap<String, MailboxBrief>,
) -> Result<(Mapping, Vec<String>), WalkError> {
    let Earlier { stored, kept } = Earlier::of(briefs.values());
    let mapping = map_renamed_mailboxes(source, target, &walk.job.rules, &stored, &kept).map_err(|error| {
        WalkError::Decision { cause: StopCause::Brake, reason: error.to_string(), hint: words::MERGED_HINT.to_owned() }
    })?;
    if !mapping.unused_rules.is_empty() {
        return Err(WalkError::Usage {
            reason: words::unused_rules(&mapping),
            hint: words::UNUSED_RULES_HINT.to_owned(),
        });
    }
    let changes = changed(&stored, &mapping);
    if !changes.is_empty() && !walk.job.remap {
        return Err(WalkError::Decision {
            cause: StopCause::Brake,
            reason: words::changed_mapping(&changes),
            hint: words::CHANGED_MAPPING_HINT.to_owned(),
        });
    }
    for change in &changes {
        walk.lease.remap_mailbox(stored_mapping(&change.source, &change.now)).await?;
        // Nothing is settled under the new name.
        briefs.remove(&change.source);
    }
    let new = mapping.mailboxes.iter().filter(|mapped| !stored.contains_key(mapped.source.text()));
    let new: Vec<_> = new.map(as_stored).collect();
    if !new.is_empty() {
        walk.lease.map_mailboxes(new).await?;
    }
    // A mailbox that was deleted, and is listed on because it holds others, holds no messages any more.
    let left_out = mapping.left_out.iter().filter(|left_out| left_out.reason != LeftOutReason::NotSelectable);
    let left_out = left_out.map(|left_out| left_out.source.text());
    let here: BTreeSet<&str> = mapping.mailboxes.iter().map(|mapped| mapped.source.text()).chain(left_out).collect();
    let vanished = stored.keys().filter(|source| !here.contains(source.as_str())).cloned().collect();
    Ok((mapping, vanished))
}

pub(crate) fn as_stored(mapped: &MappedMailbox) -> mailhaul_db::Mapping {
    stored_mapping(mapped.source.text(), &mapped.target_text)
}

fn stored_mapping(source: &str, target: &str) -> mailhaul_db::Mapping {
    mailhaul_db::Mapping { source: source.to_owned(), target: target.to_owned() }
}
