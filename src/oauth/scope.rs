//! RFC 6749 §3.3: what a grant is good for.
//!
//! A client that asks for nothing is offered everything, since the person decides. Words of other servers
//! (`offline_access`, `openid`) are passed over, because clients send them to everybody; so is any other word beside one
//! of ours. Only a request in which there is none of ours at all is refused.

use serde::{Deserialize, Serialize};

use super::error::{Code, Refusal};

/// One thing that a grant may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// See data sources, tables and columns.
    SchemaRead,
    /// Run queries, which only read.
    QueryRun,
}

/// All scopes.
pub const SCOPES: [Scope; 2] = [Scope::SchemaRead, Scope::QueryRun];

/// Words that say how a client wants its tokens, or who the person is: no scopes of ours, and no mistake either.
const FOREIGN: [&str; 4] = ["offline_access", "openid", "profile", "email"];
/// Longest list of scopes that is read.
const BYTES_MAX: usize = 1_024;

impl Scope {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::SchemaRead => "schema:read",
            Self::QueryRun => "query:run",
        }
    }

    fn of(word: &str) -> Option<Self> {
        SCOPES.into_iter().find(|scope| scope.word() == word)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some of the scopes. On the wire and in records their words, in a fixed order, with spaces between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeSet(u8);

impl ScopeSet {
    /// All of them.
    pub const ALL: Self = Self(Scope::SchemaRead.bit() | Scope::QueryRun.bit());

    /// This one.
    pub const fn only(scope: Scope) -> Self {
        Self(scope.bit())
    }

    /// Whether this one is among them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of the others are among them.
    pub const fn covers(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These and the others.
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        SCOPES.into_iter().filter(move |scope| self.has(*scope))
    }

    /// What an authorization request asks for.
    pub fn asked(text: Option<&str>) -> Result<Self, Refusal> {
        let Some(text) = text else { return Ok(Self::ALL) };
        let (known, unknown) = read(text)?;
        match (known.0, unknown) {
            (0, false) => Ok(Self::ALL),
            (0, true) => {
                Err(Refusal::new(Code::InvalidScope, format!("the scopes are {}", Self::ALL.words())))
            }
            _ => Ok(known),
        }
    }

    /// Holds what a refresh asks for against these, which were granted (§6). Fewer may be asked for; the answer says that it
    /// is these all the same (§3.3).
    pub fn check_refresh(self, text: Option<&str>) -> Result<(), Refusal> {
        let Some(text) = text else { return Ok(()) };
        let (known, unknown) = read(text)?;
        match self.covers(known) && (known.0 != 0 || !unknown) {
            true => Ok(()),
            false => Err(Refusal::new(Code::InvalidScope, "these scopes were not granted")),
        }
    }

    /// The words.
    pub fn words(self) -> String {
        self.iter().map(Scope::word).collect::<Vec<_>>().join(" ")
    }
}

/// The scopes of ours in a list, and whether there are words that nobody knows.
fn read(text: &str) -> Result<(ScopeSet, bool), Refusal> {
    // §3.3: %x21 / %x23-5B / %x5D-7E
    let is_legal = |byte: u8| matches!(byte, b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if text.len() > BYTES_MAX || !text.bytes().all(is_legal) {
        return Err(Refusal::new(Code::InvalidScope, "scope is no list of scopes"));
    }
    let (mut known, mut unknown) = (ScopeSet(0), false);
    for word in text.split(' ').filter(|word| !word.is_empty() && !FOREIGN.contains(word)) {
        match Scope::of(word) {
            Some(scope) => known.0 |= scope.bit(),
            None => unknown = true,
        }
    }
    Ok((known, unknown))
}

impl Serialize for ScopeSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.words())
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut scopes = Self(0);
        for word in text.split_ascii_whitespace() {
            // In a record an unknown word is one of a later version, whose meaning nobody here knows.
            scopes.0 |= Scope::of(word).ok_or_else(|| serde::de::Error::custom("an unknown scope"))?.bit();
        }
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_nothing_of_ours_in_particular_asks_for_everything() {
        for text in [None, Some(""), Some("offline_access"), Some("openid  offline_access")] {
            assert_eq!(ScopeSet::asked(text).unwrap(), ScopeSet::ALL, "{text:?}");
        }
    }

    #[test]
    fn words_of_ours_count_and_others_beside_them_do_not() {
        let asked = ScopeSet::asked(Some("query:run admin offline_access")).unwrap();
        assert_eq!((asked.words().as_str(), asked), ("query:run", ScopeSet::only(Scope::QueryRun)));
        for wrong in ["admin", "Query:run", "query:run\u{7f}", "\"query:run\"", "query:run\tschema:read", "é"]
        {
            assert_eq!(ScopeSet::asked(Some(wrong)).unwrap_err().code, Code::InvalidScope, "{wrong:?}");
        }
    }

    #[test]
    fn a_refresh_asks_for_no_more_than_was_granted() {
        let schema = ScopeSet::only(Scope::SchemaRead);
        for fine in [None, Some(""), Some("offline_access"), Some("schema:read"), Some("schema:read x")] {
            assert!(
                schema.check_refresh(fine).is_ok() && ScopeSet::ALL.check_refresh(fine).is_ok(),
                "{fine:?}"
            );
        }
        for more in ["query:run", "schema:read query:run", "admin", "\u{e9}"] {
            assert_eq!(schema.check_refresh(Some(more)).unwrap_err().code, Code::InvalidScope, "{more}");
        }
    }

    #[test]
    fn a_record_holds_the_words_and_refuses_what_it_does_not_know() {
        assert_eq!(serde_json::to_value(ScopeSet::ALL).unwrap(), "schema:read query:run");
        assert_eq!(serde_json::from_str::<ScopeSet>("\"query:run\"").unwrap().words(), "query:run");
        assert!(serde_json::from_str::<ScopeSet>("\"query:write\"").is_err());
    }
}
