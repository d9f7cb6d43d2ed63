//! The status as text, for one screen.

use super::{Done, Finish, Problem, RunningLine, WaveStatus};
use crate::moment::{DAY_SECS, moment_for_people};
use crate::table::Table;
use crate::{Standing, bytes_for_people, count_of, number_for_people};
use mailhaul_types::{Escaped, escape};
use std::fmt::Write;

/// Running jobs that are shown; the rest is counted.
const RUNNING_SHOWN: usize = 8;

/// Problems that are shown.
const PROBLEMS_SHOWN: usize = 5;

/// The five words in the order in which they are shown.
const STANDINGS: [Standing; 5] =
    [Standing::Waiting, Standing::Running, Standing::Done, Standing::Attention, Standing::Stopped];

impl WaveStatus {
    /// One screen of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut parts = vec![self.head(), self.states_in_words(), self.resting_in_words(), self.progress_in_words()];
        parts.extend([self.running_in_words(), self.problems_in_words()]);
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }

    fn head(&self) -> String {
        let name = self.wave.as_deref().map_or_else(|| "all waves".to_owned(), |wave| format!("wave {}", escape(wave)));
        let workers = match self.workers {
            0 => "nobody is working on it".to_owned(),
            workers => format!("{} at work", count_of(u64::from(workers), "process")),
        };
        let accounts = count_of(self.accounts, "account");
        let now = moment_for_people(self.now_unix_secs);
        format!("{name}, {accounts}, {now}, {workers}\naccounts  {}\n", self.summary_line())
    }

    /// Accounts: `12 waiting, 4 running, 480 done, 3 attention, 1 stopped`, and `20 not begun` if there are any.
    #[must_use]
    pub fn summary_line(&self) -> String {
        let words = STANDINGS.map(|word| format!("{} {}", number_for_people(self.accounts_in(word)), word.label()));
        let words = words.join(", ");
        match self.not_begun {
            0 => words,
            accounts => format!("{words}, {} not begun", number_for_people(accounts)),
        }
    }

    fn states_in_words(&self) -> String {
        let mut table = Table::new(&["state", "accounts", ""], 1);
        for count in self.states.iter().filter(|count| count.accounts > 0) {
            let reason = count.reason.as_deref().map(|reason| format!(" ({})", escape(reason))).unwrap_or_default();
            let next = count.until_unix_secs.map(|at| format!(" Next at {}.", self.soon(at))).unwrap_or_default();
            table.row([
                format!("{}{reason}", escape(&count.state)),
                number_for_people(count.accounts),
                format!("{}{next}", escape(&count.words)).trim_start().to_owned(),
            ]);
        }
        if self.not_begun > 0 {
            let wave = self.wave.as_deref().map_or_else(|| "WAVE".to_owned(), escape);
            let words = format!("Nothing was copied yet; `mailhaul run --wave {wave}` begins.");
            table.row(["not begun".to_owned(), number_for_people(self.not_begun), words]);
        }
        // The heading says nothing that the rows do not.
        table.to_text().lines().skip(1).fold(String::new(), |out, line| out + line + "\n")
    }

    fn resting_in_words(&self) -> String {
        let mut out = String::new();
        for resting in &self.resting {
            let words = if resting.words.is_empty() { String::new() } else { format!(": {}", Escaped(&resting.words)) };
            let (host, why) = (Escaped(&resting.host), Escaped(&resting.why));
            let _ = writeln!(out, "{host} {why}, next try {}{words}", self.soon(resting.until_unix_secs));
        }
        out
    }

    /// A moment to come, as exact as it is near: `16:41 UTC, in 7 s`, or with its date.
    #[must_use]
    pub fn soon(&self, unix_secs: i64) -> String {
        let (at, now) = (moment_for_people(unix_secs), moment_for_people(self.now_unix_secs));
        // The first ten characters are the date.
        let at = if at.get(..10) == now.get(..10) { at.get(11..).unwrap_or(&at) } else { &at };
        format!("{at}, {}", until(unix_secs.saturating_sub(self.now_unix_secs).max(0)))
    }

    fn progress_in_words(&self) -> String {
        let mut out = String::new();
        let known = if self.goes_on() && self.messages.expected.is_some() { ", known so far" } else { "" };
        let _ = writeln!(out, "messages  {}{known}", progress(self.messages, number_for_people));
        let _ = writeln!(out, "size      {}", progress(self.bytes, bytes_for_people));
        if self.bytes_per_second > 0 || self.messages_per_second > 0.0 {
            let rate = bytes_for_people(self.bytes_per_second);
            let _ = writeln!(out, "rate      {rate}/s, {:.0} messages/s", self.messages_per_second);
        }
        let _ = writeln!(out, "finish    {}", self.finish_in_words());
        out
    }

    fn finish_in_words(&self) -> String {
        match self.finish {
            Finish::Nothing => "nothing is left to copy".to_owned(),
            Finish::Somebody => "what is left waits for somebody".to_owned(),
            Finish::NotMoving => "not in sight: nothing moves at present".to_owned(),
            Finish::NotMeasured => "not known: the rate has to be watched for a while (--watch)".to_owned(),
            Finish::NotCounted => "not known: the sources have not all been counted yet".to_owned(),
            Finish::OutOfSight => {
                "not in sight: at this rate, in the allowed hours, it takes more than a year".to_owned()
            }
            Finish::At { unix_secs, brake } => {
                let left = until(unix_secs.saturating_sub(self.now_unix_secs));
                format!("about {}, {left}; it waits for {}", moment_for_people(unix_secs), brake.label())
            }
        }
    }

    fn running_in_words(&self) -> String {
        if self.running.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["running", "job", "messages", "rate", "for", "doing"], 2);
        for line in self.running.iter().take(RUNNING_SHOWN) {
            table.row(running_cells(line));
        }
        let mut out = table.to_text();
        let more = self.running.len().saturating_sub(RUNNING_SHOWN);
        if more > 0 {
            let _ = writeln!(out, "  and {more} more");
        }
        out
    }

    fn problems_in_words(&self) -> String {
        if self.problems.is_empty() {
            return String::new();
        }
        let mut out = "last problems\n".to_owned();
        for problem in self.problems.iter().take(PROBLEMS_SHOWN) {
            let _ = writeln!(out, "  {}", problem_in_words(problem, self.now_unix_secs));
        }
        if self.problems.len() > PROBLEMS_SHOWN {
            let _ = writeln!(
                out,
                "  and {} before these",
                number_for_people((self.problems.len() - PROBLEMS_SHOWN) as u64)
            );
        }
        out
    }
}

