//! `subscriptions/listen`: which notices a client opts in to, and every message of such a stream.
//!
//! 2026-07-28, basic/patterns/subscriptions: the acknowledgement comes first and says what is honoured,
//! nothing that was not asked for is ever sent, each message carries the id of the request that opened the
//! stream, and a stream that the server ends says so with the request's result. Knows no stream and no change:
//! it reads the request and writes the messages.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use super::jsonrpc::{NotObject, RequestId, object, present, string};
use super::uri::source_of;

/// Most resources that one stream may watch. An organization has at most some hundred sources, and a client
/// that wants all of them asks for the list's changes.
pub const RESOURCES_MAX: usize = 64;
/// Longest URI that is watched; ours are a name of at most 100 characters and its escapes.
const URI_BYTES_MAX: usize = 2_048;

/// A stream of notices to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The request's id, which is also the stream's.
    pub id: RequestId,
    // Whether changes of the list of resources were asked for.
    resources: bool,
    // The watched resources, all of them ours.
    uris: Vec<String>,
    // `_meta` of every result, an object with one member at least.
    meta: Bytes,
}

#[derive(Default, Deserialize)]
struct Filter<'a> {
    #[serde(borrow, default, deserialize_with = "present", rename = "toolsListChanged")]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "promptsListChanged")]
    prompts: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "resourcesListChanged")]
    resources: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "resourceSubscriptions")]
    uris: Option<&'a RawValue>,
}

impl Listen {
    /// Reads `params.notifications`. The error is a sentence for the client.
    ///
    /// What changes while a server runs is what a credential reaches, and so its resources. Tools and prompts are
    /// the program's own: whoever asks for their changes is told by the acknowledgement that there are none.
    pub(super) fn read(
        id: RequestId,
        notifications: Option<&RawValue>,
        meta: &Bytes,
    ) -> Result<Self, String> {
        let Some(filter) = notifications else {
            return Err("subscriptions/listen needs params.notifications, an object.".into());
        };
        let filter: Filter<'_> = object(filter.get()).map_err(|_: NotObject| {
            "params.notifications must be an object with each member at most once.".to_owned()
        })?;
        for (never, name) in [(filter.tools, "toolsListChanged"), (filter.prompts, "promptsListChanged")] {
            flag(never, name)?;
        }
        let resources = flag(filter.resources, "resourcesListChanged")?;
        let mut uris = uris(filter.uris)?;
        // A stranger's URI never changes here: it is left out of the acknowledgement.
        uris.retain(|uri| source_of(uri).is_some());
        Ok(Self { id, resources, uris, meta: meta.clone() })
    }

    /// Whether changes of the list of resources were asked for.
    pub fn wants_resource_list(&self) -> bool {
        self.resources
    }

    /// The watched resources that belong to a data source of one of these names.
    pub fn watched<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a str> {
        self.uris.iter().map(String::as_str).filter(|uri| {
            let source = source_of(uri);
            source.is_some_and(|source| names.contains(&source))
        })
    }

    /// `notifications/subscriptions/acknowledged`: always the first message.
    pub fn acknowledged(&self) -> Bytes {
        let mut out = self.notification("notifications/subscriptions/acknowledged");
        out.extend_from_slice(b",\"notifications\":{");
        if self.resources {
            out.extend_from_slice(b"\"resourcesListChanged\":true");
        }
        if !self.uris.is_empty() {
            out.extend_from_slice(if self.resources { b",\"" } else { b"\"" });
            out.extend_from_slice(b"resourceSubscriptions\":");
            for (at, uri) in self.uris.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                json::string_into(&mut out, uri);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}}}");
        out.into()
    }

    /// The list of resources has changed.
    pub fn resource_list_changed(&self) -> Bytes {
        let mut out = self.notification("notifications/resources/list_changed");
        out.extend_from_slice(b"}}");
        out.into()
    }

    /// A watched resource has changed.
    pub fn updated(&self, uri: &str) -> Bytes {
        let mut out = self.notification("notifications/resources/updated");
        out.extend_from_slice(b",\"uri\":");
        json::string_into(&mut out, uri);
        out.extend_from_slice(b"}}");
        out.into()
    }

    /// The result of the request: the server ends the stream, and the client may open another.
    pub fn closed(&self) -> Bytes {
        let id = self.id.as_json();
        let meta = std::str::from_utf8(&self.meta).unwrap_or_default();
        let meta = meta.strip_prefix('{').unwrap_or_default();
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id},{meta}}}}}"#
        );
        text.into()
    }

    /// A notification up to and with its `_meta`; `params` is still open.
    fn notification(&self, method: &str) -> Vec<u8> {
        let id = self.id.as_json();
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#
        );
        text.into_bytes()
    }
}

fn flag(raw: Option<&RawValue>, name: &str) -> Result<bool, String> {
    match raw.map(RawValue::get) {
        None | Some("null" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(format!("params.notifications.{name} must be true or false.")),
    }
}

fn uris(raw: Option<&RawValue>) -> Result<Vec<String>, String> {
    let wrong = || {
        format!(
            "params.notifications.resourceSubscriptions must be a list of at most {RESOURCES_MAX} URIs of at most \
             {URI_BYTES_MAX} bytes."
        )
    };
    let items: Vec<&RawValue> = match raw.map(RawValue::get) {
        None | Some("null") => return Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|_| wrong())?,
    };
    if items.len() > RESOURCES_MAX {
        return Err(wrong());
    }
    let mut uris: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let uri = string(item).filter(|uri| uri.len() <= URI_BYTES_MAX).ok_or_else(wrong)?;
        if !uris.iter().any(|known| *known == uri) {
            uris.push(uri.into_owned());
        }
    }
    Ok(uris)
}
