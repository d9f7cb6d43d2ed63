//! The comparison at the end of the last pass: both sides, message by message, judged by somebody who knows the ledger.
//!
//! A verify by hand sees two mailboxes and nothing of how they came about. Here it is known which messages were copied,
//! which of them have left the source since, and what their flags were when both sides last agreed; so what the owner
//! of the target has done can be told from what is lacking. Before the switch a message that he removed is a
//! difference, because the cutover must not rest on a guess; once he works there it is his affair, and a remark.

use crate::comparison::{Comparison, Seen, compare};
use crate::error::WalkError;
use crate::oversight::Oversight;
use crate::stop::StopSignal;
use crate::verify::{Verifier, VerifyJob, VerifyLevel};
use crate::walk::{Links, Walk};
use mailhaul_db::{PairLease, Settled, SettledState};
use mailhaul_plan::policy::{FlagPolicy, ResyncPolicy};
use mailhaul_report::{DifferenceKind, VerifyReport, count_of};
use mailhaul_types::{Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many stretches of UIDs are named in one remark.
const RANGES_NAMED_MAX: usize = 50;

/// What a comparison may know besides what both sides show.
pub(crate) struct Insight<'a> {
    pub(crate) lease: &'a PairLease,
    pub(crate) policy: &'a ResyncPolicy,
}

/// Compares both sides of a run that has passed over everything, on the connections that it has.
pub(crate) async fn compare_sides(walk: &Walk<'_>, links: &mut Option<Links>) -> VerifyReport {
    let policy = &walk.job.resync;
    let job = VerifyJob {
        accounts: walk.job.accounts.clone(),
        rules: walk.job.rules.clone(),
        selection: walk.job.selection,
        level: VerifyLevel::Keys,
        ignore_flags: policy.switched || policy.flags == FlagPolicy::None,
    };
    let stop: &StopSignal = walk.stop;
    let oversight =
        Oversight { progress: walk.progress, stop, supervisor: Arc::clone(&walk.supervisor), stale_holder: None };
    walk.progress.begin_again();
    let insight = Insight { lease: walk.lease, policy };
    let (report, left) = Verifier::new(&job, &oversight).knowing(insight, links.take()).run(stop).await;
    *links = left;
    report
}

/// What the ledger knows of one mailbox pair, as far as a comparison asks.
#[derive(Default)]
pub(crate) struct Known {
    /// Source messages that are out of the work because of an exception; the run has named them.
    set_aside: UidSet,
    /// UIDNEXT of the source when the last pass looked.
    uid_next: Option<Uid>,
    /// Target UIDs of copies whose originals have left the source.
    left_behind: UidSet,
    /// Source messages that were asked about.
    settled: BTreeMap<u32, Settled>,
}

/// What is to be said of one mailbox pair.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Source messages that have their equal on the target, those included whose flags the target's owner has changed.
    pub(crate) equal: u64,
    /// Source messages that the operator's selection leaves out and that are not on the target.
    pub(crate) skipped: u64,
    /// Kind, source UID, target UID, and what was found.
    pub(crate) differences: Vec<(DifferenceKind, Option<u32>, Option<u32>, String)>,
    /// One sentence each.
    pub(crate) remarks: Vec<String>,
}

impl Insight<'_> {
    /// Asks the ledger about everything in which the two sides do not agree.
    pub(crate) async fn ask<I: Ord>(
        &self,
        source: &str,
        ours: &[Seen<I>],
        found: &Comparison,
    ) -> Result<Known, WalkError> {
        let ledger = self.lease.mailbox(source).await?;
        let state = ledger.load().await?;
        let left = ledger.settled_in(&state.departed).await?;
        let left_behind = left.iter().filter_map(|settled| settled.target_uid).collect();
        let altered = found.altered.iter().map(|(place, _, _)| place);
        // Twins may change places when the copies that were left behind are taken out: ask about all of a kind.
        let kinds: BTreeSet<&I> = found.missing.iter().chain(altered).map(|place| &ours[*place].identity).collect();
        let asked: UidSet =
            ours.iter().filter(|seen| kinds.contains(&seen.identity)).map(|seen| Uid(seen.uid)).collect();
        let settled = ledger.settled_in(&asked).await?.into_iter();
        let settled = settled.map(|settled| (settled.source_uid.0, settled)).collect();
        let uid_next = state.synced.as_ref().map(|synced| synced.uid_next);
        Ok(Known { set_aside: state.set_aside(), uid_next, left_behind, settled })
    }
}

