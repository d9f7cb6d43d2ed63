//! What the target may hold, lack or show otherwise than the source: one function for each reason, and each event is used
//! up by the one message that it excuses, over all mailboxes.

use super::{Extra, Facts, Finding, Looks, describe, looks_of, pair_off};
use crate::simulation::essence::essence;
use crate::simulation::owner::HIS_FLAGS;
use crate::simulation::past::{ForGood, Former};
use std::collections::{BTreeMap, BTreeSet};

/// So many of each message.
type Counts = BTreeMap<Facts, u64>;

/// What is left of every leave.
pub(super) struct Leave<'a> {
    extra: &'a Extra<'a>,
    refused: Counts,
    /// What its owner has taken out of a mailbox, and had not brought there himself.
    taken: Counts,
    /// What may be there besides what is at the source, and what may not, although it may have been sent.
    more: Counts,
    for_good: Counts,
    /// Whence and where messages were moved at the source, with their essence; mailboxes by their names on the target.
    moves: Vec<(String, String, Vec<u8>)>,
    /// How many changes of flags of a message by the target's owner are left.
    flagged: BTreeMap<Vec<u8>, u64>,
    /// Which copies with flags of before are left.
    kept: Vec<(Vec<u8>, BTreeSet<String>)>,
}

impl<'a> Leave<'a> {
    pub(super) fn new(named: &dyn Fn(&str) -> String, extra: &'a Extra<'a>) -> Leave<'a> {
        let essence = |octets: &[u8]| essence(extra.alters, octets);
        let count = |of: &[Former], named: &dyn Fn(&str) -> String| {
            let mut counts = Counts::new();
            for (mailbox, octets) in of {
                *counts.entry((named(mailbox), essence(octets))).or_default() += 1;
            }
            counts
        };
        let as_it_is = |name: &str| name.to_owned();
        let doings = extra.doings;
        let ever: Vec<Former> = extra.ever.iter().map(|left| (left.mailbox.clone(), left.octets.clone())).collect();
        let (taken, brought) = (count(&doings.taken, &as_it_is), count(&doings.brought, &as_it_is));
        let stays_away = |gone: &&ForGood| !comes_back(extra.validities, gone);
        let for_good: Vec<Former> =
            doings.taken_for_good.iter().filter(stays_away).map(|gone| gone.former.clone()).collect();
        let for_good = count(&for_good, &as_it_is);
        let moved =
            |left: &super::Departure| Some((named(&left.mailbox), named(left.to.as_ref()?), essence(&left.octets)));
        let mut flagged = BTreeMap::new();
        for (_, octets) in &doings.flagged {
            *flagged.entry(essence(octets)).or_default() += 1;
        }
        Leave {
            extra,
            refused: count(extra.refused, named),
            // What he has taken for good is taken off by itself.
            more: sum([count(&ever, named), count(extra.spare, named), without(&brought, &without(&taken, &for_good))]),
            taken: without(&taken, &brought),
            for_good,
            moves: extra.ever.iter().filter_map(moved).collect(),
            flagged,
            kept: extra.adopted.iter().map(|kept| (kept.essence.clone(), kept.flags.clone())).collect(),
        }
    }

    /// The owner's own mail is where he has put it last, with its date, and with its flags or those that he gave it. Takes
    /// it out of what was `found`; what is there besides is judged as everything else is.
    pub(super) fn own_mail(&self, found: &mut BTreeMap<Facts, Vec<Looks>>) -> Vec<(Finding, String)> {
        let mut findings = Vec::new();
        let Extra { own, doings, alters, .. } = *self.extra;
        for own in own {
            let is_it = |(_, octets): &&Former| *octets == own.octets;
            let at = |of: &[Former], mailbox: &String| of.iter().filter(is_it).filter(|(at, _)| at == mailbox).count();
            let brought = doings.brought.iter().filter(is_it).map(|(at, _)| at);
            let his: Vec<String> = HIS_FLAGS.map(str::to_owned).to_vec();
            let mut looks = vec![looks_of(own.date, &own.flags, alters)];
            if doings.flagged.iter().any(|one| is_it(&one)) {
                looks.push(looks_of(own.date, &his, alters));
            }
            for mailbox in brought.chain([&own.mailbox]).collect::<BTreeSet<_>>() {
                let came = usize::from(*mailbox == own.mailbox) + at(&doings.brought, mailbox);
                let facts = (mailbox.clone(), essence(alters, &own.octets));
                for _ in at(&doings.taken, mailbox)..came {
                    findings.extend(own_copy(found, &facts, &looks));
                }
            }
        }
        findings
    }

    /// What the target has refused, and the report has named, may be missing. The rest.
    pub(super) fn refused(&mut self, facts: &Facts, lacking: u64) -> u64 {
        use_up(&mut self.refused, facts, lacking)
    }

    /// What the target's owner has taken out of this very mailbox may be missing. The rest.
    pub(super) fn taken_here(&mut self, facts: &Facts, lacking: u64) -> u64 {
        use_up(&mut self.taken, facts, lacking)
    }

    /// What was moved into this mailbox at the source may be missing where the owner has taken the earlier copy: it stays
    /// where he has put it. To be asked after all others, because he may have taken that copy for another's sake. The rest.
    pub(super) fn taken_before_it_moved(&mut self, facts: &Facts, mut lacking: u64) -> u64 {
        for mailbox in self.origins(facts) {
            lacking = use_up(&mut self.taken, &(mailbox, facts.1.clone()), lacking);
        }
        lacking
    }

    /// The mailboxes that such a message has come from by moves at the source, one after another.
    fn origins(&self, (mailbox, essence): &Facts) -> BTreeSet<String> {
        let (mut known, mut open) = (BTreeSet::new(), vec![mailbox]);
        while let Some(here) = open.pop() {
            for (from, _, _) in self.moves.iter().filter(|(_, to, moved)| to == here && moved == essence) {
                if known.insert(from.clone()) {
                    open.push(from);
                }
            }
        }
        known
    }

    /// So many may be there: those at the source, those that were once there, those that a report has named and those that
    /// the owner has brought; without those that he has taken away for good.
    pub(super) fn most(&self, facts: &Facts, many: u64) -> u64 {
        let more = self.more.get(facts).copied().unwrap_or_default();
        (many + more).saturating_sub(self.for_good.get(facts).copied().unwrap_or_default())
    }

    /// Each time that the owner has changed a message's flags excuses one copy, with the right date and no flags but his
    /// and such as the message had at the source.
    pub(super) fn reflagged(&mut self, essence_: &[u8], open: &mut Vec<Looks>, left: &mut Vec<Looks>) {
        let Some(times) = self.flagged.get_mut(essence_) else { return };
        let alters = self.extra.alters;
        let mut known = self.extra.at_source.flags_of(|octets| essence(alters, octets) == essence_);
        known.extend(HIS_FLAGS.map(str::to_owned));
        pair_off(open, left, |(date, _), (theirs, flags)| {
            let fits = *times > 0 && date == theirs && flags.iter().all(|flag| known.contains(flag));
            *times -= u64::from(fits);
            fits
        });
    }

    /// What was found on the target with a flag that the source had taken away by then keeps it: by then it may be its
    /// owner's. One copy for each that was found so, and no other flag.
    pub(super) fn kept_flags(&mut self, essence: &[u8], open: &mut Vec<Looks>, left: &mut Vec<Looks>) {
        let leave = &mut self.kept;
        pair_off(open, left, |(date, flags), (theirs, there)| {
            let more: BTreeSet<&String> = there.iter().filter(|flag| !flags.contains(flag)).collect();
            let has_all = flags.iter().all(|flag| there.contains(flag));
            let fits = |(known, kept): &(Vec<u8>, BTreeSet<String>)| {
                known == essence && more.iter().all(|flag| kept.contains(*flag))
            };
            let found = leave.iter().position(fits).filter(|_| date == theirs && has_all);
            found.map(|place| leave.swap_remove(place)).is_some()
        });
    }
}

