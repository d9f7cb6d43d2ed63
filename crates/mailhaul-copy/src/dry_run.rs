//! What a copy would do, found out without writing anything anywhere.

use crate::error::{WalkError, mailbox_error, stop_of};
use crate::job::CopyJob;
use crate::listing::{Listings, connect, list_both};
use crate::pass::Links;
use crate::scan::{Known, scan_mailbox};
use crate::stop::StopSignal;
use mailhaul_db::{Ledger, MailboxState, PairView};
use mailhaul_plan::mailboxes::{MappedMailbox, changed, map_mailboxes};
use mailhaul_report::{Counts, Exception, ExceptionState, MailboxLine, PlanReport, Remark};
use mailhaul_types::{Escaped, Side, UidSet, escape};
use std::collections::BTreeMap;

/// Plans a copy. The ledger, if there is one, says what was copied before.
pub async fn plan_account(job: &CopyJob, ledger: Option<&Ledger>, stop: &StopSignal) -> PlanReport {
    let mut report = PlanReport::default();
    let end = tokio::select! {
        end = plan(job, ledger, &mut report) => end,
        () = stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    report.stop = end.err().map(stop_of);
    report
}

async fn plan(job: &CopyJob, ledger: Option<&Ledger>, report: &mut PlanReport) -> Result<(), WalkError> {
    let pair = match ledger {
        Some(ledger) => ledger.find_pair(&job.accounts.identity()).await?,
        None => None,
    };
    let mut stored = BTreeMap::new();
    if let Some(pair) = &pair {
        stored.extend(pair.mappings().await?.into_iter().map(|mapping| (mapping.source, mapping.target)));
    }
    let mut links = connect(&job.accounts).await.map_err(WalkError::Link)?;
    let Listings { source, target, .. } = list_both(&mut links).await?;
    let mapping = map_mailboxes(&source, &target, &job.rules, &stored).map_err(|error| WalkError::Decision {
        reason: error.to_string(),
        hint: "give each of them a --map of its own, or leave one out with --exclude".to_owned(),
    })?;
    for change in changed(&stored, &mapping) {
        let text = format!("was `{}`, would now be `{}`", Escaped(&change.stored), Escaped(&change.now));
        remark(report, Some(escape(&change.source)), text);
    }
    for left_out in &mapping.left_out {
        remark(report, Some(left_out.source.to_string()), format!("left out: {:?}", left_out.reason));
    }
    for mapped in &mapping.mailboxes {
        for note in &mapped.remarks {
            remark(report, Some(mapped.source.to_string()), note.to_string());
        }
        if !mapped.exists_on_target {
            remark(report, Some(mapped.source.to_string()), "would be created on the target".to_owned());
        }
        match look_at(&mut links, job, pair.as_ref(), mapped).await {
            Ok(line) => report.mailboxes.push(line),
            Err(WalkError::Mailbox(reason)) => report.exceptions.push(Exception {
                mailbox: mapped.source.to_string(),
                uid: None,
                state: ExceptionState::MailboxFailed,
                reason,
            }),
            Err(error) => return Err(error),
        }
    }
    let _ = tokio::join!(links.source.logout(), links.target.logout());
    Ok(())
}

async fn look_at(
    links: &mut Links,
    job: &CopyJob,
    pair: Option<&PairView>,
    mapped: &MappedMailbox,
) -> Result<MailboxLine, WalkError> {
    let state: Option<MailboxState> = match pair {
        Some(pair) => pair.load(mapped.source.text()).await?,
        None => None,
    };
    let selected = links.source.examine(&mapped.source).await.map_err(|error| mailbox_error(Side::Source, error))?;
    let Some(uid_validity) = selected.uid_validity else {
        return Err(WalkError::Mailbox("the source keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
    };
    let state = state.filter(|state| state.source_uid_validity.is_none_or(|known| known == uid_validity));
    let known = Known::new(state.as_ref(), &job.selection);
    let listing = scan_mailbox(&mut links.source, Side::Source, &mapped.source, selected, uid_validity, &known).await?;
    let remaining = listing.todo.len() as u64;
    let skipped = listing.skipped.values().map(UidSet::len).sum();
    let settled = state.as_ref().map(|state| &state.settled);
    let already = settled.map_or(0, |settled| mailhaul_plan::steps::intersection(&listing.listed, settled).len());
    let source = listing.listed.len();
    let refused = source - remaining - skipped - already;
    Ok(MailboxLine {
        source: mapped.source.to_string(),
        target: Some(escape(&mapped.target_text)),
        messages: Counts { source, already, skipped, refused, remaining, ..Counts::default() },
        bytes: listing.bytes(),
    })
}

fn remark(report: &mut PlanReport, mailbox: Option<String>, text: String) {
    report.remarks.push(Remark { mailbox, text });
}
