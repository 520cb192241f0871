//! Apps from outside: what the server says of itself, what it refuses and how, tokens beside keys, and what holds when many
//! come at once or the process is killed. What a page shows and asks is held by `consent`.

use sequel::context::Rng;
use sequel::credential::refresh::RefreshToken;
use sequel::credential::{GrantId, OrgId};
use serde_json::{Value, json};

use crate::apps::{App, CHALLENGE, REDIRECT, Tokens, VERIFIER, form, refused, registration, token};
use crate::browser::{Browser, owner, serve, serve_with};
use crate::metrics::{METRICS, address, scrape};
use crate::server::{ENDLESS, Home, TestServer, failure, rows};
use crate::waiting::{PATIENCE, poll};
use crate::wire::Answer;

/// What clients use, whatever port the server has after a restart.
const PUBLIC: (&str, &str) = ("SEQUEL__SERVER__PUBLIC_URL", "http://127.0.0.1:7700");

fn get(server: &TestServer, path: &str) -> Answer {
    server.http("GET", path, &[], b"")
}

/// An organization with a data source, the browser of its owner, and its id.
fn acme<'a>(home: &Home, server: &'a TestServer) -> (Browser<'a>, String) {
    let (ada, base) = owner(server, "acme", "ada@example.com");
    server.source(
        "acme",
        "facts",
        &home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (42)"),
    );
    (ada, base.rsplit('/').next().unwrap().to_owned())
}

fn list_tables(server: &TestServer, credential: &str) -> Answer {
    server.rpc(credential, "tools/call", json!({ "name": "list_data_sources", "arguments": {} }))
}

#[test]
fn a_client_finds_its_way_from_the_refusal_to_the_token_endpoint() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__SERVER__PUBLIC_URL", "http://127.0.0.1:7700/")]);
    let refusal = server.post(&[], b"{}");
    let challenge = refusal.header("www-authenticate").unwrap();
    let place = "http://127.0.0.1:7700/.well-known/oauth-protected-resource/mcp";
    assert!(challenge.contains(&format!("resource_metadata=\"{place}\"")), "{challenge}");
    assert!(challenge.contains("scope=\"schema:read query:run\"") && !challenge.contains("offline_access"));
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let document = get(&server, path).json();
        assert_eq!(document["resource"], "http://127.0.0.1:7700/mcp");
        assert_eq!(document["authorization_servers"], json!(["http://127.0.0.1:7700"]));
    }
    let places = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
    ];
    for path in places {
        let answer = get(&server, path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.body, get(&server, places[0]).body, "{path}");
        assert_eq!(answer.json()["issuer"], "http://127.0.0.1:7700", "without a slash at its end");
    }
    for endpoint in ["token_endpoint", "registration_endpoint", "revocation_endpoint"] {
        let document = get(&server, places[0]).json();
        let path = document[endpoint].as_str().unwrap().strip_prefix("http://127.0.0.1:7700").unwrap();
        assert_eq!(get(&server, path).status, 405, "{endpoint}: there, and for POST");
    }
}

#[test]
fn where_apps_are_not_allowed_keys_are_the_only_way_in() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__OAUTH__APPS", "never")]);
    let resource = get(&server, "/.well-known/oauth-protected-resource/mcp").json();
    assert!(resource.get("authorization_servers").is_none());
    assert_eq!(get(&server, "/.well-known/oauth-authorization-server").status, 404);
    for path in ["/oauth/register", "/oauth/token", "/oauth/revoke", "/register", "/token"] {
        assert_eq!(server.http("POST", path, &[], b"{}").status, 404, "{path}");
    }
    server.org("acme");
    assert_eq!(server.status(&server.key("acme", "k")), 200);
}

