//! *Install in your tool*: a tool is chosen, its key is made, the snippet is shown once, and the first call arrives.
//!
//! Choosing a tool changes nothing; making its key is a POST, so that neither a GET nor a change of mind leaves keys
//! behind. The snippets themselves are the business of `crate::install`, which the command line shows too.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;

use super::{Name, Room, Shell, When, filters};
use crate::install::{Seen, Snippet, TOOLS, Tool, Way};

/// The first call with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstCall {
    /// What the client calls itself. Its own word.
    pub client: Name,
    /// The tool that it called.
    pub tool: String,
    /// When.
    pub when: When,
}

impl FirstCall {
    /// What the page is told while it waits, as text: it is shown as text.
    pub fn line(&self) -> String {
        format!("{} called {}, {}", self.client.plain(), self.tool, self.when.relative())
    }
}

impl fmt::Display for FirstCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} called <code>{}</code>", self.client, super::text::escaped(&self.tool))
    }
}

/// The client is a [`Name`], the tool is escaped.
impl HtmlSafe for FirstCall {}

/// How far the installation in the chosen tool is.
#[derive(Clone)]
pub enum InstallState {
    /// No key was made for it yet.
    NoKey,
    /// One was made earlier; its secret cannot be shown again.
    HasKey {
        /// Names it in addresses.
        id: String,
        /// What it is called: `sequel_mcp`, unless somebody has a key of that name.
        name: Name,
        /// What stays visible.
        prefix: String,
        /// Its first call, where there was one.
        first_call: Option<FirstCall>,
    },
    /// It was made just now: the only time that its snippets are shown.
    Fresh {
        /// Names it in addresses.
        id: String,
        /// What it is called: `sequel_mcp`, unless somebody has a key of that name.
        name: Name,
        /// What stays visible.
        prefix: String,
        /// What to paste.
        snippets: Vec<Snippet>,
        /// What opens the tool and installs there.
        link: Option<String>,
    },
    /// It signs in by itself.
    SignsIn,
}

impl fmt::Debug for InstallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "NoKey",
            Self::HasKey { .. } => "HasKey",
            Self::Fresh { .. } => "Fresh",
            Self::SignsIn => "SignsIn",
        })
    }
}

/// The page of one tool.
#[derive(Debug, Clone, Template)]
#[template(path = "install.html")]
pub struct Install {
    /// What surrounds it.
    pub shell: Shell,
    /// The chosen tool.
    pub tool: &'static Tool,
    /// The URL that tools connect to.
    pub mcp_url: String,
    /// How far it is.
    pub state: InstallState,
    /// Whether the reader may make keys.
    pub may_create: bool,
    /// Whether there is anything to ask yet.
    pub has_sources: bool,
    /// Whether the reader may connect data sources.
    pub may_connect: bool,
    /// Whether this server lets apps sign in.
    pub lets_sign_in: bool,
    /// Sent along once, so that a double click makes one key.
    pub once: String,
}

impl Install {
    fn with_key(&self) -> impl Iterator<Item = &'static Tool> {
        TOOLS.iter().filter(|tool| tool.way == Way::Key)
    }

    fn signing_in(&self) -> impl Iterator<Item = &'static Tool> {
        TOOLS.iter().filter(|tool| tool.way == Way::SigningIn)
    }

    fn is_chosen(&self, tool: &Tool) -> bool {
        self.tool.id == tool.id
    }
}

/// Where a tool's page is.
fn tool_address(base: &str, tool: &Tool) -> String {
    format!("{base}/install/{}", tool.id)
}
