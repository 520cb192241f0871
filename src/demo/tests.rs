//! What a newcomer relies on in the demo's data.

use rusqlite::{Connection, OpenFlags};

use super::*;

fn demo() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.db");
    write(&path).unwrap();
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    (folder, connection)
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn all_rows_are_there_and_every_reference_is_found() {
    let (_folder, connection) = demo();
    for (table, rows) in
        [("states", 56), ("airports", 3372), ("flights", 10_000), ("routes", 5366), ("seattle_weather", 1461)]
    {
        assert_eq!(number(&connection, &format!("SELECT count(*) FROM {table}")), rows, "{table}");
        let named = format!("SELECT count(*) FROM sources WHERE table_name = '{table}'");
        assert_eq!(number(&connection, &named), 1, "{table} names its source");
    }
    assert_eq!(number(&connection, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(number(&connection, "SELECT count(*) FROM flight_details"), 10_000);
    let health: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(health, "ok");
}

#[test]
fn values_have_the_types_that_their_columns_declare() {
    let (_folder, connection) = demo();
    for (table, column, kind) in [
        ("airports", "latitude", "real"),
        ("airports", "longitude", "real"),
        ("states", "capital_latitude", "real"),
        ("flights", "distance_miles", "integer"),
        ("flights", "delay_minutes", "integer"),
        ("routes", "flights_2008", "integer"),
        ("seattle_weather", "precipitation_mm", "real"),
        ("seattle_weather", "temperature_min_c", "real"),
        ("airports", "iata", "text"),
        ("flights", "departure", "text"),
    ] {
        let sql = format!("SELECT count(*) FROM {table} WHERE typeof({column}) NOT IN ('{kind}', 'null')");
        assert_eq!(number(&connection, &sql), 0, "{table}.{column}");
    }
    let odd =
        "SELECT count(*) FROM flights WHERE datetime(departure) IS NULL OR departure NOT LIKE '2001-0_-%'";
    assert_eq!(number(&connection, odd), 0);
    assert_eq!(number(&connection, "SELECT count(*) FROM seattle_weather WHERE date(day) IS NOT day"), 0);
}

#[test]
fn the_example_join_answers_with_exactly_its_rows() {
    let (_folder, connection) = demo();
    let mut statement = connection.prepare(EXAMPLE_JOIN_SQL).unwrap();
    assert_eq!(statement.column_names(), EXAMPLE_JOIN_COLUMNS);
    let rows: Vec<(String, i64, f64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let rows: Vec<_> =
        rows.iter().map(|(state, flights, delay)| (state.as_str(), *flights, *delay)).collect();
    assert_eq!(rows, EXAMPLE_JOIN_ROWS);
}

#[test]
fn writing_again_replaces_the_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.db");
    fs::write(&path, "not a database").unwrap();
    write(&path).unwrap();
    write(&path).unwrap();
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["demo.db"]);
}

#[test]
fn a_missing_folder_is_said_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&folder.path().join("missing/demo.db")).unwrap_err();
    assert!(matches!(error, DemoError::Write { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
