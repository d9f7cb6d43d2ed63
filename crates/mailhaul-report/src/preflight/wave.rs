//! The look at all accounts of a wave together.

use crate::preflight::changes::{Change, changes};
use crate::preflight::{AccountPreflight, BlockKind, Estimate, EstimateLimits, PreflightVerdict, RemarkKind};
use mailhaul_types::Side;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many accounts there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WaveCounts {
    /// Nothing is in the way.
    pub ready: u64,
    /// Nothing is in the way, and something is worth knowing before.
    pub remarks: u64,
    /// Something is in the way.
    pub blocked: u64,
    /// Of the blocked ones, those that only have to be looked at again.
    pub repeat: u64,
    /// Accounts whose messages were counted.
    pub counted: u64,
    /// Mailboxes that would be copied.
    pub mailboxes: u64,
    /// Messages in them.
    pub messages: u64,
    /// Octets in them.
    pub bytes: u64,
    /// Messages that are left to be copied.
    pub to_copy_messages: u64,
    /// Octets of these.
    pub to_copy_bytes: u64,
}

/// The look at all accounts of a wave.
#[derive(Debug, Clone, PartialEq)]
pub struct WavePreflight {
    /// The accounts by name: what is blocked first, then what has remarks, then the rest.
    pub accounts: Vec<(String, AccountPreflight)>,
    /// What is different from the look before.
    pub changes: Vec<Change>,
    /// How long the wave will take, with every account that was counted: what blocks one will have been mended by then.
    pub estimate: Estimate,
}

impl WavePreflight {
    /// Puts the accounts together. `previous` holds the look before, if there was one.
    #[must_use]
    pub fn new(
        mut accounts: Vec<(String, AccountPreflight)>,
        previous: &BTreeMap<String, AccountPreflight>,
        limits: &EstimateLimits,
    ) -> Self {
        let changes = changes(&accounts, previous);
        let estimate = Estimate::of(&accounts, limits);
        accounts.sort_by(|(one_name, one), (other_name, other)| {
            (other.verdict(), one.is_to_be_repeated(), one_name).cmp(&(
                one.verdict(),
                other.is_to_be_repeated(),
                other_name,
            ))
        });
        Self { accounts, changes, estimate }
    }

    /// The totals.
    #[must_use]
    pub fn counts(&self) -> WaveCounts {
        let mut counts = WaveCounts::default();
        for (_, found) in &self.accounts {
            match found.verdict() {
                PreflightVerdict::Ready => counts.ready += 1,
                PreflightVerdict::Remarks => counts.remarks += 1,
                PreflightVerdict::Blocked => counts.blocked += 1,
            }
            counts.repeat += u64::from(found.is_to_be_repeated());
            counts.counted += u64::from(found.is_counted());
            let wanted = found.mailboxes.iter().filter(|mailbox| mailbox.target.is_some());
            counts.mailboxes += wanted.count() as u64;
            counts.messages = counts.messages.saturating_add(found.messages());
            counts.bytes = counts.bytes.saturating_add(found.bytes());
            counts.to_copy_messages = counts.to_copy_messages.saturating_add(found.to_copy_messages());
            counts.to_copy_bytes = counts.to_copy_bytes.saturating_add(found.to_copy_bytes());
        }
        counts
    }

    /// How many accounts are blocked by what, and where. An account is counted once, by the gravest.
    #[must_use]
    pub fn blocks(&self) -> BTreeMap<(BlockKind, Option<Side>), u64> {
        let mut counts = BTreeMap::new();
        for block in self.accounts.iter().filter_map(|(_, found)| found.gravest_block()) {
            *counts.entry((block.kind, block.side)).or_default() += 1;
        }
        counts
    }

    /// How many accounts have remarks of each kind.
    #[must_use]
    pub fn remarks(&self) -> BTreeMap<RemarkKind, u64> {
        let mut counts = BTreeMap::new();
        for (_, found) in &self.accounts {
            let mut kinds: Vec<RemarkKind> = found.remarks.iter().map(|remark| remark.kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for kind in kinds {
                *counts.entry(kind).or_default() += 1;
            }
        }
        counts
    }

    /// The JSON object that is printed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let account = |(name, found): &(String, AccountPreflight)| {
            let mut json = found.to_json();
            json["account"] = name.clone().into();
            json
        };
        json!({
            "schema": 1,
            "counts": self.counts(),
            "estimate": self.estimate,
            "changes": self.changes,
            "accounts": self.accounts.iter().map(account).collect::<Vec<_>>(),
        })
    }
}
