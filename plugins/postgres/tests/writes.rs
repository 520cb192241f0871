//! Nothing that writes, and nothing that leaves the database, passes: whatever is tried, the whole database is the same
//! before and after.

mod common;

use std::sync::Arc;

use common::{Database, LIMITS, all, query, told, try_run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sequel_connector::{DataSource, QueryError};

/// A database with what an attacker would like: sequences, functions that write, rules, large objects, notify.
const SETUP: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric(10,2), at timestamptz DEFAULT now())",
    "INSERT INTO t SELECT n, 'name ' || n, n * 1.5, '2026-01-01' FROM generate_series(1, 50) n",
    "CREATE TABLE \"odd \"\"name\"\".x\" (\"select\" int, \"größe\" text)",
    "INSERT INTO \"odd \"\"name\"\".x\" VALUES (1, 'a')",
    "CREATE SEQUENCE s",
    "CREATE FUNCTION bump() RETURNS int LANGUAGE sql AS 'UPDATE t SET amount = amount + 1; SELECT 1'",
    "CREATE FUNCTION lying() RETURNS int LANGUAGE plpgsql STABLE AS \
     'BEGIN UPDATE t SET amount = amount + 1; RETURN 1; END'",
    "CREATE FUNCTION definer() RETURNS int LANGUAGE plpgsql STABLE SECURITY DEFINER AS \
     'BEGIN RETURN (SELECT count(*) FROM t); END'",
    "CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
    "CREATE VIEW sneaky AS SELECT nextval('s') AS n",
    "CREATE VIEW failing AS SELECT 1 / (id - id) AS n FROM t",
    "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t",
    "SELECT lo_from_bytea(0, 'large')",
    // A careless administrator: the role may do everything that a role without attributes may.
    "GRANT ALL ON SCHEMA public TO PUBLIC",
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC",
];

/// What the whole database is: every row of every table, every sequence, every object, every setting of it and of its role.
fn digest(database: &Database) -> String {
    database.run(&format!(
        "SELECT md5(string_agg(part, '|' ORDER BY part)) FROM ( \
           SELECT 'table ' || c.oid || query_to_xml(format('SELECT * FROM %s ORDER BY 1', c.oid::regclass), true, true, '')::text AS part \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm') \
           UNION ALL SELECT 'sequence ' || last_value || is_called FROM s \
           UNION ALL SELECT 'class ' || c.oid || c.relname || c.relfilenode || coalesce(c.relacl::text, '') FROM pg_class c \
           UNION ALL SELECT 'proc ' || p.oid || p.prosrc FROM pg_proc p \
           UNION ALL SELECT 'type ' || oid FROM pg_type UNION ALL SELECT 'schema ' || oid || nspname FROM pg_namespace \
             WHERE nspname !~ '^pg_(toast_)?temp' \
           UNION ALL SELECT 'large ' || l.loid || l.data::text FROM pg_largeobject l \
           UNION ALL SELECT 'comment ' || description FROM pg_description WHERE objoid > 16384 \
           UNION ALL SELECT 'setting ' || setdatabase || setrole || setconfig::text FROM pg_db_role_setting \
             WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               OR setrole = (SELECT oid FROM pg_roles WHERE rolname = '{}') \
           UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots \
           UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts) x",
        database.role
    ))
}

