//! Each row of the protocol's two eras, each refusal, as a client sees them.

use serde_json::{Value, json};

use super::*;

const MODERN: &str = "2026-07-28";

fn server() -> ServerFacts {
    ServerFacts::new("sequel", "Sequel", "1.2.3", "Ask.")
}

fn head<'a>(version: Option<&'a str>, method: Option<&'a str>, name: Option<&'a str>) -> RequestHead<'a> {
    let field =
        |value: Option<&'a str>| value.map_or(HeaderField::Absent, |v| HeaderField::One(v.as_bytes()));
    RequestHead { protocol_version: field(version), mcp_method: field(method), mcp_name: field(name) }
}

/// A modern request as a well-behaved client sends it.
fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn legacy(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn ask(head: RequestHead<'_>, body: &Value) -> Decision {
    decide(&head, body.to_string().as_bytes(), &server())
}

fn ask_modern(body: &Value) -> Decision {
    let (method, name) = (body["method"].as_str(), body["params"]["name"].as_str());
    ask(head(Some(MODERN), method, name), body)
}

fn ask_legacy(version: &str, body: &Value) -> Decision {
    ask(head(Some(version), None, None), body)
}

#[track_caller]
fn reply(decision: Decision) -> (u16, Value) {
    match decision {
        Decision::Reply { status, body } => (status, serde_json::from_slice(&body).expect("a reply is JSON")),
        Decision::Fact { id, fact } => {
            let body = fact_reply(&id, ServerFacts::sequel().fact(fact)).concat();
            (200, serde_json::from_slice(&body).expect("a reply is JSON"))
        }
        other => panic!("not a reply: {other:?}"),
    }
}

/// Status and code of an error, which also carries the id of the request.
#[track_caller]
fn error(decision: Decision) -> (u16, i64) {
    let (status, body) = reply(decision);
    assert_eq!(body["id"], 7, "{body}");
    (status, body["error"]["code"].as_i64().unwrap_or_else(|| panic!("not an error: {body}")))
}

#[track_caller]
fn result(decision: Decision) -> Value {
    let (status, mut body) = reply(decision);
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["id"], 7, "{body}");
    assert!(body.get("error").is_none(), "{body}");
    body["result"].take()
}

#[track_caller]
fn call(decision: Decision) -> Call {
    match decision {
        Decision::Call(call) => call,
        other => panic!("not a call: {other:?}"),
    }
}

// Start.

#[test]
fn a_modern_client_discovers_without_a_handshake() {
    let found = result(ask_modern(&modern("server/discover", json!({}))));
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["supportedVersions"][0], MODERN);
    let resources = json!({"listChanged": true, "subscribe": true});
    assert_eq!(
        found["capabilities"],
        json!({"completions": {}, "prompts": {}, "resources": resources, "tools": {}})
    );
    assert_eq!(found["cacheScope"], "private");
    assert!(found["ttlMs"].is_u64());
    assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sequel");
}

#[test]
fn initialize_settles_on_the_asked_legacy_version_or_the_newest() {
    for (asked, settled) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2024-10-07", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        // The modern version has no initialize.
        (MODERN, "2025-11-25"),
    ] {
        let body = legacy("initialize", json!({"protocolVersion": asked, "capabilities": {}}));
        let answer = result(ask(head(None, None, None), &body));
        assert_eq!(answer["protocolVersion"], settled, "{asked}");
        assert_eq!(
            answer["capabilities"],
            json!({"completions": {}, "prompts": {}, "resources": {}, "tools": {}})
        );
        assert!(answer.get("resultType").is_none() && answer.get("_meta").is_none());
        // A header of a version that nobody knows decides nothing here.
        assert_eq!(result(ask_legacy("1999-01-01", &body))["protocolVersion"], settled);
    }
}

