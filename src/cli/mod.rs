//! The command line: what the arguments mean, which command runs, what is printed and with which
//! exit code (0 done, 1 failed, 2 wrong usage). One file per command. Commands about organizations,
//! keys and sources are clients of the admin API; they know neither actors nor the store.

mod answer;
mod app;
mod audit;
mod backup;
mod bar;
mod client;
mod completions;
mod config;
mod confirm;
mod demo;
mod doctor;
mod failure;
mod key;
mod man;
mod member;
mod openapi;
mod org;
mod restore;
mod secrets;
mod serve;
mod session;
mod source;
mod storage;
#[cfg(test)]
mod tests;
mod time;
mod usage;
mod user;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};

use self::answer::Answer;
use self::failure::Failure;
use self::session::{Reached, Session};
use crate::config::{Config, Flags, LoadOptions, Loaded};
use crate::context::Clock;

pub use self::client::{Client, ClientError};

/// A self-hostable MCP server: AI clients ask questions of an organization's databases.
#[derive(Debug, Parser)]
#[command(name = "sequel", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The folder that Sequel keeps everything in
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// A configuration file [default: sequel.toml in the data folder, where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON; errors become {"error":{"code","message"}} on standard error
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::Command),
    #[command(flatten)]
    Admin(AdminCommand),
    Backup(backup::Args),
    Restore(restore::Args),
    /// The store as a whole: check it, copy it to another kind
    #[command(subcommand)]
    Storage(storage::Command),
    Doctor(doctor::Args),
    Openapi(openapi::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Commands that talk to the admin API.
#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Organizations
    #[command(subcommand)]
    Org(org::Command),
    /// API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Authorized apps: those that people let ask in their name
    #[command(subcommand)]
    App(app::Command),
    /// Data sources: the databases that may be asked
    #[command(subcommand)]
    Source(source::Command),
    /// The master key that passwords of data sources are sealed under
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// The people who may sign in
    #[command(subcommand)]
    User(user::Command),
    /// Members: who belongs to an organization, and as what
    #[command(subcommand)]
    Member(member::Command),
    /// The audit trail: every change of an organization, and every query of its data sources
    #[command(subcommand)]
    Audit(audit::Command),
    Usage(usage::Args),
}

/// Which organization a command is about.
#[derive(Debug, clap::Args)]
struct OrgArg {
    /// The organization, by name or id; may be left out where there is just one
    #[arg(long, value_name = "ORG", value_parser = NonEmptyStringValueParser::new())]
    org: Option<String>,
}

/// What a command touches outside itself; tests bring their own.
struct World<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    env: Vec<(String, String)>,
    /// Puts a question to a person; `None` where nobody sits at a terminal.
    ask: Option<&'a mut dyn FnMut(&str) -> bool>,
    /// Finds the server that runs on a configuration, or starts one for this command.
    reach: &'a dyn Fn(&Config) -> Result<Reached, Failure>,
    clock: Clock,
}

/// Runs the program on the arguments, environment and terminal of this process.
pub fn main_entry() -> ExitCode {
    crate::run::share_arenas();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut ask = confirm::ask_on_terminal;
    let terminal = std::io::stdin().is_terminal() && err.is_terminal();
    let world = World {
        out: &mut out,
        err: &mut err,
        env: LoadOptions::with_process_env(None, Flags::default()).env,
        ask: terminal.then_some(&mut ask as &mut dyn FnMut(&str) -> bool),
        reach: &session::reach,
        clock: Clock::system(),
    };
    ExitCode::from(run(std::env::args_os().collect(), world))
}

/// Runs one command and returns its exit code.
fn run(args: Vec<OsString>, mut world: World<'_>) -> u8 {
    let wants_json = args.iter().any(|arg| arg == "--json");
    let (json, result) = match Cli::try_parse_from(args) {
        Ok(cli) => (cli.global.json, dispatch(cli, &mut world)),
        Err(error) if error.use_stderr() && wants_json => (true, Err(Failure::Arguments(error))),
        Err(error) => {
            let text = error.render().to_string();
            // Nothing can be done for a reader that went away.
            let _ = match error.use_stderr() {
                true => world.err.write_all(text.as_bytes()),
                false => world.out.write_all(text.as_bytes()),
            };
            return u8::try_from(error.exit_code()).unwrap_or(1);
        }
    };
    let failure = match result {
        Ok(answer) => match answer.write(json, world.out) {
            Ok(()) => return answer.exit,
            // Whoever reads us has seen enough (`| head`).
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return answer.exit,
            Err(error) => Failure::Output(error),
        },
        Err(failure) => failure,
    };
    let line =
        if json { failure.to_json() } else { format!("Error: {}", answer::clean_lines(&failure.sentence())) };
    let _ = writeln!(world.err, "{line}");
    failure.exit()
}

fn dispatch(cli: Cli, world: &mut World<'_>) -> Result<Answer, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(args) => serve::run(args, &global, world),
        Command::Demo(args) => demo::run(args, &global, world),
        Command::Config(command) => config::run(command, &global, world),
        Command::Backup(args) => backup::run(args, &global, world),
        Command::Restore(args) => restore::run(args, &global, world),
        Command::Storage(command) => storage::run(command, &global, world),
        Command::Doctor(args) => doctor::run(args, &global, world),
        Command::Openapi(args) => Ok(openapi::run(args)),
        Command::Completions(args) => Ok(completions::run(args)),
        Command::Man(args) => man::run(args),
        Command::Admin(command) => {
            let config = global.load(world, None)?.config;
            Session::with(&config, global.repeated(), world, async |session, world| match command {
                AdminCommand::Org(command) => org::run(command, session, world).await,
                AdminCommand::Key(command) => key::run(command, session, world).await,
                AdminCommand::App(command) => app::run(command, session, world).await,
                AdminCommand::Source(command) => source::run(command, session, world).await,
                AdminCommand::Secrets(command) => secrets::run(command, session, world).await,
                AdminCommand::User(command) => user::run(command, session, world).await,
                AdminCommand::Member(command) => member::run(command, session, world).await,
                AdminCommand::Audit(command) => audit::run(command, session, world).await,
                AdminCommand::Usage(args) => usage::run(args, session).await,
            })
        }
    }
}

impl Global {
    /// The flags that say which server is meant, as a suggested next command has to repeat them.
    fn repeated(&self) -> String {
        let flag = |name: &str, path: &Option<PathBuf>| match path {
            Some(path) => format!(" {name} {}", crate::install::shell_quote(&path.to_string_lossy())),
            None => String::new(),
        };
        flag("--data-dir", &self.data_dir) + &flag("--config", &self.config)
    }

    fn load(&self, world: &World<'_>, port: Option<u16>) -> Result<Loaded, Failure> {
        self.load_with(world, port, None)
    }

    /// The same with one more variable, which counts before the environment's.
    fn load_with(
        &self,
        world: &World<'_>,
        port: Option<u16>,
        variable: Option<(&str, &str)>,
    ) -> Result<Loaded, Failure> {
        let flags = Flags { data_dir: self.data_dir.clone(), port };
        let mut env = world.env.clone();
        if let Some((name, value)) = variable {
            env.retain(|(known, _)| known != name);
            env.push((name.to_owned(), value.to_owned()));
        }
        let options = LoadOptions { file: self.config.clone(), env, flags };
        Ok(Config::load_with_places(options)?)
    }
}
