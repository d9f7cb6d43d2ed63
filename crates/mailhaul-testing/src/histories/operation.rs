//! What happens in a history: operations that are rolled in advance and find what they apply to when they are played, so that
//! a history still makes sense when some of them are taken out.

use super::dice::Dice;
use super::policy::Setting;

/// A number that becomes a choice among what is there at the time.
pub type Pick = u32;

/// What the user does at the source.
#[expect(missing_docs, reason = "what a pick is says its type, and what it picks the field's name")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtSource {
    /// New mail.
    Deliver { into: Pick, messages: u8, flags: u8, named: bool },
    /// The same octets once more, into the same mailbox or another one.
    Twin { of: Pick, into: Option<Pick> },
    /// The same header, Message-ID and all, with another body; the earlier one stays.
    SameHeader { of: Pick },
    /// As programs save drafts: another body under the same Message-ID, and the earlier one goes.
    EditDraft { of: Pick },
    /// Flags and keywords.
    Flag { of: Pick, messages: u8, add: u8, remove: u8 },
    /// Moves messages.
    Move { of: Pick, messages: u8, to: Pick, by_copy: bool },
    /// Copies messages.
    Copy { of: Pick, to: Pick },
    /// Removes messages.
    Delete { of: Pick, messages: u8 },
    /// Makes a mailbox.
    Create { name: Pick },
    /// Renames a mailbox and what lies beneath it.
    Rename { of: Pick, name: Pick },
    /// Renames a mailbox and makes a new one in its place (`Archive`, `Archive-2025`).
    RenameAway { of: Pick, name: Pick },
    /// Deletes a mailbox with what is in it.
    DeleteMailbox { of: Pick },
    /// Deletes a mailbox and makes one of the same name, with other mail.
    Recreate { of: Pick, messages: u8 },
    /// The same mail under a new UIDVALIDITY, and with new UIDs if it is made anew.
    Renumber { of: Pick, anew: bool },
}

/// What the owner does on the target.
#[expect(missing_docs, reason = "as above")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtTarget {
    /// Flags and keywords.
    Flag { of: Pick, add: u8, remove: u8 },
    /// Removes a message.
    Delete { of: Pick },
    /// Moves a message to another mailbox.
    File { of: Pick, to: Pick },
    /// Mail that comes to the target from elsewhere.
    Deliver { into: Pick },
}

/// How a pass is disturbed.
#[expect(missing_docs, reason = "octets are octets")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// The copier is killed when so many octets have gone to the target.
    Kill { octets: u32 },
    /// The target's connection is cut when so many octets have gone this way.
    CutTarget { octets: u32, to_server: bool },
    /// The source's connection is cut when so many octets have come from it.
    CutSource { octets: u32 },
}

/// One step of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// By the user at the source.
    Source(AtSource),
    /// By the owner on the target.
    Target(AtTarget),
    /// A pass, perhaps after one that was disturbed.
    Pass(Option<Disturbance>),
}

/// Which kinds of steps are rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Flag changes on either side.
    pub flags: bool,
    /// Moves at the source.
    pub moves: bool,
    /// Deletions at the source.
    pub deletions: bool,
    /// Mailboxes that are renamed.
    pub renames: bool,
    /// Mailboxes that are deleted, made anew, renumbered.
    pub ground: bool,
    /// The owner of the target.
    pub owner: bool,
    /// Passes that are disturbed.
    pub disturbances: bool,
    /// Whether it is counted what a pass with nothing to do asks of the source.
    pub costs: bool,
}

impl Kinds {
    /// Everything.
    pub const ALL: Kinds = Kinds {
        flags: true,
        moves: true,
        deletions: true,
        renames: true,
        ground: true,
        owner: true,
        disturbances: true,
        costs: true,
    };

    /// Everything but what is named in a list such as `renames,ground`.
    #[must_use]
    pub fn without(names: &str) -> Kinds {
        let mut kinds = Kinds::ALL;
        for name in names.split(',') {
            match name.trim() {
                "flags" => kinds.flags = false,
                "moves" => kinds.moves = false,
                "deletions" => kinds.deletions = false,
                "renames" => kinds.renames = false,
                "ground" => kinds.ground = false,
                "owner" => kinds.owner = false,
                "disturbances" => kinds.disturbances = false,
                "costs" => kinds.costs = false,
                _ => {}
            }
        }
        kinds
    }
}

/// A whole history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What it was rolled from.
    pub seed: u64,
    /// What it is played under.
    pub setting: Setting,
    /// What happens, in order. One more undisturbed pass follows, and one that must find nothing to do.
    pub steps: Vec<Step>,
}

impl History {
    /// Rolls the history of a seed.
    #[must_use]
    pub fn of(seed: u64, kinds: Kinds) -> History {
        let mut dice = Dice::of(seed);
        let setting = Setting { costs_count: kinds.costs, ..Setting::roll(&mut dice) };
        let mut steps = Vec::new();
        for _ in 0..dice.below(4) + 2 {
            steps.push(Step::Source(source_step(&mut dice, kinds, true)));
        }
        for _ in 0..dice.below(4) + 1 {
            steps.push(Step::Pass(disturbance(&mut dice, kinds)));
            for _ in 0..dice.below(6) + 1 {
                let at_target = kinds.owner && dice.below(10) < 3;
                steps.push(if at_target {
                    Step::Target(target_step(&mut dice, kinds))
                } else {
                    Step::Source(source_step(&mut dice, kinds, false))
                });
            }
        }
        History { seed, setting, steps }
    }
}

