//! What went through the proxy, and waiting for it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::plan::Direction;

/// Command lines that are kept for assertions, at most; and so much of each.
const LINES_KEPT_MAX: usize = 100_000;
const LINE_BYTES_KEPT: usize = 1_000;

/// What every session says before and after its work.
const AROUND_WORK: [&str; 7] = ["CAPABILITY", "STARTTLS", "LOGIN", "AUTHENTICATE", "ID", "ENABLE", "LOGOUT"];

/// What changes a server's mail, mailboxes or subscriptions.
pub const WRITING_COMMANDS: [&str; 14] = [
    "APPEND",
    "STORE",
    "UID STORE",
    "COPY",
    "UID COPY",
    "MOVE",
    "UID MOVE",
    "EXPUNGE",
    "UID EXPUNGE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
];

/// Everything that went through one proxy, all connections together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Connections that clients opened.
    pub connections: u32,
    /// Connections that have ended, for whatever reason.
    pub ended: u32,
    /// The most connections that were open at once. One that is just being closed may count a moment longer.
    pub connections_peak: u32,
    /// By login name, for everybody who tried to sign in.
    pub users: BTreeMap<String, UserStatistics>,
    /// Commands that were forwarded or answered by the proxy, begun and not necessarily finished, by name (`UID FETCH`).
    pub commands: BTreeMap<String, u32>,
    /// Commands whose last octet was forwarded, by name.
    pub forwarded: BTreeMap<String, u32>,
    /// Tagged answers that were forwarded, by the command's name.
    pub answers: BTreeMap<String, u32>,
    /// Literals inside of APPEND commands: messages sent, however many a command holds.
    pub appended_messages: u32,
    /// Literals that the client sent without waiting (`{n+}`), of all commands.
    pub eager_literals: u32,
    /// Literals for which the client waited (`{n}`), of all commands.
    pub waiting_literals: u32,
    /// Octets forwarded to the server.
    pub bytes_to_server: u64,
    /// Octets forwarded to the client.
    pub bytes_to_client: u64,
    /// Octets handed on to the server, by the command's name: its line, its literals.
    pub command_bytes: BTreeMap<String, u64>,
    /// Octets handed on to the client, by the name of the command that is answered: of several that are open, the oldest,
    /// save for its tagged answer. What comes while no command is open counts nowhere here.
    pub answer_bytes: BTreeMap<String, u64>,
    /// Faults that have struck and replies given in the server's place.
    pub faults: u32,
}

/// What went through the proxy for one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserStatistics {
    /// Sign-ins that were tried.
    pub sign_ins: u32,
    /// Connections that tried to sign in as this user and have not ended.
    pub open: u32,
    /// The most of them at once.
    pub open_peak: u32,
    /// Replies that were given in the server's place because of a plan for this user.
    pub faults: u32,
}

impl Statistics {
    /// What went through for this user.
    #[must_use]
    pub fn user(&self, user: &str) -> UserStatistics {
        self.users.get(user).copied().unwrap_or_default()
    }

    pub(crate) fn add_connection(&mut self) {
        self.connections += 1;
        self.connections_peak = self.connections_peak.max(self.connections - self.ended);
    }

    /// A connection turns out to be this user's; `first` when it was nobody's before.
    pub(crate) fn add_sign_in(&mut self, user: &str, first: bool) {
        let of_user = self.users.entry(user.to_owned()).or_default();
        of_user.sign_ins += 1;
        of_user.open += u32::from(first);
        of_user.open_peak = of_user.open_peak.max(of_user.open);
    }

    pub(crate) fn end_connection(&mut self, user: Option<&str>) {
        self.ended += 1;
        if let Some(of_user) = user.and_then(|user| self.users.get_mut(user)) {
            of_user.open -= 1;
        }
    }

    /// Commands of this name that were begun.
    #[must_use]
    pub fn count(&self, command: &str) -> u32 {
        self.commands.get(&command.to_ascii_uppercase()).copied().unwrap_or(0)
    }

