//! `sequel member role`.

use super::{Role, Which};
use crate::api::{ChangeMember, Member};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Give a member another role; a viewer's personal API keys end
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    /// What they may do from now on
    #[arg(value_enum)]
    role: Role,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let path = format!("{path}/members/{}", segment(&args.which.user));
    let member: Member = session.client.patch(&path, &ChangeMember { role: args.role.word() }).await?;
    let text = format!("{} is {} of {} now.", clean(&member.email), clean(&member.role), clean(&org));
    Ok(Answer::new(&member, text))
}
