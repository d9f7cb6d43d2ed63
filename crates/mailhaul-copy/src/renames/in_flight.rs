//! A mailbox that was renamed before anything of it was settled, while copies of it may stand on the target whose answers
//! were lost. Taken for a new mailbox it would be copied once more, and those copies would stay under the old name.

use crate::error::WalkError;
use crate::recognise::{Turn, match_in_turn};
use crate::tail::{listed_in, target_uid_next};
use crate::walk::{Links, Walk};
use mailhaul_db::MailboxBrief;
use mailhaul_imap::ImapError;
use mailhaul_plan::renames::{SAMPLE_MESSAGES_MAX, spread};
use mailhaul_plan::tail::tail_range;
use mailhaul_types::{MailboxName, Side, UidSet};

/// Whether what stands on the target above the mark is what the candidate holds under the UIDs that were on their way; a
/// sample of it decides. The candidate is selected at the source.
pub(super) async fn holds_what_was_sent(
    walk: &Walk<'_>,
    links: &mut Links,
    brief: &MailboxBrief,
) -> Result<bool, WalkError> {
    let (Some(sent), Some(mark)) = (brief.sent, brief.target_mark) else { return Ok(false) };
    let name = MailboxName::from_text(&brief.mapping.target, links.target.name_encoding());
    let opened = match links.target.examine(&name).await {
        Ok(opened) => opened,
        Err(error) => return cannot_be_read(error),
    };
    if opened.uid_validity.is_none() || opened.uid_validity != brief.target_uid_validity {
        return Ok(false);
    }
    let uid_next = match opened.uid_next {
        Some(uid_next) => uid_next,
        None => target_uid_next(links, &name, mark).await?,
    };
    let Some(tail) = tail_range(mark, uid_next) else { return Ok(false) };
    let landed = spread(&listed_in(&mut links.target, Side::Target, &set_of(tail)).await?, SAMPLE_MESSAGES_MAX);
    let ours = listed_in(&mut links.source, Side::Source, &set_of(sent)).await?;
    let Links { source, target } = links;
    // All of it was sent, so that it does not matter whether these are drafts.
    let turns = [Turn::sent(&ours)];
    let matched =
        match_in_turn(source, target, walk.recognition(&brief.mapping.source, false), &landed, &turns).await?.found;
    Ok(!landed.is_empty() && matched.len() as u64 == landed.len())
}

fn set_of(range: mailhaul_types::UidRange) -> UidSet {
    let mut uids = UidSet::new();
    uids.insert_range(range);
    uids
}

fn cannot_be_read(error: ImapError) -> Result<bool, WalkError> {
    match crate::error::mailbox_error(Side::Target, error) {
        WalkError::Mailbox(_) => Ok(false),
        other => Err(other),
    }
}
