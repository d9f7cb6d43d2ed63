//! Endpoints. Whoever may change one says where passwords are sent, so that needs an administrator; its limits do not.

use super::body::{AsPrinted, Done, Json, Path, Sealed, change};
use super::shapes::{Endpoint, EndpointNow};
use super::{Route, shapes};
use crate::app::Caller;
use crate::problem::Problem;
use axum::routing::{delete, get, patch, post};
use mailhaul_service::{Admin, Change, CopyChange, CopyOptions, EndpointChange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/endpoints", "listEndpoints", "All servers, and how they stand.", get(list)).gives::<Endpoints>(),
        Route::change("post", "/endpoints", "addEndpoint", "Adds a server.", post(add))
            .admin()
            .takes::<NewEndpoint>()
            .gives::<Endpoint>(),
        Route::read("/endpoints/{endpoint}", "showEndpoint", "One server, and how it stands.", get(show))
            .gives::<EndpointNow>(),
        Route::change(
            "patch",
            "/endpoints/{endpoint}",
            "setEndpoint",
            "Changes a server. Running jobs take it up at their next mailbox; lowered limits take effect within seconds.",
            patch(set),
        )
        .admin()
        .takes::<EndpointWish>()
        .gives::<Endpoint>(),
        Route::change(
            "patch",
            "/endpoints/{endpoint}/limits",
            "setLimits",
            "Changes only what a server may be asked. It takes effect within seconds.",
            patch(set_limits),
        )
        .takes::<LimitsWish>()
        .gives::<Endpoint>(),
        Route::change("delete", "/endpoints/{endpoint}", "removeEndpoint", "Removes a server that no account uses.", delete(remove))
            .admin()
            .gives::<Done>(),
        Route::change(
            "post",
            "/endpoints/{endpoint}/probe",
            "probeEndpoint",
            "Looks at a server without signing in: TLS, and what it can do. Writes nothing.",
            post(probe),
        )
        .gives::<Probes>(),
    ]
}

/// All servers.
#[derive(Debug, Serialize, JsonSchema)]
struct Endpoints {
    items: Vec<EndpointNow>,
}

/// What a server may be asked. Absent: it stays; null: there is no such limit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsWish {
    /// Connections at once, in all phases together.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u32>")]
    pub(crate) connections: Change<u32>,
    /// Of these, for first copies.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u32>")]
    pub(crate) bulk_connections: Change<u32>,
    /// Of these, for everything after the first copy.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u32>")]
    pub(crate) resync_connections: Change<u32>,
    /// Messages a second, all jobs together.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    pub(crate) messages_per_second: Change<u64>,
    /// Octets of mail a second, all jobs together.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    pub(crate) bytes_per_second: Change<u64>,
    /// Messages a second for each account.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    pub(crate) account_messages_per_second: Change<u64>,
    /// Octets a second for each account.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    pub(crate) account_bytes_per_second: Change<u64>,
    /// Octets a day for each account.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    pub(crate) account_bytes_per_day: Change<u64>,
    /// When work is allowed: `Mon-Fri 20:00-06:00 Europe/Berlin`.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) windows: Change<Vec<String>>,
}

/// What is said about a server. Absent: it stays; null: it goes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EndpointWish {
    /// How it is reached: `imaps://mail.example`, `imap://mail.example` for STARTTLS; no user, no password.
    pub(crate) url: Option<String>,
    /// What it may be asked.
    pub(crate) limits: LimitsWish,
    /// Who signs in for all accounts: `{"user": …, "style": "authorization_identity"}` or
    /// `{"user": …, "style": {"master": {"separator": "*"}}}`.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) admin: Change<Admin>,
    /// That one's password. It is sealed, and never shown.
    #[schemars(with = "Option<String>")]
    pub(crate) admin_password: Option<Sealed>,
    /// Trust exactly these certificates: SHA-256 in hex.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) pins: Change<Vec<String>>,
    /// How long the server may be silent, in seconds.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    pub(crate) timeout_secs: Change<u64>,
    /// Whether passwords and mail may go over the network readable.
    pub(crate) allow_plaintext: Option<bool>,
    /// How mail is copied from or to it; what is absent stays.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(crate) copy: CopyOptions,
}

/// A new server. What can be said about one that is there can be said about a new one; the fields stand here once more,
/// because a part that is flattened into a whole would let every misspelt field pass.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewEndpoint {
    /// What operators call it.
    name: String,
    /// How it is reached: `imaps://mail.example`, `imap://mail.example` for STARTTLS; no user, no password.
    url: String,
    /// What it may be asked.
    #[serde(default)]
    limits: LimitsWish,
    /// Who signs in for all accounts; as when it is changed.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    admin: Option<Admin>,
    /// That one's password. It is sealed, and never shown.
    #[schemars(with = "Option<String>")]
    admin_password: Option<Sealed>,
    /// Trust exactly these certificates: SHA-256 in hex.
    pins: Option<Vec<String>>,
    /// How long the server may be silent, in seconds.
    timeout_secs: Option<u64>,
    /// Whether passwords and mail may go over the network readable.
    allow_plaintext: Option<bool>,
    /// How mail is copied from or to it.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    copy: CopyOptions,
}

