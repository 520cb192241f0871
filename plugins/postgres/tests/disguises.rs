//! Whatever a statement is dressed up as: no function that may change something is called, and nothing of other people's
//! sessions is shown. The database is the judge of what it found in a text, not a second reader of it.

mod common;

use std::sync::Arc;

use common::{Database, LIMITS, all, query, told, try_run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sequel_connector::{DataSource, QueryError};

/// Says that it was called, with whatever it is called; and a few more that look harmless to a look at their own
/// declaration alone.
const SETUP: &[&str] = &[
    "CREATE TABLE t (id int, name text, tags text[])",
    "INSERT INTO t VALUES (1, 'a', '{x,y}'), (2, 'b', NULL)",
    "CREATE TABLE parent (a int)",
    "CREATE TYPE pair AS (canary int, name text)",
    "CREATE FUNCTION canary() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'the canary was called'; END $$",
    "CREATE FUNCTION canary(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'the canary was called'; END $$",
    "CREATE FUNCTION canary(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'the canary was called'; END $$",
    "CREATE FUNCTION canary_step(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'the canary was called'; END $$",
    "CREATE AGGREGATE canary_sum(int) (SFUNC = canary_step, STYPE = int, INITCOND = '0')",
    "CREATE AGGREGATE plain_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
    "CREATE FUNCTION canary_63_bytes_is_as_long_as_a_name_can_be_in_postgres__(int) RETURNS int LANGUAGE plpgsql AS \
     $$ BEGIN RAISE 'the canary was called'; END $$",
];

async fn stage() -> (Database, Arc<dyn DataSource>) {
    let database = Database::make(SETUP);
    let source = database.open().await;
    (database, source)
}

/// What must never come out, whatever is asked.
fn is_kept<T: std::fmt::Debug>(sql: &str, ran: Result<T, QueryError>) -> Result<(), String> {
    let shown = format!("{ran:?}");
    // Only the server's own views say so.
    let leaks = shown.contains("the canary was called") || shown.contains("backend_start");
    if leaks { Err(format!("{sql}: {shown}")) } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_in_the_clothes_of_columns_are_judged_as_functions() {
    let (database, source) = stage().await;
    for sql in [
        "SELECT (1).canary",
        "SELECT ('x'::text).canary",
        "SELECT (t.id).canary FROM t",
        "SELECT (t.tags)[1].canary FROM t",
        "SELECT t.tags[1].canary FROM t",
        "SELECT (SELECT 1).\"canary\"",
        "SELECT x.canary FROM abs(1) AS x",
        "SELECT x.canary FROM abs(1) x, t",
        "SELECT unnest.canary FROM unnest(ARRAY[1])",
        "SELECT (SELECT x.canary) FROM LATERAL abs(1) AS x",
        "SELECT canary_sum(id) FROM t",
        "SELECT canary_sum(id) OVER (ORDER BY id) FROM t",
        "SELECT canary_63_bytes_is_as_long_as_a_name_can_be_in_postgres__and_more(1)",
        "SELECT (1).canary_63_bytes_is_as_long_as_a_name_can_be_in_postgres__and_more",
        "SELECT ('port'::text).current_setting",
        "SELECT (0.1::float8).pg_sleep",
        "SELECT x.pg_sleep FROM abs(0.1::float8) AS x",
        "SELECT (pg_my_temp_schema()).pg_terminate_backend",
    ] {
        let ran = try_run(&*source, sql).await;
        assert!(matches!(&ran, Err(QueryError::Refused(_))), "{sql}: {ran:?}");
        is_kept(sql, ran).unwrap();
    }
    // Fields are fields, whatever they are called, and columns columns.
    database.run("CREATE TABLE pairs (p pair); INSERT INTO pairs VALUES (ROW(7, 'x'))");
    database.run(&format!("GRANT SELECT ON pairs TO {}", database.role));
    assert_eq!(told(&*source, "SELECT (p).name, (p).name FROM pairs").await, [["x", "x"]]);
    assert_eq!(told(&*source, "SELECT x.tags[1], x.id FROM t x WHERE x.id = 1").await, [["x", "Int(1)"]]);
    assert_eq!(told(&*source, "SELECT plain_sum(id), ('b'::text).upper FROM t").await, [["Int(3)", "B"]]);
    assert_eq!(told(&*source, "SELECT g.n FROM generate_series(4, 4) AS g(n)").await, [["Int(4)"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_sessions_are_shown_in_no_disguise() {
    let (_database, source) = stage().await;
    for sql in [
        "SELECT * FROM ONLY pg_stat_activity",
        "SELECT * FROM ONLY (pg_stat_activity) AS a",
        "SELECT * FROM ONLY \"pg_stat_activity\"",
        "WITH x AS (TABLE pg_stat_activity) SELECT * FROM x",
        "SELECT NULL::int, x.* FROM (SELECT 1) y LEFT JOIN LATERAL (VALUES (1)) x ON true UNION TABLE pg_stat_activity",
        "SELECT a.query OR FROM pg_stat_activity a",
        "SELECT query COLLATE FROM pg_stat_activity",
        "SELECT DISTINCT FROM pg_stat_activity",
        "SELECT pg_stat_get_activity(NULL)",
        "SELECT (NULL::int).pg_stat_get_activity",
        "SELECT * FROM pg_catalog.pg_stat_activity",
        "SELECT rolconfig FROM pg_roles",
        "SELECT useconfig FROM pg_user",
        "SELECT * FROM pg_foreign_table",
    ] {
        let ran = try_run(&*source, sql).await;
        assert!(matches!(&ran, Err(QueryError::Refused(_) | QueryError::Sql(_))), "{sql}: {ran:?}");
    }
}

/// Pieces of which PostgreSQL makes calls and reads where another reader sees something else.
#[rustfmt::skip] // One a line would bury the rest of the file.
const PIECES: &[&str] = &[
    "canary()", "canary(1)", "\"canary\"(1)", "(1).canary", "x.canary", "('a'::text).canary", "canary", "public.canary(1)",
    "pg_stat_activity", "ONLY", "TABLE", "(TABLE pg_stat_activity)", "ONLY (pg_stat_activity)", "SELECT", "FROM", "FROM t",
    "FROM abs(1) AS x", "WHERE", "WITH x AS (", ")", "(", "UNION ALL", "INTO", "INTO x", "AS", "OR", "AND", "NOT", "COLLATE",
    "IN", "IS", "NULL", "LIKE", "BETWEEN", "1", "'a'", "\"x\"", "x", "t", "id", ",", ".", "*", "::", "[1]", "ARRAY[1]", "=",
    "+", "||", "CASE WHEN", "THEN", "ELSE", "END", "LATERAL", "JOIN", "LEFT JOIN", "ON true", "USING", "NATURAL", "VALUES (1)",
    "ORDER BY", "GROUP BY", "LIMIT 1", "OFFSET", "FETCH FIRST ROW ONLY", "FOR UPDATE", "DISTINCT", "ALL", "EXPLAIN",
    "ANALYZE", "(ANALYZE)", ";", "--", "\n", "/*", "*/", "E'", "\\", "'", "$$", "U&", "x'", "INTERVAL", "AT TIME ZONE",
    "OVER ()", "FILTER (WHERE", "WITHIN GROUP (ORDER BY", "VARIADIC", "ROWS FROM (", "TABLESAMPLE", "WINDOW w AS (",
];

/// Statements that may hold a piece more or less and still be read.
const BASES: &[&str] = &[
    "SELECT {} FROM t",
    "SELECT id {} FROM t {}",
    "SELECT {} FROM abs(1) AS x WHERE {}",
    "SELECT * FROM {} t",
    "WITH c AS (SELECT {} {}) SELECT * FROM c {}",
    "SELECT ({}) {} FROM (SELECT 1 AS x) x {}",
    "VALUES ({}) {}",
    "{} {} {} {}",
];

#[test]
fn no_mixture_of_pieces_calls_what_may_change_something() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_database, source) = runtime.block_on(stage());
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 8);
    let statement = (proptest::sample::select(BASES), pieces).prop_map(|(base, pieces)| {
        pieces.into_iter().fold(base.to_owned(), |sql, piece| sql.replacen("{}", piece, 1))
    });
    let config = Config { cases: 6_000, failure_persistence: None, ..Config::default() };
    let kept = TestRunner::new(config).run(&statement, |sql| {
        let ran = runtime.block_on(async {
            let rows = source.query(query(&*sql, LIMITS)).await?;
            let columns = rows.columns().to_vec();
            Ok((columns, all(rows).await?))
        });
        prop_assert_eq!(is_kept(&sql, ran), Ok(()));
        Ok(())
    });
    kept.unwrap_or_else(|error| panic!("{error}"));
}
