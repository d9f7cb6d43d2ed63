//! Copies whose originals were deleted at the source.
//!
//! Called once every mailbox was passed: only then a message that is missing here cannot be one that has just been
//! moved there. Everything here may be broken off and done again: a flag is set twice, a copy that is not there any
//! more is not there to be removed. What has departed is recorded by the caller behind it.

mod sentences;
mod trash;

use crate::error::{WalkError, mailbox_error};
use crate::moves::relocate::{Relocated, deleted, portions, refusal, relocate, remove};
use crate::shared_copies::copies_in_use;
use crate::tail::present_in;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::{Settled, SettledState};
use mailhaul_imap::{ImapError, StoreMode};
use mailhaul_plan::brake::is_too_much;
use mailhaul_plan::moves::{Way, way_to_move};
use mailhaul_plan::policy::DeletionPolicy;
use mailhaul_plan::steps::difference;
use mailhaul_types::{MailboxName, Side, SystemFlag, Uid, UidSet};
use sentences::{deleted_at_source, refused, stays, too_many};
use std::collections::BTreeMap;
use trash::find_trash;

/// Refuses what nobody can mean: to remove copies from accounts whose users work in them.
pub(crate) fn refuse_mirror_after_switch(walk: &Walk<'_>) -> Result<(), WalkError> {
    if walk.job.resync.deletions == DeletionPolicy::Mirror && walk.job.resync.switched {
        return Err(WalkError::Usage {
            reason: "--deletions mirror removes copies, and --switched says that users work on the target; nothing \
                     was done"
                .to_owned(),
            hint: "after the switch nothing is deleted any more: leave --deletions out".to_owned(),
        });
    }
    Ok(())
}

/// Does with the copies of `departed` what the operator has decided. Called once every mailbox was passed; both
/// mailboxes of the pair may have to be selected.
pub(crate) async fn apply_deletions(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    departed: &UidSet,
) -> Result<(), WalkError> {
    let policy = walk.job.resync.deletions;
    if policy == DeletionPolicy::Ignore || departed.is_empty() {
        return Ok(());
    }
    refuse_mirror_after_switch(walk)?;
    if walk.job.resync.switched {
        let text = stays(departed.len(), "nothing is deleted after the switch");
        tally.note("deletions", text, departed.len());
        return Ok(());
    }
    let Some(copies) = find_copies(walk, links, pair, tally, departed).await? else { return Ok(()) };
    if copies.present.is_empty() || !(walk.lease.is_valid() && walk.supervisor.may_write()) {
        return Ok(());
    }
    walk.doing(pair, "handing deletions over");
    match policy {
        DeletionPolicy::Ignore => Ok(()),
        DeletionPolicy::Flag => mark(links, tally, &copies).await,
        DeletionPolicy::Trash => throw_away(walk, links, pair, tally, &copies).await,
        DeletionPolicy::Mirror => take_away(links, tally, &copies).await,
    }
}

/// What there is to be deleted.
struct Copies {
    /// By target UID, those that are there.
    present: BTreeMap<Uid, Settled>,
    /// Whether the target can keep `\Deleted`.
    can_mark: bool,
}

impl Copies {
    fn targets(&self, wanted: impl Fn(&Settled) -> bool) -> UidSet {
        self.present.iter().filter(|(_, row)| wanted(row)).map(|(uid, _)| *uid).collect()
    }

    fn sources(&self, targets: &UidSet) -> UidSet {
        targets.iter().filter_map(|uid| self.present.get(&uid)).map(|row| row.source_uid).collect()
    }
}

/// Asks the ledger for the copies, the brake whether they are too many, and the target which of them are there.
async fn find_copies(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    departed: &UidSet,
) -> Result<Option<Copies>, WalkError> {
    let state = pair.ledger.load().await?;
    let rows = pair.ledger.settled_in(&difference(departed, &state.departed)).await?;
    let mailbox = difference(&state.settled, &state.departed).len();
    let brake = walk.job.resync.deletion_brake;
    if is_too_much(brake, rows.len() as u64, mailbox) {
        return Err(WalkError::MailboxDecision(too_many(rows.len() as u64, mailbox, brake)));
    }
    let opened = match links.target.select(pair.target).await {
        Ok(opened) => opened,
        // Its owner has deleted the whole mailbox, and the copies with it.
        Err(ImapError::Refused { status, .. }) if status.code_name().as_deref() == Some("NONEXISTENT") => {
            return Ok(None);
        }
        Err(error) => return Err(mailbox_error(Side::Target, error)),
    };
    if opened.read_only || opened.uid_validity.is_none() || opened.uid_validity != state.target_uid_validity {
        let number = rows.len() as u64;
        tally.note("deletions", stays(number, "the target mailbox is another one by now"), number);
        return Ok(None);
    }
    let mut gone = departed.clone();
    gone.extend_ranges(&state.departed);
    let spared = copies_in_use(pair.ledger, &gone, &rows).await?;
    if !spared.is_empty() {
        let text = stays(spared.len(), "they may stand for messages that are still at the source");
        tally.note("in use", text, spared.len());
    }
    let mut present: BTreeMap<Uid, Settled> = rows.into_iter().filter_map(|row| Some((row.target_uid?, row))).collect();
    present.retain(|uid, _| !spared.contains(*uid));
    let all = present.len();
    present.retain(|_, row| row.state != SettledState::Likely);
    let likely = (all - present.len()) as u64;
    if likely > 0 {
        let text = stays(
            likely,
            "the target had numbered the mailbox anew, and they were found there again by their keys alone: they may be \
             other mail",
        );
        tally.note("likely", text, likely);
    }
    let there = present_in(&mut links.target, &present.keys().copied().collect()).await?;
    present.retain(|uid, _| there.contains(*uid));
    let can_mark = opened.permanent_flags.flags.contains(SystemFlag::Deleted);
    Ok(Some(Copies { present, can_mark }))
}

