//! What the living keys, authorized apps and data sources of an organization are called, and whose they are: for lists that
//! hold nothing but ids. What is gone has no name here; the audit trail knows it.

use std::collections::HashMap;

use super::error::ChangeError;
use super::handle::Org;
use super::member::Member;
use super::record::Owner;
use super::{apps::ListedApp, keys::ListedKey, members::ListedMember};
use crate::credential::{ACCESS_MARKER, KEY_MARKER, KeyId, SourceId};

/// A key, or an app that somebody has authorized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// What it is called; an app's is what it says of itself.
    pub name: String,
    /// The address of whose it is; `None` for the organization's.
    pub person: Option<String>,
}

/// Names by id.
#[derive(Debug, Default)]
pub struct Names {
    keys: HashMap<KeyId, NamedKey>,
    sources: HashMap<SourceId, String>,
}

impl Names {
    fn new(keys: Vec<ListedKey>, apps: Vec<ListedApp>, members: Vec<ListedMember>) -> Self {
        let people: HashMap<String, String> =
            members.into_iter().map(|member| (member.user.to_string(), member.record.email)).collect();
        let keys = keys.into_iter().map(|key| {
            let person = match &key.record.owner {
                Owner::Org => None,
                Owner::User { id } => Some(people.get(id).unwrap_or(id).clone()),
            };
            (key.id, NamedKey { name: key.record.name, person })
        });
        let apps = apps
            .into_iter()
            .map(|app| (app.id, NamedKey { name: app.record.client.name, person: Some(app.email) }));
        Self { keys: keys.chain(apps).collect(), sources: HashMap::new() }
    }

    /// Of a key or an app.
    pub fn key(&self, id: KeyId) -> Option<&NamedKey> {
        self.keys.get(&id)
    }

    /// Of a data source.
    pub fn source(&self, id: SourceId) -> Option<&str> {
        self.sources.get(&id).map(String::as_str)
    }

    /// The keys and apps that a word means: a part of their name or of whose they are, or the whole of their id or
    /// visible prefix. An id means its key also when that is gone.
    pub fn meant(&self, word: &str) -> Vec<KeyId> {
        let bare =
            [KEY_MARKER, ACCESS_MARKER].iter().find_map(|marker| word.strip_prefix(marker)).unwrap_or(word);
        let lower = word.to_lowercase();
        let is_meant = |named: &NamedKey| {
            let person = named.person.as_deref().unwrap_or_default();
            named.name.to_lowercase().contains(&lower) || person.to_lowercase().contains(&lower)
        };
        let mut meant: Vec<KeyId> =
            self.keys.iter().filter(|(_, named)| is_meant(named)).map(|(id, _)| *id).collect();
        meant.extend(bare.parse::<KeyId>().ok().filter(|id| !meant.contains(id)));
        meant
    }
}

impl Org {
    /// What everything is called.
    pub async fn names(&self) -> Result<Names, ChangeError> {
        let (keys, apps) = (self.list_keys().await?, self.list_apps(None).await?);
        let names = Names::new(keys, apps, self.list_members().await?);
        Ok(Names { sources: sources(&self.list_sources()?), ..names })
    }
}

impl Member {
    /// The same, of keys and apps as far as they see them.
    pub async fn names(&self) -> Result<Names, ChangeError> {
        let (keys, apps) = (self.list_keys().await?, self.list_apps().await?);
        let names = Names::new(keys, apps, self.list_members().await?);
        Ok(Names { sources: sources(&self.list_sources()?), ..names })
    }
}

fn sources(sources: &[std::sync::Arc<super::Source>]) -> HashMap<SourceId, String> {
    sources.iter().map(|source| (source.id(), source.record().name.clone())).collect()
}
