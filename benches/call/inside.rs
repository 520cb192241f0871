//! Measured inside this process, without HTTP: authentication and parsing alone, and what the rows
//! of a query cost with the bare driver.

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use actix_rt::Arbiter;
use anyhow::{Context as _, ensure};
use rusqlite::types::ValueRef;
use sequel::config::Config;
use sequel::credential::Credential;
use sequel::mcp::{Decision, HeaderField, RequestHead, ServerFacts, decide, fact_reply};
use serde::ser::{SerializeSeq, Serializer};

use crate::common::fixture::{self, Prepared};
use crate::common::process::own_cpu;

/// What one request spends, by step.
pub(crate) struct Steps {
    pub(crate) parse: Duration,
    pub(crate) authenticate: Duration,
    pub(crate) decide: Duration,
    /// Bytes of the answer to `tools/list`.
    pub(crate) list_bytes: usize,
}

/// Times the steps of an authenticated `tools/list` over all keys of a store, all organizations loaded.
pub(crate) fn steps(prepared: &Prepared, body: &str, rounds: usize) -> anyhow::Result<Steps> {
    let keys = prepared.interleaved();
    let text: Vec<&str> = keys.iter().map(|key| std::str::from_utf8(key).expect("keys are ASCII")).collect();
    let from: Option<IpAddr> = Some([127, 0, 0, 1].into());
    actix_rt::System::new().block_on(async {
        let arbiter = Arbiter::new();
        let store = fixture::open(&prepared.data_dir)?;
        let mut config = Config::default();
        config.orgs.active_max = config.orgs.active_max.max(prepared.keys.len());
        let registry = fixture::registry(store, &arbiter, &config)?;
        for org in &prepared.keys {
            let first = Credential::parse(std::str::from_utf8(&org[0])?)?;
            registry.authenticate(&first, from).await.ok().context("a prepared key was refused")?;
        }
        let facts = ServerFacts::sequel();
        let head = RequestHead {
            protocol_version: HeaderField::One(b"2026-07-28"),
            mcp_method: HeaderField::One(b"tools/list"),
            mcp_name: HeaderField::Absent,
        };
        let Decision::Fact { id, fact } = decide(&head, body.as_bytes(), &facts) else {
            anyhow::bail!("tools/list was refused")
        };
        let list: usize = fact_reply(&id, facts.fact(fact)).iter().map(|part| part.len()).sum();
        let (mut parse, mut authenticate, mut decided) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let started = Instant::now();
            let credentials: Vec<Credential> =
                text.iter().map(|key| Credential::parse(key)).collect::<Result<_, _>>()?;
            parse.push(per(started, keys.len()));
            let started = Instant::now();
            for credential in &credentials {
                let principal = registry.authenticate(credential, from).await;
                ensure!(black_box(principal).is_ok(), "a prepared key was refused");
            }
            authenticate.push(per(started, keys.len()));
            let started = Instant::now();
            for _ in &credentials {
                black_box(decide(black_box(&head), black_box(body.as_bytes()), &facts));
            }
            decided.push(per(started, keys.len()));
        }
        registry.shut_down().await;
        drop(registry);
        arbiter.stop();
        let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        let best = |times: Vec<Duration>| times.into_iter().min().unwrap_or_default();
        let (parse, authenticate, decide) = (best(parse), best(authenticate), best(decided));
        Ok(Steps { parse, authenticate, decide, list_bytes: list })
    })
}

fn per(started: Instant, count: usize) -> Duration {
    started.elapsed() / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

/// The bare driver's way: a connection that stays open, the statement prepared each time, rows stepped
/// and written by serde_json's serializer straight into one buffer, as an array of arrays.
pub(crate) struct Raw(rusqlite::Connection);

impl Raw {
    pub(crate) fn open(database: &Path) -> anyhow::Result<Self> {
        Ok(Self(rusqlite::Connection::open(database)?))
    }

    /// The rows as JSON, once.
    fn rows(&self, sql: &str) -> anyhow::Result<Vec<u8>> {
        let mut statement = self.0.prepare(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut out);
        let mut all = serializer.serialize_seq(None)?;
        while let Some(row) = rows.next()? {
            all.serialize_element(&Cells(row, width))?;
        }
        all.end()?;
        Ok(out)
    }

    /// Bytes of JSON: the rows written once.
    pub(crate) fn once(&self, sql: &str) -> anyhow::Result<usize> {
        Ok(black_box(self.rows(sql)?).len())
    }

    /// Bytes of JSON: the rows written as MCP wants an answer to carry them, as structured content and as the
    /// same JSON in a text.
    pub(crate) fn twice(&self, sql: &str) -> anyhow::Result<usize> {
        #[derive(serde::Serialize)]
        struct Answer<'a> {
            text: &'a str,
            structured: &'a serde_json::value::RawValue,
        }
        let rows = String::from_utf8(self.rows(sql)?)?;
        let answer = Answer { text: &rows, structured: serde_json::from_str(&rows)? };
        Ok(black_box(serde_json::to_vec(&answer)?).len())
    }

    /// CPU time of one run, over `times` runs.
    pub(crate) fn cpu(
        &self,
        times: u32,
        run: impl Fn(&Self) -> anyhow::Result<usize>,
    ) -> anyhow::Result<Duration> {
        let before = own_cpu()?;
        for _ in 0..times {
            run(self)?;
        }
        Ok((own_cpu()? - before) / times)
    }
}

struct Cells<'a>(&'a rusqlite::Row<'a>, usize);

impl serde::Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cells = serializer.serialize_seq(Some(self.1))?;
        for index in 0..self.1 {
            match self.0.get_ref(index).map_err(serde::ser::Error::custom)? {
                ValueRef::Null => cells.serialize_element(&())?,
                ValueRef::Integer(integer) => cells.serialize_element(&integer)?,
                ValueRef::Real(real) => cells.serialize_element(&real)?,
                ValueRef::Text(text) => {
                    cells.serialize_element(std::str::from_utf8(text).map_err(serde::ser::Error::custom)?)?;
                }
                ValueRef::Blob(blob) => cells.serialize_element(blob)?,
            }
        }
        cells.end()
    }
}
