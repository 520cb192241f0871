-- Version 1. A record's value is NULL once it is deleted: the row is then a tombstone.

CREATE TABLE sequel.version (version int NOT NULL);

CREATE TABLE sequel.scopes (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text COLLATE "C" NOT NULL UNIQUE,
    -- The scope's state revision.
    revision  bigint NOT NULL,
    -- The newest revision whose tombstones were forgotten: changes from below it are a gap.
    forgotten bigint NOT NULL DEFAULT 0
    -- Room on each page for the next version of a row, which every commit makes.
) WITH (fillfactor = 50);

CREATE TABLE sequel.records (
    scope    bigint   NOT NULL,
    key      bytea    NOT NULL,
    value    bytea,
    revision bigint   NOT NULL,
    -- 0 state, 1 log.
    lane     smallint NOT NULL,
    PRIMARY KEY (scope, key)
);

-- What changed since.
CREATE INDEX records_by_revision ON sequel.records (scope, revision) WHERE lane = 0;
-- Which tombstones are the oldest.
CREATE INDEX tombstones ON sequel.records (scope, revision) WHERE value IS NULL;

-- The newest 64 commits of each scope, as a ring: slot = revision % 64.
CREATE TABLE sequel.commits (
    scope    bigint   NOT NULL,
    slot     smallint NOT NULL,
    revision bigint   NOT NULL,
    id       bytea    NOT NULL,
    PRIMARY KEY (scope, slot)
);

CREATE INDEX commits_by_id ON sequel.commits (scope, id);

-- Which process may write: one row. `counter` moves while its holder lives, `epoch` when another one takes over.
CREATE TABLE sequel.lease (
    id      smallint PRIMARY KEY CHECK (id = 1),
    epoch   bigint   NOT NULL,
    counter bigint   NOT NULL,
    -- JSON: pid, role, admin socket. NULL where nobody holds it.
    holder  text,
    -- The host's name, for people.
    host    text     NOT NULL DEFAULT '',
    -- The kernel and namespace that the pid is of, where the holder's system tells.
    place   text     NOT NULL DEFAULT '',
    -- When it was taken by the server's clock, for people.
    since   timestamptz(0)
);

INSERT INTO sequel.lease (id, epoch, counter) VALUES (1, 0, 0);
