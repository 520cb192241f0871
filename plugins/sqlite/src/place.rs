//! Where a database file may be: the operator's policy, held against a path.
//!
//! Owns the decision and its words; opens nothing. A path outside the allowed folders gets the same
//! answer whether or not something is there, so that nobody can feel their way through the disk.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use sequel_connector::{OpenError, Settings};

#[cfg(doc)]
use crate::CONNECTIONS_MAX;

/// What the operator allows for SQLite files.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Databases lie beneath one of these; with none, no file is allowed.
    pub folders: Vec<PathBuf>,
    /// Files that are refused wherever they lie, with what SQLite and the server keep beside them
    /// (`-wal`, `-shm`, `-journal`, `.lock`), also under another hard link; and folders that are
    /// refused with all beneath. The server's own store belongs here.
    pub refused: Vec<PathBuf>,
    /// Databases with one of these as their `application_id` are refused wherever they lie: the server's own
    /// store has one, and so has every copy of it.
    pub refused_application_ids: Vec<i32>,
    /// Bytes that SQLite may take from the heap in this whole process, the server's own store included; 0 for no
    /// limit. The lowest that any connector was made with holds, until the process ends.
    pub memory_max_bytes: u64,
    /// Connections to one file at most, 1..=[`CONNECTIONS_MAX`]; what lies outside is moved to the border.
    pub connections_per_source: usize,
    /// Whether glances into tables may bring values back, where a source does not say no itself.
    pub samples: bool,
}

impl Default for Policy {
    /// No folder is allowed; four connections, so that a slow query holds up no others; 1 GiB; sample values.
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            refused: Vec::new(),
            refused_application_ids: Vec::new(),
            memory_max_bytes: 1024 * 1024 * 1024,
            connections_per_source: 4,
            samples: true,
        }
    }
}

/// A file that the policy allows, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Absolute, without links or dots.
    pub(crate) path: PathBuf,
    /// Device and inode.
    pub(crate) identity: (u64, u64),
}

/// What the settings of one source say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `path`, as it was written.
    pub(crate) path: String,
    /// `samples`: whether glances into its tables may bring values back.
    pub(crate) samples: bool,
}

/// Reads the settings; a member that is not known is refused.
pub(crate) fn wanted(settings: &Settings) -> Result<Wanted, OpenError> {
    if let Some(unknown) = settings.keys().find(|key| !["path", "samples"].contains(&key.as_str())) {
        let shown: String = unknown.chars().take(64).collect();
        return settings_error(format!(
            "SQLite data sources have no setting \"{shown}\"; there are \"path\" and \"samples\". Remove it."
        ));
    }
    let samples = match settings.get("samples") {
        None => true,
        Some(serde_json::Value::Bool(samples)) => *samples,
        Some(_) => {
            return settings_error("The setting \"samples\" of an SQLite data source is true or false.");
        }
    };
    match settings.get("path") {
        Some(serde_json::Value::String(path)) if !path.trim().is_empty() => {
            Ok(Wanted { path: path.clone(), samples })
        }
        Some(serde_json::Value::String(_)) | None => {
            settings_error("Say which SQLite file to open: {\"path\": \"/folder/file.db\"}.")
        }
        Some(_) => {
            settings_error("The setting \"path\" of an SQLite data source is a text, the path of the file.")
        }
    }
}