fn pick(dice: &mut Dice) -> Pick {
    u32::try_from(dice.roll() & 0xffff).unwrap_or_default()
}

fn few(dice: &mut Dice) -> u8 {
    [1, 1, 1, 2, 2, 3, 4][dice.below(7)]
}

fn flags(dice: &mut Dice) -> u8 {
    u8::try_from(dice.roll() & dice.roll() & 0xff).unwrap_or_default()
}

fn source_step(dice: &mut Dice, kinds: Kinds, first: bool) -> AtSource {
    loop {
        let step = rolled_source_step(dice, first);
        let wanted = match step {
            AtSource::Flag { .. } => kinds.flags,
            AtSource::Move { .. } => kinds.moves,
            AtSource::Delete { .. } | AtSource::EditDraft { .. } => kinds.deletions,
            AtSource::Rename { .. } | AtSource::RenameAway { .. } => kinds.renames,
            AtSource::DeleteMailbox { .. } | AtSource::Recreate { .. } | AtSource::Renumber { .. } => kinds.ground,
            _ => true,
        };
        if wanted {
            return step;
        }
    }
}

fn rolled_source_step(dice: &mut Dice, first: bool) -> AtSource {
    let kind = if first { dice.below(34) } else { dice.below(100) };
    match kind {
        0..=19 => {
            let messages = if dice.once_in(25) { 14 } else { few(dice) };
            AtSource::Deliver { into: pick(dice), messages, flags: flags(dice), named: !dice.once_in(5) }
        }
        20..=24 => AtSource::Twin { of: pick(dice), into: dice.once_in(2).then(|| pick(dice)) },
        25..=27 => AtSource::SameHeader { of: pick(dice) },
        28..=33 => AtSource::Create { name: pick(dice) },
        34..=39 => AtSource::EditDraft { of: pick(dice) },
        40..=56 => AtSource::Flag { of: pick(dice), messages: few(dice), add: flags(dice), remove: flags(dice) },
        57..=70 => {
            let messages = if dice.once_in(6) { 30 } else { few(dice) };
            AtSource::Move { of: pick(dice), messages, to: pick(dice), by_copy: dice.once_in(3) }
        }
        71..=74 => AtSource::Copy { of: pick(dice), to: pick(dice) },
        75..=82 => {
            let messages = if dice.once_in(8) { 30 } else { few(dice) };
            AtSource::Delete { of: pick(dice), messages }
        }
        83..=87 => AtSource::Rename { of: pick(dice), name: pick(dice) },
        88..=89 => AtSource::RenameAway { of: pick(dice), name: pick(dice) },
        90..=91 => AtSource::DeleteMailbox { of: pick(dice) },
        92..=93 => AtSource::Recreate { of: pick(dice), messages: few(dice) },
        _ => AtSource::Renumber { of: pick(dice), anew: dice.once_in(2) },
    }
}

fn target_step(dice: &mut Dice, kinds: Kinds) -> AtTarget {
    match dice.below(10) {
        0..=2 if kinds.flags => AtTarget::Flag { of: pick(dice), add: flags(dice), remove: flags(dice) },
        0..=4 => AtTarget::Delete { of: pick(dice) },
        5..=7 => AtTarget::File { of: pick(dice), to: pick(dice) },
        _ => AtTarget::Deliver { into: pick(dice) },
    }
}

fn disturbance(dice: &mut Dice, kinds: Kinds) -> Option<Disturbance> {
    // A disturbed pass waits for seconds, as it must, until nothing can be under way any more.
    if !dice.once_in(7) || !kinds.disturbances {
        return None;
    }
    let octets = u32::try_from(dice.below(4_000)).unwrap_or_default();
    Some(match dice.below(4) {
        0 | 1 => Disturbance::Kill { octets },
        2 => Disturbance::CutTarget { octets, to_server: dice.once_in(2) },
        _ => Disturbance::CutSource { octets },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_history_and_another_one_is_another() {
        assert_eq!(History::of(5, Kinds::ALL), History::of(5, Kinds::ALL));
        assert_ne!(History::of(5, Kinds::ALL).steps, History::of(6, Kinds::ALL).steps);
    }

    #[test]
    fn what_is_not_wanted_is_not_rolled() {
        let kinds = Kinds::without("moves,owner");
        let steps: Vec<Step> = (0..200).flat_map(|seed| History::of(seed, kinds).steps).collect();
        assert!(!steps.iter().any(|step| matches!(step, Step::Target(_) | Step::Source(AtSource::Move { .. }))));
        assert!(steps.iter().any(|step| matches!(step, Step::Source(AtSource::Rename { .. }))));
    }
}