#[test]
fn initialize_without_a_version_is_invalid() {
    for params in [json!({}), json!({"protocolVersion": 3}), json!({"protocolVersion": null})] {
        assert_eq!(error(ask(head(None, None, None), &legacy("initialize", params))), (200, -32602));
    }
}

#[test]
fn initialize_that_carries_modern_meta_is_not_found() {
    let body = modern("initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(error(ask_modern(&body)), (404, -32601));
}

#[test]
fn initialize_under_a_modern_header_is_a_mismatch() {
    let body = legacy("initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(error(ask_legacy(MODERN, &body)), (400, -32020));
}

#[test]
fn a_legacy_client_needs_no_session_and_no_initialize() {
    for version in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let tools = result(ask_legacy(version, &legacy("tools/list", json!({}))));
        assert_eq!(tools["tools"][0]["name"], "list_data_sources");
    }
}

// Version header.

#[test]
fn a_modern_request_needs_the_version_header_and_it_must_agree() {
    let body = modern("tools/list", json!({}));
    let with = |version| ask(head(version, Some("tools/list"), None), &body);
    assert_eq!(error(with(None)), (400, -32020));
    assert_eq!(error(with(Some("2025-11-25"))), (400, -32020));
    assert_eq!(error(with(Some("caf\u{e9}"))), (400, -32020));
    assert!(result(with(Some(" 2026-07-28 ")))["tools"].is_array());
    let twice =
        RequestHead { protocol_version: HeaderField::Repeated, ..head(None, Some("tools/list"), None) };
    assert_eq!(error(ask(twice, &body)), (400, -32020));
    assert_eq!(error(ask(twice, &legacy("tools/list", json!({})))), (400, -32020));
}

#[test]
fn a_request_without_version_header_speaks_2025_03_26() {
    let made = call(ask(head(None, None, None), &legacy("tools/call", json!({"name": "list_data_sources"}))));
    assert_eq!(made.version, Version::V2025_03_26);
}

#[test]
fn an_unknown_version_is_told_what_is_spoken_here() {
    let mut body = modern("tools/list", json!({}));
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2031-01-01");
    let (status, answer) = reply(ask(head(Some("2031-01-01"), Some("tools/list"), None), &body));
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32022)));
    assert_eq!(answer["error"]["data"]["requested"], "2031-01-01");
    assert_eq!(answer["error"]["data"]["supported"][0], MODERN);
    // The same where only the header names it.
    assert_eq!(error(ask_legacy("2031-01-01", &legacy("tools/list", json!({})))), (400, -32022));
}

#[test]
fn a_legacy_version_in_modern_meta_is_unsupported() {
    let mut body = modern("tools/list", json!({}));
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2025-11-25");
    assert_eq!(error(ask(head(Some("2025-11-25"), Some("tools/list"), None), &body)), (400, -32022));
}

// `Mcp-Method` and `Mcp-Name`.

#[test]
fn modern_headers_must_name_the_method_and_the_tool() {
    let body = modern("tools/call", json!({"name": "list_data_sources"}));
    let with = |method, name| ask(head(Some(MODERN), method, name), &body);
    assert_eq!(error(with(None, Some("list_data_sources"))), (400, -32020));
    assert_eq!(error(with(Some("tools/list"), Some("list_data_sources"))), (400, -32020));
    assert_eq!(error(with(Some("Tools/Call"), Some("list_data_sources"))), (400, -32020));
    assert_eq!(error(with(Some("tools/call"), None)), (400, -32020));
    assert_eq!(error(with(Some("tools/call"), Some("run_query"))), (400, -32020));
    assert_eq!(error(with(Some("tools/call"), Some("=?base64?!!?="))), (400, -32020));
    call(with(Some("tools/call"), Some("list_data_sources")));
    call(with(Some("tools/call"), Some("=?base64?bGlzdF9kYXRhX3NvdXJjZXM=?=")));
}

