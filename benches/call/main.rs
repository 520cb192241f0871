//! `cargo bench --bench call`: what a call costs, as ratios measured in one run, beside the floors and
//! goals of DESIGN's budgets.
//!
//! Every server is a process of its own (this binary again, with a role). What is compared is measured
//! in short alternating rounds; the ratio is the median of the ratios of neighbouring rounds, so that
//! whatever else runs on the machine touches both sides. The load generator is this process, on the
//! same cores. Never a test: nothing fails where a floor is missed.
//!
//! Throughput is requests for each second of processor time that server and load generator spend
//! together: what the cores would do if they were never idle. Requests by the wall's clock swing with the
//! kernel's scheduler: one and the same binary was seen at 80,000 and at 150,000 a second, with a core idle
//! in between, and which side had the bad luck made ratios from 0.81 to 1.53. They stand in the notes.
//!
//! Flags: `--quick` (fewer, shorter rounds; 10,000 organizations instead of 100,000), `--json`,
//! `--only list|query|rows|start|quiet|postgres` (any number of them).
//!
//! PostgreSQL as a data source is measured beside one: `tests/postgres/run cargo bench --bench call`. Elsewhere its rows fail,
//! and so does the run.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

#[path = "../common/mod.rs"]
mod common;
mod inside;
mod postgres;
mod raw_postgres;
mod servers;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use sequel::config::Config;

use crate::common::fixture::{Prepared, Secret, WITH_SOURCE, prepare};
use crate::common::load::{self, Load, Plan, Until, first_answer};
use crate::common::process::{Cpu, Process};
use crate::common::{META, list_body, list_plan, median, mib};
use crate::inside::Raw;
use crate::table::{Better, Report, Row};

/// What `--only` names.
const PARTS: [&str; 6] = ["list", "query", "rows", "start", "quiet", "postgres"];
const CONNECTIONS: usize = 32;
const ROWS_SQL: &str =
    "SELECT id, departure, origin, destination, distance_miles, delay_minutes FROM flights LIMIT 10000";

/// What the quiet organization asks: an index and a few rows.
const QUIET_SQL: &str = "SELECT name FROM airports WHERE state = 'AK' LIMIT 10";
/// What the loud one asks: some tenths of a second of processor time.
const FLOOD_SQL: &str =
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000000) SELECT max(n) FROM c";

fn main() -> anyhow::Result<()> {
    // cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(outcome) = servers::run_role(&arguments) {
        return outcome;
    }
    let options = Options::parse(arguments)?;
    let report = Bench::new(options.clone())?.run()?;
    report.print(options.json);
    ensure!(report.is_complete(), "not everything was measured");
    Ok(())
}

#[derive(Clone)]
struct Options {
    quick: bool,
    json: bool,
    only: Vec<String>,
}

impl Options {
    fn parse(arguments: Vec<String>) -> anyhow::Result<Self> {
        let mut options = Self { quick: false, json: false, only: Vec::new() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => options
                    .only
                    .push(arguments.next().with_context(|| format!("--only {}", PARTS.join("|")))?),
                other => bail!(
                    "unknown argument {other}; there are --quick, --json and --only {}",
                    PARTS.join("|")
                ),
            }
        }
        if let Some(other) = options.only.iter().find(|only| !PARTS.contains(&only.as_str())) {
            bail!("there is no part {other}; there are {}", PARTS.join(", "));
        }
        Ok(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}

/// One server's rounds.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    /// Microseconds of the server's CPU time for each request.
    cpu: Vec<f64>,
    /// The load generator's.
    load_cpu: Vec<f64>,
    /// The database's, where one is a process of its own.
    database_cpu: Vec<f64>,
    body_bytes: usize,
}

impl Rounds {
    /// Requests for each second of a core, the work of load generator and database included.
    fn per_core_second(&self) -> Vec<f64> {
        let others = self.load_cpu.iter().zip(&self.database_cpu).map(|(load, database)| load + database);
        self.cpu.iter().zip(others).map(|(server, others)| 1e6 / (server + others)).collect()
    }

