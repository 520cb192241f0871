//! Who may do what in an organization: one table. PURE.
//!
//! Whatever a person does in an organization is asked of [`TABLE`] through `member::Member`: once before anything is
//! read for it, and once more by the organization's actor, in the very turn in which the change is decided. So a role
//! that was taken away a moment ago allows nothing any more (`members_tests::a_role_counts_at_the_moment_of_the_change`).
//! The operator at the machine is no member and is not asked.

use serde::{Deserialize, Serialize};

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, the end of the organization included.
    Owner,
    /// Everything but owners and the end of the organization.
    Admin,
    /// Asks questions, with keys of their own.
    Member,
    /// Looks on.
    Viewer,
}

/// All roles, the widest first.
pub const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Viewer];

impl Role {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// The role of a word.
    pub fn of(word: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.word() == word)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What a person may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// See the organization's name, its data sources and its members, and leave it.
    See,
    /// Make personal keys, see them, change and delete them.
    OwnKeys,
    /// The same with the organization's keys, and change and delete everybody's.
    AllKeys,
    /// Authorize apps, see them, change and revoke them.
    OwnApps,
    /// The same with everybody's, except to authorize them, and to say which may be authorized at all.
    AllApps,
    /// Add, change, test and remove data sources.
    Sources,
    /// See what everybody used.
    Usage,
    /// Read the audit trail, and what everybody's keys and apps asked; one's own are for who may have keys.
    Audit,
    /// Invite, change roles and remove members, owners excepted.
    Members,
    /// Make somebody an owner, and change and remove owners.
    Owners,
    /// Give the organization another name.
    Rename,
    /// Delete the organization.
    Delete,
}

/// Each action, in words, and whether owners, admins, members and viewers may.
pub const TABLE: &[(Action, &str, [bool; 4])] = &[
    (Action::See, "See name, data sources and members; leave", [true, true, true, true]),
    (Action::OwnKeys, "Make, change and delete personal API keys", [true, true, true, false]),
    (
        Action::AllKeys,
        "Make the organization's keys; change and delete everybody's",
        [true, true, false, false],
    ),
    (Action::OwnApps, "Authorize apps; change and revoke one's own", [true, true, true, false]),
    (
        Action::AllApps,
        "Change and revoke everybody's authorized apps; say which may be authorized",
        [true, true, false, false],
    ),
    (Action::Sources, "Add, change, test and remove data sources", [true, true, false, false]),
    (Action::Usage, "See everybody's usage", [true, true, false, false]),
    (Action::Audit, "Read the audit trail, and everybody's queries", [true, true, false, false]),
    (Action::Members, "Invite, change roles, remove members", [true, true, false, false]),
    (Action::Owners, "Make owners; change and remove them", [true, false, false, false]),
    (Action::Rename, "Rename the organization", [true, true, false, false]),
    (Action::Delete, "Delete the organization", [true, false, false, false]),
];

/// Whether a role allows an action.
pub fn allows(role: Role, action: Action) -> bool {
    let row = TABLE.iter().find(|(listed, ..)| *listed == action);
    row.is_some_and(|(_, _, allowed)| ROLES.iter().zip(allowed).any(|(listed, may)| *listed == role && *may))
}

/// The table in Markdown, for the documentation.
pub fn markdown() -> String {
    let mut text = String::from("| what | owner | admin | member | viewer |\n|---|---|---|---|---|\n");
    for (_, words, allowed) in TABLE {
        let marks = allowed.map(|may| if may { "✓" } else { "–" });
        text.push_str(&format!("| {words} | {} |\n", marks.join(" | ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_one_row_and_a_wider_role_lacks_nothing() {
        for (action, _, allowed) in TABLE {
            assert_eq!(TABLE.iter().filter(|(listed, ..)| listed == action).count(), 1, "{action:?}");
            assert!(allowed[0], "{action:?}: an owner may do everything");
            assert!(allowed.windows(2).all(|pair| pair[0] || !pair[1]), "{action:?}");
            assert_eq!(ROLES.map(|role| allows(role, *action)), *allowed);
        }
    }

    #[test]
    fn the_table_stands_in_the_documentation() {
        let page = include_str!("../pages/docs/roles.md");
        assert!(page.contains(&markdown()), "src/pages/docs/roles.md needs this table:\n{}", markdown());
    }

    #[test]
    fn words_are_roles_and_come_back() {
        for role in ROLES {
            assert_eq!(Role::of(role.word()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.word());
        }
        assert_eq!(Role::of("root"), None);
    }
}
