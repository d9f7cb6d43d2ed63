//! Signing in, with a token or the code of a link, and out again.

use super::shell::bare;
use crate::app::{App, Caller};
use crate::door::{COOKIE_LIFE_SECS, Peer, cookie_name, identify, refuse};
use crate::problem::Problem;
use axum::Form;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use mailhaul_types::Secret;
use maud::html;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Instant;

pub(super) async fn show(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let peer = peer.map_or(Peer::Socket, |Extension(peer)| peer);
    if identify(&app, &headers, peer).await?.is_some() {
        return Ok(home(&app).into_response());
    }
    Ok(form(&app, StatusCode::OK, None))
}

fn home(app: &App) -> Redirect {
    Redirect::to(&format!("{}/", app.hosts.prefix()))
}

fn form(app: &App, status: StatusCode, fault: Option<&str>) -> Response {
    let body = html! {
        form.card.sign-in method="post" action={ (app.hosts.prefix()) "/sign-in" } data-sign-in="" autocomplete="off" {
            h1 { "mailhaul" }
            @if let Some(fault) = fault { p.notice.bad role="alert" { (fault) } }
            label { "Token, or the code of your link"
                input #secret name="secret" type="password" required autofocus autocomplete="current-password" spellcheck="false"; }
            button.main type="submit" { "Sign in" }
            p.soft { "The link that " code { "mailhaul serve" } " printed signs in by itself. " code { "mailhaul token create NAME --role operator" } " makes a token; " code { "mailhaul token link" } " another code." }
        }
    };
    bare(app, status, "Sign in", &body)
}

/// What the form holds.
#[derive(Deserialize)]
pub(super) struct SignIn {
    secret: String,
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    sent: Result<Form<SignIn>, axum::extract::rejection::FormRejection>,
) -> Result<Response, Problem> {
    // The door has compared the origin; a browser always names one with a form.
    if !headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the browser did not say from which page this comes", ""));
    }
    let peer = peer.map_or(Peer::Socket, |Extension(peer)| peer);
    let Ok(Form(sent)) = sent else { return Ok(form(&app, StatusCode::BAD_REQUEST, Some("There was nothing in it."))) };
    if let Some(left) = app.throttle.wait(peer, Instant::now()) {
        let words = format!("Too many sign-ins were refused. Wait {} s, and try again.", left.as_secs() + 1);
        return Ok(form(&app, StatusCode::TOO_MANY_REQUESTS, Some(&words)));
    }
    let secret = Secret::new(sent.secret.trim().as_bytes().to_vec());
    let Some((session, _)) = app.service.sign_in(&secret).await? else {
        refuse(&app, peer).await?;
        let words = "That is neither a good token nor a code that is still good.";
        return Ok(form(&app, StatusCode::UNAUTHORIZED, Some(words)));
    };
    app.throttle.forget(peer);
    Ok(with_cookie(&app, &String::from_utf8_lossy(session.expose()), COOKIE_LIFE_SECS))
}

pub(super) async fn sign_out(caller: Caller) -> Result<Response, Problem> {
    if caller.session.is_some() {
        caller.app.service.sign_out(&caller.visitor).await?;
    }
    Ok(with_cookie(&caller.app, "", 0))
}

/// Leads home, with a session or without.
fn with_cookie(app: &App, value: &str, life_secs: u64) -> Response {
    let path = if app.hosts.prefix().is_empty() { "/" } else { app.hosts.prefix() };
    let secure = if app.hosts.is_https() { "; Secure" } else { "" };
    let name = cookie_name(app);
    let cookie = format!("{name}={value}; Path={path}; Max-Age={life_secs}; HttpOnly; SameSite=Strict{secure}");
    let mut response = home(app).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
