//! kill -9, a full disk, SIGTERM (THREATS, "Faults").

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sequel::context::Clock;
use serde_json::{Value, json};

use crate::server::{ENDLESS, Home, TestServer, failure, rows};
use crate::waiting::poll;
use crate::wire::Wire;

/// What is known of a key from the answers that came.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    /// Its making was answered.
    Lives,
    /// Its deletion was answered.
    Deleted,
    /// That its secret is no longer taken was answered; the key itself is still there.
    Off,
    /// A revocation of one kind or the other was asked for and never answered.
    Either,
}

/// One admin request whose answer may never come, since the server may die at any moment.
pub(crate) fn attempt(
    server_socket: &std::path::Path,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<Value> {
    let stream = std::os::unix::net::UnixStream::connect(server_socket).ok()?;
    drop(stream);
    std::panic::catch_unwind(|| {
        let mut wire = Wire::unix(server_socket);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("Content-Type", "application/json"), ("Connection", "close")];
        let bytes = crate::wire::request(method, &format!("/api/v1{path}"), &headers, &body);
        if !wire.try_send(&bytes) {
            return None;
        }
        let answer = wire.try_answer()?;
        assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.text());
        Some(answer.json())
    })
    .unwrap_or(None)
}

#[test]
fn a_kill_at_any_moment_loses_nothing_acknowledged_and_undoes_no_deletion() {
    const ROUNDS: u64 = 15;
    const RESTART: Duration = Duration::from_secs(5);
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    // Every key that was ever revoked is presented in every round: from one address, more than may fail in a minute.
    let serve = || home.serve_with(&[("SEQUEL__AUTH__FAILURES_PER_MINUTE", "100000")]);
    let socket = home.data().join("admin.sock");
    let mut known: BTreeMap<String, (String, Known)> = BTreeMap::new();
    let seed = u64::from(std::process::id());
    for round in 0..ROUNDS {
        let mut server = serve();
        let acknowledged = AtomicUsize::new(0);
        // A different moment each round: after this many acknowledged changes, and within the next one.
        let kill_after = ((seed + round * 7) % 13) as usize;
        let gap = Duration::from_micros((seed * 31 + round * 997) % 4_000);
        std::thread::scope(|scope| {
            let (acknowledged, known, socket) = (&acknowledged, &mut known, &socket);
            scope.spawn(move || {
                for i in 0.. {
                    let name = format!("key-{round}-{i}");
                    let made = attempt(socket, "POST", "/orgs/acme/keys", &json!({ "name": name }));
                    let Some(made) = made else { return };
                    known.insert(name.clone(), (made["key"].as_str().unwrap().to_owned(), Known::Lives));
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    // Every second one goes again, and so does one of an earlier round.
                    let mut doomed = vec![];
                    if i % 2 == 1 {
                        doomed.push(name);
                        let older = known.iter().find(|(name, (_, state))| {
                            *state == Known::Lives && !name.starts_with(&format!("key-{round}-"))
                        });
                        doomed.extend(older.map(|(name, _)| name.clone()));
                    }
                    if i % 6 == 2 {
                        // Switching off is a revocation, too; so is a rotation without an overlap.
                        let name = format!("key-{round}-{}", i - 2);
                        known.get_mut(&name).unwrap().1 = Known::Either;
                        let path = format!("/orgs/acme/keys/{name}");
                        let (method, path, body) = match round % 2 {
                            0 => ("PATCH", path, json!({ "enabled": false })),
                            _ => ("POST", path + "/rotate", json!({ "overlap_seconds": 0 })),
                        };
                        if attempt(socket, method, &path, &body).is_none() {
                            return;
                        }
                        known.get_mut(&name).unwrap().1 = Known::Off;
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                    }
                    for name in doomed {
                        known.get_mut(&name).unwrap().1 = Known::Either;
                        let path = format!("/orgs/acme/keys/{name}");
                        if attempt(socket, "DELETE", &path, &Value::Null).is_none() {
                            return;
                        }
                        known.get_mut(&name).unwrap().1 = Known::Deleted;
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
            poll(Duration::from_secs(30), "changes are acknowledged", || {
                acknowledged.load(Ordering::SeqCst) >= kill_after
            });
            // A moment that no event stands for: that is the point of it.
            std::thread::sleep(gap);
            server.kill();
        });
        let clock = Clock::system();
        let again = serve();
        assert!(clock.elapsed() < RESTART, "{:?}", clock.elapsed());
        let listed = again.done("GET", "/orgs/acme/keys", Value::Null);
        let listed: BTreeSet<_> = listed["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect();
        for (name, (key, state)) in &mut known {
            let (status, is_listed) = (again.status(key), listed.contains(name));
            match *state {
                Known::Lives => {
                    assert_eq!((status, is_listed), (200, true), "{name} was lost in round {round}")
                }
                Known::Off => {
                    assert_eq!((status, is_listed), (401, true), "{name} works again, round {round}")
                }
                Known::Deleted => {
                    assert_eq!((status, is_listed), (401, false), "{name} is back, round {round}")
                }
                // Wholly there or wholly not.
                Known::Either => {
                    *state = match (status, is_listed) {
                        (200, true) => Known::Lives,
                        (401, true) => Known::Off,
                        (401, false) => Known::Deleted,
                        other => panic!("{name}: {other:?}"),
                    }
                }
            }
        }
        let unanswered = listed.iter().filter(|name| !known.contains_key(*name)).count();
        assert!(unanswered as u64 <= round + 1, "{listed:?}");
    }
    assert!(known.values().any(|(_, state)| *state == Known::Deleted));
}

#[test]
fn a_server_that_was_killed_starts_again_on_its_folder() {
    let home = Home::new();
    let mut server = home.serve();
    server.org("acme");
    let key = server.key("acme", "client");
    // Its socket and lock file are left behind.
    server.kill();
    assert!(home.data().join("admin.sock").exists());
    // A command finds nobody there and does the work itself.
    assert_eq!(home.json(&["key", "list", "--org", "acme"])["keys"][0]["name"], "client");
    let mut server = home.serve();
    assert_eq!(server.status(&key), 200);
    server.stop();
    assert!(!home.data().join("admin.sock").exists());
}

/// The program under a limit on the size of any file that it writes. A full disk without being root: the
/// engine meets it as an I/O error (EFBIG) in the middle of a commit. What it makes of ENOSPC itself, the
/// backend's own tests hold; so do those of sled, whose log is one file of the size that it was made with.
pub(crate) fn with_files_of(home: &Home, kib: u32, args: &[&str]) -> Command {
    let program = home.command(args);
    let mut command = Command::new("/bin/sh");
    // In units of 512 bytes (POSIX). An ignored SIGXFSZ is inherited, so that writing fails by EFBIG.
    let script = format!("trap '' XFSZ; ulimit -f {} && exec \"$@\"", kib * 2);
    command.arg("-c").arg(script).arg("sh").arg(program.get_program()).args(program.get_args());
    command.env_clear().env("HOME", home.path()).current_dir(home.path());
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command
}

#[test]
fn where_nothing_more_can_be_written_changes_fail_what_was_revoked_stays_so_and_room_heals_it() {
    let home = Home::on_sqlite("");
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let mut server = home.start(with_files_of(&home, 256, &["serve", "--port", "0"]));
    server.org("acme");
    server.source("acme", "facts", &path);
    let (kept, deleted) = (server.key("acme", "kept"), server.key("acme", "deleted"));
    server.delete_key("acme", "deleted");
    let mut made = Vec::new();
    let refusal = loop {
        assert!(made.len() < 5_000, "the limit is never met");
        let name = format!("key-{}", made.len());
        let answer = server.admin("POST", "/orgs/acme/keys", &json!({ "name": name }));
        match answer.status {
            201 => made.push(answer.json()["key"].as_str().unwrap().to_owned()),
            _ => break answer,
        }
    };
    // Never a success, and honest about what is known.
    let detail = refusal.json()["detail"].as_str().unwrap().to_owned();
    match refusal.status {
        503 | 507 => assert!(detail.contains("nothing was changed"), "{detail}"),
        500 => assert!(detail.contains("not known whether the change was made"), "{detail}"),
        other => panic!("{other}: {detail}"),
    }
    // Reads go on, and what was revoked stays so.
    assert_eq!(server.status(&kept), 200);
    assert_eq!(server.status(&deleted), 401);
    assert_eq!(*rows(&server.query(&kept, "SELECT x FROM t")), json!([[1]]));
    assert!(made.iter().all(|key| server.status(key) == 200));
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    server.terminate();
    server.wait();
    // With room again everything that was acknowledged is there.
    let server = home.serve();
    assert_eq!([server.status(&kept), server.status(&deleted)], [200, 401]);
    assert!(made.iter().all(|key| server.status(key) == 200));
    let after = server.key("acme", "after");
    assert_eq!(server.status(&after), 200);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_said_in_one_sentence() {
    let home = Home::on_sqlite("");
    for args in [&["serve", "--port", "0"][..], &["org", "list"]] {
        let ran = crate::server::run(&mut with_files_of(&home, 0, args));
        ran.refused("sequel.db");
    }
    home.json(&["org", "create", "acme"]);
}

#[test]
fn sigterm_fails_readiness_first_and_lets_a_running_query_end_with_its_answer() {
    // A query long enough to be seen running, which ends by itself.
    let home = Home::with("query.time_max_ms = 20000");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let mut server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    assert_eq!(server.http("GET", "/readyz", &[], b"").status, 200);
    let pending = server.begin(
        &key,
        &json!(1),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n",
    );
    server.terminate();
    server.logs("shutting down");
    // The answer is still to come: either readiness is seen to fail, or the query was over already,
    // which the row below would not tell apart. So look at readiness while the query runs.
    poll(Duration::from_secs(10), "readiness fails", || {
        server.http("GET", "/readyz", &[], b"").status == 503
    });
    assert_eq!(server.http("GET", "/healthz", &[], b"").status, 200);
    assert_eq!(*rows(&pending.result()), json!([[3_000_000]]));
    let status = server.wait();
    assert!(status.success(), "{status}");
}

#[test]
fn what_still_runs_at_the_end_of_the_grace_is_stopped_and_told_why() {
    let home = Home::with("server.shutdown_seconds = 1");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let mut server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    let pending = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    server.terminate();
    let said = failure(&pending.result());
    assert!(said.contains("restarting"), "{said}");
    assert!(server.wait().success());
}

#[test]
fn a_server_that_has_just_said_that_it_serves_stops_properly() {
    let home = Home::new();
    for _ in 0..10 {
        home.serve().stop();
    }
}

#[test]
fn an_idle_connection_does_not_keep_a_server_from_stopping() {
    let home = Home::new();
    let mut server: TestServer = home.serve();
    let mut wire = server.connect();
    wire.request("GET", "/healthz", &[], b"");
    assert_eq!(wire.answer().status, 200);
    let _silent = server.connect();
    server.stop();
    assert!(wire.ends());
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--port", "0"]);
    command.env("SEQUEL__LOG__FILTER", "trace").env("SEQUEL__LIMITS__KEY_CREATIONS_PER_MINUTE", "0");
    let (mut server, unread) = home.start_unread(command);
    server.org("acme");
    // Some hundred bytes of log each, into a pipe of 64 KiB: far more than it holds.
    let keys: Vec<_> = (0..400).map(|number| server.key("acme", &format!("key-{number}"))).collect();
    server.delete_key("acme", "key-0");
    assert_eq!((server.status(&keys[0]), server.status(&keys[399])), (401, 200));
    // Nor does a shutdown wait for them.
    server.stop();
    // What was written before the pipe was full is whole lines.
    let lines: Vec<_> = std::io::BufRead::lines(unread).map(Result::unwrap).collect();
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!(bytes >= 60_000, "{bytes}");
}
