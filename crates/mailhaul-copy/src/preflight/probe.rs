//! A look at one server: what it shows to strangers, what it shows to somebody who has signed in, and what mailhaul
//! would do with it.

use super::block::block_of_link;
use super::opening::{doubts, ends_soon, sign_in_ms, step_of};
use super::sentences::{as_source, as_target, in_any_case};
use super::target::{Limits, limits};
use crate::bounds;
use crate::error::LinkError;
use crate::job::Account;
use mailhaul_imap::{
    Capabilities, Connection, Endpoint, ImapError, Introduction, Namespace, Timeouts, TlsFacts, TlsMode,
    look_without_sign_in,
};
use mailhaul_report::{PreflightStep, ProbeReport, TlsReport};
use mailhaul_types::{MailboxName, NameEncoding, Side, escape};

/// Looks at one server with somebody's credentials: one connection, one sign-in, nothing written. Never fails: what went
/// wrong stands in the report.
pub async fn probe_endpoint(account: &Account, timeouts: &Timeouts) -> ProbeReport {
    let mut introduction = Introduction::default();
    let Account { endpoint, credentials, .. } = account;
    // As a target: what is only asked of a source (UTF8=ACCEPT) would change what is shown.
    let opened = Connection::open_telling(Side::Target, endpoint, credentials, timeouts, &mut introduction).await;
    let mut report = introduced(endpoint, &introduction);
    report.remarks = doubts(account, &introduction);
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => {
            fail(&mut report, error, step_of(introduction.step()));
            describe(&mut report, endpoint, &introduction, None);
            return report;
        }
    };
    report.software = connection.server_software().map(escape);
    report.capabilities_after = names(connection.capabilities());
    if let Err((step, error)) = look_around(&mut report, &mut connection).await {
        fail(&mut report, error, step);
    }
    describe(&mut report, endpoint, &introduction, Some(connection.capabilities()));
    let _ = tokio::time::timeout(bounds::LOGOUT, connection.logout()).await;
    report
}

/// Looks at one server as far as it shows itself to strangers. Never fails: what went wrong stands in the report.
pub async fn probe_without_sign_in(endpoint: &Endpoint, timeouts: &Timeouts) -> ProbeReport {
    let mut introduction = Introduction::default();
    let looked = look_without_sign_in(endpoint, timeouts, &mut introduction).await;
    let mut report = introduced(endpoint, &introduction);
    report.remarks.extend(introduction.tls.as_ref().and_then(ends_soon));
    if endpoint.tls == TlsMode::Plain {
        report.remarks.push("the connection is not encrypted".to_owned());
    }
    if let Err(error) = looked {
        fail(&mut report, error, step_of(introduction.step()));
    }
    describe(&mut report, endpoint, &introduction, None);
    report
}

fn introduced(endpoint: &Endpoint, introduction: &Introduction) -> ProbeReport {
    ProbeReport {
        host: escape(&endpoint.host),
        port: endpoint.port,
        address: introduction.address.map(|address| address.to_string()),
        passed: introduction.passed().iter().map(|step| step_of(*step)).collect(),
        tls: introduction.tls.as_ref().map(tls_report),
        greeting: introduction.greeting.as_deref().map(escape),
        capabilities_before: names(&introduction.capabilities),
        sign_in_ms: sign_in_ms(introduction),
        ..ProbeReport::default()
    }
}

fn tls_report(facts: &TlsFacts) -> TlsReport {
    TlsReport {
        version: facts.version.to_owned(),
        cipher: escape(&facts.cipher),
        subject: facts.subject.as_deref().map(escape),
        issuer: facts.issuer.as_deref().map(escape),
        ends_unix_secs: facts.ends_unix_secs,
        sha256: facts.sha256.clone(),
    }
}

fn names(capabilities: &Capabilities) -> Vec<String> {
    capabilities.iter().map(escape).collect()
}

fn fail(report: &mut ProbeReport, error: ImapError, step: PreflightStep) {
    let mut block = block_of_link(&LinkError::new(Side::Source, error), step);
    // There is only one server here.
    block.side = None;
    report.failure = Some(block);
}

/// Namespaces, mailboxes, room.
async fn look_around(report: &mut ProbeReport, connection: &mut Connection) -> Result<(), (PreflightStep, ImapError)> {
    let at = |step: PreflightStep| move |error: ImapError| (step, error);
    let namespaces = connection.namespaces().await.map_err(at(PreflightStep::Mailboxes))?;
    let encoding = connection.name_encoding();
    for (whose, spaces) in
        [("personal", namespaces.personal), ("other users'", namespaces.other_users), ("shared", namespaces.shared)]
    {
        report.namespaces.extend(spaces.iter().map(|space| namespace_in_words(whose, space, encoding)));
    }
    let mailboxes = connection.list_mailboxes().await.map_err(at(PreflightStep::Mailboxes))?;
    report.mailboxes = Some(mailboxes.len() as u64);
    report.passed.push(PreflightStep::Mailboxes);
    let Limits { quotas, append_limit_bytes, unknown } = limits(connection).await.map_err(at(PreflightStep::Quota))?;
    report.quotas = quotas;
    report.append_limit_bytes = append_limit_bytes;
    report.remarks.extend(unknown);
    report.passed.push(PreflightStep::Quota);
    Ok(())
}

fn namespace_in_words(whose: &str, space: &Namespace, encoding: NameEncoding) -> String {
    let prefix = escape(MailboxName::from_wire(&space.prefix, encoding).text());
    let prefix = if prefix.is_empty() { "no prefix".to_owned() } else { format!("prefix \"{prefix}\"") };
    match space.delimiter {
        Some(delimiter) => format!("{whose}: {prefix}, delimiter \"{}\"", escape(&delimiter.to_string())),
        None => format!("{whose}: {prefix}, no hierarchy"),
    }
}

/// What mailhaul will do. What a server announces before sign-in is said to be incomplete, so nothing is concluded from
/// it but how to sign in.
fn describe(
    report: &mut ProbeReport,
    endpoint: &Endpoint,
    introduction: &Introduction,
    signed_in: Option<&Capabilities>,
) {
    if !introduction.capabilities.is_empty() {
        report.in_any_case = in_any_case(&introduction.capabilities, endpoint.tls, signed_in);
    }
    if let Some(capabilities) = signed_in {
        report.as_source = as_source(capabilities);
        report.as_target = as_target(capabilities, report.append_limit_bytes);
    }
}
