//! `mailhaul serve`: work on everything that is queued, and show the page, until told otherwise.

use crate::cli::{ServeArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::working::Shown;
use crate::{display, store, working};
use mailhaul_service::{LiveView, Scope, Service, WorkEnd};
use mailhaul_web::{Listen, Serving, TlsFiles, Web, WebError, WebOptions};
use std::io::Write as _;

/// What made a report.
const MADE_BY: &str = concat!("mailhaul ", env!("CARGO_PKG_VERSION"));

/// Runs the command to its exit code. To be told to stop is how it ends well.
pub(crate) async fn run(args: &ServeArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    say(&format!("serving `{}`; Ctrl-C or SIGTERM ends it", service.ledger().path().display()));
    let shown = Shown::default();
    let work = working::start(&service, "serve", args.workers, Scope::default(), false, &args.lengths, shown).await?;
    let page = match open_page(args, &service, work.view()).await {
        Ok(page) => page,
        Err(error) => {
            // What was begun is put down first.
            work.stop();
            let ended = work.finished().await;
            store::close(service).await?;
            return ended.and(Err(error));
        }
    };
    let end = work.finished().await;
    if let Some(page) = page {
        page.end().await;
    }
    let closed = store::close(service).await;
    let end = end?;
    closed?;
    Ok(match end {
        WorkEnd::Stopped | WorkEnd::Settled => Exit::Done,
    })
}

/// Opens the page, and says where it is. While nobody can sign in, a link for that is printed.
async fn open_page(args: &ServeArgs, service: &Service, live: LiveView) -> Result<Option<Serving>, CommandError> {
    if args.no_page {
        return Ok(None);
    }
    let mut listen: Vec<Listen> = args.listen.iter().copied().map(Listen::Tcp).collect();
    listen.extend(args.socket.iter().cloned().map(Listen::Unix));
    if listen.is_empty() {
        listen.push(Listen::Tcp(crate::cli::LISTEN));
    }
    let tls = args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| TlsFiles { cert, key });
    let is_readable = tls.is_none() && args.public_url.as_ref().is_none_or(|url| url.scheme() != "https");
    let open = listen.iter().any(|place| matches!(place, Listen::Tcp(address) if !address.ip().is_loopback()));
    if open && is_readable {
        say("the page goes over the network readable: --tls-cert and --tls-key, or a proxy with TLS, prevent that");
    }
    let options =
        WebOptions { listen, tls, public_url: args.public_url.clone(), made_by: MADE_BY, slots: args.workers };
    let named = !args.listen.is_empty() || args.socket.is_some();
    let web = match Web::open(service.clone(), live, options).await {
        Err(WebError::Listen { error, .. }) if !named && error.kind() == std::io::ErrorKind::AddrInUse => {
            // Another process shows it already, most likely of the same state file.
            let place = crate::cli::LISTEN;
            say(&format!(
                "{place} is taken, so this process only works; --listen ADDRESS:PORT shows the page elsewhere"
            ));
            return Ok(None);
        }
        opened => opened?,
    };
    match web.url() {
        Some(url) if service.is_locked_out().await? => {
            let code = service.make_sign_in_link().await?;
            let code = String::from_utf8_lossy(code.expose()).into_owned();
            say(&format!("the page: {url}"));
            // What stands behind the # is never sent to a server, nor written into its log.
            say(&format!("sign in with this link, which is good once and for a day: {url}/sign-in#{code}"));
        }
        Some(url) => say(&format!("the page: {url}")),
        None => say("the page: at the socket; --public-url says under which address a proxy shows it"),
    }
    Ok(Some(web.start()))
}

fn say(words: &str) {
    display::aside(|| {
        let _ = writeln!(std::io::stderr(), "{words}");
    });
}

impl From<WebError> for CommandError {
    fn from(error: WebError) -> Self {
        let text = mailhaul_types::escape(&error.to_string());
        match error {
            WebError::Service(error) => error.into(),
            WebError::Listen { .. } => {
                Self::usage(text, "--listen ADDRESS:PORT names another place, --no-page does without the page")
            }
            WebError::Tls { .. } => {
                Self::usage(text, "--tls-cert and --tls-key name files in PEM form, that of the key unencrypted")
            }
            WebError::Usage(_) => Self::usage(text, "for example --public-url https://mail.example/mailhaul"),
        }
    }
}
