//! `sequel config check` and `sequel config show`.

use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use super::{Global, World};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the configuration without starting anything
    Check,
    /// Show every setting in force and where it was written; secrets are redacted
    Show,
}

pub(super) fn run(command: Command, global: &Global, world: &World<'_>) -> Result<Answer, Failure> {
    let loaded = global.load(world, None)?;
    Ok(match command {
        Command::Check => {
            let file = loaded.file.as_ref().map(|path| path.display().to_string());
            let data_dir = loaded.config.data_dir.display().to_string();
            let text = match &file {
                Some(file) => format!("The configuration is valid (read from {file})."),
                None => "The configuration is valid (no file: defaults and environment).".to_owned(),
            };
            Answer::new(&json!({"ok": true, "file": file, "data_dir": data_dir}), text)
        }
        Command::Show => {
            let text = loaded.to_toml().trim_end().to_owned();
            Answer::new(&json!({"settings": loaded.settings()}), text)
        }
    })
}
