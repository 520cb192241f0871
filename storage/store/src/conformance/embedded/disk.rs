//! A folder whose disk a test commands: builds `disk.c` and speaks to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder for a store, and what stands beside it: the preloaded library, its journal, its control file.
pub(super) struct Disk {
    folder: TempDir,
}

impl Disk {
    /// A fresh folder; compiles the library.
    pub(super) fn new() -> Self {
        let disk = Self { folder: tempfile::tempdir().expect("a folder") };
        build(disk.folder.path());
        std::fs::create_dir(disk.root()).expect("a writable folder");
        disk
    }

    /// Where the store is.
    pub(super) fn root(&self) -> PathBuf {
        // As the kernel calls it: the library compares paths.
        std::fs::canonicalize(self.folder.path()).expect("a folder that is there").join("store")
    }

    /// What the library wrote down.
    pub(super) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The file that says how the disk is.
    fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    /// Puts the library before everything that the process calls. `kill` is as `disk.c` reads it.
    pub(super) fn preload(&self, command: &mut Command, journal: bool, kill: Option<&str>) {
        command.env("LD_PRELOAD", self.folder.path().join("disk.so"));
        command.env("SEQUEL_DISK_ROOT", self.root()).env("SEQUEL_DISK_CONTROL", self.control());
        if journal {
            command.env("SEQUEL_DISK_JOURNAL", self.journal());
        }
        if let Some(kill) = kill {
            command.env("SEQUEL_DISK_KILL", kill);
        }
    }

    /// How the disk is from now on, in a word of `disk.c`.
    pub(super) fn set(&self, mood: &str) {
        set(&self.control(), mood);
    }
}

/// The disk of this process, where it is a child whose disk is commanded.
pub(super) struct OwnDisk {
    root: PathBuf,
    control: PathBuf,
}

impl OwnDisk {
    /// Panics where nothing is preloaded: a test would then prove nothing.
    pub(super) fn here() -> Self {
        let path = |name| PathBuf::from(std::env::var_os(name).expect("a commanded disk"));
        Self { root: path("SEQUEL_DISK_ROOT"), control: path("SEQUEL_DISK_CONTROL") }
    }

    /// Where the store is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The same disk, and a folder inside it for a store of its own.
    pub(super) fn inside(&self, name: &str) -> Self {
        let root = self.root.join(name);
        std::fs::create_dir(&root).expect("a fresh folder");
        Self { root, control: self.control.clone() }
    }

    /// How the disk is from now on, in a word of `disk.c`; the empty one for well.
    pub(super) fn set(&self, mood: &str) {
        set(&self.control, mood);
    }
}

/// Compiles the library into a folder; where it is. For tests that preload it into somebody else's program.
pub fn build(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("disk.c"), folder.join("disk.so"));
    std::fs::write(&source, include_str!("disk.c")).expect("a writable folder");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(&source)
        .args(["-ldl", "-lpthread"])
        .output();
    let built =
        built.unwrap_or_else(|error| panic!("{compiler} does not run, and these tests need it: {error}"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

/// Writes into a control file how the disk is from now on, in a word of `disk.c`; the empty one for well.
pub fn set(control: &Path, mood: &str) {
    // Replaced, so that nobody reads half of it.
    let fresh = control.with_extension("new");
    std::fs::write(&fresh, mood).and_then(|()| std::fs::rename(&fresh, control)).expect("a writable folder");
}
