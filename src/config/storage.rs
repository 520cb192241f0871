//! `[storage]`: where Sequel keeps its own records.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind};
use super::secret::{Secret, redact_url};

/// The `[storage]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// `sqlite:PATH`, `sled:PATH` or `postgres://…`; empty: `sequel.db` in the data folder. It may carry a
    /// password, so that it is redacted wherever it is shown.
    pub url: Secret<String>,
    /// A file that holds the password for a Postgres URL without one; empty for none.
    pub password_file: PathBuf,
}

/// A store, by the kind of its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file at an absolute path.
    Sqlite(PathBuf),
    /// A sled folder at an absolute path.
    Sled(PathBuf),
    /// A Postgres database.
    Postgres {
        /// `postgres://…`, with its password where it has one.
        url: Secret<String>,
        /// The file with the password, where the URL has none.
        password_file: Option<PathBuf>,
    },
}

impl StoreLocation {
    /// The file or folder of an embedded store.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) | Self::Sled(path) => Some(path),
            Self::Postgres { .. } => None,
        }
    }
}

/// Without any secret.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) | Self::Sled(path) => write!(f, "{}", path.display()),
            Self::Postgres { url, .. } => f.write_str(&redact_url(url.expose())),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { url: Secret::new(String::new()), password_file: PathBuf::new() }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "storage.url",
        kind: Kind::Text {
            allowed: "empty, a SQLite file such as \"sqlite:/var/lib/sequel/sequel.db\", a sled folder such as \
                      \"sled:sequel.sled\", or a database such as \"postgres://sequel@db.example.com/sequel\"",
            check: is_storage_url,
        },
        secret: true,
    },
    Key { path: "storage.password_file", kind: Kind::Path, secret: false },
];

impl Storage {
    /// Where the store is; relative paths are taken from the data folder.
    pub fn location(&self, data_dir: &Path) -> StoreLocation {
        let url = self.url.expose();
        match url.split_once(':') {
            Some(("sled", path)) => StoreLocation::Sled(data_dir.join(path)),
            Some(("sqlite", path)) => StoreLocation::Sqlite(data_dir.join(path)),
            Some(("postgres" | "postgresql", _)) => {
                let password_file = Some(&self.password_file).filter(|file| !file.as_os_str().is_empty());
                StoreLocation::Postgres { url: self.url.clone(), password_file: password_file.cloned() }
            }
            _ => StoreLocation::Sqlite(data_dir.join("sequel.db")),
        }
    }
}

fn is_storage_url(text: &str) -> bool {
    // `//` and `?` belong to URI forms that would quietly mean something else here.
    let is_path = |path: &str| {
        !path.is_empty() && !path.starts_with("//") && !path.contains('?') && !path.ends_with('/')
    };
    match text.split_once(':') {
        None => text.is_empty(),
        Some(("sqlite" | "sled", path)) => is_path(path),
        // What stands in it is for the backend to say; a host there must be, since nothing is guessed.
        Some(("postgres" | "postgresql", _)) => url::Url::parse(text).is_ok_and(|url| url.has_host()),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> StoreLocation {
        Storage { url: Secret::new(url.to_owned()), ..Storage::default() }.location(Path::new("/data"))
    }

    #[test]
    fn a_relative_store_lies_in_the_data_folder() {
        let (sqlite, sled) = (StoreLocation::Sqlite, StoreLocation::Sled);
        assert_eq!(location(""), sqlite("/data/sequel.db".into()));
        assert_eq!(location("sqlite:other.db"), sqlite("/data/other.db".into()));
        assert_eq!(location("sqlite:/srv/s.db"), sqlite("/srv/s.db".into()));
        assert_eq!(location("sled:sequel.sled"), sled("/data/sequel.sled".into()));
        assert_eq!(location("sled:/srv/s"), sled("/srv/s".into()));
    }

    #[test]
    fn a_database_is_shown_without_its_password() {
        let database = location("postgres://sequel:hunter2@db/sequel");
        assert!(matches!(database, StoreLocation::Postgres { password_file: None, .. }));
        assert!(database.path().is_none());
        assert!(!format!("{database} {database:?}").contains("hunter2"));
    }

    #[test]
    fn storage_of_an_unknown_kind_is_refused() {
        for bad in [
            "mysql://h/db",
            "postgres:",
            "postgres:db",
            "postgres:///db",
            "sqlite:",
            "sled:",
            "sqlite:///x",
            "sled://x",
            "/x.db",
            "sqlite:x?mode=ro",
            "sqlite:/folder/",
        ] {
            assert!(!is_storage_url(bad), "{bad}");
        }
        for good in
            ["", "sqlite:x", "sled:/x", "postgres://h/db", "postgresql://u:p@h:5433/db?sslmode=require"]
        {
            assert!(is_storage_url(good), "{good}");
        }
    }
}
