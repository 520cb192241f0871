//! PostgreSQL as a data source: the raw driver, the connector alone and the whole server side by side; memory over a
//! million rows; a quiet organization beside a loud one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sequel::config::Config;

use crate::common::cluster::{Another, CLUSTER, Database, cluster};
use crate::common::fixture::{Prepared, SourceOf, WITH_SOURCE, prepare_in};
use crate::common::load::{self, Load};
use crate::common::process::Process;
use crate::common::{median, mib};
use crate::table::Better;
use crate::{
    Bench, CONNECTIONS, Flood, Quiet, ROWS_SQL, Side, alternate, limited_plan, query_plan, ratio, servers,
};

/// What the loud organization asks: some tenths of a second of processor time in the database.
const FLOOD_SQL: &str = "SELECT count(*) FROM generate_series(1, 2000) a, generate_series(1, 1500) b";
/// What the quiet one asks: an index and a row.
const QUIET_SQL: &str = "SELECT departure, origin, destination FROM flights WHERE id = 4711";
const MILLION: u64 = 1_000_000;
const MILLION_SQL: &str =
    "SELECT n, 'row number ' || n AS name, n % 97 AS kind FROM generate_series(1, 1000000) n";

/// The questions, each with the floor and goal of its ratios against the raw driver, and against the same connector without
/// authentication, policy, caps and audit.
const QUESTIONS: [(&str, &str, (f64, f64)); 3] = [
    ("SELECT 1", "SELECT 1", (0.40, 0.50)),
    (
        "100 rows",
        "SELECT id, departure, origin, destination, distance_miles, delay_minutes FROM flights LIMIT 100",
        (0.50, 0.60),
    ),
    ("10,000 rows", ROWS_SQL, (0.80, 0.95)),
];
/// DESIGN's budget for what authentication, policy, caps and audit may take.
const WITHOUT: (f64, f64) = (0.80, 0.90);

impl Bench {
    /// Everything about PostgreSQL, or one row that failed where there is none.
    pub(crate) fn postgres(&mut self) -> anyhow::Result<()> {
        let Ok(cluster) = cluster() else {
            self.failed(format!(
                "PostgreSQL was not measured: {CLUSTER} names no server. Run tests/postgres/run cargo bench --bench call."
            ));
            return Ok(());
        };
        let flights = self.folder.path().join("flights.csv");
        write_flights(&self.database, &flights)?;
        let copy = format!("\\copy flights FROM '{}' (FORMAT csv)", flights.display());
        let sql = [
            "CREATE TABLE flights (id int PRIMARY KEY, departure text, origin text, destination text, distance_miles int, \
             delay_minutes int)",
            &copy,
            "ANALYZE",
        ];
        let near = Database::make(&cluster, "near", &sql)?;
        let another = Another::start()?;
        let far = Database::make(&another.url, "far", &sql)?;
        let (here, there) = (near.settings()?, far.settings()?);
        // The loud organization of the other server comes behind those of this one.
        let source_of = |number| match number {
            0..WITH_SOURCE => Some(("postgres", here.clone())),
            WITH_SOURCE => Some(("postgres", there.clone())),
            _ => None,
        };
        let prepared = self.prepared_on_postgres(&source_of)?;
        let bare = Arc::new(servers::start_bare_postgres(&near.url()?, WITH_SOURCE)?);
        let bare_far = Arc::new(servers::start_bare_postgres(&far.url()?, 1)?);
        let sequel = Arc::new(servers::start_sequel(&prepared.data_dir, 1_000, self.data_folder())?);
        for server in [&bare, &bare_far, &sequel] {
            server.wait()?;
        }
        let postmaster = near.postmaster()?;
        for question in QUESTIONS {
            self.question(question, &prepared, postmaster, [&bare, &sequel])?;
        }
        self.quiet_on_postgres(&prepared, &sequel, [&bare, &bare_far])?;
        Arc::into_inner(sequel).context("somebody still holds the server")?.stop()?;
        self.many_rows(&prepared)
    }

    fn prepared_on_postgres(&self, source_of: &SourceOf<'_>) -> anyhow::Result<Prepared> {
        let config = Config { data_dir: self.folder.path().join("on-postgres"), ..Config::default() };
        actix_rt::System::new().block_on(prepare_in(&config, WITH_SOURCE + 1, 8, source_of))
    }

