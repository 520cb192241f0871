//! The word to all connections that the server goes: idle ones close, the others after their answer.
//!
//! Every connection asks for it each time that it is woken, so asking must cost next to nothing: the
//! tokens and watches of tokio take a lock that all workers share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Said once. Clones say and hear the same.
#[derive(Clone, Default)]
pub(super) struct Goodbye {
    said: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Goodbye {
    /// Says it.
    pub(super) fn say(&self) {
        // Before the token wakes anybody: who is woken looks here first.
        self.said.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    /// Ends when it is said. For one task: the first poll's task is the one that is woken.
    pub(super) fn heard(&self) -> Heard {
        Heard {
            said: Arc::clone(&self.said),
            waiting: Box::pin(self.token.clone().cancelled_owned()),
            knows_task: false,
        }
    }
}

/// See [`Goodbye::heard`].
pub(super) struct Heard {
    said: Arc<AtomicBool>,
    waiting: Pin<Box<WaitForCancellationFutureOwned>>,
    knows_task: bool,
}

impl Future for Heard {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.said.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if self.knows_task {
            return Poll::Pending;
        }
        self.knows_task = true;
        self.waiting.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_heard_by_who_waits_already_and_by_who_asks_later() {
        let goodbye = Goodbye::default();
        let mut early = goodbye.heard();
        assert!(futures_util::poll!(&mut early).is_pending());
        assert!(futures_util::poll!(&mut early).is_pending());
        let waiting = tokio::spawn(goodbye.heard());
        tokio::task::yield_now().await;
        goodbye.say();
        waiting.await.unwrap();
        assert!(futures_util::poll!(&mut early).is_ready());
        goodbye.heard().await;
    }
}
