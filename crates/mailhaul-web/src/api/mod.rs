//! `/api/v1`: what the command line does with a queue, as JSON.
//!
//! Each route is one entry of a table: method, path, role, what goes in, what comes out, and the handler. The router and
//! the OpenAPI document are both made from that table, so that neither can say what the other does not.

mod accounts;
mod body;
mod control;
mod endpoints;
mod events;
mod import;
mod jobs;
mod openapi;
mod shapes;
mod status;
mod tokens;
mod waves;

#[cfg(test)]
pub(crate) use openapi::{document, path_parameters};

use crate::app::App;
use crate::door::admit;
use crate::problem::Problem;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get};
use mailhaul_service::Role;
use schemars::{Schema, SchemaGenerator};
use std::sync::Arc;

/// Where all of it is found.
pub(crate) const BASE: &str = "/api/v1";

/// How a type describes itself.
type Describe = fn(&mut SchemaGenerator) -> Schema;

/// What a request brings along.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    /// A JSON object.
    Json(Describe),
    /// A file as it is.
    File,
}

/// What comes back.
#[derive(Clone, Copy)]
enum Gives {
    /// A JSON object.
    Json(Describe),
    /// Something else, of these types.
    Other(&'static [&'static str]),
    /// Nothing.
    Nothing,
}

/// One route.
struct Route {
    method: &'static str,
    path: &'static str,
    role: Role,
    /// Its name for programs: `listEndpoints`.
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    query: Option<Describe>,
    takes: Takes,
    gives: Gives,
    call: MethodRouter<Arc<App>>,
}

impl Route {
    fn read(path: &'static str, id: &'static str, summary: &'static str, call: MethodRouter<Arc<App>>) -> Self {
        Self {
            method: "get",
            path,
            role: Role::Viewer,
            id,
            tag: tag_of(path),
            summary,
            query: None,
            takes: Takes::Nothing,
            gives: Gives::Nothing,
            call,
        }
    }

    fn change(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        call: MethodRouter<Arc<App>>,
    ) -> Self {
        Self { method, role: Role::Operator, ..Self::read(path, id, summary, call) }
    }

    fn admin(self) -> Self {
        Self { role: Role::Admin, ..self }
    }

    fn query<T: schemars::JsonSchema>(self) -> Self {
        Self { query: Some(schema_of::<T>), ..self }
    }

    fn takes<T: schemars::JsonSchema>(self) -> Self {
        Self { takes: Takes::Json(schema_of::<T>), ..self }
    }

    fn takes_file(self) -> Self {
        Self { takes: Takes::File, ..self }
    }

    fn gives<T: schemars::JsonSchema>(self) -> Self {
        Self { gives: Gives::Json(schema_of::<T>), ..self }
    }

    fn gives_other(self, types: &'static [&'static str]) -> Self {
        Self { gives: Gives::Other(types), ..self }
    }
}

fn schema_of<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The first part of the path.
fn tag_of(path: &'static str) -> &'static str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// All routes, in the order of the document.
fn routes() -> Vec<Route> {
    let mut routes = status::routes();
    routes.extend(endpoints::routes());
    routes.extend(accounts::routes());
    routes.extend(import::routes());
    routes.extend(waves::routes());
    routes.extend(jobs::routes());
    routes.extend(control::routes());
    routes.extend(events::routes());
    routes.extend(tokens::routes());
    routes.push(
        Route::read("/openapi.json", "openApi", "This document.", get(openapi::serve))
            .gives_other(&["application/json"]),
    );
    routes
}

pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut api = Router::new();
    for route in routes() {
        // Inside the method, so that several methods of one path may need different roles.
        let call = route.call.route_layer(from_fn_with_state((Arc::clone(app), route.role), admit));
        api = api.route(route.path, call);
    }
    let api = api.fallback(nothing).method_not_allowed_fallback(not_so).with_state(Arc::clone(app));
    Router::new().nest(BASE, api)
}

async fn nothing() -> Problem {
    Problem::not_found()
}

async fn not_so() -> Problem {
    Problem::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "this cannot be done here in this way",
        "`/api/v1/openapi.json` lists what can",
    )
}