    /// One question to the raw driver, the bare connector and the whole server, in turn.
    fn question(
        &mut self,
        (what, sql, limits): (&str, &str, (f64, f64)),
        prepared: &Prepared,
        postmaster: u32,
        [bare, sequel]: [&Arc<Process>; 2],
    ) -> anyhow::Result<()> {
        let plan = |path: &str, at: usize| {
            let org = at % WITH_SOURCE;
            let path = path.replace('#', &org.to_string());
            query_plan(&path, sql, Arc::new(vec![prepared.keys[org][at / WITH_SOURCE]]))
        };
        let side = |process: &Arc<Process>, path: &str| {
            let plans = (0..CONNECTIONS).map(|at| plan(path, at)).collect();
            Ok::<_, anyhow::Error>(Side { postmaster: Some(postmaster), ..Side::new(process, plans)? })
        };
        let mut raw = side(bare, "/raw")?;
        let mut connector = side(bare, "/query/#")?;
        let mut whole = side(sequel, "/mcp")?;
        alternate(&mut [&mut raw, &mut connector, &mut whole], self.rounds, self.round_time)?;
        let alone = |process: &Arc<Process>, path: &str| -> anyhow::Result<f64> {
            let count = if self.options.quick { 50 } else { 200 };
            let times = load::latencies(process.address, plan(path, 0), count, Duration::ZERO)?;
            Ok(crate::percentile(times, 50) * 1e3)
        };
        let alone = [alone(bare, "/raw")?, alone(bare, "/query/#")?, alone(sequel, "/mcp")?];
        let told = |side: &Side, alone: f64| {
            format!(
                "{:.0}/s, {:.0} µs of CPU a request of its own and {:.0} of the database's, {:.0} µs with nobody else \
                 ({} bytes)",
                median(side.rounds.per_second.clone()),
                median(side.rounds.cpu.clone()),
                median(side.rounds.database_cpu.clone()),
                alone,
                side.rounds.body_bytes
            )
        };
        self.report.note(format!(
            "PostgreSQL, {what}: raw driver in a bare handler {}; connector in a bare handler {}; Sequel {}. By the wall's \
             clock Sequel is {:.3} of the raw driver's and {:.3} of the connector's",
            told(&raw, alone[0]), told(&connector, alone[1]), told(&whole, alone[2]),
            ratio(&whole.rounds.per_second, &raw.rounds.per_second),
            ratio(&whole.rounds.per_second, &connector.rounds.per_second)
        ));
        let per_core = |side: &Side| side.rounds.per_core_second();
        self.row(
            format!("PostgreSQL, {what} through run_query ÷ raw driver in a bare handler, requests a core-second, database included"),
            ratio(&per_core(&whole), &per_core(&raw)),
            "",
            limits,
            Better::Higher,
        );
        self.row(
            format!("PostgreSQL, {what} through run_query ÷ the same without auth, policy, caps and audit"),
            ratio(&per_core(&whole), &per_core(&connector)),
            "",
            WITHOUT,
            Better::Higher,
        );
        Ok(())
    }