    /// How many cores were busy with it.
    fn cores(&self) -> f64 {
        median(self.per_second.iter().zip(self.per_core_second()).map(|(wall, core)| wall / core))
    }
}

/// A server and the connections to it.
struct Side {
    process: Arc<Process>,
    load: Load,
    rounds: Rounds,
    /// The process that the database's processes come from.
    postmaster: Option<u32>,
}

impl Side {
    fn new(process: &Arc<Process>, plans: Vec<Plan>) -> anyhow::Result<Self> {
        let load = Load::connect(process.address, plans)?;
        Ok(Self { process: Arc::clone(process), load, rounds: Rounds::default(), postmaster: None })
    }

    fn database_cpu(&self) -> anyhow::Result<Cpu> {
        self.postmaster.map_or_else(|| Ok(Cpu::default()), Cpu::of_children)
    }

    fn round(&mut self, time: Duration) -> anyhow::Result<()> {
        let (before, database) = (self.process.cpu()?, self.database_cpu()?);
        let done = self.load.run(Until::Elapsed(time))?;
        let spent = self.process.cpu()?.since(&before);
        let database = self.database_cpu()?.since(&database);
        self.rounds.per_second.push(done.per_second());
        self.rounds.cpu.push(spent.as_secs_f64() * 1e6 / done.requests as f64);
        self.rounds.load_cpu.push(done.cpu.as_secs_f64() * 1e6 / done.requests as f64);
        self.rounds.database_cpu.push(database.as_secs_f64() * 1e6 / done.requests as f64);
        self.rounds.body_bytes = done.body_bytes;
        Ok(())
    }
}

/// What the requests of somebody quiet took, round by round, in milliseconds.
#[derive(Default)]
struct Quiet {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Quiet {
    fn round(&mut self, times: Vec<Duration>) {
        self.p50.push(percentile(times.clone(), 50));
        self.p99.push(percentile(times, 99));
    }
}

impl std::fmt::Display for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2} and p99 {:.2} ms", median(self.p50.clone()), median(self.p99.clone()))
    }
}

/// A flood, and what somebody quiet felt of it.
struct Flood {
    load: Load,
    felt: Quiet,
    requests: usize,
    refused: usize,
}

impl Flood {
    fn new(load: Load) -> Self {
        Self { load, felt: Quiet::default(), requests: 0, refused: 0 }
    }

    /// Floods until `quiet` is through with his requests.
    fn round(&mut self, quiet: impl Fn() -> anyhow::Result<Vec<Duration>>) -> anyhow::Result<()> {
        let over = AtomicBool::new(false);
        let load = &mut self.load;
        let (times, done) = std::thread::scope(|scope| {
            let flooding = scope.spawn(|| load.run(Until::Told(&over)));
            let times = quiet();
            over.store(true, Ordering::SeqCst);
            (times, flooding.join().expect("the flood does not panic"))
        });
        self.felt.round(times?);
        let done = done?;
        self.requests += done.requests;
        self.refused += done.refused;
        Ok(())
    }
}

/// Rounds of all sides in turn, back and forth so that a drift of the machine evens out.
fn alternate(sides: &mut [&mut Side], rounds: usize, time: Duration) -> anyhow::Result<()> {
    for round in 0..=rounds {
        let forth = round % 2 == 0;
        for at in 0..sides.len() {
            let at = if forth { at } else { sides.len() - 1 - at };
            sides[at].round(time)?;
        }
        if round == 0 {
            // Warm now: what the first round measured does not count.
            sides.iter_mut().for_each(|side| side.rounds = Rounds::default());
        }
    }
    Ok(())
}

/// The median of the ratios of neighbouring rounds.
fn ratio(above: &[f64], below: &[f64]) -> f64 {
    median(above.iter().zip(below).map(|(above, below)| above / below))
}

struct Bench {
    options: Options,
    folder: tempfile::TempDir,
    database: PathBuf,
    report: Report,
    rounds: usize,
    round_time: Duration,
}

