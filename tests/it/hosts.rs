//! `Host`, `Origin` and `X-Forwarded-*` (THREATS 12 and 14).

use crate::server::Home;

const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

#[test]
fn a_foreign_host_or_origin_is_refused_before_any_key_is_looked_at() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let bearer = format!("Bearer {}", server.key("acme", "client"));
    let own = format!("http://{}", server.addr);
    for (name, value) in [
        ("Host", "evil.test"),
        ("Host", "127.0.0.1.evil.test"),
        ("Host", "localhost.evil.test:80"),
        ("Host", "evil.test@127.0.0.1"),
        ("Host", "10.0.0.1"),
        ("Host", ""),
        ("Origin", "https://evil.test"),
        ("Origin", "null"),
        ("Origin", ""),
        ("Origin", "http://127.0.0.1:1"),
        ("Origin", &format!("{own}.evil.test")),
    ] {
        let without = server.post(&[(name, value)], LIST);
        assert_eq!(without.status, 403, "{name}: {value}");
        assert!(without.header("www-authenticate").is_none(), "{name}: {value}");
        let with = server.post(&[(name, value), ("Authorization", &bearer)], LIST);
        assert_eq!(with.visible(), without.visible(), "{name}: {value}");
        assert!(!without.text().contains("evil"), "{}", without.text());
    }
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        assert_eq!(server.http("GET", path, &[("Host", "evil.test")], b"").status, 403, "{path}");
    }
    for (name, value) in [("Host", "localhost"), ("Host", "[::1]:7700"), ("Origin", own.as_str())] {
        assert_eq!(
            server.post(&[(name, value), ("Authorization", &bearer)], LIST).status,
            200,
            "{name}: {value}"
        );
    }
}

#[test]
fn two_hosts_or_none_are_refused() {
    let home = Home::new();
    let server = home.serve();
    for head in ["POST /mcp HTTP/1.1\r\n", "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n"] {
        let mut wire = server.connect();
        wire.send(format!("{head}Content-Length: 0\r\n\r\n").as_bytes());
        let status = wire.answer().status;
        assert!(matches!(status, 400 | 403), "{status}: {head}");
    }
}

#[test]
fn what_a_request_says_of_its_own_address_never_shows_up_in_an_answer() {
    let home = Home::new();
    let server = home.serve();
    let lies = [
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "evil"),
        ("X-Forwarded-Port", "66666"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Host", "evil.test"),
        ("X-Original-URL", "/evil"),
        ("Forwarded", "host=evil.test;proto=evil;for=6.6.6.6"),
        ("Host", "LOCALHOST:1"),
    ];
    for (method, path) in [
        ("POST", "/mcp"),
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("GET", "/healthz"),
        ("GET", "/nowhere"),
    ] {
        let honest = server.http(method, path, &[], b"");
        let lied = server.http(method, path, &lies, b"");
        assert_eq!(lied.visible(), honest.visible(), "{path}");
        let shown = format!("{:?}", lied.visible()).to_lowercase();
        // No port has the number 66666, so that none of ours is taken for it.
        for lie in ["evil", "66666", "6.6.6.6", "localhost"] {
            assert!(!shown.contains(lie), "{lie} in {shown}");
        }
    }
}

#[test]
fn the_metadata_and_the_challenge_name_the_configured_url_alone() {
    let home = Home::with("server.public_url = \"https://sequel.example.com\"");
    let server = home.serve();
    let host = [("Host", "sequel.example.com")];
    let challenge = server.post(&host, b"{}");
    assert_eq!(challenge.status, 401);
    let challenge = challenge.header("www-authenticate").unwrap().to_owned();
    let metadata = "https://sequel.example.com/.well-known/oauth-protected-resource/mcp";
    assert!(challenge.contains(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
    let document = server.http("GET", "/.well-known/oauth-protected-resource/mcp", &host, b"");
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.json()["resource"], "https://sequel.example.com/mcp");
    assert_eq!(document.json()["bearer_methods_supported"], serde_json::json!(["header"]));
    assert!(document.json().as_object().unwrap().values().all(|value| !value.is_null()));
}

#[test]
fn nobody_signs_in_in_the_clear_from_another_machine_unless_the_operator_says_so() {
    let home = Home::new();
    let url = ("SEQUEL__SERVER__PUBLIC_URL", "http://sequel.internal:7700");
    let mut server = home.serve_with(&[url]);
    let sign_in = |server: &crate::server::TestServer, host: &str| {
        server.http("GET", "/sign-in", &[("Host", host)], b"")
    };
    let refused = sign_in(&server, "sequel.internal:7700");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("This server needs https") && refused.header("set-cookie").is_none());
    for from_here in ["localhost:7700", "127.0.0.1", "[::1]:1"] {
        assert_eq!(sign_in(&server, from_here).status, 200, "{from_here}");
    }
    // Keys are the operator's own decision: their clients are told nothing new.
    server.org("acme");
    let bearer = format!("Bearer {}", server.key("acme", "k"));
    let headers = [("Host", "sequel.internal:7700"), ("Authorization", bearer.as_str())];
    assert_eq!(server.post(&headers, LIST).status, 200);
    server.stop();
    let private = home.serve_with(&[url, ("SEQUEL__AUTH__PLAIN_HTTP", "allowed")]);
    assert_eq!(sign_in(&private, "sequel.internal:7700").status, 200);
}
