//! What may be settled in a mailbox and have no copy of its own there: one function for each reason.

use super::past::Former;
use super::stage::Stage;
use std::collections::BTreeMap;

impl Stage {
    /// How many messages may be settled in this source mailbox without a copy in its target, because they were moved into
    /// it at the source after the target's owner had deleted or filed their earlier copies.
    #[must_use]
    pub fn left_to_owner(&self, mailbox: &str, named: &str) -> u64 {
        let ever = self.ever.all();
        let is_left = |(from, octets): &&Former| {
            let is_it = |known: &[u8]| self.essence(known) == self.essence(octets);
            *from != named
                && ever.iter().any(|left| {
                    self.named(&left.mailbox) == *from && left.to.as_deref() == Some(mailbox) && is_it(&left.octets)
                })
        };
        self.doings().taken.iter().filter(is_left).count() as u64
    }

    /// How many messages of a source mailbox may share a copy with another, where the target keeps of equal messages one
    /// only: beside each copy, those that were ever in this mailbox and are equal to it. What the owner has taken out of
    /// the mailbox was such a copy too, and all that shared it have none any more: those that had been in this mailbox when
    /// he took it, and none that came afterwards.
    #[must_use]
    pub fn merged(&self, mailbox: &str, named: &str) -> u64 {
        let there = self.target.contents().remove(named).unwrap_or_default();
        let now = self.ever.and_present(&self.source);
        let mut sharing: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut note = |copy: &[u8], at_source: &[Former]| {
            let copy = self.essence(copy);
            let equal = at_source.iter().filter(|(at, octets)| at == mailbox && self.essence(octets) == copy);
            let others = (equal.count() as u64).saturating_sub(1);
            let most = sharing.entry(copy).or_default();
            *most = others.max(*most);
        };
        there.iter().for_each(|held| note(&held.octets, &now));
        let doings = self.doings();
        let taken = doings.shared.iter().filter(|shared| shared.former.0 == named);
        taken.for_each(|shared| note(&shared.former.1, &shared.at_source));
        sharing.into_values().sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::simulation::past::Shared;
    use crate::simulation::{Stage, few};
    use mailhaul_testing::model::{Duplicates, Traits};

    /// A target that has merged the twins of INBOX, the third and the fourth of its messages.
    fn merging() -> Stage {
        let target = Traits { duplicates: Duplicates::MergedUnderOldUid, ..Traits::default() };
        let mut stage = Stage::new(Traits::default(), target, &few());
        stage.clean_pass();
        assert_eq!(stage.target.contents()["INBOX"].len(), 3);
        stage
    }

    /// The owner takes it out of this mailbox now.
    fn take(stage: &Stage, mailbox: &str, octets: &[u8]) {
        let former = (mailbox.to_owned(), octets.to_vec());
        let at_source = stage.ever.and_present(&stage.source);
        let mut doings = stage.doings();
        doings.taken.push(former.clone());
        doings.shared.push(Shared { former, at_source });
    }

    #[test]
    fn a_copy_that_two_share_is_shared_also_after_its_owner_has_taken_it() {
        let stage = merging();
        assert_eq!((stage.merged("INBOX", "INBOX"), stage.merged("Work", "Work")), (1, 0));
        let shared = stage.target.contents()["INBOX"][2].clone();
        stage.target.expunge("INBOX", &[shared.uid]);
        assert_eq!(stage.merged("INBOX", "INBOX"), 0, "nobody has taken it");
        take(&stage, "Work", &shared.octets);
        assert_eq!(stage.merged("INBOX", "INBOX"), 0, "he has taken it elsewhere");
        take(&stage, "INBOX", &shared.octets);
        assert_eq!(stage.merged("INBOX", "INBOX"), 1);
        take(&stage, "INBOX", &shared.octets);
        assert_eq!(stage.merged("INBOX", "INBOX"), 1, "however often he takes it, two have shared it");
    }

    #[test]
    fn a_copy_that_nobody_shares_excuses_nobody_when_its_owner_takes_it() {
        let stage = merging();
        let alone = stage.target.contents()["INBOX"][0].clone();
        stage.target.expunge("INBOX", &[alone.uid]);
        take(&stage, "INBOX", &alone.octets);
        assert_eq!(stage.merged("INBOX", "INBOX"), 1, "the twins share theirs");
    }

    #[test]
    fn what_comes_after_the_owner_has_taken_a_shared_copy_has_not_shared_it() {
        let mut stage = merging();
        let shared = stage.target.contents()["INBOX"][2].clone();
        stage.target.expunge("INBOX", &[shared.uid]);
        take(&stage, "INBOX", &shared.octets);
        stage.source.deliver("INBOX", &shared.octets, shared.date, &[]);
        assert_eq!(stage.merged("INBOX", "INBOX"), 1, "two had shared it, and the third needs a copy of its own");
        let next = stage.clean_pass();
        assert_eq!(stage.target.contents()["INBOX"].len(), 3, "{}", next.in_words());
        assert_eq!(stage.merged("INBOX", "INBOX"), 2, "the new copy is there, and might be that of all three");
    }
}
