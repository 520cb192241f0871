//! What users and scripts rely on when they type a command: against a fake admin server on a real
//! unix socket.

mod fake;

use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::CommandFactory;
use serde_json::{Value, json};

use self::fake::FakeServer;
use super::*;
use crate::context::Timestamp;

#[derive(Debug)]
struct Outcome {
    exit: u8,
    out: String,
    err: String,
    asked: Vec<String>,
}

/// 2026-11-23T00:00:00Z.
const NOW: Timestamp = Timestamp(1_795_392_000_000);

impl Outcome {
    fn of(args: &[&str], data_dir: &Path, terminal: Option<bool>) -> Self {
        let socket = data_dir.join("admin.sock");
        let reach = move |_: &Config| Ok(Reached { socket: socket.clone(), end: None });
        Self::reaching(args, data_dir, terminal, &reach)
    }

    fn reaching(
        args: &[&str],
        data_dir: &Path,
        terminal: Option<bool>,
        reach: &dyn Fn(&Config) -> Result<Reached, Failure>,
    ) -> Self {
        let (mut out, mut err, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut ask = |question: &str| {
            asked.push(question.to_owned());
            terminal == Some(true)
        };
        let world = World {
            out: &mut out,
            err: &mut err,
            env: vec![("SEQUEL__DATA_DIR".to_owned(), data_dir.display().to_string())],
            ask: terminal.map(|_| &mut ask as &mut dyn FnMut(&str) -> bool),
            reach,
            clock: Clock::starting_at(NOW),
        };
        let args = std::iter::once("sequel").chain(args.iter().copied()).map(OsString::from).collect();
        let exit = run(args, world);
        let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        Self { exit, out, err, asked }
    }

    fn json(&self) -> Value {
        assert_eq!((self.exit, self.out.lines().count()), (0, 1), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

fn one_org() -> (u16, Value) {
    (200, json!({"orgs": [{"id": "o1", "name": "acme", "created_at": "2026-01-01T00:00:00Z"}]}))
}

fn created_key() -> (u16, Value) {
    (201, json!({"id": "k1", "name": "laptop", "prefix": "sql_0123456789", "key": "sql_secret", "org": "o1"}))
}

fn deleted(name: &str) -> (u16, Value) {
    (200, json!({"deleted": true, "id": "x1", "name": name}))
}

#[test]
fn every_command_is_in_the_documentation_of_its_json() {
    fn leaves(command: &clap::Command, above: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands() {
            let name = format!("{above}{}", below.get_name());
            match below.has_subcommands() {
                true => leaves(below, &format!("{name} "), found),
                false => found.push(name),
            }
        }
    }
    let documented = include_str!("json.md");
    let mut commands = Vec::new();
    leaves(&Cli::command(), "", &mut commands);
    for command in commands {
        assert!(documented.contains(&format!("| `{command}` |")), "{command} is not in src/cli/json.md");
    }
}

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn key_create_prints_the_documented_json() {
    let server = FakeServer::answering(vec![created_key()]);
    let made = server.run(&["key", "create", "laptop", "--org", "acme", "--json"]);
    assert_eq!(
        made.json(),
        json!({"id": "k1", "name": "laptop", "prefix": "sql_0123456789", "key": "sql_secret", "org": "o1"})
    );
    assert!(
        made.out.starts_with(r#"{"id":"k1","name":"laptop","prefix":"sql_0123456789","key":"sql_secret""#)
    );
    assert_eq!(server.noted(), [("POST /api/v1/orgs/acme/keys".to_owned(), json!({"name": "laptop"}))]);
}

#[test]
fn key_create_shows_the_key_once_and_says_so() {
    let server = FakeServer::answering(vec![created_key()]);
    let made = server.run(&["key", "create", "laptop", "--org", "acme"]);
    assert_eq!(made.exit, 0);
    assert!(made.out.lines().any(|line| line == "sql_secret"), "{}", made.out);
    assert!(made.out.contains("shown only this once"));
    assert_eq!(made.out.matches("sql_secret").count(), 1);
}

#[test]
fn key_create_sends_expiry_and_sources() {
    let server = FakeServer::answering(vec![created_key()]);
    server.run(&[
        "key",
        "create",
        "laptop",
        "--org",
        "acme",
        "--expires",
        "90d",
        "--source",
        "a",
        "--source",
        "b",
    ]);
    let body = json!({"name": "laptop", "expires_at": "2027-02-21T00:00:00Z", "sources": ["a", "b"]});
    // The clock runs on while the command does: the expiry is compared to the minute.
    let mut sent = server.noted().remove(0).1;
    let minute = sent["expires_at"].as_str().unwrap()[..16].to_owned();
    sent["expires_at"] = json!(format!("{minute}:00Z"));
    assert_eq!(sent, body);
}

#[test]
fn an_expiry_in_the_past_is_refused_before_anything_is_asked() {
    let server = FakeServer::answering(vec![]);
    let refused = server.run(&["key", "create", "laptop", "--org", "acme", "--expires", "2020-01-01"]);
    assert_eq!(refused.exit, 2);
    assert_eq!(refused.err, "Error: --expires lies in the past: choose a later time.\n");
    assert!(server.noted().is_empty());
}

#[test]
fn the_organization_may_be_left_out_where_there_is_just_one() {
    let server = FakeServer::answering(vec![one_org(), (200, json!({"keys": []}))]);
    let listed = server.run(&["key", "list"]);
    assert_eq!(listed.out, "acme has no API key yet. Make one with: sequel key create NAME --org acme\n");
    let paths: Vec<_> = server.noted().into_iter().map(|(line, _)| line).collect();
    assert_eq!(paths, ["GET /api/v1/orgs", "GET /api/v1/orgs/acme/keys"]);
}

#[test]
fn without_or_with_many_organizations_the_sentence_says_what_to_type() {
    let server = FakeServer::answering(vec![(200, json!({"orgs": []}))]);
    let refused = server.run(&["key", "list"]);
    assert_eq!(refused.exit, 2);
    assert_eq!(refused.err, "Error: There is no organization yet. Make one with: sequel org create NAME\n");
    let (_, mut two) = one_org();
    let mut other = two["orgs"][0].clone();
    other["name"] = json!("beta");
    two["orgs"].as_array_mut().unwrap().push(other);
    let refused = FakeServer::answering(vec![(200, two)]).run(&["source", "list"]);
    assert_eq!(refused.err, "Error: There are 2 organizations (acme, beta): name one with --org.\n");
}

#[test]
fn the_next_command_can_be_pasted_whatever_the_name() {
    let org = json!({"id": "o1", "name": "it's acme", "created_at": "2026-01-01T00:00:00Z"});
    let made = FakeServer::answering(vec![(201, org)]).run(&["org", "create", "it's acme"]);
    assert!(made.out.ends_with("sequel source add NAME --org 'it'\\''s acme' --path FILE\n"), "{made:?}");
    let server = FakeServer::answering(vec![(200, json!({"orgs": []}))]);
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let listed = server.run(&["org", "list", "--data-dir", data_dir]);
    assert!(listed.out.ends_with(&format!("sequel org create NAME --data-dir {data_dir}\n")), "{listed:?}");
}

#[test]
fn names_are_sent_as_one_segment() {
    let server = FakeServer::answering(vec![deleted("a/b")]);
    server.run(&["key", "delete", "a/b", "--org", "x y", "--yes"]);
    assert_eq!(server.noted()[0].0, "DELETE /api/v1/orgs/x%20y/keys/a%2Fb");
}

#[test]
fn destruction_is_refused_without_a_terminal_unless_yes_is_given() {
    for args in [
        &["key", "delete", "laptop", "--org", "acme"] as &[_],
        &["source", "remove", "laptop", "--org", "acme"],
        &["key", "rotate", "laptop", "--org", "acme", "--overlap", "0"],
    ] {
        let server = FakeServer::answering(vec![]);
        let refused = server.run(args);
        assert_eq!(refused.exit, 2);
        assert!(
            refused.err.ends_with("There is no terminal to ask on: add --yes to go ahead.\n"),
            "{refused:?}"
        );
        assert!(server.noted().is_empty());
    }
    let server = FakeServer::answering(vec![deleted("laptop")]);
    let done = server.run(&["key", "delete", "laptop", "--org", "acme", "--yes", "--json"]);
    assert_eq!(done.json(), json!({"deleted": true, "id": "x1", "name": "laptop"}));
}

#[test]
fn at_a_terminal_destruction_waits_for_a_yes() {
    let server = FakeServer::answering(vec![]);
    let declined = server.run_at_a_terminal(&["key", "delete", "laptop", "--org", "acme"], false);
    assert_eq!((declined.exit, declined.err.as_str()), (1, "Error: Nothing was changed.\n"));
    assert_eq!(declined.asked, ["Delete the API key laptop of acme? This cannot be undone."]);
    assert!(server.noted().is_empty());
    let server = FakeServer::answering(vec![deleted("laptop")]);
    let done = server.run_at_a_terminal(&["source", "remove", "laptop", "--org", "acme"], true);
    assert_eq!((done.exit, done.asked.len()), (0, 1));
}

#[test]
fn rotate_asks_only_when_the_old_secret_ends_at_once() {
    let rotated = json!({
        "id": "k1", "name": "laptop", "prefix": "sql_9876543210", "key": "sql_new",
        "previous_valid_until": "2026-11-24T00:00:00Z",
    });
    let server = FakeServer::answering(vec![(200, rotated)]);
    let done = server.run(&["key", "rotate", "laptop", "--org", "acme", "--overlap", "24h"]);
    assert!(done.out.contains("the old one works until 2026-11-24 00:00 UTC"), "{done:?}");
    let request =
        ("POST /api/v1/orgs/acme/keys/laptop/rotate".to_owned(), json!({"overlap_seconds": 86_400}));
    assert_eq!(server.noted(), [request]);
}

#[test]
fn rotate_asks_too_where_the_configuration_ends_old_secrets_at_once() {
    let server = FakeServer::answering(vec![]);
    let config = "[keys]\nrotate_overlap_seconds = 0\n";
    std::fs::write(server.folder.path().join("sequel.toml"), config).unwrap();
    let refused = server.run(&["key", "rotate", "laptop", "--org", "acme"]);
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert!(refused.err.contains("stops working at once"), "{refused:?}");
    assert!(server.noted().is_empty());
}

#[test]
fn what_others_wrote_cannot_steer_the_terminal() {
    let source = json!({
        "id": "s1", "name": "a\u{1b}]0;x\u{7}", "kind": "sqlite\u{9b}31m", "settings": {"path\u{1b}": "/x\u{1b}[2J", "n": ["\u{9b}"]},
        "description": "says\nmore\u{202e}", "created_at": "2026-01-01T00:00:00Z",
    });
    let listed = FakeServer::answering(vec![(200, json!({"sources": [source]}))]);
    let listed = listed.run(&["source", "list", "--org", "acme"]);
    assert_eq!((listed.exit, listed.out.lines().count()), (0, 2), "{listed:?}");
    let detail = "There is no key \u{1b}[31mdesk\u{202e}.";
    let problem = json!({"title": "Not found", "status": 404, "code": "not_found", "detail": detail});
    let refused = FakeServer::answering(vec![(404, problem)]).run(&["key", "disable", "x", "--org", "acme"]);
    for text in [listed.out, refused.err] {
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(steers) && text.contains(char::REPLACEMENT_CHARACTER), "{text:?}");
    }
}

#[test]
fn disable_enable_and_rename_change_just_what_they_name() {
    let key = json!({
        "id": "k1", "name": "laptop", "prefix": "sql_0123456789", "owner": null, "enabled": false,
        "created_at": "2026-01-01T00:00:00Z", "status": "disabled",
    });
    for (args, body) in [
        (&["key", "disable", "k1", "--org", "acme"] as &[_], json!({"enabled": false})),
        (&["key", "enable", "k1", "--org", "acme"], json!({"enabled": true})),
        (&["key", "rename", "k1", "desk", "--org", "acme"], json!({"name": "desk"})),
    ] {
        let server = FakeServer::answering(vec![(200, key.clone())]);
        assert_eq!(server.run(args).exit, 0);
        assert_eq!(server.noted(), [("PATCH /api/v1/orgs/acme/keys/k1".to_owned(), body)]);
    }
}

#[test]
fn key_list_is_an_aligned_table() {
    let keys = json!({"keys": [
        {"id": "k1", "name": "laptop", "prefix": "sql_0123456789", "owner": null, "enabled": true,
         "created_at": "2026-01-01T00:00:00Z", "status": "active", "sources": ["flights"],
         "previous_valid_until": ["2026-11-24T00:00:00Z"]},
        {"id": "k2", "name": "bad\u{1b}[31m", "prefix": "sql_9876543210", "owner": "ada", "enabled": true,
         "created_at": "2026-01-01T00:00:00Z", "status": "expired", "expires_at": "2026-02-01T00:00:00Z",
         "last_used_at": "2026-01-31T12:34:56Z"},
    ]});
    let server = FakeServer::answering(vec![(200, keys)]);
    insta::assert_snapshot!(server.run(&["key", "list", "--org", "acme"]).out);
}

#[test]
fn source_add_sends_an_absolute_path() {
    let source = json!({
        "id": "s1", "name": "flights", "kind": "sqlite", "settings": {}, "created_at": "2026-01-01T00:00:00Z",
    });
    let server = FakeServer::answering(vec![(201, source)]);
    server.run(&["source", "add", "flights", "--org", "acme", "--path", "x.db", "--set", "n=1"]);
    let body = server.noted().remove(0).1;
    let path = std::env::current_dir().unwrap().join("x.db");
    assert_eq!(body["settings"], json!({"n": 1, "path": path.to_str().unwrap()}));
    assert_eq!(body["kind"], "sqlite");
}

#[test]
fn a_source_that_does_not_answer_is_exit_code_1_with_the_answer_on_standard_output() {
    let tested = json!({"ok": false, "elapsed_ms": 3, "error": "the file is gone."});
    let server = FakeServer::answering(vec![(200, tested.clone())]);
    let failed = server.run(&["source", "test", "flights", "--org", "acme", "--json"]);
    assert_eq!((failed.exit, failed.err.as_str()), (1, ""));
    assert_eq!(serde_json::from_str::<Value>(&failed.out).unwrap(), tested);
}

#[test]
fn a_refusal_of_the_server_is_its_own_sentence_and_code() {
    let detail = "There is no key desk in acme: look with sequel key list.";
    let problem = json!({"title": "Not found", "status": 404, "code": "not_found", "detail": detail});
    let args = ["key", "disable", "desk", "--org", "acme"];
    let refused = FakeServer::answering(vec![(404, problem.clone())]).run(&args);
    assert_eq!((refused.exit, refused.out.as_str()), (1, ""));
    assert_eq!(refused.err, format!("Error: {detail}\n"));
    let refused = FakeServer::answering(vec![(404, problem)]).run(&[&args[..], &["--json"]].concat());
    assert_eq!(refused.out, "");
    let error: Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!(error, json!({"error": {"code": "not_found", "message": detail}}));
}

#[test]
fn an_answer_of_another_version_is_said_to_be_one() {
    for answer in [(500, "oops".to_owned()), (200, "{}".to_owned()), (200, "<html>".to_owned())] {
        let failed = FakeServer::answering_text(vec![answer]).run(&["org", "list"]);
        assert_eq!(failed.exit, 1);
        assert!(failed.err.contains("an answer that this program does not understand"), "{failed:?}");
    }
}

#[test]
fn a_server_that_is_gone_is_named_with_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let failed = Outcome::of(&["org", "list", "--json"], folder.path(), None);
    assert_eq!(failed.exit, 1);
    let error: Value = serde_json::from_str(&failed.err).unwrap();
    assert_eq!(error["error"]["code"], "server_unreachable");
    assert!(error["error"]["message"].as_str().unwrap().contains("admin.sock"));
}

#[test]
fn what_was_started_for_a_command_ends_with_it_also_when_the_command_fails() {
    for answer in [one_org(), (500, json!({}))] {
        let server = FakeServer::answering(vec![answer]);
        let stopped = Arc::new(Mutex::new(0));
        let (count, socket) = (stopped.clone(), server.folder.path().join("admin.sock"));
        let reach = move |_: &Config| {
            let count = count.clone();
            Ok(Reached { socket: socket.clone(), end: Some(Box::new(move || *count.lock().unwrap() += 1)) })
        };
        Outcome::reaching(&["org", "list"], server.folder.path(), None, &reach);
        assert_eq!(*stopped.lock().unwrap(), 1);
    }
}

#[test]
fn config_show_prints_every_setting_with_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sequel.toml"), "[log]\nformat = \"json\"\n").unwrap();
    let shown = Outcome::of(&["config", "show"], folder.path(), None);
    assert!(shown.out.contains("format = \"json\"  # ") && shown.out.contains("sequel.toml:2\n"));
    let settings = Outcome::of(&["config", "show", "--json"], folder.path(), None).json();
    let first = &settings["settings"][0];
    assert_eq!((&first["key"], &first["origin"]), (&json!("data_dir"), &json!("SEQUEL__DATA_DIR")));
}

#[test]
fn config_check_says_which_file_it_read_and_refuses_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let good = Outcome::of(&["config", "check", "--json"], folder.path(), None).json();
    assert_eq!((&good["ok"], &good["file"]), (&json!(true), &Value::Null));
    std::fs::write(folder.path().join("sequel.toml"), "[serer]\n").unwrap();
    let bad = Outcome::of(&["config", "check", "--json"], folder.path(), None);
    assert_eq!(bad.exit, 1);
    assert!(bad.err.contains("did you mean server?"), "{bad:?}");
}

