//! What is said of an account that is followed: one calm line on a terminal, and elsewhere a line when something has
//! changed. Pure: numbers and moments in, words out.

use crate::columns::fit_parts;
use crate::progress_text::time_for_people;
use mailhaul_copy::{Following, Snapshot};
use mailhaul_report::{count_of, duration_for_people};
use std::time::{Duration, Instant};

/// Out of step for so long, an account is worth a word, and its coming back another one.
const BEHIND_FROM: Duration = Duration::from_secs(5);

/// What a display remembers from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct FollowStory {
    has_begun: bool,
    brought_over: u64,
    changed_at: Option<Instant>,
    out_of_step_since: Option<Instant>,
}

impl FollowStory {
    /// Takes a look into account; what there is to say about it in a log, if anything.
    pub(crate) fn take(&mut self, at: Instant, following: &Following) -> Option<String> {
        if following.in_step_for.is_none() {
            self.out_of_step_since.get_or_insert(at);
            return None;
        }
        let out_for = self.out_of_step_since.take().map(|since| at - since).filter(|out_for| *out_for >= BEHIND_FROM);
        let changes = following.brought_over - self.brought_over;
        self.brought_over = following.brought_over;
        if changes > 0 {
            self.changed_at = Some(at);
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some("in step; changes are brought over as they come, until you end it".to_owned());
        }
        if changes > 0 {
            let took = following.last_lag.map(|lag| format!(" after {}", in_words(lag))).unwrap_or_default();
            return Some(format!("{} brought over{took}; in step", count_of(changes, "change")));
        }
        out_for.map(|out_for| format!("in step again, after {}", time_for_people(out_for.as_secs())))
    }

    /// Whether the account has been out of step for so long that the work itself is to be told.
    pub(crate) fn is_behind(&self, at: Instant) -> bool {
        self.out_of_step_since.is_some_and(|since| at - since >= BEHIND_FROM)
    }

    /// The one line of a terminal. What tells least is left out first where there is no room for all of it.
    pub(crate) fn line(&self, at: Instant, now: &Snapshot, following: &Following, columns: usize) -> String {
        let state = match following.in_step_for {
            Some(in_step_for) => format!("in step for {}", time_for_people(in_step_for.as_secs())),
            None => format!("not in step: {}", now.activity),
        };
        let left = now.messages_expected.saturating_sub(now.messages_settled);
        let left = (following.in_step_for.is_none() && left > 0).then(|| format!("{} left", count_of(left, "message")));
        let brought_over = match following.brought_over {
            0 => "no changes yet".to_owned(),
            changes => format!("{} brought over", count_of(changes, "change")),
        };
        let last = following.last_lag.zip(self.changed_at).map(|(lag, changed_at)| {
            format!("last {} ago, after {}", time_for_people((at - changed_at).as_secs()), in_words(lag))
        });
        let greatest = following.greatest_lag.map(|lag| format!("greatest lag {}", in_words(lag)));
        let rounds = count_of(following.rounds, "round");
        let parts = [(0, Some(state)), (5, left), (4, Some(brought_over)), (3, last), (2, greatest), (1, Some(rounds))];
        fit_parts(parts, columns)
    }
}

fn in_words(lag: Duration) -> String {
    duration_for_people(lag.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr as _;

    fn in_step(brought_over: u64) -> Following {
        Following {
            rounds: 40,
            brought_over,
            in_step_for: Some(Duration::from_secs(12)),
            last_lag: (brought_over > 0).then_some(Duration::from_millis(1_400)),
            greatest_lag: (brought_over > 0).then_some(Duration::from_secs(3)),
        }
    }

    fn behind(brought_over: u64) -> Following {
        Following { in_step_for: None, ..in_step(brought_over) }
    }

    #[test]
    fn a_log_gets_a_line_when_something_has_changed_and_otherwise_none() {
        let (mut story, start) = (FollowStory::default(), Instant::now());
        let mut take = |seconds, following: Following| story.take(start + Duration::from_secs(seconds), &following);
        let first = take(0, in_step(0)).expect("it begins");
        assert!(first.starts_with("in step; "), "{first}");
        assert_eq!(take(1, in_step(0)), None);
        assert_eq!(take(2, behind(0)), None);
        assert_eq!(take(3, in_step(2)).as_deref(), Some("2 changes brought over after 1.4 s; in step"));
        assert_eq!(take(4, in_step(2)), None);
        assert_eq!(take(5, behind(2)), None);
        assert_eq!(take(8, in_step(2)), None, "too short to speak of");
        assert_eq!(take(10, behind(2)), None);
        assert_eq!(take(52, in_step(2)).as_deref(), Some("in step again, after 42 s"));
        assert_eq!(take(53, in_step(3)).as_deref(), Some("1 change brought over after 1.4 s; in step"));
    }

    #[test]
    fn the_work_itself_is_told_only_when_it_takes_long() {
        let (mut story, start) = (FollowStory::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        story.take(at(0), &in_step(0));
        story.take(at(1), &behind(0));
        assert!(!story.is_behind(at(5)));
        story.take(at(5), &behind(0));
        assert!(story.is_behind(at(6)));
        story.take(at(7), &in_step(0));
        assert!(!story.is_behind(at(60)));
    }

    #[test]
    fn a_terminal_gets_one_line_that_fits() {
        let (mut story, start) = (FollowStory::default(), Instant::now());
        let mut now = Snapshot { activity: "INBOX: copying".to_owned(), ..Snapshot::default() };
        story.take(start, &in_step(0));
        assert_eq!(story.line(start, &now, &in_step(0), 100), "in step for 12 s · no changes yet · 40 rounds");
        story.take(start, &in_step(17));
        let later = start + Duration::from_secs(120);
        assert_eq!(
            story.line(later, &now, &in_step(17), 120),
            "in step for 12 s · 17 changes brought over · last 2 min ago, after 1.4 s · greatest lag 3.0 s · 40 rounds"
        );
        assert_eq!(
            story.line(later, &now, &in_step(17), 79),
            "in step for 12 s · 17 changes brought over · last 2 min ago, after 1.4 s"
        );
        now.messages_expected = 3;
        let line = story.line(later, &now, &behind(17), 79);
        assert_eq!(line, "not in step: INBOX: copying · 3 messages left · 17 changes brought over");
        now.activity = "日本語のとても長いメールボックス名: copying".to_owned();
        for columns in 0..140 {
            assert!(story.line(later, &now, &behind(17), columns).width() <= columns);
        }
    }
}
