//! The words of the job lists: servers, waves, accounts, and what an operator may say about them.

use mailhaul_queue::{AccountId, EndpointId, JobId, Limits, Priority, WaveId};

/// An endpoint to be stored under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint {
    /// What operators call it.
    pub name: String,
    /// How it is reached.
    pub url: String,
    /// Its host; case and a final dot do not count. Endpoints on one host share its health.
    pub host: String,
    /// What the operator allows.
    pub limits: Limits,
    /// Options that waves and accounts inherit: JSON.
    pub options: String,
}

/// An endpoint as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its number.
    pub id: EndpointId,
    /// What operators call it.
    pub name: String,
    /// How it is reached.
    pub url: String,
    /// Its host, lower case.
    pub host: String,
    /// What the operator allows.
    pub limits: Limits,
    /// Options that waves and accounts inherit: JSON.
    pub options: String,
    /// Rises when URL or options change, and not with the limits.
    pub revision: i64,
    /// How many accounts use it, on either side.
    pub accounts: u64,
}

/// In which order the jobs of a wave are done, priorities apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WaveOrder {
    /// As they were queued.
    #[default]
    Fifo,
    /// The largest accounts first. Those whose size is not known come last.
    Largest,
    /// The smallest accounts first. Those whose size is not known come last.
    Smallest,
}

impl WaveOrder {
    /// `fifo`, `largest` or `smallest`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Largest => "largest",
            Self::Smallest => "smallest",
        }
    }

    /// The order with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Fifo, Self::Largest, Self::Smallest].into_iter().find(|order| order.word() == word)
    }
}

/// A wave to be stored under its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewWave {
    /// What operators call it.
    pub name: String,
    /// In which order its jobs are done.
    pub order: WaveOrder,
    /// Options that its accounts inherit: JSON.
    pub options: String,
    /// When what is to be done: JSON.
    pub plan: String,
}

/// A wave as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveRow {
    /// Its number.
    pub id: WaveId,
    /// What operators call it.
    pub name: String,
    /// In which order its jobs are done.
    pub order: WaveOrder,
    /// Options that its accounts inherit: JSON.
    pub options: String,
    /// When what is to be done: JSON.
    pub plan: String,
    /// Rises when the options change.
    pub revision: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: i64,
    /// When it was closed, in milliseconds since 1970; `None`: it is open.
    pub closed_unix_ms: Option<i64>,
    /// How many accounts it has.
    pub accounts: u64,
}

/// An account to be stored under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// What operators call it; unique over all waves.
    pub name: String,
    /// The wave it belongs to.
    pub wave: WaveId,
    /// Where its mail comes from.
    pub source: EndpointId,
    /// Where it goes.
    pub target: EndpointId,
    /// The name that signs in at the source.
    pub source_user: String,
    /// The name that signs in at the target.
    pub target_user: String,
    /// Whose mail is read: the login of its [`AccountIdentity`](crate::AccountIdentity), or the authorization identity
    /// where there is one.
    pub source_owner: String,
    /// Whose mail is written, likewise.
    pub target_owner: String,
    /// Who goes first.
    pub priority: Priority,
    /// Its own options: JSON.
    pub options: String,
    /// How many octets of mail it is thought to have. `None` leaves what is known.
    pub size_hint_bytes: Option<u64>,
}

/// An account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// What operators call it.
    pub name: String,
    /// The wave it belongs to.
    pub wave: WaveId,
    /// That wave's name.
    pub wave_name: String,
    /// Where its mail comes from.
    pub source: EndpointId,
    /// That endpoint's name.
    pub source_name: String,
    /// Where it goes.
    pub target: EndpointId,
    /// That endpoint's name.
    pub target_name: String,
    /// The name that signs in at the source.
    pub source_user: String,
    /// The name that signs in at the target.
    pub target_user: String,
    /// See [`NewAccount::source_owner`].
    pub source_owner: String,
    /// See [`NewAccount::target_owner`].
    pub target_owner: String,
    /// Who goes first.
    pub priority: Priority,
    /// Its own options: JSON.
    pub options: String,
    /// Rises with every change but that of the size hint.
    pub revision: i64,
    /// How many octets of mail it is thought to have.
    pub size_hint_bytes: Option<u64>,
}

/// Which accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Only those of this wave.
    pub wave: Option<WaveId>,
    /// Only those whose name fits: `*` and `?` stand for anything and for one character.
    pub name: Option<String>,
    /// Only those whose name comes after this one.
    pub after: Option<String>,
    /// At most so many, by name.
    pub limit: Option<u32>,
}

/// What an import did. Names in the order of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOutcome {
    /// The number of each account of the list, in its order.
    pub ids: Vec<AccountId>,
    /// How many are new.
    pub added: usize,
    /// What changed: the account's name, and the names of what is different now.
    pub changed: Vec<(String, Vec<&'static str>)>,
    /// How many were there already and are the same.
    pub unchanged: usize,
}

/// Whose secret it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretOwner {
    /// One account's.
    Account(AccountId),
    /// An endpoint's, used for all accounts on it.
    Endpoint(EndpointId),
}

/// Where a secret belongs. What is sealed for one place does not open at another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretPlace {
    /// Whose.
    pub owner: SecretOwner,
    /// For which side; `None` for an endpoint's own.
    pub side: Option<mailhaul_queue::Side>,
    /// What it is: `password`.
    pub field: String,
}

/// A secret that only the vault can open.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Where it belongs.
    pub place: SecretPlace,
    /// Under which key.
    pub key_id: String,
    /// The sealed octets.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSecret")
            .field("place", &self.place)
            .field("key_id", &self.key_id)
            .field("sealed_bytes", &self.sealed.len())
            .finish_non_exhaustive()
    }
}

/// Which key the secrets are sealed under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRow {
    /// The key's name.
    pub key_id: String,
    /// A value that only this key opens.
    pub check_value: Vec<u8>,
}

/// What an operator pauses and resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// All jobs.
    Everything,
    /// All jobs that use this endpoint.
    Endpoint(EndpointId),
    /// All jobs of this wave.
    Wave(WaveId),
    /// All jobs of this account.
    Account(AccountId),
    /// One job.
    Job(JobId),
}

/// Something that an operator has paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// What.
    pub subject: Subject,
    /// Who paused it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
}

/// The latest preflight of an account, and the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightRow {
    /// Whose.
    pub account: AccountId,
    /// The account's name.
    pub account_name: String,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// What was found: JSON.
    pub report: String,
    /// When and what the one before it found.
    pub previous: Option<(i64, String)>,
}
