//! `cargo bench --bench pages`: what a page of the dashboard takes of the server in an organization of 1,000 keys, beside
//! a bare actix-web handler that sends as many bytes with the same headers, in one run.
//!
//! Both servers are processes of their own (this binary again, with a role), on the cores of the load generator. For
//! each page rounds of both alternate; `cpu` is the server's processor time for one request with eight connections, the
//! ratio is the median over neighbouring rounds; `p50` and `p99` are one request after the other on one connection.
//! Never a test.
//!
//! Flags: `--quick` (fewer, shorter rounds), `--json`.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

#[path = "../common/mod.rs"]
mod common;
mod house;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, bail};
use sequel::config::Config;
use serde_json::json;

use crate::common::load::{Load, Plan, Until, first_answer, latencies};
use crate::common::median;
use crate::common::process::{Process, end_with_parent};
use crate::house::{House, KEYS, MEMBERS};

const CONNECTIONS: usize = 8;

fn main() -> anyhow::Result<()> {
    // cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve-sequel", port, data_dir, folder] => return serve_sequel(port, data_dir, folder),
        ["serve-bare", port] => return serve_bare(port),
        _ => {}
    }
    let mut options = Options { quick: false, json: false };
    for argument in &arguments {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--json" => options.json = true,
            other => bail!("unknown argument {other}; there are --quick and --json"),
        }
    }
    let pages = measure(&options)?;
    print(&pages, options.json);
    Ok(())
}

struct Options {
    quick: bool,
    json: bool,
}

/// What one page took.
struct Page {
    name: &'static str,
    bytes: usize,
    /// Milliseconds of the server's processor time for a request.
    cpu: f64,
    /// The bare handler's for as many bytes.
    bare: f64,
    ratio: f64,
    p50: f64,
    p99: f64,
}

fn measure(options: &Options) -> anyhow::Result<Vec<Page>> {
    let folder = tempfile::tempdir()?;
    let databases = folder.path().join("databases");
    std::fs::create_dir(&databases)?;
    let database = databases.join("demo.db");
    sequel::demo::write(&database)?;
    let started = Instant::now();
    let building = House::build(folder.path().join("data"), &database);
    let house = actix_rt::System::new().block_on(building)?;
    eprintln!("  {KEYS} keys and {MEMBERS} members prepared in {:.1} s", started.elapsed().as_secs_f64());
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
    let sequel = Process::start("serve-sequel", &[text(&house.data_dir)?, text(&databases)?])?;
    let bare = Process::start("serve-bare", &[])?;
    let (base, cookie) = (format!("/orgs/{}", house.org), format!("Cookie: sequel={}\r\n", house.cookie));
    let key = format!("/keys/{}", house.key);
    let pages = [
        ("overview", String::new()),
        ("API Keys", "/keys".into()),
        ("API Keys, found", "/keys?q=key-09".into()),
        ("API Keys, create", "/keys/new".into()),
        ("API Keys, one", key.clone()),
        ("API Keys, delete", format!("{key}/delete")),
        ("a key leaked", format!("/keys/leaked?key=sql_{}", house.key)),
        ("install", "/install/claude-code".into()),
        ("data sources", "/sources".into()),
        ("members", "/members".into()),
        ("audit log", "/audit".into()),
        ("organization", "/settings".into()),
    ];
    let mut measured = Vec::new();
    for (name, path) in pages {
        let plan = Plan::get(&format!("{base}{path}"), &cookie);
        first_answer(sequel.address, &plan, Duration::from_secs(20)).context(name)?;
        let page = one(options, name, (&sequel, plan), &bare)?;
        eprintln!("  {name}: {:.2} ms", page.cpu);
        measured.push(page);
    }
    Ok(measured)
}

fn one(
    options: &Options,
    name: &'static str,
    (sequel, plan): (&Process, Plan),
    bare: &Process,
) -> anyhow::Result<Page> {
    let (rounds, time) = if options.quick { (3, 200) } else { (9, 500) };
    let time = Duration::from_millis(time);
    let mut theirs = Load::connect(sequel.address, vec![plan.clone(); CONNECTIONS])?;
    let bytes = theirs.run(Until::Requests(1))?.body_bytes;
    let as_many = Plan::get(&format!("/bytes/{bytes}"), "");
    first_answer(bare.address, &as_many, Duration::from_secs(20))?;
    let mut ours = Load::connect(bare.address, vec![as_many; CONNECTIONS])?;
    let (mut cpu, mut bare_cpu) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let pair = [spent(sequel, &mut theirs, time)?, spent(bare, &mut ours, time)?];
        // The first one warms.
        if round > 0 {
            cpu.push(pair[0]);
            bare_cpu.push(pair[1]);
        }
    }
    let count = if options.quick { 50 } else { 300 };
    let mut times = latencies(sequel.address, plan, count, Duration::from_millis(1))?;
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let ratio = median(cpu.iter().zip(&bare_cpu).map(|(cpu, bare)| cpu / bare));
    let (p50, p99) = (at(50), at(99));
    Ok(Page { name, bytes, cpu: median(cpu), bare: median(bare_cpu), ratio, p50, p99 })
}

/// Milliseconds of a server's processor time for one request of a round.
fn spent(process: &Process, load: &mut Load, time: Duration) -> anyhow::Result<f64> {
    let before = process.cpu()?;
    let done = load.run(Until::Elapsed(time))?;
    Ok(process.cpu()?.since(&before).as_secs_f64() * 1e3 / done.requests as f64)
}

fn print(pages: &[Page], as_json: bool) {
    if as_json {
        let pages = pages.iter().map(|page| {
            json!({ "page": page.name, "bytes": page.bytes, "cpu_ms": page.cpu, "bare_cpu_ms": page.bare,
                    "ratio": page.ratio, "p50_ms": page.p50, "p99_ms": page.p99 })
        });
        println!("{}", json!({ "keys": KEYS, "members": MEMBERS, "pages": pages.collect::<Vec<_>>() }));
        return;
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["server time per page at 1,000 keys", "bytes", "cpu", "bare", "÷ bare", "p50", "p99"]);
    for page in pages {
        let ms = |time: f64| format!("{time:.2} ms");
        table.add_row([
            page.name.to_owned(),
            page.bytes.to_string(),
            ms(page.cpu),
            ms(page.bare),
            format!("{:.0}", page.ratio),
            ms(page.p50),
            ms(page.p99),
        ]);
    }
    println!("{table}");
}

fn serve_sequel(port: &str, data_dir: &str, folder: &str) -> anyhow::Result<()> {
    end_with_parent();
    let mut config = Config { data_dir: data_dir.into(), ..Config::default() };
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    config.sources.sqlite.folders = vec![folder.into()];
    // So high that nothing is refused, and counted all the same.
    config.limits.requests_per_minute_per_person = 60_000_000;
    sequel::run::serve(config)
}

fn serve_bare(port: &str) -> anyhow::Result<()> {
    end_with_parent();
    let port: u16 = port.parse()?;
    actix_rt::System::new().block_on(async move {
        let app = || App::new().service(web::resource("/bytes/{count}").to(bytes));
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        HttpServer::new(app)
            .workers(workers)
            .keep_alive(Duration::from_secs(75))
            // Connections are made before their rounds begin.
            .client_request_timeout(Duration::from_secs(75))
            .bind((Ipv4Addr::LOCALHOST, port))?
            .run()
            .await?;
        Ok(())
    })
}

/// As many bytes as a page has, with its headers.
async fn bytes(count: web::Path<usize>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for (name, value) in sequel::pages::PAGE {
        response.insert_header((*name, *value));
    }
    response.body(vec![b'x'; *count])
}
