//! What the server says of itself, as committed: a change here is a change that every client sees.

use serde_json::{Value, json};

use super::*;

fn answer(version: &str, method: &str, mut params: Value) -> Value {
    if version == "2026-07-28" {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let head = RequestHead {
        protocol_version: HeaderField::One(version.as_bytes()),
        mcp_method: HeaderField::One(method.as_bytes()),
        mcp_name: params["name"]
            .as_str()
            .map_or(HeaderField::Absent, |name| HeaderField::One(name.as_bytes())),
    };
    // The program's version stands still, so that a release changes no snapshot.
    let server = ServerFacts::sequel_at("0.0.0");
    match decide(&head, body.as_bytes(), &server) {
        Decision::Reply { status: 200, body } => serde_json::from_slice(&body).unwrap(),
        Decision::Fact { id, fact } => {
            serde_json::from_slice(&fact_reply(&id, server.fact(fact)).concat()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn modern_tools_list_is_as_committed() {
    insta::assert_json_snapshot!("tools_list_modern", answer("2026-07-28", "tools/list", json!({})));
}

#[test]
fn legacy_tools_list_is_as_committed() {
    insta::assert_json_snapshot!("tools_list_legacy", answer("2025-11-25", "tools/list", json!({})));
}

#[test]
fn discover_is_as_committed() {
    insta::assert_json_snapshot!("discover", answer("2026-07-28", "server/discover", json!({})));
}

#[test]
fn initialize_is_as_committed() {
    let params = json!({"protocolVersion": "2025-11-25"});
    insta::assert_json_snapshot!("initialize", answer("2025-11-25", "initialize", params));
}

#[test]
fn the_templates_of_resources_are_as_committed() {
    let answer = answer("2026-07-28", "resources/templates/list", json!({}));
    insta::assert_json_snapshot!("resource_templates", answer);
}

#[test]
fn the_prompts_are_as_committed() {
    insta::assert_json_snapshot!("prompts_list", answer("2026-07-28", "prompts/list", json!({})));
    let got = |arguments: Value| {
        let params = json!({"name": "explore_data", "arguments": arguments});
        let text =
            answer("2025-11-25", "prompts/get", params)["result"]["messages"][0]["content"]["text"].take();
        text.as_str().unwrap().to_owned()
    };
    insta::assert_snapshot!("prompt", got(json!({})));
    insta::assert_snapshot!(
        "prompt_with_arguments",
        got(json!({"source": "sales", "question": "Who buys most?"}))
    );
}

/// A model reads the definitions before every conversation, so they have to be few words.
#[test]
fn all_tools_together_take_less_than_1500_tokens() {
    let tools: Value = answer("2025-11-25", "tools/list", json!({}))["result"]["tools"].take();
    let tokens = tiktoken_rs::o200k_base().unwrap().encode_ordinary(&tools.to_string()).len();
    assert!(tokens < 1_500, "{tokens} tokens");
    println!("{tokens} tokens");
}

/// Hosts translate input schemas for their models and choke on what is more than plain.
#[test]
fn input_schemas_are_plain_objects() {
    fn plain(schema: &Value) {
        match schema {
            Value::Object(members) => {
                for (name, value) in members {
                    assert!(
                        !["$ref", "$schema", "$defs", "anyOf", "oneOf", "allOf", "x-mcp-header"]
                            .contains(&&**name)
                    );
                    assert!(name != "type" || value.is_string(), "{value}");
                    plain(value);
                }
            }
            Value::Array(items) => items.iter().for_each(plain),
            _ => {}
        }
    }
    let tools: Value = serde_json::from_str(TOOLS).unwrap();
    for tool in tools.as_array().unwrap() {
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object");
        }
        plain(&tool["inputSchema"]);
        let annotations = &tool["annotations"];
        assert_eq!(
            (&annotations["readOnlyHint"], &annotations["destructiveHint"]),
            (&json!(true), &json!(false))
        );
    }
}

/// The official SDK's own types must read what we write.
#[test]
fn the_rust_sdks_types_read_our_results() {
    use rmcp::model::{
        DiscoverResult, GetPromptResult, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
        ListToolsResult,
    };
    let result = |version, method, params| answer(version, method, params)["result"].take();
    let found: DiscoverResult =
        serde_json::from_value(result("2026-07-28", "server/discover", json!({}))).unwrap();
    assert_eq!(found.server_info().unwrap().name, "sequel");
    let started: InitializeResult =
        serde_json::from_value(result("2025-11-25", "initialize", json!({"protocolVersion": "2025-11-25"})))
            .unwrap();
    assert_eq!(started.protocol_version.as_str(), "2025-11-25");
    for version in ["2026-07-28", "2025-11-25"] {
        let tools: ListToolsResult =
            serde_json::from_value(result(version, "tools/list", json!({}))).unwrap();
        assert_eq!(tools.tools.len(), 5);
        let templates: ListResourceTemplatesResult =
            serde_json::from_value(result(version, "resources/templates/list", json!({}))).unwrap();
        assert_eq!(templates.resource_templates.len(), 2);
        let prompts: ListPromptsResult =
            serde_json::from_value(result(version, "prompts/list", json!({}))).unwrap();
        assert_eq!(prompts.prompts[0].arguments.as_ref().unwrap().len(), 2);
        let prompt: GetPromptResult =
            serde_json::from_value(result(version, "prompts/get", json!({"name": "explore_data"}))).unwrap();
        assert_eq!(prompt.messages.len(), 1);
    }
}
