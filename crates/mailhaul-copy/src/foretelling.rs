//! How long the copy will take that a dry run has looked at: what it comes to, and what earlier runs have learnt of the
//! two servers. The figure is made by `mailhaul_plan::estimate`.

use crate::job::CopyJob;
use crate::learning::{recall, unix_secs};
use crate::walk::Links;
use mailhaul_db::Ledger;
use mailhaul_imap::LiteralMode;
use mailhaul_plan::estimate::{Basis, Estimate, Work, estimate};
use mailhaul_plan::experience::Load;
use mailhaul_plan::mailboxes::{AccountListing, MappedMailbox};
use mailhaul_plan::profile::HostProfile;
use mailhaul_report::{TimeBasis, TimeEstimate};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What is gathered while the dry run looks.
pub(crate) struct Foreteller {
    known: [HostProfile; 2],
    began: Instant,
    work: Work,
    /// Names of the target mailboxes that are subscribed.
    subscribed: BTreeSet<String>,
}

impl Foreteller {
    /// Before anything is connected: signing in and listing take a run as long as they take now.
    pub(crate) async fn begin(job: &CopyJob, ledger: Option<&Ledger>) -> Self {
        let known = recall(ledger, &job.accounts, unix_secs()).await;
        let work = Work { connections: job.connections.most, ..Work::default() };
        Self { known, began: Instant::now(), work, subscribed: BTreeSet::new() }
    }

    /// Both sides are connected and listed.
    pub(crate) fn is_set_up(&mut self, target: &AccountListing) {
        self.work.set_up_secs = self.began.elapsed().as_secs_f64();
        let subscribed = target.mailboxes.iter().filter(|entry| entry.subscribed);
        self.subscribed = subscribed.map(|entry| entry.name.text().to_owned()).collect();
    }

    /// So much of a mailbox is to be copied.
    pub(crate) fn foresee(&mut self, mapped: &MappedMailbox, messages: u64, octets: u64, is_known: bool) {
        if is_known && messages == 0 {
            return;
        }
        let load = Load { mailboxes: 1, messages, octets };
        let work = &mut self.work;
        work.all = work.all.plus(load);
        if (load.messages, load.octets) > (work.largest.messages, work.largest.octets) || work.largest.mailboxes == 0 {
            work.largest = load;
        }
        let is_inbox = mapped.target_text.eq_ignore_ascii_case("INBOX");
        work.to_create += u64::from(!mapped.exists_on_target && !is_inbox);
        work.to_subscribe += u64::from(mapped.subscribed && !self.subscribed.contains(&mapped.target_text));
    }

    /// How long it will take; `None` if nothing is to be copied.
    pub(crate) fn foretell(&self, job: &CopyJob, links: &Links) -> Option<TimeEstimate> {
        let [source, target] = &self.known;
        let round_trip = links.source.round_trip().max(links.target.round_trip()).unwrap_or_default();
        let work = Work {
            round_trip_secs: round_trip.as_secs_f64(),
            waits_for_each: links.target.capabilities().literal_mode() == LiteralMode::Synchronising,
            connections: job.connections.most,
            ..self.work
        };
        let now_unix_secs = unix_secs();
        let told = estimate(&work, source, target, now_unix_secs);
        tracing::debug!(?work, ?told, "reckoned how long it will take");
        (work.all.messages > 0).then(|| in_report(told, work.round_trip_secs, now_unix_secs))
    }
}

fn in_report(told: Estimate, round_trip_secs: f64, now_unix_secs: i64) -> TimeEstimate {
    let basis = match told.basis {
        Basis::Measured => TimeBasis::Measured,
        Basis::MeasuredUnlike => TimeBasis::MeasuredUnlike,
        Basis::MeasuredInPart => TimeBasis::MeasuredInPart,
        Basis::Assumed => TimeBasis::Assumed,
    };
    let measured_seconds_ago = told.measured_at_unix_secs.and_then(|at| u64::try_from(now_unix_secs - at).ok());
    TimeEstimate {
        seconds: told.seconds,
        least_seconds: told.least,
        most_seconds: told.most,
        basis,
        measured_seconds_ago,
        round_trip_ms: round_trip_secs * 1_000.0,
    }
}
