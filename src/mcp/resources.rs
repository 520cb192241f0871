//! Schemas as resources (2024-11-05 to 2026-07-28, server/resources): which there are, and what a URI names.
//!
//! Each data source is a resource, and is listed. Each of its tables is one, too, and is found through the template:
//! listing them all would read every schema of an organization whenever a client starts.

use serde_json::value::RawValue;

use super::jsonrpc::string;
use super::uri::decoded;

/// The method, to which its cursors are bound.
pub(super) const LIST: &str = "resources/list";

/// Of every resource.
pub(super) const JSON_MIME_TYPE: &str = "application/json";

/// The template of a data source's own URI.
pub(super) const SOURCE_TEMPLATE: &str = "sequel://sources/{source}";

/// The template of a table's URI.
pub(super) const TABLE_TEMPLATE: &str = "sequel://sources/{source}/tables/{table}";

/// The templates, a JSON array.
pub(super) const TEMPLATES: &str = r#"[
  {
    "uriTemplate": "sequel://sources/{source}",
    "name": "source",
    "title": "Tables of a data source",
    "description": "Tables and views of a data source with their columns.",
    "mimeType": "application/json"
  },
  {
    "uriTemplate": "sequel://sources/{source}/tables/{table}",
    "name": "table",
    "title": "A table",
    "description": "One table or view: columns, keys, foreign keys, indexes, sample values.",
    "mimeType": "application/json"
  }
]"#;

/// Longest URI that is read: a source's name and a table's, each character escaped.
const URI_BYTES_MAX: usize = 8 * 1024;

/// A resource that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUri {
    /// As the client wrote it.
    pub uri: String,
    /// What it names; `None` where it is none of ours, which is answered like one that there is not.
    pub resource: Option<Resource>,
}

/// What a URI names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The tables of the data source of this name.
    Source {
        /// The source.
        source: String,
    },
    /// One table.
    Table {
        /// The source.
        source: String,
        /// The table, as a caller writes it.
        table: String,
    },
}

impl ResourceUri {
    /// Reads `params.uri`. The error is a sentence for the client.
    pub(super) fn read(uri: Option<&RawValue>) -> Result<Self, &'static str> {
        let uri = uri.and_then(string).ok_or("resources/read needs params.uri, a string.")?;
        if uri.len() > URI_BYTES_MAX {
            return Err("params.uri is longer than any resource's.");
        }
        Ok(Self { resource: resource(&uri), uri: uri.into_owned() })
    }
}

fn resource(uri: &str) -> Option<Resource> {
    let path = uri.strip_prefix("sequel://sources/")?;
    if path.contains(['?', '#']) {
        return None;
    }
    let mut segments = path.split('/');
    let source = segments.next().filter(|segment| !segment.is_empty()).and_then(decoded)?;
    let resource = match (segments.next(), segments.next()) {
        (None, _) => Resource::Source { source },
        (Some("tables"), Some(table)) => Resource::Table { source, table: decoded(table)? },
        _ => return None,
    };
    segments.next().is_none().then_some(resource)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::mcp::uri::{segment_into, source_uri};

    proptest! {
        #[test]
        fn every_table_reads_back_from_its_uri(source in "\\PC{1,20}", table in any::<String>()) {
            let mut uri = source_uri(&source);
            prop_assert_eq!(resource(&uri), Some(Resource::Source { source: source.clone() }));
            uri.push_str("/tables/");
            segment_into(&mut uri, &table);
            prop_assert_eq!(resource(&uri), Some(Resource::Table { source, table }));
        }
    }

    #[test]
    fn what_is_not_ours_names_nothing() {
        for uri in [
            "",
            "file:///etc/passwd",
            "sequel://sources/",
            "sequel://sources/a/",
            "sequel://sources/a/tables",
            "sequel://sources/a/tables/b/c",
            "sequel://sources/a/views/b",
            "sequel://sources/a/../b",
            "sequel://sources/a?x=1",
            "sequel://sources/a#x",
            "sequel://sources/%zz",
            "sequel://sources/{source}/tables/%",
        ] {
            assert_eq!(resource(uri), None, "{uri}");
        }
    }

    #[test]
    fn the_listed_templates_are_those_that_completion_knows() {
        let listed: Value = serde_json::from_str(TEMPLATES).unwrap();
        let listed: Vec<_> =
            listed.as_array().unwrap().iter().map(|t| t["uriTemplate"].as_str().unwrap()).collect();
        assert_eq!(listed, [SOURCE_TEMPLATE, TABLE_TEMPLATE]);
    }
}
