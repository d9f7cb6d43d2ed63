//! Every bound of the walkers that is not somebody else's, named and explained.

use std::time::Duration;

/// How often one message is asked for, or offered, before it is set aside.
pub(crate) const TRIES_A_MESSAGE: u32 = 3;

/// How many rounds in a row may bring nothing but requests to wait, before the account is left for later.
pub(crate) const ROUNDS_WITHOUT_PROGRESS: u32 = 5;

/// How many batches are sent between two looks at the tail of a target that does not name UIDs. After a crash, all
/// of them have to be recognised by their keys, so not too many.
pub(crate) const UNNAMED_SLICE: usize = 10;

/// How often in a row a connection may fail without anything being settled in between.
pub(crate) const CONNECTIONS_WITHOUT_PROGRESS: usize = 6;

/// How many messages are sent one by one at the beginning of a pass, to find the one with which connections are lost. A
/// source that falls over a message may lose answers with it that it had not sent yet.
pub(crate) const ONE_BY_ONE: u64 = 64;

/// The pause when a server asks to slow down without saying for how long.
pub(crate) const THROTTLE_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause a server can make us take by asking for it; beyond that the account is better left for later.
pub(crate) const THROTTLE_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// How long UIDNEXT must stand still after a loss: on this machine or a private network.
pub(crate) const QUARANTINE_NEAR: Duration = Duration::from_secs(2);
/// The same for a server further away.
pub(crate) const QUARANTINE_FAR: Duration = Duration::from_secs(10);
/// The same after a time-out: whatever swallowed the answer may still deliver the command. Also after a process that has
/// lost the account and still has its connections open. Near and far.
pub(crate) const QUARANTINE_AFTER_TIMEOUT_NEAR: Duration = Duration::from_secs(10);
/// See [`QUARANTINE_AFTER_TIMEOUT_NEAR`].
pub(crate) const QUARANTINE_AFTER_TIMEOUT_FAR: Duration = Duration::from_secs(60);

/// How many settled messages are looked up one by one; for more, all of the mailbox's are read.
pub(crate) const SETTLED_AT_ONCE: u64 = 20_000;

/// How many messages that arrived while a run was at work are looked at before anything is concluded from departures;
/// where there are more, that is left to the next run.
pub(crate) const UNSEEN_AT_ONCE: u64 = 5_000;

/// How many messages' flags are handed to the ledger at once.
pub(crate) const FLAGS_AT_ONCE: usize = 5_000;

/// From how many vanished mailboxes on their absence can be called a mass absence.
pub(crate) const MAILBOXES_FOR_MASS_ABSENCE: usize = 3;

/// How long a run may go on after a stop was asked for, whatever it waits for. Ten seconds are promised.
pub(crate) const STOP_AT_LAST: Duration = Duration::from_secs(9);

/// The longest time between two rounds over an account that is followed, where the source does not tell of everything.
pub(crate) const FOLLOW_POLL_MAX: Duration = Duration::from_secs(10 * 60);
/// The same where it does: in case it does not tell everything after all, and so that neither server hangs up on a silent
/// connection (after 30 minutes at the earliest: RFC 9051 §5.4).
pub(crate) const FOLLOW_POLL_NOTIFIED: Duration = Duration::from_secs(5 * 60);
/// How long a burst of changes is given between two rounds.
pub(crate) const FOLLOW_AFTER_CHANGES: Duration = Duration::from_millis(200);

/// A waiting that took less did not do what it is for.
pub(crate) const FOLLOW_FLOOR: Duration = Duration::from_secs(1);
/// How many rounds in a row may bring nothing over and be followed by the next at once.
pub(crate) const FOLLOW_HASTY_ROUNDS: u32 = 3;

/// Copies of a run that are read back to see what the target has made of them.
pub(crate) const READ_BACK: usize = 8;
/// The largest message that is read on both sides only to see what becomes of mail, in octets.
pub(crate) const READ_BACK_OCTETS_MAX: u32 = 64 << 10;

/// How many earlier copies are read on both sides to see what a target makes of bodies, where that is the question.
pub(crate) const WITNESSES: usize = 8;

/// How many octets a message may have that was announced with so many. Servers are wrong about sizes, by line ends or by
/// all of it; one that sends without end is told from them by far.
pub(crate) fn message_octets_max(announced: u64) -> u64 {
    announced.saturating_mul(16).max(1 << 30)
}

/// How long the copying is watched before it is decided whether another connection would make it faster.
pub(crate) const STRAND_WATCHED_FOR: Duration = Duration::from_secs(1);
/// By so much, in per cent, another connection has to have made it faster for a further one to be opened.
pub(crate) const STRAND_GAIN_PERCENT: u64 = 10;
/// What a message costs besides its octets, in octets, where the two are added.
pub(crate) const STRAND_MESSAGE_OCTETS: u64 = 4 << 10;

/// What mail weighs, its octets and its messages together.
pub(crate) fn work(octets: u64, messages: u64) -> u64 {
    octets.saturating_add(messages.saturating_mul(STRAND_MESSAGE_OCTETS))
}

/// Mail that comes before its turn is held in memory where several connections read one mailbox: so many octets of each.
/// As much as the kernel of a common system takes in advance on one connection.
pub(crate) const HELD_BY_READER: u64 = 6 << 20;
/// The same of all connections of an account, and of a process.
pub(crate) const HELD_BY_ACCOUNT: u64 = 24 << 20;
/// See [`HELD_BY_ACCOUNT`].
pub(crate) const HELD_BY_PROCESS: u64 = 48 << 20;
/// Octets asked for ahead on all connections of an account to its source, beyond the least that each may ask for.
pub(crate) const AHEAD_OF_ACCOUNT: u64 = 64 << 20;
/// The same of all accounts of a process.
pub(crate) const AHEAD_OF_PROCESS: u64 = 512 << 20;

/// When one more connection to read from is tried again after one has not paid, or was lost.
pub(crate) const READER_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);

/// From this round trip on, two connections are opened at once if so many mailboxes are new.
pub(crate) const STRAND_FAR: Duration = Duration::from_millis(20);
/// See [`STRAND_FAR`].
pub(crate) const STRAND_MAILBOXES_FAR: usize = 4;

/// How long an answer to LOGOUT is waited for.
pub(crate) const LOGOUT: Duration = Duration::from_secs(3);

/// How long a UID set may be on the command line, in octets. Servers of unknown make may refuse lines over 1,000.
pub(crate) fn set_octets(server_software: Option<&str>) -> usize {
    let software = server_software.unwrap_or_default().to_ascii_lowercase();
    if ["dovecot", "cyrus"].iter().any(|known| software.contains(known)) { 7_900 } else { 900 }
}
