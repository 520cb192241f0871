//! The reader's own account: name, email, password, sessions.

use askama::Template;

use super::form::{Field, Input, Problems, arranged};
use super::{Name, Room, Shell, When, filters};

/// A session, as its owner sees it.
#[derive(Debug, Clone)]
pub struct Session {
    /// Names it in addresses; tells nothing of its secret.
    pub id: String,
    /// What it is used with: `Firefox on Linux`. The browser's own word.
    pub device: Name,
    /// From which address it was last used.
    pub from: String,
    /// When it began.
    pub since: When,
    /// When it was last used.
    pub last_used: When,
    /// Whether it is the one that reads this.
    pub is_this: bool,
}

/// The account.
#[derive(Debug, Clone, Template)]
#[template(path = "account.html")]
pub struct Account {
    /// What surrounds it.
    pub shell: Shell,
    /// What others call them.
    pub name: Input,
    /// What is wrong with the present password.
    pub current_error: Option<String>,
    /// What is wrong with the new one.
    pub new_error: Option<String>,
    /// Where they are signed in, newest use first.
    pub sessions: Vec<Session>,
}

impl Account {
    fn name_field(&self) -> Field {
        Field::text("name", "Name", &self.name).autocomplete("name").longest(100)
    }

    fn password_fields(&self) -> Vec<Field> {
        arranged(vec![
            Field::secret("current", "Present password", "current-password", self.current_error.as_ref()),
            Field::new_password("New password", self.new_error.as_ref()),
        ])
    }
}