#[test]
fn legacy_traffic_is_never_judged_by_mcp_method() {
    let body = legacy("tools/call", json!({"name": "list_data_sources"}));
    for version in [None, Some("2025-11-25")] {
        call(ask(head(version, Some("tools/list"), Some("wrong")), &body));
    }
}

// `_meta`.

#[test]
fn a_modern_request_without_the_required_meta_is_malformed() {
    let mut without_capabilities = modern("tools/list", json!({}));
    without_capabilities["params"]["_meta"]
        .as_object_mut()
        .unwrap()
        .remove("io.modelcontextprotocol/clientCapabilities");
    let mut odd_version = modern("tools/list", json!({}));
    odd_version["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(20260728);
    for body in [
        without_capabilities,
        odd_version,
        legacy("tools/list", json!({})),
        legacy("tools/list", json!({"_meta": {}})),
        legacy("tools/list", json!({"_meta": []})),
        legacy("tools/list", json!([])),
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}),
    ] {
        assert_eq!(error(ask_modern(&body)), (400, -32602), "{body}");
    }
}

#[test]
fn other_meta_is_of_no_consequence_to_the_era() {
    let body = legacy("tools/list", json!({"_meta": {"progressToken": 1, "x/y": []}}));
    assert!(result(ask_legacy("2025-11-25", &body)).get("resultType").is_none());
}

// Methods.

#[test]
fn an_unknown_method_is_404_in_the_modern_era_and_200_in_the_legacy_one() {
    for method in ["resources/subscribe", "sampling/createMessage", "logging/setLevel", "x", ""] {
        assert_eq!(error(ask_modern(&modern(method, json!({})))), (404, -32601), "{method}");
        assert_eq!(error(ask_legacy("2025-11-25", &legacy(method, json!({})))), (200, -32601), "{method}");
    }
    assert_eq!(error(ask_modern(&modern("ping", json!({})))), (404, -32601));
    assert_eq!(error(ask_legacy("2025-11-25", &legacy("server/discover", json!({})))), (200, -32601));
}

#[test]
fn ping_is_answered_in_the_legacy_era_even_without_params() {
    let ping = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"});
    assert_eq!(result(ask(head(None, None, None), &ping)), json!({}));
    assert_eq!(result(ask_legacy("2025-11-25", &legacy("ping", Value::Null))), json!({}));
}

#[test]
fn modern_lists_say_their_type_and_how_long_they_hold_and_legacy_lists_do_not() {
    let new = result(ask_modern(&modern("tools/list", json!({}))));
    let old = result(ask_legacy("2025-11-25", &legacy("tools/list", json!({}))));
    assert_eq!(new["resultType"], "complete");
    assert_eq!(new["cacheScope"], "private");
    assert!(new["ttlMs"].is_u64() && new["_meta"].is_object());
    assert_eq!(old, json!({"tools": new["tools"]}));
}

#[test]
fn a_cursor_that_was_never_given_out_is_invalid() {
    for cursor in [json!("x"), json!(""), json!(3)] {
        assert_eq!(error(ask_modern(&modern("tools/list", json!({"cursor": cursor})))), (200, -32602));
        let body = legacy("tools/list", json!({"cursor": cursor}));
        assert_eq!(error(ask_legacy("2025-11-25", &body)), (200, -32602));
    }
    assert!(result(ask_modern(&modern("tools/list", json!({"cursor": null}))))["tools"].is_array());
}

// Notifications, responses, batches.

#[test]
fn notifications_are_accepted_without_a_body() {
    for method in ["notifications/initialized", "notifications/roots/list_changed", "whatever"] {
        let body = json!({"jsonrpc": "2.0", "method": method});
        for version in [None, Some("2025-11-25"), Some(MODERN)] {
            assert_eq!(ask(head(version, None, None), &body), Decision::Accepted, "{method} {version:?}");
        }
    }
    let odd = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": [1]});
    assert_eq!(ask_legacy("2025-11-25", &odd), Decision::Accepted);
}

