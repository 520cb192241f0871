//! Pages for what did not work. They need no session and no organization, and tell of neither.

use askama::Template;

use super::filters;

/// What did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no such page; the same where it is not the reader's.
    NotFound,
    /// The reader's role does not go so far.
    Forbidden,
    /// The form was made for another session, or is too old. Nothing was changed.
    Stale,
    /// The reader comes over plain http from another machine.
    InTheClear,
    /// The address takes what a form sends and has nothing to show.
    FormsOnly,
    /// More was sent than a form may.
    TooLarge,
    /// Too many of these in a short time.
    TooMany,
    /// A fault of ours.
    Internal,
    /// The store does not answer, or there is too much to do.
    Unavailable,
}

/// A page for what did not work.
#[derive(Debug, Clone, Template)]
#[template(path = "failure.html")]
pub struct Failure {
    /// What.
    pub kind: FailureKind,
    /// What is written into the log beside it.
    pub request_id: Option<String>,
    /// Where to go on: a path of this server.
    pub back: String,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NotFound,
        Self::Forbidden,
        Self::Stale,
        Self::InTheClear,
        Self::FormsOnly,
        Self::TooLarge,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The status that its page is sent with.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Forbidden | Self::InTheClear => 403,
            Self::Stale => 409,
            Self::FormsOnly => 405,
            Self::TooLarge => 413,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing here",
            Self::Forbidden => "Your role does not go so far",
            Self::Stale => "This page was too old",
            Self::InTheClear => "This server needs https",
            Self::FormsOnly => "There is nothing to look at here",
            Self::TooLarge => "That was too much at once",
            Self::TooMany => "Too many in a short time",
            Self::Internal => "Something broke on our side",
            Self::Unavailable => "The server cannot answer right now",
        }
    }

    /// Whether the page would be the same if it were asked for again.
    fn stays(self) -> bool {
        matches!(self, Self::NotFound | Self::Forbidden | Self::FormsOnly | Self::TooLarge)
    }

    fn text(self) -> &'static str {
        match self {
            Self::NotFound => {
                "The page is gone, never was, or belongs to an organization that you are no member of."
            }
            Self::Forbidden => {
                "You may look at this organization, but not do that. An owner or admin can, or can change your role."
            }
            Self::Stale => {
                "It was made before you signed in again, or something changed meanwhile. Nothing was changed. Load the page again and repeat what you did."
            }
            Self::InTheClear => {
                "Over plain http whoever is on the way could read your password and take your session. Whoever runs this server sets up https (tls.certificate, or a proxy before it and https in server.public_url), or says that the network is private: auth.plain_http."
            }
            Self::FormsOnly => "This address only takes what a form sends. Nothing was changed.",
            Self::TooLarge => {
                "What was sent is larger than any form here. Nothing was changed. Go back and send less."
            }
            Self::TooMany => "Nothing was changed. Wait a minute and try again.",
            Self::Internal => {
                "Whether the last change was made is not sure: look before you repeat it. The server's log has more under the number below."
            }
            Self::Unavailable => {
                "Its store did not answer in time. Nothing was changed that this page does not show. Try again in a moment."
            }
        }
    }
}
