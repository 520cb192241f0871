//! `sequel doctor`, with a running server and without one: what is well is said to be, what is not is named with what
//! to do, and the exit code tells.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::server::{Home, Ran};
use crate::tls::Pair;

fn examined(home: &Home, env: &[(&str, &str)]) -> (Ran, Value) {
    let mut command = home.command(&["doctor", "--json"]);
    command.envs(env.iter().copied());
    let ran = crate::server::run(&mut command);
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!(ran.code, i32::from(report["ok"] == false), "{ran:?}");
    assert_eq!(report["ok"], report["problems"] == 0, "{report}");
    (ran, report)
}

/// The findings of a check: status and message, and advice with everything that is not well.
fn of(report: &Value, check: &str) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    let found: Vec<_> = findings
        .map(|finding| {
            let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
            assert_eq!(finding["status"] == "ok", text("advice").is_empty(), "{finding}");
            (text("status"), text("message"))
        })
        .collect();
    assert!(!found.is_empty(), "{check} is not in {report}");
    found
}

#[track_caller]
fn is(report: &Value, check: &str, status: &str, with: &str) {
    let found = of(report, check);
    assert!(
        found.iter().any(|(is, message)| is == status && message.contains(with)),
        "{status} {with}: {found:?}"
    );
}

fn private(home: &Home) {
    std::fs::set_permissions(home.data(), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn all_is_well_with_a_running_server_and_without_one() {
    let home = Home::on_sqlite("");
    private(&home);
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    let mut server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &file);
    let (_, report) = examined(&home, &[]);
    assert_eq!((&report["problems"], &report["warnings"]), (&json!(0), &json!(0)), "{report}");
    is(&report, "store lock", "ok", "A server holds it");
    is(&report, "store", "ok", "is whole");
    is(&report, "administration", "ok", "The server answers");
    is(&report, "reachable", "ok", &server.addr.to_string());
    is(&report, "source acme/facts", "ok", "read-only");
    for check in [
        "configuration",
        "data folder",
        "store files",
        "admin socket",
        "disk",
        "clock",
        "open files",
        "public URL",
    ] {
        assert!(of(&report, check).iter().all(|(status, _)| status == "ok"), "{check}");
    }
    server.stop();
    let (_, report) = examined(&home, &[]);
    assert_eq!((&report["problems"], &report["warnings"]), (&json!(0), &json!(0)), "{report}");
    is(&report, "store lock", "ok", "free");
    is(&report, "administration", "ok", "without a server");
    is(&report, "source acme/facts", "ok", "read-only");
    let text = home.cli(&["doctor"]);
    assert!(text.code == 0 && text.out.trim_end().ends_with("0 problems, 0 warnings."), "{text:?}");
}

#[test]
fn a_source_that_is_gone_is_a_problem_and_the_exit_code_says_so() {
    let home = Home::new();
    private(&home);
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    home.json(&["org", "create", "acme"]);
    home.json(&["source", "add", "facts", "--path", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    let (ran, report) = examined(&home, &[]);
    assert_eq!(ran.code, 1);
    is(&report, "source acme/facts", "problem", "does not answer");
    let text = home.cli(&["doctor"]);
    assert!(text.out.contains("PROBLEM") && text.out.contains("source edit"), "{text:?}");
}

#[test]
fn a_look_at_a_fresh_data_folder_makes_nothing_in_it() {
    let home = Home::new();
    private(&home);
    let (_, report) = examined(&home, &[]);
    is(&report, "store", "ok", "There is none");
    assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0);
}

#[test]
fn a_wrong_configuration_is_the_first_thing_that_is_said() {
    let home = Home::with("[serer]\nlisten = 1");
    let (_, report) = examined(&home, &[]);
    is(&report, "configuration", "problem", "did you mean server?");
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
}

#[test]
fn what_has_no_effect_or_a_dangerous_one_is_a_warning() {
    let home = Home::with(
        "[server]\nshutdown_seconds = 1\ntrusted_proxies = [\"0.0.0.0/0\"]\npublic_url = \"http://sequel.example.com\"",
    );
    private(&home);
    let missing = home.path().join("nowhere");
    let env = [
        ("SEQUEL_SERVER_LISTEN", "127.0.0.1:1"),
        ("SEQUEL__SOURCES__SQLITE__FOLDERS", missing.to_str().unwrap()),
    ];
    let (_, report) = examined(&home, &env);
    is(&report, "configuration", "warning", "SEQUEL_SERVER_LISTEN is not read");
    is(&report, "configuration", "warning", "longer than a shutdown waits");
    is(&report, "configuration", "warning", "0.0.0.0/0");
    is(&report, "sources.sqlite.folders", "warning", "nowhere");
    is(&report, "public URL", "warning", "in the clear");
    let behind = [
        ("SEQUEL__SERVER__PUBLIC_URL", "https://sequel.example.com"),
        ("SEQUEL__SERVER__TRUSTED_PROXIES", ""),
    ];
    let (_, report) = examined(&home, &behind);
    is(&report, "public URL", "warning", "trusted_proxies names none");
    let open = [("SEQUEL__SERVER__PUBLIC_URL", ""), ("SEQUEL__SERVER__LISTEN", "0.0.0.0:7700")];
    let (_, report) = examined(&home, &open);
    is(&report, "public URL", "warning", "in the clear");
}

#[test]
fn files_that_others_may_read_and_a_missing_data_folder_are_told() {
    let home = Home::on_sqlite("");
    home.json(&["org", "create", "acme"]);
    std::fs::set_permissions(home.data(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(home.data().join("sequel.db"), Permissions::from_mode(0o644)).unwrap();
    let (_, report) = examined(&home, &[]);
    is(&report, "data folder", "warning", "755");
    is(&report, "store files", "warning", "644");
    std::fs::remove_dir_all(home.data()).unwrap();
    let (_, report) = examined(&home, &[]);
    is(&report, "data folder", "problem", "cannot be looked at");
}

#[test]
fn a_damaged_store_is_a_problem_and_stays_as_it_is() {
    let home = Home::on_sqlite("");
    private(&home);
    home.json(&["org", "create", "acme"]);
    let path = home.data().join("sequel.db");
    // What a command leaves in the write-ahead log would stand in for the damaged pages.
    let store = rusqlite::Connection::open(&path).unwrap();
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4_096..].fill(0x55);
    std::fs::write(&path, &bytes).unwrap();
    let (_, report) = examined(&home, &[]);
    assert!(of(&report, "store").iter().any(|(status, _)| status == "problem"), "{report}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_certificate_is_told_by_its_time_and_by_what_is_really_served() {
    let home = Home::new();
    private(&home);
    let pair = Pair::of(&home);
    pair.renew(90);
    let (certificate, key) = (pair.certificate.to_str().unwrap(), pair.private_key.to_str().unwrap());
    let env = [("SEQUEL__TLS__CERTIFICATE", certificate), ("SEQUEL__TLS__PRIVATE_KEY", key)];
    let server = pair.serve(&home, &[]);
    let (_, report) = examined(&home, &env);
    is(&report, "certificate", "ok", "valid until");
    is(&report, "reachable", "ok", "answers");
    // The server cannot use what is there now, and goes on with what it had.
    std::fs::write(&pair.certificate, "no certificate").unwrap();
    let (_, report) = examined(&home, &env);
    is(&report, "certificate", "problem", "no certificate in PEM form");
    is(&report, "reachable", "ok", "answers");
    drop(server);
    pair.renew(5);
    let (ran, report) = examined(&home, &env);
    assert_eq!(ran.code, 0);
    is(&report, "certificate", "warning", "in 4 days");
    pair.renew(-1);
    let (ran, report) = examined(&home, &env);
    assert_eq!(ran.code, 1);
    is(&report, "certificate", "problem", "has expired");
    std::fs::set_permissions(&pair.private_key, Permissions::from_mode(0o644)).unwrap();
    let plain = [("SEQUEL__SERVER__PUBLIC_URL", "http://localhost")];
    let (_, report) = examined(&home, &[&env[..], &plain].concat());
    is(&report, "private key", "warning", "Everybody");
    is(&report, "public URL", "problem", "https");
}
