//! A source mailbox whose UIDs mean something else than they did: renumbered, put back, or made anew.
//!
//! What was copied from it is recognised again, so that nothing is copied twice: first by the copies that are still on
//! the target, as adoption does it, by keys, sizes and contents; then, where the copy's owner has deleted or filed it,
//! by the stored key alone, because what he has put away must not come back. That takes a key which tells a message from
//! every other: a draft, and mail without a Message-ID, is recognised by a copy or not at all. What no copy shows to be
//! unchanged is looked for in the target's tail, as if nothing were known of it. What is recognised stays settled under
//! its new UID, with the flags that were last synced. If too little is recognised, it may be another mailbox, and the
//! operator is asked before anything is done.

mod copies;
mod drafts;
mod nameless;

use crate::error::WalkError;
use crate::pass::exceptions_of;
use crate::reading::Unreadable;
use crate::recognise::{By, Matched, Proof, Recognition, match_known};
use crate::renames::evidence::{Sample, agrees};
use crate::scan::{Known as Wanted, scan_mailbox};
use crate::tail::{Known, read_known};
use crate::tally::Tally;
use crate::walk::{Links, Pair, Walk};
use copies::{Copies, read_copies};
use drafts::{Drafts, is_draft};
use mailhaul_db::{MailboxState, Renumbering, Settled, SettledState};
use mailhaul_imap::{Connection, SelectedMailbox};
use mailhaul_plan::carry_over::{Keyed, is_same_mailbox, pair_by_keys};
use mailhaul_plan::moves::may_be_left_to_owner;
use mailhaul_plan::selection::Selection;
use mailhaul_report::count_of;
use mailhaul_types::{MessageKey, Side, SystemFlag, Uid, UidSet, UidValidity};
use std::collections::{BTreeMap, BTreeSet};

/// How often a mailbox is carried over in one run. A server that renumbers again and again would be listed and read
/// again and again.
const CARRIED_OVER_MAX: u32 = 2;

/// The source mailbox as it was opened, and in what way its ground has moved.
pub(crate) struct MovedGround<'a> {
    pub(crate) selected: &'a SelectedMailbox,
    pub(crate) uid_validity: UidValidity,
    /// What has happened, as a clause.
    pub(crate) why: String,
}

/// In what way the source mailbox is another one than the ledger knows, if it is: its UIDs were given out anew, and
/// would be taken for those of messages that are copied already.
pub(crate) fn moved_ground<'a>(
    selected: &'a SelectedMailbox,
    uid_validity: UidValidity,
    state: &MailboxState,
) -> Option<MovedGround<'a>> {
    let known = state.source_uid_validity?;
    let scan = state.scan.as_ref();
    let uid_next = (scan.and_then(|scan| scan.uid_next), selected.uid_next);
    let mailbox_id = (scan.and_then(|scan| scan.mailbox_id.as_ref()), selected.mailbox_id.as_ref());
    let why = match (uid_next, mailbox_id) {
        _ if known != uid_validity => {
            format!("the source has renumbered this mailbox (UIDVALIDITY was {known} and is {uid_validity})")
        }
        ((Some(then), Some(now)), _) if now < then => {
            format!("the source mailbox was put back to an earlier state (UIDNEXT was {then} and is {now})")
        }
        (_, (Some(then), Some(now))) if then != now => {
            "another mailbox stands under this name at the source (MAILBOXID changed)".to_owned()
        }
        _ => return None,
    };
    Some(MovedGround { selected, uid_validity, why })
}

/// As [`moved_ground`], where UIDNEXT does not show it: a mailbox that was put back to an earlier state may have received
/// as much mail since. HIGHESTMODSEQ that went back raises the suspicion, since servers also begin to count anew; a
/// sample of stored keys decides, unless the mailbox is for drafts: of these, editions have the same key. The source
/// mailbox is selected.
pub(crate) async fn hidden_ground<'a>(
    walk: &Walk<'_>,
    source: &mut Connection,
    pair: &Pair<'_>,
    selected: &'a SelectedMailbox,
    uid_validity: UidValidity,
    state: &MailboxState,
) -> Result<Option<MovedGround<'a>>, WalkError> {
    let then = state.scan.as_ref().and_then(|scan| scan.highest_modseq);
    let (Some(then), Some(now)) = (then, selected.highest_modseq) else { return Ok(None) };
    if now >= then {
        return Ok(None);
    }
    let sample = Sample::of_source(pair.ledger).await?;
    let agrees = agrees(source, Side::Source, &walk.keys, &sample).await?;
    if agrees.is_none() || agrees == Some(true) && !pair.drafts {
        return Ok(None);
    }
    let others = if agrees == Some(true) { "may stand for other drafts" } else { "stand for other messages" };
    let why = format!(
        "the source mailbox was put back to an earlier state (HIGHESTMODSEQ was {then} and is {now}, and its UIDs \
         {others})"
    );
    Ok(Some(MovedGround { selected, uid_validity, why }))
}

