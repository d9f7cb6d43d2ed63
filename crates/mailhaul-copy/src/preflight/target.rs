//! What the target allows: its quota, its largest message, the flags that it keeps.

use super::Look;
use super::sentences::costs;
use crate::error::{WalkError, on};
use crate::walk::Links;
use mailhaul_imap::{Connection, ImapError, PermanentFlags, Quota, QuotaUse};
use mailhaul_report::{QuotaLine, RemarkKind, Room};
use mailhaul_types::{MailboxName, NameEncoding, Side, SystemFlag, escape};

/// What limits an account, and what could not be found out about it.
pub(super) struct Limits {
    pub(super) quotas: Vec<QuotaLine>,
    pub(super) append_limit_bytes: Option<u64>,
    pub(super) unknown: Option<String>,
}

/// Asks for the quota of INBOX and for the largest message.
pub(super) async fn limits(connection: &mut Connection) -> Result<Limits, ImapError> {
    let inbox = MailboxName::from_text("INBOX", NameEncoding::Utf8);
    let mut unknown = None;
    let quotas = match connection.quotas_of(&inbox).await {
        Ok(quotas) => quotas.into_iter().map(line_of).collect(),
        Err(error) if error.leaves_connection_usable() => {
            unknown = Some(format!("the quota is not known: {}", escape(&error.to_string())));
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let mut append_limit_bytes = connection.capabilities().append_limit();
    if append_limit_bytes.is_none() && connection.capabilities().has("APPENDLIMIT") {
        // RFC 7889 §3: limits differ by mailbox; that of INBOX stands for them all.
        append_limit_bytes = match connection.status_with_size(&inbox).await {
            Ok(status) => status.append_limit,
            Err(error) if error.leaves_connection_usable() => None,
            Err(error) => return Err(error),
        };
    }
    Ok(Limits { quotas, append_limit_bytes, unknown })
}

fn line_of(quota: Quota) -> QuotaLine {
    // No account can be meant to hold nothing: some servers say 0 where there is no limit.
    let room = |figures: QuotaUse| (figures.limit > 0).then_some(Room { used: figures.used, limit: figures.limit });
    QuotaLine {
        root: escape(&quota.root),
        bytes: quota.storage_bytes.and_then(room),
        messages: quota.messages.and_then(room),
    }
}

impl Look<'_> {
    pub(super) async fn look_at_limits(&mut self, links: &mut Links) -> Result<(), WalkError> {
        let Limits { quotas, append_limit_bytes, unknown } =
            limits(&mut links.target).await.map_err(on(Side::Target))?;
        self.found.quotas = quotas;
        self.found.append_limit_bytes = append_limit_bytes;
        if let Some(unknown) = unknown {
            self.remark(RemarkKind::Unknown, Some(Side::Target), None, unknown);
        }
        Ok(())
    }

    /// Looks which flags the target keeps, by its INBOX. Opened read-only many servers do not say; an empty mailbox can
    /// be opened for writing without changing anything that anybody could see.
    pub(super) async fn look_at_flags(&mut self, links: &mut Links) -> Result<(), WalkError> {
        let inbox = MailboxName::from_text("INBOX", NameEncoding::Utf8);
        let mut opened = links.target.examine(&inbox).await;
        let is_silent = |flags: &PermanentFlags| flags.flags.is_empty() && !flags.any_keyword;
        if let Ok(seen) = &opened
            && seen.exists == 0
            && seen.read_only
            && is_silent(&seen.permanent_flags)
        {
            opened = links.target.select(&inbox).await;
            if opened.as_ref().is_ok_and(|seen| seen.read_only) {
                let text = "INBOX can only be read with these credentials".to_owned();
                self.remark(RemarkKind::MailboxFailed, Some(Side::Target), None, text);
            }
        }
        match opened {
            Ok(seen) if seen.read_only && is_silent(&seen.permanent_flags) => {}
            Ok(seen) => self.remark_on_flags(&seen.permanent_flags),
            Err(error) if error.leaves_connection_usable() => {
                let text = format!("INBOX cannot be opened: {}", escape(&error.to_string()));
                self.remark(RemarkKind::MailboxFailed, Some(Side::Target), None, text);
            }
            Err(error) => return Err(on(Side::Target)(error)),
        }
        Ok(())
    }

    fn remark_on_flags(&mut self, permanent: &PermanentFlags) {
        let wanted = |flag: &SystemFlag| *flag != SystemFlag::Deleted || self.job.copy_deleted_flag;
        let missing = SystemFlag::ALL.into_iter().filter(wanted).filter(|flag| !permanent.flags.contains(*flag));
        let mut missing: Vec<&str> = missing.map(SystemFlag::as_str).collect();
        if !permanent.any_keyword {
            missing.push("new keywords");
        }
        if !missing.is_empty() {
            let text = format!("these flags are not kept: {}", missing.join(", "));
            self.remark(RemarkKind::Flags, Some(Side::Target), None, text);
        }
    }

    /// What the target lacks, and what that costs.
    pub(super) fn remark_on_extensions(&mut self, links: &Links) {
        for cost in costs(links.target.capabilities()) {
            self.remark(RemarkKind::Extension, Some(Side::Target), None, cost);
        }
    }
}
