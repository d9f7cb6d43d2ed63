//! Pure: many rounds over one account, told as one run. The last round says how things stand; what earlier ones delivered
//! is added to it, so that the counts are those of a run that did everything at once.

use mailhaul_report::{Changes, Followed, Remark, RunReport, Stop};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many different remarks of earlier rounds are kept.
const REMARKS_MAX: usize = 500;

/// What the rounds so far have come to.
#[derive(Debug, Default)]
pub(crate) struct Story {
    delivered: BTreeMap<String, Delivered>,
    remarks: Vec<Remark>,
    latest: RunReport,
    rounds: u64,
    rounds_with_changes: u64,
    brought_over: u64,
    greatest_lag: Option<Duration>,
    last_lag: Option<Duration>,
    reconnections: u64,
}

/// What was done in one mailbox by all rounds together.
#[derive(Debug, Clone, Copy, Default)]
struct Delivered {
    copied: u64,
    adopted: u64,
    bytes: u64,
    changes: Changes,
    /// Messages copied or changed since the first round had come to its end.
    brought_over: u64,
}

impl Delivered {
    fn messages(&self) -> u64 {
        let Changes { flags, moved, left_to_owner, deleted, carried_over } = self.changes;
        self.copied + self.adopted + flags + moved + left_to_owner + deleted + carried_over
    }
}

impl Story {
    /// Takes a round in, whether it came to its end or not; returns how many messages it copied or changed. `follows` is
    /// whether an earlier round has come to its end: what this one does is then a change that was made since.
    pub(crate) fn take(&mut self, round: RunReport, follows: bool) -> u64 {
        let mut brought_over = 0;
        for line in &round.mailboxes {
            let here = Delivered {
                copied: line.messages.copied,
                adopted: line.messages.adopted,
                bytes: line.bytes,
                changes: line.changes,
                brought_over: 0,
            };
            if here.messages() > 0 {
                brought_over += here.messages();
                let so_far = self.delivered.entry(line.source.clone()).or_default();
                so_far.copied += here.copied;
                so_far.adopted += here.adopted;
                so_far.bytes += here.bytes;
                so_far.changes += here.changes;
                so_far.brought_over += if follows { here.messages() } else { 0 };
            }
        }
        for remark in &round.remarks {
            if self.remarks.len() < REMARKS_MAX && !self.remarks.contains(remark) {
                self.remarks.push(remark.clone());
            }
        }
        self.rounds += 1;
        if follows {
            self.brought_over += brought_over;
            self.rounds_with_changes += u64::from(brought_over > 0);
        }
        if !round.mailboxes.is_empty() || self.latest.mailboxes.is_empty() {
            self.latest = round;
        }
        brought_over
    }

    /// So long it took until a change that was made at the source stood on the target.
    pub(crate) fn lagged(&mut self, lag: Duration) {
        self.last_lag = Some(lag);
        self.greatest_lag = Some(self.greatest_lag.unwrap_or_default().max(lag));
    }

    pub(crate) fn reconnected(&mut self) {
        self.reconnections += 1;
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.rounds
    }

    pub(crate) fn brought_over(&self) -> u64 {
        self.brought_over
    }

    pub(crate) fn last_lag(&self) -> Option<Duration> {
        self.last_lag
    }

    pub(crate) fn greatest_lag(&self) -> Option<Duration> {
        self.greatest_lag
    }

    /// The source mailbox in which more was brought over than in any other, INBOX included, by its name as it is shown.
    pub(crate) fn busiest(&self) -> Option<&str> {
        let most = self.delivered.values().map(|delivered| delivered.brought_over).max().filter(|most| *most > 0)?;
        let busiest = self.delivered.iter().filter(|(_, delivered)| delivered.brought_over == most);
        let mut names = busiest.map(|(name, _)| name.as_str());
        let first = names.next();
        if names.next().is_some() { None } else { first }
    }

