//! A loaded configuration as `config show` prints it: every key, its value, where it was written;
//! secrets redacted.

use serde::Serialize;
use serde_json::Value;

use super::{Loaded, Place, keys, redact_url};

/// One setting as it may be shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Dotted path.
    pub key: &'static str,
    /// Its value in force, redacted where it may be secret.
    pub value: Value,
    /// `default`, `FILE:LINE`, the environment variable or the flag.
    pub origin: String,
}

impl Loaded {
    /// Every setting in the order of `default.toml`.
    pub fn settings(&self) -> Vec<Setting> {
        // Serializing redacts every `Secret`: a key that is forgotten below still shows nothing.
        let all = serde_json::to_value(&self.config).unwrap_or_default();
        keys()
            .map(|key| {
                let mut value = key.path.split('.').fold(&all, |value, name| &value[name]).clone();
                if key.path == "storage.url" {
                    value = Value::String(redact_url(self.config.storage.url.expose()));
                }
                let secrets = &self.config.secrets;
                let is_none = match key.path {
                    "secrets.key" => secrets.key.expose().is_empty(),
                    "secrets.former_keys" => secrets.former_keys.expose().is_empty(),
                    _ => false,
                };
                if is_none {
                    // That there is none is no secret.
                    value = Value::String(String::new());
                }
                let origin = self.places.get(key.path).unwrap_or(&Place::Default).to_string();
                Setting { key: key.path, value, origin }
            })
            .collect()
    }

    /// The settings as TOML, each with its origin as a comment: a file that loads again, except for
    /// what is redacted.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for setting in self.settings() {
            let (own, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
            if own != section {
                text.push_str(&format!("\n[{own}]\n"));
                section = own;
            }
            // JSON's strings, numbers and lists of strings are TOML's, written the same way.
            text.push_str(&format!("{name} = {}  # {}\n", setting.value, setting.origin));
        }
        text
    }
}
