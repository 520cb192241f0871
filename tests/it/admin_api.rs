//! The admin API and its OpenAPI document: every operation is asked for over the socket, and what it answers is held
//! against what the document says.

use std::collections::BTreeSet;

use sequel::http::api::{OPERATIONS, document};
use serde_json::{Value, json};

use crate::apps::App;
use crate::browser::owner;
use crate::server::{Home, TestServer};
use crate::wire::Answer;

/// The document as the tests hold answers against it: a member that is not described is a fault here, although
/// clients have to bear one.
struct Document(Value);

impl Document {
    fn new() -> Self {
        let mut document = serde_json::to_value(document()).unwrap();
        let shapes = document["components"]["schemas"].as_object_mut().unwrap();
        // Shapes that are part of others, whose members are not theirs.
        let parts: Vec<String> = shapes
            .values()
            .filter_map(|shape| shape["allOf"].as_array())
            .flatten()
            .filter_map(|part| part["$ref"].as_str()?.rsplit('/').next().map(str::to_owned))
            .collect();
        for (name, shape) in shapes {
            if !parts.contains(name) && (shape["properties"].is_object() || shape["allOf"].is_array()) {
                shape["unevaluatedProperties"] = json!(false);
            }
        }
        Self(document)
    }

    /// Holds a value against a schema that may refer to the components.
    #[track_caller]
    fn holds(&self, schema: &Value, value: &Value, what: &str) {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:?} {value}");
    }

    #[track_caller]
    fn shape(&self, name: &str, value: &Value, what: &str) {
        assert!(self.0["components"]["schemas"][name].is_object(), "there is no shape {name}");
        self.holds(&json!({ "$ref": format!("#/components/schemas/{name}") }), value, what);
    }

    /// Holds an answer against what its operation says of this status.
    #[track_caller]
    fn answers(&self, id: &str, answer: &Answer) {
        let operation = OPERATIONS.iter().find(|operation| operation.id == id).expect(id);
        let path = format!("/api/v1{}", operation.path);
        let described = &self.0["paths"][&path][operation.method.to_lowercase()]["responses"];
        let (response, kind) = match answer.status == operation.status {
            true => (&described[answer.status.to_string()], operation.media),
            false => (&described["default"], "application/problem+json"),
        };
        assert_eq!(answer.header("content-type"), Some(kind), "{id} {}", answer.text());
        if kind == "application/octet-stream" {
            return assert_eq!(response["content"][kind]["schema"]["type"], "string", "{id}");
        }
        self.holds(&response["content"][kind]["schema"], &answer.json(), id);
    }
}

