//! `subscriptions/listen` and multi round trips, as a client sees them.

use serde_json::{Value, json};

use super::*;

const MODERN: &str = "2026-07-28";

fn ask(method: &str, mut params: Value) -> Decision {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let head = RequestHead {
        protocol_version: HeaderField::One(MODERN.as_bytes()),
        mcp_method: HeaderField::One(method.as_bytes()),
        mcp_name: HeaderField::One(name.as_bytes()),
    };
    let body = json!({ "jsonrpc": "2.0", "id": "l-1", "method": method, "params": params });
    decide(&head, body.to_string().as_bytes(), &ServerFacts::sequel_at("1.2.3"))
}

#[track_caller]
fn listen(notifications: Value) -> Listen {
    match ask("subscriptions/listen", json!({ "notifications": notifications })) {
        Decision::Listen(listen) => *listen,
        other => panic!("no stream: {other:?}"),
    }
}

#[track_caller]
fn refused(decision: Decision) -> (u16, i64) {
    let Decision::Reply { status, body } = decision else { panic!("no reply: {decision:?}") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["id"], "l-1");
    (status, body["error"]["code"].as_i64().unwrap())
}

fn json_of(bytes: bytes::Bytes) -> Value {
    serde_json::from_slice(&bytes).unwrap()
}

fn tagged() -> Value {
    json!({ "io.modelcontextprotocol/subscriptionId": "l-1" })
}

#[test]
fn the_acknowledgement_names_what_is_sent_and_leaves_out_what_never_changes() {
    let asked = json!({
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": ["sequel://sources/flights", "file:///etc/passwd", "sequel://sources/flights"],
        "somethingNew": true,
    });
    let listen = listen(asked);
    assert_eq!(
        json_of(listen.acknowledged()),
        json!({
            "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": { "_meta": tagged(), "notifications": {
                "resourcesListChanged": true, "resourceSubscriptions": ["sequel://sources/flights"],
            } },
        })
    );
    assert!(listen.wants_resource_list());
}

#[test]
fn nothing_that_was_not_asked_for_is_wanted() {
    for nothing in
        [json!({}), json!({ "resourcesListChanged": false }), json!({ "resourcesListChanged": null })]
    {
        let listen = listen(nothing);
        assert!(!listen.wants_resource_list());
        assert_eq!(json_of(listen.acknowledged())["params"]["notifications"], json!({}));
        assert_eq!(listen.watched(&["flights".into()]).count(), 0);
    }
}

#[test]
fn a_watched_resource_belongs_to_its_source_and_to_no_other() {
    let uris = ["sequel://sources/a%2Fb/tables/t", "sequel://sources/a"];
    let listen = listen(json!({ "resourceSubscriptions": uris }));
    let watched = |name: &str| {
        let names = [name.to_owned()];
        listen.watched(&names).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(watched("a/b"), [uris[0]]);
    assert_eq!(watched("a"), [uris[1]]);
    assert!(watched("b").is_empty());
}

#[test]
fn every_message_of_a_stream_carries_its_id() {
    let listen = listen(json!({ "resourcesListChanged": true }));
    assert_eq!(
        json_of(listen.resource_list_changed()),
        json!({
            "jsonrpc": "2.0", "method": "notifications/resources/list_changed", "params": { "_meta": tagged() },
        })
    );
    assert_eq!(
        json_of(listen.updated("sequel://sources/a%20b")),
        json!({
            "jsonrpc": "2.0", "method": "notifications/resources/updated",
            "params": { "_meta": tagged(), "uri": "sequel://sources/a%20b" },
        })
    );
    let closed = json_of(listen.closed());
    assert_eq!((&closed["id"], &closed["result"]["resultType"]), (&json!("l-1"), &json!("complete")));
    assert_eq!(closed["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l-1");
    assert_eq!(closed["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sequel");
}

#[test]
fn a_filter_that_makes_no_sense_is_refused() {
    let uris = |count: usize| (0..count).map(|i| format!("sequel://sources/{i}")).collect::<Vec<_>>();
    for notifications in [
        json!(null),
        json!([]),
        json!("all"),
        json!({ "resourcesListChanged": "yes" }),
        json!({ "toolsListChanged": 1 }),
        json!({ "resourceSubscriptions": "sequel://sources/a" }),
        json!({ "resourceSubscriptions": [7] }),
        json!({ "resourceSubscriptions": uris(RESOURCES_MAX + 1) }),
        json!({ "resourceSubscriptions": [format!("sequel://sources/{}", "a".repeat(2_048))] }),
    ] {
        let asked = ask("subscriptions/listen", json!({ "notifications": notifications }));
        assert_eq!(refused(asked), (200, -32602), "{notifications}");
    }
    assert_eq!(refused(ask("subscriptions/listen", json!({}))), (200, -32602));
    let most = json_of(listen(json!({ "resourceSubscriptions": uris(RESOURCES_MAX) })).acknowledged());
    let agreed = &most["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(agreed.as_array().unwrap().len(), RESOURCES_MAX);
}

#[test]
fn a_legacy_client_has_no_streams_of_notices() {
    let head = RequestHead { protocol_version: HeaderField::One(b"2025-11-25"), ..RequestHead::default() };
    for method in ["subscriptions/listen", "resources/subscribe", "resources/unsubscribe", "logging/setLevel"]
    {
        let params = json!({ "notifications": {}, "uri": "sequel://sources/a", "level": "info" });
        let body = json!({ "jsonrpc": "2.0", "id": "l-1", "method": method, "params": params });
        let decision = decide(&head, body.to_string().as_bytes(), &ServerFacts::sequel_at("1.2.3"));
        assert_eq!(refused(decision), (200, -32601), "{method}");
    }
}

#[test]
fn a_state_that_was_never_issued_is_refused_and_answers_that_nobody_asked_for_are_ignored() {
    let call = |more: Value| {
        let mut params = json!({ "name": "list_data_sources", "arguments": {} });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask("tools/call", params)
    };
    for state in [json!("made up"), json!(""), json!(7)] {
        assert_eq!(refused(call(json!({ "requestState": state }))), (200, -32602), "{state}");
    }
    for responses in [json!([]), json!("x")] {
        assert_eq!(refused(call(json!({ "inputResponses": responses }))), (200, -32602), "{responses}");
    }
    let answered = call(json!({ "inputResponses": { "question": { "action": "accept" } } }));
    assert!(matches!(answered, Decision::Call(_)), "{answered:?}");
    let nothing = call(json!({ "inputResponses": null, "requestState": null }));
    assert!(matches!(nothing, Decision::Call(_)), "{nothing:?}");
    // Elsewhere these names mean nothing.
    assert!(matches!(ask("tools/list", json!({ "requestState": "x" })), Decision::Fact { .. }));
}
