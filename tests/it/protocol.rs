//! MCP over HTTP: both eras on one endpoint, and the order in which a request is judged.

use serde_json::{Value, json};

use crate::server::{Home, TestServer};
use crate::wire::Answer;

struct Client {
    _home: Home,
    server: TestServer,
    bearer: String,
}

const MODERN: &str = "2026-07-28";

fn client() -> Client {
    let home = Home::new();
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (42)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let bearer = format!("Bearer {}", server.key("acme", "client"));
    Client { _home: home, server, bearer }
}

impl Client {
    fn post(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        let own = [("Authorization", self.bearer.as_str()), ("Content-Type", "application/json")];
        self.server.post(&[&own, headers].concat(), body.to_string().as_bytes())
    }

    /// A modern request whose headers agree with its body.
    fn modern(&self, method: &str, params: Value) -> Answer {
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method), ("Mcp-Name", &name)];
        let used = if name.is_empty() { &headers[..2] } else { &headers[..] };
        self.post(used, &modern_body(method, params))
    }

    fn legacy(&self, version: &str, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        self.post(&[("MCP-Protocol-Version", version)], &body)
    }
}

fn modern_body(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params })
}

#[track_caller]
fn error(answer: &Answer, status: u16, code: i64) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["error"]["code"], code, "{json}");
    assert!(json.get("result").is_none(), "{json}");
    json["error"].clone()
}

#[test]
fn a_key_is_asked_for_before_anything_else_is_looked_at() {
    let client = client();
    let huge = " ".repeat(100_000);
    for (method, headers, body) in [
        ("GET", vec![], ""),
        ("DELETE", vec![], ""),
        ("PUT", vec![], ""),
        ("PATCH", vec![], "{}"),
        ("OPTIONS", vec![], ""),
        ("POST", vec![("Accept", "image/png")], "{}"),
        ("POST", vec![("MCP-Protocol-Version", "1999-01-01")], "{}"),
        ("POST", vec![("Content-Encoding", "gzip")], "{}"),
        ("POST", vec![("Content-Type", "text/plain")], "{}"),
        ("POST", vec![], "no json"),
        ("POST", vec![], &huge),
    ] {
        let answer = client.server.http(method, "/mcp", &headers, body.as_bytes());
        assert_eq!(answer.status, 401, "{method} {headers:?}");
        assert!(answer.header("www-authenticate").is_some(), "{method} {headers:?}");
    }
}

#[test]
fn other_methods_than_post_are_told_so() {
    let client = client();
    for method in ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"] {
        for accept in ["text/event-stream", "*/*"] {
            let headers = [("Authorization", client.bearer.as_str()), ("Accept", accept)];
            let answer = client.server.http(method, "/mcp", &headers, b"");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        }
    }
}

#[test]
fn any_accept_header_or_none_will_do() {
    let client = client();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for headers in [
        &[][..],
        &[("Accept", "*/*")],
        &[("Accept", "application/json")],
        &[("Accept", "application/json, text/event-stream")],
    ] {
        let answer = client.post(headers, &body);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    }
}

#[test]
fn a_legacy_client_shakes_hands_lists_and_calls() {
    let client = client();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let answer = client.post(&[], &body);
        let result = &answer.json()["result"];
        assert_eq!((answer.status, &result["protocolVersion"]), (200, &json!(version)));
        assert!(answer.header("mcp-session-id").is_none());
        assert!(result["capabilities"]["tools"].is_object() && result["serverInfo"]["name"] == "sequel");
        assert!(result.get("resultType").is_none());

        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let answer =
            client.post(&[("MCP-Protocol-Version", version), ("Mcp-Session-Id", "whatever")], &ready);
        assert_eq!((answer.status, answer.body.len()), (202, 0));

        let tools = client.legacy(version, "tools/list", json!({})).json();
        let names: Vec<_> =
            tools["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
        assert_eq!(
            names,
            ["list_data_sources", "search_schema", "describe_table", "explain_query", "run_query"]
        );
        assert!(tools["result"].get("ttlMs").is_none());

        let call = json!({ "name": "run_query", "arguments": { "sql": "SELECT x FROM t" } });
        let result = &client.legacy(version, "tools/call", call).json()["result"];
        assert_eq!(result["structuredContent"]["rows"], json!([[42]]));
        assert!(result.get("resultType").is_none() && result.get("_meta").is_none());
    }
    // What asks for a version that nobody speaks is offered the newest legacy one.
    let params = json!({ "protocolVersion": "1999-01-01", "capabilities": {} });
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    assert_eq!(client.post(&[], &body).json()["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn a_modern_client_discovers_lists_and_calls_without_a_handshake() {
    let client = client();
    let discovered = client.modern("server/discover", json!({}));
    assert_eq!(discovered.status, 200, "{}", discovered.text());
    let result = &discovered.json()["result"];
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(result["ttlMs"].as_u64().is_some());
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)));
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string());

    let listed = client.modern("tools/list", json!({})).json();
    assert_eq!((&listed["id"], &listed["result"]["resultType"]), (&json!("a"), &json!("complete")));
    assert!(listed["result"]["ttlMs"].as_u64().is_some());

    let call = json!({ "name": "run_query", "arguments": { "sql": "SELECT x FROM t" } });
    let called = client.modern("tools/call", call).json();
    assert_eq!(called["result"]["structuredContent"]["rows"], json!([[42]]));
    assert_eq!(called["result"]["resultType"], "complete");
}

