//! Data sources: the list, one, the form for one (made from what its connector declares), and its removal.

use std::fmt;

use askama::Template;

use super::form::{Control, Field, Input, Problems, arranged};
use super::{Name, Room, Shell, When, filters};

/// How a data source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answered.
    Healthy,
    /// Nobody asked since the server started.
    Unknown,
    /// It cannot be reached.
    Failing {
        /// Since when.
        since: When,
        /// One sentence: why, and what to do.
        cause: String,
    },
}

/// A data source, as lists show it.
#[derive(Debug, Clone)]
pub struct SourceRow {
    /// Names it in addresses.
    pub id: String,
    /// What clients call it.
    pub name: Name,
    /// What it is: `SQLite`.
    pub kind: String,
    /// Where it is: a file, a host.
    pub place: Name,
    /// How it is.
    pub health: Health,
    /// When it was asked last.
    pub asked: Asked,
}

/// On which day a data source was asked last, as far as the reader may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Then.
    On(When),
    /// Not in the days that are looked through.
    NotInDays(u32),
    /// Others' usage is not the reader's to see.
    Hidden,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(when) => f.write_str(&when.day()),
            Self::NotInDays(days) => write!(f, "Not in {days} days"),
            Self::Hidden => f.write_str("Shown to owners and admins"),
        }
    }
}

/// The list, and perhaps the question whether to remove one.
#[derive(Debug, Clone, Template)]
#[template(path = "sources.html")]
pub struct Sources {
    /// What surrounds it.
    pub shell: Shell,
    /// All of them.
    pub rows: Vec<SourceRow>,
    /// Whether the reader may change them.
    pub may_change: bool,
    /// The one that is to be removed: its row, what was typed, and how many keys name it.
    pub removing: Option<(SourceRow, Input, usize)>,
}

impl Sources {
    /// What has to be typed to remove one.
    pub fn expected(row: &SourceRow) -> String {
        row.name.plain()
    }
}

/// How a test went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Well.
    Passed,
    /// Not.
    Failed,
    /// It works, and should be changed all the same.
    Warned,
    /// It was not come to.
    Skipped,
}

/// One step of a test: the file, the connection, whether it can only read, the schema.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was found, in a sentence.
    pub text: String,
    /// How it went.
    pub outcome: CheckOutcome,
    /// How long it took, in milliseconds.
    pub millis: Option<u64>,
}

/// One data source.
#[derive(Debug, Clone, Template)]
#[template(path = "source.html")]
pub struct SourcePage {
    /// What surrounds it.
    pub shell: Shell,
    /// The source.
    pub source: SourceRow,
    /// What is in it, for people and models.
    pub description: Option<Name>,
    /// Its settings: label and value. Secrets are not among them.
    pub settings: Vec<(String, Name)>,
    /// When it was connected.
    pub created: When,
    /// The test that was just made.
    pub checks: Vec<Check>,
    /// Whether the reader may change it.
    pub may_change: bool,
}

/// How a declared setting is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredKind {
    /// A line of text.
    Text,
    /// A path or a host.
    Machine,
    /// A number.
    Number,
    /// Several lines: a certificate.
    Lines,
    /// A password. An empty field keeps what is stored, if something is.
    Secret {
        /// Whether something is.
        stored: bool,
    },
    /// The same in several lines: a key.
    SecretLines {
        /// Whether one is stored.
        stored: bool,
    },
    /// One of several.
    Choice(Vec<super::Pick>),
    /// Yes or no.
    Tick,
}

/// A setting that a connector declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its name in the settings.
    pub name: String,
    /// Its label.
    pub label: String,
    /// How it is filled in.
    pub kind: DeclaredKind,
    /// What helps.
    pub help: Option<String>,
    /// Whether it must be filled in.
    pub required: bool,
    /// What was typed, or the default; never a secret.
    pub input: Input,
}

impl Declared {
    fn field(&self, editing: bool) -> Field {
        let control = match &self.kind {
            DeclaredKind::Text | DeclaredKind::Machine => Control::Text,
            DeclaredKind::Number => Control::Number,
            DeclaredKind::Lines => Control::Lines,
            DeclaredKind::Secret { .. } => Control::Secret,
            DeclaredKind::SecretLines { .. } => Control::SecretLines,
            DeclaredKind::Choice(picks) => Control::Choice(picks.clone()),
            DeclaredKind::Tick => Control::Tick,
        };
        let (secret, kept) = match self.kind {
            DeclaredKind::Secret { stored } | DeclaredKind::SecretLines { stored } => (true, stored),
            _ => (false, false),
        };
        let kept = kept.then(|| "Sealed. Leave it empty to keep the one that is stored.".to_owned());
        let sealed = secret.then(|| "Sealed on save. It can be replaced, never shown.".to_owned());
        Field {
            help: kept.or(self.help.clone()).or(sealed),
            required: self.required && !(secret && editing),
            mono: !matches!(self.kind, DeclaredKind::Text | DeclaredKind::Secret { .. }),
            autocomplete: if secret { "new-password" } else { "off" },
            ..Field::new(&format!("set-{}", self.name), &self.label, control, &self.input)
        }
    }
}

/// A kind of database that can be connected.
#[derive(Debug, Clone)]
pub struct SourceKind {
    /// Its word in addresses: `sqlite`.
    pub word: String,
    /// What it is called: `SQLite`.
    pub label: String,
}

/// The form for a new data source, or for one that is edited.
#[derive(Debug, Clone, Template)]
#[template(path = "source-form.html")]
pub struct SourceForm {
    /// What surrounds it.
    pub shell: Shell,
    /// The one that is edited; `None` for a new one.
    pub editing: Option<(String, Name)>,
    /// What it was made of, sent along so that a change of somebody else's is not undone unseen; nothing for a new one.
    pub seen: String,
    /// What can be connected.
    pub kinds: Vec<SourceKind>,
    /// Which of them this is.
    pub kind: SourceKind,
    /// Its name.
    pub name: Input,
    /// What is in it.
    pub description: Input,
    /// What its connector declares.
    pub declared: Vec<Declared>,
    /// The last test, where it did not go well.
    pub checks: Vec<Check>,
    /// What repairs it, to be copied: a caption and the text.
    pub repair: Option<(String, String)>,
}

impl SourceForm {
    fn fields(&self) -> Vec<Field> {
        let name = Field::text("name", "Name", &self.name).longest(100).first();
        let mut fields = vec![name.help("Models choose sources by this name. Short and telling is best.")];
        fields.extend(self.declared.iter().map(|declared| declared.field(self.editing.is_some())));
        let description =
            Field::text("description", "What is in it", &self.description).optional().longest(1000);
        fields.push(description.help("Models read this before they ask. One or two sentences."));
        arranged(fields)
    }

    /// Whether the last test failed.
    fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.outcome == CheckOutcome::Failed)
    }

    /// Whether there are secrets, which were typed and are not sent back.
    fn has_secrets(&self) -> bool {
        let is_secret = |kind: &DeclaredKind| {
            matches!(kind, DeclaredKind::Secret { .. } | DeclaredKind::SecretLines { .. })
        };
        self.declared.iter().any(|declared| is_secret(&declared.kind))
    }

    fn action(&self) -> String {
        let base = self.shell.base();
        match &self.editing {
            Some((id, _)) => format!("{base}/sources/{id}/edit"),
            None => format!("{base}/sources/new/{}", self.kind.word),
        }
    }
}

/// Where a data source's pages are.
fn source_address(base: &str, id: &str) -> String {
    format!("{base}/sources/{id}")
}
