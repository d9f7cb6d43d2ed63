//! Importing a list: everything is checked first, then all of it is stored, or nothing.
//!
//! The same list again changes nothing and says so: passwords too are compared, after they have been opened.

use super::names::check_name;
use crate::account::{endpoint_options, queue_side};
use crate::error::ServiceError;
use crate::kinds::{JobKind, Payload};
use crate::plan::{WavePlan, new_job};
use crate::service::Service;
use crate::vault::{Place, Vault};
use mailhaul_accounts::{Claim, Entry, List, ListErrors, ReadOptions, Rename, Resolve, Resolved, read_list, resolve};
use mailhaul_db::queue::{
    AccountFilter, AccountRow, EndpointRow, ImportOutcome, JobFilter, NewAccount, NewWave, SealedSecret, SecretOwner,
    SecretPlace, WaveRow,
};
use mailhaul_queue::{AccountId, Priority, WaveId};
use mailhaul_types::{Escaped, Secret, Side};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A list, and what holds for all of it.
#[derive(Debug, Default)]
pub struct ImportRequest {
    /// The list as it was read from its file.
    pub octets: Vec<u8>,
    /// How it is to be read.
    pub read: ReadOptions,
    /// The wave of rows that name none.
    pub wave: Option<String>,
    /// The source endpoint of rows that name none.
    pub from: Option<String>,
    /// The target endpoint of rows that name none.
    pub to: Option<String>,
    /// How target users are made.
    pub rename: Rename,
    /// Lets several accounts write into one target mailbox.
    pub merge: bool,
    /// Stores nothing, and says what would be stored.
    pub dry_run: bool,
}

/// What an import did, or would do.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// Accounts in the list.
    pub accounts: usize,
    /// Of these, new ones.
    pub added: usize,
    /// Of these, changed ones: the name, and what is different now.
    pub changed: Vec<(String, Vec<&'static str>)>,
    /// Of these, those that were stored already and are the same.
    pub unchanged: usize,
    /// Passwords that were sealed: new and changed ones.
    pub passwords: usize,
    /// Waves that were made.
    pub new_waves: Vec<String>,
    /// Jobs that were queued because the wave of new accounts is at work already.
    pub queued: u64,
    /// What should be known although it is no error.
    pub remarks: Vec<String>,
    /// Accounts that nobody can sign in for: the name, and the side.
    pub without_password: Vec<(String, Side)>,
    /// Whether nothing was stored because of a dry run.
    pub dry_run: bool,
    /// In a dry run: every row, in the order of the list.
    pub rows: Vec<ImportRow>,
}

/// What an import would make of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its line in the list.
    pub line: u32,
    /// The account.
    pub account: String,
    /// Who signs in at the source, and at which endpoint.
    pub source: (String, String),
    /// The same for the target.
    pub target: (String, String),
    /// The wave.
    pub wave: String,
    /// What would become of it.
    pub verdict: RowVerdict,
}

/// What would become of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowVerdict {
    /// An account that is not stored yet.
    New,
    /// One that is stored; what is different now.
    Changed(Vec<&'static str>),
    /// One that is stored and the same, passwords apart.
    Unchanged,
}

/// Why a list is not imported. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// Faults of its lines.
    #[error("{0}")]
    List(#[from] ListErrors),
    /// Names that the lines use and that do not exist, each with its line.
    #[error("{}", .0.join("\n"))]
    Names(Vec<String>),
    /// Something else.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<mailhaul_db::DbError> for ImportFault {
    fn from(error: mailhaul_db::DbError) -> Self {
        Self::Service(error.into())
    }
}

/// What is stored already.
struct Stored {
    endpoints: Vec<EndpointRow>,
    accounts: HashMap<String, AccountRow>,
    waves: BTreeMap<String, WaveRow>,
}

