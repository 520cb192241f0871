//! A person and an app: the question whether it may read, the answer and its way back, and *Authorized apps*, all from outside.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, parse};

use crate::browser::{Browser, owner, serve};
use crate::server::{Home, TestServer};
use crate::wire::Answer;

const VERIFIER: &str = "seven-quiet-rivers-upstream-and-one-more-to-make-it-long";
const LOOPBACK: &str = "http://127.0.0.1:33418/callback";
const SCHEME: &str = "cursor://anysphere.cursor-mcp/oauth/callback";
const SITE: &str = "https://chatgpt.com/connector/oauth/abc";

/// An app that has registered.
pub(crate) struct App {
    id: String,
    redirect_uri: String,
}

impl App {
    pub(crate) fn register(server: &TestServer, name: &str, redirect_uri: &str) -> Self {
        let document = json!({ "client_name": name, "redirect_uris": [redirect_uri] }).to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = server.http("POST", "/oauth/register", &headers, document.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = answer.json()["client_id"].as_str().unwrap().to_owned();
        Self { id, redirect_uri: redirect_uri.to_owned() }
    }

    /// The parameters that it asks with.
    fn params(&self) -> Vec<(&str, String)> {
        let challenge =
            URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes()));
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.id.clone()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256".to_owned()),
            ("state", "s t&a".to_owned()),
        ]
    }

    /// Where it sends a browser, with these in the place of its own, or beside them.
    fn url(&self, other: &[(&str, &str)]) -> String {
        let mut params = self.params();
        for (name, value) in other {
            match params.iter_mut().find(|(own, _)| own == name) {
                Some(own) => own.1 = (*value).to_owned(),
                None => params.push((name, (*value).to_owned())),
            }
        }
        format!("/oauth/authorize?{}", Serializer::new(String::new()).extend_pairs(params).finish())
    }

    /// What it gets for its code.
    fn redeem(&self, server: &TestServer, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        server.http("POST", "/oauth/token", &headers, body.as_bytes())
    }

    /// Its access token, once a person has let it into an organization.
    pub(crate) fn let_in(&self, server: &TestServer, person: &mut Browser<'_>, base: &str) -> String {
        let page = person.get(&self.url(&[]));
        let answer = person.post("/oauth/consent", &refs(&approval(&page, base, true)));
        let tokens = self.redeem(server, &code_in(&answer));
        assert_eq!(tokens.status, 200, "{}", tokens.text());
        tokens.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// The hidden fields of a page's question, but for the token against forgery, which the browser adds.
fn hidden(page: &Answer) -> Vec<(String, String)> {
    let text = page.text();
    let form =
        text.split_once("action=\"/oauth/consent\"").unwrap_or_else(|| panic!("no question: {text}")).1;
    let fields = form.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        let value = rest.split('"').next().unwrap();
        let value =
            value.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'");
        (name.to_owned(), value.replace("&#38;", "&"))
    });
    fields.filter(|(name, _)| name != "csrf").collect()
}

