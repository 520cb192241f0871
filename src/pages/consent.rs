//! *Allow this app?*: the page on which a person decides what an app may read, and what is shown in its place.
//!
//! What an app says of itself is its own word, and said to be; what Sequel knows is where the answer goes. Every choice
//! is made without script: an organization unfolds its data sources, and both answers are buttons of one form.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;

use super::form::{Field, Input, Pick};
use super::gate::Gate;
use super::{Name, Role, When, filters};

/// Where an answer is sent: what can be believed of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentTo {
    /// A program on the reader's own computer: `localhost:53682`.
    ThisComputer(String),
    /// Whatever program opens such links on the reader's device: `cursor`.
    Scheme(String),
    /// A host: `chatgpt.com`.
    Host(String),
}

impl SentTo {
    /// As it stands in a list: without a port, which is another one each time.
    pub(super) fn short(&self) -> String {
        match self {
            Self::ThisComputer(host) => without_port(host).0.to_owned(),
            Self::Scheme(scheme) => format!("{scheme}:"),
            Self::Host(host) => host.clone(),
        }
    }

    /// The end of *The answer goes to …*.
    fn kind(&self) -> &'static str {
        match self {
            Self::ThisComputer(_) => ", a program on this computer",
            Self::Scheme(_) => " links, that is to whatever program opens them on this device",
            Self::Host(_) => ", a site that is not this one",
        }
    }
}

/// A host and what follows it: `[::1]:80` is `[::1]` and `:80`.
fn without_port(host: &str) -> (&str, &str) {
    let is_port = |at: &usize| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit());
    host.split_at(host.rfind(':').filter(is_port).unwrap_or(host.len()))
}

/// The host in bold, its port not: the host is what is to be read.
impl fmt::Display for SentTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::text::escaped;
        match self {
            Self::ThisComputer(host) | Self::Host(host) => {
                let (host, port) = without_port(host);
                write!(f, "<code><b>{}</b>{}</code>", escaped(host), escaped(port))
            }
            Self::Scheme(scheme) => write!(f, "<code><b>{}:</b></code>", escaped(scheme)),
        }
    }
}

/// Both of its parts are escaped.
impl HtmlSafe for SentTo {}

/// An organization in which the reader may authorize the app.
#[derive(Debug, Clone)]
pub struct ConsentOrg {
    /// Names it in the form.
    pub id: String,
    /// What it is called.
    pub name: Name,
    /// What the reader is there.
    pub role: Role,
    /// Whether it is the chosen one: none is, until the person has picked it.
    pub is_chosen: bool,
    /// Its data sources: id, name, whether it is ticked.
    pub sources: Vec<(String, Name, bool)>,
    /// Whether the app may read all of them, and those that are added later.
    pub all: bool,
}

/// Why an app cannot be authorized in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHere {
    /// The reader is a viewer there.
    Role,
    /// It does not allow apps of this kind.
    Policy,
}

impl NotHere {
    fn why(self) -> &'static str {
        match self {
            Self::Role => "as a viewer you authorize no apps there",
            Self::Policy => "its admins do not allow apps of this kind",
        }
    }
}

/// The question.
#[derive(Debug, Clone, Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// The configured host, and what the form carries against forgery.
    pub gate: Gate,
    /// Who is signed in.
    pub me: Name,
    /// Where this page is, for who signs in as somebody else: a path of this server.
    pub here: String,
    /// What the app calls itself.
    pub client: Name,
    /// What it gives as its site.
    pub client_uri: Option<String>,
    /// When it registered.
    pub registered: When,
    /// Where the answer goes.
    pub sent_to: SentTo,
    /// Whether it may see what there is.
    pub sees_schema: bool,
    /// Whether it may run queries.
    pub runs_queries: bool,
    /// Where it can be authorized.
    pub orgs: Vec<ConsentOrg>,
    /// Where it cannot.
    pub elsewhere: Vec<(Name, NotHere)>,
    /// How long it may last: what can be chosen.
    pub lifetimes: Vec<Pick>,
    /// How long it is to last, as it was chosen.
    pub days: Input,
    /// What the form carries of the request.
    pub fields: Vec<(String, String)>,
    /// What has to be chosen yet.
    pub error: Option<String>,
}

