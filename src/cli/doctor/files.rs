//! Who may read and write what Sequel keeps.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::Report;
use crate::config::{Config, StoreLocation, admin_socket_path};

pub(super) fn look(report: &mut Report, config: &Config) {
    let folder = &config.data_dir;
    let found = match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => {
            let message = format!("The data folder {} is not a folder.", folder.display());
            return report.problem("data folder", message, "Name another one with --data-dir.");
        }
        Err(error) => {
            let message = format!("The data folder {} cannot be looked at ({error}).", folder.display());
            let advice = "Make it with 'mkdir -p', or name the right one with --data-dir.";
            return report.problem("data folder", message, advice);
        }
    };
    private(report, "data folder", folder, &found);
    let location = config.store();
    let suffixes: &[&str] = match &location {
        StoreLocation::Sqlite(_) => &["", "-wal", "-shm", ".lock"],
        // A folder, whose files nobody reaches who may not enter it.
        StoreLocation::Sled(_) => &["", ".lock"],
        StoreLocation::Postgres { .. } => &[],
    };
    for (store, suffix) in
        location.path().into_iter().flat_map(|store| suffixes.iter().map(move |at| (store, at)))
    {
        let mut path = store.as_os_str().to_owned();
        path.push(suffix);
        if let Ok(found) = std::fs::metadata(&path) {
            private(report, "store files", Path::new(&path), &found);
        }
    }
    let socket = admin_socket_path(config);
    if let Ok(found) = std::fs::symlink_metadata(&socket) {
        if found.file_type().is_socket() {
            private(report, "admin socket", &socket, &found);
        } else {
            let message = format!("{} is no socket.", socket.display());
            report.problem("admin socket", message, "Remove it, or set admin.socket to another path.");
        }
    }
    if let Some((_, key)) = config.tls.files()
        && let Ok(found) = std::fs::metadata(key)
    {
        // A group of its own for those that may read keys is common.
        match found.mode() & 0o007 {
            0 => report.ok("private key", format!("{} is closed to strangers.", key.display())),
            _ => report.warning(
                "private key",
                format!("Everybody on this machine may read {}.", key.display()),
                format!("chmod o= {}", key.display()),
            ),
        }
    }
}

/// What holds secrets or leads to them is its owner's alone, and its owner is who runs Sequel.
fn private(report: &mut Report, check: &str, path: &Path, found: &Metadata) {
    let (shown, mode) = (path.display(), found.mode() & 0o777);
    let user = rustix::process::geteuid();
    if found.uid() != user.as_raw() && !user.is_root() {
        report.problem(
            check,
            format!("{shown} belongs to another user (uid {}).", found.uid()),
            "Run Sequel and its commands as one user, the owner of the data folder.",
        );
    } else if mode & 0o077 != 0 {
        report.warning(
            check,
            format!("{shown} is open to other users (mode {mode:o})."),
            format!("chmod go= {shown}"),
        );
    } else {
        report.ok(check, format!("{shown} is its owner's alone."));
    }
}
