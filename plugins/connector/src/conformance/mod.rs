//! What every connector must hold, as one named test per property.
//!
//! A connector implements [`Fixture`] over a database that it fills with [`SETUP`] by its own driver,
//! and calls [`conformance_tests!`](crate::conformance_tests) in an integration test. The suite knows
//! no driver; where engines differ in words, the fixture gives the words.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{DataSource, Ending, Limits, Query, QueryError, RowBatch, Rows, Truncated, Value};

mod schema;

pub use schema::*;

/// What the database holds before the suite runs, as single statements that the common engines share. Where the
/// engine has comments of its own, the fixture adds the two that stand in the text.
pub const SETUP: &[&str] = &[
    "CREATE TABLE conformance_author (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE)",
    "CREATE TABLE conformance_book ( -- what each author wrote\n\
     author_id INTEGER NOT NULL, number INTEGER NOT NULL, title VARCHAR(80) NOT NULL, \
     price DOUBLE PRECISION, -- in euros, without tax\n\
     PRIMARY KEY (author_id, number), \
     FOREIGN KEY (author_id) REFERENCES conformance_author (id))",
    "CREATE INDEX conformance_book_title ON conformance_book (title, price)",
    "CREATE VIEW conformance_shelf AS SELECT a.name, b.title FROM conformance_book b \
     JOIN conformance_author a ON a.id = b.author_id",
    "INSERT INTO conformance_author VALUES (1, 'Ada'), (2, 'Böll'), (3, '李白')",
    "INSERT INTO conformance_book VALUES (1, 1, 'Notes', 2.5), (2, 1, 'Ansichten', NULL), (2, 2, 'Billard', 9.0)",
];

/// A database for the suite, and how its engine says what the suite needs.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens a fresh source on the database, which holds [`SETUP`] and lives as long as the fixture.
    async fn open(&self) -> Arc<dyn DataSource>;

    /// A query that never ends and gives no row.
    fn endless(&self) -> String;

    /// A query of `rows` rows with one integer column `n`, 1, 2, 3 …
    fn counting(&self, rows: u64) -> String;

    /// A query of one row and one column `b` with the four bytes 00 01 FE FF.
    fn bytes(&self) -> String;

    /// A query of one row and one column with `times` letters `é`, each of two bytes.
    fn long_text(&self, times: u64) -> String;

    /// The declared types of `conformance_book`'s columns, as this engine shows them in a result.
    fn book_types(&self) -> [&'static str; 4];

    /// Whether the engine keeps comments on tables and columns.
    fn has_comments(&self) -> bool;

    /// Statements that write or leave the database, beyond those that the suite tries on every engine.
    fn writes(&self) -> Vec<String>;

    /// Where the database is: words that no error may hold.
    fn secrets(&self) -> Vec<String>;
}

/// Limits that no test meets by accident.
pub const WIDE: Limits = Limits {
    rows: 100_000,
    bytes: 64 << 20,
    cell_bytes: 1 << 20,
    columns: 100,
    time: Duration::from_secs(60),
};

/// How soon a stopped query must have ended (`THREATS` 22), with room for a busy machine.
const PROMPTLY: Duration = Duration::from_secs(10);

fn query(sql: impl Into<String>, limits: Limits) -> Query {
    Query::new(sql, limits)
}

async fn all(mut rows: Rows) -> Result<(Vec<RowBatch>, Ending), QueryError> {
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch().await? {
        assert!(!batch.is_empty(), "a batch holds at least one row");
        batches.push(batch);
    }
    let ending = rows.ending().expect("a stream that ended says how");
    assert!(rows.next_batch().await?.is_none(), "after the end comes nothing");
    Ok((batches, ending))
}

