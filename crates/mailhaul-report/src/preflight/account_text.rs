//! The look at one account as text.

use crate::preflight::{AccountPreflight, Block, PreflightMailbox, PreflightRemark, QuotaLine, Room, SidePreflight};
use crate::table::Table;
use crate::{bytes_for_people, count_of, number_for_people};
use mailhaul_types::Escaped;
use std::fmt::Write;

/// How many mailboxes are listed in text; `--json` has them all.
const MAILBOXES_SHOWN: usize = 200;
/// How many remarks of one kind are listed in text; `--json` has them all.
const REMARKS_SHOWN: usize = 10;

impl AccountPreflight {
    /// The look as text, ending in the verdict.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        write_side(&mut out, "source", &self.source);
        write_side(&mut out, "target", &self.target);
        self.write_mailboxes(&mut out);
        for quota in &self.quotas {
            let _ = writeln!(out, "  {}", quota.to_text());
        }
        if let Some(limit) = self.append_limit_bytes {
            let _ = writeln!(out, "  the target takes messages of up to {}", bytes_for_people(limit));
        }
        self.write_remarks(&mut out);
        for block in &self.blocks {
            write_block(&mut out, block);
        }
        let _ = writeln!(out, "\n{}", self.last_line());
        out
    }

    /// The verdict in one line.
    #[must_use]
    pub fn last_line(&self) -> String {
        let verdict = self.verdict().as_str();
        if !self.is_counted() {
            return match self.gravest_block() {
                Some(_) if self.is_to_be_repeated() => {
                    format!("{verdict} for now: nothing was counted; look again later")
                }
                _ => format!("{verdict}: nothing was counted"),
            };
        }
        format!(
            "{verdict}: {} ({}) in {} at the source, {} ({}) to copy",
            count_of(self.messages(), "message"),
            bytes_for_people(self.bytes()),
            count_of(self.mailboxes.iter().filter(|mailbox| mailbox.target.is_some()).count() as u64, "mailbox"),
            number_for_people(self.to_copy_messages()),
            bytes_for_people(self.to_copy_bytes()),
        )
    }

    fn write_mailboxes(&self, out: &mut String) {
        if self.mailboxes.is_empty() {
            return;
        }
        let mut table = Table::new(&["mailbox", "target", "messages", "size", "to copy", "size", ""], 2);
        for mailbox in self.mailboxes.iter().take(MAILBOXES_SHOWN) {
            table.row([
                Escaped(&mailbox.source).to_string(),
                mailbox.target.as_deref().map_or_else(|| "(left out)".to_owned(), |name| Escaped(name).to_string()),
                number_for_people(mailbox.messages),
                mailbox.bytes.map_or_else(|| "?".to_owned(), bytes_for_people),
                number_for_people(mailbox.to_copy_messages),
                bytes_for_people(mailbox.to_copy_bytes),
                notes(mailbox),
            ]);
        }
        out.push_str(&table.to_text());
        if self.mailboxes.len() > MAILBOXES_SHOWN {
            let more = (self.mailboxes.len() - MAILBOXES_SHOWN) as u64;
            let _ = writeln!(out, "  and {} more (--json lists them all)", count_of(more, "mailbox"));
        }
    }

    fn write_remarks(&self, out: &mut String) {
        let mut kinds: Vec<_> = self.remarks.iter().map(|remark| remark.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let remarks: Vec<&PreflightRemark> = self.remarks.iter().filter(|remark| remark.kind == kind).collect();
            let word = if kind.weighs() { "remark" } else { "note" };
            for remark in remarks.iter().take(REMARKS_SHOWN) {
                let _ = writeln!(out, "{word}: {}", remark.to_text());
            }
            if remarks.len() > REMARKS_SHOWN {
                let more = remarks.len() - REMARKS_SHOWN;
                let _ = writeln!(out, "{word}: {}: and {more} more (--json lists them all)", kind.as_str());
            }
        }
    }
}

impl PreflightRemark {
    /// In one line, with the side or the mailbox in front.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = Escaped(&self.text);
        match (&self.mailbox, self.side) {
            (Some(mailbox), _) => format!("{}: {text}", Escaped(mailbox)),
            (None, Some(side)) => format!("{side}: {text}"),
            (None, None) => text.to_string(),
        }
    }
}

impl QuotaLine {
    /// `quota "User": 3.1 GiB of 5.0 GiB in use, 12,000 of 20,000 messages`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let part = |room: Room, show: fn(u64) -> String| format!("{} of {}", show(room.used), show(room.limit));
        let bytes = self.bytes.map(|room| format!("{} in use", part(room, bytes_for_people)));
        let messages = self.messages.map(|room| format!("{} messages", part(room, number_for_people)));
        let parts: Vec<String> = bytes.into_iter().chain(messages).collect();
        let parts = if parts.is_empty() { "no limit".to_owned() } else { parts.join(", ") };
        format!("quota \"{}\": {parts}", Escaped(&self.root))
    }
}

fn notes(mailbox: &PreflightMailbox) -> String {
    let mut notes = Vec::new();
    if mailbox.creates {
        notes.push("new".to_owned());
    }
    if mailbox.too_large_messages > 0 {
        notes.push(format!("{} too large", number_for_people(mailbox.too_large_messages)));
    }
    if let Some(unknown) = mailbox.unknown_on_target.filter(|unknown| *unknown > 0) {
        notes.push(format!("{} others on the target", number_for_people(unknown)));
    }
    notes.join(", ")
}

fn write_side(out: &mut String, word: &str, side: &SidePreflight) {
    let mut parts = Vec::new();
    parts.extend(side.software.as_deref().map(|software| Escaped(software).to_string()));
    parts.extend(side.tls.as_deref().map(|tls| Escaped(tls).to_string()));
    if side.mailboxes > 0 {
        parts.push(count_of(side.mailboxes, "mailbox"));
    }
    if let Some(failed) = side.failed {
        parts.push(format!("failed at: {}", failed.as_str()));
    }
    let rest = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let _ = writeln!(out, "{word} {}{rest}", Escaped(&side.host));
}

fn write_block(out: &mut String, block: &Block) {
    let _ = writeln!(out, "blocked: {}", block.to_text());
    if !block.hint.is_empty() {
        let _ = writeln!(out, "hint: {}", Escaped(&block.hint));
    }
}

impl Block {
    /// In one line: `target: sign in: server refused: "NO …"`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let side = self.side.map(|side| format!("{side}: ")).unwrap_or_default();
        // The words mostly begin with what was being done; it is not said twice.
        let step = match self.words.starts_with(self.step.as_str()) {
            true => String::new(),
            false => format!("{}: ", self.step.as_str()),
        };
        format!("{side}{step}{}", Escaped(&self.words))
    }
}
