//! One account from sign-in to report. Here stand the phases of a run and their order; each has a file of its own.

use crate::bounds;
use crate::concluding::Seen;
use crate::deletions::refuse_mirror_after_switch;
use crate::error::{INTERRUPTED, WalkError, stop_of, stop_of_ledger};
use crate::final_check::compare_sides;
use crate::job::CopyJob;
use crate::learning::Learning;
use crate::moves::Departures;
use crate::oversight::Oversight;
use crate::passes::Held;
use crate::step;
use crate::stop::StopSignal;
use crate::strands::Shelf;
use crate::summary::Summary;
use crate::walk::{Links, Walk};
use mailhaul_db::{Ledger, PairLease, RunVerdict};
use mailhaul_plan::keys::KeyMaker;
use mailhaul_report::{RunReport, Verdict};
use mailhaul_types::{Side, escape};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Copies one account, and reports on it. Never panics and never fails: what went wrong stands in the report.
pub async fn copy_account(job: &CopyJob, ledger: &Ledger, oversight: &Oversight<'_>) -> RunReport {
    let started = Instant::now();
    let identity = job.accounts.identity();
    let mut report = match ledger.claim_pair_over(&identity, oversight.stale_holder).await {
        Ok(lease) => {
            let report = run_with_lease(job, ledger, &lease, oversight).await;
            finish(lease, report).await
        }
        Err(error) => RunReport { stop: Some(stop_of_ledger(&error)), ..RunReport::default() },
    };
    report.seconds = started.elapsed().as_secs_f64();
    report
}

