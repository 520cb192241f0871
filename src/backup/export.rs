//! A store as the bytes of a backup, made while they are taken.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use sequel_store::{ExportStream, ReadError, Store};

use super::format::{Encoder, Entry, Head};
use crate::context::Clock;

/// Bytes that are gathered before they are handed on.
const PIECE_BYTES: usize = 64 * 1024;

/// What can make a backup of a store.
#[derive(Clone)]
pub struct Exporter {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Exporter {
    /// Of this store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// A backup of one consistent cut, in pieces of some 64 KiB. The cut is fixed when this answers; dropping the
    /// stream ends it. A failure on the way ends it, too: the trailer is missing then.
    pub async fn backup(&self) -> Result<impl Stream<Item = Result<Bytes, ReadError>> + use<>, ReadError> {
        let records = self.store.export().await?;
        let head = Head { made_at: self.clock.now(), sequel: env!("CARGO_PKG_VERSION").to_owned() };
        let (encoder, begin) = Encoder::begin(&head);
        let rest = stream::try_unfold(
            Some((records, encoder)),
            |left: Option<(ExportStream, Encoder)>| async move {
                let Some((mut records, mut encoder)) = left else { return Ok(None) };
                let mut piece = BytesMut::with_capacity(PIECE_BYTES * 2);
                while piece.len() < PIECE_BYTES {
                    match records.next().await.transpose()? {
                        Some(found) => {
                            let (key, value) = (found.record.key, found.record.value);
                            encoder.record(&Entry { scope: found.scope, key, value }, &mut piece);
                        }
                        None => {
                            piece.extend_from_slice(&encoder.end());
                            return Ok(Some((piece.freeze(), None)));
                        }
                    }
                }
                Ok(Some((piece.freeze(), Some((records, encoder)))))
            },
        );
        Ok(stream::once(async move { Ok(begin) }).chain(rest))
    }
}
