//! The PostgreSQL connector under the suite that every connector runs, against a real server.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::Database;
use sequel_connector::conformance::{Fixture, SETUP};
use sequel_connector::{DataSource, conformance_tests};

struct Postgres(Database);

impl Postgres {
    fn new() -> Self {
        let database = Database::make(SETUP);
        database.run("COMMENT ON TABLE conformance_book IS 'what each author wrote'");
        database.run("COMMENT ON COLUMN conformance_book.price IS 'in euros, without tax'");
        Self(database)
    }
}

#[async_trait]
impl Fixture for Postgres {
    async fn open(&self) -> Arc<dyn DataSource> {
        self.0.open().await
    }

    fn endless(&self) -> String {
        "SELECT a.n FROM generate_series(1, 100000) AS a(n), generate_series(1, 100000) AS b(n), \
         generate_series(1, 100000) AS c(n) WHERE a.n + b.n + c.n < 0"
            .into()
    }

    fn counting(&self, rows: u64) -> String {
        format!("SELECT n FROM generate_series(1, {rows}) AS n")
    }

    fn bytes(&self) -> String {
        "SELECT '\\x0001feff'::bytea AS b".into()
    }

    fn long_text(&self, times: u64) -> String {
        format!("SELECT repeat('é', {times}) AS t")
    }

    fn book_types(&self) -> [&'static str; 4] {
        ["integer", "integer", "character varying(80)", "double precision"]
    }

    fn has_comments(&self) -> bool {
        true
    }

    fn writes(&self) -> Vec<String> {
        [
            "COPY conformance_book TO PROGRAM 'cat'",
            "COPY conformance_book FROM '/etc/passwd'",
            "SET TRANSACTION READ WRITE",
            "SET search_path = x",
            "DO $$ BEGIN END $$",
            "CALL x()",
            "LISTEN x",
            "NOTIFY x",
            "PREPARE x AS SELECT 1",
            "EXECUTE x",
            "DECLARE c CURSOR FOR SELECT 1",
            "FETCH c",
            "LOCK TABLE conformance_book",
            "VACUUM",
            "ANALYZE",
            "REINDEX TABLE conformance_book",
            "CLUSTER",
            "TRUNCATE conformance_book",
            "DISCARD ALL",
            "RESET ALL",
            "SHOW ALL",
            "GRANT ALL ON conformance_book TO PUBLIC",
            "COMMENT ON TABLE conformance_book IS 'x'",
            "CREATE TEMP TABLE x (a int)",
            "REFRESH MATERIALIZED VIEW x",
            "LOAD 'x'",
            "SELECT * INTO x FROM conformance_book",
            "SELECT * FROM conformance_book FOR UPDATE",
            "SELECT pg_sleep(1)",
            "SELECT set_config('search_path', 'x', false)",
            "SELECT pg_advisory_lock(1)",
            "SELECT lo_creat(-1)",
            "MERGE INTO conformance_author a USING conformance_author b ON a.id = b.id WHEN MATCHED THEN DELETE",
        ]
        .map(String::from)
        .to_vec()
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.0.name.clone(), self.0.role.clone(), self.0.port().to_string(), "127.0.0.1".into()]
    }
}

conformance_tests!(Postgres::new());