#[test]
fn wrong_usage_is_exit_code_2_and_json_where_json_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Outcome::of(&["key", "make"], folder.path(), None).exit, 2);
    let wrong = Outcome::of(&["key", "create", "--json"], folder.path(), None);
    assert_eq!((wrong.exit, wrong.out.as_str()), (2, ""));
    let error: Value = serde_json::from_str(&wrong.err).unwrap();
    assert_eq!(error["error"]["code"], "usage");
    let help = Outcome::of(&["--help"], folder.path(), None);
    assert_eq!((help.exit, help.err.as_str()), (0, ""));
    assert!(help.out.contains("Usage: sequel"));
}

#[test]
fn the_demo_keeps_to_its_own_folder_whatever_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::try_parse_from(["sequel", "demo", "--port", "0"]).unwrap();
    let Command::Demo(args) = cli.command else { panic!("not the demo") };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let reach = |_: &Config| -> Result<Reached, Failure> { unreachable!("the demo asks no server") };
    let world = World {
        out: &mut out,
        err: &mut err,
        env: vec![("SEQUEL__DATA_DIR".to_owned(), folder.path().display().to_string())],
        ask: None,
        reach: &reach,
        clock: Clock::starting_at(NOW),
    };
    let config = demo::config(&args, &cli.global, &world).unwrap();
    assert_eq!(config.data_dir, std::env::current_dir().unwrap().join("sequel-demo"));
    assert_eq!(config.server.listen.port(), 0);
}
