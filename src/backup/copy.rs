//! One store into another, record for record: from backend to backend.
//!
//! Nothing is older in a copy, so no key is suspended. Revisions belong to one store: the copy has its own, and every
//! record of it is compared, afterwards, by its place and its value. Lanes follow from what a record is.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use sequel_store::{ExportStream, Revision, Scope, Store};

use super::BackupError;
use super::check::kind_of;
use super::fill::{self, Filler};
use super::format::Entry;
use super::kind::Kind;
use crate::context::Context;
use crate::org::record;
use crate::system::whole::{self, Unfinished, WholeStore, Work};

/// Copies all of `from` into `to`, both open under their locks, and compares them; the number of records. `progress`
/// is told how many of how many steps are done.
pub async fn copy(
    from: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
    context: &Context,
    progress: &dyn Fn(u64, u64),
) -> Result<u64, BackupError> {
    if let Some(mark) = WholeStore::new(Arc::clone(from)).unfinished().await? {
        return Err(BackupError::Unfinished(format!("the source is unfinished itself: {mark}")));
    }
    let whole = WholeStore::new(Arc::clone(to));
    let began = whole.unfinished().await?;
    if !began.is_some_and(|mark| mark.onto_empty) && !fill::is_empty(to).await? {
        return Err(BackupError::NotEmpty(
            "the target holds records already. Name one that is empty: nothing is ever copied over what is there.",
        ));
    }
    // All of it is read before anything is written: what cannot be copied is said first.
    let mut records = 0;
    let mut source = from.export().await?;
    while let Some(entry) = next(&mut source).await? {
        kind_of(&entry)?;
        records += 1;
    }
    let mark = Unfinished { work: Work::Copy, began_at: context.clock.now(), onto_empty: true };
    fill::begin(to, &context.rng, &mark).await?;
    write_all(from, to, context, &|done| progress(done, 2 * records)).await?;
    compare(from, to, &|done| progress(records + done, 2 * records)).await?;
    whole.finish(&context.rng, None).await?;
    Ok(records)
}

async fn write_all(
    from: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
    context: &Context,
    progress: &dyn Fn(u64),
) -> Result<(), BackupError> {
    let mut filler = Filler::new(Arc::clone(to), context.rng.clone());
    // Of what the target was once restored from, nothing is left.
    filler.delete(&whole::scope(), Kind::Restored, whole::restored_at()).await?;
    // One batch writes a key once, and the source may have been restored, too.
    filler.flush().await?;
    let mut newest: BTreeMap<Scope, Revision> = BTreeMap::new();
    let (mut source, mut done) = (from.export().await?, 0);
    while let Some(entry) = next(&mut source).await? {
        let kind = kind_of(&entry)?;
        if let Some(revision) = record::audit_revision(&entry.key).filter(|_| kind == Kind::Audit) {
            let newest = newest.entry(entry.scope.clone()).or_default();
            *newest = revision.max(*newest);
        }
        filler.put(&entry.scope, kind, entry.key, entry.value).await?;
        done += 1;
        progress(done);
    }
    filler.flush().await?;
    for (scope, revision) in newest {
        filler.raise(&scope, revision).await?;
    }
    Ok(())
}

/// Holds every record of one store against the other's.
async fn compare(
    from: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
    progress: &dyn Fn(u64),
) -> Result<(), BackupError> {
    let (mut source, mut target) = (from.export().await?, to.export().await?);
    let mut done = 0;
    loop {
        let wanted = next(&mut source).await?;
        let mut found = next(&mut target).await?;
        if found
            .as_ref()
            .is_some_and(|entry| entry.scope == whole::scope() && entry.key == whole::unfinished_at())
        {
            found = next(&mut target).await?;
        }
        if wanted != found {
            let entry = wanted.or(found).expect("two that differ are not both nothing");
            let key = entry.key.as_bytes().escape_ascii().to_string();
            return Err(BackupError::Differs { scope: entry.scope.to_string(), key });
        }
        if wanted.is_none() {
            return Ok(());
        }
        done += 1;
        progress(done);
    }
}

async fn next(records: &mut ExportStream) -> Result<Option<Entry>, BackupError> {
    let found = records.next().await.transpose()?;
    Ok(found.map(|found| Entry { scope: found.scope, key: found.record.key, value: found.record.value }))
}
