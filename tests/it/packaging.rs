//! What comes beside the binary: the unit of systemd by systemd's own word, the notification that it waits for, and
//! the recipe of the container image as far as it can be held without a registry.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::server::{Home, run};
use crate::waiting::PATIENCE;

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// The unit as it is committed, with the tested program in the place of the installed one.
fn unit(home: &Home) -> PathBuf {
    let text = std::fs::read_to_string(config("systemd/sequel.service")).unwrap();
    let installed = "/usr/local/bin/sequel";
    assert!(text.contains(installed));
    let path = home.path().join("sequel.service");
    std::fs::write(&path, text.replace(installed, env!("CARGO_BIN_EXE_sequel"))).unwrap();
    path
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let home = Home::new();
    let ran = run(Command::new("systemd-analyze").arg("verify").arg(unit(&home)));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn systemd_calls_the_unit_well_contained() {
    let home = Home::new();
    // Of 100, tenths of its exposure level; "OK" begins below 50.
    let ran = run(Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=20"])
        .arg(unit(&home)));
    assert_eq!(ran.code, 0, "{}", ran.out);
}

#[test]
fn the_service_manager_is_told_when_requests_are_answered_and_when_that_ends() {
    let home = Home::new();
    let socket = home.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut words = [0; 64];
        let bytes = manager.recv(&mut words).unwrap();
        String::from_utf8(words[..bytes].to_vec()).unwrap()
    };
    let mut server = home.serve_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
    assert_eq!(heard(), "READY=1");
    assert_eq!(server.http("GET", "/readyz", &[], b"").status, 200);
    server.terminate();
    assert_eq!(heard(), "STOPPING=1");
    assert!(server.wait().success());
    manager.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(manager.recv(&mut [0; 64]).is_err(), "it says each of them once");
}

#[test]
fn the_unit_waits_longer_than_a_shutdown_takes() {
    let text = std::fs::read_to_string(config("systemd/sequel.service")).unwrap();
    let stop = text.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let shutdown = sequel::config::Config::default().server.shutdown_seconds;
    assert!(stop.parse::<u64>().unwrap() > shutdown + 5);
}

#[test]
fn the_image_runs_as_nobody_in_particular_and_names_settings_that_there_are() {
    let text = std::fs::read_to_string(config("Containerfile")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stages: Vec<_> = lines.iter().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2, "one to build, one to run");
    assert!(lines.contains(&"USER 65532:65532"));
    let joined = lines.join("\n").replace("\\\n", " ");
    let env = joined.lines().find(|line| line.starts_with("ENV ")).unwrap();
    for variable in env.split_whitespace().skip(1) {
        let (name, value) = variable.split_once('=').unwrap();
        let key = name.strip_prefix("SEQUEL__").unwrap().replace("__", ".").to_lowercase();
        assert!(sequel::config::keys().any(|known| known.path == key), "{key}");
        assert!(!value.is_empty());
    }
    // What is copied from the first stage is what it has put there.
    for copied in lines.iter().filter_map(|line| line.split_once(" /out/")) {
        let path = copied.1.split_whitespace().next().unwrap();
        assert!(joined.contains(&format!("/out/{path}")), "{path}");
    }
}
