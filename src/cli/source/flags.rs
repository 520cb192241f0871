//! A flag for each setting that some connector declares.
//!
//! A secret never stands on a command line, where other users of the machine see it: its flag names a file, or `-` for
//! standard input. Which settings go together the server says.

use std::io::Read;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use sequel_connector::{Setting, SettingKind};
use serde_json::Value;

use crate::backends;
use crate::cli::failure::Failure;

/// Longest file with a setting: a chain of certificates has some KiB.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What was given by flags, in the order of declaration.
#[derive(Debug)]
pub(in crate::cli) struct SettingFlags(Vec<(&'static Setting, String)>);

/// Every setting once, with the connectors that have it. Those of one name mean the same.
fn declared() -> Vec<(&'static Setting, Vec<&'static str>)> {
    let mut all: Vec<(&'static Setting, Vec<&'static str>)> = Vec::new();
    for declaration in backends::declarations() {
        for setting in declaration.settings {
            match all.iter_mut().find(|(known, _)| known.name == setting.name) {
                Some((_, labels)) => labels.push(declaration.label),
                None => all.push((setting, vec![declaration.label])),
            }
        }
    }
    all
}

fn id(setting: &Setting) -> String {
    format!("setting-{}", setting.name)
}

fn flag(setting: &'static Setting, labels: &[&str]) -> Arg {
    let name = setting.name.replace('_', "-");
    let help = setting.help.trim_end_matches('.');
    let arg = Arg::new(id(setting)).help(format!("{help} [{}]", labels.join(", ")));
    match setting.kind {
        SettingKind::Secret | SettingKind::SecretLines => {
            let help = format!("A file with it, or - for standard input: {help} [{}]", labels.join(", "));
            arg.long(format!("{name}-file")).value_name("FILE").help(help)
        }
        SettingKind::Lines => arg.long(name).value_name("FILE"),
        SettingKind::Choice(words) => arg.long(name).value_parser(words.to_vec()),
        SettingKind::On => arg.long(format!("no-{name}")).action(ArgAction::SetTrue),
        SettingKind::Number => arg.long(name).value_name("NUMBER"),
        SettingKind::Line => arg.long(name).value_name("TEXT"),
    }
}

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        declared().iter().fold(command, |command, (setting, labels)| command.arg(flag(setting, labels)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = declared().into_iter().filter_map(|(setting, _)| match setting.kind {
            SettingKind::On => matches.get_flag(&id(setting)).then(|| (setting, String::new())),
            _ => Some((setting, matches.get_one::<String>(&id(setting))?.clone())),
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SettingFlags {
    /// Names and values, files read.
    pub(super) fn settings(self) -> Result<Vec<(String, Value)>, Failure> {
        let value = |setting: &Setting, given: String| -> Result<Value, Failure> {
            Ok(match setting.kind {
                SettingKind::Secret | SettingKind::SecretLines => {
                    Value::String(content(&given)?.trim_end_matches(['\r', '\n']).to_owned())
                }
                SettingKind::Lines => Value::String(content(&given)?),
                SettingKind::On => Value::Bool(false),
                // The server has another working directory.
                SettingKind::Line if setting.name == "path" => {
                    let file = std::path::absolute(&given).unwrap_or_else(|_| given.into());
                    Value::String(file.to_string_lossy().into_owned())
                }
                SettingKind::Line | SettingKind::Number | SettingKind::Choice(_) => Value::String(given),
            })
        };
        self.0
            .into_iter()
            .map(|(setting, given)| Ok((setting.name.to_owned(), value(setting, given)?)))
            .collect()
    }
}

fn content(file: &str) -> Result<String, Failure> {
    // `@FILE` is how other programs want a file named; one whose name begins so is `./@FILE`.
    let file = file.strip_prefix('@').unwrap_or(file);
    let read = || -> std::io::Result<String> {
        let source: Box<dyn Read> = match file {
            "-" => Box::new(std::io::stdin()),
            file => Box::new(std::fs::File::open(Path::new(file))?),
        };
        let mut text = String::new();
        source.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        match text.len() as u64 > FILE_BYTES_MAX {
            true => Err(std::io::Error::other("it is too long")),
            false => Ok(text),
        }
    };
    read().map_err(|error| {
        Failure::Run(anyhow::anyhow!("{file} cannot be read ({error}); name a file that holds the setting"))
    })
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    fn given(args: &[&str]) -> Vec<(String, Value)> {
        let command = SettingFlags::augment_args(Command::new("x"));
        let matches = command.try_get_matches_from(std::iter::once("x").chain(args.iter().copied())).unwrap();
        SettingFlags::from_arg_matches(&matches).unwrap().settings().unwrap()
    }

    #[test]
    fn a_file_may_be_named_as_other_programs_want_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n").unwrap();
        let file = file.to_str().unwrap();
        let read = given(&["--ca", file]);
        assert!(read[0].1.as_str().unwrap().contains("\nAA==\n"));
        assert_eq!(given(&["--ca", &format!("@{file}")]), read);
    }

    #[test]
    fn flags_come_from_what_connectors_declare_and_secrets_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let given = given(&[
            "--host",
            "db",
            "--port",
            "5433",
            "--password-file",
            file.to_str().unwrap(),
            "--tls",
            "verify-ca",
            "--statement-timeout-seconds",
            "9",
            "--no-samples",
        ]);
        let given: std::collections::BTreeMap<_, _> = given.into_iter().collect();
        assert_eq!(given["host"], "db");
        assert_eq!(given["password"], "hunter2");
        assert_eq!(given["samples"], false);
        assert_eq!(given["statement_timeout_seconds"], "9");
        assert_eq!(given.len(), 6);
    }
}
