//! What the guard lets through and what it refuses, as tables.

use proptest::prelude::*;

use super::{Dialect, SQL_BYTES_MAX, check, plain_postgres};
use crate::{QueryError, words};

fn refusal(sql: &str, dialect: Dialect) -> String {
    match check(sql, dialect) {
        Err(QueryError::Refused(message)) => message.to_string(),
        other => panic!("{sql:?} ({dialect:?}) should be refused, got {other:?}"),
    }
}

fn stopped(sql: &str, dialect: Dialect) -> String {
    match check(sql, dialect) {
        Err(error @ (QueryError::Refused(_) | QueryError::Sql(_))) => error.to_string(),
        other => panic!("{sql:?} ({dialect:?}) should not pass, got {other:?}"),
    }
}

#[test]
fn what_reads_passes() {
    for sql in [
        "SELECT 1",
        "select 1;",
        " ; SELECT 1 ; ; ",
        "SELECT 1 -- one; DROP TABLE t",
        "/* a; b */ SELECT 1 /* c */ ;",
        "SELECT 'a; DELETE FROM t' AS \"x;y\"",
        "VALUES (1, 'a'), (2, NULL)",
        "SELECT * FROM a JOIN b USING (id) LEFT JOIN c ON c.a = a.id WHERE a.x IN (SELECT x FROM d) ORDER BY 1 LIMIT 5, 10",
        "WITH x AS (SELECT 1 AS a), y(b) AS (SELECT a FROM x) SELECT * FROM y UNION ALL SELECT 2 EXCEPT SELECT 3",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10) SELECT sum(n) FROM c",
        "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b DESC) FROM t",
        "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY b ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
        "SELECT count(*) FILTER (WHERE a > 1), group_concat(DISTINCT b) FROM t GROUP BY c HAVING count(*) > 2",
        "SELECT value FROM json_each('[1,2,3]')",
        "SELECT t.id, j.value FROM t, json_each(t.tags) AS j",
        "SELECT data -> 'a' ->> 'b' FROM t",
        "SELECT CAST(a AS INTEGER), a || b, a == b, a <> b, x'00ff', 1e3, a IS NOT DISTINCT FROM b FROM t",
        "SELECT CASE WHEN a THEN 'x' ELSE 'y' END FROM t WHERE b LIKE 'a%' ESCAPE '\\' AND c GLOB 'x*'",
        "SELECT a FROM t WHERE a NOTNULL OR b IS NULL",
        "SELECT a COLLATE NOCASE FROM t ORDER BY a COLLATE NOCASE DESC NULLS LAST",
        "SELECT EXISTS (SELECT 1), (SELECT max(a) FROM t), a BETWEEN 1 AND 2 FROM [t one], `t two`, \"t three\"",
        "SELECT strftime('%Y', day), date('now', '-1 day'), substr(a, 1, 2), round(b, 1), printf('%d', 3) FROM t",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT name FROM sqlite_schema WHERE type = 'table'",
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "EXPLAIN QUERY PLAN WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT replace(a, 'delete', 'insert') FROM update_log",
        "SELECT * FROM (VALUES (1), (2)) AS v",
        "SELECT (a, b) = (1, 2) FROM t",
        "SELECT \u{fc}ber FROM \"stra\u{df}e\"",
    ] {
        check(sql, Dialect::Sqlite).unwrap_or_else(|error| panic!("{sql:?} should pass: {error}"));
    }
    for sql in [
        "SELECT a::int, now(), '{}'::jsonb ->> 'a' FROM s.t WHERE a = ANY(ARRAY[1,2])",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC",
        "SELECT * FROM generate_series(1, 10) AS g, LATERAL (SELECT g.g) x",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT $$a;b$$",
    ] {
        check(sql, Dialect::Postgres).unwrap_or_else(|error| panic!("{sql:?} should pass: {error}"));
    }
    for sql in ["SELECT `a` FROM `t` LIMIT 1, 2", "SELECT /* a */ 'x' \"y\"", "SELECT IF(a, 1, 2) FROM t"] {
        check(sql, Dialect::MySql).unwrap_or_else(|error| panic!("{sql:?} should pass: {error}"));
    }
}

