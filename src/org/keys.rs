//! API keys of an organization: create, list, rename, disable, rotate, delete.
//!
//! Decisions are pure functions over records; the messages around them read, decide and name what
//! is to be written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sequel_store::{Expect, Key, Revision, Write};
use serde_json::Value;

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::handle::Org;
use super::members::PERSONAL_KEYS_MAX;
use super::record::{
    self, KeyRecord, MemberRecord, NameRecord, Owner, PreviousSecret, UsedRecord, decode, encode, id_after,
    key_at, key_name_at, member_at,
};
use super::view::View;
use crate::context::Timestamp;
use crate::credential::{KeyId, PlainKey, SourceId, prefix};
use crate::visible::{is_hidden, is_seen};

/// Most characters of a key's name.
pub const NAME_CHARS_MAX: usize = 100;
/// Most replaced secrets that are accepted at once beside the current one. Each is one more digest
/// to compare on every request; four rotations within one overlap are a script gone wrong.
pub const PREVIOUS_MAX: usize = 4;

/// Most data sources that one key names; 256 ids of 10 characters keep its record far below 64 KiB.
pub const SOURCES_MAX: usize = 256;

const KEY: &str = "API key";

/// What a new key shall be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Descriptive name, 1 to 100 characters, unique among the organization's live keys.
    pub name: String,
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// Names or ids of the only data sources that it reaches; `None` for all.
    pub sources: Option<Vec<String>>,
    /// The word of the tool that it is made for, where the install dialog makes it.
    pub made_for: Option<String>,
}

/// What of a key is changed; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct KeyEdit {
    /// Another name.
    pub name: Option<String>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Names or ids of the only data sources that it reaches; `Some(None)` for all.
    pub sources: Option<Option<Vec<String>>>,
    /// From when on it is refused; `Some(None)` for never.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A key with its secret, which is shown this once.
#[derive(Debug)]
pub struct MintedKey {
    /// Its id.
    pub id: KeyId,
    /// Its record.
    pub record: KeyRecord,
    /// The secret.
    pub plain: PlainKey,
}

/// A key as lists show it.
#[derive(Debug, Clone)]
pub struct ListedKey {
    /// Its id.
    pub id: KeyId,
    /// Its record.
    pub record: KeyRecord,
    /// The last accepted request.
    pub last_used_at: Option<Timestamp>,
}

/// Trims a descriptive name and holds it against the rules: 1 to 100 characters, none of them a
/// control character or one that turns the direction of writing.
pub fn check_name(name: &str) -> Result<String, ChangeError> {
    let name = name.trim();
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX {
        return Err(ChangeError::Invalid(format!(
            "a name has 1 to {NAME_CHARS_MAX} characters, this one has {chars}"
        )));
    }
    if name.chars().any(is_hidden) || !is_seen(name) {
        return Err(ChangeError::Invalid("a name has no control or invisible characters".into()));
    }
    Ok(name.to_owned())
}

/// Replaces a key's secret. The old one stays valid for `overlap`; an overlap of zero ends every
/// earlier secret at once.
pub fn rotated(
    mut key: KeyRecord,
    fresh: crate::credential::Digest,
    now: Timestamp,
    overlap: Duration,
) -> Result<KeyRecord, ChangeError> {
    key.previous.retain(|previous| now < previous.valid_until);
    if overlap.is_zero() {
        key.previous.clear();
    } else {
        if key.previous.len() >= PREVIOUS_MAX {
            return Err(ChangeError::Limit(format!(
                "{PREVIOUS_MAX} replaced secrets of this key are still valid; wait until one ends, or rotate \
                 with no overlap to end them all"
            )));
        }
        let mut valid_until = now.plus(overlap);
        if let Some(end) = key.expires_at {
            valid_until = valid_until.min(end);
        }
        key.previous.insert(0, PreviousSecret { digest: key.digest, valid_until });
    }
    key.digest = fresh;
    Ok(key)
}

/// The holder of a name, if it may not be given away: an expired key gives its name up.
async fn name_is_free(
    desk: &Desk,
    name: &str,
    except: Option<KeyId>,
) -> Result<Result<Expect, KeyId>, ChangeError> {
    let at = key_name_at(name);
    let Some((NameRecord { id }, revision)) = desk.store.get(&at).await? else {
        return Ok(Ok(Expect::Absent(at)));
    };
    let free = Ok(Expect::At(at, revision));
    let Ok(holder) = id.parse::<KeyId>() else { return Ok(free) };
    if except == Some(holder) {
        return Ok(free);
    }
    let now = desk.context.clock.now();
    match desk.store.get::<KeyRecord>(&key_at(holder)).await? {
        Some((key, _)) if key.expires_at.is_none_or(|end| now < end) => Ok(Err(holder)),
        _ => Ok(free),
    }
}

