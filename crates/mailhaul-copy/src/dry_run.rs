//! What a copy would do, found out without writing anything anywhere. Where a run would stop or end with exceptions,
//! the plan says so and ends in the same way.

use crate::carry_over::moved_ground;
use crate::error::{WalkError, mailbox_error, on, stop_of};
use crate::foretelling::Foreteller;
use crate::job::CopyJob;
use crate::listing::{Listings, connect, list_both};
use crate::mapping::Earlier;
use crate::scan::{Known, Listing, scan_mailbox};
use crate::stop::StopSignal;
use crate::walk::Links;
use crate::words;
use mailhaul_db::{ExceptionState as Stored, Ledger, MailboxState, PairView};
use mailhaul_plan::mailboxes::{LeftOutReason, MappedMailbox, Mapping, changed, map_renamed_mailboxes};
use mailhaul_plan::steps::{difference, intersection, is_mass_absence};
use mailhaul_plan::visits::Figures;
use mailhaul_report::{Counts, Exception, ExceptionState, MailboxLine, PlanReport, Remark, Stop, StopCause};
use mailhaul_types::{Escaped, MailboxName, Side, UidSet, escape};
use std::collections::BTreeMap;

/// Plans a copy. The ledger, if there is one, says what was copied before.
pub async fn plan_account(job: &CopyJob, ledger: Option<&Ledger>, stop: &StopSignal) -> PlanReport {
    let mut planner = Planner { job, report: PlanReport::default(), foreteller: Foreteller::begin(job, ledger).await };
    let end = tokio::select! {
        end = planner.plan(ledger) => end,
        () = stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    let mut report = planner.report;
    report.stop = end.unwrap_or_else(|error| Some(stop_of(error)));
    report
}

struct Planner<'a> {
    job: &'a CopyJob,
    report: PlanReport,
    foreteller: Foreteller,
}

