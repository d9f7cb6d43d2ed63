//! Tokens, for administrators.

use super::Route;
use super::body::{Done, Json, Path};
use super::shapes::Token;
use crate::app::Caller;
use crate::problem::Problem;
use axum::routing::{delete, get, post};
use mailhaul_service::Role;
use mailhaul_types::escape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/tokens", "listTokens", "All tokens, without their secrets.", get(list)).admin().gives::<Tokens>(),
        Route::change(
            "post",
            "/tokens",
            "createToken",
            "Makes a token. Its secret is answered here and never again.",
            post(create),
        )
        .admin()
        .takes::<NewToken>()
        .gives::<MadeToken>(),
        Route::change(
            "delete",
            "/tokens/{token}",
            "revokeToken",
            "Revokes a token, and signs out every browser that used it.",
            delete(revoke),
        )
        .admin()
        .gives::<Revoked>(),
        Route::read(
            "/sessions",
            "listSessions",
            "Browsers that are signed in, with tokens and by links.",
            get(sessions),
        )
        .admin()
        .gives::<Sessions>(),
        Route::change("delete", "/sessions/{session}", "endSession", "Signs one browser out.", delete(end_session))
            .admin()
            .gives::<Done>(),
        Route::change(
            "delete",
            "/sessions",
            "endSessions",
            "Signs every browser out, and takes back a link that nobody has used. Tokens stay good.",
            delete(end_sessions),
        )
        .admin()
        .gives::<Revoked>(),
    ]
}

/// All tokens.
#[derive(Debug, Serialize, JsonSchema)]
struct Tokens {
    items: Vec<Token>,
}

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What operators call it.
    name: String,
    /// `viewer`, `operator` or `admin`.
    role: String,
    /// Until when it is good, in milliseconds since 1970; absent: until it is revoked.
    expires_unix_ms: Option<i64>,
}

/// A token that was made.
#[derive(Serialize, JsonSchema)]
struct MadeToken {
    name: String,
    /// Keep it: it is shown this once.
    token: String,
}

/// Browsers that are signed in.
#[derive(Debug, Serialize, JsonSchema)]
struct Sessions {
    items: Vec<Session>,
}

/// A browser that is signed in.
#[derive(Debug, Serialize, JsonSchema)]
struct Session {
    /// Its number, by which it is ended.
    session: i64,
    /// The token or the link that it was begun with; who does something with it stands in the events under this name.
    name: String,
    /// `viewer`, `operator` or `admin`.
    role: &'static str,
    /// Whether it was begun with a link; otherwise with a token.
    by_link: bool,
    begun_unix_ms: i64,
    expires_unix_ms: Option<i64>,
    used_unix_ms: Option<i64>,
}

/// What ended.
#[derive(Debug, Serialize, JsonSchema)]
struct Revoked {
    /// The token, if one was meant, and the browsers that are signed out.
    ended: u64,
}

async fn list(caller: Caller) -> Result<Json<Tokens>, Problem> {
    let tokens = caller.service.tokens().await?;
    Ok(Json(Tokens { items: tokens.iter().map(Token::from).collect() }))
}

async fn create(caller: Caller, Json(new): Json<NewToken>) -> Result<Json<MadeToken>, Problem> {
    let role = Role::from_word(&new.role)
        .ok_or_else(|| Problem::bad(format!("`{}` is no role", escape(&new.role)), "viewer, operator or admin"))?;
    let secret = caller.service.make_token(&new.name, role, new.expires_unix_ms).await?;
    let token = String::from_utf8_lossy(secret.expose()).into_owned();
    Ok(Json(MadeToken { name: new.name, token }))
}

async fn sessions(caller: Caller) -> Result<Json<Sessions>, Problem> {
    let items = caller.service.sessions().await?.into_iter().map(|one| Session {
        session: one.id,
        name: escape(&one.name),
        role: one.role.word(),
        by_link: one.is_by_link,
        begun_unix_ms: one.begun_unix_ms,
        expires_unix_ms: one.expires_unix_ms,
        used_unix_ms: one.used_unix_ms,
    });
    Ok(Json(Sessions { items: items.collect() }))
}

async fn end_session(caller: Caller, Path(id): Path<i64>) -> Result<Json<Done>, Problem> {
    caller.service.end_session(id).await?;
    Ok(Done::json())
}

async fn end_sessions(caller: Caller) -> Result<Json<Revoked>, Problem> {
    Ok(Json(Revoked { ended: caller.service.end_sessions().await? }))
}

async fn revoke(caller: Caller, Path(name): Path<String>) -> Result<Json<Revoked>, Problem> {
    Ok(Json(Revoked { ended: caller.service.revoke_token(&name).await? }))
}