#[test]
fn a_modern_request_whose_headers_and_body_differ_is_refused() {
    let client = client();
    let list = modern_body("tools/list", json!({}));
    let call = modern_body("tools/call", json!({ "name": "list_data_sources", "arguments": {} }));
    let version = ("MCP-Protocol-Version", MODERN);
    for (headers, body) in [
        (vec![], &list),
        (vec![version], &list),
        (vec![("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", "tools/list")], &list),
        (vec![version, version, ("Mcp-Method", "tools/list")], &list),
        (vec![version, ("Mcp-Method", "tools/call")], &list),
        (vec![version, ("Mcp-Method", "tools/list"), ("Mcp-Method", "tools/list")], &list),
        (vec![version, ("Mcp-Method", "tools/call")], &call),
        (vec![version, ("Mcp-Method", "tools/call"), ("Mcp-Name", "run_query")], &call),
        (vec![version, ("Mcp-Method", "tools/call"), ("Mcp-Name", "=?base64?%%%?=")], &call),
    ] {
        error(&client.post(&headers, body), 400, -32020);
    }
    // base64 of list_data_sources.
    let encoded = ("Mcp-Name", "=?base64?bGlzdF9kYXRhX3NvdXJjZXM=?=");
    assert_eq!(client.post(&[version, ("Mcp-Method", "tools/call"), encoded], &call).status, 200);
}

