//! `sequel user create`.

use super::handed_over;
use crate::api::{CreateUser, PasswordLink};
use crate::cli::answer::{Answer, clean};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// Make a user, and a link with which they set their password
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The e-mail address that they sign in with
    email: String,
    /// What others see [default: what stands before the @]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let request = CreateUser { email: args.email, name: args.name };
    let created: PasswordLink = session.client.post("/users", &request).await?;
    let next = format!(
        "Put them into an organization: sequel member add {} --role ROLE --org ORG{}",
        clean(&shell_quote(&created.email)),
        session.repeated
    );
    let text = format!("Made the user {}:\n\n{}\n{next}", clean(&created.email), handed_over(&created));
    Ok(Answer::new(&created, text))
}
