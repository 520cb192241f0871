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
/// The newest version that this build knows.
pub(crate) const KNOWN: u32 = MIGRATIONS.len() as u32;
/// The oldest server.
const SERVER_MIN: u32 = 13;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No schema of this name.
    Nothing,
    /// Ours, of this version.
    Ours(u32),
}

/// Looks, and changes nothing.
pub(crate) async fn look(client: &Client, address: &Address) -> Result<Found, OpenError> {
    let failed = |error| fault::open(address, &error);
    let server: i32 = client
        .query_typed("SELECT current_setting('server_version_num')::int", &[])
        .await
        .and_then(|rows| rows[0].try_get(0))
        .map_err(failed)?;
    if server.unsigned_abs() / 10_000 < SERVER_MIN {
        let found = server.unsigned_abs() / 10_000;
        let why = format!("it is PostgreSQL {found}; {SERVER_MIN} or later is needed. Update the server.");
        return Err(refused(&address.to_string(), &why));
    }
    // Asked of the catalogs as tables: functions such as to_regclass answer from caches, which inside a transaction need
    // not know yet what another one has committed. Two questions, since a table that is not there cannot be asked.
    let there: (bool, bool) = client
        .query_typed(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'sequel'),
                    EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                            WHERE n.nspname = 'sequel' AND c.relname = 'version')",
            &[],
        )
        .await
        .and_then(|rows| Ok((rows[0].try_get(0)?, rows[0].try_get(1)?)))
        .map_err(failed)?;
    match there {
        (false, _) => Ok(Found::Nothing),
        (true, false) => {
            let objects: i64 = client
                .query_typed(
                    "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('sequel')",
                    &[],
                )
                .await
                .and_then(|rows| rows[0].try_get(0))
                .map_err(failed)?;
            match objects {
                // An administrator may have made it for us.
                0 => Ok(Found::Nothing),
                _ => Err(refused(
                    &address.to_string(),
                    "its schema 'sequel' belongs to something else. Use another database.",
                )),
            }
        }
        (true, true) => {
            let version: i32 = client
                .query_typed("SELECT version FROM sequel.version", &[])
                .await
                .and_then(|rows| match rows.first() {
                    Some(row) => row.try_get(0),
                    None => Ok(0),
                })
                .map_err(failed)?;
            match version.unsigned_abs() {
                found if found > KNOWN => Err(refused(
                    &address.to_string(),
                    &format!(
                        "it was written by a newer version of Sequel (schema {found}, this one reads up to {KNOWN}). Install \
                         that version, or restore a backup made before the upgrade."
                    ),
                )),
                found => Ok(Found::Ours(found)),
            }
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
    // Of the transaction, not of the session: it ends with it, also behind a pooler.
    transaction.batch_execute("SELECT pg_advisory_xact_lock(7308332046121136491)").await.map_err(failed)?;
    let done = match look(transaction.client(), address).await? {
        Found::Nothing => 0,
        Found::Ours(version) => version,
    };
    if done == KNOWN {
        return Ok(());
    }
    let mut script = String::from(
        "CREATE SCHEMA IF NOT EXISTS sequel; CREATE TABLE IF NOT EXISTS sequel.version (version int NOT NULL);
         DROP VIEW IF EXISTS sequel.org_records, sequel.orgs, sequel.keys, sequel.sources, sequel.usage;
         DROP FUNCTION IF EXISTS sequel.commit, sequel.decoded;",
    );
    for part in MIGRATIONS[done as usize..].iter().chain([&FUNCTIONS, &VIEWS]) {
        script.push_str(part);
    }
    script.push_str(&format!("DELETE FROM sequel.version; INSERT INTO sequel.version VALUES ({KNOWN});"));
    transaction.batch_execute(&script).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}
