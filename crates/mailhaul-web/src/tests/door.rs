//! Who comes in, and who does not.

use super::{Desk, FORM, HOST, ORIGIN, PATIENCE};
use axum::http::StatusCode;
use mailhaul_service::Role;
use serde_json::json;
use std::future::{Future as _, poll_fn};
use std::task::Poll;

#[tokio::test]
async fn nothing_is_told_without_a_sign_in_but_that_we_live() {
    let desk = Desk::new().await;
    for path in ["/api/v1/status", "/api/v1/openapi.json", "/metrics", "/api/v1/events/stream"] {
        let answer = desk.ask("GET", path, &[], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    for path in ["/", "/endpoints", "/waves/staff", "/import"] {
        let answer = desk.ask("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/sign-in"), "{path}");
    }
    assert_eq!(desk.ask("GET", "/healthz", &[], "").await.text, "alive\n");
    let token = desk.token(Role::Viewer).await;
    let in_address = desk.ask("GET", &format!("/api/v1/status?token={token}"), &[], "").await;
    assert_eq!(in_address.status, StatusCode::UNAUTHORIZED, "a token never counts in an address");
}

#[tokio::test]
async fn a_foreign_name_or_page_is_turned_away_before_anything_else() {
    let desk = Desk::new().await;
    let (cookie, csrf) = desk.browser(Role::Admin).await;
    for host in ["evil.example:8025", "127.0.0.1:9", "", "localhost.evil.example:8025"] {
        let answer = desk.ask("GET", "/", &[("host", host), ("cookie", &cookie)], "").await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let form = format!("csrf={csrf}&scope=everything&do=pause&back=/");
    let post = async |more: &[(&str, &str)], body: &str| {
        let headers = [&[("cookie", cookie.as_str()), ("content-type", FORM)], more].concat();
        desk.ask("POST", "/act", &headers, body).await.status
    };
    assert_eq!(post(&[("origin", "http://evil.example")], &form).await, StatusCode::FORBIDDEN);
    assert_eq!(post(&[("origin", "null")], &form).await, StatusCode::FORBIDDEN);
    assert_eq!(post(&[("origin", ORIGIN), ("sec-fetch-site", "cross-site")], &form).await, StatusCode::FORBIDDEN);
    assert_eq!(post(&[], &form).await, StatusCode::FORBIDDEN, "a browser names its page");
    assert_eq!(post(&[("origin", ORIGIN)], "csrf=wrong&scope=everything&do=pause").await, StatusCode::FORBIDDEN);
    assert_eq!(post(&[("origin", ORIGIN)], "scope=everything&do=pause").await, StatusCode::FORBIDDEN);
    assert!(desk.service.queue().holds().await.expect("read").is_empty(), "nothing of this did anything");
    assert_eq!(post(&[("origin", ORIGIN)], &form).await, StatusCode::SEE_OTHER);
    assert_eq!(desk.service.queue().holds().await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing_through_the_api() {
    let desk = Desk::new().await;
    let (cookie, csrf) = desk.browser(Role::Operator).await;
    let json = json!({ "all": true }).to_string();
    let post = async |headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str()), ("origin", ORIGIN)], headers].concat();
        desk.ask("POST", "/api/v1/pause", &headers, &json).await.status
    };
    assert_eq!(post(&[("content-type", "application/json")]).await, StatusCode::FORBIDDEN);
    assert_eq!(
        post(&[("content-type", "text/plain"), ("x-csrf-token", &csrf)]).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(post(&[("content-type", "application/json"), ("x-csrf-token", &csrf)]).await, StatusCode::OK);
    let other = desk.ask("OPTIONS", "/api/v1/pause", &[("origin", "http://evil.example")], "").await;
    assert!(other.header("access-control-allow-origin").is_empty(), "no other site is invited");
}

#[tokio::test]
async fn each_role_may_do_what_it_says() {
    let desk = Desk::new().await.with_accounts(1).await;
    let (viewer, operator, admin) =
        (desk.token(Role::Viewer).await, desk.token(Role::Operator).await, desk.token(Role::Admin).await);
    let pause = json!({ "all": true });
    assert_eq!(desk.get("/api/v1/status", &viewer).await.status, StatusCode::OK);
    assert_eq!(desk.send("POST", "/api/v1/pause", &viewer, &pause).await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.send("POST", "/api/v1/pause", &operator, &pause).await.status, StatusCode::OK);
    for (method, path) in
        [("GET", "/api/v1/tokens"), ("DELETE", "/api/v1/endpoints/old"), ("POST", "/api/v1/waves/staff/close")]
    {
        assert_eq!(desk.send(method, path, &operator, &json!({})).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let made = desk.send("POST", "/api/v1/tokens", &admin, &json!({ "name": "ci", "role": "viewer" })).await.json();
    let secret = made["token"].as_str().expect("a secret");
    assert_eq!(desk.get("/api/v1/me", secret).await.json(), json!({ "name": "ci", "role": "viewer" }));
    let listed = desk.get("/api/v1/tokens", &admin).await;
    assert!(listed.text.contains("\"ci\"") && !listed.text.contains(secret), "a secret is shown once");
    assert_eq!(desk.send("DELETE", "/api/v1/tokens/ci", &admin, &json!({})).await.status, StatusCode::OK);
    assert_eq!(desk.get("/api/v1/me", secret).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_secrets_are_slowed_and_written_down_and_whoever_has_a_good_one_comes_in() {
    let desk = Desk::new().await;
    let token = desk.token(Role::Viewer).await;
    let (cookie, _) = desk.browser(Role::Operator).await;
    let code = desk.service.make_sign_in_link(None).await.expect("made");
    let code = String::from_utf8_lossy(code.expose()).into_owned();
    let try_one = async |secret: &str| {
        let headers = [("origin", ORIGIN), ("content-type", FORM)];
        desk.ask("POST", "/sign-in", &headers, &format!("secret={secret}")).await.status
    };
    // A program with a revoked token comes again and again; that is nobody's fault who signs in with the form.
    let mut told = 0;
    while desk.get("/api/v1/me", "mht_revoked").await.status == StatusCode::UNAUTHORIZED {
        told += 1;
    }
    assert_eq!(desk.get("/api/v1/me", "mht_revoked").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(desk.get("/api/v1/me", &token).await.status, StatusCode::OK, "what is good never waits");
    assert_eq!(try_one("mht_wrong").await, StatusCode::UNAUTHORIZED, "bearers are counted apart");
    told += 1;
    // Guesses in the form, from the very place from which the operator comes: a proxy, or this machine.
    while try_one("mht_wrong").await == StatusCode::UNAUTHORIZED {
        told += 1;
    }
    assert_eq!(try_one("mht_wrong").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(try_one(&token).await, StatusCode::SEE_OTHER, "a good token signs in all the same");
    assert_eq!(try_one(&code).await, StatusCode::SEE_OTHER, "and so does the link");
    assert_eq!(desk.ask("GET", "/", &[("cookie", &cookie)], "").await.status, StatusCode::OK);
    let events = desk.service.queue().events(Default::default()).await.expect("read");
    let refused = events.iter().filter(|event| event.what == "sign_in_refused").count();
    assert_eq!(refused, told, "what is turned away unheard fills no log");
    assert!(events.iter().any(|event| event.what == "sign_in" && event.why == "operator as operator"));
}

#[tokio::test]
async fn browsers_are_listed_and_signed_out_by_an_administrator() {
    let desk = Desk::new().await;
    let admin = desk.token(Role::Admin).await;
    let code = desk.service.make_sign_in_link(Some("carol")).await.expect("made");
    let code = String::from_utf8_lossy(code.expose()).into_owned();
    let headers = [("origin", ORIGIN), ("content-type", FORM)];
    let cookie = desk.ask("POST", "/sign-in", &headers, &format!("secret={code}")).await.cookie();
    let (other, _) = desk.browser(Role::Viewer).await;
    let is_in = async |cookie: &str| desk.ask("GET", "/", &[("cookie", cookie)], "").await.status == StatusCode::OK;
    assert!(is_in(&cookie).await && is_in(&other).await);
    let listed = desk.get("/api/v1/sessions", &admin).await.json();
    assert_eq!(
        (listed["items"][0]["name"].as_str(), listed["items"][0]["by_link"].as_bool()),
        (Some("carol"), Some(true))
    );
    let number = listed["items"][0]["session"].as_i64().expect("a number");
    let path = format!("/api/v1/sessions/{number}");
    assert_eq!(desk.send("DELETE", &path, &admin, &json!({})).await.status, StatusCode::OK);
    assert!(!is_in(&cookie).await && is_in(&other).await);
    assert_eq!(desk.send("DELETE", &path, &admin, &json!({})).await.status, StatusCode::NOT_FOUND);
    let ended = desk.send("DELETE", "/api/v1/sessions", &admin, &json!({})).await;
    assert_eq!(ended.json(), json!({ "ended": 1 }));
    assert!(!is_in(&other).await);
    assert_eq!(desk.get("/api/v1/me", &admin).await.status, StatusCode::OK, "tokens stay");
}

#[tokio::test]
async fn whoever_follows_along_is_let_go_when_his_token_or_his_browser_is() {
    use futures_util::StreamExt as _;
    let desk = Desk::new().await;
    let token = desk.token(Role::Viewer).await;
    let (cookie, _) = desk.browser(Role::Operator).await;
    let bearer = format!("Bearer {token}");
    for (path, header, value) in [
        ("/api/v1/events/stream", "authorization", bearer.as_str()),
        ("/api/v1/events/lines", "cookie", cookie.as_str()),
    ] {
        let answer = desk.open("GET", path, &[(header, value)], "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut told = answer.into_body().into_data_stream();
        for _ in 0..3 {
            assert!(told.next().await.is_some(), "it goes on while its owner is let in");
        }
        match header {
            "cookie" => assert!(desk.service.end_sessions().await.expect("ended") > 0),
            _ => assert!(desk.service.revoke_token("viewer").await.expect("revoked") > 0),
        }
        // What had been said before may still come; then it ends.
        let end = tokio::time::timeout(PATIENCE, async { while told.next().await.is_some() {} }).await;
        assert!(end.is_ok(), "{path} goes on");
    }
}

#[tokio::test]
async fn a_code_that_is_not_needed_does_not_stay_in_the_address() {
    let desk = Desk::new().await;
    let (cookie, _) = desk.browser(Role::Viewer).await;
    // A redirect would carry along what stands behind the #.
    let page = desk.ask("GET", "/sign-in", &[("cookie", &cookie)], "").await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.text.contains("data-signed-in") && page.text.contains("signed in already"), "{}", page.text);
    assert!(!page.text.contains("name=\"secret\""));
}

#[tokio::test]
async fn a_session_ends_with_its_sign_out() {
    let desk = Desk::new().await;
    let (cookie, csrf) = desk.browser(Role::Viewer).await;
    assert!(cookie.starts_with("mailhaul_8025="), "{cookie}");
    let headers = [("cookie", cookie.as_str()), ("origin", ORIGIN), ("content-type", FORM)];
    let out = desk.ask("POST", "/sign-out", &headers, &format!("csrf={csrf}")).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    let after = desk.ask("GET", "/", &[("cookie", &cookie)], "").await;
    assert_eq!(after.header("location"), "/sign-in");
}

#[tokio::test]
async fn a_cookie_goes_nowhere_else_and_no_script_sees_it() {
    let plain = Desk::new().await;
    let secure = Desk::behind(Some("https://mail.example/haul")).await;
    for (desk, path, wants) in [(&plain, "/sign-in", "Path=/;"), (&secure, "/haul/sign-in", "Path=/haul;")] {
        let token = desk.token(Role::Viewer).await;
        let origin = if path.starts_with("/haul") { "https://mail.example" } else { ORIGIN };
        let host = if path.starts_with("/haul") { "mail.example" } else { HOST };
        let headers = [("host", host), ("origin", origin), ("content-type", FORM)];
        let signed = desk.ask("POST", path, &headers, &format!("secret={token}")).await;
        let cookie = signed.header("set-cookie");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains(wants),
            "{signed:?}"
        );
        assert_eq!(cookie.contains("Secure"), host == "mail.example", "{cookie}");
        assert!(signed.header("location").ends_with('/'));
    }
    let stripped = secure.ask("GET", "/sign-in", &[("host", "mail.example")], "").await;
    assert!(stripped.text.contains("/haul/assets/style-"), "a proxy may take the prefix off: {stripped:?}");
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let desk = Desk::new().await;
    let (cookie, _) = desk.browser(Role::Admin).await;
    for path in ["/", "/api/v1/status", "/nothing", "/sign-in", "/healthz", "/api/v1/nothing"] {
        let answer = desk.ask("GET", path, &[("cookie", &cookie)], "").await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        // With `no-referrer` a browser names `null` as the origin of our own forms, and nobody can sign in.
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_change_comes_to_its_end_although_whoever_asked_for_it_goes_away() {
    let desk = Desk::new().await.with_accounts(20).await;
    let operator = desk.token(Role::Operator).await;
    let body = json!({ "accounts": ["a7"], "reason": "lunch" });
    let mut asking = Box::pin(desk.send("POST", "/api/v1/pause", &operator, &body));
    // Until the change is under way, and no longer.
    poll_fn(|task| {
        if desk.app.changes.try_write().is_err() {
            return Poll::Ready(());
        }
        assert!(asking.as_mut().poll(task).is_pending(), "it was answered at once");
        if desk.app.changes.try_write().is_err() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(asking);
    drop(desk.app.changes.write().await);
    assert_eq!(desk.service.queue().holds().await.expect("read").len(), 1);
}
