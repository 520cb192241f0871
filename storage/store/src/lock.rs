//! The operating system's lock beside a store, and the note inside it that says who holds it.
//!
//! Owns the file `PATH.lock`. It knows nothing of what is stored. The lock belongs to the open file,
//! so it ends with the process however that dies; what a crash leaves behind is a stale note, never
//! a stale lock. The file itself is never deleted: a starter that had opened the old file would
//! then hold a lock that nobody else can see.
//!
//! **Invariant:** two processes never hold one store (`a_second_holder_is_refused_by_name`).

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::OpenError;

/// A probe holds a shared lock for a few microseconds, so whoever finds the lock taken asks again:
/// 20 × 10 ms outlasts any number of probes, and a refusal still comes within a blink.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// What a process does with the store it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `sequel serve` or `sequel demo`.
    Serve,
    /// One command of the command line.
    Command,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Serve => "serving",
            Role::Command => "running a command",
        })
    }
}

/// Who holds a store: the JSON object inside the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// What it does.
    pub role: Role,
    /// Where a server listens for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_socket: Option<PathBuf>,
}

impl Holder {
    /// This process, as a server that the command line reaches at `admin_socket`.
    pub fn serving(admin_socket: Option<PathBuf>) -> Self {
        Self { pid: std::process::id(), role: Role::Serve, admin_socket }
    }

    /// This process, for the length of one command.
    pub fn command() -> Self {
        Self { pid: std::process::id(), role: Role::Command, admin_socket: None }
    }
}

/// The lock on one store, held until it is dropped.
#[derive(Debug)]
pub struct StoreLock {
    file: File,
}

impl StoreLock {
    /// Takes the lock of the store at `store_path`, whose folder must exist, and notes `holder` in it.
    ///
    /// Blocks for at most 200 ms. [`OpenError::Locked`] where another process holds it,
    /// [`OpenError::Path`] where the lock file cannot be opened or written, [`OpenError::Full`].
    pub fn acquire(store_path: &Path, holder: &Holder) -> Result<Self, OpenError> {
        let path = lock_path(store_path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(|error| OpenError::io(&path, &error))?;
        for attempt in 0.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let holder = read_note(&mut file)
                        .map(|holder| format!(" (pid {}, {})", holder.pid, holder.role))
                        .unwrap_or_default();
                    return Err(OpenError::Locked { path: store_path.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => return Err(OpenError::io(&path, &error)),
            }
        }
        write_note(&mut file, holder).map_err(|error| OpenError::io(&path, &error))?;
        Ok(Self { file })
    }

    /// Who holds the store at `store_path` now; `None` where nobody does, whatever a crash left behind.
    ///
    /// [`OpenError::Path`] where the lock file is there and cannot be read.
    pub fn holder(store_path: &Path) -> Result<Option<Holder>, OpenError> {
        let path = lock_path(store_path);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::io(&path, &error)),
        };
        for _ in 0..ATTEMPTS {
            match file.try_lock_shared() {
                // Closing the file on return gives the shared lock back.
                Ok(()) => return Ok(None),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(OpenError::io(&path, &error)),
            }
            if let Some(holder) = read_note(&mut file) {
                return Ok(Some(holder));
            }
            // Locked and not yet noted: its holder is between the two.
            sleep(PAUSE);
        }
        Err(OpenError::Path {
            path,
            why: "it is locked and does not say by whom. Stop the Sequel process that uses this data folder."
                .into(),
        })
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // An emptied note is a courtesy to whoever looks inside; the lock ends with the file either way.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// `PATH.lock`, beside what a symbolic link leads to, so that two names of one store share a lock.
fn lock_path(store_path: &Path) -> PathBuf {
    let mut path =
        std::fs::canonicalize(store_path).unwrap_or_else(|_| store_path.to_owned()).into_os_string();
    path.push(".lock");
    path.into()
}

fn read_note(file: &mut File) -> Option<Holder> {
    let mut note = Vec::new();
    file.rewind().ok()?;
    // A note is a pid, a word and one path: 64 KiB is far beyond any of them.
    file.take(64 * 1024).read_to_end(&mut note).ok()?;
    serde_json::from_slice(&note).ok()
}

fn write_note(file: &mut File, holder: &Holder) -> io::Result<()> {
    let note = serde_json::to_vec(holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&note)
}
