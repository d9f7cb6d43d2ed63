//! With the target mailbox selected or without: where every message is a command of its own, servers differ up to eightfold
//! in which of the two they are faster at. Both ways are measured in the first batches, and the better one is kept.
//!
//! Whatever is asked of the mailbox itself needs it selected, so it is selected again before anything but the next batch.

use crate::error::{WalkError, on};
use crate::rounds::{Sender, says_absent};
use crate::target_side::open_quiet_target;
use crate::transfer::{End, Outcome, Shipment};
use mailhaul_imap::ImapError;
use mailhaul_types::Side;

/// Messages of one trial: with fewer, the two round trips that a way costs would weigh more than what is measured.
const TRIAL_MESSAGES: u64 = 100;

impl Sender<'_, '_> {
    /// How many shipments make a trial, if one is to be made and enough is left for it.
    pub(crate) fn width_of_trial(&self, rest: &[Shipment]) -> Option<usize> {
        let target = &self.links.target;
        if target.capabilities().multiappend() || !target.can_unselect() || !self.walk.learning.tries_single_appends() {
            return None;
        }
        let mut messages = 0;
        let enough = rest.iter().position(|shipment| {
            messages += shipment.batch.uids.len();
            messages >= TRIAL_MESSAGES
        });
        enough.map(|last| last + 1)
    }

    /// Leaves the target mailbox where that is faster, or is to be measured; whether none is selected now.
    pub(crate) async fn take_better_form(&mut self, slice: &[Shipment]) -> Result<bool, WalkError> {
        let Self { walk, links, .. } = self;
        let messages: u64 = slice.iter().map(|shipment| shipment.batch.uids.len()).sum();
        let is_asked = !links.target.capabilities().multiappend() && messages >= TRIAL_MESSAGES;
        if !is_asked || !walk.learning.appends_unselected() {
            self.come_back().await?;
            return Ok(false);
        }
        links.target.unselect().await.map_err(on(Side::Target))?;
        if links.target.has_open_mailbox() {
            walk.learning.cannot_leave();
        }
        Ok(!links.target.has_open_mailbox())
    }

    /// After a transfer: learns from it, and selects the mailbox again where what follows needs it. Where the transfer has
    /// ended for another reason, that is what has to be told, and nothing more is asked of the mailbox.
    pub(crate) async fn look_back(
        &mut self,
        unselected: bool,
        outcome: &Outcome,
        copied: u64,
    ) -> Result<(), WalkError> {
        let is_clean = matches!(outcome.end, End::Finished)
            && outcome.unanswered == 0
            && outcome.refused.is_empty()
            && outcome.missing.is_empty()
            && outcome.unfetched.is_empty();
        let is_single = !self.links.target.capabilities().multiappend();
        let messages = copied + outcome.stored_without_uids.len() as u64;
        if is_clean && is_single && messages >= TRIAL_MESSAGES && self.walk.learning.tries_single_appends() {
            self.walk.learning.appended(unselected, messages, outcome.took);
        }
        if unselected && outcome.named_another_mailbox {
            // Made anew, it is opened by the next pass. A target that says so of a mailbox that is the same would end every
            // transfer like this.
            self.walk.learning.cannot_leave();
        }
        let is_there = !outcome.refused.iter().any(|refusal| says_absent(&refusal.status));
        let is_unsettled = !outcome.stored_without_uids.is_empty();
        let is_wanted = is_unsettled || (!is_clean && matches!(outcome.end, End::Finished));
        if is_wanted && is_there && !outcome.target_spoilt {
            self.come_back().await?;
        }
        Ok(())
    }

    /// Selects the target mailbox again if it was left.
    pub(crate) async fn come_back(&mut self) -> Result<(), WalkError> {
        let Self { links, pair, target, .. } = self;
        if links.target.has_open_mailbox() {
            return Ok(());
        }
        let opened = open_quiet_target(&mut links.target, pair).await?;
        if opened.read_only {
            return Err(WalkError::Mailbox("the target opens this mailbox read-only by now".to_owned()));
        }
        if opened.uid_validity != Some(target.uid_validity) {
            let detail = "UIDVALIDITY changed while messages were stored".to_owned();
            return Err(on(Side::Target)(ImapError::Protocol { during: "SELECT", detail }));
        }
        Ok(())
    }
}
