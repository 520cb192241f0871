//! PostgreSQL as a data source, from the command line to a client's answer: what an organization relies on.

use serde_json::{Value, json};

use crate::backing::{Backing, psql};
use crate::canaries::{files, holds};
use crate::server::{Home, Pending, TestServer, failure, rows};
use crate::waiting::{PATIENCE, PROMISED, poll};

const PASSWORD: &str = "password-canary-7373";

/// A database with a role that may read it.
struct Database {
    _backing: Backing,
    url: String,
    role: String,
}

impl Database {
    fn make() -> Self {
        let backing = Backing::postgres();
        let url = backing.url().expect("a database's URL");
        let role = format!("reader_{}", url.rsplit('/').next().expect("a name"));
        let database = Self { _backing: backing, url, role };
        database.run(&format!("CREATE ROLE {} LOGIN PASSWORD '{PASSWORD}'", database.role));
        database.run("CREATE TABLE sales (id int PRIMARY KEY, amount numeric(10,2)); INSERT INTO sales VALUES (1, 9.50)");
        database.run(&format!("GRANT SELECT ON sales TO {}", database.role));
        database
    }

    fn run(&self, sql: &str) -> String {
        psql(&self.url, sql)
    }

    /// As a source named `sales` of an organization.
    fn add_to(&self, home: &Home, org: &str) {
        let file = home.path().join("url.txt");
        std::fs::write(&file, self.readers_url()).unwrap();
        let file = file.to_str().unwrap();
        home.json(&["source", "add", "sales", "--org", org, "--kind", "postgres", "--url-file", file]);
    }

    /// As a URL for this role.
    fn readers_url(&self) -> String {
        let (_, place) = self.url.split_once('@').expect("a user");
        format!("postgres://{}:{PASSWORD}@{place}?sslmode=disable", self.role)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.run(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.role));
        }
    }
}

#[test]
fn a_password_is_sealed_in_the_store_and_shown_by_nothing_and_its_key_can_be_exchanged() {
    let database = Database::make();
    let home = Home::with("[sources.network]\nprivate = \"allowed\"\n");
    let mut server = home.serve_with(&[("SEQUEL__LOG__FILTER", "trace")]);
    server.org("acme");
    let file = home.path().join("url.txt");
    std::fs::write(&file, database.readers_url()).unwrap();
    let file = file.to_str().unwrap();
    let added =
        home.json(&["source", "add", "sales", "--org", "acme", "--kind", "postgres", "--url-file", file]);
    assert_eq!(added["secrets"], json!(["password"]));
    assert_eq!(added["settings"]["user"], database.role.as_str());
    let tested = home.json(&["source", "test", "sales", "--org", "acme"]);
    assert_eq!(tested["ok"], true, "{tested}");
    let key = server.key("acme", "k");
    assert_eq!(*rows(&server.query(&key, "SELECT id, amount FROM sales")), json!([[1, "9.50"]]));
    assert!(failure(&server.query(&key, "DELETE FROM sales")).contains("read-only"));
    let arguments = json!({ "name": "describe_table", "arguments": { "table": "sales" } });
    let described = server.rpc(&key, "tools/call", arguments).text();
    assert!(described.contains("numeric(10,2)"), "{described}");

    // What is stored is not sent to another server, and what is edited keeps it otherwise.
    let moved = home.cli(&["source", "edit", "sales", "--org", "acme", "--host", "localhost"]);
    moved.refused("entered again");
    home.json(&["source", "edit", "sales", "--org", "acme", "--statement-timeout-seconds", "9"]);
    assert_eq!(*rows(&server.query(&key, "SELECT id FROM sales")), json!([[1]]));

    let rotated = home.json(&["secrets", "rotate", "--yes"]);
    assert_eq!((&rotated["resealed"], &rotated["left"]), (&json!(1), &json!([])));
    let listed = home.json(&["source", "list", "--org", "acme"]).to_string();
    let audit = home.json(&["audit", "list", "--org", "acme"]).to_string();
    assert!(audit.contains("source.reseal"), "{audit}");
    let log = server.log();
    for (what, text) in [("list", &listed), ("audit", &audit), ("log", &log)] {
        assert!(!text.contains(PASSWORD), "the {what} holds the password");
    }
    let backup = home.path().join("all.backup");
    home.json(&["backup", backup.to_str().unwrap()]);
    server.stop();
    let stored = files(&home.data()).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes));
    for (path, bytes) in stored.chain([("the backup".to_owned(), std::fs::read(&backup).unwrap())]) {
        assert!(!holds(&bytes, PASSWORD), "{path} holds the password");
    }

    // The key that is there opens what is stored, and another does not, and says what it costs.
    let mut server = home.serve();
    assert_eq!(*rows(&server.query(&key, "SELECT id FROM sales")), json!([[1]]));
    server.stop();
    std::fs::remove_file(home.data().join("master.key")).unwrap();
    let mut server = home.serve();
    let tested = home.cli(&["source", "test", "sales", "--org", "acme"]);
    assert!(tested.code == 1 && tested.out.contains("enter the secret anew"), "{tested:?}");
    let edited =
        home.cli(&["source", "edit", "sales", "--org", "acme", "--set", &format!("password={PASSWORD}")]);
    assert_eq!(edited.code, 0, "{edited:?}");
    assert_eq!(*rows(&server.query(&key, "SELECT id FROM sales")), json!([[1]]));
    server.stop();
}

