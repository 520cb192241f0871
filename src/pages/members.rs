//! Members: who they are, what they may do, and how one comes and goes.

use askama::Template;

use super::form::{Field, Input, Pick, Problems};
use super::{Name, Paging, Room, Shell, When, filters};

/// What a member may do, as people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything, the organization's end included.
    Owner,
    /// Everything but owners and the end.
    Admin,
    /// Makes keys of their own.
    Member,
    /// Looks.
    Viewer,
}

impl Role {
    /// All, from most to least.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// Its word in forms.
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Member => "Member",
            Self::Viewer => "Viewer",
        }
    }

    /// What it may do, in a sentence.
    pub fn may(self) -> &'static str {
        match self {
            Self::Owner => "An owner may do everything, also rename and delete the organization.",
            Self::Admin => "An admin manages data sources, members and all keys.",
            Self::Member => "A member makes keys for their own tools.",
            Self::Viewer => "A viewer looks at what there is and changes nothing.",
        }
    }
}

/// A member, as the list shows them.
#[derive(Debug, Clone)]
pub struct MemberRow {
    /// Names them in addresses.
    pub id: String,
    /// Their address.
    pub email: Name,
    /// What they may do.
    pub role: Role,
    /// How many keys of theirs there are; `None` where the reader may not see them.
    pub keys: Option<usize>,
    /// When they were last here.
    pub last_active: Option<When>,
    /// Whether the operator keeps them out.
    pub disabled: bool,
    /// Whether it is the reader.
    pub is_you: bool,
    /// Whether the reader may change them.
    pub may_change: bool,
}

impl MemberRow {
    /// Where a membership is ended: whoever may do that sees the keys.
    fn keys(&self) -> usize {
        self.keys.unwrap_or_default()
    }
}

/// Somebody who was invited.
#[derive(Debug, Clone)]
pub struct Invited {
    /// Names the invitation in addresses.
    pub id: String,
    /// Whom.
    pub email: Name,
    /// As what.
    pub role: Role,
    /// Until when the link works.
    pub expires: When,
}

/// The list, and perhaps a dialog over it.
#[derive(Debug, Clone, Template)]
#[template(path = "members.html")]
pub struct Members {
    /// What surrounds it.
    pub shell: Shell,
    /// Members.
    pub rows: Vec<MemberRow>,
    /// The way to further ones.
    pub paging: Paging,
    /// Who is invited.
    pub invited: Vec<Invited>,
    /// Whether the reader may invite.
    pub may_invite: bool,
    /// What is over it.
    pub dialog: Option<MemberDialog>,
}

/// What may be over the list.
#[derive(Debug, Clone)]
pub enum MemberDialog {
    /// Somebody is invited.
    Invite {
        /// Whom.
        email: Input,
        /// As what.
        role: Input,
        /// What the reader may give.
        roles: Vec<Role>,
        /// Whether a mail is sent; else the link is shown.
        sends_mail: bool,
    },
    /// The link of an invitation, shown once.
    Link {
        /// Whom it is for.
        email: Name,
        /// The link.
        url: String,
        /// Until when it works.
        expires: When,
    },
    /// A role is changed.
    Change {
        /// Whose.
        row: MemberRow,
        /// What the reader may give.
        roles: Vec<Role>,
        /// Why the last attempt was refused: `An organization keeps one owner at least.`
        error: Option<String>,
    },
    /// Somebody is removed, or leaves.
    Remove {
        /// Who.
        row: MemberRow,
        /// Why the last attempt was refused.
        error: Option<String>,
    },
}

fn role_field(roles: &[Role], input: &Input) -> Field {
    let picks =
        roles.iter().map(|role| Pick::new(role.word(), format!("{}: {}", role.label(), short(*role))));
    Field::choice("role", "Role", picks.collect(), input)
}

/// The rest of a line that begins with the role.
fn short(role: Role) -> &'static str {
    match role {
        Role::Owner => "everything",
        Role::Admin => "data sources, members, all keys",
        Role::Member => "keys of their own",
        Role::Viewer => "looks, changes nothing",
    }
}

impl Members {
    fn role_of(row: &MemberRow, roles: &[Role]) -> Field {
        role_field(roles, &Input::of(row.role.word())).first()
    }

    fn email_field(email: &Input) -> Field {
        Field { autocomplete: "off", ..Field::email("email", "Email", email).first() }
    }
}