/// Recognises the settled messages under their new UIDs, and returns what is known of the mailbox from then on. The
/// source mailbox is selected, before and after.
pub(crate) async fn carry_over(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    ground: MovedGround<'_>,
    state: MailboxState,
) -> Result<MailboxState, WalkError> {
    let why = &ground.why;
    if tally.renumberings >= CARRIED_OVER_MAX {
        return Err(WalkError::Mailbox(format!(
            "{why}, for the third time within this run; nothing more was done in it. What was copied is still known: \
             a later run recognises it once the source has come to rest"
        )));
    }
    walk.doing(pair, "recognising what was copied");
    let records = Records::read(pair, &state).await?;
    let ours = read_source(walk, links, pair, &ground).await?;
    let copies = read_copies(walk, links, pair, &state, &records).await?;
    let recognised =
        recognise(links, walk.recognition(pair.source.text(), pair.drafts), &records, &ours, &copies).await?;

    // That a draft may have been edited, or a copy deleted that was to show something, makes no other mailbox of it.
    let (copied, found) = (records.present.len() as u64, recognised.present + recognised.open());
    if !is_same_mailbox(copied, found) && !walk.job.resync.accept_source_change {
        return Err(WalkError::MailboxDecision(question(why, copied, found)));
    }
    let carried_over = recognised.messages.len() as u64;
    tracing::info!(mailbox = %pair.source, copied, carried_over, "{why}");
    for (word, text, messages) in notes(why, copied, &recognised) {
        tally.note(word, text, messages);
    }
    // In one transaction: should the process die here, what may be there already is not taken for new.
    let set_aside = exceptions_of(pair, recognised.uncertain);
    let uncertain: Vec<Uid> = set_aside.iter().filter_map(|exception| exception.uid).collect();
    let renumbering = Renumbering { source: ground.uid_validity, messages: recognised.messages, set_aside };
    pair.ledger.renumber_source(renumbering).await?;
    walk.reading.forget(pair.source.text(), Side::Source);
    tally.carried_over = carried_over;
    let state = pair.ledger.load().await?;
    tally.begin_anew(&state.settled);
    tally.unreadable.extend(uncertain);
    Ok(state)
}

/// What the ledger has settled, by its former UIDs.
struct Records {
    /// Messages that were in the mailbox when it was last passed over.
    present: Vec<Settled>,
    /// Messages that had left it by then. Their copies may be what a restored message is recognised by.
    departed: Vec<Settled>,
}

impl Records {
    async fn read(pair: &Pair<'_>, state: &MailboxState) -> Result<Self, WalkError> {
        let mut records = Self { present: Vec::new(), departed: Vec::new() };
        let mut pages = pair.ledger.messages().await?;
        while let Some(page) = pages.next().await? {
            for message in page {
                let departed = state.departed.contains(message.source_uid);
                if departed { &mut records.departed } else { &mut records.present }.push(message);
            }
        }
        Ok(records)
    }
}

/// Everything that is in the source mailbox now, with its keys. The list must be whole: what it lacked would be copied
/// a second time.
async fn read_source(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    ground: &MovedGround<'_>,
) -> Result<Vec<Known>, WalkError> {
    let everything = Selection::default();
    let wanted = Wanted::new(None, &everything);
    let selected = ground.selected.clone();
    let listing =
        scan_mailbox(&mut links.source, Side::Source, pair.source, selected, ground.uid_validity, &wanted).await?;
    if let Some(contradiction) = listing.missing {
        let why = &ground.why;
        return Err(WalkError::Mailbox(format!(
            "{why}, and what was copied cannot be recognised: {contradiction}; nothing was done in it"
        )));
    }
    read_known(&mut links.source, walk.place(pair.source.text(), Side::Source), &walk.keys, &listing.listed, |_| true)
        .await
}

/// What was recognised.
struct Recognised {
    /// Under the new UIDs.
    messages: Vec<Settled>,
    /// How many of them were in the mailbox when it was last passed over.
    present: u64,
    /// How many of these have no copy that can be looked at: only the key speaks for them.
    by_key_alone: u64,
    /// How many drafts more share their key with what was copied, and no copy shows that they are still the same.
    open_drafts: u64,
    /// Messages of which it cannot be told, because a connection is lost over them or over what may be their copies.
    uncertain: Unreadable,
    /// How many messages without a Message-ID share their key with what was copied, and no copy shows that they are it.
    open_nameless: u64,
}

