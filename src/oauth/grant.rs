//! The life of a grant: pending, fulfilled, exchanged, cancelled. A transition consumes the stage that it leaves, so that
//! nothing can be done twice with one that is over.
//!
//! *Pending* is an [`AuthorizationRequest`]: nobody has decided, and nothing is stored of it. *Fulfilled* is one that a
//! person has approved: its code waits for the client. *Exchanged* has tokens. *Cancelled* is no stage that a record can
//! have: of what is over nothing stays. `D` is the digest of a secret, `T` a time.

use serde::{Deserialize, Serialize};

use super::authorize::AuthorizationRequest;
use super::pkce::Challenge;

/// The stage of a grant that is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage<D, T> {
    /// Approved; the code was sent and not redeemed.
    Fulfilled(Fulfilled<D, T>),
    /// The code was redeemed for tokens.
    Exchanged(Exchanged<D, T>),
}

/// What the token request for a code is held against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Redeemable<D> {
    /// Digest of the code.
    pub digest: D,
    /// What the client has committed itself to.
    pub challenge: Challenge,
    /// Where the code was sent to.
    pub redirect_uri: String,
    /// Whether the authorization request named that.
    pub redirect_was_named: bool,
}

/// A grant whose code waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fulfilled<D, T> {
    /// The code.
    pub code: Redeemable<D>,
    /// From when on it is refused.
    pub expires_at: T,
}

/// A grant with tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exchanged<D, T> {
    /// The code that was redeemed: whoever presents it again ends the grant.
    pub code: Redeemable<D>,
    /// Access tokens that are accepted until they expire, newest first.
    pub access: Vec<Access<D, T>>,
    /// The refresh token that is next.
    pub live: Live<D, T>,
    /// Refresh tokens before it, newest first, as long as they are answered.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<Spent<D, T>>,
}

/// An access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access<D, T> {
    /// Its digest.
    pub digest: D,
    /// From when on it is refused.
    pub expires_at: T,
}

/// The refresh token of a grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Live<D, T> {
    /// Its digest.
    pub digest: D,
    /// Digest of the part that all refresh tokens of the grant share.
    pub family: D,
    /// From when on it is refused. Each use moves it.
    pub expires_at: T,
    /// The newest access token, under a key that is made of the refresh token.
    pub sealed_access: String,
}

/// A refresh token that was used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spent<D, T> {
    /// Its digest.
    pub digest: D,
    /// When it was used.
    pub at: T,
    /// Its successor, under a key that is made of it.
    pub sealed: String,
    /// Whether the trail says that it was presented again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

/// Most access tokens that are accepted at once: several processes of one client refresh from their own copies, and
/// each holds on to what it got.
pub const ACCESS_MAX: usize = 8;
/// Most used refresh tokens that are answered. At one an hour two days' worth; each takes some 200 bytes, and a record
/// has 64 KiB. Where there is no room for one more, the refresh token stays and the access token alone is new.
pub const SPENT_MAX: usize = 64;

/// Tokens as they are issued together.
#[derive(Debug, Clone)]
pub struct Issue<D, T> {
    /// The access token.
    pub access: Access<D, T>,
    /// The refresh token.
    pub live: Live<D, T>,
}

/// A successor, and what it was used up by.
#[derive(Debug, Clone)]
pub struct Successor<D, T> {
    /// The tokens.
    pub issue: Issue<D, T>,
    /// The successor under a key that is made of its predecessor; `None` where the refresh token stays.
    pub sealed: Option<String>,
}

impl AuthorizationRequest {
    /// A person has approved it.
    pub fn fulfil<D, T>(self, code: D, expires_at: T) -> Fulfilled<D, T> {
        Fulfilled {
            code: Redeemable {
                digest: code,
                challenge: self.challenge,
                redirect_uri: self.redirect_uri.as_str().to_owned(),
                redirect_was_named: self.redirect_was_named,
            },
            expires_at,
        }
    }
}

impl<D, T> Fulfilled<D, T> {
    /// The client has redeemed the code.
    pub fn exchange(self, issue: Issue<D, T>) -> Exchanged<D, T> {
        Exchanged { code: self.code, access: vec![issue.access], live: issue.live, spent: Vec::new() }
    }
}

impl<D, T: Copy + Ord> Exchanged<D, T> {
    /// The client has used its refresh token. What expired by `now` and what was used before `replays_since` is dropped.
    pub fn rotate(self, successor: Successor<D, T>, now: T, replays_since: T) -> Self {
        let Self { code, access, live, mut spent } = self;
        let Successor { issue, sealed } = successor;
        spent.retain(|spent| spent.at > replays_since);
        if let Some(sealed) = sealed {
            spent.insert(0, Spent { digest: live.digest, at: now, sealed, told: false });
            spent.truncate(SPENT_MAX);
        }
        let still = access.into_iter().filter(|access| now < access.expires_at);
        let access = std::iter::once(issue.access).chain(still).take(ACCESS_MAX).collect();
        Self { code, access, live: issue.live, spent }
    }

