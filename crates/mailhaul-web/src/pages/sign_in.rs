//! Signing in, with a token or the code of a link, and out again.

use super::parts::said;
use super::shell::bare;
use crate::app::{App, Caller};
use crate::door::{COOKIE_LIFE_SECS, Peer, Way, cookie_name, identify, refuse};
use crate::flow;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use mailhaul_types::Secret;
use maud::html;
use std::sync::Arc;

pub(super) async fn show(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let peer = peer.map_or(Peer::Socket, |Extension(peer)| peer);
    match identify(&app, &headers, peer).await? {
        Some(caller) => Ok(already(&app, &caller)),
        None => Ok(form(&app, StatusCode::OK, None)),
    }
}

/// Not a redirect: a browser would carry the code of a link along, into the address of the page and its history.
fn already(app: &App, caller: &Caller) -> Response {
    let body = html! {
        div.card.sign-in data-signed-in="" {
            h1 { "mailhaul" }
            p { "This browser is signed in already, as " b { (said(&caller.visitor.name)) } "." }
            p { a.button.main href={ (app.hosts.prefix()) "/" } { "To the overview" } }
        }
    };
    bare(app, StatusCode::OK, "Signed in", &body)
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

/// The largest form: nobody has to be signed in to send it.
const FORM_BYTES_MAX: usize = 4_096;

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // The door has compared the origin; a browser always names one with a form.
    if !headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the browser did not say from which page this comes", ""));
    }
    let peer = peer.map_or(Peer::Socket, |Extension(peer)| peer);
    let octets = Secret::new(flow::read(body, FORM_BYTES_MAX).await?);
    let Some(secret) = secret_in(octets.expose()) else {
        return Ok(form(&app, StatusCode::BAD_REQUEST, Some("There was nothing in it.")));
    };
    // What is good is let in, whatever others have tried from the same place.
    let signed_in = {
        let _turn = app.sign_ins.acquire().await;
        app.service.sign_in(&secret).await?
    };
    let Some((session, _)) = signed_in else {
        let words = match refuse(&app, Way::Form, peer).await {
            Ok(()) => "That is neither a good token nor a code that is still good.".to_owned(),
            Err(problem) => {
                let words = format!("That is neither a good token nor a code that is still good. {}", problem.hint);
                return Ok(form(&app, problem.status(), Some(&words)));
            }
        };
        return Ok(form(&app, StatusCode::UNAUTHORIZED, Some(&words)));
    };
    Ok(with_cookie(&app, &String::from_utf8_lossy(session.expose()), COOKIE_LIFE_SECS))
}

/// What stands in the form.
fn secret_in(octets: &[u8]) -> Option<Secret> {
    let mut fields = url::form_urlencoded::parse(octets);
    let (_, value) = fields.find(|(name, _)| name == "secret")?;
    let secret = Secret::new(value.into_owned().into_bytes());
    let trimmed = secret.expose().trim_ascii();
    (!trimmed.is_empty()).then(|| Secret::new(trimmed.to_vec()))
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
