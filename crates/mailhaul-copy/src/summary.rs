//! Collecting what a run has to say, mailbox by mailbox, into its report.

use crate::error::WalkError;
use crate::job::AccountPair;
use crate::tally::Tally;
use crate::walk::Walk;
use crate::words;
use mailhaul_db::{ExceptionState as Stored, MailboxLedger, MailboxState, Synced};
use mailhaul_imap::TlsMode;
use mailhaul_plan::mailboxes::{LeftOutReason, MappedMailbox, Mapping};
use mailhaul_report::{Counts, Exception, ExceptionState, MailboxLine, Remark, RunReport, Stop, count_of};
use mailhaul_types::{Escaped, MailboxName, Uid, escape};
use std::collections::BTreeMap;

/// A report in the making.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    report: RunReport,
    /// Source mailboxes by their place in the report.
    order: BTreeMap<String, usize>,
}

impl Summary {
    /// Files what became of one mailbox. An error that concerns more than the mailbox is handed back.
    pub(crate) async fn file(
        &mut self,
        walk: &Walk<'_>,
        mapped: &MappedMailbox,
        target: &str,
        tally: &Tally,
        result: Result<(), WalkError>,
    ) -> Result<(), WalkError> {
        let ledger = walk.lease.mailbox(mapped.source.text()).await?;
        let (problem, fatal) = match result {
            Ok(()) => (None, None),
            Err(WalkError::Mailbox(reason)) => (Some((ExceptionState::MailboxFailed, reason)), None),
            Err(WalkError::MailboxDecision(reason)) => (Some((ExceptionState::MailboxStopped, reason)), None),
            Err(WalkError::ViewIncomplete(reason)) => (Some((ExceptionState::ViewIncomplete, reason)), None),
            Err(WalkError::ViewDoubtful(reason)) => (Some((ExceptionState::ViewDoubtful, reason)), None),
            Err(fatal) => (None, Some(fatal)),
        };
        let visited = tally.before.is_some();
        if !matches!(fatal, Some(WalkError::Ledger(_))) {
            let recorded = record(&ledger, tally, visited, problem.as_ref()).await;
            if fatal.is_none() {
                recorded?;
            }
        }
        let name = mapped.source.to_string();
        for (_, text, _) in tally.remarks() {
            self.remark(Some(&name), text);
        }
        if target != mapped.target_text {
            let text = format!("the target refuses this name; it is `{}` there", Escaped(target));
            self.remark(Some(&name), text);
        }
        if let Some((state, reason)) = problem {
            self.except(&name, None, state, reason);
        }
        if fatal.is_none() {
            self.file_exceptions(&ledger, &name, |_, uid| tally.listed.contains(uid)).await?;
        }
        let counts = tally.counts();
        if !counts.adds_up() {
            self.except(&name, None, ExceptionState::DoesNotAddUp, format!("the counts do not add up: {counts:?}"));
        }
        self.report.mailboxes.push(MailboxLine {
            source: name,
            target: Some(escape(target)),
            messages: counts,
            bytes: tally.bytes,
            changes: tally.changes(),
            visited: true,
        });
        fatal.map_or(Ok(()), Err)
    }

    /// A mailbox that is not visited, as the last pass over it left it.
    pub(crate) async fn unchanged(
        &mut self,
        walk: &Walk<'_>,
        mapped: &MappedMailbox,
        synced: &Synced,
        target_is_gone: bool,
    ) -> Result<(), WalkError> {
        let name = mapped.source.to_string();
        if target_is_gone {
            self.remark(Some(&name), words::target_is_gone(&mapped.target_text));
        }
        if synced.skipped > 0 {
            let text = format!("{} left out, as in the last pass", synced.skipped);
            self.remark(Some(&name), text);
        }
        if synced.exceptions > 0 {
            let ledger = walk.lease.mailbox(mapped.source.text()).await?;
            self.file_exceptions(&ledger, &name, |state, uid| !state.departed.contains(uid)).await?;
        }
        let Synced { skipped, refused, unreadable, .. } = *synced;
        let source = u64::from(synced.exists);
        let already = source.saturating_sub(skipped + refused + unreadable);
        self.report.mailboxes.push(MailboxLine {
            source: name,
            target: Some(escape(&mapped.target_text)),
            messages: Counts { source, already, skipped, refused, unreadable, ..Counts::default() },
            ..MailboxLine::default()
        });
        Ok(())
    }