fn taken(name: &str) -> ChangeError {
    ChangeError::NameTaken { what: "an API key", name: name.to_owned() }
}

/// The sources that a new key names, by id or name.
pub(super) fn named_sources(view: &View, names: &[String]) -> Result<Vec<SourceId>, ChangeError> {
    if names.len() > SOURCES_MAX {
        return Err(ChangeError::Invalid(format!(
            "a key names at most {SOURCES_MAX} data sources; name none to reach all"
        )));
    }
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let found = view.sources().iter().find(|s| s.id().as_str() == name || s.record().name == *name);
        let id = found
            .map(|source| source.id())
            .ok_or_else(|| ChangeError::Invalid(format!("the organization has no data source {name:?}")))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        return Err(ChangeError::Invalid(
            "a key that reaches no data source is of no use; name at least one, or none to reach all".into(),
        ));
    }
    Ok(ids)
}

pub(super) struct Create {
    pub(super) new: NewKey,
    pub(super) owner: Owner,
}

impl Change for Create {
    type Reply = MintedKey;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<MintedKey>, ChangeError> {
        let Self { new, owner } = self;
        let name = check_name(&new.name)?;
        let now = desk.context.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(ChangeError::Invalid("the expiry lies in the past".into()));
        }
        if view.keys.len() >= desk.limits.keys_max {
            return Err(ChangeError::Limit(format!(
                "the organization has {} API keys, as many as it may; delete some first",
                desk.limits.keys_max
            )));
        }
        let sources = new.sources.as_deref().map(|names| named_sources(&view, names)).transpose()?;
        let Ok(name_expect) = name_is_free(&desk, &name, None).await? else { return Err(taken(&name)) };
        let id = KeyId::mint(&desk.context.rng)?;
        let mut expects = vec![Expect::Absent(key_at(id)), name_expect];
        let mut writes = Vec::with_capacity(3);
        if let Owner::User { id: user } = &owner {
            let (at, mut member, revision) = owning(&desk, user).await?;
            if member.keys.len() >= PERSONAL_KEYS_MAX {
                return Err(ChangeError::Limit(format!(
                    "you have {PERSONAL_KEYS_MAX} personal API keys here, as many as a member may; delete some first"
                )));
            }
            member.keys.push(id);
            expects.push(Expect::At(at.clone(), revision));
            writes.push(Write::Put(at, encode(&member)));
        }
        let plain = PlainKey::mint(id, desk.org, &desk.context.rng)?;
        let record = KeyRecord {
            name: name.clone(),
            owner,
            created_at: now,
            expires_at: new.expires_at,
            enabled: true,
            sources,
            digest: plain.digest(),
            previous: Vec::new(),
            suspended: None,
            made_for: new.made_for,
        };
        writes.push(Write::Put(key_at(id), encode(&record)));
        writes.push(Write::Put(key_name_at(&name), encode(&NameRecord { id: id.to_string() })));
        Ok(Decided {
            expects,
            writes,
            narrows: false,
            edit: Edit::PutKey(id, record.clone()),
            event: Some(
                Event::new("key.create", "key", id, &record.name)
                    .with_some("expires_at", record.expires_at.map(|end| end.to_string()))
                    .with_some("sources", record.sources.as_deref().map(ids))
                    .with_some("owner", owner_of(&record)),
            ),
            reply: MintedKey { id, record, plain },
        })
    }
}

/// A new name, on and off, other sources, another end; any of them at once.
pub(super) struct Alter {
    pub(super) id: KeyId,
    pub(super) edit: KeyEdit,
}

