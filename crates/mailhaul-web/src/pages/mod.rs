//! The pages: rendered here, readable without a script, live with a small one that fetches them anew.
//!
//! Everything that comes from elsewhere (names, a server's words) passes [`parts::said`] or is escaped by the template;
//! there is no place where text becomes HTML unescaped. No page holds a script or a style of its own, so that the policy
//! can forbid them.

mod account;
mod act;
mod assets;
mod chart;
mod endpoints;
mod events;
mod import;
mod overview;
mod parts;
mod report;
mod shell;
mod sign_in;
mod wave;

use crate::app::App;
use crate::door::admit;
use crate::problem::Problem;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use mailhaul_service::Role;
use std::sync::Arc;

/// The largest answer that is looked into for a problem.
const PROBLEM_BYTES_MAX: usize = 256 * 1024;

pub(crate) fn router(app: &Arc<App>) -> Router {
    let for_role = |role: Role, call: MethodRouter<Arc<App>>| {
        call.route_layer(from_fn_with_state((Arc::clone(app), role), admit))
            .route_layer(from_fn_with_state(Arc::clone(app), in_words))
    };
    let page = |call: MethodRouter<Arc<App>>| for_role(Role::Viewer, call);
    Router::new()
        .route("/", page(get(overview::show)))
        .route("/waves/{wave}", page(get(wave::show)))
        .route("/waves/{wave}/report", page(get(report::show)))
        .route("/waves/{wave}/preflight", page(get(wave::preflight)))
        .route("/accounts/{account}", page(get(account::show)))
        .route("/endpoints", page(get(endpoints::list)))
        .route("/endpoints/{endpoint}", page(get(endpoints::show)))
        .route("/events", page(get(events::show)))
        .route("/import", page(get(import::show)))
        .route("/act", for_role(Role::Operator, post(act::act)))
        .route("/act/limits", for_role(Role::Operator, post(act::limits)))
        .route("/act/passwords", for_role(Role::Operator, post(act::passwords)))
        .route("/sign-out", page(post(sign_in::sign_out)))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/assets/{file}", get(assets::serve))
        .fallback(nothing)
        .with_state(Arc::clone(app))
}

async fn nothing(State(app): State<Arc<App>>) -> Response {
    shell::problem_page(&app, &Problem::not_found())
}

/// Tells a problem as a page; whoever is not signed in is shown where to do so.
async fn in_words(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind != Some("application/problem+json") {
        return response;
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        return Redirect::to(&format!("{}/sign-in", app.hosts.prefix())).into_response();
    }
    let status = response.status();
    let octets = axum::body::to_bytes(response.into_body(), PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let told: serde_json::Value = serde_json::from_slice(&octets).unwrap_or_default();
    let words = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    shell::problem_page(&app, &Problem::new(status, words("detail"), words("hint")))
}
