//! `sequel source add`.

use serde_json::{Map, Value};

use super::flags::SettingFlags;
use crate::api::{AddSource, Source};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// Add a database that the organization's clients may ask
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name, unique in the organization
    name: String,
    #[command(flatten)]
    org: OrgArg,
    /// The kind of database
    #[arg(long, default_value = "sqlite")]
    kind: String,
    #[command(flatten)]
    flags: SettingFlags,
    /// A setting of the connector; may be given several times. Never put a password here
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, Value)>,
    /// What is in it, for the model to read
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let mut settings: Map<String, Value> = args.settings.into_iter().collect();
    settings.extend(args.flags.settings()?);
    let request = AddSource { name: args.name, kind: args.kind, settings, description: args.description };
    let source: Source = session.client.post(&format!("{path}/sources"), &request).await?;
    let (quoted, org) = (clean(&shell_quote(&source.name)), clean(&shell_quote(&org)));
    let name = clean(&source.name);
    let next =
        format!("Next, see that it answers: sequel source test {quoted} --org {org}{}", session.repeated);
    let text = format!("Added the data source {name}.\n{next}");
    Ok(Answer::new(&source, text))
}

/// `name=value`; a value that is JSON stays what it is, anything else is text.
pub(super) fn parse_setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("write NAME=VALUE".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting_is_json_where_it_can_be_and_text_otherwise() {
        assert_eq!(parse_setting("port=5432"), Ok(("port".to_owned(), json!(5432))));
        assert_eq!(parse_setting("host=db=1"), Ok(("host".to_owned(), json!("db=1"))));
        assert!(parse_setting("host").is_err() && parse_setting("=x").is_err());
    }
}