impl Change for Alter {
    type Reply = KeyRecord;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<KeyRecord>, ChangeError> {
        let Self { id, edit } = self;
        let at = key_at(id);
        let (mut key, revision) =
            desk.store.get::<KeyRecord>(&at).await?.ok_or(ChangeError::NotFound(KEY))?;
        let before = key.clone();
        let mut expects = vec![Expect::At(at.clone(), revision)];
        let mut writes = Vec::new();
        if let Some(name) = &edit.name {
            let name = check_name(name)?;
            let Ok(name_expect) = name_is_free(&desk, &name, Some(id)).await? else {
                return Err(taken(&name));
            };
            expects.push(name_expect);
            let (old, new) = (key_name_at(&key.name), key_name_at(&name));
            if old != new && holds_name(&desk, id, &key.name).await? {
                writes.push(Write::Delete(old));
            }
            writes.push(Write::Put(new, encode(&NameRecord { id: id.to_string() })));
            key.name = name;
        }
        if let Some(sources) = &edit.sources {
            key.sources = sources.as_deref().map(|names| named_sources(&view, names)).transpose()?;
        }
        if let Some(expires_at) = edit.expires_at {
            if expires_at.is_some_and(|end| end <= desk.context.clock.now()) {
                return Err(ChangeError::Invalid("the expiry lies in the past".into()));
            }
            key.expires_at = expires_at;
        }
        // Written even where nothing changes: a repeated revoke is answered by the same rule as the first.
        key.enabled = edit.enabled.unwrap_or(key.enabled);
        if edit.enabled == Some(true) {
            if let Some(user) = owner_of(&key) {
                owning(&desk, user).await?;
            }
            key.suspended = None;
        }
        writes.push(Write::Put(at, encode(&key)));
        Ok(Decided {
            expects,
            writes,
            // Whatever it may do less than before ends at once, also what runs.
            narrows: edit.enabled == Some(false) || !key.limits().cover(before.limits()),
            edit: Edit::PutKey(id, key.clone()),
            event: Some(altered(id, &before, &key, edit.enabled)),
            reply: key,
        })
    }
}

/// The entry of a key that was renamed, switched, limited, or several of these.
fn altered(id: KeyId, before: &KeyRecord, after: &KeyRecord, enabled: Option<bool>) -> Event {
    let renamed = (before.name != after.name).then_some(before.name.as_str());
    let (sources, end) = (before.sources != after.sources, before.expires_at != after.expires_at);
    let action = match enabled {
        Some(true) => "key.enable",
        Some(false) => "key.disable",
        None if sources || end => "key.change",
        None => "key.rename",
    };
    let limits = match &after.sources {
        Some(sources) => Value::from(ids(sources)),
        None => Value::from("all"),
    };
    let expires = after.expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string());
    Event::new(action, "key", id, &after.name)
        .with_some("renamed_from", renamed)
        .with_some("sources", sources.then_some(limits))
        .with_some("expires_at", end.then_some(expires))
}

/// Ids as an entry lists them.
fn ids(sources: &[SourceId]) -> Vec<String> {
    sources.iter().map(ToString::to_string).collect()
}

/// Whether the name's index points to this key: an expired key may have lost its name to another.
pub(super) async fn holds_name(desk: &Desk, id: KeyId, name: &str) -> Result<bool, ChangeError> {
    let holder = desk.store.get::<NameRecord>(&key_name_at(name)).await?;
    Ok(holder.is_some_and(|(holder, _)| holder.id == id.as_str()))
}

/// The user whose personal key it is.
fn owner_of(key: &KeyRecord) -> Option<&str> {
    match &key.owner {
        Owner::Org => None,
        Owner::User { id } => Some(id),
    }
}

/// The membership that a personal key hangs on.
async fn owning(desk: &Desk, user: &str) -> Result<(Key, MemberRecord, Revision), ChangeError> {
    let gone = || ChangeError::Invalid("the key's owner is no member of the organization any more".into());
    let at = member_at(user.parse().map_err(|_| gone())?);
    let (member, revision) = desk.store.get::<MemberRecord>(&at).await?.ok_or_else(gone)?;
    Ok((at, member, revision))
}

pub(super) struct Rotate {
    pub(super) id: KeyId,
    pub(super) overlap: Duration,
}

impl Change for Rotate {
    type Reply = MintedKey;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<MintedKey>, ChangeError> {
        let at = key_at(self.id);
        let (key, revision) = desk.store.get::<KeyRecord>(&at).await?.ok_or(ChangeError::NotFound(KEY))?;
        let now = desk.context.clock.now();
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(ChangeError::Invalid("the key has expired; create a new one instead".into()));
        }
        let plain = PlainKey::mint(self.id, desk.org, &desk.context.rng)?;
        let record = rotated(key, plain.digest(), now, self.overlap)?;
        Ok(Decided {
            expects: vec![Expect::At(at.clone(), revision)],
            writes: vec![Write::Put(at, encode(&record))],
            // The old secret ends, now or later; that a later end needs no wait changes nothing here.
            narrows: true,
            edit: Edit::PutKey(self.id, record.clone()),
            event: Some(
                Event::new("key.rotate", "key", self.id, &record.name)
                    .with("overlap_seconds", self.overlap.as_secs()),
            ),
            reply: MintedKey { id: self.id, record, plain },
        })
    }
}

pub(super) struct Delete(pub(super) KeyId);

