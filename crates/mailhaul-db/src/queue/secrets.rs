//! Sealed secrets, and the wiping of them.
//!
//! They are sealed before they come here, under a key that is not in the file. Wiping them is thorough all the same:
//! their octets are overwritten in the file (`secure_delete`), and the write-ahead log, which still holds the pages as
//! they were, is emptied.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::{Cells, side_of, side_word};
use crate::queue::model::{SealedSecret, SecretOwner, SecretPlace, Subject, VaultRow};
use mailhaul_queue::{AccountId, EndpointId, WaveId, WorkerId};
use sqlx::sqlite::SqliteRow;
use std::path::Path;

const LISTED: &str = "SELECT owner_kind, owner_id, side, field, key_id, sealed FROM secret";

impl Queue {
    /// Stores secrets at their places, and wipes those that they replace.
    ///
    /// # Errors
    /// If the file cannot be written; [`DbError::SecretsChanged`] if they are sealed under another key than the vault's.
    pub async fn put_secrets(&self, secrets: Vec<SealedSecret>) -> Result<(), DbError> {
        write!(self, change => change.put_secrets_under_the_key(&secrets))?;
        self.empty_log().await;
        Ok(())
    }

    /// The secret at this place.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn secret(&self, place: &SecretPlace) -> Result<Option<SealedSecret>, DbError> {
        let (kind, id) = columns(place.owner);
        let mut db = self.inner.reader.begin().await?;
        let row = sqlx::query(
            "SELECT owner_kind, owner_id, side, field, key_id, sealed FROM secret \
             WHERE owner_kind = $1 AND owner_id = $2 AND side = $3 AND field = $4",
        )
        .bind(kind)
        .bind(id)
        .bind(side_word(place.side))
        .bind(&place.field)
        .fetch_optional(&mut *db)
        .await
        .map_err(|error| self.inner.reader.fail(error.into()))?;
        row.map(|row| secret(&row)).transpose().map_err(|fault| self.inner.reader.fail(fault))
    }

    /// All secrets, for a change of the key.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn secrets(&self) -> Result<Vec<SealedSecret>, DbError> {
        self.read_all(LISTED, secret).await
    }

    /// Replaces all secrets and the vault's row in one go, and wipes the old ones. `before` are those that the caller has
    /// read and sealed anew.
    ///
    /// # Errors
    /// If the file cannot be written; [`DbError::SecretsChanged`] if other secrets are stored by now, or a worker lives
    /// that uses them. Nothing has changed then.
    pub async fn replace_secrets(
        &self,
        before: Vec<SealedSecret>,
        secrets: Vec<SealedSecret>,
        vault: VaultRow,
    ) -> Result<(), DbError> {
        let (boot_id, path) = (self.inner.clock.boot_id(), self.inner.reader.path());
        write!(self, change => change.replace_secrets(before, &secrets, &vault, (&boot_id, path)))?;
        self.empty_log().await;
        Ok(())
    }

    /// Wipes all secrets of an owner. How many there were.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn delete_secrets(&self, owner: SecretOwner) -> Result<u64, DbError> {
        let wiped = write!(self, change => change.delete_secrets(owner))?;
        self.empty_log().await;
        Ok(wiped)
    }

    /// Which key the secrets are sealed under; `None` before the first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn vault(&self) -> Result<Option<VaultRow>, DbError> {
        let rows = self.read_all("SELECT key_id, check_value FROM vault", |row| {
            let mut cells = Cells::of(row, "vault");
            Ok(VaultRow { key_id: cells.take()?, check_value: cells.take()? })
        });
        Ok(rows.await?.pop())
    }

    /// Says which key the secrets are sealed under.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn put_vault(&self, vault: VaultRow) -> Result<(), DbError> {
        write!(self, change => change.put_vault(&vault))
    }
}

