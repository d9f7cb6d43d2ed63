//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3).

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::response::{Response, StatusWords};
use crate::session::Talk;
use crate::status_line::StatusLine;
use crate::tokens::{Tokens, Value, exact_u32, mod_seq, object_id};
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

impl Connection {
    /// Whether a mailbox is open.
    #[must_use]
    pub fn has_open_mailbox(&self) -> bool {
        self.selected.is_some()
    }

    /// Whether the server announces UNSELECT (RFC 3691; part of IMAP4rev2).
    #[must_use]
    pub fn can_unselect(&self) -> bool {
        self.capabilities().has("UNSELECT") || self.capabilities().has("IMAP4REV2")
    }

    /// Leaves the selected mailbox without expunging anything (UNSELECT, RFC 3691), where the server announces that and a
    /// mailbox is selected. With none selected, figures are never stale, and NOTIFY tells of every mailbox alike.
    ///
    /// # Errors
    /// As every command, except that a refusal leaves everything as it is.
    pub async fn unselect(&mut self) -> Result<(), ImapError> {
        if self.selected.is_none() || !self.can_unselect() {
            return Ok(());
        }
        match self.talk().run(Command::new("UNSELECT"), &mut |_| {}).await {
            Err(ImapError::Refused { .. }) => Ok(()),
            answered => {
                answered?;
                self.selected = None;
                Ok(())
            }
        }
    }
}

/// The two ways to open a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

#[derive(Default)]
pub(crate) struct Collected {
    exists: Option<u32>,
    uid_validity: Option<UidValidity>,
    uid_next: Option<Uid>,
    highest_modseq: Option<ModSeq>,
    mailbox_id: Option<String>,
    flags: Option<PermanentFlags>,
    permanent_flags: Option<PermanentFlags>,
    read_only: Option<bool>,
}

/// With `condstore` the server is asked to keep modification sequences from here on (RFC 7162 §3.1.8), so that the
/// HIGHESTMODSEQ it tells is one to ask for changes from. Whether it took that is told beside the mailbox.
pub(crate) async fn open(
    talk: &mut Talk<'_>,
    name: &MailboxName,
    access: Access,
    condstore: bool,
) -> Result<SelectedMailbox, ImapError> {
    let word = access.word();
    let mut collected = Collected::default();
    let mut command = Command::new(word).mailbox(name)?;
    if condstore {
        command = command.text(" (CONDSTORE)");
    }
    let line = talk.run(command, &mut |response| collected.take(&response)).await?;
    collected.finish(access, &line)
}

/// Opens with CONDSTORE where it is announced, and the plain way where the server refuses that after all. `takes` is
/// what is known of this server, and is kept for the connection.
pub(crate) async fn open_for_changes(
    talk: &mut Talk<'_>,
    name: &MailboxName,
    access: Access,
    takes: &mut CondStore,
) -> Result<SelectedMailbox, ImapError> {
    let asked = *takes != CondStore::Refused && talk.capabilities.condstore();
    let refused = match open(talk, name, access, asked).await {
        Err(error @ ImapError::Refused { .. }) if asked && *takes == CondStore::Untried => error,
        opened => {
            if asked && opened.is_ok() {
                *takes = CondStore::Taken;
            }
            return opened;
        }
    };
    // A NO may as well mean the mailbox: only if the plain form succeeds was it the parameter.
    let opened = open(talk, name, access, false).await;
    match opened {
        Ok(_) => *takes = CondStore::Refused,
        Err(ImapError::Refused { .. }) => return Err(refused),
        Err(_) => {}
    }
    opened
}

/// Whether the server takes the CONDSTORE parameter that it announces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CondStore {
    #[default]
    Untried,
    Taken,
    Refused,
}

impl Access {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "EXAMINE",
            Self::ReadWrite => "SELECT",
        }
    }
}

impl Collected {
    /// The mailbox, once the command was answered OK with this line.
    pub(crate) fn finish(self, access: Access, line: &StatusLine) -> Result<SelectedMailbox, ImapError> {
        let read_only = match line.code_name().as_deref() {
            Some("READ-ONLY") => true,
            Some("READ-WRITE") => false,
            _ => self.read_only.unwrap_or(access == Access::ReadOnly),
        };
        let without = || ImapError::Protocol { during: access.word(), detail: "OK without EXISTS".to_owned() };
        Ok(SelectedMailbox {
            exists: self.exists.ok_or_else(without)?,
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            mailbox_id: self.mailbox_id,
            permanent_flags: self.permanent_flags.unwrap_or_else(|| assumed(self.flags)),
            read_only,
        })
    }

    pub(crate) fn take(&mut self, response: &Response<'_>) {
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
            // Zoho sends -1.
            self.highest_modseq = mod_seq(text);
        }
        if line.code_arguments("NOMODSEQ").is_some() {
            // RFC 7162 §3.1.2.2: this mailbox has none, whatever was said before.
            self.highest_modseq = None;
        }
        if let Some(text) = line.code_arguments("MAILBOXID") {
            let id = text.strip_prefix(b"(").unwrap_or(text);
            let id = id.strip_suffix(b")").unwrap_or(id);
            self.mailbox_id = object_id(id);
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
