//! Two Dovecots with hundreds of accounts on each side, made in seconds: what a queue is tested with.
//!
//! Every account has a login and a password of its own at each of the two servers, mail that no other account has, and a
//! few odd messages. The source is filled by writing Maildir files; [`TwoServers::judge`] reads all accounts of both
//! sides from disk and compares multisets, 20,000 messages in about a second. What is to go wrong is said per account: by
//! [`Dovecot::change_user`] for what a server can do by itself, by [`Proxy`](crate::Proxy) for the rest.
//!
//! ```no_run
//! use mailhaul_testing::many::ManyAccounts;
//! use mailhaul_testing::proxy::{Proxy, UserPlan};
//!
//! let bench = ManyAccounts::new(500).mails(40).start();
//! let list = bench.csv(); // account,source_user,source_password,target_user,target_password
//!
//! // Three accounts that fail in three ways, and are mended later.
//! bench.source.change_user(&bench.accounts[7].source_user, |user| user.password("changed yesterday"));
//! bench.target.change_user(&bench.accounts[8].target_user, |user| user.quota_messages(5));
//! let proxy = Proxy::start(bench.target.address());
//! let slow_down = UserPlan::new().throttle("[LIMIT] Too many requests, try again later");
//! proxy.set_user_plan(&bench.accounts[9].target_user, slow_down);
//!
//! // … run the program under test with the list, from bench.source.address() to proxy.address() …
//!
//! let verdict = bench.judge();
//! verdict.assert_equal_except(&[&bench.accounts[7].name, &bench.accounts[8].name, &bench.accounts[9].name]);
//! ```

mod crew;
mod fill;
mod mail;
mod verdict;

use std::net::SocketAddr;

use crate::corpus::Corpus;
use crate::dovecot::{Dovecot, DovecotBuilder, User};
use crate::judge::{Account, Rules};
pub use verdict::ManyJudgement;

/// What is to be made. Defaults: 20 mails of about 1.5 KiB an account, four of them odd, in INBOX, Sent and Archive/2019.
#[derive(Clone, Debug)]
pub struct ManyAccounts {
    accounts: usize,
    mails: usize,
    odd: usize,
    mail_bytes: usize,
    source: DovecotBuilder,
    target: DovecotBuilder,
}

impl ManyAccounts {
    /// So many accounts.
    #[must_use]
    pub fn new(accounts: usize) -> ManyAccounts {
        ManyAccounts {
            accounts,
            mails: 20,
            odd: 4,
            mail_bytes: 1500,
            source: Dovecot::builder(),
            target: Dovecot::builder(),
        }
    }

    /// So many mails in each account, the odd ones among them.
    #[must_use]
    pub fn mails(mut self, mails: usize) -> ManyAccounts {
        self.mails = mails;
        self
    }

    /// So many odd messages in each account, other ones in each. They are small: at most 8 KiB.
    #[must_use]
    pub fn odd(mut self, odd: usize) -> ManyAccounts {
        self.odd = odd;
        self
    }

    /// About so many octets a mail, odd ones aside.
    #[must_use]
    pub fn mail_bytes(mut self, bytes: usize) -> ManyAccounts {
        self.mail_bytes = bytes;
        self
    }

    /// How the source is to be. It must keep its mail as Maildir.
    #[must_use]
    pub fn source(mut self, change: impl FnOnce(DovecotBuilder) -> DovecotBuilder) -> ManyAccounts {
        self.source = change(self.source);
        self
    }

    /// How the target is to be.
    #[must_use]
    pub fn target(mut self, change: impl FnOnce(DovecotBuilder) -> DovecotBuilder) -> ManyAccounts {
        self.target = change(self.target);
        self
    }

    /// Starts both servers and fills the source.
    ///
    /// # Panics
    /// When a server cannot be started or a file not be written.
    #[must_use]
    pub fn start(self) -> TwoServers {
        let accounts: Vec<TestAccount> = (1..=self.accounts).map(TestAccount::numbered).collect();
        let sources = accounts.iter().map(|account| (account.source_user.clone(), User::new(&account.source_password)));
        let targets = accounts.iter().map(|account| (account.target_user.clone(), User::new(&account.target_password)));
        let source = self.source.clone().users(sources).start();
        let target = self.target.clone().users(targets).start();
        let bench = TwoServers { source, target, accounts, settings: self };
        fill::fill(&bench);
        bench
    }
}

