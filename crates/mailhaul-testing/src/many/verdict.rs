//! The judge over all accounts at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::{TestAccount, TwoServers, crew};
use crate::judge::{Judgement, Rules, Snapshot, compare, judge};

/// Accounts that are shown in full when a test fails.
const SHOWN_MAX: usize = 5;

/// What was found about each account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManyJudgement {
    /// By the account's name.
    pub accounts: BTreeMap<String, Judgement>,
}

impl ManyJudgement {
    /// True when every account was copied exactly.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.accounts.values().all(Judgement::is_equal)
    }

    /// The names of the accounts that differ.
    #[must_use]
    pub fn different(&self) -> Vec<&str> {
        let different = self.accounts.iter().filter(|(_, judgement)| !judgement.is_equal());
        different.map(|(name, _)| name.as_str()).collect()
    }

    /// Messages at the source and on the target, all accounts together.
    #[must_use]
    pub fn messages(&self) -> (usize, usize) {
        let mailboxes = || self.accounts.values().flat_map(|judgement| &judgement.mailboxes);
        let source = mailboxes().map(|mailbox| mailbox.source_messages).sum();
        (source, mailboxes().map(|mailbox| mailbox.target_messages).sum())
    }

    /// Messages that are on some target once too often, or that its source never had: what must be 0 at any moment.
    #[must_use]
    pub fn surplus(&self) -> usize {
        self.accounts.values().map(|judgement| judgement.doubled() + judgement.extra()).sum()
    }

    /// What was found about one account.
    ///
    /// # Panics
    /// When there is no such account.
    #[must_use]
    pub fn of(&self, name: &str) -> &Judgement {
        self.accounts.get(name).unwrap_or_else(|| panic!("no account {name}"))
    }

    /// Fails the test unless every account was copied exactly.
    ///
    /// # Panics
    /// When one was not; the message names it and how it differs.
    #[track_caller]
    pub fn assert_equal(&self) {
        self.assert_equal_except(&[]);
    }

    /// Fails the test unless every account but these was copied exactly; of these, nothing may be doubled or extra.
    ///
    /// # Panics
    /// When it is not so; the message names accounts and differences.
    #[track_caller]
    pub fn assert_equal_except(&self, names: &[&str]) {
        let excused = |name: &&str| names.contains(name);
        let different: Vec<&str> = self.different().into_iter().filter(|name| !excused(name)).collect();
        assert!(different.is_empty(), "{}", self.show(&different));
        let surplus = |name: &&&str| self.of(name).doubled() + self.of(name).extra() > 0;
        let doubled: Vec<&str> = names.iter().filter(surplus).copied().collect();
        assert!(doubled.is_empty(), "{}", self.show(&doubled));
    }

    fn show(&self, names: &[&str]) -> String {
        let mut text = format!("{self}\n");
        for name in names.iter().take(SHOWN_MAX) {
            text += &format!("--- {name}\n{}\n", self.of(name));
        }
        text
    }
}

impl fmt::Display for ManyJudgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, target) = self.messages();
        let (accounts, different) = (self.accounts.len(), self.different());
        write!(formatter, "{accounts} accounts, {source} and {target} messages, ")?;
        match different.len() {
            0 => write!(formatter, "all equal"),
            count => write!(formatter, "{count} DIFFERENT: {}", different.join(" ")),
        }
    }
}

/// Reads both sides of every account from disk.
pub(super) fn on_disk(bench: &TwoServers, rules: &Rules) -> ManyJudgement {
    collect(bench, |account| {
        let source = Snapshot::of_maildir(&bench.source, &account.source_user);
        let target = Snapshot::of_maildir(&bench.target, &account.target_user);
        match (source, target) {
            (Ok(source), Ok(target)) => compare(&source, &target, rules),
            (Err(error), _) | (_, Err(error)) => panic!("reading {}: {error}", account.name),
        }
    })
}

/// Reads both sides of every account over IMAP.
pub(super) fn over_imap(bench: &TwoServers, rules: &Rules) -> ManyJudgement {
    collect(bench, |account| {
        let judged = judge(&bench.source_account(account), &bench.target_account(account), rules);
        judged.unwrap_or_else(|error| panic!("reading {}: {error}", account.name))
    })
}

fn collect(bench: &TwoServers, judge: impl Fn(&TestAccount) -> Judgement + Sync) -> ManyJudgement {
    let accounts = Mutex::new(BTreeMap::new());
    crew::for_each(&bench.accounts, |account| {
        let judgement = judge(account);
        accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(account.name.clone(), judgement);
    });
    ManyJudgement { accounts: accounts.into_inner().unwrap_or_else(PoisonError::into_inner) }
}
