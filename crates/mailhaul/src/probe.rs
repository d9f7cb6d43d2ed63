//! `mailhaul probe`: one server, looked at.

use crate::cli::{ProbeArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, secrets, setup, store};
use mailhaul_copy::{Account, probe_endpoint, probe_without_sign_in};
use mailhaul_imap::{Credentials, Dial, Endpoint};
use mailhaul_report::{Block, BlockKind, ProbeReport};
use mailhaul_service::EndpointUrl;
use mailhaul_types::Escaped;
use serde_json::{Value, json};
use std::time::Duration;

/// Runs the command to its exit code.
pub(crate) async fn run(args: &ProbeArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let reports = match &args.url {
        Some(url) => vec![(String::new(), probe_url(url, args).await?)],
        None => {
            let service = store::open_to_look(at).await?;
            service.probe(args.endpoint.as_deref(), args.account.as_deref()).await?
        }
    };
    let text = match (args.json.json, reports.as_slice()) {
        (true, [(_, report)]) => output::json(&report.to_json()),
        (true, reports) => {
            let reports: Vec<Value> = reports.iter().map(|(_, report)| report.to_json()).collect();
            output::json(&json!({ "schema": 1, "probes": reports }))
        }
        (false, reports) => reports.iter().map(|(name, report)| titled(name, report)).collect(),
    };
    output::data(&text)?;
    let first = reports.iter().find_map(|(_, report)| report.failure.as_ref());
    Ok(first.map_or(Exit::Done, of_block))
}

fn titled(name: &str, report: &ProbeReport) -> String {
    if name.is_empty() { report.to_text() } else { format!("endpoint {}: {}", Escaped(name), report.to_text()) }
}

async fn probe_url(url: &str, args: &ProbeArgs) -> Result<ProbeReport, CommandError> {
    let url = EndpointUrl::parse(url, &args.allow_plaintext).map_err(|fault| {
        CommandError::usage(
            fault.to_string(),
            "a server looks like imaps://mail.example, or imap://mail.example for STARTTLS; --endpoint names a stored one",
        )
    })?;
    let trust = setup::trust("--pin", &args.pin, args.ca_file.as_deref())?;
    let timeouts = setup::timeouts(Duration::from_secs(args.timeout));
    let compress = url.compress.unwrap_or_default();
    let endpoint = Endpoint { host: url.host, port: url.port, tls: url.tls, trust, dial: Dial::Tcp, compress };
    if url.user.is_empty() {
        return Ok(probe_without_sign_in(&endpoint, &timeouts).await);
    }
    let source = secrets::SecretSource { file: args.password_file.clone(), command: args.password_command.clone() };
    let whose = format!("{} at {}", Escaped(&url.user), endpoint.host);
    let password = secrets::read_for("--password", &whose, &source)?;
    let credentials = Credentials { user: url.user, password, authorization_identity: None };
    Ok(probe_endpoint(&Account { endpoint, credentials, owner: None }, &timeouts).await)
}

/// The exit code for what stood in the way.
pub(crate) fn of_block(block: &Block) -> Exit {
    match block.kind {
        BlockKind::SignIn => Exit::SignIn,
        BlockKind::Network | BlockKind::Server | BlockKind::Throttle | BlockKind::Protocol | BlockKind::Tls => {
            Exit::Unreachable
        }
        BlockKind::Quota | BlockKind::Decision | BlockKind::Local => Exit::Decision,
        BlockKind::Usage => Exit::Usage,
        BlockKind::Internal => Exit::Internal,
        BlockKind::Interrupted => Exit::Interrupted,
    }
}
