-- The queue: servers, waves, accounts, and the jobs that are done for them.
--
-- These tables carry no checksum for each row, as those of the ledger do: an operator changes ten thousand jobs in one
-- statement. What they hold decides when something is done and by whom, never what counts as copied: a wrong row here
-- can cost time, and no mail.
--
-- `_ms` are milliseconds since 1970; `_boot_ms` milliseconds since the machine was started, sleep included.
-- States, reasons, classes and kinds are words; docs/reference/job-states.md explains them.

-- A server: what accounts are on, and what limits count for. Changing the limits does not raise the revision.
CREATE TABLE endpoint (
    endpoint_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    url            TEXT    NOT NULL,
    host           TEXT    NOT NULL, -- lower case, no final dot; its health is shared by all endpoints on it
    limits         TEXT    NOT NULL, -- JSON
    options        TEXT    NOT NULL, -- JSON; waves and accounts may say otherwise
    revision       INTEGER NOT NULL, -- rises when URL or options change: running jobs then take them up
    created_at_ms  INTEGER NOT NULL
) STRICT;

-- What a host bears, as far as it has shown. The format belongs to the queue's host module.
CREATE TABLE host (
    host    TEXT    PRIMARY KEY,
    health  TEXT    NOT NULL, -- JSON
    at_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Accounts that are moved together.
CREATE TABLE wave (
    wave_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    job_order      TEXT    NOT NULL CHECK (job_order IN ('fifo', 'largest', 'smallest')),
    options        TEXT    NOT NULL, -- JSON
    plan           TEXT    NOT NULL, -- JSON: when what is to be done
    revision       INTEGER NOT NULL, -- rises when the options change
    created_at_ms  INTEGER NOT NULL,
    closed_at_ms   INTEGER           -- absent: open; closing deletes its accounts' secrets
) STRICT;

-- A source and a target endpoint that accounts use together. There are few; a claim looks at each.
CREATE TABLE lane (
    lane_id             INTEGER PRIMARY KEY,
    source_endpoint_id  INTEGER NOT NULL REFERENCES endpoint (endpoint_id),
    target_endpoint_id  INTEGER NOT NULL REFERENCES endpoint (endpoint_id),
    UNIQUE (source_endpoint_id, target_endpoint_id)
) STRICT;
CREATE INDEX lane_by_target ON lane (target_endpoint_id);

-- A source login and a target login. The owners are the logins, or who they act for: what `pair` calls authz, or
-- login where that is empty; with the hosts of the lane they find what the ledger holds of the account.
CREATE TABLE account (
    account_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL UNIQUE,
    wave_id          INTEGER NOT NULL REFERENCES wave (wave_id),
    lane_id          INTEGER NOT NULL REFERENCES lane (lane_id),
    source_user      TEXT    NOT NULL,
    target_user      TEXT    NOT NULL,
    source_owner     TEXT    NOT NULL,
    target_owner     TEXT    NOT NULL,
    priority         INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    options          TEXT    NOT NULL, -- JSON
    revision         INTEGER NOT NULL, -- rises with every change but that of the size hint
    size_hint_bytes  INTEGER,          -- absent: not known
    created_at_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX account_by_wave ON account (wave_id, name);
CREATE INDEX account_by_lane ON account (lane_id);

-- Pairs are found by owner as well.
CREATE INDEX pair_by_owner ON pair (
    source_host, (CASE source_authz WHEN '' THEN source_login ELSE source_authz END),
    target_host, (CASE target_authz WHEN '' THEN target_login ELSE target_authz END)
);

-- Passwords and tokens, sealed one by one under a key that is not in this file.
CREATE TABLE secret (
    owner_kind  TEXT    NOT NULL CHECK (owner_kind IN ('account', 'endpoint')),
    owner_id    INTEGER NOT NULL,
    side        TEXT    NOT NULL CHECK (side IN ('', 'source', 'target')), -- empty: an endpoint's, whichever side
    field       TEXT    NOT NULL, -- what it is: 'password'
    key_id      TEXT    NOT NULL,
    sealed      BLOB    NOT NULL,
    PRIMARY KEY (owner_kind, owner_id, side, field)
) STRICT, WITHOUT ROWID;

-- One row: which key the secrets are sealed under, and a value that only this key opens.
CREATE TABLE vault (
    vault_id     INTEGER PRIMARY KEY CHECK (vault_id = 1),
    key_id       TEXT    NOT NULL,
    check_value  BLOB    NOT NULL
) STRICT;

-- Processes that work. Each holds a lock on a file of its own beside this one for as long as it lives.
CREATE TABLE worker (
    worker_id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
    process        INTEGER NOT NULL,
    boot_id        TEXT    NOT NULL,
    what           TEXT    NOT NULL, -- for people: 'run', 'serve'
    started_at_ms  INTEGER NOT NULL,
    seen_at_ms     INTEGER NOT NULL
) STRICT;

-- Something to be done for an account, and where it stands.
CREATE TABLE job (
    job_id               INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id           INTEGER NOT NULL REFERENCES account (account_id),
    wave_id              INTEGER NOT NULL REFERENCES wave (wave_id), -- the account's, so that a claim need not look
    lane_id              INTEGER NOT NULL REFERENCES lane (lane_id), -- the account's
    kind                 TEXT    NOT NULL,
    phase                TEXT    NOT NULL CHECK (phase IN ('bulk', 'resync')),
    payload              TEXT    NOT NULL, -- JSON
    state                TEXT    NOT NULL CHECK (state IN ('queued', 'waiting', 'running', 'done',
                                     'done_with_exceptions', 'failed', 'paused', 'cancelled')),
    wait_reason          TEXT,             -- with waiting; with paused: what it waited for before
    wait_until_ms        INTEGER,          -- with wait_reason; absent: until somebody acts
    failure_class        TEXT,             -- with failed, and only then
    gated                INTEGER NOT NULL, -- 1: waits for an endpoint of its lane, and goes on when that opens
    wanted               TEXT,             -- with running only: 'pause', 'cancel', 'yield', 'options'
    wanted_reason        TEXT,             -- with 'yield'
    wanted_until_ms      INTEGER,          -- with 'yield'
    priority             INTEGER NOT NULL, -- the account's
    place                INTEGER NOT NULL, -- lower goes first; from priority and queued_at_ms
    order_key            INTEGER NOT NULL, -- lower goes first within a place; from the wave's order and the size
    attempts             INTEGER NOT NULL, -- how many were begun
    attempts_charged     INTEGER NOT NULL, -- how many of the failed ones count; 0 again after a retry
    crashes              INTEGER NOT NULL, -- how often its lease ran out; 0 again after a retry
    generation           INTEGER NOT NULL, -- rises with every claim; what an older claim writes is refused
    worker_id            INTEGER,          -- these four with running, and only then
    process              INTEGER,
    lease_boot_id        TEXT,
    lease_until_boot_ms  INTEGER,
    stale_process        INTEGER,          -- lost it by letting the lease run out, and may still be there
    options_revision     INTEGER NOT NULL, -- sum of the revisions that applied when it was claimed last
    superseded           INTEGER NOT NULL, -- 1: a later job of this kind exists for the account
    queued_at_ms         INTEGER NOT NULL,
    not_before_ms        INTEGER,
    started_at_ms        INTEGER,          -- of the latest attempt
    finished_at_ms       INTEGER,          -- of the latest attempt
    words                TEXT    NOT NULL, -- how the latest attempt ended; the server's own where it said any
    CHECK (superseded = 0 OR state IN ('done', 'done_with_exceptions', 'failed', 'cancelled'))
) STRICT;

-- With the check above: one job of a kind for an account that is not over. The state is not part of the index, so that
-- changing it costs nothing here.
CREATE UNIQUE INDEX job_latest ON job (account_id, kind) WHERE superseded = 0;
CREATE UNIQUE INDEX job_one_running ON job (account_id) WHERE state = 'running';
-- A line is what these four have in common; a claim takes the head of a line and looks no further.
CREATE INDEX job_in_line ON job (lane_id, phase, wave_id, kind, place, order_key, job_id) WHERE state = 'queued';
CREATE INDEX job_running ON job (lane_id, phase, worker_id, lease_boot_id, lease_until_boot_ms)
    WHERE state = 'running';
CREATE INDEX job_wanted ON job (worker_id) WHERE wanted IS NOT NULL;
CREATE INDEX job_due ON job (wait_until_ms, gated, wave_id, kind) WHERE state = 'waiting' AND wait_until_ms IS NOT NULL;
CREATE INDEX job_gated ON job (lane_id, wait_until_ms) WHERE state = 'waiting' AND gated = 1;
CREATE INDEX job_by_account ON job (account_id, kind, job_id);
CREATE INDEX job_by_wave ON job (wave_id, superseded, state, kind);

-- One run of a job, or of what it could do of it.
CREATE TABLE attempt (
    job_id         INTEGER NOT NULL REFERENCES job (job_id),
    number         INTEGER NOT NULL, -- from 1
    generation     INTEGER NOT NULL,
    worker_id      INTEGER NOT NULL,
    process        INTEGER NOT NULL,
    started_at_ms  INTEGER NOT NULL,
    ended_at_ms    INTEGER,          -- absent: still running
    outcome        TEXT,             -- 'done', 'done_with_exceptions', 'failed', 'yielded', 'lost'
    failure_class  TEXT,             -- with 'failed'
    words          TEXT    NOT NULL,
    counts         TEXT    NOT NULL, -- JSON
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

-- Who changed what, when and why. Only ever added to.
CREATE TABLE event (
    event_id     INTEGER PRIMARY KEY,
    at_ms        INTEGER NOT NULL,
    who          TEXT    NOT NULL,
    what         TEXT    NOT NULL, -- 'claim', 'end', 'pause', 'import', ...
    endpoint_id  INTEGER,          -- what it was about; the most special of the four
    wave_id      INTEGER,
    account_id   INTEGER,          -- with job_id: the job's
    job_id       INTEGER,
    from_state   TEXT,             -- of the job
    to_state     TEXT,
    why          TEXT    NOT NULL
) STRICT;
CREATE INDEX event_by_account ON event (account_id) WHERE account_id IS NOT NULL;

-- What an operator has paused. A job is paused while one of these covers it, also if it is queued later.
CREATE TABLE hold (
    scope       TEXT    NOT NULL CHECK (scope IN ('everything', 'endpoint', 'wave', 'account', 'job')),
    subject_id  INTEGER NOT NULL, -- 0 with 'everything'
    who         TEXT    NOT NULL,
    why         TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    PRIMARY KEY (scope, subject_id)
) STRICT, WITHOUT ROWID;

-- Octets of mail moved for an account on one day.
CREATE TABLE usage (
    account_id  INTEGER NOT NULL REFERENCES account (account_id),
    day         TEXT    NOT NULL, -- 2026-11-22, by the calendar that the operator lives by
    bytes       INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT, WITHOUT ROWID;

-- What the latest look at an account found, and the one before it.
CREATE TABLE preflight (
    account_id       INTEGER PRIMARY KEY REFERENCES account (account_id),
    at_ms            INTEGER NOT NULL,
    report           TEXT    NOT NULL, -- JSON
    previous_at_ms   INTEGER,
    previous_report  TEXT
) STRICT;
