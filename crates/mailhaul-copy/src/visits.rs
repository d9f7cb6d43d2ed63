//! Which mailboxes are visited, and what is said of the others.

use crate::account::Run;
use crate::error::WalkError;
use crate::job::CopyJob;
use crate::plan_run::Planned;
use mailhaul_db::{MailboxBrief, Synced};
use mailhaul_plan::mailboxes::MappedMailbox;
use mailhaul_plan::visits::{Figures, Look, Reason, Remembered, TargetView, Visit, decide_visit};

/// One mailbox that is visited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visited {
    /// Its place in the mapping.
    pub(crate) place: usize,
    pub(crate) reason: Reason,
}

impl Run<'_> {
    /// Decides about every mailbox, and files those that are not visited.
    pub(crate) async fn decide_visits(&mut self, planned: &Planned) -> Result<Vec<Visited>, WalkError> {
        let walk = self.walk;
        walk.progress.expect_mailboxes(planned.mapping.mailboxes.len() as u64);
        let mut visits = Vec::new();
        let mut unchanged = 0_u64;
        for (place, mapped) in planned.mailboxes() {
            let brief = planned.briefs.get(mapped.source.text());
            let synced = brief.and_then(|brief| brief.synced.as_ref());
            let (visit, Some(synced)) = (look_at(walk.job, planned, mapped, brief), synced) else {
                visits.push(Visited { place, reason: Reason::NeverComplete });
                continue;
            };
            match visit {
                Visit::Needed(reason) => visits.push(Visited { place, reason }),
                Visit::Unchanged | Visit::TargetGone => {
                    unchanged += 1;
                    self.summary.unchanged(walk, mapped, synced, visit == Visit::TargetGone).await?;
                    walk.progress.leave_unchanged();
                }
            }
        }
        for visit in &visits {
            let mapped = &planned.mapping.mailboxes[visit.place];
            tracing::debug!(mailbox.name = %mapped.source, reason = %visit.reason, "to be visited");
            if let Some(messages) = planned.messages(&mapped.source) {
                walk.progress.foresee(mapped.source.text(), u64::from(messages));
            }
        }
        if unchanged > 0 {
            tracing::info!(unchanged, visited = visits.len(), "{unchanged} mailboxes are as they were");
        }
        Ok(visits)
    }
}

fn look_at(job: &CopyJob, planned: &Planned, mapped: &MappedMailbox, brief: Option<&MailboxBrief>) -> Visit {
    let synced = brief.and_then(|brief| brief.synced.as_ref());
    let remembered = synced.map(as_remembered);
    let target = match planned.target.get(&mapped.target_text) {
        Some(figures) => TargetView::Listed(figures.clone()),
        // INBOX is always there, whatever a list says (RFC 9051 §5.1).
        None if mapped.exists_on_target || mapped.target_text.eq_ignore_ascii_case("INBOX") => {
            TargetView::Listed(Figures::default())
        }
        None => TargetView::Absent,
    };
    decide_visit(&Look {
        remembered: remembered.as_ref(),
        source: planned.source.get(mapped.source.text()),
        target: &target,
        target_mark: brief.and_then(|brief| brief.target_mark),
        in_flight: brief.is_some_and(|brief| brief.sent.is_some()),
        failed: brief.is_some_and(|brief| brief.mailbox_failed),
        // Without exceptions there is nothing to try again.
        retry: job.retry_exceptions.covers(mapped.source.text()) && synced.is_none_or(|synced| synced.exceptions > 0),
        thorough: job.resync.thorough,
        policy: policy_digest(job),
        flags: job.resync.flags,
    })
}

fn as_remembered(synced: &Synced) -> Remembered {
    Remembered {
        uid_validity: synced.source_uid_validity,
        uid_next: synced.uid_next,
        exists: synced.exists,
        highest_modseq: synced.highest_modseq,
        mailbox_id: synced.mailbox_id.clone(),
        target_uid_validity: synced.target_uid_validity,
        policy: synced.policy,
    }
}

/// The decisions under which a mailbox may be left alone, as one number: under others it is visited once.
pub(crate) fn policy_digest(job: &CopyJob) -> u64 {
    let (selection, resync) = (&job.selection, &job.resync);
    let text = format!(
        "{:?} {:?} {:?} {} {} {} {}",
        selection.since,
        selection.before,
        selection.max_size,
        job.copy_deleted_flag,
        resync.flags,
        resync.deletions,
        resync.switched,
    );
    // FNV-1a: the number stands in the ledger, so it must be the same in every build.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |digest, octet| (digest ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}
