//! What a setting may be: its path, its type and its bounds. Each section lists its keys beside its
//! struct; a test holds that the lists, the structs and `default.toml` name the same keys.

use std::path::{Path, PathBuf};

use config::{Value, ValueKind};
use toml::de::DeValue;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted, from the root: `server.listen`.
    pub path: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether its value may carry a secret.
    pub secret: bool,
}

/// The type and bounds of a setting.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number between two bounds, both allowed.
    Integer { min: u64, max: u64 },
    /// Text that a check accepts; `allowed` completes "must be …".
    Text { allowed: &'static str, check: fn(&str) -> bool },
    /// A list of such texts.
    Texts { allowed: &'static str, check: fn(&str) -> bool },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A file or folder. Relative ones are taken from the file that names them, or from the working
    /// directory. Empty stays empty.
    Path,
    /// A list of such.
    Paths,
}

/// A value that a key refuses: how it was written, and what is allowed.
pub(super) struct Refused {
    pub(super) value: String,
    pub(super) allowed: String,
}

/// A whole number between `min` and `max`.
pub(super) const fn integer(path: &'static str, min: u64, max: u64) -> Key {
    Key { path, kind: Kind::Integer { min, max }, secret: false }
}

/// Text that `check` accepts.
pub(super) const fn text(path: &'static str, allowed: &'static str, check: fn(&str) -> bool) -> Key {
    Key { path, kind: Kind::Text { allowed, check }, secret: false }
}

/// A list of texts that `check` accepts.
pub(super) const fn texts(path: &'static str, allowed: &'static str, check: fn(&str) -> bool) -> Key {
    Key { path, kind: Kind::Texts { allowed, check }, secret: false }
}

impl Key {
    /// Takes a value out of TOML; `shown` is how it was written there. `base` is what relative paths
    /// are taken from.
    pub(super) fn read_toml(
        &self,
        value: &DeValue<'_>,
        shown: &str,
        base: &Path,
        origin: &str,
    ) -> Result<Value, Refused> {
        let refuse = || self.refuse(shown.to_owned());
        let kind = match (self.kind, value) {
            (Kind::Integer { .. }, DeValue::Integer(number)) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                number.and_then(|number| self.number(number)).ok_or_else(refuse)?
            }
            (Kind::Text { .. } | Kind::Choice(_) | Kind::Path, DeValue::String(text)) => {
                self.single(text, base)?
            }
            (Kind::Texts { .. } | Kind::Paths, DeValue::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                self.list(items.ok_or_else(refuse)?, base, origin)?
            }
            _ => return Err(refuse()),
        };
        Ok(Value::new(Some(&origin.to_owned()), kind))
    }

    /// Takes a value out of an environment variable. A list is written as a TOML array, or as its
    /// items with commas between them.
    pub(super) fn read_env(&self, text: &str, origin: &str) -> Result<Value, Refused> {
        let base = Path::new("");
        let kind = match self.kind {
            Kind::Integer { .. } => text
                .trim()
                .parse()
                .ok()
                .and_then(|number| self.number(number))
                .ok_or_else(|| self.refuse(format!("{text:?}")))?,
            Kind::Text { .. } | Kind::Choice(_) | Kind::Path => self.single(text, base)?,
            Kind::Texts { .. } | Kind::Paths if text.trim_start().starts_with('[') => {
                let array = DeValue::parse(text.trim()).map_err(|_| self.refuse(format!("{text:?}")))?;
                return self.read_toml(array.get_ref(), text, base, origin);
            }
            Kind::Texts { .. } | Kind::Paths => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                self.list(items.collect(), base, origin)?
            }
        };
        Ok(Value::new(Some(&origin.to_owned()), kind))
    }

    fn number(&self, number: i64) -> Option<ValueKind> {
        let Kind::Integer { min, max } = self.kind else { return None };
        let number = u64::try_from(number).ok()?;
        (min..=max).contains(&number).then_some(ValueKind::U64(number))
    }

    fn single(&self, text: &str, base: &Path) -> Result<ValueKind, Refused> {
        let good = match self.kind {
            Kind::Text { check, .. } | Kind::Texts { check, .. } => check(text),
            Kind::Choice(words) => words.contains(&text),
            Kind::Path => return Ok(ValueKind::String(absolute(text, base))),
            // An empty item of a list would be the base folder itself: never what was meant.
            Kind::Paths if !text.is_empty() => return Ok(ValueKind::String(absolute(text, base))),
            Kind::Paths | Kind::Integer { .. } => false,
        };
        if good { Ok(ValueKind::String(text.to_owned())) } else { Err(self.refuse(format!("{text:?}"))) }
    }

    fn list(&self, items: Vec<&str>, base: &Path, origin: &str) -> Result<ValueKind, Refused> {
        let values = items
            .into_iter()
            .map(|item| Ok(Value::new(Some(&origin.to_owned()), self.single(item, base)?)))
            .collect::<Result<Vec<_>, Refused>>()?;
        Ok(ValueKind::Array(values))
    }

    fn refuse(&self, value: String) -> Refused {
        let value = if self.secret { "a value that is not shown".to_owned() } else { value };
        Refused { value, allowed: self.allowed() }
    }

    /// What this key allows, to complete "must be …".
    pub(super) fn allowed(&self) -> String {
        match self.kind {
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Text { allowed, .. } => allowed.to_owned(),
            Kind::Texts { allowed, .. } => format!("a list, each item {allowed}"),
            Kind::Choice(words) => {
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
            }
            Kind::Path => "a path in quotes".to_owned(),
            Kind::Paths => "a list of paths in quotes".to_owned(),
        }
    }
}

fn absolute(text: &str, base: &Path) -> String {
    if text.is_empty() {
        return String::new();
    }
    let path: PathBuf = base.join(text);
    // `absolute` fails only where the working directory is gone: then the path stays as it was written,
    // and whoever opens it says that it is missing.
    std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned()
}
