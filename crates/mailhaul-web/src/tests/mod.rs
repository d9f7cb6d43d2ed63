//! The door, the API and the pages, asked through the router as a connection would.
#![expect(clippy::expect_used, reason = "a test ends where its setup fails")]

mod contract;
mod door;
mod listening;
mod pages;
mod places;
mod schema;
mod seeing;

use crate::app::App;
use crate::door::{Bound, Hosts, Peer};
use crate::pulse::Pulse;
use crate::web::router;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use mailhaul_service::{EndpointChange, ImportRequest, KeySource, Role, Service};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tower_service::Service as _;
use url::Url;

/// How the page is called in these tests.
pub(crate) const HOST: &str = "127.0.0.1:8025";
/// After which something that is to end has not ended.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const ORIGIN: &str = "http://127.0.0.1:8025";

/// A state file with two endpoints and some accounts, and the router over it.
pub(crate) struct Desk {
    router: Router,
    pub(crate) app: Arc<App>,
    pub(crate) service: Service,
    _folder: TempDir,
    _end: watch::Sender<bool>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The session that a sign-in gave.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::behind(None).await
    }

    pub(crate) async fn behind(public: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, key) = (folder.path().join("state.db"), KeySource::File(folder.path().join("key")));
        Service::init(&state, key.clone(), "test").await.expect("made");
        let service = Service::open(&state, key, "test").await.expect("opened");
        for (name, url) in [("old", "imaps://old.example"), ("new", "imaps://new.example")] {
            let change = EndpointChange { url: Some(url.to_owned()), ..EndpointChange::default() };
            service.add_endpoint(name, change).await.expect("added");
        }
        let (end, ending) = watch::channel(false);
        let public = public.map(|url| Url::parse(url).expect("a URL"));
        let hosts = Hosts::new(vec![Bound::Tcp(HOST.parse().expect("an address"))], false, public);
        // As `Web::open` does it: over connections of its own, and for people who are not at this machine.
        let over = service.reading_apart().without_private_servers();
        let pulse = Arc::new(Pulse::new(over.clone()));
        let mut app = App::new(over, "mailhaul test", 4, hosts, pulse, ending);
        app.sign_of_life = Duration::from_millis(20);
        let app = Arc::new(app);
        Self { router: router(&app), app, service, _folder: folder, _end: end }
    }

    /// Accounts a0, a1, … in the wave `staff`.
    pub(crate) async fn with_accounts(self, accounts: usize) -> Self {
        let rows: String = (0..accounts).map(|n| format!("a{n},a{n}@old.example,secret{n},staff\n")).collect();
        let list = format!("account,source_user,password,wave\n{rows}");
        let request = ImportRequest {
            octets: list.into_bytes(),
            from: Some("old".to_owned()),
            to: Some("new".to_owned()),
            ..ImportRequest::default()
        };
        self.service.import(request).await.expect("imported");
        self
    }

    pub(crate) async fn token(&self, role: Role) -> String {
        let secret = self.service.make_token(role.word(), role, None).await.expect("made");
        String::from_utf8(secret.expose().to_vec()).expect("letters")
    }

    /// Signs a browser in, and returns its cookie and what its forms send along.
    pub(crate) async fn browser(&self, role: Role) -> (String, String) {
        let token = self.token(role).await;
        let signed = self
            .ask("POST", "/sign-in", &[("origin", ORIGIN), ("content-type", FORM)], &format!("secret={token}"))
            .await;
        assert_eq!(signed.status, StatusCode::SEE_OTHER, "{signed:?}");
        let cookie = signed.cookie();
        let page = self.ask("GET", "/", &[("cookie", &cookie)], "").await;
        let csrf = page.text.split("name=\"csrf\" content=\"").nth(1).and_then(|rest| rest.split('"').next());
        (cookie, csrf.expect("a page holds it").to_owned())
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (parts, body) = self.open(method, path, headers, body).await.into_parts();
        let octets = axum::body::to_bytes(body, 64 * 1024 * 1024).await.expect("whole");
        let text = String::from_utf8_lossy(&octets).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Asks, and leaves the answer to come.
    pub(crate) async fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers.iter().filter(|(name, value)| *name != "host" || !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).expect("a request");
        request.extensions_mut().insert(Peer::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        self.router.clone().call(request).await.unwrap_or_else(|never| match never {})
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.ask(method, path, &headers, &body.to_string()).await
    }
}

/// The type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_wave_is_worked_with_as_on_the_command_line() {
    let desk = Desk::new().await.with_accounts(5).await;
    let token = desk.token(Role::Operator).await;
    let queued = desk.send("POST", "/api/v1/waves/staff/run", &token, &json!({})).await;
    assert_eq!(queued.json(), json!({ "accounts": 5, "queued": 5 }), "{queued:?}");
    let paused =
        desk.send("POST", "/api/v1/pause", &token, &json!({ "accounts": ["a1", "a3"], "reason": "lunch" })).await;
    assert_eq!((paused.json()["jobs"].as_u64(), paused.json()["holds"][0]["why"].as_str()), (Some(2), Some("lunch")));
    let table = desk.get("/api/v1/waves/staff/accounts?summary=stopped", &token).await.json();
    let names: Vec<_> = table["items"].as_array().expect("rows").iter().map(|row| row["account"].clone()).collect();
    assert_eq!((names, table["all"].as_u64()), (vec![json!("a1"), json!("a3")], Some(5)));
    let resumed = desk.send("POST", "/api/v1/resume", &token, &json!({ "accounts": ["a1", "a3"] })).await;
    assert_eq!(resumed.json()["jobs"], 2);
    let cancelled = desk.send("POST", "/api/v1/cancel", &token, &json!({ "account": "a0" })).await;
    assert_eq!(cancelled.json()["jobs"], 1);
    let retried = desk.send("POST", "/api/v1/retry", &token, &json!({ "accounts": ["a0"] })).await;
    assert_eq!(retried.json()["jobs"], 1);
    let nothing = desk.send("POST", "/api/v1/cancel", &token, &json!({ "reason": "?" })).await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST, "who names nothing does not mean everything");
    let near = desk.get("/api/v1/waves/stafff", &token).await;
    assert_eq!(near.status, StatusCode::NOT_FOUND);
    assert!(near.json()["hint"].as_str().expect("a hint").contains("staff"), "{near:?}");
    let events = desk.get("/api/v1/events", &token).await.json();
    let pause = events["items"].as_array().expect("events").iter().find(|event| event["what"] == "pause");
    assert_eq!(pause.expect("there")["who"], "operator (web)");
}