    /// Octets forwarded in one direction.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.bytes_to_server,
            Direction::ToClient => self.bytes_to_client,
        }
    }

    /// Commands of any of these names that were begun.
    #[must_use]
    pub fn count_of(&self, commands: &[&str]) -> u32 {
        commands.iter().map(|command| self.count(command)).sum()
    }

    /// Commands that were begun after sign-in, LOGOUT left out.
    #[must_use]
    pub fn commands_at_work(&self) -> u32 {
        self.commands.iter().filter(|(name, _)| !AROUND_WORK.contains(&name.as_str())).map(|(_, count)| count).sum()
    }

    /// Octets that the client sent for commands of this name.
    #[must_use]
    pub fn bytes_sent_for(&self, command: &str) -> u64 {
        self.command_bytes.get(&command.to_ascii_uppercase()).copied().unwrap_or(0)
    }

    /// Octets that the server answered to commands of this name.
    #[must_use]
    pub fn bytes_answered_to(&self, command: &str) -> u64 {
        self.answer_bytes.get(&command.to_ascii_uppercase()).copied().unwrap_or(0)
    }

    /// What went through after an earlier look: `proxy.statistics().since(&before)`. Peaks and what is open now are as they
    /// are, and names that did not occur are left out.
    #[must_use]
    pub fn since(&self, earlier: &Statistics) -> Statistics {
        Statistics {
            connections: self.connections - earlier.connections,
            ended: self.ended - earlier.ended,
            connections_peak: self.connections_peak,
            users: self.users.clone(),
            commands: counted_since(&self.commands, &earlier.commands),
            forwarded: counted_since(&self.forwarded, &earlier.forwarded),
            answers: counted_since(&self.answers, &earlier.answers),
            appended_messages: self.appended_messages - earlier.appended_messages,
            eager_literals: self.eager_literals - earlier.eager_literals,
            waiting_literals: self.waiting_literals - earlier.waiting_literals,
            bytes_to_server: self.bytes_to_server - earlier.bytes_to_server,
            bytes_to_client: self.bytes_to_client - earlier.bytes_to_client,
            command_bytes: counted_since(&self.command_bytes, &earlier.command_bytes),
            answer_bytes: counted_since(&self.answer_bytes, &earlier.answer_bytes),
            faults: self.faults - earlier.faults,
        }
    }

    pub(crate) fn add_octets_of(&mut self, command: &str, direction: Direction, octets: usize) {
        let counts = match direction {
            Direction::ToServer => &mut self.command_bytes,
            Direction::ToClient => &mut self.answer_bytes,
        };
        *counts.entry(command.to_owned()).or_default() += u64::try_from(octets).unwrap_or(u64::MAX);
    }

    pub(crate) fn add_bytes(&mut self, direction: Direction, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        match direction {
            Direction::ToServer => self.bytes_to_server += octets,
            Direction::ToClient => self.bytes_to_client += octets,
        }
    }
}

impl std::fmt::Display for Statistics {
    /// For people: connections, octets, faults, then a line for each command.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Statistics { connections, connections_peak, bytes_to_server, bytes_to_client, faults, .. } = self;
        writeln!(f, "{connections} connections, at most {connections_peak} at once; {faults} faults and replies")?;
        writeln!(f, "{bytes_to_server} octets to the server, {bytes_to_client} to the client")?;
        writeln!(f, "{} messages appended, in {} commands", self.appended_messages, self.count("APPEND"))?;
        let header = ("command", "begun", "passed on", "answered", "octets sent", "octets answered");
        let (command, begun, forwarded, answered, sent, got) = header;
        write!(f, "{command:<16}{begun:>9}{forwarded:>11}{answered:>10}{sent:>14}{got:>17}")?;
        let count = |counts: &BTreeMap<String, u32>, name: &String| counts.get(name).copied().unwrap_or(0);
        let octets = |counts: &BTreeMap<String, u64>, name: &String| counts.get(name).copied().unwrap_or(0);
        for (name, begun) in &self.commands {
            let (forwarded, answered) = (count(&self.forwarded, name), count(&self.answers, name));
            let (sent, got) = (octets(&self.command_bytes, name), octets(&self.answer_bytes, name));
            write!(f, "\n{name:<16}{begun:>9}{forwarded:>11}{answered:>10}{sent:>14}{got:>17}")?;
        }
        Ok(())
    }
}

