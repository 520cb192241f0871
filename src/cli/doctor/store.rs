//! The store: who holds it, whether it opens and is whole, and how much room it has.

use sequel_store::{Holder, Role};

use super::Report;
use crate::backends;
use crate::config::Config;

/// Below this a change may fail at any moment: a group commit, its log and a checkpoint want some megabytes each.
const ROOM_PROBLEM_BYTES: u64 = 64 * 1024 * 1024;
/// Below this it is time to act.
const ROOM_WARNING_BYTES: u64 = 512 * 1024 * 1024;

/// What is known of the store.
pub(super) struct Known {
    /// Who holds it.
    pub(super) holder: Option<Holder>,
    /// Whether opening it would change nothing: it is there, whole, and of this build's version.
    pub(super) is_settled: bool,
}

pub(super) fn look(report: &mut Report, config: &Config) -> Known {
    let location = config.store();
    let holder = match backends::lock_holder(config) {
        Ok(holder) => holder,
        Err(error) => {
            report.problem("store lock", sentence(&error), "Give this user the right to read the lock file.");
            None
        }
    };
    match &holder {
        Some(Holder { pid, role: Role::Serve, .. }) => {
            report.ok("store lock", format!("A server holds it (pid {pid})."));
        }
        Some(Holder { pid, .. }) => {
            report.ok("store lock", format!("A command holds it (pid {pid}); it is free again soon."));
        }
        None => report.ok("store lock", "It is free: no server runs on this data folder."),
    }
    let mut is_settled = false;
    match backends::inspect_store(config) {
        Ok(None) => report.ok("store", format!("There is none at {location} yet; a start makes it.")),
        Ok(Some(found)) => match found.damage {
            None if found.version < found.known => {
                let (version, known) = (found.version, found.known);
                report.ok(
                    "store",
                    format!("It is whole; the next start brings it from version {version} to {known}."),
                );
            }
            None => {
                is_settled = true;
                report.ok("store", format!("It opens (version {}) and is whole.", found.version));
            }
            Some(damage) => report.problem(
                "store",
                format!("It is damaged: {damage}."),
                "Stop the server, keep a copy of the data folder, and restore a backup.",
            ),
        },
        Err(error) => {
            let advice =
                "Nothing was changed. Look at the file, its folder and its disk, or restore a backup.";
            report.problem("store", sentence(&error), advice);
        }
    }
    room(report, config);
    Known { holder, is_settled }
}

fn room(report: &mut Report, config: &Config) {
    let location = config.store();
    // How much room a database server has is for its operator to see.
    let Some(path) = location.path() else { return };
    let folder = path.parent().unwrap_or(&config.data_dir);
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = format!("{} MiB are free where the store is.", free / (1024 * 1024));
    if free < ROOM_PROBLEM_BYTES {
        report.problem("disk", text, "Free some space now: changes are about to fail.");
    } else if free < ROOM_WARNING_BYTES {
        report.warning("disk", text, "Free some space.");
    } else {
        report.ok("disk", text);
    }
    if disk.f_files > 0 && disk.f_favail < 100 {
        report.problem(
            "disk",
            format!("The file system has room for {} more files.", disk.f_favail),
            "Remove files that are not needed.",
        );
    }
}

fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    if text.ends_with('.') { text } else { format!("{text}.") }
}