impl Change for Delete {
    type Reply = KeyRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<KeyRecord>, ChangeError> {
        let at = key_at(self.0);
        let (key, revision) = desk.store.get::<KeyRecord>(&at).await?.ok_or(ChangeError::NotFound(KEY))?;
        let mut writes = vec![Write::Delete(at.clone())];
        if let Some(user) = owner_of(&key)
            && let Ok((at, mut member, _)) = owning(&desk, user).await
        {
            member.keys.retain(|id| *id != self.0);
            writes.push(Write::Put(at, encode(&member)));
        }
        if holds_name(&desk, self.0, &key.name).await? {
            writes.push(Write::Delete(key_name_at(&key.name)));
        }
        Ok(Decided {
            expects: vec![Expect::At(at, revision)],
            writes,
            narrows: true,
            edit: Edit::RemoveKey(self.0),
            event: Some(Event::new("key.delete", "key", self.0, &key.name)),
            reply: key,
        })
    }
}

impl Org {
    /// Creates an API key; the answer holds its secret for the only time.
    pub async fn create_key(&self, new: NewKey) -> Result<MintedKey, ChangeError> {
        self.create_key_of(new, Owner::Org).await
    }

    pub(super) async fn create_key_of(&self, new: NewKey, owner: Owner) -> Result<MintedKey, ChangeError> {
        if let Err(wait) = self.entry.take_key_creation() {
            self.registry.0.parts.metrics.refused(crate::metrics::Refusal::KeyCreations);
            let what = "the organization creates API keys faster than limits.key_creations_per_minute allows";
            return Err(ChangeError::TooFast { what, wait });
        }
        self.ask(|| Create { new: new.clone(), owner: owner.clone() }).await
    }

    /// Gives a key another name, switches it on or off, or both. Off ends its running calls.
    pub async fn alter_key(
        &self,
        id: KeyId,
        name: Option<String>,
        enabled: Option<bool>,
    ) -> Result<KeyRecord, ChangeError> {
        self.edit_key(id, KeyEdit { name, enabled, ..KeyEdit::default() }).await
    }

    /// Changes a key. What it may do less than before ends at once.
    pub async fn edit_key(&self, id: KeyId, edit: KeyEdit) -> Result<KeyRecord, ChangeError> {
        self.ask(|| Alter { id, edit: edit.clone() }).await
    }

    /// Replaces a key's secret; the old one is accepted for `overlap` more.
    pub async fn rotate_key(&self, id: KeyId, overlap: Duration) -> Result<MintedKey, ChangeError> {
        self.ask(|| Rotate { id, overlap }).await
    }

    /// Deletes a key for good and ends its running calls. When this answers, every later request
    /// with it is refused.
    pub async fn delete_key(&self, id: KeyId) -> Result<KeyRecord, ChangeError> {
        let deleted = self.ask(|| Delete(id)).await?;
        self.forget_use(id).await;
        Ok(deleted)
    }

    /// All keys, oldest first.
    pub async fn list_keys(&self) -> Result<Vec<ListedKey>, ChangeError> {
        let store = self.store();
        let (records, _) = store.all(record::KEYS).await?;
        let (used, _) = store.all(record::USED).await?;
        let mut stored_uses: HashMap<KeyId, Timestamp> = used
            .iter()
            .filter_map(|r| {
                Some((id_after(record::USED, &r.key)?, decode::<UsedRecord>(&r.value).ok()?.last_used_at))
            })
            .collect();
        let mut keys = Vec::with_capacity(records.len());
        for stored in &records {
            let Some(id) = id_after(record::KEYS, &stored.key) else { continue };
            let last_used_at = self.used_here(id).max(stored_uses.remove(&id));
            keys.push(ListedKey { id, record: decode(&stored.value)?, last_used_at });
        }
        keys.sort_by(|a, b| {
            (a.record.created_at, &a.record.name).cmp(&(b.record.created_at, &b.record.name))
        });
        Ok(keys)
    }

    /// One key, as the list shows it.
    pub async fn key(&self, id: KeyId) -> Result<ListedKey, ChangeError> {
        let store = self.store();
        let (record, _) = store.get::<KeyRecord>(&key_at(id)).await?.ok_or(ChangeError::NotFound(KEY))?;
        let stored_use =
            store.get::<UsedRecord>(&record::used_at(id)).await?.map(|(used, _)| used.last_used_at);
        Ok(ListedKey { id, record, last_used_at: self.used_here(id).max(stored_use) })
    }

    /// The last use in this process.
    fn used_here(&self, id: KeyId) -> Option<Timestamp> {
        self.view()?.keys.get(&id)?.uses.last()
    }

