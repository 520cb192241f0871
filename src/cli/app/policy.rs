//! `sequel app policy`.

use crate::api::{AppPolicy, ChangeAppPolicy};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Show or say which classes of app may be authorized; apps that are forbidden then end at once
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    org: OrgArg,
    /// Programs on a person's own machine that listen there
    #[arg(long, value_name = "WHETHER")]
    loopback: Option<Whether>,
    /// Programs with a scheme of their own, such as cursor://
    #[arg(long, value_name = "WHETHER")]
    private_schemes: Option<Whether>,
    /// Web hosts: any, none, or the names of those that may, with commas between them
    #[arg(long, value_name = "HOSTS")]
    https: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Whether {
    Allowed,
    Never,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let path = format!("{path}/app-policy");
    let is = |whether: Option<Whether>| whether.map(|whether| whether == Whether::Allowed);
    let (https, https_hosts) = match args.https.as_deref() {
        None => (None, None),
        Some(word @ ("any" | "none")) => (Some(word.to_owned()), None),
        Some(hosts) => {
            let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned);
            (Some("hosts".to_owned()), Some(hosts.collect()))
        }
    };
    let change = ChangeAppPolicy {
        loopback: is(args.loopback),
        private_schemes: is(args.private_schemes),
        https,
        https_hosts,
    };
    let policy: AppPolicy = match change == ChangeAppPolicy::default() {
        true => session.client.get(&path).await?,
        false => session.client.patch(&path, &change).await?,
    };
    let text = text(&policy, &clean(&org));
    Ok(Answer::new(&policy, text))
}

fn text(policy: &AppPolicy, org: &str) -> String {
    let word = |allowed| if allowed { "allowed" } else { "never" };
    let https = match policy.https_hosts.is_empty() {
        true => policy.https.clone(),
        false => clean(&policy.https_hosts.join(", ")),
    };
    let mut lines = vec![
        format!("Apps that may be authorized in {org}:"),
        format!("  on the person's own machine  {}", word(policy.loopback)),
        format!("  with a scheme of their own   {}", word(policy.private_schemes)),
        format!("  on web hosts                 {https}"),
    ];
    lines.extend(
        policy.apps_ended.filter(|ended| *ended > 0).map(|ended| format!("{ended} ended with that.")),
    );
    lines.join("\n")
}