impl Bench {
    fn new(options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("data"))?;
        let database = folder.path().join("data/demo.db");
        sequel::demo::write(&database)?;
        let (rounds, round_time) =
            if options.quick { (5, Duration::from_millis(300)) } else { (15, Duration::from_millis(700)) };
        Ok(Self { options, folder, database, report: Report::default(), rounds, round_time })
    }

    fn run(mut self) -> anyhow::Result<Report> {
        let started = Instant::now();
        if self.options.wants("postgres") {
            self.postgres()?;
        }
        if self.options.only.iter().all(|only| only == "postgres") && !self.options.only.is_empty() {
            return Ok(self.report);
        }
        let few = self.prepared("few", 1_000, 100)?;
        if self.options.wants("start") {
            self.start(&few)?;
        }
        let list_bytes = if self.options.wants("list") { self.steps(&few)? } else { 4_096 };
        let bare = Arc::new(servers::start_bare(list_bytes, &self.database, WITH_SOURCE)?);
        bare.wait()?;
        let sequel = Arc::new(servers::start_sequel(&few.data_dir, 10_000, self.data_folder())?);
        sequel.wait()?;
        if self.options.wants("list") {
            self.list(&few, &bare, &sequel)?;
        }
        if self.options.wants("query") {
            self.query(&few, &bare, &sequel)?;
        }
        if self.options.wants("rows") {
            self.rows(&few, &sequel)?;
        }
        if self.options.wants("quiet") {
            self.quiet(&few, &bare, &sequel)?;
        }
        let took = started.elapsed().as_secs();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.report.note(format!(
            "the whole run took {took} s on {cores} cores, shared by servers and load generator"
        ));
        Ok(self.report)
    }

    fn data_folder(&self) -> &Path {
        self.database.parent().unwrap_or(self.folder.path())
    }

    fn prepared(&mut self, name: &str, orgs: usize, keys_per_org: usize) -> anyhow::Result<Prepared> {
        let started = Instant::now();
        let folder = self.folder.path().join(name);
        let prepared =
            actix_rt::System::new().block_on(prepare(folder, orgs, keys_per_org, &self.database))?;
        eprintln!(
            "  {orgs} organizations of {keys_per_org} keys prepared in {:.1} s",
            started.elapsed().as_secs_f64()
        );
        Ok(prepared)
    }

    fn row(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
        limits: (f64, f64),
        better: Better,
    ) {
        self.report.rows.push(Row {
            what: what.into(),
            measured,
            unit,
            floor: limits.0,
            goal: limits.1,
            better,
        });
    }

    /// A part that could not be measured.
    fn failed(&mut self, why: String) {
        self.row("PostgreSQL", f64::NAN, "", (f64::NAN, f64::NAN), Better::Higher);
        self.report.note(why);
    }

    fn start(&mut self, few: &Prepared) -> anyhow::Result<()> {
        let plan = list_plan("/mcp", Arc::new(vec![few.keys[0][0]]), 0, 1);
        let times = (0..if self.options.quick { 3 } else { 7 })
            .map(|_| {
                let started = Instant::now();
                let server = servers::start_sequel(&few.data_dir, 10_000, self.data_folder())?;
                first_answer(server.address, &plan, Duration::from_secs(10))?;
                let took = started.elapsed();
                server.stop()?;
                Ok(took.as_secs_f64() * 1e3)
            })
            .collect::<anyhow::Result<Vec<f64>>>()?;
        let slowest = times.iter().copied().fold(0.0, f64::max);
        self.report.note(format!(
            "start: process start to first answered tools/list, median of {}; slowest {slowest:.0} ms",
            times.len()
        ));
        self.row(
            "start to first answer, 100k keys stored",
            median(times),
            "ms",
            (500.0, 100.0),
            Better::Lower,
        );
        Ok(())
    }

    fn steps(&mut self, few: &Prepared) -> anyhow::Result<usize> {
        let steps = inside::steps(few, &list_body(), if self.options.quick { 3 } else { 10 })?;
        let ns = |time: Duration| time.as_nanos();
        self.report.note(format!(
            "in-process, over 100k keys in turn: Credential::parse {} ns, Registry::authenticate {} ns, mcp::decide {} ns",
            ns(steps.parse), ns(steps.authenticate), ns(steps.decide)
        ));
        Ok(steps.list_bytes)
    }

    fn list(&mut self, few: &Prepared, bare: &Arc<Process>, sequel: &Arc<Process>) -> anyhow::Result<()> {
        let orgs = if self.options.quick { 10_000 } else { 100_000 };
        let many = self.prepared("many", orgs, 1)?;
        let crowd = Arc::new(servers::start_sequel(&many.data_dir, 2 * orgs, self.data_folder())?);
        crowd.wait()?;
        let plans = |path: &str, keys: &Prepared| {
            let keys: Arc<Vec<Secret>> = Arc::new(keys.interleaved());
            (0..CONNECTIONS).map(|at| list_plan(path, Arc::clone(&keys), at, CONNECTIONS)).collect::<Vec<_>>()
        };
        let idle = sequel.resident()?;
        // Every key once, which loads every organization.
        let warm = |process: &Arc<Process>, keys: &Prepared, count: usize| {
            Load::connect(process.address, plans("/mcp", keys))?
                .run(Until::Requests(count.div_ceil(CONNECTIONS)))
        };
        let done = warm(sequel, few, 100_000)?;
        let loaded = sequel.resident()?;
        self.report
            .note(format!("1,000 organizations loaded by 100,000 requests at {:.0}/s", done.per_second()));
        let done = warm(&crowd, &many, orgs)?;
        self.report.note(format!(
            "{orgs} organizations loaded by one request each at {:.0}/s; resident {} MiB",
            done.per_second(),
            mib(crowd.resident()?) as u64
        ));
        // A use is written down once a minute for each key; those of the loading are not the rounds'.
        sequel.settle()?;
        crowd.settle()?;
        let mut a = Side::new(bare, plans("/list", few))?;
        let mut b = Side::new(sequel, plans("/mcp", few))?;
        let mut c = Side::new(&crowd, plans("/mcp", &many))?;
        alternate(&mut [&mut a, &mut b, &mut c], self.rounds, self.round_time)?;
        if a.rounds.body_bytes != b.rounds.body_bytes {
            self.report.note(format!(
                "the bare handler answers {} bytes, Sequel {}",
                a.rounds.body_bytes, b.rounds.body_bytes
            ));
        }
        let (bare, one, two) = (&a.rounds, &b.rounds, &c.rounds);
        let throughput = ratio(&one.per_core_second(), &bare.per_core_second());
        let crowded = ratio(&two.per_core_second(), &bare.per_core_second());
        let added =
            |rounds: &Rounds| median(rounds.cpu.iter().zip(&bare.cpu).map(|(with, without)| with - without));
        self.report.note(format!(
            "tools/list: bare {:.0}/s at {:.2} µs of CPU a request, Sequel {:.0}/s at {:.2} µs, with {orgs} organizations \
             {:.0}/s at {:.2} µs; by the wall's clock {:.3} and {:.3} of the bare handler's, with {:.2}, {:.2} and {:.2} \
             cores busy; CPU ratio (server's process alone) {:.3}, with {orgs} organizations {:.3}; the load generator \
             spends {:.2}, {:.2} and {:.2} µs a request",
            median(bare.per_second.clone()), median(bare.cpu.clone()), median(one.per_second.clone()),
            median(one.cpu.clone()), median(two.per_second.clone()), median(two.cpu.clone()),
            ratio(&one.per_second, &bare.per_second), ratio(&two.per_second, &bare.per_second),
            bare.cores(), one.cores(), two.cores(),
            ratio(&bare.cpu, &one.cpu), ratio(&bare.cpu, &two.cpu), median(bare.load_cpu.clone()),
            median(one.load_cpu.clone()), median(two.load_cpu.clone())
        ));
        self.row(
            "authenticated tools/list ÷ bare actix handler, requests a core-second, 32 connections, 100k keys",
            throughput,
            "",
            (0.87, 0.93),
            Better::Higher,
        );
        self.row(
            "CPU that authentication and parsing add to a request",
            added(one),
            "µs",
            (2.5, 1.5),
            Better::Lower,
        );
        self.row(
            format!("the first ratio at {orgs} organizations − at 1,000"),
            crowded - throughput,
            "",
            (-0.05, -0.02),
            Better::Higher,
        );
        self.report.note(format!(
            "memory: {:.1} MiB before a request, {:.1} MiB with 100k keys loaded, {:.1} MiB after the rounds",
            mib(idle),
            mib(loaded),
            mib(sequel.resident()?)
        ));
        self.row(
            "resident memory with 100k keys loaded (1,000 × 100)",
            mib(loaded),
            "MiB",
            (40.0, 20.0),
            Better::Lower,
        );
        drop(c);
        Ok(())
    }

    fn query(&mut self, few: &Prepared, bare: &Arc<Process>, sequel: &Arc<Process>) -> anyhow::Result<()> {
        // Four connections for each of eight sources, on both sides.
        let plans = |is_bare: bool| -> Vec<Plan> {
            (0..CONNECTIONS)
                .map(|at| {
                    let org = at % WITH_SOURCE;
                    let path = if is_bare { format!("/query/{org}") } else { "/mcp".to_owned() };
                    query_plan(&path, "SELECT 1", Arc::new(vec![few.keys[org][at / WITH_SOURCE]]))
                })
                .collect()
        };
        let mut a = Side::new(bare, plans(true))?;
        let mut b = Side::new(sequel, plans(false))?;
        alternate(&mut [&mut a, &mut b], self.rounds, self.round_time)?;
        let (bare, one) = (&a.rounds, &b.rounds);
        self.report.note(format!(
            "SELECT 1: bare {:.0}/s at {:.1} µs of CPU a request, Sequel {:.0}/s at {:.1} µs; CPU ratio {:.3}. Bare parses \
             the call, asks the same connector under the same limits and encodes the same JSON. By the wall's clock \
             {:.3} of the bare one's",
            median(bare.per_second.clone()), median(bare.cpu.clone()), median(one.per_second.clone()),
            median(one.cpu.clone()), ratio(&bare.cpu, &one.cpu), ratio(&one.per_second, &bare.per_second)
        ));
        let measured = ratio(&one.per_core_second(), &bare.per_core_second());
        self.row(
            "SELECT 1 through run_query ÷ the same without auth, policy, caps and audit, requests a core-second",
            measured,
            "",
            (0.80, 0.90),
            Better::Higher,
        );
        Ok(())
    }

    /// One organization asks now and then while another one floods the server: first with as many long queries as it may
    /// run at once (more would be refused and sent again, which is the other flood), then with requests as many as it can.
    ///
    /// Beside its times alone stand those while the same flood goes to another server, which takes the processor too, load
    /// generator included, and shares nothing else: what is above 1 there is Sequel's doing, the rest is not, and has no floor.
    fn quiet(&mut self, few: &Prepared, bare: &Arc<Process>, sequel: &Arc<Process>) -> anyhow::Result<()> {
        let (loud, quiet) = (&few.keys[0], few.keys[1][0]);
        let asked = || query_plan("/mcp", QUIET_SQL, Arc::new(vec![quiet]));
        let keys = |at: usize| Arc::new(vec![loud[at % loud.len()]]);
        let queries_max = Config::default().query.concurrent_per_org;
        let flood = |process: &Arc<Process>, path: &str, of_queries: bool| {
            let plan = |at| match of_queries {
                true => query_plan(path, FLOOD_SQL, keys(at)),
                false => list_plan(path, keys(at), 0, 1),
            };
            let connections = if of_queries { queries_max } else { CONNECTIONS };
            let plans = (0..connections).map(|at| plan(at).may_be_refused()).collect();
            Load::connect(process.address, plans)
        };
        let (rounds, count) = (self.rounds.min(9), if self.options.quick { 200 } else { 400 });
        let latencies = || load::latencies(sequel.address, asked(), count, Duration::from_millis(2));
        for (what, bare_path, of_queries) in
            [("queries that run long", "/query/0", true), ("as many requests as it can", "/list", false)]
        {
            let mut here = Flood::new(flood(sequel, "/mcp", of_queries)?);
            let mut elsewhere = Flood::new(flood(bare, bare_path, of_queries)?);
            let mut alone = Quiet::default();
            for _ in 0..rounds {
                alone.round(latencies()?);
                here.round(latencies)?;
                elsewhere.round(latencies)?;
            }
            self.report.note(format!(
                "quiet organization, alone: {alone}; beside one that sends {what}: {}; while the same goes to a bare server on \
                 this machine: {} (medians of {rounds} rounds). So p99 is {:.2} and {:.2} times the one alone. The other one sent {} \
                 requests, {} were refused with 429 or 503; to the bare server {}",
                here.felt, elsewhere.felt, ratio(&here.felt.p99, &alone.p99), ratio(&elsewhere.felt.p99, &alone.p99),
                here.requests, here.refused, elsewhere.requests
            ));
            self.row(
                format!("a quiet organization's p99 while another one sends {what} ÷ p99 while the same goes to another server"),
                ratio(&here.felt.p99, &elsewhere.felt.p99),
                "",
                (2.0, 1.5),
                Better::Lower,
            );
        }
        Ok(())
    }

    fn rows(&mut self, few: &Prepared, sequel: &Arc<Process>) -> anyhow::Result<()> {
        let raw = Raw::open(&self.database)?;
        let plans = (0..2).map(|at| query_plan("/mcp", ROWS_SQL, Arc::new(vec![few.keys[at][0]]))).collect();
        let mut side = Side::new(sequel, plans)?;
        side.round(self.round_time)?;
        side.rounds = Rounds::default();
        let (mut bare, mut twice) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            bare.push(raw.cpu(40, |raw| raw.once(ROWS_SQL))?.as_secs_f64() * 1e6);
            twice.push(raw.cpu(40, |raw| raw.twice(ROWS_SQL))?.as_secs_f64() * 1e6);
            side.round(self.round_time)?;
        }
        // MCP wants the rows in an answer twice, structured and as the same JSON in a text. What is compared is
        // making that JSON: against one copy of the rows even an answer that cost nothing but its way through
        // the socket would miss the goal.
        self.report.note(format!(
            "10,000 rows: the raw side steps the rows with rusqlite and writes the JSON of the answer with serde_json into \
             one buffer ({} bytes, {:.0} µs of CPU, no socket); Sequel's request sends it through HTTP ({} bytes, {:.0} µs). \
             Where the raw side writes the rows only once ({} bytes), it takes {:.0} µs: ratio {:.2}",
            raw.twice(ROWS_SQL)?, median(twice.clone()), side.rounds.body_bytes, median(side.rounds.cpu.clone()),
            raw.once(ROWS_SQL)?, median(bare.clone()), ratio(&bare, &side.rounds.cpu)
        ));
        let measured = ratio(&twice, &side.rounds.cpu);
        self.row(
            "10,000 rows: CPU of raw rusqlite + serde_json writing the same JSON ÷ CPU of the request",
            measured,
            "",
            (0.80, 0.95),
            Better::Higher,
        );
        Ok(())
    }
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3
}

fn query_plan(path: &str, sql: &str, secrets: Arc<Vec<Secret>>) -> Plan {
    limited_plan(path, sql, 10_000, secrets)
}

fn limited_plan(path: &str, sql: &str, rows: u64, secrets: Arc<Vec<Secret>>) -> Plan {
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: run_query\r\n";
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"run_query","arguments":{{"sql":"{sql}","row_limit":{rows}}},{META}}}}}"#
    );
    Plan::new(path, headers, &body, secrets, 0, 1)
}