impl Policy {
    /// Finds the file that `path` names. An absolute path must lie beneath an allowed folder; a
    /// relative one is looked for in each of them.
    pub(crate) fn locate(&self, path: &str) -> Result<Place, OpenError> {
        if path.contains('\0') {
            return settings_error("The path holds a NUL character. Remove it.");
        }
        if path.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:")) || path.starts_with(':') {
            return settings_error(
                "URIs (file:…) and :memory: are not allowed. Give the plain path of an SQLite file.",
            );
        }
        let given = Path::new(path);
        if given.components().any(|part| part == Component::ParentDir) {
            return settings_error(
                "The path must not contain \"..\". Give the plain path of an SQLite file.",
            );
        }
        if self.folders.is_empty() {
            return Err(OpenError::Policy(
                "No folder is allowed for SQLite files on this server. The operator allows one with \
                 sources.sqlite.folders."
                    .into(),
            ));
        }
        // Folders that do not exist (yet) allow nothing.
        let folders = self.folders.iter().filter_map(|folder| Some((folder, folder.canonicalize().ok()?)));
        let mut missing = false;
        for (configured, folder) in folders {
            let Some(beneath) = beneath(given, configured, &folder) else {
                continue;
            };
            match self.locate_in(&folder, &beneath) {
                Ok(Some(place)) => return Ok(place),
                Ok(None) => missing = true,
                Err(refusal) => return Err(refusal),
            }
        }
        if missing {
            return settings_error(
                "There is no such file in the folders that are allowed for SQLite files. Check the path.",
            );
        }
        Err(outside())
    }

    /// The file at `relative` in a canonical folder, or `None` where nothing is.
    fn locate_in(&self, folder: &Path, relative: &Path) -> Result<Option<Place>, OpenError> {
        let named = folder.join(relative);
        let Ok(path) = named.canonicalize() else {
            // A link that leads nowhere is a link all the same.
            return match named.symlink_metadata() {
                Ok(found) if found.is_symlink() => Err(link()),
                _ => Ok(None),
            };
        };
        if !path.starts_with(folder) {
            return Err(outside());
        }
        // A link in the middle that stays inside is fine; the file itself must be no link.
        if named.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Err(link());
        }
        let found = path.symlink_metadata().map_err(|error| OpenError::Unavailable(Box::new(error)))?;
        if !found.is_file() {
            return settings_error(
                "The path names something that is not a regular file. Give the path of an SQLite file.",
            );
        }
        if self.is_refused(&path, &found) {
            return Err(belongs_to_the_server());
        }
        Ok(Some(Place { path, identity: identity(&found) }))
    }

    fn is_refused(&self, path: &Path, found: &Metadata) -> bool {
        self.refused.iter().any(|refused| {
            let canonical = canonical_even_if_absent(refused);
            if path.starts_with(&canonical) {
                return true;
            }
            ["", "-wal", "-shm", "-journal", ".lock"].iter().any(|suffix| {
                let beside = with_suffix(&canonical, suffix);
                path == beside || beside.metadata().is_ok_and(|theirs| identity(&theirs) == identity(found))
            })
        })
    }
}

pub(crate) fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// What of `given` lies beneath the folder, whether the path is written with the folder's configured
/// or canonical name, or relative to it.
fn beneath(given: &Path, configured: &Path, canonical: &Path) -> Option<PathBuf> {
    if given.is_relative() {
        return Some(given.to_owned());
    }
    let rest = given.strip_prefix(configured).or_else(|_| given.strip_prefix(canonical)).ok()?;
    (!rest.as_os_str().is_empty()).then(|| rest.to_owned())
}

/// The store may not exist yet when a source is checked, its folder does.
fn canonical_even_if_absent(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        match (path.parent().and_then(|p| p.canonicalize().ok()), path.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => path.to_owned(),
        }
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn belongs_to_the_server() -> OpenError {
    OpenError::Policy(
        "This file belongs to the server itself and cannot be a data source. Choose another file.".into(),
    )
}

fn outside() -> OpenError {
    OpenError::Policy(
        "The path is outside the folders that are allowed for SQLite files. Move the file into an allowed folder, or \
         ask the operator to allow its folder with sources.sqlite.folders."
            .into(),
    )
}

fn link() -> OpenError {
    OpenError::Policy("The path is a symbolic link. Give the path of the file itself.".into())
}

fn settings_error<T>(message: impl Into<String>) -> Result<T, OpenError> {
    Err(OpenError::Settings(message.into()))
}
