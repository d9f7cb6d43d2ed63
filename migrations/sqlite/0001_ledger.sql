-- The ledger of copied mail: which message of which source mailbox is settled, and what the target is known to hold.
--
-- Every table carries a checksum over all its columns (CRC-32, computed by the program), because one flipped bit could
-- otherwise turn a message still to be copied into a copied one. The rows that hang on a mailbox are summed up in it.
-- Moments are seconds since 1970. Numbers that IMAP calls nz-number are never 0 here either, unless said otherwise.

-- 'mhl1': tells this file from other programs' databases.
PRAGMA application_id = 1835559985;

-- One row: what belongs to the file as a whole.
CREATE TABLE ledger (
    ledger_id        INTEGER PRIMARY KEY CHECK (ledger_id = 1),
    digest_key       BLOB    NOT NULL, -- 16 random octets; keys of messages are made under it
    created_at_secs  INTEGER NOT NULL,
    checksum         INTEGER NOT NULL
) STRICT;

-- A source account and the target account it is copied to.
CREATE TABLE pair (
    pair_id       INTEGER PRIMARY KEY,
    source_host   TEXT    NOT NULL, -- lower case, no final dot
    source_login  TEXT    NOT NULL,
    source_authz  TEXT    NOT NULL, -- empty: acts for itself
    target_host   TEXT    NOT NULL,
    target_login  TEXT    NOT NULL,
    target_authz  TEXT    NOT NULL,
    generation    INTEGER NOT NULL, -- rises with every claim; a write under a lower one is refused
    mailboxes     INTEGER NOT NULL, -- how many mailbox rows there are
    checksum      INTEGER NOT NULL,
    UNIQUE (source_host, source_login, source_authz, target_host, target_login, target_authz)
) STRICT;

-- The latest run over a pair. Written by the claim, completed when the run says how it ended.
CREATE TABLE run (
    pair_id           INTEGER PRIMARY KEY REFERENCES pair (pair_id),
    generation        INTEGER NOT NULL,
    started_at_secs   INTEGER NOT NULL,
    finished_at_secs  INTEGER,          -- absent: still running, or killed
    verdict           INTEGER,          -- 1 complete, 2 exceptions, 3 stopped, 4 interrupted, 5 failed
    detail            TEXT    NOT NULL,
    checksum          INTEGER NOT NULL
) STRICT;

-- A source mailbox and the target mailbox it is copied to.
CREATE TABLE mailbox (
    mailbox_id           INTEGER PRIMARY KEY,
    pair_id              INTEGER NOT NULL REFERENCES pair (pair_id),
    source_name          TEXT    NOT NULL,
    target_name          TEXT    NOT NULL,
    source_uid_validity  INTEGER,          -- absent: never seen
    target_uid_validity  INTEGER,          -- absent: never seen
    target_mark          INTEGER,          -- U: every target UID below it is accounted for
    sent_first           INTEGER,          -- source UIDs that may be in flight; absent: none
    sent_last            INTEGER,
    scan_uid_next        INTEGER,          -- the last counted scan; scan_exists absent: none yet
    scan_exists          INTEGER,
    scan_highest_modseq  INTEGER,
    scan_mailbox_id      TEXT,
    copied               INTEGER NOT NULL, -- settled messages under source_uid_validity, by kind
    adopted              INTEGER NOT NULL,
    adopted_altered      INTEGER NOT NULL,
    row_count            INTEGER NOT NULL, -- rows of segment, keyword_set and mailbox_exception that belong here
    row_sum              INTEGER NOT NULL, -- their checksums added up modulo 2^32: a row that vanished is missed
    checksum             INTEGER NOT NULL,
    UNIQUE (pair_id, source_name)
) STRICT;

-- Up to 1,000 settled messages, packed. The format is described in crates/mailhaul-db/src/segment.rs.
CREATE TABLE segment (
    mailbox_id           INTEGER NOT NULL REFERENCES mailbox (mailbox_id),
    ordinal              INTEGER NOT NULL, -- in the order in which segments were begun; the highest is still filled
    source_uid_validity  INTEGER NOT NULL,
    target_uid_validity  INTEGER NOT NULL, -- target UIDs inside are void under any other
    first_uid            INTEGER NOT NULL, -- lowest and highest source UID; segments may interleave
    last_uid             INTEGER NOT NULL,
    messages             INTEGER NOT NULL,
    packed               BLOB    NOT NULL,
    checksum             INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, ordinal)
) STRICT;

-- Sets of keywords that messages carried when they were sent; segments refer to them by number.
CREATE TABLE keyword_set (
    mailbox_id  INTEGER NOT NULL REFERENCES mailbox (mailbox_id),
    number      INTEGER NOT NULL, -- from 1 without gaps
    keywords    TEXT    NOT NULL, -- sorted, with a blank between
    checksum    INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, number)
) STRICT, WITHOUT ROWID;

-- Messages and mailboxes that need somebody's attention.
CREATE TABLE mailbox_exception (
    mailbox_id           INTEGER NOT NULL REFERENCES mailbox (mailbox_id),
    source_uid_validity  INTEGER NOT NULL, -- 0 where the mailbox itself is meant
    uid                  INTEGER NOT NULL, -- 0: the mailbox itself
    state                INTEGER NOT NULL, -- 1 refused, 2 unreadable, 3 gone, 4 possible duplicate,
                                           -- 5 view incomplete, 6 mailbox failed
    reason               TEXT    NOT NULL, -- the server's words
    key_digest           INTEGER,
    key_strength         INTEGER,
    at_secs              INTEGER NOT NULL,
    checksum             INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, source_uid_validity, uid, state)
) STRICT, WITHOUT ROWID;

-- What the last pass over a mailbox counted. Told in reports; decides nothing.
CREATE TABLE mailbox_pass (
    mailbox_id  INTEGER PRIMARY KEY REFERENCES mailbox (mailbox_id),
    source      INTEGER NOT NULL,
    already     INTEGER NOT NULL,
    copied      INTEGER NOT NULL,
    adopted     INTEGER NOT NULL,
    skipped     INTEGER NOT NULL,
    refused     INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    unreadable  INTEGER NOT NULL,
    remaining   INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    at_secs     INTEGER NOT NULL,
    checksum    INTEGER NOT NULL
) STRICT;

-- Worth telling, and no fault. Told in reports; decides nothing.
CREATE TABLE remark (
    pair_id     INTEGER NOT NULL REFERENCES pair (pair_id),
    mailbox_id  INTEGER NOT NULL, -- 0: the account as a whole
    number      INTEGER NOT NULL, -- from 1, in the order given
    kind        TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    messages    INTEGER NOT NULL, -- how many it concerns; 0: not about messages
    checksum    INTEGER NOT NULL,
    PRIMARY KEY (pair_id, mailbox_id, number)
) STRICT, WITHOUT ROWID;
