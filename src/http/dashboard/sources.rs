//! *Data sources*: connect, test, change and remove databases, with forms made from what connectors declare.

use std::collections::HashMap;
use std::sync::Arc;

use sequel_connector::{Declaration, Setting, SettingKind, Settings};
use serde_json::Value;

use super::form::{STALE, seen};
use super::reply::{Failed, Refusal, Reply};
use super::visit::{DAY, Inside, Outcome};
use crate::credential::SourceId;
use crate::http::sentence::sentence;
use crate::org::permission::Action;
use crate::org::record::SourceRecord;
use crate::org::sources::{NewSource, SourceEdit};
use crate::org::usage::{UsageQuery, day_of};
use crate::org::{ChangeError, Source, Tried};
use crate::pages::{
    Asked, Check, CheckOutcome, Declared, DeclaredKind, Health, Input, Name, Pick, Room, SourceForm,
    SourceKind, SourcePage, SourceRow, Sources, When,
};

/// Days in which it is looked when a data source was asked last.
const ASKED_DAYS: u32 = 7;

impl Inside {
    fn source(&self) -> Result<Arc<Source>, Failed> {
        // By its id alone: a name in an address would be another source's after a rename.
        let word = self.part("source");
        let source = self.member.find_source(word)?;
        if source.id().to_string() == word { Ok(source) } else { Err(Failed::NOT_FOUND) }
    }

    /// On which days data sources were asked last, or `None` where that is not the reader's to see.
    async fn asked(&self) -> Result<Option<HashMap<SourceId, When>>, Failed> {
        let from = day_of(self.now.minus(DAY * (ASKED_DAYS - 1)));
        let report = match self.member.usage(UsageQuery { from, key: None, source: None }).await {
            Ok(report) => report,
            Err(ChangeError::Forbidden) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut asked = HashMap::new();
        // The newest day comes first.
        for line in &report.lines {
            if let Some(source) = line.source {
                asked.entry(source).or_insert_with(|| When::of_day(line.day, self.now.0));
            }
        }
        Ok(Some(asked))
    }

    async fn source_rows(&self, sources: &[Arc<Source>]) -> Result<Vec<SourceRow>, Failed> {
        let asked = self.asked().await?;
        let of = |source: &Source| match &asked {
            None => Asked::Hidden,
            Some(asked) => {
                asked.get(&source.id()).map_or(Asked::NotInDays(ASKED_DAYS), |when| Asked::On(*when))
            }
        };
        Ok(sources.iter().map(|source| self.source_row(source, of(source))).collect())
    }

    fn source_row(&self, source: &Source, asked: Asked) -> SourceRow {
        let record = source.record();
        // Where it is, in the words of whichever connector: a file, a host.
        let place =
            ["path", "host"].iter().find_map(|name| record.settings.get(*name)?.as_str()).unwrap_or_default();
        SourceRow {
            id: source.id().to_string(),
            name: Name::new(record.name.clone()),
            kind: source.kind_label(),
            place: Name::new(place),
            health: match source.failing() {
                Some((since, cause)) => Health::Failing { since: self.when(since), cause: sentence(&cause) },
                None if source.is_open() => Health::Healthy,
                None => Health::Unknown,
            },
            asked,
        }
    }

    async fn sources_page(&self, removing: Option<(SourceRow, Input, usize)>) -> Result<Sources, Failed> {
        Ok(Sources {
            shell: self.org_shell(Room::Sources).await?,
            rows: self.source_rows(&self.member.list_sources()?).await?,
            may_change: self.member.may(Action::Sources),
            removing,
        })
    }

    fn sources_at(&self) -> String {
        format!("{}/sources", self.base())
    }

    fn needs_sources(&self) -> Result<(), Failed> {
        if self.member.may(Action::Sources) { Ok(()) } else { Err(ChangeError::Forbidden.into()) }
    }
}

pub(super) async fn list(inside: Inside) -> Outcome {
    inside.show(&inside.sources_page(None).await?)
}

pub(super) async fn first_kind(inside: Inside) -> Outcome {
    let kinds = inside.member.source_kinds();
    // What most people have; the form offers the others.
    let first =
        kinds.iter().find(|kind| kind.word == "postgres").or(kinds.first()).ok_or(Failed::NOT_FOUND)?;
    Ok(Reply::see(&format!("{}/new/{}", inside.sources_at(), first.word)))
}

fn kind(inside: &Inside, word: &str) -> Result<&'static Declaration, Failed> {
    inside.member.source_kinds().into_iter().find(|kind| kind.word == word).ok_or(Failed::NOT_FOUND)
}