async fn run(source: &dyn DataSource, sql: impl Into<String>, limits: Limits) -> (Vec<RowBatch>, Ending) {
    let sql = sql.into();
    let rows = source.query(query(&sql, limits)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    all(rows).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

async fn failure(source: &dyn DataSource, sql: impl Into<String>, limits: Limits) -> QueryError {
    let sql = sql.into();
    match source.query(query(&sql, limits)).await {
        Err(error) => error,
        Ok(rows) => match all(rows).await {
            Err(error) => error,
            Ok(_) => panic!("{sql} should fail"),
        },
    }
}

fn count(batches: &[RowBatch]) -> u64 {
    batches.iter().map(|batch| batch.len() as u64).sum()
}

fn cells(batches: &[RowBatch]) -> Vec<Vec<Value<'_>>> {
    batches.iter().flat_map(|batch| batch.rows().map(Iterator::collect)).collect()
}

pub async fn values_and_nulls_come_back_as_they_are(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let sql = "SELECT author_id, number, title, price FROM conformance_book ORDER BY author_id, number";
    let (batches, ending) = run(&*source, sql, WIDE).await;
    use Value::{Float, Int, Null, Text};
    assert_eq!(
        cells(&batches),
        [
            vec![Int(1), Int(1), Text("Notes"), Float(2.5)],
            vec![Int(2), Int(1), Text("Ansichten"), Null],
            vec![Int(2), Int(2), Text("Billard"), Float(9.0)],
        ]
    );
    assert_eq!(ending, Ending { truncated: None });
    let (batches, _) = run(&*source, "SELECT name FROM conformance_author ORDER BY id", WIDE).await;
    assert_eq!(cells(&batches), [[Text("Ada")], [Text("Böll")], [Text("李白")]]);
    let (batches, _) = run(&*source, fixture.bytes(), WIDE).await;
    assert_eq!(cells(&batches), [[Value::Bytes(&[0, 1, 0xFE, 0xFF])]]);
    let (batches, _) = run(&*source, "SELECT -9223372036854775807, '' AS e", WIDE).await;
    assert_eq!(cells(&batches), [[Int(-9_223_372_036_854_775_807), Text("")]]);
}

pub async fn columns_have_their_names_and_types_even_without_rows(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    for condition in ["1 = 1", "1 = 0"] {
        let sql = format!(
            "SELECT author_id, number, title AS \"the title\", price FROM conformance_book WHERE {condition}"
        );
        let sql = if matches!(fixture.book_types()[0], "INT") { sql.replace('"', "`") } else { sql };
        let rows = source.query(query(sql, WIDE)).await.expect("the query runs");
        let names: Vec<&str> = rows.columns().iter().map(|column| column.name.as_str()).collect();
        let types: Vec<&str> = rows.columns().iter().map(|column| column.type_name.as_str()).collect();
        assert_eq!(names, ["author_id", "number", "the title", "price"]);
        assert_eq!(types, fixture.book_types());
        all(rows).await.expect("the rows come");
    }
}

pub async fn joins_views_and_common_table_expressions_answer(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let sql = "WITH few AS (SELECT author_id, count(*) AS books FROM conformance_book GROUP BY author_id) \
               SELECT a.name, few.books FROM few JOIN conformance_author a ON a.id = few.author_id ORDER BY 2 DESC;";
    let (batches, _) = run(&*source, sql, WIDE).await;
    assert_eq!(cells(&batches), [[Value::Text("Böll"), Value::Int(2)], [Value::Text("Ada"), Value::Int(1)]]);
    let (batches, _) = run(&*source, "SELECT title FROM conformance_shelf ORDER BY title", WIDE).await;
    assert_eq!(count(&batches), 3);
}

pub async fn the_row_limit_cuts_one_past_it_and_not_at_it(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let limits = Limits { rows: 1000, ..WIDE };
    let (batches, ending) = run(&*source, fixture.counting(1000), limits).await;
    assert_eq!((count(&batches), ending.truncated), (1000, None));
    let (batches, ending) = run(&*source, fixture.counting(1001), limits).await;
    assert_eq!((count(&batches), ending.truncated), (1000, Some(Truncated::Rows)));
    let last = cells(&batches);
    assert_eq!(last[999], [Value::Int(1000)]);
    let (batches, ending) = run(&*source, fixture.counting(1), Limits { rows: 0, ..WIDE }).await;
    assert_eq!((count(&batches), ending.truncated), (0, Some(Truncated::Rows)));
}

pub async fn the_byte_limit_cuts_whole_rows(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let sql = "SELECT title, name FROM conformance_shelf ORDER BY title";
    // "Ansichten" + "Böll" are 14 bytes, "Billard" + "Böll" 12, "Notes" + "Ada" 8.
    let (batches, ending) = run(&*source, sql, Limits { bytes: 34, ..WIDE }).await;
    assert_eq!((count(&batches), ending.truncated), (3, None));
    let (batches, ending) = run(&*source, sql, Limits { bytes: 33, ..WIDE }).await;
    assert_eq!((count(&batches), ending.truncated), (2, Some(Truncated::Bytes)));
    let (batches, ending) = run(&*source, sql, Limits { bytes: 13, ..WIDE }).await;
    assert_eq!((count(&batches), ending.truncated), (0, Some(Truncated::Bytes)));
}

pub async fn the_cell_limit_cuts_between_characters_and_says_so(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let (batches, ending) = run(&*source, fixture.long_text(50), Limits { cell_bytes: 100, ..WIDE }).await;
    assert_eq!((cells(&batches), ending.truncated), (vec![vec![Value::Text(&"é".repeat(50))]], None));
    let (batches, ending) = run(&*source, fixture.long_text(50), Limits { cell_bytes: 99, ..WIDE }).await;
    assert_eq!(cells(&batches), [[Value::Text(&"é".repeat(49))]]);
    assert_eq!(ending.truncated, Some(Truncated::CellBytes));
    let (batches, ending) = run(&*source, fixture.bytes(), Limits { cell_bytes: 3, ..WIDE }).await;
    assert_eq!(cells(&batches), [[Value::Bytes(&[0, 1, 0xFE])]]);
    assert_eq!(ending.truncated, Some(Truncated::CellBytes));
    // Cut cells count with what is left of them, so a long cell fits a short answer.
    let (batches, _) =
        run(&*source, fixture.long_text(100_000), Limits { cell_bytes: 10, bytes: 10, ..WIDE }).await;
    assert_eq!(cells(&batches), [[Value::Text("ééééé")]]);
}

pub async fn too_many_columns_are_an_error(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let sql = "SELECT author_id, number, title, price FROM conformance_book";
    let (batches, _) = run(&*source, sql, Limits { columns: 4, ..WIDE }).await;
    assert_eq!(count(&batches), 3);
    let error = failure(&*source, sql, Limits { columns: 3, ..WIDE }).await;
    assert!(matches!(error, QueryError::Limit(_)), "{error:?}");
    let many = (0..3000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let error = failure(&*source, format!("SELECT {many}"), WIDE).await;
    assert!(matches!(error, QueryError::Limit(_)), "{error:?}");
}

pub async fn the_time_limit_stops_an_endless_query(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let limits = Limits { time: Duration::from_millis(200), ..WIDE };
    let error = tokio::time::timeout(PROMPTLY, failure(&*source, fixture.endless(), limits)).await;
    assert!(matches!(error, Ok(QueryError::Limit(_))), "{error:?}");
    run(&*source, "SELECT 1", WIDE).await;
}

pub async fn the_time_limit_counts_while_the_reader_sleeps(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let limits = Limits { time: Duration::from_millis(500), ..WIDE };
    let rows = source.query(query(fixture.counting(100_000), limits)).await.expect("the query starts");
    // Nobody reads; the engine must be free for as many others as it likes all the same.
    for _ in 0..16 {
        run(&*source, "SELECT 1", WIDE).await;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let ended = tokio::time::timeout(PROMPTLY, all(rows)).await.expect("the stream ends");
    assert!(matches!(ended, Err(QueryError::Limit(_))), "{ended:?}");
}

pub async fn a_cancelled_token_stops_a_running_query(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let query = query(fixture.endless(), WIDE);
    let cancel = query.cancel.clone();
    let running = tokio::spawn({
        let source = source.clone();
        async move {
            match source.query(query).await {
                Err(error) => Err(error),
                Ok(rows) => all(rows).await.map(|_| ()),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    cancel.cancel();
    let ended =
        tokio::time::timeout(PROMPTLY, running).await.expect("it ends promptly").expect("it does not panic");
    assert!(matches!(ended, Err(QueryError::Cancelled)), "{ended:?}");
}

pub async fn a_token_cancelled_before_the_start_runs_nothing(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let query = query(fixture.endless(), WIDE);
    query.cancel.cancel();
    let ended = tokio::time::timeout(PROMPTLY, source.query(query)).await.expect("it ends promptly");
    assert!(matches!(ended, Err(QueryError::Cancelled)), "{ended:?}");
}

pub async fn dropped_rows_and_dropped_calls_free_the_engine(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    // Far more than any pool holds: were one left running, the last would wait for its time limit.
    for _ in 0..32 {
        let started = source.query(query(fixture.counting(100_000), WIDE)).await.expect("the query starts");
        drop(started);
        let endless = source.query(query(fixture.endless(), WIDE));
        let _ = tokio::time::timeout(Duration::from_millis(20), endless).await;
    }
    let next = tokio::time::timeout(PROMPTLY, run(&*source, "SELECT 1", WIDE)).await;
    assert!(next.is_ok(), "queries that nobody waits for were still running");
}

pub async fn dropping_the_rows_leaves_the_callers_token_alone(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let query = query("SELECT 1", WIDE);
    let cancel = query.cancel.clone();
    drop(source.query(query).await.expect("the query runs"));
    assert!(!cancel.is_cancelled());
}

pub async fn many_queries_at_once_all_answer(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let sql = fixture.counting(2_000);
    let queries = (0..24).map(|_| {
        let (source, sql) = (source.clone(), sql.clone());
        tokio::spawn(async move { count(&run(&*source, sql, WIDE).await.0) })
    });
    for query in queries.collect::<Vec<_>>() {
        assert_eq!(query.await.expect("it does not panic"), 2_000);
    }
}

pub async fn writes_are_refused_and_change_nothing(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let common = [
        "INSERT INTO conformance_author VALUES (9, 'x')",
        "UPDATE conformance_author SET name = 'x'",
        "DELETE FROM conformance_book",
        "DROP TABLE conformance_book",
        "CREATE TABLE conformance_new (a INTEGER)",
        "CREATE TABLE conformance_new AS SELECT 1 AS a",
        "ALTER TABLE conformance_book RENAME TO conformance_other",
        "WITH gone AS (DELETE FROM conformance_book RETURNING *) SELECT * FROM gone",
        "BEGIN",
        "COMMIT",
    ];
    for sql in common.iter().map(|sql| (*sql).to_owned()).chain(fixture.writes()) {
        let error = failure(&*source, &sql, WIDE).await;
        assert!(matches!(error, QueryError::Refused(_) | QueryError::Sql(_)), "{sql}: {error:?}");
    }
    let (batches, _) = run(&*source, "SELECT count(*), max(name) FROM conformance_author", WIDE).await;
    assert_eq!(cells(&batches), [[Value::Int(3), Value::Text("李白")]]);
    let (batches, _) = run(&*source, "SELECT count(*) FROM conformance_book", WIDE).await;
    assert_eq!(cells(&batches), [[Value::Int(3)]]);
}

pub async fn several_statements_and_none_are_refused(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    for sql in ["SELECT 1; SELECT 2", "SELECT 1; DELETE FROM conformance_book", "", "  ", "-- nothing", ";"] {
        let error = failure(&*source, sql, WIDE).await;
        assert!(matches!(error, QueryError::Refused(_)), "{sql:?}: {error:?}");
    }
    run(&*source, "SELECT 1; -- and no more", WIDE).await;
}

pub async fn wrong_sql_is_explained_without_saying_where_the_database_is(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    for (sql, word) in [
        ("SELECT * FROM conformance_autor", "conformance_autor"),
        ("SELECT titel FROM conformance_book", "titel"),
        ("SELECT * FORM conformance_book", ""),
        ("SELECT no_such_function_at_all(1)", "no_such_function_at_all"),
    ] {
        let error = failure(&*source, sql, WIDE).await;
        let QueryError::Sql(message) = &error else { panic!("{sql}: {error:?}") };
        assert!(message.contains(word), "{sql}: {message}");
        for secret in fixture.secrets() {
            assert!(!message.contains(&secret), "{sql}: {message}");
        }
    }
}

pub async fn a_sign_of_life_is_given(fixture: &dyn Fixture) {
    fixture.open().await.ping().await.expect("the database is there");
}

/// One `#[tokio::test]` per property of the suite; `$fixture` is an expression that makes a fresh
/// [`Fixture`](crate::conformance::Fixture). Needs `tokio` with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::conformance_tests! { @each $fixture;
            values_and_nulls_come_back_as_they_are
            columns_have_their_names_and_types_even_without_rows
            joins_views_and_common_table_expressions_answer
            the_row_limit_cuts_one_past_it_and_not_at_it
            the_byte_limit_cuts_whole_rows
            the_cell_limit_cuts_between_characters_and_says_so
            too_many_columns_are_an_error
            the_time_limit_stops_an_endless_query
            the_time_limit_counts_while_the_reader_sleeps
            a_cancelled_token_stops_a_running_query
            a_token_cancelled_before_the_start_runs_nothing
            dropped_rows_and_dropped_calls_free_the_engine
            dropping_the_rows_leaves_the_callers_token_alone
            many_queries_at_once_all_answer
            writes_are_refused_and_change_nothing
            several_statements_and_none_are_refused
            wrong_sql_is_explained_without_saying_where_the_database_is
            the_schema_lists_tables_keys_and_indexes
            comments_are_told_where_the_engine_keeps_them
            a_schema_beyond_its_limits_is_cut_and_says_so
            reading_the_schema_is_stopped_by_its_token
            a_query_is_explained_without_being_run
            what_is_refused_as_a_query_is_refused_as_a_plan
            a_glance_counts_rows_and_brings_a_few_values
            a_sign_of_life_is_given
        }
    };
    (@each $fixture:expr; $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let fixture = $fixture;
                $crate::conformance::$name(&fixture).await;
            }
        )*
    };
}
