//! `search_schema`: tables and columns for words, from the source's catalog.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::fenced::{self, NOTICE};
use super::on_source::Asked;
use super::run_query::{Failure, choose};
use super::told::{self, TableTold};
use crate::catalog::{Catalog, Found};
use crate::mcp::{Detail, SearchSchema, ToolOutcome};
use crate::org::Source;

/// Tables where the client asks for no number: what a model looks through at a glance.
const LIMIT_DEFAULT: u32 = 20;
/// Most tables.
const LIMIT_MAX: u32 = 1_000;
/// Most columns of one table; `describe_table` tells them all.
const COLUMNS_MAX: usize = 60;
/// Most bytes of all tables together, some 60,000 tokens; the answer holds them twice.
const BYTES_MAX: usize = 256 * 1024;

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
        let catalog = asked.catalog(&source, wanted.refresh).await?;
        let catalog = if catalog.search(&wanted.query, 0).total > 0 {
            catalog
        } else {
            // Perhaps what is looked for was made after the catalog.
            asked.catalog_after_miss(&source, &catalog).await?.unwrap_or(catalog)
        };
        let content = content(&catalog, &source, wanted);
        fenced::outcome(&asked.tools.context.rng, &content).map_err(|_| Failure::Random)
    });
    found.await.unwrap_or_else(|message: String| ToolOutcome::error(&message))
}

fn content<'a>(catalog: &Arc<Catalog>, source: &'a Source, wanted: &SearchSchema) -> Content<'a> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize;
    let matches = catalog.search(&wanted.query, limit);
    let mut tables = Vec::with_capacity(matches.tables.len());
    let mut bytes = 0;
    for found in &matches.tables {
        let told = serde_json::value::to_raw_value(&told(catalog, found, wanted.detail));
        let Ok(told) = told else { continue };
        bytes += told.get().len();
        if bytes > BYTES_MAX {
            break;
        }
        tables.push(told);
    }
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
        let names = columns.iter().take(COLUMNS_MAX).filter_map(|at| table.columns.get(*at));
        told.columns = names.map(|column| catalog.sql(&column.name)).collect();
        return told;
    }
    let chosen = told::chosen(table.columns.len(), columns, COLUMNS_MAX);
    told.more_columns = table.columns.len() - chosen.len();
    told.columns = chosen.iter().map(|at| told::column_line(catalog, table, &table.columns[*at])).collect();
    let keys = told::keys(catalog, table);
    match detail {
        Detail::Full => told.keys = keys,
        // A key of several columns stands on none of their lines.
        _ => {
            told.keys.foreign_keys =
                keys.foreign_keys.into_iter().filter(|key| key.starts_with('(')).collect()
        }
    }
    told
}
