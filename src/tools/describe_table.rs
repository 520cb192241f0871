//! `describe_table`: all that there is to know about one table, with a glance into it.

use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{Profile, ProfileAsk, QueryError, SampleLimits, Table};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::encode::without_fence;
use super::fenced::{self, NOTICE};
use super::on_source::{Asked, declined};
use super::run_query::{Failure, choose};
use super::told::{self, Budget, ColumnTold, Keys};
use crate::catalog::{Catalog, Lookup};
use crate::context::{Rng, RngError};
use crate::mcp::{DescribeTable, ToolOutcome};
use crate::org::record::QueryOutcome;
use crate::org::{Had, Source};

/// How long counting may take, and how long sampling: together less than anybody waits for a description.
const GLANCE_TIME: Duration = Duration::from_millis(300);
/// What is brought back of each column: enough to see how values are written.
const SAMPLES: SampleLimits = SampleLimits { rows: 30, values: 5, value_chars: 40 };
/// Columns with sample values; of more a statement would be long and an answer longer.
const SAMPLED_COLUMNS_MAX: usize = 200;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

pub(super) async fn describe(asked: Asked<'_>, wanted: &DescribeTable) -> ToolOutcome {
    let source = match choose(wanted.source.as_deref(), asked.guard) {
        Ok(source) => source,
        Err(message) => return ToolOutcome::error(&message),
    };
    let described = asked.on_source(&source, async {
        let encode: Encode<ToolOutcome> = |rng, content| fenced::outcome(rng, content);
        let described = encoded(asked, &source, &wanted.table, wanted.refresh, encode).await?;
        Ok(described.unwrap_or_else(|unknown| {
            asked.guard.ended(QueryOutcome::SqlError, Some("no_table"));
            ToolOutcome::error(&unknown)
        }))
    });
    described.await.unwrap_or_else(|message: String| ToolOutcome::error(&message))
}

/// How a description becomes an answer.
pub(super) type Encode<T> = fn(&Rng, &Content<'_>) -> Result<T, RngError>;

/// The description of the table that a name means, or a sentence that says that there is none.
pub(super) async fn encoded<T: Send + 'static>(
    asked: Asked<'_>,
    source: &Arc<Source>,
    written: &str,
    refresh: bool,
    encode: Encode<T>,
) -> Result<Result<T, String>, Failure> {
    let Had { mut catalog, mut fresh_in } = asked.catalog(source, refresh).await?;
    let mut glanced = look(asked, source, &catalog, written).await?;
    if matches!(glanced, Err(Missing { is_unknown: true, .. }))
        && let Some(newer) = asked.catalog_after_miss(source, &catalog).await?
    {
        (catalog, fresh_in) = (newer, None);
        glanced = look(asked, source, &catalog, written).await?;
    }
    let ask = match glanced {
        Ok(ask) => ask,
        Err(missing) => {
            let said = std::iter::once(missing.said).chain(fresh_in.map(declined));
            return Ok(Err(said.collect::<Vec<_>>().join(" ")));
        }
    };
    if asked.guard.keeps_what_is_asked() {
        // As the catalog names it: what the client wrote may be anything.
        asked.guard.asks(Some(ask.table.clone()), None);
    }
    let profile = match glance(source, ask).await {
        Ok(profile) => profile,
        Err(QueryError::Cancelled) => return Err(Failure::Query(QueryError::Cancelled)),
        Err(error @ QueryError::Unavailable(_)) => return Err(Failure::Query(error)),
        // Too busy to look: the description alone is worth having.
        Err(QueryError::Limit(_)) => Profile::default(),
        Err(QueryError::Sql(_) | QueryError::Refused(_)) => {
            // Dropped since the catalog was read, or a view that cannot be worked out.
            if let Some(newer) = asked.catalog_after_miss(source, &catalog).await? {
                (catalog, fresh_in) = (newer, None);
            }
            Profile::default()
        }
    };
    let (rng, written, of) = (asked.tools.context.rng.clone(), written.to_owned(), Arc::clone(source));
    let made = source.beside(&catalog, move |catalog| match catalog.table(&written) {
        Lookup::Table(table) => {
            let mut content = told(&of, catalog, table, &profile);
            content.hint = fresh_in.map(declined);
            encode(&rng, &content).map(Ok)
        }
        other => Ok(Err(unknown(&other, &of, &written))),
    });
    made.await.map_err(Failure::Query)?.map_err(|_| Failure::Random)
}