/// Statements that would change something or reach out, were there no layers at all.
const ESCAPES: &[&str] = &[
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "BEGIN; DELETE FROM t; COMMIT",
    "COMMIT; DELETE FROM t",
    "SELECT 1; DELETE FROM t",
    "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
    "WITH d AS (INSERT INTO t VALUES (99) RETURNING *) SELECT * FROM d",
    "WITH d AS (UPDATE t SET name = 'x' RETURNING *) SELECT * FROM d",
    "SELECT * FROM (WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d) x",
    "SELECT * INTO stolen FROM t",
    "CREATE TABLE stolen AS SELECT * FROM t",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR NO KEY UPDATE SKIP LOCKED",
    "TABLE t FOR SHARE",
    "EXPLAIN ANALYZE DELETE FROM t",
    "EXPLAIN (ANALYZE, VERBOSE) INSERT INTO t VALUES (99)",
    "EXPLAIN ANALYZE WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
    "EXPLAIN ANALYZE CREATE TABLE stolen AS SELECT 1",
    "EXPLAIN ANALYZE EXECUTE p",
    "DO $$ BEGIN DELETE FROM t; END $$",
    "CALL p()",
    "COPY t TO '/tmp/stolen'",
    "COPY t TO PROGRAM 'cat > /tmp/stolen'",
    "COPY (SELECT * FROM t) TO STDOUT",
    "COPY t FROM PROGRAM 'id'",
    "LISTEN x",
    "NOTIFY x, 'y'",
    "UNLISTEN *",
    "CHECKPOINT",
    "VACUUM FULL t",
    "ANALYZE t",
    "REFRESH MATERIALIZED VIEW m",
    "LOCK TABLE t IN ACCESS EXCLUSIVE MODE",
    "SECURITY LABEL ON TABLE t IS 'x'",
    "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
    "CREATE SERVER x FOREIGN DATA WRAPPER y",
    "CREATE EXTENSION dblink",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "ALTER ROLE CURRENT_USER SET work_mem = '1GB'",
    "PREPARE p AS DELETE FROM t",
    "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t",
    "SELECT nextval('s')",
    "SELECT \"nextval\"('s')",
    "SELECT pg_catalog.nextval('s')",
    "SELECT PG_CATALOG.\"nextval\"('s')",
    "SELECT setval('s', 1000)",
    "SELECT currval('s')",
    "SELECT lastval()",
    "SELECT bump()",
    "SELECT public.bump()",
    "SELECT * FROM bump()",
    "SELECT * FROM ROWS FROM (bump(), bump()) AS x(a, b)",
    "SELECT (SELECT bump())",
    "SELECT count(*) FILTER (WHERE bump() = 1) FROM t",
    "SELECT sum(id) OVER (ORDER BY bump()) FROM t",
    "SELECT id FROM t ORDER BY bump()",
    "SELECT id FROM t LIMIT (SELECT bump())",
    "SELECT id FROM t GROUP BY id, bump()",
    "SELECT DISTINCT ON (bump()) id FROM t",
    "SELECT 1 FROM t JOIN t u ON bump() = 1",
    "SELECT 1 FROM t, LATERAL bump() b",
    "VALUES (bump())",
    "SELECT CASE WHEN true THEN bump() END",
    "SELECT COALESCE(NULL, bump())",
    "SELECT ARRAY[bump()]",
    "SELECT ARRAY(SELECT bump())",
    "SELECT ROW(bump())",
    "SELECT bump()::text COLLATE \"C\"",
    "SELECT (bump(), 1) = (1, 1)",
    "SELECT bump() BETWEEN 0 AND 2",
    "SELECT 1 WHERE EXISTS (SELECT bump())",
    "SELECT EXTRACT(epoch FROM now() + bump() * interval '1 s')",
    "SELECT substring('abc' FROM bump())",
    "SELECT overlay('abc' PLACING 'x' FROM bump())",
    "SELECT position('a' IN bump()::text)",
    "SELECT trim(BOTH bump()::text FROM 'x')",
    "SELECT CAST(bump() AS text)",
    "SELECT now() AT TIME ZONE (bump() * interval '1 h')",
    "SELECT * FROM t TABLESAMPLE SYSTEM (bump())",
    "SELECT * FROM generate_series(1, bump())",
    "SELECT * FROM unnest(ARRAY[bump()])",
    "SELECT * FROM json_to_recordset('[]') AS x(a int) WHERE bump() = 1",
    "SELECT string_agg(name, ',' ORDER BY bump()) FROM t",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY bump()) FROM t",
    "SELECT definer()",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT set_config('search_path', 'x', false)",
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT current_setting('data_directory')",
    "SELECT pg_sleep(1)",
    "SELECT pg_sleep_for('1 s')",
    "SELECT pg_sleep_until(now())",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_advisory_xact_lock_shared(1)",
    "SELECT pg_notify('x', 'y')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_stat_reset()",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT pg_logical_emit_message(true, 'x', 'y')",
    "SELECT pg_replication_origin_create('x')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT * FROM pg_ls_logdir()",
    "SELECT * FROM pg_stat_file('/etc/passwd')",
    "SELECT pg_current_logfile()",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "SELECT * FROM pg_stat_activity",
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_settings",
    "UPDATE pg_settings SET setting = '1GB' WHERE name = 'work_mem'",
    "SELECT lo_create(1)",
    "SELECT lo_creat(-1)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/stolen')",
    "SELECT lo_unlink(1)",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lo_get(1)",
    "SELECT lo_open(1, 131072)",
    "SELECT lowrite(0, 'x')",
    "SELECT loread(0, 1)",
    "SELECT * FROM pg_largeobject",
    "SELECT dblink_exec('dbname=postgres', 'DROP TABLE t')",
    "SELECT * FROM dblink('x', 'y') AS z(a int)",
    "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    "SELECT query_to_xmlschema('SELECT bump()', true, true, '')",
    "SELECT cursor_to_xml('c', 1, true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT table_to_xml('t', true, true, '')",
    "SELECT ts_stat('SELECT bump()')",
    "SELECT * FROM ts_rewrite('a'::tsquery, 'SELECT bump()::text::tsquery, ''b''::tsquery')",
    "SELECT txid_current()",
    "SELECT pg_current_xact_id()",
    "SELECT setseed(0.5)",
    "SELECT pg_backup_start('x')",
    "SELECT pg_promote()",
    "SELECT brin_summarize_new_values('t_pkey')",
    "SELECT gin_clean_pending_list('t_pkey')",
    "SELECT pg_nextoid('pg_class', 'oid', 'pg_class_oid_index')",
    "SELECT pg_extension_config_dump('t', '')",
    "SELECT pg_import_system_collations('public')",
    "SELECT inet_server_addr()",
    // Two readers of one text.
    "SELECT 1 @/* 'x*/, nextval('||') --'",
    "SELECT E'\\'', nextval('s') --'",
    "SELECT '\\', nextval('s'), '",
    "SELECT $a$ $b$ $a$, nextval('s')",
    "SELECT U&\"\\006eextval\"('s')",
    "SELECT U&\"n!0065xtval\" UESCAPE '!' ('s')",
    "SELECT 'a'\n'b', nextval('s')",
    "SELECT\u{a0}nextval\u{a0}('s')",
    "SELECT nextval/**/('s')",
    "SELECT nextval--\n('s')",
];

