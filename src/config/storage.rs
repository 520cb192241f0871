//! `[storage]`: where Sequel keeps its own records.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind};
use super::secret::Secret;

/// The `[storage]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// `sqlite:PATH`; empty: `sequel.db` in the data folder. Other schemes may carry a password, so
    /// that it is redacted wherever it is shown.
    pub url: Secret<String>,
}

/// A store, by the kind of its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file at an absolute path.
    Sqlite(PathBuf),
}

impl Default for Storage {
    fn default() -> Self {
        Self { url: Secret::new(String::new()) }
    }
}

pub(super) const KEYS: &[Key] = &[Key {
    path: "storage.url",
    kind: Kind::Text {
        allowed: "empty, or a SQLite file such as \"sqlite:/var/lib/sequel/sequel.db\" \
                  (the only kind of storage in this version)",
        check: is_storage_url,
    },
    secret: true,
}];

impl Storage {
    /// Where the store is; relative paths are taken from the data folder.
    pub fn location(&self, data_dir: &Path) -> StoreLocation {
        let path = self.url.expose().strip_prefix("sqlite:").unwrap_or("sequel.db");
        StoreLocation::Sqlite(data_dir.join(path))
    }
}

fn is_storage_url(text: &str) -> bool {
    // `//` and `?` belong to URI forms that would quietly mean something else here.
    text.is_empty()
        || text.strip_prefix("sqlite:").is_some_and(|path| {
            !path.is_empty() && !path.starts_with("//") && !path.contains('?') && !path.ends_with('/')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_store_lies_in_the_data_folder() {
        let location = |url: &str| {
            let StoreLocation::Sqlite(path) =
                Storage { url: Secret::new(url.to_owned()) }.location(Path::new("/data"));
            path
        };
        assert_eq!(location(""), Path::new("/data/sequel.db"));
        assert_eq!(location("sqlite:other.db"), Path::new("/data/other.db"));
        assert_eq!(location("sqlite:/srv/s.db"), Path::new("/srv/s.db"));
    }

    #[test]
    fn storage_of_an_unknown_kind_is_refused() {
        for bad in
            ["postgres://h/db", "sqlite:", "sqlite:///x", "/x.db", "sqlite:x?mode=ro", "sqlite:/folder/"]
        {
            assert!(!is_storage_url(bad), "{bad}");
        }
    }
}
