//! How often something may be done: at the limit, one past it, and by whom it is felt (THREATS 23).

use serde_json::{Value, json};

use crate::apps::{App, Tokens};
use crate::browser::{Browser, PASSWORD, owner, serve_with};
use crate::server::Home;
use crate::waiting::{PATIENCE, poll};
use crate::wire::Answer;

const PER_KEY: &str = "SEQUEL__LIMITS__REQUESTS_PER_MINUTE_PER_KEY";
const PER_ORG: &str = "SEQUEL__LIMITS__REQUESTS_PER_MINUTE_PER_ORG";
const CREATIONS: &str = "SEQUEL__LIMITS__KEY_CREATIONS_PER_MINUTE";

/// Told to come back in so many seconds.
#[track_caller]
fn slowed_down(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{}", answer.text());
    answer.header("retry-after").expect("Retry-After").parse().unwrap()
}

#[test]
fn as_many_requests_as_a_key_may_make_are_answered_and_the_next_is_told_how_long_to_wait() {
    let home = Home::new();
    let server = home.serve_with(&[(PER_KEY, "4")]);
    server.org("acme");
    let (key, other) = (server.key("acme", "k"), server.key("acme", "other"));
    let ping = |key: &str| server.rpc(key, "ping", json!({}));
    // The organization may be loaded by the first one: that one counts like any other.
    for _ in 0..4 {
        assert_eq!(ping(&key).status, 200);
    }
    let refused = ping(&key);
    assert!((1..=15).contains(&slowed_down(&refused)));
    assert_eq!(refused.json()["error"], "slow_down");
    // Before anything of it is looked at, a tool call as well.
    let call = server.rpc(&key, "tools/call", json!({ "name": "list_data_sources", "arguments": {} }));
    slowed_down(&call);
    // What is refused for its credential is told so, whatever the rate.
    assert_eq!(server.status("sql_nonsense"), 401);
    assert_eq!(ping(&other).status, 200);
    // A key that is switched off and on again has had what it has had.
    server.switch_key("acme", "k", false);
    assert_eq!(ping(&key).status, 401);
    server.switch_key("acme", "k", true);
    slowed_down(&ping(&key));
}

#[test]
fn an_app_that_refreshes_more_often_than_it_may_is_told_that_it_is_the_app() {
    let home = Home::new();
    let server = serve_with(&home, &[(PER_KEY, "4")]);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let app = App::register(&server);
    let mut tokens = app.authorized(&server, &mut ada, base.rsplit('/').next().unwrap());
    let refused = loop {
        let answer = app.refresh(&server, &tokens.refresh);
        if answer.status != 200 {
            break answer;
        }
        tokens = Tokens::of(&answer);
    };
    assert!((1..=15).contains(&slowed_down(&refused)));
    let said = refused.json()["error_description"].as_str().unwrap().to_owned();
    assert!(said.starts_with("This app ") && !said.contains("address"), "{said}");
}