impl Service {
    /// Checks a whole list, and stores its accounts and their passwords.
    ///
    /// # Errors
    /// Every line that is wrong, or what else stands in the way. Nothing is stored then.
    pub async fn import(&self, request: ImportRequest) -> Result<ImportReport, ImportFault> {
        for endpoint in [&request.from, &request.to].into_iter().flatten() {
            self.endpoint_named(endpoint).await?;
        }
        if let Some(wave) = &request.wave {
            check_name("a wave", wave)?;
        }
        let stored = self.stored().await?;
        let ImportRequest { octets, read, wave, from, to, rename, merge, dry_run } = request;
        // A hundred thousand rows take a while; other tasks of this process go on meanwhile.
        let list = tokio::task::spawn_blocking(move || {
            let list = read_list(&octets, &read);
            // The passwords in it are wiped.
            drop(Secret::new(octets));
            list
        });
        let list = list.await.map_err(|error| ServiceError::Stored(format!("reading the list failed: {error}")))??;
        let general = General { wave, from, to, rename, merge };
        let Resolved { entries, remarks } = resolve_entries(list, &general, &stored)?;
        check_stored_names(&entries, &stored)?;
        let vault = match entries.iter().any(has_password) {
            true if !dry_run => Some(self.vault().await?),
            true => self.vault_if_any().await?,
            false => None,
        };
        let sealed = self.queue.secrets().await?;
        let sealed: Sealed = sealed.into_iter().map(|secret| (secret.place, secret.sealed)).collect();
        let mut report = ImportReport {
            accounts: entries.len(),
            remarks: remarks.iter().map(ToString::to_string).collect(),
            without_password: without_password(&entries, &stored, &sealed)?,
            new_waves: new_waves(&entries, &stored),
            dry_run,
            ..ImportReport::default()
        };
        if dry_run {
            compare(&entries, &stored, &mut report);
            return Ok(report);
        }
        let waves = self.make_waves(&entries, &stored).await?;
        let accounts = entries.iter().map(|entry| new_account(entry, &stored, &waves)).collect();
        let ImportOutcome { ids, added, changed, unchanged } = self.queue.import(accounts).await?;
        (report.added, report.changed, report.unchanged) = (added, changed, unchanged);
        if let Some(vault) = vault {
            let (secrets, changed) = seal_passwords(&vault, &entries, &ids, &stored, &sealed)?;
            report.passwords = secrets.len();
            note_passwords(&mut report, changed);
            if !secrets.is_empty() {
                self.queue.put_secrets(secrets).await?;
            }
        }
        report.queued = self.queue_new_accounts(&entries, &ids, &stored).await?;
        self.ring().await;
        Ok(report)
    }

    async fn stored(&self) -> Result<Stored, ServiceError> {
        let accounts = self.queue.accounts(AccountFilter::default()).await?;
        let waves = self.queue.waves().await?;
        Ok(Stored {
            endpoints: self.queue.endpoints().await?,
            accounts: accounts.into_iter().map(|row| (row.name.clone(), row)).collect(),
            waves: waves.into_iter().map(|row| (row.name.clone(), row)).collect(),
        })
    }

    async fn make_waves(&self, entries: &[Entry], stored: &Stored) -> Result<BTreeMap<String, WaveId>, ServiceError> {
        let mut ids: BTreeMap<String, WaveId> = stored.waves.iter().map(|(name, row)| (name.clone(), row.id)).collect();
        for name in new_waves(entries, stored) {
            let id = self.queue.put_wave(NewWave { name: name.clone(), ..NewWave::default() }).await?;
            ids.insert(name, id);
        }
        Ok(ids)
    }

    /// Accounts that join a wave which is at work are worked on too.
    async fn queue_new_accounts(
        &self,
        entries: &[Entry],
        ids: &[AccountId],
        stored: &Stored,
    ) -> Result<u64, ServiceError> {
        let mut started: BTreeMap<&str, Option<WavePlan>> = BTreeMap::new();
        for row in stored.waves.values() {
            let kinds = vec![JobKind::Bulk.word().to_owned()];
            let filter =
                JobFilter { wave: Some(row.id), kinds, limit: Some(1), superseded: true, ..JobFilter::default() };
            let has_begun = !self.queue.jobs(filter).await?.is_empty();
            let plan = WavePlan::from_json(&row.plan).ok().filter(|_| has_begun);
            started.insert(&row.name, plan);
        }
        let mut jobs = Vec::new();
        for (entry, id) in entries.iter().zip(ids).filter(|(entry, _)| !stored.accounts.contains_key(&entry.account)) {
            if let Some(Some(plan)) = started.get(entry.wave.as_str()) {
                jobs.push(new_job(*id, JobKind::Bulk, &Payload::default(), plan.start_after_unix_ms));
            }
        }
        if jobs.is_empty() { Ok(0) } else { Ok(self.queue.enqueue(jobs).await?) }
    }
}

/// What holds for the whole list.
struct General {
    wave: Option<String>,
    from: Option<String>,
    to: Option<String>,
    rename: Rename,
    merge: bool,
}

