//! The master key, and what is sealed under it.
//!
//! Owns the form of keys and of sealed texts (AES-256-GCM, a random nonce of 96 bits each), where the key is kept, and
//! how one key follows another. Knows nothing of what is sealed: whoever seals names the place that the text belongs to,
//! and in another place it does not open.
//!
//! A key is named by the first eight digits of a digest of it, so that a text says which key it wants. A random nonce
//! under one key is safe for some 2³² texts.
//!
//! **Invariants:** a text that was moved, changed or sealed under another key does not open
//! (`a_sealed_text_opens_in_its_own_place_alone`); a key file is readable by its owner alone, and is whole at every moment
//! (`the_first_start_makes_a_key_that_only_its_owner_reads`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::RwLock;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::context::{Rng, RngError};

const KEY_BYTES: usize = 32;
/// Most bytes of a key file: some dozens of keys.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A text that only the vault opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which master key it wants.
    pub key: String,
    /// Nonce and ciphertext in base64.
    pub text: String,
}

/// What goes wrong with keys and sealed texts. No message holds a secret.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The file cannot be used; a sentence that says what to do.
    #[error("{0}")]
    File(String),
    /// The key that a text wants is not here.
    #[error(
        "it is sealed under the master key {wanted}, which this server does not have (it has {has}); put that key back \
         (secrets.key_file, secrets.former_keys), or enter the secret anew"
    )]
    OtherKey {
        /// The key that it wants.
        wanted: String,
        /// The key that there is.
        has: String,
    },
    /// The key is right and the text is not.
    #[error("what is stored of it was changed or belongs elsewhere; enter the secret anew")]
    Damaged,
    /// Nothing secret can be made.
    #[error(transparent)]
    Random(#[from] RngError),
}

/// Where the master key comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file, which is made where there is none.
    File(PathBuf),
    /// Given by the configuration: the key, and former ones with blanks between them.
    Given {
        /// The key that is sealed under.
        key: String,
        /// Keys that texts may still be sealed under.
        former: String,
    },
}

struct MasterKey {
    id: String,
    // In base64, as it stands in the file.
    written: String,
    key: LessSafeKey,
}

/// The master key and those before it.
pub struct Vault {
    // The first one seals. Never empty.
    keys: RwLock<Vec<MasterKey>>,
    // Where they are kept; `None` where the configuration gives them.
    file: Option<PathBuf>,
}

/// Whether a text is a key.
pub fn is_key(text: &str) -> bool {
    MasterKey::read(text).is_some()
}

impl MasterKey {
    fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok().filter(|bytes| bytes.len() == KEY_BYTES)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        let named = digest(&SHA256, &[b"sequel master key".as_slice(), &bytes].concat());
        let id = named.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self { id, written: text.trim().to_owned(), key })
    }

    fn make(rng: &Rng) -> Result<Self, VaultError> {
        let bytes: [u8; KEY_BYTES] = rng.bytes()?;
        Self::read(&STANDARD.encode(bytes)).ok_or(VaultError::Damaged)
    }
}

