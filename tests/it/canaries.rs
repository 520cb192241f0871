//! Secrets and questions leave no trace in logs or files (THREATS 18).

use std::path::Path;

use serde_json::json;

use crate::apps::{App, REDIRECT, Tokens};
use crate::browser::{owner, serve_with};
use crate::server::{Home, rows};

/// All files beneath a folder with their bytes.
pub(crate) fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found
}

pub(crate) fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn keys_and_literals_of_queries_are_in_no_log_line_and_in_no_file() {
    let home = Home::new();
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES ('row-canary-5151')");
    for format in ["text", "json"] {
        let mut server =
            home.serve_with(&[("SEQUEL__LOG__FILTER", "trace"), ("SEQUEL__LOG__FORMAT", format)]);
        let org = format!("acme-{format}");
        server.org(&org);
        server.source(&org, "facts", &path);
        let first = server.key(&org, "client");
        let rotated = server.done("POST", &format!("/orgs/{org}/keys/client/rotate"), json!({}));
        let second = rotated["key"].as_str().unwrap().to_owned();
        let user = json!({ "email": format!("{format}@example.com") });
        let link = server.done("POST", "/users", user)["link"].as_str().unwrap().to_owned();
        let link = link.rsplit('/').next().unwrap().to_owned();
        for key in [&first, &second] {
            let result = server.query(key, "SELECT x FROM t WHERE x <> 'sql-canary-4242'");
            assert_eq!(*rows(&result), json!([["row-canary-5151"]]));
            server.query(key, "SELECT broken 'sql-canary-4242' FROM nowhere");
            server.query(key, "DELETE FROM t WHERE x = 'sql-canary-4242'");
            server.rpc(
                key,
                "tools/call",
                json!({ "name": "nonsense", "arguments": { "sql": "sql-canary-4242" } }),
            );
            server.http("GET", &format!("/nowhere?access_token={key}"), &[("Authorization", key)], b"");
            server.post(&[("Authorization", &format!("Bearer {key}0"))], b"{}");
            server.post(&[("Authorization", &format!("Bearer {key}")), ("Host", "evil.test")], b"{}");
        }
        // Refused ones leave as little.
        server.delete_key(&org, "client");
        assert_eq!(server.status(&second), 401);
        server.stop();
        let log = server.log();
        assert!(log.contains(&first[..14]), "the prefix is what a log may name: {log}");
        for key in [&first, &second, &link] {
            // The secret part alone, in case the rest was cut off; and the whole from the organization on.
            for part in [&key[26..69], &key[26..48], &key[48..69]] {
                assert!(!log.contains(part), "a key in the log");
                for (file, bytes) in files(home.path()) {
                    assert!(!holds(&bytes, part), "a key in {}", file.display());
                }
            }
        }
        assert!(!log.contains("sql-canary-4242"), "{}", around(&log, "sql-canary-4242"));
        assert!(!log.contains("row-canary-5151"), "{}", around(&log, "row-canary-5151"));
        for (file, bytes) in files(&home.data()) {
            assert!(!holds(&bytes, "canary"), "a canary in {}", file.display());
        }
    }
}

#[test]
fn codes_tokens_and_secrets_of_apps_are_in_no_log_line_no_page_and_no_file() {
    let home = Home::new();
    let mut server = serve_with(&home, &[("SEQUEL__LOG__FILTER", "trace")]);
    let backup = home.path().join("backup");
    let (secrets, pages) = {
        let (mut ada, base) = owner(&server, "acme", "ada@example.com");
        let org = base.rsplit('/').next().unwrap();
        let app = App::register(&server);
        let wants =
            json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post" });
        let client_secret = App::register_as(&server, wants).secret.unwrap();
        let code = app.code(&mut ada, org, &[]);
        let first = Tokens::of(&app.redeem(&server, &code));
        let second = Tokens::of(&app.refresh(&server, &first.refresh));
        // An old copy, a forged one, one in the wrong place, one given back.
        Tokens::of(&app.refresh(&server, &first.refresh));
        app.refresh(&server, &second.access);
        app.redeem(&server, &second.refresh);
        server.http("GET", &format!("/nowhere?access_token={}", second.access), &[], b"");
        assert_eq!(server.status(&second.access), 200);
        assert_eq!(app.revoke(&server, &first.access).status, 200);
        assert_eq!(home.cli(&["backup", backup.to_str().unwrap()]).code, 0);
        let pages = ["apps", "audit"].map(|room| ada.get(&format!("{base}/{room}")).text()).concat();
        (vec![client_secret, code, first.access, first.refresh, second.access, second.refresh], pages)
    };
    server.stop();
    let (log, files) = (server.log(), files(home.path()));
    assert!(files.iter().any(|(file, _)| *file == backup));
    for secret in &secrets {
        // What names the grant and the organization may be told; what lets in may not.
        for part in [&secret[26..47], &secret[48..69]] {
            assert!(!log.contains(part), "{}", around(&log, part));
            assert!(!pages.contains(part), "on a page");
            for (file, bytes) in &files {
                assert!(!holds(bytes, part), "in {}", file.display());
            }
        }
    }
}

fn around<'a>(log: &'a str, what: &str) -> &'a str {
    log.lines().find(|line| line.contains(what)).unwrap_or_default()
}

#[test]
fn what_the_server_keeps_is_its_own_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let server = home.demo();
    assert!(server.printed["api_key"].is_string());
    for entry in std::fs::read_dir(home.data()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
    }
}