#[test]
fn who_waited_as_long_as_told_is_answered_again() {
    let home = Home::new();
    let server = home.serve_with(&[(PER_KEY, "60")]);
    server.org("acme");
    let key = server.key("acme", "k");
    let mut refused = None;
    for _ in 0..=70 {
        let answer = server.rpc(&key, "ping", json!({}));
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    assert_eq!(slowed_down(&refused.expect("a refusal")), 1);
    poll(PATIENCE, "the key is answered again", || server.status(&key) == 200);
}

#[test]
fn as_many_requests_as_an_org_may_make_are_answered_and_no_other_org_notices() {
    let home = Home::new();
    let server = home.serve_with(&[(PER_ORG, "4")]);
    for org in ["loud", "quiet"] {
        server.org(org);
    }
    let loud = [server.key("loud", "a"), server.key("loud", "b")];
    let quiet = server.key("quiet", "k");
    for key in [&loud[0], &loud[1], &loud[0], &loud[1]] {
        assert_eq!(server.status(key), 200);
    }
    for key in &loud {
        slowed_down(&server.rpc(key, "ping", json!({})));
    }
    assert_eq!(server.status(&quiet), 200);
}

#[test]
fn as_many_keys_as_an_org_may_create_in_a_minute_are_made_and_the_next_waits() {
    let home = Home::new();
    let server = home.serve_with(&[(CREATIONS, "3")]);
    for org in ["acme", "other"] {
        server.org(org);
    }
    for n in 0..3 {
        server.key("acme", &format!("k{n}"));
    }
    let refused = server.admin("POST", "/orgs/acme/keys", &json!({ "name": "k3" }));
    assert!((1..=20).contains(&slowed_down(&refused)));
    assert_eq!(refused.json()["code"], "too_fast");
    home.cli(&["key", "create", "k3", "--org", "acme"]).refused("try again in");
    server.key("other", "k");
    // What is no creation goes on, and nothing of the refused one is there.
    server.delete_key("acme", "k0");
    let keys = server.done("GET", "/orgs/acme/keys", Value::Null);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn zero_is_no_limit() {
    let home = Home::new();
    let server = home.serve_with(&[(PER_KEY, "0"), (PER_ORG, "0"), (CREATIONS, "0")]);
    server.org("acme");
    let key = server.key("acme", "k");
    let mut wire = server.connect();
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    // More than the defaults let go at once.
    for _ in 0..1_500 {
        wire.request("POST", "/mcp", &headers, body);
        assert_eq!(wire.answer().status, 200);
    }
}

#[test]
fn each_call_of_a_batch_counts() {
    let home = Home::new();
    let server = home.serve_with(&[(PER_KEY, "2")]);
    server.org("acme");
    let key = server.key("acme", "k");
    let call = |id| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
                            "params": { "name": "list_data_sources", "arguments": {} } })
    };
    let body = json!([call(1), call(2), call(3)]).to_string();
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-03-26")];
    let answer = server.post(&headers, body.as_bytes()).json();
    let errors: Vec<_> = answer.as_array().unwrap().iter().map(|a| a["result"]["isError"].clone()).collect();
    assert_eq!(errors, [false, false, true], "{answer}");
}

#[test]
fn as_many_pages_as_a_person_may_ask_for_are_shown_and_nobody_else_waits() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__LIMITS__REQUESTS_PER_MINUTE_PER_PERSON", "6")]);
    let (mut ada, mut eve) =
        (Browser::of(&server, "ada@example.com"), Browser::of(&server, "eve@example.com"));
    let mut phone = Browser::new(&server);
    phone.sign_in("ada@example.com", PASSWORD);
    // All browsers of a person together; nothing is counted of who is not signed in yet.
    for _ in 0..3 {
        assert_eq!((ada.get("/account").status, phone.get("/account").status), (200, 200));
    }
    for browser in [&mut ada, &mut phone] {
        let refused = browser.get("/account");
        assert!((1..=10).contains(&slowed_down(&refused)));
        assert!(refused.text().contains("Too many in a short time"));
        slowed_down(&browser.post("/account", &[("name", "Ada")]));
    }
    assert_eq!(eve.get("/account").status, 200);
    assert_eq!(Browser::new(&server).get("/sign-in").status, 200);
}

#[test]
fn who_holds_an_invitation_cannot_keep_the_server_hashing() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__AUTH__SIGN_INS_PER_MINUTE_PER_ACCOUNT", "3")]);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    drop(Browser::of(&server, "eve@example.com"));
    ada.get(&format!("{base}/members/invite"));
    let fields = [("email", "eve@example.com"), ("role", "member")];
    let page = ada.post(&format!("{base}/members/invite"), &fields).text();
    let link = page.split_once("/invitation/").unwrap().1.split('<').next().unwrap().to_owned();
    let link = format!("/invitation/{link}");
    let mut thief = Browser::new(&server);
    thief.get(&link);
    for _ in 0..3 {
        let told = thief.post(&link, &[("password", "humming tin roofs")]);
        assert!(told.text().contains("sign in to accept"), "{}", told.text());
    }
    slowed_down(&thief.post(&link, &[("password", "humming tin roofs")]));
    assert_eq!(thief.get(&link).status, 200, "the link is as good as before");
}
