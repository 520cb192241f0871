//! *Settings → API Keys*.

use std::sync::Arc;
use std::time::Duration;

use super::form::{STALE, seen};
use super::once::{Made, Met};
use super::reply::{Failed, Reply, told};
use super::visit::{DAY, Inside, Outcome};
use crate::context::Timestamp;
use crate::credential::{KeyId, SourceId, prefix};
use crate::flow::keys as flow;
use crate::org::keys::{ListedKey, MintedKey, NewKey};
use crate::org::permission::Action;
use crate::org::record::{KeyRecord, KeyStatus, Owner};
use crate::org::usage::{UsageReport, day_of};
use crate::org::{ChangeError, Source};
use crate::pages::{
    Deleting, Input, KeyDialog, KeyForm, KeyPage, KeyRow, KeyState, Keys, Name, Pick, Reach, Room, Rotating,
    Shown, Sort, query_string,
};

/// Keys of one page.
const PAGE: usize = 50;

/// How long the former secret may go on: what is sent, what is read, and how long that is.
const OVERLAPS: &[(&str, &str, u64)] = &[
    ("0", "Not at all: it stops now", 0),
    ("3600", "1 hour", 3_600),
    ("86400", "1 day", 86_400),
    ("604800", "7 days", 604_800),
];

/// Who owns what, for the rows.
pub(super) struct Owners(Vec<(String, String)>);

impl Owners {
    pub(super) async fn of(inside: &Inside) -> Result<Self, ChangeError> {
        let members = inside.member.list_members().await?;
        Ok(Self(members.into_iter().map(|member| (member.user.to_string(), member.record.email)).collect()))
    }

    fn name(&self, id: &str) -> Name {
        let found = self.0.iter().find(|(user, _)| user == id);
        found.map_or_else(|| Name::new("a former member"), |(_, email)| Name::new(email.clone()))
    }
}

impl Inside {
    fn key_id(&self) -> Result<KeyId, Failed> {
        self.part("key").parse().map_err(|_| Failed::NOT_FOUND)
    }

