-- What an operator may look at with `psql`. Nothing in Sequel reads these views; they are made afresh whenever the
-- schema is. Each decodes only what it names, so digests and sealed secrets never show. A value that is no JSON gives
-- NULLs, never an error.

-- Every live record: where it is, not what it says. Keys that are not printable show as escapes.
CREATE VIEW sequel.org_records AS
SELECT substr(s.name, 5) AS org, encode(r.key, 'escape') AS key, r.revision,
       CASE r.lane WHEN 0 THEN 'state' ELSE 'log' END AS lane, octet_length(r.value) AS bytes
FROM sequel.records r JOIN sequel.scopes s ON s.id = r.scope
WHERE r.value IS NOT NULL AND s.name LIKE 'org/%';

-- One row for each organization; it is the record `org` of its scope.
CREATE VIEW sequel.orgs AS
SELECT substr(s.name, 5) AS id, json ->> 'name' AS name, json ->> 'created_at' AS created_at, s.revision
FROM sequel.scopes s JOIN sequel.records r ON r.scope = s.id, sequel.decoded(r.value) AS json
WHERE s.name LIKE 'org/%' AND r.value IS NOT NULL AND r.key = 'org'::bytea;

-- API keys: `key/<id>`.
CREATE VIEW sequel.keys AS
SELECT substr(s.name, 5) AS org, encode(substr(r.key, 5), 'escape') AS id, json ->> 'name' AS name,
       json ->> 'owner' AS owner, json ->> 'enabled' AS enabled, json ->> 'created_at' AS created_at,
       json ->> 'expires_at' AS expires_at, json -> 'sources' AS sources, r.revision
FROM sequel.scopes s JOIN sequel.records r ON r.scope = s.id, sequel.decoded(r.value) AS json
WHERE s.name LIKE 'org/%' AND r.value IS NOT NULL AND r.key >= 'key/'::bytea AND r.key < 'key0'::bytea;

-- Data sources: `source/<id>`.
CREATE VIEW sequel.sources AS
SELECT substr(s.name, 5) AS org, encode(substr(r.key, 8), 'escape') AS id, json ->> 'name' AS name,
       json ->> 'kind' AS kind, json ->> 'created_at' AS created_at, r.revision
FROM sequel.scopes s JOIN sequel.records r ON r.scope = s.id, sequel.decoded(r.value) AS json
WHERE s.name LIKE 'org/%' AND r.value IS NOT NULL AND r.key >= 'source/'::bytea AND r.key < 'source0'::bytea;

-- When keys were last used: `used/<key id>`, on the log lane.
CREATE VIEW sequel.usage AS
SELECT substr(s.name, 5) AS org, encode(substr(r.key, 6), 'escape') AS key, json ->> 'last_used_at' AS last_used_at
FROM sequel.scopes s JOIN sequel.records r ON r.scope = s.id, sequel.decoded(r.value) AS json
WHERE s.name LIKE 'org/%' AND r.value IS NOT NULL AND r.key >= 'used/'::bytea AND r.key < 'used0'::bytea;
