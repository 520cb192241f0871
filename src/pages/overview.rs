//! An organization's first page: three steps to the first answer, and what there is.

use askama::Template;

use super::{Room, Shell, When, filters};

/// How far one of the three steps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Behind us.
    Done,
    /// The next one: its button is filled.
    Now,
    /// Waits for another one.
    Later,
}

impl Step {
    fn class(self) -> &'static str {
        match self {
            Self::Done => "past",
            Self::Now => "now",
            Self::Later => "soft",
        }
    }

    fn button(self) -> &'static str {
        if self == Self::Now { "btn pri" } else { "btn" }
    }
}

/// An organization's first page.
#[derive(Debug, Clone, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What surrounds it.
    pub shell: Shell,
    /// Data sources that are connected.
    pub sources: usize,
    /// API keys that can be used, of those that the reader may see.
    pub keys: usize,
    /// Members.
    pub members: usize,
    /// Tool calls of the last seven days; `None` where the reader may not see them.
    pub calls: Option<usize>,
    /// When one of these keys was used last.
    pub last_call: Option<When>,
    /// Whether the reader may connect data sources.
    pub may_connect: bool,
    /// Whether the reader may make keys.
    pub may_create: bool,
}

impl Overview {
    fn connect(&self) -> Step {
        if self.sources > 0 { Step::Done } else { Step::Now }
    }

    fn install(&self) -> Step {
        match (self.sources, self.last_call.is_some() || self.keys > 0) {
            (_, true) => Step::Done,
            (0, false) => Step::Later,
            (_, false) => Step::Now,
        }
    }

    fn ask(&self) -> Step {
        match (self.install(), &self.last_call) {
            (_, Some(_)) => Step::Done,
            (Step::Done, None) if self.sources > 0 => Step::Now,
            _ => Step::Later,
        }
    }

    /// Whether something of the beginning is still to be done, by a reader who can do it.
    fn is_beginning(&self) -> bool {
        self.may_create && [self.connect(), self.install(), self.ask()].iter().any(|step| *step != Step::Done)
    }
}
