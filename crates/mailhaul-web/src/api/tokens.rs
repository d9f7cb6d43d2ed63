//! Tokens, for administrators.

use super::Route;
use super::body::{Json, Path};
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

/// What ended.
#[derive(Debug, Serialize, JsonSchema)]
struct Revoked {
    /// The token, and the browsers that were signed in with it.
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

async fn revoke(caller: Caller, Path(name): Path<String>) -> Result<Json<Revoked>, Problem> {
    Ok(Json(Revoked { ended: caller.service.revoke_token(&name).await? }))
}
