-- One batch: idempotence, preconditions, writes, retention. One call is one transaction is one round trip. Made
-- afresh whenever the schema is.
--
-- Answers `outcome`: 'done', 'repeated', 'conflict', or 'lost' where the caller's lease is no longer his.
CREATE FUNCTION sequel.commit(
    the_scope text, is_state boolean, at_revision bigint, commit_id bytea,
    expected_keys bytea[], expected_revisions bigint[],
    written_keys bytea[], written_values bytea[], lease_epoch bigint,
    OUT outcome text, OUT now_at bigint
) LANGUAGE plpgsql
  -- What a name means is nobody else's choice. Every lookup here is by a whole key or the beginning of one; a session keeps
  -- its plans, and one that was made while the tables were small must not read them whole once they are large.
  SET search_path = pg_catalog SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    scope_id bigint;
    oldest   bigint;
BEGIN
    -- Only then does each statement see what was committed before it, the lease and the scope above all.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a commit needs the isolation level read committed';
    END IF;
    -- What is answered is on the disk, and on that of a synchronous standby where there is one.
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- Whoever waits longer has given up by then.
    PERFORM set_config('lock_timeout', '1500', true);
    -- Who takes the lease over waits for the commits under way; who comes after it sees the new epoch.
    PERFORM pg_advisory_xact_lock_shared(7308332046121136492);
    IF NOT EXISTS (SELECT FROM sequel.lease WHERE id = 1 AND epoch = lease_epoch) THEN
        outcome := 'lost';
        now_at := 0;
        RETURN;
    END IF;
    SELECT id, revision INTO scope_id, now_at FROM sequel.scopes WHERE name = the_scope FOR UPDATE;
    IF NOT FOUND THEN
        -- A scope that nobody has written to is as good as one at revision zero; a failed batch leaves none.
        IF at_revision <> 0 OR EXISTS (SELECT FROM unnest(expected_revisions) AS revision WHERE revision IS NOT NULL) THEN
            outcome := 'conflict';
            now_at := 0;
            RETURN;
        END IF;
        INSERT INTO sequel.scopes (name, revision) VALUES (the_scope, 0) ON CONFLICT (name) DO NOTHING;
        SELECT id, revision INTO scope_id, now_at FROM sequel.scopes WHERE name = the_scope FOR UPDATE;
    END IF;
    IF is_state THEN
        SELECT revision, 'repeated' INTO oldest, outcome FROM sequel.commits WHERE scope = scope_id AND id = commit_id;
        IF FOUND THEN
            now_at := oldest;
            RETURN;
        END IF;
        IF at_revision <> now_at OR EXISTS (
            SELECT FROM unnest(expected_keys, expected_revisions) AS expected (key, revision)
            WHERE expected.revision IS DISTINCT FROM (
                SELECT found.revision FROM sequel.records AS found
                WHERE found.scope = scope_id AND found.key = expected.key AND found.value IS NOT NULL
            )
        ) THEN
            outcome := 'conflict';
            RETURN;
        END IF;
        now_at := now_at + 1;
        UPDATE sequel.scopes SET revision = now_at WHERE id = scope_id;
        INSERT INTO sequel.commits (scope, slot, revision, id) VALUES (scope_id, (now_at % 64)::smallint, now_at, commit_id)
        ON CONFLICT (scope, slot) DO UPDATE SET revision = excluded.revision, id = excluded.id;
    ELSE
        -- The log lane is in no delta, so its deletions need no tombstone.
        DELETE FROM sequel.records WHERE scope = scope_id AND key = ANY (ARRAY(
            SELECT written.key FROM unnest(written_keys, written_values) AS written (key, value) WHERE written.value IS NULL
        ));
    END IF;
    INSERT INTO sequel.records (scope, key, value, revision, lane)
    SELECT scope_id, written.key, written.value, now_at, CASE WHEN is_state THEN 0 ELSE 1 END
    FROM unnest(written_keys, written_values) AS written (key, value)
    WHERE is_state OR written.value IS NOT NULL
    ON CONFLICT (scope, key) DO UPDATE
    SET value = excluded.value, revision = excluded.revision, lane = excluded.lane;
    -- Tombstones are counted at every 64th commit of a scope; beyond the newest 1,024 they are forgotten.
    IF is_state AND now_at % 64 = 0 THEN
        SELECT revision INTO oldest FROM sequel.records
        WHERE scope = scope_id AND value IS NULL ORDER BY revision DESC LIMIT 1 OFFSET 1024;
        IF FOUND THEN
            DELETE FROM sequel.records WHERE scope = scope_id AND value IS NULL AND revision <= oldest;
            UPDATE sequel.scopes SET forgotten = oldest WHERE id = scope_id;
        END IF;
    END IF;
    outcome := 'done';
END
$$;

-- A record as JSON; an empty object where it is none.
CREATE FUNCTION sequel.decoded(value bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
BEGIN
    RETURN convert_from(value, 'UTF8')::jsonb;
EXCEPTION WHEN others THEN
    RETURN '{}'::jsonb;
END
$$;
