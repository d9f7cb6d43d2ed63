//! A look at one account before its first copy: what can be reached, what is there, what would happen.
//!
//! Nothing is written anywhere, and each side sees one connection and one sign-in: failed sign-ins slow some servers
//! for everybody. The mapping, the scan and the words are those of the copy, so that what is foreseen here is what
//! happens there.
//!
//! ```text
//! opening ──▶ listing, mapping ──▶ mailboxes (counts) ──▶ target (room, limits, flags) ──▶ verdict
//! ```

mod block;
mod mailboxes;
mod opening;
mod probe;
mod remarks;
mod room;
mod sentences;
mod target;

pub use probe::{probe_endpoint, probe_without_sign_in};

use crate::bounds;
use crate::error::WalkError;
use crate::job::CopyJob;
use crate::listing::{Listings, list_both};
use crate::stop::StopSignal;
use crate::walk::Links;
use crate::words;
use block::block_of;
use mailhaul_db::{Ledger, PairView};
use mailhaul_plan::mailboxes::{Mapping, changed, map_mailboxes};
use mailhaul_report::{AccountPreflight, PreflightRemark, PreflightStep, RemarkKind};
use mailhaul_types::{MailboxName, Side};
use std::collections::BTreeMap;
use std::time::Instant;

/// Looks at both ends of an account, and tells what a copy would meet. The ledger, if there is one, says what was
/// copied before. Never panics and never fails: what is in the way stands in the report.
pub async fn preflight_account(job: &CopyJob, ledger: Option<&Ledger>, stop: &StopSignal) -> AccountPreflight {
    let started = Instant::now();
    let mut look = Look { job, step: PreflightStep::Resolve, found: AccountPreflight::default() };
    let end = tokio::select! {
        end = look.look(ledger) => end,
        () = stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    let Look { step, mut found, .. } = look;
    if let Err(error) = end {
        let block = block_of(error, step);
        if let Some(side) = block.side {
            opening::side_of(&mut found, side).failed = Some(step);
        }
        found.blocks.push(block);
    }
    found.seconds = started.elapsed().as_secs_f64();
    found
}

/// A look that is going on.
struct Look<'a> {
    job: &'a CopyJob,
    /// What is being done, so that a failure can be told by it.
    step: PreflightStep,
    found: AccountPreflight,
}

impl Look<'_> {
    async fn look(&mut self, ledger: Option<&Ledger>) -> Result<(), WalkError> {
        let Some(mut links) = self.open_both().await else { return Ok(()) };
        self.step = PreflightStep::Mailboxes;
        let listings = list_both(&mut links).await?;
        self.pass_on_both();
        self.found.source.mailboxes = listings.source.mailboxes.len() as u64;
        self.found.target.mailboxes = listings.target.mailboxes.len() as u64;

        self.step = PreflightStep::Mapping;
        let pair = match ledger {
            Some(ledger) => ledger.find_pair(&self.job.accounts.identity()).await?,
            None => None,
        };
        let mapping = self.map(&listings, pair.as_ref()).await?;
        self.pass_on_both();

        self.step = PreflightStep::Quota;
        self.look_at_limits(&mut links).await?;
        self.step = PreflightStep::Counts;
        self.leave_out(&mut links, &mapping, &listings.counts).await?;
        for mapped in &mapping.mailboxes {
            self.look_at(&mut links, pair.as_ref(), mapped, listings.counts.get(mapped.source.text()).copied()).await?;
        }
        self.found.source.passed.push(PreflightStep::Counts);
        self.step = PreflightStep::Quota;
        self.judge_room();
        self.look_at_flags(&mut links).await?;
        self.found.target.passed.push(PreflightStep::Quota);
        self.remark_on_extensions(&links);
        say_good_bye(links).await;
        Ok(())
    }

    /// Which mailbox goes where, and what of it would stop a run before it does anything.
    async fn map(&mut self, listings: &Listings, pair: Option<&PairView>) -> Result<Mapping, WalkError> {
        let mut stored = BTreeMap::new();
        if let Some(pair) = pair {
            stored.extend(pair.mappings().await?.into_iter().map(|mapping| (mapping.source, mapping.target)));
        }
        let mapping = match map_mailboxes(&listings.source, &listings.target, &self.job.rules, &stored) {
            Ok(mapping) => mapping,
            Err(error) => {
                self.block_by_decision(error.to_string(), words::MERGED_HINT);
                return Ok(Mapping::default());
            }
        };
        if !mapping.unused_rules.is_empty() {
            let (reason, hint) = (words::unused_rules(&mapping), words::UNUSED_RULES_HINT.to_owned());
            self.found.blocks.push(block_of(WalkError::Usage { reason, hint }, self.step));
        }
        let changes = changed(&stored, &mapping);
        if !changes.is_empty() && !self.job.remap {
            self.block_by_decision(words::changed_mapping(&changes), words::CHANGED_MAPPING_HINT);
        }
        self.remark_on_mapping(&mapping);
        self.remark_on_vanished(&stored, &mapping);
        Ok(mapping)
    }

    fn pass_on_both(&mut self) {
        self.found.source.passed.push(self.step);
        self.found.target.passed.push(self.step);
    }

    fn remark(&mut self, kind: RemarkKind, side: Option<Side>, mailbox: Option<&MailboxName>, text: String) {
        let mailbox = mailbox.map(ToString::to_string);
        self.found.remarks.push(PreflightRemark { kind, side, mailbox, text });
    }
}

async fn say_good_bye(links: Links) {
    let farewell = async { tokio::join!(links.source.logout(), links.target.logout()) };
    if tokio::time::timeout(bounds::LOGOUT, farewell).await.is_err() {
        tracing::debug!("a server did not answer LOGOUT");
    }
}
