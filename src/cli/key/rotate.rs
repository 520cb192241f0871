//! `sequel key rotate`.

use std::time::Duration;

use super::{KeyArg, shown_once};
use crate::api::{RotateKey, RotatedKey};
use crate::cli::answer::{Answer, clean, minute};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::time::parse_duration;
use crate::cli::{OrgArg, World};

/// Give an API key a new secret; the old one goes on working for a while
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    org: OrgArg,
    /// How long the old secret goes on working, such as 24h; 0 ends it at once [default: what
    /// keys.rotate_overlap_seconds says; a running server goes by its own]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    overlap: Option<Duration>,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let overlap_seconds = args.overlap.map(|overlap| overlap.as_secs());
    // A server that was started with other settings has its own default, which cannot be known here.
    if overlap_seconds.unwrap_or(session.rotate_overlap_seconds) == 0 {
        let key = clean(&args.key.key);
        let question = format!("The old secret of the API key {key} stops working at once. Rotate it?");
        args.yes.confirm(world, &question)?;
    }
    let path = format!("{path}/keys/{}/rotate", segment(&args.key.key));
    let rotated: RotatedKey = session.client.post(&path, &RotateKey { overlap_seconds }).await?;
    let old = match rotated.previous_valid_until {
        Some(time) => format!("the old one works until {}", minute(time)),
        None => "the old one no longer works".to_owned(),
    };
    let head = format!("The API key {} has a new secret; {old}:", clean(&rotated.name));
    let text = format!("{head}\n\n{}", shown_once(&rotated.key));
    Ok(Answer::new(&rotated, text))
}
