//! The document and the routes say the same, and nothing that is sent breaks anything.

use super::Desk;
use crate::api::document;
use axum::http::StatusCode;
use mailhaul_service::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every operation of the document.
fn operations() -> Vec<(String, String, Value)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

fn filled(path: &str, with: &str) -> String {
    let parts: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { with } else { part }).collect();
    parts.join("/")
}

#[tokio::test]
async fn every_operation_of_the_document_is_there_and_needs_the_role_that_it_names() {
    let desk = Desk::new().await;
    let viewer = desk.token(Role::Viewer).await;
    for (method, path, operation) in operations() {
        let place = filled(&path, "1");
        let unknown = desk.ask(&method, &place, &[], "").await;
        assert_eq!(unknown.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        if path.ends_with("/stream") || path.ends_with("/lines") {
            continue;
        }
        let told = desk.send(&method, &place, &viewer, &json!({})).await.status;
        let needs_more = !operation["description"].as_str().expect("words").contains("viewer");
        assert_eq!(told == StatusCode::FORBIDDEN, needs_more, "{method} {path}: {told}");
        assert_ne!(told, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
    }
    assert_eq!(desk.get("/api/v1/nothing", &viewer).await.status, StatusCode::NOT_FOUND);
    let wrong = desk.send("PUT", "/api/v1/status", &viewer, &json!({})).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_document_that_is_served_is_whole() {
    let desk = Desk::new().await;
    let token = desk.token(Role::Viewer).await;
    let served = desk.get("/api/v1/openapi.json", &token).await.json();
    assert_eq!(served, document());
    let text = served.to_string();
    let ids: BTreeSet<String> = operations().iter().map(|(_, _, one)| one["operationId"].to_string()).collect();
    assert_eq!(ids.len(), operations().len(), "an id is used twice");
    for reference in text.split("\"$ref\":\"").skip(1) {
        let path = reference.split('"').next().expect("a path").trim_start_matches('#');
        assert!(served.pointer(path).is_some(), "{path} leads nowhere");
    }
    for (method, path, operation) in operations() {
        for name in crate::api::path_parameters(&path) {
            let told = operation["parameters"].as_array().expect("a list").iter().any(|one| one["name"] == name);
            assert!(told, "{method} {path}: {name}");
        }
        if method == "GET" {
            assert!(operation.get("requestBody").is_none(), "{path}");
        }
    }
    // What a query can say stands in the document.
    let jobs = &served["paths"]["/api/v1/jobs"]["get"]["parameters"];
    let names: Vec<_> = jobs.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"after") && names.contains(&"class"), "{names:?}");
}

#[tokio::test]
async fn a_misspelt_field_is_refused_wherever_one_can_be_sent() {
    let desk = Desk::new().await.with_accounts(1).await;
    let admin = desk.token(Role::Admin).await;
    let mut asked = 0;
    for (method, path, operation) in operations() {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") else { continue };
        let place = filled(&path, "1");
        let answer = desk.send(&method, &place, &admin, &json!({ "mispelt": 1 })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {path}: {answer:?}");
        assert!(answer.text.contains("mispelt"), "{method} {path}: {answer:?}");
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).expect("a name");
        let described = &document()["components"]["schemas"][name];
        assert_eq!(described["additionalProperties"], json!(false), "{name} is described as open");
        asked += 1;
    }
    assert!(asked > 10, "{asked}");
    // On the one route that decides where passwords are sent, also beside everything that is needed.
    for (field, value) in [("limts", json!({})), ("pin", json!([])), ("ca_file", json!("/etc/shadow"))] {
        let mut body = json!({ "name": "third", "url": "imaps://third.example" });
        body[field] = value;
        let answer = desk.send("POST", "/api/v1/endpoints", &admin, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{field}: {answer:?}");
    }
    assert!(desk.service.endpoint("third").await.is_err(), "nothing of it was stored");
    let admin_wish = json!({ "admin": { "user": "root", "style": "authorization_identity", "sytle": 1 } });
    let answer = desk.send("PATCH", "/api/v1/endpoints/old", &admin, &admin_wish).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    let good = json!({ "name": "third", "url": "imaps://192.0.1.7", "limits": { "connections": 3 }, "pins": [] });
    let answer = desk.send("POST", "/api/v1/endpoints", &admin, &good).await;
    assert_eq!(
        (answer.status, answer.json()["limits"]["connections"].as_u64()),
        (StatusCode::OK, Some(3)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn answers_are_what_the_document_says_of_them() {
    let desk = Desk::new().await.with_accounts(3).await;
    let admin = desk.token(Role::Admin).await;
    desk.browser(Role::Viewer).await;
    desk.service.prepare_run("staff", None).await.expect("queued");
    desk.send("POST", "/api/v1/pause", &admin, &json!({ "accounts": ["a1"], "reason": "lunch" })).await;
    desk.send("PATCH", "/api/v1/endpoints/old/limits", &admin, &json!({ "connections": 3 })).await;
    desk.send("PATCH", "/api/v1/waves/staff", &admin, &json!({ "every_secs": 3600 })).await;
    let job = desk.get("/api/v1/jobs", &admin).await.json()["items"][0]["job"].to_string();
    let changes = [
        ("POST", "/api/v1/cancel", json!({ "account": "a2" })),
        ("POST", "/api/v1/retry", json!({ "account": "a2" })),
        ("POST", "/api/v1/resume", json!({ "account": "a1" })),
        ("POST", "/api/v1/waves/staff/run", json!({ "kind": "preflight" })),
        ("PATCH", "/api/v1/accounts/a1", json!({ "priority": 7 })),
        ("POST", "/api/v1/tokens", json!({ "name": "ci", "role": "viewer" })),
        ("DELETE", "/api/v1/tokens/ci", json!({})),
        ("POST", "/api/v1/endpoints", json!({ "name": "third", "url": "imaps://nowhere.invalid" })),
        ("DELETE", "/api/v1/endpoints/third", json!({})),
    ];
    let (document, mut checked) = (document(), 0);
    let mut hold_against = |operation: &Value, path: &str, answer: super::Answer| {
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        if let Some(schema) = operation.pointer("/responses/200/content/application~1json/schema") {
            let faults = super::schema::faults(&document, schema, &answer.json());
            assert!(faults.is_empty(), "{path}: {faults:#?}");
            checked += 1;
        }
    };
    for (method, path, operation) in operations() {
        if method != "GET" || path.ends_with("/stream") || path.ends_with("/lines") {
            continue;
        }
        let place = path.replace("{wave}", "staff").replace("{account}", "a1").replace("{endpoint}", "old");
        let place = place.replace("{job}", &job);
        let answer = desk.get(&place, &admin).await;
        hold_against(&operation, &path, answer);
    }
    for (method, path, body) in changes {
        let is_it = |known: &str| {
            let mut parts = path.split('/').zip(known.split('/'));
            path.split('/').count() == known.split('/').count()
                && parts.all(|(part, known)| known == part || known.starts_with('{'))
        };
        let known =
            operations().into_iter().find(|(verb, known, _)| verb == method && is_it(known)).expect("it is there");
        let answer = desk.send(method, path, &admin, &body).await;
        hold_against(&known.2, path, answer);
    }
    assert!(checked > 25, "{checked}");
    let unknown = desk.get("/api/v1/rates?wave=nowhere", &admin).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{unknown:?}");
}

#[tokio::test]
async fn whatever_is_sent_the_answer_is_never_a_fault_of_ours() {
    let desk = Desk::new().await.with_accounts(3).await;
    let admin = desk.token(Role::Admin).await;
    let names =
        ["staff", "a1", "old", "1", "-1", "99999999999999999999", "%00", "%2e%2e%2f", "%F0%9F%92%A9", "a%20b", "%FF"];
    let bodies = [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{\"a\":".to_owned(),
        "\u{0}".to_owned(),
        json!({ "name": "x\u{202e}", "role": "god", "url": "file:///etc/passwd", "kind": "all" }).to_string(),
        json!({ "job": i64::MAX, "priority": 300, "connections": -1 }).to_string(),
        json!({ "accounts": vec!["a1"; 50], "all": "yes" }).to_string(),
        json!({ "name": "t1", "role": "viewer", "expires_unix_ms": i64::MIN }).to_string(),
        json!({ "start_after_unix_ms": i64::MAX, "every_secs": u64::MAX, "complete_after_unix_ms": i64::MIN })
            .to_string(),
        "[".repeat(5_000),
    ];
    let queries = [
        "",
        "?limit=-1",
        "?limit=4294967296",
        "?after=%FF",
        "?wave=%00",
        "?format=pdf",
        "?state=,,&kind=x",
        "?a=b",
        "?dry_run=true&from=old&to=new&wave=staff",
    ];
    let bearer = format!("Bearer {admin}");
    let mut asked = 0;
    for (method, path, _) in operations() {
        // These have no end, and those look at servers that are not there.
        if ["/stream", "/lines", "/probe"].iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let names: &[&str] = if path.contains('{') { &names } else { &names[..1] };
        for name in names {
            for (place, body) in bodies.iter().enumerate() {
                let query = queries[(place + asked) % queries.len()];
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                let answer = desk.ask(&method, &format!("{}{query}", filled(&path, name)), &headers, body).await;
                asked += 1;
                assert!(!answer.status.is_server_error(), "{method} {path} {name} {query} {body:.60}: {answer:?}");
                if !answer.status.is_success() {
                    assert_eq!(
                        answer.header("content-type"),
                        "application/problem+json",
                        "{method} {path} {name}{query}"
                    );
                }
                if method == "GET" {
                    break;
                }
            }
        }
    }
    assert!(asked > 500, "{asked}");
    // Moments at the ends of time are shown, or refused; nothing breaks over them.
    for moment in [i64::MIN, -1, 0, i64::MAX / 1_000, i64::MAX] {
        let plan = json!({ "start_after_unix_ms": moment, "every_secs": u64::MAX, "complete_after_unix_ms": moment });
        let set = desk.send("PATCH", "/api/v1/waves/staff", &admin, &plan).await;
        assert!(!set.status.is_server_error(), "{moment}: {set:?}");
        for path in
            ["/", "/waves/staff", "/accounts/a1", "/api/v1/waves/staff", "/api/v1/accounts/a1/explain", "/metrics"]
        {
            let shown = desk.get(path, &admin).await;
            assert!(!shown.status.is_server_error(), "{moment} {path}: {shown:?}");
        }
    }
}