/// Asks for every operation once at least and hands each answer to the check.
fn tour(home: &Home, server: &TestServer, mut check: impl FnMut(&str, &Answer)) {
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    let mut ask = |id: &str, path: &str, body: Value| {
        let operation = OPERATIONS.iter().find(|operation| operation.id == id).expect(id);
        let answer = server.admin(operation.method, path, &body);
        assert_eq!(answer.status, operation.status, "{id}: {}", answer.text());
        check(id, &answer);
    };
    ask("getOpenApi", "/openapi.json", Value::Null);
    ask("getServer", "/server", Value::Null);
    ask("getBackup", "/backup", Value::Null);
    ask("createOrg", "/orgs", json!({ "name": "acme" }));
    ask("listOrgs", "/orgs", Value::Null);
    ask("getOrg", "/orgs/acme", Value::Null);
    ask("renameOrg", "/orgs/acme", json!({ "name": "Globex" }));
    let settings = json!({ "path": file });
    ask(
        "addSource",
        "/orgs/globex/sources",
        json!({ "name": "facts", "kind": "sqlite", "settings": settings, "description": "d" }),
    );
    ask("listSources", "/orgs/globex/sources", Value::Null);
    ask("getSource", "/orgs/globex/sources/facts", Value::Null);
    ask(
        "changeSource",
        "/orgs/globex/sources/facts",
        json!({ "name": "truths", "settings": settings, "description": "" }),
    );
    ask("testSource", "/orgs/globex/sources/truths/test", Value::Null);
    ask(
        "createKey",
        "/orgs/globex/keys",
        json!({ "name": "k", "sources": ["truths"], "expires_at": "2099-01-01T00:00:00Z" }),
    );
    ask("listKeys", "/orgs/globex/keys", Value::Null);
    ask("rotateKey", "/orgs/globex/keys/k/rotate", json!({ "overlap_seconds": 60 }));
    ask("getKey", "/orgs/globex/keys/k", Value::Null);
    ask("changeKey", "/orgs/globex/keys/k", json!({ "enabled": false, "name": "desk" }));
    for user in ["ada", "eve"] {
        ask("createUser", "/users", json!({ "email": format!("{user}@example.com"), "name": user }));
        ask("getUser", &format!("/users/{user}@example.com"), Value::Null);
        let member = json!({ "user": format!("{user}@example.com"), "role": "owner" });
        ask("addMember", "/orgs/globex/members", member);
    }
    ask("changeMember", "/orgs/globex/members/eve@example.com", json!({ "role": "viewer" }));
    ask("listMembers", "/orgs/globex/members", Value::Null);
    let (mut ira, base) = owner(server, "initech", "ira@example.com");
    server.done("POST", "/orgs/globex/members", json!({ "user": "ira@example.com", "role": "member" }));
    let org = server.done("GET", "/orgs/globex", Value::Null)["id"].as_str().unwrap().to_owned();
    assert!(!base.ends_with(&org));
    let app = App::register(server);
    app.authorized(server, &mut ira, &org);
    ask("listApps", "/orgs/globex/apps", Value::Null);
    let listed = server.done("GET", "/orgs/globex/apps", Value::Null);
    let app = format!("/orgs/globex/apps/{}", listed["apps"][0]["id"].as_str().unwrap());
    ask("getApp", &app, Value::Null);
    ask("changeApp", &app, json!({ "sources": ["truths"], "expires_at": "2099-01-01T00:00:00Z" }));
    ask("changeApp", &app, json!({ "sources": null, "expires_at": null }));
    ask("getAppPolicy", "/orgs/globex/app-policy", Value::Null);
    ask("changeAppPolicy", "/orgs/globex/app-policy", json!({ "private_schemes": false, "https": "none" }));
    ask("revokeApp", &app, Value::Null);
    server.done("DELETE", "/orgs/initech?now=true", Value::Null);
    ask("listUsers", "/users", Value::Null);
    ask("resetPassword", "/users/ada@example.com/reset-password", Value::Null);
    ask("changeUser", "/users/eve@example.com", json!({ "enabled": false }));
    ask("removeMember", "/orgs/globex/members/eve@example.com", Value::Null);
    ask("deleteUser", "/users/eve@example.com", Value::Null);
    ask("listUsersAudit", "/users-audit?limit=3", Value::Null);
    ask("listAudit", "/orgs/globex/audit?limit=5", Value::Null);
    let key = server.key("globex", "asker");
    server.query(&key, "SELECT 1");
    server.query(&key, "DELETE FROM t");
    ask("listQueries", "/orgs/globex/audit/queries?limit=5", Value::Null);
    ask("getUsage", "/orgs/globex/usage?days=2", Value::Null);
    ask("deleteKey", "/orgs/globex/keys/desk", Value::Null);
    std::fs::remove_file(&file).unwrap();
    ask("testSource", "/orgs/globex/sources/truths/test", Value::Null);
    ask("removeSource", "/orgs/globex/sources/truths", Value::Null);
    ask("deleteOrg", "/orgs/globex", Value::Null);
    ask("listOrgs", "/orgs?deleted=true", Value::Null);
    ask("rotateSecrets", "/secrets/rotate", json!({}));
    ask("restoreOrg", "/orgs/globex/restore", Value::Null);
    ask("deleteOrg", "/orgs/globex?now=true", Value::Null);
}

#[test]
fn every_operation_answers_as_the_openapi_document_says() {
    let home = Home::new();
    let server = home.serve();
    let document = Document::new();
    let mut asked = BTreeSet::new();
    tour(&home, &server, |id, answer| {
        asked.insert(id.to_owned());
        document.answers(id, answer);
        if id == "getOpenApi" {
            let served = answer.json();
            assert_eq!(served, serde_json::to_value(sequel::http::api::document()).unwrap());
        }
    });
    let all: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id.to_owned()).collect();
    assert_eq!(asked, all, "an operation that no test asks for");
}

