//! `[tls]`: Sequel's own TLS, for those who put no reverse proxy before it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, Kind};

/// The `[tls]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate with its chain, in PEM form; empty: plain HTTP.
    pub certificate: PathBuf,
    /// Its private key, in PEM form.
    pub private_key: PathBuf,
}

pub(super) const KEYS: &[Key] = &[
    Key { path: "tls.certificate", kind: Kind::Path, secret: false },
    Key { path: "tls.private_key", kind: Kind::Path, secret: false },
];

impl Tls {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (certificate, key) =
            (!self.certificate.as_os_str().is_empty(), !self.private_key.as_os_str().is_empty());
        let (set, missing) = match (certificate, key) {
            (true, false) => ("tls.certificate", "tls.private_key"),
            (false, true) => ("tls.private_key", "tls.certificate"),
            _ => return Ok(()),
        };
        Err(ConfigError::Contradiction(format!(
            "{set} is set, but {missing} is not; set both for TLS, or neither for plain HTTP."
        )))
    }

    /// The certificate's file and the private key's, where TLS is on.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        let on = !self.certificate.as_os_str().is_empty() && !self.private_key.as_os_str().is_empty();
        on.then_some((self.certificate.as_path(), self.private_key.as_path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_refused_and_so_is_a_key_alone() {
        let tls =
            |certificate: &str, key: &str| Tls { certificate: certificate.into(), private_key: key.into() };
        assert!(tls("", "").check().is_ok() && tls("", "").files().is_none());
        assert!(tls("/c", "/k").check().is_ok() && tls("/c", "/k").files().is_some());
        for half in [tls("/c", ""), tls("", "/k")] {
            let refused = half.check().unwrap_err().to_string();
            assert!(refused.contains("tls.certificate") && refused.contains("tls.private_key"), "{refused}");
        }
    }
}
