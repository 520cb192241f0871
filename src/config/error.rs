//! What can be wrong with a configuration, each said in one sentence that names the place, the key,
//! the value and what is allowed.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The defaults embedded in the binary.
    Default,
    /// A line of a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env {
        /// Its whole name.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// With its dashes.
        name: &'static str,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File { path, line } => write!(f, "{}:{line}", path.display()),
            Place::Env { name } => f.write_str(name),
            Place::Flag { name } => f.write_str(name),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A key that no section has. `hint` names the nearest one, or those that there are.
    #[error("{place}: there is no setting {key}; {hint}")]
    Unknown {
        /// Where it stands.
        place: Place,
        /// As it was written.
        key: String,
        /// What was probably meant.
        hint: String,
    },
    /// A value of the wrong type, out of range or malformed.
    #[error("{place}: {key} is {value}, but must be {allowed}.")]
    Wrong {
        /// Where it stands.
        place: Place,
        /// The key's path.
        key: String,
        /// The value as it was written; withheld where it may be secret.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Two settings that do not go together; the sentence says which to change.
    #[error("{0}")]
    Contradiction(String),
    /// The file is no TOML.
    #[error("{path}:{line}: this is not valid TOML: {why}.")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        why: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}. Check the path and its permissions.")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no home directory to put a data folder in.
    #[error("there is no home directory to keep data in: name a data folder with --data-dir.")]
    NoDataFolder,
    /// The defaults in the binary do not fit the code: a mistake in this build.
    #[error("the configuration cannot be assembled: {0}")]
    Internal(String),
}
