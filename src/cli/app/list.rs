//! `sequel app list`.

use super::called;
use crate::api::{App, AppStatus, Apps};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean, minute, minute_or, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// List the apps that people have authorized in an organization. What an app is called is its own word; where its
/// tokens went is not
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    org: OrgArg,
}

const HEADER: &[&str] =
    &["id", "calls itself", "host", "authorized by", "status", "authorized", "last used", "ends", "sources"];

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let apps: Apps = session.client.get(&format!("{path}/apps")).await?;
    let text = match apps.apps.is_empty() {
        true => format!("Nobody has authorized an app in {} yet.", clean(&org)),
        false => table(HEADER, apps.apps.iter().map(row)),
    };
    Ok(Answer::new(&apps, text))
}

fn row(app: &App) -> Vec<String> {
    vec![
        app.id.clone(),
        called(app).to_owned(),
        app.host.clone(),
        app.user.clone(),
        word(app.status).to_owned(),
        minute(app.created_at),
        minute_or(app.last_used_at, "never"),
        minute(app.ends_at),
        app.sources.as_ref().map_or_else(|| "all".to_owned(), |sources| sources.join(", ")),
    ]
}

pub(super) fn word(status: AppStatus) -> &'static str {
    match status {
        AppStatus::Active => "active",
        AppStatus::Pending => "pending",
        AppStatus::Expired => "expired",
    }
}
