//! Scopes: the unit that a batch never leaves.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Longest id of an organization or name of a system table, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Either one organization's records (`org/<id>`) or one table that belongs to no organization
/// (`system/<table>`).
///
/// The name part is 1..=64 characters of `[0-9A-Za-z_-]`, so no name can climb out of its kind.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

/// A name that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a scope name is 1 to 64 characters of 0-9, A-Z, a-z, '_' and '-'")]
pub struct ScopeError;

impl Scope {
    /// The records of the organization with this id.
    pub fn org(id: &str) -> Result<Self, ScopeError> {
        Self::build("org", id)
    }

    /// A table of what belongs to no organization.
    pub fn system(table: &str) -> Result<Self, ScopeError> {
        Self::build("system", table)
    }

    /// Reads the form that [`Scope::as_str`] writes: `org/<id>` or `system/<table>`.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        match text.split_once('/') {
            Some((kind @ ("org" | "system"), name)) => Self::build(kind, name),
            _ => Err(ScopeError),
        }
    }

    fn build(kind: &str, name: &str) -> Result<Self, ScopeError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(legal) {
            return Err(ScopeError);
        }
        Ok(Self(format!("{kind}/{name}").into()))
    }

    /// `org/<id>` or `system/<table>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_cannot_name_a_key_outside_itself() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../system/orgs",
            "/a",
            "a/",
            "a\\b",
            "a\0",
            "a b",
            "a\n",
            "a%2fb",
            "a:b",
            "é",
            "ａ",
            &"a".repeat(NAME_BYTES_MAX + 1),
        ] {
            assert_eq!(Scope::org(name), Err(ScopeError), "{name:?}");
            assert_eq!(Scope::system(name), Err(ScopeError), "{name:?}");
            assert_eq!(Scope::parse(&format!("org/{name}")), Err(ScopeError), "{name:?}");
        }
        for text in ["org", "org/", "/a", "Org/a", "user/a", "org/a/key", "system/orgs/x", " org/a"] {
            assert_eq!(Scope::parse(text), Err(ScopeError), "{text:?}");
        }
        // The kinds never meet, and what is written is read back as the same scope.
        assert_ne!(Scope::org("orgs"), Scope::system("orgs"));
        for scope in [Scope::org("0_aZ-9"), Scope::system(&"a".repeat(NAME_BYTES_MAX))] {
            let scope = scope.unwrap();
            assert_eq!(Scope::parse(scope.as_str()).unwrap(), scope);
        }
    }
}
