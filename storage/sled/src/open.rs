//! Opening a store: where it is, whose it is, who may read it, and what is said where that fails.
//!
//! Owns the folder, the note in it (`sequel.json`) and the modes of all files. The note says of which version the store
//! is without sled, which only one process can open; and it says what sled would not: sled takes a log that is missing,
//! emptied or cut short for a new one or an older one, and goes on.
//!
//! ```text
//! PATH.lock           who holds it
//! PATH/sequel.json    the note
//! PATH/sled/          sled's own: conf, db (the log), blobs/ (empty), snap.*
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use sequel_store::OpenError;
use serde::{Deserialize, Serialize};

use crate::fault::{self, Fault};
use crate::log::Open;
use crate::rows::{self, VERSION};

const NOTE: &str = "sequel.json";
const STORE: &str = "sequel-sled";
/// After a log is closed sled's threads may hold its lock for a moment: 200 × 10 ms.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The JSON object in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Always [`STORE`].
    store: String,
    /// Of the layout in `rows`.
    pub(crate) version: u32,
    /// Whether the log was made to its end; until then it holds nothing.
    pub(crate) complete: bool,
    /// The log's last word when it was last closed in order; not there while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_at: Option<u64>,
}

impl Note {
    /// What a complete store has while it is open.
    pub(crate) fn open() -> Self {
        Self::new(true, None)
    }

    fn new(complete: bool, closed_at: Option<u64>) -> Self {
        Self { store: STORE.to_owned(), version: VERSION, complete, closed_at }
    }
}

/// Opens the store in `folder`, making it where there is none; its lock is held by the caller.
pub(crate) fn store(folder: &Path, cache_bytes: u64) -> Result<Open, OpenError> {
    let failed = |fault: Fault| fault::open(folder, &fault);
    let log = match note(folder)? {
        Some(note) if note.complete => {
            make_private(folder)?;
            let log = log(folder, cache_bytes, &note).map_err(failed)?;
            if note.closed_at.is_some() {
                // What is written from now on is behind the mark.
                write_note(folder, &Note::open())?;
            }
            log
        }
        unfinished => {
            make_folder(folder)?;
            if unfinished.is_some() {
                // It holds nothing, and sled does not get over half a file of its own.
                remove_log(folder)?;
            }
            write_note(folder, &Note::new(false, None))?;
            make_private(folder)?;
            let log = sled_log(folder, cache_bytes).map_err(failed)?;
            let made = log.db.insert(rows::FORMAT, &VERSION.to_be_bytes()).map_err(Fault::from);
            made.and_then(|_| log.sync()).map_err(failed)?;
            write_note(folder, &Note::open())?;
            let around = folder.parent().unwrap_or(folder);
            sync(around).map_err(|error| OpenError::io(around, &error))?;
            log
        }
    };
    // Once more: sled makes its files with the umask's modes.
    make_private(folder)?;
    Ok(log)
}

/// What the folder says of itself, after holding the log's file against it; `None` where there is no store yet.
/// Changes nothing.
pub(crate) fn note(folder: &Path) -> Result<Option<Note>, OpenError> {
    let damaged = |why: &str| OpenError::Damaged { path: folder.to_owned(), why: why.to_owned() };
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io(folder, &error)),
        Ok(found) if !found.is_dir() => {
            let why = "it is a file. Name a folder inside the data folder.".to_owned();
            return Err(OpenError::Path { path: folder.to_owned(), why });
        }
        Ok(_) => {}
    }
    let text = match fs::read(folder.join(NOTE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return foreign(folder),
        Err(error) => return Err(OpenError::io(&folder.join(NOTE), &error)),
        Ok(text) => text,
    };
    // The version first: a newer note may have another form.
    #[derive(Deserialize)]
    struct Version {
        store: String,
        version: u32,
    }
    let unreadable = "its sequel.json is not readable. Restore a backup.";
    let version: Version = serde_json::from_slice(&text).map_err(|_| damaged(unreadable))?;
    if version.store != STORE {
        return Err(damaged("its sequel.json is of something else. Use another data folder."));
    }
    if version.version > VERSION {
        return Err(OpenError::Newer { path: folder.to_owned(), found: version.version, known: VERSION });
    }
    let note: Note = serde_json::from_slice(&text).map_err(|_| damaged(unreadable))?;
    if note.complete && fs::metadata(log_path(folder)).map_or(0, |log| log.len()) == 0 {
        return Err(damaged("its log (sled/db) is missing or empty. Restore a backup."));
    }
    Ok(Some(note))
}

/// A folder without a note: empty, or somebody else's.
fn foreign(folder: &Path) -> Result<Option<Note>, OpenError> {
    let refuse = |why: &str| OpenError::Damaged { path: folder.to_owned(), why: why.to_owned() };
    let mut entries = fs::read_dir(folder).map_err(|error| OpenError::io(folder, &error))?;
    // What is left of a note that was being written when the process died is nobody's.
    if entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == format!("{NOTE}.new").as_str())) {
        return Ok(None);
    }
    Err(if folder.join("conf").exists() && folder.join("db").exists() {
        refuse("it is a sled database of another program. Use another data folder.")
    } else {
        refuse("it is a folder of something else. Name a folder that is empty or not there.")
    })
}