/// What a person sends who lets an app into an organization.
fn approval(page: &Answer, base: &str, all: bool) -> Vec<(String, String)> {
    let org = base.rsplit('/').next().unwrap();
    let mut fields = hidden(page);
    let mut chosen = vec![("decision", "approve"), ("org", org), ("days", "")];
    if all {
        chosen.push(("all", org));
    }
    fields.extend(chosen.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    fields
}

fn refs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Where a page goes on by itself.
fn goes_to(page: &Answer) -> Option<String> {
    assert_eq!(page.header("location"), None, "nobody is redirected");
    page.header("refresh").map(|text| text.strip_prefix("0; url=").unwrap().to_owned())
}

/// A parameter of the way back.
fn answered(page: &Answer, name: &str) -> Option<String> {
    let url = goes_to(page)?;
    let query = url.split_once('?').unwrap().1;
    parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn code_in(page: &Answer) -> String {
    answered(page, "code").unwrap_or_else(|| panic!("{}: {}", page.status, page.text()))
}

/// A path with its query, where a redirect leads.
fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

#[test]
fn a_person_signs_in_reads_the_question_and_lets_an_app_in_once() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    server.source("acme", "sales", &home.database("sales.db", "CREATE TABLE t (a)"));
    let app = App::register(&server, "Claude <b>Code", LOOPBACK);
    // Who is not signed in comes back to the very question.
    let mut visitor = Browser::new(&server);
    let to_sign_in = location(&visitor.get(&app.url(&[])));
    assert!(to_sign_in.starts_with("/sign-in?next=%2Foauth%2Fauthorize%3F"), "{to_sign_in}");
    // Also the sign-in stands in the window that the app may have opened; elsewhere it lets no opener keep hold.
    for (path, policy) in [(to_sign_in.as_str(), "unsafe-none"), ("/sign-in", "same-origin")] {
        assert_eq!(visitor.get(path).header("cross-origin-opener-policy"), Some(policy), "{path}");
    }
    visitor.get(&to_sign_in);
    let next = parse(to_sign_in.split_once('?').unwrap().1.as_bytes()).next().unwrap().1.into_owned();
    let fields =
        [("email", "ada@example.com"), ("password", crate::browser::PASSWORD), ("next", next.as_str())];
    assert_eq!(location(&visitor.post("/sign-in", &fields)), app.url(&[]));
    let page = ada.get(&app.url(&[]));
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
    // A site that opened this in a window of its own keeps hold of it; forms lead nowhere else.
    assert_eq!(page.header("cross-origin-opener-policy"), Some("unsafe-none"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    for said in
        ["Claude &#60;b&#62;Code", "cannot verify", "<b>127.0.0.1</b>:33418", "ada@example.com", "sales"]
    {
        assert!(page.text().contains(said), "{said}: {}", page.text());
    }
    let fields = approval(&page, &base, true);
    let answer = ada.post("/oauth/consent", &refs(&fields));
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert!(goes_to(&answer).unwrap().starts_with(&format!("{LOOPBACK}?")), "{:?}", goes_to(&answer));
    assert_eq!(answered(&answer, "state").as_deref(), Some("s t&a"));
    assert!(
        answered(&answer, "iss").is_some_and(|issuer| issuer.starts_with("http")),
        "{:?}",
        goes_to(&answer)
    );
    // The question was answered: a double click, or a page that was kept, answers nothing.
    let again = ada.post("/oauth/consent", &refs(&fields));
    assert_eq!((again.status, goes_to(&again)), (400, None));
    assert!(again.text().contains("answered already"), "{}", again.text());
    let tokens = app.redeem(&server, &code_in(&answer));
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert_eq!(server.status(tokens.json()["access_token"].as_str().unwrap()), 200);
}

#[test]
fn denying_makes_nothing_and_is_told_to_the_app() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let app = App::register(&server, "Claude Code", LOOPBACK);
    let mut fields = hidden(&ada.get(&app.url(&[])));
    fields.push(("decision".to_owned(), "deny".to_owned()));
    let answer = ada.post("/oauth/consent", &refs(&fields));
    assert_eq!(answered(&answer, "error").as_deref(), Some("access_denied"));
    assert_eq!((answered(&answer, "code"), answered(&answer, "iss").is_some()), (None, true));
    assert_eq!(ada.post("/oauth/consent", &refs(&fields)).status, 400, "once");
    assert!(ada.get(&format!("{base}/apps")).text().contains("No app is authorized yet"));
}

#[test]
fn what_may_not_be_sent_back_is_a_readable_page_for_everybody() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, _) = owner(&server, "acme", "ada@example.com");
    let app = App::register(&server, "Claude Code", LOOPBACK);
    let mut visitor = Browser::new(&server);
    for wrong in [
        app.url(&[("redirect_uri", "https://evil.test/callback")]),
        app.url(&[("redirect_uri", "http://127.0.0.1:33418/callback?x=1")]),
        app.url(&[("redirect_uri", "http://localhost.evil.test:33418/callback")]),
        app.url(&[("redirect_uri", "http://127.0.0.1:33418/x/../callback")]),
        app.url(&[("redirect_uri", "http://127.0.0.1:33418/%63allback")]),
        app.url(&[("redirect_uri", "http://127.0.0.1:33418/callback#x")]),
        app.url(&[("redirect_uri", "http://x@127.0.0.1:33418/callback")]),
        app.url(&[("redirect_uri", "http://127.1:33418/callback")]),
        app.url(&[("redirect_uri", "http://[::ffff:127.0.0.1]:33418/callback")]),
        app.url(&[("redirect_uri", "http://127.0.0.1.\u{ff45}vil.test/callback")]),
        app.url(&[("redirect_uri", "http://evil\u{3002}test/callback")]),
        app.url(&[("redirect_uri", "http://127.0.0.1:33418/callback\t")]),
        app.url(&[("redirect_uri", "http://127.0.0.1:33418/call\r\nback")]),
        app.url(&[("redirect_uri", "http://evil.test\\@127.0.0.1:33418/callback")]),
        app.url(&[("redirect_uri", "JaVaScRiPt:alert(1)")]),
        format!("{}&redirect_uri=https%3A%2F%2Fevil.test", app.url(&[])),
        app.url(&[("client_id", "nobody")]),
        "/oauth/authorize".to_owned(),
        format!("/authorize?{}", app.url(&[("client_id", "nobody")]).split_once('?').unwrap().1),
    ] {
        for browser in [&mut visitor, &mut ada] {
            let page = browser.get(&wrong);
            assert_eq!((page.status, goes_to(&page)), (400, None), "{wrong}");
            assert!(page.text().contains("Nothing was allowed"), "{wrong}: {}", page.text());
        }
    }
}

