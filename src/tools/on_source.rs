//! What all calls that touch a data source share: they end when the credential, the client, the source or the clock
//! says so, and a failure becomes a sentence.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{Course, Dialect, Limits, Query, QueryError, Said, shape};
use tokio_util::sync::CancellationToken;

use super::Tools;
use super::run_query::{Failure, GRACE};
use crate::catalog::{Catalog, CatalogError};
use crate::org::record::QueryOutcome;
use crate::org::{CallGuard, Had, Source, SourceInUse};

/// Most bytes of a statement in the query log. Its beginning says what was asked; a list of hundred columns has some 1,500.
const ASKED_BYTES_MAX: usize = 1_000;

/// A call under way.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) tools: &'a Tools,
    pub(super) guard: &'a CallGuard,
    pub(super) request_id: &'a str,
    /// The tool, or else the method.
    pub(super) tool: &'a str,
}

impl Asked<'_> {
    /// Works on a source until the work is done or has to stop. The error is a sentence for the client.
    pub(super) async fn on_source<T>(
        &self,
        source: &Arc<Source>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, String> {
        self.touches(source);
        self.told(source, self.until_ended(source, work).await)
    }

    /// Notes which data source the call is about.
    pub(super) fn touches(&self, source: &Source) {
        self.guard.touches(source, self.tool, self.request_id);
    }

    /// A handle of the source, opened now if nobody has.
    pub(super) async fn open(&self, source: &Arc<Source>) -> Result<SourceInUse, Failure> {
        let handle = source.open().await.map_err(Failure::Open)?;
        self.guard.opened();
        Ok(handle)
    }

    /// A statement to be given to a data source, of which the query log is told without its values.
    pub(super) fn query(
        &self,
        sql: &str,
        dialect: Dialect,
        limits: Limits,
        cancel: CancellationToken,
    ) -> Query {
        let course = Course::default();
        let keeps = self.guard.keeps_what_is_asked();
        let shape = if keeps { shape(sql, dialect, ASKED_BYTES_MAX) } else { None };
        self.guard.asks(shape, Some(course.clone()));
        self.guard.queried();
        Query { sql: sql.to_owned(), limits, cancel, origin: self.guard.origin(self.request_id), course }
    }

    /// Works until the work is done, or the credential, the client, the source or the clock ends it.
    pub(super) async fn until_ended<T>(
        &self,
        source: &Source,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.guard.token().cancelled() => Err(Failure::Query(QueryError::Cancelled)),
            () = source.retired().cancelled() => Err(Failure::Retired),
            outcome = tokio::time::timeout(self.tools.query.time_max + GRACE, work) => {
                outcome.unwrap_or_else(|_| Err(Failure::Stuck))
            }
        }
    }

    /// What work came to, with a failure as a sentence for the client.
    pub(super) fn told<T>(&self, source: &Source, outcome: Result<T, Failure>) -> Result<T, String> {
        let outcome = match outcome {
            // Ended in the very moment in which it was done: then it was ended.
            Ok(_) if self.guard.stopped().is_some() => Err(Failure::Query(QueryError::Cancelled)),
            outcome => outcome,
        };
        let name = &source.record().name;
        let (ended, why) = match &outcome {
            Ok(_) => (QueryOutcome::Ok, None),
            Err(failure) => failure.logged(self.guard),
        };
        self.guard.ended(ended, why);
        outcome.map_err(|failure| failure.message(name, self.guard, &self.tools.context.rng, self.request_id))
    }

    /// The source's catalog, read in at most the time of a query.
    pub(super) async fn catalog(&self, source: &Arc<Source>, fresh: bool) -> Result<Had, Failure> {
        source.catalog(fresh, self.tools.query.time_max).await.map_err(failure)
    }

    /// A newer catalog than the one in which a name is missing, if there is one to be had.
    pub(super) async fn catalog_after_miss(
        &self,
        source: &Arc<Source>,
        known: &Arc<Catalog>,
    ) -> Result<Option<Arc<Catalog>>, Failure> {
        source.catalog_after_miss(known, self.tools.query.time_max).await.map_err(failure)
    }
}

/// What to tell whose `refresh` was declined: nothing is wrong, but what was made just now may be missing.
pub(super) fn declined(fresh_in: Duration) -> String {
    format!(
        "The schema is the one of the last refresh, which was just before; it can be refreshed again in {} s.",
        fresh_in.as_secs() + u64::from(fresh_in.subsec_nanos() > 0)
    )
}

/// The reading is shared, so its error is, too.
fn failure(error: CatalogError) -> Failure {
    let read = match error {
        CatalogError::Open(error) => return Failure::Open(error),
        CatalogError::Read(error) => error,
    };
    Failure::Query(match &*read {
        QueryError::Refused(said) => QueryError::Refused(said.clone()),
        QueryError::Sql(said) => QueryError::Sql(said.clone()),
        QueryError::Limit(said) => {
            QueryError::Limit(Said::new(said.word(), format!("The schema could not be read. {said}")))
        }
        QueryError::Cancelled => QueryError::Cancelled,
        QueryError::Unavailable(_) => QueryError::Unavailable(Box::new(read)),
    })
}