impl Vault {
    /// Takes the key from where it is kept; makes one where a file is named and not there. Blocks.
    pub fn open(from: KeySource, rng: &Rng) -> Result<Self, VaultError> {
        match from {
            KeySource::Given { key, former } => {
                let texts = std::iter::once(key.as_str()).chain(former.split_whitespace());
                let keys: Option<Vec<_>> = texts.map(MasterKey::read).collect();
                let keys = keys.ok_or_else(|| {
                    VaultError::File("secrets.key is no master key: write 32 bytes in base64.".to_owned())
                })?;
                Ok(Self { keys: RwLock::new(keys), file: None })
            }
            KeySource::File(path) => {
                let keys = match read_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let keys = vec![MasterKey::make(rng)?];
                        write_file(&path, &keys, Replace::No).map_err(|error| unwritable(&path, &error))?;
                        tracing::debug!(key = keys[0].id, file = %path.display(), "a master key was made; back it up apart");
                        keys
                    }
                    read => parsed(&path, read)?,
                };
                Ok(Self { keys: RwLock::new(keys), file: Some(path) })
            }
        }
    }

    /// With a key that nobody keeps, for tests and for what lives no longer than the process.
    pub fn fleeting(rng: &Rng) -> Result<Self, VaultError> {
        Ok(Self { keys: RwLock::new(vec![MasterKey::make(rng)?]), file: None })
    }

    /// Seals a text for a place.
    pub fn seal(&self, rng: &Rng, place: &str, text: &[u8]) -> Result<Sealed, VaultError> {
        let nonce: [u8; NONCE_LEN] = rng.bytes()?;
        let keys = self.keys.read();
        let mut bytes = text.to_vec();
        let sealing = Nonce::assume_unique_for_key(nonce);
        let sealed = keys[0].key.seal_in_place_append_tag(sealing, Aad::from(place.as_bytes()), &mut bytes);
        sealed.map_err(|_| VaultError::Damaged)?;
        Ok(Sealed { key: keys[0].id.clone(), text: STANDARD.encode([&nonce[..], &bytes].concat()) })
    }

    /// Opens a text in its place.
    pub fn unseal(&self, place: &str, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        let keys = self.keys.read();
        let Some(key) = keys.iter().find(|key| key.id == sealed.key) else {
            let wanted = sealed.key.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
            return Err(VaultError::OtherKey { wanted, has: keys[0].id.clone() });
        };
        let mut bytes = STANDARD.decode(&sealed.text).map_err(|_| VaultError::Damaged)?;
        let (nonce, body) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(VaultError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Damaged)?;
        let opened = key.key.open_in_place(nonce, Aad::from(place.as_bytes()), body);
        Ok(opened.map_err(|_| VaultError::Damaged)?.to_vec())
    }

    /// Whether a text is sealed under the key that seals now.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        self.keys.read()[0].id == sealed.key
    }

    /// The key that seals now.
    pub fn current(&self) -> String {
        self.keys.read()[0].id.clone()
    }

    /// Makes a new key and seals under it from now on; the former one still opens, until it is forgotten. Where that was
    /// not done yet, the key of now goes on; where the configuration gives the keys, whoever wrote it has chosen the new
    /// one already. Blocks.
    pub fn rotate(&self, rng: &Rng) -> Result<(), VaultError> {
        let Some(path) = &self.file else { return Ok(()) };
        let made = MasterKey::make(rng)?;
        let mut keys = self.keys.write();
        if keys.len() > 1 {
            // One that was begun and not finished goes on.
            return Ok(());
        }
        keys.insert(0, made);
        // Written before anything is sealed under it. Where that fails, the key that is written down goes on.
        if let Err(error) = write_file(path, &keys, Replace::Yes) {
            keys.remove(0);
            return Err(unwritable(path, &error));
        }
        Ok(())
    }

    /// Forgets the former keys: nothing is sealed under them any more. Blocks.
    pub fn forget_former(&self) -> Result<(), VaultError> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut keys = self.keys.write();
        write_file(path, &keys[..1], Replace::Yes).map_err(|error| unwritable(path, &error))?;
        keys.truncate(1);
        Ok(())
    }

    /// Whether the configuration gives the keys, so that they are forgotten there.
    pub fn is_given(&self) -> bool {
        self.file.is_none()
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.current())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> VaultError {
    VaultError::File(format!(
        "The master key cannot be written to {} ({error}). Make its folder writable for the server's user, or name \
         another file in secrets.key_file.",
        path.display()
    ))
}

fn read_file(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("it is no file with a key"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(io::Error::other("others may read it; run \"chmod 600\" on it, and rotate the key"));
    }
    io::read_to_string(file)
}

