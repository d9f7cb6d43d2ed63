//! Agreeing with the ledger on which mailbox goes where, before anything is written.

use crate::account::Walk;
use crate::error::WalkError;
use mailhaul_plan::mailboxes::{AccountListing, MappedMailbox, Mapping, MappingChange, changed, map_mailboxes};
use mailhaul_types::Escaped;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Maps the mailboxes, and stops the run if an earlier run mapped them otherwise and the operator has not said that
/// this is meant. Also returns the source mailboxes that earlier runs knew and that are not listed any more.
pub(crate) async fn agree_on_mapping(
    walk: &Walk<'_>,
    source: &AccountListing,
    target: &AccountListing,
) -> Result<(Mapping, Vec<String>), WalkError> {
    let stored: BTreeMap<String, String> =
        walk.lease.mappings().await?.into_iter().map(|mapping| (mapping.source, mapping.target)).collect();
    let mapping = map_mailboxes(source, target, &walk.job.rules, &stored).map_err(|error| WalkError::Decision {
        reason: error.to_string(),
        hint: "give each of them a --map of its own, or leave one out with --exclude".to_owned(),
    })?;
    if !mapping.unused_rules.is_empty() {
        return Err(WalkError::Usage {
            reason: format!("{} fits no mailbox; nothing was done", Escaped(&mapping.unused_rules.join(", "))),
            hint: "names are compared exactly, with the source's delimiter; --dry-run lists them".to_owned(),
        });
    }
    let changes = changed(&stored, &mapping);
    if !changes.is_empty() && !walk.job.remap {
        return Err(WalkError::Decision {
            reason: describe(&changes),
            hint: "give the same --map options as before, or accept the new names with --remap: what the new \
                   mailboxes hold already is then adopted, and the old ones are left as they are"
                .to_owned(),
        });
    }
    for change in &changes {
        walk.lease.remap_mailbox(stored_mapping(&change.source, &change.now)).await?;
    }
    let new = mapping.mailboxes.iter().filter(|mapped| !stored.contains_key(mapped.source.text()));
    walk.lease.map_mailboxes(new.map(as_stored).collect()).await?;
    let here: BTreeSet<&str> = mapping
        .mailboxes
        .iter()
        .map(|mapped| mapped.source.text())
        .chain(mapping.left_out.iter().map(|left_out| left_out.source.text()))
        .collect();
    let vanished = stored.keys().filter(|source| !here.contains(source.as_str())).cloned().collect();
    Ok((mapping, vanished))
}

pub(crate) fn as_stored(mapped: &MappedMailbox) -> mailhaul_db::Mapping {
    stored_mapping(mapped.source.text(), &mapped.target_text)
}

fn stored_mapping(source: &str, target: &str) -> mailhaul_db::Mapping {
    mailhaul_db::Mapping { source: source.to_owned(), target: target.to_owned() }
}

fn describe(changes: &[MappingChange]) -> String {
    let mut text = "mailboxes would now be copied to other names than in an earlier run; nothing was done:".to_owned();
    for MappingChange { source, stored, now } in changes {
        let _ = write!(text, "\n  {}: was `{}`, would be `{}`", Escaped(source), Escaped(stored), Escaped(now));
    }
    text
}
