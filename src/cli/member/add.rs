//! `sequel member add`.

use super::{Role, Which};
use crate::api::{AddMember, Member};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Make a user a member of an organization; the first one is an owner
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    /// What they may do
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let request = AddMember { user: args.which.user, role: args.role.word() };
    let member: Member = session.client.post(&format!("{path}/members"), &request).await?;
    let text =
        format!("{} is a member of {}, as {}.", clean(&member.email), clean(&org), clean(&member.role));
    Ok(Answer::new(&member, text))
}
