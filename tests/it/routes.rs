//! Every route × every kind of credential × every method, generated from the tables of routes: a new route is in
//! here without anybody thinking of it (THREATS 17). The public port and the administration's socket.

use std::collections::BTreeMap;
use std::time::Duration;

use sequel::context::{Clock, Rng};
use sequel::credential::{KeyId, OrgId, PlainKey};
use sequel::http::api::OPERATIONS;
use sequel::http::{Access, ROUTES};
use serde_json::{Value, json};

use crate::apps::App;
use crate::browser::{owner, serve_with};
use crate::server::{Home, TestServer};
use crate::waiting::{PATIENCE, poll};
use crate::wire::{Answer, Wire};

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Credentials by what they are, and whether they hold.
fn credentials(server: &TestServer) -> Vec<(&'static str, Option<String>, bool)> {
    server.org("acme");
    server.org("other");
    let valid = server.key("acme", "mine");
    let foreign = server.key("other", "theirs");
    let deleted = server.key("acme", "deleted");
    server.delete_key("acme", "deleted");
    let disabled = server.key("acme", "disabled");
    server.switch_key("acme", "disabled", false);
    let rotate = |name: &str, overlap: u32| {
        let old = server.key("acme", name);
        let path = format!("/orgs/acme/keys/{name}/rotate");
        let new = server.done("POST", &path, json!({ "overlap_seconds": overlap }))["key"]
            .as_str()
            .unwrap()
            .to_owned();
        (old, new)
    };
    let (rotated_out, successor) = rotate("rotated", 0);
    let (overlapping, _) = rotate("overlapping", 600);
    let soon = Clock::system().now().plus(Duration::from_secs(1));
    let brief = json!({ "name": "expired", "expires_at": soon });
    let expired = server.done("POST", "/orgs/acme/keys", brief)["key"].as_str().unwrap().to_owned();
    poll(PATIENCE, "a key expires", || server.status(&expired) == 401);
    let rng = Rng::system();
    let forged = |key: KeyId, org: OrgId| PlainKey::mint(key, org, &rng).unwrap().reveal().to_owned();
    let known = sequel::credential::Credential::parse(&valid).unwrap();
    let other = sequel::credential::Credential::parse(&foreign).unwrap();
    let (mut ada, base) = owner(server, "third", "ada@example.com");
    let app = App::register(server);
    let mut authorized = || app.authorized(server, &mut ada, base.rsplit('/').next().unwrap()).access;
    let (of_app, of_revoked_app) = (authorized(), authorized());
    assert_eq!(app.revoke(server, &of_revoked_app).status, 200);
    // One letter of the secret; the checksum does not fit any more.
    let mut mistyped = valid.clone();
    let last = if mistyped.ends_with('a') { "b" } else { "a" };
    mistyped.replace_range(mistyped.len() - 1.., last);
    vec![
        ("nobody", None, false),
        ("malformed", Some("sql_nonsense".to_owned()), false),
        ("mistyped", Some(mistyped), false),
        ("of no organization", Some(forged(known.id, OrgId::mint(&rng).unwrap())), false),
        ("of no key", Some(forged(KeyId::mint(&rng).unwrap(), known.org)), false),
        ("of another secret", Some(forged(known.id, known.org)), false),
        ("of another organization's key", Some(forged(other.id, known.org)), false),
        ("deleted", Some(deleted), false),
        ("disabled", Some(disabled), false),
        ("expired", Some(expired), false),
        ("rotated out", Some(rotated_out), false),
        ("an app that was revoked", Some(of_revoked_app), false),
        ("an app", Some(of_app), true),
        ("a member", Some(valid), true),
        ("a member of another organization", Some(foreign), true),
        ("rotated in", Some(successor), true),
        ("rotated with an overlap", Some(overlapping), true),
    ]
}

#[test]
fn every_public_route_takes_every_kind_of_credential_as_the_table_says() {
    let home = Home::new();
    let many = [
        ("SEQUEL__AUTH__FAILURES_PER_MINUTE", "100000"),
        ("SEQUEL__OAUTH__REGISTRATIONS_PER_MINUTE_PER_SOURCE", "1000"),
    ];
    let server = serve_with(&home, &many);
    let credentials = credentials(&server);
    for route in ROUTES {
        for method in METHODS {
            let served = route.methods.contains(method);
            let mut refusals = Vec::new();
            for (who, credential, holds) in &credentials {
                let bearer = credential.as_ref().map(|credential| format!("Bearer {credential}"));
                let headers: Vec<_> =
                    bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
                let answer = server.http(method, route.path, &headers, b"");
                let expected = match (route.access, holds, served) {
                    (Access::Credential, false, _) => 401,
                    // An empty body is no request: what counts is that the door is open.
                    (Access::Credential, true, true) => 400,
                    // What a browser asks before it asks.
                    (Access::Public | Access::Client, _, true) if *method == "OPTIONS" => 204,
                    (Access::Public, _, true) => 200,
                    // Nothing is no client's metadata, and no form.
                    (Access::Client, _, true) if route.path.ends_with("/register") => 400,
                    (Access::Client, _, true) => 415,
                    (Access::Credential | Access::Public | Access::Client, _, false) => 405,
                    (Access::Person | Access::Member, ..) => panic!("{} is the dashboard's", route.path),
                };
                assert_eq!(answer.status, expected, "{method} {} as {who}", route.path);
                if expected == 401 && credential.is_some() {
                    refusals.push((who, answer.visible()));
                }
            }
            // Whatever is wrong with a credential, a stranger is not told what.
            for (who, refusal) in &refusals {
                assert_eq!(refusal, &refusals[0].1, "{method} {} as {who}", route.path);
            }
        }
    }
}

