//! *Settings → Authorized apps*: who authorized which app for what, and which apps may be authorized at all.
//!
//! As with keys, a dialog is a page: its address shows the list with the dialog open.

use askama::Template;

use super::consent::SentTo;
use super::form::{Control, Field, Input, Pick, Problems};
use super::keys::Reach;
use super::{Name, Paging, Room, Shell, When, filters};

/// Whether an app gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppState {
    /// It does.
    Active,
    /// It was allowed a moment ago and has not fetched its access yet.
    Pending,
    /// Its time is over.
    Expired,
}

/// An app that somebody authorized, as lists show it.
#[derive(Debug, Clone)]
pub struct AppRow {
    /// Names it in addresses.
    pub id: String,
    /// What it calls itself.
    pub name: Name,
    /// Where its answers go.
    pub sent_to: SentTo,
    /// Who authorized it.
    pub by: Name,
    /// Whether it gets through.
    pub state: AppState,
    /// What it may read.
    pub reach: Reach,
    /// Its last accepted request.
    pub last_used: Option<When>,
    /// The network of its last request for access.
    pub from: Option<String>,
    /// When it was authorized.
    pub since: When,
    /// When it ends, if nothing is done.
    pub ends: When,
    /// Whether the reader may change and revoke it.
    pub may_change: bool,
}

/// The list, and perhaps a dialog over it.
#[derive(Debug, Clone, Template)]
#[template(path = "apps.html")]
pub struct Apps {
    /// What surrounds it.
    pub shell: Shell,
    /// The apps of this page.
    pub rows: Vec<AppRow>,
    /// Whether only the reader's own are shown.
    pub only_mine: bool,
    /// Whether the reader sees everybody's, and decides which may be authorized.
    pub sees_all: bool,
    /// How many there are, everybody's that the reader sees.
    pub all: usize,
    /// How many of them are the reader's own.
    pub mine: usize,
    /// The way to further ones.
    pub paging: Paging,
    /// What is over it.
    pub dialog: Option<AppDialog>,
}

impl Apps {
    fn here(&self) -> &'static str {
        if self.only_mine { "mine" } else { "all" }
    }

    fn title(&self) -> &'static str {
        match self.dialog {
            None => "Authorized apps",
            Some(AppDialog::Edit(_)) => "Edit an authorized app",
            Some(AppDialog::Revoke(_)) => "Revoke an authorized app",
        }
    }
}

/// What may be over the list.
#[derive(Debug, Clone)]
pub enum AppDialog {
    /// What it may read, and how long.
    Edit(AppForm),
    /// Whether to revoke it.
    Revoke(AppRow),
}

/// What an app may read, and how long.
#[derive(Debug, Clone)]
pub struct AppForm {
    /// Names it in addresses.
    pub id: String,
    /// What it calls itself.
    pub name: Name,
    /// Who has authorized it, where that is not the reader: then no more can be chosen than it has.
    pub person: Option<Name>,
    /// Whether all data sources can be chosen.
    pub may_read_all: bool,
    /// Whether it may read all data sources.
    pub all_sources: bool,
    /// The data sources that there are: id, name, kind, whether it may read it.
    pub sources: Vec<(String, Name, String, bool)>,
    /// What is wrong with the choice of sources.
    pub sources_error: Option<String>,
    /// How long it may last: what can be chosen.
    pub lifetimes: Vec<Pick>,
    /// How long it is to last, or `keep`.
    pub days: Input,
}

impl AppForm {
    fn offers_all(&self) -> bool {
        self.may_read_all
    }

    fn lifetime(&self) -> Field {
        Field::choice("days", "Ends", self.lifetimes.clone(), &self.days)
    }

    fn problems(&self) -> Problems {
        let sources = Input { value: String::new(), error: self.sources_error.clone() };
        let sources = Field::new("only", "May read", Control::Tick, &sources);
        Problems::of([&sources, &self.lifetime()])
    }
}

/// One app.
#[derive(Debug, Clone, Template)]
#[template(path = "app.html")]
pub struct AppPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The app.
    pub app: AppRow,
    /// Its id as a client, for the log and for support.
    pub client_id: String,
    /// What it gives as its site.
    pub client_uri: Option<String>,
    /// What it may do, as words of the protocol: `schema:read`.
    pub scopes: Vec<String>,
    /// Whether it ends at its time however much it is used.
    pub ends_anyway: bool,
    /// Whether the reader sees the audit log.
    pub sees_audit: bool,
}

/// Which apps may be authorized at all.
#[derive(Debug, Clone, Template)]
#[template(path = "app-policy.html")]
pub struct AppPolicy {
    /// What surrounds it.
    pub shell: Shell,
    /// How many apps the list shows.
    pub all: usize,
    /// How many of them are the reader's own.
    pub mine: usize,
    /// Programs on a person's own computer.
    pub loopback: bool,
    /// Programs that open links of their own.
    pub private_schemes: bool,
    /// Sites: `any`, `hosts`, `none`.
    pub https: String,
    /// Which sites, separated by spaces.
    pub hosts: Input,
}

impl AppPolicy {
    fn here(&self) -> &'static str {
        "policy"
    }

    fn hosts_field(&self) -> Field {
        Field::text("hosts", "Hosts", &self.hosts)
            .mono()
            .optional()
            .help("Separated by spaces, exactly as answers go there, such as claude.ai chatgpt.com.")
    }
}

/// Where an app's pages are.
fn app_address(base: &str, id: &str) -> String {
    format!("{base}/apps/{id}")
}
