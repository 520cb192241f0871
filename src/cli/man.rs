//! `sequel man`: manual pages, one for each command.

use std::path::PathBuf;

use clap::CommandFactory;
use serde_json::json;

use super::Cli;
use super::answer::Answer;
use super::failure::Failure;

/// Write the manual pages into a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder; it is made where it is missing
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
}

pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| {
        Failure::Run(anyhow::anyhow!(
            "the manual pages cannot be written to {} ({error}). Name another folder with --dir.",
            args.dir.display()
        ))
    };
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut files = Vec::new();
    write(&command, "sequel", &args.dir, &mut files).map_err(failed)?;
    let text = format!("Wrote {} manual pages to {}.", files.len(), args.dir.display());
    Ok(Answer::new(&json!({"dir": args.dir, "files": files}), text))
}

/// The page of a command and those of its own commands, by its whole name: `sequel-org-create.1`.
fn write(
    command: &clap::Command,
    name: &str,
    dir: &std::path::Path,
    files: &mut Vec<String>,
) -> std::io::Result<()> {
    let file = format!("{name}.1");
    let page = clap_mangen::Man::new(command.clone().name(name.to_owned()).bin_name(name.replace('-', " ")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(dir.join(&file), text)?;
    files.push(file);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, &format!("{name}-{}", below.get_name()), dir, files)?;
    }
    Ok(())
}
