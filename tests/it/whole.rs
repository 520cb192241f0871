//! One store as a whole into another; and stores that are large enough to be caught half-way.

use std::path::Path;
use std::sync::Arc;

use sequel::context::{Clock, Rng};
use sequel::credential::{KeyId, OrgId, PlainKey};
use sequel::org::record::{KeyRecord, NameRecord, Owner, key_at, key_name_at};
use sequel::record::encode;
use sequel_store::{Batch, CommitId, Holder, Lane, Scope, Store, Write};
use sequel_store_sqlite::{Options, SqliteStore};
use serde_json::json;

use crate::backing::Backing;
use crate::server::{Home, Running};

/// An organization `acme` with so many keys, and one more, `known`, whose secret is returned.
pub(crate) fn fill(home: &Home, keys: usize) -> String {
    let org = home.json(&["org", "create", "acme"])["id"].as_str().unwrap().to_owned();
    let known = home.json(&["key", "create", "known"])["key"].as_str().unwrap().to_owned();
    let (rng, clock) = (Rng::system(), Clock::system());
    let id: OrgId = org.parse().unwrap();
    let record = |nth: usize| {
        let key = KeyId::mint(&rng).unwrap();
        let record = KeyRecord {
            name: format!("key {nth}"),
            owner: Owner::Org,
            created_at: clock.now(),
            expires_at: None,
            enabled: true,
            sources: None,
            digest: PlainKey::mint(key, id, &rng).unwrap().digest(),
            previous: Vec::new(),
            suspended: None,
            made_for: None,
        };
        let name = encode(&NameRecord { id: key.to_string() });
        [Write::Put(key_name_at(&record.name), name), Write::Put(key_at(key), encode(&record))]
    };
    let path = home.data().join("sequel.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, Options::new(Holder::command())).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let writes: Vec<Write> = (0..keys).flat_map(record).collect();
    for writes in writes.chunks(200) {
        let batch = Batch {
            scope: Scope::org(&org).unwrap(),
            lane: Lane::State { at: None, narrows: false },
            id: CommitId(rng.bytes().unwrap()),
            expects: Vec::new(),
            writes: writes.to_vec(),
        };
        runtime.block_on(store.commit(batch)).unwrap();
    }
    known
}

/// Whether a store says that something that fills it is unfinished.
pub(crate) fn is_unfinished(store: &Path) -> bool {
    let read = || -> rusqlite::Result<u64> {
        let store = rusqlite::Connection::open_with_flags(store, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mark =
            "SELECT count(*) FROM records WHERE key = CAST('unfinished' AS BLOB) AND value IS NOT NULL";
        store.query_row(mark, [], |row| row.get(0))
    };
    read().is_ok_and(|marks| marks > 0)
}

/// Kills a command once it has begun to fill a store, until a kill has met it half-way.
pub(crate) fn kill_midway(home: &Home, args: &[&str], store: &Path) {
    for _ in 0..100 {
        let mut child = Running(home.command(args).spawn().unwrap());
        while child.0.try_wait().unwrap().is_none() && !is_unfinished(store) {
            std::thread::yield_now();
        }
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        if is_unfinished(store) {
            return;
        }
    }
    panic!("no kill ever met {args:?} on its way");
}

#[test]
fn a_copy_is_the_same_record_for_record_and_goes_on_living() {
    let home = Home::on_sqlite("");
    let known = fill(&home, 500);
    let copy = ["storage", "copy", "--from", "sqlite:sequel.db", "--to", "sqlite:copy.db"];
    // One record of the log lane.
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    home.json(&["source", "add", "facts", "--path", file.to_str().unwrap()]);
    let mut server = home.serve();
    server.query(&known, "SELECT x FROM t");
    server.stop();
    let holds = home.json(&["storage", "check"])["holds"].clone();
    assert_eq!(holds["usage"], 1);
    let copied = home.json(&copy);
    assert_eq!(copied, json!({ "records": holds["records"], "verified": true }));
    home.cli(&copy).refused("The target holds records already");
    let server = home.serve_with(&[("SEQUEL__STORAGE__URL", "sqlite:copy.db")]);
    assert_eq!(server.status(&known), 200, "nothing is older in a copy");
    assert_eq!(home.cli(&copy).code, 1);
    drop(server);
    // Through every kind, and back.
    let postgres = Backing::postgres();
    let database = postgres.url().expect("a database's URL");
    let way = ["sqlite:copy.db", "sled:copy.sled", &database, "sqlite:back.db"];
    for (from, to) in way.iter().zip(&way[1..]) {
        let copied = home.json(&["storage", "copy", "--from", from, "--to", to]);
        assert_eq!(copied["records"], holds["records"], "{from} {to}");
    }
    assert_eq!(records(&home, "copy.db"), records(&home, "back.db"));
    let sled = home.serve_with(&[("SEQUEL__STORAGE__URL", "sled:copy.sled")]);
    assert_eq!(sled.status(&known), 200);
}

/// Every record of a store, wherever it came from: scope, key, value and lane.
fn records(home: &Home, store: &str) -> Vec<(String, Vec<u8>, Vec<u8>, u8)> {
    let store = rusqlite::Connection::open(home.data().join(store)).unwrap();
    let all = "SELECT s.name, r.key, r.value, r.lane FROM records r JOIN scopes s ON s.id = r.scope \
               WHERE r.value IS NOT NULL ORDER BY 1, 2";
    let mut statement = store.prepare(all).unwrap();
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_copy_that_names_no_two_stores_is_refused() {
    let home = Home::on_sqlite("");
    home.json(&["org", "create", "acme"]);
    for (from, to, why) in [
        ("sqlite:sequel.db", "sqlite:sequel.db", "name one store"),
        ("sqlite:sequel.db", "nonsense:x", "--to"),
        ("", "sqlite:copy.db", "--from is empty"),
    ] {
        let ran = home.cli(&["storage", "copy", "--from", from, "--to", to]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    let server = home.serve();
    home.cli(&["storage", "copy", "--from", "sqlite:sequel.db", "--to", "sqlite:copy.db"])
        .refused("in use by another Sequel process");
    drop(server);
}

#[test]
fn a_copy_that_was_killed_is_never_served_and_is_done_by_the_next() {
    let home = Home::on_sqlite("");
    fill(&home, 3_000);
    let target = home.data().join("copy.db");
    let copy = ["storage", "copy", "--from", "sqlite:sequel.db", "--to", "sqlite:copy.db"];
    kill_midway(&home, &copy, &target);
    let mut serve = home.command(&["serve", "--port", "0"]);
    crate::server::run(serve.env("SEQUEL__STORAGE__URL", "sqlite:copy.db")).refused("sequel storage copy");
    // Nor copied on.
    home.cli(&["storage", "copy", "--from", "sqlite:copy.db", "--to", "sqlite:x.db"])
        .refused("unfinished itself");
    home.json(&copy);
    assert!(!is_unfinished(&target));
}