#[test]
fn a_database_in_a_network_that_is_closed_is_refused_and_opened_by_the_operator() {
    let database = Database::make();
    let home = Home::new();
    let url = home.path().join("url.txt");
    std::fs::write(&url, database.readers_url()).unwrap();
    let add = [
        "source",
        "add",
        "sales",
        "--org",
        "acme",
        "--kind",
        "postgres",
        "--url-file",
        url.to_str().unwrap(),
    ];
    let mut server = home.serve();
    server.org("acme");
    home.cli(&add).refused("sources.network.allow");
    server.stop();
    let mut server = home.serve_with(&[("SEQUEL__SOURCES__NETWORK__ALLOW", "127.0.0.1")]);
    assert_eq!(home.cli(&add).code, 0);
    server.stop();
    // Closed again, it is refused at the next connect.
    let mut server = home.serve();
    let tested = home.cli(&["source", "test", "sales", "--org", "acme"]);
    assert!(tested.code == 1 && tested.out.contains("sources.network.allow"), "{tested:?}");
    server.stop();
}

/// How somebody's query comes to its end.
type End = fn(&Home, &TestServer, Pending);

#[test]
fn what_runs_in_the_database_ends_with_whoever_asked_for_it() {
    let database = Database::make();
    // Past the guard, because it is declared to change nothing; it says so truly, and takes its time.
    database.run(
        "CREATE FUNCTION nap() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN 1; END $$",
    );
    let home = Home::with("[sources.network]\nprivate = \"allowed\"\n");
    let mut server = home.serve();
    server.org("acme");
    database.add_to(&home, "acme");
    let asleep = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND state = 'active' AND query LIKE '%nap()'",
        database.role
    );
    let ends: [(&str, End); 5] = [
        ("it closes its connection", |_, _, pending| drop(pending)),
        ("it resets its connection", |_, _, pending| pending.wire.reset()),
        ("its key is deleted", |_, server, pending| {
            server.delete_key("acme", "k");
            assert!(failure(&pending.result()).contains("revoked"));
        }),
        ("its source is removed", |home, _, pending| {
            home.json(&["source", "remove", "sales", "--org", "acme", "--yes"]);
            assert!(failure(&pending.result()).contains("removed"));
        }),
        ("its organization is deleted", |home, _, pending| {
            home.json(&["org", "delete", "acme", "--yes"]);
            drop(pending);
        }),
    ];
    for (what, end) in ends {
        if what.contains("organization") {
            database.add_to(&home, "acme");
        }
        let key = server.key("acme", "k");
        let pending = server.begin(&key, &json!(1), "SELECT nap()");
        poll(PATIENCE, what, || database.run(&asleep) == "1");
        end(&home, &server, pending);
        // Asking takes a while itself.
        poll(3 * PROMISED, what, || database.run(&asleep) == "0");
        if !what.contains("key") && !what.contains("organization") {
            server.delete_key("acme", "k");
        }
    }
    server.stop();
}

#[test]
fn a_role_that_is_locked_out_under_a_running_source_is_told_until_it_is_let_in_again() {
    let database = Database::make();
    let home = Home::with("[sources.network]\nprivate = \"allowed\"\n");
    let mut server = home.serve();
    server.org("acme");
    database.add_to(&home, "acme");
    // The tests' own server asks nobody for a password, so the way in is closed in another way.
    let (close, open) =
        (format!("ALTER ROLE {} NOLOGIN", database.role), format!("ALTER ROLE {} LOGIN", database.role));
    let end_all = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{}'",
        database.role
    );
    let key = server.key("acme", "k");
    assert_eq!(*rows(&server.query(&key, "SELECT id FROM sales")), json!([[1]]));
    database.run(&close);
    // Who is in stays in, and who tests it is told.
    assert_eq!(*rows(&server.query(&key, "SELECT id FROM sales")), json!([[1]]));
    let tested = home.cli(&["source", "test", "sales", "--org", "acme"]);
    assert!(tested.code == 1 && tested.out.contains("Check user and password"), "{tested:?}");
    poll(PATIENCE, "its connections end", || database.run(&end_all) == "0");
    let said = failure(&server.query(&key, "SELECT id FROM sales"));
    assert!(said.contains("ask an administrator to test it"), "{said}");
    let arguments = json!({ "name": "search_schema", "arguments": { "source": "sales", "refresh": true } });
    let said = server.rpc(&key, "tools/call", arguments).text();
    assert!(said.contains("ask an administrator to test it"), "{said}");
    // Neither of the two failures is remembered.
    database.run(&open);
    assert_eq!(*rows(&server.query(&key, "SELECT id FROM sales")), json!([[1]]));
    server.stop();
}