#[test]
fn a_visitor_is_led_nowhere_by_a_wrong_request() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, _) = owner(&server, "acme", "ada@example.com");
    // Anybody may register such an app: without this rule our address would lead to theirs.
    let app = App::register(&server, "Evil", "https://evil.test/callback");
    let wrong = app.url(&[("response_type", "token")]);
    let mut visitor = Browser::new(&server);
    assert!(location(&visitor.get(&wrong)).starts_with("/sign-in?"));
    let told = ada.get(&wrong);
    assert_eq!(told.status, 200, "{}", told.text());
    // Also who is signed in goes to such a site only by a click on a link that names it.
    assert_eq!(goes_to(&told), None);
    let text = told.text();
    for part in ["error=unsupported_response_type", "iss=", "<b>evil.test</b>"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Nor by a key that was pressed for another page: the link is not where a key goes.
    assert!(!text.contains("autofocus"), "{text}");
    assert!(text.contains("<title>This app’s request cannot be answered"), "{text}");
}

#[test]
fn what_an_app_writes_into_its_request_chooses_nothing() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    server.source("acme", "sales", &home.database("sales.db", "CREATE TABLE t (a)"));
    let org = base.rsplit('/').next().unwrap();
    let app = App::register(&server, "Eager", LOOPBACK);
    let eager =
        [("decision", "approve"), ("org", org), ("all", org), ("reach", "all"), ("days", "1"), ("csrf", "x")];
    let page = ada.get(&app.url(&eager));
    let carried: Vec<String> = hidden(&page).into_iter().map(|(name, _)| name).collect();
    for (name, _) in eager {
        assert!(!carried.iter().any(|own| own == name), "{name} is carried along: {carried:?}");
    }
    // Nothing is ticked for it: no source, nothing that comes later.
    let answer = ada.post("/oauth/consent", &refs(&approval(&page, &base, false)));
    assert_eq!((answer.status, goes_to(&answer)), (422, None), "{}", answer.text());
    assert!(answer.text().contains("Nothing was allowed"), "{}", answer.text());
}

