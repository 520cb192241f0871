//! `sequel org list`.

use crate::api::Orgs;
use crate::cli::answer::{Answer, minute, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;

pub(super) async fn run(session: &mut Session) -> Result<Answer, Failure> {
    let orgs: Orgs = session.client.get("/orgs").await?;
    let text = if orgs.orgs.is_empty() {
        format!("There is no organization yet. Make one with: sequel org create NAME{}", session.repeated)
    } else {
        let rows = orgs.orgs.iter().map(|org| vec![org.name.clone(), org.id.clone(), minute(org.created_at)]);
        table(&["name", "id", "created"], rows)
    };
    Ok(Answer::new(&orgs, text))
}
