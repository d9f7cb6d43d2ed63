//! Whether the numbers add up, and where they do not.
//!
//! Three sums must hold: in each mailbox and in each account, every source message is in exactly one column; an account's
//! columns are those of its mailboxes together; and the target, where it was counted, holds at least what was delivered.

use super::{AccountLine, WaveReport};
use crate::{Counts, count_of, number_for_people};
use serde::Serialize;

/// A contradiction between numbers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// The account.
    pub account: String,
    /// The source mailbox, if the contradiction is within one.
    pub mailbox: Option<String>,
    /// What contradicts what, in a whole sentence.
    pub text: String,
}

impl WaveReport {
    /// Every contradiction between the numbers; there must be none.
    #[must_use]
    pub fn imbalances(&self) -> Vec<Imbalance> {
        self.accounts.iter().flat_map(of_account).collect()
    }
}

/// The contradictions within one account.
pub(super) fn of_account(line: &AccountLine) -> Vec<Imbalance> {
    let imbalance = |mailbox: Option<&String>, text: String| Imbalance {
        account: line.account.clone(),
        mailbox: mailbox.cloned(),
        text,
    };
    let wrong = line.mailboxes.iter().filter(|mailbox| !mailbox.messages.adds_up());
    let mut found: Vec<Imbalance> =
        wrong.map(|mailbox| imbalance(Some(&mailbox.source), wrong_sum(&mailbox.messages))).collect();
    let Some(messages) = line.messages else { return found };
    if !messages.adds_up() {
        found.push(imbalance(None, wrong_sum(&messages)));
    }
    found.extend(wrong_parts(line, &messages).map(|text| imbalance(None, text)));
    found.extend(target_is_short(line).map(|text| imbalance(None, text)));
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
    (!line.mailboxes.is_empty() && parts != *messages).then(|| {
        format!(
            "The account counts {} and its mailboxes {} together, or they disagree about what became of them.",
            count_of(messages.source, "source message"),
            number_for_people(parts.source)
        )
    })
}

fn target_is_short(line: &AccountLine) -> Option<String> {
    let (on_target, delivered) = (line.target_messages?, line.delivered());
    (on_target < delivered).then(|| {
        format!(
            "{} delivered, but only {} on the target when it was counted.",
            if delivered == 1 {
                "1 message was".to_owned()
            } else {
                format!("{} were", count_of(delivered, "message"))
            },
            number_for_people(on_target)
        )
    })
}
