//! STATUS (RFC 9051 §6.3.11): a mailbox's figures without selecting it.

use crate::command::Command;
use crate::error::ImapError;
use crate::response::Response;
use crate::session::Talk;
use crate::tokens::{Tokens, Value, exact_u32, lenient_number};
use mailhaul_types::{MailboxName, Uid, UidValidity};

/// The figures of one mailbox; whatever the server does not say, or says nonsense about, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// MESSAGES.
    pub messages: Option<u32>,
    /// UIDNEXT.
    pub uid_next: Option<Uid>,
    /// UIDVALIDITY.
    pub uid_validity: Option<UidValidity>,
    /// SIZE: the octets of all messages together, if it was asked for.
    pub size: Option<u64>,
    /// APPENDLIMIT of this mailbox in octets, if it was asked for and there is one.
    pub append_limit: Option<u64>,
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
    let items = format!(" (MESSAGES UIDNEXT UIDVALIDITY{more})");
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
        let text = items.string_of(value);
        let number = text.as_deref().and_then(exact_u32);
        if item.eq_ignore_ascii_case(b"MESSAGES") {
            status.messages = number;
        } else if item.eq_ignore_ascii_case(b"UIDNEXT") {
            status.uid_next = number.filter(|uid| *uid != 0).map(Uid);
        } else if item.eq_ignore_ascii_case(b"UIDVALIDITY") {
            status.uid_validity = number.filter(|validity| *validity != 0).map(UidValidity);
        } else if item.eq_ignore_ascii_case(b"SIZE") {
            status.size = text.as_deref().and_then(lenient_number);
        } else if item.eq_ignore_ascii_case(b"APPENDLIMIT") {
            status.append_limit = text.as_deref().and_then(lenient_number);
        }
    }
    Some((name, status))
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
            ..MailboxStatus::default()
        };
        assert_eq!(status, expected);
        let (_, empty) = read_status(Tokens::new(b" x y ()\r\n")).expect("readable");
        assert_eq!(empty, MailboxStatus::default());
        assert!(read_status(Tokens::new(b" x\r\n")).is_none());
    }
}