#[test]
fn every_refusal_is_a_problem_as_the_document_says() {
    let home = Home::new();
    let server = home.serve();
    let document = Document::new();
    server.org("acme");
    for (id, method, path, body, status, code) in [
        ("getOrg", "GET", "/orgs/nowhere", Value::Null, 404, "not_found"),
        ("restoreOrg", "POST", "/orgs/acme/restore", Value::Null, 404, "not_found"),
        ("deleteOrg", "DELETE", "/orgs/nowhere?now=true", Value::Null, 404, "not_found"),
        ("deleteOrg", "DELETE", "/orgs/acme?now=maybe", Value::Null, 400, "bad_query"),
        ("listOrgs", "GET", "/orgs?all=true", Value::Null, 400, "bad_query"),
        ("createOrg", "POST", "/orgs", json!({ "name": "acme" }), 409, "name_taken"),
        ("createOrg", "POST", "/orgs", json!({ "name": "x", "colour": 1 }), 400, "bad_json"),
        ("renameOrg", "PATCH", "/orgs/acme", json!({ "name": "" }), 422, "invalid"),
        ("getKey", "GET", "/orgs/acme/keys/nobody", Value::Null, 404, "not_found"),
        ("getSource", "GET", "/orgs/acme/sources/none", Value::Null, 404, "not_found"),
        ("changeSource", "PATCH", "/orgs/acme/sources/none", json!({}), 404, "not_found"),
        ("getUser", "GET", "/users/nobody@example.com", Value::Null, 404, "not_found"),
        ("createUser", "POST", "/users", json!({ "email": "nobody" }), 422, "invalid"),
        ("addMember", "POST", "/orgs/acme/members", json!({ "user": "x", "role": "king" }), 422, "invalid"),
        ("changeMember", "PATCH", "/orgs/acme/members/x", json!({ "role": "owner" }), 404, "not_found"),
    ] {
        let answer = server.admin(method, path, &body);
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{id} {}", answer.text());
        document.answers(id, &answer);
    }
    let answer = server.admin("PUT", "/orgs/acme", &Value::Null);
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, PATCH, DELETE")),
        "{}",
        answer.text()
    );
    document.shape("Problem", &answer.json(), "an unknown method");
    let answer = server.admin("GET", "/nothing", &Value::Null);
    assert_eq!(answer.status, 404);
    document.shape("Problem", &answer.json(), "an unknown path");
}

#[test]
fn every_command_prints_the_shape_that_the_documentation_names() {
    let documented = include_str!("../../src/cli/json.md");
    let shape_of = |command: &str| {
        let row = documented.lines().find(|line| line.starts_with(&format!("| `{command}` |")));
        let row = row.unwrap_or_else(|| panic!("{command} is not in src/cli/json.md"));
        row.split('|').nth(2).unwrap().trim().trim_matches('`').to_owned()
    };
    let home = Home::new();
    let document = Document::new();
    let (file, other) =
        (home.database("a.db", "CREATE TABLE t(x)"), home.database("b.db", "CREATE TABLE t(x)"));
    let (file, other) = (file.to_str().unwrap(), other.to_str().unwrap());
    let server = home.serve();
    for (command, args) in [
        ("org create", &["acme"][..]),
        ("org list", &[]),
        ("org rename", &["acme", "globex"]),
        ("source add", &["facts", "--path", file]),
        ("source list", &[]),
        ("source rename", &["facts", "truths"]),
        ("source edit", &["truths", "--path", other, "--description", "All truths"]),
        ("source test", &["truths"]),
        ("key create", &["k"]),
        ("key list", &[]),
        ("key rename", &["k", "desk"]),
        ("key rotate", &["desk"]),
        ("key disable", &["desk"]),
        ("key enable", &["desk"]),
        ("app list", &[]),
        ("app policy", &["--loopback", "never", "--https", "client.example.com"]),
        ("app policy", &[]),
        ("user create", &["ada@example.com", "--name", "Ada"]),
        ("user create", &["eve@example.com"]),
        ("user reset-password", &["ada@example.com"]),
        ("member add", &["ada@example.com", "--role", "owner"]),
        ("member add", &["eve@example.com", "--role", "viewer"]),
        ("member role", &["eve@example.com", "admin"]),
        ("member list", &[]),
        ("user list", &[]),
        ("user audit", &["--limit", "2"]),
        ("user disable", &["eve@example.com", "--yes"]),
        ("user enable", &["eve@example.com"]),
        ("member remove", &["eve@example.com", "--yes"]),
        ("user delete", &["eve@example.com", "--yes"]),
        ("audit list", &[]),
        ("audit queries", &[]),
        ("usage", &[]),
        ("key delete", &["desk", "--yes"]),
        ("source remove", &["truths", "--yes"]),
        ("org delete", &["globex", "--yes"]),
        ("org list", &["--deleted"]),
        ("org restore", &["globex"]),
    ] {
        let all: Vec<&str> = command.split(' ').chain(args.iter().copied()).collect();
        document.shape(&shape_of(command), &home.json(&all), command);
    }
    drop(server);
    // Those that do not ask the server.
    let pages = home.path().join("pages");
    for (command, args) in
        [("config check", &[][..]), ("config show", &[]), ("man", &["--dir", pages.to_str().unwrap()])]
    {
        let all: Vec<&str> = command.split(' ').chain(args.iter().copied()).collect();
        let printed = home.json(&all);
        let members: Vec<_> = printed.as_object().unwrap().keys().map(|name| format!("`{name}`")).collect();
        let row = format!("`{}", shape_of(command));
        assert!(
            members.iter().all(|member| row.contains(member.trim_end_matches('`'))),
            "{command}: {members:?} {row}"
        );
    }
    let printed: Value = serde_json::from_str(&home.cli(&["openapi"]).out).unwrap();
    assert_eq!(printed, serde_json::to_value(sequel::http::api::document()).unwrap());
}