/// A declared setting as a field, with its value in text; of a secret, whether one is stored.
fn field(setting: &Setting, value: String, stored: bool) -> Declared {
    let kind = match setting.kind {
        SettingKind::Line => DeclaredKind::Machine,
        SettingKind::Lines => DeclaredKind::Lines,
        SettingKind::Number => DeclaredKind::Number,
        SettingKind::Secret => DeclaredKind::Secret { stored },
        SettingKind::SecretLines => DeclaredKind::SecretLines { stored },
        SettingKind::Choice(words) => {
            DeclaredKind::Choice(words.iter().map(|word| Pick::new(*word, *word)).collect())
        }
        SettingKind::On => DeclaredKind::Tick,
    };
    Declared {
        name: setting.name.to_owned(),
        label: setting.label.to_owned(),
        // A secret goes into the form of nobody, not even of whoever has just typed it.
        input: if setting.kind.is_secret() { Input::default() } else { Input::of(value) },
        kind,
        help: Some(setting.help.to_owned()),
        required: setting.required,
    }
}

/// The form with values of a source, of what was sent, or of nothing.
async fn form(
    inside: &Inside,
    kind: &'static Declaration,
    editing: Option<&Source>,
    value: impl Fn(&str) -> String,
) -> Result<SourceForm, Failed> {
    let of_kind =
        |kind: &Declaration| SourceKind { word: kind.word.to_owned(), label: kind.label.to_owned() };
    let sealed = editing.and_then(|source| source.record().secrets.as_ref());
    let is_stored =
        |name: &str| sealed.is_some_and(|sealed| sealed.names.iter().any(|stored| stored == name));
    let declared = kind
        .settings
        .iter()
        .map(|setting| field(setting, value(&format!("set-{}", setting.name)), is_stored(setting.name)));
    Ok(SourceForm {
        shell: inside.org_shell(Room::Sources).await?,
        editing: editing.map(|source| (source.id().to_string(), Name::new(source.record().name.clone()))),
        seen: editing.map_or_else(String::new, |source| {
            let SourceRecord { name, settings, description, .. } = source.record();
            seen(&(name, settings, description))
        }),
        kinds: inside.member.source_kinds().into_iter().map(of_kind).collect(),
        kind: of_kind(kind),
        name: Input::of(value("name")),
        description: Input::of(value("description")),
        declared: declared.collect(),
        checks: Vec::new(),
        repair: None,
    })
}

async fn sent(
    inside: &Inside,
    kind: &'static Declaration,
    editing: Option<&Source>,
) -> Result<SourceForm, Failed> {
    form(inside, kind, editing, |name| inside.form.trimmed(name).to_owned()).await
}

/// The source that a form asks for. An empty field is no setting, and of a secret it keeps what is stored.
fn new_source(inside: &Inside, form: &SourceForm, kind: &Declaration) -> NewSource {
    let value = |setting: &Setting| {
        let text = inside.form.trimmed(&format!("set-{}", setting.name)).to_owned();
        let value = match setting.kind {
            // What holds where nothing is said.
            SettingKind::On => (text != "true").then(|| Value::from(false)),
            SettingKind::Choice(words) => {
                Some(text).filter(|text| words.first() != Some(&text.as_str())).map(Value::from)
            }
            _ => Some(text).filter(|text| !text.is_empty()).map(Value::from),
        };
        Some((setting.name.to_owned(), value?))
    };
    let settings: Settings = kind.settings.iter().filter_map(value).collect();
    NewSource {
        name: form.name.value.clone(),
        kind: kind.word.to_owned(),
        settings,
        description: Some(form.description.value.clone()).filter(|text| !text.is_empty()),
    }
}

fn is_on(setting: &Setting) -> bool {
    setting.kind == SettingKind::On
}

pub(super) async fn new(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let kind = kind(&inside, inside.part("kind"))?;
    let on = |name: &str| name.strip_prefix("set-").and_then(|name| kind.setting(name)).is_some_and(is_on);
    Reply::page(
        &form(&inside, kind, None, |name| if on(name) { "true".into() } else { String::new() }).await?,
    )
}

/// Tries a source out, and says how that went.
async fn try_out(inside: &Inside, source: &Arc<Source>) -> Vec<Check> {
    let Tried { error, warnings, elapsed_ms } = source.try_out(inside.dashboard().test_timeout).await;
    let (text, outcome) = match &error {
        None => ("It was opened read only and answered.".to_owned(), CheckOutcome::Passed),
        Some(error) => (sentence(error), CheckOutcome::Failed),
    };
    let first = Check { text, outcome, millis: Some(elapsed_ms) };
    // What should be changed although it works stands in nobody's way.
    let warned = |text: String| Check { text, outcome: CheckOutcome::Warned, millis: None };
    std::iter::once(first).chain(warnings.into_iter().map(warned)).collect()
}

