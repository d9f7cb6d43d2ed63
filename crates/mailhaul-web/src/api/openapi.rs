//! The OpenAPI 3.1 document, made from the table of routes.

use super::body::Json;
use super::{BASE, Describe, Gives, Route, Takes, routes};
use crate::problem::Problem;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub(super) async fn serve() -> Json<Value> {
    Json(document())
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in routes() {
        let place = paths.entry(format!("{BASE}{}", route.path)).or_insert_with(|| json!({}));
        place[route.method] = operation(&route, &mut generator, &problem);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mailhaul",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything that the command line can do. Times are milliseconds since 1970. \
                            Texts of servers are escaped: control characters are written as \\\\u{…}.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`mailhaul token create` makes one." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "mailhaul_PORT",
                    "description": "Of the page. Changes need the page's `X-CSRF-Token` as well.",
                },
            },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut parameters: Vec<Value> = path_parameters(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": path_schema(name) }))
        .collect();
    parameters.extend(route.query.map(|query| query_parameters(query, generator)).unwrap_or_default());
    let mut operation = json!({
        "operationId": route.id,
        "tags": [route.tag],
        "summary": route.summary,
        "description": format!("Needs the role {}.", route.role.word()),
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done.", "content": content(route.gives, generator) },
            "default": {
                "description": "Not done; why.",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    });
    match route.takes {
        Takes::Nothing => {}
        Takes::Json(describe) => {
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": describe(generator) } } });
        }
        Takes::File => {
            operation["requestBody"] = json!({ "required": true, "content": { "application/octet-stream": {} } });
        }
    }
    operation
}

fn content(gives: Gives, generator: &mut SchemaGenerator) -> Value {
    match gives {
        Gives::Json(describe) => json!({ "application/json": { "schema": describe(generator) } }),
        Gives::Other(types) => types.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect::<Map<_, _>>().into(),
        Gives::Nothing => json!({}),
    }
}

/// The names in braces.
pub(crate) fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_schema(name: &str) -> Value {
    if matches!(name, "job" | "session") {
        json!({ "type": "integer", "format": "int64" })
    } else {
        json!({ "type": "string" })
    }
}

/// Each property of the query's schema is a parameter.
fn query_parameters(describe: Describe, generator: &mut SchemaGenerator) -> Vec<Value> {
    let reference = describe(generator);
    let definition = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let schema = definition.and_then(|name| generator.definitions().get(name)).cloned().unwrap_or_default();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    properties
        .iter()
        .map(|(name, schema)| {
            json!({ "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema })
        })
        .collect()
}
