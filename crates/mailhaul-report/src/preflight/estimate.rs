//! How long a wave will take, and what it waits for most: a rough figure, made of what is known before the start.

use crate::preflight::AccountPreflight;
use serde::{Deserialize, Serialize};

/// Hours in a week.
const WEEK_HOURS: f64 = 168.0;
const DAY_SECS: f64 = 86_400.0;

/// What one connection carries when nothing slows it down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRate {
    /// Messages a second, apart from their octets.
    pub messages_per_second: f64,
    /// Octets a second.
    pub bytes_per_second: f64,
    /// Seconds for each mailbox, apart from what is in it.
    #[serde(default)]
    pub mailbox_seconds: f64,
    /// Whether it was measured, or is only assumed.
    pub measured: bool,
}

impl ConnectionRate {
    /// What is assumed before anything was measured: less than most servers bear.
    pub const ASSUMED: Self =
        Self { messages_per_second: 100.0, bytes_per_second: 4.0 * 1_048_576.0, mailbox_seconds: 0.0, measured: false };
}

/// What bounds the work. What is absent is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EstimateLimits {
    /// Accounts at once: the least of the connections that both ends allow.
    pub connections: u32,
    /// What one connection carries.
    pub rate: ConnectionRate,
    /// Messages a second, all accounts together.
    pub messages_per_second: Option<u64>,
    /// Octets a second, all accounts together.
    pub bytes_per_second: Option<u64>,
    /// Messages a second of one account.
    pub account_messages_per_second: Option<u64>,
    /// Octets a second of one account.
    pub account_bytes_per_second: Option<u64>,
    /// Octets a day of one account.
    pub account_bytes_per_day: Option<u64>,
    /// Hours a week in which work is allowed.
    pub window_hours_per_week: Option<f64>,
}

impl Default for EstimateLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            rate: ConnectionRate::ASSUMED,
            messages_per_second: None,
            bytes_per_second: None,
            account_messages_per_second: None,
            account_bytes_per_second: None,
            account_bytes_per_day: None,
            window_hours_per_week: None,
        }
    }
}

/// What a wave waits for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// There is nothing to copy.
    Nothing,
    /// How many accounts are worked on at once.
    Connections,
    /// Octets a second.
    BytesPerSecond,
    /// Messages a second.
    MessagesPerSecond,
    /// One account, which is larger than all the rest takes time.
    LargestAccount,
    /// The daily allowance of one account.
    DailyAllowance,
}

/// How long a wave will take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// From start to end, in seconds, hours in which nothing is allowed included.
    pub seconds: f64,
    /// What it waits for most.
    pub bottleneck: Bottleneck,
    /// The account that it waits for, if it is one.
    pub account: Option<String>,
    /// Messages to be copied.
    pub messages: u64,
    /// Octets to be copied.
    pub bytes: u64,
    /// What was reckoned with.
    pub limits: EstimateLimits,
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(number: u64) -> f64 {
    number as f64
}

/// One candidate for the longest wait.
struct Wait {
    seconds: f64,
    bottleneck: Bottleneck,
    account: Option<String>,
}

impl Estimate {
    /// For these accounts. Those that were not counted are left out.
    #[must_use]
    pub fn of(accounts: &[(String, AccountPreflight)], limits: &EstimateLimits) -> Self {
        let messages = accounts.iter().map(|(_, found)| found.to_copy_messages()).fold(0, u64::saturating_add);
        let bytes = accounts.iter().map(|(_, found)| found.to_copy_bytes()).fold(0, u64::saturating_add);
        let waits = waits(accounts, limits, messages, bytes);
        let longest = waits.into_iter().max_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let longest = longest.filter(|wait| wait.seconds > 0.0);
        let (seconds, bottleneck, account) = match longest {
            Some(Wait { seconds, bottleneck, account }) => (seconds, bottleneck, account),
            None => (0.0, Bottleneck::Nothing, None),
        };
        Self { seconds, bottleneck, account, messages, bytes, limits: *limits }
    }
}

/// Everything that the end waits for. Each of them is met with all the others going on, so the longest decides.
fn waits(accounts: &[(String, AccountPreflight)], limits: &EstimateLimits, messages: u64, bytes: u64) -> Vec<Wait> {
    let hours = limits.window_hours_per_week.unwrap_or(WEEK_HOURS).clamp(0.1, WEEK_HOURS);
    let stretched = |seconds: f64| seconds * WEEK_HOURS / hours;
    let all = |seconds: f64, bottleneck| Wait { seconds: stretched(seconds), bottleneck, account: None };
    let mut work = 0.0;
    let mut largest = Wait { seconds: 0.0, bottleneck: Bottleneck::LargestAccount, account: None };
    let mut days = Wait { seconds: 0.0, bottleneck: Bottleneck::DailyAllowance, account: None };
    for (name, found) in accounts {
        let seconds = account_seconds(found, limits);
        work += seconds;
        if stretched(seconds) > largest.seconds {
            largest.seconds = stretched(seconds);
            largest.account = Some(name.clone());
        }
        let allowed = allowance_seconds(found.to_copy_bytes(), limits.account_bytes_per_day);
        if allowed > days.seconds {
            days.seconds = allowed;
            days.account = Some(name.clone());
        }
    }
    let mut waits = vec![all(work / f64::from(limits.connections.max(1)), Bottleneck::Connections), days];
    if let Some(rate) = limits.bytes_per_second {
        waits.push(all(float(bytes) / float(rate.max(1)), Bottleneck::BytesPerSecond));
    }
    if let Some(rate) = limits.messages_per_second {
        waits.push(all(float(messages) / float(rate.max(1)), Bottleneck::MessagesPerSecond));
    }
    // Of equal waits the last one is named: a single account is better named than the connections.
    waits.push(largest);
    waits
}

/// The time that one account takes by itself.
fn account_seconds(found: &AccountPreflight, limits: &EstimateLimits) -> f64 {
    let (messages, bytes) = (float(found.to_copy_messages()), float(found.to_copy_bytes()));
    let rate = &limits.rate;
    let mailboxes = float(found.mailboxes_to_copy());
    let plain = messages / rate.messages_per_second.max(0.001)
        + bytes / rate.bytes_per_second.max(1.0)
        + mailboxes * rate.mailbox_seconds;
    let by = |amount: f64, limit: Option<u64>| limit.map_or(0.0, |limit| amount / float(limit.max(1)));
    plain.max(by(messages, limits.account_messages_per_second)).max(by(bytes, limits.account_bytes_per_second))
}

/// The days that an account has to wait because of its allowance: all but the last one whole.
fn allowance_seconds(bytes: u64, per_day: Option<u64>) -> f64 {
    let per_day = per_day.unwrap_or(u64::MAX).max(1);
    float(bytes.saturating_sub(1) / per_day) * DAY_SECS
}
