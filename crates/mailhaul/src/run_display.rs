//! What `run` and `serve` show while they work: a few lines that stay where they are on a terminal, a line every few
//! seconds elsewhere. Nobody waits for it, and what is drawn decides nothing.

use crate::columns::shorten;
use crate::display::{self, is_drawable, screen_size};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailhaul_report::{Done, Finish, WaveStatus, bytes_for_people, count_of, moment_for_people, number_for_people};
use mailhaul_service::{JobKind, LiveView, Service, Watch};
use mailhaul_types::Escaped;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the state file is asked.
const REDRAW: Duration = Duration::from_secs(1);
/// How often a line is written where there is no terminal, if something has changed.
const LINE: Duration = Duration::from_secs(5);
/// How often it is written if nothing has.
const LINE_UNCHANGED: Duration = Duration::from_secs(60);
/// Lines of a terminal that are left to others.
const LINES_FREE: usize = 3;
/// More running accounts than this are counted and not shown.
const RUNNING_SHOWN: usize = 16;

/// A display that runs until it is told to end.
pub(crate) struct RunDisplay {
    task: JoinHandle<()>,
    end: watch::Sender<bool>,
}

impl RunDisplay {
    /// Starts showing how a wave, or everything, comes along.
    pub(crate) fn start(service: Service, live: LiveView, wave: Option<String>, kind: Option<JobKind>) -> Self {
        let (end, ended) = watch::channel(false);
        let bar = is_drawable().then(new_bar);
        let every = if bar.is_some() { REDRAW } else { LINE };
        let task = tokio::spawn(show(service, live, wave, Watch::of_kind(kind), bar, every, ended));
        Self { task, end }
    }

    /// Takes the display away.
    pub(crate) async fn end(self) {
        self.end.send_replace(true);
        // A display that broke off has nothing more to show.
        let _ = self.task.await;
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    display::put_up(&bar);
    bar
}

async fn show(
    service: Service,
    live: LiveView,
    wave: Option<String>,
    mut watch: Watch,
    bar: Option<ProgressBar>,
    every: Duration,
    mut ended: watch::Receiver<bool>,
) {
    let mut lines_said = Lines::default();
    loop {
        // What cannot be read now is shown the next time; whoever works says what is wrong.
        if let Ok(status) = service.status(wave.as_deref(), &live.jobs(), &mut watch).await {
            match &bar {
                Some(bar) => {
                    let (columns, rows) = screen_size();
                    bar.set_message(lines(&status, columns - 1, rows.saturating_sub(LINES_FREE)).join("\n"));
                    bar.tick();
                }
                // The first line would say that nothing has happened yet.
                None if watch.has_rate() => {
                    if let Some(line) = lines_said.next(&status, Instant::now()) {
                        display::say(&line);
                    }
                }
                None => {}
            }
        }
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            () = tokio::time::sleep(every) => {}
        }
    }
    if let Some(bar) = bar {
        display::take_down();
        bar.finish_and_clear();
    }
}

/// Which lines are worth a place in a log.
#[derive(Default)]
struct Lines {
    last: Option<(Instant, String)>,
}

impl Lines {
    /// The line, if something has changed since the last one, or that is long ago.
    fn next(&mut self, status: &WaveStatus, now: Instant) -> Option<String> {
        let mark = format!("{} {} {:?}", summary(status), done(status.messages), status.bytes);
        if self.last.as_ref().is_some_and(|(at, said)| *said == mark && now - *at < LINE_UNCHANGED) {
            return None;
        }
        self.last = Some((now, mark));
        Some(line(status))
    }
}

/// The display of a terminal: totals first, then what runs, then what went wrong last.
fn lines(status: &WaveStatus, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![summary(status), amounts(status)];
    lines.extend(waits(status));
    let problem = status.problems.first();
    let room = rows.saturating_sub(lines.len() + usize::from(problem.is_some()) + 1).min(RUNNING_SHOWN);
    for running in status.running.iter().take(room) {
        let rate = match running.bytes_per_second {
            0 => String::new(),
            rate => format!(" · {}/s", bytes_for_people(rate)),
        };
        let account = Escaped(&running.account);
        // Before anything is counted, a number says nothing.
        let messages = match running.messages {
            Done { done: 0, expected: None } => String::new(),
            messages => format!(" · {}", done(messages)),
        };
        lines.push(format!("  {account} ({}): {}{messages}{rate}", running.kind, running.doing));
    }
    if let Some(more) = status.running.len().checked_sub(room).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    lines.extend(problem.map(|problem| format!("! {}: {}", Escaped(&problem.account), Escaped(&problem.words))));
    lines.iter().map(|line| shorten(line, columns)).collect()
}

/// The same in one line, for a log.
fn line(status: &WaveStatus) -> String {
    let waits: String = waits(status).iter().map(|wait| format!(" · {wait}")).collect();
    format!("{} · {}{waits}", summary(status), amounts(status))
}

fn summary(status: &WaveStatus) -> String {
    format!("{}, {}: {}", name(status), count_of(status.accounts, "account"), status.summary_line())
}

