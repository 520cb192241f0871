//! What was sent once already: a double click, a form that is sent again by a reload.
//!
//! Each form that makes something carries a random token. The first request with it is carried out; one that comes
//! while that runs, or a moment later, gets the same answer, since a browser that was clicked twice shows only the
//! last; a later one is told that it was done. In this process's memory only: on another node the name, which is
//! unique, keeps a second key from being made.
//!
//! **Invariant:** a secret is kept here for no longer than [`SAME_ANSWER`] (`tests::a_secret_is_shown_again_for_a_moment_only`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::context::{Clock, Rng, RngError};
use crate::credential::{KeyId, OrgId, UserId};

/// How long the same answer is given again: as long as a double click takes.
const SAME_ANSWER: Duration = Duration::from_secs(5);
/// How long a token is remembered.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Most tokens; the oldest make room.
const TOKENS_MAX: usize = 4_096;
/// Longest token that is taken.
const TOKEN_BYTES_MAX: usize = 64;

/// How a form was met.
#[derive(Debug)]
pub(super) enum Met<T> {
    /// For the first time, or the first time has just been answered.
    Now(T),
    /// It was carried out earlier.
    Before(T),
}

/// Tokens of forms, with what came of them.
pub struct Once<T = Made> {
    clock: Clock,
    rng: Rng,
    tokens: Mutex<HashMap<(UserId, String), Slot<T>>>,
}

struct Slot<T> {
    since: Duration,
    made: Arc<AsyncMutex<Option<T>>>,
}

/// What a form makes.
pub trait Outcome: Clone + 'static {
    /// Takes out of it what may be shown for a moment only.
    fn fade(&mut self);

    /// Whether nothing was taken out.
    fn is_fresh(&self) -> bool;
}

impl Outcome for OrgId {
    fn fade(&mut self) {}

    fn is_fresh(&self) -> bool {
        true
    }
}

/// A key that a form made, and its secret for the moment in which it may be shown again.
#[derive(Clone)]
pub struct Made {
    /// Names the key.
    pub(super) key: KeyId,
    /// The whole key, while it may be shown.
    pub(super) secret: Option<Arc<str>>,
}

impl Outcome for Made {
    fn fade(&mut self) {
        self.secret = None;
    }

    fn is_fresh(&self) -> bool {
        self.secret.is_some()
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<T: Outcome> Once<T> {
    /// Remembers nothing yet.
    pub fn new(clock: Clock, rng: Rng) -> Self {
        Self { clock, rng, tokens: Mutex::default() }
    }

    /// A token for a form.
    pub(super) fn token(&self) -> Result<String, RngError> {
        let bytes: [u8; 16] = self.rng.bytes()?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Carries `make` out, unless this form of this user was carried out already. What fails may be sent again.
    pub(super) async fn meet<E>(
        &self,
        user: UserId,
        token: &str,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<Met<T>, E> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            // A form that was written by hand: it counts as new.
            return make.await.map(Met::Now);
        }
        let slot = self.slot(user, token);
        let mut made = slot.lock().await;
        if let Some(made) = &*made {
            let made = made.clone();
            return Ok(if made.is_fresh() { Met::Now(made) } else { Met::Before(made) });
        }
        let fresh = make.await?;
        *made = Some(fresh.clone());
        drop(made);
        actix_web::rt::spawn(async move {
            tokio::time::sleep(SAME_ANSWER).await;
            if let Some(made) = &mut *slot.lock().await {
                made.fade();
            }
        });
        Ok(Met::Now(fresh))
    }

    fn slot(&self, user: UserId, token: &str) -> Arc<AsyncMutex<Option<T>>> {
        let now = self.clock.elapsed();
        let mut tokens = self.tokens.lock();
        tokens.retain(|_, slot| now.saturating_sub(slot.since) < REMEMBERED);
        if tokens.len() >= TOKENS_MAX
            && let Some(oldest) = tokens.iter().min_by_key(|(_, slot)| slot.since).map(|(key, _)| key.clone())
        {
            tokens.remove(&oldest);
        }
        let slot = tokens.entry((user, token.to_owned()));
        Arc::clone(&slot.or_insert_with(|| Slot { since: now, made: Arc::default() }).made)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::context::Context;
    use crate::credential::Id;

    fn once() -> (Once, UserId) {
        let context = Context::system();
        let user = Id::mint(&context.rng).unwrap();
        (Once::new(context.clock, context.rng), user)
    }

    #[actix::test]
    async fn a_double_click_makes_one_and_shows_it_twice() {
        let (once, user) = once();
        let made = AtomicUsize::new(0);
        let make = async || {
            tokio::task::yield_now().await;
            made.fetch_add(1, Ordering::SeqCst);
            Ok::<_, ()>(Made { key: Id::NIL, secret: Some("sql_secret".into()) })
        };
        let token = once.token().unwrap();
        let (a, b) = futures_util::join!(once.meet(user, &token, make()), once.meet(user, &token, make()));
        for met in [a, b] {
            assert!(matches!(met, Ok(Met::Now(Made { secret: Some(_), .. }))));
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
        // Another form, and the same token in somebody else's hands, are others.
        let other = Id::mint(&Context::system().rng).unwrap();
        once.meet(other, &token, make()).await.unwrap();
        once.meet(user, &once.token().unwrap(), make()).await.unwrap();
        assert_eq!(made.load(Ordering::SeqCst), 3);
    }

    #[actix::test]
    async fn a_secret_is_shown_again_for_a_moment_only() {
        tokio::time::pause();
        let (once, user) = once();
        let make = || async { Ok::<_, ()>(Made { key: Id::NIL, secret: Some("sql_secret".into()) }) };
        once.meet(user, "t", make()).await.unwrap();
        tokio::time::sleep(SAME_ANSWER + Duration::from_millis(1)).await;
        let met = once.meet(user, "t", make()).await.unwrap();
        assert!(matches!(met, Met::Before(Made { secret: None, .. })), "{met:?}");
    }

    #[actix::test]
    async fn what_failed_may_be_sent_again() {
        let (once, user) = once();
        assert_eq!(once.meet(user, "t", async { Err("full") }).await.unwrap_err(), "full");
        let make = async { Ok::<_, ()>(Made { key: Id::NIL, secret: None }) };
        assert!(matches!(once.meet(user, "t", make).await, Ok(Met::Now(_))));
    }
}
