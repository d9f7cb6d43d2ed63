//! `mailbox_exception`: what became of a message that could not be copied, or of a whole mailbox; a row in its tally.

use super::{Columns, StoredRow, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use crate::model::{Exception, ExceptionState, StoredException};
use crate::segment::strength_of;
use mailhaul_types::{MessageKey, Uid, UidValidity};
use sqlx::sqlite::SqliteConnection;

/// `mailbox_exception`.
#[derive(Debug, Clone)]
pub(crate) struct ExceptionRow {
    pub(crate) mailbox_id: i64,
    pub(crate) stored: StoredException,
}

/// What tells one exception of a mailbox from another: source UIDVALIDITY (0: none), UID (0: the mailbox), state.
pub(crate) type ExceptionKey = (u32, u32, ExceptionState);

impl StoredRow for ExceptionRow {
    const TABLE: &'static str = "mailbox_exception";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        let mailbox_id = columns.int()?;
        let validity: u32 = columns.number()?;
        let uid: u32 = columns.number()?;
        let state = ExceptionState::from_code(columns.int()?)?;
        let reason = columns.text()?;
        let key = match (columns.optional_int()?, columns.optional_number::<u8>()?) {
            (None, None) => None,
            (Some(digest), Some(strength)) => {
                Some(MessageKey { digest: digest.cast_unsigned(), strength: strength_of(strength)? })
            }
            _ => return None,
        };
        let uid = (uid != 0).then_some(Uid(uid));
        let exception = Exception { uid, state, reason, key };
        let source_uid_validity = (validity != 0).then_some(UidValidity(validity));
        Some(Self {
            mailbox_id,
            stored: StoredException { exception, source_uid_validity, at_unix_secs: columns.int()? },
        })
    }

    fn checksum(&self) -> u32 {
        let (validity, uid, state) = self.key();
        let exception = &self.stored.exception;
        RowChecksum::of(Self::TABLE)
            .int(self.mailbox_id)
            .int(i64::from(validity))
            .int(i64::from(uid))
            .int(i64::from(state as u8))
            .text(&exception.reason)
            .optional_int(exception.key.map(|key| key.digest.cast_signed()))
            .optional_int(exception.key.map(|key| i64::from(key.strength as u8)))
            .int(self.stored.at_unix_secs)
            .finish()
    }
}

impl ExceptionRow {
    /// All exceptions of a mailbox, ordered by UID and state.
    pub(crate) const ALL_OF_MAILBOX: &str = "SELECT mailbox_id, source_uid_validity, uid, state, reason, key_digest, key_strength, at_secs, checksum \
         FROM mailbox_exception WHERE mailbox_id = $1 ORDER BY source_uid_validity, uid, state";

    pub(crate) fn key(&self) -> ExceptionKey {
        let validity = self.stored.source_uid_validity.map_or(0, |validity| validity.0);
        let exception = &self.stored.exception;
        (validity, exception.uid.map_or(0, |uid| uid.0), exception.state)
    }

    /// All exceptions of a mailbox, ordered by UID and state.
    pub(crate) async fn read_all(db: &mut SqliteConnection, mailbox_id: i64) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(Self::ALL_OF_MAILBOX).bind(mailbox_id).fetch_all(db).await?;
        rows.iter()
            .enumerate()
            .map(|(at, row)| verified(row, || format!("mailbox number {mailbox_id}, exception {}", at + 1)))
            .collect()
    }

    /// All exceptions of a pair's mailboxes, ordered by mailbox, UID and state.
    pub(crate) async fn read_all_of_pair(db: &mut SqliteConnection, pair_id: i64) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, source_uid_validity, uid, state, reason, key_digest, key_strength, at_secs, checksum \
             FROM mailbox_exception WHERE mailbox_id IN (SELECT mailbox_id FROM mailbox WHERE pair_id = $1) \
             ORDER BY mailbox_id, source_uid_validity, uid, state",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        rows.iter()
            .enumerate()
            .map(|(at, row)| verified(row, || format!("exception {} of pair {pair_id}", at + 1)))
            .collect()
    }

    /// Exceptions that stand against the mailboxes of a pair themselves, by mailbox and state.
    pub(crate) async fn read_mailboxes_own(db: &mut SqliteConnection, pair_id: i64) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, source_uid_validity, uid, state, reason, key_digest, key_strength, at_secs, checksum \
             FROM mailbox_exception WHERE mailbox_id IN (SELECT mailbox_id FROM mailbox WHERE pair_id = $1) \
                 AND source_uid_validity = 0 AND uid = 0 \
             ORDER BY mailbox_id, state",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        rows.iter().map(|row| verified(row, || format!("an exception of a mailbox of pair {pair_id}"))).collect()
    }

    pub(crate) async fn put(&self, checksum: u32, db: &mut SqliteConnection) -> Result<(), Fault> {
        let (validity, uid, state) = self.key();
        let exception = &self.stored.exception;
        sqlx::query(
            "INSERT INTO mailbox_exception (mailbox_id, source_uid_validity, uid, state, reason, key_digest, \
                 key_strength, at_secs, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (mailbox_id, source_uid_validity, uid, state) DO UPDATE SET reason = excluded.reason, \
                 key_digest = excluded.key_digest, key_strength = excluded.key_strength, \
                 at_secs = excluded.at_secs, checksum = excluded.checksum",
        )
        .bind(self.mailbox_id)
        .bind(validity)
        .bind(uid)
        .bind(state as u8)
        .bind(&exception.reason)
        .bind(exception.key.map(|key| key.digest.cast_signed()))
        .bind(exception.key.map(|key| key.strength as u8))
        .bind(self.stored.at_unix_secs)
        .bind(checksum)
        .execute(db)
        .await?;
        Ok(())
    }

    pub(crate) async fn delete(db: &mut SqliteConnection, mailbox_id: i64, key: ExceptionKey) -> Result<(), Fault> {
        let (validity, uid, state) = key;
        sqlx::query(
            "DELETE FROM mailbox_exception \
             WHERE mailbox_id = $1 AND source_uid_validity = $2 AND uid = $3 AND state = $4",
        )
        .bind(mailbox_id)
        .bind(validity)
        .bind(uid)
        .bind(state as u8)
        .execute(db)
        .await?;
        Ok(())
    }

    pub(crate) async fn delete_all(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM mailbox_exception WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }
}
