//! A server for the official conformance tool: `sequel demo` with the tools, resources and prompts that its
//! scenarios want, mounted over the same transport and core. Test-only; the product has none of this.
//!
//! The names, texts and shapes are the scenarios' own demands.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sequel::config::{Config, Flags, LoadOptions};
use sequel::mcp::{Asked, Era, Injected, InjectedAnswer, ToolOutcome};
use sequel::org::{CallGuard, Step};
use sequel::run::{DemoOptions, demo_with};
use sequel::tools::InjectedTools;
use serde_json::{Value, json};

/// One red pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A header without a sample.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
/// Between two notes of progress: long enough that each is sent by itself.
const PAUSE: Duration = Duration::from_millis(50);

const INVALID_PARAMS: i32 = -32602;
const MISSING_CAPABILITY: i32 = -32021;
/// Resource not found, up to 2025-11-25.
const NOT_FOUND: i32 = -32002;

#[derive(Debug)]
struct Fixture;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(data_dir), Some(port), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: conformance_fixture DATA_DIR PORT");
    };
    let port = port.to_string_lossy().parse()?;
    let flags = Flags { data_dir: Some(PathBuf::from(data_dir)), port: Some(port) };
    let config = Config::load(LoadOptions::with_process_env(None, flags))?;
    demo_with(DemoOptions { config, json: true }, |edge| {
        edge.facts = edge.facts.clone().with_injected(Arc::new(Fixture));
        edge.tools.injected = Some(Arc::new(Fixture));
    })
}

impl Injected for Fixture {
    fn capabilities(&self, era: Era) -> String {
        let resources = match era {
            Era::Modern => json!({ "listChanged": true, "subscribe": true }),
            Era::Legacy => json!({}),
        };
        json!({ "tools": {}, "prompts": {}, "completions": {}, "resources": resources }).to_string()
    }

    fn answer(&self, asked: &Asked<'_>) -> Option<InjectedAnswer> {
        let name = asked.name.as_deref().unwrap_or_default();
        let arguments: Value =
            asked.arguments.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        match asked.method {
            "tools/list" => Some(listed(asked.era, json!({ "tools": tools() }))),
            "prompts/list" => Some(listed(asked.era, json!({ "prompts": prompts() }))),
            "resources/list" => Some(listed(asked.era, json!({ "resources": resources() }))),
            "resources/templates/list" => {
                Some(listed(asked.era, json!({ "resourceTemplates": templates() })))
            }
            "tools/call" => call(name, asked.capabilities),
            "prompts/get" => Some(prompt(name, &arguments)),
            "resources/read" => Some(read(asked.era, asked.uri.as_deref().unwrap_or_default())),
            "completion/complete" => {
                let completion = json!({ "values": ["paris", "park"], "total": 2, "hasMore": false });
                Some(result(json!({ "completion": completion })))
            }
            _ => None,
        }
    }
}

impl InjectedTools for Fixture {
    fn carry_out<'a>(
        &'a self,
        name: &'a str,
        guard: &'a CallGuard,
    ) -> Pin<Box<dyn Future<Output = ToolOutcome> + 'a>> {
        Box::pin(async move {
            for done in [0, 50, 100] {
                if let Some(progress) = guard.progress() {
                    let step = Step { done: done.into(), total: Some(100.0), message: String::new() };
                    progress.step(step);
                }
                tokio::time::sleep(PAUSE).await;
            }
            ToolOutcome::text(&format!("{name} is done."))
        })
    }
}

/// The members of an object, without its braces.
fn result(object: Value) -> InjectedAnswer {
    let text = object.to_string();
    InjectedAnswer::Result(text[1..text.len() - 1].to_owned())
}

/// A result that may be cached for a moment.
fn listed(era: Era, mut object: Value) -> InjectedAnswer {
    if era == Era::Modern {
        object["ttlMs"] = json!(1_000);
        object["cacheScope"] = json!("private");
    }
    result(object)
}

fn refused(code: i32, message: &str, data: Option<Value>) -> InjectedAnswer {
    InjectedAnswer::Error {
        status: 400,
        code,
        message: message.to_owned(),
        data: data.map(|data| data.to_string()),
    }
}

