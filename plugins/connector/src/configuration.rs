//! The settings of one source, and its secrets apart from them.
//!
//! **Invariant:** a secret is shown by nothing but [`Secret::expose`] (`a_secret_is_not_shown`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Declaration, Settings};

/// A text that is not shown: no `Display`, and a `Debug` that says nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Secrets by the name of their setting.
pub type Secrets = BTreeMap<String, Secret>;

/// All that one source was given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// What may be shown.
    pub settings: Settings,
    /// What may not.
    pub secrets: Secrets,
}

impl Configuration {
    /// Takes what a form or a command sent apart: secrets, by the declaration, from the rest. A secret that is empty
    /// or `null` is none. What is no text where a secret is declared is dropped: it can be neither used nor shown.
    pub fn of(declaration: &Declaration, given: Settings) -> Self {
        let mut apart = Self::default();
        for (name, value) in given {
            if !declaration.is_secret(&name) {
                apart.settings.insert(name, value);
            } else if let serde_json::Value::String(text) = value
                && !text.is_empty()
            {
                apart.secrets.insert(name, Secret(text));
            }
        }
        apart
    }
}

impl From<Settings> for Configuration {
    fn from(settings: Settings) -> Self {
        Self { settings, secrets: Secrets::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Setting, SettingKind};

    #[test]
    fn a_secret_is_not_shown() {
        const DECLARED: Declaration = Declaration {
            word: "x",
            label: "X",
            settings: &[Setting {
                name: "password",
                label: "",
                help: "",
                kind: SettingKind::Secret,
                required: false,
            }],
            routing: &[],
        };
        let given = serde_json::json!({"host": "h", "password": "hunter2"}).as_object().unwrap().clone();
        let apart = Configuration::of(&DECLARED, given);
        assert_eq!(apart.secrets["password"].expose(), "hunter2");
        assert_eq!(apart.settings["host"], "h");
        assert!(!format!("{apart:?}").contains("hunter2"));
        let empty = serde_json::json!({"password": ""}).as_object().unwrap().clone();
        assert!(Configuration::of(&DECLARED, empty).secrets.is_empty());
    }
}
