-- What was learnt about servers: with how many connections a copy goes best, how a target takes single messages best, and
-- what passes took.
--
-- Advice, and nothing else: a row that is missing or damaged is as good as none, and the next run writes it anew. So this
-- table is the only one that is not missed, and whose damage stops nobody.
CREATE TABLE host_profile (
    side      TEXT    NOT NULL CHECK (side IN ('source', 'target')),
    host      TEXT    NOT NULL, -- lower case, no final dot
    port      INTEGER NOT NULL,
    profile   TEXT    NOT NULL, -- JSON; the format belongs to mailhaul-plan
    at_secs   INTEGER NOT NULL, -- when it was written
    checksum  INTEGER NOT NULL,
    PRIMARY KEY (side, host, port)
) STRICT, WITHOUT ROWID;
