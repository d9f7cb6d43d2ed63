//! The judge: what stands in both models, held against each other message by message. Shares no code with the product.
//! What may be otherwise than at the source is in `leave.rs`, one function for each reason.

mod leave;
#[cfg(test)]
mod tests;

use super::essence::essence;
use super::past::{Departure, Doings, Former, KeptFlags, Memory, Own};
use leave::Leave;
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
    pub ever: &'a [Departure],
    /// What may be there once more, by the source's mailbox.
    pub spare: &'a [Former],
    /// What the target has refused, by the source's mailbox: it may be missing.
    pub refused: &'a [Former],
    /// What the target's owner has put there: it must be there as it was, where he has put it last.
    pub own: &'a [Own],
    /// What the target's owner has done to copies.
    pub doings: &'a Doings,
    /// Copies that were found on the target rather than confirmed by it, with flags that the source had taken away by then.
    pub adopted: &'a [KeptFlags],
    /// Under which UIDVALIDITY the ledger knows each source mailbox.
    pub validities: &'a BTreeMap<String, u32>,
    /// Everything that was ever seen at the source.
    pub at_source: &'a Memory,
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
    let mut wanted = held(source, &named, extra.alters);
    let mut found = held(target, str::to_owned, extra.alters);
    let mut leave = Leave::new(&named, extra);
    let mut findings = Findings(leave.own_mail(&mut found));
    let mut open = Vec::new();
    let all: BTreeSet<Facts> = wanted.keys().chain(found.keys()).cloned().collect();
    for facts in all {
        let looks = wanted.remove(&facts).unwrap_or_default();
        let there = found.remove(&facts).unwrap_or_default();
        let (many, few) = (looks.len() as u64, there.len() as u64);
        let kept = if extra.merges { many.min(1) } else { many };
        let lacking = leave.refused(&facts, kept.saturating_sub(few));
        let lacking = leave.taken_here(&facts, lacking);
        if lacking > 0 {
            open.push((facts.clone(), lacking));
        }
        let most = leave.most(&facts, many);
        if few > most {
            findings.0.push((Finding::Doubled(few - most), describe(&facts)));
        }
        let (mut differing, mut others) = apart(&looks, &there);
        leave.reflagged(&facts.1, &mut differing, &mut others);
        leave.kept_flags(&facts.1, &mut differing, &mut others);
        let differ = (differing.len() as u64).saturating_sub(many.saturating_sub(few));
        if differ > 0 {
            findings.0.push((Finding::Altered(differ), format!("{}: {looks:?} became {there:?}", describe(&facts))));
        }
    }
    for (facts, lacking) in open {
        let lacking = leave.taken_before_it_moved(&facts, lacking);
        if lacking > 0 {
            findings.0.push((Finding::Lost(lacking), describe(&facts)));
        }
    }
    findings
}

/// What a server holds, by mailbox and essence.
fn held(server: &ModelServer, named: impl Fn(&str) -> String, alters: Alters) -> BTreeMap<Facts, Vec<Looks>> {
    let mut all: BTreeMap<Facts, Vec<Looks>> = BTreeMap::new();
    for (mailbox, held) in server.contents() {
        for held in held {
            all.entry((named(&mailbox), essence(alters, &held.octets))).or_default().push(looks(&held, alters));
        }
    }
    all
}

/// Which of these are not among those, and which of those are not among these.
fn apart(looks: &[Looks], there: &[Looks]) -> (Vec<Looks>, Vec<Looks>) {
    let (mut open, mut left) = (looks.to_vec(), there.to_vec());
    pair_off(&mut open, &mut left, |one, other| one == other);
    (open, left)
}

/// Takes one of each away for every pair that fits.
fn pair_off(open: &mut Vec<Looks>, left: &mut Vec<Looks>, mut fits: impl FnMut(&Looks, &Looks) -> bool) {
    open.retain(|wanted| match left.iter().position(|one| fits(wanted, one)) {
        Some(place) => {
            left.swap_remove(place);
            false
        }
        None => true,
    });
}

fn looks(held: &Held, alters: Alters) -> Looks {
    looks_of(held.date, &held.flags, alters)
}

fn looks_of(date: i64, flags: &[String], alters: Alters) -> Looks {
    let date = if alters == Alters::IgnoresDates { 0 } else { date };
    let keeps = |flag: &&String| alters != Alters::DropsKeywords || flag.starts_with('\\');
    let mut flags: Vec<String> = flags.iter().filter(keeps).cloned().collect();
    flags.sort();
    (date, flags)
}

fn describe((mailbox, octets): &Facts) -> String {
    let text = String::from_utf8_lossy(octets);
    let subject = text.lines().find(|line| line.starts_with("Subject:")).unwrap_or("no subject");
    format!("{mailbox}: {subject} ({} octets)", octets.len())
}
