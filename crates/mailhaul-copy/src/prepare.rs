//! Making sure that the target mailbox is there, under a name that the target accepts, and subscribed like its source.

use crate::error::{WalkError, mailbox_error};
use crate::mapping::as_stored;
use crate::walk::Links;
use crate::walk::Walk;
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_plan::mailboxes::{MappedMailbox, Mapping};
use mailhaul_types::{MailboxName, Side, escape};
use std::collections::BTreeSet;

/// Creates and subscribes what is missing; returns the name to write to. `place` is the mailbox's place in the mapping;
/// `subscribed` holds what is subscribed on the target.
pub(crate) async fn prepare_target(
    walk: &Walk<'_>,
    links: &mut Links,
    mapping: &mut Mapping,
    place: usize,
    subscribed: &BTreeSet<String>,
) -> Result<MailboxName, WalkError> {
    let mapped = mapping.mailboxes[place].clone();
    let mut name = mapped.target_name(links.target.name_encoding());
    if !mapped.exists_on_target && !name.is_inbox() {
        name = create_somehow(walk, links, &mapped, mapping, name).await?;
    }
    if mapped.subscribed && !subscribed.contains(name.text()) {
        match links.target.subscribe(&name).await {
            Err(error) if !error.leaves_connection_usable() => return Err(mailbox_error(Side::Target, error)),
            // Not worth a mailbox: some servers subscribe everything by themselves and refuse the command.
            Err(error) => tracing::warn!(mailbox = %name, %error, "could not subscribe"),
            Ok(()) => {}
        }
    }
    Ok(name)
}

/// Creates the mailbox; if the target refuses its name, under the first safer name that it accepts. The mapping changes
/// only once a name was accepted: a target that refuses everything for the moment must not change any name.
async fn create_somehow(
    walk: &Walk<'_>,
    links: &mut Links,
    mapped: &MappedMailbox,
    mapping: &mut Mapping,
    wanted: MailboxName,
) -> Result<MailboxName, WalkError> {
    let Err(refused) = create(links, &wanted).await else { return Ok(wanted) };
    if !may_be_about_the_name(&refused) {
        return Err(mailbox_error(Side::Target, refused));
    }
    let state = walk.lease.mailbox(mapped.source.text()).await?.load().await?;
    if !state.settled.is_empty() {
        // Under another name everything would be copied a second time.
        return Err(WalkError::MailboxDecision(format!(
            "the target mailbox `{wanted}`, which holds {} messages copied earlier, is gone and cannot be made again: \
             \"{}\"; nothing was done. If it was renamed there, --map with --remap follows it",
            state.settled.len(),
            escape(&refused.to_string()),
        )));
    }
    tracing::warn!(mailbox = %mapped.source, name = %wanted, error = %refused, "the target refuses this name");
    let mut attempt = 0;
    while let Some(safer) = mapping.safer_name(&mapped.source, attempt) {
        let name = MailboxName::from_text(&safer, links.target.name_encoding());
        match create(links, &name).await {
            Ok(()) => {
                mapping.rename(&mapped.source, &safer);
                let renamed = MappedMailbox { target_text: safer, ..mapped.clone() };
                walk.lease.remap_mailbox(as_stored(&renamed)).await?;
                return Ok(name);
            }
            Err(error) if may_be_about_the_name(&error) => attempt += 1,
            Err(error) => return Err(mailbox_error(Side::Target, error)),
        }
    }
    Err(mailbox_error(Side::Target, refused))
}

/// CREATE, which is also satisfied if the mailbox is there already: an earlier connection may have been lost between
/// the command and its answer.
async fn create(links: &mut Links, name: &MailboxName) -> Result<(), ImapError> {
    let refused = match links.target.create(name).await {
        Err(error @ ImapError::Refused { .. }) => error,
        other => return other,
    };
    match links.target.status(name).await {
        Ok(_) => Ok(()),
        Err(error) if error.leaves_connection_usable() => Err(refused),
        Err(error) => Err(error),
    }
}

/// Whether a refusal of CREATE may be about the name. RFC 5530 has codes for refusals that are about something else.
fn may_be_about_the_name(error: &ImapError) -> bool {
    const ABOUT_SOMETHING_ELSE: [&str; 6] =
        ["NOPERM", "INUSE", "NONEXISTENT", "UNAVAILABLE", "SERVERBUG", "CONTACTADMIN"];
    let ImapError::Refused { status, .. } = error else { return false };
    let code = status.code_name().unwrap_or_default();
    let classes = [ErrorClass::Throttle, ErrorClass::SignIn, ErrorClass::Quota, ErrorClass::Server];
    !ABOUT_SOMETHING_ELSE.contains(&code.as_str()) && !classes.contains(&error.class())
}
