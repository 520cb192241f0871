//! Every public route × every credential × every method, generated from the route table: a new route is
//! in here without anybody thinking of it (THREATS 17).

use sequel::context::Rng;
use sequel::credential::{KeyId, OrgId, PlainKey};
use sequel::http::{Access, ROUTES};

use crate::server::Home;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[test]
fn every_route_asks_every_stranger_for_a_credential_unless_the_table_says_public() {
    let home = Home::new();
    let server = home.serve_with(&[("SEQUEL__AUTH__FAILURES_PER_MINUTE", "100000")]);
    server.org("acme");
    server.org("other");
    let (key, foreign, deleted) =
        (server.key("acme", "mine"), server.key("other", "theirs"), server.key("acme", "gone"));
    server.delete_key("acme", "gone");
    let rng = Rng::system();
    let unknown = PlainKey::mint(KeyId::mint(&rng).unwrap(), OrgId::mint(&rng).unwrap(), &rng).unwrap();
    let strangers =
        [None, Some("sql_nonsense".to_owned()), Some(unknown.reveal().to_owned()), Some(deleted.clone())];
    for route in ROUTES {
        for method in METHODS {
            let ask = |credential: Option<&str>| {
                let bearer = credential.map(|credential| format!("Bearer {credential}"));
                let headers: Vec<_> =
                    bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
                server.http(method, route.path, &headers, b"").status
            };
            let served = route.methods.contains(method);
            let what = |who: &str| format!("{method} {} as {who}", route.path);
            for stranger in &strangers {
                let status = ask(stranger.as_deref());
                match route.access {
                    Access::Credential => assert_eq!(status, 401, "{}", what("a stranger")),
                    Access::Public if served => assert_eq!(status, 200, "{}", what("anybody")),
                    Access::Public => assert_eq!(status, 405, "{}", what("anybody")),
                }
            }
            for known in [&key, &foreign] {
                let status = ask(Some(known));
                match route.access {
                    // An empty body is no request: what counts is that the door is open.
                    Access::Credential if served => assert_eq!(status, 400, "{}", what("a member")),
                    Access::Public if served => assert_eq!(status, 200, "{}", what("a member")),
                    Access::Credential | Access::Public => assert_eq!(status, 405, "{}", what("a member")),
                }
            }
        }
    }
}

#[test]
fn the_administration_is_not_on_the_public_port() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let key = server.key("acme", "k");
    let bearer = format!("Bearer {key}");
    for path in ["/api/v1/server", "/api/v1/orgs", "/api/v1/orgs/acme/keys", "/api", "/metrics", "/"] {
        for headers in [&[][..], &[("Authorization", bearer.as_str())]] {
            assert_eq!(server.http("GET", path, headers, b"").status, 404, "{path}");
        }
    }
}
