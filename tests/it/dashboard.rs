//! The dashboard from outside: who gets where, what a form needs, and that what the pages promise happens.

use std::collections::BTreeMap;

use sequel::context::Rng;
use sequel::credential::OrgId;
use sequel::http::{Access, DASHBOARD};
use serde_json::{Value, json};

use crate::browser::{Browser, PASSWORD, key_in, owner, serve, serve_with};
use crate::consent::App;
use crate::server::{Home, TestServer};
use crate::wire::Answer;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Everything of an organization that a request could have changed.
fn state(server: &TestServer, org: &str) -> Value {
    let part = |what: &str| server.done("GET", &format!("/orgs/{org}/{what}"), Value::Null);
    let mut keys = part("keys");
    for key in keys["keys"].as_array_mut().unwrap() {
        key["last_used_at"] = Value::Null;
    }
    json!([
        keys,
        part("sources"),
        part("members"),
        part("audit"),
        server.done("GET", &format!("/orgs/{org}"), Value::Null)
    ])
}

/// The id of a user.
fn id_of(server: &TestServer, email: &str) -> String {
    let users = server.done("GET", "/users", Value::Null);
    let user = users["users"].as_array().unwrap().iter().find(|user| user["email"] == email).unwrap();
    user["id"].as_str().unwrap().to_owned()
}

/// What a page says, but for what differs from one request to the next.
fn page(answer: &Answer) -> (u16, String) {
    (answer.status, answer.text())
}