impl Change<'_> {
    /// A secret under a key that is going, or gone, could never be opened again.
    async fn put_secrets_under_the_key(&mut self, secrets: &[SealedSecret]) -> Result<(), Fault> {
        let key_id: Option<String> = sqlx::query_scalar("SELECT key_id FROM vault").fetch_optional(self.db()).await?;
        if key_id.is_some_and(|key_id| secrets.iter().any(|secret| secret.key_id != key_id)) {
            return Err(Fault::SecretsChanged);
        }
        self.put_secrets(secrets).await
    }

    async fn put_secrets(&mut self, secrets: &[SealedSecret]) -> Result<(), Fault> {
        for secret in secrets {
            let (kind, id) = columns(secret.place.owner);
            sqlx::query(
                "INSERT INTO secret (owner_kind, owner_id, side, field, key_id, sealed) \
                 VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (owner_kind, owner_id, side, field) DO UPDATE SET key_id = excluded.key_id, \
                     sealed = excluded.sealed",
            )
            .bind(kind)
            .bind(id)
            .bind(side_word(secret.place.side))
            .bind(&secret.place.field)
            .bind(&secret.key_id)
            .bind(&secret.sealed)
            .execute(self.db())
            .await?;
        }
        Ok(())
    }

    async fn replace_secrets(
        &mut self,
        mut before: Vec<SealedSecret>,
        secrets: &[SealedSecret],
        vault: &VaultRow,
        (boot_id, state_file): (&str, &Path),
    ) -> Result<(), Fault> {
        let rows = sqlx::query(LISTED).fetch_all(self.db()).await?;
        let mut stored: Vec<SealedSecret> = rows.iter().map(secret).collect::<Result<_, _>>()?;
        let by_place = |left: &SealedSecret, right: &SealedSecret| left.place.cmp(&right.place);
        stored.sort_by(by_place);
        before.sort_by(by_place);
        // Nobody has this number: whoever lives is somebody else.
        let somebody_works = self.bury_workers(WorkerId(0), boot_id, state_file).await? > 1;
        if stored != before || somebody_works {
            return Err(Fault::SecretsChanged);
        }
        sqlx::query("DELETE FROM secret").execute(self.db()).await?;
        self.put_secrets(secrets).await?;
        self.put_vault(vault).await?;
        self.note("key", Subject::Everything, &format!("{} secrets were sealed anew", secrets.len())).await
    }

    async fn put_vault(&mut self, vault: &VaultRow) -> Result<(), Fault> {
        sqlx::query(
            "INSERT INTO vault (vault_id, key_id, check_value) VALUES (1, $1, $2) \
             ON CONFLICT (vault_id) DO UPDATE SET key_id = excluded.key_id, check_value = excluded.check_value",
        )
        .bind(&vault.key_id)
        .bind(&vault.check_value)
        .execute(self.db())
        .await?;
        Ok(())
    }

    pub(super) async fn delete_secrets(&mut self, owner: SecretOwner) -> Result<u64, Fault> {
        let (kind, id) = columns(owner);
        let done = sqlx::query("DELETE FROM secret WHERE owner_kind = $1 AND owner_id = $2")
            .bind(kind)
            .bind(id)
            .execute(self.db())
            .await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn delete_wave_secrets(&mut self, wave: WaveId) -> Result<u64, Fault> {
        let done = sqlx::query(
            "DELETE FROM secret WHERE owner_kind = 'account' \
                 AND owner_id IN (SELECT account_id FROM account WHERE wave_id = $1)",
        )
        .bind(wave.0)
        .execute(self.db())
        .await?;
        Ok(done.rows_affected())
    }
}

fn columns(owner: SecretOwner) -> (&'static str, i64) {
    match owner {
        SecretOwner::Account(id) => ("account", id.0),
        SecretOwner::Endpoint(id) => ("endpoint", id.0),
    }
}

fn secret(row: &SqliteRow) -> Result<SealedSecret, Fault> {
    let mut cells = Cells::of(row, "secret");
    let kind: &str = cells.take()?;
    let id = cells.take()?;
    let owner = match kind {
        "account" => SecretOwner::Account(AccountId(id)),
        "endpoint" => SecretOwner::Endpoint(EndpointId(id)),
        _ => return Err(cells.damaged()),
    };
    let place = SecretPlace { owner, side: cells.word(side_of)?, field: cells.take()? };
    Ok(SealedSecret { place, key_id: cells.take()?, sealed: cells.take()? })
}