/// The administration's paths and their methods.
fn administration() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for operation in OPERATIONS {
        paths.entry(operation.path).or_default().push(operation.method);
    }
    paths
}

/// A path with this in place of each name.
fn filled(path: &str, names: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { names } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn the_administration_is_not_on_the_public_port() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let bearer = format!("Bearer {}", server.key("acme", "acme"));
    let administration = administration();
    let admin = administration.keys().map(|path| format!("/api/v1{}", filled(path, "acme")));
    for path in admin.chain(["/api", "/api/v1", "/metrics"].map(str::to_owned)) {
        for method in METHODS {
            for headers in [&[][..], &[("Authorization", bearer.as_str())]] {
                let answer = server.http(method, &path, headers, b"{}");
                assert_eq!(answer.status, 404, "{method} {path}");
            }
        }
    }
    assert_eq!(server.done("GET", "/orgs", Value::Null)["orgs"].as_array().unwrap().len(), 1);
}

/// A request to the socket with these headers beside its own.
fn ask(server: &TestServer, method: &str, path: &str, more: &[(&str, &str)]) -> Answer {
    let mut wire = Wire::unix(server.socket());
    let headers = [&[("Connection", "close"), ("Content-Type", "application/json")], more].concat();
    wire.request(method, &format!("/api/v1{path}"), &headers, b"");
    if method == "HEAD" {
        let head = wire.head().expect("an answer before the connection ends");
        return Answer { status: head.status, headers: head.headers, body: Vec::new() };
    }
    wire.answer()
}

#[test]
fn every_route_of_the_administration_serves_the_methods_of_the_table_and_no_others() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let bearer = format!("Bearer {}", server.key("acme", "k"));
    // Whoever opens the socket is the operator: no header makes more or less of him.
    let headers: [&[(&str, &str)]; 3] =
        [&[], &[("Authorization", "Bearer sql_nonsense")], &[("Authorization", bearer.as_str())]];
    for (path, methods) in administration() {
        // Nothing is called so: whatever is asked of it changes nothing.
        let nowhere = filled(path, "nowhere");
        for method in METHODS {
            let answers = headers.map(|headers| ask(&server, method, &nowhere, headers));
            let statuses = answers.each_ref().map(|answer| answer.status);
            let what = format!("{method} {path}: {statuses:?} {}", answers[0].text());
            assert!(statuses.iter().all(|status| *status == statuses[0]), "{what}");
            match (methods.contains(method), path.contains('{')) {
                (false, _) => {
                    assert_eq!(statuses[0], 405, "{what}");
                    assert_eq!(answers[0].header("allow"), Some(methods.join(", ").as_str()), "{what}");
                }
                // There is no such organization, or the empty body is no request: told apart from a missing route.
                (true, true) => {
                    assert!([400, 404].contains(&statuses[0]), "{what}");
                    let code = answers[0].json()["code"].clone();
                    assert!(code == "not_found" || code == "bad_json", "{what}");
                }
                (true, false) => assert!([200, 400].contains(&statuses[0]), "{what}"),
            }
        }
    }
    assert_eq!(server.done("GET", "/orgs", Value::Null)["orgs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_another_organization_has_and_what_nobody_has_is_the_same_404() {
    let home = Home::new();
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    server.org("acme");
    server.org("other");
    server.source("other", "theirs", &path);
    server.key("other", "theirs");
    let id = |what: &str| {
        let listed = server.done("GET", &format!("/orgs/other/{what}"), Value::Null);
        listed[what][0]["id"].as_str().unwrap().to_owned()
    };
    for (what, theirs) in [("keys", id("keys")), ("sources", id("sources"))] {
        let random = KeyId::mint(&Rng::system()).unwrap().to_string();
        let paths = administration();
        let of_it = paths.iter().filter(|(path, _)| path.contains(&format!("/{what}/{{")));
        for (path, methods) in of_it {
            for method in methods {
                let seen = |id: &str| {
                    let names = path.replacen("{org}", "acme", 1);
                    let answer = server.admin(method, &filled(&names, id), &json!({}));
                    let (status, headers, text) = answer.visible();
                    (
                        status,
                        headers.into_iter().filter(|(name, _)| name != "content-length").count(),
                        text.replace(id, "ID"),
                    )
                };
                let (foreign, missing) = (seen(&theirs), seen(&random));
                assert_eq!(foreign, missing, "{method} {path}");
                assert_eq!(foreign.0, 404, "{method} {path}: {}", foreign.2);
            }
        }
        // They are still there.
        assert_eq!(id(what), theirs);
    }
}
