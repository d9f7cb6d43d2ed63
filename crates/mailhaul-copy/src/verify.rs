//! Comparing one account on both servers, message by message. Needs no ledger: it judges a copy that any tool made. At the
//! end of a last pass the ledger is there all the same, and explains what would otherwise be a difference.
//!
//! This file goes from mailbox to mailbox, over as many connections as it takes; `compare_mailbox` looks into one.

use crate::bounds;
use crate::compare_mailbox::{Findings, Looking, compare_mailbox};
use crate::error::{LinkError, WalkError, on, stop_of};
use crate::final_check::Insight;
use crate::job::AccountPair;
use crate::listing::{Listings, connect, list_both};
use crate::meter::Meter;
use crate::oversight::{Oversight, ServerSign, Supervisor};
use crate::pause;
use crate::progress::Progress;
use crate::reading::Reading;
use crate::stop::StopSignal;
use crate::walk::Links;
use crate::words;
use mailhaul_imap::{Connection, ErrorClass};
use mailhaul_plan::mailboxes::{
    AccountListing, LeftOutReason, MappedMailbox, Mapping, MappingError, MappingRules, map_mailboxes,
};
use mailhaul_plan::selection::Selection;
use mailhaul_report::{DifferenceKind, Remark, Stop, StopCause, VerifyReport, count_of};
use mailhaul_types::{MailboxName, NameEncoding, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a connection may be lost over one mailbox before the comparison is given up.
const RECONNECTS_A_MAILBOX: usize = 4;

/// How closely verify looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyLevel {
    /// Numbers of messages.
    Counts,
    /// Every message by its key, size, internal date and flags.
    Keys,
    /// Every message by all its octets (SHA-256), internal date and flags.
    Bytes,
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct VerifyJob {
    /// Both ends.
    pub accounts: AccountPair,
    /// Which mailboxes, and under which names.
    pub rules: MappingRules,
    /// Which source messages must be on the target.
    pub selection: Selection,
    /// How closely to look.
    pub level: VerifyLevel,
    /// Do not compare flags: users who work on the target change them.
    pub ignore_flags: bool,
}

/// Compares both accounts and reports. Writes nothing on either side.
pub async fn verify_account(job: &VerifyJob, oversight: &Oversight<'_>) -> VerifyReport {
    let (report, links) = Verifier::new(job, oversight).run(oversight.stop).await;
    if let Some(links) = links {
        let farewell = async { tokio::join!(links.source.logout(), links.target.logout()) };
        let _ = tokio::time::timeout(bounds::LOGOUT, farewell).await;
    }
    report
}

/// One comparison of two accounts.
pub(crate) struct Verifier<'a> {
    job: &'a VerifyJob,
    progress: &'a Progress,
    supervisor: Arc<dyn Supervisor>,
    links: Option<Links>,
    insight: Option<Insight<'a>>,
    /// With which messages connections were lost when they were read.
    reading: Reading,
    report: VerifyReport,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(job: &'a VerifyJob, oversight: &Oversight<'a>) -> Self {
        let level = match job.level {
            VerifyLevel::Counts => "counts",
            VerifyLevel::Keys => "keys",
            VerifyLevel::Bytes => "bytes",
        };
        let report = VerifyReport { level, ..VerifyReport::default() };
        let Oversight { progress, .. } = *oversight;
        let reading = Reading::default();
        Self {
            job,
            progress,
            supervisor: Arc::clone(&oversight.supervisor),
            links: None,
            insight: None,
            reading,
            report,
        }
    }

    /// With what a run knows, and on its connections.
    pub(crate) fn knowing(self, insight: Insight<'a>, links: Option<Links>) -> Self {
        Self { insight: Some(insight), links, ..self }
    }

    /// Compares, and hands the connections back if they are still good.
    pub(crate) async fn run(mut self, stop: &StopSignal) -> (VerifyReport, Option<Links>) {
        let started = Instant::now();
        let end = tokio::select! {
            end = self.work() => end,
            // Nothing is ever written, so there is nothing to finish.
            () = stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
        };
        if let Err(WalkError::Link(link)) = &end
            && let Some(sign) = link.sign()
        {
            self.supervisor.sign(link.side, sign);
        }
        let links = self.links.filter(|_| end.is_ok());
        let mut report = self.report;
        report.stop = end.unwrap_or_else(|error| Some(stop_of(error)));
        report.seconds = started.elapsed().as_secs_f64();
        (report, links)
    }
}