/// Judges what two lists of messages have not in common. `flags` says what is compared of the flags that were last
/// synced.
pub(crate) fn judge<I: Ord + Clone>(
    policy: &ResyncPolicy,
    known: &Known,
    skipped: &UidSet,
    ours: &[Seen<I>],
    theirs: &[Seen<I>],
    flags: impl Fn(&Settled) -> Option<String>,
) -> Judgement {
    let is_left_behind = |seen: &&Seen<I>| known.left_behind.contains(Uid(seen.uid));
    let left_behind = theirs.iter().filter(is_left_behind).count() as u64;
    let theirs: Vec<Seen<I>> = theirs.iter().filter(|seen| !is_left_behind(seen)).cloned().collect();
    let found = compare(ours, &theirs);
    let mut judge = Judge {
        policy,
        known,
        judgement: Judgement::default(),
        counted: Counted { left_behind, ..Default::default() },
    };
    judge.judgement.equal = found.equal;
    for (place, partner, reason) in &found.altered {
        let (ours, theirs) = (&ours[*place], &theirs[*partner]);
        let synced = known.settled.get(&ours.uid).and_then(&flags);
        judge.altered(ours, theirs, synced, reason);
    }
    let mut extra: BTreeSet<u32> = found.extra.iter().map(|place| theirs[*place].uid).collect();
    for place in &found.missing {
        judge.missing(ours[*place].uid, skipped, &mut extra);
    }
    for place in &found.doubled {
        judge.doubled(theirs[*place].uid);
    }
    judge.counted.extra += extra.len() as u64;
    judge.finish()
}

/// What is only counted, because it is the target's owner's affair or was the operator's decision.
#[derive(Default)]
struct Counted {
    /// Copies whose originals have left the source.
    left_behind: u64,
    /// Target mail that did not come from the source.
    extra: u64,
    /// Copies that somebody has removed or filed.
    removed: u64,
    /// Messages that are on the target more often than at the source.
    doubled: u64,
    /// Messages whose flags somebody has changed on the target.
    flagged: u64,
    /// Messages that were found on the target in another form, by their UIDs at the source and there.
    other_form: (UidSet, UidSet),
}

struct Judge<'a> {
    policy: &'a ResyncPolicy,
    known: &'a Known,
    judgement: Judgement,
    counted: Counted,
}

impl Judge<'_> {
    /// The same message on both sides, and not alike in everything.
    fn altered<I>(&mut self, ours: &Seen<I>, theirs: &Seen<I>, synced: Option<String>, reason: &str) {
        let only_flags = (ours.size, ours.date) == (theirs.size, theirs.date);
        let keeps_theirs = matches!(self.policy.flags, FlagPolicy::Merge | FlagPolicy::Target);
        // What the source has is what was last synced, so nothing is left to bring over: the owner has changed his copy.
        if only_flags && keeps_theirs && synced.is_some() && synced == ours.flags {
            self.judgement.equal += 1;
            self.counted.flagged += 1;
            return;
        }
        let reason = mailhaul_types::escape(reason);
        self.differ(DifferenceKind::Altered, Some(ours.uid), Some(theirs.uid), reason);
    }

    /// A source message that has no equal on the target.
    fn missing(&mut self, uid: u32, skipped: &UidSet, extra: &mut BTreeSet<u32>) {
        if let Some(settled) = self.known.settled.get(&uid) {
            match settled.target_uid.filter(|target| extra.remove(&target.0)) {
                Some(target) if settled.state == SettledState::AdoptedAltered => {
                    self.counted.other_form.0.insert(Uid(uid));
                    self.counted.other_form.1.insert(target);
                }
                Some(target) => {
                    let reason = "its copy is there, with other headers".to_owned();
                    self.differ(DifferenceKind::Altered, Some(uid), Some(target.0), reason);
                }
                None if self.policy.switched => self.counted.removed += 1,
                None => {
                    let reason = "was copied; somebody has removed or filed it on the target".to_owned();
                    self.differ(DifferenceKind::Missing, Some(uid), None, reason);
                }
            }
            return;
        }
        let uid = Uid(uid);
        if skipped.contains(uid) {
            self.judgement.skipped += 1;
        } else if !self.known.set_aside.contains(uid) {
            let reason = match self.known.uid_next.is_some_and(|uid_next| uid >= uid_next) {
                true => "not on the target: it has arrived since the pass",
                false => "not on the target",
            };
            self.differ(DifferenceKind::Missing, Some(uid.0), None, reason.to_owned());
        }
    }

    /// A target message of which the source has fewer.
    fn doubled(&mut self, uid: u32) {
        if self.policy.switched {
            self.counted.doubled += 1;
        } else {
            self.differ(DifferenceKind::Doubled, None, Some(uid), "once more than at the source".to_owned());
        }
    }

    fn differ(&mut self, kind: DifferenceKind, source: Option<u32>, target: Option<u32>, reason: String) {
        self.judgement.differences.push((kind, source, target, reason));
    }

    fn finish(mut self) -> Judgement {
        let Counted { left_behind, extra, removed, doubled, flagged, other_form } = self.counted;
        let messages = |number: u64| count_of(number, "message");
        for (number, text) in [
            (
                removed,
                format!("{} copied and not there any more: somebody has removed or filed them", messages(removed)),
            ),
            (extra, format!("{} on the target that did not come from the source", messages(extra))),
            (doubled, format!("{} more often on the target than at the source", messages(doubled))),
            (left_behind, left_behind_words(left_behind)),
            (flagged, format!("flags of {} were changed on the target, and stay so", messages(flagged))),
            (other_form.0.len(), other_form_words(&other_form)),
        ] {
            if number > 0 {
                self.judgement.remarks.push(text);
            }
        }
        self.judgement
    }
}

