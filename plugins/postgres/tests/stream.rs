//! Rows go through and are not gathered, whatever their number and size; cuts say so; schemas with odd names are whole.

mod common;

use std::time::Duration;

use common::{Database, LIMITS, all, open, policy, query, told, try_run};
use sequel_connector::{Limits, QueryError, SchemaAsk, Truncated, Value};
use sequel_connector_postgres::Policy;
use tokio_util::sync::CancellationToken;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_and_a_large_cell_take_bounded_memory() {
    let database = Database::make(&[]);
    let source = database.open().await;
    assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
    let before = resident_bytes();
    let wide = Limits { rows: u64::MAX, bytes: u64::MAX, ..LIMITS };
    let sql = "SELECT n, md5(n::text), repeat('x', 100) FROM generate_series(1, 1000000) n";
    let mut rows = source.query(query(sql, wide)).await.unwrap();
    let (mut count, mut sum) = (0, 0);
    while let Some(batch) = rows.next_batch().await.unwrap() {
        for mut row in batch.rows() {
            let Some(Value::Int(n)) = row.next() else { panic!("a number") };
            (count, sum) = (count + 1, sum + n);
        }
    }
    assert_eq!((count, sum), (1_000_000, 500_000_500_000));
    // 300 MB in one cell, of which a megabyte may be shown.
    let (batches, cut) =
        all(source.query(query("SELECT repeat('x', 300000000), 7", LIMITS)).await.unwrap()).await.unwrap();
    let row: Vec<_> = batches[0].rows().next().unwrap().collect();
    let Value::Text(text) = row[0] else { panic!("a text") };
    assert_eq!((text.len(), row[1], cut), (1 << 20, Value::Int(7), Some(Truncated::CellBytes)));
    // The connection is in step afterwards.
    assert_eq!(told(&*source, "SELECT 2").await, [["Int(2)"]]);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_any_length_is_told_and_costs_no_connection() {
    let database = Database::make(&["CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql STABLE AS \
         $$ BEGIN RAISE NOTICE '%', repeat('n', 1000000); RETURN 7; END $$"]);
    let one = Policy { connections_per_source: 1, ..policy() };
    let source = open(database.settings(), one).await.unwrap();
    let pid = "SELECT a.pid FROM pg_locks a WHERE locktype = 'virtualxid' AND pid IS NOT NULL LIMIT 1";
    let before = told(&*source, pid).await;
    for sql in [
        "SELECT repeat('x', 3000000)::int",
        "SELECT (repeat('é', 300000) || n)::int FROM generate_series(1, 9) n",
    ] {
        let error = try_run(&*source, sql).await.map(drop).unwrap_err();
        let QueryError::Sql(text) = &error else { panic!("{sql}: {error:?}") };
        assert!(text.contains("invalid input syntax") && text.len() < 2_000, "{text}");
    }
    assert_eq!(told(&*source, "SELECT noisy()").await, [["Int(7)"]]);
    assert_eq!(told(&*source, pid).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_columns_and_odd_names_are_told_as_they_are() {
    let many: Vec<_> = (0..1600).map(|n| format!("c{n} int")).collect();
    let database = Database::make(&[
        &format!("CREATE TABLE wide ({})", many.join(", ")),
        "CREATE SCHEMA \"odd.schema\"",
        "CREATE TABLE \"odd.schema\".\"select \"\"x\"\"\" (\"größe\" int PRIMARY KEY, \"a b\" text)",
        "COMMENT ON COLUMN \"odd.schema\".\"select \"\"x\"\"\".\"a b\" IS 'it''s odd'",
        "CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE TABLE hidden (a int)",
        "CREATE TABLE child (id int REFERENCES \"odd.schema\".\"select \"\"x\"\"\" (\"größe\"))",
    ]);
    database.run(&format!("GRANT USAGE ON SCHEMA \"odd.schema\" TO {}", database.role));
    database.run(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA \"odd.schema\" TO {}", database.role));
    database.run(&format!("REVOKE ALL ON hidden FROM {}", database.role));
    let source = database.open().await;
    let error = try_run(&*source, "SELECT * FROM wide").await.map(drop).unwrap_err();
    assert!(matches!(error, QueryError::Limit(_)), "{error:?}");
    let all_of_it = Limits { columns: 2_000, ..LIMITS };
    assert_eq!(source.query(query("SELECT * FROM wide", all_of_it)).await.unwrap().columns().len(), 1600);
    let ask = SchemaAsk {
        tables: 100,
        bytes: 8 << 20,
        time: Duration::from_secs(60),
        cancel: CancellationToken::new(),
    };
    let schema = source.schema(ask).await.unwrap();
    let names: Vec<_> = schema.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["child", "parts", "select \"x\"", "wide"]);
    let odd = &schema.tables[2];
    assert_eq!(
        (odd.schema.as_deref(), &odd.primary_key[..]),
        (Some("odd.schema"), &["größe".to_owned()][..])
    );
    assert_eq!(odd.columns[1].comment.as_deref(), Some("it's odd"));
    let key = &schema.tables[0].foreign_keys[0];
    assert_eq!(
        (key.references_schema.as_deref(), &*key.references_table),
        (Some("odd.schema"), "select \"x\"")
    );
    assert_eq!(key.references_columns, ["größe"]);
    let error = try_run(&*source, "SELECT * FROM hidden").await.map(drop).unwrap_err();
    assert!(matches!(&error, QueryError::Sql(text) if text.contains("permission denied")), "{error:?}");
}