#[tokio::test]
async fn pages_of_a_list_hold_each_once_whatever_comes_and_goes() {
    let desk = Desk::new().await.with_accounts(25).await;
    let token = desk.token(Role::Admin).await;
    desk.send("POST", "/api/v1/waves/staff/run", &token, &json!({})).await;
    for (path, field) in [("/api/v1/accounts?limit=10", "account"), ("/api/v1/jobs?limit=10", "job")] {
        let (mut seen, mut next, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let after = next.as_ref().map(|next| format!("&after={next}")).unwrap_or_default();
            let page = desk.get(&format!("{path}{after}"), &token).await.json();
            seen.extend(page["items"].as_array().expect("rows").iter().map(|row| row[field].to_string()));
            pages += 1;
            if pages == 1 && field == "account" {
                // One that was shown goes; the others stay where they are.
                desk.send("POST", "/api/v1/cancel", &token, &json!({ "account": "a0" })).await;
                desk.send("DELETE", "/api/v1/accounts/a0", &token, &json!({})).await;
            }
            match page["next"].as_str() {
                Some(place) => next = Some(place.to_owned()),
                None => break,
            }
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!((once.len(), pages), (seen.len(), 3), "{path}: {seen:?}");
    }
    let wrong = desk.get("/api/v1/accounts?after=nonsense", &token).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_list_is_judged_row_by_row_before_anything_is_stored() {
    let desk = Desk::new().await.with_accounts(2).await;
    let token = desk.token(Role::Operator).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    let path = "/api/v1/import?from=old&to=new&wave=staff&dry_run=true";
    let list = "account,source_user,password,priority\na0,a0@old.example,canary,9\na1,a1@old.example,,\nb,b@old.example,canary,\n";
    let told = desk.ask("POST", path, &headers, list).await;
    let json = told.json();
    let rows: Vec<_> = json["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["line"].as_u64(), row["verdict"].as_str()))
        .collect();
    assert_eq!(rows, [(Some(2), Some("changed")), (Some(3), Some("unchanged")), (Some(4), Some("new"))], "{told:?}");
    assert_eq!(json["rows"][0]["changes"], json!(["priority"]));
    assert!(!told.text.contains("canary"));
    assert_eq!(desk.service.accounts(None, None).await.expect("read").len(), 2, "nothing was stored");
    let faulty = "account,source_user,password\nc,c@old.example\n,,canary\n";
    let refused = desk.ask("POST", path, &headers, faulty).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let lines: Vec<_> =
        refused.json()["faults"].as_array().expect("faults").iter().map(|fault| fault["line"].as_u64()).collect();
    assert!(lines.contains(&Some(2)) && lines.contains(&Some(3)) && !refused.text.contains("canary"), "{refused:?}");
    let stored = desk.ask("POST", &path.replace("&dry_run=true", ""), &headers, list).await.json();
    assert_eq!((stored["added"].as_u64(), stored["passwords"].as_u64()), (Some(1), Some(4)));
}

#[tokio::test]
async fn only_what_is_named_changes_of_an_endpoint() {
    let desk = Desk::new().await;
    let (operator, admin) = (desk.token(Role::Operator).await, desk.token(Role::Admin).await);
    let limits = "/api/v1/endpoints/old/limits";
    let set = desk.send("PATCH", limits, &operator, &json!({ "connections": 4, "bytes_per_second": 1000 })).await;
    assert_eq!(set.json()["limits"], json!({ "connections": 4, "bytes_per_second": 1000 }), "{set:?}");
    let set = desk.send("PATCH", limits, &operator, &json!({ "bytes_per_second": null })).await;
    assert_eq!(set.json()["limits"], json!({ "connections": 4 }));
    let refused =
        desk.send("PATCH", "/api/v1/endpoints/old", &operator, &json!({ "url": "imaps://evil.example" })).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "where passwords are sent is an administrator's matter");
    let admin_wish =
        json!({ "admin": { "user": "root", "style": "authorization_identity" }, "admin_password": "canary" });
    let set = desk.send("PATCH", "/api/v1/endpoints/old", &admin, &admin_wish).await;
    assert_eq!((set.status, set.json()["has_admin_password"].as_bool()), (StatusCode::OK, Some(true)), "{set:?}");
    assert!(!set.text.contains("canary"));
    let misspelt = desk.send("PATCH", limits, &operator, &json!({ "conections": 4 })).await;
    assert_eq!(misspelt.status, StatusCode::BAD_REQUEST);
    assert!(misspelt.text.contains("conections"), "{misspelt:?}");
}
