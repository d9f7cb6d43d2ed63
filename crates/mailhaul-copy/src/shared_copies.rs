//! Copies that stand for more than one message: a target that keeps one of equal messages says OK to each of them.

use crate::error::WalkError;
use mailhaul_db::{MailboxLedger, Settled};
use mailhaul_types::{MessageKey, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// Of the copies of these departed messages those, by target UID, that may stand for a message which is still at the
/// source as well: another row has the same target UID, or has the same key and no known target UID. `gone` is
/// everything that has left the mailbox at the source.
///
/// Reads all rows of the mailbox, as loading its state does, page by page.
pub(crate) async fn copies_in_use(
    ledger: &MailboxLedger,
    gone: &UidSet,
    departed: &[Settled],
) -> Result<UidSet, WalkError> {
    let mut sought = Sought::of(departed);
    if sought.copies.is_empty() {
        return Ok(UidSet::new());
    }
    let mut pages = ledger.messages().await?;
    while let Some(page) = pages.next().await? {
        page.iter().filter(|row| !gone.contains(row.source_uid)).for_each(|row| sought.meet(row));
    }
    Ok(sought.in_use())
}

/// Copies of departed messages, and what the messages that are still there claim of them.
struct Sought {
    copies: UidSet,
    by_key: BTreeMap<MessageKey, BTreeSet<Uid>>,
    claimed: UidSet,
    /// How many messages of a key have a copy that nobody knows.
    without_uid: BTreeMap<MessageKey, usize>,
}

impl Sought {
    fn of(departed: &[Settled]) -> Self {
        let mut by_key: BTreeMap<MessageKey, BTreeSet<Uid>> = BTreeMap::new();
        for (key, uid) in departed.iter().filter_map(|row| row.key.zip(row.target_uid)) {
            by_key.entry(key).or_default().insert(uid);
        }
        let copies = departed.iter().filter_map(|row| row.target_uid).collect();
        Self { copies, by_key, claimed: UidSet::new(), without_uid: BTreeMap::new() }
    }

    /// A message that is still at the source.
    fn meet(&mut self, kept: &Settled) {
        match (kept.target_uid, kept.key) {
            (Some(uid), _) if self.copies.contains(uid) => self.claimed.insert(uid),
            (None, Some(key)) if self.by_key.contains_key(&key) => *self.without_uid.entry(key).or_default() += 1,
            _ => {}
        }
    }

    /// For every message whose copy nobody knows one that nobody else has claimed, too: it may be that one.
    fn in_use(mut self) -> UidSet {
        for (key, number) in &self.without_uid {
            let open = self.by_key.get(key).into_iter().flatten().filter(|uid| !self.claimed.contains(**uid));
            let more: UidSet = open.copied().take(*number).collect();
            self.claimed.extend_ranges(&more);
        }
        self.claimed
    }
}

#[cfg(test)]
mod tests {
    use super::Sought;
    use mailhaul_db::{Settled, SettledState};
    use mailhaul_types::{Flags, KeyStrength, MessageKey, Uid, UidSet};

    fn row(source: u32, target: Option<u32>, key: u64) -> Settled {
        let key = Some(MessageKey { digest: key, strength: KeyStrength::MessageId });
        let (source_uid, target_uid) = (Uid(source), target.map(Uid));
        Settled { source_uid, target_uid, state: SettledState::Copied, key, flags: Flags::new() }
    }

    fn in_use(departed: &[Settled], kept: &[Settled]) -> UidSet {
        let mut sought = Sought::of(departed);
        kept.iter().for_each(|row| sought.meet(row));
        sought.in_use()
    }

    #[test]
    fn a_copy_is_in_use_however_many_of_its_messages_have_left() {
        let departed = [row(1, Some(7), 1), row(2, Some(7), 1), row(3, Some(8), 1)];
        assert_eq!(in_use(&departed, &[row(4, Some(7), 1)]), UidSet::from_iter([Uid(7)]));
        assert_eq!(in_use(&departed, &[row(4, Some(9), 1)]), UidSet::new());
    }

    #[test]
    fn a_message_whose_copy_nobody_knows_keeps_one_that_is_there() {
        let departed = [row(1, None, 1), row(2, Some(7), 1), row(3, None, 1), row(5, Some(8), 2)];
        assert_eq!(in_use(&departed, &[row(4, None, 1)]), UidSet::from_iter([Uid(7)]));
        let departed = [row(1, Some(6), 1), row(2, Some(7), 1)];
        assert_eq!(in_use(&departed, &[row(3, Some(6), 1), row(4, None, 1)]), UidSet::from_iter([Uid(6), Uid(7)]));
    }
}
