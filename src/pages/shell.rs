//! What surrounds a page: navigation, the organization that is looked at, whose session it is, and what just happened.

use super::Name;

/// An organization that the reader belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgLink {
    /// Its name.
    pub name: Name,
    /// Where its pages are, without a slash at the end: `/orgs/4nQx0cRrT1aZ`.
    pub base: String,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their email address.
    pub email: Name,
    /// What each form of theirs carries against forgery.
    pub csrf: String,
}

/// The entries of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// What the organization's clients do.
    Overview,
    /// Its databases.
    Sources,
    /// Its API keys.
    Keys,
    /// The apps that its members authorized.
    Apps,
    /// Its people.
    Members,
    /// What was changed.
    Audit,
    /// Its name, and its end.
    Organization,
    /// What to paste into a tool.
    Install,
    /// The documentation.
    Docs,
    /// The reader's own account.
    Account,
    /// None of them.
    Elsewhere,
}

/// What surrounds a page.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The organization that is looked at.
    pub org: Option<OrgLink>,
    /// The other ones of the reader.
    pub others: Vec<OrgLink>,
    /// The reader; nobody in the documentation of a visitor.
    pub member: Option<Member>,
    /// Where they are.
    pub here: Room,
    /// Whether the reader may read the organization's audit trail.
    pub sees_audit: bool,
    /// How many of the organization's data sources cannot be reached.
    pub failing_sources: usize,
    /// What just happened, in the past tense; shown once.
    pub toast: Option<String>,
}

impl Shell {
    /// Where the organization's pages are; empty where there is none, and no page then names it.
    pub fn base(&self) -> &str {
        self.org.as_ref().map_or("", |org| &org.base)
    }

    /// The organization's name, for titles.
    pub fn org_name(&self) -> Name {
        self.org.as_ref().map_or_else(Name::default, |org| org.name.clone())
    }

    /// What each form carries against forgery.
    pub fn csrf(&self) -> &str {
        self.member.as_ref().map_or("", |member| &member.csrf)
    }

    /// ` aria-current="page"` for the entry that is looked at.
    pub(super) fn mark(&self, room: Room) -> askama::filters::Safe<&'static str> {
        askama::filters::Safe(if self.here == room { " aria-current=\"page\"" } else { "" })
    }
}

/// The way to further rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// Rows on this page.
    pub shown: usize,
    /// All that the filter lets through.
    pub total: usize,
    /// Where the rows before are.
    pub previous: Option<String>,
    /// Where the next rows are.
    pub next: Option<String>,
}

impl Paging {
    /// Whether everything is on this page.
    pub fn is_whole(&self) -> bool {
        self.previous.is_none() && self.next.is_none()
    }
}
