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
use crate::error::{LinkError, WalkError};
use crate::job::CopyJob;
use crate::listing::{Listings, list_both};
use crate::mapping::Earlier;
use crate::oversight::Oversight;
use crate::progress::Progress;
use crate::stop::StopSignal;
use crate::walk::Links;
use crate::words;
use block::block_of;
use mailhaul_db::{Ledger, PairView};
use mailhaul_plan::mailboxes::{Mapping, changed, map_renamed_mailboxes};
use mailhaul_report::{AccountPreflight, PreflightRemark, PreflightStep, RemarkKind};
use mailhaul_types::{MailboxName, Side};
use std::collections::BTreeMap;
use std::time::Instant;

/// Looks at both ends of an account, and tells what a copy would meet. The ledger, if there is one, says what was
/// copied before. Never panics and never fails: what is in the way stands in the report.
pub async fn preflight_account(job: &CopyJob, ledger: Option<&Ledger>, stop: &StopSignal) -> AccountPreflight {
    let progress = Progress::default();
    preflight_with_oversight(job, ledger, &Oversight::none(&progress, stop)).await
}

/// The same under somebody who runs many: he sees that it moves, and is told what the servers showed.
pub async fn preflight_with_oversight(
    job: &CopyJob,
    ledger: Option<&Ledger>,
    oversight: &Oversight<'_>,
) -> AccountPreflight {
    let started = Instant::now();
    let mut look = Look { job, oversight, step: PreflightStep::Resolve, found: AccountPreflight::default() };
    let end = tokio::select! {
        end = look.look(ledger) => end,
        () = oversight.stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    if let Err(error) = end {
        look.file_end(error);
    }
    look.found.seconds = started.elapsed().as_secs_f64();
    look.found
}

/// A look that is going on.
struct Look<'a> {
    job: &'a CopyJob,
    oversight: &'a Oversight<'a>,
    /// What is being done, so that a failure can be told by it.
    step: PreflightStep,
    found: AccountPreflight,
}

impl Look<'_> {
    async fn look(&mut self, ledger: Option<&Ledger>) -> Result<(), WalkError> {
        self.begin(PreflightStep::Resolve);
        let Some(mut links) = self.open_both().await else { return Ok(()) };
        self.begin(PreflightStep::Mailboxes);
        let listings = list_both(&mut links).await?;
        self.pass_on_both();
        self.found.source.mailboxes = listings.source.mailboxes.len() as u64;
        self.found.target.mailboxes = listings.target.mailboxes.len() as u64;

        self.begin(PreflightStep::Mapping);
        let pair = match ledger {
            Some(ledger) => ledger.find_pair(&self.job.accounts.identity()).await?,
            None => None,
        };
        if let Some(mapping) = self.map(&listings, pair.as_ref()).await? {
            self.pass_on_both();
            self.look_into(&mut links, &mapping, &listings.counts(), pair.as_ref()).await?;
        }
        say_good_bye(links).await;
        Ok(())
    }

    /// Everything that can be told once it is known which mailbox goes where.
    async fn look_into(
        &mut self,
        links: &mut Links,
        mapping: &Mapping,
        counts: &BTreeMap<String, u32>,
        pair: Option<&PairView>,
    ) -> Result<(), WalkError> {
        self.begin(PreflightStep::Quota);
        self.look_at_limits(links).await?;
        self.begin(PreflightStep::Counts);
        self.oversight.progress.expect_mailboxes(mapping.mailboxes.len() as u64);
        self.leave_out(links, mapping, counts).await?;
        for mapped in &mapping.mailboxes {
            self.look_at(links, pair, mapped, counts.get(mapped.source.text()).copied()).await?;
            self.oversight.progress.finish_mailbox(mapped.source.text());
        }
        self.found.source.passed.push(PreflightStep::Counts);
        self.begin(PreflightStep::Quota);
        self.judge_room();
        self.look_at_flags(links).await?;
        self.found.target.passed.push(PreflightStep::Quota);
        self.remark_on_extensions(links);
        Ok(())
    }

    fn begin(&mut self, step: PreflightStep) {
        self.step = step;
        self.oversight.progress.doing(format!("looking ahead: {}", step.as_str()));
    }

    /// Files what ended the look before its end.
    fn file_end(&mut self, error: WalkError) {
        if let WalkError::Link(link) = &error {
            self.tell(link);
        }
        let block = block_of(error, self.step);
        if let Some(side) = block.side {
            opening::side_of(&mut self.found, side).failed = Some(self.step);
        }
        self.found.blocks.push(block);
    }

    /// Tells whoever runs many what a server showed.
    fn tell(&self, link: &LinkError) {
        let Some(sign) = link.sign() else { return };
        self.oversight.supervisor.sign(link.side, sign);
    }

    /// Which mailbox goes where, and what of it would stop a run before it does anything. `None`: the rules lead nowhere.
    async fn map(&mut self, listings: &Listings, pair: Option<&PairView>) -> Result<Option<Mapping>, WalkError> {
        let briefs = match pair {
            Some(pair) => pair.overview().await?,
            None => Vec::new(),
        };
        let Earlier { stored, kept } = Earlier::of(briefs.iter());
        let rules = &self.job.rules;
        let mapping = match map_renamed_mailboxes(&listings.source, &listings.target, rules, &stored, &kept) {
            Ok(mapping) => mapping,
            Err(error) => {
                self.block_by_decision(error.to_string(), words::MERGED_HINT);
                return Ok(None);
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
        Ok(Some(mapping))
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
