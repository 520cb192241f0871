//! The commands of the documentation inside (`src/pages/docs`), run as a reader would: in one shell, from top to
//! bottom, with `sequel` on the path. What a block is for stands after its language: `run` is run, `serve` starts a
//! server that has to come up, and is stopped; a block without a word is only shown.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::Running;
use crate::waiting::{PATIENCE, poll};

/// Blocks of a shell: what is done with each, and its text.
fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) {
            let text = lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n");
            if let Some(("sh", what)) = info.split_once(' ') {
                found.push((what.to_owned(), text));
            }
        }
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/docs");
    let mut documents: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    documents.sort();
    documents
}

/// A shell as a reader has it, in a folder of its own.
fn shell(home: &Path, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_sequel")).parent().unwrap();
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(home).env_clear().env("HOME", home);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.display());
    command.env("PATH", path).stdin(Stdio::null());
    command
}

#[test]
fn what_the_documentation_says_to_run_runs() {
    let mut ran = 0;
    for document in documents() {
        let home = tempfile::Builder::new().prefix("sequel-docs").tempdir_in("/tmp").unwrap();
        let mut script = String::new();
        for (what, text) in blocks(&std::fs::read_to_string(&document).unwrap()) {
            match what.as_str() {
                "run" => writeln!(script, "{text}").unwrap(),
                "serve" | "serve demo" => {}
                other => panic!("{}: nobody knows what `{other}` does", document.display()),
            }
            ran += 1;
        }
        let output = shell(home.path(), &script).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}\n{out}\n{err}", document.display());
    }
    assert!(ran >= 10, "{ran} blocks of all documents are run");
}

#[test]
fn what_the_documentation_says_to_serve_comes_up() {
    let mut served = 0;
    for document in documents() {
        for (what, text) in blocks(&std::fs::read_to_string(&document).unwrap()) {
            if !what.starts_with("serve") {
                continue;
            }
            let home = tempfile::Builder::new().prefix("sequel-docs").tempdir_in("/tmp").unwrap();
            // A free port instead of the one that is written there, and no shell in between that would outlive it.
            assert!(text.contains("--port 7700"), "{text}");
            let script = format!("exec {}", text.replace("--port 7700", "--port 0"));
            let log = std::fs::File::create(home.path().join("log")).unwrap();
            let mut command = shell(home.path(), &script);
            command.stdout(log.try_clone().unwrap()).stderr(log);
            let mut running = Running(command.spawn().unwrap());
            poll(PATIENCE, "the server says where it listens", || {
                let log = std::fs::read_to_string(home.path().join("log")).unwrap();
                assert!(running.0.try_wait().unwrap().is_none(), "{log}");
                log.contains("http://127.0.0.1:")
            });
            served += 1;
        }
    }
    assert_eq!(served, 2);
}
