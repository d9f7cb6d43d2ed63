//! Source mailboxes whose UIDVALIDITY is another one than before: renumbered, or made anew under the same name.

use std::collections::BTreeMap;

use super::super::mail::{Content, FlagSet};
use super::super::view::MailboxView;
use super::arrivals::DRAFTS;
use super::choices::Choices;
use super::departures::Departure;
use super::pass::Passing;
use super::world::{Found, Record, World};

/// So many hundredths of what was copied must be found again.
const FOUND_PERCENT: usize = 80;

/// Gives what is settled its new UIDs. False when the operator has to be asked. What is not found again, and may count as
/// deleted, is added to `lost`.
pub(super) fn carry_over(
    world: &mut World,
    passing: &Passing<'_>,
    name: &str,
    mailbox: &MailboxView,
    lost: &mut Vec<Departure>,
    choices: &mut Choices,
) -> bool {
    let Some(pair) = world.pairs.get(name) else { return true };
    if pair.uid_validity == mailbox.uid_validity {
        return true;
    }
    let target = pair.target.clone();
    let records: Vec<Record> = pair.records.values().copied().collect();
    let mut waiting: BTreeMap<Content, Vec<Record>> = BTreeMap::new();
    for record in &records {
        waiting.entry(record.content).or_default().push(*record);
    }
    let mut carried = BTreeMap::new();
    let mut strangers = Vec::new();
    for (uid, message) in &mailbox.messages {
        match waiting.get_mut(&message.content).filter(|twins| !twins.is_empty()) {
            Some(twins) => {
                let which = choices.choose(twins.len());
                let record = twins[which];
                let flags = message.flags.with(record.base);
                let is_draft = name == DRAFTS
                    || flags.common(FlagSet::DRAFT) == FlagSet::DRAFT
                    || has_drafts_header(&records, mailbox, record.content);
                let vague = (is_draft || !record.content.named || record.stale)
                    && world.copy_in(&target, record.copy).is_none();
                // Neither a copy nor a Message-ID to recognise it by; or a draft, of which another edition may have the
                // same; or what had left together with its mailbox, and may as well be new: nobody has to.
                if !vague || choices.either() {
                    twins.remove(which);
                    carried.insert(*uid, record);
                }
            }
            None => strangers.push((*uid, message.content)),
        }
    }
    for (uid, content) in strangers {
        let mut fewer = waiting.clone();
        if let Some(record) = by_header_alone(world, &target, content, &mut fewer).filter(|_| choices.either()) {
            carried.insert(uid, record);
            waiting = fewer;
        }
    }
    let open = told_by_nothing(world, &target, &records, mailbox, &carried, &waiting, name == DRAFTS);
    // What had left together with its mailbox is not missed, once it was concluded from.
    let forgotten = |record: &&Record| record.stale;
    let concluded = records.iter().any(|record| record.stale) && choices.either();
    let missed = |all: usize, stale: usize| if concluded { all - stale } else { all };
    let found = open + missed(carried.len(), carried.values().filter(forgotten).count());
    let known = missed(records.len(), records.iter().filter(forgotten).count());
    if found * 100 < known * FOUND_PERCENT && !passing.policy.accept_source_change {
        return false;
    }
    for (uid, message) in &mailbox.messages {
        if !carried.contains_key(uid)
            && let Some(record) = earlier_copy(world, &target, message.content, &carried).filter(|_| choices.either())
        {
            carried.insert(*uid, record);
        }
    }
    let Some(pair) = world.pairs.get_mut(name) else { return true };
    let left: Vec<Record> = waiting.into_values().flatten().collect();
    if !left.is_empty() && choices.either() {
        lost.extend(left.into_iter().map(|record| Departure {
            pair: name.to_owned(),
            uid: None,
            record,
            optional: true,
        }));
    }
    pair.uid_validity = mailbox.uid_validity;
    pair.records = carried;
    true
}

/// How many messages that were not found again are here under a header that says nothing: another edition of a draft has
/// the same, and other mail may have that of a nameless message whose copy is gone. They are copied again, and make no
/// other mailbox of it.
fn told_by_nothing(
    world: &mut World,
    target: &str,
    records: &[Record],
    mailbox: &MailboxView,
    carried: &BTreeMap<u32, Record>,
    waiting: &BTreeMap<Content, Vec<Record>>,
    for_drafts: bool,
) -> usize {
    let same = |one: Content, other: Content| one.serial == other.serial && one.named == other.named;
    let rest = mailbox.messages.iter().filter(|(uid, _)| !carried.contains_key(uid));
    let mut here: Vec<Content> = rest.map(|(_, message)| message.content).collect();
    let mut count = 0;
    for record in waiting.values().flatten().filter(|record| !record.stale) {
        let is_draft = for_drafts || has_drafts_header(records, mailbox, record.content);
        let is_nameless = !record.content.named && world.copy_in(target, record.copy).is_none();
        if (is_draft || is_nameless)
            && let Some(place) = here.iter().position(|content| same(*content, record.content))
        {
            here.swap_remove(place);
            count += 1;
        }
    }
    count
}

/// Whether a draft has this header, now or when it was copied. Of several messages with one header none speaks for itself
/// then.
fn has_drafts_header(records: &[Record], mailbox: &MailboxView, content: Content) -> bool {
    let same = |other: Content| other.serial == content.serial && other.named == content.named;
    let draft = |flags: FlagSet| flags.common(FlagSet::DRAFT) == FlagSet::DRAFT;
    records.iter().any(|record| same(record.content) && draft(record.base))
        || mailbox.messages.values().any(|message| same(message.content) && draft(message.flags))
}

/// Of what the owner has taken away only the header is remembered: another body under it cannot be told from it.
fn by_header_alone(
    world: &mut World,
    target: &str,
    content: Content,
    waiting: &mut BTreeMap<Content, Vec<Record>>,
) -> Option<Record> {
    for (other, records) in waiting {
        if other.serial == content.serial && other.named == content.named {
            let place = records.iter().position(|record| world.copy_in(target, record.copy).is_none());
            if let Some(place) = place {
                let record = records.remove(place);
                return Some(Record { content, ..record });
            }
        }
    }
    None
}

/// A copy of something that had left the source before. When it is there again, so is its original.
fn earlier_copy(world: &World, target: &str, content: Content, carried: &BTreeMap<u32, Record>) -> Option<Record> {
    let of_somebody = |id: u32| {
        let known = world.pairs.values().flat_map(|pair| pair.records.values()).chain(carried.values());
        known.into_iter().any(|record| record.copy == Some(id))
    };
    let copies = &world.shelves.get(target)?.copies;
    let copy = copies.iter().find(|copy| copy.content == content && copy.foreign.is_none() && !of_somebody(copy.id))?;
    Some(Record { content, copy: Some(copy.id), base: copy.flags, found: Found::Maybe, stale: false })
}