impl Recognised {
    /// Messages of which it cannot be told whether they were copied.
    fn open(&self) -> u64 {
        self.open_drafts + self.open_nameless + self.uncertain.len() as u64
    }
}

async fn recognise(
    links: &mut Links,
    with: Recognition<'_>,
    records: &Records,
    ours: &[Known],
    copies: &Copies,
) -> Result<Recognised, WalkError> {
    let (mut open, mut uncertain) = (ours.to_vec(), Unreadable::new());
    let drafts = Drafts::among(&records.present, copies, &open, with.drafts);
    let unaltered = with_copies(&records.present, |record| comparable(record, copies).cloned());
    let mut messages =
        match_copies(links, with, unaltered, (&mut open, &mut uncertain), By::Keys(Proof::Sizes)).await?;
    // No key speaks for these: if their server has altered them, contents are compared under the key of what was put there.
    let by_contents = |record: &Settled| drafts.include(record.key) || nameless::is_one(record);
    let altered = with_copies(&records.present, |record| altered_copy(record, copies).filter(|_| by_contents(record)));
    messages.extend(match_copies(links, with, altered, (&mut open, &mut uncertain), By::Keys(Proof::Contents)).await?);
    let alone = match_keys(&records.present, &mut open, copies, &drafts);
    let by_key_alone = alone.len() as u64;
    messages.extend(alone);
    // What looks like others to the keys may be told from them by what its server has made of it.
    let owned: BTreeSet<Option<Uid>> = messages.iter().map(|message| message.target_uid).collect();
    let left = with_copies(&records.present, |record| {
        let copy = copies.get(record.target_uid?)?;
        (!owned.contains(&record.target_uid)).then(|| copy.clone())
    });
    messages.extend(match_copies(links, with, left, (&mut open, &mut uncertain), By::Likeness).await?);
    let present = messages.len() as u64;
    let open_drafts = drafts.alike(&records.present, &messages, &open);
    let open_nameless = nameless::alike(&records.present, &messages, copies, &drafts, &open);
    // A message that had left and is back: if its copy is still there, it needs no second one. If the copy is gone, it
    // is a new message.
    let departed = with_copies(&records.departed, |record| comparable(record, copies).cloned());
    messages.extend(match_copies(links, with, departed, (&mut open, &mut uncertain), By::Both(Proof::Sizes)).await?);
    uncertain.retain(|uid, _| open.iter().any(|known| known.candidate.uid == *uid));
    Ok(Recognised { messages, present, by_key_alone, open_drafts, open_nameless, uncertain })
}

/// Records with those copies of theirs that are to be compared with. What was a draft when it was copied is compared as
/// one, whatever its copy is by now.
fn with_copies(records: &[Settled], copy: impl Fn(&Settled) -> Option<Known>) -> Vec<(&Settled, Known)> {
    let with_copy = |record| {
        let mut copy = copy(record)?;
        if is_draft(&record.flags) {
            copy.flags.insert(SystemFlag::Draft);
        }
        Some((record, copy))
    };
    records.iter().filter_map(with_copy).collect()
}

/// Matches what is open at the source with these copies, as adoption does, and takes it out. Both mailboxes are selected.
async fn match_copies(
    links: &mut Links,
    with: Recognition<'_>,
    copies: Vec<(&Settled, Known)>,
    (open, uncertain): (&mut Vec<Known>, &mut Unreadable),
    by: By,
) -> Result<Vec<Settled>, WalkError> {
    if copies.is_empty() || open.is_empty() {
        return Ok(Vec::new());
    }
    let by_copy: BTreeMap<Uid, (&Settled, Known)> =
        copies.into_iter().map(|(record, copy)| (copy.candidate.uid, (record, copy))).collect();
    let theirs: Vec<Known> = by_copy.values().map(|(_, copy)| copy.clone()).collect();
    let Links { source, target } = links;
    let recognised = match_known(source, target, with, (open.clone(), theirs), by).await?;
    let matched = recognised.found;
    uncertain.extend(recognised.uncertain);
    let taken: BTreeSet<Uid> = matched.iter().map(|matched| matched.settled.source_uid).collect();
    open.retain(|known| !taken.contains(&known.candidate.uid));
    let settled = |Matched { settled: message, .. }: Matched| {
        let (record, _) = by_copy.get(&message.target_uid?)?;
        // The key is that of the message as it is now: a copy that was altered may have been another's.
        let state = if record.state == SettledState::Likely { message.state } else { record.state };
        Some(Settled { source_uid: message.source_uid, key: message.key, state, ..(*record).clone() })
    };
    Ok(matched.into_iter().filter_map(settled).collect())
}