fn counted_since<T: Copy + Default + PartialEq + std::ops::Sub<Output = T>>(
    now: &BTreeMap<String, T>,
    earlier: &BTreeMap<String, T>,
) -> BTreeMap<String, T> {
    let differences = now.iter().map(|(name, count)| (name, *count - earlier.get(name).copied().unwrap_or_default()));
    differences.filter(|(_, count)| *count != T::default()).map(|(name, count)| (name.clone(), count)).collect()
}

/// Something to wait for. Numbers count over all connections, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The n-th connection was opened.
    Connection(u32),
    /// The n-th connection has ended.
    Ended(u32),
    /// The n-th command of this name was begun.
    Command(String, u32),
    /// The last octet of the n-th command of this name was forwarded.
    Forwarded(String, u32),
    /// The tagged answer to the n-th command of this name was forwarded.
    Answered(String, u32),
    /// So many octets went through in this direction.
    Bytes(Direction, u64),
    /// The n-th message was begun inside of an APPEND.
    AppendedMessage(u32),
    /// The n-th fault has struck.
    Fault(u32),
    /// The n-th reply was given to this user in the server's place.
    UserFault(String, u32),
}

impl Event {
    pub(crate) fn has_happened(&self, statistics: &Statistics) -> bool {
        let enough = |counts: &BTreeMap<String, u32>, name: &String, wanted: u32| {
            counts.get(&name.to_ascii_uppercase()).copied().unwrap_or(0) >= wanted
        };
        match self {
            Event::Connection(wanted) => statistics.connections >= *wanted,
            Event::Ended(wanted) => statistics.ended >= *wanted,
            Event::Command(name, wanted) => enough(&statistics.commands, name, *wanted),
            Event::Forwarded(name, wanted) => enough(&statistics.forwarded, name, *wanted),
            Event::Answered(name, wanted) => enough(&statistics.answers, name, *wanted),
            Event::Bytes(direction, wanted) => statistics.bytes(*direction) >= *wanted,
            Event::AppendedMessage(wanted) => statistics.appended_messages >= *wanted,
            Event::Fault(wanted) => statistics.faults >= *wanted,
            Event::UserFault(user, wanted) => statistics.user(user).faults >= *wanted,
        }
    }
}

/// The statistics with a bell that rings at every change.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    statistics: Mutex<Statistics>,
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Watched {
    pub(crate) fn change(&self, change: impl FnOnce(&mut Statistics)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Counts a command and keeps its first line.
    pub(crate) fn begin_command(&self, name: &str, line: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_KEPT_MAX {
            let text = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_KEPT)]);
            let text = text.trim_end().split_once(' ').map_or("", |(_, command)| command);
            let secret = name == "LOGIN" || name == "AUTHENTICATE";
            lines.push(if secret { name.to_owned() } else { text.to_owned() });
        }
        drop(lines);
        self.change(|statistics| *statistics.commands.entry(name.to_owned()).or_default() += 1);
    }

    /// Counts a literal that the client announced; `message` when it is part of an APPEND that goes to the server.
    pub(crate) fn begin_literal(&self, message: bool, waits: bool) {
        self.change(|statistics| {
            statistics.appended_messages += u32::from(message);
            statistics.waiting_literals += u32::from(waits);
            statistics.eager_literals += u32::from(!waits);
        });
    }

    pub(crate) fn command_lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> Statistics {
        self.lock().clone()
    }

    /// False when the time was over first.
    pub(crate) fn wait_until(&self, holds: impl Fn(&Statistics) -> bool, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut statistics = self.lock();
        while !holds(&statistics) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.changed.wait_timeout(statistics, left);
            statistics = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Statistics> {
        // A thread that panicked while counting leaves counts that are still counts.
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
