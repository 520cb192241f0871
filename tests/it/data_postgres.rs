//! PostgreSQL as a data source, from the command line to a client's answer: what an organization relies on.

use serde_json::json;

use crate::backing::{Backing, psql};
use crate::canaries::{files, holds};
use crate::server::{Home, failure, rows};

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

    fn run(&self, sql: &str) {
        psql(&self.url, sql);
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