/// What people ask and must not be kept from.
const HARMLESS: &[&str] = &[
    "SELECT 1",
    "VALUES (1, 'a'), (2, NULL)",
    "SELECT count(*), max(amount), avg(amount), string_agg(name, ', ' ORDER BY id) FROM t",
    "SELECT date_trunc('month', at), count(*) FILTER (WHERE amount > 10) FROM t GROUP BY 1 ORDER BY 1",
    "SELECT DISTINCT ON (name) id, name FROM t ORDER BY name, id DESC LIMIT 5 OFFSET 2",
    "SELECT id, rank() OVER (PARTITION BY id % 3 ORDER BY amount DESC), lag(amount) OVER w FROM t WINDOW w AS (ORDER BY id)",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10) SELECT sum(n) FROM c",
    "WITH x AS MATERIALIZED (SELECT * FROM t), y AS NOT MATERIALIZED (SELECT * FROM x) SELECT * FROM y LIMIT 1",
    "SELECT a.id, b.n FROM t a CROSS JOIN LATERAL (SELECT a.id * 2 AS n) b LEFT JOIN t c USING (id) LIMIT 3",
    "SELECT x FROM generate_series(1, 10) AS x WHERE x = ANY (ARRAY[1, 2, 3])",
    "SELECT g::date FROM generate_series('2026-01-01'::timestamp, '2026-02-01', '1 week') g",
    "SELECT jsonb_build_object('a', 1) -> 'a', '{\"a\": [1,2]}'::jsonb #>> '{a,0}', jsonb_path_query('[1,2]', '$[*]')",
    "SELECT * FROM jsonb_to_recordset('[{\"a\":1}]') AS x(a int)",
    "SELECT e.key, e.value FROM jsonb_each('{\"a\":1}') AS e",
    "SELECT now() - interval '1 day', extract(year FROM at), to_char(at, 'YYYY-MM'), age(at) FROM t LIMIT 1",
    "SELECT (SELECT max(id) FROM t), EXISTS (SELECT 1 FROM t), 5 BETWEEN 1 AND 9, NULL IS DISTINCT FROM 1",
    "SELECT name ILIKE '%1%', name ~* '^N', name SIMILAR TO 'n%', regexp_replace(name, '\\d', '#', 'g') FROM t LIMIT 1",
    "SELECT \"select\", \"größe\" FROM \"odd \"\"name\"\".x\"",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY name) FROM t",
    "SELECT id, sum(amount) FROM t GROUP BY GROUPING SETS ((id), ()) ORDER BY 1 NULLS LAST LIMIT 3",
    "SELECT id FROM t UNION SELECT 1 INTERSECT SELECT 2 EXCEPT SELECT 3",
    "SELECT * FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (1)",
    "SELECT unnest(ARRAY[1,2]), ARRAY(SELECT id FROM t LIMIT 2), (ARRAY[1,2,3])[2:3]",
    "SELECT int4range(1, 5) @> 3, '[2026-01-01,2026-02-01)'::daterange && '[2026-01-15,)'::daterange",
    "SELECT to_tsvector('english', name) @@ plainto_tsquery('name') FROM t LIMIT 1",
    "SELECT md5(name), encode(sha256(name::bytea), 'hex'), length(name), substring(name FROM 1 FOR 2) FROM t LIMIT 1",
    "SELECT $$dollar 'quoted'$$ -- comment\n, /* another */ 'x'",
    "SELECT pure(21), public.pure(1)",
    "SELECT random() < 2, gen_random_uuid() IS NOT NULL, current_user, current_date, version() <> ''",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    "SELECT relname, reltuples, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class WHERE relname = 't'",
    "SELECT CASE id WHEN 1 THEN 'one' ELSE 'many' END, COALESCE(name, '-'), NULLIF(id, 1), GREATEST(1, 2) FROM t LIMIT 1",
    "EXPLAIN SELECT * FROM t",
    "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT count(*) FROM t",
];

