//! Opening both ends at once, each for itself: a wrong password on one side must not hide another on the other.

use super::Look;
use super::block::block_of_link;
use crate::error::LinkError;
use crate::job::Account;
use crate::oversight::ServerSign;
use crate::walk::Links;
use mailhaul_imap::{Connection, Introduction, OpeningStep, TlsFacts, TlsMode};
use mailhaul_report::{AccountPreflight, PreflightStep, RemarkKind, SidePreflight};
use mailhaul_types::{InternalDate, Side, escape};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long before its end a certificate is worth a remark: a migration takes weeks.
const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(21 * 86_400);

impl Look<'_> {
    /// Opens both ends. `None`: at least one of them did not open, and what is in the way is filed.
    pub(super) async fn open_both(&mut self) -> Option<Links> {
        let accounts = &self.job.accounts;
        let (mut at_source, mut at_target) = (Introduction::default(), Introduction::default());
        let open = async |side, account: &Account, introduction: &mut Introduction| {
            let Account { endpoint, credentials, .. } = account;
            Connection::open_telling(side, endpoint, credentials, &accounts.timeouts, introduction).await
        };
        let (source, target) = tokio::join!(
            open(Side::Source, &accounts.source, &mut at_source),
            open(Side::Target, &accounts.target, &mut at_target)
        );
        let source = self.file(Side::Source, &accounts.source, &at_source, source);
        let target = self.file(Side::Target, &accounts.target, &at_target, target);
        match (source, target) {
            (Some(source), Some(target)) => {
                self.oversight.progress.watch(vec![source.pulse(), target.pulse()]);
                Some(Links { source, target })
            }
            (one, other) => {
                for connection in [one, other].into_iter().flatten() {
                    let _ = tokio::time::timeout(crate::bounds::LOGOUT, connection.logout()).await;
                }
                None
            }
        }
    }

    fn file(
        &mut self,
        side: Side,
        account: &Account,
        introduction: &Introduction,
        opened: Result<Connection, mailhaul_imap::ImapError>,
    ) -> Option<Connection> {
        for text in doubts(account, introduction) {
            self.remark(RemarkKind::Security, Some(side), None, text);
        }
        let lines = side_of(&mut self.found, side);
        lines.host = escape(&account.endpoint.host);
        lines.passed = introduction.passed().iter().map(|step| step_of(*step)).collect();
        lines.tls = introduction.tls.as_ref().map(|tls| escape(&format!("{}, {}", tls.version, tls.cipher)));
        lines.sign_in_ms = sign_in_ms(introduction);
        match opened {
            Ok(connection) => {
                self.oversight.supervisor.sign(side, ServerSign::Served);
                lines.software = connection.server_software().map(escape);
                lines.capabilities = connection.capabilities().iter().map(escape).collect();
                Some(connection)
            }
            Err(error) => {
                let step = step_of(introduction.step());
                lines.failed = Some(step);
                let link = LinkError::new(side, error);
                self.tell(&link);
                self.found.blocks.push(block_of_link(&link, step));
                None
            }
        }
    }
}

/// One side of the report.
pub(super) fn side_of(found: &mut AccountPreflight, side: Side) -> &mut SidePreflight {
    match side {
        Side::Source => &mut found.source,
        Side::Target => &mut found.target,
    }
}

pub(super) fn step_of(step: OpeningStep) -> PreflightStep {
    match step {
        OpeningStep::Resolve => PreflightStep::Resolve,
        OpeningStep::Connect => PreflightStep::Connect,
        OpeningStep::Tls => PreflightStep::Tls,
        OpeningStep::Greeting => PreflightStep::Greeting,
        OpeningStep::SignIn => PreflightStep::SignIn,
        OpeningStep::Capabilities => PreflightStep::Capabilities,
    }
}

pub(super) fn sign_in_ms(introduction: &Introduction) -> Option<u64> {
    introduction.signed_in_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
}

/// What of the protection of this connection is worth a remark.
pub(super) fn doubts(account: &Account, introduction: &Introduction) -> Vec<String> {
    let mut doubts = Vec::new();
    if account.endpoint.tls == TlsMode::Plain {
        doubts.push("the connection is not encrypted".to_owned());
    }
    doubts.extend(introduction.tls.as_ref().and_then(ends_soon));
    doubts
}

pub(super) fn ends_soon(tls: &TlsFacts) -> Option<String> {
    let ends = tls.ends_unix_secs?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let soon = i64::try_from((now + CERTIFICATE_ENDS_SOON).as_secs()).unwrap_or(i64::MAX);
    (ends < soon).then(|| format!("the server's certificate ends on {}", InternalDate::from_unix_secs(ends)))
}
