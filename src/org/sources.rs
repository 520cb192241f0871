//! Data sources of an organization: add, list, change, test, remove.

use std::sync::Arc;

use sequel_connector::{Configuration, OpenError, Secrets, Settings};
use sequel_store::{Expect, Write};

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::handle::Org;
use super::keys::check_name;
use super::open::Source;
use super::record::{NameRecord, SourceRecord, encode, source_at, source_name_at};
use super::secrets::{Belonging, SealedSecrets};
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
    /// The connector's settings, its secrets among them.
    pub settings: Settings,
    /// What is in it.
    pub description: Option<String>,
}

/// What to change of a data source; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SourceEdit {
    /// Its new name.
    pub name: Option<String>,
    /// All of its settings anew, but that a secret that is not among them stays. `null` takes a secret away.
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

/// A source whose settings were checked and whose secrets are sealed.
#[derive(Debug, Clone)]
pub(super) struct Add {
    id: SourceId,
    new: NewSource,
    secrets: Option<SealedSecrets>,
}

impl Change for Add {
    type Reply = (SourceId, SourceRecord);

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Self::Reply>, ChangeError> {
        let Self { id, new, secrets } = self;
        is_sealed_now(&desk, secrets.as_ref())?;
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
        let created_at = desk.context.clock.now();
        let record =
            SourceRecord { name, kind: new.kind, settings: new.settings, secrets, description, created_at };
        Ok(Decided {
            expects: vec![Expect::Absent(source_at(id)), Expect::Absent(name_at.clone())],
            writes: vec![
                Write::Put(source_at(id), encode(&record)),
                Write::Put(name_at, encode(&NameRecord { id: id.to_string() })),
            ],
            narrows: false,
            edit: Edit::PutSource(id, record.clone()),
            // Not its settings, which tell where things are.
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
    // With `edit.settings`: the secrets that belong to them, those that stay sealed anew.
    pub(super) secrets: Option<SealedSecrets>,
    // The secrets are new, not kept.
    pub(super) has_new_secrets: bool,
}

impl Change for Alter {
    type Reply = SourceRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<SourceRecord>, ChangeError> {
        is_sealed_now(&desk, self.secrets.as_ref())?;
        let at = source_at(self.id);
        let (mut record, revision) =
            desk.store.get::<SourceRecord>(&at).await?.ok_or(ChangeError::NotFound(SOURCE))?;
        let SourceEdit { name, settings, description } = self.edit;
        let changed: Vec<_> = [
            ("name", name.is_some()),
            ("settings", settings.is_some()),
            ("secrets", self.has_new_secrets),
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
        if let Some(settings) = settings {
            (record.settings, record.secrets) = (settings, self.secrets);
        }
        if let Some(description) = description {
            record.description = check_description(&description)?;
        }
        writes.push(Write::Put(at, encode(&record)));
        // Not its settings, which tell where things are.
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

/// The secrets of one source that are behind the master key, sealed under it. In the actor's turn, so that nothing that
/// was sealed before comes between.
struct ResealNext;

impl Change for ResealNext {
    type Reply = Option<SourceId>;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Self::Reply>, ChangeError> {
        let behind = view.sources().iter().find(|source| source.is_behind());
        let Some(source) = behind else {
            let (expects, writes) = (Vec::new(), Vec::new());
            return Ok(Decided {
                reply: None,
                expects,
                writes,
                narrows: false,
                edit: Edit::Nothing,
                event: None,
            });
        };
        let id = source.id();
        let at = source_at(id);
        let (mut record, revision) =
            desk.store.get::<SourceRecord>(&at).await?.ok_or(ChangeError::NotFound(SOURCE))?;
        let secrets = source.secrets().map_err(invalid)?;
        record.secrets = Belonging::new(desk.org).seal(desk.open.vault(), &desk.context.rng, id, &secrets)?;
        Ok(Decided {
            expects: vec![Expect::At(at.clone(), revision)],
            writes: vec![Write::Put(at, encode(&record))],
            narrows: false,
            event: Some(Event::new("source.reseal", "source", id, &record.name)),
            edit: Edit::PutSource(id, record),
            reply: Some(id),
        })
    }
}

/// Refuses what was sealed before the master key changed: it would be under a key that is forgotten.
fn is_sealed_now(desk: &Desk, secrets: Option<&SealedSecrets>) -> Result<(), ChangeError> {
    match secrets {
        Some(secrets) if !desk.open.vault().is_current(&secrets.sealed) => Err(ChangeError::Conflict),
        _ => Ok(()),
    }
}

/// What a connector refuses, to whoever sent it.
fn invalid(error: OpenError) -> ChangeError {
    ChangeError::Invalid(error.to_string())
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
    /// Connects a database. Its settings are checked and its secrets sealed; it is opened by the first call.
    pub async fn add_source(&self, mut new: NewSource) -> Result<(SourceId, SourceRecord), ChangeError> {
        // Before the ask: a connector may have to look at disks or names, and a turn of the actor is short.
        let Configuration { settings, secrets } =
            self.checked(&new.kind, new.settings, Secrets::new()).await?;
        let id = SourceId::mint(&self.entry.context.rng)?;
        let secrets = self.sealed(id, &secrets)?;
        new.settings = settings;
        self.ask(|| Add { id, new: new.clone(), secrets: secrets.clone() }).await
    }

    /// A database as it would be connected, or as one that is connected would be with these settings: they are
    /// checked, and it can be tried out. Nothing is written.
    pub async fn candidate(&self, new: NewSource, of: Option<&Source>) -> Result<Arc<Source>, ChangeError> {
        let NewSource { name, kind, settings, description } = new;
        let Configuration { settings, secrets } = match of {
            Some(source) => self.changed(source, settings).await?.0,
            None => self.checked(&kind, settings, Secrets::new()).await?,
        };
        let context = &self.entry.context;
        let id = SourceId::mint(&context.rng)?;
        let secrets = self.sealed(id, &secrets)?;
        let created_at = context.clock.now();
        let record = SourceRecord { name, kind, settings, secrets, description, created_at };
        Ok(Source::new(id, record, Belonging::new(self.id()), self.shared_sources()))
    }

    /// Changes a source. New settings are checked; calls under way finish on the old ones.
    pub async fn alter_source(
        &self,
        source: &Source,
        mut edit: SourceEdit,
    ) -> Result<SourceRecord, ChangeError> {
        let id = source.id();
        let (mut secrets, mut has_new_secrets) = (None, false);
        if let Some(settings) = edit.settings.take() {
            let (checked, is_new) = self.changed(source, settings).await?;
            (secrets, has_new_secrets) = (self.sealed(id, &checked.secrets)?, is_new);
            edit.settings = Some(checked.settings);
        }
        self.ask(|| Alter { id, edit: edit.clone(), secrets: secrets.clone(), has_new_secrets }).await
    }

    /// Seals the secrets of every source under the master key of now. How many were behind. A source whose secrets do not
    /// open ends it, because then the former key has to be kept.
    pub async fn reseal_sources(&self) -> Result<usize, ChangeError> {
        let mut resealed = 0;
        while self.ask(|| ResealNext).await?.is_some() {
            resealed += 1;
        }
        Ok(resealed)
    }

    /// A configuration in its connector's canonical form.
    async fn checked(
        &self,
        kind: &str,
        given: Settings,
        former: Secrets,
    ) -> Result<Configuration, ChangeError> {
        self.open_sources().check(kind, given, former).await.map_err(invalid)
    }

    /// A source's configuration after an edit, and whether a secret in it is new.
    async fn changed(&self, source: &Source, given: Settings) -> Result<(Configuration, bool), ChangeError> {
        let record = source.record();
        let names = record.secrets.iter().flat_map(|sealed| &sealed.names);
        // One that is taken away or replaced need not be opened; so a lost master key keeps nobody from a new secret.
        let is_given = |name: &&String| given.get(*name).is_some_and(|value| value.as_str() != Some(""));
        let mut kept = match names.clone().all(|name| is_given(&name)) {
            true => Secrets::new(),
            false => source.secrets().map_err(invalid)?,
        };
        kept.retain(|name, _| !is_given(&name));
        let declarations = self.open_sources().declarations();
        let declared = declarations.iter().find(|declared| declared.word == record.kind);
        let has_new = declared.is_some_and(|declared| {
            given.iter().any(|(name, value)| declared.is_secret(name) && value.as_str() != Some(""))
        });
        let checked = self.checked(&record.kind, given, kept.clone()).await?;
        let is_kept = kept.iter().any(|(name, secret)| checked.secrets.get(name) == Some(secret));
        let routing = declared.map_or(&[][..], |declared| declared.routing);
        let moved = routing.iter().find(|name| checked.settings.get(**name) != record.settings.get(**name));
        match moved {
            Some(name) if is_kept => {
                let secrets: Vec<_> = kept.keys().map(String::as_str).collect();
                Err(ChangeError::Invalid(format!(
                    "with another {name} the {} has to be entered again, because what is stored would be sent elsewhere",
                    secrets.join(" and ")
                )))
            }
            _ => Ok((checked, has_new)),
        }
    }

    fn sealed(&self, id: SourceId, secrets: &Secrets) -> Result<Option<SealedSecrets>, ChangeError> {
        Belonging::new(self.id()).seal(self.open_sources().vault(), &self.entry.context.rng, id, secrets)
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