impl Planner<'_> {
    /// The whole plan, and what would keep a run from following it.
    async fn plan(&mut self, ledger: Option<&Ledger>) -> Result<Option<Stop>, WalkError> {
        let pair = match ledger {
            Some(ledger) => ledger.find_pair(&self.job.accounts.identity()).await?,
            None => None,
        };
        let briefs = match &pair {
            Some(pair) => pair.overview().await?,
            None => Vec::new(),
        };
        let Earlier { stored, kept } = Earlier::of(briefs.iter());
        let mut links = connect(&self.job.accounts, true).await.map_err(WalkError::Link)?;
        let Listings { source, target, source_figures, .. } = list_both(&mut links).await?;
        let mapping = map_renamed_mailboxes(&source, &target, &self.job.rules, &stored, &kept).map_err(|error| {
            WalkError::Decision {
                cause: StopCause::Brake,
                reason: error.to_string(),
                hint: words::MERGED_HINT.to_owned(),
            }
        })?;
        self.foreteller.is_set_up(&target);
        self.leave_out(&mut links, &mapping, &source_figures).await?;
        for mapped in &mapping.mailboxes {
            self.remark_on(mapped);
            match self.look_at(&mut links, pair.as_ref(), mapped).await {
                Err(WalkError::Mailbox(reason)) => self.except(&mapped.source, ExceptionState::MailboxFailed, reason),
                Err(WalkError::MailboxDecision(reason)) => {
                    self.except(&mapped.source, ExceptionState::MailboxStopped, reason);
                }
                other => other?,
            }
        }
        self.report.estimate = self.foreteller.foretell(self.job, &links);
        let _ = tokio::join!(links.source.logout(), links.target.logout());
        Ok(self.stop_of_a_run(&stored, &mapping))
    }

    /// What would stop a run before it does anything.
    fn stop_of_a_run(&mut self, stored: &BTreeMap<String, String>, mapping: &Mapping) -> Option<Stop> {
        if !mapping.unused_rules.is_empty() {
            let (reason, hint) = (words::unused_rules(mapping), words::UNUSED_RULES_HINT.to_owned());
            return Some(Stop::new(StopCause::Usage, reason, hint));
        }
        let changes = changed(stored, mapping);
        if !changes.is_empty() && !self.job.remap {
            let (reason, hint) = (words::changed_mapping(&changes), words::CHANGED_MAPPING_HINT.to_owned());
            return Some(Stop::new(StopCause::Brake, reason, hint));
        }
        for change in changes {
            let text = format!("was `{}`, will now be `{}`", Escaped(&change.stored), Escaped(&change.now));
            self.report.remarks.push(Remark { mailbox: Some(escape(&change.source)), text });
        }
        None
    }

    async fn leave_out(
        &mut self,
        links: &mut Links,
        mapping: &Mapping,
        told: &BTreeMap<String, Figures>,
    ) -> Result<(), WalkError> {
        if let Some(text) = words::parents(mapping) {
            self.report.remarks.push(Remark { mailbox: None, text });
        }
        for left_out in &mapping.left_out {
            let text = words::left_out(&left_out.reason);
            match left_out.reason {
                LeftOutReason::NotSelectable => continue,
                LeftOutReason::SameText => {
                    self.except(&left_out.source, ExceptionState::MailboxFailed, text);
                    continue;
                }
                _ => self.remark(&left_out.source, text),
            }
            let messages = match told.get(left_out.source.text()).and_then(|figures| figures.messages) {
                Some(messages) => messages,
                None => match links.source.status(&left_out.source).await {
                    Ok(status) => status.messages.unwrap_or_default(),
                    Err(error) if error.leaves_connection_usable() => 0,
                    Err(error) => return Err(on(Side::Source)(error)),
                },
            };
            let messages = u64::from(messages);
            self.report.mailboxes.push(MailboxLine {
                source: left_out.source.to_string(),
                target: None,
                messages: Counts { source: messages, skipped: messages, ..Counts::default() },
                ..MailboxLine::default()
            });
        }
        Ok(())
    }

    fn remark_on(&mut self, mapped: &MappedMailbox) {
        for note in &mapped.remarks {
            self.remark(&mapped.source, format!("goes to `{}`: {note}", Escaped(&mapped.target_text)));
        }
        if !mapped.exists_on_target && !mapped.target_text.eq_ignore_ascii_case("INBOX") {
            self.remark(&mapped.source, format!("`{}` would be created on the target", Escaped(&mapped.target_text)));
        }
    }

    async fn look_at(
        &mut self,
        links: &mut Links,
        pair: Option<&PairView>,
        mapped: &MappedMailbox,
    ) -> Result<(), WalkError> {
        let mut state: Option<MailboxState> = match pair {
            Some(pair) => pair.load(mapped.source.text()).await?,
            None => None,
        };
        let selected =
            links.source.examine(&mapped.source).await.map_err(|error| mailbox_error(Side::Source, error))?;
        let Some(uid_validity) = selected.uid_validity else {
            return Err(WalkError::Mailbox("the source keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
        };
        let ground = state.as_ref().and_then(|state| moved_ground(&selected, uid_validity, state));
        if let Some(why) = ground.map(|ground| ground.why) {
            self.remark(&mapped.source, words::moved_ground(&why));
            state = None;
        }
        if let Some(state) = state.as_mut().filter(|_| self.job.retry_exceptions.covers(mapped.source.text())) {
            let again = [Stored::Refused, Stored::Unreadable, Stored::PossibleDuplicate];
            state.exceptions.retain(|stored| !again.contains(&stored.exception.state));
        }
        let known = Known::new(state.as_ref(), &self.job.selection);
        let listing =
            scan_mailbox(&mut links.source, Side::Source, &mapped.source, selected, uid_validity, &known).await?;
        if listing.missing.is_some() {
            let reason = "the source does not list as many messages as it says there are".to_owned();
            self.except(&mapped.source, ExceptionState::ViewIncomplete, reason);
        }
        if let Some(state) = &state {
            self.look_at_earlier(mapped, &listing, state);
        }
        self.foreteller.foresee(mapped, listing.todo.len() as u64, listing.bytes(), state.is_some());
        self.report.mailboxes.push(MailboxLine {
            source: mapped.source.to_string(),
            target: Some(escape(&mapped.target_text)),
            messages: count(&listing, state.as_ref()),
            bytes: listing.bytes(),
            visited: true,
            ..MailboxLine::default()
        });
        Ok(())
    }

    /// What earlier runs have left behind, and a run would end with.
    fn look_at_earlier(&mut self, mapped: &MappedMailbox, listing: &Listing, state: &MailboxState) {
        let settled = difference(&state.settled, &state.departed);
        if is_mass_absence(&listing.listed, &settled) && !self.job.accept_mass_absence {
            let reason = words::mass_absence(listing.listed.len(), settled.len());
            self.except(&mapped.source, ExceptionState::MailboxStopped, reason);
        }
        for exception in state.exceptions.iter().map(|stored| &stored.exception) {
            let kind = match exception.state {
                Stored::Refused => ExceptionState::Refused,
                Stored::Unreadable => ExceptionState::Unreadable,
                Stored::PossibleDuplicate => ExceptionState::PossibleDuplicate,
                _ => continue,
            };
            if let Some(uid) = exception.uid.filter(|uid| listing.listed.contains(*uid)) {
                let (mailbox, reason) = (mapped.source.to_string(), escape(&exception.reason));
                self.report.exceptions.push(Exception { mailbox, uid: Some(uid.0), state: kind, reason });
            }
        }
    }

    fn except(&mut self, mailbox: &MailboxName, state: ExceptionState, reason: String) {
        self.report.exceptions.push(Exception { mailbox: mailbox.to_string(), uid: None, state, reason });
    }

    fn remark(&mut self, mailbox: &MailboxName, text: String) {
        self.report.remarks.push(Remark { mailbox: Some(mailbox.to_string()), text });
    }
}

/// Every listed message in one column.
fn count(listing: &Listing, state: Option<&MailboxState>) -> Counts {
    let nothing = UidSet::new();
    let settled = state.map_or(&nothing, |state| &state.settled);
    let set_aside = |kind: Stored| {
        let stored = state.iter().flat_map(|state| &state.exceptions).map(|stored| &stored.exception);
        let uids: UidSet = stored.filter(|stored| stored.state == kind).filter_map(|stored| stored.uid).collect();
        intersection(&listing.listed, &difference(&uids, settled)).len()
    };
    Counts {
        source: listing.listed.len(),
        already: intersection(&listing.listed, settled).len(),
        skipped: listing.skipped.values().map(UidSet::len).sum(),
        refused: set_aside(Stored::Refused),
        unreadable: set_aside(Stored::Unreadable),
        gone: set_aside(Stored::Gone),
        remaining: listing.todo.len() as u64,
        ..Counts::default()
    }
}