/// The copy of a record, if it can be compared with: it is there, and it is what was put there. A server that alters
/// what it is given makes other keys of it.
fn comparable<'a>(record: &Settled, copies: &'a Copies) -> Option<&'a Known> {
    let copy = copies.get(record.target_uid?)?;
    (copy.candidate.key == record.key).then_some(copy)
}

/// The copy of a record, under the key of what was put there, if the target has altered it in such a way that it has
/// another one.
fn altered_copy(record: &Settled, copies: &Copies) -> Option<Known> {
    let mut copy = copies.get(record.target_uid?).filter(|copy| copy.candidate.key != record.key)?.clone();
    copy.candidate.key = record.key;
    Some(copy)
}

/// Matches what is open at the source with the stored keys of records whose copies cannot be compared with, and takes
/// it out. Only the key is left then, whatever became of the copy: it must be one that tells a message from every other.
/// None speaks for a draft, which is rewritten under the same header fields.
fn match_keys(records: &[Settled], open: &mut Vec<Known>, copies: &Copies, drafts: &Drafts) -> Vec<Settled> {
    let speaks = |record: &&Settled| may_be_left_to_owner(record.key, &record.flags);
    let cannot_be_seen = |record: &&Settled| comparable(record, copies).is_none() && !drafts.include(record.key);
    let by_uid: BTreeMap<Uid, &Settled> =
        records.iter().filter(cannot_be_seen).filter(speaks).map(|record| (record.source_uid, record)).collect();
    let keyed = |uid: Uid, key: Option<MessageKey>| Keyed { uid, key };
    let former: Vec<Keyed> = by_uid.values().map(|record| keyed(record.source_uid, record.key)).collect();
    let present: Vec<Keyed> = open.iter().map(|known| keyed(known.candidate.uid, known.candidate.key)).collect();
    let pairs = pair_by_keys(&former, &present);
    let taken: UidSet = {
        let mut taken: Vec<Uid> = pairs.iter().map(|(_, present)| *present).collect();
        taken.sort_unstable();
        taken.into_iter().collect()
    };
    open.retain(|known| !taken.contains(known.candidate.uid));
    let settled =
        |(former, present): (Uid, Uid)| Some(Settled { source_uid: present, ..(*by_uid.get(&former)?).clone() });
    pairs.into_iter().filter_map(settled).collect()
}

/// What the operator is asked.
fn question(why: &str, copied: u64, found: u64) -> String {
    format!(
        "{why}, and of {} copied from it only {found} {} recognised in it, so it may be another mailbox by now; nothing \
         was done in it. If it is meant to be copied as it is, --accept-source-change says so: what is recognised is \
         not copied again, everything else is, and the earlier copies stay",
        count_of(copied, "message"),
        if found == 1 { "is" } else { "are" },
    )
}

/// What there is to know afterwards.
fn notes(why: &str, copied: u64, recognised: &Recognised) -> Vec<(&'static str, String, u64)> {
    let all = recognised.messages.len() as u64;
    let mut notes = vec![("renumbered", format!("{why}; {} recognised by keys", count_of(all, "message")), all)];
    let missing = copied.saturating_sub(recognised.present + recognised.open());
    if missing > 0 {
        let verb = if missing == 1 { "is" } else { "are" };
        let text =
            format!("{} copied earlier {verb} not in it any more; what was copied stays", count_of(missing, "message"));
        notes.push(("unrecognised", text, missing));
    }
    let drafts = recognised.open_drafts;
    if drafts > 0 {
        let text = format!(
            "no copy shows that {} {} the same as when copied; what the target does not hold like that is copied, and \
             earlier copies stay",
            count_of(drafts, "draft"),
            if drafts == 1 { "is" } else { "are" },
        );
        notes.push(("drafts", text, drafts));
    }
    notes.extend(nameless::note(recognised.open_nameless));
    let alone = recognised.by_key_alone;
    if alone > 0 {
        let text = format!(
            "{} recognised by the stored key alone, because no unaltered copy is where it was put; not copied again",
            count_of(alone, "message"),
        );
        notes.push(("by_key", text, alone));
    }
    notes
}

#[cfg(test)]
mod tests;
