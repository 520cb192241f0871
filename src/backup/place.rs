//! Backups as files: written beside their place, moved there when they are whole; read through their seal, if any.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::format::{Decoder, FIRST_LINE_MAX, Item, MAGIC};
use super::seal::{self, Opener};
use super::{BackupError, Passphrase};

/// A file that is being written at `PATH.part`, readable by its owner alone. Dropped without [`NewFile::keep`] it goes.
pub struct NewFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
    force: bool,
    kept: bool,
}

impl NewFile {
    /// Begins. [`BackupError::Exists`] where the file is there already, unless `force` replaces it at the end.
    pub fn create(path: &Path, force: bool) -> Result<Self, BackupError> {
        refuse_existing(path, force)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let failed = |source| BackupError::File { path: part.clone(), what: "written", source };
        // A link that somebody laid there would lead the backup, and its truncation, elsewhere; a pipe would be waited
        // for.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(&part);
        let file = file.map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !is_own(&found) {
            return Err(failed(io::Error::other(
                "it is there already, and not of this user alone; remove it",
            )));
        }
        // What a crash left behind is nobody's; what another command writes is locked, or was just moved away.
        let mine = file.try_lock().is_ok() && inode(&part).is_ok_and(|inode| inode == found.ino());
        if !mine {
            return Err(failed(io::Error::other("another command is writing it")));
        }
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        Ok(Self { file, part, path: path.to_owned(), force, kept: false })
    }

    /// What a failure to write it is told as.
    pub fn failed(&self, source: io::Error) -> BackupError {
        BackupError::File { path: self.part.clone(), what: "written", source }
    }

    /// Makes it durable and moves it to its place.
    pub fn keep(mut self) -> Result<(), BackupError> {
        self.file.sync_all().map_err(|error| self.failed(error))?;
        refuse_existing(&self.path, self.force)?;
        self.take_its_place()?;
        self.kept = true;
        // The name is durable with its folder.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        folder.map_err(|error| self.failed(error))
    }

    /// Without `force` also a file that appeared a moment ago stays, where the file system can promise that.
    fn take_its_place(&self) -> Result<(), BackupError> {
        let flags = if self.force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match rustix::fs::renameat_with(CWD, &self.part, CWD, &self.path, flags) {
            Err(Errno::EXIST) => Err(BackupError::Exists(self.path.clone())),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                std::fs::rename(&self.part, &self.path).map_err(|error| self.failed(error))
            }
            moved => moved.map_err(|error| self.failed(error.into())),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is in nobody's way: the next backup writes over it.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn refuse_existing(path: &Path, force: bool) -> Result<(), BackupError> {
    match std::fs::symlink_metadata(path) {
        // A device, a pipe or a folder would be replaced, not written to.
        Ok(found) if !found.is_file() && !found.is_symlink() => Err(BackupError::NoFile(path.to_owned())),
        Ok(_) if !force => Err(BackupError::Exists(path.to_owned())),
        _ => Ok(()),
    }
}

/// Whether a file is of nobody but this user: whoever owns it, or has it under another name, reads along.
fn is_own(found: &Metadata) -> bool {
    found.is_file() && found.nlink() == 1 && found.uid() == rustix::process::geteuid().as_raw()
}

fn inode(path: &Path) -> io::Result<u64> {
    std::fs::metadata(path).map(|found| found.ino())
}

/// A file with a backup in it, to be read from its beginning as often as is wanted: the same one each time, whatever
/// becomes of its name.
pub struct BackupFile {
    file: Arc<File>,
    passphrase: Option<Passphrase>,
}

impl BackupFile {
    /// Opens it. [`BackupError::NoFile`] where it is something that can be read once at most.
    pub fn open(path: &Path, passphrase: Option<Passphrase>) -> Result<Self, BackupError> {
        let failed = |source| BackupError::File { path: path.to_owned(), what: "read", source };
        // A pipe to which nobody writes would be waited for.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(BackupError::NoFile(path.to_owned()));
        }
        Ok(Self { file: Arc::new(file), passphrase })
    }

    /// Begins to read it, through its seal where it has one.
    pub fn read(&self) -> Result<Backup, BackupError> {
        let mut file = FromStart { file: Arc::clone(&self.file), at: 0 };
        let mut begin = Vec::new();
        (&mut file).take(FIRST_LINE_MAX as u64).read_to_end(&mut begin).map_err(BackupError::Read)?;
        let sealed = begin.starts_with(seal::MAGIC);
        file.at = 0;
        let bytes = match &self.passphrase {
            None if sealed => return Err(BackupError::NeedsPassphrase),
            Some(_) if begin.starts_with(MAGIC) => return Err(BackupError::NotEncrypted),
            Some(passphrase) if sealed => Bytes::Sealed(Box::new(Opener::begin(file, passphrase)?)),
            _ => Bytes::Plain(file),
        };
        Ok(Backup { bytes, decoder: Decoder::default() })
    }
}

/// A file that others may read at the same time.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A backup that is being read.
pub struct Backup {
    bytes: Bytes,
    decoder: Decoder,
}

enum Bytes {
    Plain(FromStart),
    Sealed(Box<Opener<FromStart>>),
}

impl Backup {
    /// The next item; `None` once the end was read and nothing follows it. Blocks on the file.
    pub fn item(&mut self) -> Result<Option<Item>, BackupError> {
        loop {
            if let Some(item) = self.decoder.item()? {
                return Ok(Some(item));
            }
            let piece = match &mut self.bytes {
                Bytes::Plain(file) => {
                    let mut piece = Vec::with_capacity(64 * 1024);
                    file.take(64 * 1024).read_to_end(&mut piece).map_err(BackupError::Read)?;
                    piece
                }
                Bytes::Sealed(opener) => opener.chunk()?,
            };
            if piece.is_empty() {
                return std::mem::take(&mut self.decoder).finish().map(|()| None);
            }
            self.decoder.push(&piece);
        }
    }
}
