//! `ledger`, `pair` and `run`: the file, the accounts, and what was last done with them.

use super::{Columns, StoredRow, count_to_sql, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use crate::model::{AccountIdentity, PairIdentity, RunVerdict};
use sqlx::sqlite::SqliteConnection;

/// `ledger`: one row, made with the file.
pub(crate) struct LedgerRow {
    pub(crate) digest_key: [u8; 16],
    pub(crate) created_at_secs: i64,
}

impl StoredRow for LedgerRow {
    const TABLE: &'static str = "ledger";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        (columns.int()? == 1).then_some(())?;
        Some(Self { digest_key: columns.octets()?.try_into().ok()?, created_at_secs: columns.int()? })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE).int(1).octets(&self.digest_key).int(self.created_at_secs).finish()
    }
}

impl LedgerRow {
    pub(crate) async fn read(db: &mut SqliteConnection) -> Result<Option<Self>, Fault> {
        let row = sqlx::query("SELECT ledger_id, digest_key, created_at_secs, checksum FROM ledger")
            .fetch_optional(db)
            .await?;
        row.map(|row| verified(&row, || "the only row".to_owned())).transpose()
    }

    pub(crate) async fn insert(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query("INSERT INTO ledger (ledger_id, digest_key, created_at_secs, checksum) VALUES (1, $1, $2, $3)")
            .bind(&self.digest_key[..])
            .bind(self.created_at_secs)
            .bind(i64::from(self.checksum()))
            .execute(db)
            .await?;
        Ok(())
    }
}

/// `pair`: written by each claim, and when mailboxes are added.
#[derive(Debug, Clone)]
pub(crate) struct PairRow {
    pub(crate) pair_id: i64,
    pub(crate) identity: PairIdentity,
    pub(crate) generation: u64,
    /// How many mailbox rows there are, so that one that vanished is missed.
    pub(crate) mailboxes: u32,
}

impl StoredRow for PairRow {
    const TABLE: &'static str = "pair";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self {
            pair_id: columns.int()?,
            identity: PairIdentity { source: decode_account(columns)?, target: decode_account(columns)? },
            generation: columns.number()?,
            mailboxes: columns.number()?,
        })
    }

    fn checksum(&self) -> u32 {
        let mut sum = RowChecksum::of(Self::TABLE).int(self.pair_id);
        for account in [&self.identity.source, &self.identity.target] {
            sum = sum.text(&account.host).text(&account.login).text(&account.authorization_identity);
        }
        sum.int(count_to_sql(self.generation)).int(i64::from(self.mailboxes)).finish()
    }
}

fn decode_account(columns: &mut Columns<'_>) -> Option<AccountIdentity> {
    Some(AccountIdentity { host: columns.text()?, login: columns.text()?, authorization_identity: columns.text()? })
}

impl PairRow {
    pub(crate) async fn find(db: &mut SqliteConnection, identity: &PairIdentity) -> Result<Option<Self>, Fault> {
        let (source, target) = (&identity.source, &identity.target);
        let row = sqlx::query(
            "SELECT pair_id, source_host, source_login, source_authz, target_host, target_login, target_authz, \
                    generation, mailboxes, checksum \
             FROM pair WHERE source_host = $1 AND source_login = $2 AND source_authz = $3 \
                         AND target_host = $4 AND target_login = $5 AND target_authz = $6",
        )
        .bind(&source.host)
        .bind(&source.login)
        .bind(&source.authorization_identity)
        .bind(&target.host)
        .bind(&target.login)
        .bind(&target.authorization_identity)
        .fetch_optional(db)
        .await?;
        row.map(|row| verified(&row, || format!("the row of {identity}"))).transpose()
    }

    pub(crate) async fn read(db: &mut SqliteConnection, pair_id: i64) -> Result<Self, Fault> {
        let place = || format!("pair {pair_id}");
        let row = sqlx::query(
            "SELECT pair_id, source_host, source_login, source_authz, target_host, target_login, target_authz, \
                    generation, mailboxes, checksum \
             FROM pair WHERE pair_id = $1",
        )
        .bind(pair_id)
        .fetch_optional(db)
        .await?;
        row.map_or_else(|| Err(Fault::Damaged { table: Self::TABLE, row: place() }), |row| verified(&row, place))
    }

