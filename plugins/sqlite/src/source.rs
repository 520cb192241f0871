//! The connector and its data sources: what callers hold.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use sequel_connector::{
    Configuration, Connector, DataSource, Declaration, Dialect, OpenError, Party, Plan, Profile, ProfileAsk,
    Query, QueryError, RowSender, Rows, Said, Schema, SchemaAsk, Setting, SettingKind, Settings, check,
    check_explainable, profile_by_queries, row_channel, words,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::{is_busy, query_error};
use crate::place::{Policy, Wanted, wanted};
use crate::pool::{Lent, Pool};
use crate::pump;
use crate::threads::Threads;
use crate::turns::Asker;
use crate::watch::Watch;

/// How long a query waits for a connection. Longer than most queries take, and short enough that a source whose
/// connections are all held is found out before a client gives up.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);
/// How long a sign of life may take.
const PING_TIME: Duration = Duration::from_secs(5);

/// What it asks for.
pub const DECLARATION: Declaration = Declaration {
    word: "sqlite",
    label: "SQLite",
    settings: &[
        Setting {
            name: "path",
            label: "File",
            help: "Where the file is on the server, below a folder that its operator allows (sources.sqlite.folders).",
            kind: SettingKind::Line,
            required: true,
        },
        Setting {
            name: "samples",
            label: "Show sample values",
            help: "A few short values of each column stand in the description of a table.",
            kind: SettingKind::On,
            required: false,
        },
    ],
    routing: &[],
};

/// The factory for SQLite files.
#[derive(Debug)]
pub struct SqliteConnector {
    policy: Arc<Policy>,
    threads: Threads,
}

impl SqliteConnector {
    /// With the operator's policy. Sets the limit on SQLite's memory, which holds for the whole process, and
    /// starts threads of its own, on which all work with files is done; an error says that the system gives none.
    pub fn new(policy: Policy) -> std::io::Result<Self> {
        crate::memory::limit(policy.memory_max_bytes).map_err(std::io::Error::other)?;
        Ok(Self { policy: Arc::new(policy), threads: Threads::start()? })
    }
}

#[async_trait]
impl Connector for SqliteConnector {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }

    async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError> {
        let wanted = wanted(&given.settings)?;
        let path = self.on_threads(&wanted, |policy, path| canonical(&policy, path)).await?;
        let mut settings = Settings::from_iter([("path".to_owned(), path.into())]);
        if !wanted.samples {
            settings.insert("samples".to_owned(), false.into());
        }
        Ok(settings.into())
    }

    async fn open(&self, given: &Configuration, party: &Party) -> Result<Arc<dyn DataSource>, OpenError> {
        Ok(Arc::new(self.open_source(&given.settings, party).await?))
    }
}

impl SqliteConnector {
    async fn open_source(&self, settings: &Settings, party: &Party) -> Result<SqliteSource, OpenError> {
        let wanted = wanted(settings)?;
        let party = party.clone();
        let opened = self.on_threads(&wanted, |policy, path| {
            let path = canonical(&policy, path)?;
            Pool::open(policy, path, party)
        });
        let pool = Arc::new(opened.await?);
        let samples = wanted.samples && self.policy.samples;
        Ok(SqliteSource { pool, threads: self.threads.clone(), samples })
    }

    /// Works on the settings' path where it may block.
    async fn on_threads<T: Send + 'static>(
        &self,
        wanted: &Wanted,
        work: impl FnOnce(Arc<Policy>, &str) -> Result<T, OpenError> + Send + 'static,
    ) -> Result<T, OpenError> {
        let (policy, path) = (self.policy.clone(), wanted.path.clone());
        let done = self.threads.run(move || work(policy, &path)).await;
        done.unwrap_or_else(|| Err(OpenError::Unavailable("looking at the file panicked".into())))
    }
}

/// The path of the file that the policy finds, without links or dots.
fn canonical(policy: &Policy, path: &str) -> Result<String, OpenError> {
    policy.locate(path)?.path.into_os_string().into_string().map_err(|_| {
        OpenError::Settings("The path of the file is not valid UTF-8. Rename the file or its folder.".into())
    })
}

/// One open SQLite file.
#[derive(Debug)]
struct SqliteSource {
    pool: Arc<Pool>,
    threads: Threads,
    samples: bool,
}

impl Drop for SqliteSource {
    /// Closing a file may write and wait (the last reader of a WAL takes it in), so it is done on the
    /// connector's threads.
    fn drop(&mut self) {
        let pool = self.pool.clone();
        self.threads.handle().spawn_blocking(move || pool.close());
    }
}

#[async_trait]
impl DataSource for SqliteSource {
    async fn query(&self, query: Query) -> Result<Rows, QueryError> {
        self.start(query, Kind::Rows).await
    }

    async fn schema(&self, ask: SchemaAsk) -> Result<Schema, QueryError> {
        let (time, cancel) = (ask.time, ask.cancel.child_token());
        self.work(time, cancel, move |connection| crate::schema::read(connection, &ask)).await
    }

    async fn explain(&self, query: Query) -> Result<Plan, QueryError> {
        let rows = self.start(query, Kind::Plan).await?;
        crate::plan::read(rows).await
    }

    async fn profile(&self, ask: ProfileAsk) -> Result<Profile, QueryError> {
        let ask = ProfileAsk { samples: ask.samples.filter(|_| self.samples), ..ask };
        let mut profile = profile_by_queries(self, &ask).await?;
        if profile.rows.is_none() {
            profile.rows = crate::plan::last_row_id(self, &ask).await;
        }
        Ok(profile)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.work(PING_TIME, CancellationToken::new(), |connection| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        })
        .await
    }
}

/// What is asked about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rows,
    Plan,
}

