//! Accounts one by one: what is stored of them, changing it, and writing all of them out.

use super::change::CopyChange;
use super::import::password_places;
use super::in_force::Meant;
use crate::error::ServiceError;
use crate::options::CopyOptions;
use crate::service::Service;
use mailhaul_accounts::ExportRow;
use mailhaul_db::queue::{AccountFilter, AccountRow, JobFilter, JobRow, NewAccount, SealedSecret};
use mailhaul_queue::{Priority, WaveId};
use mailhaul_types::{Escaped, Secret, Side};

/// What is said about an account. What is not said stays as it is.
#[derive(Debug, Default)]
pub struct AccountChange {
    /// The name that signs in at the source.
    pub source_user: Option<String>,
    /// The name that signs in at the target.
    pub target_user: Option<String>,
    /// The source endpoint.
    pub from: Option<String>,
    /// The target endpoint.
    pub to: Option<String>,
    /// The wave.
    pub wave: Option<String>,
    /// Who goes first.
    pub priority: Option<Priority>,
    /// The password at the source.
    pub source_password: Option<Secret>,
    /// The password at the target.
    pub target_password: Option<Secret>,
    /// How its mail is copied.
    pub copy: CopyChange,
}

/// Which passwords of an account are stored. What they are is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordsStored {
    /// That of the source.
    pub source: bool,
    /// That of the target.
    pub target: bool,
}

/// An account with what belongs to it.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// As it is stored.
    pub row: AccountRow,
    /// Its own options.
    pub options: CopyOptions,
    /// Which passwords are stored.
    pub passwords: PasswordsStored,
    /// Its jobs, older ones of each kind left out.
    pub jobs: Vec<JobRow>,
}

impl Service {
    /// Accounts by name: of one wave, or of all.
    ///
    /// # Errors
    /// If there is no such wave.
    pub async fn accounts(&self, wave: Option<&str>, name: Option<String>) -> Result<Vec<AccountRow>, ServiceError> {
        let wave = self.maybe_wave(wave).await?;
        Ok(self.queue.accounts(AccountFilter { wave, name, ..AccountFilter::default() }).await?)
    }

    /// So many accounts by name, from after this one on; and whether there are more. A name is a place in the list that
    /// stays where it is, whatever comes and goes.
    ///
    /// # Errors
    /// If there is no such wave.
    pub async fn accounts_page(
        &self,
        wave: Option<&str>,
        name: Option<String>,
        after: Option<String>,
        most: u32,
    ) -> Result<(Vec<AccountRow>, bool), ServiceError> {
        let wave = self.maybe_wave(wave).await?;
        let limit = Some(most.saturating_add(1));
        let mut rows = self.queue.accounts(AccountFilter { wave, name, after, limit }).await?;
        let fitting = usize::try_from(most).unwrap_or(usize::MAX);
        let has_more = rows.len() > fitting;
        rows.truncate(fitting);
        Ok((rows, has_more))
    }

    async fn maybe_wave(&self, wave: Option<&str>) -> Result<Option<WaveId>, ServiceError> {
        Ok(match wave {
            Some(name) => Some(self.wave_named(name).await?.id),
            None => None,
        })
    }

    /// One account.
    ///
    /// # Errors
    /// If there is no such account.
    pub async fn account(&self, name: &str) -> Result<AccountView, ServiceError> {
        let row = self.account_named(name).await?;
        let mut stored = [false; 2];
        for (stored, side) in stored.iter_mut().zip([Side::Source, Side::Target]) {
            *stored = self.queue.secret(&password_places(row.id, side).1).await?.is_some();
        }
        let jobs = self.queue.jobs(JobFilter { account: Some(row.id), ..JobFilter::default() }).await?;
        let passwords = PasswordsStored { source: stored[0], target: stored[1] };
        Ok(AccountView { options: options_of(&row)?, passwords, jobs, row })
    }

