//! The audit log: the list with its filter, and one entry.

use askama::Template;

use super::text::query_string;
use super::{Name, Paging, Room, Shell, When, filters};

/// What is filtered by, as the address says it; empty where it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// A family of actions: `key`, `source`, `member`, `org`.
    pub what: String,
    /// Who did it.
    pub who: String,
    /// How far back: `1d`, `7d`, `30d`.
    pub since: String,
    /// The id of what it was done to.
    pub on: String,
}

impl AuditFilter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As a query string.
    pub fn query(&self) -> String {
        query_string(&[("what", &self.what), ("who", &self.who), ("since", &self.since), ("on", &self.on)])
    }
}

/// One entry, as the list shows it.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// Names it in addresses.
    pub id: String,
    /// What was done: `key.create`.
    pub action: String,
    /// Who did it.
    pub who: Name,
    /// By which way: `Dashboard`, `Command line`.
    pub via: String,
    /// To what.
    pub on: Name,
    /// From which address, where it came over a network.
    pub from: Option<String>,
    /// When.
    pub at: When,
}

/// The list.
#[derive(Debug, Clone, Template)]
#[template(path = "audit.html")]
pub struct Audit {
    /// What surrounds it.
    pub shell: Shell,
    /// What is filtered by.
    pub filter: AuditFilter,
    /// Newest first.
    pub rows: Vec<AuditRow>,
    /// The way to older ones.
    pub paging: Paging,
    /// For how many days entries are kept.
    pub kept_days: u64,
}

impl Audit {
    const WHAT: &[(&str, &str)] = &[
        ("", "Everything"),
        ("key", "API keys"),
        ("source", "Data sources"),
        ("member", "Members"),
        ("org", "Organization"),
    ];
    const SINCE: &[(&str, &str)] =
        &[("", "Any time"), ("1d", "Last day"), ("7d", "Last 7 days"), ("30d", "Last 30 days")];

    fn export(&self) -> String {
        let query = self.filter.query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/audit.json{mark}{query}", self.shell.base())
    }
}

/// One entry, with all that is known of it.
#[derive(Debug, Clone, Template)]
#[template(path = "audit-entry.html")]
pub struct AuditDetail {
    /// What surrounds it.
    pub shell: Shell,
    /// The entry.
    pub row: AuditRow,
    /// What else there is to know: name and value.
    pub details: Vec<(String, Name)>,
    /// The page of what it was done to, where it still is.
    pub on_link: Option<String>,
}
