//! A source mailbox whose UIDs mean something else than they did: renumbered, put back, or made anew.
//!
//! What was copied from it is recognised again, so that nothing is copied twice: first by the copies that are still on
//! the target, as adoption does it, by keys, sizes and contents; then, where the copy's owner has deleted or filed it,
//! by the stored key alone, because what he has put away must not come back. What is recognised stays settled under its
//! new UID, with the flags that were last synced. If too little is recognised, it may be another mailbox, and the
//! operator is asked before anything is done.

use crate::error::{WalkError, mailbox_error, on};
use crate::recognise::{Matched, Proof, Recognition, match_altered, match_known};
use crate::renames::evidence::{Sample, agrees};
use crate::scan::{Known as Wanted, scan_mailbox};
use crate::tail::{Known, present_in, read_known};
use crate::tally::Tally;
use crate::target_side::quarantine;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::{MailboxState, Renumbering, Settled};
use mailhaul_imap::{Connection, SelectedMailbox};
use mailhaul_plan::carry_over::{Keyed, is_same_mailbox, pair_by_keys};
use mailhaul_plan::matching::Candidate;
use mailhaul_plan::moves::may_be_left_to_owner;
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::intersection;
use mailhaul_report::count_of;
use mailhaul_types::{Flags, MessageKey, Side, Uid, UidRange, UidSet, UidValidity};
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
/// sample of stored keys decides. The source mailbox is selected.
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
    if agrees(source, Side::Source, &walk.keys, &sample).await? != Some(false) {
        return Ok(None);
    }
    let why = format!(
        "the source mailbox was put back to an earlier state (HIGHESTMODSEQ was {then} and is {now}, and its UIDs stand \
         for other messages)"
    );
    Ok(Some(MovedGround { selected, uid_validity, why }))
}

/// Recognises the settled messages under their new UIDs, and returns what is known of the mailbox from then on. The
/// source mailbox is selected, before and after. `drafts`: the mailbox is for drafts.
pub(crate) async fn carry_over(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    ground: MovedGround<'_>,
    state: MailboxState,
    drafts: bool,
) -> Result<MailboxState, WalkError> {
    let why = &ground.why;
    if tally.renumberings >= CARRIED_OVER_MAX {
        return Err(WalkError::Mailbox(format!(
            "{why}, for the third time within this run; nothing more was done in it. What was copied is still known: \
             a later run recognises it once the source has come to rest"
        )));
    }
    if state.sent.is_some() {
        // Nothing remembers afterwards that something may be on its way.
        quarantine(walk, links, pair).await?;
    }
    walk.doing(pair, "recognising what was copied");
    let records = Records::read(pair, &state).await?;
    let ours = read_source(walk, links, pair, &ground).await?;
    let copies = read_copies(walk, links, pair, &state, &records).await?;
    let recognised = recognise(links, walk.recognition(drafts), &records, &ours, &copies).await?;

    let (copied, found) = (records.present.len() as u64, recognised.present);
    if !is_same_mailbox(copied, found) && !walk.job.resync.accept_source_change {
        return Err(WalkError::MailboxDecision(question(why, copied, found)));
    }
    let carried_over = recognised.messages.len() as u64;
    tracing::info!(mailbox = %pair.source, copied, carried_over, "{why}");
    for (word, text, messages) in notes(why, copied, &recognised) {
        tally.note(word, text, messages);
    }
    let renumbering = Renumbering { source: ground.uid_validity, messages: recognised.messages };
    pair.ledger.renumber_source(renumbering).await?;
    tally.carried_over = carried_over;
    let state = pair.ledger.load().await?;
    tally.begin_anew(&state.settled);
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
    read_known(&mut links.source, Side::Source, &walk.keys, &listing.listed, |_| true).await
}

/// The copies that are still where they were put.
enum Copies {
    /// UIDs on the target mean nothing any more. What becomes of such a target is seen when it is opened for writing.
    Void,
    /// By their UIDs on the target.
    Known(BTreeMap<Uid, Known>),
}

impl Copies {
    fn get(&self, uid: Uid) -> Option<&Known> {
        match self {
            Self::Void => None,
            Self::Known(copies) => copies.get(&uid),
        }
    }
}

