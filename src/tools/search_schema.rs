//! `search_schema`: tables and columns for words, from the source's catalog.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::fenced::{self, NOTICE};
use super::on_source::{Asked, declined};
use super::run_query::{Failure, choose};
use super::told::{self, Budget, TableTold};
use crate::catalog::{Catalog, Found};
use crate::mcp::{Detail, SearchSchema, ToolOutcome};
use crate::org::{Had, Source};

/// Tables where the client asks for no number: what a model looks through at a glance.
const LIMIT_DEFAULT: u32 = 20;
/// Most tables.
const LIMIT_MAX: u32 = 1_000;
/// Most columns of one table; `describe_table` tells them all.
const COLUMNS_MAX: usize = 60;

#[derive(Serialize)]
struct Content<'a> {
    notice: &'static str,
    source: &'a str,
    tables: Vec<Box<RawValue>>,
    total: usize,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

pub(super) async fn search(asked: Asked<'_>, wanted: &SearchSchema) -> ToolOutcome {
    let source = match choose(wanted.source.as_deref(), asked.guard) {
        Ok(source) => source,
        Err(message) => return ToolOutcome::error(&message),
    };
    let found = asked.on_source(&source, async {
        let Had { catalog, fresh_in } = asked.catalog(&source, wanted.refresh).await?;
        let (outcome, total) = encoded(asked, &source, &catalog, wanted, fresh_in).await?;
        if total > 0 {
            return Ok(outcome);
        }
        // Perhaps what is looked for was made after the catalog.
        match asked.catalog_after_miss(&source, &catalog).await? {
            Some(newer) => encoded(asked, &source, &newer, wanted, None).await.map(|(outcome, _)| outcome),
            None => Ok(outcome),
        }
    });
    found.await.unwrap_or_else(|message: String| ToolOutcome::error(&message))
}

/// The answer out of one catalog, and how many tables there are for the words.
async fn encoded(
    asked: Asked<'_>,
    source: &Arc<Source>,
    catalog: &Arc<Catalog>,
    wanted: &SearchSchema,
    fresh_in: Option<Duration>,
) -> Result<(ToolOutcome, usize), Failure> {
    let (rng, wanted, of) = (asked.tools.context.rng.clone(), wanted.clone(), Arc::clone(source));
    let made = source.beside(catalog, move |catalog| {
        let mut content = content(catalog, &of, &wanted);
        let hints = content.hint.into_iter().chain(fresh_in.map(declined));
        content.hint = hints.reduce(|one, other| format!("{one} {other}"));
        fenced::outcome(&rng, &content).map(|outcome| (outcome, content.total))
    });
    made.await.map_err(Failure::Query)?.map_err(|_| Failure::Random)
}

fn content<'a>(catalog: &Catalog, source: &'a Source, wanted: &SearchSchema) -> Content<'a> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize;
    let matches = catalog.search(&wanted.query, limit);
    let mut budget = Budget::new(told::BYTES_MAX);
    let tables: Vec<_> = (matches.tables.iter())
        .map_while(|found| budget.told(&told(catalog, found, wanted.detail)))
        .collect();
    let cut = matches.total - tables.len();
    let hint = match (matches.total, cut) {
        (0, _) if catalog.tables().is_empty() => Some("There are no tables in this data source.".to_owned()),
        (0, _) => Some(format!(
            "Nothing is called so. Try other or fewer words, or no query to list all {} tables.",
            catalog.tables().len()
        )),
        (_, 0) if catalog.is_truncated() => Some(format!(
            "Only the first {} tables of this database are known here; ask its own catalog with run_query for others.",
            catalog.tables().len()
        )),
        (_, 0) => None,
        (_, cut) => {
            Some(format!("{cut} more were left out. Use other words, a higher limit or less detail."))
        }
    };
    Content {
        notice: NOTICE,
        source: &source.record().name,
        tables,
        total: matches.total,
        truncated: cut > 0 || catalog.is_truncated(),
        hint,
    }
}

/// As much of one table as was asked for.
pub(super) fn told(catalog: &Catalog, found: &Found<'_>, detail: Detail) -> TableTold {
    let Found { table, columns } = found;
    let mut told = told::table(catalog, table);
    if detail == Detail::Names {
        // What the columns are that do not fit nobody asked for.
        (told.columns, _) = told::column_names(catalog, table, columns, COLUMNS_MAX);
        return told;
    }
    (told.columns, told.more_columns) = told::column_lines(catalog, table, columns, COLUMNS_MAX);
    told.keys = match detail {
        Detail::Full => told::keys(catalog, table),
        // A key of several columns stands on none of their lines.
        _ => told::wide_keys(catalog, table),
    };
    told
}
