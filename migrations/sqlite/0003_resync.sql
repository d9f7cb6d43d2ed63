-- What a later pass needs to know, so that it costs only what has changed since.
--
-- The columns added to `mailbox` are left out of its checksum while they are absent, so that rows which are there
-- already stay as they are.

-- The checksum of the row of `mailbox_sync` that counts; absent: none does, and the mailbox is visited.
ALTER TABLE mailbox ADD COLUMN sync_sum INTEGER;
-- The checksum of the row of `mailbox_departed` that counts; absent: nothing has departed.
ALTER TABLE mailbox ADD COLUMN departed_sum INTEGER;
-- The target's name when we made it; it is ours while it is still called so. Absent: it was there, or is not yet.
ALTER TABLE mailbox ADD COLUMN made_as TEXT;
-- The target's name when the source mailbox was renamed and the target's could not be; it stays while the target is
-- called so, although no rule leads there. Absent: rules lead there.
ALTER TABLE mailbox ADD COLUMN kept_as TEXT;

-- What a source mailbox was when a pass last accounted for everything in it.
--
-- This row does not hang in mailbox.row_sum, for two reasons. Whether a mailbox has changed is asked for all mailboxes
-- of an account at once, without reading their segments, and that sum says nothing without them. And a row that is
-- missing is no damage: it means that the mailbox is visited. The mailbox's own row, which is written with every
-- commit, names the one row that counts instead (sync_sum): an older one that came back, or one that was taken from
-- another mailbox, is found without reading anything else.
CREATE TABLE mailbox_sync (
    mailbox_id           INTEGER PRIMARY KEY REFERENCES mailbox (mailbox_id),
    source_uid_validity  INTEGER NOT NULL,
    uid_next             INTEGER NOT NULL, -- UIDNEXT and EXISTS of the source, as the pass found them
    message_count        INTEGER NOT NULL,
    highest_modseq       INTEGER,          -- absent: the source has none
    object_id            TEXT,             -- MAILBOXID; absent: the source has none
    target_uid_validity  INTEGER NOT NULL,
    skipped              INTEGER NOT NULL, -- what the pass counted, so that a report needs no visit
    refused              INTEGER NOT NULL,
    unreadable           INTEGER NOT NULL,
    exceptions           INTEGER NOT NULL,
    policy               INTEGER NOT NULL, -- digest of the options under which the pass was made
    at_secs              INTEGER NOT NULL,
    checksum             INTEGER NOT NULL
) STRICT;

-- Source UIDs that have left the source, and have been dealt with. The format of the blob is described in
-- crates/mailhaul-db/src/departed.rs. Outlives mailbox_sync where the source's UIDs stay what they are. Decides: a
-- message that is forgotten here would be taken for one that has just left, so a missing row is damage.
CREATE TABLE mailbox_departed (
    mailbox_id  INTEGER PRIMARY KEY REFERENCES mailbox (mailbox_id),
    packed      BLOB    NOT NULL,
    checksum    INTEGER NOT NULL
) STRICT;
