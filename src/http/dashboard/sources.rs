//! *Data sources*: connect, test, change and remove databases, with forms made from what connectors declare.

use std::collections::HashMap;
use std::sync::Arc;

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
    Asked, Check, CheckOutcome, Declared, DeclaredKind, Health, Input, Name, Room, SourceForm, SourceKind,
    SourcePage, SourceRow, Sources, When,
};

/// Days in which it is looked when a data source was asked last.
const ASKED_DAYS: u32 = 7;

/// What one kind of database is called, and what has to be said to connect one.
struct Kind {
    word: &'static str,
    label: &'static str,
    settings: &'static [Setting],
}

/// One setting of a kind.
struct Setting {
    name: &'static str,
    label: &'static str,
    help: &'static str,
}

/// The kinds that this program can connect, in the order in which they are offered.
const KINDS: &[Kind] = &[Kind {
    word: "sqlite",
    label: "SQLite",
    settings: &[Setting {
        name: "path",
        label: "File",
        help: "Where the file is on the server, below a folder that its operator allows (sources.sqlite.folders). Every \
               organization of this server may connect what lies there.",
    }],
}];

/// What a kind is called.
pub(super) fn label(kind: &str) -> String {
    KINDS
        .iter()
        .find(|known| known.word == kind)
        .map_or_else(|| kind.to_owned(), |known| known.label.to_owned())
}

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
        let place = record.settings.values().find_map(Value::as_str).unwrap_or_default();
        SourceRow {
            id: source.id().to_string(),
            name: Name::new(record.name.clone()),
            kind: label(&record.kind),
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
    let first = KINDS.first().ok_or(Failed::NOT_FOUND)?;
    Ok(Reply::see(&format!("{}/new/{}", inside.sources_at(), first.word)))
}

fn kind(word: &str) -> Result<&'static Kind, Failed> {
    KINDS.iter().find(|kind| kind.word == word).ok_or(Failed::NOT_FOUND)
}

/// The form with values of a source, of what was sent, or of nothing.
async fn form(
    inside: &Inside,
    kind: &'static Kind,
    editing: Option<&Source>,
    value: impl Fn(&str) -> String,
) -> Result<SourceForm, Failed> {
    let of_kind = |kind: &Kind| SourceKind { word: kind.word.to_owned(), label: kind.label.to_owned() };
    let declared = kind.settings.iter().map(|setting| Declared {
        name: setting.name.to_owned(),
        label: setting.label.to_owned(),
        kind: DeclaredKind::Machine,
        help: Some(setting.help.to_owned()),
        required: true,
        input: Input::of(value(&format!("set-{}", setting.name))),
    });
    Ok(SourceForm {
        shell: inside.org_shell(Room::Sources).await?,
        editing: editing.map(|source| (source.id().to_string(), Name::new(source.record().name.clone()))),
        seen: editing.map_or_else(String::new, |source| {
            let SourceRecord { name, settings, description, .. } = source.record();
            seen(&(name, settings, description))
        }),
        kinds: KINDS.iter().map(of_kind).collect(),
        kind: of_kind(kind),
        name: Input::of(value("name")),
        description: Input::of(value("description")),
        declared: declared.collect(),
        checks: Vec::new(),
        repair: None,
    })
}

async fn sent(inside: &Inside, kind: &'static Kind, editing: Option<&Source>) -> Result<SourceForm, Failed> {
    form(inside, kind, editing, |name| inside.form.trimmed(name).to_owned()).await
}

/// The source that a form asks for.
fn new_source(inside: &Inside, form: &SourceForm, kind: &Kind) -> NewSource {
    let value = |setting: &Setting| {
        (setting.name.to_owned(), Value::from(inside.form.trimmed(&format!("set-{}", setting.name))))
    };
    NewSource {
        name: form.name.value.clone(),
        kind: kind.word.to_owned(),
        settings: kind.settings.iter().map(value).collect(),
        description: Some(form.description.value.clone()).filter(|text| !text.is_empty()),
    }
}

pub(super) async fn new(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let kind = kind(inside.part("kind"))?;
    Reply::page(&form(&inside, kind, None, |_| String::new()).await?)
}

