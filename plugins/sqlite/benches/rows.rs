//! 10,000 rows × 5 columns through the connector against raw stepping into the same batches, as a ratio
//! of one run: `cargo bench -p sequel-connector-sqlite --bench rows`.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use sequel_connector::{Connector, Limits, Party, Query, RowBatchBuilder, Settings, Value};
use sequel_connector_sqlite::{Policy, SqliteConnector};

const ROUNDS: usize = 1000;
const SQL: &str = "SELECT id, name, city, amount, note FROM things";
const LIMITS: Limits = Limits {
    rows: 20_000,
    bytes: 64 << 20,
    cell_bytes: 1 << 20,
    columns: 100,
    time: Duration::from_secs(30),
};

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let path = folder.path().join("bench.db");
    let raw = rusqlite::Connection::open(&path).expect("a database");
    raw.execute_batch(
        "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, city TEXT, amount REAL, note TEXT);
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000)
         INSERT INTO things SELECT n, printf('thing %d', n), 'Springfield', n / 7.0,
                CASE WHEN n % 3 THEN 'some words about it' END FROM c;",
    )
    .expect("rows");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connector = SqliteConnector::new(Policy { folders: vec![folder.path().into()], ..Policy::default() })
        .expect("threads");
    let source = runtime
        .block_on(
            connector
                .open(&Settings::from_iter([("path".into(), "bench.db".into())]).into(), &Party::new("a")),
        )
        .expect("a source");
    let query = |sql: &str| {
        let query = Query::new(sql, LIMITS);
        runtime.block_on(async {
            let mut rows = source.query(query).await.expect("columns");
            let mut count = 0;
            while let Some(batch) = rows.next_batch().await.expect("rows") {
                count += black_box(&batch).len();
            }
            count
        })
    };
    // Alternating, so that a busy machine slows both.
    let (mut stepping, mut asking, mut smallest_raw, mut smallest) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        stepping.push(timed(|| assert_eq!(step(&raw, SQL, 5), 10_000)));
        asking.push(timed(|| assert_eq!(query(SQL), 10_000)));
        smallest_raw.push(timed(|| assert_eq!(step(&raw, "SELECT 1", 1), 1)));
        smallest.push(timed(|| assert_eq!(query("SELECT 1"), 1)));
    }
    let (stepping, asking) = (median(stepping), median(asking));
    println!("10,000 rows: raw {stepping:?}, connector {asking:?}, ratio {:.2}", ratio(stepping, asking));
    // Processor time of all threads, which a busy machine distorts less than the clock on the wall.
    let raw_cpu = cpu_ticks(|| (0..ROUNDS).for_each(|_| assert_eq!(step(&raw, SQL, 5), 10_000)));
    let our_cpu = cpu_ticks(|| (0..ROUNDS).for_each(|_| assert_eq!(query(SQL), 10_000)));
    println!("10,000 rows, processor time: ratio {:.2}", raw_cpu as f64 / our_cpu as f64);
    println!("SELECT 1: raw {:?}, connector {:?}", median(smallest_raw), median(smallest));
}

fn step(raw: &rusqlite::Connection, sql: &str, columns: usize) -> usize {
    let mut statement = raw.prepare(sql).expect("it parses");
    let mut rows = statement.query([]).expect("it runs");
    let mut builder = RowBatchBuilder::new(columns);
    let mut count = 0;
    while let Some(row) = rows.next().expect("a row") {
        for index in 0..columns {
            builder.push(match row.get_ref(index).expect("a cell") {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(integer) => Value::Int(integer),
                ValueRef::Real(real) => Value::Float(real),
                ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).expect("text")),
                ValueRef::Blob(bytes) => Value::Bytes(bytes),
            });
        }
        if builder.len() == 256 {
            count += black_box(builder.take()).len();
        }
    }
    count + black_box(builder.take()).len()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Ticks of user and system time that the process spent (proc(5): fields 14 and 15 of `stat`, counted from
/// the end of the name, which is in parentheses).
fn cpu_ticks(work: impl FnOnce()) -> u64 {
    let spent = || -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
        let after_name = stat.rsplit(')').next().expect("a name");
        after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
    };
    let before = spent();
    work();
    spent() - before
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ratio(raw: Duration, ours: Duration) -> f64 {
    raw.as_secs_f64() / ours.as_secs_f64()
}
