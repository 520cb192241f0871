//! What an operator sees with `psql`: decoded records, no digests, no harm from a damaged one.

mod cluster;

use sequel_store::conformance::views::fill;

use crate::cluster::Database;

async fn filled() -> Database {
    let database = Database::make();
    let store = database.open().unwrap();
    fill(&store).await;
    database
}

fn rows(database: &Database, sql: &str) -> Vec<String> {
    database.sql(sql).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_operator_reads_orgs_keys_and_sources() {
    let db = filled().await;
    assert_eq!(
        rows(&db, "SELECT id, name, created_at, revision FROM sequel.orgs WHERE id = 'acme'"),
        ["acme|Acme|2026-01-01T00:00:00Z|2"]
    );
    assert_eq!(
        rows(&db, "SELECT org, id, name, owner, enabled, expires_at FROM sequel.keys WHERE org = 'acme'"),
        [r#"acme|k1|CI|{"kind": "org"}|true|"#]
    );
    assert_eq!(rows(&db, "SELECT id, name, kind FROM sequel.sources WHERE org = 'acme'"), ["s1|Shop|sqlite"]);
    assert_eq!(
        rows(&db, "SELECT key, last_used_at FROM sequel.usage WHERE org = 'acme'"),
        ["k1|2026-02-01T00:00:00Z"]
    );
    assert_eq!(rows(&db, "SELECT count(*) FROM sequel.org_records WHERE org = 'acme'"), ["5"]);
    assert_eq!(rows(&db, "SELECT lane, bytes > 0 FROM sequel.org_records WHERE key = 'used/k1'"), ["log|t"]);
}

#[tokio::test]
async fn a_malformed_record_breaks_no_view() {
    let db = filled().await;
    for (view, count) in [("orgs", 2), ("keys", 9), ("sources", 2), ("usage", 2), ("org_records", 18)] {
        assert_eq!(rows(&db, &format!("SELECT * FROM sequel.{view}")).len(), count, "{view}");
    }
}

#[tokio::test]
async fn no_view_shows_a_digest_or_settings() {
    let db = filled().await;
    let views = rows(&db, "SELECT viewname FROM pg_views WHERE schemaname = 'sequel'");
    assert!(views.len() >= 5, "{views:?}");
    for view in views {
        let shown = rows(&db, &format!("SELECT * FROM sequel.{view}")).join("\n");
        assert!(!shown.contains("CANARY"), "{view}: {shown}");
    }
}
