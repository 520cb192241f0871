//! `sequel restore`.

use std::path::PathBuf;

use serde::Serialize;

use super::answer::{Answer, minute};
use super::bar::bar;
use super::confirm::Yes;
use super::failure::Failure;
use super::{Global, World};
use crate::backup::{Passphrase, Restoration, Restore};
use crate::context::Timestamp;
use crate::run;

/// Put a backup back, without reviving what was revoked since it was made
///
/// No server may run meanwhile. Into an empty store everything comes back, but nobody knows which API keys were deleted,
/// disabled or rotated since: all of them are suspended, that is refused like any unknown key, until each is switched on
/// with 'sequel key enable'. With --replace, what the store still knows counts: a key that it has stays as it is, one that
/// it has not was deleted and stays so, and so does an organization that was deleted. Secrets that a rotation replaced never
/// come back.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup
    file: PathBuf,
    /// Replace what the store holds: organizations, API keys and data sources that the backup does not know are
    /// removed; data sources that were removed since come back
    #[arg(long)]
    replace: bool,
    /// Suspend no API key: every key of the backup works again, also those that were deleted, disabled or given another
    /// secret since. Only where you know that none was, or that the backup is of the last moment
    #[arg(long)]
    trust_keys: bool,
    /// The file that the passphrase of an encrypted backup is in
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    yes: Yes,
}

#[derive(Serialize)]
struct Restored {
    made_at: Timestamp,
    epoch: u64,
    orgs: u64,
    orgs_renamed: u64,
    orgs_left: u64,
    orgs_removed: u64,
    keys_kept: u64,
    keys_suspended: u64,
    keys_trusted: u64,
    keys_left_deleted: u64,
    keys_removed: u64,
}

pub(super) fn run(args: Args, global: &Global, world: &mut World<'_>) -> Result<Answer, Failure> {
    let config = global.load(world, None)?.config;
    let passphrase = args.passphrase_file.as_deref().map(Passphrase::read).transpose()?;
    let backup = Restore::read(&args.file, passphrase)?;
    let made = minute(backup.head.made_at);
    if args.replace {
        let question = format!(
            "Replace what the store holds by the backup of {made}? What it does not know is removed."
        );
        args.yes.confirm(world, &question)?;
    }
    if args.trust_keys {
        let question =
            format!("Let every API key of the backup of {made} work again, also those revoked since?");
        args.yes.confirm(world, &question)?;
    }
    let bar = bar(backup.records, global.json);
    let restored =
        run::restore(&config, &backup, args.replace, args.trust_keys, &|done| bar.set_position(done));
    bar.finish_and_clear();
    let done = restored.map_err(Failure::Run)?;
    let text = told(&done, &made, &global.repeated());
    Ok(Answer::new(&shape(done, backup.head.made_at), text))
}

fn shape(done: Restoration, made_at: Timestamp) -> Restored {
    let Restoration { epoch, orgs, orgs_renamed, orgs_left, orgs_removed, .. } = done;
    let Restoration { keys_kept, keys_suspended, keys_trusted, keys_left_deleted, keys_removed, .. } = done;
    Restored {
        made_at,
        epoch,
        orgs,
        orgs_renamed,
        orgs_left,
        orgs_removed,
        keys_kept,
        keys_suspended,
        keys_trusted,
        keys_left_deleted,
        keys_removed,
    }
}

fn told(done: &Restoration, made: &str, repeated: &str) -> String {
    let mut lines = vec![format!("Restored the backup of {made}: organizations {}.", done.orgs)];
    let mut tell = |count: u64, what: String| {
        if count > 0 {
            lines.push(what);
        }
    };
    tell(
        done.orgs_renamed,
        format!(
            "Organizations whose name another one has by now, with their id behind it: {}.",
            done.orgs_renamed
        ),
    );
    tell(
        done.orgs_left,
        format!("Organizations deleted or put back since, left as they are: {}.", done.orgs_left),
    );
    tell(
        done.orgs_removed,
        format!("Organizations that the backup does not know, removed: {}.", done.orgs_removed),
    );
    tell(done.keys_kept, format!("API keys that stay as they are: {}.", done.keys_kept));
    tell(done.keys_trusted, format!("API keys that work again: {}.", done.keys_trusted));
    tell(
        done.keys_left_deleted,
        format!("API keys deleted since, still deleted: {}.", done.keys_left_deleted),
    );
    tell(
        done.keys_removed,
        format!("API keys that the backup does not know, removed: {}.", done.keys_removed),
    );
    tell(
        done.keys_suspended,
        format!(
            "API keys suspended until you switch each on with 'sequel key enable KEY{repeated}': {}.",
            done.keys_suspended
        ),
    );
    lines.join("\n")
}
