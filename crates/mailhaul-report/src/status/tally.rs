//! How many accounts are complete, and what keeps the others from it: the last line of a run, which can be quoted.

use crate::{count_of, number_for_people};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What keeps an account from being complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Everything was copied that could be; something could not.
    Exceptions,
    /// A sign-in was refused.
    Password,
    /// The target is full.
    Room,
    /// A server could not be reached or did not serve.
    Unreachable,
    /// Somebody has to decide something.
    Decision,
    /// It failed in another way.
    Failed,
    /// A preflight found something in the way.
    Blocked,
    /// An operator paused it.
    Paused,
    /// An operator cancelled it.
    Cancelled,
    /// Nothing: it has work left, and goes on by itself.
    WorkLeft,
    /// Nothing was ever queued for it, but perhaps a look.
    NotBegun,
}

impl Lack {
    /// What so many accounts do, after their number: `waits for a password`.
    fn words(self, accounts: u64) -> &'static str {
        let (one, several) = match self {
            Self::Exceptions => ("is complete but for exceptions", "are complete but for exceptions"),
            Self::Password => ("waits for a password", "wait for a password"),
            Self::Room => ("waits for room on the target", "wait for room on the target"),
            Self::Unreachable => ("could not reach its server", "could not reach their servers"),
            Self::Decision => ("waits for a decision", "wait for a decision"),
            Self::Failed => ("failed", "failed"),
            Self::Blocked => ("is blocked", "are blocked"),
            Self::Paused => ("is paused", "are paused"),
            Self::Cancelled => ("was cancelled", "were cancelled"),
            Self::WorkLeft => ("has work left", "have work left"),
            Self::NotBegun => ("has not begun", "have not begun"),
        };
        if accounts == 1 { one } else { several }
    }
}

/// Accounts by what came of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accounts in all.
    pub accounts: u64,
    /// Accounts of which every message is accounted for; in a look, those that nothing blocks.
    pub complete: u64,
    /// Of these, accounts of which both sides were compared in the end, and were equal.
    pub compared: u64,
    /// Messages at the source, as far as they are known.
    pub messages: u64,
    /// What keeps the others from it.
    pub rest: BTreeMap<Lack, u64>,
    /// Whether accounts were looked at only, and nothing was to be copied.
    pub is_look: bool,
}

impl Tally {
    /// One line that can be quoted: `complete: 12 of 12 accounts, 240 messages, all accounted for`.
    #[must_use]
    pub fn line(&self) -> String {
        let of_all = format!("{} of {}", number_for_people(self.complete), count_of(self.accounts, "account"));
        let rest: String = self
            .rest
            .iter()
            .map(|(lack, accounts)| format!(", {} {}", number_for_people(*accounts), lack.words(*accounts)))
            .collect();
        if self.is_look {
            return format!("{of_all} can begin{rest}");
        }
        if self.accounts == 0 || self.complete < self.accounts {
            return format!("{of_all} complete{rest}");
        }
        let equal = if self.compared == self.accounts { "; both sides were compared and are equal" } else { "" };
        format!("complete: {of_all}, {}, all accounted for{equal}", count_of(self.messages, "message"))
    }

    /// The same as JSON, with the line.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rest = self.rest.iter().map(|(lack, accounts)| json!({ "lack": lack, "accounts": accounts }));
        json!({
            "accounts": self.accounts,
            "complete": self.complete,
            "compared": self.compared,
            "messages": self.messages,
            "rest": rest.collect::<Vec<_>>(),
            "line": self.line(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(complete: u64, rest: &[(Lack, u64)]) -> Tally {
        let rest: BTreeMap<Lack, u64> = rest.iter().copied().collect();
        let accounts = complete + rest.values().sum::<u64>();
        Tally { accounts, complete, messages: 1_240, rest, ..Tally::default() }
    }

    #[test]
    fn complete_is_only_said_when_every_account_is() {
        let line = |complete, rest: &[(Lack, u64)]| tally(complete, rest).line();
        assert_eq!(line(12, &[]), "complete: 12 of 12 accounts, 1,240 messages, all accounted for");
        assert_eq!(line(11, &[(Lack::Password, 1)]), "11 of 12 accounts complete, 1 waits for a password");
        assert_eq!(
            line(9, &[(Lack::WorkLeft, 2), (Lack::Exceptions, 1)]),
            "9 of 12 accounts complete, 1 is complete but for exceptions, 2 have work left"
        );
        assert_eq!(line(0, &[]), "0 of 0 accounts complete");
    }

    #[test]
    fn a_comparison_is_only_claimed_when_every_account_had_one() {
        let all = Tally { compared: 12, ..tally(12, &[]) };
        assert!(all.line().ends_with("all accounted for; both sides were compared and are equal"), "{}", all.line());
        let some = Tally { compared: 11, ..tally(12, &[]) };
        assert!(some.line().ends_with("all accounted for"), "{}", some.line());
        let look = Tally { is_look: true, ..tally(11, &[(Lack::Blocked, 1)]) };
        assert_eq!(look.line(), "11 of 12 accounts can begin, 1 is blocked");
    }

    #[test]
    fn json_says_the_same_in_fields() {
        let json = tally(11, &[(Lack::Password, 1)]).to_json();
        assert_eq!((&json["complete"], &json["rest"][0]["lack"]), (&11.into(), &"password".into()));
        assert_eq!(json["line"], "11 of 12 accounts complete, 1 waits for a password");
    }
}
