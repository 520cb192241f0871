//! The data folder: made where nobody can have mistyped it, checked where somebody named it.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::bail;

/// Everything this process makes is its own user's alone: store, socket, lock.
pub(super) fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Makes the folder, with its parents, readable by this user alone.
pub(super) fn make(folder: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            bail!(
                "the data folder {} cannot be made ({error}). Name another one with --data-dir.",
                folder.display()
            )
        }
        _ => check(folder),
    }
}

/// The folder must be there. The platform's own data folder is made where it is missing: nobody can
/// have mistyped it.
pub(super) fn require(folder: &Path) -> anyhow::Result<()> {
    match std::fs::metadata(folder) {
        // A file in the place of a parent is a folder that is not there, too.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            if crate::config::platform_data_dir().is_ok_and(|own| own == folder) {
                return make(folder);
            }
            bail!(
                "the data folder {} does not exist. Make it with 'mkdir -p', or name the right one with \
                 --data-dir.",
                folder.display()
            );
        }
        _ => check(folder),
    }
}

fn check(folder: &Path) -> anyhow::Result<()> {
    let found = match std::fs::metadata(folder) {
        Ok(found) => found,
        Err(error) => bail!(
            "the data folder {} cannot be looked at ({error}). Give this user the right to, or name another one \
             with --data-dir.",
            folder.display()
        ),
    };
    if !found.is_dir() {
        bail!("{} is not a folder. Name one with --data-dir.", folder.display());
    }
    if let Err(error) = std::fs::read_dir(folder) {
        bail!(
            "the data folder {} cannot be read ({error}). Give this user the right to, or run Sequel as its owner.",
            folder.display()
        );
    }
    Ok(())
}
