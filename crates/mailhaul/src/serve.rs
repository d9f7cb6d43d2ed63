//! `mailhaul serve`: work on everything that is queued, and show the page, until told otherwise.

use crate::cli::{ServeArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::working::Shown;
use crate::{display, store, working};
use mailhaul_service::{Scope, Service, WorkEnd};
use mailhaul_web::{Listen, Serving, TlsFiles, Web, WebError, WebOptions};
use std::io::{IsTerminal as _, Write as _};

/// What made a report.
const MADE_BY: &str = concat!("mailhaul ", env!("CARGO_PKG_VERSION"));

/// Runs the command to its exit code. To be told to stop is how it ends well.
pub(crate) async fn run(args: &ServeArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    // Before any work is begun: a mistyped file name must not first sign in to servers.
    let opened = open_page(args, &service).await;
    let (page, work) = match begin(args, &service, opened).await {
        Ok(begun) => begun,
        Err(error) => {
            store::close(service).await?;
            return Err(error);
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

/// Takes up the work, and lets people in.
async fn begin(
    args: &ServeArgs,
    service: &Service,
    opened: Result<Option<Web>, CommandError>,
) -> Result<(Option<Serving>, working::Begun), CommandError> {
    let web = opened?;
    let words = match &web {
        // Whoever cannot be greeted is no reason not to work.
        Some(web) => welcome(web, service).await.unwrap_or_else(|error| vec![format!("the page: {error}")]),
        None => Vec::new(),
    };
    say(&format!("serving `{}`; Ctrl-C or SIGTERM ends it", service.ledger().path().display()));
    let shown = Shown::default();
    let work = working::start(service, "serve", args.workers, Scope::default(), false, &args.lengths, shown).await?;
    let page = web.map(|web| web.start(work.view()));
    for line in words {
        say(&line);
    }
    Ok((page, work))
}

/// Opens the page: nobody is let in yet. `None` if there is none.
async fn open_page(args: &ServeArgs, service: &Service) -> Result<Option<Web>, CommandError> {
    if args.no_page {
        return Ok(None);
    }
    let mut listen: Vec<Listen> = args.listen.iter().copied().map(Listen::Tcp).collect();
    listen.extend(args.socket.iter().cloned().map(|path| Listen::Unix(path, args.socket_mode)));
    if listen.is_empty() {
        listen.push(Listen::Tcp(crate::cli::LISTEN));
    }
    let tls = args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| TlsFiles { cert, key });
    let is_readable = tls.is_none() && args.public_url.as_ref().is_none_or(|url| url.scheme() != "https");
    let open = listen.iter().any(|place| matches!(place, Listen::Tcp(address) if !address.ip().is_loopback()));
    if open && is_readable {
        say("the page goes over the network readable: --tls-cert and --tls-key, or a proxy with TLS, prevent that");
    }
    // Whoever says anything about the page wants it.
    let named = !args.listen.is_empty() || args.socket.is_some() || tls.is_some() || args.public_url.is_some();
    let options = WebOptions {
        listen,
        tls,
        public_url: args.public_url.clone(),
        made_by: MADE_BY,
        slots: args.workers,
        private_servers: args.allow_private_servers,
    };
    match Web::open(service, options).await {
        // Nobody asked for it: work that went well before there was a page goes on without one.
        Err(WebError::Listen { place, error }) if !named => {
            let why = match error.kind() {
                std::io::ErrorKind::AddrInUse => "somebody listens there already".to_owned(),
                _ => mailhaul_types::escape(&error.to_string()),
            };
            say(&format!(
                "there is no page at {place}: {why}; this process only works. --listen ADDRESS:PORT shows it elsewhere, \
                 and --no-page does without it"
            ));
            Ok(None)
        }
        opened => Ok(Some(opened?)),
    }
}

/// Where the page is, and how to sign in. A code is only shown to somebody who sits there: what goes into a journal is kept
/// and read by others.
async fn welcome(web: &Web, service: &Service) -> Result<Vec<String>, CommandError> {
    let Some(url) = web.url() else {
        return Ok(vec!["the page: at the socket; --public-url says under which address a proxy shows it".to_owned()]);
    };
    let mut words = vec![format!("the page: {url}")];
    if !service.is_locked_out().await? {
        words.push("`mailhaul token link` prints a code that signs a browser in".to_owned());
    } else if std::io::stderr().is_terminal() {
        let code = service.make_sign_in_link(None).await?;
        let code = String::from_utf8_lossy(code.expose()).into_owned();
        // What stands behind the # is never sent to a server, nor written into its log.
        words.push(format!("sign in with this link, which is good once and for a day: {url}/sign-in#{code}"));
    } else {
        words.push(
            "nobody can sign in as an administrator yet: `mailhaul token link` prints a code for that".to_owned(),
        );
    }
    Ok(words)
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
