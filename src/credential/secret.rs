//! The secrets beside API keys: what people hold (a session's cookie, the links that work once) and what OAuth hands to
//! clients. They have the form of an API key (marker, id, owner, 256 random bits, checksum) and its rules: at rest there is
//! the digest of the whole string, so that nothing of one can be transplanted into another, and none serves another purpose.

use std::fmt;

use super::{Digest, Id, Malformed, assembled, taken_apart};
use crate::context::{Rng, RngError};

/// What a secret is good for. Each purpose has a marker of its own, which the digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A signed-in person's cookie; its owner is the user.
    Session,
    /// A link into an organization, which is its owner.
    Invitation,
    /// A link to set a password; its owner is the user.
    Reset,
    /// The link that makes the first user; it belongs to nobody.
    SetUp,
    /// An authorization code of a grant; its owner is the organization.
    Code,
    /// An access token of a grant; its owner is the organization. Presented, it is a [`Credential`](super::Credential).
    Access,
    /// A client's secret; its owner is the client.
    Client,
}

impl Purpose {
    const fn marker(self) -> &'static str {
        match self {
            Self::Session => "sqk_",
            Self::Invitation => "sqi_",
            Self::Reset => "sqw_",
            Self::SetUp => "sqf_",
            Self::Code => "sqc_",
            Self::Access => super::ACCESS_MARKER,
            Self::Client => "sqs_",
        }
    }
}

/// A secret in plaintext, for the one time that it is handed out: neither `Serialize` nor `Clone`, and `Debug` hides it.
pub struct PlainSecret(String);

impl PlainSecret {
    /// Mints one. 256 random bits.
    pub fn mint(purpose: Purpose, id: Id<10>, owner: Id<12>, rng: &Rng) -> Result<Self, RngError> {
        assembled(purpose.marker(), id, owner, rng).map(Self)
    }

    /// One that was handed out before and comes from where only its holder could put it.
    pub(super) fn known(text: String) -> Self {
        Self(text)
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainSecret(…)")
    }
}

/// A secret that somebody presented: well-formed, and not yet verified.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// What it claims to be.
    pub id: Id<10>,
    /// Whose it claims to be.
    pub owner: Id<12>,
    /// The digest of the whole string as presented.
    pub digest: Digest,
}

impl Presented {
    /// Reads a secret of this purpose. Pure and cheap; noise is rejected by its checksum before any look-up.
    pub fn parse(purpose: Purpose, text: &str) -> Result<Self, Malformed> {
        let (id, owner, digest) = taken_apart(purpose.marker(), text.as_bytes())?;
        Ok(Self { id, owner, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 7] = [
        Purpose::Session,
        Purpose::Invitation,
        Purpose::Reset,
        Purpose::SetUp,
        Purpose::Code,
        Purpose::Access,
        Purpose::Client,
    ];

    #[test]
    fn a_secret_serves_its_own_purpose_and_no_other() {
        let rng = Rng::system();
        for purpose in ALL {
            let (id, owner) = (Id::mint(&rng).unwrap(), Id::mint(&rng).unwrap());
            let plain = PlainSecret::mint(purpose, id, owner, &rng).unwrap();
            for other in ALL {
                let parsed = Presented::parse(other, plain.reveal());
                assert_eq!(parsed.is_ok(), other == purpose);
            }
            let parsed = Presented::parse(purpose, plain.reveal()).unwrap();
            assert_eq!((parsed.id, parsed.owner), (id, owner));
            assert!(parsed.digest.matches(&plain.digest()));
            let bearer = super::super::Credential::parse(plain.reveal());
            assert_eq!(bearer.is_ok(), purpose == Purpose::Access);
        }
    }

    #[test]
    fn what_is_shown_of_a_secret_holds_none_of_it() {
        let rng = Rng::system();
        let (id, owner) = (Id::mint(&rng).unwrap(), Id::mint(&rng).unwrap());
        let plain = PlainSecret::mint(Purpose::Session, id, owner, &rng).unwrap();
        let parsed = Presented::parse(Purpose::Session, plain.reveal()).unwrap();
        assert!(!format!("{plain:?} {parsed:?}").contains(&plain.reveal()[26..69]));
    }
}
