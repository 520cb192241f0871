//! Where an embedded store lies, and what is said when that cannot be used. Knows no backend.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::OpenError;

/// The absolute path of a store, after checking that the folder around it is there. The store itself need not be; where
/// it is a symbolic link, the path is what that leads to.
pub fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let refuse = |why: &str| OpenError::Path { path: path.to_owned(), why: why.to_owned() };
    let Some(name) = path.file_name() else {
        return Err(refuse("this names no store. Name one inside the data folder."));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = fs::canonicalize(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            refuse("its folder does not exist. Create the folder, or use another data folder.")
        }
        io::ErrorKind::PermissionDenied => {
            refuse("permission denied. Make the folder readable and writable for the user that runs Sequel.")
        }
        _ => refuse(&format!("its folder cannot be used ({error}). Use another data folder.")),
    })?;
    // Absolute, so that a relative name such as `file:x` is never taken for a URI.
    let path = folder.join(name);
    Ok(fs::canonicalize(&path).unwrap_or(path))
}