#[test]
fn one_click_on_a_page_that_came_up_under_the_cursor_allows_nothing() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    server.source("acme", "sales", &home.database("sales.db", "CREATE TABLE t (a)"));
    let app = App::register(&server, "Claude Code", LOOPBACK);
    // Also where there is one organization, for who has allowed the app before.
    for _ in 0..2 {
        let page = ada.get(&app.url(&[]));
        let text = page.text();
        let form = text.split_once("action=\"/oauth/consent\"").unwrap().1;
        let picks: Vec<&str> =
            form.split('<').filter(|tag| tag.starts_with("input type=\"radio\"")).collect();
        assert_eq!(picks.len(), 1, "{text}");
        assert!(picks[0].contains(" required") && !picks[0].contains("checked"), "{}", picks[0]);
        assert!(!form.contains("autofocus"), "a key that is held down presses nothing");
        // What a browser sends that does not hold the click back: all that is ticked, and no organization.
        let mut sent = approval(&page, &base, false);
        sent.retain(|(name, _)| name != "org");
        sent.push(("source".to_owned(), ticked(form)));
        let answer = ada.post("/oauth/consent", &refs(&sent));
        assert_eq!((answer.status, goes_to(&answer)), (422, None), "{}", answer.text());
        assert!(answer.text().contains("Choose an organization."), "{}", answer.text());
        // A click more does not help either; the person's choice does.
        assert_eq!(ada.post("/oauth/consent", &refs(&sent)).status, 422);
        sent.push(("org".to_owned(), base.rsplit('/').next().unwrap().to_owned()));
        code_in(&ada.post("/oauth/consent", &refs(&sent)));
    }
}

/// The source that is ticked in a form.
fn ticked(form: &str) -> String {
    let found = form.split('<').find(|tag| tag.contains("name=\"source\"") && tag.contains(" checked"));
    found.unwrap().split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[test]
fn a_question_is_answered_by_the_session_that_it_was_put_to_and_as_it_was_put() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = Browser::of(&server, "bob@example.com");
    server.done("POST", "/orgs/acme/members", json!({ "user": "bob@example.com", "role": "owner" }));
    let app = App::register(&server, "Claude Code", LOOPBACK);
    let other = App::register(&server, "Other", LOOPBACK);
    let fields = approval(&ada.get(&app.url(&[])), &base, true);
    bob.get("/account");
    let stolen = bob.post("/oauth/consent", &refs(&fields));
    assert_eq!((stolen.status, goes_to(&stolen)), (400, None));
    for (name, value) in [
        ("client_id", other.id.as_str()),
        ("redirect_uri", "http://127.0.0.1:1/callback"),
        ("state", "another"),
        ("scope", "schema:read"),
        ("resource", "https://other.example.com/mcp"),
        ("code_challenge", "0000000000000000000000000000000000000000000"),
        ("consent", "x"),
    ] {
        let mut changed = fields.clone();
        changed.retain(|(own, _)| own != name);
        changed.push((name.to_owned(), value.to_owned()));
        let answer = ada.post("/oauth/consent", &refs(&changed));
        assert_eq!((answer.status, goes_to(&answer)), (400, None), "{name}");
    }
    // None of that has used the question up.
    assert!(answered(&ada.post("/oauth/consent", &refs(&fields)), "code").is_some());
}

#[test]
fn who_may_not_authorize_is_told_where_and_why_also_when_it_changes_meanwhile() {
    let home = Home::new();
    let server = serve(&home);
    let (_, base) = owner(&server, "acme", "ada@example.com");
    let mut eve = Browser::of(&server, "eve@example.com");
    let app = App::register(&server, "Claude Code", LOOPBACK);
    assert!(eve.get(&app.url(&[])).text().contains("You belong to no organization"));
    server.done("POST", "/orgs/acme/members", json!({ "user": "eve@example.com", "role": "member" }));
    let fields = approval(&eve.get(&app.url(&[])), &base, true);
    server.done("PATCH", "/orgs/acme/members/eve@example.com", json!({ "role": "viewer" }));
    let late = eve.post("/oauth/consent", &refs(&fields));
    assert_eq!((late.status, goes_to(&late)), (403, None), "{}", late.text());
    let page = eve.get(&app.url(&[])).text();
    assert!(page.contains("as a viewer you authorize no apps there"), "{page}");
    server.done("DELETE", "/orgs/acme/members/eve@example.com", Value::Null);
    let gone = eve.post("/oauth/consent", &refs(&approval(&eve.copy().get(&app.url(&[])), &base, true)));
    assert_eq!((gone.status, goes_to(&gone)), (403, None), "{}", gone.text());
}