/// A name that means no table, and what to say of it.
struct Missing {
    said: String,
    // Perhaps a newer catalog has it.
    is_unknown: bool,
}

/// What to ask for a glance into the table that a name means.
async fn look(
    asked: Asked<'_>,
    source: &Arc<Source>,
    catalog: &Arc<Catalog>,
    written: &str,
) -> Result<Result<ProfileAsk, Missing>, Failure> {
    let (written, of) = (written.to_owned(), Arc::clone(source));
    let origin = asked.guard.origin(asked.request_id);
    let looked = source.beside(catalog, move |catalog| match catalog.table(&written) {
        Lookup::Table(table) => {
            let columns = table.columns.iter().take(SAMPLED_COLUMNS_MAX);
            Ok(ProfileAsk {
                table: catalog.sql_table(table),
                columns: columns.map(|column| catalog.sql(&column.name)).collect(),
                samples: Some(SAMPLES),
                time: GLANCE_TIME,
                cancel: CancellationToken::new(),
                origin,
            })
        }
        other => Err(Missing {
            said: unknown(&other, &of, &written),
            is_unknown: matches!(other, Lookup::Unknown(_)),
        }),
    });
    looked.await.map_err(Failure::Query)
}

async fn glance(source: &Arc<Source>, ask: ProfileAsk) -> Result<Profile, QueryError> {
    let handle = source.open().await.map_err(|error| QueryError::Unavailable(Box::new(error)))?;
    let _stop_on_drop = ask.cancel.clone().drop_guard();
    handle.profile(ask).await
}

fn told<'a>(source: &'a Source, catalog: &Catalog, table: &Table, profile: &Profile) -> Content<'a> {
    let mut budget = Budget::new(told::BYTES_MAX);
    let name = told::table_name(catalog, table);
    let comment = table.comment.as_deref().and_then(told::comment);
    let keys = told::keys(catalog, table);
    // These are bounded by themselves, and the columns get what they leave.
    let _ = (budget.told(&name), budget.told(&comment), budget.told(&keys));
    let mut columns = Vec::with_capacity(table.columns.len());
    for (at, column) in table.columns.iter().enumerate() {
        let told = budget.told(&ColumnTold {
            name: told::name(catalog, &column.name),
            type_name: told::type_name(&column.type_name),
            nullable: column.nullable,
            comment: column.comment.as_deref().and_then(told::comment),
            samples: profile.samples.get(at).map(Vec::as_slice).unwrap_or_default(),
        });
        match told {
            Some(told) => columns.push(told),
            None => break,
        }
    }
    let counted = profile.rows;
    let estimate = table.rows_approximate;
    Content {
        notice: NOTICE,
        source: &source.record().name,
        name,
        kind: table.kind,
        comment,
        rows: counted.map(|count| count.rows).or(estimate),
        rows_are: match (counted, estimate) {
            (Some(count), _) if count.is_exact => Some("exact"),
            (None, None) => None,
            _ => Some("estimated"),
        },
        more_columns: Some(table.columns.len() - columns.len()).filter(|more| *more > 0),
        columns,
        keys,
        hint: None,
    }
}

/// What to tell of a name that means no table, or several.
fn unknown(found: &Lookup<'_>, source: &Source, written: &str) -> String {
    let shown: String =
        written.trim().chars().filter(|char| !char.is_control()).take(NAME_CHARS_MAX).collect();
    let name = &source.record().name;
    // Whoever makes a table may write a sentence into its name, and no fence stands around an error.
    let plain = |name: &&String| {
        name.chars().count() <= NAME_CHARS_MAX
            && name.chars().all(|char| char.is_alphanumeric() || "_.\"`".contains(char))
    };
    let message = match found {
        Lookup::Several(names) => {
            let names: Vec<_> = names.iter().filter(plain).map(String::as_str).collect();
            format!(
                "There are several tables {shown:?} in the data source {name:?}: {}. Name one with its schema.",
                names.join(", ")
            )
        }
        Lookup::Unknown(near) => {
            let near =
                near.as_ref().filter(plain).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
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