#[test]
fn what_writes_is_refused() {
    for sql in [
        "DELETE FROM t",
        "INSERT INTO t VALUES (1)",
        "REPLACE INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DROP TABLE t",
        "CREATE TABLE t (a)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TEMP VIEW v AS SELECT 1",
        "ALTER TABLE t RENAME TO u",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "WITH d AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM d",
        "WITH d AS (UPDATE t SET a = 1 RETURNING a) SELECT * FROM d",
        "SELECT * FROM (WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d) x",
        "SELECT (WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d)",
        "EXPLAIN DELETE FROM t",
        "EXPLAIN QUERY PLAN UPDATE t SET a = 1",
        "ATTACH DATABASE '/etc/x.db' AS x",
        "ATTACH 'file:x?mode=rwc' AS x",
        "DETACH x",
        "VACUUM",
        "VACUUM INTO '/tmp/copy.db'",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema(1)",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "REINDEX",
        "ANALYZE",
        "SET x = 1",
        "SELECT load_extension('x')",
        "SELECT LOAD_EXTENSION('x', 'y')",
        "SELECT \"load_extension\"('x')",
        "SELECT main.load_extension('x')",
        "SELECT 1 WHERE 1 = (SELECT writefile('a', 'b'))",
        "SELECT * FROM t ORDER BY readfile('/etc/passwd')",
        "SELECT count(*) FILTER (WHERE edit('x') = '') FROM t",
        "SELECT fts3_tokenizer('simple')",
        "SELECT zeroblob(2000000000)",
        "SELECT hex(randomblob(1000000000))",
        "SELECT * FROM fsdir('/')",
        "VALUES (readfile('/etc/passwd'))",
        "SELECT sum(a) OVER (ORDER BY readfile('x')) FROM t",
        "SELECT 1 LIMIT (SELECT length(readfile('x')))",
        "SELECT * FROM a JOIN b ON readfile('x') = 1",
        "SELECT CASE WHEN 1 THEN readfile('x') END",
    ] {
        let message = stopped(sql, Dialect::Sqlite);
        assert!(message.len() > 20 && message.ends_with('.'), "{sql}: {message}");
    }
}

#[test]
fn what_other_engines_would_write_with_is_refused() {
    for sql in [
        "SELECT * INTO u FROM t",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM (SELECT * FROM t FOR SHARE) x",
        "SELECT nextval('s')",
        "SELECT set_config('search_path', 'x', false)",
        "SELECT pg_catalog.set_config('search_path', 'x', false)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM dblink('x', 'y') AS t(a int)",
        "SELECT dblink_exec('x', 'y')",
        "SELECT pg_sleep(10)",
        "SELECT * FROM crosstab('SELECT 1') AS t(a int)",
        "SELECT * FROM connectby('t', 'a', 'b', 'c', 0) AS t(a int)",
        "SELECT pg_advisory_lock(1)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT query_to_xml('delete from t', true, true, '')",
        "COPY t TO PROGRAM 'x'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SET TRANSACTION READ WRITE",
        "DO $$ BEGIN END $$",
        "CALL p()",
        "LISTEN x",
        "EXECUTE p",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "TRUNCATE t",
        "GRANT ALL ON t TO u",
        "LOCK TABLE t",
    ] {
        stopped(sql, Dialect::Postgres);
    }
    for sql in [
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT 1 /*!50000 INTO OUTFILE '/tmp/x' */",
        "SELECT 1 /*! INTO @a */",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT SLEEP(10)",
        "SELECT GET_LOCK('a', 10)",
        "SELECT BENCHMARK(1000000000, SHA1('a'))",
        "SELECT @a := 1",
        "START TRANSACTION READ WRITE",
        "LOCK TABLES t WRITE",
        "SET STATEMENT max_statement_time=0 FOR SELECT 1",
        "SELECT * FROM t LOCK IN SHARE MODE",
        "HANDLER t OPEN",
    ] {
        stopped(sql, Dialect::MySql);
    }
}

