//! `sequel member list`.

use crate::api::{Member, Members};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean, minute, minute_or, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// List the members of an organization
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    org: OrgArg,
}

const HEADER: &[&str] = &["address", "name", "role", "since", "last sign-in"];

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let members: Members = session.client.get(&format!("{path}/members")).await?;
    let text = if members.members.is_empty() {
        let quoted = clean(&shell_quote(&org));
        let next = format!("sequel member add USER --role owner --org {quoted}{}", session.repeated);
        format!("{} has no member yet. Add one with: {next}", clean(&org))
    } else {
        table(HEADER, members.members.iter().map(row))
    };
    Ok(Answer::new(&members, text))
}

fn row(member: &Member) -> Vec<String> {
    let disabled = if member.disabled { ", disabled" } else { "" };
    vec![
        member.email.clone(),
        member.name.clone(),
        format!("{}{disabled}", member.role),
        minute(member.since),
        minute_or(member.last_signed_in_at, "never"),
    ]
}
