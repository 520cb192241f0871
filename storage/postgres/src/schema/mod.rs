//! What a database holds: whether the schema `sequel` in it is ours and of which version, and how it is made.
//!
//! Everything lies in that schema and is named with it, so that nobody's `search_path` has a say.

use sequel_store::OpenError;
use tokio_postgres::Client;

use crate::address::{Address, refused};
use crate::fault;

/// By version; a database at version `n` wants those from `n` on.
const MIGRATIONS: &[&str] = &[include_str!("v1.sql")];
const FUNCTIONS: &str = include_str!("functions.sql");
const VIEWS: &str = include_str!("views.sql");
/// A lock of the transaction, not of the session: it ends with it, also behind a pooler.
const EXCLUDE_STARTERS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '50s';
     SELECT pg_catalog.pg_advisory_xact_lock(7308332046121136491)";
/// The newest version that this build knows.
pub(crate) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No schema of this name.
    Nothing,
    /// An empty one: an administrator may have made it for us.
    Empty,
    /// Ours, of this version.
    Ours(u32),
}

/// Looks, and changes nothing.
pub(crate) async fn look(client: &Client, address: &Address) -> Result<Found, OpenError> {
    let failed = |error| fault::open(address, &error);
    // Of the catalogue alone, since a table that is not there, or is somebody else's, cannot be asked for its columns; and
    // of its tables, since functions such as `to_regclass` may answer from before another starter had finished.
    let there: (bool, bool, bool) = client
        .query_typed(
            "SELECT schema IS NOT NULL,
                    EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = schema)
                    OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = schema)
                    OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = schema),
                    (SELECT count(*) = 4 FROM pg_catalog.pg_attribute
                     JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
                     WHERE relnamespace = schema AND relkind = 'r' AND NOT attisdropped
                       AND (relname, attname) IN (('version', 'version'), ('scopes', 'forgotten'),
                                                  ('records', 'lane'), ('lease', 'epoch')))
             FROM (SELECT (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'sequel') AS schema) AS ours",
            &[],
        )
        .await
        .and_then(|rows| Ok((rows[0].try_get(0)?, rows[0].try_get(1)?, rows[0].try_get(2)?)))
        .map_err(failed)?;
    match there {
        (false, ..) => return Ok(Found::Nothing),
        (true, false, _) => return Ok(Found::Empty),
        (true, true, true) => {}
        (true, true, false) => {
            let why = "its schema 'sequel' belongs to something else, or is not whole. Use another database.";
            return Err(refused(&address.to_string(), why));
        }
    }
    let versions = client.query_typed("SELECT version FROM sequel.version", &[]).await.map_err(failed)?;
    let version: Option<i32> = versions.first().map(|row| row.try_get(0)).transpose().map_err(failed)?;
    match version.and_then(|version| u32::try_from(version).ok()) {
        Some(found) if found > KNOWN => {
            Err(OpenError::Newer { path: address.to_string().into(), found, known: KNOWN })
        }
        Some(found) => Ok(Found::Ours(found)),
        None => {
            let why = "its table sequel.version does not say which version it is of. Restore a backup.";
            Err(refused(&address.to_string(), why))
        }
    }
}

/// Brings the database to the newest version. Two that start at once do it one after the other, and the second one
/// finds it done.
pub(crate) async fn migrate(client: &mut Client, address: &Address) -> Result<(), OpenError> {
    if look(client, address).await? == Found::Ours(KNOWN) {
        return Ok(());
    }
    let failed = |error| fault::open(address, &error);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(EXCLUDE_STARTERS).await.map_err(failed)?;
    let mut script = String::new();
    let done = match look(transaction.client(), address).await? {
        Found::Nothing => {
            script.push_str("CREATE SCHEMA sequel;");
            0
        }
        Found::Empty => 0,
        Found::Ours(KNOWN) => return Ok(()),
        Found::Ours(version) => {
            script.push_str(
                "DROP VIEW IF EXISTS sequel.org_records, sequel.orgs, sequel.keys, sequel.sources, sequel.usage;
                 DROP FUNCTION IF EXISTS sequel.commit, sequel.decoded;",
            );
            version
        }
    };
    for part in MIGRATIONS[done as usize..].iter().chain([&FUNCTIONS, &VIEWS]) {
        script.push_str(part);
    }
    script.push_str(&format!("DELETE FROM sequel.version; INSERT INTO sequel.version VALUES ({KNOWN});"));
    transaction.batch_execute(&script).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}