/// What a statement's author is told, or which functions the database is asked about.
fn judged(sql: &str) -> Result<Vec<String>, String> {
    match plain_postgres(sql, true) {
        Ok(statement) => Ok(statement.unknown.into_iter().map(|called| called.name).collect()),
        Err(error @ (QueryError::Refused(_) | QueryError::Sql(_))) => Err(error.to_string()),
        Err(error) => panic!("{sql}: {error:?}"),
    }
}

#[test]
fn what_postgres_reads_otherwise_is_refused_or_told() {
    // A function in the clothes of a column.
    for sql in [
        "SELECT (10.0).pg_sleep",
        "SELECT ('s'::regclass).nextval",
        "SELECT (SELECT 'port'::text).current_setting",
        "SELECT (ARRAY['port'])[1].\"current_setting\"",
        "SELECT x.a[1].Current_Setting FROM (SELECT ARRAY['port'] AS a) x",
        "SELECT ((1).abs).pg_sleep",
        "SELECT 1 FROM t ORDER BY (t.a).lo_unlink",
        "SELECT x.current_setting FROM unnest(ARRAY['port']) AS x",
        "SELECT unnest.current_setting FROM unnest(ARRAY['port'])",
        "SELECT x.pg_sleep FROM abs(10.0) AS x",
        "SELECT ABS.pg_sleep FROM LATERAL abs(10.0)",
        "SELECT x.current_setting FROM nullif('port', 'a') x",
        "SELECT 1 FROM t JOIN LATERAL trim('port') AS x ON x.current_setting = '5432'",
        "SELECT (SELECT x.pg_sleep) FROM abs(10.0) WITH ORDINALITY x",
        "SELECT \"X\".pg_sleep FROM abs(10.0) AS \"X\"",
    ] {
        let told = judged(sql);
        assert!(told.as_ref().is_err_and(|told| told.starts_with("The function")), "{sql}: {told:?}");
    }
    for sql in [
        "SELECT (1).mine",
        "SELECT a[1].mine FROM t",
        "SELECT x.mine FROM abs(1) x",
        "SELECT \"mine\"(1), f.mine FROM f()",
    ] {
        assert!(judged(sql).unwrap().contains(&"mine".to_owned()), "{sql}");
    }
    // A relation where the parser has none, or another.
    for sql in [
        "SELECT * FROM ONLY pg_stat_activity",
        "SELECT * FROM only (pg_stat_activity) AS a",
        "SELECT 1 FROM t JOIN ONLY (pg_catalog.pg_stat_activity) x ON true",
        "WITH x AS (TABLE pg_stat_activity) SELECT * FROM x",
        "VALUES (1) UNION ALL TABLE pg_stat_activity",
        "SELECT 1 UNION SELECT 2 UNION (SELECT 3 UNION TABLE t)",
        "SELECT query OR FROM pg_stat_activity",
        "SELECT query AND FROM pg_stat_activity WHERE true",
        "SELECT query COLLATE FROM pg_stat_activity",
        "SELECT query LIKE FROM pg_stat_activity",
        "SELECT DISTINCT FROM pg_stat_activity",
        "SELECT INTO stolen FROM t",
        "SELECT INTO TEMP stolen FROM t",
        "SELECT 1 FROM \"pg_stat_activity\" OFFSET 0",
        // To PostgreSQL a function and not a table.
        "SELECT x.current_setting FROM current_user x",
        // The parser takes a character of what follows for the operator's.
        "SELECT 1 &>pg_sleep(1)",
        "SELECT TOP (pg_sleep(1)) a FROM t",
        "SELECT TOP (1) a FROM t",
    ] {
        assert!(judged(sql).is_err(), "{sql}: {:?}", judged(sql));
    }
    // A name that PostgreSQL cuts is another one.
    let long = "f".repeat(64);
    assert!(judged(&format!("SELECT {long}()")).unwrap_err().contains("63 bytes"));
    assert!(judged(&format!("SELECT \"{long}\".f()")).unwrap_err().contains("63 bytes"));
    assert_eq!(judged(&format!("SELECT {}()", &long[1..])).unwrap(), [&long[1..]]);
    // And what is what it seems.
    for sql in [
        "EXPLAIN (ANALYZE ON, VERBOSE OFF) SELECT 1",
        "SELECT current_schema, current_user, user, CURRENT_DATE",
        "SELECT t.a, t.\"user\", \"from\".\"only\" FROM t, \"from\" FETCH FIRST 2 ROWS ONLY",
        "SELECT (x).name, x.a FROM (SELECT 1 AS a) x",
        "SELECT g, g.g FROM generate_series(1, 2) AS g(g)",
        "SELECT x'00ff', B'01', X''",
    ] {
        assert!(judged(sql).is_ok(), "{sql}: {:?}", judged(sql));
    }
}

