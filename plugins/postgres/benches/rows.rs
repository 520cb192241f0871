//! The connector beside the raw driver, in one run: `SELECT 1`, 100 and 10,000 rows; a million rows in bounded memory; the
//! schema of 10,000 tables.
//!
//!     tests/postgres/run cargo bench -p sequel-connector-postgres

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{Database, LIMITS, query};
use sequel_connector::{DataSource, Limits, SchemaAsk};
use tokio_util::sync::CancellationToken;

/// Rounds of each question, in turns with the other side's.
const ROUNDS: u32 = 300;

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") / 256
}

async fn drain(source: &dyn DataSource, sql: &str, limits: Limits) -> u64 {
    let mut rows = source.query(query(sql, limits)).await.expect("it runs");
    let mut count = 0;
    while let Some(batch) = rows.next_batch().await.expect("rows") {
        count += batch.len() as u64;
    }
    count
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
async fn run() {
    let database = Database::make(&[
        "CREATE TABLE t AS SELECT n AS id, md5(n::text) AS name, n * 1.5 AS amount FROM generate_series(1, 10000) n",
    ]);
    let source = database.open().await;
    let (raw, connection) =
        tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.expect("the driver connects");
    tokio::spawn(connection);
    println!("{:<12} {:>12} {:>12} {:>8}", "", "driver", "connector", "ratio");
    for (what, sql) in [
        ("SELECT 1", "SELECT 1"),
        ("100 rows", "SELECT id, name, amount FROM t LIMIT 100"),
        ("10,000 rows", "SELECT id, name, amount FROM t"),
    ] {
        let (mut theirs, mut ours) = (Duration::ZERO, Duration::ZERO);
        let rounds = if what == "10,000 rows" { ROUNDS / 10 } else { ROUNDS };
        for _ in 0..rounds {
            let began = Instant::now();
            raw.query(sql, &[]).await.expect("it runs");
            theirs += began.elapsed();
            let began = Instant::now();
            drain(&*source, sql, LIMITS).await;
            ours += began.elapsed();
        }
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        println!("{what:<12} {:>12.1?} {:>12.1?} {ratio:>8.2}", theirs / rounds, ours / rounds);
    }
    let wide = Limits { rows: u64::MAX, bytes: u64::MAX, ..LIMITS };
    let (before, began) = (resident_mib(), Instant::now());
    let rows =
        drain(&*source, "SELECT n, md5(n::text), now() FROM generate_series(1, 1000000) n", wide).await;
    println!("{rows} rows in {:.1?}: {before} MiB before, {} MiB after", began.elapsed(), resident_mib());
    database.run(
        "DO $$ BEGIN FOR t IN 1..10000 LOOP EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, a text, b text, c \
         numeric, d date, e int, f int, g int, h int, i int)', t); IF t % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$",
    );
    database.run(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", database.role));
    for _ in 0..2 {
        let ask = SchemaAsk {
            tables: 20_000,
            bytes: 64 << 20,
            time: Duration::from_secs(60),
            cancel: CancellationToken::new(),
        };
        let began = Instant::now();
        let schema = source.schema(ask).await.expect("the schema");
        println!("schema of {} tables: {:.1?}", schema.tables.len(), began.elapsed());
    }
}

fn main() {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(run());
}
