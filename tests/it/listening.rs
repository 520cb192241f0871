//! `subscriptions/listen`: what a client is told of changes, when its stream ends, and how many there may be.

use serde_json::{Value, json};

use crate::apps::App;
use crate::browser::{owner, serve};
use crate::events::Events;
use crate::server::{Home, TestServer};
use crate::waiting::promptly;
use crate::wire::Head;

const MODERN: &str = "2026-07-28";

fn acme(config: &str) -> (Home, TestServer) {
    let home = Home::with(config);
    home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (42)");
    let server = home.serve();
    server.org("acme");
    (home, server)
}

fn ask(
    server: &TestServer,
    key: &str,
    id: &Value,
    notifications: &Value,
) -> (crate::wire::Wire<std::net::TcpStream>, Head) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "_meta": meta, "notifications": notifications });
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": params });
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("MCP-Protocol-Version", MODERN),
        ("Mcp-Method", "subscriptions/listen"),
        ("Accept", "application/json, text/event-stream"),
    ];
    let mut wire = server.connect();
    wire.request("POST", "/mcp", &headers, body.to_string().as_bytes());
    let head = wire.head().expect("an answer");
    (wire, head)
}

/// An open stream, its acknowledgement read.
#[track_caller]
pub(crate) fn listen(server: &TestServer, key: &str, id: Value, notifications: Value) -> (Events, Value) {
    let (wire, head) = ask(server, key, &id, &notifications);
    let mut events = Events::of(wire, &head);
    let first = events.next().unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    (events, first["params"]["notifications"].clone())
}

fn everything() -> Value {
    json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true })
}

