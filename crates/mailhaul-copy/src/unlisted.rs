//! Target mailboxes that earlier runs knew and that the target does not list.
//!
//! A list that lacks a mailbox proves nothing, also behind OK: a copy that is taken for deleted by its owner keeps its
//! old name when its source is renamed, and is looked at no more. So each of them is asked for by name, and what is
//! there after all is treated as if it had been listed.

use crate::error::{WalkError, on};
use crate::listing::{Listings, figures};
use crate::renames::evidence::has_something_left;
use crate::walk::Links;
use mailhaul_db::MailboxBrief;
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_plan::mailboxes::{AccountListing, MailboxEntry};
use mailhaul_types::{MailboxName, Side};
use std::collections::{BTreeMap, BTreeSet};

fn is_for_now(error: &ImapError) -> bool {
    matches!(error.class(), ErrorClass::Throttle | ErrorClass::Server)
}

/// Asks for what the target's list lacks of what `briefs` tell, and completes the list. Costs nothing where it lacks
/// nothing, and one STATUS for each mailbox that its owner has deleted.
pub(crate) async fn complete_target_list(
    links: &mut Links,
    listings: &mut Listings,
    briefs: &BTreeMap<String, MailboxBrief>,
) -> Result<(), WalkError> {
    for text in missing(listings, briefs) {
        let name = MailboxName::from_text(&text, links.target.name_encoding());
        let status = match links.target.status(&name).await {
            Ok(status) => status,
            // That it cannot say now is not the word that there is none.
            Err(error) if error.leaves_connection_usable() && !is_for_now(&error) => continue,
            Err(error) => return Err(on(Side::Target)(error)),
        };
        tracing::warn!(mailbox = %name, "the target does not list this mailbox, and has it");
        listings.target_figures.insert(text, figures(status));
        let entry = MailboxEntry {
            name,
            delimiter: delimiter(&listings.target),
            selectable: true,
            special_use: None,
            subscribed: false,
        };
        listings.target.mailboxes.push(entry);
    }
    Ok(())
}

/// Names of target mailboxes that were worked on, may be needed again, and are not listed.
fn missing(listings: &Listings, briefs: &BTreeMap<String, MailboxBrief>) -> BTreeSet<String> {
    let names = |listing: &AccountListing| -> BTreeSet<String> {
        listing.mailboxes.iter().map(|entry| entry.name.text().to_owned()).collect()
    };
    let (sources, targets) = (names(&listings.source), names(&listings.target));
    let is_needed = |brief: &&MailboxBrief| {
        brief.target_uid_validity.is_some()
            && (sources.contains(&brief.mapping.source) || brief.sent.is_some() || has_something_left(brief))
    };
    let wanted = briefs.values().filter(is_needed).map(|brief| &brief.mapping.target);
    // INBOX is always there, whatever a list says (RFC 9051 §5.1).
    wanted.filter(|name| !targets.contains(*name) && !name.eq_ignore_ascii_case("INBOX")).cloned().collect()
}

/// As the list has it, or the namespace.
fn delimiter(target: &AccountListing) -> Option<char> {
    let listed = target.mailboxes.iter().find_map(|entry| entry.delimiter);
    listed.or_else(|| target.namespaces.personal.first()?.delimiter)
}