    pub(crate) async fn read_all(db: &mut SqliteConnection) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT pair_id, source_host, source_login, source_authz, target_host, target_login, target_authz, \
                    generation, mailboxes, checksum \
             FROM pair ORDER BY pair_id",
        )
        .fetch_all(db)
        .await?;
        rows.iter().enumerate().map(|(at, row)| verified(row, || format!("row {}", at + 1))).collect()
    }

    /// A row that was written for an account and is not found under its names, because they or their index are damaged.
    /// To be asked before a second row is begun for it. Only rows with one of its logins are looked at.
    pub(crate) async fn refuse_if_lost(db: &mut SqliteConnection, identity: &PairIdentity) -> Result<(), Fault> {
        let sql = "SELECT pair_id FROM pair NOT INDEXED WHERE source_login = $1 OR target_login = $2";
        let logins = sqlx::query_scalar(sql).bind(&identity.source.login).bind(&identity.target.login);
        let numbers: Vec<i64> = logins.fetch_all(&mut *db).await?;
        for pair_id in numbers {
            if Self::generation_under(db, pair_id, identity).await?.is_some() {
                return Err(Fault::Damaged {
                    table: Self::TABLE,
                    row: format!("pair {pair_id}, the row of {identity}"),
                });
            }
        }
        Ok(())
    }

    /// The generation of a row, whatever names stand in it, if its checksum says that it was written for this account.
    pub(crate) async fn generation_under(
        db: &mut SqliteConnection,
        pair_id: i64,
        identity: &PairIdentity,
    ) -> Result<Option<u64>, Fault> {
        let sql = "SELECT generation, mailboxes, checksum FROM pair NOT INDEXED WHERE pair_id = $1";
        let Some(row) = sqlx::query(sql).bind(pair_id).fetch_optional(db).await? else { return Ok(None) };
        let mut columns = Columns { row: &row, next: 0 };
        let (generation, mailboxes, stored) = (columns.number(), columns.number(), columns.number::<u32>());
        let (Some(generation), Some(mailboxes)) = (generation, mailboxes) else { return Ok(None) };
        let row = Self { pair_id, identity: identity.clone(), generation, mailboxes };
        Ok((Some(row.checksum()) == stored).then_some(generation))
    }

    /// The numbers of the rows that the index of the names gives for an account, the rows themselves unread.
    pub(crate) async fn indexed(db: &mut SqliteConnection, identity: &PairIdentity) -> Result<Vec<i64>, Fault> {
        let (source, target) = (&identity.source, &identity.target);
        let sql = "SELECT pair_id FROM pair WHERE source_host = $1 AND source_login = $2 AND source_authz = $3 \
                                              AND target_host = $4 AND target_login = $5 AND target_authz = $6";
        let numbers = sqlx::query_scalar(sql)
            .bind(&source.host)
            .bind(&source.login)
            .bind(&source.authorization_identity)
            .bind(&target.host)
            .bind(&target.login)
            .bind(&target.authorization_identity);
        Ok(numbers.fetch_all(db).await?)
    }

    /// The number for a new pair. Only within a writing transaction.
    pub(crate) async fn next_id(db: &mut SqliteConnection) -> Result<i64, Fault> {
        Ok(sqlx::query_scalar("SELECT COALESCE(MAX(pair_id), 0) + 1 FROM pair").fetch_one(db).await?)
    }

    pub(crate) async fn insert(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        let (source, target) = (&self.identity.source, &self.identity.target);
        sqlx::query(
            "INSERT INTO pair (pair_id, source_host, source_login, source_authz, \
                               target_host, target_login, target_authz, generation, mailboxes, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.pair_id)
        .bind(&source.host)
        .bind(&source.login)
        .bind(&source.authorization_identity)
        .bind(&target.host)
        .bind(&target.login)
        .bind(&target.authorization_identity)
        .bind(count_to_sql(self.generation))
        .bind(i64::from(self.mailboxes))
        .bind(i64::from(self.checksum()))
        .execute(db)
        .await?;
        Ok(())
    }

    /// Writes what can change: generation and number of mailboxes.
    pub(crate) async fn update(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query("UPDATE pair SET generation = $1, mailboxes = $2, checksum = $3 WHERE pair_id = $4")
            .bind(count_to_sql(self.generation))
            .bind(i64::from(self.mailboxes))
            .bind(i64::from(self.checksum()))
            .bind(self.pair_id)
            .execute(db)
            .await?;
        Ok(())
    }
}

/// `run`: begun by the claim, completed by the run's own last word.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub(crate) pair_id: i64,
    pub(crate) generation: u64,
    pub(crate) started_at_secs: i64,
    pub(crate) finished: Option<(i64, RunVerdict)>,
    pub(crate) detail: String,
}

impl StoredRow for RunRow {
    const TABLE: &'static str = "run";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        let (pair_id, generation, started_at_secs) = (columns.int()?, columns.number()?, columns.int()?);
        let finished = match (columns.optional_int()?, columns.optional_int()?) {
            (None, None) => None,
            (Some(at), Some(verdict)) => Some((at, RunVerdict::from_code(verdict)?)),
            _ => return None,
        };
        Some(Self { pair_id, generation, started_at_secs, finished, detail: columns.text()? })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE)
            .int(self.pair_id)
            .int(count_to_sql(self.generation))
            .int(self.started_at_secs)
            .optional_int(self.finished.map(|(at, _)| at))
            .optional_int(self.finished.map(|(_, verdict)| i64::from(verdict as u8)))
            .text(&self.detail)
            .finish()
    }
}

impl RunRow {
    pub(crate) async fn read(db: &mut SqliteConnection, pair_id: i64) -> Result<Option<Self>, Fault> {
        let row = sqlx::query(
            "SELECT pair_id, generation, started_at_secs, finished_at_secs, verdict, detail, checksum \
             FROM run WHERE pair_id = $1",
        )
        .bind(pair_id)
        .fetch_optional(db)
        .await?;
        row.map(|row| verified(&row, || format!("pair {pair_id}"))).transpose()
    }

    pub(crate) async fn put(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query(
            "INSERT INTO run (pair_id, generation, started_at_secs, finished_at_secs, verdict, detail, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (pair_id) DO UPDATE SET generation = excluded.generation, \
                 started_at_secs = excluded.started_at_secs, finished_at_secs = excluded.finished_at_secs, \
                 verdict = excluded.verdict, detail = excluded.detail, checksum = excluded.checksum",
        )
        .bind(self.pair_id)
        .bind(count_to_sql(self.generation))
        .bind(self.started_at_secs)
        .bind(self.finished.map(|(at, _)| at))
        .bind(self.finished.map(|(_, verdict)| i64::from(verdict as u8)))
        .bind(&self.detail)
        .bind(i64::from(self.checksum()))
        .execute(db)
        .await?;
        Ok(())
    }
}
