//! `sequel user list`.

use crate::api::{User, UserStatus, Users};
use crate::cli::answer::{Answer, minute, minute_or, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// List the users of this server
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {}

const HEADER: &[&str] = &["address", "name", "status", "organizations", "created", "last sign-in"];

pub(super) async fn run(_: Args, session: &mut Session) -> Result<Answer, Failure> {
    let users: Users = session.client.get("/users").await?;
    let text = if users.users.is_empty() {
        format!("There is no user yet. Make one with: sequel user create EMAIL{}", session.repeated)
    } else {
        table(HEADER, users.users.iter().map(row))
    };
    Ok(Answer::new(&users, text))
}

fn row(user: &User) -> Vec<String> {
    let status = match user.status {
        UserStatus::Active if !user.has_password => "no password yet",
        UserStatus::Active => "active",
        UserStatus::Disabled => "disabled",
        UserStatus::Suspended => "suspended by restore",
        UserStatus::Leaving => "being deleted",
    };
    let orgs: Vec<_> = user.orgs.iter().map(|org| format!("{} ({})", org.name, org.role)).collect();
    vec![
        user.email.clone(),
        user.name.clone(),
        status.to_owned(),
        orgs.join(", "),
        minute(user.created_at),
        minute_or(user.last_signed_in_at, "never"),
    ]
}