impl Verifier<'_> {
    async fn work(&mut self) -> Result<Option<Stop>, WalkError> {
        if self.links.is_none() {
            self.progress.doing("signing in".to_owned());
            self.connect().await?;
        }
        let listings = self.list().await?;
        let counts = listings.counts();
        let Listings { source, target, .. } = listings;
        let stored = self.stored_names().await?;
        let mapping = map(&source, &target, &self.job.rules, &stored)?;
        if !mapping.unused_rules.is_empty() {
            // Nothing compared must not look like nothing different.
            let (reason, hint) = (words::unused_rules(&mapping), words::UNUSED_RULES_HINT.to_owned());
            return Ok(Some(Stop::new(StopCause::Usage, reason, hint)));
        }
        let encoding = self.connected().await?.target.name_encoding();
        // Names do not depend on what is chosen. With all of them it is known which target mailboxes are nobody's.
        let everything = MappingRules { include: Vec::new(), exclude: Vec::new(), ..self.job.rules.clone() };
        let whole = map(&source, &target, &everything, &stored).unwrap_or_else(|_| mapping.clone());
        let names = TargetNames::find(whole, &target, encoding);
        self.progress.expect_mailboxes(mapping.mailboxes.len() as u64);
        for mapped in &mapping.mailboxes {
            if let Some(messages) = counts.get(mapped.source.text()) {
                // On both sides, if the copy is whole.
                self.progress.foresee(mapped.source.text(), u64::from(*messages) * 2);
            }
        }
        self.remark_on_left_out(&mapping, &counts).await?;
        for mapped in &mapping.mailboxes {
            let natural = mapped.target_name(encoding);
            if self.insight.is_some() {
                // The ledger knows the name; if the mailbox is not there, somebody has removed it.
                let is_there = mapped.exists_on_target || natural.is_inbox();
                self.look_at(mapped, is_there.then_some(&natural)).await?;
                self.progress.finish_mailbox(mapped.source.text());
                continue;
            }
            let name = names.by_source.get(mapped.source.text()).unwrap_or(&natural);
            if *name != natural {
                let text = format!(
                    "the target has no `{natural}`; compared with `{name}`, a name that copy gives where that one is \
                     refused"
                );
                self.remark(Some(&mapped.source), text);
            }
            self.look_at(mapped, Some(name)).await?;
            self.progress.finish_mailbox(mapped.source.text());
        }
        self.remark_on_unmapped(&target, &names).await?;
        Ok(None)
    }

    /// The names that earlier runs gave, by source mailbox, if there is a ledger to ask.
    async fn stored_names(&self) -> Result<BTreeMap<String, String>, WalkError> {
        let Some(insight) = &self.insight else { return Ok(BTreeMap::new()) };
        let mappings = insight.lease.mappings().await?;
        Ok(mappings.into_iter().map(|mapping| (mapping.source, mapping.target)).collect())
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        pause::reconnects(RECONNECTS_A_MAILBOX.min(self.supervisor.reconnects()))
    }

    async fn list(&mut self) -> Result<Listings, WalkError> {
        let mut pauses = self.pauses();
        loop {
            match list_both(self.connected().await?).await {
                Err(WalkError::Link(link)) => self.recover(link, &mut pauses).await?,
                other => return other,
            }
        }
    }

    /// Compares one mailbox pair, from the beginning again if a connection is lost over it.
    async fn look_at(&mut self, mapped: &MappedMailbox, name: Option<&MailboxName>) -> Result<(), WalkError> {
        let progress = self.progress;
        let meter = Meter::new(progress);
        let mut pauses = self.pauses();
        loop {
            let mut findings = Findings::default();
            let found_out = self.reading.progress(mapped.source.text());
            progress.doing(format!("{}: comparing", mapped.source));
            let end = match self.try_to_compare(&meter, mapped, name, &mut findings).await {
                Err(WalkError::Link(link)) => {
                    if self.reading.progress(mapped.source.text()) > found_out {
                        pauses = self.pauses();
                    }
                    let lost = self.reading.named(mapped.source.text(), link.side);
                    let side = link.side;
                    let link = link.over(side, &mapped.source, &lost);
                    self.recover(link, &mut pauses).await?;
                    continue;
                }
                Err(WalkError::Mailbox(reason)) => {
                    findings.differ(&mapped.source, DifferenceKind::Mailbox, None, None, reason);
                    Ok(())
                }
                other => other,
            };
            self.report.mailboxes.extend(findings.line);
            self.report.differences.append(&mut findings.differences);
            self.report.remarks.append(&mut findings.remarks);
            return end;
        }
    }

    async fn try_to_compare(
        &mut self,
        meter: &Meter<'_>,
        mapped: &MappedMailbox,
        name: Option<&MailboxName>,
        findings: &mut Findings,
    ) -> Result<(), WalkError> {
        self.connected().await?;
        let Self { job, links: Some(links), insight, reading, .. } = self else {
            return Err(WalkError::Mailbox("not connected".to_owned()));
        };
        let looking = Looking { job, meter, insight: insight.as_ref(), reading };
        compare_mailbox(&looking, links, mapped, name, findings).await
    }

    async fn connect(&mut self) -> Result<(), WalkError> {
        let links = connect(&self.job.accounts, false).await.map_err(WalkError::Link)?;
        self.progress.watch(vec![links.source.pulse(), links.target.pulse()]);
        for side in [Side::Source, Side::Target] {
            self.supervisor.sign(side, ServerSign::Served);
        }
        self.links = Some(links);
        Ok(())
    }

    async fn connected(&mut self) -> Result<&mut Links, WalkError> {
        if self.links.is_none() {
            self.connect().await?;
        }
        self.links.as_mut().ok_or_else(|| WalkError::Mailbox("not connected".to_owned()))
    }

    /// Decides whether a lost connection is worth another one, and waits before it.
    async fn recover(&mut self, link: LinkError, pauses: &mut impl Iterator<Item = Duration>) -> Result<(), WalkError> {
        self.links = None;
        let pause = match link.error.class() {
            ErrorClass::SignIn | ErrorClass::Tls | ErrorClass::Usage | ErrorClass::Quota => None,
            ErrorClass::Throttle if !self.supervisor.waits_out_throttles() => None,
            ErrorClass::Throttle => pauses.next().map(|pause| link.error.retry_after().unwrap_or(pause)),
            _ => pauses.next(),
        };
        let Some(pause) = pause else { return Err(WalkError::Link(link)) };
        tracing::warn!(error = %link, again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "connection lost; reconnecting");
        self.progress.doing(format!("reconnecting after: {link}"));
        self.progress.wait_for(pause.min(bounds::THROTTLE_PAUSE_MAX));
        tokio::time::sleep(pause.min(bounds::THROTTLE_PAUSE_MAX)).await;
        Ok(())
    }

    /// Says which source mailboxes are not compared, and what they hold.
    async fn remark_on_left_out(&mut self, mapping: &Mapping, counts: &BTreeMap<String, u32>) -> Result<(), WalkError> {
        for left_out in &mapping.left_out {
            let words = words::left_out(&left_out.reason);
            match left_out.reason {
                LeftOutReason::NotSelectable => continue,
                LeftOutReason::SameText => {
                    let mut findings = Findings::default();
                    findings.differ(&left_out.source, DifferenceKind::Mailbox, None, None, words);
                    self.report.differences.append(&mut findings.differences);
                    continue;
                }
                _ => {}
            }
            let messages = match counts.get(left_out.source.text()) {
                Some(messages) => Some(*messages),
                None => messages_in(&mut self.connected().await?.source, Side::Source, &left_out.source).await?,
            };
            self.remark(Some(&left_out.source), format!("{words}{}", how_many(messages)));
        }
        Ok(())
    }

    /// Says which target mailboxes nobody's mail goes to.
    async fn remark_on_unmapped(&mut self, target: &AccountListing, names: &TargetNames) -> Result<(), WalkError> {
        let foreign: Vec<&str> = [&target.namespaces.other, &target.namespaces.shared]
            .into_iter()
            .flatten()
            .map(|namespace| namespace.prefix.as_str())
            .filter(|prefix| !prefix.is_empty())
            .collect();
        let used: BTreeSet<&str> = names.by_source.values().map(MailboxName::text).collect();
        for entry in target.mailboxes.iter().filter(|entry| entry.selectable) {
            let text = entry.name.text();
            if used.contains(text) || foreign.iter().any(|prefix| text.starts_with(prefix)) {
                continue;
            }
            let messages = messages_in(&mut self.connected().await?.target, Side::Target, &entry.name).await?;
            // Every account has an INBOX and what its server gave it; empty, they say nothing.
            if messages != Some(0) {
                let text = format!("no source mailbox goes to `{}` on the target{}", entry.name, how_many(messages));
                self.remark(None, text);
            }
        }
        Ok(())
    }

    fn remark(&mut self, mailbox: Option<&MailboxName>, text: String) {
        self.report.remarks.push(Remark { mailbox: mailbox.map(MailboxName::to_string), text });
    }
}

