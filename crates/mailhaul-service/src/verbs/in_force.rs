//! Before options are stored: would what is then in force for an account contradict itself? An account's options come
//! from up to four places, and none of them sees the others.

use crate::account::endpoint_options;
use crate::error::ServiceError;
use crate::options::CopyOptions;
use crate::service::Service;
use mailhaul_db::queue::{AccountFilter, NewAccount};
use mailhaul_queue::{AccountId, EndpointId, WaveId};
use mailhaul_types::Escaped;
use std::collections::BTreeMap;

/// What is about to be stored.
#[derive(Clone, Copy)]
pub(super) enum Meant<'a> {
    Endpoint(EndpointId, &'a CopyOptions),
    Wave(WaveId, &'a CopyOptions),
    Account(AccountId, &'a NewAccount),
}

/// Who says what for one account, the nearest first.
struct Sayings(Vec<(String, CopyOptions)>);

impl Service {
    /// Refuses what would make the options of an account contradict each other. What contradicts itself already is
    /// nobody's fault now, and keeps nobody from anything else.
    pub(super) async fn check_in_force(&self, meant: Meant<'_>) -> Result<(), ServiceError> {
        let filter = match meant {
            Meant::Wave(wave, _) => AccountFilter { wave: Some(wave), ..AccountFilter::default() },
            Meant::Endpoint(..) | Meant::Account(..) => AccountFilter::default(),
        };
        let accounts = self.queue.accounts(filter).await?;
        let (mut waves, mut endpoints) = (BTreeMap::new(), BTreeMap::new());
        for row in self.queue.waves().await? {
            waves.insert(row.id, (format!("wave `{}`", Escaped(&row.name)), super::waves::options_of(&row)?));
        }
        for row in self.queue.endpoints().await? {
            endpoints.insert(row.id, (format!("endpoint `{}`", Escaped(&row.name)), endpoint_options(&row)?.copy));
        }
        let now = |own: CopyOptions, name: &str, wave: WaveId, target: EndpointId, source: EndpointId| {
            let mut said = vec![(format!("account `{}`", Escaped(name)), own)];
            said.extend(waves.get(&wave).cloned());
            said.extend(endpoints.get(&target).cloned());
            said.extend(endpoints.get(&source).cloned());
            Sayings(said)
        };
        for row in &accounts {
            let own = super::accounts::options_of(row)?;
            let before = now(own.clone(), &row.name, row.wave, row.target, row.source);
            let after = match meant {
                Meant::Account(id, _) if id != row.id => continue,
                Meant::Account(_, new) => now(parsed(&new.options)?, &row.name, new.wave, new.target, new.source),
                Meant::Wave(_, options) => now(own, &row.name, row.wave, row.target, row.source).with(1, options),
                Meant::Endpoint(id, _) if id != row.target && id != row.source => continue,
                Meant::Endpoint(id, options) => {
                    let mut after = now(own, &row.name, row.wave, row.target, row.source);
                    for place in [(2, row.target), (3, row.source)].into_iter().filter(|place| place.1 == id) {
                        after = after.with(place.0, options);
                    }
                    after
                }
            };
            if before.in_force().check_changes().is_ok() {
                after.check()?;
            }
        }
        Ok(())
    }
}

impl Sayings {
    fn with(mut self, place: usize, options: &CopyOptions) -> Self {
        if let Some(said) = self.0.get_mut(place) {
            said.1 = options.clone();
        }
        self
    }

    fn in_force(&self) -> CopyOptions {
        self.0.iter().fold(CopyOptions::default(), |nearer, (_, said)| nearer.or(said.clone()))
    }

    /// Names who says what where two of them contradict each other.
    fn check(&self) -> Result<(), ServiceError> {
        let Err(ServiceError::Usage { what, hint }) = self.in_force().check_changes() else { return Ok(()) };
        let says = |is: fn(&CopyOptions) -> bool, option: &str| {
            let (who, _) = self.0.iter().find(|(_, said)| is(said))?;
            Some(format!("{who} says {option}"))
        };
        let in_force = self.in_force();
        let one = match in_force.mirrors() {
            true => says(|said| said.deletions.is_some(), "--deletions mirror"),
            false => says(|said| said.flags.is_some(), "--flags source"),
        };
        let other = says(|said| said.switched.is_some(), "--switched");
        let who: Vec<String> = one.into_iter().chain(other).collect();
        let account = self.0.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        Err(ServiceError::usage(format!("for {account} {}: {what}", who.join(", and ")), hint))
    }
}

fn parsed(options: &str) -> Result<CopyOptions, ServiceError> {
    serde_json::from_str(if options.is_empty() { "{}" } else { options })
        .map_err(|error| ServiceError::Stored(format!("options of an account cannot be read: {error}")))
}