    /// The keys that the reader may see: none for a viewer, who has none and whom no other concerns.
    pub(super) async fn keys_seen(&self) -> Result<Vec<ListedKey>, ChangeError> {
        match self.member.list_keys().await {
            Err(ChangeError::Forbidden) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// The key of the address, if the reader may see it.
    async fn key(&self) -> Result<ListedKey, Failed> {
        Ok(self.member.key(self.key_id()?).await?)
    }

    pub(super) fn row(&self, key: &ListedKey, sources: &[Arc<Source>], owners: &Owners) -> KeyRow {
        let record = &key.record;
        let mine = Owner::User { id: self.who.user.to_string() } == record.owner;
        KeyRow {
            id: key.id.to_string(),
            name: Name::new(record.name.clone()),
            prefix: prefix(&key.id),
            owner: match &record.owner {
                Owner::Org => None,
                Owner::User { id } => Some(owners.name(id)),
            },
            tool: record.made_for.as_deref().and_then(crate::install::tool).map(|tool| tool.name),
            state: self.state(record),
            reach: reach(record.sources.as_deref(), sources),
            last_used: key.last_used_at.map(|at| self.when(at)),
            expires: record.expires_at.map(|at| self.when(at)),
            created: self.when(record.created_at),
            may_change: self.member.may(if mine { Action::OwnKeys } else { Action::AllKeys }),
        }
    }

    fn state(&self, record: &KeyRecord) -> KeyState {
        match (record.status(self.now), record.overlaps(self.now).max()) {
            (KeyStatus::Expired, _) => KeyState::Expired,
            (KeyStatus::Disabled, _) => KeyState::Disabled,
            (KeyStatus::Suspended, _) => KeyState::Suspended,
            (KeyStatus::Active, Some(until)) => KeyState::Rotating(self.when(until)),
            (KeyStatus::Active, None) => KeyState::Active,
        }
    }

    fn key_at(&self, id: KeyId) -> String {
        format!("{}/keys/{id}", self.base())
    }

    /// The list, as the address asks for it, with what is over it.
    async fn keys_page(&self, dialog: Option<KeyDialog>) -> Result<Keys, Failed> {
        let (sources, owners) = (self.member.list_sources()?, Owners::of(self).await?);
        let mut keys = self.keys_seen().await?;
        let all = keys.len();
        let usable = keys.iter().filter(|key| key.record.status(self.now) == KeyStatus::Active).count();
        let filter = self.query.trimmed("q").to_owned();
        let wanted = filter.to_lowercase();
        keys.retain(|key| {
            let owner = match &key.record.owner {
                Owner::Org => Name::default(),
                Owner::User { id } => owners.name(id),
            };
            key.record.name.to_lowercase().contains(&wanted)
                || prefix(&key.id).to_lowercase().starts_with(&wanted)
                || owner.plain().to_lowercase().contains(&wanted)
        });
        let sort = Sort::from_word(self.query.get("sort")).unwrap_or(Sort::Created);
        keys.sort_by(|a, b| match sort {
            Sort::Name => a.record.name.to_lowercase().cmp(&b.record.name.to_lowercase()),
            Sort::LastUsed => b.last_used_at.cmp(&a.last_used_at),
            // What never ends comes last.
            Sort::Expires => {
                let end = |key: &ListedKey| key.record.expires_at.map_or(i64::MAX, |at| at.0);
                end(a).cmp(&end(b))
            }
            Sort::Created => b.record.created_at.cmp(&a.record.created_at),
        });
        let (shown, paging) = self.part_of(keys.len(), PAGE, |from| {
            let query = query_string(&[("q", &filter), ("sort", sort.word()), ("from", &from.to_string())]);
            format!("{}/keys?{query}", self.base())
        });
        let rows = keys[shown].iter().map(|key| self.row(key, &sources, &owners)).collect();
        Ok(Keys {
            shell: self.org_shell(Room::Keys).await?,
            filter,
            sort,
            rows,
            usable,
            all,
            paging,
            may_create: self.member.may(Action::OwnKeys),
            dialog,
        })
    }

    async fn with_dialog(&self, dialog: KeyDialog) -> Outcome {
        Reply::page(&self.keys_page(Some(dialog)).await?)
    }

    async fn refused_dialog(&self, dialog: KeyDialog) -> Outcome {
        Reply::refused(&self.keys_page(Some(dialog)).await?)
    }

    /// A form that makes a secret: carried out once, and shown for the only time.
    async fn show_made(&self, met: Met<Made>) -> Outcome {
        let (Met::Now(made) | Met::Before(made)) = &met;
        let key = self.member.key(made.key).await?;
        let dialog = match (&made.secret, &met) {
            (Some(secret), Met::Now(_)) => {
                let visible = prefix(&made.key);
                let rest = secret.strip_prefix(visible.as_str()).unwrap_or_default().to_owned();
                let former_until = match self.state(&key.record) {
                    KeyState::Rotating(until) => Some(until),
                    _ => None,
                };
                KeyDialog::Shown(Shown {
                    name: Name::new(key.record.name),
                    prefix: visible,
                    rest,
                    former_until,
                })
            }
            _ => KeyDialog::ShownAlready {
                id: made.key.to_string(),
                name: Name::new(key.record.name),
                prefix: prefix(&made.key),
            },
        };
        self.with_dialog(dialog).await
    }

    /// What one key did in the last days, today included.
    pub(super) async fn used(&self, key: KeyId, days: u32) -> Result<UsageReport, Failed> {
        let from = day_of(self.now.minus(DAY * days.saturating_sub(1)));
        Ok(self.member.key_usage(key, from).await?)
    }
}

/// What was made, for `once`.
pub(super) fn made(minted: &MintedKey) -> Made {
    Made { key: minted.id, secret: Some(minted.plain.reveal().into()) }
}

pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) async fn list(inside: Inside) -> Outcome {
    inside.show(&inside.keys_page(None).await?)
}

/// What may be read, by name; `only` is `None` for all.
pub(super) fn reach(only: Option<&[SourceId]>, sources: &[Arc<Source>]) -> Reach {
    let name_of = |id: &SourceId| {
        let found = sources.iter().find(|source| source.id() == *id);
        Name::new(found.map_or_else(|| "a removed source".to_owned(), |source| source.record().name.clone()))
    };
    only.map_or(Reach::All, |ids| Reach::Only(ids.iter().map(name_of).collect()))
}

/// The data sources of a form: id, name, kind, whether it is among those that may be read.
pub(super) fn source_choices(
    sources: &[Arc<Source>],
    only: Option<&[SourceId]>,
) -> Vec<(String, Name, String, bool)> {
    let choice = |source: &Arc<Source>| {
        let record = source.record();
        let ticked = only.is_some_and(|only| only.contains(&source.id()));
        (source.id().to_string(), Name::new(record.name.clone()), source.kind_label(), ticked)
    };
    sources.iter().map(choice).collect()
}

/// The form as it is first seen.
fn form_of(inside: &Inside, key: Option<&ListedKey>) -> Result<KeyForm, Failed> {
    let only = key.and_then(|key| key.record.sources.as_deref());
    Ok(KeyForm {
        id: key.map(|key| key.id.to_string()),
        once: inside.dashboard().once.token()?,
        seen: key.map_or_else(String::new, |key| {
            let KeyRecord { name, sources, expires_at, .. } = &key.record;
            seen(&(name, sources, expires_at))
        }),
        name: Input::of(key.map(|key| key.record.name.clone()).unwrap_or_default()),
        all_sources: only.is_none(),
        sources: source_choices(&inside.member.list_sources()?, only),
        sources_error: None,
        expires: Input::of(if key.is_some() { "keep" } else { "90d" }),
        may_own_by_org: inside.member.may(Action::AllKeys),
        owned_by_org: false,
    })
}

/// The form as it was sent.
fn form_sent(inside: &Inside, key: Option<&ListedKey>) -> Result<KeyForm, Failed> {
    let mut form = form_of(inside, key)?;
    let sent = &inside.form;
    form.name = Input::of(sent.trimmed("name"));
    form.all_sources = sent.get("reach") != "only";
    for (id, _, _, ticked) in &mut form.sources {
        *ticked = sent.all("source").any(|sent| sent == id);
    }
    form.expires = Input::of(sent.get("expires"));
    form.owned_by_org = form.may_own_by_org && sent.get("owner") == "org";
    Ok(form)
}

/// What a form asks for: which sources, until when. The form itself where something is wrong with it.
fn wanted(inside: &Inside, form: &mut KeyForm) -> Option<(Option<Vec<String>>, Option<Timestamp>)> {
    let ticked: Vec<_> =
        form.sources.iter().filter(|(.., ticked)| *ticked).map(|(id, ..)| id.clone()).collect();
    if !form.all_sources && ticked.is_empty() {
        form.sources_error = Some("Choose at least one data source, or all of them.".to_owned());
    }
    let in_days = |days: u32| Some(inside.now.plus(DAY * days));
    let expires = match form.expires.value.as_str() {
        "30d" => Some(in_days(30)),
        "90d" => Some(in_days(90)),
        "365d" => Some(in_days(365)),
        "never" | "keep" => Some(None),
        _ => {
            form.expires.error = Some("Choose when it expires.".to_owned());
            None
        }
    }?;
    form.sources_error.is_none().then_some(((!form.all_sources).then_some(ticked), expires))
}

/// The form with what was refused.
fn told_in(mut form: KeyForm, error: ChangeError) -> Result<KeyForm, Failed> {
    form.name.error = Some(told(error)?);
    Ok(form)
}

pub(super) async fn new(inside: Inside) -> Outcome {
    if !inside.member.may(Action::OwnKeys) {
        return Err(ChangeError::Forbidden.into());
    }
    let form = form_of(&inside, None)?;
    inside.with_dialog(KeyDialog::Form(form)).await
}

pub(super) async fn create(inside: Inside) -> Outcome {
    let mut form = form_sent(&inside, None)?;
    let Some((sources, expires_at)) = wanted(&inside, &mut form) else {
        return inside.refused_dialog(KeyDialog::Form(form)).await;
    };
    let new = NewKey { name: form.name.value.clone(), expires_at, sources, made_for: None };
    let make = async {
        let minted = match form.owned_by_org {
            true => inside.member.create_org_key(new).await?,
            false => flow::create_personal(&inside.dashboard().people, &inside.member, new).await?,
        };
        Ok::<_, ChangeError>(made(&minted))
    };
    match inside.dashboard().once.meet(inside.who.user, inside.form.get("once"), make).await {
        Ok(met) => inside.show_made(met).await,
        Err(error) => {
            let form = told_in(form, error)?;
            inside.refused_dialog(KeyDialog::Form(form)).await
        }
    }
}

pub(super) async fn one(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let (sources, owners) = (inside.member.list_sources()?, Owners::of(&inside).await?);
    let used = inside.used(key.id, 30).await?.total;
    let made_by = match &key.record.owner {
        Owner::User { id } => owners.name(id),
        Owner::Org => Name::new("the organization"),
    };
    let page = KeyPage {
        shell: inside.org_shell(Room::Keys).await?,
        key: inside.row(&key, &sources, &owners),
        made_by,
        calls: count(used.calls),
        rows: count(used.rows),
    };
    inside.show(&page)
}

pub(super) async fn edit(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let form = form_of(&inside, Some(&key))?;
    inside.with_dialog(KeyDialog::Form(form)).await
}

pub(super) async fn save(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let mut form = form_sent(&inside, Some(&key))?;
    if inside.form.is_stale(&form.seen) {
        form.name.error = Some(STALE.to_owned());
        return inside.refused_dialog(KeyDialog::Form(form)).await;
    }
    let keeps = form.expires.value == "keep";
    let Some((sources, expires_at)) = wanted(&inside, &mut form) else {
        return inside.refused_dialog(KeyDialog::Form(form)).await;
    };
    let edit = crate::org::keys::KeyEdit {
        name: Some(form.name.value.clone()),
        enabled: None,
        sources: Some(sources),
        expires_at: (!keeps).then_some(expires_at),
    };
    match inside.member.edit_key(key.id, edit).await {
        Ok(record) => Ok(inside.done(&inside.key_at(key.id), &format!("{} was saved.", record.name))),
        Err(error) => {
            let form = told_in(form, error)?;
            inside.refused_dialog(KeyDialog::Form(form)).await
        }
    }
}

fn rotating(inside: &Inside, key: &ListedKey, overlap: Input) -> Result<Rotating, Failed> {
    let most = inside.dashboard().rotate_overlap_max.as_secs();
    let offered = OVERLAPS.iter().filter(|(.., seconds)| *seconds <= most);
    Ok(Rotating {
        id: key.id.to_string(),
        name: Name::new(key.record.name.clone()),
        once: inside.dashboard().once.token()?,
        overlaps: offered.map(|(value, label, _)| Pick::new(*value, *label)).collect(),
        overlap,
    })
}

pub(super) async fn ask_rotate(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let dialog = rotating(&inside, &key, Input::of("86400"))?;
    inside.with_dialog(KeyDialog::Rotate(dialog)).await
}

async fn rotate_by(inside: &Inside, id: KeyId, overlap: Duration) -> Result<Met<Made>, ChangeError> {
    let make = async { Ok(made(&inside.member.rotate_key(id, overlap).await?)) };
    inside.dashboard().once.meet(inside.who.user, inside.form.get("once"), make).await
}

pub(super) async fn rotate(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let sent = inside.form.get("overlap");
    let most = inside.dashboard().rotate_overlap_max.as_secs();
    let overlap = OVERLAPS.iter().find(|(value, _, seconds)| *value == sent && *seconds <= most);
    let Some((_, _, seconds)) = overlap else {
        let dialog =
            rotating(&inside, &key, Input::wrong(sent, "Choose how long the former secret goes on."))?;
        return inside.refused_dialog(KeyDialog::Rotate(dialog)).await;
    };
    let met = rotate_by(&inside, key.id, Duration::from_secs(*seconds)).await?;
    inside.show_made(met).await
}

/// A key that leaked: its secret ends at once, and another one is shown.
pub(super) async fn replace(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let met = rotate_by(&inside, key.id, Duration::ZERO).await?;
    inside.show_made(met).await
}

async fn switch(inside: &Inside, enabled: bool, to: &str, toast: &str) -> Outcome {
    let people = &inside.dashboard().people;
    let record = flow::alter(people, &inside.member, inside.key_id()?, (None, Some(enabled))).await?;
    Ok(inside.done(to, &format!("{} {toast}", record.name)))
}

pub(super) async fn disable(inside: Inside) -> Outcome {
    let to = inside.key_at(inside.key_id()?);
    switch(&inside, false, &to, "is disabled. Its running queries were cancelled.").await
}

pub(super) async fn enable(inside: Inside) -> Outcome {
    let to = inside.key_at(inside.key_id()?);
    switch(&inside, true, &to, "works again.").await
}

/// Stops a key that leaked, and shows what it did.
pub(super) async fn stop(inside: Inside) -> Outcome {
    let id = inside.key_id()?;
    let to = format!("{}/keys/leaked?key={}", inside.base(), prefix(&id));
    switch(&inside, false, &to, "is stopped. Its running queries were cancelled.").await
}

async fn deleting(inside: &Inside, key: &ListedKey, typed: Input) -> Result<KeyDialog, Failed> {
    let calls = inside.used(key.id, 7).await?.total.calls;
    Ok(KeyDialog::Delete(Deleting {
        id: key.id.to_string(),
        name: Name::new(key.record.name.clone()),
        prefix: prefix(&key.id),
        last_used: key.last_used_at.map(|at| inside.when(at)),
        calls: count(calls),
        typed,
    }))
}

pub(super) async fn ask_delete(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let dialog = deleting(&inside, &key, Input::default()).await?;
    inside.with_dialog(dialog).await
}

pub(super) async fn delete(inside: Inside) -> Outcome {
    let key = inside.key().await?;
    let typed = inside.form.get("confirm");
    if !Name::new(key.record.name.clone()).is_typed(typed) {
        let typed = Input::wrong(typed, "Type the name exactly as it is shown. Nothing was deleted.");
        let dialog = deleting(&inside, &key, typed).await?;
        return inside.refused_dialog(dialog).await;
    }
    let record = inside.member.delete_key(key.id).await?;
    let to = format!("{}/keys", inside.base());
    Ok(inside.done(&to, &format!("{} was deleted. Nothing can be read with it any more.", record.name)))
}
