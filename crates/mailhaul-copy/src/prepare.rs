//! Making sure that the target mailbox is there, under a name that the target accepts, and subscribed like its source.
//!
//! What is to be made at all is made ahead of the data, in bursts. What becomes of each mailbox is looked at when its turn
//! has come: one that was refused then is asked for alone, and its refusal has its name.

use crate::account::Run;
use crate::error::{WalkError, mailbox_error, on};
use crate::mapping::as_stored;
use crate::pause;
use crate::plan_run::Planned;
use crate::visits::Visited;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::MailboxLedger;
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_plan::mailboxes::{MappedMailbox, Mapping};
use mailhaul_types::{MailboxName, Side, escape};
use tokio::time::Instant;

/// Commands that are in flight, at first and when a connection has been lost; one from the second loss on. Some targets drop
/// whoever asks for much at once, and each of these commands costs them more than a round trip's share.
const AT_ONCE: [usize; 2] = [64, 8];

/// The target mailbox, as far as it can be made ready before the source was looked at.
pub(crate) struct Prepared {
    /// The name to write to.
    pub(crate) name: MailboxName,
    /// Whether it is not there, although messages were settled in it: [`create_again`] makes it, if it is needed.
    pub(crate) is_missing: bool,
}

impl Run<'_> {
    /// Creates and subscribes what the mailboxes to be visited lack on the target, without waiting for one before the
    /// next.
    pub(crate) async fn prepare_ahead(&mut self, planned: &mut Planned, visits: &[Visited]) -> Result<(), WalkError> {
        if self.walk.job.recognise_only {
            return Ok(());
        }
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        let mut at_once = AT_ONCE.into_iter();
        let mut first = true;
        loop {
            let most = at_once.next().unwrap_or(1);
            let done = made_and_subscribed(planned);
            let Err(error) = self.try_to_prepare(planned, visits, most).await else { return Ok(()) };
            if made_and_subscribed(planned) > done {
                pauses = pause::reconnects(self.walk.supervisor.reconnects());
            }
            self.recover(error, &mut pauses, std::mem::take(&mut first)).await?;
        }
    }

    /// With so many commands in flight. What was answered before the connection was lost is done.
    async fn try_to_prepare(
        &mut self,
        planned: &mut Planned,
        visits: &[Visited],
        at_once: usize,
    ) -> Result<(), WalkError> {
        let walk = self.walk;
        let links = self.connected().await?;
        let encoding = links.target.name_encoding();
        // Mailboxes come before those that they hold.
        let mut places: Vec<usize> = visits.iter().map(|visit| visit.place).collect();
        places.sort_unstable();
        let named = |place: &usize| planned.mapping.mailboxes[*place].target_name(encoding);
        let names: Vec<MailboxName> = places.iter().map(named).collect();
        let wanted = |(place, name): &(&usize, &MailboxName)| is_to_be_made(planned, **place, name);
        let missing: Vec<(usize, &MailboxName)> =
            places.iter().zip(&names).filter(wanted).map(|(place, name)| (*place, name)).collect();
        let asked: Vec<&MailboxName> = missing.iter().map(|(_, name)| *name).collect();
        let began = Instant::now();
        let made = links.target.create_all(&asked, at_once).await;
        let (halfway, created) = (made.halfway, Instant::now());
        for ((place, _), _) in missing.iter().zip(made.done).filter(|(_, made)| *made) {
            let mapped = &mut planned.mapping.mailboxes[*place];
            walk.lease.mailbox(mapped.source.text()).await?.note_made().await?;
            mapped.exists_on_target = true;
        }
        made.end.map_err(on(Side::Target))?;
        let is_there = |place: &usize, name: &MailboxName| {
            let mapped = &planned.mapping.mailboxes[*place];
            let there = mapped.exists_on_target || name.is_inbox();
            there && mapped.subscribed && !planned.subscribed.contains(name.text())
        };
        let unsubscribed: Vec<&MailboxName> =
            places.iter().zip(&names).filter(|(place, name)| is_there(place, name)).map(|(_, name)| name).collect();
        let began_subscribing = Instant::now();
        let subscribed = links.target.subscribe_all(&unsubscribed, at_once).await;
        if subscribed.end.is_ok() {
            let waiting = links.target.round_trip().unwrap_or_default();
            for (commands, began, halfway, ended) in [
                (asked.len(), began, halfway, created),
                (unsubscribed.len(), began_subscribing, subscribed.halfway, Instant::now()),
            ] {
                walk.learning.made(commands, [began, halfway.unwrap_or(ended), ended], waiting);
            }
        }
        let done = unsubscribed.iter().zip(subscribed.done).filter(|(_, done)| *done);
        planned.subscribed.extend(done.map(|(name, _)| name.text().to_owned()));
        subscribed.end.map_err(on(Side::Target))
    }
}

/// A number that grows with what is done.
fn made_and_subscribed(planned: &Planned) -> usize {
    let made = planned.mapping.mailboxes.iter().filter(|mapped| mapped.exists_on_target).count();
    made + planned.subscribed.len()
}

