//! STATUS (RFC 9051 §6.3.11): a mailbox's figures without selecting it.

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::error::ImapError;
use crate::response::Response;
use crate::session::Talk;
use crate::tokens::{Tokens, Value, exact_u32, lenient_number, mod_seq, object_id};
use mailhaul_types::{MailboxName, ModSeq, Uid, UidValidity};

/// What is asked of every mailbox.
pub(crate) const PLAIN_ITEMS: &str = "MESSAGES UIDNEXT UIDVALIDITY";

/// The figures of one mailbox; whatever the server does not say, or says nonsense about, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// MESSAGES.
    pub messages: Option<u32>,
    /// UIDNEXT.
    pub uid_next: Option<Uid>,
    /// UIDVALIDITY.
    pub uid_validity: Option<UidValidity>,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.8), where CONDSTORE is announced and the mailbox has one. Good for telling whether
    /// anything changed, not as the point to ask for changes from: it may already tell of what the asking misses.
    pub highest_modseq: Option<ModSeq>,
    /// MAILBOXID (RFC 8474 §4.3), where OBJECTID is announced. It survives renames.
    pub mailbox_id: Option<String>,
    /// SIZE: the octets of all messages together, if it was asked for.
    pub size: Option<u64>,
    /// APPENDLIMIT of this mailbox in octets, if it was asked for and there is one.
    pub append_limit: Option<u64>,
}

/// [`PLAIN_ITEMS`], and what tells changes and renames as far as the server announces it. Dovecot 2.3 answers
/// `STATUS (MAILBOXID)` with BAD, so nothing is asked on the off chance.
pub(crate) fn items_for_changes(capabilities: &Capabilities) -> String {
    let mut items = PLAIN_ITEMS.to_owned();
    if capabilities.condstore() {
        items.push_str(" HIGHESTMODSEQ");
    }
    if capabilities.object_id() {
        items.push_str(" MAILBOXID");
    }
    items
}

pub(crate) async fn status(talk: &mut Talk<'_>, name: &MailboxName) -> Result<MailboxStatus, ImapError> {
    ask(talk, name, "").await
}

/// RFC 8438 §2 (part of IMAP4rev2) and RFC 7889 §3.
pub(crate) async fn status_with_size(talk: &mut Talk<'_>, name: &MailboxName) -> Result<MailboxStatus, ImapError> {
    let mut more = String::new();
    if talk.capabilities.status_size() {
        more.push_str(" SIZE");
    }
    if talk.capabilities.has("APPENDLIMIT") {
        more.push_str(" APPENDLIMIT");
    }
    ask(talk, name, &more).await
}

async fn ask(talk: &mut Talk<'_>, name: &MailboxName, more: &str) -> Result<MailboxStatus, ImapError> {
    ask_items(talk, name, &format!("{PLAIN_ITEMS}{more}")).await
}

pub(crate) async fn ask_items(
    talk: &mut Talk<'_>,
    name: &MailboxName,
    items: &str,
) -> Result<MailboxStatus, ImapError> {
    let items = format!(" ({items})");
    let command = Command::new("STATUS").mailbox(name)?.text(&items);
    let mut read = None;
    let mut take = |response: Response<'_>| {
        if let Response::Data { word, rest, .. } = response
            && word.eq_ignore_ascii_case(b"STATUS")
            && let Some((of, status)) = read_status(rest)
            // Other sessions' mailboxes may be reported as well (RFC 5465). A server may also spell the name in its
            // own way; so the first answer stands until one comes with the very name.
            && (read.is_none() || of == name.wire())
        {
            read = Some(status);
        }
    };
    talk.run(command, &mut take).await?;
    read.ok_or_else(|| ImapError::Protocol {
        during: "STATUS",
        detail: "OK without an answer that can be read".to_owned(),
    })
}

pub(crate) fn read_status(mut tokens: Tokens<'_>) -> Option<(Vec<u8>, MailboxStatus)> {
    let name = match tokens.value()? {
        Value::Nil => b"NIL".to_vec(),
        value => tokens.string_of(value)?.into_owned(),
    };
    let items = loop {
        // An unquoted name with blanks in it: the list is what counts.
        match tokens.value()? {
            Value::List(range) => break range,
            _ => continue,
        }
    };
    let mut items = tokens.within(items);
    let mut status = MailboxStatus::default();
    while let Some(item) = items.item_name() {
        let value = items.value()?;
        let text = items.string_of(value.clone());
        let number = text.as_deref().and_then(exact_u32);
        if item.eq_ignore_ascii_case(b"MESSAGES") {
            status.messages = number;
        } else if item.eq_ignore_ascii_case(b"UIDNEXT") {
            status.uid_next = number.filter(|uid| *uid != 0).map(Uid);
        } else if item.eq_ignore_ascii_case(b"UIDVALIDITY") {
            status.uid_validity = number.filter(|validity| *validity != 0).map(UidValidity);
        } else if item.eq_ignore_ascii_case(b"HIGHESTMODSEQ") {
            status.highest_modseq = text.as_deref().and_then(mod_seq);
        } else if item.eq_ignore_ascii_case(b"MAILBOXID") {
            status.mailbox_id = id_of(&value, &items);
        } else if item.eq_ignore_ascii_case(b"SIZE") {
            status.size = text.as_deref().and_then(lenient_number);
        } else if item.eq_ignore_ascii_case(b"APPENDLIMIT") {
            status.append_limit = text.as_deref().and_then(lenient_number);
        }
    }
    Some((name, status))
}

/// RFC 8474 §4.3: `MAILBOXID (F2212ea87-6097-4256-9d51-71338625)`. Without the parentheses it is taken as well.
fn id_of(value: &Value, items: &Tokens<'_>) -> Option<String> {
    match value {
        Value::List(range) => object_id(items.octets(range.clone())),
        Value::Atom(range) => object_id(items.octets(range.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_items_and_nonsense_do_no_harm() {
        let line =
            b" \"a b\" (MESSAGES 3 APPENDLIMIT NIL UIDNEXT 9 MAILBOXID (F1) SIZE 99999999999 UIDVALIDITY -1) \r\n";
        let (name, status) = read_status(Tokens::new(line)).expect("readable");
        assert_eq!(name, b"a b");
        let expected = MailboxStatus {
            messages: Some(3),
            uid_next: Some(Uid(9)),
            size: Some(99_999_999_999),
            mailbox_id: Some("F1".to_owned()),
            ..MailboxStatus::default()
        };
        assert_eq!(status, expected);
        let (_, empty) = read_status(Tokens::new(b" x y ()\r\n")).expect("readable");
        assert_eq!(empty, MailboxStatus::default());
        assert!(read_status(Tokens::new(b" x\r\n")).is_none());
    }

    #[test]
    fn a_modification_sequence_that_makes_no_sense_is_none() {
        for (text, expected) in [
            ("917162500", Some(917_162_500)),
            ("9223372036854775807", Some(i64::MAX.unsigned_abs())),
            ("9223372036854775808", None),
            ("99999999999999999999999", None),
            ("0", None),
            ("-1", None),
            ("NIL", None),
            ("(5)", None),
            ("1e9", None),
            ("\"\"", None),
        ] {
            let line = format!(" a (HIGHESTMODSEQ {text} MESSAGES 3)\r\n");
            let (_, status) = read_status(Tokens::new(line.as_bytes())).expect("readable");
            assert_eq!((status.highest_modseq.map(|modseq| modseq.0), status.messages), (expected, Some(3)), "{text}");
        }
    }
}