    /// Lists mailboxes in this order in the end, whatever the order in which they are filed; others stay in front.
    pub(crate) fn keep_order(&mut self, sources: impl Iterator<Item = String>) {
        self.order = sources.enumerate().map(|(place, source)| (source, place)).collect();
    }

    /// Adds remarks of others.
    pub(crate) fn remark_all(&mut self, remarks: Vec<Remark>) {
        self.report.remarks.extend(remarks);
    }

    /// Adds what was filed elsewhere.
    pub(crate) fn absorb(&mut self, other: Self) {
        let RunReport { mailboxes, exceptions, remarks, .. } = other.report;
        self.report.mailboxes.extend(mailboxes);
        self.report.exceptions.extend(exceptions);
        self.report.remarks.extend(remarks);
    }

    /// Whether no mailbox has been worked on yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.report.mailboxes.is_empty()
    }

    /// A mailbox that is not copied, with what it holds.
    pub(crate) fn leave_out(&mut self, name: &MailboxName, reason: &LeftOutReason, messages: Option<u32>) {
        match reason {
            LeftOutReason::NotSelectable => return,
            LeftOutReason::SameText => {
                // Nobody chose to leave it out.
                return self.except(&name.to_string(), None, ExceptionState::MailboxFailed, words::left_out(reason));
            }
            _ => self.remark(Some(&name.to_string()), words::left_out(reason)),
        }
        let messages = u64::from(messages.unwrap_or_default());
        self.report.mailboxes.push(MailboxLine {
            source: name.to_string(),
            target: None,
            messages: Counts { source: messages, skipped: messages, ..Counts::default() },
            ..MailboxLine::default()
        });
    }

    /// A mailbox that earlier runs knew and that the source does not list any more.
    pub(crate) fn vanished(&mut self, source: &str, state: &MailboxState, all: bool, mirrored: bool) {
        let name = escape(source);
        let copied = state.settled.len() + state.set_aside().len();
        let known = state.scan.as_ref().map(|scan| u64::from(scan.exists));
        let settled = count_of(state.settled.len(), "message");
        if all {
            let reason = format!(
                "the source lists none of the mailboxes that were copied earlier, this one among them ({settled}); \
                 nothing was deleted on the target. If that is right, --accept-mass-absence says so"
            );
            self.except(&name, None, ExceptionState::MailboxStopped, reason);
        } else if known.is_some_and(|known| known <= copied) {
            let copies = if mirrored { String::new() } else { format!("; the copies of {settled} stay") };
            self.remark(Some(&name), format!("the source does not list it any more{copies}"));
        } else {
            let known = known.map_or_else(|| "an unknown number".to_owned(), |known| known.to_string());
            let reason =
                format!("the source does not list it any more, and of {known} there only {settled} were copied");
            self.except(&name, None, ExceptionState::MailboxFailed, reason);
        }
    }

    /// What came of removing the copies of a mailbox that is not at the source any more, by its names at the source and
    /// on the target. An error concerns more than the mailbox.
    pub(crate) fn vanished_mirrored(
        &mut self,
        (source, target): (&MailboxName, &MailboxName),
        tally: &Tally,
        result: Result<(), WalkError>,
    ) -> Result<(), WalkError> {
        let name = source.to_string();
        for (_, text, _) in tally.remarks() {
            self.remark(Some(&name), text);
        }
        match result {
            Ok(()) => {}
            Err(WalkError::Mailbox(reason)) => self.except(&name, None, ExceptionState::MailboxFailed, reason),
            Err(WalkError::MailboxDecision(reason)) => self.except(&name, None, ExceptionState::MailboxStopped, reason),
            Err(fatal) => return Err(fatal),
        }
        self.report.mailboxes.push(MailboxLine {
            source: name,
            target: Some(target.to_string()),
            changes: tally.changes(),
            visited: true,
            ..MailboxLine::default()
        });
        Ok(())
    }

    /// A mailbox that earlier runs knew, that the source does not list any more, and that is there all the same.
    pub(crate) fn unlisted(&mut self, source: &str) {
        let reason = "the source does not list it any more, although it is there; it was left as it is";
        self.except(&escape(source), None, ExceptionState::MailboxFailed, reason.to_owned());
    }

    /// A mailbox that the run did not come to.
    pub(crate) fn not_reached(&mut self, mapped: &MappedMailbox, messages: u64, settled: u64) {
        let already = settled.min(messages);
        self.report.mailboxes.push(MailboxLine {
            source: mapped.source.to_string(),
            target: Some(escape(&mapped.target_text)),
            messages: Counts { source: messages, already, remaining: messages - already, ..Counts::default() },
            ..MailboxLine::default()
        });
    }

    pub(crate) fn remark_on_mapping(&mut self, mapping: &Mapping) {
        for mapped in &mapping.mailboxes {
            for remark in &mapped.remarks {
                let text = format!("goes to `{}`: {remark}", Escaped(&mapped.target_text));
                self.remark(Some(&mapped.source.to_string()), text);
            }
        }
        if let Some(parents) = words::parents(mapping) {
            self.remark(None, parents);
        }
    }

    pub(crate) fn remark_on_plaintext(&mut self, accounts: &AccountPair) {
        for (side, account) in [("source", &accounts.source), ("target", &accounts.target)] {
            if account.endpoint.tls == TlsMode::Plain {
                let host = escape(&account.endpoint.host);
                self.remark(None, format!("the connection to the {side} {host} was not encrypted"));
            }
        }
    }

    pub(crate) fn into_report(mut self, stop: Option<Stop>) -> RunReport {
        let order = self.order;
        self.report.mailboxes.sort_by_key(|line| order.get(&line.source).copied());
        self.report.stop = stop;
        self.report
    }

    /// What stands in the ledger against messages that the source still lists.
    async fn file_exceptions(
        &mut self,
        ledger: &MailboxLedger,
        name: &str,
        is_there: impl Fn(&MailboxState, Uid) -> bool + Send + Sync,
    ) -> Result<(), WalkError> {
        let state = ledger.load().await?;
        for stored in &state.exceptions {
            let exception = &stored.exception;
            let kind = match exception.state {
                Stored::Refused => ExceptionState::Refused,
                Stored::Unreadable => ExceptionState::Unreadable,
                Stored::PossibleDuplicate => ExceptionState::PossibleDuplicate,
                _ => continue,
            };
            if exception.uid.is_some_and(|uid| is_there(&state, uid)) {
                self.except(name, exception.uid.map(|uid| uid.0), kind, escape(&exception.reason));
            }
        }
        Ok(())
    }

    fn except(&mut self, mailbox: &str, uid: Option<u32>, state: ExceptionState, reason: String) {
        self.report.exceptions.push(Exception { mailbox: mailbox.to_owned(), uid, state, reason });
    }

    fn remark(&mut self, mailbox: Option<&str>, text: String) {
        self.report.remarks.push(Remark { mailbox: mailbox.map(str::to_owned), text });
    }
}