    /// The key that a person means: by id, by visible prefix, or by name. A name cannot stand in for
    /// another key's id: ids count first.
    pub async fn find_key(&self, word: &str) -> Result<KeyId, ChangeError> {
        let store = self.store();
        let bare = word.strip_prefix(crate::credential::KEY_MARKER).unwrap_or(word);
        if let Ok(id) = bare.parse::<KeyId>()
            && store.get::<KeyRecord>(&key_at(id)).await?.is_some()
        {
            return Ok(id);
        }
        let holder = store.get::<NameRecord>(&key_name_at(word.trim())).await?;
        holder.and_then(|(holder, _)| holder.id.parse().ok()).ok_or(ChangeError::NotFound(KEY))
    }
}

impl ListedKey {
    /// The visible prefix.
    pub fn prefix(&self) -> String {
        prefix(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Rng;
    use crate::credential::{Digest, OrgId};

    fn digest() -> Digest {
        let rng = Rng::system();
        PlainKey::mint(KeyId::mint(&rng).unwrap(), OrgId::mint(&rng).unwrap(), &rng).unwrap().digest()
    }

    fn key() -> KeyRecord {
        KeyRecord {
            name: "k".into(),
            owner: Owner::Org,
            created_at: Timestamp(0),
            expires_at: None,
            enabled: true,
            sources: None,
            digest: digest(),
            previous: Vec::new(),
            suspended: None,
            made_for: None,
        }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_name_holds_nothing_that_is_not_seen() {
        for name in
            ["Ada's laptop", "naïve Ümläut", "日本語", "مرحبا", "👩 ✈️", "a  b", "<script>", "'; DROP"]
        {
            assert_eq!(check_name(name).unwrap(), name);
        }
        assert_eq!(check_name(" \u{a0}a\u{3000}").unwrap(), "a");
        let hidden = [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{206f}',
            '\u{2800}',
            '\u{3164}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{1d159}',
            '\u{e0041}',
        ];
        for hidden in hidden {
            for name in [format!("a{hidden}b"), hidden.to_string()] {
                assert!(check_name(&name).is_err(), "{hidden:?}");
            }
        }
        assert!(check_name("\u{fe0f}").is_err(), "a selector that selects nothing");
        for length in [1, NAME_CHARS_MAX, NAME_CHARS_MAX + 1] {
            assert_eq!(check_name(&"é".repeat(length)).is_ok(), length <= NAME_CHARS_MAX);
        }
    }

    #[test]
    fn a_rotation_keeps_the_old_secret_for_the_overlap() {
        let old = key();
        let fresh = digest();
        let new = rotated(old.clone(), fresh, Timestamp(1_000), HOUR).unwrap();
        assert!(new.digest.matches(&fresh));
        assert!(new.previous[0].digest.matches(&old.digest));
        assert_eq!(new.previous[0].valid_until, Timestamp(3_601_000));
    }

    #[test]
    fn a_rotation_without_overlap_ends_every_earlier_secret() {
        let once = rotated(key(), digest(), Timestamp(0), HOUR).unwrap();
        assert!(rotated(once, digest(), Timestamp(1), Duration::ZERO).unwrap().previous.is_empty());
    }

    #[test]
    fn an_overlap_never_outlives_the_key() {
        let mut old = key();
        old.expires_at = Some(Timestamp(5_000));
        let new = rotated(old, digest(), Timestamp(0), HOUR).unwrap();
        assert_eq!(new.previous[0].valid_until, Timestamp(5_000));
    }

    #[test]
    fn secrets_that_ended_are_dropped_and_the_number_of_living_ones_is_bounded() {
        let mut record = key();
        for _ in 0..PREVIOUS_MAX {
            record = rotated(record, digest(), Timestamp(0), HOUR).unwrap();
        }
        assert!(matches!(rotated(record.clone(), digest(), Timestamp(0), HOUR), Err(ChangeError::Limit(_))));
        let later = rotated(record, digest(), Timestamp(3_600_000), HOUR).unwrap();
        assert_eq!(later.previous.len(), 1);
    }

    #[test]
    fn a_name_is_trimmed_and_has_1_to_100_characters() {
        assert_eq!(check_name("  build server ").unwrap(), "build server");
        assert!(check_name(&"é".repeat(100)).is_ok());
        for bad in ["", "   ", &"é".repeat(101), "a\u{202e}b", "a\nb", "a\u{200b}b"] {
            assert!(matches!(check_name(bad), Err(ChangeError::Invalid(_))), "{bad:?}");
        }
    }
}
