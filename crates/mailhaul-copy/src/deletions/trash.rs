//! Which mailbox of the target is its trash.

use crate::error::{WalkError, on};
use crate::walk::{Links, Walk};
use mailhaul_imap::ListedMailbox;
use mailhaul_types::{MailboxName, Side, SpecialUse};

/// The target's trash mailbox, if it has one.
pub(super) async fn find_trash(walk: &Walk<'_>, links: &mut Links) -> Result<Option<MailboxName>, WalkError> {
    let target = links.target.list_mailboxes().await.map_err(on(Side::Target))?;
    if let Some(announced) = announced(&target) {
        return Ok(Some(announced.clone()));
    }
    let source = links.source.list_mailboxes().await.map_err(on(Side::Source))?;
    let mapped: Vec<(String, String)> =
        walk.lease.mappings().await?.into_iter().map(|mapping| (mapping.source, mapping.target)).collect();
    Ok(guessed(&source, &target, &mapped).cloned())
}

/// The mailbox that the server itself calls its trash (RFC 6154).
fn announced(listed: &[ListedMailbox]) -> Option<&MailboxName> {
    let trash = listed.iter().find(|entry| entry.selectable && entry.special_use == Some(SpecialUse::Trash));
    trash.map(|entry| &entry.name)
}

/// On a target that does not say: where the source's trash goes, or else what is called so. `mapped` holds names at the
/// source and on the target.
fn guessed<'a>(
    source: &[ListedMailbox],
    target: &'a [ListedMailbox],
    mapped: &[(String, String)],
) -> Option<&'a MailboxName> {
    let listed = |text: &str| {
        let entry = target.iter().find(|entry| entry.selectable && entry.name.text() == text);
        entry.map(|entry| &entry.name)
    };
    let by_mapping = announced(source).and_then(|trash| {
        let (_, target) = mapped.iter().find(|(source, _)| source == trash.text())?;
        listed(target)
    });
    by_mapping.or_else(|| listed("Trash")).or_else(|| {
        // In a namespace of its own, as in `INBOX.Trash`.
        let named = |entry: &&ListedMailbox| {
            let below = entry.delimiter.and_then(|delimiter| entry.name.text().split_once(delimiter));
            entry.selectable && below.is_some_and(|(parent, name)| parent == "INBOX" && name == "Trash")
        };
        target.iter().find(named).map(|entry| &entry.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_types::NameEncoding;

    fn entry(text: &str, special_use: Option<SpecialUse>) -> ListedMailbox {
        ListedMailbox {
            name: MailboxName::from_text(text, NameEncoding::ModifiedUtf7),
            delimiter: Some('/'),
            selectable: true,
            special_use,
            subscribed: false,
            status: None,
        }
    }

    #[test]
    fn what_the_target_announces_comes_first() {
        let target = [entry("Trash", None), entry("Papierkorb", Some(SpecialUse::Trash))];
        assert_eq!(announced(&target).map(MailboxName::text), Some("Papierkorb"));
        let unselectable = ListedMailbox { selectable: false, ..entry("Papierkorb", Some(SpecialUse::Trash)) };
        assert_eq!(announced(&[unselectable]), None);
    }

    #[test]
    fn without_a_word_it_is_where_the_sources_trash_goes_or_what_is_called_so() {
        let source = [entry("Deleted", Some(SpecialUse::Trash))];
        let mapped = [("Deleted".to_owned(), "Bin".to_owned())];
        let cases: [(&[&str], Option<&str>); 5] = [
            (&["Bin", "Trash"], Some("Bin")),
            (&["INBOX", "Trash"], Some("Trash")),
            (&["INBOX", "INBOX/Trash"], Some("INBOX/Trash")),
            (&["INBOX", "Old/Trash"], None),
            (&["INBOX"], None),
        ];
        for (names, expected) in cases {
            let target: Vec<ListedMailbox> = names.iter().map(|name| entry(name, None)).collect();
            assert_eq!(guessed(&source, &target, &mapped).map(MailboxName::text), expected, "{names:?}");
        }
    }
}