/// Keeps the numbers of this pass in the ledger, for `mailhaul report`.
async fn record(
    ledger: &MailboxLedger,
    tally: &Tally,
    visited: bool,
    problem: Option<&(ExceptionState, String)>,
) -> Result<(), WalkError> {
    let about_mailbox = Stored::ALL.into_iter().filter(|state| state.concerns_mailbox()).collect::<Vec<_>>();
    ledger.clear_exceptions(&about_mailbox).await?;
    if let Some((state, reason)) = problem {
        let state = match state {
            ExceptionState::ViewIncomplete => Stored::ViewIncomplete,
            ExceptionState::ViewDoubtful => Stored::ViewDoubtful,
            ExceptionState::MailboxStopped => Stored::MailboxStopped,
            _ => Stored::MailboxFailed,
        };
        let exception = mailhaul_db::Exception { uid: None, state, reason: reason.clone(), key: None };
        ledger.record_exception(exception).await?;
    }
    if visited {
        let remark = |(kind, text, messages): (&str, String, u64)| {
            let kind = kind.to_owned();
            mailhaul_db::Remark { kind, text, messages }
        };
        let remarks = tally.remarks().into_iter().map(remark).collect();
        ledger.record_pass(tally.pass_counts(), remarks).await?;
    }
    ledger.flush().await?;
    Ok(())
}