impl Consent {
    fn lifetime(&self) -> Field {
        Field::choice("days", "For how long", self.lifetimes.clone(), &self.days)
    }
}

/// How an app is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// That it may.
    Allowed,
    /// That it may not.
    Denied,
    /// That what it asked for cannot be had here.
    Refused,
}

/// The way back to the app: a page, not a redirect. Chromium holds every redirect that follows upon a form to the form's
/// `form-action`, also those of the app's own site that nobody here can know, and no browser opens a program by one.
///
/// `http` sends it on by itself (`Refresh`), where the link leads to a site.
#[derive(Clone, Template)]
#[template(path = "consent-sent.html")]
pub struct ConsentSent {
    /// The configured host.
    pub gate: Gate,
    /// Where the answer goes.
    pub sent_to: SentTo,
    /// What takes it there. It may hold a code.
    pub url: String,
    /// What the app is told.
    pub told: Told,
}

impl ConsentSent {
    /// Also what a screen reader says first. The focus is on the link only where the reader has just decided: who is told
    /// of a request that does not hold reads before a key leads them anywhere.
    fn title(&self) -> &'static str {
        match self.told {
            Told::Allowed => "You allowed it",
            Told::Denied => "Nothing was allowed",
            Told::Refused => "This app’s request cannot be answered",
        }
    }

    /// Whether only a person can follow the link.
    pub fn opens_a_program(&self) -> bool {
        matches!(self.sent_to, SentTo::Scheme(_))
    }
}

impl fmt::Debug for ConsentSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentSent")
            .field("sent_to", &self.sent_to)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// Why there is no question, or no answer that could be sent anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoConsent {
    /// The app's request does not hold: what is wrong, and what to do.
    Broken(String),
    /// This page was answered already, or is too old, or was made for another session.
    Used,
    /// The reader may not authorize it there, or not any more.
    NotHere,
}

/// The page for that. It sends nobody anywhere.
#[derive(Debug, Clone, Template)]
#[template(path = "consent-none.html")]
pub struct ConsentNone {
    /// The configured host.
    pub gate: Gate,
    /// Why.
    pub why: NoConsent,
}

impl NoConsent {
    /// The status that its page is sent with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Broken(_) | Self::Used => 400,
            Self::NotHere => 403,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Broken(_) => "This app’s request cannot be answered",
            Self::Used => "This question was answered already",
            Self::NotHere => "You may not authorize this app there",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Broken(text) => text,
            Self::Used => {
                "Or its page is older than ten minutes, or you have signed in again since. Start again in the app: it asks anew."
            }
            Self::NotHere => {
                "Your role or the organization’s rules changed since the question was shown. An owner or admin can tell you more."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_the_host() {
        let split = ["localhost:53682", "[::1]:80", "chatgpt.com", "[::1]"].map(without_port);
        assert_eq!(split, [("localhost", ":53682"), ("[::1]", ":80"), ("chatgpt.com", ""), ("[::1]", "")]);
        let shown = SentTo::Host("a<b>.test".to_owned()).to_string();
        assert_eq!(shown, "<code><b>a&#60;b&#62;.test</b></code>");
        assert_eq!(SentTo::ThisComputer("127.0.0.1:1".to_owned()).short(), "127.0.0.1");
    }

    #[test]
    fn a_code_is_in_no_debug_output() {
        let gate = Gate { host: "h".to_owned(), csrf: "c".to_owned() };
        let url = "cursor://x?code=sqc_SECRET".to_owned();
        let page =
            ConsentSent { gate, sent_to: SentTo::Scheme("cursor".to_owned()), url, told: Told::Allowed };
        assert!(!format!("{page:?}").contains("SECRET"));
    }
}