/// Where the password of an account is stored, and what it is bound to.
pub(super) fn password_places(id: AccountId, side: Side) -> (Place, SecretPlace) {
    let row =
        SecretPlace { owner: SecretOwner::Account(id), side: Some(queue_side(side)), field: "password".to_owned() };
    (Place::account_password(id, side), row)
}

fn resolve_entries(list: List, general: &General, stored: &Stored) -> Result<Resolved, ImportFault> {
    let how = Resolve {
        from: general.from.as_deref(),
        to: general.to.as_deref(),
        wave: general.wave.as_deref(),
        rename: general.rename.clone(),
        endpoints: aliases(&stored.endpoints),
        stored: stored
            .accounts
            .values()
            .map(|row| Claim { account: &row.name, endpoint: &row.target_name, user: &row.target_user })
            .collect(),
        merge: general.merge,
    };
    Ok(resolve(list, &how)?)
}

/// Endpoints by name, and by host where only one endpoint has it.
fn aliases(endpoints: &[EndpointRow]) -> Vec<(&str, &str)> {
    let mut hosts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in endpoints {
        hosts.entry(&row.host).or_default().push(&row.name);
    }
    let by_host = hosts.into_iter().filter_map(|(host, names)| match names.as_slice() {
        [name] => Some((host, *name)),
        _ => None,
    });
    // A name goes before a host, and what comes later counts.
    by_host.chain(endpoints.iter().map(|row| (row.name.as_str(), row.name.as_str()))).collect()
}

/// So many lines with unknown names are shown.
const NAMES_MAX: usize = 20;

fn check_stored_names(entries: &[Entry], stored: &Stored) -> Result<(), ImportFault> {
    let endpoints: BTreeSet<&str> = stored.endpoints.iter().map(|row| row.name.as_str()).collect();
    let (mut faults, mut closed) = (Vec::new(), BTreeMap::<&str, Vec<u32>>::new());
    for entry in entries {
        for name in [&entry.from, &entry.to] {
            if !endpoints.contains(name.as_str()) {
                faults.push(format!("line {}: there is no endpoint `{}`", entry.line, Escaped(name)));
            }
        }
        match stored.waves.get(&entry.wave) {
            Some(row) if row.closed_unix_ms.is_some() => {
                closed.entry(&entry.wave).or_default().push(entry.line);
            }
            Some(_) => {}
            None => {
                if let Err(error) = check_name("a wave", &entry.wave) {
                    faults.push(format!("line {}: {error}", entry.line));
                }
            }
        }
    }
    // One fault for all lines of one wave: it is one thing to mend.
    faults.extend(closed.into_iter().map(|(wave, lines)| {
        let more = if lines.len() > 1 { format!(" and {} more", lines.len() - 1) } else { String::new() };
        let wave = Escaped(wave);
        format!("line {}{more}: wave `{wave}` is closed; `--wave OTHER` or the list names another", lines[0])
    }));
    if faults.is_empty() {
        return Ok(());
    }
    let more = faults.len().saturating_sub(NAMES_MAX);
    faults.truncate(NAMES_MAX);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Err(ImportFault::Names(faults))
}

fn new_waves(entries: &[Entry], stored: &Stored) -> Vec<String> {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.wave.as_str()).collect();
    names.into_iter().filter(|name| !stored.waves.contains_key(*name)).map(str::to_owned).collect()
}

fn new_account(entry: &Entry, stored: &Stored, waves: &BTreeMap<String, WaveId>) -> NewAccount {
    let endpoint = |name: &str| {
        let found = stored.endpoints.iter().find(|row| row.name == name);
        found.expect("every name was looked up before").id
    };
    let before = stored.accounts.get(&entry.account);
    let priority = entry.priority.and_then(Priority::new);
    NewAccount {
        name: entry.account.clone(),
        wave: *waves.get(&entry.wave).expect("every wave was made before"),
        source: endpoint(&entry.from),
        target: endpoint(&entry.to),
        source_user: entry.source_user.clone(),
        target_user: entry.target_user.clone(),
        source_owner: entry.source_user.clone(),
        target_owner: entry.target_user.clone(),
        priority: priority.or(before.map(|row| row.priority)).unwrap_or(Priority::USUAL),
        options: before.map(|row| row.options.clone()).unwrap_or_default(),
        size_hint_bytes: None,
    }
}

