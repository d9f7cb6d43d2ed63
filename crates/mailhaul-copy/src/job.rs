//! What an operator asks the walkers to do with one account.

use mailhaul_db::{AccountIdentity, PairIdentity};
use mailhaul_imap::{Credentials, Endpoint, Timeouts};
use mailhaul_plan::batches::BatchLimits;
use mailhaul_plan::mailboxes::MappingRules;
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_plan::selection::Selection;

/// One end of a copy.
#[derive(Debug, Clone)]
pub struct Account {
    /// The server.
    pub endpoint: Endpoint,
    /// How to sign in.
    pub credentials: Credentials,
    /// Whose mail it is, where the login name does not say so: a master login such as `alice*master` opens the account
    /// of `alice`.
    pub owner: Option<String>,
}

/// Both ends of an account pair.
#[derive(Debug, Clone)]
pub struct AccountPair {
    /// Where the mail comes from.
    pub source: Account,
    /// Where it goes.
    pub target: Account,
    /// How long a server may be silent.
    pub timeouts: Timeouts,
}

/// Where messages are tried again that were refused or unreadable in an earlier run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RetryExceptions {
    /// They stay set aside.
    #[default]
    Nowhere,
    /// In every mailbox.
    Everywhere,
    /// In these source mailboxes, by their names as text.
    In(Vec<String>),
}

impl RetryExceptions {
    /// Whether it is meant for this source mailbox.
    #[must_use]
    pub fn covers(&self, mailbox: &str) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Everywhere => true,
            Self::In(mailboxes) => mailboxes.iter().any(|named| named == mailbox),
        }
    }
}

/// How many connections to each of its two servers one account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Never more than these; at least one is used.
    pub most: usize,
    /// With so many the copying begins; further ones are opened while that makes it faster.
    pub first: usize,
    /// Over so many one mailbox is read from the beginning; else the second is opened once it is seen to be worth trying.
    pub reading: usize,
}

impl Connections {
    /// What is used where nobody says otherwise: servers commonly allow ten for each account and address, and the
    /// account's owner has some of them.
    pub const USUAL: Self = Self { most: 4, first: 1, reading: 1 };

    /// One, whatever comes.
    pub const ONE: Self = Self { most: 1, first: 1, reading: 1 };
}

impl Default for Connections {
    fn default() -> Self {
        Self::USUAL
    }
}

/// What is copied, and what the operator has decided.
#[derive(Debug, Clone)]
pub struct CopyJob {
    /// Both ends.
    pub accounts: AccountPair,
    /// Which mailboxes, and under which names.
    pub rules: MappingRules,
    /// Which messages.
    pub selection: Selection,
    /// Where to try again what was refused or unreadable in an earlier run.
    pub retry_exceptions: RetryExceptions,
    /// Accept that mailboxes map to other names than in an earlier run.
    pub remap: bool,
    /// Go on in recreated target mailboxes that lack much of what was copied.
    pub accept_target_change: bool,
    /// Believe a source mailbox that has lost nearly everything that was copied from it.
    pub accept_mass_absence: bool,
    /// Hand `\Deleted` over.
    pub copy_deleted_flag: bool,
    /// What becomes of changes after the first copy.
    pub resync: ResyncPolicy,
    /// How many mailboxes may be worked on at once, each over connections of its own.
    pub connections: Connections,
    /// How messages are put together that are fetched and stored with one command.
    pub batches: BatchLimits,
    /// Only recognise what is on the target already, and write nothing there: no message, no mailbox, no flag.
    pub recognise_only: bool,
}

impl AccountPair {
    /// Who is copied where. Port and TLS do not count.
    #[must_use]
    pub fn identity(&self) -> PairIdentity {
        PairIdentity { source: self.source.identity(), target: self.target.identity() }
    }
}

impl Account {
    /// An account is known by whose mail it is. Who signs in for it may change between two runs: a password today, an
    /// administrator tomorrow.
    fn identity(&self) -> AccountIdentity {
        let Credentials { user, authorization_identity, .. } = &self.credentials;
        let acts_for = authorization_identity.as_ref().filter(|identity| !identity.is_empty());
        let owner = self.owner.as_ref().or(acts_for).unwrap_or(user);
        AccountIdentity::new(&self.endpoint.host, owner, None)
    }
}