#[test]
fn a_program_is_opened_by_a_link_and_by_nothing_else() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let app = App::register(&server, "Cursor", SCHEME);
    let page = ada.get(&app.url(&[]));
    assert!(page.text().contains("<b>cursor:</b>"), "{}", page.text());
    let answer = ada.post("/oauth/consent", &refs(&approval(&page, &base, true)));
    assert_eq!((answer.status, goes_to(&answer)), (200, None));
    assert!(answer.text().contains(&format!("href=\"{SCHEME}?code=sqc_")), "{}", answer.text());
}

#[test]
fn an_authorized_app_is_listed_edited_and_revoked() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    for name in ["first", "second"] {
        let database = home.database(&format!("{name}.db"), "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        server.source("acme", name, &database);
    }
    let mut bob = Browser::of(&server, "bob@example.com");
    server.done("POST", "/orgs/acme/members", json!({ "user": "bob@example.com", "role": "member" }));
    let app = App::register(&server, "Claude Code", LOOPBACK);
    let token = app.let_in(&server, &mut ada, &base);
    let asked = |source: &str| server.call(&token, json!({ "source": source, "sql": "SELECT a FROM t" }));
    assert_eq!(asked("second")["structuredContent"]["row_count"], 1);
    let list = ada.get(&format!("{base}/apps")).text();
    assert!(list.contains("Claude Code") && list.contains("answers go to <code>127.0.0.1</code>"), "{list}");
    let at = format!("{base}/apps/");
    let id = list.split_once(&at).unwrap().1.split(['"', '/']).next().unwrap();
    let id =
        if id == "policy" { list.split(&at).nth(2).unwrap().split(['"', '/']).next().unwrap() } else { id };
    let at = format!("{at}{id}");
    // Somebody else's is none of a member's affairs, and looks like one that does not exist.
    assert!(bob.get(&format!("{base}/apps")).text().contains("No app is authorized yet"));
    for path in [at.clone(), format!("{at}/edit"), format!("{at}/revoke")] {
        assert_eq!(bob.get(&path).status, 404, "{path}");
    }
    bob.get("/account");
    assert_eq!(bob.post(&format!("{at}/revoke"), &[]).status, 404);
    assert_eq!(server.status(&token), 200);
    // One source less, and an end.
    let sources = server.done("GET", "/orgs/acme/sources", Value::Null);
    let first =
        sources["sources"].as_array().unwrap().iter().find(|source| source["name"] == "first").unwrap();
    ada.get(&format!("{at}/edit"));
    assert_eq!(ada.post(&format!("{at}/edit"), &[("reach", "only"), ("days", "keep")]).status, 422);
    let narrowed = [("reach", "only"), ("source", first["id"].as_str().unwrap()), ("days", "7")];
    let saved = ada.submit(&format!("{at}/edit"), &narrowed).text();
    assert!(saved.contains("was saved") && saved.contains("in 7 days"), "{saved}");
    assert_eq!(asked("first")["structuredContent"]["row_count"], 1);
    assert_eq!(asked("second")["isError"], true);
    ada.get(&format!("{at}/revoke"));
    let list = ada.submit(&format!("{at}/revoke"), &[]).text();
    assert!(list.contains("Claude Code can no longer read acme."), "{list}");
    assert_eq!(server.status(&token), 401);
    assert_eq!(ada.get(&at).status, 404);
    assert!(ada.get(&format!("{base}/audit")).text().contains("Claude Code"));
}

