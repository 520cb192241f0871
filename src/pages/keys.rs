//! *Settings → API Keys*: the list, one key, and the dialogs over the list.
//!
//! A dialog is a page: its address shows the list with the dialog open, with or without script.
//!
//! **Invariant:** a plaintext key is in one context alone, [`Shown`] (and the snippets of `installing`), which neither
//! `Debug` nor a second page can show.

use std::fmt;

use askama::Template;

use super::form::{Control, Field, Input, Pick, Problems};
use super::text::query_string;
use super::{Name, Paging, Room, Shell, When, filters};

/// Whether a key is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// It is.
    Active,
    /// It is, and so is its former secret, until then.
    Rotating(When),
    /// Somebody switched it off.
    Disabled,
    /// Its time is over.
    Expired,
    /// A restore brought it back; what happened to it since the backup, nobody knows.
    Suspended,
}

impl KeyState {
    fn is_off(&self) -> bool {
        matches!(self, Self::Disabled | Self::Expired | Self::Suspended)
    }

    fn can_be_enabled(&self) -> bool {
        matches!(self, Self::Disabled | Self::Suspended)
    }
}

/// What a key may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All data sources, also those added later.
    All,
    /// These.
    Only(Vec<Name>),
}

impl Reach {
    /// Where there are too many for a cell of a list: the first two, and how many more.
    pub(super) fn many(&self) -> Option<(&[Name], usize)> {
        match self {
            Self::Only(names) if names.len() > 3 => Some((&names[..2], names.len() - 2)),
            _ => None,
        }
    }
}

/// A key, as lists show it.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Names it in addresses.
    pub id: String,
    /// What it is called.
    pub name: Name,
    /// The prefix that stays visible: `sql_7hQ2mV`….
    pub prefix: String,
    /// Whose it is; `None` where it is the organization's.
    pub owner: Option<Name>,
    /// The tool that it was made for.
    pub tool: Option<&'static str>,
    /// Whether it is accepted.
    pub state: KeyState,
    /// What it may read.
    pub reach: Reach,
    /// The last accepted request.
    pub last_used: Option<When>,
    /// From when on it is refused.
    pub expires: Option<When>,
    /// When it was made.
    pub created: When,
    /// Whether the reader may change it.
    pub may_change: bool,
}

/// By what the list is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Alphabetically.
    Name,
    /// Latest use first.
    LastUsed,
    /// What ends first is first.
    Expires,
    /// Newest first.
    Created,
}

impl Sort {
    /// Its word in an address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::LastUsed => "used",
            Self::Expires => "expires",
            Self::Created => "created",
        }
    }

    /// By its word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Name, Self::LastUsed, Self::Expires, Self::Created]
            .into_iter()
            .find(|sort| sort.word() == word)
    }
}

/// The list, and perhaps a dialog over it.
#[derive(Debug, Clone, Template)]
#[template(path = "keys.html")]
pub struct Keys {
    /// What surrounds it.
    pub shell: Shell,
    /// What was filtered by.
    pub filter: String,
    /// How it is ordered.
    pub sort: Sort,
    /// The keys of this page.
    pub rows: Vec<KeyRow>,
    /// How many of all can be used.
    pub usable: usize,
    /// How many there are at all, whatever the filter says.
    pub all: usize,
    /// The way to further ones.
    pub paging: Paging,
    /// Whether the reader may make keys.
    pub may_create: bool,
    /// What is over it.
    pub dialog: Option<KeyDialog>,
}

impl Keys {
    fn link(&self, sort: Sort) -> String {
        let query = query_string(&[("q", &self.filter), ("sort", sort.word())]);
        format!("{}/keys?{query}", self.shell.base())
    }

    fn sorted(&self, sort: Sort) -> &'static str {
        match (self.sort == sort, sort) {
            (false, _) => "none",
            (true, Sort::Name | Sort::Expires) => "ascending",
            (true, _) => "descending",
        }
    }

    fn title(&self) -> &'static str {
        self.dialog.as_ref().map_or("API Keys", KeyDialog::title)
    }
}

/// What may be over the list.
#[derive(Debug, Clone)]
pub enum KeyDialog {
    /// A key is made or edited.
    Form(KeyForm),
    /// The new key, once.
    Shown(Shown),
    /// The page with the key was loaded again.
    ShownAlready {
        /// Names it in addresses.
        id: String,
        /// What it is called.
        name: Name,
        /// What stays visible.
        prefix: String,
    },
    /// A key gets a new secret.
    Rotate(Rotating),
    /// A key is deleted.
    Delete(Deleting),
}

impl KeyDialog {
    fn title(&self) -> &'static str {
        match self {
            Self::Form(form) if form.id.is_some() => "Edit an API key",
            Self::Form(_) => "Create an API key",
            Self::Shown(_) => "Copy your key now",
            Self::ShownAlready { .. } => "This key was shown already",
            Self::Rotate(_) => "Rotate an API key",
            Self::Delete(_) => "Delete an API key",
        }
    }
}

