//! What all handlers share, and who is asking.

use crate::door::{Hosts, Throttle};
use crate::metrics::Counted;
use crate::problem::Problem;
use crate::pulse::Pulse;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use mailhaul_service::{AccountTable, PreflightView, Service, Visitor};
use mailhaul_types::{Secret, escape};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// So many notices wait to be shown at most; more belong to browsers that never came back.
const NOTICES_MAX: usize = 1_000;
/// And so many for one of them: the latest.
const WAITING_MAX: usize = 5;
/// For so long at least, what the page of a preflight was read from is good.
const PREFLIGHT_FOR: Duration = Duration::from_secs(5);
/// Reading it takes at most this part of the time.
const SHARE: u32 = 10;
/// See [`App::sign_of_life`].
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// So many that read much at once; there are twice as many connections.
const HEAVY_MAX: usize = 2;

/// What all handlers share.
pub(crate) struct App {
    pub(crate) service: Service,
    /// What made the reports: `mailhaul 0.1.0`.
    pub(crate) made_by: &'static str,
    /// Accounts a process works on at once, for estimates.
    pub(crate) slots: u32,
    pub(crate) hosts: Hosts,
    pub(crate) throttle: Throttle,
    pub(crate) pulse: Arc<Pulse>,
    /// Turns true when the process ends: whoever follows along is let go.
    pub(crate) ending: watch::Receiver<bool>,
    /// The tables of waves, by name.
    tables: tokio::sync::Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<AccountTable>>>>>,
    /// What a page tells once, by session: what actions did.
    notices: Mutex<HashMap<i64, Vec<Notice>>>,
    /// What monitoring is told.
    pub(crate) counted: Counted,
    /// The preflights of waves, by name, with when they were read.
    preflights: tokio::sync::Mutex<BTreeMap<String, (Instant, Arc<PreflightView>)>>,
    /// How often a stream in which nothing happens says that it lives; also how soon a revoked token is noticed.
    pub(crate) sign_of_life: Duration,
    /// Reports, exports and the like at once; others wait, so that the page itself stays quick.
    heavy: Semaphore,
    /// Held for reading by each change that is under way. Whoever ends everything waits for them.
    pub(crate) changes: Arc<tokio::sync::RwLock<()>>,
    /// One sign-in at a time: each of them is a write, and the work has more urgent ones.
    pub(crate) sign_ins: Semaphore,
}

/// What an action on a page did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) hint: String,
    pub(crate) is_error: bool,
}

impl Notice {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: String::new(), is_error: false }
    }
}

impl App {
    pub(crate) fn new(
        service: Service,
        made_by: &'static str,
        slots: u32,
        hosts: Hosts,
        pulse: Arc<Pulse>,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            service,
            made_by,
            slots,
            hosts,
            throttle: Throttle::default(),
            pulse,
            ending,
            tables: tokio::sync::Mutex::default(),
            notices: Mutex::default(),
            counted: Counted::default(),
            preflights: tokio::sync::Mutex::default(),
            sign_of_life: SIGN_OF_LIFE,
            heavy: Semaphore::new(HEAVY_MAX),
            changes: Arc::default(),
            sign_ins: Semaphore::new(1),
        }
    }

    /// The table of a wave; several who ask at once wait for one reading.
    pub(crate) async fn table(&self, wave: &str) -> Result<AccountTable, Problem> {
        let place = {
            let mut tables = self.tables.lock().await;
            if !tables.contains_key(wave) {
                // Names that are no wave's must not fill the memory.
                self.service.wave(wave).await?;
            }
            Arc::clone(tables.entry(wave.to_owned()).or_default())
        };
        let mut place = place.lock().await;
        let _room = self.room().await;
        let table = self.service.account_table(wave, place.take()).await?;
        *place = Some(table.clone());
        Ok(table)
    }

    /// What the latest looks before the copy found in a wave: read anew at most every few seconds, and never for more than
    /// a tenth of the time, for it is one long text for each account.
    pub(crate) async fn preflight(&self, wave: &str) -> Result<Arc<PreflightView>, Problem> {
        let mut known = self.preflights.lock().await;
        let began = Instant::now();
        known.retain(|_, (good_until, _)| *good_until > began);
        if let Some((_, view)) = known.get(wave) {
            return Ok(Arc::clone(view));
        }
        let _room = self.room().await;
        let view = Arc::new(self.service.wave_preflight(wave, self.slots).await?);
        let good_until = Instant::now() + PREFLIGHT_FOR.max(began.elapsed() * SHARE);
        known.insert(wave.to_owned(), (good_until, Arc::clone(&view)));
        Ok(view)
    }

    /// Forgets what was read before something was changed.
    pub(crate) async fn forget_tables(&self) {
        self.tables.lock().await.clear();
        self.pulse.nudge();
    }

    pub(crate) fn leave_notice(&self, visitor: &Visitor, notice: Notice) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() >= NOTICES_MAX {
            notices.clear();
        }
        let waiting = notices.entry(visitor.access).or_default();
        if waiting.len() >= WAITING_MAX {
            waiting.remove(0);
        }
        waiting.push(notice);
    }

    pub(crate) fn take_notices(&self, visitor: &Visitor) -> Vec<Notice> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).remove(&visitor.access).unwrap_or_default()
    }

    /// Room for something that reads much.
    pub(crate) async fn room(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.heavy.acquire().await.ok()
    }
}

/// Who is asking, let in by the door, with the service acting on his behalf.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) app: Arc<App>,
    pub(crate) service: Service,
    pub(crate) visitor: Visitor,
    /// With a browser: what its forms and scripts have to send along.
    pub(crate) csrf: Option<String>,
    /// With a browser: its session.
    pub(crate) session: Option<Secret>,
    /// With a program: its token.
    pub(crate) bearer: Option<Secret>,
    /// Our script asks, to see whether something has changed: what a person is to be told waits for the person.
    pub(crate) is_script: bool,
}

impl Caller {
    /// Whether he is still let in: tokens are revoked while somebody follows along.
    pub(crate) async fn is_still_good(&self) -> bool {
        let found = match (&self.session, &self.bearer) {
            (Some(session), _) => self.app.service.session(session).await,
            (None, Some(bearer)) => self.app.service.bearer(bearer).await,
            (None, None) => return false,
        };
        matches!(found, Ok(Some(visitor)) if visitor == self.visitor)
    }

    /// The path of a page or a file, under the prefix behind a proxy.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.app.hosts.prefix())
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("visitor", &self.visitor).finish_non_exhaustive()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // The door puts it there; a route without the door has no caller.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::signed_out)
    }
}

/// The name in the event log under which somebody acts.
pub(crate) fn actor(visitor: &Visitor) -> String {
    format!("{} (web)", escape(&visitor.name))
}