/// Reads the copies.
async fn read_copies(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    state: &MailboxState,
    records: &Records,
) -> Result<Copies, WalkError> {
    if pair.target_is_missing {
        return Ok(Copies::Void);
    }
    let opened = links.target.select(pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
    let uid_validity = match opened.uid_validity {
        Some(uid_validity) => Some(uid_validity),
        None => links.target.status(pair.target).await.map_err(on(Side::Target))?.uid_validity,
    };
    if uid_validity.is_none() || uid_validity != state.target_uid_validity {
        return Ok(Copies::Void);
    }
    let owned: BTreeSet<Uid> =
        records.present.iter().chain(&records.departed).filter_map(|record| record.target_uid).collect();
    let owned: UidSet = owned.into_iter().collect();
    let Some((first, last)) = owned.first().zip(owned.last()) else { return Ok(Copies::Known(BTreeMap::new())) };
    // One range, however many holes: a listing takes a command for every range.
    let mut span = UidSet::new();
    span.insert_range(UidRange { first, last });
    let present = intersection(&present_in(&mut links.target, &span).await?, &owned);
    let known = read_known(&mut links.target, Side::Target, &walk.keys, &present, |_| true).await?;
    Ok(Copies::Known(known.into_iter().map(|known| (known.candidate.uid, known)).collect()))
}

/// What was recognised.
struct Recognised {
    /// Under the new UIDs.
    messages: Vec<Settled>,
    /// How many of them were in the mailbox when it was last passed over.
    present: u64,
    /// How many of these have no copy that can be looked at: only the key speaks for them.
    by_key_alone: u64,
}

async fn recognise(
    links: &mut Links,
    with: Recognition<'_>,
    records: &Records,
    ours: &[Known],
    copies: &Copies,
) -> Result<Recognised, WalkError> {
    let mut open = ours.to_vec();
    let mut messages = match_copies(links, with, &records.present, &mut open, copies).await?;
    let alone = match_keys(&records.present, &mut open, copies, with.drafts);
    let by_key_alone = alone.len() as u64;
    messages.extend(alone);
    // What looks like others to the keys may be told from them by what its server has made of it.
    messages.extend(match_altered_copies(links, with, &records.present, &messages, &mut open, copies).await?);
    let present = messages.len() as u64;
    // A message that had left and is back: if its copy is still there, it needs no second one. If the copy is gone, it
    // is a new message.
    messages.extend(match_copies(links, with, &records.departed, &mut open, copies).await?);
    Ok(Recognised { messages, present, by_key_alone })
}

/// Matches what is open at the source with the copies of these records, as adoption does, and takes it out. Both
/// mailboxes are selected.
async fn match_copies(
    links: &mut Links,
    with: Recognition<'_>,
    records: &[Settled],
    open: &mut Vec<Known>,
    copies: &Copies,
) -> Result<Vec<Settled>, WalkError> {
    let by_copy: BTreeMap<Uid, &Settled> =
        records.iter().filter_map(|record| Some((comparable(record, copies)?.candidate.uid, record))).collect();
    let theirs: Vec<Known> = by_copy.keys().filter_map(|uid| copies.get(*uid)).cloned().collect();
    let Links { source, target } = links;
    let matched = match_known(source, target, with, (open, &theirs), Proof::Sizes).await?;
    let taken: BTreeSet<Uid> = matched.iter().map(|matched| matched.settled.source_uid).collect();
    open.retain(|known| !taken.contains(&known.candidate.uid));
    let settled = |Matched { settled: message, .. }: Matched| {
        let record = *by_copy.get(&message.target_uid?)?;
        Some(Settled { source_uid: message.source_uid, ..record.clone() })
    };
    Ok(matched.into_iter().filter_map(settled).collect())
}

/// Matches what is open at the source with copies that are there, are other than what was put there, and belong to none
/// of the messages that were `recognised`; takes it out.
async fn match_altered_copies(
    links: &mut Links,
    with: Recognition<'_>,
    records: &[Settled],
    recognised: &[Settled],
    open: &mut Vec<Known>,
    copies: &Copies,
) -> Result<Vec<Settled>, WalkError> {
    let owned: BTreeSet<Option<Uid>> = recognised.iter().map(|message| message.target_uid).collect();
    let left = records.iter().filter(|record| !owned.contains(&record.target_uid));
    let by_copy: BTreeMap<Uid, &Settled> = left.filter_map(|record| Some((record.target_uid?, record))).collect();
    let theirs: Vec<Known> = by_copy.keys().filter_map(|uid| copies.get(*uid)).cloned().collect();
    let Links { source, target } = links;
    let matched = match_altered(source, target, with, (open.clone(), theirs)).await?;
    let taken: BTreeSet<Uid> = matched.iter().map(|matched| matched.settled.source_uid).collect();
    open.retain(|known| !taken.contains(&known.candidate.uid));
    let settled = |Matched { settled: message, .. }: Matched| {
        let record = *by_copy.get(&message.target_uid?)?;
        Some(Settled { source_uid: message.source_uid, key: message.key, ..record.clone() })
    };
    Ok(matched.into_iter().filter_map(settled).collect())
}

/// The copy of a record, if it can be compared with: it is there, and it is what was put there. A server that alters
/// what it is given makes other keys of it.
fn comparable<'a>(record: &Settled, copies: &'a Copies) -> Option<&'a Known> {
    let copy = copies.get(record.target_uid?)?;
    (copy.candidate.key == record.key).then_some(copy)
}