impl SqliteSource {
    /// Starts a statement, or the explanation of one, under its limits.
    async fn start(&self, query: Query, kind: Kind) -> Result<Rows, QueryError> {
        // Its own token: dropping the rows, or this future, must not cancel what else the caller's covers.
        let watch = Watch::of(&query);
        let unless_taken = watch.stop.clone().drop_guard();
        let permit = self.permit(&watch).await?;
        query.course.connected(watch.used());
        let (answer, answered) = oneshot::channel();
        let (pool, threads, at_work) = (self.pool.clone(), self.threads.clone(), watch.clone());
        self.threads.handle().spawn_blocking(move || {
            let _permit = permit;
            run(&pool, &threads, &query, kind, &at_work, answer);
        });
        let rows = answered
            .await
            .unwrap_or_else(|_| Err(QueryError::Unavailable("the query's thread panicked".into())))?;
        // From here on the rows hold the guard.
        unless_taken.disarm();
        Ok(rows)
    }

    async fn permit(&self, watch: &Watch) -> Result<tokio::sync::OwnedSemaphorePermit, QueryError> {
        tokio::select! {
            biased;
            permit = self.pool.permit() => permit.ok_or_else(|| QueryError::Unavailable("the source is closed".into())),
            () = watch.stop.cancelled() => Err(QueryError::Cancelled),
            () = tokio::time::sleep(watch.left().min(CONNECTION_WAIT)) => Err(QueryError::Limit(Said::new(
                words::BUSY,
                "The data source is busy; try again. Other queries kept all connections to it; send fewer at once.",
            ))),
        }
    }

    /// Runs our own reading of the file under a watch; dropping the future stops it.
    async fn work<T: Send + 'static>(
        &self,
        time: Duration,
        cancel: CancellationToken,
        read: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueryError> {
        let watch = Watch::new(cancel, time);
        let _unless_done = watch.stop.clone().drop_guard();
        let permit = self.permit(&watch).await?;
        let (pool, threads) = (self.pool.clone(), self.threads.clone());
        let done = self.threads.run(move || {
            let _permit = permit;
            with_connection(&pool, &threads, &watch, |connection| {
                loop {
                    match read(connection) {
                        Err(error) if is_busy(&error) && watch.reason().is_none() => watch.pause(),
                        read => {
                            return read.map_err(|error| query_error(error, connection, &watch));
                        }
                    }
                }
            })
        });
        done.await.unwrap_or_else(|| Err(QueryError::Unavailable("reading the database panicked".into())))
    }
}

/// The blocking part of a query, from guard to last row.
fn run(
    pool: &Pool,
    threads: &Threads,
    query: &Query,
    kind: Kind,
    watch: &Arc<Watch>,
    answer: oneshot::Sender<Result<Rows, QueryError>>,
) {
    let (checked, sql) = match kind {
        Kind::Rows => (check(&query.sql, Dialect::Sqlite), Cow::Borrowed(query.sql.as_str())),
        Kind::Plan => (check_explainable(&query.sql, Dialect::Sqlite), crate::plan::explaining(&query.sql)),
    };
    if let Err(error) = checked {
        // Nobody waits for an answer that cannot be sent.
        let _ = answer.send(Err(error));
        return;
    }
    let mut answer = Some(answer);
    let mut open = |columns| -> RowSender {
        let (sender, rows) = row_channel(columns, watch.stop.clone());
        if let Some(answer) = answer.take() {
            // A caller that is gone drops the rows here, which cancels the token.
            let _ = answer.send(Ok(rows));
        }
        sender
    };
    let outcome = with_connection(pool, threads, watch, |connection| {
        pump::run(connection, &sql, query.limits, watch, threads.handle(), &mut open)
    });
    match outcome {
        // The connection is free again; a reader that takes its time holds up nobody else.
        Ok((sender, ended)) => threads.finish(sender.end(ended)),
        Err(error) => {
            if let Some(answer) = answer.take() {
                let _ = answer.send(Err(error));
            }
        }
    }
}

/// Lends a connection with the watch attached, and takes it back.
fn with_connection<T>(
    pool: &Pool,
    threads: &Threads,
    watch: &Arc<Watch>,
    work: impl FnOnce(&Connection) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    if let Some(reason) = watch.reason() {
        return Err(reason);
    }
    let unavailable = |error: rusqlite::Error| QueryError::Unavailable(Box::new(error));
    let lent: Lent = pool.take().map_err(|error| QueryError::Unavailable(Box::new(error)))?;
    let asker = Asker { party: pool.party.clone(), source: std::ptr::from_ref(pool).addr() };
    watch.attach(&lent.connection, threads, asker).map_err(unavailable)?;
    let done = work(&lent.connection);
    watch.detach(&lent.connection).map_err(unavailable)?;
    pool.give_back(lent);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says on which thread it was dropped.
    struct Told(std::sync::mpsc::Sender<Option<String>>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(std::thread::current().name().map(str::to_owned));
        }
    }

    #[tokio::test]
    async fn a_source_closes_its_files_on_the_connectors_threads() {
        let folder = tempfile::tempdir().unwrap();
        Connection::open(folder.path().join("a.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let policy = Policy { folders: vec![folder.path().into()], ..Policy::default() };
        let connector = SqliteConnector::new(policy).unwrap();
        let settings = Settings::from_iter([("path".to_owned(), "a.db".into())]);
        let source = connector.open_source(&settings, &Party::new("a")).await.unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let mark = Told(sender);
        let with_mark = move || {
            let _held = &mark;
            false
        };
        source.pool.idle.lock().connections[0].progress_handler(1_000_000, Some(with_mark)).unwrap();
        drop(source);
        assert_eq!(told.recv().unwrap().as_deref(), Some("sequel-sqlite"));
    }
}