fn parsed(path: &Path, read: io::Result<String>) -> Result<Vec<MasterKey>, VaultError> {
    let refuse = |why: &str| {
        VaultError::File(format!(
            "The master key in {} cannot be used: {why}. Put the right file back. Without it the passwords of data \
             sources are lost and have to be entered anew; remove the file to begin with a new key.",
            path.display()
        ))
    };
    let text = read.map_err(|error| refuse(&error.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Option<Vec<_>> = lines.map(MasterKey::read).collect();
    match keys {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(refuse("a line of it is no key, or there is none")),
    }
}

#[derive(PartialEq)]
enum Replace {
    Yes,
    No,
}

/// Writes the keys beside the file and then in its place, so that no crash leaves half of it.
fn write_file(path: &Path, keys: &[MasterKey], replace: Replace) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside = folder.join(format!(".{name}.new"));
    let mut text = String::from(
        "# Sequel's master key: the passwords of data sources are sealed under the first one. Keep a copy apart from \
         backups.\n",
    );
    for key in keys {
        text.push_str(&key.written);
        text.push('\n');
    }
    // What a crash left is nobody's.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if replace == Replace::Yes {
        fs::rename(&beside, path)?;
    } else {
        // A link takes no name that is taken: of two first starts one makes the key.
        let linked = fs::hard_link(&beside, path);
        fs::remove_file(&beside)?;
        linked?;
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_sealed_text_opens_in_its_own_place_alone() {
        let rng = Rng::system();
        let vault = Vault::fleeting(&rng).unwrap();
        let sealed = vault.seal(&rng, "org a", b"hunter2").unwrap();
        assert_eq!(vault.unseal("org a", &sealed).unwrap(), b"hunter2");
        assert!(!format!("{sealed:?} {vault:?}").contains("hunter2"));
        assert!(matches!(vault.unseal("org b", &sealed), Err(VaultError::Damaged)));
        let mut bytes = STANDARD.decode(&sealed.text).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            let changed = Sealed { text: STANDARD.encode(&bytes), ..sealed.clone() };
            assert!(matches!(vault.unseal("org a", &changed), Err(VaultError::Damaged)));
            bytes[at] ^= 1;
        }
        for text in ["", "AAAA", "no base64 …"] {
            let cut = Sealed { text: text.to_owned(), ..sealed.clone() };
            assert!(matches!(vault.unseal("org a", &cut), Err(VaultError::Damaged)));
        }
        let other = Vault::fleeting(&rng).unwrap();
        let error = other.unseal("org a", &sealed).unwrap_err().to_string();
        assert!(error.contains(&sealed.key) && error.contains("enter the secret anew"), "{error}");
        let again = vault.seal(&rng, "org a", b"hunter2").unwrap();
        assert_ne!(again.text, sealed.text);
    }

    #[test]
    fn the_first_start_makes_a_key_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let rng = Rng::system();
        let open = || Vault::open(KeySource::File(path.clone()), &rng);
        let sealed = open().unwrap().seal(&rng, "p", b"x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open().unwrap().unseal("p", &sealed).unwrap(), b"x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(open().unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for damaged in ["", "# nothing\n", "AAAA\n", "\u{0}\n"] {
            fs::write(&path, damaged).unwrap();
            let error = open().unwrap_err().to_string();
            assert!(error.contains("have to be entered anew"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(open().unwrap().unseal("p", &sealed), Err(VaultError::OtherKey { .. })));
    }

    #[test]
    fn a_key_that_follows_opens_what_was_sealed_until_the_former_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let rng = Rng::system();
        let vault = Vault::open(KeySource::File(path.clone()), &rng).unwrap();
        let before = vault.seal(&rng, "p", b"x").unwrap();
        // What a crash left beside it is in nobody's way.
        fs::write(folder.path().join(".master.key.new"), "half").unwrap();
        vault.rotate(&rng).unwrap();
        let after = vault.seal(&rng, "p", b"x").unwrap();
        assert!(!vault.is_current(&before) && vault.is_current(&after));
        let reopened = Vault::open(KeySource::File(path.clone()), &rng).unwrap();
        for sealed in [&before, &after] {
            assert_eq!(reopened.unseal("p", sealed).unwrap(), b"x");
        }
        reopened.forget_former().unwrap();
        assert!(matches!(reopened.unseal("p", &before), Err(VaultError::OtherKey { .. })));
        assert_eq!(Vault::open(KeySource::File(path), &rng).unwrap().unseal("p", &after).unwrap(), b"x");
    }

    #[test]
    fn keys_that_are_given_are_read_and_left_alone() {
        let rng = Rng::system();
        let [new, old] = [[1; 32], [2; 32]].map(|bytes| STANDARD.encode(bytes));
        let given = |key: &str, former: &str| {
            Vault::open(KeySource::Given { key: key.to_owned(), former: former.to_owned() }, &rng)
        };
        let sealed = given(&old, "").unwrap().seal(&rng, "p", b"x").unwrap();
        let both = given(&new, &old).unwrap();
        assert_eq!(both.unseal("p", &sealed).unwrap(), b"x");
        both.rotate(&rng).unwrap();
        assert!(both.is_given() && !both.is_current(&sealed));
        assert!(given("short", "").is_err() && given(&new, "short").is_err());
        assert!(is_key(&new) && !is_key("") && !is_key("AAAA"));
    }
}
