//! The checks of the door, in their order.

use super::Peer;
use super::throttle::{Refusal, Way};
use crate::app::{App, Caller, actor};
use crate::flow;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailhaul_service::{Role, Visitor};
use mailhaul_types::Secret;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Instant;
use subtle::ConstantTimeEq as _;

/// How long a browser keeps the cookie, in seconds; the session itself ends no later.
pub(crate) const COOKIE_LIFE_SECS: u64 = 30 * 24 * 3_600;
/// What a script sends along.
const CSRF_HEADER: &str = "x-csrf-token";
/// What our script says of itself when it fetches a page anew.
const SCRIPT_HEADER: &str = "x-live";
/// Longer ones are no secrets of ours.
const SECRET_BYTES_MAX: usize = 200;

/// The first check of every request: does it call us by our name, and does a change come from our own pages?
pub(crate) async fn check_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if let Err(problem) = host_and_origin(&app, &request) {
        return problem.into_response();
    }
    next.run(request).await
}

fn host_and_origin(app: &App, request: &Request) -> Result<(), Problem> {
    let hosts: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
    let named = match hosts.as_slice() {
        [one] => one.to_str().unwrap_or_default(),
        _ => "",
    };
    // A request line may name a host as well; then that counts, and must be ours too.
    let in_line = request.uri().authority().map(axum::http::uri::Authority::as_str);
    if !app.hosts.knows_host(named) || in_line.is_some_and(|name| !app.hosts.knows_host(name)) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the host that was called",
            "use the address that `mailhaul serve` printed, or name the proxy's with --public-url",
        ));
    }
    if is_read(request.method()) {
        return Ok(());
    }
    for origin in request.headers().get_all(header::ORIGIN) {
        if !app.hosts.knows_origin(origin.to_str().unwrap_or_default()) {
            return Err(foreign());
        }
    }
    let site = request.headers().get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(foreign());
    }
    Ok(())
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "this request comes from another site's page", "")
}

/// Lets somebody with this role, or a higher one, through to a route.
pub(crate) async fn admit(
    State((app, role)): State<(Arc<App>, Role)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (request_headers, method) = (request.headers().clone(), request.method().clone());
    let mut caller = identify(&app, &request_headers, peer_of(&request)).await?.ok_or_else(Problem::signed_out)?;
    caller.is_script = request_headers.contains_key(SCRIPT_HEADER);
    if !is_read(&method) {
        // Browsers send their cookie along whoever asks them to; only our pages know the rest.
        check_csrf(&caller, &request_headers, &mut request).await?;
    }
    if caller.visitor.role < role {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "this needs the role {}, and `{}` has {}",
                role.word(),
                caller.visitor.name,
                caller.visitor.role.word()
            ),
            "somebody with the role admin makes tokens: `mailhaul token create`",
        ));
    }
    request.extensions_mut().insert(caller);
    if is_read(&method) {
        return Ok(next.run(request).await);
    }
    // A change comes to its end also if whoever asked for it goes away in the middle: half of one is worse than either.
    let underway = Arc::clone(&app.changes).read_owned().await;
    let change = tokio::spawn(async move {
        let answer = next.run(request).await;
        drop(underway);
        answer
    });
    change.await.map_err(|error| {
        tracing::error!(%error, "a change that was asked for over HTTP broke off");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this broke off; that is a fault in mailhaul",
            "please report it",
        )
    })
}

/// Who is asking: by the token of a program, or by the session of a browser.
pub(crate) async fn identify(app: &Arc<App>, headers: &HeaderMap, peer: Peer) -> Result<Option<Caller>, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let Some(secret) = bearer(value.to_str().unwrap_or_default()) else {
            return Err(Problem::signed_out());
        };
        return match app.service.bearer(&secret).await? {
            Some(visitor) => Ok(Some(caller(app, visitor, None, Some(secret)))),
            None => {
                refuse(app, Way::Bearer, peer).await?;
                Err(Problem::signed_out())
            }
        };
    }
    let Some(session) = cookie(headers, &cookie_name(app)) else { return Ok(None) };
    let visitor = app.service.session(&session).await?;
    Ok(visitor.map(|visitor| caller(app, visitor, Some(session), None)))
}

/// Counts a refused secret, and writes it down unless there are too many to be news. That it cannot be written down does
/// not turn a refusal into something else.
pub(crate) async fn refuse(app: &App, way: Way, peer: Peer) -> Result<(), Problem> {
    match app.throttle.refused(way, peer, Instant::now()) {
        Refusal::TooOften(left) => Err(Problem::too_often(left.as_secs() + 1)),
        Refusal::Known => Ok(()),
        Refusal::News => {
            if let Err(error) = app.service.note_refused_sign_in(&format!("from {peer}")).await {
                tracing::debug!(%error, "a refused sign-in could not be written down");
            }
            Ok(())
        }
    }
}

fn caller(app: &Arc<App>, visitor: Visitor, session: Option<Secret>, bearer: Option<Secret>) -> Caller {
    let service = app.service.on_behalf_of(&actor(&visitor));
    let csrf = session.as_ref().map(csrf_of);
    Caller { app: Arc::clone(app), service, visitor, csrf, session, bearer, is_script: false }
}

async fn check_csrf(caller: &Caller, headers: &HeaderMap, request: &mut Request) -> Result<(), Problem> {
    let Some(expected) = &caller.csrf else { return Ok(()) };
    // A browser names the origin of every change; one that does not is none of those that can be trusted with a cookie.
    if !headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the browser did not say from which page this comes", ""));
    }
    let is_same = |sent: &[u8]| bool::from(sent.ct_eq(expected.as_bytes()));
    if headers.get(CSRF_HEADER).is_some_and(|sent| is_same(sent.as_bytes())) {
        return Ok(());
    }
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded");
    if is_form {
        let body = std::mem::take(request.body_mut());
        let octets = flow::read(body, FORM_BYTES_MAX).await?;
        let sent =
            url::form_urlencoded::parse(&octets).find(|(name, _)| name == "csrf").map(|(_, value)| value.into_owned());
        *request.body_mut() = Body::from(octets);
        if sent.is_some_and(|sent| is_same(sent.as_bytes())) {
            return Ok(());
        }
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "this change does not come from a page that was loaded in this session",
        "load the page again, and repeat it",
    ))
}

/// Forms name at most some thousands of accounts.
const FORM_BYTES_MAX: usize = 4 * 1024 * 1024;

fn bearer(value: &str) -> Option<Secret> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let is_one = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= SECRET_BYTES_MAX;
    is_one.then(|| Secret::new(token.as_bytes().to_vec()))
}

/// What pages and scripts send along with a change: it follows from the session, which no other site can read, and tells
/// nothing about it.
pub(crate) fn csrf_of(session: &Secret) -> String {
    let mut hash = Sha256::new();
    hash.update(b"mailhaul form\n");
    hash.update(session.expose());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Cookies know no ports, so that the name holds ours.
pub(crate) fn cookie_name(app: &App) -> String {
    format!("mailhaul_{}", app.hosts.number())
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = values.find(|(known, value)| *known == name && value.len() <= SECRET_BYTES_MAX)?;
    Some(Secret::new(value.as_bytes().to_vec()))
}

/// Whence a request came.
pub(crate) fn peer_of(request: &Request) -> Peer {
    request.extensions().get::<Peer>().copied().unwrap_or(Peer::Socket)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