    /// Whether one more used token fits.
    pub fn has_room(&self, replays_since: T) -> bool {
        self.spent.iter().filter(|spent| spent.at > replays_since).count() < SPENT_MAX
    }

    /// The client has given an access token back. `None` where it is none of the grant's.
    pub fn without_access(mut self, is: impl Fn(&D) -> bool) -> Option<Self> {
        let before = self.access.len();
        self.access.retain(|access| !is(&access.digest));
        (self.access.len() < before).then_some(self)
    }

    /// The trail says that a used token was presented again.
    pub fn told(mut self, is: impl Fn(&D) -> bool) -> Self {
        self.spent.iter_mut().filter(|spent| is(&spent.digest)).for_each(|spent| spent.told = true);
        self
    }
}

impl<D, T: Copy + Ord> Stage<D, T> {
    /// From when on nothing of it is accepted, if nobody does anything.
    pub fn ends_at(&self) -> T {
        match self {
            Self::Fulfilled(fulfilled) => fulfilled.expires_at,
            Self::Exchanged(exchanged) => exchanged.live.expires_at,
        }
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::super::params::{Params, params};
    use super::super::pkce::vectors::CHALLENGE;
    use super::*;

    pub(in crate::oauth) type Sample = Exchanged<u32, u32>;

    /// The challenge of RFC 7636, appendix B.
    pub(in crate::oauth) fn challenge() -> Challenge {
        let pairs = params(&[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
        Challenge::read(Params(&pairs)).unwrap()
    }

    pub(in crate::oauth) fn fulfilled() -> Fulfilled<u32, u32> {
        let code = Redeemable {
            digest: 1,
            challenge: challenge(),
            redirect_uri: "http://localhost:7/cb".into(),
            redirect_was_named: true,
        };
        Fulfilled { code, expires_at: 60 }
    }

    pub(in crate::oauth) fn issue(number: u32, now: u32) -> Issue<u32, u32> {
        Issue {
            access: Access { digest: 100 + number, expires_at: now + 10 },
            live: Live {
                digest: 200 + number,
                family: 7,
                expires_at: now + 90,
                sealed_access: String::new(),
            },
        }
    }

    pub(in crate::oauth) fn successor(number: u32, now: u32) -> Successor<u32, u32> {
        Successor { issue: issue(number, now), sealed: Some(format!("sealed {number}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::*;
    use super::*;

    #[test]
    fn a_rotation_keeps_what_is_still_answered_and_drops_the_rest() {
        let grant = fulfilled().exchange(issue(0, 0));
        let grant = grant.rotate(successor(1, 5), 5, 0).rotate(successor(2, 12), 12, 0);
        assert_eq!((grant.live.digest, grant.live.expires_at), (202, 102));
        let access: Vec<u32> = grant.access.iter().map(|access| access.digest).collect();
        assert_eq!(access, [102, 101], "the first one has expired");
        assert_eq!(grant.spent.iter().map(|spent| spent.digest).collect::<Vec<_>>(), [201, 200]);
        let later = grant.rotate(successor(3, 40), 40, 10);
        assert_eq!(later.spent.iter().map(|spent| spent.digest).collect::<Vec<_>>(), [202, 201]);
    }

    #[test]
    fn tokens_are_bounded_in_number() {
        let mut grant = fulfilled().exchange(issue(0, 1));
        for number in 1..=SPENT_MAX as u32 {
            assert!(grant.has_room(0));
            grant = grant.rotate(successor(number, 1), 1, 0);
        }
        assert!(!grant.has_room(0) && grant.has_room(1));
        assert_eq!((grant.access.len(), grant.spent.len()), (ACCESS_MAX, SPENT_MAX));
        let live = grant.live.digest;
        let kept = Successor { issue: Issue { live: grant.live.clone(), ..issue(900, 1) }, sealed: None };
        let grant = grant.rotate(kept, 1, 0);
        assert_eq!(
            (grant.live.digest, grant.spent.len()),
            (live, SPENT_MAX),
            "no token that was given out is lost"
        );
    }

    #[test]
    fn an_access_token_that_is_given_back_is_gone_and_another_grants_is_none() {
        let grant = fulfilled().exchange(issue(0, 0)).rotate(successor(1, 1), 1, 0);
        assert!(grant.clone().without_access(|digest| *digest == 9).is_none());
        assert_eq!(grant.without_access(|digest| *digest == 100).unwrap().access.len(), 1);
    }

    #[test]
    fn a_stage_survives_json() {
        let stage = Stage::Exchanged(fulfilled().exchange(issue(0, 0)).rotate(successor(1, 1), 1, 0));
        let json = serde_json::to_value(&stage).unwrap();
        assert_eq!(json["stage"], "exchanged");
        let back: Stage<u32, u32> = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(back).unwrap(), json);
    }
}