/// One account as a list names it. The passwords are those that it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestAccount {
    /// Its name in the list: `u0001`.
    pub name: String,
    /// Its number, from 1.
    pub number: usize,
    /// Login at the source: `u0001@old.example`.
    pub source_user: String,
    /// Password at the source.
    pub source_password: String,
    /// Login on the target: `u0001@new.example`.
    pub target_user: String,
    /// Password on the target.
    pub target_password: String,
}

impl TestAccount {
    fn numbered(number: usize) -> TestAccount {
        let name = format!("u{number:04}");
        TestAccount {
            number,
            source_user: format!("{name}@old.example"),
            source_password: format!("old-secret-{number}"),
            target_user: format!("{name}@new.example"),
            target_password: format!("new-secret-{number}"),
            name,
        }
    }
}

/// Two servers with many accounts. Dropping it kills both and removes everything.
#[derive(Debug)]
pub struct TwoServers {
    /// Where the mail is.
    pub source: Dovecot,
    /// Where it is to go.
    pub target: Dovecot,
    /// All accounts, in the order of their numbers.
    pub accounts: Vec<TestAccount>,
    settings: ManyAccounts,
}

impl TwoServers {
    /// The account of this name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn account(&self, name: &str) -> &TestAccount {
        let found = self.accounts.iter().find(|account| account.name == name);
        found.unwrap_or_else(|| panic!("no account {name}"))
    }

    /// All accounts as a list with a header line, as an operator would hand it in.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = "account,source_user,source_password,target_user,target_password\n".to_owned();
        for account in &self.accounts {
            let TestAccount { name, source_user, source_password, target_user, target_password, .. } = account;
            text += &format!("{name},{source_user},{source_password},{target_user},{target_password}\n");
        }
        text
    }

    /// What the source of this account was filled with.
    #[must_use]
    pub fn corpus(&self, account: &TestAccount) -> Corpus {
        mail::corpus(&self.settings, account)
    }

    /// Messages that were put into each account.
    #[must_use]
    pub fn mails(&self) -> usize {
        self.settings.mails
    }

    /// So many new messages arrive in the source's INBOX, while the servers run.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub fn deliver(&self, account: &TestAccount, mails: usize) {
        fill::deliver(&self.source, account, mails);
    }

    /// The source side of an account, for the judge of one account.
    #[must_use]
    pub fn source_account(&self, account: &TestAccount) -> Account {
        on(self.source.address(), &account.source_user, &self.source.password_of(&account.source_user))
    }

    /// The target side of an account.
    #[must_use]
    pub fn target_account(&self, account: &TestAccount) -> Account {
        on(self.target.address(), &account.target_user, &self.target.password_of(&account.target_user))
    }

    /// Compares all accounts on disk. Nothing may be under way, or what is in flight is seen or not.
    ///
    /// # Panics
    /// When the target keeps its mail otherwise than as Maildir, or a file cannot be read.
    #[must_use]
    pub fn judge(&self) -> ManyJudgement {
        self.judge_with(&Rules::new())
    }

    /// As [`TwoServers::judge`], with rules that hold for every account.
    ///
    /// # Panics
    /// As [`TwoServers::judge`].
    #[must_use]
    pub fn judge_with(&self, rules: &Rules) -> ManyJudgement {
        verdict::on_disk(self, rules)
    }

    /// Compares all accounts over IMAP, some at a time: slower, for any store, and what a mail program would see.
    ///
    /// # Panics
    /// When an account cannot be read.
    #[must_use]
    pub fn judge_over_imap(&self, rules: &Rules) -> ManyJudgement {
        verdict::over_imap(self, rules)
    }
}

fn on(address: SocketAddr, user: &str, password: &str) -> Account {
    Account::new(address, user, password)
}
