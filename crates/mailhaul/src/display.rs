//! Progress on stderr: a bar on a terminal, a line every few seconds elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailhaul_copy::{Progress, Snapshot};
use mailhaul_report::{bytes_for_people, duration_for_people, number_for_people};
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(150);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);
/// Rates are taken over this long, so that a pause or a burst shows.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// A display that runs until it is told to end.
pub(crate) struct Display {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Display {
    /// Starts showing `progress`.
    pub(crate) fn start(progress: Arc<Progress>) -> Self {
        let bar = std::io::stderr().is_terminal().then(new_bar);
        let task = tokio::spawn(show(progress, bar.clone()));
        Self { task, bar }
    }

    /// Ends the display and takes the bar away.
    pub(crate) fn end(self) {
        self.task.abort();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let template = if colour {
        "{prefix:.bold} {wide_bar:.cyan/dim} {percent:>3}%\n{msg}"
    } else {
        "{prefix} {wide_bar} {percent:>3}%\n{msg}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━━─"));
    bar
}

async fn show(progress: Arc<Progress>, bar: Option<ProgressBar>) {
    let mut rate = Rate::default();
    let mut tick = tokio::time::interval(if bar.is_some() { REDRAW } else { LINE });
    tick.tick().await;
    loop {
        tick.tick().await;
        let now = progress.snapshot();
        let speed = rate.take(Instant::now(), &now);
        let line = describe(&now, &speed);
        match &bar {
            Some(bar) => {
                bar.set_length(now.bytes_expected.max(1));
                bar.set_position(now.bytes_settled.min(now.bytes_expected));
                bar.set_prefix(format!("mailbox {}/{}", now.mailboxes_finished, now.mailboxes_expected));
                bar.set_message(line);
            }
            None => {
                // A closed stderr is no reason to stop copying.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

/// What is moved in a second, and what that means for the rest.
#[derive(Debug, Default, PartialEq)]
struct Speed {
    messages: f64,
    bytes: f64,
}

#[derive(Debug, Default)]
struct Rate {
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    fn take(&mut self, at: Instant, now: &Snapshot) -> Speed {
        self.samples.push_back((at, now.messages_settled, now.bytes_settled));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|first| at - first.0 > RATE_WINDOW) {
            self.samples.pop_front();
        }
        let Some(&(since, messages, bytes)) = self.samples.front() else { return Speed::default() };
        let seconds = (at - since).as_secs_f64();
        if seconds <= 0.0 {
            return Speed::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let over = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Speed { messages: over(now.messages_settled, messages), bytes: over(now.bytes_settled, bytes) }
    }
}

fn describe(now: &Snapshot, speed: &Speed) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, positive and far below 2^63")]
    let whole = |rate: f64| rate as u64;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let left = now.bytes_expected.saturating_sub(now.bytes_settled) as f64;
    let time_left = if speed.bytes > 1.0 && left > 0.0 {
        format!(", {} left", duration_for_people(left / speed.bytes))
    } else {
        String::new()
    };
    format!(
        "{} of {} messages, {} of {}, {}/s, {}/s{time_left} · {}",
        number_for_people(now.messages_settled),
        number_for_people(now.messages_expected),
        bytes_for_people(now.bytes_settled),
        bytes_for_people(now.bytes_expected),
        number_for_people(whole(speed.messages)),
        bytes_for_people(whole(speed.bytes)),
        now.activity,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_amounts_rates_and_time_left() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let at = |messages, bytes| Snapshot {
            messages_expected: 2_000,
            bytes_expected: 4 << 20,
            messages_settled: messages,
            bytes_settled: bytes,
            activity: "INBOX: copying".to_owned(),
            ..Snapshot::default()
        };
        rate.take(start, &at(0, 0));
        let now = at(1_000, 2 << 20);
        let speed = rate.take(start + Duration::from_secs(2), &now);
        assert_eq!(
            describe(&now, &speed),
            "1,000 of 2,000 messages, 2.0 MiB of 4.0 MiB, 500/s, 1.0 MiB/s, 2.0 s left \
             · INBOX: copying"
        );
    }
}
