//! What the dashboard's rooms say to whom: what a page tells is so, and what a role may not see is not told as nothing.

use serde_json::{Value, json};

use crate::browser::{Browser, key_in, owner, serve, serve_with};
use crate::server::{Home, TestServer};

/// Somebody who is in the organization as this, in their browser.
fn joined<'a>(server: &'a TestServer, org: &str, email: &str, role: &str) -> Browser<'a> {
    let browser = Browser::of(server, email);
    server.done("POST", &format!("/orgs/{org}/members"), json!({ "user": email, "role": role }));
    browser
}

/// A personal key of whose browser it is.
fn personal(browser: &mut Browser<'_>, base: &str, name: &str) -> String {
    browser.get(&format!("{base}/keys/new"));
    let fields = [("name", name), ("reach", "all"), ("expires", "90d"), ("owner", "me")];
    key_in(&browser.post(&format!("{base}/keys/new"), &fields).text()).expect("a key is shown")
}

fn sources_with_one(home: &Home, server: &TestServer) {
    let database = home.database("sales.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    server.source("acme", "sales", &database);
}

#[test]
fn whoever_may_see_a_key_sees_what_it_did() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = joined(&server, "acme", "bob@example.com", "member");
    sources_with_one(&home, &server);
    let key = personal(&mut bob, &base, "laptop");
    server.query(&key, "SELECT a FROM t");
    for browser in [&mut bob, &mut ada] {
        let page = browser.get(&format!("{base}/keys/{}", &key[4..14])).text();
        assert!(page.contains("1 call, 1 row read"), "{page}");
        let leaked = browser.get(&format!("{base}/keys/leaked?key={}", &key[..14])).text();
        assert!(leaked.contains("sales") && !leaked.contains("No call was made with it"), "{leaked}");
        let deleting = browser.get(&format!("{base}/keys/{}/delete", &key[4..14])).text();
        assert!(deleting.contains("1 call"), "{deleting}");
    }
    // Others' keys are none of a member's.
    let hers = personal(&mut ada, &base, "hers");
    assert_eq!(bob.get(&format!("{base}/keys/{}", &hers[4..14])).status, 404);
}

#[test]
fn a_page_offers_what_its_reader_may_do_and_no_more() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = joined(&server, "acme", "bob@example.com", "member");
    let mut eve = joined(&server, "acme", "eve@example.com", "viewer");
    sources_with_one(&home, &server);
    let key = personal(&mut bob, &base, "laptop");
    let source = server.done("GET", "/orgs/acme/sources", Value::Null)["sources"][0]["id"].clone();
    let rooms = ["", "/keys", "/sources", "/members", "/settings", "/install/cursor"].map(str::to_owned);
    let single = [format!("/keys/{}", &key[4..14]), format!("/sources/{}", source.as_str().unwrap())];
    for room in rooms.iter().chain(&single) {
        for browser in [&mut bob, &mut eve] {
            let page = browser.get(&format!("{base}{room}")).text();
            // The trail is for owners and admins: nothing leads to a refusal.
            assert!(!page.contains(&format!("{base}/audit")), "{room}: {page}");
            assert!(!page.contains(&format!("{base}/sources/new")), "{room}");
        }
        assert!(ada.get(&format!("{base}{room}")).text().contains(&format!("{base}/audit")), "{room}");
    }
    // How many keys somebody else has is told to who may see them, and to others nothing instead of "none".
    let members = ada.get(&format!("{base}/members")).text();
    assert!(members.contains("1 key<") && members.contains("no key"), "{members}");
    let members = bob.get(&format!("{base}/members")).text();
    assert!(members.contains("1 key<") && !members.contains("no key"), "{members}");
    let overview = bob.get(&base).text();
    assert!(!overview.contains("<dt>Calls</dt>"), "{overview}");
}

