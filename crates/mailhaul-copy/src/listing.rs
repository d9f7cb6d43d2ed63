//! Signing in on both sides, and what both sides show.

use crate::error::{LinkError, WalkError, on};
use crate::job::AccountPair;
use crate::walk::Links;
use mailhaul_imap::{Connection, ImapError, ListedMailbox};
use mailhaul_plan::mailboxes::{AccountListing, MailboxEntry, Namespace, Namespaces};
use mailhaul_types::{MailboxName, Side};
use std::collections::BTreeMap;

/// Signs in on both sides at once.
pub(crate) async fn connect(accounts: &AccountPair) -> Result<Links, LinkError> {
    let open = async |side, account: &crate::job::Account| {
        Connection::open(side, &account.endpoint, &account.credentials, &accounts.timeouts)
            .await
            .map_err(|error| LinkError { side, error })
    };
    let (source, target) =
        tokio::try_join!(open(Side::Source, &accounts.source), open(Side::Target, &accounts.target))?;
    Ok(Links { source, target })
}

/// What both sides show.
pub(crate) struct Listings {
    pub(crate) source: AccountListing,
    pub(crate) target: AccountListing,
    /// Messages in source mailboxes, by name, as far as the server told them along with the list.
    pub(crate) counts: BTreeMap<String, u32>,
}

/// Lists the mailboxes of both sides at once.
pub(crate) async fn list_both(links: &mut Links) -> Result<Listings, WalkError> {
    let ((source, counts), (target, _)) =
        tokio::try_join!(list(&mut links.source, Side::Source), list(&mut links.target, Side::Target))?;
    Ok(Listings { source, target, counts })
}

async fn list(connection: &mut Connection, side: Side) -> Result<(AccountListing, BTreeMap<String, u32>), WalkError> {
    let declared = connection.capabilities().has("NAMESPACE");
    let namespaces = connection.namespaces().await.map_err(on(side))?;
    let mailboxes = match side {
        Side::Source => connection.list_mailboxes_with_status().await,
        Side::Target => connection.list_mailboxes().await,
    };
    let mailboxes = mailboxes.map_err(on(side))?;
    if side == Side::Source && !mailboxes.iter().any(|listed| listed.name.is_inbox()) {
        // RFC 9051 §5.1: INBOX always exists. A list without it is not the whole list.
        let detail = format!("the list of {} mailboxes has no INBOX", mailboxes.len());
        return Err(on(side)(ImapError::Protocol { during: "LIST", detail }));
    }
    let counts =
        mailboxes.iter().filter_map(|listed| Some((listed.name.text().to_owned(), listed.status.as_ref()?.messages?))).collect();
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
    Ok((listing, counts))
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
