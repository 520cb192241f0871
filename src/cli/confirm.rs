//! Asking before something is destroyed.

use std::io::Write;

use super::World;
use super::failure::Failure;

/// `--yes` of a command that destroys something.
#[derive(Debug, clap::Args)]
pub(super) struct Yes {
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl Yes {
    /// Goes on when it was told to or a person agrees; refuses where there is nobody to ask.
    pub(super) fn confirm(&self, world: &mut World<'_>, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        match &mut world.ask {
            Some(ask) => ask(question).then_some(()).ok_or(Failure::Declined),
            None => Err(Failure::Usage {
                code: "not_confirmed",
                message: format!("{question} There is no terminal to ask on: add --yes to go ahead."),
            }),
        }
    }
}

/// Asks on the terminal; anything but `y` or `yes` is a no.
pub(super) fn ask_on_terminal(question: &str) -> bool {
    let mut err = std::io::stderr();
    // A question that cannot be shown is answered with no by the empty line below.
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_err() {
        return false;
    }
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}
