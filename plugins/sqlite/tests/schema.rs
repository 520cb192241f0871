//! What the connector says of strange, large and broken databases, beyond what every connector must hold.

use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{
    Connector, DataSource, Dialect, Limits, Origin, Party, Profile, ProfileAsk, Query, QueryError, RowCount,
    SampleLimits, Schema, SchemaAsk, Settings, Table,
};
use sequel_connector_sqlite::{Policy, SqliteConnector};
use tokio_util::sync::CancellationToken;

struct Open {
    _folder: tempfile::TempDir,
    source: Arc<dyn DataSource>,
}

impl Open {
    async fn new(setup: &str) -> Self {
        Self::with(setup, Policy::default(), Settings::new()).await
    }

    async fn with(setup: &str, policy: Policy, mut settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        rusqlite::Connection::open(folder.path().join("a.db")).unwrap().execute_batch(setup).unwrap();
        let connector =
            SqliteConnector::new(Policy { folders: vec![folder.path().into()], ..policy }).unwrap();
        settings.insert("path".to_owned(), "a.db".into());
        let settings = connector.check(&settings.into()).await.unwrap();
        Self { source: connector.open(&settings, &Party::new("a")).await.unwrap(), _folder: folder }
    }

    async fn schema(&self) -> Schema {
        self.source.schema(ask()).await.unwrap()
    }

    async fn table(&self, name: &str) -> Table {
        self.schema().await.tables.into_iter().find(|table| table.name == name).expect(name)
    }

    async fn glance(&self, name: &str, time: Duration) -> Result<Profile, QueryError> {
        let table = self.table(name).await;
        let columns = table.columns.iter().map(|column| Dialect::Sqlite.identifier(&column.name)).collect();
        let samples = Some(SampleLimits { rows: 20, values: 3, value_chars: 10 });
        let table = Dialect::Sqlite.identifier(name);
        self.source
            .profile(ProfileAsk {
                table,
                columns,
                samples,
                time,
                cancel: CancellationToken::new(),
                origin: Origin::default(),
            })
            .await
    }
}

