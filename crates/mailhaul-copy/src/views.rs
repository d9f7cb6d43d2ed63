//! Servers that show only a part of a mailbox.

use crate::error::WalkError;
use crate::scan::Listing;
use crate::walk::{Links, Pair, Walk};

/// Whether what the source shows of a mailbox may be only a part of it, in words for people. Asked once everything that
/// it shows is copied; the source mailbox is selected.
pub(crate) async fn doubt(
    walk: &Walk<'_>,
    _links: &mut Links,
    pair: &Pair<'_>,
    listing: &Listing,
) -> Result<Option<String>, WalkError> {
    let accepted = walk.job.resync.accepted_views.iter().any(|name| name == pair.source.text());
    let told = pair.figures.and_then(|figures| figures.messages);
    tracing::trace!(mailbox = %pair.source, accepted, ?told, listed = listing.exists, "views are not judged");
    Ok(None)
}
