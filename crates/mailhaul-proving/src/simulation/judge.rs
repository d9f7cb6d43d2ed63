//! The judge: what stands in both models, held against each other message by message. Shares no code with the product.

use super::essence::essence;
use super::past::{Doings, Former};
use mailhaul_testing::model::{Alters, Held, ModelServer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// At the source and not on the target, so many times.
    Lost(u64),
    /// On the target more often than at the source.
    Doubled(u64),
    /// On the target with another date or other flags.
    Altered(u64),
}

/// What the judge has found, each with mailbox and message for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<(Finding, String)>);

impl Findings {
    /// Whether both hold the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.0.is_empty()
    }

    /// How many messages were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.iter().map(|(finding, _)| if let Finding::Lost(count) = finding { *count } else { 0 }).sum()
    }

    /// How many are there too often.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.0.iter().map(|(finding, _)| if let Finding::Doubled(count) = finding { *count } else { 0 }).sum()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(finding, what)| writeln!(f, "{finding:?}: {what}"))
    }
}

/// What makes a message: mailbox (by the target's spelling), octets, date, flags.
type Facts = (String, Vec<u8>);
type Looks = (i64, Vec<String>);

/// What the target may hold, or lack, beside what is at the source now.
#[derive(Clone, Copy, Debug)]
pub struct Extra<'a> {
    /// What was ever at the source, by the source's mailbox: it may be on the target and need not.
    pub ever: &'a [Former],
    /// What may be there once more, by the source's mailbox.
    pub spare: &'a [Former],
    /// What the target has refused, by the source's mailbox: it may be missing.
    pub refused: &'a [Former],
    /// What the target's owner has put there: it must be there, wherever he has it.
    pub own: &'a [Vec<u8>],
    /// What the target's owner has done to copies.
    pub doings: &'a Doings,
    /// How the target alters what it is given.
    pub alters: Alters,
    /// Whether the target keeps of equal messages in one mailbox one only.
    pub merges: bool,
}

/// Holds the target against the source. `named` gives the target's name of a source mailbox.
#[must_use]
pub fn judge(
    source: &ModelServer,
    target: &ModelServer,
    named: impl Fn(&str) -> String,
    extra: &Extra<'_>,
) -> Findings {
    let essence = |octets: &[u8]| essence(extra.alters, octets);
    let mut wanted: BTreeMap<Facts, Vec<Looks>> = BTreeMap::new();
    for (mailbox, held) in source.contents() {
        for held in held {
            wanted.entry((named(&mailbox), essence(&held.octets))).or_default().push(looks(&held, extra.alters));
        }
    }
    let mut found: BTreeMap<Facts, Vec<Looks>> = BTreeMap::new();
    for (mailbox, held) in target.contents() {
        for held in held {
            found.entry((mailbox.clone(), essence(&held.octets))).or_default().push(looks(&held, extra.alters));
        }
    }
    let mut findings = Findings::default();
    for octets in extra.own {
        let of_him: Vec<Facts> = found.keys().filter(|(_, held)| held == octets).cloned().collect();
        if of_him.iter().map(|facts| found.remove(facts).map_or(0, |looks| looks.len())).sum::<usize>() == 0 {
            findings.0.push((Finding::Lost(1), describe(&("its owner's".to_owned(), octets.clone()))));
        }
    }
    let count = |facts: &Facts, of: &[Former], named: &dyn Fn(&str) -> String| {
        of.iter().filter(|(mailbox, octets)| essence(octets) == facts.1 && named(mailbox) == facts.0).count() as u64
    };
    let of_source = |facts: &Facts, of: &[Former]| count(facts, of, &|name| named(name));
    let of_target = |facts: &Facts, of: &[Former]| count(facts, of, &|name| name.to_owned());
    let anywhere =
        |facts: &Facts, of: &[Former]| of.iter().filter(|(_, octets)| essence(octets) == facts.1).count() as u64;
    let all: BTreeSet<Facts> = wanted.keys().chain(found.keys()).cloned().collect();
    for facts in all {
        let looks = wanted.remove(&facts).unwrap_or_default();
        let there = found.remove(&facts).unwrap_or_default();
        let (many, few) = (looks.len() as u64, there.len() as u64);
        let doings = extra.doings;
        let kept = if extra.merges { many.min(1) } else { many };
        // What has moved at the source stays where its owner has put its copy.
        let has_moved = extra.ever.iter().any(|(_, octets)| essence(octets) == facts.1);
        let taken = if has_moved { anywhere(&facts, &doings.taken) } else { of_target(&facts, &doings.taken) };
        let least = kept.saturating_sub(taken + of_source(&facts, extra.refused));
        let more = of_source(&facts, extra.ever) + of_source(&facts, extra.spare) + of_target(&facts, &doings.brought);
        let most = (many + more).saturating_sub(of_target(&facts, &doings.taken_for_good));
        if few < least {
            findings.0.push((Finding::Lost(least - few), describe(&facts)));
        } else if few > most {
            findings.0.push((Finding::Doubled(few - most), describe(&facts)));
        }
        if anywhere(&facts, &doings.flagged) > 0 {
            continue;
        }
        let differ = missing(&looks, &there).saturating_sub(many.saturating_sub(few));
        if differ > 0 {
            findings.0.push((Finding::Altered(differ), format!("{}: {looks:?} became {there:?}", describe(&facts))));
        }
    }
    findings
}

/// How many of these are not among those.
fn missing(looks: &[Looks], there: &[Looks]) -> u64 {
    let mut left = there.to_vec();
    let is_missing = |wanted: &&Looks| match left.iter().position(|one| one == *wanted) {
        Some(place) => {
            left.swap_remove(place);
            false
        }
        None => true,
    };
    looks.iter().filter(is_missing).count() as u64
}

fn looks(held: &Held, alters: Alters) -> Looks {
    let date = if alters == Alters::IgnoresDates { 0 } else { held.date };
    let keeps = |flag: &&String| alters != Alters::DropsKeywords || flag.starts_with('\\');
    (date, held.flags.iter().filter(keeps).cloned().collect())
}

fn describe((mailbox, octets): &Facts) -> String {
    let text = String::from_utf8_lossy(octets);
    let subject = text.lines().find(|line| line.starts_with("Subject:")).unwrap_or("no subject");
    format!("{mailbox}: {subject} ({} octets)", octets.len())
}