async fn stage() -> (Database, Arc<dyn DataSource>) {
    let database = Database::make(SETUP);
    let source = database.open().await;
    (database, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn escapes_are_refused_and_change_nothing() {
    let (database, source) = stage().await;
    let before = digest(&database);
    for sql in ESCAPES {
        match try_run(&*source, sql).await {
            Err(QueryError::Refused(_) | QueryError::Sql(_)) => {}
            other => panic!("{sql}: {other:?}"),
        }
    }
    // Past the parse tree: what views and functions do on their own is held by the transaction.
    for sql in ["SELECT * FROM sneaky", "SELECT lying()", "SELECT t.lying FROM t"] {
        match try_run(&*source, sql).await {
            Err(QueryError::Refused(_) | QueryError::Sql(_)) => {}
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert_eq!(digest(&database), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_harmless_passes() {
    let (database, source) = stage().await;
    let before = digest(&database);
    for sql in HARMLESS {
        try_run(&*source, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        if !sql.starts_with("EXPLAIN") {
            source.explain(query(*sql, LIMITS)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }
    assert_eq!(digest(&database), before);
}

/// A part that writes or reaches out, wherever an expression may stand.
fn poison() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("bump()"),
        Just("public.bump()"),
        Just("\"bump\"()"),
        Just("nextval('s')"),
        Just("setval('s', 7)::int"),
        Just("pg_catalog.nextval('s')"),
        Just("lo_creat(-1)"),
        Just("(SELECT bump())"),
        Just("pg_advisory_lock(1)::text"),
        Just("set_config('work_mem', '1MB', false)"),
        Just("(WITH d AS (DELETE FROM t RETURNING id) SELECT 1 FROM d)"),
        Just("lying()"),
        Just("(SELECT n FROM sneaky)"),
        Just("txid_current()"),
        Just("pg_notify('a', 'b')::text"),
    ]
    .prop_map(str::to_owned)
}

fn expression(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("concat({a}, {b})")),
            inner.clone().prop_map(|a| format!("COALESCE(NULL, ({a})::text)")),
            inner.clone().prop_map(|a| format!("(SELECT ({a})::text)")),
            inner.clone().prop_map(|a| format!("CASE WHEN true THEN ({a})::text END")),
            inner.clone().prop_map(|a| format!("/* c */ ({a})::text -- d\n")),
            inner.prop_map(|a| format!("(ARRAY[({a})::text])[1]")),
        ]
    })
}

fn plain() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("1"),
        Just("'x; DELETE FROM t'"),
        Just("now()"),
        Just("name"),
        Just("$$bump()$$"),
        Just("upper(name)"),
        Just("amount"),
        Just("pure(id)"),
        Just("NULL"),
        Just("E'a\\n'"),
        Just("jsonb_build_array(id)"),
    ]
    .prop_map(str::to_owned)
}

/// Where an expression may stand.
const PLACES: &[&str] = &[
    "SELECT {} FROM t LIMIT 3",
    "SELECT id FROM t WHERE ({})::text <> '' LIMIT 3",
    "SELECT id FROM t ORDER BY ({})::text LIMIT 3",
    "SELECT count(*) FROM t GROUP BY id, ({})::text",
    "SELECT count(*) FILTER (WHERE ({})::text <> '') FROM t",
    "WITH c AS (SELECT ({})::text AS v, id FROM t) SELECT * FROM c LIMIT 2",
    "SELECT * FROM t, LATERAL (SELECT ({})::text) x LIMIT 2",
    "SELECT t.id FROM (SELECT 1 AS k) a LEFT JOIN t ON ({})::text <> '' LIMIT 2",
    "SELECT id FROM t UNION ALL SELECT length(({})::text) FROM t",
    "EXPLAIN ANALYZE SELECT {} FROM t",
];

#[test]
fn a_thousand_statements_that_write_never_pass_and_those_that_read_do() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (database, source) = runtime.block_on(stage());
    let before = digest(&database);
    let config = |cases| Config { cases, failure_persistence: None, ..Config::default() };
    let place = || proptest::sample::select(PLACES);
    // What writes: refused, or an error of the server.
    let writing = (place(), expression(poison()), any::<bool>());
    let wrote = TestRunner::new(config(600)).run(&writing, |(place, part, upper)| {
        let sql = place.replace("{}", &part);
        let sql = if upper { sql.replace("SELECT", "select").replace("nextval", "NextVal") } else { sql };
        let ran = runtime.block_on(async { all(source.query(query(&*sql, LIMITS)).await?).await });
        prop_assert!(matches!(ran, Err(QueryError::Refused(_) | QueryError::Sql(_))), "{}: {:?}", sql, ran);
        Ok(())
    });
    wrote.unwrap_or_else(|error| panic!("{error}"));
    let reading = (place(), expression(plain()));
    let read = TestRunner::new(config(400)).run(&reading, |(place, part)| {
        let sql = place.replace("{}", &part);
        let ran = runtime.block_on(async { all(source.query(query(&*sql, LIMITS)).await?).await });
        prop_assert!(ran.is_ok(), "{}: {:?}", sql, ran);
        Ok(())
    });
    read.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(digest(&database), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transaction_is_the_floor_below_every_other_layer() {
    let (database, source) = stage().await;
    // A view and a function that the parse tree cannot look into.
    let error = try_run(&*source, "SELECT n FROM sneaky").await.unwrap_err();
    assert!(matches!(&error, QueryError::Refused(message) if message.contains("read-only")), "{error:?}");
    assert_eq!(database.run("SELECT is_called FROM s"), "f");
    let error = try_run(&*source, "SELECT n FROM failing").await.unwrap_err();
    assert!(matches!(&error, QueryError::Sql(message) if message.contains("division by zero")), "{error:?}");
    assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(50)"]]);
}