/// A server with this database as the data source of one organization, and a key.
fn acme(database: &Database, config: &str) -> (Home, TestServer, String) {
    let home = Home::with(&format!("[sources.network]\nprivate = \"allowed\"\n{config}"));
    let server = home.serve();
    server.org("acme");
    database.add_to(&home, "acme");
    let key = server.key("acme", "k");
    (home, server, key)
}

/// The query log, the oldest entry first.
fn logged(home: &Home) -> Vec<Value> {
    let log = home.json(&["audit", "queries", "--org", "acme"]);
    log["entries"].as_array().unwrap().iter().rev().cloned().collect()
}

/// Something that takes for ever and touches little.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000) AS s (n) WHERE n % 7 = 4242";

#[test]
fn a_request_has_one_id_in_the_answer_in_the_database_and_in_the_log_of_queries() {
    let database = Database::make();
    let (home, server, key) = acme(&database, "");
    let pending = server.begin(&key, &json!(1), ENDLESS);
    let header = pending.head.headers.iter().find(|(name, _)| name == "x-request-id");
    let request = header.unwrap().1.clone();
    let look = format!(
        "SELECT application_name || '|' || query FROM pg_stat_activity WHERE usename = '{}' AND state = 'active'",
        database.role
    );
    let mut seen = String::new();
    poll(PATIENCE, "the database is at work", || {
        seen = psql(&database.url, &look);
        seen.contains("generate_series")
    });
    let org = server.done("GET", "/orgs/acme", Value::Null)["id"].as_str().unwrap().to_owned();
    let (name, query) = seen.split_once('|').unwrap();
    assert!(name.starts_with(&format!("sequel org={org} principal={}", &key[..14])), "{name}");
    let comment = format!("/* sequel org={org} principal={} request={request} */", &key[..14]);
    assert!(query.starts_with(&comment), "{query}");
    drop(pending);
    poll(PATIENCE, "the call is in the log", || logged(&home).len() == 1);
    let entry = &logged(&home)[0];
    assert_eq!((&entry["request"], &entry["outcome"]), (&json!(request), &json!("disconnected")));
}

#[test]
fn calls_on_postgresql_are_logged_however_they_end_and_never_with_a_value() {
    let database = Database::make();
    let (home, server, key) = acme(&database, "[query]\nrows_max = 1\nrows_default = 1\ntime_max_ms = 700\n");
    database.run("INSERT INTO sales VALUES (2, 4242.51)");
    for sql in [
        "SELECT amount FROM sales WHERE amount <> 4242.51 AND $$sql-canary-4242$$ <> '' -- sql-canary-4242",
        "SELECT id FROM sales",
        "DELETE FROM sales WHERE id = 4242",
        "SELECT pg_sleep(4242)",
        "SELECT id FROM sales WHERE id = canary4242",
        ENDLESS,
    ] {
        server.query(&key, sql);
    }
    let arguments = json!({ "name": "describe_table", "arguments": { "table": "sales" } });
    assert!(server.rpc(&key, "tools/call", arguments).text().contains("4242.51"), "the data is there");
    let doomed = server.key("acme", "doomed");
    let running = server.begin(&doomed, &json!(1), ENDLESS);
    let look = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND state = 'active' \
                AND pid <> pg_backend_pid()";
    poll(PATIENCE, "the database is at work", || psql(&database.url, look) != "0");
    server.delete_key("acme", "doomed");
    assert!(failure(&running.result()).contains("revoked"));
    let found = logged(&home);
    let told: Vec<_> = found
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            (text("outcome"), text("why"), entry["rows"].as_u64().unwrap(), text("asked"))
        })
        .collect();
    let endless = "SELECT count(*) FROM generate_series(?) AS s (n) WHERE n % ? = ?";
    assert_eq!(
        told,
        [
            ("ok", "", 1, "SELECT amount FROM sales WHERE amount <> ? AND ? <> ?"),
            ("truncated", "rows", 1, "SELECT id FROM sales"),
            ("refused", "not_a_query", 0, ""),
            ("refused", "function", 0, ""),
            ("sql_error", "", 0, ""),
            ("timed_out", "", 0, endless),
            ("ok", "", 0, "public.sales"),
            ("revoked", "", 0, endless),
        ]
    );
    assert!(found[5]["ran_ms"].as_u64().unwrap() >= 500, "{}", found[5]);
    let backup = home.path().join("all.backup");
    home.json(&["backup", backup.to_str().unwrap()]);
    for (what, bytes) in
        [("log", json!(found).to_string().into_bytes()), ("backup", std::fs::read(&backup).unwrap())]
    {
        assert!(!holds(&bytes, "4242"), "a value in the {what}");
    }
}
