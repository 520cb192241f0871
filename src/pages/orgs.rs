//! An organization as a whole: a new one, its name, its end, and the way back.

use askama::Template;

use super::form::{Field, Input};
use super::{Name, OrgLink, Room, Shell, When, filters};

/// A new organization; also what somebody sees who belongs to none.
#[derive(Debug, Clone, Template)]
#[template(path = "org-new.html")]
pub struct NewOrg {
    /// What surrounds it.
    pub shell: Shell,
    /// Its name.
    pub name: Input,
    /// Whether the reader may make one on this server.
    pub may_create: bool,
    /// Those that the reader owned, which were deleted and can be brought back.
    pub deleted: Vec<OrgLink>,
    /// Sent along once, so that a double click makes one.
    pub once: String,
}

fn name_field(input: &Input) -> Field {
    Field::text("name", "Name", input)
        .longest(100)
        .help("Whose databases are asked: a company, a team, yourself.")
}

/// An organization's settings, and perhaps the question whether to delete it.
#[derive(Debug, Clone, Template)]
#[template(path = "org-settings.html")]
pub struct OrgSettings {
    /// What surrounds it.
    pub shell: Shell,
    /// Its name.
    pub name: Input,
    /// Its id, for the command line and for support.
    pub id: String,
    /// When it was made.
    pub created: When,
    /// Whether the reader may rename it.
    pub may_rename: bool,
    /// Whether the reader may delete it.
    pub may_delete: bool,
    /// For how long it can be brought back: `7 days`.
    pub grace: Option<String>,
    /// What was typed to confirm that it is to be deleted.
    pub deleting: Option<Input>,
}

impl OrgSettings {
    /// What has to be typed to delete it.
    pub fn expected(&self) -> String {
        self.shell.org_name().plain()
    }
}

/// An organization that was deleted and can be brought back.
#[derive(Debug, Clone, Template)]
#[template(path = "org-deleted.html")]
pub struct DeletedOrg {
    /// What surrounds it; the organization is in it no longer.
    pub shell: Shell,
    /// Its name.
    pub name: Name,
    /// Where its way back is: `/orgs/4nQx0cRrT1aZ`.
    pub base: String,
    /// Until when it can be brought back.
    pub until: When,
}
