//! What can go wrong with an organization, named for what the caller can do.

use std::time::Duration;

use sequel_store::{CommitError, ReadError};
use thiserror::Error;

use super::record::RecordError;
use super::view::Refusal;
use crate::metrics::Change as Counted;

/// A credential that was not accepted.
#[derive(Debug, Error)]
pub enum AuthError {
    /// Unknown, forged, foreign, disabled or expired: one answer for all of them. The reason is for the
    /// operator's log alone.
    #[error("the credential is not valid")]
    Invalid(Refusal),
    /// Too many unknown credentials came from this address; try again after this long.
    #[error("too many invalid credentials")]
    Throttled(Duration),
    /// It cannot be decided now; try again.
    #[error("credentials cannot be verified right now")]
    Unavailable(#[source] ResolveError),
}

/// A credential that is valid and has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more requests than the {of} may make in a minute")]
pub struct Limited {
    /// Whose rate is used up.
    pub of: RateOf,
    /// How long until one more may go.
    pub wait: Duration,
}

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateOf {
    /// The credential's.
    Key,
    /// The organization's.
    Org,
}

impl std::fmt::Display for RateOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "API key",
            Self::Org => "organization",
        })
    }
}

/// A tool call that may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BeginError {
    /// The credential has been revoked since the request began.
    #[error("the credential is no longer valid")]
    Revoked,
    /// The organization's view was closed meanwhile: authenticate again, once.
    #[error("the organization is being loaded again")]
    Closed,
    /// The server is shutting down and begins nothing new.
    #[error("the server is shutting down")]
    Draining,
    /// The organization runs as many calls as it may.
    #[error("the organization already runs {limit} calls at once")]
    OrgBusy {
        /// The limit.
        limit: usize,
    },
    /// The credential runs as many calls as it may.
    #[error("this key already runs {limit} calls at once")]
    KeyBusy {
        /// The limit.
        limit: usize,
    },
}

/// An organization that could not be reached.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// There is none with this id.
    #[error("no such organization")]
    NotFound,
    /// As many organizations are active as may be, and all of them are in use.
    #[error("too many organizations are in use at once")]
    Full,
    /// The server is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// The store's records cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The actor could not be started, or ended at once.
    #[error("the organization's actor ended unexpectedly")]
    Actor,
}

/// A change that was not made, or of which it is not known.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// No such key or data source in this organization.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// A live key or source has the name already.
    #[error("{what} named {name:?} exists already; choose another name")]
    NameTaken {
        /// `an API key` or `a data source`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The person's role does not allow it.
    #[error("your role in this organization does not allow that; ask one of its owners or admins")]
    Forbidden,
    /// The request makes no sense; the message says what to change.
    #[error("{0}")]
    Invalid(String),
    /// A limit of the organization is reached; the message names it.
    #[error("{0}")]
    Limit(String),
    /// It was done more often than it may be; try again after this long.
    #[error("{what}; try again in {} s", .wait.as_millis().div_ceil(1_000))]
    TooFast {
        /// What was done too often, as a sentence without its end.
        what: &'static str,
        /// How long to wait.
        wait: Duration,
    },
    /// Too many changes wait already; try again.
    #[error("the organization has too many changes waiting; try again in a moment")]
    Busy,
    /// No answer in time. The change may still happen.
    #[error("no answer in time; the change may still happen, so look before you try again")]
    TimedOut,
    /// The store has no space left; nothing changed.
    #[error("the store's disk is full; nothing was changed")]
    StoreFull,
    /// The store is away; nothing changed.
    #[error("the store is not available; nothing was changed")]
    StoreUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another writer changed the organization; nothing changed here. Try again.
    #[error("the organization was changed elsewhere at the same time; nothing was changed, try again")]
    Conflict,
    /// It broke in the middle: the connection to the store, or the organization's actor.
    #[error("it is not known whether the change was made; look before you try again")]
    Unknown,
    /// Something is broken in the server; the log says what.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ChangeError {
    /// What it counts as.
    pub(super) fn counted(&self) -> Counted {
        match self {
            Self::NotFound(_) | Self::NameTaken { .. } | Self::Forbidden | Self::Invalid(_) => {
                Counted::Refused
            }
            Self::Limit(_) | Self::TooFast { .. } => Counted::Limit,
            Self::Busy => Counted::Busy,
            Self::TimedOut | Self::Unknown => Counted::Unknown,
            Self::StoreFull | Self::StoreUnavailable(_) | Self::Conflict | Self::Internal(_) => {
                Counted::Failed
            }
        }
    }
}

impl From<ReadError> for ChangeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(_) => Self::StoreUnavailable(Box::new(error)),
            ReadError::Damaged(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<RecordError> for ChangeError {
    fn from(error: RecordError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<crate::context::RngError> for ChangeError {
    fn from(error: crate::context::RngError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<CommitError> for ChangeError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Conflict,
            CommitError::Full => Self::StoreFull,
            CommitError::Unavailable(_) => Self::StoreUnavailable(Box::new(error)),
            CommitError::Unknown(_) => Self::Unknown,
            CommitError::TooLarge | CommitError::Malformed(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<ResolveError> for ChangeError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::NotFound("organization"),
            ResolveError::Store(error) => error.into(),
            ResolveError::Record(error) => error.into(),
            ResolveError::Full | ResolveError::ShuttingDown => Self::Busy,
            ResolveError::Actor => Self::Internal(Box::new(error)),
        }
    }
}
