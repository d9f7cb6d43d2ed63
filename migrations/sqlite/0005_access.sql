-- Who may use the page and the API.
--
-- Of every token, sign-in link and session only the SHA-256 is stored: 256 random bits need no slower hash. These rows
-- carry no checksum, like those of the queue: what is damaged here opens no door, and copies no mail.
CREATE TABLE access (
    access_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind           TEXT    NOT NULL CHECK (kind IN ('token', 'link', 'session')),
    name           TEXT    NOT NULL, -- of a session: that of what it was begun with
    role           TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    hash           BLOB    NOT NULL UNIQUE,
    parent_id      INTEGER,          -- with session: what it was begun with; ends with it
    created_at_ms  INTEGER NOT NULL,
    expires_at_ms  INTEGER,          -- absent: never
    used_at_ms     INTEGER,          -- absent: never used; kept to the minute
    ended_at_ms    INTEGER           -- absent: good; revoked, signed out, or (a link) used up
) STRICT;
CREATE UNIQUE INDEX access_by_name ON access (name) WHERE kind = 'token' AND ended_at_ms IS NULL;
CREATE INDEX access_by_parent ON access (parent_id) WHERE parent_id IS NOT NULL;
