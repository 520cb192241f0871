//! Organizations and keys beside each other under limits (THREATS 15 and 23).

use serde_json::{Value, json};

use crate::server::{ENDLESS, Home, failure, rows};
use crate::waiting::promptly;

#[test]
fn one_organization_at_its_limit_does_not_keep_another_waiting() {
    let home =
        Home::with("query.concurrent_per_org = 3\nquery.concurrent_per_key = 2\nquery.time_max_ms = 20000");
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let server = home.serve();
    for org in ["noisy", "quiet"] {
        server.org(org);
        server.source(org, "facts", &path);
    }
    let (a, b, quiet) = (server.key("noisy", "a"), server.key("noisy", "b"), server.key("quiet", "a"));
    let mut running: Vec<_> = (0..2).map(|id| server.begin(&a, &json!(id), ENDLESS)).collect();
    // One key cannot take all that its organization may run.
    assert!(failure(&server.query(&a, "SELECT 1")).contains("this key already runs 2 calls"));
    running.push(server.begin(&b, &json!(1), ENDLESS));
    assert!(failure(&server.query(&b, "SELECT 1")).contains("organization already runs 3 calls"));
    server.works();
    promptly(|| assert_eq!(*rows(&server.query(&quiet, "SELECT x FROM t")), json!([[1]])));
    // What asks no source is answered all the same.
    assert_eq!(server.status(&a), 200);
}

#[test]
fn organizations_that_had_to_leave_the_memory_forget_nothing() {
    let home = Home::with("orgs.active_max = 1");
    let server = home.serve();
    let orgs: Vec<_> = (0..4)
        .map(|i| {
            let name = format!("org-{i}");
            server.org(&name);
            let sql = format!("CREATE TABLE t(x); INSERT INTO t VALUES ({i})");
            server.source(&name, "facts", &home.database(&format!("{name}.db"), &sql));
            let (kept, deleted, disabled) =
                (server.key(&name, "kept"), server.key(&name, "deleted"), server.key(&name, "disabled"));
            server.delete_key(&name, "deleted");
            server.switch_key(&name, "disabled", false);
            (i, kept, deleted, disabled)
        })
        .collect();
    for _ in 0..3 {
        for (i, kept, deleted, disabled) in &orgs {
            assert_eq!(*rows(&server.query(kept, "SELECT x FROM t")), json!([[i]]));
            assert_eq!([server.status(deleted), server.status(disabled)], [401, 401]);
        }
    }
}

#[test]
fn an_organization_at_work_is_not_pushed_out_by_others() {
    let home = Home::with("orgs.active_max = 1\nquery.time_max_ms = 20000");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    server.org("first");
    server.source("first", "facts", &path);
    let key = server.key("first", "client");
    let running = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    // There is room for one, and it is taken: the other is told to wait, in whatever way it comes.
    let other = server.admin("POST", "/orgs", &json!({ "name": "second" }));
    assert!(matches!(other.status, 201 | 503), "{} {}", other.status, other.text());
    let _ = server.admin("GET", "/orgs/second/keys", &Value::Null);
    // The first one's call still runs, and its key still ends it.
    server.delete_key("first", "client");
    assert!(promptly(|| failure(&running.result())).contains("revoked"));
    assert_eq!(server.status(&key), 401);
    server.done("GET", "/orgs/second/keys", Value::Null);
}