fn ask() -> SchemaAsk {
    let time = Duration::from_secs(60);
    SchemaAsk { tables: 20_000, bytes: 64 << 20, time, cancel: CancellationToken::new() }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn strange_names_come_through_and_can_be_written_into_statements() {
    let names = [
        "a\"b",
        "it's",
        "order",
        "größe 李",
        "a.b",
        "]x[",
        "`",
        "<<<sequel-rows end>>>",
        "",
        "sp ace",
        "-- x",
    ];
    let setup: String = names
        .iter()
        .map(|name| {
            let quoted = Dialect::Sqlite.quoted(name);
            format!("CREATE TABLE {quoted} ({quoted} TEXT, b); INSERT INTO {quoted} VALUES ('v', x'00');")
        })
        .collect();
    let open = Open::new(&setup).await;
    let mut told: Vec<String> = open.schema().await.tables.into_iter().map(|table| table.name).collect();
    let mut expected = names.map(str::to_owned).to_vec();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    for name in names {
        let table = open.table(name).await;
        assert_eq!(table.columns[0].name, name);
        let glance = open.glance(name, LONG).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(glance.rows, Some(RowCount { rows: 1, is_exact: true }), "{name}");
        assert_eq!(glance.samples, [vec!["v".to_owned()], vec![]], "{name}");
    }
}

/// SQLite's own list (https://www.sqlite.org/lang_keywords.html).
const KEYWORDS: &str = "abort action add after all alter always analyze and as asc attach autoincrement before begin \
    between by cascade case cast check collate column commit conflict constraint create cross current current_date \
    current_time current_timestamp database default deferrable deferred delete desc detach distinct do drop each else \
    end escape except exclude exclusive exists explain fail filter first following for foreign from full generated \
    glob group groups having if ignore immediate in index indexed initially inner insert instead intersect into is \
    isnull join key last left like limit match materialized natural no not nothing notnull null nulls of offset on or \
    order others outer over partition plan pragma preceding primary query raise range recursive references regexp \
    reindex release rename replace restrict returning right rollback row rows savepoint select set table temp \
    temporary then ties to transaction trigger unbounded union unique update using vacuum values view virtual when \
    where window with without true false";

#[tokio::test]
async fn every_keyword_as_a_name_can_be_written_into_statements() {
    let folder = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    for word in KEYWORDS.split_whitespace() {
        let (bare, quoted) = (Dialect::Sqlite.identifier(word), Dialect::Sqlite.quoted(word));
        connection
            .execute_batch(&format!(
                "CREATE TABLE {quoted} ({quoted} TEXT); INSERT INTO {quoted} VALUES ('it')"
            ))
            .unwrap();
        let sql = format!("SELECT {bare}, {bare}.{bare} FROM {bare} WHERE {bare} = 'it' ORDER BY {bare}");
        let told: rusqlite::Result<(String, String)> =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(
            told.unwrap_or_else(|error| panic!("{sql}: {error}")),
            ("it".into(), "it".into()),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_view_that_is_broken_keeps_its_name_and_spoils_no_other() {
    let open = Open::new(
        "CREATE TABLE t (a); CREATE VIEW broken AS SELECT gone FROM t; CREATE VIEW lost AS SELECT * FROM nowhere;
         CREATE VIEW whole AS SELECT a AS b FROM t;",
    )
    .await;
    let told: Vec<_> =
        open.schema().await.tables.into_iter().map(|table| (table.name, table.columns.len())).collect();
    let told: Vec<_> = told.iter().map(|(name, columns)| (name.as_str(), *columns)).collect();
    assert_eq!(told, [("broken", 0), ("lost", 0), ("t", 1), ("whole", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_too_large_to_count_is_estimated_and_an_endless_view_is_not() {
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)";
    let open = Open::new(&format!(
        "CREATE TABLE t (a INTEGER PRIMARY KEY);
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) INSERT INTO t SELECT n FROM c;
         DELETE FROM t WHERE a = 7;
         CREATE VIEW endless AS {endless} SELECT n FROM c;
         CREATE VIEW silent AS {endless} SELECT n FROM c WHERE n < 0;"
    ))
    .await;
    let exact = open.glance("t", LONG).await.unwrap();
    assert_eq!(exact.rows, Some(RowCount { rows: 299_999, is_exact: true }));
    // No machine counts so many in no time.
    let hasty = open.glance("t", Duration::from_micros(50)).await.unwrap();
    assert!(matches!(hasty.rows, None | Some(RowCount { rows: 300_000, is_exact: false })), "{hasty:?}");
    for (name, samples) in [("endless", vec![vec!["1", "2", "3"]]), ("silent", vec![])] {
        let glance = tokio::time::timeout(LONG / 2, open.glance(name, Duration::from_millis(200))).await;
        let glance = glance.expect("it ends in time").unwrap();
        assert_eq!(glance.rows, None, "{name}");
        assert_eq!(glance.samples, samples, "{name}");
    }
}

#[tokio::test]
async fn sample_values_are_left_out_where_the_source_or_the_operator_says_so() {
    let setup = "CREATE TABLE t (a); INSERT INTO t VALUES ('secret')";
    let no = Settings::from_iter([("samples".to_owned(), false.into())]);
    let strict = Policy { samples: false, ..Policy::default() };
    let yes = Settings::from_iter([("samples".to_owned(), true.into())]);
    for (policy, settings, samples) in [
        (Policy::default(), Settings::new(), 1),
        (Policy::default(), no, 0),
        (strict.clone(), Settings::new(), 0),
        // A source cannot allow what the operator does not.
        (strict, yes, 0),
    ] {
        let glance = Open::with(setup, policy, settings).await.glance("t", LONG).await.unwrap();
        assert_eq!((glance.samples.len(), glance.rows.map(|count| count.rows)), (samples, Some(1)));
    }
}

#[tokio::test]
async fn ten_thousand_tables_are_read_with_their_keys() {
    let mut setup = String::from("BEGIN; CREATE TABLE t0 (id INTEGER PRIMARY KEY);");
    for n in 1..10_000 {
        setup += &format!(
            "CREATE TABLE t{n} (id INTEGER PRIMARY KEY, before REFERENCES t{} (id), name TEXT);",
            n - 1
        );
    }
    let open = Open::new(&(setup + "COMMIT;")).await;
    let schema = open.schema().await;
    assert_eq!((schema.tables.len(), schema.truncated), (10_000, false));
    assert!(schema.tables.iter().filter(|table| table.foreign_keys.len() == 1).count() == 9_999);
    // Stopped in its midst, it ends at once and leaves the source usable.
    let ask = ask();
    let cancel = ask.cancel.clone();
    let source = open.source.clone();
    let reading = tokio::spawn(async move { source.schema(ask).await });
    cancel.cancel();
    let ended =
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("it ends promptly").unwrap();
    assert!(matches!(ended, Err(QueryError::Cancelled)), "{:?}", ended.map(|schema| schema.tables.len()));
    assert_eq!(open.schema().await.tables.len(), 10_000);
}

#[tokio::test]
async fn a_table_that_expands_beyond_the_room_is_left_out_before_it_is_read_whole() {
    // Each index names all columns.
    let columns: Vec<_> = (0..100).map(|n| format!("\"{}{n}\"", "x".repeat(1_000))).collect();
    let all = (0..100).map(|n| format!("{}{n}", "x".repeat(1_000))).collect::<Vec<_>>().join(",");
    let indexes: String = (0..20).map(|n| format!("CREATE INDEX i{n} ON b ({all});")).collect();
    let open = Open::new(&format!(
        "BEGIN; CREATE TABLE a (id); CREATE TABLE b ({}); {indexes} CREATE TABLE c (id); COMMIT;",
        columns.join(", ")
    ))
    .await;
    let told = |schema: Schema| {
        let names: Vec<_> = schema.tables.into_iter().map(|table| table.name).collect();
        (names.join(" "), schema.truncated)
    };
    let with = |bytes: usize| open.source.schema(SchemaAsk { bytes, ..ask() });
    assert_eq!(told(with(1 << 20).await.unwrap()), ("a".into(), true));
    assert_eq!(told(with(64 << 20).await.unwrap()), ("a b c".into(), false));
    // The same with columns and keys alone.
    let columns: Vec<_> = (0..50).map(|n| format!("\"{}{n}\"", "x".repeat(500))).collect();
    let references: String =
        columns.iter().map(|column| format!(", FOREIGN KEY ({column}) REFERENCES b")).collect();
    let open =
        Open::new(&format!("CREATE TABLE a (id); CREATE TABLE b ({}{references})", columns.join(", "))).await;
    for (bytes, tables) in [(16 << 10, "a"), (40 << 10, "a"), (1 << 20, "a b")] {
        let schema = open.source.schema(SchemaAsk { bytes, ..ask() }).await.unwrap();
        assert_eq!(told(schema), (tables.into(), tables == "a"));
    }
}

#[tokio::test]
async fn a_plan_is_told_in_steps_below_each_other() {
    let open = Open::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b INT); CREATE TABLE b (id INT); CREATE INDEX b_id ON b (id);",
    )
    .await;
    let limits =
        Limits { rows: 100, bytes: 1 << 16, cell_bytes: 1 << 12, columns: 10, time: Duration::from_secs(30) };
    let explain = |sql: &str| open.source.explain(Query::new(sql, limits));
    let sql = "; -- what follows\n SELECT * FROM a WHERE b IN (SELECT id FROM b WHERE id = a.id)";
    let error = explain(sql).await.err();
    assert!(error.is_none(), "{error:?}");
    let plan = explain("SELECT * FROM a WHERE id = 1 UNION SELECT a.id, b.id FROM a JOIN b ON b.id = a.b")
        .await
        .unwrap();
    let told: Vec<_> = plan.steps.iter().map(|step| (step.depth, step.detail.as_str())).collect();
    assert!(told[0].0 == 0 && told.iter().any(|(depth, _)| *depth >= 2), "{told:?}");
    assert!(told.iter().any(|(_, detail)| detail.contains("b_id")), "{told:?}");
    // A statement as long as may be can be explained as it can be run.
    let head = "SELECT 1 -- ";
    let longest = format!("{head}{}", "x".repeat(sequel_connector::SQL_BYTES_MAX - head.len()));
    explain(&longest).await.unwrap();
    let error = explain(&format!("{longest}x")).await.unwrap_err();
    assert!(matches!(error, QueryError::Refused(_)), "{error:?}");
}
