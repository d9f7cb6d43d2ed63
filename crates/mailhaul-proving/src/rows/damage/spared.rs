//! Which mailboxes of the target a run that stops at a damaged state must have left alone.
//!
//! Mailboxes are copied side by side, and each has rows of its own: one whose rows are whole may have got what was due
//! to it before another's rows were found damaged.

use mailhaul_testing::imap_client::Client;
use serde_json::Value;
use std::collections::BTreeMap;

/// What must not have been sent to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spared {
    /// The whole account: who is copied where cannot be believed, or nobody can tell which rows are damaged.
    Account,
    /// These mailboxes of the target.
    Mailboxes(Vec<String>),
    /// The structure of the file is damaged, and nobody can tell whose rows that are. What was sent shows in the end.
    Unknown,
}

impl Spared {
    /// By what `ledger check --json` has found.
    pub(super) fn by(checked: &Value) -> Self {
        let damage = |of: &Value| of["damage"].as_array().cloned().unwrap_or_default();
        let of_file = damage(checked);
        if of_file.iter().any(|damage| damage["table"] == "sqlite") {
            return Self::Unknown;
        }
        let accounts = checked["accounts"].as_array().cloned().unwrap_or_default();
        if !of_file.is_empty() || accounts.iter().any(|account| !damage(account).is_empty()) {
            return Self::Account;
        }
        let mailboxes = accounts.iter().filter_map(|account| account["mailboxes"].as_array()).flatten();
        let damaged = mailboxes.filter(|mailbox| !damage(mailbox).is_empty());
        let names: Option<Vec<String>> = damaged.map(|mailbox| mailbox["target"].as_str().map(str::to_owned)).collect();
        // Damage that the check does not place, or a file that it could not open, spares nobody.
        names.filter(|names| !names.is_empty()).map_or(Self::Account, Self::Mailboxes)
    }
}

/// How many messages each mailbox of an account has.
pub(super) fn counted(owner: &mut Client) -> BTreeMap<String, u32> {
    let names = owner.list().expect("the target lists").into_iter().filter(|mailbox| mailbox.is_selectable());
    names.map(|mailbox| mailbox.name).map(|name| (name.clone(), owner.count(&name).expect("counted"))).collect()
}

/// The mailboxes that have grown from `before` to `after` and must not have.
pub(super) fn touched(spared: &Spared, before: &BTreeMap<String, u32>, after: &BTreeMap<String, u32>) -> Vec<String> {
    let has_grown = |name: &&String| after.get(*name) > before.get(*name);
    match spared {
        Spared::Account => after.keys().filter(has_grown).cloned().collect(),
        Spared::Mailboxes(names) => names.iter().filter(has_grown).cloned().collect(),
        Spared::Unknown => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Spared, touched};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn checked(of_file: Value, of_account: Value, of_mailbox: Value, target: Value) -> Value {
        let mailboxes = json!([
            { "target": "INBOX", "damage": [] },
            { "target": target, "damage": of_mailbox },
        ]);
        json!({ "damage": of_file, "accounts": [{ "damage": of_account, "mailboxes": mailboxes }] })
    }

    #[test]
    fn what_is_damaged_says_what_is_to_be_left_alone() {
        let rows = json!([{ "table": "segment", "row": "3" }]);
        let structure = json!([{ "table": "sqlite", "row": "page 7" }]);
        let none = json!([]);
        let by = |of_file: &Value, of_account: &Value, of_mailbox: &Value, target: Value| {
            Spared::by(&checked(of_file.clone(), of_account.clone(), of_mailbox.clone(), target))
        };
        assert_eq!(by(&none, &none, &rows, json!("Work")), Spared::Mailboxes(vec!["Work".to_owned()]));
        assert_eq!(by(&none, &none, &rows, Value::Null), Spared::Account);
        assert_eq!(by(&none, &rows, &none, json!("Work")), Spared::Account);
        assert_eq!(by(&rows, &none, &none, json!("Work")), Spared::Account);
        assert_eq!(by(&structure, &none, &rows, json!("Work")), Spared::Unknown);
        assert_eq!(by(&none, &none, &none, json!("Work")), Spared::Account, "refused, and nothing is named");
        assert_eq!(Spared::by(&Value::Null), Spared::Account, "the check could not open the file");
    }

    #[test]
    fn growth_is_seen_where_it_must_not_be() {
        let counts = |inbox: u32, work: u32| BTreeMap::from([("INBOX".to_owned(), inbox), ("Work".to_owned(), work)]);
        let work = Spared::Mailboxes(vec!["Work".to_owned()]);
        assert!(touched(&work, &counts(1, 1), &counts(5, 1)).is_empty());
        assert_eq!(touched(&work, &counts(1, 1), &counts(1, 2)), ["Work"]);
        assert_eq!(touched(&Spared::Account, &counts(1, 1), &counts(5, 1)), ["INBOX"]);
        assert_eq!(touched(&work, &BTreeMap::new(), &counts(0, 0)), ["Work"], "made, where nothing may be done");
    }
}
