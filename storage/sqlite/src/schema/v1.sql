-- Version 1. A record's value is NULL once it is deleted: the row is then a tombstone.

CREATE TABLE scopes (
    id       INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    -- The scope's state revision.
    revision INTEGER NOT NULL,
    -- The newest revision whose tombstones were forgotten: changes from below it are a gap.
    forgotten INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Clustered by scope and key, so that a scan reads neighbouring pages.
CREATE TABLE records (
    scope    INTEGER NOT NULL,
    key      BLOB    NOT NULL,
    value    BLOB,
    revision INTEGER NOT NULL,
    -- 0 state, 1 log.
    lane     INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

-- What changed since.
CREATE INDEX records_by_revision ON records (scope, revision) WHERE lane = 0;
-- Which tombstones are the oldest.
CREATE INDEX tombstones ON records (scope, revision) WHERE value IS NULL;

-- The newest 64 commits of each scope, as a ring: slot = revision % 64.
CREATE TABLE commits (
    scope    INTEGER NOT NULL,
    slot     INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    id       BLOB    NOT NULL,
    PRIMARY KEY (scope, slot)
) STRICT, WITHOUT ROWID;
