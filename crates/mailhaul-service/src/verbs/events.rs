//! What happened, to everything: for whoever follows along.

use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::{EventFilter, EventRow, Subject};
use mailhaul_types::escape;
use std::collections::BTreeMap;

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this account and its jobs.
    pub account: Option<String>,
    /// Those after this one, the oldest first, so that none is missed; without it, the latest.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// One event, with names instead of numbers; escaped already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// An operator, a token, or a worker.
    pub who: String,
    /// `claim`, `end`, `pause`, `import`, `sign_in`, ...
    pub what: String,
    /// The account it was about, if that is there still.
    pub account: Option<String>,
    /// The wave it was about.
    pub wave: Option<String>,
    /// The endpoint it was about.
    pub endpoint: Option<String>,
    /// The job it was about.
    pub job: Option<i64>,
    /// The job's state before.
    pub from_state: Option<String>,
    /// The job's state after.
    pub to_state: Option<String>,
    /// Why.
    pub why: String,
}

impl Service {
    /// What happened, the latest last.
    ///
    /// # Errors
    /// If there is no such account, or the state file cannot be read.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<EventView>, ServiceError> {
        let account = match &query.account {
            Some(name) => Some(self.account_named(name).await?.id),
            None => None,
        };
        let rows = self
            .queue
            .events(EventFilter {
                account,
                after: query.after,
                limit: Some(query.limit),
                oldest_first: query.after.is_some(),
                ..EventFilter::default()
            })
            .await?;
        let mut names = BTreeMap::new();
        if rows.iter().any(|row| matches!(row.subject, Subject::Wave(_) | Subject::Endpoint(_))) {
            let waves = self.queue.waves().await?.into_iter().map(|row| (Subject::Wave(row.id), row.name));
            let endpoints = self.queue.endpoints().await?.into_iter().map(|row| (Subject::Endpoint(row.id), row.name));
            names.extend(waves.chain(endpoints));
        }
        Ok(rows.into_iter().map(|row| view(row, &names)).collect())
    }

    /// The number of the latest event; 0 if nothing ever happened.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn latest_event(&self) -> Result<i64, ServiceError> {
        let filter = EventFilter { limit: Some(1), ..EventFilter::default() };
        Ok(self.queue.events(filter).await?.last().map_or(0, |row| row.id))
    }
}

fn view(row: EventRow, names: &BTreeMap<Subject, String>) -> EventView {
    let name = |is: bool| names.get(&row.subject).filter(|_| is).map(|name| escape(name));
    EventView {
        id: row.id,
        at_unix_ms: row.at_unix_ms,
        who: escape(&row.who),
        what: escape(&row.what),
        account: row.account_name.as_deref().map(escape),
        wave: name(matches!(row.subject, Subject::Wave(_))),
        endpoint: name(matches!(row.subject, Subject::Endpoint(_))),
        job: match row.subject {
            Subject::Job(id) => Some(id.0),
            _ => None,
        },
        from_state: row.from_state,
        to_state: row.to_state,
        why: escape(&row.why),
    }
}
