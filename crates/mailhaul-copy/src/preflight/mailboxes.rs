//! What is in each source mailbox, what of it is left to be copied, and whether the source shows all of it.
//!
//! The sum of sizes that some servers tell (RFC 8438) is enough where nothing else depends on single messages: nothing
//! was copied before, everything is wanted, and the target names no largest message. Otherwise the messages are listed
//! just as the copy lists them.

use super::Look;
use crate::carry_over::moved_ground;
use crate::error::{WalkError, mailbox_error, on};
use crate::scan::{Known, Listing, scan_mailbox};
use crate::views;
use crate::walk::Links;
use crate::words;
use mailhaul_db::{ExceptionState as Stored, MailboxState, PairView};
use mailhaul_imap::SelectedMailbox;
use mailhaul_plan::mailboxes::{LeftOutReason, MappedMailbox, Mapping};
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::{intersection, is_mass_absence};
use mailhaul_plan::views::{Doubt, looks_capped};
use mailhaul_report::{PreflightMailbox, RemarkKind, bytes_for_people, count_of};
use mailhaul_types::{MailboxName, Side, UidSet, escape};
use std::collections::BTreeMap;

/// What a server says of a mailbox without opening it.
#[derive(Clone, Copy, Default)]
struct Claimed {
    messages: Option<u32>,
    bytes: Option<u64>,
}

