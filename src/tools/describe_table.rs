//! `describe_table`: all that there is to know about one table, with a glance into it.

use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{Profile, ProfileAsk, QueryError, SampleLimits, Table};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::encode::without_fence;
use super::fenced::{self, NOTICE};
use super::on_source::Asked;
use super::run_query::{Failure, choose};
use super::told::{self, ColumnTold, Keys};
use crate::catalog::{Catalog, Lookup};
use crate::mcp::{DescribeTable, ToolOutcome};
use crate::org::Source;

/// How long counting may take, and how long sampling: together less than anybody waits for a description.
const GLANCE_TIME: Duration = Duration::from_millis(300);
/// What is brought back of each column: enough to see how values are written.
const SAMPLES: SampleLimits = SampleLimits { rows: 30, values: 5, value_chars: 40 };
/// Columns with sample values; of more a statement would be long and an answer longer.
const SAMPLED_COLUMNS_MAX: usize = 200;
/// Most bytes of all columns together; the answer holds them twice.
const BYTES_MAX: usize = 256 * 1024;
/// Most characters of a name that is told in an error.
const NAME_CHARS_MAX: usize = 64;

/// A description, ready to be written.
#[derive(Serialize)]
pub(super) struct Content<'a> {
    notice: &'static str,
    source: &'a str,
    name: String,
    kind: sequel_connector::TableKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_are: Option<&'static str>,
    columns: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_columns: Option<usize>,
    #[serde(flatten)]
    keys: Keys,
}

pub(super) async fn describe(asked: Asked<'_>, wanted: &DescribeTable) -> ToolOutcome {
    let source = match choose(wanted.source.as_deref(), asked.guard) {
        Ok(source) => source,
        Err(message) => return ToolOutcome::error(&message),
    };
    let described = asked.on_source(&source, async {
        match content(asked, &source, &wanted.table, wanted.refresh).await? {
            Ok(content) => fenced::outcome(&asked.tools.context.rng, &content).map_err(|_| Failure::Random),
            Err(unknown) => Ok(ToolOutcome::error(&unknown)),
        }
    });
    described.await.unwrap_or_else(|message: String| ToolOutcome::error(&message))
}

/// The description of the table that a name means, or a sentence that says that there is none.
pub(super) async fn content<'a>(
    asked: Asked<'_>,
    source: &'a Arc<Source>,
    written: &str,
    refresh: bool,
) -> Result<Result<Content<'a>, String>, Failure> {
    let mut catalog = asked.catalog(source, refresh).await?;
    if matches!(catalog.table(written), Lookup::Unknown(_))
        && let Some(newer) = asked.catalog_after_miss(source, &catalog).await?
    {
        catalog = newer;
    }
    let Lookup::Table(table) = catalog.table(written) else {
        return Ok(Err(unknown(&catalog, source, written)));
    };
    match glance(source, &catalog, table).await {
        Ok(profile) => Ok(Ok(told(source, &catalog, table, &profile))),
        Err(QueryError::Cancelled) => Err(Failure::Query(QueryError::Cancelled)),
        Err(error @ QueryError::Unavailable(_)) => Err(Failure::Query(error)),
        // Too busy to look: the description alone is worth having.
        Err(QueryError::Limit(_)) => Ok(Ok(told(source, &catalog, table, &Profile::default()))),
        Err(QueryError::Sql(_) | QueryError::Refused(_)) => {
            // Dropped since the catalog was read, or a view that cannot be worked out.
            let catalog =
                asked.catalog_after_miss(source, &catalog).await?.unwrap_or_else(|| Arc::clone(&catalog));
            match catalog.table(written) {
                Lookup::Table(table) => Ok(Ok(told(source, &catalog, table, &Profile::default()))),
                _ => Ok(Err(unknown(&catalog, source, written))),
            }
        }
    }
}

async fn glance(source: &Arc<Source>, catalog: &Catalog, table: &Table) -> Result<Profile, QueryError> {
    let handle = source.open().await.map_err(|error| QueryError::Unavailable(Box::new(error)))?;
    let cancel = CancellationToken::new();
    let _stop_on_drop = cancel.clone().drop_guard();
    let columns = table.columns.iter().take(SAMPLED_COLUMNS_MAX).map(|column| catalog.sql(&column.name));
    let ask = ProfileAsk {
        table: catalog.sql_table(table),
        columns: columns.collect(),
        samples: Some(SAMPLES),
        time: GLANCE_TIME,
        cancel,
    };
    handle.profile(ask).await
}

fn told<'a>(source: &'a Source, catalog: &Catalog, table: &Table, profile: &Profile) -> Content<'a> {
    let mut columns = Vec::with_capacity(table.columns.len());
    let mut bytes = 0;
    for (at, column) in table.columns.iter().enumerate() {
        let told = serde_json::value::to_raw_value(&ColumnTold {
            name: catalog.sql(&column.name),
            type_name: &column.type_name,
            nullable: column.nullable,
            comment: column.comment.as_deref().and_then(told::comment),
            samples: profile.samples.get(at).map(Vec::as_slice).unwrap_or_default(),
        });
        let Ok(told) = told else { continue };
        bytes += told.get().len();
        if bytes > BYTES_MAX {
            break;
        }
        columns.push(told);
    }
    let counted = profile.rows;
    let estimate = table.rows_approximate;
    Content {
        notice: NOTICE,
        source: &source.record().name,
        name: catalog.sql_table(table),
        kind: table.kind,
        comment: table.comment.as_deref().and_then(told::comment),
        rows: counted.map(|count| count.rows).or(estimate),
        rows_are: match (counted, estimate) {
            (Some(count), _) if count.is_exact => Some("exact"),
            (None, None) => None,
            _ => Some("estimated"),
        },
        more_columns: Some(table.columns.len() - columns.len()).filter(|more| *more > 0),
        columns,
        keys: told::keys(catalog, table),
    }
}

/// What to tell of a name that means no table, or several.
fn unknown(catalog: &Catalog, source: &Source, written: &str) -> String {
    let shown: String =
        written.trim().chars().filter(|char| !char.is_control()).take(NAME_CHARS_MAX).collect();
    let name = &source.record().name;
    // Whoever makes a table may write a sentence into its name, and no fence stands around an error.
    let plain = |name: &String| {
        name.chars().count() <= NAME_CHARS_MAX
            && name.chars().all(|char| char.is_alphanumeric() || "_.\"`".contains(char))
    };
    let message = match catalog.table(written) {
        Lookup::Several(names) => {
            let names: Vec<_> = names.into_iter().filter(plain).collect();
            format!(
                "There are several tables {shown:?} in the data source {name:?}: {}. Name one with its schema.",
                names.join(", ")
            )
        }
        Lookup::Unknown(near) => {
            let near = near.filter(plain).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            format!(
                "There is no table or view {shown:?} in the data source {name:?}.{near} search_schema finds names; pass \
                 refresh if it was made just now."
            )
        }
        Lookup::Table(_) => {
            format!("The table {shown:?} of the data source {name:?} cannot be read right now.")
        }
    };
    without_fence(&message).into_owned()
}
