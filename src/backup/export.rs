//! A store as the bytes of a backup, made while they are taken.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use sequel_store::{ExportStream, ReadError, Store};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;

use super::format::{Encoder, Entry, Head};
use crate::context::Clock;

/// Bytes that are gathered before they are handed on.
const PIECE_BYTES: usize = 64 * 1024;
/// For so long whoever takes a backup may take nothing of it. The cut that it holds keeps everything that changes
/// meanwhile twice: a pipe that stands still would fill the store's disk.
const STALL: Duration = Duration::from_secs(300);

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
    /// stream ends it, and so does taking nothing for five minutes. A failure on the way ends it, too: the trailer is
    /// missing then.
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
        Ok(kept_moving(stream::once(async move { Ok(begin) }).chain(rest)))
    }
}

/// The same pieces, from a task that lets go of `pieces` once nobody has taken one for [`STALL`].
fn kept_moving(
    pieces: impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, ReadError>> {
    let (taken, mut taking) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        let mut pieces = pin!(pieces);
        while let Some(piece) = pieces.next().await {
            match taken.send_timeout(piece, STALL).await {
                Ok(()) => {}
                Err(SendTimeoutError::Closed(_)) => return Ok(()),
                Err(SendTimeoutError::Timeout(_)) => {
                    tracing::warn!(
                        "nothing of a backup was taken for {} minutes; it is broken off",
                        STALL.as_secs() / 60
                    );
                    return Err(ReadError::Unavailable(
                        "nothing of the backup was taken for too long".into(),
                    ));
                }
            }
        }
        Ok(())
    });
    let mut task = Some(task);
    stream::poll_fn(move |context| {
        if let Some(piece) = ready!(taking.poll_recv(context)) {
            return Poll::Ready(Some(piece));
        }
        // Whoever takes them has to learn that these were not all.
        let Some(ending) = &mut task else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(ending).poll(context));
        task = None;
        let ended = ended.unwrap_or_else(|panicked| Err(ReadError::Unavailable(Box::new(panicked))));
        Poll::Ready(ended.err().map(Err))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    /// Pieces without end, and whether they are still held.
    fn endless() -> (impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static, std::sync::Weak<()>) {
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let pieces = stream::repeat_with(move || {
            let _held = &held;
            Ok(Bytes::from_static(b"piece"))
        });
        (pieces, weak)
    }

    #[tokio::test(start_paused = true)]
    async fn a_backup_of_which_nothing_is_taken_lets_go_of_its_cut_and_says_that_it_is_not_whole() {
        let (pieces, held) = endless();
        let mut pieces = pin!(kept_moving(pieces));
        for _ in 0..100 {
            // Slow is not standing still.
            tokio::time::sleep(STALL / 2).await;
            assert!(pieces.next().await.unwrap().is_ok());
        }
        tokio::time::sleep(STALL * 2).await;
        assert!(held.upgrade().is_none(), "the cut is still held");
        // What was under way is still there, and then the failure.
        let ended = pieces.try_for_each(|_| async { Ok(()) }).await;
        assert!(matches!(ended, Err(ReadError::Unavailable(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn a_backup_that_nobody_wants_any_more_lets_go_of_its_cut_at_once() {
        let (pieces, held) = endless();
        drop(kept_moving(pieces));
        tokio::time::timeout(Duration::from_secs(10), async {
            while held.upgrade().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the cut is still held");
    }

    #[tokio::test]
    async fn a_backup_comes_whole_and_in_order() {
        let pieces: Vec<Bytes> = (0..1_000_u32).map(|at| Bytes::from(at.to_be_bytes().to_vec())).collect();
        let sent = stream::iter(pieces.clone()).map(Ok);
        assert_eq!(kept_moving(sent).try_collect::<Vec<_>>().await.unwrap(), pieces);
    }
}
