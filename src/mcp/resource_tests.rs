//! Resources, completions and prompts, as clients of either era see them.

use serde_json::{Value, json};

use super::*;

const MODERN: &str = "2026-07-28";

/// A request as a well-behaved client of this version sends it.
fn ask(version: &str, method: &str, mut params: Value) -> Decision {
    let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
    if version == MODERN {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
    let head = RequestHead {
        protocol_version: HeaderField::One(version.as_bytes()),
        mcp_method: HeaderField::One(method.as_bytes()),
        mcp_name: name.as_ref().map_or(HeaderField::Absent, |name| HeaderField::One(name.as_bytes())),
    };
    decide(&head, body.as_bytes(), &ServerFacts::sequel())
}

#[track_caller]
fn call(decision: Decision) -> Call {
    match decision {
        Decision::Call(call) => call,
        other => panic!("not a call: {other:?}"),
    }
}

#[track_caller]
fn reply(decision: Decision) -> Value {
    match decision {
        Decision::Reply { status: 200, body } => serde_json::from_slice(&body).unwrap(),
        other => panic!("not a reply: {other:?}"),
    }
}

#[track_caller]
fn refusal(decision: Decision) -> String {
    let body = reply(decision);
    assert_eq!(body["error"]["code"], INVALID_PARAMS, "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

fn sources(names: &[String]) -> ResourcePage {
    ResourcePage::of(names.iter().map(|name| DataSourceEntry {
        name,
        kind: "sqlite",
        description: Some("d"),
    }))
}

#[test]
fn resources_come_in_pages_whose_cursors_lead_on() {
    let names: Vec<String> = (0..101).map(|n| format!("source {n:03}")).collect();
    for version in [MODERN, "2025-11-25"] {
        let mut seen = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let call = call(ask(version, "resources/list", params));
            let Task::ListResources(after) = &call.task else { panic!("{call:?}") };
            let rest: Vec<_> = names
                .iter()
                .filter(|name| after.as_ref().is_none_or(|after| *name > after))
                .cloned()
                .collect();
            let answer: Value =
                serde_json::from_slice(&call.encode(Outcome::Resources(sources(&rest)))).unwrap();
            let result = &answer["result"];
            assert_eq!(result.get("ttlMs").is_some(), version == MODERN);
            assert_eq!(result.get("cacheScope") == Some(&json!("private")), version == MODERN);
            for resource in result["resources"].as_array().unwrap() {
                assert_eq!(resource["mimeType"], "application/json");
                seen.push(resource["name"].as_str().unwrap().to_owned());
            }
            match result.get("nextCursor") {
                Some(next) => cursor = next.clone(),
                None => break,
            }
        }
        assert_eq!(seen, names);
    }
    // A full last page has no page behind it.
    let call = call(ask(MODERN, "resources/list", json!({})));
    let answer: Value =
        serde_json::from_slice(&call.encode(Outcome::Resources(sources(&names[..50])))).unwrap();
    assert!(answer["result"].get("nextCursor").is_none());
    assert_eq!(answer["result"]["resources"][0]["uri"], "sequel://sources/source%20000");
}

#[test]
fn a_cursor_of_another_list_or_of_nobody_is_invalid() {
    let of_resources = cursor::cursor("resources/list", "a");
    for (method, cursor) in [
        ("resources/list", "x"),
        ("resources/list", ""),
        ("prompts/list", of_resources.as_str()),
        ("resources/templates/list", of_resources.as_str()),
        ("tools/list", of_resources.as_str()),
    ] {
        for version in [MODERN, "2025-11-25"] {
            let message = refusal(ask(version, method, json!({"cursor": cursor})));
            assert!(message.contains("cursor"), "{method}: {message}");
        }
    }
}

#[test]
fn a_resource_is_read_by_its_uri() {
    for version in [MODERN, "2025-11-25"] {
        let uri = "sequel://sources/demo/tables/order%20items";
        let call = call(ask(version, "resources/read", json!({"uri": uri})));
        let Task::ReadResource(wanted) = &call.task else { panic!("{call:?}") };
        let table = Resource::Table { source: "demo".into(), table: "order items".into() };
        assert_eq!(wanted.resource, Some(table));
        let answer: Value =
            serde_json::from_slice(&call.encode(Outcome::Resource(b"{\\\"a\\\":1}".to_vec()))).unwrap();
        let result = &answer["result"];
        assert_eq!(
            result["contents"],
            json!([{"uri": uri, "mimeType": "application/json", "text": "{\"a\":1}"}])
        );
        assert_eq!(result.get("resultType").is_some(), version == MODERN);
        assert_eq!(result.get("ttlMs").is_some(), version == MODERN);
    }
}

#[test]
fn a_resource_that_there_is_not_is_an_error_of_each_version() {
    for (version, code) in [(MODERN, -32602), ("2025-11-25", -32002), ("2024-11-05", -32002)] {
        for uri in ["sequel://sources/gone", "file:///etc/passwd", ""] {
            let call = call(ask(version, "resources/read", json!({"uri": uri})));
            let answer: Value = serde_json::from_slice(&call.encode(Outcome::NoResource)).unwrap();
            assert_eq!(
                (&answer["error"]["code"], &answer["error"]["data"]["uri"]),
                (&json!(code), &json!(uri))
            );
            let failed: Value =
                serde_json::from_slice(&call.encode(Outcome::Failed("Try again.".into()))).unwrap();
            assert_eq!(failed["error"], json!({"code": -32603, "message": "Try again."}));
        }
    }
    for params in [json!({}), json!({"uri": 5}), json!({"uri": "x".repeat(9_000)})] {
        assert!(refusal(ask("2025-11-25", "resources/read", params)).contains("uri"));
    }
}

#[test]
fn a_modern_read_and_get_carry_their_name_in_a_header_too() {
    let body = |method: &str, params: Value| {
        let mut params = params;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
    };
    for (method, params) in [
        ("resources/read", json!({"uri": "sequel://sources/demo"})),
        ("prompts/get", json!({"name": "explore_data"})),
    ] {
        for mcp_name in [HeaderField::Absent, HeaderField::One(b"other")] {
            let head = RequestHead {
                protocol_version: HeaderField::One(MODERN.as_bytes()),
                mcp_method: HeaderField::One(method.as_bytes()),
                mcp_name,
            };
            let body = body(method, params.clone());
            let Decision::Reply { status: 400, body } =
                decide(&head, body.as_bytes(), &ServerFacts::sequel())
            else {
                panic!("{method}")
            };
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["code"], HEADER_MISMATCH);
        }
    }
}

fn complete(reference: Value, name: &str, value: &str, context: Value) -> Decision {
    let params = json!({"ref": reference, "argument": {"name": name, "value": value}, "context": context});
    ask("2025-11-25", "completion/complete", params)
}

#[test]
fn completions_are_asked_for_by_prompt_or_template() {
    let table = json!({"type": "ref/resource", "uri": "sequel://sources/{source}/tables/{table}"});
    let source = json!({"type": "ref/resource", "uri": "sequel://sources/{source}"});
    let prompt = json!({"type": "ref/prompt", "name": "explore_data"});
    let wanted = |decision| match call(decision).task {
        Task::Complete(wanted) => wanted,
        other => panic!("{other:?}"),
    };
    let de = || "de".to_owned();
    for reference in [&table, &source, &prompt] {
        assert_eq!(
            wanted(complete(reference.clone(), "source", "de", json!({}))),
            Complete::Source { value: de() }
        );
    }
    assert_eq!(wanted(complete(prompt.clone(), "question", "de", Value::Null)), Complete::Nothing);
    let chosen = json!({"arguments": {"source": "demo"}});
    for (context, source) in [
        (chosen, Some("demo".to_owned())),
        (Value::Null, None),
        (json!({}), None),
        (json!({"arguments": {}}), None),
        (json!({"arguments": {"source": ""}}), None),
    ] {
        let expected = Complete::Table { source, value: de() };
        assert_eq!(wanted(complete(table.clone(), "table", "de", context)), expected);
    }
    let other_prompt = json!({"type": "ref/prompt", "name": "other"});
    let other_template = json!({"type": "ref/resource", "uri": "file:///{path}"});
    for (reference, name) in [
        (source, "table"),
        (prompt, "table"),
        (other_prompt, "source"),
        (other_template, "source"),
        (json!({"type": "ref/tool", "name": "run_query"}), "source"),
        (json!({"type": "ref/prompt"}), "source"),
        (json!({}), "source"),
        (json!([]), "source"),
        (Value::Null, "source"),
    ] {
        refusal(complete(reference, name, "", json!({})));
    }
    refusal(complete(table.clone(), "source", &"x".repeat(1_025), json!({})));
    refusal(complete(table.clone(), "table", "x", json!([])));
    let missing = json!({"ref": table, "argument": {"name": "source"}});
    refusal(ask("2025-11-25", "completion/complete", missing));
}

#[test]
fn completions_are_at_most_a_hundred_and_say_how_many_there_are() {
    let values: Vec<_> = (0..150).map(|n| n.to_string()).collect();
    let reference = json!({"type": "ref/prompt", "name": "explore_data"});
    let call = call(complete(reference, "source", "", json!({})));
    for (count, total, more) in [(100, 100, false), (100, 101, true), (150, 150, true), (0, 0, false)] {
        let found = Completions { values: values[..count].to_vec(), total };
        let answer: Value = serde_json::from_slice(&call.encode(Outcome::Completions(found))).unwrap();
        let completion = &answer["result"]["completion"];
        assert_eq!(completion["values"].as_array().unwrap().len(), count.min(100));
        assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(total), &json!(more)));
    }
}

#[test]
fn a_prompt_holds_what_was_filled_in_and_nothing_else_changes() {
    let text = |params: Value| {
        let body = reply(ask(MODERN, "prompts/get", params));
        assert_eq!(body["result"]["resultType"], "complete", "{body}");
        assert_eq!(body["result"]["messages"][0]["role"], "user");
        body["result"]["messages"][0]["content"]["text"].as_str().unwrap().to_owned()
    };
    let plain = text(json!({"name": "explore_data"}));
    assert_eq!(text(json!({"name": "explore_data", "arguments": {"question": " ", "source": null}})), plain);
    let filled = text(
        json!({"name": "explore_data", "arguments": {"question": "Who is \"late\"?", "source": "demo"}}),
    );
    assert!(filled.contains("Who is \"late\"?") && filled.contains("\"demo\""), "{filled}");
    for params in [
        json!({}),
        json!({"name": "other"}),
        json!({"name": "explore_data", "arguments": []}),
        json!({"name": "explore_data", "arguments": {"source": 5}}),
        json!({"name": "explore_data", "arguments": {"question": "x".repeat(16 * 1024 + 1)}}),
    ] {
        refusal(ask("2025-11-25", "prompts/get", params));
    }
}