/// A path with what there is in the place of each name.
fn filled(path: &str, names: &BTreeMap<&str, String>) -> String {
    let parts =
        path.split('/').map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => names
                .get(name)
                .unwrap_or_else(|| panic!("{name} in {path} is nothing that the test knows"))
                .clone(),
            None => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_page_is_open_to_whom_the_table_says_and_to_nobody_else() {
    let home = Home::new();
    let server = serve(&home);
    let database = home.database("sales.db", "CREATE TABLE t (a)");
    let (mut owner_of_it, base) = owner(&server, "acme", "owner@example.com");
    let (mut stranger, others_base) = owner(&server, "other", "stranger@example.com");
    let mut viewer = Browser::of(&server, "viewer@example.com");
    let mut removed = Browser::of(&server, "removed@example.com");
    for (email, role) in [("viewer@example.com", "viewer"), ("removed@example.com", "admin")] {
        server.done("POST", "/orgs/acme/members", json!({ "user": email, "role": role }));
    }
    assert_eq!(removed.get(&format!("{base}/keys")).status, 200);
    server.done("DELETE", "/orgs/acme/members/removed@example.com", Value::Null);
    server.source("acme", "sales", &database);
    let nightly = server.key("acme", "nightly");
    // The first entry of the query log.
    server.query(&nightly, "SELECT a FROM t");
    let first = |what: &str, list: &str| {
        let all = server.done("GET", &format!("/orgs/acme/{what}"), Value::Null);
        all[list][0]["id"].as_str().unwrap_or_else(|| panic!("{all}")).to_owned()
    };
    let owner_id = id_of(&server, "owner@example.com");
    owner_of_it.get(&format!("{base}/members/invite"));
    let invited = owner_of_it
        .post(&format!("{base}/members/invite"), &[("email", "eve@example.com"), ("role", "member")]);
    assert_eq!(invited.status, 200);
    let members = owner_of_it.get(&format!("{base}/members")).text();
    let invitation = members.split_once("/invitations/").unwrap().1.split('/').next().unwrap().to_owned();
    App::register(&server, "Claude Code", "http://127.0.0.1:33418/callback").let_in(
        &server,
        &mut owner_of_it,
        &base,
    );
    let app = first("apps", "apps");
    let org = base.rsplit('/').next().unwrap().to_owned();
    let mut names = BTreeMap::from([
        ("org", org.clone()),
        ("key", first("keys", "keys")),
        ("source", first("sources", "sources")),
        ("user", owner_id),
        ("invitation", invitation),
        ("app", app),
        ("session", OrgId::mint(&Rng::system()).unwrap().as_str()[..10].to_owned()),
        ("entry", "1".to_owned()),
        ("tool", "cursor".to_owned()),
        ("kind", "sqlite".to_owned()),
        ("slug", "getting-started".to_owned()),
        ("file", "none.css".to_owned()),
        ("token", "nonsense".to_owned()),
    ]);
    let before = state(&server, "acme");
    let nowhere = OrgId::mint(&Rng::system()).unwrap().to_string();
    let mut tried = 0;
    for route in DASHBOARD {
        let path = filled(route.path, &names);
        names.insert("org", nowhere.clone());
        let missing = filled(route.path, &names);
        names.insert("org", org.clone());
        for method in METHODS {
            tried += 1;
            let served = route.methods.contains(method);
            let mut anybody = Browser::new(&server);
            // A visitor's form has a token as well.
            anybody.get("/sign-in");
            if !served {
                for browser in [&mut anybody, &mut owner_of_it, &mut stranger] {
                    assert_eq!(browser.send(method, &path, &[], b"").status, 405, "{method} {path}");
                }
                continue;
            }
            let ask = |browser: &mut Browser<'_>, path: &str| match *method {
                "GET" => browser.get(path),
                _ => browser.post(path, &[]),
            };
            if *method == "POST" {
                // Nobody's form without its token, and not with somebody else's.
                for browser in [&mut owner_of_it, &mut stranger, &mut viewer, &mut anybody] {
                    assert_eq!(browser.post_bare(&path, &[]).status, 409, "{path}");
                    let foreign = [("csrf", "KX4kBzVCHIgl2imsBWDG2hFxAvyDy0YxiYXje8CvMZw")];
                    assert_eq!(browser.post_bare(&path, &foreign).status, 409, "{path}");
                }
            }
            if route.access != Access::Public {
                let refused = ask(&mut anybody, &path);
                assert_eq!(refused.status, 303, "{method} {path}");
                assert!(
                    refused.header("location").unwrap().starts_with("/sign-in?next=%2F"),
                    "{method} {path}"
                );
            }
            if route.access != Access::Member {
                continue;
            }
            for who in [&mut stranger, &mut removed] {
                // A fresh token: the page before may have been one without a form.
                who.get("/account");
                let theirs = ask(who, &path);
                who.get("/account");
                let none = ask(who, &missing);
                assert_eq!(theirs.status, 404, "{method} {path}");
                assert_eq!(page(&theirs), page(&none), "{method} {path}: as where there is nothing");
            }
            viewer.get("/account");
            let seen = ask(&mut viewer, &path);
            match *method {
                "GET" => assert!([200, 303, 403, 404].contains(&seen.status), "{path}: {}", seen.status),
                _ => assert!([403, 404, 422].contains(&seen.status), "{path}: {}", seen.status),
            }
            assert!(!seen.text().contains("sql_") || *method == "GET", "{path}");
            if *method == "GET" && !route.path.contains("/invitations/") {
                let status = ask(&mut owner_of_it, &path).status;
                assert!([200, 204, 303].contains(&status) || path.ends_with("/progress"), "{path}: {status}");
            }
        }
    }
    assert!(tried > 300, "{tried}");
    assert_eq!(state(&server, "acme"), before, "nobody has changed anything");
    assert_eq!(stranger.get(&others_base).status, 200);
}

