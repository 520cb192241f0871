//! Schemas as resources, and completions of their names.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::describe_table;
use super::fenced::{self, NOTICE};
use super::on_source::Asked;
use super::run_query::Failure;
use super::search_schema::told;
use crate::catalog::{Catalog, Found};
use crate::mcp::{
    Complete, Completions, DataSourceEntry, Detail, Outcome, Resource, ResourcePage, ResourceUri,
};
use crate::org::{CallGuard, Source};

/// Most bytes of the tables in a source's resource. Tables that do not fit with their columns are told by name.
const COLUMNS_BYTES_MAX: usize = 128 * 1024;
const NAMES_BYTES_MAX: usize = 256 * 1024;

#[derive(Serialize)]
struct Content<'a> {
    notice: &'static str,
    source: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    tables: Vec<Box<RawValue>>,
    total: usize,
    truncated: bool,
}

/// The data sources that the credential reaches, behind the one of this name.
pub(super) fn list(guard: &CallGuard, after: Option<&str>) -> Outcome {
    let behind = |source: &&Arc<Source>| after.is_none_or(|after| source.record().name.as_str() > after);
    let mut sources: Vec<_> = guard.sources().filter(behind).collect();
    sources.sort_by(|a, b| a.record().name.cmp(&b.record().name));
    Outcome::Resources(ResourcePage::of(sources.into_iter().map(|source| {
        let record = source.record();
        DataSourceEntry { name: &record.name, kind: &record.kind, description: record.description.as_deref() }
    })))
}

pub(super) async fn read(asked: Asked<'_>, wanted: &ResourceUri) -> Outcome {
    let (name, table) = match &wanted.resource {
        Some(Resource::Source { source }) => (source, None),
        Some(Resource::Table { source, table }) => (source, Some(table)),
        None => return Outcome::NoResource,
    };
    let Some(source) = asked.guard.sources().find(|source| source.record().name == *name) else {
        return Outcome::NoResource;
    };
    let rng = &asked.tools.context.rng;
    let text = asked.on_source(source, async {
        let text = match table {
            None => {
                let catalog = asked.catalog(source, false).await?;
                fenced::resource(rng, &content(source, &catalog))
            }
            Some(table) => match describe_table::content(asked, source, table, false).await? {
                Ok(content) => fenced::resource(rng, &content),
                Err(_) => return Ok(Outcome::NoResource),
            },
        };
        text.map(Outcome::Resource).map_err(|_| Failure::Random)
    });
    text.await.unwrap_or_else(Outcome::Failed)
}

fn content<'a>(source: &'a Source, catalog: &Catalog) -> Content<'a> {
    let mut tables = Vec::new();
    let mut bytes = 0;
    for table in catalog.tables() {
        let found = Found { table, columns: Vec::new() };
        let detail = if bytes < COLUMNS_BYTES_MAX { Detail::Columns } else { Detail::Names };
        let Ok(told) = serde_json::value::to_raw_value(&told(catalog, &found, detail)) else { continue };
        bytes += told.get().len();
        if bytes > NAMES_BYTES_MAX {
            break;
        }
        tables.push(told);
    }
    let record = source.record();
    let total = catalog.tables().len();
    Content {
        notice: NOTICE,
        source: &record.name,
        kind: &record.kind,
        description: record.description.as_deref(),
        truncated: tables.len() < total || catalog.is_truncated(),
        tables,
        total,
    }
}

pub(super) async fn complete(asked: Asked<'_>, wanted: &Complete) -> Outcome {
    let (name, typed) = match wanted {
        Complete::Nothing => return Outcome::Completions(Completions::default()),
        Complete::Source { value } => return Outcome::Completions(sources(asked.guard, value)),
        Complete::Table { source, value } => (source, value),
    };
    let mut reached =
        asked.guard.sources().filter(|source| name.as_ref().is_none_or(|name| *name == source.record().name));
    // Of several sources none is meant, and one that is not reached has no tables.
    let (Some(source), None) = (reached.next(), reached.next()) else {
        return Outcome::Completions(Completions::default());
    };
    let found = asked.on_source(source, async {
        let mut catalog = asked.catalog(source, false).await?;
        if catalog.complete(typed, 0).1 == 0
            && let Some(newer) = asked.catalog_after_miss(source, &catalog).await?
        {
            catalog = newer;
        }
        let (values, total) = catalog.complete(typed, Completions::VALUES_MAX);
        Ok(Outcome::Completions(Completions { values, total }))
    });
    found.await.unwrap_or_else(Outcome::Failed)
}

fn sources(guard: &CallGuard, typed: &str) -> Completions {
    let typed = typed.trim().to_lowercase();
    let names =
        || guard.sources().map(|source| source.record().name.clone()).map(|name| (name.to_lowercase(), name));
    let begin = names().filter(|(folded, _)| folded.starts_with(&typed));
    let hold = names().filter(|(folded, _)| !folded.starts_with(&typed) && folded.contains(&typed));
    let mut values: Vec<_> = begin.chain(hold).map(|(_, name)| name).collect();
    let total = values.len();
    values.truncate(Completions::VALUES_MAX);
    Completions { values, total }
}