    /// One organization asks now and then while another one has as many long queries running as it may: on the same server,
    /// and on another one. Beside it the same flood without Sequel in between: what that does to the quiet one is the
    /// machine's and PostgreSQL's doing.
    fn quiet_on_postgres(
        &mut self,
        prepared: &Prepared,
        sequel: &Arc<Process>,
        bare: [&Arc<Process>; 2],
    ) -> anyhow::Result<()> {
        let quiet = Arc::new(vec![prepared.keys[1][0]]);
        let plan = query_plan("/mcp", QUIET_SQL, quiet);
        let queries_max = Config::default().query.concurrent_per_org;
        let flood = |process: &Arc<Process>, path: &str, org: usize| {
            let key = |at: usize| Arc::new(vec![prepared.keys[org][at % 2]]);
            let one = |at| query_plan(path, FLOOD_SQL, key(at)).may_be_refused();
            Ok::<_, anyhow::Error>(Flood::new(Load::connect(
                process.address,
                (0..queries_max).map(one).collect(),
            )?))
        };
        let (rounds, count) = (self.rounds.min(9), if self.options.quick { 200 } else { 400 });
        let latencies = || load::latencies(sequel.address, plan.clone(), count, Duration::from_millis(2));
        for (where_to, org, bare) in
            [("the same server", 0, bare[0]), ("another server", WITH_SOURCE, bare[1])]
        {
            let mut through = flood(sequel, "/mcp", org)?;
            let mut around = flood(bare, "/query/0", 0)?;
            let mut alone = Quiet::default();
            for _ in 0..rounds {
                alone.round(latencies()?);
                through.round(latencies)?;
                around.round(latencies)?;
            }
            self.report.note(format!(
                "PostgreSQL, quiet organization, alone: {alone}; beside one whose long queries go to {where_to}: {}; while the \
                 same go there without Sequel: {} (medians of {rounds} rounds). So p99 is {:.2} and {:.2} times the one alone. \
                 The other one sent {} requests ({} refused), without Sequel {}",
                through.felt, around.felt, ratio(&through.felt.p99, &alone.p99), ratio(&around.felt.p99, &alone.p99),
                through.requests, through.refused, around.requests
            ));
            self.row(
                format!("PostgreSQL, a quiet organization's p99 while another one floods {where_to} ÷ p99 while the same goes around Sequel"),
                ratio(&through.felt.p99, &around.felt.p99),
                "",
                (2.0, 1.5),
                Better::Lower,
            );
        }
        Ok(())
    }

    /// A million rows: what a server keeps of them as it comes, and where its operator lets all of them through.
    fn many_rows(&mut self, prepared: &Prepared) -> anyhow::Result<()> {
        let plan = |rows| limited_plan("/mcp", MILLION_SQL, rows, Arc::new(vec![prepared.keys[0][0]]));
        let start = |rows_max| {
            let server = servers::start_sequel_for(&prepared.data_dir, 1_000, self.data_folder(), rows_max)?;
            server.wait()?;
            load::latencies(server.address, plan(1), 3, Duration::ZERO)?;
            let before = server.resident()?;
            server.forget_peak()?;
            Ok::<_, anyhow::Error>((server, before))
        };
        let rows_max = Config::default().query.rows_max;
        let (server, before) = start(rows_max)?;
        load::latencies(server.address, plan(rows_max), 10, Duration::ZERO)?;
        let bounded = server.peak()?.saturating_sub(before);
        server.stop()?;
        let (server, before) = start(MILLION)?;
        let began = Instant::now();
        let bytes = load::drained(server.address, plan(MILLION))?;
        let (took, whole) = (began.elapsed(), server.peak()?.saturating_sub(before));
        server.stop()?;
        self.report.note(format!(
            "PostgreSQL, a query that has a million rows: {:.1} MiB resident before; under the limits as they come it is ended after \
             {rows_max} rows, and ten of them took {:.1} MiB at most; where the operator lets a million rows through, {:.1} MiB \
             for an answer of {:.1} MiB, in {:.1} s",
            mib(before), mib(bounded), mib(whole), mib(bytes), took.as_secs_f64()
        ));
        self.row(
            "PostgreSQL, memory that a query of a million rows takes under the limits as they come",
            mib(bounded),
            "MiB",
            (16.0, 8.0),
            Better::Lower,
        );
        self.row(
            "PostgreSQL, memory that a million rows take where they are allowed ÷ bytes of their answer",
            whole as f64 / bytes as f64,
            "",
            (1.2, 1.1),
            Better::Lower,
        );
        Ok(())
    }
}

/// The demo's flights as CSV.
fn write_flights(database: &Path, file: &Path) -> anyhow::Result<()> {
    use std::fmt::Write as _;
    let database = rusqlite::Connection::open(database)?;
    let mut statement = database.prepare(ROWS_SQL)?;
    let mut rows = statement.query([])?;
    let mut out = String::new();
    while let Some(row) = rows.next()? {
        let text = |at| row.get::<_, String>(at);
        let number = |at| row.get::<_, Option<i64>>(at);
        let delay = number(5)?.map_or_else(String::new, |delay| delay.to_string());
        writeln!(
            out,
            "{},{},{},{},{},{delay}",
            row.get::<_, i64>(0)?,
            text(1)?,
            text(2)?,
            text(3)?,
            row.get::<_, i64>(4)?
        )?;
    }
    Ok(std::fs::write(file, out)?)
}
