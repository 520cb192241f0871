//! Credentials that are not accepted (issue "Bad input", THREATS 15 and 18), and how a key changes.

use std::time::Duration;

use sequel::context::Rng;
use sequel::credential::{KeyId, OrgId, PlainKey};
use serde_json::{Value, json};

use crate::server::{Home, TestServer};
use crate::waiting::poll;
use crate::wire::Answer;

/// A server with the organization `acme`.
fn acme() -> (Home, TestServer) {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    (home, server)
}

/// A well-formed key that nobody ever made, of an organization that may exist.
pub(crate) fn forged(org: Option<&str>) -> String {
    let rng = Rng::system();
    let org = org.map_or_else(|| OrgId::mint(&rng).unwrap(), |id| id.parse().unwrap());
    PlainKey::mint(KeyId::mint(&rng).unwrap(), org, &rng).unwrap().reveal().to_owned()
}

/// The key's text with its organization exchanged and the checksum made right again.
fn moved(key: &str, org: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let checked = format!("{}{org}{}", &key[..14], &key[26..69]);
    let mut crc = crc32fast::hash(checked.as_bytes());
    let mut sum = [b'0'; 6];
    for digit in sum.iter_mut().rev() {
        *digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    checked + std::str::from_utf8(&sum).unwrap()
}

const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn with(server: &TestServer, authorization: &str) -> Answer {
    server.post(&[("Authorization", authorization)], LIST)
}

/// 401 with a challenge that names the metadata and the scopes.
#[track_caller]
fn challenged(answer: &Answer, error: Option<&str>) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(challenge.contains("/.well-known/oauth-protected-resource/mcp\""), "{challenge}");
    assert!(challenge.contains("scope=\"schema:read query:run\""), "{challenge}");
    assert_eq!(challenge.contains("error="), error.is_some(), "{challenge}");
    if let Some(error) = error {
        assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn a_request_without_a_key_is_told_where_to_learn_how_to_get_one() {
    let (_home, server) = acme();
    let answer = server.post(&[], LIST);
    challenged(&answer, None);
    assert_eq!(answer.json()["error"], "missing_token");
}

#[test]
fn what_is_no_key_of_ours_is_refused_like_an_invalid_key() {
    let (_home, server) = acme();
    let key = server.key("acme", "good");
    let (head, last) = key.split_at(74);
    let mistyped = format!("{head}{}", if last == "x" { "y" } else { "x" });
    let basic = format!("Basic {key}");
    let longer = format!("Bearer {key}0");
    let mut bodies = Vec::new();
    for authorization in [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "",
        &key,
        &basic,
        &longer,
        "Bearer sql_",
        &format!("Bearer {mistyped}"),
        &format!("Bearer {}", key.to_lowercase()),
        &format!("Bearer {key} {key}"),
        &format!("Bearer {key},"),
        &format!("Bearer \u{e9}{key}"),
        &format!("Bearer {}", "a".repeat(60_000)),
    ] {
        let answer = with(&server, authorization);
        challenged(&answer, Some("invalid_token"));
        bodies.push(answer.visible());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // The scheme's name has no case (RFC 9110, 11.1).
    assert_eq!(with(&server, &format!("bearer {key}")).status, 200);
}

#[test]
fn two_authorization_headers_are_refused_even_where_both_are_right() {
    let (_home, server) = acme();
    let bearer = format!("Bearer {}", server.key("acme", "good"));
    let answer = server.post(&[("Authorization", &bearer), ("Authorization", &bearer)], LIST);
    challenged(&answer, Some("invalid_token"));
}

#[test]
fn a_key_in_the_query_string_or_body_counts_for_nothing() {
    let (_home, server) = acme();
    let key = server.key("acme", "good");
    for name in ["access_token", "token", "key", "api_key", "authorization"] {
        challenged(&server.http("POST", &format!("/mcp?{name}={key}"), &[], LIST), None);
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    challenged(&server.http("POST", "/mcp", &form, format!("access_token={key}").as_bytes()), None);
}

#[test]
fn unknown_foreign_expired_disabled_and_deleted_keys_get_the_same_bytes() {
    let (_home, server) = acme();
    server.org("other");
    let keys = server.done("GET", "/orgs", Value::Null);
    let id_of = |name: &str| {
        let orgs = keys["orgs"].as_array().unwrap();
        orgs.iter().find(|org| org["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let good = server.key("acme", "good");
    assert_eq!(server.status(&good), 200);

    let disabled = server.key("acme", "disabled");
    server.switch_key("acme", "disabled", false);
    let deleted = server.key("acme", "deleted");
    server.delete_key("acme", "deleted");
    let rotated = server.key("acme", "rotated");
    server.done("POST", "/orgs/acme/keys/rotated/rotate", json!({ "overlap_seconds": 0 }));
    let soon = sequel::context::Clock::system().now().plus(Duration::from_secs(1));
    let expiring = server.done("POST", "/orgs/acme/keys", json!({ "name": "expiring", "expires_at": soon }));
    let expired = expiring["key"].as_str().unwrap().to_owned();
    poll(Duration::from_secs(20), "the key expires", || server.status(&expired) == 401);

    let unknown = with(&server, &format!("Bearer {}", forged(None)));
    challenged(&unknown, Some("invalid_token"));
    for (what, key) in [
        ("unknown in a known org", forged(Some(&id_of("acme")))),
        ("moved to another org", moved(&good, &id_of("other"))),
        ("moved to an org that there is not", moved(&good, "000000000000")),
        ("disabled", disabled),
        ("deleted", deleted),
        ("rotated away", rotated),
        ("expired", expired),
        ("mistyped", "sql_x".to_owned()),
    ] {
        let answer = with(&server, &format!("Bearer {key}"));
        assert_eq!(answer.visible(), unknown.visible(), "{what}");
    }
    assert_eq!(server.status(&good), 200);
}

#[test]
fn the_same_bytes_are_said_after_a_restart_when_nothing_is_loaded_yet() {
    let (home, mut server) = acme();
    let (good, deleted, disabled) =
        (server.key("acme", "good"), server.key("acme", "deleted"), server.key("acme", "disabled"));
    server.delete_key("acme", "deleted");
    server.switch_key("acme", "disabled", false);
    server.stop();
    let answers: Vec<_> = [forged(None), deleted, disabled]
        .iter()
        .map(|key| {
            // A server of its own each, so that no key finds the organization loaded by another.
            let server = home.serve();
            let answer = with(&server, &format!("Bearer {key}")).visible();
            // The challenge names the server's own address, whose port differs.
            (answer.0, format!("{answer:?}").replace(&server.addr.port().to_string(), "PORT"))
        })
        .collect();
    assert_eq!(answers[0].0, 401);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(home.serve().status(&good), 200);
}

#[test]
fn a_flood_of_unknown_keys_is_told_to_wait_while_a_known_key_from_there_works() {
    let home = Home::with("auth.failures_per_minute = 5");
    let server = home.serve();
    server.org("acme");
    let known = server.key("acme", "known");
    assert_eq!(server.status(&known), 200);
    let mut answers = (0..20).map(|_| with(&server, &format!("Bearer {}", forged(None))));
    let slowed = answers.by_ref().find(|answer| answer.status == 429).expect("a 429 within 20 guesses");
    let wait: u64 = slowed.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(slowed.header("www-authenticate").is_none());
    assert!(answers.all(|answer| answer.status == 429));
    for _ in 0..20 {
        assert_eq!(server.status(&known), 200);
    }
    // Also a key that was made only now, which no view holds yet when the flood comes.
    assert_eq!(server.status(&server.key("acme", "later")), 200);
}

#[test]
fn a_rotated_key_works_in_both_forms_until_an_overlap_of_nothing_ends_the_old_ones() {
    let (home, server) = acme();
    let first = server.key("acme", "client");
    let rotate = |args: &[&str]| {
        let ran = home.json(&[&["key", "rotate", "client", "--org", "acme"], args].concat());
        (ran["key"].as_str().unwrap().to_owned(), ran["previous_valid_until"].is_string())
    };
    let (second, lives_on) = rotate(&["--overlap", "1h"]);
    assert!(lives_on);
    assert_eq!([server.status(&first), server.status(&second)], [200, 200]);
    let (third, lives_on) = rotate(&["--overlap", "0", "--yes"]);
    assert!(!lives_on);
    assert_eq!([&first, &second, &third].map(|key| server.status(key)), [401, 401, 200]);
    // One key all the time: the same id, name and number.
    let keys = home.json(&["key", "list", "--org", "acme"]);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert_eq!(third[..14], second[..14]);
}

#[test]
fn an_old_secret_ends_with_its_overlap() {
    let (_home, server) = acme();
    let first = server.key("acme", "client");
    let rotated = server.done("POST", "/orgs/acme/keys/client/rotate", json!({ "overlap_seconds": 1 }));
    poll(Duration::from_secs(20), "the old secret ends", || server.status(&first) == 401);
    assert_eq!(server.status(rotated["key"].as_str().unwrap()), 200);
}

#[test]
fn a_renamed_key_works_on_and_its_old_name_is_free() {
    let (home, server) = acme();
    let key = server.key("acme", "laptop");
    home.json(&["key", "rename", "laptop", "desk", "--org", "acme"]);
    assert_eq!(server.status(&key), 200);
    let second = server.key("acme", "laptop");
    assert_ne!(key, second);
    home.cli(&["key", "rename", "laptop", "desk", "--org", "acme"]).refused("desk");
}

#[test]
fn a_disabled_key_is_refused_until_it_is_enabled() {
    let (home, server) = acme();
    let key = server.key("acme", "laptop");
    for _ in 0..3 {
        assert_eq!(server.status(&key), 200);
        assert_eq!(home.json(&["key", "disable", "laptop", "--org", "acme"])["status"], "disabled");
        assert_eq!(server.status(&key), 401);
        assert_eq!(home.json(&["key", "enable", "laptop", "--org", "acme"])["status"], "active");
    }
    assert_eq!(server.status(&key), 200);
}

#[test]
fn fifty_keys_are_each_refused_from_the_moment_that_their_deletion_is_answered() {
    let (_home, server) = acme();
    for i in 0..50 {
        let name = format!("key-{i}");
        let key = server.key("acme", &name);
        assert_eq!(server.status(&key), 200, "{name}");
        server.delete_key("acme", &name);
        assert_eq!(server.status(&key), 401, "{name}");
    }
}