    /// Changes an account. A job of it that runs takes it up at the next mailbox.
    ///
    /// # Errors
    /// If there is no such account, or something that was said cannot be.
    pub async fn set_account(&self, name: &str, change: AccountChange) -> Result<AccountView, ServiceError> {
        let row = self.account_named(name).await?;
        let AccountChange { source_user, target_user, from, to, wave, priority, copy, .. } = &change;
        // What is not changed stays written as it is: another spelling of the same would count as a change.
        let options = match copy.is_keep() {
            true => row.options.clone(),
            false => {
                let options = copy.clone().apply(options_of(&row)?);
                options.check_changes()?;
                serde_json::to_string(&options).expect("options hold nothing that JSON has no form for")
            }
        };
        let id_of = async |name: &Option<String>, stored| match name {
            Some(name) => self.endpoint_named(name).await.map(|row| row.id),
            None => Ok(stored),
        };
        let account = NewAccount {
            name: row.name.clone(),
            wave: match wave {
                Some(name) => self.open_wave(name).await?.id,
                None => row.wave,
            },
            source: id_of(from, row.source).await?,
            target: id_of(to, row.target).await?,
            source_user: user(source_user.as_ref(), &row.source_user)?,
            target_user: user(target_user.as_ref(), &row.target_user)?,
            source_owner: user(source_user.as_ref(), &row.source_owner)?,
            target_owner: user(target_user.as_ref(), &row.target_owner)?,
            priority: priority.unwrap_or(row.priority),
            options,
            size_hint_bytes: None,
        };
        self.check_target_is_free(&account).await?;
        if !copy.is_keep() || wave.is_some() || from.is_some() || to.is_some() {
            self.check_in_force(Meant::Account(row.id, &account)).await?;
        }
        let passwords = [(Side::Source, change.source_password), (Side::Target, change.target_password)];
        let vault = match passwords.iter().any(|(_, password)| password.is_some()) {
            true => Some(self.vault().await?),
            false => None,
        };
        self.queue.import(vec![account]).await?;
        if let Some(vault) = vault {
            let mut secrets = Vec::new();
            for (side, password) in passwords {
                let Some(password) = password else { continue };
                let (place, stored_at) = password_places(row.id, side);
                let sealed = vault.seal(&place, &password)?;
                secrets.push(SealedSecret { place: stored_at, key_id: vault.key_id(), sealed });
            }
            self.queue.put_secrets(secrets).await?;
        }
        self.ring().await;
        self.account(name).await
    }

    /// Removes an account with its jobs, passwords and events. What was copied, and the memory of it, stays.
    ///
    /// # Errors
    /// If there is no such account, or one of its jobs is running.
    pub async fn remove_account(&self, name: &str) -> Result<(), ServiceError> {
        let row = self.account_named(name).await?;
        if self.queue.remove_account(row.id).await? {
            return Ok(());
        }
        Err(ServiceError::usage(
            format!("a job of account `{}` is running", Escaped(name)),
            format!("`mailhaul cancel --account {}` first", Escaped(name)),
        ))
    }

    /// Accounts as a list that can be imported again, without passwords.
    ///
    /// # Errors
    /// If there is no such wave.
    pub async fn export_accounts(&self, wave: Option<&str>, as_json: bool) -> Result<String, ServiceError> {
        let accounts = self.accounts(wave, None).await?;
        let rows: Vec<ExportRow<'_>> = accounts
            .iter()
            .map(|row| ExportRow {
                account: &row.name,
                source_user: &row.source_user,
                target_user: &row.target_user,
                from: &row.source_name,
                to: &row.target_name,
                wave: &row.wave_name,
                priority: row.priority.get(),
            })
            .collect();
        Ok(if as_json { mailhaul_accounts::to_json(&rows) } else { mailhaul_accounts::to_csv(&rows) })
    }

    /// Two accounts that write into one target mailbox are joined only by a list, on request.
    async fn check_target_is_free(&self, account: &NewAccount) -> Result<(), ServiceError> {
        let others = self.queue.accounts(AccountFilter::default()).await?;
        let before = others.iter().find(|other| other.name == account.name);
        if before.is_some_and(|row| row.target == account.target && row.target_user == account.target_user) {
            return Ok(());
        }
        let same = |other: &&AccountRow| {
            other.name != account.name
                && other.target == account.target
                && other.target_user.eq_ignore_ascii_case(&account.target_user)
        };
        match others.iter().find(same) {
            None => Ok(()),
            Some(other) => Err(ServiceError::usage(
                format!(
                    "account `{}` already writes into `{}` on `{}`",
                    Escaped(&other.name),
                    Escaped(&other.target_user),
                    Escaped(&other.target_name)
                ),
                "give it another target user; accounts are joined by importing them in one list with --merge",
            )),
        }
    }
}

pub(super) fn options_of(row: &AccountRow) -> Result<CopyOptions, ServiceError> {
    let text = if row.options.is_empty() { "{}" } else { &row.options };
    serde_json::from_str(text).map_err(|error| {
        ServiceError::Stored(format!("the stored options of account {} cannot be read: {error}", row.name))
    })
}

fn user(given: Option<&String>, stored: &str) -> Result<String, ServiceError> {
    let Some(user) = given else { return Ok(stored.to_owned()) };
    if user.is_empty() || user.trim() != user || user.chars().any(char::is_control) {
        return Err(ServiceError::usage(
            format!("`{}` cannot be a user", Escaped(user)),
            "a user has no control characters, and no spaces around it",
        ));
    }
    Ok(user.clone())
}