#[test]
fn a_page_of_any_origin_may_register_and_redeem_and_one_that_is_allowed_may_call() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__SERVER__ALLOWED_ORIGINS", "http://localhost:6274")]);
    let origin = ("Origin", "https://inspector.example");
    let preflight = [origin, ("Access-Control-Request-Method", "POST")];
    for path in ["/oauth/token", "/oauth/register", "/.well-known/oauth-authorization-server"] {
        let answer = server.http("OPTIONS", path, &preflight, b"");
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(answer.header("access-control-allow-headers").unwrap().contains("Authorization"));
    }
    // Also what is refused can be read.
    let answer = form(&server, "/oauth/token", &[origin], &[("grant_type", "x")]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some("*")));

    let allowed = ("Origin", "http://localhost:6274");
    let ask =
        |origin| server.http("OPTIONS", "/mcp", &[origin, ("Access-Control-Request-Method", "POST")], b"");
    assert_eq!(ask(allowed).status, 204);
    assert_eq!(ask(allowed).header("access-control-allow-origin"), Some("http://localhost:6274"));
    assert_eq!(ask(origin).status, 403);
    assert_eq!(ask(origin).header("access-control-allow-origin"), None);
    let refusal = server.post(&[allowed], b"{}");
    assert_eq!((refusal.status, refusal.header("vary")), (401, Some("Origin")));
    assert!(refusal.header("access-control-expose-headers").unwrap().contains("WWW-Authenticate"));
    // Under a foreign name there is nothing at all, whatever the origin.
    let foreign =
        server.http("GET", "/.well-known/oauth-authorization-server", &[("Host", "rebound.test")], b"");
    assert!(matches!(foreign.status, 400 | 403), "{}", foreign.status);
}

#[test]
fn what_cannot_be_registered_is_told_and_a_flood_leaves_known_clients_alone() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__OAUTH__REGISTRATIONS_PER_MINUTE_PER_SOURCE", "9")]);
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let tokens = app.authorized(&server, &mut ada, &org);
    let to = json!(["http://localhost/cb"]);
    for (metadata, word) in [
        (
            json!({ "redirect_uris": to, "logo_uri": "data:image/svg+xml,<svg/>" }).to_string(),
            "invalid_client_metadata",
        ),
        (json!({ "redirect_uris": vec!["http://localhost/cb"; 400] }).to_string(), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }).to_string(), "invalid_redirect_uri"),
        (json!({ "redirect_uris": to, "x": "x".repeat(17_000) }).to_string(), "invalid_client_metadata"),
        ("{".to_owned(), "invalid_client_metadata"),
    ] {
        assert_eq!(refused(&registration(&server, &metadata)), (400, word.to_owned()));
    }
    let flood: Vec<Answer> =
        (0..20).map(|_| registration(&server, &json!({ "redirect_uris": to }).to_string())).collect();
    let last = flood.last().unwrap();
    assert_eq!(refused(last), (429, "slow_down".to_owned()));
    assert!(last.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let fresh = Tokens::of(&app.refresh(&server, &tokens.refresh));
    assert_eq!(list_tables(&server, &fresh.access).status, 200);
}

