//! The server itself: whether it is one that a store can rely on. Changes nothing, and knows nothing of the schema.

use sequel_store::OpenError;
use tokio_postgres::Client;

use crate::address::{Address, refused};
use crate::fault;

/// The oldest server.
const SERVER_MIN: u32 = 13;

/// Refuses a server that is too old, takes no writes or would show commits an older state than the newest, and warns of one
/// that does not keep what it acknowledges.
pub(crate) async fn check(client: &Client, address: &Address) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num')::int, pg_catalog.pg_is_in_recovery(),
                      current_setting('default_transaction_read_only')::bool,
                      current_setting('default_transaction_isolation'),
                      current_setting('fsync')::bool, current_setting('full_page_writes')::bool";
    let told: Result<(i32, bool, bool, String, bool, bool), _> =
        client.query_typed(sql, &[]).await.and_then(|rows| {
            let row = &rows[0];
            Ok((
                row.try_get(0)?,
                row.try_get(1)?,
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
                row.try_get(5)?,
            ))
        });
    let (version, is_standby, is_read_only, isolation, fsync, full_page_writes) =
        told.map_err(|error| fault::open(address, &error))?;
    let why = if let Some(why) = too_old(version) {
        why
    } else if is_standby {
        "the server is a standby, which takes no writes. Name the primary.".to_owned()
    } else if is_read_only {
        "the server or this user is set to read-only. Let it write: ALTER ROLE … SET default_transaction_read_only = off."
            .to_owned()
    } else if isolation != "read committed" {
        format!(
            "transactions are '{isolation}' there, in which a commit may not see the newest state. Set it back for this \
             user: ALTER ROLE … SET default_transaction_isolation = 'read committed'."
        )
    } else {
        if !fsync || !full_page_writes {
            tracing::error!(
                database = %address,
                fsync, full_page_writes,
                "this server is set to lose or damage what it has acknowledged when its machine fails; set fsync and \
                 full_page_writes to on"
            );
        }
        return Ok(());
    };
    Err(refused(&address.to_string(), &why))
}

fn too_old(version: i32) -> Option<String> {
    let found = version.unsigned_abs() / 10_000;
    (found < SERVER_MIN)
        .then(|| format!("it is PostgreSQL {found}; {SERVER_MIN} or later is needed. Update the server."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_13_are_refused_by_their_version() {
        assert_eq!(too_old(130_000), None);
        assert_eq!(too_old(180_001), None);
        assert!(too_old(120_022).is_some_and(|why| why.contains("PostgreSQL 12; 13 or later")));
        assert!(too_old(90_624).is_some_and(|why| why.contains("PostgreSQL 9;")));
    }
}