/// What should be changed although it works, behind what is said when it was saved.
fn warnings(form: &SourceForm) -> String {
    let warned = form.checks.iter().filter(|check| check.outcome == CheckOutcome::Warned);
    warned.map(|check| format!(" {}", check.text)).collect()
}

/// The form of a source that was tried out as it would be, where it may be saved; otherwise the answer.
async fn tried(
    inside: &Inside,
    mut form: SourceForm,
    new: NewSource,
    of: Option<&Source>,
) -> Result<SourceForm, Outcome> {
    let candidate = match inside.member.candidate(new, of).await {
        Ok(candidate) => candidate,
        Err(error) => return Err(refused(form, error)),
    };
    form.checks = try_out(inside, &candidate).await;
    let is_well = form.checks.iter().all(|check| check.outcome != CheckOutcome::Failed);
    match inside.form.get("only") {
        "test" => Err(Reply::page(&form)),
        _ if is_well => Ok(form),
        _ => Err(Reply::refused(&form)),
    }
}

fn refused(form: SourceForm, error: ChangeError) -> Outcome {
    Reply::refused(&told(form, error)?)
}

/// Which setting a refusal is about: the one that it names first, by its label or its name. One that names none is about
/// the first, unless it is about the source's name.
fn meant(declared: &[Declared], refusal: &str) -> Option<usize> {
    let refusal = refusal.to_lowercase();
    let is_inside =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let named = |word: &str| {
        let word = word.to_lowercase();
        let whole = |at: &usize| {
            let bytes = refusal.as_bytes();
            !is_inside(at.checked_sub(1).and_then(|at| bytes.get(at)))
                && !is_inside(bytes.get(at + word.len()))
        };
        refusal.match_indices(&word).map(|(at, _)| at).find(whole)
    };
    let first = |declared: &Declared| {
        [&declared.label, &declared.name]
            .into_iter()
            .filter_map(|word| Some((named(word)?, word.len())))
            .min()
    };
    let found = declared.iter().enumerate().filter_map(|(at, declared)| Some((first(declared)?, at)));
    // Of two that begin at one place the longer word is meant.
    let found = found.min_by_key(|((from, length), _)| (*from, std::cmp::Reverse(*length))).map(|(_, at)| at);
    found.or_else(|| (!refusal.contains("name") && !declared.is_empty()).then_some(0))
}

/// What was refused, in the form.
fn told(mut form: SourceForm, error: ChangeError) -> Result<SourceForm, Failed> {
    match error.into() {
        Refusal::Name(text) => form.name.error = Some(text),
        // Settings are what a connector refuses; a name has its own rules, and says so.
        Refusal::Told(text) => match meant(&form.declared, &text) {
            Some(at) => form.declared[at].input.error = Some(text),
            None => form.name.error = Some(text),
        },
        Refusal::Failed(failed) => return Err(failed),
    }
    Ok(form)
}

pub(super) async fn add(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let kind = kind(&inside, inside.part("kind"))?;
    let form = sent(&inside, kind, None).await?;
    let new = new_source(&inside, &form, kind);
    let form = match tried(&inside, form, new.clone(), None).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    match inside.member.add_source(new).await {
        Ok((id, record)) => {
            let to = format!("{}/{id}", inside.sources_at());
            Ok(inside.done(&to, &format!("{} is connected.{}", record.name, warnings(&form))))
        }
        Err(error) => refused(form, error),
    }
}

/// A setting as a form and a page show it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

async fn source_page(
    inside: &Inside,
    source: &Arc<Source>,
    checks: Vec<Check>,
) -> Result<SourcePage, Failed> {
    let record = source.record();
    let kind = kind(inside, &record.kind).ok();
    let label = |name: &str| {
        let declared = kind.and_then(|kind| kind.setting(name));
        declared.map_or_else(|| name.to_owned(), |setting| setting.label.to_owned())
    };
    let plain = record.settings.iter().map(|(name, value)| (label(name), Name::new(text(value))));
    let sealed = record.secrets.iter().flat_map(|secrets| &secrets.names);
    let sealed = sealed.map(|name| (label(name), Name::new("sealed")));
    Ok(SourcePage {
        shell: inside.org_shell(Room::Sources).await?,
        source: row(inside, source).await?,
        description: record.description.clone().map(Name::new),
        settings: plain.chain(sealed).collect(),
        created: inside.when(record.created_at),
        checks,
        may_change: inside.member.may(Action::Sources),
    })
}

async fn row(inside: &Inside, source: &Arc<Source>) -> Result<SourceRow, Failed> {
    inside.source_rows(std::slice::from_ref(source)).await?.pop().ok_or(Failed::NOT_FOUND)
}

pub(super) async fn one(inside: Inside) -> Outcome {
    let source = inside.source()?;
    inside.show(&source_page(&inside, &source, Vec::new()).await?)
}