#[test]
fn the_token_endpoint_speaks_the_words_of_the_rfc() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, org) = acme(&home, &server);
    let public = App::register(&server);
    let confidential = App::register_as(
        &server,
        json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic" }),
    );
    let basic = |id: &str, secret: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
    };
    let secret = confidential.secret.clone().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "sqr_x")];
    let with = |header: &str, more: &[(&str, &str)]| {
        form(&server, "/oauth/token", &[("Authorization", header)], &[&refresh, more].concat())
    };
    for (answer, expected) in [
        (token(&server, &[]), (401, "invalid_client")),
        (token(&server, &[("client_id", "0123456789ab")]), (401, "invalid_client")),
        (token(&server, &[("client_id", &public.id)]), (400, "invalid_request")),
        (
            token(&server, &[("client_id", &public.id), ("grant_type", "password")]),
            (400, "unsupported_grant_type"),
        ),
        (token(&server, &[("client_id", &public.id), refresh[0], refresh[1]]), (400, "invalid_grant")),
        (
            token(&server, &[("client_id", &public.id), refresh[0], refresh[1], refresh[1]]),
            (400, "invalid_request"),
        ),
        // Exactly as it registered.
        (token(&server, &[("client_id", &confidential.id), refresh[0], refresh[1]]), (401, "invalid_client")),
        (with(&basic(&confidential.id, &secret), &[]), (400, "invalid_grant")),
        (with(&basic(&confidential.id, &secret), &[("client_id", &confidential.id)]), (400, "invalid_grant")),
        (with(&basic(&confidential.id, &secret), &[("client_secret", &secret)]), (400, "invalid_request")),
        (with(&basic(&confidential.id, "wrong"), &[]), (401, "invalid_client")),
        (with(&basic(&public.id, &secret), &[]), (401, "invalid_client")),
        (with("Basic !!!", &[]), (401, "invalid_client")),
        (with("Bearer sqa_x", &[]), (401, "invalid_client")),
    ] {
        assert_eq!(refused(&answer), (expected.0, expected.1.to_owned()), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert!(with("Basic !!!", &[]).header("www-authenticate").unwrap().starts_with("Basic "));

    // What is wrong with the rest of a request spends no code.
    let code = public.code(&mut ada, &org, &[]);
    let base = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("client_id", public.id.as_str()),
    ];
    let short = "x".repeat(42);
    for (more, word) in [
        (vec![("code_verifier", VERIFIER), ("resource", "https://evil.test/mcp")], "invalid_target"),
        (vec![("code_verifier", VERIFIER), ("resource", "a"), ("resource", "b")], "invalid_target"),
        (vec![], "invalid_request"),
        (vec![("code_verifier", short.as_str())], "invalid_grant"),
        (vec![("code_verifier", CHALLENGE)], "invalid_grant"),
    ] {
        assert_eq!(
            refused(&token(&server, &[&base[..], &more].concat())),
            (400, word.to_owned()),
            "{more:?}"
        );
    }
    let in_the_url =
        server.http("POST", &format!("/oauth/token?code={code}&code_verifier={VERIFIER}"), &[], b"");
    assert_eq!(in_the_url.status, 415);
    Tokens::of(&public.redeem(&server, &code));
}

