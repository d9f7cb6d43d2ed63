//! Putting it together: what listens, what answers, and its beginning and end.

use crate::app::App;
use crate::door::{Bound, Hosts, check_host, secure};
use crate::listen::{Bounds, Listen, Listener, TlsFiles, WebError, acceptor};
use crate::problem::Problem;
use crate::pulse::Pulse;
use crate::{api, metrics, pages};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::IntoResponse as _;
use mailhaul_service::{LiveView, Service};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service as _;
use url::Url;

/// Where and how to be reached.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// TLS for all ports.
    pub tls: Option<TlsFiles>,
    /// The URL under which a reverse proxy shows us: scheme, host, and the prefix of all paths.
    pub public_url: Option<Url>,
    /// What made the reports: `mailhaul 0.1.0`.
    pub made_by: &'static str,
    /// Accounts that this process works on at once, for estimates.
    pub slots: u32,
    /// Whether servers may be named here that stand in private networks, on this machine, or at ports of their own.
    pub private_servers: bool,
}

/// The open door, not serving yet.
pub struct Web {
    app: Arc<App>,
    listeners: Vec<Listener>,
    end: watch::Sender<bool>,
}

impl Web {
    /// Opens the door, so that what stands in the way is known before any work is begun. Nobody is let in yet.
    ///
    /// # Errors
    /// If an address cannot be listened on, or the TLS files cannot be used.
    pub async fn open(service: &Service, options: WebOptions) -> Result<Self, WebError> {
        if let Some(url) = options.public_url.as_ref().filter(|url| !is_plain(url)) {
            return Err(WebError::Usage(format!(
                "`{url}` cannot be the URL of the page: it is http:// or https://, a host, and perhaps a path"
            )));
        }
        let tls = options.tls.as_ref().map(acceptor).transpose()?;
        let mut listeners = Vec::new();
        for place in &options.listen {
            listeners.push(Listener::bind(place, tls.as_ref()).await?);
        }
        let bound = listeners.iter().map(|listener| listener.address().map_or(Bound::Socket, Bound::Tcp)).collect();
        let hosts = Hosts::new(bound, tls.is_some(), options.public_url);
        let (end, ending) = watch::channel(false);
        // Whoever looks must not keep those who work from reading.
        let service = service.reading_apart();
        let service = if options.private_servers { service } else { service.without_private_servers() };
        let pulse = Arc::new(Pulse::new(service.clone()));
        let app = Arc::new(App::new(service, options.made_by, options.slots, hosts, pulse, ending));
        Ok(Self { app, listeners, end })
    }

    /// Where a browser finds the page; `None` if we listen on a socket only and no proxy is named.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.app.hosts.url()
    }

    /// The ports at which it listens.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.listeners.iter().filter_map(Listener::address).collect()
    }

    /// Begins to serve, in the background. `live` is what this process is doing.
    #[must_use]
    pub fn start(self, live: LiveView) -> Serving {
        self.start_within(live, Bounds::default())
    }

    pub(crate) fn start_within(self, live: LiveView, bounds: Bounds) -> Serving {
        self.app.pulse.show(live);
        let router = router(&self.app);
        let mut listening = JoinSet::new();
        for listener in self.listeners {
            listening.spawn(listener.serve(router.clone(), bounds, self.app.ending.clone()));
        }
        let mut beside = JoinSet::new();
        beside.spawn(Arc::clone(&self.app.pulse).beat());
        beside.spawn(write_down_uses(self.app.service.clone()));
        let (service, changes) = (self.app.service.clone(), Arc::clone(&self.app.changes));
        Serving { service, listening, beside, changes, end: self.end }
    }
}

/// Writes down who came in, beside everything else: nobody who comes in waits for it.
async fn write_down_uses(service: Service) {
    loop {
        service.somebody_came().await;
        if let Err(error) = service.write_down_uses().await {
            tracing::debug!(%error, "who came in could not be written down yet");
        }
        tokio::time::sleep(WRITTEN_EVERY).await;
    }
}

/// How often at most it is written down who came in.
const WRITTEN_EVERY: Duration = Duration::from_secs(30);
/// How long the end may take when something does not let go.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// The page, being served.
pub struct Serving {
    service: Service,
    listening: JoinSet<()>,
    beside: JoinSet<()>,
    /// See [`App`].
    changes: Arc<tokio::sync::RwLock<()>>,
    end: watch::Sender<bool>,
}

impl Serving {
    /// Lets everybody go, and ends: within seconds, whatever anybody is in the middle of.
    pub async fn end(mut self) {
        // Nobody listens any more if all have ended already.
        let _ = self.end.send(true);
        let let_go = async {
            while self.listening.join_next().await.is_some() {}
            self.beside.shutdown().await;
            // Changes go on without whoever asked for them.
            drop(self.changes.write().await);
        };
        let closed = async {
            let _ = self.service.write_down_uses().await;
            // Whoever changed something here, or came in, may have opened the writing connection once more.
            let _ = self.service.queue().close().await;
            self.service.close_reading().await;
        };
        let is_over = tokio::time::timeout(ENDED_WITHIN, let_go).await.is_ok();
        if tokio::time::timeout(ENDED_WITHIN, closed).await.is_err() || !is_over {
            tracing::debug!("somebody who looked did not let go in time");
        }
    }
}

/// Everything that is answered.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let inner = Router::new()
        .merge(api::router(app))
        .merge(metrics::router(app))
        .merge(pages::router(app))
        .layer(from_fn_with_state(Arc::clone(app), check_host))
        .layer(map_response(secure));
    // Below the prefix if the proxy leaves it on, and without it if the proxy takes it off.
    let prefix = app.hosts.prefix().to_owned();
    if prefix.is_empty() {
        return inner;
    }
    let handle = move |request: Request| {
        let (mut inner, prefix) = (inner.clone(), prefix.clone());
        async move {
            match strip(request, &prefix) {
                Ok(request) => inner.call(request).await.unwrap_or_else(|never| match never {}),
                Err(problem) => secure(problem.into_response()).await,
            }
        }
    };
    Router::new().fallback(handle)
}

fn strip(mut request: Request, prefix: &str) -> Result<Request, Problem> {
    let Some(path) = request.uri().path_and_query().map(|path| path.as_str().to_owned()) else { return Ok(request) };
    let Some(rest) = path.strip_prefix(prefix) else { return Ok(request) };
    let rest = match rest.chars().next() {
        Some('/') => rest.to_owned(),
        None | Some('?') => format!("/{rest}"),
        // Another path that only begins alike.
        Some(_) => return Ok(request),
    };
    let uri = rest.parse().map_err(|_| Problem::not_found())?;
    *request.uri_mut() = uri;
    Ok(request)
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}
