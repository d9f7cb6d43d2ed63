//! Source mailboxes whose UIDVALIDITY is another one than before: renumbered, or made anew under the same name.

use std::collections::BTreeMap;

use super::super::mail::Content;
use super::super::view::MailboxView;
use super::choices::Choices;
use super::departures::Departure;
use super::pass::Passing;
use super::world::{Record, World};

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
    let Some(pair) = world.pairs.get_mut(name) else { return true };
    if pair.uid_validity == mailbox.uid_validity {
        return true;
    }
    let records: Vec<Record> = pair.records.values().copied().collect();
    let mut waiting: BTreeMap<Content, Vec<Record>> = BTreeMap::new();
    for record in &records {
        waiting.entry(record.content).or_default().push(*record);
    }
    let mut carried = BTreeMap::new();
    for (uid, message) in &mailbox.messages {
        let Some(twins) = waiting.get_mut(&message.content).filter(|twins| !twins.is_empty()) else { continue };
        let which = choices.choose(twins.len());
        carried.insert(*uid, twins.remove(which));
    }
    if carried.len() * 100 < records.len() * FOUND_PERCENT && !passing.policy.accept_source_change {
        return false;
    }
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
