//! What can be seen without being signed in: set-up, sign-in, a forgotten password, an invitation.
//!
//! No page here tells whether an account exists: what is wrong with a sign-in has one text.

use askama::Template;

use super::form::{Field, Input, Problems, arranged};
use super::{Name, When, filters};

/// What all of them show and carry.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The configured host, never a request's.
    pub host: String,
    /// What the form carries against forgery.
    pub csrf: String,
}

/// The first person and the first organization, by the link that the console printed.
#[derive(Debug, Clone, Template)]
#[template(path = "set-up.html")]
pub struct SetUp {
    /// What all of them show.
    pub gate: Gate,
    /// Where the form goes: the link's own address.
    pub action: String,
    /// The person's address.
    pub email: Input,
    /// What is wrong with the password.
    pub password_error: Option<String>,
    /// The organization's name.
    pub org: Input,
}

impl SetUp {
    fn fields(&self) -> Vec<Field> {
        arranged(vec![
            Field::email("email", "Your email", &self.email).first(),
            Field::new_password("Password", self.password_error.as_ref()),
            Field::text("org", "Organization", &self.org)
                .longest(100)
                .help("Whose databases are asked. You can rename it and add others later."),
        ])
    }
}

/// Why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInRefusal {
    /// Wrong password, no such account, or one that is disabled: all the same.
    Mismatch,
    /// Too many attempts; again in so many seconds.
    Wait(u64),
}

/// Sign in.
#[derive(Debug, Clone, Template)]
#[template(path = "sign-in.html")]
pub struct SignIn {
    /// What all of them show.
    pub gate: Gate,
    /// What was typed as the address.
    pub email: String,
    /// Where to go afterwards: a path of this server.
    pub next: String,
    /// Why it was refused.
    pub refused: Option<SignInRefusal>,
    /// What led here: `Your password was changed.`
    pub notice: Option<String>,
}

impl SignIn {
    fn email_field(&self) -> Field {
        let field = Field::email("email", "Email", &Input::of(&self.email));
        if self.email.is_empty() { field.first() } else { field }
    }
}

/// A password was forgotten: ask for a link.
#[derive(Debug, Clone, Template)]
#[template(path = "forgot.html")]
pub struct Forgot {
    /// What all of them show.
    pub gate: Gate,
    /// Whether this server sends mail; where it does not, its operator makes the link.
    pub sends_mail: bool,
    /// Whether it was asked for already. Says the same whether there is such an account or not.
    pub asked: bool,
}

impl Forgot {
    fn email_field(&self) -> Field {
        Field::email("email", "Email", &Input::default()).first()
    }
}

/// A new password, by a link.
#[derive(Debug, Clone, Template)]
#[template(path = "reset.html")]
pub struct Reset {
    /// What all of them show.
    pub gate: Gate,
    /// Where the form goes: the link's own address.
    pub action: String,
    /// Whose password it is.
    pub email: Name,
    /// What is wrong with the new one.
    pub error: Option<String>,
}

impl Reset {
    fn password(&self) -> Field {
        Field::new_password("New password", self.error.as_ref()).first()
    }
}

/// Who holds an invitation in their hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Signed in with the invited address: one button.
    Invited,
    /// Signed in as somebody else.
    Other(Name),
    /// Not signed in; whether there is an account is asked, not told.
    Visitor {
        /// What is wrong with the new password.
        password_error: Option<String>,
    },
}

/// An invitation, by its link.
#[derive(Debug, Clone, Template)]
#[template(path = "invitation.html")]
pub struct Invitation {
    /// What all of them show.
    pub gate: Gate,
    /// Where the form goes: the link's own address.
    pub action: String,
    /// The organization.
    pub org: Name,
    /// Who invites.
    pub by: Name,
    /// Whom.
    pub email: Name,
    /// As what.
    pub role: super::Role,
    /// Until when.
    pub expires: When,
    /// Who reads this.
    pub standing: Standing,
}

/// What a link that no longer works was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// Setting the server up.
    SetUp,
    /// A new password.
    Reset,
    /// An invitation.
    Invitation,
}

/// A link that was used, replaced, or is too old. Says the same for one that never was.
#[derive(Debug, Clone, Template)]
#[template(path = "link-over.html")]
pub struct LinkOver {
    /// What all of them show.
    pub gate: Gate,
    /// What it was for.
    pub link: LinkKind,
}