impl Look<'_> {
    /// Files what is left out, with the number of messages where it is told.
    pub(super) async fn leave_out(
        &mut self,
        links: &mut Links,
        mapping: &Mapping,
        counts: &BTreeMap<String, u32>,
    ) -> Result<(), WalkError> {
        let wanted = mapping.left_out.iter().filter(|left_out| left_out.reason != LeftOutReason::NotSelectable);
        for left_out in wanted {
            let messages = match counts.get(left_out.source.text()) {
                Some(messages) => Some(*messages),
                None => claimed(links, &left_out.source).await?.messages,
            };
            self.found.mailboxes.push(PreflightMailbox {
                source: left_out.source.to_string(),
                messages: u64::from(messages.unwrap_or_default()),
                ..PreflightMailbox::default()
            });
        }
        Ok(())
    }

    /// Looks at one mailbox pair. What is only this mailbox's trouble becomes a remark.
    pub(super) async fn look_at(
        &mut self,
        links: &mut Links,
        pair: Option<&PairView>,
        mapped: &MappedMailbox,
        listed: Option<u32>,
    ) -> Result<(), WalkError> {
        let state = match pair {
            Some(pair) => pair.load(mapped.source.text()).await?,
            None => None,
        };
        let mut line = PreflightMailbox {
            source: mapped.source.to_string(),
            target: Some(escape(&mapped.target_text)),
            creates: !mapped.exists_on_target && !mapped.target_text.eq_ignore_ascii_case("INBOX"),
            messages: u64::from(listed.unwrap_or_default()),
            ..PreflightMailbox::default()
        };
        match self.count(links, mapped, state, listed, &mut line).await {
            Err(WalkError::Mailbox(reason)) => {
                self.remark(RemarkKind::MailboxFailed, None, Some(&mapped.source), reason);
            }
            Err(WalkError::MailboxDecision(reason)) => {
                self.remark(RemarkKind::MailboxStopped, None, Some(&mapped.source), reason);
            }
            other => other?,
        }
        if !line.creates && line.to_copy_messages > 0 {
            line.unknown_on_target = unknown_on_target(links, mapped, line.settled_messages).await?;
        }
        self.found.mailboxes.push(line);
        Ok(())
    }

    async fn count(
        &mut self,
        links: &mut Links,
        mapped: &MappedMailbox,
        mut state: Option<MailboxState>,
        listed: Option<u32>,
        line: &mut PreflightMailbox,
    ) -> Result<(), WalkError> {
        if let Some(state) = state.as_mut().filter(|_| self.job.retry_exceptions.covers(mapped.source.text())) {
            let again = [Stored::Refused, Stored::Unreadable, Stored::PossibleDuplicate];
            state.exceptions.retain(|stored| !again.contains(&stored.exception.state));
        }
        let sum_is_enough = self.sum_is_enough(state.as_ref());
        let claims = match links.source.capabilities().status_size() {
            true => claimed(links, &mapped.source).await?,
            false => Claimed { messages: listed, bytes: None },
        };
        let selected =
            links.source.examine(&mapped.source).await.map_err(|error| mailbox_error(Side::Source, error))?;
        let Some(uid_validity) = selected.uid_validity else {
            return Err(WalkError::Mailbox("the source keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
        };
        let ground = state.as_ref().and_then(|state| moved_ground(&selected, uid_validity, state));
        if let Some(why) = ground.map(|ground| ground.why) {
            self.remark(RemarkKind::Unknown, Some(Side::Source), Some(&mapped.source), words::moved_ground(&why));
            state = None;
        }
        self.doubt_the_view(links, &mapped.source, &selected, claims);
        line.messages = u64::from(selected.exists);
        line.bytes = claims.bytes;
        if let Some(bytes) = claims.bytes.filter(|_| sum_is_enough) {
            (line.to_copy_messages, line.to_copy_bytes) = (line.messages, bytes);
            return Ok(());
        }
        let known = Known::new(state.as_ref(), &self.job.selection);
        let listing =
            scan_mailbox(&mut links.source, Side::Source, &mapped.source, selected, uid_validity, &known).await?;
        self.take(&mapped.source, &listing, state.as_ref(), line);
        Ok(())
    }

    /// Whether the sum of all sizes tells what there is to copy.
    fn sum_is_enough(&self, state: Option<&MailboxState>) -> bool {
        self.found.append_limit_bytes.is_none()
            && self.job.selection == Selection::default()
            && state.is_none_or(|state| state.settled.is_empty() && state.exceptions.is_empty())
    }

    /// Files what the list of messages shows.
    fn take(
        &mut self,
        source: &MailboxName,
        listing: &Listing,
        state: Option<&MailboxState>,
        line: &mut PreflightMailbox,
    ) {
        let nothing = UidSet::new();
        let settled = state.map_or(&nothing, |state| &state.settled);
        line.messages = listing.listed.len();
        line.settled_messages = intersection(&listing.listed, settled).len();
        line.to_copy_messages = listing.todo.len() as u64;
        line.to_copy_bytes = listing.bytes();
        if line.to_copy_messages == line.messages {
            // Of anything else the sizes were not kept, and the server's own sum stands, if it told one.
            line.bytes = Some(line.to_copy_bytes);
        }
        if let Some(missing) = &listing.missing {
            self.remark(RemarkKind::CappedView, Some(Side::Source), Some(source), missing.clone());
        }
        self.remark_on_size(source, listing, line);
        let Some(state) = state else { return };
        if is_mass_absence(&listing.listed, settled) && !self.job.accept_mass_absence {
            let text = words::mass_absence(listing.listed.len(), settled.len());
            self.remark(RemarkKind::MailboxStopped, None, Some(source), text);
        }
        let set_aside = intersection(&listing.listed, &state.set_aside()).len();
        if set_aside > 0 {
            let text = format!("earlier runs have set {} aside; they stay aside", count_of(set_aside, "message"));
            self.remark(RemarkKind::Exceptions, None, Some(source), text);
        }
    }

    fn remark_on_size(&mut self, source: &MailboxName, listing: &Listing, line: &mut PreflightMailbox) {
        let Some(limit) = self.found.append_limit_bytes else { return };
        let sizes = listing.todo.iter().map(|(_, size)| u64::from(*size)).filter(|size| *size > limit);
        let (count, largest) = sizes.fold((0, 0), |(count, largest): (u64, u64), size| (count + 1, largest.max(size)));
        line.too_large_messages = count;
        if count > 0 {
            let text = format!(
                "{} of up to {} will be refused: the target takes at most {}",
                count_of(count, "message"),
                bytes_for_people(largest),
                bytes_for_people(limit)
            );
            self.remark(RemarkKind::TooLarge, None, Some(source), text);
        }
    }

    /// Whether the source shows all that there is, by the signs that a copy goes by too.
    fn doubt_the_view(&mut self, links: &Links, source: &MailboxName, selected: &SelectedMailbox, claims: Claimed) {
        if views::is_accepted(&self.job.resync.accepted_views, source) {
            return;
        }
        let shown = selected.exists;
        let told = claims.messages.unwrap_or_default();
        let capped = looks_capped(shown, views::is_gmail(links.source.capabilities()));
        // Mail that came in between makes the opened mailbox the larger one, and mail may go as well; what does not
        // fit by more than that is a view that shows less than there is.
        let doubt = match told > shown.saturating_add(shown / 100 + 10) {
            true => Some(Doubt::Differs { told, shown }),
            false => capped,
        };
        if let Some(doubt) = doubt {
            self.remark(RemarkKind::CappedView, Some(Side::Source), Some(source), views::in_words(doubt, source));
        }
    }
}

/// STATUS with the sum of sizes; nothing if the server will not say. Servers that announce the sum and refuse it are
/// known.
async fn claimed(links: &mut Links, name: &MailboxName) -> Result<Claimed, WalkError> {
    match links.source.status_with_size(name).await {
        Ok(status) => Ok(Claimed { messages: status.messages, bytes: status.size }),
        Err(error) if error.leaves_connection_usable() => Ok(Claimed::default()),
        Err(error) => Err(on(Side::Source)(error)),
    }
}

/// Messages in the target mailbox that no earlier run put there.
async fn unknown_on_target(links: &mut Links, mapped: &MappedMailbox, settled: u64) -> Result<Option<u64>, WalkError> {
    let name = mapped.target_name(links.target.name_encoding());
    match links.target.status(&name).await {
        Ok(status) => Ok(status.messages.map(|messages| u64::from(messages).saturating_sub(settled))),
        Err(error) if error.leaves_connection_usable() => Ok(None),
        Err(error) => Err(on(Side::Target)(error)),
    }
}
