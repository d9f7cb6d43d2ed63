//! Who may use the page and the API: tokens, one-time links and sessions, by the hash of their secret.
//!
//! What a role may do is the service's matter; here is kept what is good until when. Each making, use of a link and end
//! is an event.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::model::Subject;
use sqlx::sqlite::SqliteRow;

/// What opens the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Made by an operator, good until it is revoked or runs out.
    Token,
    /// Good for one sign-in.
    Link,
    /// What a browser holds after a sign-in.
    Session,
}

impl AccessKind {
    const ALL: [Self; 3] = [Self::Token, Self::Link, Self::Session];

    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Link => "link",
            Self::Session => "session",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Something that opens the door, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccess {
    /// What it is.
    pub kind: AccessKind,
    /// What operators call it.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// With a session: what it was begun with.
    pub parent: Option<i64>,
    /// Until when it is good, in milliseconds since 1970; `None`: until it is ended.
    pub expires_unix_ms: Option<i64>,
}

/// Something that opens the door, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub kind: AccessKind,
    /// What operators call it.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// SHA-256 of its secret.
    pub hash: Vec<u8>,
    /// With a session: what it was begun with.
    pub parent: Option<i64>,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: i64,
    /// Until when it is good; `None`: until it is ended.
    pub expires_unix_ms: Option<i64>,
    /// When it was used last, to the minute; `None`: never.
    pub used_unix_ms: Option<i64>,
    /// When it was ended; `None`: it was not.
    pub ended_unix_ms: Option<i64>,
}

/// A session ends with the token that it was begun with, even if nobody has written that into its own row.
const LISTED: &str = "SELECT a.access_id, a.kind, a.name, a.role, a.hash, a.parent_id, a.created_at_ms, \
     a.expires_at_ms, a.used_at_ms, \
     COALESCE(a.ended_at_ms, (SELECT p.ended_at_ms FROM access p WHERE p.access_id = a.parent_id AND p.kind = 'token')) \
     FROM access a";

/// Uses closer together than this are written down once, in milliseconds.
const USED_EVERY_MS: i64 = 60_000;

impl AccessRow {
    /// Whether a use at this moment, in milliseconds since 1970, is worth writing down.
    #[must_use]
    pub fn is_use_news(&self, at_unix_ms: i64) -> bool {
        self.used_unix_ms.is_none_or(|used| at_unix_ms.saturating_sub(used) >= USED_EVERY_MS)
    }
}

impl Queue {
    /// Stores a token or a link; `None` if a token of this name is good already.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn put_access(&self, new: NewAccess) -> Result<Option<i64>, DbError> {
        write!(self, change => change.put_access(&new))
    }

    /// What has this hash, ended or not.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn find_access(&self, hash: [u8; 32]) -> Result<Option<AccessRow>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{LISTED} WHERE a.hash = $1")))
            .bind(hash.to_vec())
            .fetch_optional(&mut *db)
            .await
            .map_err(|error| self.inner.reader.fail(error.into()))?;
        row.map(|row| access(&row)).transpose().map_err(|fault| self.inner.reader.fail(fault))
    }

    /// Everything that opens the door or did, by number.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn accesses(&self) -> Result<Vec<AccessRow>, DbError> {
        self.read_all(sqlx::AssertSqlSafe(format!("{LISTED} ORDER BY a.access_id")), access).await
    }

    /// Stores a session if what it is begun with is good at this moment, in one go; a link is used up by it. `false` if
    /// that is good no more, whatever it was when it was looked up.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn begin_session(&self, begun_with: i64, session: NewAccess) -> Result<bool, DbError> {
        write!(self, change => change.begin_session(begun_with, &session))
    }

    /// Ends the good token of this name and every session that was begun with it. How many ended.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn end_token(&self, name: &str) -> Result<u64, DbError> {
        write!(self, change => change.end_token(name))
    }

    /// Ends a link or session, unless it has ended; `why` stands in the event log. Whether it did.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn end_access(&self, id: i64, why: &str) -> Result<bool, DbError> {
        write!(self, change => change.end_access(id, why))
    }

    /// Ends all sessions, and the link that nobody has used yet. How many sessions ended.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn end_sessions(&self, why: &str) -> Result<u64, DbError> {
        write!(self, change => change.end_sessions(why))
    }

    /// Writes down what was used when: numbers, and milliseconds since 1970.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn note_uses(&self, uses: &[(i64, i64)]) -> Result<(), DbError> {
        write!(self, change => change.note_uses(uses))
    }

    /// Writes an event that concerns no job: a refused sign-in, for instance.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn note_event(&self, what: &str, subject: Subject, why: &str) -> Result<(), DbError> {
        write!(self, change => change.note(what, subject, why))
    }
}

/// Sessions that one token can have; the oldest one makes room for the next.
const SESSIONS_MAX: i64 = 50;

