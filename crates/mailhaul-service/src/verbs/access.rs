//! Who may use the page and the API: roles, tokens, the one-time sign-in link, and sessions of browsers.
//!
//! A secret is 256 random bits. What is stored is its SHA-256, so that somebody who reads the state file cannot sign in;
//! what was read is compared once more in constant time.

use super::names::check_name;
use crate::error::ServiceError;
use crate::service::Service;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailhaul_db::queue::{AccessKind, AccessRow, NewAccess};
use mailhaul_types::{Escaped, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use tokio::sync::Notify;

/// How long a sign-in link is good.
const LINK_MS: i64 = 24 * 3_600_000;
/// How long a browser stays signed in: a migration is watched for weeks.
const SESSION_MS: i64 = 30 * 24 * 3_600_000;
/// What every secret begins with, so that one that has strayed into a log or a commit is found.
const MARK: &str = "mht_";
/// What a link is called if nobody says; a few letters that follow from its secret tell several apart.
const LINK_NAME: &str = "sign-in link";

/// What somebody may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything but passwords, which nobody can look at.
    Viewer,
    /// Also import, begin, pause, retry, cancel, and change waves and accounts.
    Operator,
    /// Also change endpoints (where passwords are sent), close waves, and make tokens.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word: `viewer`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// What opened the door.
    pub access: i64,
    /// What that is called.
    pub name: String,
    /// What may be done.
    pub role: Role,
}

/// A token as it is shown. Its secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// What operators call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: i64,
    /// Until when it is good; `None`: until it is revoked.
    pub expires_unix_ms: Option<i64>,
    /// When it was used last, to the minute; `None`: never.
    pub used_unix_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_unix_ms: Option<i64>,
    /// Browsers that are signed in with it.
    pub sessions: usize,
    /// Whether it opens the door at this moment.
    pub is_good: bool,
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its number, by which it can be ended.
    pub id: i64,
    /// The token or the link that it was begun with.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Whether it was begun with a link; otherwise with a token.
    pub is_by_link: bool,
    /// When it was begun, in milliseconds since 1970.
    pub begun_unix_ms: i64,
    /// Until when it is good.
    pub expires_unix_ms: Option<i64>,
    /// When it was used last, to the minute.
    pub used_unix_ms: Option<i64>,
}

/// Who came in lately. It is written down when there is time for it: nobody is kept out, and nothing waits, because the
/// file cannot be written at this moment.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// By number: when, in milliseconds since 1970.
    at: Mutex<BTreeMap<i64, i64>>,
    came: Notify,
}

impl Uses {
    fn note(&self, row: &AccessRow, now_unix_ms: i64) {
        if row.is_use_news(now_unix_ms) {
            self.at.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, now_unix_ms);
            self.came.notify_one();
        }
    }

    fn take(&self) -> Vec<(i64, i64)> {
        std::mem::take(&mut *self.at.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }

    /// What could not be written down is kept, unless something later is known by now.
    fn give_back(&self, uses: Vec<(i64, i64)>) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, used) in uses {
            at.entry(id).or_insert(used);
        }
    }
}

impl Service {
    /// Makes a token. Its secret is returned here and never again.
    ///
    /// # Errors
    /// If the name cannot be one or is taken.
    pub async fn make_token(
        &self,
        name: &str,
        role: Role,
        expires_unix_ms: Option<i64>,
    ) -> Result<Secret, ServiceError> {
        check_name("a token", name)?;
        if expires_unix_ms.is_some_and(|at| at <= self.now_unix_ms()) {
            return Err(ServiceError::usage(
                "the token would have run out already",
                "name a moment that is yet to come",
            ));
        }
        let (secret, hash) = new_secret()?;
        let new = self.access(AccessKind::Token, name, role, hash, None, expires_unix_ms);
        match self.queue.put_access(new).await? {
            Some(_) => Ok(secret),
            None => Err(ServiceError::usage(
                format!("there is a token `{}` already", Escaped(name)),
                format!("`mailhaul token revoke {}` ends it; or take another name", Escaped(name)),
            )),
        }
    }

