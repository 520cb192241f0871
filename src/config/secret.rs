//! Values that are never shown: what `Debug`, `Serialize` and `config show` make of them.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is written in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// A value that `Debug` and `Serialize` replace by [`REDACTED`]; only [`Secret::expose`] gives it out.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this keeps it out of logs and answers.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// A storage URL as it may be shown: the path of an embedded store wholly (it holds no secret), of any other
/// scheme only the scheme, because user info, query and even the host may carry credentials.
pub fn redact_url(url: &str) -> String {
    match url.split_once(':') {
        None if url.is_empty() => String::new(),
        Some(("sqlite" | "sled", _)) => url.to_owned(),
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
            format!("{scheme}:{REDACTED}")
        }
        _ => REDACTED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_neither_in_debug_nor_in_json() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), REDACTED);
        assert_eq!(serde_json::to_string(&secret).unwrap(), format!("{REDACTED:?}"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_storage_url_keeps_its_sqlite_path_and_hides_everything_else() {
        assert_eq!(redact_url(""), "");
        assert_eq!(redact_url("sqlite:/var/lib/sequel.db"), "sqlite:/var/lib/sequel.db");
        assert_eq!(redact_url("postgres://u:hunter2@h/db"), "postgres:[redacted]");
        assert_eq!(redact_url("hunter2"), "[redacted]");
    }
}
