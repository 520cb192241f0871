//! Whether functions that a statement calls may be called: those that the guard does not know.
//!
//! The database's own word is taken for functions of extensions and of people: what is declared STABLE or IMMUTABLE
//! cannot write, because PostgreSQL refuses it. What may change something by its own declaration is refused, and so is
//! what acts with another role's rights, and what PostgreSQL brings along and the guard does not know as harmless.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::{Called, QueryError, Said, words};
use tokio::time::Instant;

use crate::link::Link;
use crate::pump::{Halt, Watch};
use crate::threads::now;

/// How long a function is taken to be what it was.
const TRUE_FOR: Duration = Duration::from_secs(60);
/// Most functions that are remembered.
const KEPT_MAX: usize = 1_000;
/// Most unknown functions of one statement.
const ASKED_MAX: usize = 100;

/// What an aggregate is made of, whose own declaration says nothing. Those in C (and PostgreSQL's own) are the work of
/// extensions, which often leave out that their steps change nothing.
const STEPS: &str = "f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggcombinefn) \
     AND f.prolang NOT IN (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname IN ('internal', 'c'))";

/// Functions that were found harmless, and when.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Called, Instant>>);

/// A text as a literal; the session reads backslashes as themselves.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Known {
    /// Whether all of them are known to be harmless.
    pub(crate) fn holds(&self, called: &[Called]) -> bool {
        self.unknown(called).is_empty()
    }

    fn unknown<'a>(&self, called: &'a [Called]) -> Vec<&'a Called> {
        // Most statements call none.
        if called.is_empty() {
            return Vec::new();
        }
        let known = self.0.lock();
        let is_known = |called: &Called| known.get(called).is_some_and(|at| at.elapsed() < TRUE_FOR);
        called.iter().filter(|called| !is_known(called)).collect()
    }

    /// Holds that all of them may be called. Those that do not exist pass: PostgreSQL says so better.
    pub(crate) async fn check(&self, link: &mut Link, called: &[Called], watch: &Watch) -> Result<(), Halt> {
        let unknown = self.unknown(called);
        if unknown.is_empty() {
            return Ok(());
        }
        if unknown.len() > ASKED_MAX {
            return Err(Halt::Query(QueryError::Refused(Said::new(
                words::FUNCTION,
                format!(
                    "The statement calls more than {ASKED_MAX} different functions that are not PostgreSQL's own. Call fewer."
                ),
            ))));
        }
        let names: Vec<_> = unknown.iter().map(|called| literal(&called.name)).collect();
        let sql = format!(
            "SELECT p.proname, n.nspname, f.provolatile = 'v', f.prosecdef FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid \
             JOIN pg_catalog.pg_proc f ON f.oid = p.oid OR {STEPS} \
             WHERE p.proname = ANY (ARRAY[{}]::pg_catalog.name[]) \
             GROUP BY 1, 2, 3, 4",
            names.join(", ")
        );
        let found = watch.guard(link.rows(&sql)).await?;
        for called in &unknown {
            judge(called, &found).map_err(|why| Halt::Query(refused(called, why)))?;
        }
        let mut known = self.0.lock();
        if known.len() + unknown.len() > KEPT_MAX {
            known.clear();
        }
        let now = now();
        known.extend(unknown.into_iter().map(|called| (called.clone(), now)));
        Ok(())
    }
}

fn judge(called: &Called, found: &[Vec<Option<String>>]) -> Result<(), &'static str> {
    for row in found {
        let [Some(name), Some(schema), volatile, definer] = &row[..] else { continue };
        if *name != called.name || called.schema.as_ref().is_some_and(|meant| meant != schema) {
            continue;
        }
        if schema == "pg_catalog" {
            return Err(
                "it is not among PostgreSQL's own functions that are known to change and tell nothing",
            );
        }
        if volatile.as_deref() != Some("f") {
            return Err(
                "it is declared VOLATILE, so it may change something. Whoever owns it can declare it STABLE or \
                 IMMUTABLE if it changes nothing",
            );
        }
        if definer.as_deref() != Some("f") {
            return Err("it acts with the rights of another role (SECURITY DEFINER)");
        }
    }
    Ok(())
}

fn refused(called: &Called, why: &str) -> QueryError {
    let name: String = called.name.chars().take(64).collect();
    QueryError::Refused(Said::new(
        words::FUNCTION,
        format!(
            "The function {name} is not allowed: {why}. Leave it out and use plain expressions over the tables."
        ),
    ))
}