    /// Tokens, also revoked ones, the oldest first.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, ServiceError> {
        let (rows, now) = (self.queue.accesses().await?, self.now_unix_ms());
        let tokens = rows.iter().filter(|row| row.kind == AccessKind::Token);
        Ok(tokens
            .filter_map(|row| {
                let of_it = |other: &&AccessRow| other.parent == Some(row.id) && is_good(other, now);
                Some(TokenView {
                    name: row.name.clone(),
                    role: Role::from_word(&row.role)?,
                    created_unix_ms: row.created_unix_ms,
                    expires_unix_ms: row.expires_unix_ms,
                    used_unix_ms: row.used_unix_ms,
                    revoked_unix_ms: row.ended_unix_ms,
                    sessions: rows.iter().filter(of_it).count(),
                    is_good: is_good(row, now),
                })
            })
            .collect())
    }

    /// Revokes a token: it is good for nothing any more, nor is any browser that was signed in with it.
    ///
    /// # Errors
    /// If there is no such token.
    pub async fn revoke_token(&self, name: &str) -> Result<u64, ServiceError> {
        match self.queue.end_token(name).await? {
            0 => Err(ServiceError::unknown(
                format!("there is no token `{}`", Escaped(name)),
                "`mailhaul token list` shows what there is",
            )),
            ended => Ok(ended),
        }
    }

    /// Browsers that are signed in, with a token or by a link, the oldest first.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn sessions(&self) -> Result<Vec<SessionView>, ServiceError> {
        let (rows, now) = (self.queue.accesses().await?, self.now_unix_ms());
        let tokens: BTreeSet<i64> = rows.iter().filter(|row| row.kind == AccessKind::Token).map(|row| row.id).collect();
        let sessions = rows.iter().filter(|row| row.kind == AccessKind::Session && is_good(row, now));
        Ok(sessions
            .filter_map(|row| {
                Some(SessionView {
                    id: row.id,
                    name: row.name.clone(),
                    role: Role::from_word(&row.role)?,
                    is_by_link: !row.parent.is_some_and(|parent| tokens.contains(&parent)),
                    begun_unix_ms: row.created_unix_ms,
                    expires_unix_ms: row.expires_unix_ms,
                    used_unix_ms: row.used_unix_ms,
                })
            })
            .collect())
    }

    /// Signs one browser out.
    ///
    /// # Errors
    /// If no browser is signed in under this number.
    pub async fn end_session(&self, id: i64) -> Result<(), ServiceError> {
        let session = self.sessions().await?.into_iter().find(|session| session.id == id);
        let ended = match &session {
            Some(session) => self.queue.end_access(id, &session.name).await?,
            None => false,
        };
        if ended {
            return Ok(());
        }
        Err(ServiceError::unknown(
            format!("no browser is signed in under the number {id}"),
            "`mailhaul token list` shows those that are",
        ))
    }

    /// Signs every browser out, and takes back a link that nobody has used yet. Tokens stay good. How many browsers.
    ///
    /// # Errors
    /// If the state file cannot be written.
    pub async fn end_sessions(&self) -> Result<u64, ServiceError> {
        Ok(self.queue.end_sessions("all browsers").await?)
    }

    /// The code of a new sign-in link for an administrator, good once and for a day; an older unused link is good no
    /// more. What its browser does stands in the event log under `name`, or under a name that tells links apart.
    ///
    /// # Errors
    /// If the name cannot be one, or the state file cannot be written.
    pub async fn make_sign_in_link(&self, name: Option<&str>) -> Result<Secret, ServiceError> {
        if let Some(name) = name {
            check_name("a link", name)?;
        }
        for row in self.queue.accesses().await? {
            if row.kind == AccessKind::Link && row.ended_unix_ms.is_none() {
                self.queue.end_access(row.id, "another sign-in link was made").await?;
            }
        }
        let (secret, hash) = new_secret()?;
        let name = name.map_or_else(|| format!("{LINK_NAME} {:02x}{:02x}", hash[0], hash[1]), str::to_owned);
        let until = Some(self.now_unix_ms().saturating_add(LINK_MS));
        let new = self.access(AccessKind::Link, &name, Role::Admin, hash, None, until);
        self.queue.put_access(new).await?;
        Ok(secret)
    }

    /// Whether nobody can sign in as an administrator yet: no such token is good, and no such browser is signed in.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn is_locked_out(&self) -> Result<bool, ServiceError> {
        let now = self.now_unix_ms();
        let rows = self.queue.accesses().await?;
        let admin = Role::Admin.word();
        Ok(!rows.iter().any(|row| row.kind != AccessKind::Link && row.role == admin && is_good(row, now)))
    }

    /// Signs a browser in with a token or the code of a link: the secret of its session. `None`: neither is good.
    ///
    /// # Errors
    /// If the state file cannot be read or written.
    pub async fn sign_in(&self, secret: &Secret) -> Result<Option<(Secret, Visitor)>, ServiceError> {
        let Some((row, role)) = self.good(secret, &[AccessKind::Token, AccessKind::Link]).await? else {
            return Ok(None);
        };
        let (session, hash) = new_secret()?;
        let ends = self.now_unix_ms().saturating_add(SESSION_MS);
        // A session never outlives the token that it was begun with.
        let until = match row.kind {
            AccessKind::Token => row.expires_unix_ms.map_or(ends, |at| at.min(ends)),
            AccessKind::Link | AccessKind::Session => ends,
        };
        let new = self.access(AccessKind::Session, &row.name, role, hash, Some(row.id), Some(until));
        // It may have been revoked since it was looked up.
        if !self.queue.begin_session(row.id, new).await? {
            return Ok(None);
        }
        let visitor = self.session(&session).await?;
        Ok(visitor.map(|visitor| (session, visitor)))
    }

    /// Who presents this token, if it is good.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn bearer(&self, secret: &Secret) -> Result<Option<Visitor>, ServiceError> {
        self.visitor(secret, AccessKind::Token).await
    }

    /// Whose browser presents this session, if it is good.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn session(&self, secret: &Secret) -> Result<Option<Visitor>, ServiceError> {
        self.visitor(secret, AccessKind::Session).await
    }

    /// Ends the session of a browser.
    ///
    /// # Errors
    /// If the state file cannot be written.
    pub async fn sign_out(&self, visitor: &Visitor) -> Result<(), ServiceError> {
        self.queue.end_access(visitor.access, &visitor.name).await?;
        Ok(())
    }

    /// Waits until somebody has come in of whom nothing was written down lately.
    pub async fn somebody_came(&self) {
        self.uses.came.notified().await;
    }

    /// Writes down who came in since the last time.
    ///
    /// # Errors
    /// If the state file cannot be written; then it is kept for the next time.
    pub async fn write_down_uses(&self) -> Result<(), ServiceError> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let written = self.queue.note_uses(&uses).await;
        if written.is_err() {
            self.uses.give_back(uses);
        }
        Ok(written?)
    }

    /// Writes down that a sign-in was refused, and whence it came.
    ///
    /// # Errors
    /// If the state file cannot be written.
    pub async fn note_refused_sign_in(&self, from: &str) -> Result<(), ServiceError> {
        let everything = mailhaul_db::queue::Subject::Everything;
        Ok(self.queue.note_event("sign_in_refused", everything, from).await?)
    }

    async fn visitor(&self, secret: &Secret, kind: AccessKind) -> Result<Option<Visitor>, ServiceError> {
        let Some((row, role)) = self.good(secret, &[kind]).await? else { return Ok(None) };
        self.uses.note(&row, self.now_unix_ms());
        Ok(Some(Visitor { access: row.id, name: row.name, role }))
    }

    async fn good(&self, secret: &Secret, kinds: &[AccessKind]) -> Result<Option<(AccessRow, Role)>, ServiceError> {
        let hash = hash_of(secret);
        let Some(row) = self.queue.find_access(hash).await? else { return Ok(None) };
        let is_same = bool::from(row.hash.as_slice().ct_eq(&hash));
        if !is_same || !kinds.contains(&row.kind) || !is_good(&row, self.now_unix_ms()) {
            return Ok(None);
        }
        Ok(Role::from_word(&row.role).map(|role| (row, role)))
    }

    fn access(
        &self,
        kind: AccessKind,
        name: &str,
        role: Role,
        hash: [u8; 32],
        parent: Option<i64>,
        expires_unix_ms: Option<i64>,
    ) -> NewAccess {
        NewAccess { kind, name: name.to_owned(), role: role.word().to_owned(), hash, parent, expires_unix_ms }
    }
}