/// Opens the log of a complete store, which no other handle may hold.
///
/// sled goes back to before the first damage near the log's end without a word. After a kill that is what makes a write
/// that was cut short harmless; after a close in order it is a loss, which the mark shows.
pub(crate) fn log(folder: &Path, cache_bytes: u64, note: &Note) -> Result<Open, Fault> {
    let log = sled_log(folder, cache_bytes)?;
    let damaged = |what: &str| Err(Fault::Damaged(what.to_owned()));
    match log.db.get(rows::FORMAT)? {
        Some(version) if *version == VERSION.to_be_bytes() => {}
        Some(_) => return damaged("its log is of another version than its sequel.json says"),
        None => return damaged("its log has lost its beginning"),
    }
    if note.closed_at.is_some() && marked(&log)? != note.closed_at {
        return damaged("its log has lost its end");
    }
    Ok(log)
}

/// Opens a log again that this process closed because it failed.
///
/// What a failed sync should have brought to the disk the operating system counts as there: it reads it back, and no
/// later sync sees to it. So every byte is written once more.
pub(crate) fn log_that_failed(folder: &Path, cache_bytes: u64) -> Result<Open, Fault> {
    write_again(&log_path(folder)).map_err(|error| Fault::Sled(error.into()))?;
    log(folder, cache_bytes, &Note::open())
}

fn write_again(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut bytes = vec![0; 1024 * 1024];
    let mut at = 0;
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            return file.sync_all();
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&bytes[..read])?;
        at += read as u64;
    }
}

fn sled_log(folder: &Path, cache_bytes: u64) -> Result<Open, Fault> {
    let config = sled::Config::new()
        .path(folder.join("sled"))
        .cache_capacity(cache_bytes)
        .mode(sled::Mode::LowSpace)
        // The writer flushes; nothing is left for a timer to do.
        .flush_every_ms(None);
    let failed = |error: io::Error| Fault::Sled(error.into());
    remove_unfinished_snapshots(&folder.join("sled")).map_err(failed)?;
    if log_path(folder).exists() {
        // What a process wrote that died before its sync can be read. sled would build on it, and make a snapshot of
        // it that outlives it.
        sync(&log_path(folder)).map_err(failed)?;
    }
    for attempt in 0.. {
        // sled holds a log against what it expects by panicking.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| Fault::Damaged("sled gave up on its log".to_owned()))?;
        let db = match opened {
            Err(error) if fault::is_held(&error) && attempt < LOCK_ATTEMPTS => {
                sleep(LOCK_PAUSE);
                continue;
            }
            opened => opened?,
        };
        let file = File::open(log_path(folder)).map_err(failed)?;
        // What recovery wrote; and sled syncs neither the file of its settings nor any name. The name of its new snapshot
        // comes first: what only that one does without is wiped from the log behind it, and a power loss that kept the
        // wiping and not the name would take what was acknowledged.
        for made in ["sled", "sled/db", "sled/conf", "sled", "."] {
            sync(&folder.join(made)).map_err(failed)?;
        }
        return Ok(Open { db, file });
    }
    unreachable!("the last attempt returns")
}

/// Removes what a process left that died while it made a snapshot. sled takes it for the newest one and gives up on the
/// whole log; the one before is removed only after the new one has its name.
fn remove_unfinished_snapshots(sled: &Path) -> io::Result<()> {
    if !sled.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(sled)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes the log's last word before it is closed; the answer goes into [`seal`] once it is on the disk.
pub(crate) fn mark(log: &Open) -> Result<u64, Fault> {
    let mark = marked(log)?.map_or(1, |mark| mark.wrapping_add(1));
    log.db.insert(rows::MARK, &mark.to_be_bytes())?;
    log.sync()?;
    Ok(mark)
}

fn marked(log: &Open) -> Result<Option<u64>, Fault> {
    Ok(log.db.get(rows::MARK)?.and_then(|mark| mark.as_ref().try_into().ok()).map(u64::from_be_bytes))
}

/// Notes that the log was closed in order, and what its last word is. Without that the store opens all the same.
pub(crate) fn seal(folder: &Path, mark: u64) {
    if let Err(error) = write_note(folder, &Note::new(true, Some(mark))) {
        tracing::debug!(%error, "the store is closed without a note of it");
    }
}

/// sled's file.
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join("sled").join("db")
}

fn make_folder(folder: &Path) -> Result<(), OpenError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(OpenError::io(folder, &error)),
        _ => Ok(()),
    }
}

fn remove_log(folder: &Path) -> Result<(), OpenError> {
    let path = folder.join("sled");
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OpenError::io(&path, &error)),
        _ => Ok(()),
    }
}

/// Brings a file, or a folder's names, to the disk.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces the note, so that a crash leaves the old one or the new one.
fn write_note(folder: &Path, note: &Note) -> Result<(), OpenError> {
    let (path, fresh) = (folder.join(NOTE), folder.join(format!("{NOTE}.new")));
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        sync(folder)
    };
    write().map_err(|error| OpenError::io(&path, &error))
}

/// Takes others' rights away from the folder and everything in it. sled makes its files with the umask's modes; what
/// keeps others from them until this has run is the folder's.
fn make_private(path: &Path) -> Result<(), OpenError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let refuse = |error: io::Error| OpenError::io(path, &error);
        let found = fs::symlink_metadata(path).map_err(refuse)?;
        if found.is_symlink() {
            return Ok(());
        }
        if found.permissions().mode() & 0o077 != 0 {
            let mode = if found.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(refuse)?;
        }
        if found.is_dir() {
            for entry in fs::read_dir(path).map_err(refuse)? {
                make_private(&entry.map_err(refuse)?.path())?;
            }
        }
    }
    Ok(())
}
