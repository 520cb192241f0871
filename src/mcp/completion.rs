//! `completion/complete` (2024-11-05 to 2026-07-28, server/utilities/completion): which argument of which prompt or
//! template a person is typing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::era::{Params, quoted};
use super::jsonrpc::{NotObject, object, present, string};
use super::prompts::EXPLORE;
use super::resources::{SOURCE_TEMPLATE, TABLE_TEMPLATE};

/// Longest beginning that is completed, in bytes; names are shorter.
const VALUE_BYTES_MAX: usize = 1024;

/// What to complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complete {
    /// The name of a data source that begins so.
    Source {
        /// What was typed.
        value: String,
    },
    /// The name of a table that begins so.
    Table {
        /// The data source that was chosen before; `None` where there may be just one.
        source: Option<String>,
        /// What was typed.
        value: String,
    },
    /// Free text, for which there are no proposals.
    Nothing,
}

/// Members of the objects in the parameters, each of which has some of them.
#[derive(Default, Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default, deserialize_with = "present", rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    uri: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    source: Option<&'a RawValue>,
}

impl Complete {
    /// Reads `params`. The error is a sentence for the client.
    pub(super) fn read(params: &Params<'_>) -> Result<Self, String> {
        let reference: Reference<'_> =
            members(params.reference, "params.ref")?.ok_or("completion/complete needs params.ref.")?;
        let argument: Reference<'_> = members(params.argument, "params.argument")?
            .ok_or("completion/complete needs params.argument.")?;
        let name = argument.name.and_then(string).ok_or("params.argument.name must be a string.")?;
        let value = argument.value.and_then(string).ok_or("params.argument.value must be a string.")?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("params.argument.value has at most {VALUE_BYTES_MAX} bytes."));
        }
        let value = value.into_owned();
        let arguments = arguments(&reference)?;
        if !arguments.contains(&&*name) {
            let known = arguments.join(", ");
            return Err(format!("There is no argument {} to complete; there is {known}.", quoted(&name)));
        }
        Ok(match &*name {
            "source" => Self::Source { value },
            "table" => Self::Table { source: source(params.context)?, value },
            _ => Self::Nothing,
        })
    }
}

/// The arguments of what is referred to.
fn arguments(reference: &Reference<'_>) -> Result<&'static [&'static str], String> {
    let text = |raw: Option<&RawValue>| raw.and_then(string).map(|text| text.into_owned());
    match text(reference.kind).as_deref() {
        Some("ref/prompt") => match text(reference.name).ok_or("params.ref.name must be a string.")? {
            name if name == EXPLORE => Ok(&["source", "question"]),
            name => Err(format!("Unknown prompt: {}. Ask prompts/list for the names.", quoted(&name))),
        },
        Some("ref/resource") => match text(reference.uri).ok_or("params.ref.uri must be a string.")? {
            uri if uri == TABLE_TEMPLATE => Ok(&["source", "table"]),
            uri if uri == SOURCE_TEMPLATE => Ok(&["source"]),
            uri => Err(format!("Unknown resource template: {}. Ask resources/templates/list.", quoted(&uri))),
        },
        _ => Err("params.ref.type must be \"ref/prompt\" or \"ref/resource\".".into()),
    }
}

/// The data source that was chosen before (`params.context.arguments.source`).
fn source(context: Option<&RawValue>) -> Result<Option<String>, String> {
    let context: Reference<'_> = members(context, "params.context")?.unwrap_or_default();
    let chosen: Reference<'_> = members(context.arguments, "params.context.arguments")?.unwrap_or_default();
    Ok(chosen.source.and_then(string).map(|source| source.into_owned()).filter(|source| !source.is_empty()))
}

fn members<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>, what: &str) -> Result<Option<T>, String> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) => object(text)
            .map(Some)
            .map_err(|_: NotObject| format!("{what} must be an object with each member at most once.")),
    }
}
