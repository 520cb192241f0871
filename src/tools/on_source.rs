//! What all calls that touch a data source share: they end when the credential, the client, the source or the clock
//! says so, and a failure becomes a sentence.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{QueryError, Said};

use super::Tools;
use super::run_query::{Failure, GRACE};
use crate::catalog::{Catalog, CatalogError};
use crate::org::{CallGuard, Had, Source};

/// A call under way.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) tools: &'a Tools,
    pub(super) guard: &'a CallGuard,
    pub(super) request_id: &'a str,
}

impl Asked<'_> {
    /// Works on a source until the work is done or has to stop. The error is a sentence for the client.
    pub(super) async fn on_source<T>(
        &self,
        source: &Arc<Source>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, String> {
        self.guard.touches(source);
        self.told(source, self.until_ended(source, work).await)
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