    /// The one report.
    pub(crate) fn into_report(self, stop: Option<Stop>, in_step: bool) -> RunReport {
        let mut report = self.latest;
        for line in &mut report.mailboxes {
            let Some(all) = self.delivered.get(&line.source) else { continue };
            let counts = &mut line.messages;
            // What earlier rounds delivered the last one found there already.
            let copied = (all.copied - counts.copied).min(counts.already);
            counts.already -= copied;
            counts.copied += copied;
            let adopted = (all.adopted - counts.adopted).min(counts.already);
            counts.already -= adopted;
            counts.adopted += adopted;
            (line.bytes, line.changes, line.visited) = (all.bytes, all.changes, true);
        }
        let seconds = |lag: Duration| (lag.as_secs_f64() * 1_000.0).round() / 1_000.0;
        report.followed = Some(Followed {
            rounds: self.rounds,
            rounds_with_changes: self.rounds_with_changes,
            brought_over: self.brought_over,
            greatest_lag_secs: self.greatest_lag.map(seconds),
            reconnections: self.reconnections,
            in_step,
        });
        report.remarks = self.remarks;
        report.stop = stop;
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_report::{Counts, MailboxLine, Verdict};

    fn round(lines: &[(&str, Counts, Changes)]) -> RunReport {
        let line = |(name, messages, changes): &(&str, Counts, Changes)| MailboxLine {
            source: (*name).to_owned(),
            target: Some((*name).to_owned()),
            messages: *messages,
            bytes: messages.copied * 100,
            changes: *changes,
            visited: messages.copied > 0,
        };
        RunReport { mailboxes: lines.iter().map(line).collect(), ..RunReport::default() }
    }

    fn counts(already: u64, copied: u64) -> Counts {
        Counts { source: already + copied, already, copied, ..Counts::default() }
    }

    #[test]
    fn many_rounds_are_told_as_one_run() {
        let flags = Changes { flags: 2, ..Changes::default() };
        let mut story = Story::default();
        assert_eq!(story.take(round(&[("a", counts(0, 5), Changes::default()), ("b", counts(3, 0), flags)]), false), 7);
        assert_eq!(story.take(round(&[("a", counts(5, 2), Changes::default()), ("b", counts(3, 0), flags)]), true), 4);
        // One of them has left the source since.
        assert_eq!(
            story
                .take(round(&[("a", counts(6, 0), Changes::default()), ("b", counts(3, 0), Changes::default())]), true),
            0
        );
        story.lagged(Duration::from_millis(1_500));
        story.lagged(Duration::from_millis(500));
        assert_eq!((story.busiest(), story.last_lag()), (None, Some(Duration::from_millis(500))), "two are as busy");
        let report = story.into_report(None, true);
        assert_eq!(report.mailboxes[0].messages, Counts { source: 6, copied: 6, ..Counts::default() });
        assert_eq!((report.mailboxes[0].bytes, report.mailboxes[1].changes.flags), (700, 4));
        assert!(report.mailboxes.iter().all(|line| line.messages.adds_up() && line.visited));
        assert_eq!(report.verdict(), Verdict::Complete);
        let followed = report.followed.expect("it was followed");
        assert_eq!((followed.rounds, followed.rounds_with_changes, followed.brought_over), (3, 1, 4));
        assert_eq!(followed.greatest_lag_secs, Some(1.5));
    }

    #[test]
    fn a_round_that_came_to_nothing_does_not_hide_what_is_known() {
        let mut story = Story::default();
        story.take(round(&[("a", counts(0, 5), Changes::default())]), false);
        story.take(RunReport::default(), true);
        let report = story.into_report(None, false);
        assert_eq!(report.totals(), counts(0, 5));
    }

    #[test]
    fn the_busiest_mailbox_is_the_one_that_changed_most_since_the_first_round() {
        let mut story = Story::default();
        story.take(
            round(&[("archive", counts(0, 500), Changes::default()), ("a", counts(0, 1), Changes::default())]),
            false,
        );
        assert_eq!(story.busiest(), None, "the bulk says nothing of what will come");
        story.take(
            round(&[("archive", counts(500, 0), Changes::default()), ("a", counts(1, 3), Changes::default())]),
            true,
        );
        assert_eq!(story.busiest(), Some("a"));
    }
}
