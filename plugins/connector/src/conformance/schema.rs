//! What a connector says about its database: schema, plans, and glances into a table.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Fixture, PROMPTLY, WIDE, query};
use crate::{
    DataSource, Limits, Origin, ProfileAsk, QueryError, RowCount, SampleLimits, Schema, SchemaAsk, TableKind,
};

/// A reading of the schema that meets no limit by accident.
fn wide_schema() -> SchemaAsk {
    let (tables, bytes) = (10_000, 64 << 20);
    SchemaAsk { tables, bytes, time: Duration::from_secs(60), cancel: CancellationToken::new() }
}

async fn schema(source: &dyn DataSource, ask: SchemaAsk) -> Schema {
    source.schema(ask).await.expect("the schema can be read")
}

pub async fn the_schema_lists_tables_keys_and_indexes(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let schema = schema(&*source, wide_schema()).await;
    assert!(!schema.truncated);
    let ours: Vec<_> = schema.tables.iter().filter(|table| table.name.starts_with("conformance_")).collect();
    let names: Vec<_> = ours.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["conformance_author", "conformance_book", "conformance_shelf"]);
    let [author, book, shelf] = ours[..] else { unreachable!("three names were compared") };
    assert_eq!((author.kind, book.kind, shelf.kind), (TableKind::Table, TableKind::Table, TableKind::View));
    assert_eq!(author.primary_key, ["id"]);
    assert!(author.indexes.iter().any(|index| index.columns == ["name"] && index.unique));
    assert_eq!(book.primary_key, ["author_id", "number"]);
    let columns: Vec<_> = book.columns.iter().map(|column| (column.name.as_str(), column.nullable)).collect();
    assert_eq!(columns, [("author_id", false), ("number", false), ("title", false), ("price", true)]);
    assert!(book.columns.iter().all(|column| !column.type_name.is_empty()));
    let [key] = &book.foreign_keys[..] else { panic!("{:?}", book.foreign_keys) };
    assert_eq!(
        (&key.columns[..], key.references_table.as_str()),
        (&["author_id".to_owned()][..], "conformance_author")
    );
    assert!(key.references_columns.is_empty() || key.references_columns == ["id"]);
    let index = book
        .indexes
        .iter()
        .find(|index| index.name == "conformance_book_title")
        .expect("the index is listed");
    assert_eq!((&index.columns[..], index.unique), (&["title".to_owned(), "price".to_owned()][..], false));
    let columns: Vec<_> = shelf.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["name", "title"]);
}

pub async fn comments_are_told_where_the_engine_keeps_them(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let schema = schema(&*source, wide_schema()).await;
    let book =
        schema.tables.iter().find(|table| table.name == "conformance_book").expect("the table is listed");
    let told: Vec<_> = book.columns.iter().map(|column| column.comment.as_deref()).collect();
    let (table, price) = match fixture.has_comments() {
        true => (Some("what each author wrote"), Some("in euros, without tax")),
        false => (None, None),
    };
    assert_eq!((book.comment.as_deref(), told), (table, vec![None, None, None, price]));
}

pub async fn a_schema_beyond_its_limits_is_cut_and_says_so(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let whole = schema(&*source, wide_schema()).await;
    let at = schema(&*source, SchemaAsk { tables: whole.tables.len(), ..wide_schema() }).await;
    assert_eq!(at, whole);
    let past = schema(&*source, SchemaAsk { tables: whole.tables.len() - 1, ..wide_schema() }).await;
    assert_eq!((past.tables.len(), past.truncated), (whole.tables.len() - 1, true));
    let bytes: usize = whole.tables.iter().map(crate::Table::heap_bytes).sum();
    let at = schema(&*source, SchemaAsk { bytes, ..wide_schema() }).await;
    assert_eq!(at, whole);
    let past = schema(&*source, SchemaAsk { bytes: bytes - 1, ..wide_schema() }).await;
    assert_eq!((past.tables.len(), past.truncated), (whole.tables.len() - 1, true));
}