fn is_good(row: &AccessRow, now_unix_ms: i64) -> bool {
    row.ended_unix_ms.is_none() && row.expires_unix_ms.is_none_or(|at| at > now_unix_ms)
}

fn new_secret() -> Result<(Secret, [u8; 32]), ServiceError> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(|error| ServiceError::Io {
        what: "drawing a random secret".to_owned(),
        error: std::io::Error::other(error),
    })?;
    let secret = Secret::new(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(octets)).into_bytes());
    let hash = hash_of(&secret);
    Ok((secret, hash))
}

fn hash_of(secret: &Secret) -> [u8; 32] {
    Sha256::digest(secret.expose()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::KeySource;

    async fn service() -> (tempfile::TempDir, Service) {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeySource::File(folder.path().join("key"));
        let service = Service::open(&folder.path().join("state.db"), key, "tester").await.expect("opened");
        (folder, service)
    }

    #[tokio::test]
    async fn a_token_opens_the_door_until_it_is_revoked_and_so_do_its_sessions() {
        let (_folder, service) = service().await;
        assert!(service.is_locked_out().await.expect("read"));
        let secret = service.make_token("watch", Role::Viewer, None).await.expect("made");
        assert!(service.is_locked_out().await.expect("read"), "somebody who only looks lets nobody in");
        let visitor = service.bearer(&secret).await.expect("read").expect("good");
        assert_eq!((visitor.name.as_str(), visitor.role), ("watch", Role::Viewer));
        assert!(service.session(&secret).await.expect("read").is_none(), "a token is no session");
        let (session, _) = service.sign_in(&secret).await.expect("written").expect("good");
        assert!(service.bearer(&session).await.expect("read").is_none(), "a session is no token");
        assert_eq!(service.session(&session).await.expect("read").map(|one| one.role), Some(Role::Viewer));
        assert_eq!(service.tokens().await.expect("read")[0].sessions, 1);
        let taken = service.make_token("watch", Role::Admin, None).await.expect_err("taken");
        assert!(taken.to_string().contains("already"), "{taken}");
        assert_eq!(service.revoke_token("watch").await.expect("written"), 2);
        assert!(service.bearer(&secret).await.expect("read").is_none());
        assert!(service.session(&session).await.expect("read").is_none());
        assert!(service.sign_in(&secret).await.expect("read").is_none());
        assert!(service.revoke_token("watch").await.is_err(), "twice");
        service.make_token("watch", Role::Admin, None).await.expect("the name is free again");
    }

    #[tokio::test]
    async fn a_link_is_good_once_and_only_the_latest() {
        let (_folder, service) = service().await;
        let first = service.make_sign_in_link(None).await.expect("made");
        let second = service.make_sign_in_link(None).await.expect("made");
        assert!(service.sign_in(&first).await.expect("read").is_none(), "another one was made");
        assert!(service.bearer(&second).await.expect("read").is_none(), "a link is no token");
        let (session, visitor) = service.sign_in(&second).await.expect("written").expect("good");
        assert_eq!(visitor.role, Role::Admin);
        assert!(service.sign_in(&second).await.expect("read").is_none(), "it was used");
        assert!(!service.is_locked_out().await.expect("read"));
        service.sign_out(&visitor).await.expect("written");
        assert!(service.session(&session).await.expect("read").is_none());
        assert!(service.is_locked_out().await.expect("read"));
    }

    #[tokio::test]
    async fn a_browser_that_came_by_a_link_is_seen_and_can_be_signed_out() {
        let (_folder, service) = service().await;
        let link = service.make_sign_in_link(Some("alice")).await.expect("made");
        let (by_link, alice) = service.sign_in(&link).await.expect("written").expect("good");
        assert_eq!(alice.name, "alice", "the event log tells administrators apart");
        let token = service.make_token("bob", Role::Operator, None).await.expect("made");
        let (by_token, _) = service.sign_in(&token).await.expect("written").expect("good");
        let sessions = service.sessions().await.expect("read");
        let seen: Vec<_> = sessions.iter().map(|one| (one.name.as_str(), one.is_by_link, one.role)).collect();
        assert_eq!(seen, [("alice", true, Role::Admin), ("bob", false, Role::Operator)]);
        service.end_session(sessions[0].id).await.expect("ended");
        assert!(service.session(&by_link).await.expect("read").is_none());
        assert!(service.session(&by_token).await.expect("read").is_some());
        assert!(service.end_session(sessions[0].id).await.is_err(), "twice");
        let tokens = service.queue().accesses().await.expect("read");
        let token_row = tokens.iter().find(|row| row.kind == AccessKind::Token).expect("there");
        assert!(service.end_session(token_row.id).await.is_err(), "a token is revoked by its name");
        let unused = service.make_sign_in_link(None).await.expect("made");
        assert_eq!(service.end_sessions().await.expect("ended"), 1);
        assert!(service.session(&by_token).await.expect("read").is_none());
        assert!(service.sign_in(&unused).await.expect("read").is_none(), "the open link was taken back too");
        assert!(service.bearer(&token).await.expect("read").is_some(), "tokens stay");
        assert!(service.sessions().await.expect("read").is_empty());
    }

    #[tokio::test]
    async fn whoever_may_come_in_comes_in_though_nothing_can_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, key) = (folder.path().join("state.db"), KeySource::File(folder.path().join("key")));
        let writing = Service::open(&state, key.clone(), "tester").await.expect("opened");
        let token = writing.make_token("watch", Role::Viewer, None).await.expect("made");
        let (session, _) = writing.sign_in(&token).await.expect("written").expect("good");
        // One that cannot write a word stands for a full disk.
        let reading = Service::open_read_only(&state, key, "tester").await.expect("opened");
        assert!(reading.bearer(&token).await.expect("read").is_some());
        assert!(reading.session(&session).await.expect("read").is_some());
        assert!(reading.write_down_uses().await.is_err());
        // That of the token was written down with the sign-in, just now.
        assert_eq!(reading.uses.take().len(), 1, "what could not be written down is kept");
        let unused = |views: Vec<SessionView>| views[0].used_unix_ms.is_none();
        assert!(unused(writing.sessions().await.expect("read")), "nobody waited for it to be written");
        writing.write_down_uses().await.expect("written");
        assert!(!unused(writing.sessions().await.expect("read")));
    }

    #[tokio::test]
    async fn what_is_stored_opens_nothing() {
        let (folder, service) = service().await;
        let secret = service.make_token("watch", Role::Admin, None).await.expect("made");
        let text = String::from_utf8(secret.expose().to_vec()).expect("letters");
        service.close().await.expect("closed");
        let file = std::fs::read(folder.path().join("state.db")).expect("read");
        assert!(text.len() > 40 && !file.windows(text.len()).any(|window| window == text.as_bytes()));
    }

    #[tokio::test]
    async fn a_token_may_run_out() {
        let (_folder, service) = service().await;
        let past = service.now_unix_ms() - 1;
        assert!(service.make_token("late", Role::Viewer, Some(past)).await.is_err());
        let soon = service.now_unix_ms() + 3_600_000;
        let secret = service.make_token("soon", Role::Viewer, Some(soon)).await.expect("made");
        let (session, _) = service.sign_in(&secret).await.expect("written").expect("good");
        assert!(service.session(&session).await.expect("read").is_some());
        let rows = service.queue().accesses().await.expect("read");
        let ends: Vec<_> = rows.iter().map(|row| row.expires_unix_ms).collect();
        assert_eq!(ends, [Some(soon), Some(soon)], "a session does not outlive its token");
        assert!(service.tokens().await.expect("read")[0].is_good);
    }
}