#[test]
fn a_key_is_made_shown_once_used_and_deleted_in_the_browser() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    ada.get(&format!("{base}/keys/new"));
    let fields = [
        ("name", "<script>alert(1)</script>"),
        ("reach", "all"),
        ("expires", "90d"),
        ("owner", "me"),
        ("once", "0123"),
    ];
    let shown = ada.post(&format!("{base}/keys/new"), &fields);
    assert_eq!((shown.status, shown.header("cache-control")), (200, Some("no-store")));
    let key = key_in(&shown.text()).expect("the key is on the page");
    assert_eq!(server.status(&key), 200);
    // A double click: one key, and it is shown to who clicked.
    let again = ada.post(&format!("{base}/keys/new"), &fields);
    assert_eq!(key_in(&again.text()).as_ref(), Some(&key));
    let list = ada.get(&format!("{base}/keys")).text();
    assert!(!list.contains("<script>alert") && list.contains("&#60;script&#62;"), "{list}");
    assert!(key_in(&list).is_none() && list.contains(&key[..14]));
    // Found by its name, its prefix and its owner, and by nothing else.
    for (word, is_found) in [("SCRIPT", true), (&key[..14], true), ("ada@", true), ("bob@", false)] {
        let found = ada.get(&format!("{base}/keys?q={}", word.replace('@', "%40"))).text();
        assert_eq!(found.contains(&key[..14]) && found.contains("alert"), is_found, "{word}");
    }
    assert_eq!(server.done("GET", "/orgs/acme/keys", Value::Null)["keys"].as_array().unwrap().len(), 1);
    let id = &key[4..14];
    // The same name twice, no name, no source: told in the form, with what was typed.
    let taken = ada.post(&format!("{base}/keys/new"), &[fields[0], fields[1], fields[2], ("once", "4567")]);
    assert_eq!(taken.status, 422);
    assert!(taken.text().contains("Choose another name") && taken.text().contains("&#60;script&#62;"));
    for wrong in [
        [("name", ""), ("reach", "all"), ("expires", "90d")],
        [("name", "x"), ("reach", "only"), ("expires", "90d")],
        [("name", "x"), ("reach", "all"), ("expires", "")],
    ] {
        assert_eq!(ada.post(&format!("{base}/keys/new"), &wrong).status, 422, "{wrong:?}");
    }
    // Rotated with an overlap, then replaced because it leaked.
    ada.get(&format!("{base}/keys/{id}/rotate"));
    let rotated = ada.post(&format!("{base}/keys/{id}/rotate"), &[("overlap", "3600"), ("once", "r1")]);
    let second = key_in(&rotated.text()).unwrap();
    assert_eq!((server.status(&key), server.status(&second)), (200, 200));
    let leaked = ada.get(&format!("{base}/keys/leaked?key={}", &key[..14])).text();
    assert!(leaked.contains("This key works right now"));
    let third = key_in(&ada.post(&format!("{base}/keys/{id}/replace"), &[("once", "r2")]).text()).unwrap();
    assert_eq!((server.status(&key), server.status(&second), server.status(&third)), (401, 401, 200));
    // Stopped, found again by the whole of it, of which no more than the prefix comes back, and enabled.
    ada.submit(&format!("{base}/keys/{id}/stop"), &[]);
    assert_eq!(server.status(&third), 401);
    let found = ada.post(&format!("{base}/keys/leaked"), &[("key", &third)]).text();
    assert!(found.contains("This key does not work") && key_in(&found).is_none());
    ada.submit(&format!("{base}/keys/{id}/enable"), &[]);
    assert_eq!(server.status(&third), 200);
    // Deleted by typing the name, and not without.
    ada.get(&format!("{base}/keys/{id}/delete"));
    assert_eq!(ada.post(&format!("{base}/keys/{id}/delete"), &[("confirm", "something")]).status, 422);
    assert_eq!(server.status(&third), 200);
    let list =
        ada.submit(&format!("{base}/keys/{id}/delete"), &[("confirm", "<script>alert(1)</script>")]).text();
    assert!(list.contains("was deleted"), "{list}");
    assert_eq!(server.status(&third), 401);
    assert!(!ada.get(&format!("{base}/keys")).text().contains("was deleted"), "a toast is shown once");
}

#[test]
fn an_edited_key_reaches_less_at_once() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    for name in ["first", "second"] {
        let database = home.database(&format!("{name}.db"), "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        server.source("acme", name, &database);
    }
    let key = server.key("acme", "wide");
    let sources = server.done("GET", "/orgs/acme/sources", Value::Null);
    let first = sources["sources"][0]["id"].as_str().unwrap();
    ada.get(&format!("{base}/keys/{}/edit", &key[4..14]));
    let fields = [("name", "narrow"), ("reach", "only"), ("source", first), ("expires", "keep")];
    let saved = ada.submit(&format!("{base}/keys/{}/edit", &key[4..14]), &fields).text();
    assert!(saved.contains("narrow was saved"), "{saved}");
    let listed = server.call(&key, json!({ "source": "second", "sql": "SELECT a FROM t" }));
    assert_eq!(listed["isError"], true, "{listed}");
    let seen = server.call(&key, json!({ "source": "first", "sql": "SELECT a FROM t" }));
    assert_eq!(seen["structuredContent"]["row_count"], 1, "{seen}");
}