#[test]
fn an_owner_narrows_somebody_elses_app_and_is_offered_no_more() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    for name in ["first", "second"] {
        server.source("acme", name, &home.database(&format!("{name}.db"), "CREATE TABLE t (a)"));
    }
    let mut bob = Browser::of(&server, "bob@example.com");
    server.done("POST", "/orgs/acme/members", json!({ "user": "bob@example.com", "role": "member" }));
    App::register(&server, "Claude Code", LOOPBACK).let_in(&server, &mut bob, &base);
    let app = server.done("GET", "/orgs/acme/apps", Value::Null)["apps"][0].clone();
    let at = format!("{base}/apps/{}/edit", app["id"].as_str().unwrap());
    let sources = server.done("GET", "/orgs/acme/sources", Value::Null);
    let [first, second] = ["first", "second"].map(|name| {
        let all = sources["sources"].as_array().unwrap();
        all.iter().find(|source| source["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    });
    let page = ada.get(&at).text();
    assert!(page.contains("bob@example.com") && page.contains("reach-all"), "{page}");
    ada.submit(&at, &[("reach", "only"), ("source", &first), ("days", "7")]);
    let page = ada.get(&at).text();
    assert!(!page.contains("reach-all") && !page.contains(&second) && !page.contains("30 days"), "{page}");
    for wider in [
        &[("reach", "all"), ("days", "keep")][..],
        &[("reach", "only"), ("source", &first), ("days", "30")],
        &[("reach", "only"), ("source", &first), ("days", "")],
    ] {
        let refused = ada.post(&at, wider);
        assert_eq!(refused.status, 422, "{wider:?}");
        assert!(refused.text().contains("Only the person who authorized"), "{}", refused.text());
    }
    // Their own: all of it, as ever.
    assert!(bob.get(&at).text().contains("reach-all"));
    bob.submit(&at, &[("reach", "all"), ("days", "")]);
    let app = server.done("GET", "/orgs/acme/apps", Value::Null)["apps"][0].clone();
    assert_eq!((&app["sources"], &app["expires_at"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_is_no_longer_allowed_ends_and_is_not_offered() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    let mut bob = Browser::of(&server, "bob@example.com");
    server.done("POST", "/orgs/acme/members", json!({ "user": "bob@example.com", "role": "member" }));
    let program = App::register(&server, "Claude Code", LOOPBACK);
    let site = App::register(&server, "ChatGPT", SITE);
    let other = App::register(&server, "Elsewhere", "https://elsewhere.example.com/callback");
    let tokens = [&program, &site, &other].map(|app| app.let_in(&server, &mut bob, &base));
    let at = format!("{base}/apps/policy");
    assert_eq!(bob.get(&at).status, 403);
    bob.get("/account");
    assert_eq!(bob.post(&at, &[("https", "none")]).status, 403);
    ada.get(&at);
    let hosts = [("loopback", "true"), ("https", "hosts"), ("hosts", "chatgpt.com")];
    let saved = ada.submit(&at, &hosts).text();
    assert!(saved.contains("1 app that is no longer allowed has ended"), "{saved}");
    assert_eq!(tokens.each_ref().map(|token| server.status(token)), [200, 200, 401]);
    let page = bob.get(&other.url(&[])).text();
    assert!(page.contains("its admins do not allow apps of this kind"), "{page}");
    // What is typed survives its refusal.
    let wrong = ada.post(&at, &[("https", "hosts"), ("hosts", "https://claude.ai/x")]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("https://claude.ai/x"), "{}", wrong.text());
    assert_eq!(server.status(&tokens[0]), 200, "nothing was changed");
    assert!(
        ada.submit(&at, &[("https", "none")]).text().contains("2 apps that are no longer allowed have ended")
    );
    assert_eq!(tokens.each_ref().map(|token| server.status(token)), [401, 401, 401]);
    // Allowing them again brings none back.
    ada.submit(&at, &[("loopback", "true"), ("schemes", "true"), ("https", "any")]);
    assert_eq!(server.status(&tokens[0]), 401);
}
