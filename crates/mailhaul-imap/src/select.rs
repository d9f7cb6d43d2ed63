//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3).

use crate::command::Command;
use crate::error::ImapError;
use crate::response::{Response, StatusWords};
use crate::session::Talk;
use crate::tokens::{Tokens, Value, exact_u32, lenient_number};
use mailhaul_types::{Flags, MailboxName, ModSeq, SystemFlag, Uid, UidValidity};

/// What the server said when a mailbox was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedMailbox {
    /// EXISTS: how many messages there are.
    pub exists: u32,
    /// UIDVALIDITY; `None` where the server keeps no UIDs or does not say.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT; `None` on servers that do not say it on SELECT (ask STATUS).
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ, where the mailbox has one.
    pub highest_modseq: Option<ModSeq>,
    /// MAILBOXID (RFC 8474), which survives renames.
    pub mailbox_id: Option<String>,
    /// Which flags can be stored for good.
    pub permanent_flags: PermanentFlags,
    /// Whether the server opened it read-only.
    pub read_only: bool,
}

/// PERMANENTFLAGS (RFC 9051 §7.1). Where the server says nothing, everything may be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermanentFlags {
    /// The flags and keywords named.
    pub flags: Flags,
    /// `\*`: new keywords may be made.
    pub any_keyword: bool,
}

/// The two ways to open a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

#[derive(Default)]
struct Collected {
    exists: Option<u32>,
    uid_validity: Option<UidValidity>,
    uid_next: Option<Uid>,
    highest_modseq: Option<ModSeq>,
    mailbox_id: Option<String>,
    flags: Option<PermanentFlags>,
    permanent_flags: Option<PermanentFlags>,
    read_only: Option<bool>,
}

pub(crate) async fn open(
    talk: &mut Talk<'_>,
    name: &MailboxName,
    access: Access,
) -> Result<SelectedMailbox, ImapError> {
    let word = match access {
        Access::ReadOnly => "EXAMINE",
        Access::ReadWrite => "SELECT",
    };
    let mut collected = Collected::default();
    let command = Command::new(word).mailbox(name)?;
    let line = talk.run(command, &mut |response| collected.take(&response)).await?;
    let read_only = match line.code_name().as_deref() {
        Some("READ-ONLY") => true,
        Some("READ-WRITE") => false,
        _ => collected.read_only.unwrap_or(access == Access::ReadOnly),
    };
    let exists =
        collected.exists.ok_or_else(|| ImapError::Protocol { during: word, detail: "OK without EXISTS".to_owned() })?;
    Ok(SelectedMailbox {
        exists,
        uid_validity: collected.uid_validity,
        uid_next: collected.uid_next,
        highest_modseq: collected.highest_modseq,
        mailbox_id: collected.mailbox_id,
        permanent_flags: collected.permanent_flags.unwrap_or_else(|| assumed(collected.flags)),
        read_only,
    })
}

impl Collected {
    fn take(&mut self, response: &Response<'_>) {
        match response {
            Response::Data { number: Some(number), word, .. } if word.eq_ignore_ascii_case(b"EXISTS") => {
                self.exists = Some(*number);
            }
            Response::Data { word, rest, .. } if word.eq_ignore_ascii_case(b"FLAGS") => {
                self.flags = read_permanent_flags(rest.clone());
            }
            Response::Status(line) => self.take_code(line),
            _ => {}
        }
    }

    fn take_code(&mut self, line: &StatusWords<'_>) {
        let number = |name| line.code_arguments(name).and_then(exact_u32).filter(|number| *number != 0);
        if line.code_arguments("CLOSED").is_some() {
            // RFC 7162 §3.2.11: what came before belonged to the mailbox that was open until now.
            *self = Self::default();
        }
        self.uid_validity = number("UIDVALIDITY").map(UidValidity).or(self.uid_validity);
        self.uid_next = number("UIDNEXT").map(Uid).or(self.uid_next);
        if let Some(text) = line.code_arguments("HIGHESTMODSEQ") {
            // Zoho sends -1; 0 is the mark of a mailbox without them (RFC 7162 §3.1.2.2).
            self.highest_modseq = lenient_number(text).filter(|modseq| *modseq != 0).map(ModSeq);
        }
        if let Some(text) = line.code_arguments("MAILBOXID") {
            let id = text.strip_prefix(b"(").unwrap_or(text);
            let id = id.strip_suffix(b")").unwrap_or(id);
            self.mailbox_id = std::str::from_utf8(id).ok().filter(|id| !id.is_empty()).map(str::to_owned);
        }
        if let Some(text) = line.code_arguments("PERMANENTFLAGS") {
            self.permanent_flags = read_permanent_flags(Tokens::new(text));
        }
        if line.code_arguments("READ-ONLY").is_some() {
            self.read_only = Some(true);
        }
        if line.code_arguments("READ-WRITE").is_some() {
            self.read_only = Some(false);
        }
    }
}

/// RFC 3501 §7.1: without PERMANENTFLAGS all flags are to be taken as permanent.
fn assumed(flags: Option<PermanentFlags>) -> PermanentFlags {
    let mut assumed = flags.unwrap_or_default();
    for flag in SystemFlag::ALL {
        assumed.flags.insert(flag);
    }
    assumed.any_keyword = true;
    assumed
}

fn read_permanent_flags(mut tokens: Tokens<'_>) -> Option<PermanentFlags> {
    let Value::List(range) = tokens.value()? else { return None };
    let mut read = PermanentFlags::default();
    for flag in tokens.octets(range).split(u8::is_ascii_whitespace) {
        if flag == b"\\*" {
            read.any_keyword = true;
        } else if let Ok(flag) = std::str::from_utf8(flag) {
            read.flags.insert_wire(flag);
        }
    }
    Some(read)
}
