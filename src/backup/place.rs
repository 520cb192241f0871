//! Backups as files: written beside their place, moved there when they are whole; read through their seal, if any.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
        // A link that somebody laid there would lead the backup, and its truncation, elsewhere.
        let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nofollow)
            .open(&part);
        let file = file.map_err(failed)?;
        // What a crash left behind is nobody's; what another command writes is locked, or was just moved away.
        let mine = file.try_lock().is_ok() && inode(&part).ok() == file.metadata().map(|m| m.ino()).ok();
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
        std::fs::rename(&self.part, &self.path).map_err(|error| self.failed(error))?;
        self.kept = true;
        // The name is durable with its folder.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        folder.map_err(|error| self.failed(error))
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
        Ok(found) if !force || found.is_dir() => Err(BackupError::Exists(path.to_owned())),
        _ => Ok(()),
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    std::fs::metadata(path).map(|found| found.ino())
}

/// A backup that is read from its file.
pub struct Backup {
    bytes: Bytes,
    decoder: Decoder,
}

enum Bytes {
    Plain(Box<dyn Read + Send>),
    Sealed(Box<Opener<Box<dyn Read + Send>>>),
}

/// Opens a backup, through its seal where it has one.
pub fn open_backup(path: &Path, passphrase: Option<&Passphrase>) -> Result<Backup, BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), what: "read", source };
    let mut file = File::open(path).map_err(failed)?;
    let mut begin = Vec::new();
    (&mut file).take(FIRST_LINE_MAX as u64).read_to_end(&mut begin).map_err(failed)?;
    let sealed = begin.starts_with(seal::MAGIC);
    if !sealed && begin.starts_with(MAGIC) && passphrase.is_some() {
        return Err(BackupError::NotEncrypted);
    }
    let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(begin).chain(file));
    let bytes = match passphrase {
        None if sealed => return Err(BackupError::NeedsPassphrase),
        Some(passphrase) if sealed => Bytes::Sealed(Box::new(Opener::begin(whole, passphrase)?)),
        _ => Bytes::Plain(whole),
    };
    Ok(Backup { bytes, decoder: Decoder::default() })
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
