//! Data sources of an organization: add, list, change, test, remove.

use std::sync::Arc;

use sequel_connector::Settings;
use sequel_store::{Expect, Write};

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::handle::Org;
use super::keys::check_name;
use super::open::{Source, party_of};
use super::record::{NameRecord, SourceRecord, encode, source_at, source_name_at};
use super::view::View;
use crate::credential::SourceId;

/// Most characters of a description: a paragraph, not a document; models read it on every list.
pub const DESCRIPTION_CHARS_MAX: usize = 500;

const SOURCE: &str = "data source";

/// What a new data source shall be.
#[derive(Debug, Clone)]
pub struct NewSource {
    /// What clients call it; 1 to 100 characters, unique in the organization.
    pub name: String,
    /// Which connector opens it.
    pub kind: String,
    /// The connector's settings.
    pub settings: Settings,
    /// What is in it.
    pub description: Option<String>,
}

/// What to change of a data source; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SourceEdit {
    /// Its new name.
    pub name: Option<String>,
    /// All of its settings anew.
    pub settings: Option<Settings>,
    /// What is in it; empty for nothing.
    pub description: Option<String>,
}

fn check_description(text: &str) -> Result<Option<String>, ChangeError> {
    let text = text.trim();
    if text.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(ChangeError::Invalid(format!(
            "a description has at most {DESCRIPTION_CHARS_MAX} characters"
        )));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub(super) struct Add(pub(super) NewSource);

impl Change for Add {
    type Reply = (SourceId, SourceRecord);

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Self::Reply>, ChangeError> {
        let Self(new) = self;
        let name = check_name(&new.name)?;
        let description = check_description(new.description.as_deref().unwrap_or_default())?;
        if view.sources().len() >= desk.limits.sources_max {
            return Err(ChangeError::Limit(format!(
                "the organization has {} data sources, as many as it may; remove one first",
                desk.limits.sources_max
            )));
        }
        let name_at = source_name_at(&name);
        if desk.store.get::<NameRecord>(&name_at).await?.is_some() {
            return Err(ChangeError::NameTaken { what: "a data source", name });
        }
        let id = SourceId::mint(&desk.context.rng)?;
        let created_at = desk.context.clock.now();
        let record = SourceRecord { name, kind: new.kind, settings: new.settings, description, created_at };
        Ok(Decided {
            expects: vec![Expect::Absent(source_at(id)), Expect::Absent(name_at.clone())],
            writes: vec![
                Write::Put(source_at(id), encode(&record)),
                Write::Put(name_at, encode(&NameRecord { id: id.to_string() })),
            ],
            narrows: false,
            edit: Edit::PutSource(id, record.clone()),
            // Not its settings: those of other connectors will hold secrets.
            event: Some(
                Event::new("source.add", "source", id, &record.name).with("kind", record.kind.as_str()),
            ),
            reply: (id, record),
        })
    }
}

pub(super) struct Alter {
    pub(super) id: SourceId,
    pub(super) edit: SourceEdit,
}

impl Change for Alter {
    type Reply = SourceRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<SourceRecord>, ChangeError> {
        let at = source_at(self.id);
        let (mut record, revision) =
            desk.store.get::<SourceRecord>(&at).await?.ok_or(ChangeError::NotFound(SOURCE))?;
        let SourceEdit { name, settings, description } = self.edit;
        let changed: Vec<_> = [
            ("name", name.is_some()),
            ("settings", settings.is_some()),
            ("description", description.is_some()),
        ]
        .into_iter()
        .filter_map(|(member, is_there)| is_there.then_some(member))
        .collect();
        let former = record.name.clone();
        let mut expects = vec![Expect::At(at.clone(), revision)];
        let mut writes = Vec::new();
        if let Some(name) = name {
            let name = check_name(&name)?;
            let (old, new) = (source_name_at(&record.name), source_name_at(&name));
            if old != new {
                if desk.store.get::<NameRecord>(&new).await?.is_some() {
                    return Err(ChangeError::NameTaken { what: "a data source", name });
                }
                expects.push(Expect::Absent(new.clone()));
                writes.push(Write::Delete(old));
                writes.push(Write::Put(new, encode(&NameRecord { id: self.id.to_string() })));
            }
            record.name = name;
        }
        record.settings = settings.unwrap_or(record.settings);
        if let Some(description) = description {
            record.description = check_description(&description)?;
        }
        writes.push(Write::Put(at, encode(&record)));
        // Not its settings: those of other connectors will hold secrets.
        let event = Event::new("source.change", "source", self.id, &record.name)
            .with("changed", changed)
            .with_some("former_name", (former != record.name).then_some(former));
        Ok(Decided {
            expects,
            writes,
            narrows: false,
            edit: Edit::PutSource(self.id, record.clone()),
            event: Some(event),
            reply: record,
        })
    }
}

pub(super) struct Remove(pub(super) SourceId);

impl Change for Remove {
    type Reply = SourceRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<SourceRecord>, ChangeError> {
        let at = source_at(self.0);
        let (record, revision) =
            desk.store.get::<SourceRecord>(&at).await?.ok_or(ChangeError::NotFound(SOURCE))?;
        Ok(Decided {
            expects: vec![Expect::At(at.clone(), revision)],
            writes: vec![Write::Delete(at), Write::Delete(source_name_at(&record.name))],
            narrows: true,
            edit: Edit::RemoveSource(self.0),
            event: Some(Event::new("source.remove", "source", self.0, &record.name)),
            reply: record,
        })
    }
}

impl Org {
    /// Connects a database. Its settings are checked; it is opened by the first call.
    pub async fn add_source(&self, mut new: NewSource) -> Result<(SourceId, SourceRecord), ChangeError> {
        // Before the ask: a connector may have to look at disks or names, and a turn of the actor is short.
        let checked = self.open_sources().check(&new.kind, &new.settings).await;
        new.settings = checked.map_err(|error| ChangeError::Invalid(error.to_string()))?;
        self.ask(|| Add(new.clone())).await
    }

    /// A database as it would be connected: its settings are checked, and it can be tried out. It is not connected.
    pub async fn candidate(&self, new: NewSource) -> Result<Arc<Source>, ChangeError> {
        let NewSource { name, kind, settings, description } = new;
        let settings = self.open_sources().check(&kind, &settings).await;
        let settings = settings.map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let context = &self.entry.context;
        let created_at = context.clock.now();
        let record = SourceRecord { name, kind, settings, description, created_at };
        let id = SourceId::mint(&context.rng)?;
        Ok(Source::new(id, record, party_of(self.id()), self.shared_sources()))
    }

    /// Changes a source. New settings are checked; calls under way finish on the old ones.
    pub async fn alter_source(
        &self,
        source: &Source,
        mut edit: SourceEdit,
    ) -> Result<SourceRecord, ChangeError> {
        if let Some(settings) = &edit.settings {
            let checked = self.open_sources().check(&source.record().kind, settings).await;
            edit.settings = Some(checked.map_err(|error| ChangeError::Invalid(error.to_string()))?);
        }
        let id = source.id();
        self.ask(|| Alter { id, edit: edit.clone() }).await
    }

    /// Disconnects a database. Calls under way on it are ended.
    pub async fn remove_source(&self, id: SourceId) -> Result<SourceRecord, ChangeError> {
        self.ask(|| Remove(id)).await
    }

    /// All data sources, by name.
    pub fn list_sources(&self) -> Result<Vec<Arc<Source>>, ChangeError> {
        let view = self.view().ok_or(ChangeError::Busy)?;
        Ok(view.sources().to_vec())
    }

    /// The source that a person means: by id, else by name.
    pub fn find_source(&self, word: &str) -> Result<Arc<Source>, ChangeError> {
        let sources = self.list_sources()?;
        let name = word.trim().to_lowercase();
        let by_id = sources.iter().find(|source| source.id().as_str() == word);
        let found =
            by_id.or_else(|| sources.iter().find(|source| source.record().name.to_lowercase() == name));
        found.cloned().ok_or(ChangeError::NotFound(SOURCE))
    }
}