#[test]
fn several_statements_and_none_are_refused_with_the_place() {
    let message = refusal("SELECT 1;\n  DROP TABLE t", Dialect::Sqlite);
    assert!(message.contains("line 2, column 3"), "{message}");
    refusal("SELECT 1; SELECT 2", Dialect::Sqlite);
    refusal("SELECT 1 /* ; */ ; /* x */ SELECT 2 -- y", Dialect::Sqlite);
    for empty in ["", "  \n\t", ";", ";;", "-- only a comment", "/* only a comment */", "-- a\n;/* b */"] {
        assert!(refusal(empty, Dialect::Sqlite).contains("Send one SELECT"), "{empty:?}");
    }
}

#[test]
fn a_mistake_is_answered_with_its_place_and_what_to_do() {
    for (sql, place) in [
        ("SELECT * FORM t", "line 1"),
        ("SELECT a,\nFROM", "line 2"),
        ("SELECT 'open", "line 1"),
        ("SELECT (1", "("),
        ("SELEC 1", "line 1"),
    ] {
        match check(sql, Dialect::Sqlite) {
            Err(QueryError::Sql(message)) => {
                assert!(message.contains(place) && message.contains("send one SELECT"), "{sql}: {message}")
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn a_refused_verb_is_named_and_long_words_are_cut() {
    assert!(refusal("PRAGMA table_info(t)", Dialect::Sqlite).contains("pragma_table_info"));
    assert!(refusal("delete from t", Dialect::Sqlite).starts_with("DELETE is not allowed"));
    assert!(refusal("VACUUM INTO 'x'", Dialect::Sqlite).starts_with("VACUUM is not allowed"));
    assert!(stopped(&format!("SELECT 1 {}", "a".repeat(5000) + " b"), Dialect::Sqlite).len() < 600);
}

#[test]
fn too_long_is_refused_before_it_is_parsed() {
    let long = format!("SELECT '{}'", "a".repeat(SQL_BYTES_MAX));
    assert!(refusal(&long, Dialect::Sqlite).contains("bytes"));
    let fits = format!("SELECT '{}'", "a".repeat(SQL_BYTES_MAX - 9));
    check(&fits, Dialect::Sqlite).unwrap();
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let fill = |head: &str, link: &str, tail: &str| {
        let links = (SQL_BYTES_MAX - head.len() - tail.len()) / link.len();
        format!("{head}{}{tail}", link.repeat(links))
    };
    let half = |open: &str, inside: &str, close: &str| {
        let links = (SQL_BYTES_MAX - 20 - inside.len()) / (open.len() + close.len());
        format!("SELECT {}{inside}{}", open.repeat(links), close.repeat(links))
    };
    // On a small stack, like that of a worker thread.
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || {
        for sql in [
            fill("SELECT 1", "+1", ""),
            fill("SELECT a", "||a", ""),
            fill("SELECT 1", " OR 1", ""),
            fill("SELECT ", "- ", "1"),
            fill("SELECT ", "NOT ", "1"),
            fill("SELECT a", ".a", ""),
            fill("SELECT a", "[1]", ""),
            fill("SELECT a", "::int", ""),
            fill("SELECT a", " COLLATE b", ""),
            fill("SELECT a", " IS NULL", ""),
            fill("SELECT 1", " UNION SELECT 1", ""),
            fill("SELECT 1 FROM a", ",a", ""),
            fill("SELECT 1 FROM a", " JOIN a", ""),
            fill("SELECT a", "->a", ""),
            fill("SELECT a IN (1", ",1", ")"),
            fill("", "(", ""),
            fill("", "EXPLAIN ", "SELECT 1"),
            fill("", "WITH a AS (", ""),
            half("(", "1", ")"),
            half("(SELECT ", "1", ")"),
            half("abs(", "1", ")"),
            half("CASE WHEN ", "1", " THEN 1 END"),
            half("CAST(", "1", " AS INT)"),
        ] {
            for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
                // Which answer is another test's business; here it must come.
                let _ = check(&sql, dialect);
            }
        }
        let chain = fill("SELECT 1", "+1", "");
        assert!(matches!(check(&chain, Dialect::Sqlite), Err(QueryError::Refused(_))));
    });
    thread.unwrap().join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_text_never_panics(sql in "\\PC{0,200}") {
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            let _ = check(&sql, dialect);
        }
    }

    #[test]
    fn arbitrary_tokens_never_panic_and_never_write(words in proptest::collection::vec(prop_oneof![
        Just("SELECT"), Just("1"), Just("a"), Just("FROM"), Just("WITH"), Just("AS"), Just("("), Just(")"), Just(","),
        Just("DELETE"), Just("INSERT"), Just("INTO"), Just("VALUES"), Just("UPDATE"), Just("SET"), Just("="), Just("."),
        Just("UNION"), Just("EXPLAIN"), Just("'x'"), Just("\"y\""), Just("--"), Just("/*"), Just("*/"), Just("*"),
        Just("FOR"), Just("WHERE"), Just("RETURNING"), Just("\n"), Just("CASE"), Just("END"), Just("::"), Just("$1"),
    ], 0..24)) {
        let sql = words.join(" ");
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            if check(&sql, dialect).is_ok() {
                let first = sql.split_whitespace().find(|word| *word != "(").unwrap_or_default();
                prop_assert!(!["DELETE", "INSERT", "UPDATE", "SET"].contains(&first), "{sql}");
            }
        }
    }
}

