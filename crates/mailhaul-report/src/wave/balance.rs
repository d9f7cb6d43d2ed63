//! Whether the numbers add up, and where they do not.
//!
//! Two sums must hold: in each mailbox and in each account, every source message is in exactly one column; and an account's
//! columns are those of its mailboxes together. The target, where it was counted, should hold at least what was delivered;
//! when it holds less, somebody may have deleted mail there, so that is an exception and not a contradiction.

use super::{AccountLine, WaveReport};
use crate::{Counts, count_of, number_for_people};
use serde::Serialize;

/// What is wrong with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImbalanceKind {
    /// They contradict each other: a fault of mailhaul, or a ledger that was tampered with.
    Sum,
    /// Fewer messages on the target than were delivered.
    Target,
}

/// Numbers that do not go together, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// What is wrong with them.
    pub kind: ImbalanceKind,
    /// The account.
    pub account: String,
    /// The source mailbox, if the contradiction is within one.
    pub mailbox: Option<String>,
    /// What contradicts what, in a whole sentence.
    pub text: String,
}

impl WaveReport {
    /// All numbers that do not go together; there should be none.
    #[must_use]
    pub fn imbalances(&self) -> Vec<Imbalance> {
        self.accounts.iter().flat_map(of_account).collect()
    }

    /// Whether every source message is in exactly one column, in every mailbox and every account.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.accounts.iter().all(account_adds_up)
    }
}

/// Whether one account's sums hold.
pub(super) fn account_adds_up(line: &AccountLine) -> bool {
    of_account(line).iter().all(|imbalance| imbalance.kind != ImbalanceKind::Sum)
}

/// The numbers of one account that do not go together.
pub(super) fn of_account(line: &AccountLine) -> Vec<Imbalance> {
    let imbalance = |kind: ImbalanceKind, mailbox: Option<&String>, text: String| Imbalance {
        kind,
        account: line.account.clone(),
        mailbox: mailbox.cloned(),
        text,
    };
    let wrong = line.mailboxes.iter().filter(|mailbox| !mailbox.messages.adds_up());
    let mut found: Vec<Imbalance> = wrong
        .map(|mailbox| imbalance(ImbalanceKind::Sum, Some(&mailbox.source), wrong_sum(&mailbox.messages)))
        .collect();
    let Some(messages) = line.messages else { return found };
    if !messages.adds_up() {
        found.push(imbalance(ImbalanceKind::Sum, None, wrong_sum(&messages)));
    }
    found.extend(wrong_parts(line, &messages).map(|text| imbalance(ImbalanceKind::Sum, None, text)));
    found.extend(target_is_short(line).map(|text| imbalance(ImbalanceKind::Target, None, text)));
    found
}

fn wrong_sum(counts: &Counts) -> String {
    let together = counts.accounted().saturating_add(counts.remaining);
    format!(
        "{} at the source, but the columns come to {} together.",
        count_of(counts.source, "message"),
        number_for_people(together)
    )
}

/// Only a list of mailboxes that was filled in can be added up.
fn wrong_parts(line: &AccountLine, messages: &Counts) -> Option<String> {
    let mut parts = Counts::default();
    for mailbox in &line.mailboxes {
        parts += mailbox.messages;
    }
    if line.mailboxes.is_empty() || parts == *messages {
        return None;
    }
    let source = count_of(messages.source, "source message");
    Some(if parts.source == messages.source {
        format!("The account and its mailboxes together count {source}, but in different columns.")
    } else {
        format!("The account counts {source}, its mailboxes {} together.", number_for_people(parts.source))
    })
}

fn target_is_short(line: &AccountLine) -> Option<String> {
    let (on_target, delivered) = (line.target_messages?, line.delivered());
    (on_target < delivered).then(|| {
        let were = if delivered == 1 { "was" } else { "were" };
        format!(
            "{} {were} delivered, but {} on the target when it was counted: deleted there since, or lost.",
            count_of(delivered, "message"),
            number_for_people(on_target)
        )
    })
}