/// What is being waited for: hosts that are left in peace, or whatever else accounts wait for until some moment.
fn waits(status: &WaveStatus) -> Vec<String> {
    if !status.resting.is_empty() {
        let resting = status.resting.iter();
        let told = |host: &mailhaul_report::RestingHost| {
            format!("{} {}, next try {}", Escaped(&host.host), host.why, status.soon(host.until_unix_secs))
        };
        return resting.map(told).collect();
    }
    let waiting = status.states.iter().filter_map(|count| Some((count, count.until_unix_secs?)));
    let told = |(count, at): (&mailhaul_report::StateCount, i64)| {
        let why = count.reason.as_deref().unwrap_or(&count.state).replace('_', " ");
        format!("{} waiting: {why}, next {}", number_for_people(count.accounts), status.soon(at))
    };
    waiting.map(told).collect()
}

fn name(status: &WaveStatus) -> String {
    status.wave.as_deref().map_or_else(|| "all waves".to_owned(), |wave| format!("wave {}", Escaped(wave)))
}

fn amounts(status: &WaveStatus) -> String {
    let known = if status.goes_on() && status.messages.expected.is_some() { " known so far" } else { "" };
    let mut parts = vec![format!("{} messages{known}", done(status.messages))];
    parts.push(match status.bytes.expected {
        Some(all) => format!("{} of {}", bytes_for_people(status.bytes.done), bytes_for_people(all)),
        None => bytes_for_people(status.bytes.done),
    });
    if status.messages_per_second >= 1.0 {
        parts.push(format!("{:.0}/s", status.messages_per_second));
    }
    if status.bytes_per_second > 0 {
        parts.push(format!("{}/s", bytes_for_people(status.bytes_per_second)));
    }
    if let Finish::At { unix_secs, brake } = status.finish {
        parts.push(format!("done about {}, by {}", moment_for_people(unix_secs), brake.label()));
    }
    parts.join(" · ")
}

fn done(done: Done) -> String {
    match done.expected {
        Some(all) => format!("{} of {}", number_for_people(done.done), number_for_people(all)),
        None => number_for_people(done.done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_report::{Problem, RunningLine};

    fn status(running: usize) -> WaveStatus {
        let line = |number: usize| RunningLine {
            account: format!("account-{number}"),
            kind: "bulk".to_owned(),
            doing: "INBOX: copying".to_owned(),
            messages: Done { done: 5, expected: Some(1_000) },
            bytes_per_second: 2_048,
            seconds: 3,
        };
        WaveStatus {
            wave: Some("staff".to_owned()),
            messages: Done { done: 12_300, expected: Some(20_000) },
            bytes: Done { done: 1 << 30, expected: None },
            running: (0..running).map(line).collect(),
            problems: vec![Problem {
                unix_secs: 0,
                account: "bob".to_owned(),
                words: "NO \u{1b}[31m refused".to_owned(),
                hint: String::new(),
            }],
            ..WaveStatus::default()
        }
    }

    #[test]
    fn the_display_fits_the_screen_and_no_stranger_steers_it() {
        let lines = lines(&status(30), 60, 12);
        assert!(lines.len() <= 12, "{lines:#?}");
        assert!(lines[1].starts_with("12,300 of 20,000 messages · 1.0 GiB"), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "  and 22 more"), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}') && line.chars().count() <= 60), "{lines:#?}");
        assert!(lines.last().is_some_and(|line| line.starts_with("! bob: NO")), "{lines:#?}");
    }

    #[test]
    fn a_log_gets_everything_in_one_line() {
        let line = line(&status(1));
        assert!(
            line.starts_with("wave staff, 0 accounts: 0 waiting")
                && line.contains("12,300 of 20,000")
                && !line.contains('\n')
        );
    }

    #[test]
    fn a_log_gets_a_line_only_when_something_changed_or_after_a_minute() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let same = status(1);
        assert!(lines.next(&same, start).is_some());
        assert_eq!(lines.next(&same, start + LINE), None);
        let other = WaveStatus { messages: Done { done: 12_301, expected: Some(20_000) }, ..status(1) };
        assert!(lines.next(&other, start + LINE).is_some());
        assert_eq!(lines.next(&other, start + LINE_UNCHANGED), None);
        assert!(lines.next(&other, start + LINE + LINE_UNCHANGED).is_some());
    }

    #[test]
    fn a_line_says_what_is_being_waited_for() {
        let mut status = status(0);
        status.now_unix_secs = 1_795_362_069;
        status.states.push(mailhaul_report::StateCount {
            state: "waiting".to_owned(),
            reason: Some("host_limit".to_owned()),
            until_unix_secs: Some(status.now_unix_secs + 7),
            accounts: 1,
            ..mailhaul_report::StateCount::default()
        });
        let line = line(&status);
        assert!(line.ends_with(" · 1 waiting: host limit, next 15:41 UTC, in 7 s"), "{line}");
        assert!(line.contains("messages known so far"), "{line}");
    }
}
