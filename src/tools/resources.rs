//! Schemas as resources, and completions of their names.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::describe_table::{self, Encode};
use super::encode::fence_at;
use super::fenced::{self, NOTICE};
use super::on_source::Asked;
use super::run_query::Failure;
use super::search_schema::told;
use super::told::{self, Budget};
use crate::catalog::{Catalog, Found};
use crate::mcp::{
    Complete, Completions, DataSourceEntry, Detail, Outcome, Resource, ResourcePage, ResourceUri,
};
use crate::org::{CallGuard, Source};

/// What of the bytes of a source's resource tables with their columns leave; what does not fit is told by name.
const NAMES_BYTES: usize = told::BYTES_MAX / 2;

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
    let read = asked.on_source(source, async {
        match table {
            None => {
                let catalog = asked.catalog(source, false).await?.catalog;
                let (rng, of) = (asked.tools.context.rng.clone(), Arc::clone(source));
                let made =
                    source.beside(&catalog, move |catalog| fenced::resource(&rng, &content(&of, catalog)));
                made.await.map_err(Failure::Query)?.map_err(|_| Failure::Random)
            }
            Some(table) => {
                let encode: Encode<Outcome> = |rng, content| fenced::resource(rng, content);
                let read = describe_table::encoded(asked, source, table, false, encode).await?;
                Ok(read.unwrap_or(Outcome::NoResource))
            }
        }
    });
    read.await.unwrap_or_else(Outcome::Failed)
}

fn content<'a>(source: &'a Source, catalog: &Catalog) -> Content<'a> {
    let mut tables = Vec::new();
    let mut budget = Budget::new(told::BYTES_MAX);
    for table in catalog.tables() {
        let found = Found { table, columns: Vec::new() };
        let detail = if budget.left() > NAMES_BYTES { Detail::Columns } else { Detail::Names };
        match budget.told(&told(catalog, &found, detail)) {
            Some(told) => tables.push(told),
            None => break,
        }
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
        let catalog = asked.catalog(source, false).await?.catalog;
        let (mut values, mut total) = completed(source, &catalog, typed).await?;
        if total == 0
            && let Some(newer) = asked.catalog_after_miss(source, &catalog).await?
        {
            (values, total) = completed(source, &newer, typed).await?;
        }
        Ok(Outcome::Completions(Completions { values, total }))
    });
    found.await.unwrap_or_else(Outcome::Failed)
}

/// No fence stands around a completion, and a client may show it to its model.
async fn completed(
    source: &Arc<Source>,
    catalog: &Arc<Catalog>,
    typed: &str,
) -> Result<(Vec<String>, usize), Failure> {
    let typed = typed.to_owned();
    let found = source.beside(catalog, move |catalog| catalog.complete(&typed, Completions::VALUES_MAX));
    let (mut values, total) = found.await.map_err(Failure::Query)?;
    values.retain(|value| fence_at(value).is_none());
    Ok((values, total))
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
