//! What the holder of a lease may ask the writer for.

use crate::model::{
    Exception, ExceptionState, Mapping, PassCounts, Remark, Renumbering, RunVerdict, Scan, Settled, Settlement, Synced,
};
use mailhaul_types::{Flags, Uid, UidRange, UidSet, UidValidity};

/// What the holder of a lease may ask for.
pub(crate) enum Change {
    /// Nothing: wait for what was asked before, and see whether the lease holds.
    Check,
    MapMailboxes(Vec<Mapping>),
    RemapMailbox(Mapping),
    /// Each by its old source name.
    RenameMailboxes(Vec<(String, Mapping)>),
    ReplaceRemarks(Vec<Remark>),
    FinishRun(RunVerdict, String),
    Mailbox(i64, MailboxChange),
}

/// What may be asked for one mailbox.
pub(crate) enum MailboxChange {
    Bind(UidValidity, UidValidity, Uid),
    VoidTargetUids(UidValidity, Uid),
    RenumberTarget(UidValidity, Uid, Vec<Settled>),
    MarkSent(UidRange, Uid),
    Settle(Settlement),
    RecordException(Exception),
    ClearExceptions(Vec<ExceptionState>),
    RecordScan(Scan),
    RecordPass(PassCounts, Vec<Remark>),
    RecordSynced(Box<Synced>),
    ForgetSynced,
    AddDeparted(UidSet),
    SetFlags(Vec<(Uid, Flags)>),
    RenumberSource(Renumbering),
    NoteMade,
    NoteNameKept,
}

impl Change {
    /// In the names of failpoints.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::MapMailboxes(_) => "map",
            Self::RemapMailbox(_) => "remap",
            Self::RenameMailboxes(_) => "rename",
            Self::ReplaceRemarks(_) => "remarks",
            Self::FinishRun(..) => "finish",
            Self::Mailbox(_, change) => match change {
                MailboxChange::Bind(..) => "bind",
                MailboxChange::VoidTargetUids(..) => "void",
                MailboxChange::RenumberTarget(..) => "renumber target",
                MailboxChange::MarkSent(..) => "mark",
                MailboxChange::Settle(_) => "settle",
                MailboxChange::RecordException(_) => "exception",
                MailboxChange::ClearExceptions(_) => "clear",
                MailboxChange::RecordScan(_) => "scan",
                MailboxChange::RecordPass(..) => "pass",
                MailboxChange::RecordSynced(_) => "synced",
                MailboxChange::ForgetSynced => "forget",
                MailboxChange::AddDeparted(_) => "departed",
                MailboxChange::SetFlags(_) => "flags",
                MailboxChange::RenumberSource(_) => "renumber source",
                MailboxChange::NoteMade => "made",
                MailboxChange::NoteNameKept => "kept",
            },
        }
    }

    /// How many messages it concerns: what makes a group full.
    pub(super) fn messages(&self) -> usize {
        match self {
            Self::Mailbox(_, MailboxChange::Settle(settlement)) => settlement.messages.len(),
            Self::Mailbox(_, MailboxChange::SetFlags(changes)) => changes.len(),
            Self::Mailbox(_, MailboxChange::RenumberTarget(_, _, messages)) => messages.len(),
            Self::Mailbox(_, MailboxChange::RenumberSource(renumbering)) => renumbering.messages.len(),
            _ => 0,
        }
    }
}
