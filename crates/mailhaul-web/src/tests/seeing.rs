//! What is shown while the state cannot be read, and what a machine that comes by costs.

use super::Desk;
use axum::http::StatusCode;
use mailhaul_service::Role;

#[tokio::test]
async fn nobody_is_told_that_all_is_well_while_nothing_is_seen() {
    let desk = Desk::new().await.with_accounts(1).await;
    let worker = desk.service.queue().register("serve").await.expect("entered");
    desk.app.pulse.make().await.expect("seen");
    assert_eq!(desk.ask("GET", "/readyz", &[], "").await.text, "ready\n");
    assert_eq!(desk.app.pulse.blind(), None);
    // From now on nothing can be read.
    desk.app.service.close_reading().await;
    let mut looks = 0;
    while desk.app.pulse.blind().is_none() {
        assert!(desk.app.pulse.make().await.is_err());
        looks += 1;
        assert!(looks < 50, "it goes on believing what it saw");
    }
    assert!(looks > 1, "one attempt that fails is no news");
    let ready = desk.ask("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, ready.text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be read\n"));
    let blind = desk.app.pulse.blind().expect("it is");
    assert!(blind.seen_unix_ms.is_some() && !blind.words.is_empty(), "{blind:?}");
    drop(worker);
}

#[tokio::test]
async fn nobody_who_reads_much_keeps_those_who_work_from_reading() {
    let desk = Desk::new().await.with_accounts(3).await;
    // All connections of those who look are taken, and whoever works reads.
    desk.app.service.close_reading().await;
    assert!(desk.app.service.accounts(None, None).await.is_err());
    assert_eq!(desk.service.accounts(None, None).await.expect("read").len(), 3);
}

#[tokio::test]
async fn monitoring_does_not_count_as_somebody_who_watches() {
    let desk = Desk::new().await.with_accounts(1).await;
    let token = desk.token(Role::Viewer).await;
    let asked = desk.app.pulse.asked_at();
    desk.ask("GET", "/readyz", &[], "").await;
    let figures = desk.get("/metrics", &token).await;
    assert!(figures.text.contains("mailhaul_look_age_seconds 0"), "{}", figures.text);
    assert_eq!(desk.app.pulse.asked_at(), asked);
    desk.get("/api/v1/status", &token).await;
    assert_ne!(desk.app.pulse.asked_at(), asked);
}

#[tokio::test]
async fn one_look_answers_many_who_ask_and_shows_what_was_changed_here() {
    let desk = Desk::new().await.with_accounts(2).await;
    let token = desk.token(Role::Operator).await;
    let looks = || *desk.app.pulse.beats().borrow();
    desk.get("/api/v1/status", &token).await;
    desk.app.pulse.stand_still();
    let before = looks();
    for _ in 0..20 {
        desk.get("/api/v1/status", &token).await;
    }
    assert_eq!(looks(), before);
    desk.send("POST", "/api/v1/waves/staff/run", &token, &serde_json::json!({})).await;
    let status = desk.get("/api/v1/status", &token).await.json();
    assert_eq!(
        status["summary"]["waiting"].as_u64().unwrap_or_default()
            + status["summary"]["running"].as_u64().unwrap_or_default(),
        2,
        "{status:#}"
    );
    assert_eq!(looks(), before + 1);
    // What is read for monitoring is read once for all who ask.
    let first = desk.get("/metrics", &token).await.text;
    desk.send("POST", "/api/v1/cancel", &token, &serde_json::json!({ "all": true })).await;
    let second = desk.get("/metrics", &token).await.text;
    let jobs = |text: &str| {
        text.lines().filter(|line| line.starts_with("mailhaul_jobs{")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(jobs(&first), jobs(&second));
}
