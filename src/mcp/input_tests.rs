//! Hostile and broken input (THREATS 16), and what models get wrong in arguments.

use serde_json::{Value, json};

use super::*;

fn ask(body: &[u8]) -> (u16, Value) {
    match decide(&RequestHead::default(), body, &ServerFacts::sequel()) {
        Decision::Reply { status, body } => (status, serde_json::from_slice(&body).expect("a reply is JSON")),
        other => panic!("not a reply: {other:?}"),
    }
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>, code: i32) {
    let (status, answer) = ask(body.as_ref());
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{answer}");
    assert_eq!(answer["id"], Value::Null);
    assert!(answer.to_string().len() < 512);
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for body in
        ["", " ", "{", "nonsense", "{\"jsonrpc\":\"2.0\",}", "[1,", "{}x", "\u{feff}{}", "{\"a\":\"\u{1}\"}"]
    {
        refused(body, PARSE_ERROR);
    }
    refused(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", PARSE_ERROR);
    refused(b"\x1f\x8b\x08\x00\x00\x00", PARSE_ERROR);
}

#[test]
fn json_that_is_no_message_is_an_invalid_request() {
    for body in [
        "1",
        "null",
        "\"x\"",
        "{}",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"1.0\",\"method\":\"ping\"}",
        "{\"jsonrpc\":2.0,\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":5}",
        "{\"jsonrpc\":\"2.0\",\"method\":null}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"\\ud800\"}",
    ] {
        refused(body, INVALID_REQUEST);
    }
}

#[test]
fn the_id_is_a_short_string_or_a_number() {
    let with = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let long = format!("\"{}\"", "a".repeat(257));
    let huge = format!("\"{}\"", "a".repeat(1 << 20));
    let escaped = format!("\"{}\"", "\\u0061".repeat(257));
    let digits = "1".repeat(33);
    for id in ["null", "{}", "[]", "[1]", "true", "false", "\"\\ud800\"", &long, &huge, &escaped, &digits] {
        refused(with(id), INVALID_REQUEST);
    }
    let longest = format!("\"{}\"", "a".repeat(256));
    for id in ["0", "-1", "9007199254740993", "1.5", "\"\"", "\"\\u00e9\\n\"", "\"<é>\"", &longest] {
        let (status, answer) = ask(with(id).as_bytes());
        assert_eq!(status, 200, "{id}");
        assert_eq!(answer["id"], serde_json::from_str::<Value>(id).unwrap());
        assert_eq!(answer["result"], json!({}));
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    refused(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, INVALID_REQUEST);
    refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#, INVALID_REQUEST);
    refused(r#"{"jsonrpc":"2.0","id":1,"i\u0064":2,"method":"ping"}"#, INVALID_REQUEST);
    let (_, answer) = ask(
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_query","name":"list_data_sources"}}"#,
    );
    assert_eq!(answer["error"]["code"], INVALID_PARAMS);
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{open}{close}}}}}"#)
    };
    assert_eq!(ask(nested(62).as_bytes()).0, 200);
    refused(nested(63), INVALID_REQUEST);
    refused(nested(10_000), INVALID_REQUEST);
    refused("[".repeat(1 << 20), INVALID_REQUEST);
    // Brackets in a string are no depth.
    let flat =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"\"{}"}}}}"#, "[".repeat(100));
    assert_eq!(ask(flat.as_bytes()).0, 200);
}

#[test]
fn an_echo_of_the_clients_words_is_bounded_and_escaped() {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": format!("\u{1b}[31m\"{}", "x".repeat(9000))});
    let (_, answer) = ask(body.to_string().as_bytes());
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.len() < 128 && !message.contains('\u{1b}'), "{message}");
}

fn tool(name: &str, arguments: &str) -> Decision {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    );
    decide(&RequestHead::default(), body.as_bytes(), &ServerFacts::sequel())
}