/// What a dry run says: as the import would, but for passwords.
fn compare(entries: &[Entry], stored: &Stored, report: &mut ImportReport) {
    for entry in entries {
        let verdict = verdict(entry, stored);
        match &verdict {
            RowVerdict::New => report.added += 1,
            RowVerdict::Changed(differs) => report.changed.push((entry.account.clone(), differs.clone())),
            RowVerdict::Unchanged => report.unchanged += 1,
        }
        report.rows.push(ImportRow {
            line: entry.line,
            account: entry.account.clone(),
            source: (entry.source_user.clone(), entry.from.clone()),
            target: (entry.target_user.clone(), entry.to.clone()),
            wave: entry.wave.clone(),
            verdict,
        });
    }
}

fn verdict(entry: &Entry, stored: &Stored) -> RowVerdict {
    let Some(row) = stored.accounts.get(&entry.account) else { return RowVerdict::New };
    let differs = [
        ("wave", row.wave_name != entry.wave),
        ("from", row.source_name != entry.from),
        ("to", row.target_name != entry.to),
        ("source_user", row.source_user != entry.source_user),
        ("target_user", row.target_user != entry.target_user),
        ("priority", entry.priority.is_some_and(|priority| priority != row.priority.get())),
    ];
    let differs: Vec<&'static str> = differs.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    if differs.is_empty() { RowVerdict::Unchanged } else { RowVerdict::Changed(differs) }
}

/// The sealed passwords that are stored.
type Sealed = HashMap<SecretPlace, Vec<u8>>;

/// Passwords of accounts that were stored before and are different now, by the account's name.
type ChangedPasswords = BTreeMap<String, Vec<&'static str>>;

/// Seals what is new or different.
fn seal_passwords(
    vault: &Vault,
    entries: &[Entry],
    ids: &[AccountId],
    stored: &Stored,
    sealed: &Sealed,
) -> Result<(Vec<SealedSecret>, ChangedPasswords), ServiceError> {
    let (mut secrets, mut changed) = (Vec::new(), ChangedPasswords::new());
    for (entry, id) in entries.iter().zip(ids) {
        let passwords = [
            (Side::Source, "source_password", &entry.source_password),
            (Side::Target, "target_password", &entry.target_password),
        ];
        for (side, what, password) in passwords {
            let Some(password) = password else { continue };
            let (place, row) = password_places(*id, side);
            let before = sealed.get(&row).map(|sealed| vault.open(&place, sealed)).transpose()?;
            if before.as_ref().is_some_and(|before| before.expose() == password.expose()) {
                continue;
            }
            let value = vault.seal(&place, password)?;
            secrets.push(SealedSecret { place: row, key_id: vault.key_id(), sealed: value });
            if stored.accounts.contains_key(&entry.account) {
                changed.entry(entry.account.clone()).or_default().push(what);
            }
        }
    }
    Ok((secrets, changed))
}

/// An account of which only a password is different was told as unchanged before.
fn note_passwords(report: &mut ImportReport, mut changed: ChangedPasswords) {
    for (name, differs) in &mut report.changed {
        differs.extend(changed.remove(name).unwrap_or_default());
    }
    report.unchanged = report.unchanged.saturating_sub(changed.len());
    report.changed.extend(changed);
}

/// Accounts for which neither the list nor the state file has a password, nor the endpoint an administrator.
fn without_password(entries: &[Entry], stored: &Stored, sealed: &Sealed) -> Result<Vec<(String, Side)>, ServiceError> {
    let mut has_admin = BTreeSet::new();
    for row in &stored.endpoints {
        if endpoint_options(row)?.admin.is_some() {
            has_admin.insert(row.name.as_str());
        }
    }
    let mut missing = Vec::new();
    for entry in entries {
        let id = stored.accounts.get(&entry.account).map(|row| row.id);
        let ends = [
            (Side::Source, entry.from.as_str(), entry.source_password.is_some()),
            (Side::Target, entry.to.as_str(), entry.target_password.is_some()),
        ];
        for (side, endpoint, given) in ends {
            let is_stored = || id.is_some_and(|id| sealed.contains_key(&password_places(id, side).1));
            if !given && !has_admin.contains(endpoint) && !is_stored() {
                missing.push((entry.account.clone(), side));
            }
        }
    }
    Ok(missing)
}

fn has_password(entry: &Entry) -> bool {
    let given = |password: &Option<Secret>| password.is_some();
    given(&entry.source_password) || given(&entry.target_password)
}
