//! `[admin]`: the unix socket that the command line talks to a running server through, and where it
//! lies when the data folder's path is too long for a socket's name.

use std::path::{Path, PathBuf};

use ring::digest;
use serde::{Deserialize, Serialize};

use super::Config;
use super::error::ConfigError;
use super::key::{Key, Kind};

/// Longest path of a unix socket in bytes, without the closing NUL: `sockaddr_un.sun_path` has 108
/// bytes on Linux and 104 on macOS and the BSDs.
pub const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The `[admin]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The socket; empty: `admin.sock` in the data folder, or a short path beneath the runtime or
    /// temporary folder where that would be too long.
    pub socket: PathBuf,
}

pub(super) const KEYS: &[Key] = &[Key { path: "admin.socket", kind: Kind::Path, secret: false }];

impl Admin {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bytes = self.socket.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(ConfigError::Contradiction(format!(
                "admin.socket is {bytes} bytes long, but this system allows {SOCKET_PATH_BYTES_MAX} for a \
                 socket's path; choose a shorter one, or leave it empty and Sequel finds one.",
            )));
        }
        Ok(())
    }
}

/// The admin socket of a configuration: always the same for the same data folder, and never longer
/// than the system allows.
///
/// A short path that stands in for a long one lies in a folder of its own beneath the user's runtime
/// folder or the temporary folder. [`prepare_socket_folder`] makes that folder before it is used.
pub fn admin_socket_path(config: &Config) -> PathBuf {
    if !config.admin.socket.as_os_str().is_empty() {
        return config.admin.socket.clone();
    }
    // The environment is asked here because both folders are the system's word, not settings.
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    socket_beside(&config.data_dir, runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]))
}

fn socket_beside(data_dir: &Path, short: impl IntoIterator<Item = PathBuf>) -> PathBuf {
    let fits = |path: &PathBuf| path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX;
    let beside = data_dir.join("admin.sock");
    if fits(&beside) {
        return beside;
    }
    // 64 bits of the digest tell data folders apart; the folder's owner is checked before use.
    let digest = digest::digest(&digest::SHA256, data_dir.as_os_str().as_encoded_bytes());
    let name: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let short = short.into_iter().map(|folder| folder.join(format!("sequel-{name}")).join("admin.sock"));
    short.into_iter().find(fits).unwrap_or(beside)
}

/// Makes sure that the folder of a socket exists and, where it is not the data folder itself, that
/// it belongs to this user and nobody else may enter it (mode 0700). The error is one sentence.
pub fn prepare_socket_folder(config: &Config, socket: &Path) -> Result<(), String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let Some(folder) = socket.parent().filter(|folder| *folder != config.data_dir) else { return Ok(()) };
    if !config.admin.socket.as_os_str().is_empty() {
        return match folder.is_dir() {
            true => Ok(()),
            false => {
                Err(format!("the folder of admin.socket, {}, does not exist: make it.", folder.display()))
            }
        };
    }
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!(
                "cannot make the folder {} for the admin socket: {error}.",
                folder.display()
            ));
        }
        _ => {}
    }
    // Anybody may make names in a temporary folder: what is there must be a real folder of ours.
    let found = std::fs::symlink_metadata(folder).map_err(|error| {
        format!("cannot look at the folder {} for the admin socket: {error}.", folder.display())
    })?;
    let ours =
        found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
    if ours {
        Ok(())
    } else {
        Err(format!(
            "the folder {} for the admin socket is not this user's alone: remove it, or set admin.socket to a \
             path of your own.",
            folder.display(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long() -> PathBuf {
        PathBuf::from(format!("/{}", "d".repeat(200)))
    }

    #[test]
    fn the_socket_lies_in_the_data_folder_while_its_path_fits() {
        let fits = PathBuf::from(format!("/{}", "d".repeat(SOCKET_PATH_BYTES_MAX - "//admin.sock".len())));
        let short = || [PathBuf::from("/run/user/1")];
        assert_eq!(socket_beside(&fits, short()), fits.join("admin.sock"));
        assert!(socket_beside(&fits.join("x"), short()).starts_with("/run/user/1"));
    }

    #[test]
    fn a_long_data_folder_has_one_short_socket_of_its_own() {
        let short = || [PathBuf::from("/run/user/1")];
        let socket = socket_beside(&long(), short());
        assert_eq!(socket, socket_beside(&long(), short()));
        assert_ne!(socket, socket_beside(&long().join("other"), short()));
        assert!(socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
    }

    #[test]
    fn a_runtime_folder_that_is_itself_too_long_is_passed_over() {
        let socket = socket_beside(&long(), [long(), PathBuf::from("/tmp")]);
        assert!(socket.starts_with("/tmp"));
    }

    #[test]
    fn a_socket_can_be_bound_at_the_longest_path() {
        let folder = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
        let room = SOCKET_PATH_BYTES_MAX - folder.path().as_os_str().len() - 1;
        let path = folder.path().join("s".repeat(room));
        std::os::unix::net::UnixListener::bind(&path).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: long(), ..Config::default() };
        let own = folder.path().join("own");
        prepare_socket_folder(&config, &own.join("admin.sock")).unwrap();
        prepare_socket_folder(&config, &own.join("admin.sock")).unwrap();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
        let refused = prepare_socket_folder(&config, &own.join("admin.sock")).unwrap_err();
        assert!(refused.contains("not this user's alone"), "{refused}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(prepare_socket_folder(&config, &link.join("admin.sock")).is_err());
    }
}