/// Whether a target mailbox is to be created before anything else is known of it.
fn is_to_be_made(planned: &Planned, place: usize, name: &MailboxName) -> bool {
    let mapped = &planned.mapping.mailboxes[place];
    let settled = planned.briefs.get(mapped.source.text()).is_some_and(|brief| brief.counts.total() > 0);
    !mapped.exists_on_target && !name.is_inbox() && !settled
}

/// Creates and subscribes what is missing. `place` is the mailbox's place in the mapping.
pub(crate) async fn prepare_target(
    walk: &Walk<'_>,
    links: &mut Links,
    planned: &mut Planned,
    place: usize,
    ledger: &MailboxLedger,
) -> Result<Prepared, WalkError> {
    let Planned { mapping, subscribed, briefs, .. } = planned;
    let mapped = mapping.mailboxes[place].clone();
    let mut name = mapped.target_name(links.target.name_encoding());
    if !mapped.exists_on_target && !name.is_inbox() {
        let settled = briefs.get(mapped.source.text()).is_some_and(|brief| brief.counts.total() > 0);
        if settled || walk.job.recognise_only {
            return Ok(Prepared { name, is_missing: true });
        }
        let (made_as, made) = create_somehow(walk, links, &mapped, mapping, name).await?;
        name = made_as;
        if made {
            ledger.note_made().await?;
        }
    }
    if mapped.subscribed && !subscribed.contains(name.text()) && !walk.job.recognise_only {
        match links.target.subscribe(&name).await {
            Err(error) if !error.leaves_connection_usable() => return Err(mailbox_error(Side::Target, error)),
            // Not worth a mailbox: some servers subscribe everything by themselves and refuse the command.
            Err(error) => tracing::warn!(mailbox = %name, %error, "could not subscribe"),
            Ok(()) => {}
        }
    }
    Ok(Prepared { name, is_missing: false })
}

/// Creates a mailbox that was there in an earlier run, under its own name only: under another one everything would be
/// copied a second time.
pub(crate) async fn create_again(links: &mut Links, pair: &Pair<'_>, settled: u64) -> Result<(), WalkError> {
    let wanted = pair.target;
    match create(links, wanted).await {
        Ok(true) => Ok(pair.ledger.note_made().await?),
        Ok(false) => Ok(()),
        Err(refused) if may_be_about_the_name(&refused) => Err(cannot_make_again(wanted, settled, &refused)),
        Err(refused) => Err(mailbox_error(Side::Target, refused)),
    }
}

fn cannot_make_again(wanted: &MailboxName, settled: u64, refused: &ImapError) -> WalkError {
    WalkError::MailboxDecision(format!(
        "the target mailbox `{wanted}`, which holds {settled} messages copied earlier, is gone and cannot be made again: \
         \"{}\"; nothing was done. If it was renamed there, --map with --remap follows it",
        escape(&refused.to_string()),
    ))
}

/// Creates the mailbox; if the target refuses its name, under the first safer name that it accepts. The mapping changes
/// only once a name was accepted: a target that refuses everything for the moment must not change any name. Returns the
/// name, and whether it was made just now.
async fn create_somehow(
    walk: &Walk<'_>,
    links: &mut Links,
    mapped: &MappedMailbox,
    mapping: &mut Mapping,
    wanted: MailboxName,
) -> Result<(MailboxName, bool), WalkError> {
    let refused = match create(links, &wanted).await {
        Ok(made) => return Ok((wanted, made)),
        Err(refused) => refused,
    };
    if !may_be_about_the_name(&refused) {
        return Err(mailbox_error(Side::Target, refused));
    }
    let settled = walk.lease.mailbox(mapped.source.text()).await?.load().await?.settled.len();
    if settled > 0 {
        // Under another name everything would be copied a second time.
        return Err(cannot_make_again(&wanted, settled, &refused));
    }
    tracing::warn!(mailbox = %mapped.source, name = %wanted, error = %refused, "the target refuses this name");
    let mut attempt = 0;
    while let Some(safer) = mapping.safer_name(&mapped.source, attempt) {
        let name = MailboxName::from_text(&safer, links.target.name_encoding());
        match create(links, &name).await {
            Ok(made) => {
                mapping.rename(&mapped.source, &safer);
                let renamed = MappedMailbox { target_text: safer, ..mapped.clone() };
                walk.lease.remap_mailbox(as_stored(&renamed)).await?;
                return Ok((name, made));
            }
            Err(error) if may_be_about_the_name(&error) => attempt += 1,
            Err(error) => return Err(mailbox_error(Side::Target, error)),
        }
    }
    Err(mailbox_error(Side::Target, refused))
}

/// CREATE, which is also satisfied if the mailbox is there already: an earlier connection may have been lost between
/// the command and its answer. Whether it was made just now.
async fn create(links: &mut Links, name: &MailboxName) -> Result<bool, ImapError> {
    let refused = match links.target.create(name).await {
        Err(error @ ImapError::Refused { .. }) => error,
        other => return other.map(|()| true),
    };
    match links.target.status(name).await {
        Ok(_) => Ok(false),
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