/// Under which names the target has the mail, by source name.
struct TargetNames {
    by_source: BTreeMap<String, MailboxName>,
}

impl TargetNames {
    /// Where the target does not have the name that comes first, one of the names is taken that copy would have given
    /// because the first one was refused: verify has no ledger that could say which it was.
    fn find(mut mapping: Mapping, target: &AccountListing, encoding: NameEncoding) -> Self {
        let there: BTreeMap<&str, &MailboxName> = target
            .mailboxes
            .iter()
            .filter(|entry| entry.selectable)
            .map(|entry| (entry.name.text(), &entry.name))
            .collect();
        let mut by_source = BTreeMap::new();
        for mapped in mapping.mailboxes.clone() {
            let mut name = mapped.target_name(encoding);
            if !mapped.exists_on_target && !name.is_inbox() {
                let safer = (0..).map_while(|attempt| mapping.safer_name(&mapped.source, attempt));
                if let Some(found) = safer.filter_map(|text| there.get(text.as_str()).copied()).next() {
                    mapping.rename(&mapped.source, found.text());
                    name = found.clone();
                }
            }
            by_source.insert(mapped.source.text().to_owned(), name);
        }
        Self { by_source }
    }
}

fn map(
    source: &AccountListing,
    target: &AccountListing,
    rules: &MappingRules,
    stored: &BTreeMap<String, String>,
) -> Result<Mapping, WalkError> {
    map_mailboxes(source, target, rules, stored).map_err(|error: MappingError| {
        let hint = "give the same --map options as for the copy".to_owned();
        WalkError::Decision { cause: StopCause::Brake, reason: error.to_string(), hint }
    })
}

/// STATUS MESSAGES; `None` if the server will not say.
async fn messages_in(connection: &mut Connection, side: Side, name: &MailboxName) -> Result<Option<u32>, WalkError> {
    match connection.status(name).await {
        Ok(status) => Ok(status.messages),
        Err(error) if error.leaves_connection_usable() => Ok(None),
        Err(error) => Err(on(side)(error)),
    }
}

fn how_many(messages: Option<u32>) -> String {
    messages.map_or_else(String::new, |messages| format!(" ({})", count_of(u64::from(messages), "message")))
}