/// Matches what is open at the source with the stored keys of records whose copies cannot be compared with, and takes
/// it out. Of a copy that is gone only the key is left: it must be one that tells a message from every other, and a
/// draft is rewritten under the same header fields.
fn match_keys(records: &[Settled], open: &mut Vec<Known>, copies: &Copies, drafts: bool) -> Vec<Settled> {
    let is_gone = |record: &Settled| match copies {
        Copies::Void => false,
        Copies::Known(known) => record.target_uid.is_none_or(|uid| !known.contains_key(&uid)),
    };
    let speaks = |key: Option<MessageKey>, flags: &Flags| !drafts && may_be_left_to_owner(key, flags);
    let (mut by_uid, mut weak) = (BTreeMap::new(), BTreeSet::new());
    for record in records.iter().filter(|record| comparable(record, copies).is_none()) {
        if is_gone(record) && !speaks(record.key, &record.flags) {
            weak.extend(record.key);
        } else {
            by_uid.insert(record.source_uid, record);
        }
    }
    // Where one of several with the same key does not speak for itself, none does.
    by_uid.retain(|_, record| !is_gone(record) || record.key.is_none_or(|key| !weak.contains(&key)));
    let gone: BTreeSet<MessageKey> =
        by_uid.values().filter(|record| is_gone(record)).filter_map(|record| record.key).collect();
    let keyed = |uid: Uid, key: Option<MessageKey>| Keyed { uid, key };
    let former: Vec<Keyed> = by_uid.values().map(|record| keyed(record.source_uid, record.key)).collect();
    let is_open = |known: &&Known| {
        let Candidate { key, .. } = known.candidate;
        key.is_none_or(|key| !gone.contains(&key)) || speaks(key, &known.flags)
    };
    let present: Vec<Keyed> =
        open.iter().filter(is_open).map(|known| keyed(known.candidate.uid, known.candidate.key)).collect();
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
    let missing = copied.saturating_sub(recognised.present);
    if missing > 0 {
        let verb = if missing == 1 { "is" } else { "are" };
        let text =
            format!("{} copied earlier {verb} not in it any more; what was copied stays", count_of(missing, "message"));
        notes.push(("unrecognised", text, missing));
    }
    let alone = recognised.by_key_alone;
    if alone > 0 {
        let text = format!(
            "{} recognised by the stored key alone, because the copy is not where it was put; not copied again",
            count_of(alone, "message"),
        );
        notes.push(("by_key", text, alone));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_db::SettledState;
    use mailhaul_plan::likeness::Likeness;
    use mailhaul_types::{KeyStrength, SystemFlag};

    fn key(digest: u64) -> Option<MessageKey> {
        Some(MessageKey { digest, strength: KeyStrength::MessageId })
    }

    fn record(source: u32, target: u32, digest: u64) -> Settled {
        Settled {
            source_uid: Uid(source),
            target_uid: Some(Uid(target)),
            state: SettledState::Copied,
            key: key(digest),
            flags: Flags::new(),
        }
    }

    fn known(uid: u32, digest: u64) -> Known {
        let candidate = Candidate { uid: Uid(uid), key: key(digest), size: 100, date: Some(7) };
        Known { candidate, likeness: Likeness::default(), flags: Flags::new() }
    }

    fn copies(known: &[Known]) -> Copies {
        Copies::Known(known.iter().map(|copy| (copy.candidate.uid, copy.clone())).collect())
    }

    #[test]
    fn a_draft_without_its_copy_is_recognised_by_nothing() {
        let draft = |flags: &mut Flags| flags.insert(SystemFlag::Draft);
        let (mut was_draft, mut is_draft) = (record(1, 101, 10), known(12, 20));
        draft(&mut was_draft.flags);
        draft(&mut is_draft.flags);
        let records = [was_draft, record(2, 102, 20), record(3, 103, 30)];
        let open = [known(11, 10), is_draft, known(13, 30)];
        let uids = |settled: Vec<Settled>| settled.iter().map(|message| message.source_uid.0).collect::<Vec<_>>();
        assert_eq!(uids(match_keys(&records, &mut open.to_vec(), &copies(&[]), false)), [13]);
        assert_eq!(uids(match_keys(&records, &mut open.to_vec(), &copies(&[]), true)), Vec::<u32>::new());
        // Where no copy can be looked at, the keys are all there is.
        assert_eq!(uids(match_keys(&records, &mut open.to_vec(), &Copies::Void, true)), [11, 12, 13]);
    }

    #[test]
    fn only_records_whose_copies_cannot_be_compared_with_are_matched_by_key_alone() {
        let records = [record(1, 101, 10), record(2, 102, 20), record(3, 103, 30)];
        // 101 is there, 102 is gone, 103 was altered by its server.
        let copies = copies(&[known(101, 10), known(103, 99)]);
        let mut open = vec![known(11, 10), known(12, 20), known(13, 30), known(14, 20)];
        let settled = match_keys(&records, &mut open, &copies, false);
        let shown: Vec<_> =
            settled.iter().map(|message| (message.source_uid.0, message.target_uid.map(|uid| uid.0))).collect();
        assert_eq!(shown, [(12, Some(102)), (13, Some(103))]);
        assert_eq!(open.iter().map(|known| known.candidate.uid.0).collect::<Vec<_>>(), [11, 14]);
    }

    #[test]
    fn the_question_names_the_numbers_and_the_way_out() {
        let words = question("the source has renumbered this mailbox (UIDVALIDITY was 1 and is 2)", 40, 1);
        assert!(words.contains("of 40 messages copied from it only 1 is recognised"), "{words}");
        assert!(words.contains("--accept-source-change"), "{words}");
    }
}