#[track_caller]
fn list_changed(event: Option<Value>, id: &Value) {
    let event = event.expect("a change before the end");
    assert_eq!(event["method"], "notifications/resources/list_changed", "{event}");
    assert_eq!(&event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
}

/// The stream ends properly: by the result of the request, and nothing after it.
#[track_caller]
fn ends_with_its_result(events: &mut Events, id: &Value) {
    let last = events.next().expect("a result before the end");
    assert_eq!((&last["id"], &last["result"]["resultType"]), (id, &json!("complete")), "{last}");
    assert_eq!(&last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    assert_eq!(events.next(), None);
}

#[test]
fn a_source_that_comes_or_goes_is_told_to_those_who_asked_for_it_at_once() {
    let (home, server) = acme("");
    let key = server.key("acme", "client");
    let (mut wide, agreed) = listen(&server, &key, json!(1), everything());
    // Tools and prompts never change while the server runs, and the acknowledgement says so.
    assert_eq!(agreed, json!({ "resourcesListChanged": true }));
    let (mut narrow, agreed) = listen(&server, &key, json!(2), json!({ "toolsListChanged": true }));
    assert_eq!(agreed, json!({}));
    let (mut second, _) = listen(&server, &key, json!("s"), json!({ "resourcesListChanged": true }));
    server.source("acme", "facts", &home.databases().join("facts.db"));
    promptly(|| {
        list_changed(wide.next(), &json!(1));
        list_changed(second.next(), &json!("s"));
    });
    server.done("DELETE", "/orgs/acme/sources/facts", Value::Null);
    promptly(|| list_changed(wide.next(), &json!(1)));
    // Nothing else came on the stream of the one who asked for nothing that changes: its end is the next thing.
    server.delete_key("acme", "client");
    assert_eq!(promptly(|| narrow.next()), None);
}

#[test]
fn a_watched_resource_is_told_of_when_its_source_changes() {
    let (home, server) = acme("");
    let key = server.key("acme", "client");
    let uri = "sequel://sources/my%20facts";
    let asked = json!({ "resourceSubscriptions": [uri, "sequel://sources/other", "https://example.com/x"] });
    let (mut events, agreed) = listen(&server, &key, json!(1), asked);
    assert_eq!(agreed, json!({ "resourceSubscriptions": [uri, "sequel://sources/other"] }));
    let path = home.databases().join("facts.db");
    server.source("acme", "unwatched", &path);
    server.source("acme", "my facts", &path);
    let event = promptly(|| events.next()).unwrap();
    assert_eq!(
        (&event["method"], &event["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!(uri))
    );
    server.done("DELETE", "/orgs/acme/sources/my%20facts", Value::Null);
    assert_eq!(promptly(|| events.next()).unwrap()["params"]["uri"], uri);
}

#[test]
fn whoever_is_told_of_a_change_finds_it() {
    let (home, server) = acme("");
    let key = server.key("acme", "client");
    let resources = || {
        let listed = server.rpc(&key, "resources/list", json!({})).json()["result"]["resources"].clone();
        listed.as_array().unwrap().iter().map(|resource| resource["uri"].clone()).collect::<Vec<_>>()
    };
    let uri = "sequel://sources/my%20facts/tables/t";
    let asked = json!({ "resourcesListChanged": true, "resourceSubscriptions": [uri] });
    let (mut events, agreed) = listen(&server, &key, json!(1), asked);
    assert_eq!(agreed["resourceSubscriptions"], json!([uri]));
    assert_eq!(resources(), Vec::<Value>::new());
    server.source("acme", "my facts", &home.databases().join("facts.db"));
    list_changed(events.next(), &json!(1));
    assert_eq!(resources(), ["sequel://sources/my%20facts"]);
    let updated = events.next().unwrap()["params"]["uri"].clone();
    let read = server.rpc(&key, "resources/read", json!({ "uri": updated })).json();
    assert_eq!(read["result"]["contents"][0]["uri"], uri, "{read}");
    server.done("DELETE", "/orgs/acme/sources/my%20facts", Value::Null);
    list_changed(events.next(), &json!(1));
    assert_eq!(resources(), Vec::<Value>::new());
}

#[test]
fn a_source_that_is_renamed_or_led_elsewhere_is_a_change_of_both_its_names() {
    let (home, server) = acme("");
    let path = home.databases().join("facts.db");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    let (old, new) = ("sequel://sources/facts/tables/t", "sequel://sources/truths");
    let asked = json!({ "resourcesListChanged": true, "resourceSubscriptions": [old, new] });
    let (mut events, _) = listen(&server, &key, json!(1), asked);
    let other = home.database("other.db", "CREATE TABLE u(x)");
    for (was, change, updated) in [
        ("facts", json!({ "settings": { "path": other } }), vec![old]),
        ("facts", json!({ "name": "truths" }), vec![old, new]),
        ("truths", json!({ "description": "Nothing but." }), vec![new]),
    ] {
        server.done("PATCH", &format!("/orgs/acme/sources/{was}"), change.clone());
        promptly(|| {
            list_changed(events.next(), &json!(1));
            for uri in updated {
                assert_eq!(events.next().unwrap()["params"]["uri"], uri, "{change}");
            }
        });
    }
}

#[test]
fn a_change_of_another_organization_or_of_another_key_is_none_of_ours() {
    let (home, server) = acme("");
    let (key, other) = (server.key("acme", "client"), server.key("acme", "other"));
    server.org("elsewhere");
    let (mut events, _) = listen(&server, &key, json!(1), everything());
    server.source("elsewhere", "theirs", &home.databases().join("facts.db"));
    server.done("PATCH", "/orgs/acme/keys/other", json!({ "name": "renamed" }));
    server.delete_key("acme", "renamed");
    assert_eq!(server.status(&other), 401);
    // What comes next is the stream's own end, so nothing was told before.
    server.delete_key("acme", "client");
    assert_eq!(promptly(|| events.next()), None);
}

#[test]
fn a_revoke_ends_the_streams_of_its_key_at_once_and_no_others() {
    let (home, server) = acme("");
    let other = server.key("acme", "other");
    let (mut kept, _) = listen(&server, &other, json!(1), everything());
    let triggers: [(&str, &dyn Fn()); 3] = [
        ("deleted", &|| server.delete_key("acme", "deleted")),
        ("disabled", &|| server.switch_key("acme", "disabled", false)),
        ("rotated", &|| {
            server.done("POST", "/orgs/acme/keys/rotated/rotate", json!({ "overlap_seconds": 0 }));
        }),
    ];
    for (name, revoke) in triggers {
        let key = server.key("acme", name);
        let mut streams: Vec<_> = (0..3).map(|id| listen(&server, &key, json!(id), everything()).0).collect();
        revoke();
        promptly(|| {
            for events in &mut streams {
                // At once, and without a word: the next request is told.
                assert_eq!(events.next(), None, "{name}");
            }
        });
        assert_eq!(ask(&server, &key, &json!(9), &everything()).1.status, 401, "{name}");
    }
    server.source("acme", "facts", &home.databases().join("facts.db"));
    promptly(|| list_changed(kept.next(), &json!(1)));
}

#[test]
fn a_revoked_app_loses_its_streams_at_once_and_others_keep_theirs() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let org = base.rsplit('/').next().unwrap();
    let app = App::register(&server);
    let (revoked, kept) = (app.authorized(&server, &mut ada, org), app.authorized(&server, &mut ada, org));
    let mut streams: Vec<_> =
        (0..3).map(|id| listen(&server, &revoked.access, json!(id), everything()).0).collect();
    let (mut other, _) = listen(&server, &kept.access, json!("other"), everything());
    assert_eq!(app.revoke(&server, &revoked.refresh).status, 200);
    promptly(|| {
        for events in &mut streams {
            assert_eq!(events.rest(), [] as [Value; 0]);
        }
    });
    server.source("acme", "sales", &home.database("sales.db", "CREATE TABLE t (a)"));
    list_changed(other.next(), &json!("other"));
}

#[test]
fn a_key_that_expires_takes_its_streams_with_it() {
    let (_home, server) = acme("streams.keep_alive_seconds = 60");
    let soon = sequel::context::Clock::system().now().plus(std::time::Duration::from_secs(2));
    let made = server.done("POST", "/orgs/acme/keys", json!({ "name": "brief", "expires_at": soon }));
    let (mut events, _) = listen(&server, made["key"].as_str().unwrap(), json!(1), everything());
    assert_eq!(events.next(), None);
}

#[test]
fn a_stream_has_a_longest_life_and_a_sign_of_life() {
    let (_home, server) = acme("streams.longest_seconds = 2\nstreams.keep_alive_seconds = 1");
    let key = server.key("acme", "client");
    let (mut events, _) = listen(&server, &key, json!("x"), everything());
    assert_eq!(events.block().as_deref(), Some(":"));
    ends_with_its_result(&mut events, &json!("x"));
    // And another one may follow on the same connection.
    assert!(events.wire.is_silent());
    listen(&server, &key, json!("y"), everything());
}

#[test]
fn a_shutdown_ends_streams_at_once_and_does_not_wait_for_them() {
    let (_home, mut server) = acme("");
    let key = server.key("acme", "client");
    let mut streams: Vec<_> = (0..3).map(|id| listen(&server, &key, json!(id), everything()).0).collect();
    server.terminate();
    promptly(|| {
        for (id, events) in streams.iter_mut().enumerate() {
            ends_with_its_result(events, &json!(id));
        }
    });
    assert!(server.wait().success());
}

#[test]
fn streams_are_bounded_for_a_key_and_for_an_organization() {
    let (_home, server) = acme("streams.per_key = 2\nstreams.per_org = 3");
    let (a, b) = (server.key("acme", "a"), server.key("acme", "b"));
    let open = |key: &str, id: i32| listen(&server, key, json!(id), everything()).0;
    let full = |key: &str| {
        let (mut wire, head) = ask(&server, key, &json!("more"), &everything());
        let answer = wire.rest(head);
        assert_eq!((answer.status, answer.header("content-type")), (429, Some("application/json")));
        assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
        let json = answer.json();
        assert_eq!((&json["id"], &json["error"]["code"]), (&json!("more"), &json!(429)));
        json["error"]["message"].as_str().unwrap().to_owned()
    };
    let first = open(&a, 1);
    let _second = open(&a, 2);
    assert!(full(&a).contains("this key has 2 open"));
    let _third = open(&b, 1);
    assert!(full(&b).contains("the organization has 3 open"));
    // Calls are counted apart.
    assert_eq!(server.status(&a), 200);
    drop(first);
    crate::waiting::poll(crate::waiting::PROMISED, "a closed stream makes room", || {
        ask(&server, &b, &json!(2), &everything()).1.status == 200
    });
}

#[test]
fn a_client_ends_its_stream_by_going_away_or_by_a_word() {
    let (_home, server) = acme("streams.per_key = 1");
    let key = server.key("acme", "client");
    let again = || {
        crate::waiting::poll(crate::waiting::PROMISED, "the stream's place is free", || {
            ask(&server, &key, &json!("next"), &everything()).1.status == 200
        });
    };
    let (events, _) = listen(&server, &key, json!("one"), everything());
    events.wire.reset();
    again();
    let open = || {
        let mut opened = None;
        crate::waiting::poll(crate::waiting::PROMISED, "the stream's place is free", || {
            let (wire, head) = ask(&server, &key, &json!("two"), &everything());
            opened = (head.status == 200).then(|| Events::of(wire, &head));
            opened.is_some()
        });
        opened.unwrap()
    };
    let mut events = open();
    assert_eq!(events.next().unwrap()["method"], "notifications/subscriptions/acknowledged");
    // Where it is not needed some clients say it all the same.
    let params = json!({ "requestId": "two" });
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string();
    let bearer = format!("Bearer {key}");
    let answer =
        server.post(&[("Authorization", &bearer), ("MCP-Protocol-Version", MODERN)], body.as_bytes());
    assert_eq!(answer.status, 202);
    assert_eq!(promptly(|| events.next()), None);
    again();
}

#[test]
fn a_filter_that_makes_no_sense_opens_nothing() {
    let (_home, server) = acme("");
    let key = server.key("acme", "client");
    for notifications in [json!(null), json!("all"), json!({ "resourceSubscriptions": 1 })] {
        let (mut wire, head) = ask(&server, &key, &json!(1), &notifications);
        let answer = wire.rest(head);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (200, &json!(-32602)));
    }
}
