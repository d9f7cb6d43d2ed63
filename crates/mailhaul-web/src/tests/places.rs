//! Where servers may be that somebody names over HTTP.

use super::Desk;
use axum::http::StatusCode;
use mailhaul_service::{EndpointChange, Role};
use serde_json::json;

#[tokio::test]
async fn a_server_in_our_own_network_is_not_named_from_afar() {
    let desk = Desk::new().await;
    let admin = desk.token(Role::Admin).await;
    for url in [
        "imaps://127.0.0.1",
        "imaps://localhost",
        "imaps://[::1]",
        "imaps://[::ffff:10.0.0.1]",
        "imaps://169.254.169.254",
        "imap://10.1.2.3",
        "imaps://192.168.0.7",
        "imaps://100.100.100.200",
        "imaps://[fd00:ec2::254]",
        "imaps://192.0.1.7:22",
        "imaps://192.0.1.7:8443",
    ] {
        let body = json!({ "name": "third", "url": url });
        let answer = desk.send("POST", "/api/v1/endpoints", &admin, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {answer:?}");
        assert!(answer.json()["hint"].as_str().expect("a hint").contains("--allow-private-servers"), "{answer:?}");
        let moved = desk.send("PATCH", "/api/v1/endpoints/old", &admin, &json!({ "url": url })).await;
        assert_eq!(moved.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {moved:?}");
    }
    assert_eq!(desk.service.endpoint("old").await.expect("there").row.url, "imaps://old.example");
}

#[tokio::test]
async fn what_a_name_leads_to_is_asked_again_when_it_is_connected_to() {
    let desk = Desk::new().await;
    let admin = desk.token(Role::Admin).await;
    // It leads nowhere now, and could lead anywhere later.
    let body = json!({ "name": "third", "url": "imaps://nowhere.invalid" });
    assert_eq!(desk.send("POST", "/api/v1/endpoints", &admin, &body).await.status, StatusCode::OK);
    assert!(desk.service.endpoint("third").await.expect("there").options.only_public);
    // Moved at this machine, it may lead anywhere; and stays so whatever else is said about it from afar.
    let change = EndpointChange { url: Some("imap://127.0.0.1:9".to_owned()), ..EndpointChange::default() };
    desk.service.set_endpoint("third", change).await.expect("moved");
    let more = json!({ "url": "imap://127.0.0.1:9", "timeout_secs": 5, "limits": { "connections": 2 } });
    let set = desk.send("PATCH", "/api/v1/endpoints/third", &admin, &more).await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    assert!(!desk.service.endpoint("third").await.expect("there").options.only_public);
    let found = desk.send("POST", "/api/v1/endpoints/third/probe", &admin, &json!({})).await;
    assert!(found.text.contains("connect to 127.0.0.1:9") && !found.text.contains("not a public one"), "{found:?}");
    // As a name would that pointed elsewhere when it was looked at: what is stored is only reached at public addresses.
    let service = desk.service.clone().without_private_servers();
    let change = EndpointChange { url: Some("imaps://nowhere.invalid".to_owned()), ..EndpointChange::default() };
    service.set_endpoint("third", change).await.expect("moved");
    assert!(desk.service.endpoint("third").await.expect("there").options.only_public);
    // Said again from afar it changes nothing; said again at this machine it is meant.
    let again = || EndpointChange { url: Some("imaps://nowhere.invalid".to_owned()), ..EndpointChange::default() };
    service.set_endpoint("third", again()).await.expect("as it was");
    assert!(desk.service.endpoint("third").await.expect("there").options.only_public);
    desk.service.set_endpoint("third", again()).await.expect("meant");
    assert!(!desk.service.endpoint("third").await.expect("there").options.only_public);
}