/// A key that is made or edited.
#[derive(Debug, Clone)]
pub struct KeyForm {
    /// The one that is edited; `None` for a new one.
    pub id: Option<String>,
    /// Sent along once, so that a double click makes one key.
    pub once: String,
    /// What it was made of, sent along so that a change of somebody else's is not undone unseen; nothing for a new one.
    pub seen: String,
    /// Its name.
    pub name: Input,
    /// Whether it may read all data sources.
    pub all_sources: bool,
    /// The data sources that there are: id, name, kind, whether it may read it.
    pub sources: Vec<(String, Name, String, bool)>,
    /// What is wrong with the choice of sources.
    pub sources_error: Option<String>,
    /// When it expires: one of [`KeyForm::EXPIRIES`], or `keep`.
    pub expires: Input,
    /// Whether the reader may make keys that are the organization's own.
    pub may_own_by_org: bool,
    /// Whether it is the organization's own.
    pub owned_by_org: bool,
}

impl KeyForm {
    /// What can be chosen: the word that is sent, and what is read.
    pub const EXPIRIES: &[(&str, &str)] =
        &[("30d", "In 30 days"), ("90d", "In 90 days"), ("365d", "In 1 year"), ("never", "Never")];

    fn name_field(&self) -> Field {
        let help = "The tool or person it is for, such as cursor-laptop. You will look for this name when you revoke it.";
        Field::text("name", "Name", &self.name).help(help).longest(100).first()
    }

    fn expires_field(&self) -> Field {
        let mut picks: Vec<Pick> =
            Self::EXPIRIES.iter().map(|(value, label)| Pick::new(*value, *label)).collect();
        if self.id.is_some() {
            picks.insert(0, Pick::new("keep", "As it is"));
        }
        Field::choice("expires", "Expires", picks, &self.expires)
    }

    fn offers_all(&self) -> bool {
        true
    }

    fn problems(&self) -> Problems {
        let sources = Input { value: String::new(), error: self.sources_error.clone() };
        let sources = Field::new("only", "May read", Control::Tick, &sources);
        Problems::of([&self.name_field(), &sources, &self.expires_field()])
    }
}

/// A key with its secret: shown once, on the answer to the request that made it.
#[derive(Clone)]
pub struct Shown {
    /// What it is called.
    pub name: Name,
    /// The prefix that stays visible.
    pub prefix: String,
    /// What follows it.
    pub rest: String,
    /// Until when the former secret is accepted, after a rotation.
    pub former_until: Option<When>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A key that gets a new secret.
#[derive(Debug, Clone)]
pub struct Rotating {
    /// Names it in addresses.
    pub id: String,
    /// What it is called.
    pub name: Name,
    /// Sent along once.
    pub once: String,
    /// How long the former secret goes on: what can be chosen, and what is.
    pub overlaps: Vec<Pick>,
    /// What is chosen.
    pub overlap: Input,
}

/// A key that is deleted.
#[derive(Debug, Clone)]
pub struct Deleting {
    /// Names it in addresses.
    pub id: String,
    /// What it is called.
    pub name: Name,
    /// What stays visible.
    pub prefix: String,
    /// The last accepted request.
    pub last_used: Option<When>,
    /// Calls of the last seven days.
    pub calls: usize,
    /// What was typed to confirm, and that it is not the name.
    pub typed: Input,
}

impl Deleting {
    /// What has to be typed: the name without what no keyboard writes.
    pub fn expected(&self) -> String {
        self.name.plain()
    }

    fn confirm(&self) -> Field {
        Field::confirmation(&self.expected(), &self.typed)
    }
}

/// One key.
#[derive(Debug, Clone, Template)]
#[template(path = "key.html")]
pub struct KeyPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The key.
    pub key: KeyRow,
    /// Who made it.
    pub made_by: Name,
    /// Calls of the last 30 days.
    pub calls: usize,
    /// Rows that they read.
    pub rows: usize,
}

/// From where a key was used.
#[derive(Debug, Clone)]
pub struct Use {
    /// A data source that was asked.
    pub source: Name,
    /// Calls.
    pub calls: usize,
    /// Rows that they read.
    pub rows: usize,
    /// The day of the last one.
    pub last: When,
}

/// A key that may have leaked: find it, stop it, see what it did.
#[derive(Debug, Clone, Template)]
#[template(path = "leaked.html")]
pub struct Leaked {
    /// What surrounds it.
    pub shell: Shell,
    /// What was looked for: never a whole key.
    pub asked: Input,
    /// What was found.
    pub found: Option<LeakedKey>,
}

/// The key that may have leaked.
#[derive(Debug, Clone)]
pub struct LeakedKey {
    /// The key.
    pub key: KeyRow,
    /// What it did in the last 30 days.
    pub uses: Vec<Use>,
    /// Sent along once.
    pub once: String,
}

impl Leaked {
    fn asked_field(&self) -> Field {
        Field::text("key", "Key or prefix", &self.asked)
            .mono()
            .first()
            .help("Its first ten characters are enough. Checked on the server and never written to a log.")
    }
}

/// Where a key's pages are.
fn key_address(base: &str, id: &str) -> String {
    format!("{base}/keys/{id}")
}
