//! What preflights found, put together for a wave; and looks at one server.

use crate::account::{NotPrepared, connection, endpoint_options, prepare, timeouts};
use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_copy::{probe_endpoint, probe_without_sign_in};
use mailhaul_db::HostKey;
use mailhaul_db::queue::{EndpointRow, PreflightRow};
use mailhaul_plan::estimate::costs_between;
use mailhaul_plan::profile::HostProfile;
use mailhaul_queue::{Limits, Window};
use mailhaul_report::{AccountPreflight, ConnectionRate, EstimateLimits, ProbeReport, WavePreflight};
use mailhaul_types::{Escaped, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Hours in a week.
const WEEK_HOURS: f64 = 168.0;

/// The preflights of a wave.
#[derive(Debug, Clone)]
pub struct PreflightView {
    /// All accounts that were looked at.
    pub wave: WavePreflight,
    /// How many accounts were never looked at.
    pub missing: u64,
}

impl Service {
    /// What the latest preflights of a wave found. `slots` is how many accounts a process works on at once.
    ///
    /// # Errors
    /// If there is no such wave, or what is stored cannot be read.
    pub async fn wave_preflight(&self, wave: &str, slots: u32) -> Result<PreflightView, ServiceError> {
        let row = self.wave_named(wave).await?;
        let stored = self.queue.preflights(Some(row.id)).await?;
        let mut previous = BTreeMap::new();
        let mut accounts = Vec::with_capacity(stored.len());
        for found in &stored {
            accounts.push((found.account_name.clone(), read(found, &found.report)?));
            if let Some((_, before)) = &found.previous {
                previous.insert(found.account_name.clone(), read(found, before)?);
            }
        }
        let missing = row.accounts.saturating_sub(accounts.len() as u64);
        let limits = self.estimate_limits(std::slice::from_ref(&row), slots).await?;
        Ok(PreflightView { wave: WavePreflight::new(accounts, &previous, &limits), missing })
    }

    async fn estimate_limits(
        &self,
        rows: &[mailhaul_db::queue::WaveRow],
        slots: u32,
    ) -> Result<EstimateLimits, ServiceError> {
        let (mut sources, mut targets, mut lanes) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for row in rows {
            let filter = mailhaul_db::queue::AccountFilter { wave: Some(row.id), ..Default::default() };
            for account in self.queue.accounts(filter).await? {
                sources.insert(account.source, ());
                targets.insert(account.target, ());
                lanes.insert((account.source, account.target));
            }
        }
        let endpoints = self.queue.endpoints().await?;
        let of = |ids: &BTreeMap<_, ()>| -> Vec<Limits> {
            endpoints.iter().filter(|row| ids.contains_key(&row.id)).map(|row| row.limits.clone()).collect()
        };
        let find = |id| endpoints.iter().find(|row| row.id == id);
        let mut costs = Vec::with_capacity(lanes.len());
        for (source, target) in lanes {
            let profiles = match (find(source), find(target)) {
                (Some(source), Some(target)) => {
                    Some((self.profile(Side::Source, source).await?, self.profile(Side::Target, target).await?))
                }
                _ => None,
            };
            costs.push(profiles.and_then(|(source, target)| costs_between(&source, &target)));
        }
        let rate = slowest(&costs).map_or(ConnectionRate::ASSUMED, rate);
        Ok(EstimateLimits { rate, ..limits(&of(&sources), &of(&targets), slots) })
    }

    /// What copies have learnt of an endpoint.
    async fn profile(&self, side: Side, row: &EndpointRow) -> Result<HostProfile, ServiceError> {
        let endpoint = connection(row, &endpoint_options(row)?)?;
        let text = self.ledger.host_profile(&HostKey::new(side, &endpoint.host, endpoint.port)).await;
        let profile = text.as_deref().and_then(HostProfile::from_json).unwrap_or_default();
        Ok(profile.as_of(self.now_unix_ms() / 1_000))
    }

    /// Looks at a stored endpoint; with an account, by its eyes. Without an endpoint, at both ends of the account.
    ///
    /// # Errors
    /// If there is no such endpoint or account, or a password is missing.
    pub async fn probe(
        &self,
        endpoint: Option<&str>,
        account: Option<&str>,
    ) -> Result<Vec<(String, ProbeReport)>, ServiceError> {
        let wanted = match endpoint {
            Some(name) => Some(self.endpoint_named(name).await?),
            None => None,
        };
        let Some(account) = account else {
            let row = wanted.ok_or_else(|| ServiceError::usage("nothing is named to look at", "name an endpoint"))?;
            let options = endpoint_options(&row)?;
            let connection = connection(&row, &options)?;
            let report = probe_without_sign_in(&connection, &timeouts(&options, &options)).await;
            return Ok(vec![(row.name, report)]);
        };
        let row = self.account_named(account).await?;
        let vault = self.vault().await?;
        let prepared = prepare(&self.queue, &vault, row).await.map_err(|error| match error {
            NotPrepared::NoPassword(words) => ServiceError::usage(
                words,
                format!("`mailhaul accounts set {} --source-password-file FILE` stores one", Escaped(account)),
            ),
            NotPrepared::Service(error) => error,
        })?;
        let ends = [(&prepared.source, &prepared.pair.source), (&prepared.target, &prepared.pair.target)];
        let mut reports = Vec::new();
        for (row, end) in ends {
            if wanted.as_ref().is_none_or(|wanted| wanted.id == row.id) {
                reports.push((row.name.clone(), probe_endpoint(end, &prepared.pair.timeouts).await));
            }
        }
        if reports.is_empty() {
            return Err(ServiceError::usage(
                format!("account `{}` does not use endpoint `{}`", Escaped(account), endpoint.unwrap_or_default()),
                format!("it goes from `{}` to `{}`", prepared.source.name, prepared.target.name),
            ));
        }
        Ok(reports)
    }
}

/// The greatest of each cost; `None` unless all of them are known.
fn slowest(costs: &[Option<[f64; 3]>]) -> Option<[f64; 3]> {
    let known: Vec<[f64; 3]> = costs.iter().copied().collect::<Option<_>>()?;
    known.into_iter().reduce(|one, other| [0, 1, 2].map(|at| f64::max(one[at], other[at])))
}

/// Costs of a mailbox, a message and an octet as rates.
fn rate([mailbox, message, octet]: [f64; 3]) -> ConnectionRate {
    const NEXT_TO_NOTHING: f64 = 1e-12;
    ConnectionRate {
        messages_per_second: 1.0 / message.max(NEXT_TO_NOTHING),
        bytes_per_second: 1.0 / octet.max(NEXT_TO_NOTHING),
        mailbox_seconds: mailbox,
        measured: true,
    }
}

fn read(row: &PreflightRow, text: &str) -> Result<AccountPreflight, ServiceError> {
    let report = serde_json::from_str(text).and_then(AccountPreflight::from_json);
    report.map_err(|error| {
        let name = Escaped(&row.account_name);
        ServiceError::Stored(format!("the stored preflight of account {name} cannot be read: {error}"))
    })
}

/// What bounds a wave between these endpoints: on each side their limits together, and the tighter side counts.
fn limits(sources: &[Limits], targets: &[Limits], slots: u32) -> EstimateLimits {
    let sum = |side: &[Limits], of: fn(&Limits) -> Option<u64>| -> Option<u64> { side.iter().map(of).sum() };
    let tighter = |of: fn(&Limits) -> Option<u64>| -> Option<u64> {
        [sum(sources, of), sum(targets, of)].into_iter().flatten().min()
    };
    let tightest = |of: fn(&Limits) -> Option<u64>| sources.iter().chain(targets).filter_map(of).min();
    let connections = tighter(|limits| match (limits.connections, limits.bulk_connections) {
        (Some(all), Some(bulk)) => Some(u64::from(all.min(bulk))),
        (one, other) => one.or(other).map(u64::from),
    });
    let connections = connections.unwrap_or(u64::MAX).min(u64::from(slots));
    EstimateLimits {
        connections: u32::try_from(connections).unwrap_or(slots),
        messages_per_second: tighter(|limits| limits.messages_per_second),
        bytes_per_second: tighter(|limits| limits.bytes_per_second),
        account_messages_per_second: tightest(|limits| limits.account_messages_per_second),
        account_bytes_per_second: tightest(|limits| limits.account_bytes_per_second),
        account_bytes_per_day: tightest(|limits| limits.account_bytes_per_day),
        window_hours_per_week: sources.iter().chain(targets).filter_map(hours_a_week).min_by(f64::total_cmp),
        ..EstimateLimits::default()
    }
}

/// Hours a week in which an endpoint is open; where windows overlap, a little too many.
fn hours_a_week(limits: &Limits) -> Option<f64> {
    if limits.windows.is_empty() {
        return None;
    }
    let windows = limits.windows.iter().filter_map(|text| text.parse::<Window>().ok());
    let minutes: u32 = windows.map(|window| window.minutes_a_week()).sum();
    Some((f64::from(minutes) / 60.0).min(WEEK_HOURS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_reckoned_with_measures_only_where_every_lane_has_them() {
        let (one, other) = ([0.01, 1e-4, 1e-8], [0.02, 1e-5, 1e-7]);
        assert_eq!(slowest(&[Some(one), None]), None);
        assert_eq!(slowest(&[]), None);
        let rate = slowest(&[Some(one), Some(other)]).map(rate).expect("both are known");
        assert!(rate.measured && (rate.mailbox_seconds - 0.02).abs() < 1e-9);
        assert!((rate.messages_per_second - 1e4).abs() < 1.0 && (rate.bytes_per_second - 1e7).abs() < 1.0);
    }

    #[test]
    fn the_tighter_side_bounds_a_wave() {
        let side = |connections, bytes| Limits { connections, bytes_per_second: bytes, ..Limits::default() };
        let found = limits(&[side(Some(20), None), side(Some(5), Some(10))], &[side(Some(30), Some(9))], 100);
        assert_eq!((found.connections, found.bytes_per_second), (25, Some(9)));
        // A side of which one endpoint has no limit has none.
        assert_eq!(limits(&[side(Some(20), None), side(None, None)], &[side(None, None)], 16).connections, 16);
        let nights = Limits { windows: vec!["nights UTC".to_owned()], ..Limits::default() };
        assert_eq!(limits(&[nights], &[Limits::default()], 8).window_hours_per_week, Some(56.0));
    }
}
