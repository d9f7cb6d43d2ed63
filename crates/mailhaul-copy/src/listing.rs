//! Signing in on both sides, and what both sides show.

use crate::error::{LinkError, WalkError, on};
use crate::job::AccountPair;
use crate::walk::Links;
use mailhaul_imap::{Connection, ImapError, ListedMailbox, MailboxStatus};
use mailhaul_plan::mailboxes::{AccountListing, MailboxEntry, Namespace, Namespaces};
use mailhaul_plan::visits::Figures;
use mailhaul_types::{MailboxName, Side};
use std::collections::BTreeMap;

/// Signs in on both sides at once; with `list` for somebody who lists the mailboxes next.
pub(crate) async fn connect(accounts: &AccountPair, list: bool) -> Result<Links, LinkError> {
    let open = async |side, account: &crate::job::Account| {
        let (endpoint, credentials) = (&account.endpoint, &account.credentials);
        let opened = match list {
            true => Connection::open_and_list(side, endpoint, credentials, &accounts.timeouts).await,
            false => Connection::open(side, endpoint, credentials, &accounts.timeouts).await,
        };
        opened.map_err(|error| LinkError::new(side, error))
    };
    let (source, target) =
        tokio::try_join!(open(Side::Source, &accounts.source), open(Side::Target, &accounts.target))?;
    Ok(Links { source, target })
}

/// What both sides show.
pub(crate) struct Listings {
    pub(crate) source: AccountListing,
    pub(crate) target: AccountListing,
    /// What the source tells of its mailboxes along with their list, by name as text. A mailbox may be missing.
    pub(crate) source_figures: BTreeMap<String, Figures>,
    /// The same of the target.
    pub(crate) target_figures: BTreeMap<String, Figures>,
}

impl Listings {
    /// Messages in source mailboxes, by name, as far as the source told them.
    pub(crate) fn counts(&self) -> BTreeMap<String, u32> {
        let told = self.source_figures.iter();
        told.filter_map(|(name, figures)| Some((name.clone(), figures.messages?))).collect()
    }
}

/// Lists the mailboxes of both sides at once.
pub(crate) async fn list_both(links: &mut Links) -> Result<Listings, WalkError> {
    let ((source, source_figures), (target, target_figures)) =
        tokio::try_join!(list(&mut links.source, Side::Source), list(&mut links.target, Side::Target))?;
    Ok(Listings { source, target, source_figures, target_figures })
}

/// Lists the mailboxes of the source alone, with none of them open: what a server tells of the open one may be stale
/// (RFC 9051 §6.3.11).
pub(crate) async fn list_again(links: &mut Links) -> Result<(AccountListing, BTreeMap<String, Figures>), WalkError> {
    links.source.unselect().await.map_err(on(Side::Source))?;
    list(&mut links.source, Side::Source).await
}

async fn list(
    connection: &mut Connection,
    side: Side,
) -> Result<(AccountListing, BTreeMap<String, Figures>), WalkError> {
    let declared = connection.capabilities().has("NAMESPACE");
    let namespaces = connection.namespaces().await.map_err(on(side))?;
    let mut mailboxes = connection.list_mailboxes_with_status().await.map_err(on(side))?;
    if !has_inbox(&mailboxes) {
        // RFC 9051 §5.1: INBOX always exists. A list without it is not the whole list.
        match side {
            Side::Source => {
                let detail = format!("the list of {} mailboxes has no INBOX", mailboxes.len());
                return Err(on(side)(ImapError::Protocol { during: "LIST", detail }));
            }
            // There are targets that never list it. A slip is not made twice; what earlier runs knew is asked for by
            // name besides (`unlisted.rs`).
            Side::Target => {
                let again = connection.list_mailboxes_with_status().await.map_err(on(side))?;
                if has_inbox(&again) || again.len() > mailboxes.len() {
                    mailboxes = again;
                }
            }
        }
    }
    let told = mailboxes.iter_mut();
    let told = told.filter_map(|listed| Some((listed.name.text().to_owned(), figures(listed.status.take()?))));
    let told = told.collect();
    let encoding = connection.name_encoding();
    let convert = |namespaces: Vec<mailhaul_imap::Namespace>| {
        let convert = |namespace: mailhaul_imap::Namespace| Namespace {
            prefix: MailboxName::from_wire(&namespace.prefix, encoding).text().to_owned(),
            delimiter: namespace.delimiter,
        };
        namespaces.into_iter().map(convert).collect()
    };
    let listing = AccountListing {
        mailboxes: mailboxes.into_iter().map(entry).collect(),
        namespaces: Namespaces {
            personal: convert(namespaces.personal),
            other: convert(namespaces.other_users),
            shared: convert(namespaces.shared),
            declared,
        },
    };
    Ok((listing, told))
}

fn has_inbox(mailboxes: &[ListedMailbox]) -> bool {
    mailboxes.iter().any(|listed| listed.name.is_inbox())
}

pub(crate) fn figures(status: MailboxStatus) -> Figures {
    Figures {
        uid_validity: status.uid_validity,
        uid_next: status.uid_next,
        messages: status.messages,
        highest_modseq: status.highest_modseq,
        mailbox_id: status.mailbox_id,
    }
}

fn entry(listed: ListedMailbox) -> MailboxEntry {
    MailboxEntry {
        name: listed.name,
        delimiter: listed.delimiter,
        selectable: listed.selectable,
        special_use: listed.special_use,
        subscribed: listed.subscribed,
    }
}
