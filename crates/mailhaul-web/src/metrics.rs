//! Figures for monitoring in the text form of Prometheus, and whether we live and are ready.
//!
//! Names follow its conventions: base units, `_total` for what only rises, labels for what is told apart. Accounts are
//! never labels: there are tens of thousands.

use crate::app::{App, Caller};
use crate::door::admit;
use crate::problem::Problem;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use mailhaul_service::{AttemptFigure, HostState, JobFigure, Lane, Role, ServiceError};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn router(app: &Arc<App>) -> Router {
    let figures = get(metrics).route_layer(from_fn_with_state((Arc::clone(app), Role::Viewer), admit));
    Router::new()
        .route("/metrics", figures)
        // Without a sign-in, and therefore without a word about what is done here.
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(app))
}

/// Whether the state file can be read, and somebody works on it.
async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.pulse.blind().is_some() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be read\n").into_response();
    }
    match app.pulse.peek().await {
        Ok(look) if !look.workers.is_empty() => "ready\n".into_response(),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "nobody works\n").into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be read\n").into_response(),
    }
}

/// Text in the making.
#[derive(Default)]
struct Figures(String);

impl Figures {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let text = mailhaul_types::escape(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if place == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn of(lane: &Lane) -> [(&'static str, &str); 3] {
    [("source", &lane.source), ("target", &lane.target), ("wave", &lane.wave)]
}

/// What is counted by reading much. It is read once for all who ask within some seconds, and never for more than a tenth
/// of the time.
#[derive(Debug, Default)]
pub(crate) struct Counted(tokio::sync::Mutex<Option<Arc<Counts>>>);

#[derive(Debug)]
struct Counts {
    jobs: Vec<JobFigure>,
    attempts: Vec<AttemptFigure>,
    bytes: Vec<(Lane, u64)>,
    good_until: Instant,
}

/// For so long at least, what was counted is good.
const COUNTED_FOR: Duration = Duration::from_secs(15);
/// Counting takes at most this part of the time.
const SHARE: u32 = 10;

impl Counted {
    async fn get(&self, app: &App) -> Result<Arc<Counts>, ServiceError> {
        let mut known = self.0.lock().await;
        let began = Instant::now();
        if let Some(counts) = known.as_ref().filter(|counts| counts.good_until > began) {
            return Ok(Arc::clone(counts));
        }
        let _room = app.room().await;
        let queue = app.service.queue();
        let (jobs, attempts) = (queue.job_figures().await?, queue.attempt_figures().await?);
        let bytes = queue.byte_figures().await?;
        let good_until = Instant::now() + COUNTED_FOR.max(began.elapsed() * SHARE);
        let counts = Arc::new(Counts { jobs, attempts, bytes, good_until });
        *known = Some(Arc::clone(&counts));
        Ok(counts)
    }
}

async fn metrics(caller: Caller) -> Result<Response, Problem> {
    let look = caller.app.pulse.peek().await?;
    let counts = caller.app.counted.get(&caller.app).await?;
    let Counts { jobs, attempts, bytes, .. } = &*counts;
    let now = caller.service.now_unix_ms();
    let mut out = Figures::default();

    out.family("mailhaul_build_info", "gauge", "What is running; always 1.");
    out.one("mailhaul_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.family("mailhaul_workers", "gauge", "Processes that work on this state file.");
    out.one("mailhaul_workers", &[], look.workers.len());

    out.family("mailhaul_accounts", "gauge", "Accounts of a wave by where they stand.");
    for (name, wave) in &look.waves {
        for state in &wave.states {
            let labels = [
                ("wave", name.as_str()),
                ("summary", state.standing.label()),
                ("state", state.state.as_str()),
                ("reason", state.reason.as_deref().unwrap_or_default()),
            ];
            out.one("mailhaul_accounts", &labels, state.accounts);
        }
        let labels = [("wave", name.as_str()), ("summary", "not_begun"), ("state", "not_begun"), ("reason", "")];
        out.one("mailhaul_accounts", &labels, wave.not_begun);
    }
    out.family("mailhaul_accounts_complete", "gauge", "Accounts of which every message is accounted for.");
    out.family_rows(&look.waves, "mailhaul_accounts_complete", |wave| Some(wave.tally.complete));
    out.family("mailhaul_messages_settled", "gauge", "Messages that are on the target.");
    out.family_rows(&look.waves, "mailhaul_messages_settled", |wave| Some(wave.messages.done));
    out.family("mailhaul_messages_expected", "gauge", "Messages at the source; absent until they are counted.");
    out.family_rows(&look.waves, "mailhaul_messages_expected", |wave| wave.messages.expected);
    out.family("mailhaul_bytes_expected", "gauge", "Octets at the source; absent until they are counted.");
    out.family_rows(&look.waves, "mailhaul_bytes_expected", |wave| wave.bytes.expected);
    out.family("mailhaul_bytes_per_second", "gauge", "Octets of mail a second, over the last minute or so.");
    out.family_rows(&look.waves, "mailhaul_bytes_per_second", |wave| Some(wave.bytes_per_second));

    out.family("mailhaul_bytes_moved_total", "counter", "Octets of mail moved.");
    for (lane, bytes) in bytes {
        out.one("mailhaul_bytes_moved_total", &of(lane), bytes);
    }
    out.family("mailhaul_jobs", "gauge", "Jobs, the latest of each kind for each account.");
    for job in jobs {
        let labels: Vec<_> = of(&job.lane)
            .into_iter()
            .chain([("kind", job.kind.as_str()), ("state", job.state.as_str()), ("reason", job.reason.as_str())])
            .collect();
        out.one("mailhaul_jobs", &labels, job.jobs);
    }
    out.family("mailhaul_oldest_queued_seconds", "gauge", "For how long the oldest job has stood in line.");
    for job in jobs.iter().filter(|job| job.state == "queued") {
        let labels: Vec<_> = of(&job.lane).into_iter().chain([("kind", job.kind.as_str())]).collect();
        let seconds = now.saturating_sub(job.oldest_unix_ms).max(0) / 1_000;
        out.one("mailhaul_oldest_queued_seconds", &labels, seconds);
    }
    out.family("mailhaul_attempts_total", "counter", "Attempts by how they ended; outcome `lost` is a lost lease.");
    for figure in attempts {
        let labels: Vec<_> = of(&figure.lane)
            .into_iter()
            .chain([
                ("kind", figure.kind.as_str()),
                ("outcome", figure.outcome.as_str()),
                ("class", figure.class.as_str()),
            ])
            .collect();
        out.one("mailhaul_attempts_total", &labels, figure.attempts);
    }

    out.family("mailhaul_endpoint_connections", "gauge", "Connections that jobs have, one a job.");
    for end in &look.endpoints {
        let name = end.view.row.name.as_str();
        let one = [("endpoint", name), ("phase", "bulk")];
        out.one("mailhaul_endpoint_connections", &one, end.running_bulk);
        let other = [("endpoint", name), ("phase", "resync")];
        out.one("mailhaul_endpoint_connections", &other, end.running_resync);
    }
    out.family("mailhaul_endpoint_connections_allowed", "gauge", "Connections that a host is given at most.");
    for end in &look.endpoints {
        out.one("mailhaul_endpoint_connections_allowed", &[("endpoint", &end.view.row.name)], end.allowed);
    }
    out.family("mailhaul_endpoint_resting", "gauge", "1 while a host is left in peace.");
    for end in &look.endpoints {
        let rests = u8::from(!matches!(end.host, HostState::Serves));
        out.one("mailhaul_endpoint_resting", &[("endpoint", &end.view.row.name)], rests);
    }
    out.family("mailhaul_endpoint_open", "gauge", "1 while the hours of an endpoint allow work.");
    for end in &look.endpoints {
        out.one("mailhaul_endpoint_open", &[("endpoint", &end.view.row.name)], u8::from(end.is_open));
    }
    out.family("mailhaul_look_seconds", "gauge", "How long the latest look at everything took.");
    out.one("mailhaul_look_seconds", &[], look.took.as_secs_f64());
    out.family("mailhaul_look_age_seconds", "gauge", "How old that look is; it grows while the state cannot be read.");
    out.one("mailhaul_look_age_seconds", &[], now.saturating_sub(look.at_unix_ms).max(0) / 1_000);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], out.0).into_response())
}

impl Figures {
    fn family_rows(
        &mut self,
        waves: &std::collections::BTreeMap<String, mailhaul_report::WaveStatus>,
        name: &str,
        value: impl Fn(&mailhaul_report::WaveStatus) -> Option<u64>,
    ) {
        for (wave, status) in waves {
            if let Some(value) = value(status) {
                self.one(name, &[("wave", wave)], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        let mut out = Figures::default();
        out.one("x", &[("wave", "a\"} 1\nevil \\"), ("kind", "bulk")], 7);
        assert_eq!(out.0.lines().count(), 1, "{}", out.0);
        assert!(out.0.starts_with("x{wave=\"a\\\"} 1"), "{}", out.0);
        assert!(out.0.ends_with(",kind=\"bulk\"} 7\n"), "{}", out.0);
    }
}