#[test]
fn whoever_sends_nothing_that_holds_has_to_wait_and_fills_no_log() {
    let home = Home::new();
    let proxied = ("SEQUEL__SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let limits = [
        ("SEQUEL__AUTH__FAILURES_PER_MINUTE", "5"),
        ("SEQUEL__OAUTH__REGISTRATIONS_PER_MINUTE_PER_SOURCE", "5"),
    ];
    let mut server = serve_with(&home, &[&limits[..], &[proxied, METRICS]].concat());
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let tokens = app.authorized(&server, &mut ada, &org);
    let forged = tokens.refresh.replace(&tokens.refresh[30..40], "0000000000");
    let client = ("client_id", app.id.as_str());
    let large = "x".repeat(17_000);
    for (number, (path, fields)) in [
        ("/oauth/token", vec![]),
        ("/oauth/token", vec![client, client]),
        ("/oauth/token", vec![client, ("grant_type", "password")]),
        ("/oauth/token", vec![("client_id", "0123456789ab"), ("grant_type", "refresh_token")]),
        ("/oauth/revoke", vec![("token", tokens.refresh.as_str())]),
        ("/oauth/revoke", vec![client]),
        ("/oauth/revoke", vec![client, ("token", forged.as_str())]),
        ("/oauth/revoke", vec![client, ("token", "nonsense")]),
        ("/oauth/register", vec![("large", large.as_str())]),
    ]
    .into_iter()
    .enumerate()
    {
        let from = format!("192.0.2.{number}");
        let mut answers = (0..30).map(|_| form(&server, path, &[("X-Forwarded-For", &from)], &fields));
        let waits = answers.by_ref().find(|answer| answer.status == 429);
        assert!(waits.is_some_and(|answer| answer.header("retry-after").is_some()), "{path} {fields:?}");
        assert!(answers.all(|answer| answer.status == 429), "{path} {fields:?}");
        // Whoever is known gets through from there.
        let known = [("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh), client];
        Tokens::of(&form(&server, "/oauth/token", &[("X-Forwarded-For", &from)], &known));
    }
    let samples = scrape(address(&server));
    assert_eq!(samples["sequel_apps_total{step=\"given_back\"}"], 0.0, "nothing was given back");
    assert!(samples["sequel_apps_total{step=\"refused\"}"] >= 8.0 * 30.0);
    server.stop();
    let told = server.log().lines().filter(|line| line.contains("an OAuth client was refused")).count();
    assert!((6..=7 * 9).contains(&told), "{told} lines");
}

#[test]
fn tokens_and_keys_are_taken_side_by_side_and_nothing_else_is() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let code = app.code(&mut ada, &org, &[("resource", &format!("http://{}", server.addr))]);
    let tokens = Tokens::of(&app.redeem(&server, &code));
    let key = server.key("acme", "k");
    for credential in [&tokens.access, &key] {
        assert_eq!(rows(&server.query(credential, "SELECT x FROM t")), &json!([[42]]));
    }
    for (what, credential) in
        [("a refresh token", &tokens.refresh), ("a code", &code), ("the client", &app.id)]
    {
        let answer = list_tables(&server, credential);
        assert_eq!(answer.status, 401, "{what}");
        assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{what}");
    }
    let in_the_url = server.http("POST", &format!("/mcp?access_token={}", tokens.access), &[], b"{}");
    assert_eq!(in_the_url.status, 401);
    // An organization that an app was not let into stays closed, by every way.
    server.org("other");
    let other = server.done("GET", "/orgs/other", Value::Null)["id"].as_str().unwrap().to_owned();
    let moved = tokens.access.replace(&org, &other);
    assert_eq!(list_tables(&server, &moved).status, 401);
}

#[test]
fn a_grant_does_what_it_was_given_for_and_says_what_it_lacks() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let tokens = Tokens::of(&app.redeem(&server, &app.code(&mut ada, &org, &[("scope", "schema:read")])));
    assert_eq!(tokens.scope, "schema:read");
    assert_eq!(list_tables(&server, &tokens.access).status, 200);
    let run = json!({ "name": "run_query", "arguments": { "sql": "SELECT 1" } });
    let answer = server.rpc(&tokens.access, "tools/call", run.clone());
    assert_eq!(answer.status, 403);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"schema:read query:run\""), "{challenge}");
    assert!(challenge.contains("resource_metadata="), "{challenge}");
    // In a batch as well.
    let one = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": run });
    let bearer = format!("Bearer {}", tokens.access);
    let batch = server.post(
        &[("Authorization", &bearer), ("MCP-Protocol-Version", "2025-03-26")],
        json!([one]).to_string().as_bytes(),
    );
    assert!(batch.text().contains("not authorized"), "{}", batch.text());
    let more = app.refresh(&server, &tokens.refresh);
    assert_eq!(Tokens::of(&more).scope, "schema:read");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.refresh),
        ("client_id", &app.id),
        ("scope", "query:run"),
    ];
    assert_eq!(refused(&token(&server, &fields)), (400, "invalid_scope".to_owned()));
}