pub(super) async fn test(inside: Inside) -> Outcome {
    let source = inside.source()?;
    let source = inside.member.source_to_test(&source.id().to_string())?;
    let checks = try_out(&inside, &source).await;
    Reply::page(&source_page(&inside, &source, checks).await?)
}

pub(super) async fn edit(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let source = inside.source()?;
    let record = source.record();
    let kind = kind(&inside, &record.kind)?;
    let value = |name: &str| match name {
        "name" => record.name.clone(),
        "description" => record.description.clone().unwrap_or_default(),
        name => {
            let name = name.strip_prefix("set-").unwrap_or(name);
            match record.settings.get(name) {
                Some(value) => text(value),
                None if kind.setting(name).is_some_and(is_on) => "true".to_owned(),
                None => String::new(),
            }
        }
    };
    Reply::page(&form(&inside, kind, Some(&*source), value).await?)
}

pub(super) async fn save(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let source = inside.source()?;
    let kind = kind(&inside, &source.record().kind)?;
    let mut form = sent(&inside, kind, Some(&*source)).await?;
    if inside.form.is_stale(&form.seen) {
        form.name.error = Some(STALE.to_owned());
        return Reply::refused(&form);
    }
    let mut new = new_source(&inside, &form, kind);
    // What the form does not ask for stays as it is: whoever changes a description allows nothing by it.
    for (name, value) in source.record().settings.iter().filter(|(name, _)| kind.setting(name).is_none()) {
        new.settings.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let settings = new.settings.clone();
    let form = match tried(&inside, form, new, Some(&*source)).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    let edit = SourceEdit {
        name: Some(form.name.value.clone()),
        settings: Some(settings),
        description: Some(form.description.value.clone()),
    };
    match inside.member.alter_source(&source, edit).await {
        Ok(record) => {
            let to = format!("{}/{}", inside.sources_at(), source.id());
            Ok(inside.done(&to, &format!("{} was saved.{}", record.name, warnings(&form))))
        }
        Err(error) => refused(form, error),
    }
}

/// How many keys name a source: those that will reach one less.
async fn naming(inside: &Inside, source: &Source) -> Result<usize, Failed> {
    let keys = inside.member.list_keys().await?;
    let names = |sources: &Vec<_>| sources.contains(&source.id());
    Ok(keys.iter().filter(|key| key.record.sources.as_ref().is_some_and(names)).count())
}

pub(super) async fn ask_remove(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let source = inside.source()?;
    let keys = naming(&inside, &source).await?;
    let removing = Some((row(&inside, &source).await?, Input::default(), keys));
    Reply::page(&inside.sources_page(removing).await?)
}

pub(super) async fn remove(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let source = inside.source()?;
    let row = row(&inside, &source).await?;
    let typed = inside.form.get("confirm");
    if !row.name.is_typed(typed) {
        let keys = naming(&inside, &source).await?;
        let typed = Input::wrong(typed, "Type the name exactly as it is shown. Nothing was removed.");
        return Reply::refused(&inside.sources_page(Some((row, typed, keys))).await?);
    }
    let record = inside.member.remove_source(source.id()).await?;
    Ok(inside
        .done(&inside.sources_at(), &format!("{} was removed. Its database was not touched.", record.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_beside_the_setting_that_it_is_about() {
        let declared: Vec<_> = [
            ("url", "Connection URL"),
            ("host", "Host"),
            ("port", "Port"),
            ("user", "User"),
            ("password", "Password"),
            ("ca", "Certificate authority"),
            ("client_certificate", "Client certificate"),
            ("statement_timeout_seconds", "Longest statement in seconds"),
        ]
        .map(|(name, label)| Setting { name, label, help: "", kind: SettingKind::Line, required: false })
        .iter()
        .map(|setting| field(setting, String::new(), false))
        .collect();
        let beside = |refusal: &str| meant(&declared, refusal).map(|at| declared[at].name.as_str());
        for (refusal, name) in [
            ("Give either the URL or host, port, database and user, not both.", Some("url")),
            ("Say what the host is, or give a URL such as postgres://user@host/database.", Some("host")),
            ("The certificate authority holds a certificate that cannot be used.", Some("ca")),
            (
                "A client certificate needs its key, and a key its certificate. Give both or neither.",
                Some("client_certificate"),
            ),
            (
                "The setting \"statement_timeout_seconds\" is a number from 1 to 3600.",
                Some("statement_timeout_seconds"),
            ),
            ("With another host the password has to be entered again.", Some("host")),
            // Neither a superuser nor a report is a user or a port.
            ("The superuser reports something.", Some("url")),
            ("There is a data source of this name already.", None),
        ] {
            assert_eq!(beside(refusal), name, "{refusal}");
        }
    }
}