/// Whether a copy that the ledger knew of, and that its owner has taken away, may come back all the same: its mailbox was
/// carried over to another UIDVALIDITY after that, when the copy was gone, and the message has no Message-ID by which it
/// could be recognised without its copy. That the source has numbered the mailbox anew is not enough.
fn comes_back(validities: &BTreeMap<String, u32>, gone: &ForGood) -> bool {
    let (from, validity) = &gone.from;
    let (_, octets) = &gone.former;
    let header = octets.windows(4).position(|part| part == b"\r\n\r\n").map_or(&octets[..], |end| &octets[..end]);
    let is_name = |line: &[u8]| line.len() >= 11 && line[..11].eq_ignore_ascii_case(b"message-id:");
    let has_name = header.split(|octet| *octet == b'\n').any(is_name);
    !has_name && validities.get(from).is_some_and(|now| now != validity)
}

/// Takes one copy of the owner's own mail out of what was found.
fn own_copy(found: &mut BTreeMap<Facts, Vec<Looks>>, facts: &Facts, looks: &[Looks]) -> Option<(Finding, String)> {
    let what = format!("its owner's, {}", describe(facts));
    let Some(there) = found.get_mut(facts) else { return Some((Finding::Lost(1), what)) };
    let place = there.iter().position(|one| looks.contains(one));
    let one = there.swap_remove(place.unwrap_or(0));
    if there.is_empty() {
        found.remove(facts);
    }
    place.is_none().then(|| (Finding::Altered(1), format!("{what} became {one:?}")))
}

/// Uses up as much of a leave as there is need for, and tells what is left to be excused.
fn use_up(counts: &mut Counts, facts: &Facts, lacking: u64) -> u64 {
    let Some(left) = counts.get_mut(facts) else { return lacking };
    let used = lacking.min(*left);
    *left -= used;
    lacking - used
}

fn without(these: &Counts, those: &Counts) -> Counts {
    let less = |facts: &Facts| those.get(facts).copied().unwrap_or_default();
    these.iter().map(|(facts, count)| (facts.clone(), count.saturating_sub(less(facts)))).collect()
}

fn sum(all: [Counts; 3]) -> Counts {
    let mut sum = Counts::new();
    for (facts, count) in all.into_iter().flatten() {
        *sum.entry(facts).or_default() += count;
    }
    sum
}