#[test]
fn an_expired_token_is_refreshed_and_a_revoked_app_stops_in_the_middle() {
    let home = Home::new();
    let server = serve_with(&home, &[("SEQUEL__OAUTH__ACCESS_SECONDS", "2")]);
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let first = app.authorized(&server, &mut ada, &org);
    assert!(first.expires_in <= 2);
    poll(PATIENCE, "an access token expires", || list_tables(&server, &first.access).status == 401);
    let second = Tokens::of(&app.refresh(&server, &first.refresh));
    let running = server.begin(&second.access, &json!(1), ENDLESS);
    server.works();
    let apps = server.done("GET", "/orgs/acme/apps", Value::Null);
    assert_eq!(apps["apps"].as_array().unwrap().len(), 1, "{apps}");
    assert_eq!(apps["apps"][0]["user"], "ada@example.com");
    let id = apps["apps"][0]["id"].as_str().unwrap();
    server.done("DELETE", &format!("/orgs/acme/apps/{id}"), Value::Null);
    assert_eq!(list_tables(&server, &second.access).status, 401);
    assert_eq!(refused(&app.refresh(&server, &second.refresh)), (400, "invalid_grant".to_owned()));
    assert!(failure(&running.result()).contains("revoked"));
    assert_eq!(server.admin("DELETE", &format!("/orgs/acme/apps/{id}"), &Value::Null).status, 404);
}

#[test]
fn a_client_gives_its_own_tokens_back_and_nobody_elses() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, org) = acme(&home, &server);
    let (app, thief) = (App::register(&server), App::register(&server));
    let tokens = app.authorized(&server, &mut ada, &org);
    for what in [&tokens.access, &tokens.refresh] {
        assert_eq!(refused(&thief.revoke(&server, what)), (400, "invalid_grant".to_owned()));
        assert_eq!(refused(&thief.refresh(&server, what)).0, 400);
    }
    assert_eq!(list_tables(&server, &tokens.access).status, 200);
    assert_eq!(app.revoke(&server, "nonsense").status, 200);
    assert_eq!(app.revoke(&server, &tokens.refresh).status, 200);
    assert_eq!(list_tables(&server, &tokens.access).status, 401);
    assert_eq!(app.revoke(&server, &tokens.refresh).status, 200);
}

#[test]
fn what_is_forged_ends_nothing() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let first = app.authorized(&server, &mut ada, &org);
    let live = Tokens::of(&app.refresh(&server, &first.refresh));
    let (rng, real) = (Rng::system(), RefreshToken::parse(&live.refresh).unwrap());
    let elsewhere = OrgId::mint(&rng).unwrap();
    for (grant, org) in
        [(real.grant, real.org), (GrantId::mint(&rng).unwrap(), real.org), (real.grant, elsewhere)]
    {
        let forged = RefreshToken::mint(grant, org, &rng).unwrap();
        let answer = refused(&app.refresh(&server, forged.reveal()));
        assert_eq!(answer, (400, "invalid_grant".to_owned()));
        assert_eq!(app.revoke(&server, forged.reveal()).status, 200);
    }
    assert_eq!(list_tables(&server, &live.access).status, 200);
    Tokens::of(&app.refresh(&server, &first.refresh));
    Tokens::of(&app.refresh(&server, &live.refresh));
}

#[test]
fn fifty_refreshes_at_once_are_one_family_and_of_two_redemptions_one_is_first() {
    let home = Home::new();
    let server = serve(&home);
    let (mut ada, org) = acme(&home, &server);
    let app = App::register(&server);
    let tokens = app.authorized(&server, &mut ada, &org);
    let at_once = |count: usize, ask: &(dyn Fn() -> Answer + Sync)| -> Vec<Answer> {
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        })
    };
    let refreshed: Vec<Tokens> =
        at_once(50, &|| app.refresh(&server, &tokens.refresh)).iter().map(Tokens::of).collect();
    for other in &refreshed {
        assert_eq!((&other.access, &other.refresh), (&refreshed[0].access, &refreshed[0].refresh));
    }
    assert_eq!(list_tables(&server, &refreshed[0].access).status, 200);
    Tokens::of(&app.refresh(&server, &refreshed[0].refresh));

    let code = app.code(&mut ada, &org, &[]);
    let answers = at_once(2, &|| app.redeem(&server, &code));
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    // The other one was a replay: what came of the code has ended.
    let won = answers.iter().find(|answer| answer.status == 200).unwrap();
    assert_eq!(list_tables(&server, &Tokens::of(won).access).status, 401);
}