#[test]
fn an_unknown_version_is_answered_with_the_ones_that_are_spoken() {
    let client = client();
    let mut body = modern_body("tools/list", json!({}));
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let headers = [("MCP-Protocol-Version", "2099-01-01"), ("Mcp-Method", "tools/list")];
    let refused = error(&client.post(&headers, &body), 400, -32022);
    assert_eq!(refused["data"]["requested"], "2099-01-01");
    assert!(refused["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)));
    // A legacy client with a version in its header that there is not.
    error(&client.legacy("2099-01-01", "tools/list", json!({})), 400, -32022);
}

#[test]
fn modern_requests_carry_their_meta() {
    let client = client();
    let headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list")];
    let bare = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    error(&client.post(&headers, &bare), 400, -32602);
    let mut half = modern_body("tools/list", json!({}));
    half["params"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/clientCapabilities");
    error(&client.post(&headers, &half), 400, -32602);
}

#[test]
fn an_unknown_method_is_404_for_modern_clients_and_200_for_legacy_ones() {
    let client = client();
    for method in ["nonsense", "ping", "initialize", "logging/setLevel", "resources/subscribe"] {
        error(&client.modern(method, json!({})), 404, -32601);
    }
    for method in ["nonsense", "server/discover", "resources/subscribe"] {
        error(&client.legacy("2025-11-25", method, json!({})), 200, -32601);
    }
    assert_eq!(client.legacy("2025-11-25", "ping", json!({})).json()["result"], json!({}));
}

#[test]
fn an_unknown_tool_is_a_protocol_error_and_wrong_arguments_are_the_tools() {
    let client = client();
    error(&client.legacy("2025-11-25", "tools/call", json!({ "name": "drop_tables" })), 200, -32602);
    error(&client.legacy("2025-11-25", "tools/call", json!({})), 200, -32602);
    for arguments in [
        json!({}),
        json!({ "sql": 7 }),
        json!({ "sql": "SELECT 1", "limit": 5 }),
        json!({ "sql": "SELECT 1", "row_limit": 0 }),
        json!({ "sql": "SELECT 1", "row_limit": "5" }),
        json!({ "sql": "SELECT 1", "format": "xml" }),
        json!({ "sql": "SELECT 1", "source": 1 }),
    ] {
        let call = json!({ "name": "run_query", "arguments": arguments });
        let answer = client.legacy("2025-11-25", "tools/call", call);
        let said = crate::server::failure(&answer.json()["result"]);
        assert!(said.len() > 10, "{arguments}: {said}");
    }
}

#[test]
fn a_notification_is_taken_without_a_word() {
    let client = client();
    for method in ["notifications/initialized", "notifications/cancelled", "notifications/whatever"] {
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": {} });
        let answer = client.post(&[("MCP-Protocol-Version", "2025-11-25")], &body);
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{method}");
    }
}

#[test]
fn a_batch_is_answered_on_2025_03_26_and_refused_on_later_versions() {
    let client = client();
    let call = |id: i32, sql: &str| {
        let params = json!({ "name": "run_query", "arguments": { "sql": sql } });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "ping" },
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        call(2, "SELECT x FROM t"),
        call(3, "SELECT nothing"),
        { "jsonrpc": "2.0", "id": 4, "method": "nonsense" },
        { "no": "message" },
    ]);
    for headers in [&[][..], &[("MCP-Protocol-Version", "2025-03-26")]] {
        let answer = client.post(headers, &batch);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answers = answer.json();
        assert_eq!(answers.as_array().unwrap().len(), 5, "{answers}");
        let by_id = |id: i32| answers.as_array().unwrap().iter().find(|a| a["id"] == id).unwrap().clone();
        assert_eq!(by_id(1)["result"], json!({}));
        assert_eq!(by_id(2)["result"]["structuredContent"]["rows"], json!([[42]]));
        assert_eq!(by_id(3)["result"]["isError"], true);
        assert_eq!(by_id(4)["error"]["code"], -32601);
    }
    for version in ["2025-06-18", "2025-11-25", MODERN] {
        error(&client.post(&[("MCP-Protocol-Version", version)], &batch), 400, -32600);
    }
    let notes = json!([{ "jsonrpc": "2.0", "method": "notifications/initialized" }]);
    assert_eq!(client.post(&[], &notes).status, 202);
    let many = Value::Array(vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }); 33]);
    error(&client.post(&[], &many), 400, -32600);
    error(&client.post(&[], &json!([])), 400, -32600);
}

#[test]
fn unknown_paths_are_real_404s() {
    let client = client();
    for path in [
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-authorization-server/other",
        "/.well-known/anything",
        "/oauth",
        "/oauth/introspect",
        "/sse",
        "/mcp/",
        "/api/v1/orgs",
        "/api/v1/server",
    ] {
        for method in ["GET", "POST"] {
            let answer = client.server.http(method, path, &[("Authorization", &client.bearer)], b"");
            assert_eq!(answer.status, 404, "{method} {path}");
            assert_ne!(answer.text(), "{}", "{method} {path}");
        }
    }
}

#[test]
fn an_error_that_answers_no_request_is_written_as_its_version_has_it() {
    let client = client();
    // JSON-RPC says null; since 2025-11-25 the schema of MCP takes a string, a number or nothing.
    for (version, id) in [
        (None, Some(Value::Null)),
        (Some("2025-03-26"), Some(Value::Null)),
        (Some("2025-06-18"), Some(Value::Null)),
        (Some("2025-11-25"), None),
        (Some(MODERN), None),
        (Some("2099-01-01"), None),
    ] {
        let mut headers = vec![("Authorization", client.bearer.as_str())];
        headers.extend(version.map(|version| ("MCP-Protocol-Version", version)));
        for (body, code) in [("no json", -32700), ("{}", -32600), ("[]", -32600)] {
            let answer = client.server.post(&headers, body.as_bytes());
            let json = answer.json();
            assert_eq!((answer.status, &json["error"]["code"]), (400, &json!(code)), "{version:?} {body}");
            assert_eq!(json.get("id"), id.as_ref(), "{version:?} {body}");
        }
    }
}

#[test]
fn a_state_of_another_servers_question_is_refused() {
    let client = client();
    let call = |more: Value| {
        let mut params = json!({ "name": "list_data_sources", "arguments": {} });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.modern("tools/call", params)
    };
    error(&call(json!({ "requestState": "sealed elsewhere" })), 200, -32602);
    error(&call(json!({ "inputResponses": ["no object"] })), 200, -32602);
    let answer = call(json!({ "inputResponses": { "nobody asked": { "action": "accept" } } }));
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
}
