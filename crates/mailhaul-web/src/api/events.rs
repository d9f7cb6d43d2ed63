//! What happens, as it happens: a list, a stream for browsers (Server-Sent Events) and one for programs (a JSON object a
//! line). Both streams can be taken up where they were left.

use super::Route;
use super::body::{Json, Query, page_size};
use super::shapes::Event;
use crate::app::Caller;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use mailhaul_service::EventQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use tokio::sync::watch;
use tokio::time::Instant;

/// So many events are read at once.
const READ_AT_ONCE: u32 = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/events", "listEvents", "Who changed what, when and why, the latest last.", get(list))
            .query::<EventsQuery>()
            .gives::<Events>(),
        Route::read(
            "/events/stream",
            "streamEvents",
            "The same as it happens, as Server-Sent Events; `Last-Event-ID` goes on where one was left.",
            get(sse),
        )
        .query::<StreamQuery>()
        .gives_other(&["text/event-stream"]),
        Route::read("/events/lines", "followEvents", "The same as it happens, a JSON object a line.", get(lines))
            .query::<StreamQuery>()
            .gives_other(&["application/x-ndjson"]),
    ]
}

/// Which events.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct EventsQuery {
    /// Of this account and its jobs.
    account: Option<String>,
    /// Those after this one, the oldest first; without it, the latest.
    after: Option<i64>,
    /// So many: 200 if nobody says, 5,000 at most.
    limit: Option<u32>,
}

/// From where on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct StreamQuery {
    /// After this event; without it, from now on.
    after: Option<i64>,
}

/// Events.
#[derive(Debug, Serialize, JsonSchema)]
struct Events {
    items: Vec<Event>,
}

async fn list(caller: Caller, Query(query): Query<EventsQuery>) -> Result<Json<Events>, Problem> {
    let query = EventQuery { account: query.account, after: query.after, limit: page_size(query.limit) };
    let events = caller.service.events(&query).await?;
    Ok(Json(Events { items: events.into_iter().map(Event::from).collect() }))
}

async fn sse(caller: Caller, headers: HeaderMap, Query(query): Query<StreamQuery>) -> Result<Response, Problem> {
    // A browser that comes back says what it saw last; that counts more than the address it was given first.
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let form = |event: Option<&Event>| match event {
        Some(event) => {
            let json = serde_json::to_string(event).unwrap_or_default();
            format!("id: {}\nevent: change\ndata: {json}\n\n", event.id)
        }
        None => ": still here\n\n".to_owned(),
    };
    let body = follow(caller, seen.or(query.after), form).await?;
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

async fn lines(caller: Caller, Query(query): Query<StreamQuery>) -> Result<Response, Problem> {
    let form = |event: Option<&Event>| match event {
        Some(event) => format!("{}\n", serde_json::to_string(event).unwrap_or_default()),
        // An empty line is no object, and shows a line that has died.
        None => "\n".to_owned(),
    };
    let body = follow(caller, query.after, form).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Somebody who follows along.
struct Follower<F> {
    caller: Caller,
    /// The event that he was told last.
    seen: i64,
    beats: watch::Receiver<u64>,
    ending: watch::Receiver<bool>,
    form: F,
    checked: Instant,
    begun: bool,
    /// Whether he was told what had happened before the look that he sees.
    caught_up: bool,
}

async fn follow<F>(caller: Caller, after: Option<i64>, form: F) -> Result<Body, Problem>
where
    F: Fn(Option<&Event>) -> String + Send + 'static,
{
    let latest = caller.service.latest_event().await?;
    let (beats, ending) = (caller.app.pulse.beats(), caller.app.ending.clone());
    // Numbers of the future are those of another state file; then it begins now.
    let seen = after.filter(|after| (0..=latest).contains(after)).unwrap_or(latest);
    let follower =
        Follower { caller, seen, beats, ending, form, checked: Instant::now(), begun: false, caught_up: false };
    let stream = stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), follower))
    });
    Ok(Body::from_stream(stream))
}

impl<F: Fn(Option<&Event>) -> String> Follower<F> {
    /// What is told next; `None`: the end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.begun, true) {
            // Headers and a first sign go out at once, so that a page knows that it is connected.
            return Some((self.form)(None));
        }
        loop {
            if *self.ending.borrow() {
                return None;
            }
            if self.checked.elapsed() >= self.caller.app.sign_of_life {
                self.checked = Instant::now();
                if !self.caller.is_still_good().await {
                    return None;
                }
                return Some((self.form)(None));
            }
            // One look tells all followers whether there is anything to read; it keeps beating quickly for whoever watches.
            let latest = self.caller.app.pulse.look().await.map_or(self.seen, |look| look.event);
            if latest > self.seen || !std::mem::replace(&mut self.caught_up, true) {
                let query = EventQuery { account: None, after: Some(self.seen), limit: READ_AT_ONCE };
                let events = self.caller.service.events(&query).await.ok()?;
                if let Some(last) = events.last() {
                    self.seen = last.id;
                    return Some(events.into_iter().map(|event| (self.form)(Some(&event.into()))).collect());
                }
            }
            tokio::select! {
                _ = self.beats.changed() => {}
                _ = self.ending.changed() => {}
                () = tokio::time::sleep_until(self.checked + self.caller.app.sign_of_life) => {}
            }
        }
    }
}