#[test]
fn somebody_is_invited_joins_makes_a_key_and_is_removed() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    ada.get(&format!("{base}/members/invite"));
    let invited = ada
        .post(&format!("{base}/members/invite"), &[("email", "eve@example.com"), ("role", "member")])
        .text();
    let link = invited
        .split_once("/invitation/")
        .map(|(_, rest)| rest.split('<').next().unwrap().to_owned())
        .unwrap();
    let link = format!("/invitation/{link}");
    let mut eve = Browser::new(&server);
    assert_eq!(eve.get(&link).status, 200);
    // A weak password leaves the link good.
    assert_eq!(eve.post(&link, &[("password", "short")]).status, 422);
    assert_eq!(eve.submit(&link, &[("password", PASSWORD)]).status, 200);
    let mut late = Browser::new(&server);
    assert_eq!(late.get(&link).status, 404, "it works once");
    eve.get(&format!("{base}/install/cursor"));
    let page = eve.post(&format!("{base}/install/cursor"), &[("once", "1")]).text();
    let key = key_in(&page).expect("a snippet with the key");
    assert!(page.contains("cursor://") && page.contains("~/.cursor/mcp.json"));
    // The page waits for the first call, and is told of it.
    let progress = format!("{base}/install/cursor/progress?key={}", &key[4..14]);
    assert_eq!(eve.get(&progress).status, 204);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_data_sources","arguments":{}}}"#;
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("User-Agent", "Cursor/1.7"),
    ];
    assert_eq!(server.http("POST", "/mcp", &headers, body.as_bytes()).status, 200);
    let told = eve.get(&progress);
    assert_eq!((told.status, told.text()), (200, "Cursor called list_data_sources, just now".to_owned()));
    assert_eq!(ada.get(&progress).status, 200, "an owner sees it too");
    // Removed: the key and the pages end at once; coming back revives nothing.
    let eve_id = id_of(&server, "eve@example.com");
    ada.get(&format!("{base}/members/{eve_id}/remove"));
    assert!(ada.submit(&format!("{base}/members/{eve_id}/remove"), &[]).text().contains("was removed"));
    assert_eq!(server.status(&key), 401);
    assert_eq!(eve.get(&base).status, 404);
    server.done("POST", "/orgs/acme/members", json!({ "user": "eve@example.com", "role": "member" }));
    assert_eq!((eve.get(&base).status, server.status(&key)), (200, 401));
    // The last owner stays.
    let leave = format!("{base}/members/{}/remove", id_of(&server, "ada@example.com"));
    ada.get(&leave);
    assert_eq!(ada.post(&leave, &[]).status, 422);
}

#[test]
fn sessions_rotate_end_and_cannot_be_fixed() {
    let home = Home::new();
    let server = serve(&home);
    let mut ada = Browser::of(&server, "ada@example.com");
    let first = ada.cookie("sequel").unwrap().to_owned();
    // A cookie that somebody planted is not taken over by a sign-in.
    let mut planted = Browser::new(&server);
    planted.set_cookie("sequel", &first);
    planted.get("/account");
    let mut visitor = Browser::new(&server);
    visitor.set_cookie("sequel", "sqk_planted");
    visitor.sign_in("ada@example.com", PASSWORD);
    assert_ne!(visitor.cookie("sequel").unwrap(), "sqk_planted");
    // A new password gives this session another secret and ends all others.
    ada.get("/account");
    let thief = ada.copy();
    let changed =
        ada.submit("/account/password", &[("current", PASSWORD), ("password", "another long password")]);
    assert!(changed.text().contains("Your password was changed"), "{}", changed.text());
    assert_ne!(ada.cookie("sequel").unwrap(), first);
    for mut old in [thief, visitor] {
        assert_eq!(old.get("/account").status, 303);
    }
    let mut other = Browser::new(&server);
    other.sign_in("ada@example.com", "another long password");
    ada.get("/account");
    assert!(
        ada.submit("/account/sessions/end-others", &[]).text().contains("You are signed out everywhere else")
    );
    assert_eq!(other.get("/account").status, 303);
    let cookie = ada.cookie("sequel").unwrap().to_owned();
    let out = ada.post("/sign-out", &[]);
    assert_eq!(out.header("location"), Some("/sign-in?after=out"));
    ada.set_cookie("sequel", &cookie);
    assert_eq!(ada.get("/account").status, 303, "a signed-out cookie is good for nothing");
}