#[test]
fn a_notification_in_an_unknown_version_is_refused() {
    let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let (status, answer) = reply(ask_legacy("2031-01-01", &body));
    assert_eq!((status, &answer["id"], &answer["error"]["code"]), (400, &Value::Null, &json!(-32022)));
}

#[test]
fn a_cancellation_names_the_call_in_either_era() {
    let cancel = |id: Value| {
        let params = json!({"requestId": id, "reason": "no"});
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    };
    let text = |decision| match decision {
        Decision::Cancelled { request_id } => request_id.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(ask_legacy("2025-11-25", &cancel(json!(3)))), "3");
    assert_eq!(text(ask_legacy("2025-11-25", &cancel(json!("3")))), "\"3\"");
    assert_eq!(ask_legacy("2025-11-25", &cancel(json!(null))), Decision::Accepted);
    assert_eq!(ask_legacy("2025-11-25", &cancel(json!([1]))), Decision::Accepted);
    assert_eq!(text(ask_legacy(MODERN, &cancel(json!(3)))), "3");
}

#[test]
fn equal_ids_are_equal_however_they_were_escaped() {
    let id = |text: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{text},"method":"tools/call","params":{{"name":"list_data_sources"}}}}"#
        );
        call(decide(&RequestHead::default(), body.as_bytes(), &server())).id
    };
    assert_eq!(id(r#""a\u0062""#), id(r#""ab""#));
    assert_ne!(id("1"), id("\"1\""));
}

#[test]
fn responses_are_dropped_in_the_legacy_era_and_refused_in_the_modern_one() {
    for body in [
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": ""}}),
    ] {
        assert_eq!(ask_legacy("2025-11-25", &body), Decision::Accepted);
        assert_eq!(reply(ask_legacy(MODERN, &body)).0, 400);
    }
}

#[test]
fn only_2025_03_26_has_batches() {
    let batch = json!([legacy("ping", json!({})), legacy("tools/list", json!({}))]);
    for version in ["2025-06-18", "2025-11-25", MODERN] {
        let (status, answer) = reply(ask_legacy(version, &batch));
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)), "{version}");
    }
    for version in [None, Some("2025-03-26")] {
        let Decision::Batch(all) = ask(head(version, None, None), &batch) else { panic!("{version:?}") };
        assert_eq!(all.len(), 2);
    }
}

#[test]
fn a_batch_answers_each_message_by_itself() {
    let batch = json!([
        legacy("ping", json!({})),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        legacy("tools/call", json!({"name": "list_data_sources"})),
        legacy("initialize", json!({"protocolVersion": "2025-03-26"})),
        modern("tools/list", json!({})),
        [], 5,
    ]);
    let Decision::Batch(all) = ask(head(None, None, None), &batch) else { panic!() };
    let mut all = all.into_iter();
    let mut next = || all.next().unwrap();
    assert_eq!(result(next()), json!({}));
    assert_eq!(next(), Decision::Accepted);
    call(next());
    assert_eq!(error(next()), (200, -32600));
    assert_eq!(error(next()), (200, -32020));
    for _ in 0..2 {
        let (status, answer) = reply(next());
        assert_eq!((status, &answer["error"]["code"], &answer["id"]), (200, &json!(-32600), &Value::Null));
    }
}

#[test]
fn an_empty_or_endless_batch_is_refused() {
    let many = Value::Array(vec![legacy("ping", json!({})); 33]);
    for batch in [json!([]), many] {
        let (status, answer) = reply(ask(head(None, None, None), &batch));
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)));
    }
}

#[test]
fn the_responses_of_a_batch_are_one_array_and_none_of_them_is_none() {
    assert_eq!(join_batch(vec![]), Vec::<bytes::Bytes>::new());
    assert_eq!(join_batch(vec![vec!["1".into()], vec!["2".into(), "3".into()]]).concat(), b"[1,23]");
}
