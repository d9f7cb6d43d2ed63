//! What a change does to the rows, within the transaction of its group.

use super::{Change, LeaseState, MailboxChange};
use crate::cache::CachedMailbox;
use crate::fault::Fault;
use crate::model::{Mapping, RunVerdict};
use crate::rows::{MailboxRow, PairRow, PassRow, RemarkRow, RunRow};
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A change being applied within a transaction.
pub(super) struct Work<'a> {
    pub(super) db: &'a mut SqliteConnection,
    pub(super) caches: &'a mut BTreeMap<i64, CachedMailbox>,
    pub(super) lease: &'a LeaseState,
    pub(super) now: i64,
}

impl Work<'_> {
    /// Applies a change; which mailbox must be stored at the end of the group.
    pub(super) async fn apply(&mut self, change: &Change) -> Result<Option<i64>, Fault> {
        let pair_id = self.lease.pair_id.0;
        match change {
            Change::Check => Ok(None),
            Change::MapMailboxes(mappings) => self.map_mailboxes(mappings).await.map(|()| None),
            Change::RemapMailbox(mapping) => self.remap_mailbox(mapping).await.map(Some),
            Change::RenameMailboxes(renamed) => self.rename_mailboxes(renamed).await.map(|()| None),
            Change::ReplaceRemarks(remarks) => {
                RemarkRow::replace(self.db, pair_id, 0, remarks).await?;
                Ok(None)
            }
            Change::FinishRun(verdict, detail) => self.finish_run(*verdict, detail).await.map(|()| None),
            Change::Mailbox(mailbox_id, change) => {
                self.apply_to_mailbox(*mailbox_id, change).await?;
                Ok(Some(*mailbox_id))
            }
        }
    }

    async fn cached(&mut self, mailbox_id: i64) -> Result<(&mut CachedMailbox, &mut SqliteConnection), Fault> {
        let cache = match self.caches.entry(mailbox_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(CachedMailbox::read(self.db, mailbox_id).await?),
        };
        if cache.row.pair_id != self.lease.pair_id.0 {
            return Err(Fault::Internal(format!("{} belongs to another pair", cache.row.place())));
        }
        Ok((cache, self.db))
    }

    async fn apply_to_mailbox(&mut self, mailbox_id: i64, change: &MailboxChange) -> Result<(), Fault> {
        let (now, pair_id) = (self.now, self.lease.pair_id.0);
        let (cache, db) = self.cached(mailbox_id).await?;
        match change {
            MailboxChange::Bind(source, target, mark) => cache.bind(*source, *target, *mark),
            MailboxChange::VoidTargetUids(new, mark) => cache.void_target_uids(db, *new, *mark).await,
            MailboxChange::RenumberTarget(new, mark, messages) => {
                cache.renumber_target(db, *new, *mark, messages).await
            }
            MailboxChange::MarkSent(range, mark) => cache.mark_sent(*range, *mark),
            MailboxChange::Settle(settlement) => cache.settle(db, settlement).await,
            MailboxChange::RecordException(exception) => cache.record_exception(db, exception, now).await,
            MailboxChange::ClearExceptions(states) => cache.clear_exceptions(db, states).await,
            MailboxChange::RecordScan(scan) => {
                cache.row.scan = Some(scan.clone());
                Ok(())
            }
            MailboxChange::RecordPass(counts, remarks) => {
                PassRow { mailbox_id, counts: *counts, at_secs: now }.put(db).await?;
                RemarkRow::replace(db, pair_id, mailbox_id, remarks).await
            }
            MailboxChange::RecordSynced(synced) => cache.record_synced(db, synced).await,
            MailboxChange::ForgetSynced => cache.forget_synced(db).await,
            MailboxChange::AddDeparted(uids) => cache.add_departed(db, uids).await,
            MailboxChange::SetFlags(changes) => cache.set_flags(db, changes).await,
            MailboxChange::RenumberSource(renumbering) => cache.renumber(db, renumbering, now).await,
            MailboxChange::NoteMade => {
                cache.row.made_as = Some(cache.row.mapping.target.clone());
                Ok(())
            }
            MailboxChange::NoteNameKept => {
                cache.row.kept_as = Some(cache.row.mapping.target.clone());
                Ok(())
            }
        }
    }

    async fn map_mailboxes(&mut self, mappings: &[Mapping]) -> Result<(), Fault> {
        let mut pair = PairRow::read(self.db, self.lease.pair_id.0).await?;
        let known = MailboxRow::read_all(self.db, pair.pair_id, pair.mailboxes).await?;
        let mut known: BTreeMap<_, _> = known.into_iter().map(|row| (row.mapping.source, row.mapping.target)).collect();
        let mut next_id = MailboxRow::next_id(self.db).await?;
        for mapping in mappings {
            match known.get(&mapping.source) {
                Some(target) if *target == mapping.target => {}
                Some(_) => {
                    let name = mailhaul_types::escape(&mapping.source);
                    return Err(Fault::Internal(format!("mailbox {name} was to be mapped a second time")));
                }
                None => {
                    MailboxRow::new(next_id, pair.pair_id, mapping.clone()).put(self.db).await?;
                    known.insert(mapping.source.clone(), mapping.target.clone());
                    next_id += 1;
                    pair.mailboxes += 1;
                }
            }
        }
        pair.update(self.db).await
    }

    async fn remap_mailbox(&mut self, mapping: &Mapping) -> Result<i64, Fault> {
        let mailbox_id = self.known(&mapping.source).await?;
        let (cache, db) = self.cached(mailbox_id).await?;
        if cache.row.mapping != *mapping {
            cache.remap(db, mapping.clone()).await?;
        }
        Ok(mailbox_id)
    }

    /// The number of a mailbox that must have been mapped.
    async fn known(&mut self, source: &str) -> Result<i64, Fault> {
        let row = MailboxRow::find(self.db, self.lease.pair_id.0, source).await?;
        let unknown = || Fault::Internal(format!("mailbox {} has no mapping", mailhaul_types::escape(source)));
        row.map(|row| row.mailbox_id).ok_or_else(unknown)
    }

    /// All of them step aside first, so that two can change places.
    async fn rename_mailboxes(&mut self, renamed: &[(String, Mapping)]) -> Result<(), Fault> {
        let mut moving = Vec::with_capacity(renamed.len());
        for (old_source, mapping) in renamed {
            moving.push((self.known(old_source).await?, mapping));
        }
        for (mailbox_id, _) in &moving {
            // Read before its row is not as it was written any more.
            self.cached(*mailbox_id).await?;
            MailboxRow::step_aside(self.db, *mailbox_id).await?;
        }
        for (mailbox_id, mapping) in moving {
            self.make_room(&mapping.source).await?;
            let (cache, db) = self.cached(mailbox_id).await?;
            cache.rename(mapping.clone());
            cache.row.put(db).await?;
        }
        Ok(())
    }

    /// Forgets a mailbox of this name if there is one; nothing may be settled in it.
    async fn make_room(&mut self, source: &str) -> Result<(), Fault> {
        let Some(row) = MailboxRow::find(self.db, self.lease.pair_id.0, source).await? else { return Ok(()) };
        let (cache, _) = self.cached(row.mailbox_id).await?;
        if !cache.is_empty() {
            let name = mailhaul_types::escape(source);
            return Err(Fault::Internal(format!("a mailbox was to be renamed to {name}, where mail is settled")));
        }
        if let Some(cache) = self.caches.remove(&row.mailbox_id) {
            cache.delete(self.db).await?;
        }
        let mut pair = PairRow::read(self.db, self.lease.pair_id.0).await?;
        pair.mailboxes -= 1;
        pair.update(self.db).await
    }

    async fn finish_run(&mut self, verdict: RunVerdict, detail: &str) -> Result<(), Fault> {
        let run = RunRow::read(self.db, self.lease.pair_id.0).await?;
        let missing = || Fault::Damaged { table: "run", row: format!("pair {}", self.lease.pair_id.0) };
        let run = run.filter(|run| run.generation == self.lease.generation.0).ok_or_else(missing)?;
        RunRow { finished: Some((self.now, verdict)), detail: detail.to_owned(), ..run }.put(self.db).await
    }
}
