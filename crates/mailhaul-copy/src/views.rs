//! Whether the source shows all of a mailbox, asked at the end of a pass, when everything that it shows is copied. The
//! two signs stand in `mailhaul_plan::views`; what they are worth is for the operator to say, by the mailbox's name.

use crate::error::{WalkError, mailbox_error, on};
use crate::scan::Listing;
use crate::walk::{Links, Pair, Walk};
use mailhaul_imap::Capabilities;
use mailhaul_plan::views::{Doubt, View, contradicts, looks_capped};
use mailhaul_report::number_for_people;
use mailhaul_types::{MailboxName, Side};

/// Whether what the source shows of a mailbox may be only a part of it, in words for people; `None` also if the operator
/// has said that it is all. What its list told before is held against what was shown when it was opened. A contradiction is
/// looked at a second time, because mail may have been deleted in between. Leaves the mailbox open at the source.
pub(crate) async fn doubt(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    listing: &Listing,
) -> Result<Option<String>, WalkError> {
    if is_accepted(&walk.job.resync.accepted_views, pair.source) {
        return Ok(None);
    }
    let shown = View { messages: listing.exists, uid_next: listing.uid_next };
    let told = pair.figures.and_then(|told| Some(View { messages: told.messages?, uid_next: told.uid_next }));
    let mut doubt = looks_capped(shown.messages, is_gmail(links.source.capabilities()));
    if doubt.is_none() && told.is_some_and(|told| contradicts(told, shown).is_some()) {
        doubt = second_look(links, pair.source).await?;
    }
    Ok(doubt.map(|doubt| in_words(doubt, pair.source)))
}

/// Asks for the figures and opens the mailbox once more.
async fn second_look(links: &mut Links, name: &MailboxName) -> Result<Option<Doubt>, WalkError> {
    let told = match links.source.status(name).await {
        Ok(status) => status.messages.map(|messages| View { messages, uid_next: status.uid_next }),
        Err(error) if error.leaves_connection_usable() => None,
        Err(error) => return Err(on(Side::Source)(error)),
    };
    let opened = links.source.examine(name).await.map_err(|error| mailbox_error(Side::Source, error))?;
    let shown = View { messages: opened.exists, uid_next: opened.uid_next };
    Ok(told.and_then(|told| contradicts(told, shown)))
}

/// Whether the operator has said that what this mailbox shows is all there is.
pub(crate) fn is_accepted(accepted: &[String], name: &MailboxName) -> bool {
    // RFC 9051 §5.1: INBOX is one mailbox in any case.
    let is_inbox = |text: &str| name.is_inbox() && text.eq_ignore_ascii_case("INBOX");
    accepted.iter().any(|accepted| accepted == name.text() || is_inbox(accepted))
}

/// Gmail, by the extension that only it announces.
pub(crate) fn is_gmail(capabilities: &Capabilities) -> bool {
    capabilities.has("X-GM-EXT-1")
}

/// What is doubtful, where to look, and the way on.
pub(crate) fn in_words(doubt: Doubt, name: &MailboxName) -> String {
    format!("{}. If that is really all, --accept-view '{name}' says so", what_is_doubtful(doubt))
}

/// What is doubtful, and where to look.
pub(crate) fn what_is_doubtful(doubt: Doubt) -> String {
    match doubt {
        Doubt::Cap { messages, gmail: true } => format!(
            "the source shows exactly {} messages, and a Gmail account can be set to show no more than that: look at its \
             settings under \"Forwarding and POP/IMAP\", and choose \"Do not limit the number of messages in an IMAP \
             folder\" there in place of \"Limit IMAP folders\"",
            number_for_people(u64::from(messages))
        ),
        Doubt::Cap { messages: messages @ 10_000, gmail: false } => format!(
            "the source shows exactly {} messages, which is as much as Yahoo and others show of a mailbox however much it \
             holds: compare with the number that its webmail tells, and spread what is hidden over other mailboxes there",
            number_for_people(u64::from(messages))
        ),
        Doubt::Cap { messages, gmail: false } => format!(
            "the source shows exactly {} messages, a number at which some providers cut off what they show (Gmail's \
             setting is called \"Limit IMAP folders\"): compare with the number that its webmail tells",
            number_for_people(u64::from(messages))
        ),
        Doubt::Differs { told, shown } => format!(
            "the source tells of {} messages, and shows {} when the mailbox is opened: look for a setting of the \
             provider that limits what IMAP shows (Gmail's is called \"Limit IMAP folders\"), and compare with the \
             number that its webmail tells",
            number_for_people(u64::from(told)),
            number_for_people(u64::from(shown))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_doubt_names_a_setting_or_a_provider_and_the_way_on() {
        let name = MailboxName::from_text("Sent Mail", mailhaul_types::NameEncoding::ModifiedUtf7);
        for (doubt, provider) in [
            (Doubt::Cap { messages: 1_000, gmail: true }, "\"Limit IMAP folders\""),
            (Doubt::Cap { messages: 1_000, gmail: false }, "\"Limit IMAP folders\""),
            (Doubt::Cap { messages: 10_000, gmail: false }, "Yahoo"),
            (Doubt::Differs { told: 1_500, shown: 1_000 }, "tells of 1,500 messages, and shows 1,000"),
        ] {
            let words = in_words(doubt, &name);
            assert!(words.contains(provider), "{words}");
            assert!(words.ends_with("--accept-view 'Sent Mail' says so"), "{words}");
        }
    }

    #[test]
    fn a_view_is_accepted_by_name_alone() {
        let encoding = mailhaul_types::NameEncoding::ModifiedUtf7;
        let accepted = ["Inbox".to_owned(), "Sent".to_owned()];
        for (name, expected) in [("INBOX", true), ("Sent", true), ("sent", false), ("Sent/2019", false)] {
            assert_eq!(is_accepted(&accepted, &MailboxName::from_text(name, encoding)), expected, "{name}");
        }
    }
}