impl Change<'_> {
    async fn put_access(&mut self, new: &NewAccess) -> Result<Option<i64>, Fault> {
        let now = self.now.unix_ms;
        if new.kind == AccessKind::Token {
            // A token that has run out keeps its name from nobody.
            sqlx::query(
                "UPDATE access SET ended_at_ms = expires_at_ms \
                 WHERE kind = 'token' AND name = $1 AND ended_at_ms IS NULL AND expires_at_ms <= $2",
            )
            .bind(&new.name)
            .bind(now)
            .execute(self.db())
            .await?;
            let taken: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM access WHERE kind = 'token' AND name = $1 AND ended_at_ms IS NULL",
            )
            .bind(&new.name)
            .fetch_one(self.db())
            .await?;
            if taken > 0 {
                return Ok(None);
            }
        }
        // What ran out long ago opens nothing, and is no history: the events are.
        sqlx::query("DELETE FROM access WHERE kind <> 'token' AND expires_at_ms < $1")
            .bind(now)
            .execute(self.db())
            .await?;
        let id = sqlx::query_scalar(
            "INSERT INTO access (kind, name, role, hash, parent_id, created_at_ms, expires_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING access_id",
        )
        .bind(new.kind.word())
        .bind(&new.name)
        .bind(&new.role)
        .bind(new.hash.to_vec())
        .bind(new.parent)
        .bind(now)
        .bind(new.expires_unix_ms)
        .fetch_one(self.db())
        .await?;
        let what = match new.kind {
            AccessKind::Token => "token",
            AccessKind::Link => "sign_in_link",
            AccessKind::Session => "sign_in",
        };
        self.note(what, Subject::Everything, &format!("{} as {}", new.name, new.role)).await?;
        Ok(Some(id))
    }

    async fn begin_session(&mut self, begun_with: i64, session: &NewAccess) -> Result<bool, Fault> {
        let now = self.now.unix_ms;
        let used = sqlx::query(
            "UPDATE access SET used_at_ms = $2, ended_at_ms = CASE kind WHEN 'link' THEN $2 END \
             WHERE access_id = $1 AND kind IN ('token', 'link') AND ended_at_ms IS NULL \
                   AND (expires_at_ms IS NULL OR expires_at_ms > $2)",
        )
        .bind(begun_with)
        .bind(now)
        .execute(self.db())
        .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        // Whoever signs in again and again does not fill the file.
        sqlx::query(
            "DELETE FROM access WHERE kind = 'session' AND parent_id = $1 AND access_id NOT IN \
                 (SELECT access_id FROM access WHERE kind = 'session' AND parent_id = $1 \
                  ORDER BY access_id DESC LIMIT $2)",
        )
        .bind(begun_with)
        .bind(SESSIONS_MAX - 1)
        .execute(self.db())
        .await?;
        self.put_access(session).await?;
        Ok(true)
    }

    async fn end_token(&mut self, name: &str) -> Result<u64, Fault> {
        let now = self.now.unix_ms;
        let ended = sqlx::query(
            "UPDATE access SET ended_at_ms = $2 WHERE ended_at_ms IS NULL AND access_id IN \
                 (SELECT t.access_id FROM access t WHERE t.kind = 'token' AND t.name = $1 AND t.ended_at_ms IS NULL \
                  UNION SELECT s.access_id FROM access s JOIN access t ON s.parent_id = t.access_id \
                        WHERE t.kind = 'token' AND t.name = $1 AND t.ended_at_ms IS NULL)",
        )
        .bind(name)
        .bind(now)
        .execute(self.db())
        .await?
        .rows_affected();
        if ended > 0 {
            self.note("token_revoked", Subject::Everything, name).await?;
        }
        Ok(ended)
    }

    async fn end_access(&mut self, id: i64, why: &str) -> Result<bool, Fault> {
        let now = self.now.unix_ms;
        let ended = sqlx::query(
            "UPDATE access SET ended_at_ms = $2 WHERE access_id = $1 AND kind <> 'token' AND ended_at_ms IS NULL",
        )
        .bind(id)
        .bind(now)
        .execute(self.db())
        .await?;
        if ended.rows_affected() > 0 {
            self.note("sign_out", Subject::Everything, why).await?;
        }
        Ok(ended.rows_affected() > 0)
    }

    async fn end_sessions(&mut self, why: &str) -> Result<u64, Fault> {
        let now = self.now.unix_ms;
        let end = "UPDATE access SET ended_at_ms = $2 WHERE kind = $1 AND ended_at_ms IS NULL";
        let sessions = sqlx::query(end).bind("session").bind(now).execute(self.db()).await?.rows_affected();
        sqlx::query(end).bind("link").bind(now).execute(self.db()).await?;
        self.note("sign_out", Subject::Everything, why).await?;
        Ok(sessions)
    }

    async fn note_uses(&mut self, uses: &[(i64, i64)]) -> Result<(), Fault> {
        sqlx::query(
            "UPDATE access SET used_at_ms = MAX(COALESCE(used_at_ms, 0), u.at) \
             FROM (SELECT value ->> 0 AS id, value ->> 1 AS at FROM json_each($1)) u \
             WHERE access_id = u.id AND ended_at_ms IS NULL",
        )
        .bind(serde_json::json!(uses).to_string())
        .execute(self.db())
        .await?;
        Ok(())
    }
}

fn access(row: &SqliteRow) -> Result<AccessRow, Fault> {
    let mut cells = Cells::of(row, "access");
    Ok(AccessRow {
        id: cells.take()?,
        kind: cells.word(AccessKind::from_word)?,
        name: cells.take()?,
        role: cells.take()?,
        hash: cells.take()?,
        parent: cells.take()?,
        created_unix_ms: cells.take()?,
        expires_unix_ms: cells.take()?,
        used_unix_ms: cells.take()?,
        ended_unix_ms: cells.take()?,
    })
}
