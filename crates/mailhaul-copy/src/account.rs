//! One account from sign-in to report: list, map, then one mailbox after the other, over as many connections as it
//! takes.

use crate::bounds;
use crate::error::{LinkError, WalkError, stop_of, stop_of_ledger};
use crate::job::CopyJob;
use crate::listing::{Listings, connect, list_both};
use crate::mapping::agree_on_mapping;
use crate::oversight::{Oversight, ServerSign};
use crate::pass::pass;
use crate::pause;
use crate::prepare::prepare_target;
use crate::stop::StopSignal;
use crate::summary::Summary;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::{Ledger, PairLease, RunVerdict};
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::mailboxes::{LeftOutReason, MappedMailbox, Mapping};
use mailhaul_report::{RunReport, Verdict};
use mailhaul_types::{MailboxName, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::Instrument as _;

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
    let walk = Walk::new(job, lease, KeyMaker::new(ledger.digest_key()), oversight);
    let mut run = Run { walk: &walk, links: None, summary: Summary::default() };
    let end = tokio::select! {
        end = run.work() => end,
        // The steps look at the stop themselves where something may be in flight; this is for a server that hangs
        // anywhere else.
        () = stopped_for_long(oversight.stop) => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    let Run { links, summary, .. } = run;
    if let (Some(links), Ok(())) = (links, &end) {
        let farewell = async { tokio::join!(links.source.logout(), links.target.logout()) };
        if tokio::time::timeout(bounds::LOGOUT, farewell).await.is_err() {
            tracing::debug!("a server did not answer LOGOUT");
        }
    }
    summary.into_report(end.err().map(stop_of))
}

/// Resolves when a stop was asked for and everybody has had the time to notice by himself.
async fn stopped_for_long(stop: &StopSignal) {
    stop.requested().await;
    tokio::time::sleep(bounds::STOP_AT_LAST).await;
}

async fn finish(lease: PairLease, mut report: RunReport) -> RunReport {
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

/// One line of the story an operator can follow.
fn tell_of(mapped: &MappedMailbox, tally: &Tally) {
    let (listed, copied, adopted) = (tally.listed.len(), tally.copied.len(), tally.adopted.len());
    tracing::info!(mailbox.name = %mapped.source, listed, copied, adopted, "mailbox {}: {copied} of {listed} messages \
        copied, {adopted} found on the target", mapped.source);
}

/// What a run knows before it works on the first mailbox.
struct Planned {
    /// Messages in source mailboxes, by name, as far as the server told them.
    counts: BTreeMap<String, u32>,
    /// Names of the target mailboxes that are subscribed.
    subscribed: BTreeSet<String>,
    mapping: Mapping,
    /// Source mailboxes that earlier runs knew and that are not listed any more.
    vanished: Vec<String>,
}

struct Run<'a> {
    walk: &'a Walk<'a>,
    links: Option<Links>,
    summary: Summary,
}

impl Run<'_> {
    async fn work(&mut self) -> Result<(), WalkError> {
        let walk = self.walk;
        walk.progress.doing("signing in".to_owned());
        self.summary.remark_on_plaintext(&walk.job.accounts);
        let Planned { counts, subscribed, mut mapping, vanished } = self.plan().await?;
        walk.progress.expect_mailboxes(mapping.mailboxes.len() as u64);
        for mapped in &mapping.mailboxes {
            if let Some(messages) = counts.get(mapped.source.text()) {
                walk.progress.foresee(mapped.source.text(), u64::from(*messages));
            }
        }
        for left_out in mapping.left_out.clone() {
            let wanted = left_out.reason != LeftOutReason::NotSelectable;
            let messages = match counts.get(left_out.source.text()) {
                Some(messages) => Some(*messages),
                None if wanted => self.messages_at_source(&left_out.source).await?,
                None => None,
            };
            self.summary.leave_out(&left_out.source, &left_out.reason, messages);
        }
        self.look_at_vanished(&vanished, mapping.mailboxes.len()).await?;
        let order = mapping.mailboxes.clone();
        for (place, mapped) in order.iter().enumerate() {
            if !walk.supervisor.goes_on() {
                self.not_reached(&order[place..], &counts).await;
                return Err(WalkError::Interrupted { unanswered: 0 });
            }
            let mut tally = Tally::default();
            let span = tracing::info_span!("mailbox", mailbox.name = %mapped.source);
            let result = self.work_on(place, &mut mapping, &subscribed, &mut tally).instrument(span).await;
            tell_of(mapped, &tally);
            let target = mapping.mailboxes[place].target_text.clone();
            let end = self.summary.file(walk, mapped, &target, &tally, result).await;
            walk.progress.finish_mailbox(mapped.source.text());
            if let Err(error) = end {
                self.not_reached(&order[place + 1..], &counts).await;
                return Err(error);
            }
        }
        walk.progress.doing("done".to_owned());
        Ok(())
    }

    /// Says what became of mailboxes that earlier runs knew. All of them gone at once is no tidying.
    async fn look_at_vanished(&mut self, vanished: &[String], listed: usize) -> Result<(), WalkError> {
        let all = vanished.len() >= bounds::MAILBOXES_FOR_MASS_ABSENCE && vanished.len() > listed;
        for source in vanished {
            let state = self.walk.lease.mailbox(source).await?.load().await?;
            self.summary.vanished(source, &state, all && !self.walk.job.accept_mass_absence);
        }
        Ok(())
    }

    /// Files the mailboxes that the run did not come to, as far as it is still known what they hold.
    async fn not_reached(&mut self, rest: &[MappedMailbox], counts: &BTreeMap<String, u32>) {
        for mapped in rest {
            let listed = counts.get(mapped.source.text()).copied();
            let known = async { self.walk.lease.mailbox(mapped.source.text()).await?.load().await };
            let (settled, scanned) = match known.await {
                Ok(state) => (state.settled.len(), state.scan.map(|scan| scan.exists)),
                Err(_) => (0, None),
            };
            let messages = listed.or(scanned).map_or(settled, u64::from);
            self.summary.not_reached(mapped, messages, settled);
        }
    }

    /// Signs in, lists both sides, and settles which mailbox goes where.
    async fn plan(&mut self) -> Result<Planned, WalkError> {
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        loop {
            let attempt = async {
                let links = self.connected().await?;
                list_both(links).await
            };
            match attempt.await {
                Ok(Listings { source, target, counts }) => {
                    let (mapping, vanished) = agree_on_mapping(self.walk, &source, &target).await?;
                    self.summary.remark_on_mapping(&mapping);
                    let subscribed = target.mailboxes.iter().filter(|entry| entry.subscribed);
                    let subscribed = subscribed.map(|entry| entry.name.text().to_owned()).collect();
                    return Ok(Planned { counts, subscribed, mapping, vanished });
                }
                Err(error) => self.recover(error, &mut pauses, true).await?,
            }
        }
    }

    /// Passes over one mailbox until one comes to its end.
    async fn work_on(
        &mut self,
        place: usize,
        mapping: &mut Mapping,
        subscribed: &BTreeSet<String>,
        tally: &mut Tally,
    ) -> Result<(), WalkError> {
        let walk = self.walk;
        let source = mapping.mailboxes[place].source.clone();
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        let mut first = true;
        loop {
            let settled = tally.copied.len() + tally.adopted.len();
            let attempt = async {
                let links = self.connected().await?;
                let name = prepare_target(walk, links, mapping, place, subscribed).await?;
                let ledger = walk.lease.mailbox(source.text()).await?;
                let pair = Pair { source: &source, target: &name, ledger: &ledger };
                walk.doing(&pair, "copying");
                let result = pass(walk, links, &pair, tally).await;
                ledger.flush().await?;
                result
            };
            let error = match attempt.await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if tally.copied.len() + tally.adopted.len() > settled {
                pauses = pause::reconnects(self.walk.supervisor.reconnects());
            }
            self.recover(error, &mut pauses, first).await?;
            first = false;
        }
    }

    async fn connected(&mut self) -> Result<&mut Links, WalkError> {
        if self.links.is_none() {
            let links = connect(&self.walk.job.accounts).await.map_err(WalkError::Link)?;
            self.walk.progress.watch(vec![links.source.pulse(), links.target.pulse()]);
            for side in [Side::Source, Side::Target] {
                self.walk.supervisor.sign(side, ServerSign::Served);
            }
            self.links = Some(links);
        }
        self.links.as_mut().ok_or_else(|| WalkError::Mailbox("not connected".to_owned()))
    }

    /// Decides whether an error is worth another connection, and waits before it. Both connections are dropped:
    /// whatever was in flight is found by reading the target's tail, never by remembering.
    async fn recover(
        &mut self,
        error: WalkError,
        pauses: &mut impl Iterator<Item = Duration>,
        first: bool,
    ) -> Result<(), WalkError> {
        let link = match error {
            WalkError::Link(link) => link,
            other => return Err(other),
        };
        self.links = None;
        let never_connected = matches!(link.error, ImapError::Resolve { .. } | ImapError::Connect { .. }) && first;
        let pause = match link.error.class() {
            ErrorClass::SignIn | ErrorClass::Tls | ErrorClass::Usage | ErrorClass::Quota | ErrorClass::Lease => None,
            _ if never_connected && self.summary.is_untouched() => None,
            ErrorClass::Throttle if !self.walk.supervisor.waits_out_throttles() => None,
            ErrorClass::Throttle => pauses.next().map(|pause| link.error.retry_after().unwrap_or(pause)),
            _ => pauses.next(),
        };
        let Some(pause) = pause else {
            // Once for each run, at its end: what the next connection mends concerns nobody else.
            if let Some(sign) = link.sign() {
                self.walk.supervisor.sign(link.side, sign);
            }
            return Err(match link.error.class() {
                ErrorClass::Lease => match self.walk.lease.failure() {
                    Some(failure) => WalkError::Ledger(failure),
                    None => WalkError::Link(link),
                },
                _ => WalkError::Link(link),
            });
        };
        if matches!(link, LinkError { side: Side::Target, error: ImapError::TimedOut { .. } }) {
            self.walk.lengthen_quarantine();
        }
        tracing::warn!(error = %link, again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "connection lost; reconnecting");
        self.walk.progress.doing(format!("reconnecting after: {link}"));
        self.walk.progress.wait_for(pause.min(bounds::THROTTLE_PAUSE_MAX));
        tokio::select! {
            () = self.walk.stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
            () = tokio::time::sleep(pause.min(bounds::THROTTLE_PAUSE_MAX)) => Ok(()),
        }
    }

    /// STATUS MESSAGES; `None` if the server will not say.
    async fn messages_at_source(&mut self, name: &MailboxName) -> Result<Option<u32>, WalkError> {
        let links = self.connected().await?;
        match links.source.status(name).await {
            Ok(status) => Ok(status.messages),
            Err(error) if error.leaves_connection_usable() => Ok(None),
            Err(error) => Err(WalkError::Link(LinkError { side: Side::Source, error })),
        }
    }
}