#[test]
fn the_overview_says_that_it_works_for_as_long_as_a_key_was_used() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = joined(&server, "acme", "bob@example.com", "member");
    sources_with_one(&home, &server);
    assert!(bob.get(&base).text().contains("Three steps"));
    let key = personal(&mut bob, &base, "laptop");
    assert!(bob.get(&base).text().contains("Three steps"), "it was not asked yet");
    server.query(&key, "SELECT a FROM t");
    for browser in [&mut bob, &mut ada] {
        let overview = browser.get(&base).text();
        assert!(overview.contains("It works.") && !overview.contains("Three steps"), "{overview}");
    }
    let sources = ada.get(&format!("{base}/sources")).text();
    assert!(sources.contains("today") && sources.contains("Healthy"), "{sources}");
    assert!(!bob.get(&format!("{base}/sources")).text().contains("Not in 7 days"));
}

#[test]
fn a_source_that_cannot_be_reached_is_told_on_every_page() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    sources_with_one(&home, &server);
    assert!(!ada.get(&format!("{base}/keys")).text().contains("failing"));
    std::fs::remove_file(home.databases().join("sales.db")).unwrap();
    let key = personal(&mut ada, &base, "laptop");
    assert_eq!(server.query(&key, "SELECT a FROM t")["isError"], true);
    assert!(ada.get(&format!("{base}/keys")).text().contains("failing"));
    let overview = ada.get(&base).text();
    assert!(overview.contains("1 cannot be reached") && !overview.contains("all can be reached"));
}

#[test]
fn a_deleted_organization_is_found_again_by_its_owners_alone() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = joined(&server, "acme", "bob@example.com", "admin");
    ada.get(&format!("{base}/settings/delete"));
    ada.submit(&format!("{base}/settings/delete"), &[("confirm", "acme")]);
    // As somebody who comes back days later and has no organization any more.
    let first = ada.get("/").header("location").unwrap().to_owned();
    let page = ada.get(&first).text();
    assert!(page.contains(&format!("{base}/restore")), "{page}");
    assert!(!bob.get("/orgs/new").text().contains("/restore"));
    ada.get(&format!("{base}/restore"));
    ada.submit(&format!("{base}/restore"), &[]);
    assert!(!ada.get("/orgs/new").text().contains("/restore"));
}

#[test]
fn what_is_said_of_the_grace_is_as_long_as_it_is() {
    for (seconds, said) in [("3600", "For 1 hour"), ("172800", "For 2 days"), ("0", "gone at once")] {
        let home = Home::new();
        let server = serve_with(&home, &[("SEQUEL__ORGS__DELETE_GRACE_SECONDS", seconds)]);
        let (mut ada, base) = owner(&server, "acme", "ada@example.com");
        assert!(ada.get(&format!("{base}/settings")).text().contains(said), "{said}");
    }
}

#[test]
fn a_name_is_confirmed_as_it_is_shown() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    // A browser shows several blanks as one, and nobody types a blank that does not break.
    let key = server.key("acme", "nightly  report\u{a0}2");
    ada.get(&format!("{base}/keys/{}/delete", &key[4..14]));
    let delete = format!("{base}/keys/{}/delete", &key[4..14]);
    assert_eq!(ada.post(&delete, &[("confirm", "nightlyreport2")]).status, 422);
    assert!(ada.submit(&delete, &[("confirm", "nightly report 2")]).text().contains("was deleted"));
}

#[test]
fn an_owner_steps_back_and_the_last_one_stays() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let me = server.done("GET", "/users", Value::Null)["users"][0]["id"].as_str().unwrap().to_owned();
    let page = ada.get(&format!("{base}/members")).text();
    assert!(page.contains(&format!("href=\"{base}/members/{me}\"")), "one's own role can be changed: {page}");
    ada.get(&format!("{base}/members/{me}"));
    let refused = ada.post(&format!("{base}/members/{me}"), &[("role", "viewer")]);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("only owner"), "{}", refused.text());
    joined(&server, "acme", "bob@example.com", "owner");
    let stepped = ada.submit(&format!("{base}/members/{me}"), &[("role", "viewer")]).text();
    assert!(stepped.contains("is a viewer now"), "{stepped}");
    assert_eq!(ada.post(&format!("{base}/members/{me}"), &[("role", "owner")]).status, 403);
}