async fn run_with_lease(job: &CopyJob, ledger: &Ledger, lease: &PairLease, oversight: &Oversight<'_>) -> RunReport {
    let learning = Arc::new(Learning::recall(ledger, &job.accounts).await);
    let walk = Walk::new(job, lease, KeyMaker::new(ledger.digest_key()), oversight, Arc::clone(&learning));
    let mut run = Run::new(&walk);
    let end = tokio::select! {
        biased;
        end = run.work() => end,
        // The steps look at the stop themselves where something may be in flight; this is for a server that hangs
        // anywhere else.
        () = stopped_for_long(oversight.stop) => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    run.file_held().await;
    let Run { mut links, summary, .. } = run;
    // The last pass ends with a look at both sides, which must not rest on what the pass believes.
    let verified = match &end {
        Ok(()) if job.resync.thorough => Some(compare_sides(&walk, &mut links).await),
        _ => None,
    };
    if let Some(links) = &links {
        learning.look_at(links);
    }
    learning.keep(ledger, &job.accounts).await;
    if let (Some(links), Ok(())) = (links, &end) {
        say_goodbye(links).await;
    }
    let stop = verified.as_ref().and_then(|verified| verified.stop.clone());
    let mut report = summary.into_report(end.err().map(stop_of).or(stop));
    report.verified = verified;
    report
}

/// Ends both sessions, as far as the servers answer to that in time.
pub(crate) async fn say_goodbye(links: Links) {
    let farewell = async { tokio::join!(links.source.logout(), links.target.logout()) };
    if tokio::time::timeout(bounds::LOGOUT, farewell).await.is_err() {
        tracing::debug!("a server did not answer LOGOUT");
    }
}

/// Resolves when a stop was asked for and everybody has had the time to notice by himself.
pub(crate) async fn stopped_for_long(stop: &StopSignal) {
    stop.requested().await;
    tokio::time::sleep(bounds::STOP_AT_LAST).await;
}

/// Records how a run ended, and gives the pair back.
pub(crate) async fn finish(lease: PairLease, mut report: RunReport) -> RunReport {
    say_what_is_in_flight(&lease, &mut report).await;
    let verdict = match report.verdict() {
        Verdict::Complete => RunVerdict::Complete,
        Verdict::Exceptions => RunVerdict::Exceptions,
        Verdict::Stopped => RunVerdict::Stopped,
        Verdict::Interrupted => RunVerdict::Interrupted,
        Verdict::Failed => RunVerdict::Failed,
    };
    let reason = report.stop.as_ref().map(|stop| format!("{}; ", stop.reason)).unwrap_or_default();
    let recorded = match lease.finish_run(verdict, &format!("{reason}{}", report.last_line())).await {
        Ok(()) => lease.release().await,
        Err(error) => Err(error),
    };
    if let (Err(error), None) = (recorded, &report.stop) {
        // Nothing may call itself complete that is not on disk.
        report.stop = Some(stop_of_ledger(&error));
    }
    report
}

/// Names the mailboxes of which something may still be in flight when a run was interrupted. A target that hung may have
/// taken it, and the run may have ended long after, while it waited for a new connection.
async fn say_what_is_in_flight(lease: &PairLease, report: &mut RunReport) {
    let Some(stop) = report.stop.as_mut().filter(|stop| stop.reason == INTERRUPTED) else { return };
    // A ledger that cannot be read says so when the end of the run is recorded in it.
    let mailboxes = lease.overview().await.unwrap_or_default();
    let names: Vec<_> =
        mailboxes.iter().filter(|mailbox| mailbox.sent.is_some()).map(|mailbox| &mailbox.mapping.target).collect();
    let more = match names.len() {
        0 => return,
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let first = escape(names[0]);
    stop.reason = format!(
        "{INTERRUPTED}; messages for `{first}`{more} may have been sent and not answered: the next run looks for them"
    );
}

/// A run over one account, and what it has come to know.
pub(crate) struct Run<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) links: Option<Links>,
    /// Whether the source was asked, on this connection, to tell what is gone.
    pub(crate) asked_for_vanished: bool,
    pub(crate) summary: Summary,
    /// Messages that have left their source mailboxes.
    pub(crate) departures: Departures,
    /// Up to where each mailbox was looked at that was passed, by its name as text.
    pub(crate) passed: BTreeMap<String, Seen>,
    /// Mailboxes that were passed and have something left to do before they are filed.
    pub(crate) held: Vec<Held>,
    /// Whether every mailbox that was visited was passed to its end.
    pub(crate) all_passed: bool,
    /// The servers whose connection was lost, or who asked to slow down.
    pub(crate) troubled: BTreeSet<Side>,
    /// What was finished beside this.
    pub(crate) shelf: Shelf,
}

impl<'a> Run<'a> {
    pub(crate) fn new(walk: &'a Walk<'a>) -> Self {
        let (summary, departures) = (Summary::default(), Departures::default());
        Self {
            walk,
            links: None,
            asked_for_vanished: false,
            summary,
            departures,
            passed: BTreeMap::new(),
            held: Vec::new(),
            all_passed: true,
            troubled: BTreeSet::new(),
            shelf: Shelf::default(),
        }
    }

    /// The phases, in their order. Whatever is thrown here stops the account.
    pub(crate) async fn work(&mut self) -> Result<(), WalkError> {
        let walk = self.walk;
        refuse_mirror_after_switch(walk)?;
        walk.progress.doing("signing in".to_owned());
        self.summary.remark_on_plaintext(&walk.job.accounts);
        let mut planned = self.plan().await?;
        self.tell_of_the_rest(&mut planned).await?;
        step::taken("planned")?;
        let visits = self.decide_visits(&planned).await?;
        self.departures.begin(planned.drafts.iter().cloned(), planned.briefs.values());
        if walk.job.recognise_only {
            self.pass_over(&mut planned, &visits).await?;
        } else {
            self.survey(&planned, &visits).await?;
            step::taken("surveyed")?;
            self.pass_over(&mut planned, &visits).await?;
            step::taken("passed over")?;
            self.settle_departures(&planned).await?;
            step::taken("departures settled")?;
        }
        walk.progress.doing("done".to_owned());
        Ok(())
    }
}