pub async fn reading_the_schema_is_stopped_by_its_token(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let ask = wide_schema();
    ask.cancel.cancel();
    let ended = tokio::time::timeout(PROMPTLY, source.schema(ask)).await.expect("it ends promptly");
    assert!(matches!(ended, Err(QueryError::Cancelled)), "{ended:?}");
    schema(&*source, wide_schema()).await;
}

pub async fn a_query_is_explained_without_being_run(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let sql =
        "SELECT a.name, b.title FROM conformance_book b JOIN conformance_author a ON a.id = b.author_id";
    let plan = source.explain(query(sql, WIDE)).await.expect("it can be explained");
    assert!(!plan.steps.is_empty() && !plan.truncated, "{plan:?}");
    assert_eq!(plan.steps[0].depth, 0);
    assert!(plan.steps.iter().all(|step| !step.detail.is_empty()), "{plan:?}");
    let endless = tokio::time::timeout(PROMPTLY, source.explain(query(fixture.endless(), WIDE))).await;
    endless.expect("it does not run").expect("it can be explained");
    let steps = plan.steps.len();
    let cut = source.explain(query(sql, Limits { rows: steps as u64 - 1, ..WIDE })).await.expect("it is cut");
    assert_eq!((cut.steps.len(), cut.truncated), (steps - 1, true));
}

pub async fn what_is_refused_as_a_query_is_refused_as_a_plan(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let common = ["DELETE FROM conformance_book", "SELECT 1; SELECT 2", "", "EXPLAIN SELECT 1", "COMMIT"];
    for sql in common.iter().map(|sql| (*sql).to_owned()).chain(fixture.writes()) {
        let error = source.explain(query(&sql, WIDE)).await.expect_err(&sql);
        assert!(matches!(error, QueryError::Refused(_)), "{sql}: {error:?}");
    }
    let error =
        source.explain(query("SELECT titel FROM conformance_book", WIDE)).await.expect_err("a wrong name");
    assert!(matches!(&error, QueryError::Sql(message) if message.contains("titel")), "{error:?}");
    let stopped = query("SELECT 1", WIDE);
    stopped.cancel.cancel();
    let error = source.explain(stopped).await.expect_err("it was cancelled");
    assert!(matches!(error, QueryError::Cancelled), "{error:?}");
}

pub async fn a_glance_counts_rows_and_brings_a_few_values(fixture: &dyn Fixture) {
    let source = fixture.open().await;
    let samples = SampleLimits { rows: 10, values: 2, value_chars: 5 };
    let ask = ProfileAsk {
        table: source.dialect().identifier("conformance_book"),
        columns: ["author_id", "title", "price"].map(|name| source.dialect().quoted(name)).to_vec(),
        samples: Some(samples),
        time: Duration::from_secs(60),
        cancel: CancellationToken::new(),
        origin: Origin::default(),
    };
    let profile = source.profile(ask.clone()).await.expect("the table can be read");
    assert_eq!(profile.rows, Some(RowCount { rows: 3, is_exact: true }));
    let [authors, titles, prices] = &profile.samples[..] else { panic!("{profile:?}") };
    assert_eq!(authors, &["1", "2"]);
    assert_eq!((titles.len(), prices.len()), (2, 2));
    // Five characters and no more; NULL is no value.
    assert!(["Notes", "Ansic…", "Billa…"].contains(&titles[0].as_str()), "{titles:?}");
    assert!(prices.iter().all(|price| ["2.5", "9"].contains(&price.as_str())), "{prices:?}");
    let none =
        source.profile(ProfileAsk { samples: None, ..ask.clone() }).await.expect("the table can be read");
    assert!(none.samples.is_empty() && none.rows.is_some());
    let gone = ProfileAsk { table: "conformance_gone".into(), ..ask.clone() };
    let error = source.profile(gone).await.expect_err("there is no such table");
    assert!(matches!(error, QueryError::Sql(_)), "{error:?}");
    ask.cancel.cancel();
    let error = source.profile(ask).await.expect_err("it was cancelled");
    assert!(matches!(error, QueryError::Cancelled), "{error:?}");
}
