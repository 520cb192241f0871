//! Why a command failed: one sentence for people, a code for programs, an exit code for scripts.

use serde_json::json;
use thiserror::Error;

use super::client::ClientError;
use crate::backup::BackupError;
use crate::config::ConfigError;

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The arguments are wrong.
    #[error("{}", first_paragraph(.0))]
    Arguments(clap::Error),
    /// The arguments are right in form and do not say enough; the sentence says what to add.
    #[error("{message}")]
    Usage { code: &'static str, message: String },
    /// A person was asked and said no.
    #[error("nothing was changed.")]
    Declined,
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store beside which a server was looked for.
    #[error(transparent)]
    Store(#[from] sequel_store::OpenError),
    /// The server refused, or could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A backup cannot be made, read or restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Starting or running failed.
    #[error("{}", chain(.0))]
    Run(anyhow::Error),
    /// The answer could not be printed.
    #[error("the answer could not be written: {0}.")]
    Output(std::io::Error),
}

impl Failure {
    /// 2 for wrong usage, else 1.
    pub(super) fn exit(&self) -> u8 {
        match self {
            Failure::Arguments(_) | Failure::Usage { .. } => 2,
            _ => 1,
        }
    }

    /// The message, with a capital where it begins with a word; a file, a setting or a flag stays as it is.
    pub(super) fn sentence(&self) -> String {
        let message = self.to_string();
        let word = message.split(' ').next().unwrap_or_default();
        if word.bytes().all(|b| b.is_ascii_lowercase()) && !word.is_empty() {
            return message[..1].to_uppercase() + &message[1..];
        }
        message
    }

    /// One line: `{"error":{"code":…,"message":…}}`. Codes of the server pass through.
    pub(super) fn to_json(&self) -> String {
        let code = match self {
            Failure::Arguments(_) => "usage",
            Failure::Usage { code, .. } => code,
            Failure::Declined => "declined",
            Failure::Config(_) => "config",
            Failure::Store(_) => "store",
            Failure::Client(ClientError::Refused(problem)) => &problem.code,
            Failure::Client(_) => "server_unreachable",
            Failure::Backup(_) => "backup",
            Failure::Run(_) => "failed",
            Failure::Output(_) => "output",
        };
        json!({"error": {"code": code, "message": self.sentence()}}).to_string()
    }
}

fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn chain(error: &anyhow::Error) -> String {
    // The causes that only repeat what was already said are left out.
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        said if said.contains(&cause) => text,
        _ => format!("{}: {cause}", text.trim_end_matches('.')),
    })
}