#[test]
fn a_sign_in_tells_nothing_and_leads_nowhere_else() {
    let home = Home::new();
    let server = serve(&home);
    drop(Browser::of(&server, "ada@example.com"));
    let mut visitor = Browser::new(&server);
    visitor.get("/sign-in");
    let refuse = |visitor: &mut Browser<'_>, email: &str| {
        let answer = visitor.post("/sign-in", &[("email", email), ("password", "wrong wrong wrong")]);
        (answer.status, answer.text().replace(email, "EMAIL"))
    };
    let known = refuse(&mut visitor, "ada@example.com");
    assert_eq!(known.0, 422);
    assert_eq!(known, refuse(&mut visitor, "bob@example.com"));
    server.done("PATCH", "/users/ada@example.com", json!({ "enabled": false }));
    let disabled = visitor.post("/sign-in", &[("email", "ada@example.com"), ("password", PASSWORD)]);
    assert_eq!((disabled.status, disabled.text().replace("ada@example.com", "EMAIL")), known);
    server.done("PATCH", "/users/ada@example.com", json!({ "enabled": true }));
    for (next, to) in
        [("//evil.test", "/"), ("https://evil.test/", "/"), ("/\\evil.test", "/"), ("/docs", "/docs")]
    {
        let mut visitor = Browser::new(&server);
        visitor.get("/sign-in");
        let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("next", next)];
        assert_eq!(visitor.post("/sign-in", &fields).header("location"), Some(to), "{next}");
    }
}

#[test]
fn an_account_under_attack_is_slowed_and_its_owner_still_gets_in() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__AUTH__SIGN_INS_PER_MINUTE_PER_ACCOUNT", "3")]);
    let mut ada = Browser::of(&server, "ada@example.com");
    let mut thief = Browser::new(&server);
    thief.get("/sign-in");
    let tries = (0..8).map(|_| {
        let answer =
            thief.post("/sign-in", &[("email", "nobody@example.com"), ("password", "wrong wrong wrong")]);
        answer.text().contains("Try again in") || answer.text().contains("Too many")
    });
    assert!(tries.last().unwrap(), "a stranger is told to wait");
    assert_eq!(ada.get("/account").status, 200);
}

