//! Who is asking, and where everything stands.

use super::body::{AsPrinted, Json, Query};
use super::{Route, shapes};
use crate::app::Caller;
use crate::problem::Problem;
use crate::pulse::rates;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/me", "whoAmI", "Who is asking, and what he may do.", get(me)).gives::<Me>(),
        Route::read(
            "/status",
            "status",
            "Where a wave, or everything, stands, as `mailhaul status --json`.",
            get(status),
        )
        .query::<OfWave>()
        .gives::<AsPrinted>(),
        Route::read(
            "/rates",
            "rates",
            "How fast mail has moved lately, as far as this process has watched.",
            get(history),
        )
        .query::<RatesQuery>()
        .gives::<Rates>(),
        Route::read("/holds", "listHolds", "What operators have paused.", get(holds)).gives::<Holds>(),
    ]
}

/// Who is asking.
#[derive(Debug, Serialize, JsonSchema)]
struct Me {
    /// The token's name.
    name: String,
    /// `viewer`, `operator` or `admin`.
    role: &'static str,
}

async fn me(caller: Caller) -> Json<Me> {
    Json(Me { name: caller.visitor.name, role: caller.visitor.role.word() })
}

/// Of which wave.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfWave {
    /// Only of this wave.
    wave: Option<String>,
}

async fn status(caller: Caller, Query(query): Query<OfWave>) -> Result<Json<AsPrinted>, Problem> {
    let look = caller.app.pulse.fresh_look().await?;
    let Some(wave) = query.wave else { return Ok(Json(look.all.to_json().into())) };
    match look.waves.get(&wave) {
        Some(status) => Ok(Json(status.to_json().into())),
        // Says which names are near.
        None => Err(caller.service.wave(&wave).await.err().map_or_else(Problem::not_found, Problem::from)),
    }
}

/// Of what, and for how long back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RatesQuery {
    /// Only of this wave.
    wave: Option<String>,
    /// How far back, in minutes; 60 if nobody says, a day at most.
    minutes: Option<u32>,
}

/// How fast mail has moved.
#[derive(Debug, Serialize, JsonSchema)]
struct Rates {
    from_unix_ms: i64,
    until_unix_ms: i64,
    /// Octets a second in equal stretches, the oldest first; null: nobody was watching.
    bytes_per_second: Vec<Option<f64>>,
}

async fn history(caller: Caller, Query(query): Query<RatesQuery>) -> Result<Json<Rates>, Problem> {
    let look = caller.app.pulse.look().await?;
    if let Some(wave) = query.wave.as_deref().filter(|wave| !look.waves.contains_key(*wave)) {
        // Says which names are near; a wave that was made just now has no history.
        caller.service.wave(wave).await?;
    }
    let until_unix_ms = look.at_unix_ms;
    let minutes = i64::from(query.minutes.unwrap_or(60).clamp(1, 24 * 60));
    let from_unix_ms = until_unix_ms - minutes * 60_000;
    let samples = caller.app.pulse.history(&query.wave.unwrap_or_default());
    let bytes_per_second = rates(&samples, from_unix_ms, until_unix_ms, 60);
    Ok(Json(Rates { from_unix_ms, until_unix_ms, bytes_per_second }))
}

/// What operators have paused.
#[derive(Debug, Serialize, JsonSchema)]
struct Holds {
    items: Vec<shapes::Hold>,
}

async fn holds(caller: Caller) -> Result<Json<Holds>, Problem> {
    let holds = caller.service.queue().holds().await.map_err(mailhaul_service::ServiceError::from)?;
    Ok(Json(Holds { items: holds.iter().map(shapes::Hold::from).collect() }))
}
