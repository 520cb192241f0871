//! One batch as one call of the schema's function: a transaction and a round trip. What it does stands in
//! `schema/functions.sql`.

use sequel_store::{Batch, CommitError, Expect, Lane, Revision, Write};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::fault;
use crate::lease::Lease;

/// Commits; the scope's revision after it, and whether the batch moved it.
pub(crate) async fn commit(
    client: &Client,
    batch: &Batch,
    lease: &Lease,
) -> Result<(Revision, bool), CommitError> {
    let (is_state, at) = match batch.lane {
        Lane::State { at, .. } => (true, at.map(signed)),
        Lane::Log => (false, None),
    };
    let (expected_keys, expected_revisions): (Vec<&[u8]>, Vec<Option<i64>>) = batch
        .expects
        .iter()
        .map(|expect| match expect {
            Expect::Absent(key) => (key.as_bytes(), None),
            Expect::At(key, revision) => (key.as_bytes(), Some(signed(*revision))),
        })
        .unzip();
    let (keys, values): (Vec<&[u8]>, Vec<Option<&[u8]>>) = batch
        .writes
        .iter()
        .map(|write| match write {
            Write::Put(key, value) => (key.as_bytes(), Some(&value[..])),
            Write::Delete(key) => (key.as_bytes(), None),
        })
        .unzip();
    let rows = client
        .query_typed(
            "SELECT outcome, now_at FROM sequel.commit($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                (&batch.scope.as_str(), Type::TEXT),
                (&is_state, Type::BOOL),
                (&at, Type::INT8),
                (&&batch.id.0[..], Type::BYTEA),
                (&expected_keys, Type::BYTEA_ARRAY),
                (&expected_revisions, Type::INT8_ARRAY),
                (&keys, Type::BYTEA_ARRAY),
                (&values, Type::BYTEA_ARRAY),
                (&lease.epoch, Type::INT8),
            ],
        )
        .await
        .map_err(|error| fault::commit(error, batch.id))?;
    let told = rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get::<_, i64>(1).ok()?)));
    // It was committed, whatever it says.
    let Some((outcome, now)): Option<(&str, i64)> = told else { return Err(CommitError::Unknown(batch.id)) };
    let now = Revision(u64::try_from(now).unwrap_or(0));
    match outcome {
        "done" => Ok((now, is_state)),
        "repeated" => Ok((now, false)),
        "conflict" => Err(CommitError::Conflict { now }),
        _ => {
            lease.lose();
            Err(CommitError::Unavailable("another process holds the lease on the database".into()))
        }
    }
}

/// What no revision here reaches stays beyond reach.
fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}
