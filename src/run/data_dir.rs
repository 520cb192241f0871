//! The data folder: made where nobody can have mistyped it, checked where somebody named it.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::bail;

/// Everything this process makes is its own user's alone: store, socket, lock.
pub(super) fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Makes the folder, with its parents, readable by this user alone. What is made is durable: a store's own syncs reach as
/// far as its folder, and a power loss must not take that away with all that was acknowledged in it.
pub(super) fn make(folder: &Path) -> anyhow::Result<()> {
    match make_durably(folder, |parent| File::open(parent)?.sync_all()) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            bail!(
                "the data folder {} cannot be made ({error}). Name another one with --data-dir.",
                folder.display()
            )
        }
        _ => check(folder),
    }
}

/// Makes the folder and tells `sync` of each folder that has a new name in it.
fn make_durably(folder: &Path, mut sync: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for made in missing {
        match made.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync(parent)?,
            _ => sync(Path::new("."))?,
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_folder_that_is_made_is_private_and_its_name_synced() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let mut synced = Vec::new();
        let mut made = |folder: &Path| {
            synced.clear();
            make_durably(folder, |parent| {
                synced.push(parent.to_owned());
                Ok(())
            })
            .unwrap();
            synced.clone()
        };
        assert_eq!(made(&at("a/b/c")), [at("a/b"), at("a"), root.path().to_owned()]);
        assert_eq!(made(&at("a/b/c")), Vec::<std::path::PathBuf>::new());
        assert_eq!(made(&at("a/d")), [at("a")]);
        for folder in ["a", "a/b", "a/b/c"] {
            assert_eq!(
                std::fs::metadata(at(folder)).unwrap().permissions().mode() & 0o777,
                0o700,
                "{folder}"
            );
        }
        let full = |_: &Path| Err(io::Error::other("the disk is away"));
        assert!(make_durably(&at("e"), full).is_err(), "what is not durable is not made");
        make(&at("f/g")).unwrap();
    }
}
