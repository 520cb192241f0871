//! How passwords are kept: Argon2id, on threads that may block, a bounded number at once.
//!
//! Each hash takes the memory that makes guessing dear (19 MiB by default), so how many are made at once is a limit
//! like any other: a flood of sign-ins waits for its turn, and past [`WAITING_MAX`] is told to come back.
//!
//! **Invariant:** whoever signs in costs one hash, whether the user is known, has a password, or neither
//! (`an_unknown_user_costs_a_hash_like_a_known_one`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::password::PasswordHash;
use crate::context::{Rng, RngError};

/// Bytes of a salt: 128 random bits, as RFC 9106, 3.1 recommends.
const SALT_BYTES: usize = 16;
/// Bytes of a hash.
const HASH_BYTES: usize = Params::DEFAULT_OUTPUT_LEN;
/// Most who wait for a hash: at four at once and 50 ms each they wait below two seconds.
const WAITING_MAX: usize = 128;

/// What a hash costs.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes that are made at once.
    pub at_once: usize,
}

/// A password could not be hashed or held against its hash.
#[derive(Debug, Error)]
pub enum HashError {
    /// Too many wait already; try again.
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
    /// The parameters make no hash, or a stored one cannot be read.
    #[error("a password could not be hashed ({0})")]
    Broken(String),
    /// No random bytes.
    #[error(transparent)]
    Rng(#[from] RngError),
}

/// Hashes passwords. Clones share the bound.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    argon2: Argon2<'static>,
    rng: Rng,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// What a password is held against where there is no hash: random bytes in the form of one. To hold something
    /// against it takes as long as against any other.
    nobody: PasswordHash,
}

impl Hasher {
    /// With these parameters.
    pub fn new(cost: Cost, rng: Rng) -> Result<Self, HashError> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None).map_err(broken)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(argon2.params()).map_err(broken)?,
            salt: Some(Salt::new(&rng.bytes::<SALT_BYTES>()?).map_err(broken)?),
            hash: Some(Output::new(&rng.bytes::<HASH_BYTES>()?).map_err(broken)?),
        };
        let nobody = PasswordHash(nobody.to_string());
        let turns = Arc::new(Semaphore::new(cost.at_once.max(1)));
        Ok(Self(Arc::new(Inner { argon2, rng, turns, waiting: AtomicUsize::new(0), nobody })))
    }

    /// The hash of a password.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, HashError> {
        let (inner, password) = (Arc::clone(&self.0), password.to_owned());
        let salt = inner.rng.bytes()?;
        self.in_turn(move || hashed(&inner.argon2, password.as_bytes(), &salt)).await?
    }

    /// Whether a password is the one of this hash. Without one, the answer is no and takes as long.
    pub async fn verify(&self, stored: Option<&PasswordHash>, password: &str) -> Result<bool, HashError> {
        let is_known = stored.is_some();
        let stored = stored.unwrap_or(&self.0.nobody).clone();
        let (inner, password) = (Arc::clone(&self.0), password.to_owned());
        let matches = self.in_turn(move || {
            let stored = Phc::new(&stored.0).map_err(broken)?;
            // The parameters are those of the hash, not today's.
            Ok::<bool, HashError>(inner.argon2.verify_password(password.as_bytes(), &stored).is_ok())
        });
        Ok(matches.await?? && is_known)
    }

    /// Whether a hash was made with other parameters than today's: then a sign-in makes it anew.
    pub fn is_outdated(&self, stored: &PasswordHash) -> bool {
        let parameters = |hash: &PasswordHash| hash.0.rsplitn(3, '$').nth(2).map(str::to_owned);
        parameters(stored) != parameters(&self.0.nobody)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Waiting::join(&self.0)?;
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.expect("this semaphore is never closed");
        drop(place);
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        worked.await.map_err(broken)
    }
}

/// A place among those who wait; dropping it leaves.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn join(inner: &'a Inner) -> Result<Self, HashError> {
        let place = Self(inner);
        match inner.waiting.fetch_add(1, Ordering::SeqCst) < WAITING_MAX {
            true => Ok(place),
            false => Err(HashError::Busy),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

fn hashed(argon2: &Argon2<'_>, password: &[u8], salt: &[u8; SALT_BYTES]) -> Result<PasswordHash, HashError> {
    let hash: Phc = argon2.hash_password_with_salt(password, salt).map_err(broken)?;
    Ok(PasswordHash(hash.to_string()))
}

fn broken(error: impl std::fmt::Display) -> HashError {
    HashError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1, at_once: 2 };

    fn hasher() -> Hasher {
        Hasher::new(CHEAP, Rng::system()).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_no_other_is() {
        let hasher = hasher();
        let hash = hasher.hash("staring at the sea").await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.0);
        assert!(hasher.verify(Some(&hash), "staring at the sea").await.unwrap());
        assert!(!hasher.verify(Some(&hash), "staring at the sky").await.unwrap());
        assert_ne!(hasher.hash("staring at the sea").await.unwrap(), hash, "each has a salt of its own");
        assert!(!format!("{hash:?}").contains("argon2"));
    }

    #[tokio::test]
    async fn an_unknown_user_costs_a_hash_like_a_known_one() {
        let hasher = hasher();
        // What is compared against has today's parameters, and nothing matches it.
        assert!(!hasher.is_outdated(&hasher.0.nobody));
        assert!(!hasher.verify(None, "staring at the sea").await.unwrap());
        // It waits for its turn like everybody.
        let turns = hasher.0.turns.clone().acquire_many_owned(2).await.unwrap();
        let waiting = hasher.verify(None, "x");
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(turns);
        assert!(!waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_still_holds_and_is_told_apart() {
        let old = hasher().hash("staring at the sea").await.unwrap();
        let today = Hasher::new(Cost { iterations: 2, ..CHEAP }, Rng::system()).unwrap();
        assert!(today.verify(Some(&old), "staring at the sea").await.unwrap());
        assert!(today.is_outdated(&old));
        assert!(!today.is_outdated(&today.hash("staring at the sea").await.unwrap()));
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_told_to_come_back() {
        let hasher = hasher();
        let turns = hasher.0.turns.clone().acquire_many_owned(2).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(hasher.verify(None, "x"))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(hasher.verify(None, "x").await, Err(HashError::Busy)));
        waiting.clear();
        drop(turns);
        assert!(!hasher.verify(None, "x").await.unwrap());
    }
}
