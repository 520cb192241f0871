//! `[secrets]`: the master key that data sources' secrets are sealed under.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind};
use super::secret::Secret;

/// The `[secrets]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The file with the master key; empty: `master.key` in the data folder.
    pub key_file: PathBuf,
    /// The master key itself, in place of a file; empty for none.
    pub key: Secret<String>,
    /// Keys that secrets may still be sealed under, beside `key`, with blanks between them.
    pub former_keys: Secret<String>,
}

const FORM: &str = "empty, or 32 random bytes in base64, such as the output of \"openssl rand -base64 32\"";

pub(super) const KEYS: &[Key] = &[
    Key { path: "secrets.key_file", kind: Kind::Path, secret: false },
    Key {
        path: "secrets.key",
        kind: Kind::Text { allowed: FORM, check: |text| text.is_empty() || crate::vault::is_key(text) },
        secret: true,
    },
    Key {
        path: "secrets.former_keys",
        kind: Kind::Text { allowed: FORM, check: |text| text.split_whitespace().all(crate::vault::is_key) },
        secret: true,
    },
];

impl Secrets {
    /// Where the key is kept.
    pub fn file(&self, data_dir: &Path) -> PathBuf {
        match self.key_file.as_os_str().is_empty() {
            true => data_dir.join("master.key"),
            false => self.key_file.clone(),
        }
    }
}