/// Tries a source out, and says how that went.
async fn try_out(inside: &Inside, source: &Arc<Source>) -> Check {
    let Tried { error, elapsed_ms } = source.try_out(inside.dashboard().test_timeout).await;
    let (text, outcome) = match &error {
        None => ("It was opened read only and answered.".to_owned(), CheckOutcome::Passed),
        Some(error) => (sentence(error), CheckOutcome::Failed),
    };
    Check { text, outcome, millis: Some(elapsed_ms) }
}

/// The form of a source that was tried out as it would be, where it may be saved; otherwise the answer.
async fn tried(inside: &Inside, mut form: SourceForm, new: NewSource) -> Result<SourceForm, Outcome> {
    let candidate = match inside.member.candidate(new).await {
        Ok(candidate) => candidate,
        Err(error) => return Err(refused(form, error)),
    };
    let check = try_out(inside, &candidate).await;
    let is_well = check.outcome == CheckOutcome::Passed;
    form.checks = vec![check];
    match inside.form.get("only") {
        "test" => Err(Reply::page(&form)),
        _ if is_well => Ok(form),
        _ => Err(Reply::refused(&form)),
    }
}

fn refused(form: SourceForm, error: ChangeError) -> Outcome {
    Reply::refused(&told(form, error)?)
}

/// What was refused, in the form.
fn told(mut form: SourceForm, error: ChangeError) -> Result<SourceForm, Failed> {
    match error.into() {
        Refusal::Name(text) => form.name.error = Some(text),
        // Settings are what a connector refuses; a name has its own rules, and says so.
        Refusal::Told(text) => match form.declared.first_mut().filter(|_| !text.contains("name")) {
            Some(first) => first.input.error = Some(text),
            None => form.name.error = Some(text),
        },
        Refusal::Failed(failed) => return Err(failed),
    }
    Ok(form)
}

pub(super) async fn add(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let kind = kind(inside.part("kind"))?;
    let form = sent(&inside, kind, None).await?;
    let new = new_source(&inside, &form, kind);
    let form = match tried(&inside, form, new.clone()).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    match inside.member.add_source(new).await {
        Ok((id, record)) => {
            let to = format!("{}/{id}", inside.sources_at());
            Ok(inside.done(&to, &format!("{} is connected.", record.name)))
        }
        Err(error) => refused(form, error),
    }
}

async fn source_page(
    inside: &Inside,
    source: &Arc<Source>,
    checks: Vec<Check>,
) -> Result<SourcePage, Failed> {
    let record = source.record();
    let kind = KINDS.iter().find(|kind| kind.word == record.kind);
    let label = |name: &str| {
        let declared = kind.and_then(|kind| kind.settings.iter().find(|setting| setting.name == name));
        declared.map_or_else(|| name.to_owned(), |setting| setting.label.to_owned())
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(SourcePage {
        shell: inside.org_shell(Room::Sources).await?,
        source: row(inside, source).await?,
        description: record.description.clone().map(Name::new),
        settings: record.settings.iter().map(|(name, value)| (label(name), Name::new(text(value)))).collect(),
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
    let check = try_out(&inside, &source).await;
    Reply::page(&source_page(&inside, &source, vec![check]).await?)
}

pub(super) async fn edit(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let source = inside.source()?;
    let record = source.record();
    let kind = kind(&record.kind)?;
    let value = |name: &str| match name {
        "name" => record.name.clone(),
        "description" => record.description.clone().unwrap_or_default(),
        name => {
            let setting = name.strip_prefix("set-").and_then(|name| record.settings.get(name));
            setting.map_or_else(String::new, |value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            })
        }
    };
    Reply::page(&form(&inside, kind, Some(&*source), value).await?)
}

pub(super) async fn save(inside: Inside) -> Outcome {
    inside.needs_sources()?;
    let source = inside.source()?;
    let kind = kind(&source.record().kind)?;
    let mut form = sent(&inside, kind, Some(&*source)).await?;
    if inside.form.is_stale(&form.seen) {
        form.name.error = Some(STALE.to_owned());
        return Reply::refused(&form);
    }
    let mut new = new_source(&inside, &form, kind);
    // What the form does not ask for stays as it is: whoever changes a description allows nothing by it.
    for (name, value) in &source.record().settings {
        new.settings.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let settings = new.settings.clone();
    let form = match tried(&inside, form, new).await {
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
            Ok(inside.done(&to, &format!("{} was saved.", record.name)))
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