impl NewEndpoint {
    fn wish(self) -> (String, EndpointWish) {
        let said = |list: Option<Vec<String>>| list.map_or(Change::Keep, Change::Set);
        let wish = EndpointWish {
            url: Some(self.url),
            limits: self.limits,
            admin: self.admin.map_or(Change::Keep, Change::Set),
            admin_password: self.admin_password,
            pins: said(self.pins),
            timeout_secs: self.timeout_secs.map_or(Change::Keep, Change::Set),
            allow_plaintext: self.allow_plaintext,
            copy: self.copy,
        };
        (self.name, wish)
    }
}

impl From<LimitsWish> for EndpointChange {
    fn from(wish: LimitsWish) -> Self {
        Self {
            connections: wish.connections,
            bulk_connections: wish.bulk_connections,
            resync_connections: wish.resync_connections,
            messages_per_second: wish.messages_per_second,
            bytes_per_second: wish.bytes_per_second,
            account_messages_per_second: wish.account_messages_per_second,
            account_bytes_per_second: wish.account_bytes_per_second,
            account_bytes_per_day: wish.account_bytes_per_day,
            windows: wish.windows,
            ..Self::default()
        }
    }
}

impl From<EndpointWish> for EndpointChange {
    fn from(wish: EndpointWish) -> Self {
        Self {
            url: wish.url,
            admin: wish.admin,
            admin_password: wish.admin_password.map(|sealed| sealed.0),
            // A file of this machine is named by somebody at this machine.
            ca_file: Change::Keep,
            pins: wish.pins,
            timeout_secs: wish.timeout_secs,
            allow_plaintext: wish.allow_plaintext,
            copy: CopyChange { inherit: false, say: wish.copy },
            ..Self::from(wish.limits)
        }
    }
}

async fn list(caller: Caller) -> Result<Json<Endpoints>, Problem> {
    let standings = caller.service.endpoint_standings().await?;
    Ok(Json(Endpoints { items: standings.iter().map(EndpointNow::from).collect() }))
}

async fn add(caller: Caller, Json(new): Json<NewEndpoint>) -> Result<Json<Endpoint>, Problem> {
    let (name, wish) = new.wish();
    let view = caller.service.add_endpoint(&name, wish.into()).await?;
    caller.app.forget_tables().await;
    Ok(Json(Endpoint::from(&view)))
}

async fn show(caller: Caller, Path(name): Path<String>) -> Result<Json<EndpointNow>, Problem> {
    Ok(Json(EndpointNow::from(&caller.service.endpoint_standing(&name).await?)))
}

async fn set(
    caller: Caller,
    Path(name): Path<String>,
    Json(wish): Json<EndpointWish>,
) -> Result<Json<Endpoint>, Problem> {
    let view = caller.service.set_endpoint(&name, wish.into()).await?;
    caller.app.forget_tables().await;
    Ok(Json(Endpoint::from(&view)))
}

async fn set_limits(
    caller: Caller,
    Path(name): Path<String>,
    Json(wish): Json<LimitsWish>,
) -> Result<Json<Endpoint>, Problem> {
    let view = caller.service.set_endpoint(&name, wish.into()).await?;
    caller.app.forget_tables().await;
    Ok(Json(Endpoint::from(&view)))
}

async fn remove(caller: Caller, Path(name): Path<String>) -> Result<Json<Done>, Problem> {
    caller.service.remove_endpoint(&name).await?;
    caller.app.forget_tables().await;
    Ok(Done::json())
}

/// What looks at servers found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Probes {
    items: Vec<Probe>,
}

/// What a look at a server found.
#[derive(Debug, Serialize, JsonSchema)]
struct Probe {
    endpoint: String,
    /// As `mailhaul probe --json` prints it.
    found: AsPrinted,
}

async fn probe(caller: Caller, Path(name): Path<String>) -> Result<Json<Probes>, Problem> {
    probe_of(&caller, Some(&name), None).await
}

/// Looks at both ends of an account, or at one server.
pub(super) async fn probe_of(
    caller: &Caller,
    endpoint: Option<&str>,
    account: Option<&str>,
) -> Result<Json<Probes>, Problem> {
    let found = caller.service.probe(endpoint, account).await?;
    let items = found.into_iter().map(|(endpoint, report)| Probe {
        endpoint: mailhaul_types::escape(&endpoint),
        found: AsPrinted(shapes::object(&report)),
    });
    Ok(Json(Probes { items: items.collect() }))
}
