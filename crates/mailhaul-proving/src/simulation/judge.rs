//! The judge: what stands in both models, held against each other message by message. Shares no code with the product.

use mailhaul_testing::model::{Held, ModelServer};
use std::collections::BTreeMap;
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

/// Holds the target against the source. `named` gives the target's name of a source mailbox. `ever` is what was ever at
/// the source beside what is there now: it may be on the target and need not.
#[must_use]
pub fn judge(
    source: &ModelServer,
    target: &ModelServer,
    named: impl Fn(&str) -> String,
    ever: &[(String, Vec<u8>)],
) -> Findings {
    let mut wanted: BTreeMap<Facts, Vec<Looks>> = BTreeMap::new();
    for (mailbox, held) in source.contents() {
        for held in held {
            wanted.entry((named(&mailbox), held.octets.to_vec())).or_default().push(looks(&held));
        }
    }
    let mut found: BTreeMap<Facts, Vec<Looks>> = BTreeMap::new();
    for (mailbox, held) in target.contents() {
        for held in held {
            found.entry((mailbox.clone(), held.octets.to_vec())).or_default().push(looks(&held));
        }
    }
    let mut findings = Findings::default();
    for (facts, looks) in &mut wanted {
        let mut there = found.remove(facts).unwrap_or_default();
        let (many, few) = (looks.len() as u64, there.len() as u64);
        let past = ever.iter().filter(|(mailbox, octets)| (named(mailbox), octets.clone()) == *facts).count() as u64;
        if few < many {
            findings.0.push((Finding::Lost(many - few), describe(facts)));
        } else if few > many + past {
            findings.0.push((Finding::Doubled(few - many - past), describe(facts)));
        } else if past == 0 {
            looks.sort();
            there.sort();
            let differ = looks.iter().zip(&there).filter(|(one, other)| one != other).count() as u64;
            if differ > 0 {
                findings.0.push((Finding::Altered(differ), format!("{}: {looks:?} became {there:?}", describe(facts))));
            }
        }
    }
    for (facts, looks) in found {
        let past = ever.iter().filter(|(mailbox, octets)| (named(mailbox), octets.clone()) == facts).count();
        if looks.len() > past {
            let more = (looks.len() - past) as u64;
            findings.0.push((Finding::Doubled(more), describe(&facts)));
        }
    }
    findings
}

fn looks(held: &Held) -> Looks {
    (held.date, held.flags.clone())
}

fn describe((mailbox, octets): &Facts) -> String {
    let text = String::from_utf8_lossy(octets);
    let subject = text.lines().find(|line| line.starts_with("Subject:")).unwrap_or("no subject");
    format!("{mailbox}: {subject} ({} octets)", octets.len())
}
