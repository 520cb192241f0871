-- What an operator may look at with `sqlite3`. Nothing in Sequel reads these views; they are made
-- afresh whenever the schema is. Each decodes only what it names, so digests and sealed secrets
-- never show. A value that is no JSON gives NULLs, never an error.

-- Every live record: where it is, not what it says. Keys that are not printable show as hex.
CREATE VIEW org_records AS
SELECT substr(s.name, 5) AS org,
       CASE WHEN instr(r.key, x'00') = 0 AND CAST(r.key AS TEXT) NOT GLOB '*[^ -~]*'
            THEN CAST(r.key AS TEXT) ELSE 'x:' || hex(r.key) END AS key,
       r.revision AS revision,
       CASE r.lane WHEN 0 THEN 'state' ELSE 'log' END AS lane,
       length(r.value) AS bytes,
       json_valid(CAST(r.value AS TEXT)) AS is_json
FROM records r JOIN scopes s ON s.id = r.scope
WHERE r.value IS NOT NULL AND s.name GLOB 'org/*';

-- One row for each organization; it is the record `org` of its scope.
CREATE VIEW orgs AS
SELECT id, json_extract(json, '$.name') AS name, json_extract(json, '$.created_at') AS created_at, revision
FROM (SELECT substr(s.name, 5) AS id, s.revision AS revision,
             CASE WHEN json_valid(CAST(r.value AS TEXT)) THEN CAST(r.value AS TEXT) ELSE '{}' END AS json
      FROM scopes s JOIN records r ON r.scope = s.id
      WHERE s.name GLOB 'org/*' AND r.value IS NOT NULL AND r.key = CAST('org' AS BLOB));

-- API keys: `key/<id>`.
CREATE VIEW keys AS
SELECT org,
       id,
       json_extract(json, '$.name') AS name,
       json_extract(json, '$.owner') AS owner,
       json_extract(json, '$.enabled') AS enabled,
       json_extract(json, '$.suspended.at') AS suspended_at,
       json_extract(json, '$.created_at') AS created_at,
       json_extract(json, '$.expires_at') AS expires_at,
       json_extract(json, '$.sources') AS sources,
       revision
FROM (SELECT substr(s.name, 5) AS org, CAST(substr(r.key, 5) AS TEXT) AS id, r.revision AS revision,
             CASE WHEN json_valid(CAST(r.value AS TEXT)) THEN CAST(r.value AS TEXT) ELSE '{}' END AS json
      FROM scopes s JOIN records r ON r.scope = s.id
      WHERE s.name GLOB 'org/*' AND r.value IS NOT NULL
        AND r.key >= CAST('key/' AS BLOB) AND r.key < CAST('key0' AS BLOB));

-- Data sources: `source/<id>`.
CREATE VIEW sources AS
SELECT org,
       id,
       json_extract(json, '$.name') AS name,
       json_extract(json, '$.kind') AS kind,
       json_extract(json, '$.created_at') AS created_at,
       revision
FROM (SELECT substr(s.name, 5) AS org, CAST(substr(r.key, 8) AS TEXT) AS id, r.revision AS revision,
             CASE WHEN json_valid(CAST(r.value AS TEXT)) THEN CAST(r.value AS TEXT) ELSE '{}' END AS json
      FROM scopes s JOIN records r ON r.scope = s.id
      WHERE s.name GLOB 'org/*' AND r.value IS NOT NULL
        AND r.key >= CAST('source/' AS BLOB) AND r.key < CAST('source0' AS BLOB));

-- When keys were last used: `used/<key id>`, on the log lane.
CREATE VIEW usage AS
SELECT org,
       id AS key,
       json_extract(json, '$.last_used_at') AS last_used_at
FROM (SELECT substr(s.name, 5) AS org, CAST(substr(r.key, 6) AS TEXT) AS id, r.revision AS revision,
             CASE WHEN json_valid(CAST(r.value AS TEXT)) THEN CAST(r.value AS TEXT) ELSE '{}' END AS json
      FROM scopes s JOIN records r ON r.scope = s.id
      WHERE s.name GLOB 'org/*' AND r.value IS NOT NULL
        AND r.key >= CAST('used/' AS BLOB) AND r.key < CAST('used0' AS BLOB));