#[test]
fn every_page_carries_the_headers_that_keep_others_out() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    for path in [
        "/forgot",
        "/docs/getting-started",
        "/account",
        &format!("{base}/keys"),
        "/orgs/4nQx0cRrT1aZ",
        "/reset/x",
    ] {
        let answer = ada.get(path);
        let csp = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        assert!(
            csp.contains("default-src 'none'")
                && csp.contains("frame-ancestors 'none'")
                && !csp.contains("unsafe")
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    // A page of another site has another origin, and a form of it is refused before anything is looked at.
    ada.get("/account");
    let body = format!("name=Mallory&csrf={}", ada.csrf);
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://evil.test")];
    assert_eq!(ada.send("POST", "/account", &headers, body.as_bytes()).status, 403);
    let json = [("Content-Type", "application/json")];
    assert_eq!(ada.send("POST", "/account", &json, body.as_bytes()).status, 415);
    let large = vec![b'a'; 70_000];
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(ada.send("POST", "/account", &form, &large).status, 413);
}

#[test]
fn a_data_source_is_tested_before_it_is_connected_and_removed_by_name() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let database = home.database("sales.db", "CREATE TABLE t (a); INSERT INTO t VALUES (7)");
    let path = database.to_str().unwrap();
    let at = format!("{base}/sources/new/sqlite");
    ada.get(&at);
    for wrong in [("sales", "/etc/passwd"), ("sales", "relative.db"), ("", path)] {
        let answer = ada.post(&at, &[("name", wrong.0), ("set-path", wrong.1)]);
        assert_eq!(answer.status, 422, "{wrong:?}");
    }
    let tested = ada.post(&at, &[("name", "sales"), ("set-path", path), ("only", "test")]);
    assert_eq!(tested.status, 200);
    assert!(tested.text().contains("It was opened read only and answered."));
    assert!(server.done("GET", "/orgs/acme/sources", Value::Null)["sources"].as_array().unwrap().is_empty());
    let page =
        ada.submit(&at, &[("name", "sales"), ("set-path", path), ("description", "What was sold.")]).text();
    assert!(page.contains("sales is connected") && page.contains("What was sold."), "{page}");
    let key = server.key("acme", "k");
    assert_eq!(server.query(&key, "SELECT a FROM t")["structuredContent"]["row_count"], 1);
    let sources = server.done("GET", "/orgs/acme/sources", Value::Null);
    let id = sources["sources"][0]["id"].as_str().unwrap();
    ada.get(&format!("{base}/sources/{id}/edit"));
    let renamed = [("name", "orders"), ("set-path", path), ("description", "")];
    assert!(ada.submit(&format!("{base}/sources/{id}/edit"), &renamed).text().contains("orders was saved"));
    ada.get(&format!("{base}/sources/{id}/remove"));
    assert_eq!(ada.post(&format!("{base}/sources/{id}/remove"), &[("confirm", "sales")]).status, 422);
    assert!(
        ada.submit(&format!("{base}/sources/{id}/remove"), &[("confirm", "orders")])
            .text()
            .contains("was removed")
    );
}

#[test]
fn an_organization_is_made_renamed_deleted_and_brought_back() {
    let home = Home::new();
    let server = serve(&home);
    let mut ada = Browser::of(&server, "ada@example.com");
    assert_eq!(ada.get("/").header("location"), Some("/orgs/new"));
    ada.get("/orgs/new");
    assert_eq!(ada.post("/orgs/new", &[("name", "")]).status, 422);
    let made = ada.post("/orgs/new", &[("name", "Northwind")]);
    let base = made.header("location").unwrap().to_owned();
    assert!(ada.get(&base).text().contains("Northwind was created"));
    let settings = format!("{base}/settings");
    ada.get(&settings);
    assert!(ada.submit(&settings, &[("name", "Southwind")]).text().contains("is called Southwind now"));
    let key = server.key("Southwind", "k");
    let delete = format!("{base}/settings/delete");
    ada.get(&delete);
    assert_eq!(ada.post(&delete, &[("confirm", "Northwind")]).status, 422);
    assert_eq!(server.status(&key), 200);
    let gone = ada.submit(&delete, &[("confirm", "Southwind")]);
    assert_eq!((gone.status, server.status(&key), ada.get(&base).status), (200, 401, 404));
    let mut stranger = Browser::of(&server, "eve@example.com");
    assert_eq!(stranger.get(&format!("{base}/restore")).status, 404);
    ada.get(&format!("{base}/restore"));
    assert!(ada.submit(&format!("{base}/restore"), &[]).text().contains("Southwind is back"));
    assert_eq!(server.status(&key), 200);
}

