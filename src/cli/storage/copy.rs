//! `sequel storage copy`.

use serde::Serialize;

use crate::cli::answer::{Answer, clean};
use crate::cli::bar::bar;
use crate::cli::failure::Failure;
use crate::cli::{Global, World};
use crate::config::Config;
use crate::run;

/// Copy everything from one store into an empty one, of the same or another kind, and compare the two
///
/// No server may run on either. API keys go on working in the copy, so the source must not be served any more: what is
/// revoked in one of them is not revoked in the other. A copy that broke off is never served; run it again.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The store to copy, as in storage.url
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty store to copy it into, as in storage.url; relative paths are taken from the data folder
    #[arg(long, value_name = "URL")]
    to: String,
}

#[derive(Serialize)]
struct Copied {
    records: u64,
    verified: bool,
}

pub(super) fn run(args: Args, global: &Global, world: &mut World<'_>) -> Result<Answer, Failure> {
    let from = at("--from", &args.from, global, world)?;
    let to = at("--to", &args.to, global, world)?;
    if from.store() == to.store() {
        let message = "--from and --to name one store: name two.".to_owned();
        return Err(Failure::Usage { code: "same_store", message });
    }
    // How many steps there are is known once the source was read.
    let bar = bar(0, global.json);
    let copied = run::copy(&from, &to, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let records = copied.map_err(Failure::Run)?;
    let text = format!(
        "Copied {records} records into {} and compared each. Let storage.url name it, and do not serve the source any \
         more: its API keys are those of the copy.",
        clean(&to.store().to_string())
    );
    Ok(Answer::new(&Copied { records, verified: true }, text))
}

/// The configuration with another store.
fn at(flag: &str, url: &str, global: &Global, world: &World<'_>) -> Result<Config, Failure> {
    let unusable = |message: String| Failure::Usage { code: "store_url", message };
    if url.is_empty() {
        return Err(unusable(format!(
            "{flag} is empty: name a store such as sqlite:/var/lib/sequel/sequel.db."
        )));
    }
    let loaded = global.load_with(world, None, Some(("SEQUEL__STORAGE__URL", url)));
    let config =
        loaded.map_err(|error| unusable(error.sentence().replace("SEQUEL__STORAGE__URL", flag)))?.config;
    Ok(config)
}
