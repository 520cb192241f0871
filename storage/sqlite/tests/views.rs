//! What an operator sees with `sqlite3`: decoded records, no digests, no harm from a damaged one.

use rusqlite::Connection;
use sequel_store::Holder;
use sequel_store::conformance::views::fill;
use sequel_store_sqlite::{Options, SqliteStore};

async fn filled() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    let store = SqliteStore::open(&path, Options::new(Holder::command())).unwrap();
    fill(&store).await;
    drop(store);
    (folder, Connection::open(path).unwrap())
}

fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells: Vec<String> = (0..columns)
            .map(|at| match row.get_ref(at).unwrap() {
                rusqlite::types::ValueRef::Null => "-".to_owned(),
                rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                rusqlite::types::ValueRef::Real(n) => n.to_string(),
                rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => {
                    String::from_utf8_lossy(text).into_owned()
                }
            })
            .collect();
        Ok(cells.join("|"))
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

#[tokio::test]
async fn an_operator_reads_orgs_keys_and_sources() {
    let (_folder, db) = filled().await;
    assert_eq!(
        rows(&db, "SELECT id, name, created_at, revision FROM orgs WHERE id = 'acme'"),
        ["acme|Acme|2026-01-01T00:00:00Z|2"]
    );
    assert_eq!(
        rows(&db, "SELECT org, id, name, owner, enabled, expires_at FROM keys WHERE org = 'acme'"),
        [r#"acme|k1|CI|{"kind":"org"}|1|-"#]
    );
    assert_eq!(rows(&db, "SELECT id, name, kind FROM sources WHERE org = 'acme'"), ["s1|Shop|sqlite"]);
    assert_eq!(
        rows(&db, "SELECT key, last_used_at FROM usage WHERE org = 'acme'"),
        ["k1|2026-02-01T00:00:00Z"]
    );
    assert_eq!(rows(&db, "SELECT count(*) FROM org_records WHERE org = 'acme'"), ["5"]);
}

#[tokio::test]
async fn a_malformed_record_breaks_no_view() {
    let (_folder, db) = filled().await;
    for (view, count) in [("orgs", 2), ("keys", 9), ("sources", 2), ("usage", 2), ("org_records", 18)] {
        assert_eq!(rows(&db, &format!("SELECT * FROM {view}")).len(), count, "{view}");
    }
}

#[tokio::test]
async fn no_view_shows_a_digest_or_settings() {
    let (_folder, db) = filled().await;
    let views = rows(&db, "SELECT name FROM sqlite_schema WHERE type = 'view'");
    assert!(views.len() >= 5, "{views:?}");
    for view in views {
        let shown = rows(&db, &format!("SELECT * FROM {view}")).join("\n");
        assert!(!shown.contains("CANARY"), "{view}: {shown}");
    }
}
