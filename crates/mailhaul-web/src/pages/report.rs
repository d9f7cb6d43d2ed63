//! The report of a wave, as it can be printed and signed. It stands by itself, with the one style sheet that it carries.

use crate::app::Caller;
use crate::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

pub(super) async fn show(caller: Caller, Path(wave): Path<String>) -> Result<Response, Problem> {
    let _room = caller.app.room().await;
    let report = caller.service.wave_report(&wave, caller.app.made_by).await?;
    // Making a page of tens of thousands of accounts takes a while; other requests are answered meanwhile.
    let page = tokio::task::spawn_blocking(move || report.to_html()).await;
    let page = page.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), ""))?;
    let policy = HeaderValue::from_str(&policy(&page))
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), ""))?;
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// What the report may load: the style sheet in it, named by its digest.
fn policy(page: &str) -> String {
    let style =
        page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).map_or("", |(style, _)| style);
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
