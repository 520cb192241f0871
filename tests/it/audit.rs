//! The audit trail: who did what, from where, when; and what a kill leaves of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Home;
use crate::waiting::poll;

fn uid() -> u64 {
    u64::from(rustix::process::getuid().as_raw())
}

#[test]
fn every_change_says_who_made_it_from_where_and_when() {
    let home = Home::new();
    let database = home.database("d.sqlite", "CREATE TABLE t(x)");
    // Without a server, and then through one.
    home.json(&["org", "create", "acme"]);
    let key = home.json(&["key", "create", "first", "--org", "acme"])["key"].as_str().unwrap().to_owned();
    let server = home.serve();
    home.json(&["source", "add", "d", "--org", "acme", "--path", database.to_str().unwrap()]);
    home.json(&["key", "rename", "first", "second", "--org", "acme"]);
    home.json(&["key", "disable", "second", "--org", "acme"]);
    home.json(&["key", "delete", "second", "--org", "acme", "--yes"]);
    // Refused: nothing was changed.
    assert_eq!(home.cli(&["key", "delete", "second", "--org", "acme", "--yes"]).code, 1);
    let listed = home.json(&["audit", "list", "--org", "acme"]);
    let entries = listed["entries"].as_array().unwrap();
    let told: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["by"]["via"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("org.create", "command"),
            ("key.create", "command"),
            ("source.add", "admin_socket"),
            ("key.rename", "admin_socket"),
            ("key.disable", "admin_socket"),
            ("key.delete", "admin_socket"),
        ]
    );
    for entry in entries {
        assert_eq!(
            (&entry["by"]["kind"], &entry["by"]["uid"]),
            (&json!("operator"), &json!(uid())),
            "{entry}"
        );
        assert!(entry["at"].as_str().unwrap().ends_with('Z') && entry["target"]["id"].is_string(), "{entry}");
    }
    assert_eq!(entries[2]["details"]["renamed_from"], "first");
    assert!(!listed.to_string().contains(&key[14..]), "a secret in the trail");
    // As people read it, and only the newest.
    let text = home.cli(&["audit", "list", "--org", "acme", "--limit", "1"]).out;
    assert!(text.contains("key.delete") && !text.contains("key.disable"), "{text}");
    assert_eq!(home.json(&["audit", "list", "--org", "acme", "--since", "2100-01-01"])["entries"], json!([]));
    drop(server);
}

#[test]
fn pages_of_the_trail_are_bounded_and_lead_to_the_next() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    for n in 0..4 {
        server.key("acme", &format!("k{n}"));
    }
    let page = |query: &str| server.done("GET", &format!("/orgs/acme/audit{query}"), Value::Null);
    let whole = page("")["entries"].as_array().unwrap().clone();
    assert_eq!(whole.len(), 5);
    let first = page("?limit=3");
    let second = page(&format!("?limit=3&before={}", first["next"]));
    let paged = [first["entries"].as_array().unwrap().clone(), second["entries"].as_array().unwrap().clone()];
    assert_eq!(paged.concat(), whole);
    assert_eq!(second["next"], Value::Null);
    let status = |query: &str| server.admin("GET", &format!("/orgs/acme/audit{query}"), &Value::Null).status;
    assert_eq!((status("?limit=1000"), status("?limit=1")), (200, 200));
    assert_eq!((status("?limit=1001"), status("?limit=0")), (422, 422));
    assert_eq!((status("?limit=x"), status("?since=yesterday"), status("?sinc=1")), (400, 400, 400));
    assert_eq!(server.admin("GET", "/orgs/nobody/audit", &Value::Null).status, 404);
}

#[test]
fn a_kill_loses_no_acknowledged_change_and_no_entry_of_one() {
    const ROUNDS: u64 = 6;
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    let mut acknowledged = BTreeMap::new();
    let seed = u64::from(std::process::id());
    for round in 0..ROUNDS {
        let mut server = home.serve();
        let done = AtomicUsize::new(0);
        let socket = home.data().join("admin.sock");
        let kill_after = ((seed + round * 5) % 11) as usize;
        std::thread::scope(|scope| {
            let (done, acknowledged) = (&done, &mut acknowledged);
            scope.spawn(move || {
                for i in 0.. {
                    let name = format!("key-{round}-{i}");
                    let body = json!({ "name": name });
                    let Some(made) = crate::faults::attempt(&socket, "POST", "/orgs/acme/keys", &body) else {
                        return;
                    };
                    acknowledged.insert(made["id"].as_str().unwrap().to_owned(), name);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
            poll(Duration::from_secs(30), "changes are acknowledged", || {
                done.load(Ordering::SeqCst) >= kill_after
            });
            server.kill();
        });
    }
    let keys = home.json(&["key", "list", "--org", "acme"]);
    let stored: BTreeMap<_, _> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["id"].as_str().unwrap().to_owned(), key["name"].as_str().unwrap().to_owned()))
        .collect();
    let trail = home.json(&["audit", "list", "--org", "acme", "--limit", "100000"]);
    let entries = trail["entries"].as_array().unwrap();
    let told: BTreeMap<_, _> = entries
        .iter()
        .filter(|entry| entry["action"] == "key.create")
        .map(|entry| {
            let target = &entry["target"];
            (target["id"].as_str().unwrap().to_owned(), target["name"].as_str().unwrap().to_owned())
        })
        .collect();
    let lost = acknowledged.iter().filter(|(id, _)| !stored.contains_key(*id)).count();
    println!(
        "{ROUNDS} kills: {} changes acknowledged, {lost} lost; {} entries",
        acknowledged.len(),
        told.len()
    );
    assert_eq!(lost, 0);
    // What is there has its entry, and what has an entry is there, acknowledged or not.
    assert_eq!(told, stored);
    assert_eq!(entries.len(), stored.len() + 1);
}
