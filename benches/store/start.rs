//! How soon a server with 100,000 keys answers, and what it takes in memory once all of them were used.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sequel::config::{Config, Log};

use crate::backend::Backend;
use crate::common::fixture::{Secret, prepare_in, sqlite};
use crate::common::load::{Load, Until, first_answer};
use crate::common::process::{Process, end_with_parent};
use crate::common::{list_plan, median, mib};
use crate::table::Table;

const ORGS: usize = 1_000;
const KEYS_PER_ORG: usize = 100;
const CONNECTIONS: usize = 32;

/// Measures one backend after the other.
pub(crate) fn measure(
    backends: &[Backend],
    folder: &Path,
    quick: bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    let database = folder.join("demo.db");
    sequel::demo::write(&database)?;
    for backend in backends {
        backend.make("start")?;
        let config = backend.config("start");
        let system = actix_rt::System::new();
        let began = Instant::now();
        let prepared = system.block_on(prepare_in(&config, ORGS, KEYS_PER_ORG, &sqlite(&database)?))?;
        eprintln!("  {}: prepared in {:.1} s", backend.name, began.elapsed().as_secs_f64());
        let plan = list_plan("/mcp", Arc::new(vec![prepared.keys[0][0]]), 0, 1);
        let start =
            || Process::start("serve", &[backend.name.to_owned(), backend.root.display().to_string()]);
        let mut times = Vec::new();
        for _ in 0..if quick { 3 } else { 7 } {
            let began = Instant::now();
            let server = start()?;
            first_answer(server.address, &plan, Duration::from_secs(60))?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            server.stop()?;
        }
        table.put(
            "start to the first answer, 100,000 keys stored",
            backend.name,
            format!("{:.0} ms", median(times)),
        );
        let server = start()?;
        server.wait()?;
        let keys: Arc<Vec<Secret>> = Arc::new(prepared.interleaved());
        let plans =
            (0..CONNECTIONS).map(|at| list_plan("/mcp", Arc::clone(&keys), at, CONNECTIONS)).collect();
        Load::connect(server.address, plans)?
            .run(Until::Requests((ORGS * KEYS_PER_ORG).div_ceil(CONNECTIONS)))?;
        let resident = server.resident()?;
        table.put("memory with all of them loaded", backend.name, format!("{:.1} MiB", mib(resident)));
        server.stop()?;
        let bytes = backend.bytes("start")?;
        table.put("on the disk, 100,000 keys", backend.name, format!("{:.1} MiB", mib(bytes)));
    }
    Ok(())
}

/// Runs the role of a child process, if this is one. Never returns from a role but by its end.
pub(crate) fn run_role(arguments: &[String]) -> Option<anyhow::Result<()>> {
    match arguments {
        [role, port, backend, root] if role == "serve" => Some(serve(port, backend, Path::new(root))),
        _ => None,
    }
}

fn serve(port: &str, backend: &str, root: &Path) -> anyhow::Result<()> {
    end_with_parent();
    let mut config: Config = Backend::named(backend, root)?.config("start");
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    // So high that nothing is refused.
    config.limits.requests_per_minute_per_key = 60_000_000;
    config.limits.requests_per_minute_per_org = 60_000_000;
    config.log = Log::default();
    sequel::run::serve(config)
}
