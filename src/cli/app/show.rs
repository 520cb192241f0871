//! `sequel app show`.

use super::list::word;
use super::{AppArg, called};
use crate::api::App;
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean, minute, minute_or};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Show one authorized app
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    app: AppArg,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let app: App = session.client.get(&format!("{path}/apps/{}", segment(&args.app.app))).await?;
    Ok(Answer::new(&app, text(&app)))
}

fn text(app: &App) -> String {
    let all = || "all".to_owned();
    let lines = [
        ("calls itself", called(app).to_owned()),
        ("says it is from", app.uri.clone().unwrap_or_else(|| "nothing".to_owned())),
        ("tokens went to", format!("{} ({})", app.host, app.redirect.replace('_', " "))),
        ("authorized by", app.user.clone()),
        ("status", word(app.status).to_owned()),
        ("may", app.scopes.join(", ")),
        ("data sources", app.sources.as_ref().map_or_else(all, |sources| sources.join(", "))),
        ("authorized", minute(app.created_at)),
        ("last used", minute_or(app.last_used_at, "never")),
        ("last refresh from", app.seen_from.clone().unwrap_or_else(|| "nowhere".to_owned())),
        ("ends", minute_or(app.expires_at, "when it is revoked or left unused")),
        ("ends if unused", minute(app.ends_at)),
    ];
    let lines = lines.iter().map(|(name, value)| format!("{name:<18} {}", clean(value)));
    lines.collect::<Vec<_>>().join("\n")
}
