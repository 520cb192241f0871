//! Data sources of an organization: add, list, test, remove.

use std::sync::Arc;

use sequel_connector::Settings;
use sequel_store::{Expect, Write};

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::handle::Org;
use super::keys::check_name;
use super::open::Source;
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

pub(super) struct Add(pub(super) NewSource);

impl Change for Add {
    type Reply = (SourceId, SourceRecord);

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Self::Reply>, ChangeError> {
        let Self(new) = self;
        let name = check_name(&new.name)?;
        let description = new.description.map(|d| d.trim().to_owned()).filter(|d| !d.is_empty());
        if description.as_ref().is_some_and(|d| d.chars().count() > DESCRIPTION_CHARS_MAX) {
            return Err(ChangeError::Invalid(format!(
                "a description has at most {DESCRIPTION_CHARS_MAX} characters"
            )));
        }
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
