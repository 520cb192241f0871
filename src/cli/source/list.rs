//! `sequel source list`.

use crate::api::{Source, Sources};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean, minute, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// List the data sources of an organization
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let sources: Sources = session.client.get(&format!("{path}/sources")).await?;
    let text = if sources.sources.is_empty() {
        let (quoted, org) = (clean(&shell_quote(&org)), clean(&org));
        let next = format!("sequel source add NAME --org {quoted} --path FILE{}", session.repeated);
        format!("{org} has no data source yet. Add one with: {next}")
    } else {
        table(&["name", "kind", "settings", "added", "description"], sources.sources.iter().map(row))
    };
    Ok(Answer::new(&sources, text))
}

fn row(source: &Source) -> Vec<String> {
    let settings = source.settings.iter().map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name}={text}"),
        None => format!("{name}={value}"),
    });
    vec![
        source.name.clone(),
        source.kind.clone(),
        settings.collect::<Vec<_>>().join(" "),
        minute(source.created_at),
        source.description.clone().unwrap_or_default(),
    ]
}