#[test]
fn somebody_who_is_a_member_is_not_invited_and_a_new_link_replaces_the_old() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    joined(&server, "acme", "bob@example.com", "member");
    let invite = format!("{base}/members/invite");
    ada.get(&invite);
    let refused = ada.post(&invite, &[("email", "Bob@example.com"), ("role", "owner")]);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("is a member already"), "{}", refused.text());
    let link = |page: &str| page.split_once("/invitation/").unwrap().1.split('<').next().unwrap().to_owned();
    let first = link(&ada.post(&invite, &[("email", "eve@example.com"), ("role", "member")]).text());
    let page = ada.get(&format!("{base}/members")).text();
    let id = page.split_once("/invitations/").unwrap().1.split('/').next().unwrap().to_owned();
    let second = link(&ada.post(&format!("{base}/invitations/{id}/renew"), &[]).text());
    let mut eve = Browser::new(&server);
    assert_eq!(eve.get(&format!("/invitation/{first}")).status, 404);
    assert_eq!(eve.get(&format!("/invitation/{second}")).status, 200);
    assert_eq!(ada.post(&format!("{base}/invitations/{id}/renew"), &[]).status, 404, "it is another one now");
    let trail = ada.get(&format!("{base}/audit.json?what=member")).json();
    let actions: Vec<_> =
        trail["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions[..2], ["member.invite", "member.invite"], "one change, one entry");
}

#[test]
fn a_form_that_shows_what_is_not_so_any_more_says_so_and_is_kept() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = joined(&server, "acme", "bob@example.com", "admin");
    sources_with_one(&home, &server);
    let key = server.key("acme", "nightly");
    let source = server.done("GET", "/orgs/acme/sources", Value::Null)["sources"][0].clone();
    let path = source["settings"]["path"].as_str().unwrap();
    let seen = |page: &str| {
        page.split_once("name=\"seen\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    let edit = format!("{base}/keys/{}/edit", &key[4..14]);
    let sources = format!("{base}/sources/{}/edit", source["id"].as_str().unwrap());
    let forms = [
        (edit, vec![("reach", "all"), ("expires", "keep")]),
        (sources, vec![("set-path", path), ("description", "")]),
    ];
    for (at, rest) in forms {
        let fields = |name: &'static str, seen: &str| {
            let mut fields: Vec<(&str, String)> = rest.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
            fields.extend([("name", name.to_owned()), ("seen", seen.to_owned())]);
            fields
        };
        let send = |browser: &mut Browser<'_>, fields: &[(&str, String)]| {
            let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
            browser.post(&at, &fields)
        };
        let hers = seen(&ada.get(&at).text());
        let his = seen(&bob.get(&at).text());
        assert_eq!(send(&mut bob, &fields("bobs", &his)).status, 303);
        let refused = send(&mut ada, &fields("adas", &hers));
        assert_eq!(refused.status, 422);
        let page = refused.text();
        assert!(page.contains("changed by somebody") && page.contains("value=\"adas\""), "{page}");
        // Who has read that means it.
        assert_eq!(send(&mut ada, &fields("adas", &seen(&page))).status, 303);
    }
    let id = server.done("GET", "/users", Value::Null)["users"][1]["id"].as_str().unwrap().to_owned();
    let member = format!("{base}/members/{id}");
    ada.get(&member);
    server.done("PATCH", "/orgs/acme/members/bob@example.com", json!({ "role": "viewer" }));
    let refused = ada.post(&member, &[("role", "owner"), ("seen", "admin")]);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("made them viewer"), "{}", refused.text());
}

#[test]
fn what_a_form_does_not_ask_for_stays_as_it_was() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let path = home.database("sales.db", "CREATE TABLE t (a)");
    let new = json!({ "name": "sales", "kind": "sqlite", "settings": { "path": path, "samples": false } });
    let source = server.done("POST", "/orgs/acme/sources", new);
    let edit = format!("{base}/sources/{}/edit", source["id"].as_str().unwrap());
    ada.get(&edit);
    let fields = [("name", "sales"), ("set-path", path.to_str().unwrap()), ("description", "What was sold.")];
    ada.submit(&edit, &fields);
    let settings = server.done("GET", "/orgs/acme/sources/sales", Value::Null)["settings"].clone();
    assert_eq!(settings, json!({ "path": path, "samples": false }));
}