/// `WITH a0 AS (SELECT 1 x), a1 AS (…a0…), …`, each made of the one before.
fn chain(steps: usize, step: impl Fn(usize) -> String) -> String {
    let mut sql = "WITH a0 AS (SELECT 1 x)".to_owned();
    for n in 1..=steps {
        sql += &format!(", {}", step(n));
    }
    sql + &format!(" SELECT count(*) FROM a{steps}")
}

#[test]
fn a_statement_that_doubles_at_each_step_is_refused() {
    let union = |n: usize| format!("a{n} AS (SELECT x FROM a{0} UNION ALL SELECT x FROM a{0})", n - 1);
    let mut bombs = vec![
        chain(24, union),
        chain(24, |n| format!("a{n} AS NOT MATERIALIZED (SELECT p.x FROM a{0} p, A{0} AS q)", n - 1)),
        chain(24, |n| {
            format!("a{n} AS (SELECT x FROM (SELECT x FROM (SELECT * FROM a{0}), \"a{0}\"))", n - 1)
        }),
        chain(24, |n| {
            format!(
                "a{n} AS (SELECT x, (SELECT max(x) FROM a{0}) FROM a{0} WHERE x IN (SELECT x FROM a{0}))",
                n - 1
            )
        }),
        // Each inner WITH hides the outer name and is made of it.
        chain(24, |n| format!("a{n} AS (WITH b AS (SELECT x FROM a{0}) SELECT b.x FROM b, b AS c)", n - 1)),
        format!("EXPLAIN QUERY PLAN {}", chain(24, union)),
        format!("SELECT * FROM ({})", chain(24, union)),
        format!("VALUES (({}))", chain(24, union)),
    ];
    // SQLite lets a name stand before what it names.
    let backwards: Vec<_> =
        (1..24).rev().map(|n| format!("a{n} AS (SELECT 1 FROM a{0}, a{0} b)", n - 1)).collect();
    bombs.push(format!("WITH {}, a0 AS (SELECT 1) SELECT * FROM a23", backwards.join(", ")));
    let nested = (0..12).fold("SELECT x FROM a".to_owned(), |sql, _| {
        format!("WITH a AS (SELECT p.x FROM a p, a q) SELECT x FROM ({sql})")
    });
    bombs.push(
        format!("WITH a AS (SELECT 1 x) {}", &nested.replacen("WITH a", "SELECT * FROM (WITH a", 1)) + ")",
    );
    for sql in bombs {
        let message = refusal(&sql, Dialect::Sqlite);
        assert!(message.contains("WITH"), "{sql}: {message}");
    }
}

