//! The arguments of one tool call, member by member.
//!
//! What does not fit is the model's to mend, so every refusal says in a sentence what to change. `null` means the
//! same as leaving an argument out: models fill in optional arguments with it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::era::quoted;
use super::jsonrpc::string;

/// A sentence for the model that made the call.
pub(super) type Mistake = String;

/// What a call brought, its names already held against the tool's.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    tool: &'static str,
    given: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

impl<'a> Arguments<'a> {
    /// Reads an object whose members must be among `known`.
    pub(super) fn read(tool: &'static str, text: &'a str, known: &[&str]) -> Result<Self, Mistake> {
        let Ok(Members(members)) = serde_json::from_str(text) else {
            return Err(format!("The arguments of {tool} cannot be read; send one JSON object."));
        };
        let mut given = BTreeMap::new();
        for (name, value) in members {
            if known.is_empty() {
                return Err(format!("{tool} takes no arguments; call it with {{}}."));
            }
            if !known.contains(&&*name) {
                let known = known.join(", ");
                return Err(format!("{tool} has no argument {}; it takes {known}.", quoted(&name)));
            }
            if given.insert(name, value).is_some() {
                return Err(format!("Give each argument of {tool} once."));
            }
        }
        given.retain(|_, value| value.get() != "null");
        Ok(Self { tool, given })
    }

    /// A text, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Mistake> {
        let text = |raw: &&RawValue| {
            let text = string(raw).ok_or_else(|| format!("The argument {name} must be a string."))?;
            Ok(text.into_owned())
        };
        self.given.get(name).map(text).transpose()
    }

    /// A text that must be there and hold more than blanks; `what` says what to write.
    pub(super) fn needed(&self, name: &str, what: &str) -> Result<String, Mistake> {
        let given = self.text(name)?.filter(|text| !text.trim().is_empty());
        given.ok_or_else(|| format!("{} needs the argument {name}: {what}.", self.tool))
    }

    /// A positive whole number, also written as `10.0`; above what fits, the largest that does (the
    /// server's own limit is far below).
    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, Mistake> {
        let count = |raw: &&RawValue| {
            let number: Option<f64> = serde_json::from_str(raw.get()).ok();
            // The cast saturates.
            number
                .filter(|number| *number >= 1.0 && number.fract() == 0.0)
                .map(|number| number as u32)
                .ok_or_else(|| {
                    format!("The argument {name} must be a whole number of 1 or more, without quotes.")
                })
        };
        self.given.get(name).map(count).transpose()
    }

    /// Yes or no; no where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Mistake> {
        match self.given.get(name).map(|raw| raw.get()) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(format!("The argument {name} must be true or false, without quotes.")),
        }
    }

    /// One of a few words; the first one where it is not there.
    pub(super) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T, Mistake> {
        let given = self.text(name)?;
        let found = match given.as_deref() {
            None => words.first(),
            Some(given) => words.iter().find(|(word, _)| *word == given),
        };
        found.map(|(_, meant)| *meant).ok_or_else(|| {
            let listed: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let (last, others) = listed.split_last().expect("there is a word to choose");
            format!("The argument {name} must be {} or {last}.", others.join(", "))
        })
    }
}

/// Members in order, also those that stand there twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> serde::de::Visitor<'de> for Each {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Each).map(Members)
    }
}

/// A name that is borrowed unless it holds escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
