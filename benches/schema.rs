//! Finding one's way among 10,000 tables of ten columns: reading the schema, making the catalog, searching it.
//! `cargo bench --bench schema` prints a line for each.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sequel::catalog::Catalog;
use sequel_connector::{Connector, Dialect, Party, SchemaAsk, Settings};
use sequel_connector_sqlite::{Policy, SqliteConnector};
use tokio_util::sync::CancellationToken;

const TABLES: usize = 10_000;
const SUBJECTS: [&str; 8] =
    ["customer", "order", "invoice", "shipment", "product", "employee", "payment", "warehouse"];
const ROUNDS: u32 = 50;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let database = rusqlite::Connection::open(folder.path().join("bench.db")).expect("a database");
    database.execute_batch(&setup()).expect("tables");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let policy = Policy { folders: vec![folder.path().into()], ..Policy::default() };
    let connector = SqliteConnector::new(policy).expect("threads");
    let settings = Settings::from_iter([("path".into(), "bench.db".into())]);
    let source = runtime.block_on(connector.open(&settings.into(), &Party::new("a"))).expect("a source");
    let ask = || SchemaAsk {
        tables: 20_000,
        bytes: 64 << 20,
        time: Duration::from_secs(60),
        cancel: CancellationToken::new(),
    };
    let (reading, schema) = timed(|| runtime.block_on(source.schema(ask())).expect("the schema"));
    assert_eq!(schema.tables.len(), TABLES);
    let (making, catalog) = timed(|| Catalog::new(schema, Dialect::Sqlite));
    println!(
        "{TABLES} tables: read in {reading:.1?}, catalog made in {making:.1?}, {} KiB",
        catalog.bytes() / 1024
    );
    for words in ["customer", "late customer payments", "value_77", "nothing_like_this", "id", ""] {
        let (all, found) = timed(|| {
            (0..ROUNDS)
                .map(|_| black_box(catalog.search(black_box(words), 20)).total)
                .max()
                .unwrap_or_default()
        });
        println!("search {words:?}: {:.1?}, {found} tables", all / ROUNDS);
    }
    let (all, _) = timed(|| (0..ROUNDS).for_each(|_| drop(black_box(catalog.complete("customer_7", 100)))));
    println!("complete: {:.1?}", all / ROUNDS);
}

fn setup() -> String {
    let mut sql = String::from("BEGIN;");
    for n in 0..TABLES {
        let subject = SUBJECTS[n % SUBJECTS.len()];
        sql += &format!("CREATE TABLE {subject}_{n} (id INTEGER PRIMARY KEY, -- of the {subject}\n");
        for column in 0..8 {
            sql += &format!("value_{column}_{} TEXT, ", n % 100);
        }
        let before = n.saturating_sub(SUBJECTS.len());
        sql += &format!("parent_id INTEGER REFERENCES {}_{before} (id));", SUBJECTS[before % SUBJECTS.len()]);
    }
    sql + "COMMIT;"
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}