#[track_caller]
fn failure(name: &str, arguments: &str) -> String {
    let Decision::Reply { status: 200, body } = tool(name, arguments) else { panic!("{arguments}") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["result"]["isError"], true, "{body}");
    assert!(body["result"].get("structuredContent").is_none());
    body["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn arguments_that_do_not_fit_are_a_failure_that_says_what_to_change() {
    for (arguments, word) in [
        ("{}", "sql"),
        (r#"{"sql":null}"#, "sql"),
        (r#"{"sql":"  "}"#, "sql"),
        (r#"{"sql":["SELECT 1"]}"#, "string"),
        (r#"{"sql":"x","source":5}"#, "source"),
        (r#"{"sql":"x","query":"y"}"#, "query"),
        (r#"{"sql":"x","sql":"y"}"#, "once"),
        (r#"{"sql":"x","row_limit":0}"#, "row_limit"),
        (r#"{"sql":"x","row_limit":-5}"#, "row_limit"),
        (r#"{"sql":"x","row_limit":1.5}"#, "row_limit"),
        (r#"{"sql":"x","row_limit":"10"}"#, "row_limit"),
        (r#"{"sql":"x","format":"xml"}"#, "markdown"),
        (r#"{"sql":"x","format":1}"#, "format"),
    ] {
        let message = failure("run_query", arguments);
        assert!(message.contains(word), "{arguments}: {message}");
    }
    for (tool, arguments, word) in [
        ("list_data_sources", r#"{"x":1}"#, "no arguments"),
        ("search_schema", r#"{"query":5}"#, "string"),
        ("search_schema", r#"{"words":"x"}"#, "detail"),
        ("search_schema", r#"{"detail":"all"}"#, "\"full\""),
        ("search_schema", r#"{"limit":0}"#, "limit"),
        ("search_schema", r#"{"refresh":"yes"}"#, "true or false"),
        ("search_schema", r#"{"query":"a","qu\u0065ry":"b"}"#, "once"),
        ("describe_table", "{}", "table"),
        ("describe_table", r#"{"table":""}"#, "search_schema"),
        ("explain_query", r#"{"sql":" "}"#, "SELECT"),
        ("explain_query", r#"{"sql":"x","row_limit":1}"#, "row_limit"),
    ] {
        let message = failure(tool, arguments);
        assert!(message.contains(word), "{tool} {arguments}: {message}");
    }
}

#[test]
fn an_unknown_tool_and_arguments_of_no_object_are_protocol_errors() {
    for (name, arguments) in
        [("drop_table", "{}"), ("run_query", "[]"), ("run_query", "\"SELECT 1\""), ("", "{}")]
    {
        let Decision::Reply { status: 200, body } = tool(name, arguments) else { panic!("{name}") };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], INVALID_PARAMS, "{body}");
    }
    let (_, answer) = ask(br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}"#);
    assert_eq!(answer["error"]["code"], INVALID_PARAMS);
}

#[test]
fn well_formed_arguments_become_a_call() {
    let query = |arguments: &str| match tool("run_query", arguments) {
        Decision::Call(Call { task: Task::Tool(ToolCall::RunQuery(query)), .. }) => query,
        other => panic!("{arguments}: {other:?}"),
    };
    let plain = RunQuery { source: None, sql: "SELECT 1".into(), row_limit: None, format: Format::Json };
    assert_eq!(query(r#"{"sql":"SELECT 1"}"#), plain);
    assert_eq!(query(r#"{"sql":"SELECT 1","source":null,"row_limit":null,"format":null}"#), plain);
    assert_eq!(query(r#"{"sql":"SELECT\u0020\u0031"}"#), plain);
    let full = query(r#"{"sql":"x","source":"demo","row_limit":10.0,"format":"csv"}"#);
    assert_eq!((full.source.as_deref(), full.row_limit, full.format), (Some("demo"), Some(10), Format::Csv));
    assert_eq!(query(r#"{"sql":"x","row_limit":1e300}"#).row_limit, Some(u32::MAX));
    let called = |name: &str, arguments: &str| match tool(name, arguments) {
        Decision::Call(Call { task: Task::Tool(call), .. }) => call,
        other => panic!("{arguments}: {other:?}"),
    };
    let all = SearchSchema {
        source: None,
        query: String::new(),
        detail: Detail::Columns,
        limit: None,
        refresh: false,
    };
    assert_eq!(called("search_schema", "{}"), ToolCall::SearchSchema(all));
    let words = SearchSchema {
        source: Some("demo".into()),
        query: "late flights".into(),
        detail: Detail::Full,
        limit: Some(5),
        refresh: true,
    };
    let arguments = r#"{"source":"demo","query":"late flights","detail":"full","limit":5,"refresh":true}"#;
    assert_eq!(called("search_schema", arguments), ToolCall::SearchSchema(words));
    let table = DescribeTable { source: None, table: "a".into(), refresh: false };
    assert_eq!(called("describe_table", r#"{"table":"a","refresh":null}"#), ToolCall::DescribeTable(table));
    let query = ExplainQuery { source: None, sql: "SELECT 1".into() };
    assert_eq!(called("explain_query", r#"{"sql":"SELECT 1"}"#), ToolCall::ExplainQuery(query));
    for arguments in ["{}", "null"] {
        assert!(matches!(
            tool("list_data_sources", arguments),
            Decision::Call(Call { task: Task::Tool(ToolCall::ListDataSources), .. })
        ));
    }
}

#[test]
fn a_result_says_its_type_in_the_modern_era_only() {
    let Decision::Call(mut call) = tool("list_data_sources", "{}") else { panic!() };
    let outcome = ToolOutcome::data_sources([
        DataSourceEntry { name: "demo", kind: "sqlite", description: Some("Flights, \"all\"") },
        DataSourceEntry { name: "b", kind: "sqlite", description: None },
    ]);
    let old: Value = serde_json::from_slice(&call.encode(outcome.clone())).unwrap();
    assert!(old["result"].get("resultType").is_none() && old["result"].get("_meta").is_none());
    assert_eq!(old["result"]["structuredContent"]["data_sources"][1], json!({"name": "b", "kind": "sqlite"}));
    let text = old["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), old["result"]["structuredContent"]);
    call.version = Version::V2026_07_28;
    let new: Value = serde_json::from_slice(&call.encode(outcome)).unwrap();
    assert_eq!(new["result"]["resultType"], "complete");
    assert_eq!(new["result"]["isError"], false);
    assert_eq!(new["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sequel");
    let error: Value = serde_json::from_slice(&call.encode_error(INTERNAL_ERROR, "It broke.")).unwrap();
    assert_eq!(error["error"]["code"], INTERNAL_ERROR);
}

#[test]
fn a_progress_token_is_kept_where_it_is_one() {
    let token = |token: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"list_data_sources","_meta":{{"progressToken":{token}}}}}}}"#
        );
        match decide(&RequestHead::default(), body.as_bytes(), &ServerFacts::sequel()) {
            Decision::Call(call) => call.progress_token.map(|t| t.as_json().to_owned()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(token("5").as_deref(), Some("5"));
    assert_eq!(token("\"t\"").as_deref(), Some("\"t\""));
    assert_eq!(token("{}"), None);
}
