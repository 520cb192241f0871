//! What holds for every input.

use proptest::prelude::*;
use serde_json::Value;

use super::era::settle;
use super::jsonrpc::{Message, at_once, by_and_by};
use super::*;

fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("2.0".to_owned()),
        Just("2026-07-28".to_owned()),
        Just("2025-11-25".to_owned()),
        Just("tools/call".to_owned()),
        Just("tools/list".to_owned()),
        Just("initialize".to_owned()),
        Just("run_query".to_owned()),
        any::<String>(),
    ];
    let key = prop::sample::select(vec![
        "jsonrpc",
        "id",
        "method",
        "params",
        "result",
        "_meta",
        "name",
        "arguments",
        "sql",
        "row_limit",
        "cursor",
        "protocolVersion",
        "requestId",
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientCapabilities",
        "progressToken",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn header() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        Just(Some(b"2026-07-28".to_vec())),
        Just(Some(b"2025-11-25".to_vec())),
        Just(Some(b"tools/call".to_vec())),
        prop::collection::vec(any::<u8>(), 0..24).prop_map(Some),
        any::<String>().prop_map(|s| Some(format!("=?base64?{s}?=").into_bytes())),
    ]
}

fn head<'a>(headers: &'a [Option<Vec<u8>>; 3]) -> RequestHead<'a> {
    let field = |value: &'a Option<Vec<u8>>| value.as_deref().map_or(HeaderField::Absent, HeaderField::One);
    RequestHead {
        protocol_version: field(&headers[0]),
        mcp_method: field(&headers[1]),
        mcp_name: field(&headers[2]),
    }
}

proptest! {
    #[test]
    fn no_body_and_no_header_makes_it_panic(
        headers in [header(), header(), header()],
        noise in prop::collection::vec(any::<u8>(), 0..256),
        value in json(),
    ) {
        let server = ServerFacts::sequel();
        decide(&head(&headers), &noise, &server);
        let text = value.to_string();
        decide(&head(&headers), text.as_bytes(), &server);
        // Cut off anywhere, also within a character.
        decide(&head(&headers), &text.as_bytes()[..text.len() / 2], &server);
    }

    #[test]
    fn every_reply_is_json_rpc_with_the_id_that_was_asked(
        headers in [header(), header(), header()],
        id in prop_oneof![any::<i64>().prop_map(Value::from), "[^\u{0}]{0,40}".prop_map(Value::from)],
        method in prop_oneof![
            Just("tools/list".to_owned()), Just("tools/call".to_owned()), Just("initialize".to_owned()), any::<String>()
        ],
        params in json(),
    ) {
        let body = serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let answer = match decide(&head(&headers), body.to_string().as_bytes(), &ServerFacts::sequel()) {
            Decision::Reply { status, body } => {
                prop_assert!([200, 400, 404].contains(&status));
                body
            }
            Decision::Fact { id, fact } => fact_reply(&id, ServerFacts::sequel().fact(fact)).concat().into(),
            Decision::Call(call) => call.encode(ToolOutcome::error("no")),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        prop_assert_eq!(&answer["id"], &id);
        prop_assert_eq!(&answer["jsonrpc"], "2.0");
        prop_assert!(answer["result"].is_object() != answer["error"].is_object());
    }

    #[test]
    fn a_message_read_in_one_pass_says_what_it_says_member_by_member(
        headers in [header(), header(), header()],
        method in prop_oneof![Just(Value::from("tools/call")), json()],
        params in json(),
        twice in prop::sample::select(vec!["", ",\"params\":{}", ",\"id\":2", ",\"other\":[1]", ",\"params\":null"]),
    ) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method},"params":{params}{twice}}}"#);
        let settled = |message| match message {
            Ok(Message::Request { id, method, params }) => {
                format!("{id} {method} {:?}", settle(&head(&headers), &method, params, true))
            }
            other => format!("{other:?}"),
        };
        if let Some(at_once) = at_once(&text) {
            prop_assert_eq!(settled(at_once), settled(by_and_by(&text)), "{}", text);
        }
    }
}
