//! What the target's owner does to copies: he deletes them, moves them, changes their flags. Whatever he does is noted for
//! the judge.

use super::past::{Doings, ForGood, Past, Shared};
use super::stage::Stage;
use super::truth::{KnownCopies, settled_targets};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{Held, ModelServer};
use std::sync::{Arc, Mutex, PoisonError};

/// The flags that he gives.
pub(super) const HIS_FLAGS: [&str; 3] = ["\\Seen", "\\Flagged", "Mine"];

/// One thing that he does.
#[derive(Clone, Debug)]
pub(super) struct Whim {
    from: String,
    place: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Deletes,
    Moves(String),
    Flags,
}

impl Whim {
    /// Something with a message of one of these mailboxes.
    pub(super) fn roll(dice: &mut Dice, from: String, to: String) -> Whim {
        let kind = match dice.below(5) {
            0 | 1 => Kind::Deletes,
            2 | 3 if from != to => Kind::Moves(to),
            _ => Kind::Flags,
        };
        Whim { from, place: dice.below(100), kind }
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        format!("the target's owner {:?} a message of {}", self.kind, self.from)
    }

    /// Does it. `known` are the copies that the ledger knows of.
    pub(super) fn carry_out(
        &self,
        (source, target): (&ModelServer, &ModelServer),
        ever: &Past,
        noted: &Mutex<Doings>,
        known: &KnownCopies,
    ) {
        let contents = target.contents();
        let Some(held) = contents.get(&self.from).filter(|held| !held.is_empty()) else { return };
        let Held { uid, octets, .. } = &held[self.place % held.len()];
        let former = |mailbox: &String| (mailbox.clone(), octets.to_vec());
        let at_source = ever.and_present(source);
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.kind {
            Kind::Flags => {
                target.set_flags(&self.from, *uid, &HIS_FLAGS);
                noted.flagged.push(former(&self.from));
                return;
            }
            Kind::Moves(to) if contents.contains_key(to) => {
                target.move_(&self.from, &[*uid], to);
                noted.brought.push(former(to));
            }
            Kind::Moves(_) => return,
            Kind::Deletes => target.expunge(&self.from, &[*uid]),
        }
        noted.taken.push(former(&self.from));
        noted.shared.push(Shared { former: former(&self.from), at_source });
        let place = target.uid_validity(&self.from).map(|validity| (validity, *uid));
        if let Some((place, from)) = place.and_then(|place| Some((place, known.get(&place)?.clone()))) {
            noted.taken_for_good.push(ForGood { former: former(&self.from), place, from });
        }
    }
}

impl Stage {
    /// The target's owner does something while no pass is at work: what the ledger knows of does not come back.
    pub(super) fn between_passes(&self, whim: &Whim) {
        self.observe();
        whim.carry_out((&self.source, &self.target), &self.ever, &self.doings, &settled_targets(self));
    }

    /// Where his doings are noted.
    pub(super) fn notes(&self) -> Arc<Mutex<Doings>> {
        Arc::clone(&self.doings)
    }
}