/// Names them, so that somebody can look whether it is the same mail: that they belong together the ledger says, and no
/// content is read here.
fn other_form_words((ours, theirs): &(UidSet, UidSet)) -> String {
    format!(
        "{} on the target in another form, as found there earlier; contents were not compared now: UIDs {} at the source, \
         {} on the target",
        count_of(ours.len(), "message"),
        first_of(ours),
        first_of(theirs),
    )
}

/// A set as text, cut where nobody would read on.
fn first_of(uids: &UidSet) -> String {
    let named = uids.ranges().iter().take(RANGES_NAMED_MAX).fold(UidSet::new(), |mut named, range| {
        named.insert_range(*range);
        named
    });
    match uids.len() - named.len() {
        0 => named.to_string(),
        more => format!("{named} and {more} more"),
    }
}

fn left_behind_words(number: u64) -> String {
    match number {
        1 => "1 message left the source after it was copied; the copy stays".to_owned(),
        _ => format!("{} left the source after they were copied; the copies stay", count_of(number, "message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_types::{Flags, SystemFlag};

    fn seen(uid: u32, identity: &'static str, flags: &str) -> Seen<&'static str> {
        Seen { uid, identity, size: Some(1), date: Some(0), flags: Some(flags.to_owned()) }
    }

    fn copied(source: u32, target: u32) -> (u32, Settled) {
        let (source_uid, target_uid) = (Uid(source), Some(Uid(target)));
        (source, Settled { source_uid, target_uid, state: SettledState::Copied, key: None, flags: Flags::new() })
    }

    fn text(settled: &Settled) -> Option<String> {
        Some(settled.flags.to_string())
    }

    fn judged(
        policy: &ResyncPolicy,
        known: &Known,
        ours: &[Seen<&'static str>],
        theirs: &[Seen<&'static str>],
    ) -> Judgement {
        judge(policy, known, &UidSet::new(), ours, theirs, text)
    }

    #[test]
    fn a_copy_that_was_removed_is_a_difference_before_the_switch_and_a_remark_after_it() {
        let known = Known { settled: BTreeMap::from([copied(2, 12)]), uid_next: Some(Uid(3)), ..Known::default() };
        let (ours, theirs) = ([seen(1, "a", ""), seen(2, "b", ""), seen(3, "c", "")], [seen(11, "a", "")]);
        let before = judged(&ResyncPolicy::default(), &known, &ours, &theirs);
        let removed = "was copied; somebody has removed or filed it on the target".to_owned();
        let arrived = "not on the target: it has arrived since the pass".to_owned();
        assert_eq!(
            before.differences,
            [
                (DifferenceKind::Missing, Some(2), None, removed),
                (DifferenceKind::Missing, Some(3), None, arrived.clone()),
            ]
        );
        assert_eq!((before.equal, before.remarks.len()), (1, 0));

        let switched = ResyncPolicy { switched: true, ..ResyncPolicy::default() };
        let after = judged(&switched, &known, &ours, &theirs);
        assert_eq!(
            after.differences,
            [(DifferenceKind::Missing, Some(3), None, arrived)],
            "never copied, so still missing"
        );
        let remark = "1 message copied and not there any more: somebody has removed or filed them".to_owned();
        assert_eq!(after.remarks, [remark]);
    }

    #[test]
    fn mail_of_the_targets_own_and_copies_of_what_left_the_source_are_remarks() {
        let known = Known { left_behind: [12, 13].into_iter().map(Uid).collect(), ..Known::default() };
        let ours = [seen(1, "a", "")];
        // A twin whose original was deleted at the source would look doubled.
        let theirs = [seen(11, "a", ""), seen(12, "a", ""), seen(13, "b", ""), seen(14, "x", "")];
        let judgement = judged(&ResyncPolicy::default(), &known, &ours, &theirs);
        assert_eq!((judgement.equal, judgement.differences.len()), (1, 0));
        assert_eq!(
            judgement.remarks,
            [
                "1 message on the target that did not come from the source",
                "2 messages left the source after they were copied; the copies stay",
            ]
        );
        let known = Known { left_behind: [Uid(12)].into_iter().collect(), ..Known::default() };
        let one = judged(&ResyncPolicy::default(), &known, &ours, &theirs[..2]);
        assert_eq!(one.remarks, ["1 message left the source after it was copied; the copy stays"]);
        let doubled = judged(&ResyncPolicy::default(), &Known::default(), &ours, &theirs[..2]);
        assert_eq!(doubled.differences[0].0, DifferenceKind::Doubled);
    }

    #[test]
    fn flags_that_only_the_owner_has_changed_are_a_remark_and_flags_that_were_not_brought_over_a_difference() {
        let (ours, theirs) = ([seen(1, "a", "")], [seen(11, "a", "\\Seen")]);
        let mut known = Known { settled: BTreeMap::from([copied(1, 11)]), ..Known::default() };
        let merged = judged(&ResyncPolicy::default(), &known, &ours, &theirs);
        assert_eq!((merged.equal, merged.differences.len()), (1, 0));
        assert_eq!(merged.remarks, ["flags of 1 message were changed on the target, and stay so"]);

        let source = ResyncPolicy { flags: FlagPolicy::Source, ..ResyncPolicy::default() };
        assert_eq!(judged(&source, &known, &ours, &theirs).differences[0].0, DifferenceKind::Altered);
        // What was last synced is not what the source has now: the change was not brought over.
        known.settled.get_mut(&1).expect("there").flags.insert(SystemFlag::Seen);
        assert_eq!(judged(&ResyncPolicy::default(), &known, &ours, &theirs).differences[0].0, DifferenceKind::Altered);
        let mut smaller = theirs;
        smaller[0].size = Some(0);
        assert_eq!(judged(&ResyncPolicy::default(), &known, &ours, &smaller).differences[0].0, DifferenceKind::Altered);
    }

    #[test]
    fn a_copy_with_other_headers_is_known_by_its_uid() {
        let (ours, theirs) = ([seen(1, "a", "")], [seen(11, "other", "")]);
        let mut known = Known { settled: BTreeMap::from([copied(1, 11)]), ..Known::default() };
        let altered = judged(&ResyncPolicy::default(), &known, &ours, &theirs);
        assert_eq!((altered.differences[0].0, altered.differences[0].2), (DifferenceKind::Altered, Some(11)));
        known.settled.get_mut(&1).expect("there").state = SettledState::AdoptedAltered;
        let adopted = judged(&ResyncPolicy::default(), &known, &ours, &theirs);
        assert_eq!(adopted.differences, []);
        let remark = "1 message on the target in another form, as found there earlier; contents were not compared now: \
                      UIDs 1 at the source, 11 on the target";
        assert_eq!(adopted.remarks, [remark]);
        let many: UidSet = (1..=200).map(|uid| Uid(uid * 2)).collect();
        assert!(first_of(&many).ends_with(",98,100 and 150 more"), "{}", first_of(&many));
    }

    #[test]
    fn what_was_set_aside_or_left_out_is_not_named_a_second_time() {
        let known = Known { set_aside: [1].into_iter().map(Uid).collect(), ..Known::default() };
        let skipped: UidSet = [2].into_iter().map(Uid).collect();
        let ours = [seen(1, "a", ""), seen(2, "b", "")];
        let judgement = judge(&ResyncPolicy::default(), &known, &skipped, &ours, &[], text);
        assert_eq!(judgement, Judgement { skipped: 1, ..Judgement::default() });
    }
}
