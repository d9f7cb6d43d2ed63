//! Signing in on both sides, and what both sides show.

use crate::error::{LinkError, WalkError, on};
use crate::job::AccountPair;
use crate::pass::Links;
use mailhaul_imap::{Connection, ListedMailbox};
use mailhaul_plan::mailboxes::{AccountListing, MailboxEntry, Namespace, Namespaces};
use mailhaul_types::{MailboxName, Side};

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

/// Lists the mailboxes of both sides at once.
pub(crate) async fn list_both(links: &mut Links) -> Result<(AccountListing, AccountListing), WalkError> {
    tokio::try_join!(list(&mut links.source, Side::Source), list(&mut links.target, Side::Target))
}

async fn list(connection: &mut Connection, side: Side) -> Result<AccountListing, WalkError> {
    let declared = connection.capabilities().has("NAMESPACE");
    let namespaces = connection.namespaces().await.map_err(on(side))?;
    let mailboxes = connection.list_mailboxes().await.map_err(on(side))?;
    let encoding = connection.name_encoding();
    let convert = |namespaces: Vec<mailhaul_imap::Namespace>| {
        let convert = |namespace: mailhaul_imap::Namespace| Namespace {
            prefix: MailboxName::from_wire(&namespace.prefix, encoding).text().to_owned(),
            delimiter: namespace.delimiter,
        };
        namespaces.into_iter().map(convert).collect()
    };
    Ok(AccountListing {
        mailboxes: mailboxes.into_iter().map(entry).collect(),
        namespaces: Namespaces {
            personal: convert(namespaces.personal),
            other: convert(namespaces.other_users),
            shared: convert(namespaces.shared),
            declared,
        },
    })
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
