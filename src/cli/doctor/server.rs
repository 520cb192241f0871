//! The administration: whether it answers, of which version it is, and whether every data source does.

use super::Report;
use crate::api;
use crate::cli::World;
use crate::cli::client::{Client, segment};
use crate::cli::failure::Failure;
use crate::config::Config;

/// Most data sources that are tried out: a second each, in the worst case, is what somebody waits for.
const SOURCES_MAX: usize = 200;
/// Most organizations whose data sources are looked for.
const ORGS_MAX: usize = 1_000;
/// How far the wall clock may have moved since the server's start.
const DRIFT_MAX_MS: u64 = 60_000;

/// What the server says of itself.
pub(super) fn look(report: &mut Report, config: &Config, world: &World<'_>) -> Option<api::Server> {
    let reached = match (world.reach)(config) {
        Ok(reached) => reached,
        Err(error) => {
            let advice =
                "Correct what the sentence names; until then neither the server nor a command can work.";
            report.problem("administration", Failure::sentence(&error), advice);
            return None;
        }
    };
    let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
        runtime.block_on(async {
            let mut client = Client::connect(&reached.socket).await?;
            ask(report, &mut client).await
        })
    });
    if let Some(end) = reached.end {
        end();
    }
    match outcome.map_err(|error| Failure::Run(error.into())).and_then(|asked| asked) {
        Ok(server) => Some(server),
        Err(error) => {
            let advice = "Look into the server's log, and restart it.";
            report.problem("administration", Failure::sentence(&error), advice);
            None
        }
    }
}

async fn ask(report: &mut Report, client: &mut Client) -> Result<api::Server, Failure> {
    let server: api::Server = client.get("/server").await?;
    let own = env!("CARGO_PKG_VERSION");
    if server.mcp_url.is_none() {
        report.ok("administration", "It works, without a server: none runs on this data folder.");
    } else if server.version == own {
        report.ok("administration", format!("The server answers (pid {}).", server.pid));
    } else {
        report.warning(
            "administration",
            format!("The server is of version {}, this program of {own}.", server.version),
            "Restart the server, so that both are of the newer one.",
        );
    }
    if server.clock_drift_ms.unsigned_abs() > DRIFT_MAX_MS {
        report.warning(
            "clock",
            format!("It was set by {} s since the server started.", server.clock_drift_ms / 1_000),
            "Restart the server: expiries go by the time at its start.",
        );
    }
    sources(report, client).await?;
    Ok(server)
}

async fn sources(report: &mut Report, client: &mut Client) -> Result<(), Failure> {
    let orgs = client.get::<api::Orgs>("/orgs").await?.orgs;
    let mut tried = 0;
    for org in orgs.iter().take(ORGS_MAX) {
        let path = format!("/orgs/{}/sources", segment(&org.id));
        for source in client.get::<api::Sources>(&path).await?.sources {
            if tried == SOURCES_MAX {
                report.ok("sources", format!("{tried} were tried out, the others were not."));
                return Ok(());
            }
            tried += 1;
            let check = format!("source {}/{}", org.name, source.name);
            let path = format!("{path}/{}/test", segment(&source.id));
            let tested: api::Tested = client.post(&path, &serde_json::json!({})).await?;
            match tested.error {
                None => report.ok(&check, format!("It opens read-only and answers ({} ms).", tested.elapsed_ms)),
                Some(error) => report.problem(
                    &check,
                    format!("It does not answer: {error}"),
                    "Correct it with 'sequel source edit', allow its folder in sources.sqlite.folders, or remove it.",
                ),
            }
        }
    }
    if tried == 0 {
        report.ok("sources", "There is no data source yet.");
    }
    Ok(())
}