fn progress(done: Done, show: fn(u64) -> String) -> String {
    match done.expected {
        None => format!("{} done, of a number that is not known yet", show(done.done)),
        Some(0) => format!("{} of {}", show(done.done), show(0)),
        Some(expected) => format!("{} of {} ({}%)", show(done.done), show(expected), percent(done.done, expected)),
    }
}

/// Whole percents, rounded down: 100 is only said when it is all.
fn percent(done: u64, expected: u64) -> u64 {
    let percent = u128::from(done.min(expected)) * 100 / u128::from(expected.max(1));
    u64::try_from(percent).unwrap_or(100)
}

fn running_cells(line: &RunningLine) -> [String; 6] {
    let messages = match line.messages.expected {
        Some(expected) => format!("{}/{}", number_for_people(line.messages.done), number_for_people(expected)),
        None => number_for_people(line.messages.done),
    };
    [
        escape(&line.account),
        escape(&line.kind),
        messages,
        format!("{}/s", bytes_for_people(line.bytes_per_second)),
        span_in_words(line.seconds),
        escape(&line.doing),
    ]
}

fn problem_in_words(problem: &Problem, now_unix_secs: i64) -> String {
    let ago = span_in_words(u64::try_from(now_unix_secs.saturating_sub(problem.unix_secs)).unwrap_or(0));
    let hint = if problem.hint.is_empty() { String::new() } else { format!("\n    hint: {}", Escaped(&problem.hint)) };
    format!("{ago} ago  {}: {}{hint}", Escaped(&problem.account), Escaped(&problem.words))
}

/// `in 3 days`, `in 2 h 07 min`.
fn until(seconds: i64) -> String {
    let days = seconds / DAY_SECS;
    if days >= 2 {
        format!("in {days} days")
    } else {
        format!("in {}", span_in_words(u64::try_from(seconds).unwrap_or(0)))
    }
}

/// `45 s`, `12 min`, `2 h 07 min`, `3 d 4 h`: as exact as people need it.
fn span_in_words(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