/// `--deletions flag`.
async fn mark(links: &mut Links, tally: &mut Tally, copies: &Copies) -> Result<(), WalkError> {
    let uids = copies.targets(|_| true);
    if !copies.can_mark {
        return Err(cannot(uids.len(), "the target keeps no \\Deleted in this mailbox"));
    }
    match links.target.store_flags(&uids, StoreMode::Add, &deleted()).await {
        Ok(()) => done(tally, copies, &uids, "marked as \\Deleted"),
        Err(error) => return Err(WalkError::Mailbox(refused(uids.len(), &refusal(error)?))),
    }
    Ok(())
}

/// `--deletions mirror`: only what mailhaul has put there.
async fn take_away(links: &mut Links, tally: &mut Tally, copies: &Copies) -> Result<(), WalkError> {
    let ours = copies.targets(|row| row.state == SettledState::Copied);
    let found = copies.targets(|row| row.state != SettledState::Copied);
    if !found.is_empty() {
        let text = stays(
            found.len(),
            "they were on the target before, or were found there again without proof that mailhaul wrote them",
        );
        tally.note("not deleted", text, found.len());
    }
    if ours.is_empty() {
        return Ok(());
    }
    if !links.target.capabilities().uidplus() {
        return Err(cannot(ours.len(), "the target cannot remove single messages (no UIDPLUS)"));
    }
    match remove(&mut links.target, &ours).await? {
        None => done(tally, copies, &ours, "removed"),
        Some(words) => return Err(WalkError::Mailbox(refused(ours.len(), &words))),
    }
    Ok(())
}

/// `--deletions trash`.
async fn throw_away(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    copies: &Copies,
) -> Result<(), WalkError> {
    let uids = copies.targets(|_| true);
    let Some(trash) = find_trash(walk, links).await? else {
        return Err(cannot(uids.len(), "the target has no mailbox for trash"));
    };
    if trash.text() == pair.target.text() {
        let text = stays(uids.len(), "they are in the target's trash already");
        tally.note("deletions", text, uids.len());
        return Ok(());
    }
    let capabilities = links.target.capabilities();
    let (has_move, has_uidplus) = (capabilities.move_(), capabilities.uidplus());
    let way = |row: &Settled| way_to_move(has_move, has_uidplus, row.state == SettledState::Copied);
    let stuck = copies.targets(|row| way(row).is_none());
    if !stuck.is_empty() {
        tally.note("not deleted", stays(stuck.len(), "the target cannot move them"), stuck.len());
    }
    for by in [Way::Move, Way::CopyAndExpunge] {
        let uids: Vec<Uid> = copies.targets(|row| way(row) == Some(by)).iter().collect();
        for portion in portions(&uids) {
            throw_away_portion(links, tally, copies, (portion, &trash, by)).await?;
        }
    }
    Ok(())
}

async fn throw_away_portion(
    links: &mut Links,
    tally: &mut Tally,
    copies: &Copies,
    (portion, trash, way): (&[Uid], &MailboxName, Way),
) -> Result<(), WalkError> {
    let uids: UidSet = portion.iter().copied().collect();
    match relocate(&mut links.target, &uids, trash, way).await? {
        Relocated::Refused(words) => return Err(WalkError::Mailbox(refused(uids.len(), &words))),
        Relocated::Done(whereto) => {
            done(tally, copies, &uids, &format!("moved to {trash}"));
            if let Some(words) = whereto.left_behind {
                tally.note("left behind", refused(uids.len(), &words), uids.len());
            }
        }
    }
    Ok(())
}

/// The target lacks what it takes. The messages stay known as not dealt with, so that they are handed over once it has
/// it, or the operator decides otherwise.
fn cannot(number: u64, why: &str) -> WalkError {
    let other = "make up for that, or decide otherwise by --deletions";
    WalkError::MailboxDecision(format!("{}; {other}", stays(number, why)))
}

/// Counts, and says once for each mailbox what was done.
fn done(tally: &mut Tally, copies: &Copies, targets: &UidSet, what: &str) {
    tally.deleted.extend_ranges(&copies.sources(targets));
    let number = tally.deleted.len();
    let text = format!("copies of {} were {what}", deleted_at_source(number));
    tally.note("deletions", text, number);
}