#[test]
fn long_chains_and_recursion_that_do_not_double_pass() {
    for sql in [
        chain(200, |n| format!("a{n} AS (SELECT x + 1 AS x FROM a{})", n - 1)),
        chain(5, |n| format!("a{n} AS (SELECT p.x FROM a{0} p JOIN a{0} q ON p.x = q.x)", n - 1)),
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5), d(n) AS (SELECT n FROM c UNION \
         ALL SELECT n + 1 FROM d WHERE n < 9) SELECT * FROM d, d AS e"
            .to_owned(),
        // An expression that nobody uses is not worked out.
        chain(24, |n| format!("a{n} AS (SELECT x FROM a{0} UNION ALL SELECT x FROM a{0})", n - 1))
            .replace("FROM a24", "FROM a2"),
    ] {
        check(&sql, Dialect::Sqlite).unwrap_or_else(|error| panic!("{sql:?} should pass: {error}"));
    }
}

#[test]
fn a_refusal_has_a_word_in_which_nothing_of_the_statement_stands() {
    let joins = format!("SELECT 1 FROM a {}", "JOIN b ON 1 ".repeat(101));
    for (sql, word) in [
        (" -- nothing", words::EMPTY),
        ("SELECT 1; SELECT 2", words::SEVERAL_STATEMENTS),
        ("DELETE FROM t", words::NOT_A_QUERY),
        ("WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d", words::NOT_A_QUERY),
        ("SELECT a INTO b FROM t", words::WRITES),
        ("SELECT a FROM t FOR UPDATE", words::LOCKS),
        ("EXPLAIN DELETE FROM t", words::EXPLAIN),
        ("SELECT pg_sleep(1)", words::FUNCTION),
        ("SELECT * FROM pg_stat_activity", words::RELATION),
        (&joins, words::TOO_COMPLEX),
        (&"1".repeat(SQL_BYTES_MAX + 1), words::TOO_LONG),
    ] {
        let refused = plain_postgres(sql, true);
        let Err(QueryError::Refused(said)) = refused else { panic!("{sql}: {refused:?}") };
        assert_eq!(said.word(), word, "{sql}");
    }
    let refused = plain_postgres("SELECT U&'x'", true);
    assert!(matches!(refused, Err(QueryError::Refused(said)) if said.word() == words::AMBIGUOUS));
}
