//! Source mailboxes that earlier runs knew and that are not listed any more.
//!
//! A list that lacks a mailbox proves nothing: a share may be away for an hour, a server may be at fault. What was in the
//! mailbox counts as departed only once the server has said of its very name that there is no such mailbox.

use crate::account::Run;
use crate::bounds;
use crate::error::{WalkError, on};
use crate::pause;
use crate::plan_run::Planned;
use mailhaul_imap::{ImapError, Status, StatusLine};
use mailhaul_plan::policy::DeletionPolicy;
use mailhaul_plan::steps::difference;
use mailhaul_types::{MailboxName, Side};

/// What the source says of a mailbox that it does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// There is no such mailbox.
    Gone,
    /// It is there all the same.
    There,
    /// Neither.
    Unknown,
}

impl Run<'_> {
    /// Says what became of mailboxes that earlier runs knew, and keeps those in `planned` that are proved not to be
    /// there. All of them gone at once is no tidying.
    pub(crate) async fn look_at_vanished(&mut self, planned: &mut Planned) -> Result<(), WalkError> {
        let vanished = std::mem::take(&mut planned.vanished);
        let all =
            vanished.len() >= bounds::MAILBOXES_FOR_MASS_ABSENCE && vanished.len() > planned.mapping.mailboxes.len();
        let stopped = all && !self.walk.job.accept_mass_absence;
        for source in vanished {
            let state = self.walk.lease.mailbox(&source).await?.load().await?;
            // What has been dealt with needs no proof, or every run would ask for it.
            let presence = match difference(&state.settled, &state.departed).is_empty() {
                true => Presence::Gone,
                false => self.ask_for(&source).await?,
            };
            if presence == Presence::There {
                self.summary.unlisted(&source);
                continue;
            }
            let gone = presence == Presence::Gone && !stopped;
            let mirrored = gone && self.walk.job.resync.deletions == DeletionPolicy::Mirror;
            self.summary.vanished(&source, &state, stopped, mirrored);
            if gone {
                planned.vanished.push(source);
            }
        }
        Ok(())
    }

    async fn ask_for(&mut self, source: &str) -> Result<Presence, WalkError> {
        let mut pauses = pause::reconnects(self.walk.supervisor.reconnects());
        loop {
            let links = self.connected().await?;
            let name = MailboxName::from_text(source, links.source.name_encoding());
            let error = match links.source.status(&name).await {
                Ok(_) => return Ok(Presence::There),
                Err(ImapError::Refused { status, .. }) if says_there_is_none(&status) => return Ok(Presence::Gone),
                Err(error) if error.leaves_connection_usable() => return Ok(Presence::Unknown),
                Err(error) => error,
            };
            self.recover(on(Side::Source)(error), &mut pauses, true).await?;
        }
    }
}

/// RFC 9051 §6.3.11, §7.1: NO is the answer to STATUS for a name without a mailbox, with NONEXISTENT or without any code.
/// Every other code tells another reason.
fn says_there_is_none(status: &StatusLine) -> bool {
    let code = status.code.as_deref().unwrap_or("NONEXISTENT");
    status.status == Status::No && code.eq_ignore_ascii_case("NONEXISTENT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_no_for_its_very_absence_proves_a_mailbox_gone() {
        for (status, code, proves) in [
            (Status::No, None, true),
            (Status::No, Some("NONEXISTENT"), true),
            (Status::No, Some("nonexistent"), true),
            (Status::No, Some("NOPERM"), false),
            (Status::No, Some("UNAVAILABLE"), false),
            (Status::No, Some("SERVERBUG"), false),
            (Status::No, Some("INUSE"), false),
            (Status::Bad, None, false),
        ] {
            let line = StatusLine { status, code: code.map(str::to_owned), text: String::new() };
            assert_eq!(says_there_is_none(&line), proves, "{line}");
        }
    }
}
