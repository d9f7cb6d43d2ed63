//! How endpoints stand: connections in use and allowed, and what their hosts have shown.

use super::endpoints::EndpointView;
use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::{JobFilter, JobRow};
use mailhaul_queue::{BreakerState, Cause, EndpointId, HostHealth, HostPolicy, Phase, Window};

/// Whether a host is worked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It serves.
    Serves,
    /// It is left in peace until a moment: milliseconds since 1970.
    Rests {
        /// Until when.
        until_unix_ms: i64,
        /// Whether it asked for it; otherwise it could not be reached.
        asked: bool,
    },
    /// One job tries whether it serves again.
    Tried,
}

/// An endpoint and how it stands at this moment.
#[derive(Debug, Clone)]
pub struct EndpointStanding {
    /// As it is stored.
    pub view: EndpointView,
    /// Connections that first copies have, one a job.
    pub running_bulk: u32,
    /// Connections that everything else has, one a job.
    pub running_resync: u32,
    /// Connections that the host is given at most: the operator's limit, or what it has shown to bear.
    pub allowed: u32,
    /// Whether that is what it has shown, and not what the operator said.
    pub is_learned: bool,
    /// Whether it is worked with.
    pub host: HostState,
    /// Whether its hours allow work now.
    pub is_open: bool,
    /// When that changes next, in milliseconds since 1970.
    pub changes_unix_ms: Option<i64>,
}

impl EndpointStanding {
    /// Connections in use, one a job.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running_bulk + self.running_resync
    }
}

impl Service {
    /// How all endpoints stand, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn endpoint_standings(&self) -> Result<Vec<EndpointStanding>, ServiceError> {
        let running = JobFilter { states: vec!["running".to_owned()], superseded: true, ..JobFilter::default() };
        let running = self.queue.jobs(running).await?;
        let mut standings = Vec::new();
        for view in self.endpoints().await? {
            standings.push(self.standing_of(view, &running).await?);
        }
        Ok(standings)
    }

    /// How one endpoint stands.
    ///
    /// # Errors
    /// If there is no such endpoint.
    pub async fn endpoint_standing(&self, name: &str) -> Result<EndpointStanding, ServiceError> {
        let view = self.endpoint(name).await?;
        let running = JobFilter {
            states: vec!["running".to_owned()],
            endpoint: Some(view.row.id),
            superseded: true,
            ..JobFilter::default()
        };
        let running = self.queue.jobs(running).await?;
        self.standing_of(view, &running).await
    }

    async fn standing_of(&self, view: EndpointView, running: &[JobRow]) -> Result<EndpointStanding, ServiceError> {
        let health = self.queue.host_health(&view.row.host).await?;
        let health = health.and_then(|json| serde_json::from_str::<HostHealth>(&json).ok()).unwrap_or_default();
        let now = self.now_unix_ms();
        let host = match health.breaker(now) {
            BreakerState::Closed => HostState::Serves,
            BreakerState::Open { until_unix_ms, cause } => {
                HostState::Rests { until_unix_ms, asked: matches!(cause, Cause::Throttled) }
            }
            BreakerState::HalfOpen { .. } => HostState::Tried,
        };
        let policy = HostPolicy::default().with_pauses(self.pauses_percent);
        let said = view.row.limits.connections;
        let allowed = health.cap(said, &policy);
        let windows: Vec<Window> = view.row.limits.windows.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(EndpointStanding {
            running_bulk: connections(running, view.row.id, Phase::Bulk),
            running_resync: connections(running, view.row.id, Phase::Resync),
            allowed,
            is_learned: said != Some(allowed),
            host,
            // Without any window work is allowed at all times.
            is_open: windows.is_empty() || mailhaul_queue::window::is_open(&windows, now),
            changes_unix_ms: match windows.as_slice() {
                [] => None,
                windows => mailhaul_queue::window::next_change(windows, now),
            },
            view,
        })
    }
}

fn connections(running: &[JobRow], endpoint: EndpointId, phase: Phase) -> u32 {
    let of_phase = running.iter().filter(|job| job.phase == phase);
    let ends = of_phase.flat_map(|job| [job.source, job.target]).filter(|end| *end == endpoint);
    u32::try_from(ends.count()).unwrap_or(u32::MAX)
}
