//! `sequel completions`: scripts that let a shell complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::answer::Answer;

/// Print a script that completes this command line in a shell
///
/// For bash: sequel completions bash > ~/.local/share/bash-completion/completions/sequel
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: Args) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sequel", &mut script);
    Answer::verbatim(String::from_utf8_lossy(&script).trim_end().to_owned())
}