#[test]
fn a_kill_forgets_no_rotation_no_replay_and_no_revoke() {
    let home = Home::new();
    let mut server = serve_with(&home, &[PUBLIC]);
    let (first, last, revoked, app) = {
        let (mut ada, org) = acme(&home, &server);
        let app = App::register(&server);
        let first = app.authorized(&server, &mut ada, &org);
        let revoked = app.authorized(&server, &mut ada, &org);
        let second = Tokens::of(&app.refresh(&server, &first.refresh));
        let last = Tokens::of(&app.refresh(&server, &second.refresh));
        assert_eq!(app.revoke(&server, &revoked.refresh).status, 200);
        (first, last, revoked, app)
    };
    server.kill();
    drop(server);
    let server = serve_with(&home, &[PUBLIC]);
    assert_eq!(list_tables(&server, &last.access).status, 200);
    let replayed = Tokens::of(&app.refresh(&server, &first.refresh));
    assert_eq!((&replayed.refresh, &replayed.access), (&last.refresh, &last.access));
    assert_eq!(list_tables(&server, &revoked.access).status, 401);
    assert_eq!(refused(&app.refresh(&server, &revoked.refresh)), (400, "invalid_grant".to_owned()));
}

#[test]
fn a_member_who_is_removed_takes_their_apps_along_and_brings_none_back() {
    let home = Home::new();
    let server = serve(&home);
    let (_, org) = acme(&home, &server);
    let mut eve = Browser::of(&server, "eve@example.com");
    let join = json!({ "user": "eve@example.com", "role": "member" });
    server.done("POST", "/orgs/acme/members", join.clone());
    let app = App::register(&server);
    let tokens = app.authorized(&server, &mut eve, &org);
    assert_eq!(list_tables(&server, &tokens.access).status, 200);
    server.done("DELETE", "/orgs/acme/members/eve@example.com", Value::Null);
    assert_eq!(list_tables(&server, &tokens.access).status, 401);
    server.done("POST", "/orgs/acme/members", join);
    assert_eq!(list_tables(&server, &tokens.access).status, 401);
    assert_eq!(refused(&app.refresh(&server, &tokens.refresh)), (400, "invalid_grant".to_owned()));
}

#[test]
fn a_backup_brings_no_app_back_and_lets_those_live_that_the_store_has() {
    let home = Home::new();
    let mut server = serve_with(&home, &[PUBLIC]);
    let (app, kept, revoked) = {
        let (mut ada, org) = acme(&home, &server);
        let app = App::register(&server);
        let kept = app.authorized(&server, &mut ada, &org);
        let revoked = app.authorized(&server, &mut ada, &org);
        (app, kept, revoked)
    };
    let file = home.path().join("backup");
    assert_eq!(home.cli(&["backup", file.to_str().unwrap()]).code, 0);
    assert_eq!(app.revoke(&server, &revoked.refresh).status, 200);
    server.stop();
    let restored = home.cli(&["restore", file.to_str().unwrap(), "--replace", "--yes"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let server = serve_with(&home, &[PUBLIC]);
    assert_eq!(list_tables(&server, &kept.access).status, 200);
    assert_eq!(list_tables(&server, &revoked.access).status, 401);
    drop(server);
    // Into an empty store no app comes back, also where keys are trusted.
    let empty = Home::new();
    let restored = empty.cli(&["restore", file.to_str().unwrap(), "--trust-keys", "--yes"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let server = serve_with(&empty, &[PUBLIC]);
    assert_eq!(list_tables(&server, &kept.access).status, 401);
    assert_eq!(
        refused(&app.refresh(&server, &kept.refresh)),
        (400, "invalid_grant".to_owned()),
        "the client is known"
    );
}