fn tools() -> Value {
    let plain = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let mut tools: Vec<Value> = [
        "test_simple_text",
        "test_image_content",
        "test_audio_content",
        "test_embedded_resource",
        "test_multiple_content_types",
        "test_error_handling",
        "test_tool_with_progress",
        "test_missing_capability",
        "test_streaming_elicitation",
        "test_logging_tool",
    ]
    .into_iter()
    .map(|name| json!({ "name": name, "description": "Wanted by a scenario.", "inputSchema": plain }))
    .collect();
    tools.push(json!({
        "name": "json_schema_2020_12_tool",
        "description": "Tool with JSON Schema 2020-12 features",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": { "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            } },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        },
    }));
    Value::Array(tools)
}

fn call(name: &str, capabilities: Option<&str>) -> Option<InjectedAnswer> {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let content = match name {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => json!([{ "type": "resource", "resource": {
            "uri": "test://embedded-resource", "mimeType": "text/plain",
            "text": "This is an embedded resource content.",
        } }]),
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            image,
            { "type": "resource", "resource": {
                "uri": "test://mixed-content-resource", "mimeType": "application/json",
                "text": r#"{"test":"data","value":123}"#,
            } },
        ]),
        "test_error_handling" => {
            let content = json!([text("This tool intentionally returns an error for testing")]);
            return Some(result(json!({ "isError": true, "content": content })));
        }
        "test_tool_with_progress" => return Some(InjectedAnswer::Call(name.into())),
        "test_missing_capability" => {
            let declared: Value =
                capabilities.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            if declared.get("sampling").is_none() {
                let data = json!({ "requiredCapabilities": { "sampling": {} } });
                return Some(refused(
                    MISSING_CAPABILITY,
                    "This tool needs the capability sampling.",
                    Some(data),
                ));
            }
            json!([text("Sampling was declared.")])
        }
        // Neither asks for anything nor logs: this server never does.
        "test_streaming_elicitation" | "test_logging_tool" => json!([text("Done.")]),
        _ => return None,
    };
    Some(result(json!({ "content": content, "isError": false })))
}

fn prompts() -> Value {
    let argument =
        |name: &str| json!({ "name": name, "description": "Wanted by a scenario.", "required": true });
    json!([
        { "name": "test_simple_prompt", "description": "Without arguments." },
        { "name": "test_prompt_with_arguments", "description": "With two.", "arguments": [argument("arg1"), argument("arg2")] },
        { "name": "test_prompt_with_embedded_resource", "description": "With a resource.", "arguments": [argument("resourceUri")] },
        { "name": "test_prompt_with_image", "description": "With an image." },
    ])
}

fn prompt(name: &str, arguments: &Value) -> InjectedAnswer {
    let says = |content: Value| json!({ "role": "user", "content": content });
    let text = |text: &str| says(json!({ "type": "text", "text": text }));
    let given = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let messages = match name {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => {
            let (one, two) = (given("arg1"), given("arg2"));
            json!([text(&format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))])
        }
        "test_prompt_with_embedded_resource" => json!([
            says(json!({ "type": "resource", "resource": {
                "uri": given("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            } })),
            text("Please process the embedded resource above."),
        ]),
        "test_prompt_with_image" => json!([
            says(json!({ "type": "image", "data": PNG, "mimeType": "image/png" })),
            text("Please analyze the image above."),
        ]),
        _ => return refused(INVALID_PARAMS, "Unknown prompt.", None),
    };
    result(json!({ "messages": messages }))
}

fn resources() -> Value {
    json!([
        { "uri": "test://static-text", "name": "static-text", "description": "A text.", "mimeType": "text/plain" },
        { "uri": "test://static-binary", "name": "static-binary", "description": "An image.", "mimeType": "image/png" },
    ])
}

fn templates() -> Value {
    json!([{
        "uriTemplate": "test://template/{id}/data", "name": "template", "description": "With an id.",
        "mimeType": "application/json",
    }])
}

fn read(era: Era, uri: &str) -> InjectedAnswer {
    let template = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let contents = match (uri, template) {
        ("test://static-text", _) => json!({
            "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource.",
        }),
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        (_, Some(id)) => {
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
        _ => {
            let code = if era == Era::Modern { INVALID_PARAMS } else { NOT_FOUND };
            return refused(code, "Resource not found", Some(json!({ "uri": uri })));
        }
    };
    listed(era, json!({ "contents": [contents] }))
}