#[test]
fn a_double_click_makes_one_organization_and_leads_there_twice() {
    let home = Home::new();
    let server = serve(&home);
    let mut ada = Browser::of(&server, "ada@example.com");
    let page = ada.get("/orgs/new").text();
    let once = page.split_once("name=\"once\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let fields = [("name", "Northwind"), ("once", once.as_str())];
    let [first, second] = [ada.post("/orgs/new", &fields), ada.post("/orgs/new", &fields)];
    assert_eq!((first.status, first.header("location")), (303, second.header("location")));
    // Another form with the name is told, and keeps what was typed.
    ada.get("/orgs/new");
    let taken = ada.post("/orgs/new", &[("name", "northwind")]);
    assert_eq!(taken.status, 422);
    assert!(taken.text().contains("value=\"northwind\"") && taken.text().contains("Choose another name"));
}

#[test]
fn whoever_accepts_an_invitation_goes_on_under_another_secret() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut eve = Browser::of(&server, "eve@example.com");
    let mut thief = eve.copy();
    let former = eve.cookie("sequel").unwrap().to_owned();
    ada.get(&format!("{base}/members/invite"));
    let link = ada
        .post(&format!("{base}/members/invite"), &[("email", "eve@example.com"), ("role", "member")])
        .text();
    let link = link.split_once("/invitation/").unwrap().1.split('<').next().unwrap().to_owned();
    eve.get(&format!("/invitation/{link}"));
    assert_eq!(eve.submit(&format!("/invitation/{link}"), &[]).status, 200);
    assert_ne!(eve.cookie("sequel"), Some(former.as_str()));
    assert_eq!(thief.get("/account").status, 303, "the former secret is good for nothing");
}

#[test]
fn where_nothing_is_a_browser_gets_a_page_and_a_program_an_error() {
    let home = Home::new();
    let server = serve(&home);
    let html = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let key = "/orgs/4nQx0cRrT1aZ/keys/4nQx0cRrT1/disable";
    for (method, path, status) in [("GET", "/nowhere", 404), ("GET", "/sign-out", 405), ("GET", key, 405)] {
        let page = server.http(method, path, &[html], b"");
        assert_eq!((page.status, page.header("content-type")), (status, Some("text/html; charset=utf-8")));
        assert!(page.header("content-security-policy").is_some() && page.text().contains("There is nothing"));
        let program = server.http(method, path, &[("Accept", "*/*")], b"");
        assert_eq!((program.status, program.header("content-type")), (status, Some("application/json")));
        assert!(program.json()["error_description"].is_string(), "{path}");
        for answer in [page, program] {
            assert_eq!(answer.header("allow"), (status == 405).then_some("POST"), "{path}");
        }
    }
    for path in ["/.well-known/anything", "/api/v1/orgs", "/mcp/x"] {
        let answer = server.http("GET", path, &[html], b"");
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/json")), "{path}");
    }
    // A form that is far too large is told in a page, and by nothing that is left of its body.
    let form = [html, ("Content-Type", "application/x-www-form-urlencoded")];
    let large = server.http("POST", "/sign-in", &form, &vec![b'a'; 200_000]);
    assert_eq!((large.status, large.header("content-type")), (413, Some("text/html; charset=utf-8")));
}

#[test]
fn the_audit_log_is_filtered_paged_and_taken_along() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    for number in 0..60 {
        server.key("acme", &format!("key-{number}"));
    }
    let first = ada.get(&format!("{base}/audit?what=key")).text();
    assert!(first.contains("key-59") && !first.contains("key-0<") && !first.contains("org.create"));
    let next = first.split_once("before=").unwrap().1.split('"').next().unwrap().to_owned();
    let second = ada.get(&format!("{base}/audit?what=key&before={next}")).text();
    assert!(second.contains("key-0<") && !second.contains("key-59"));
    assert!(ada.get(&format!("{base}/audit?what=source")).text().contains("No entry matches"));
    let export = ada.get(&format!("{base}/audit.json?what=key"));
    assert!(export.header("content-disposition").unwrap().starts_with("attachment"));
    let export = export.json();
    assert_eq!((export["entries"].as_array().unwrap().len(), &export["complete"]), (60, &Value::Bool(true)));
    let number = export["entries"][0]["number"].as_u64().unwrap();
    let one = ada.get(&format!("{base}/audit/{number}"));
    assert!(one.text().contains("key.create") && one.text().contains("key-59"));
    assert_eq!(ada.get(&format!("{base}/audit/999999")).status, 404);
}
