//! Refresh tokens: secrets whose predecessors stay useful for a while, without anything that is stored being enough to use
//! one.
//!
//! `sqr_` + grant id (10) + organization id (12) + family (22) + own (21) + checksum (6). The family part, 131 random bits,
//! is the same in all refresh tokens of a grant and nowhere else: a token that was used long ago is known by it, without
//! each being kept, and a forged one is not. The own part, 125 random bits, is a token's own; together they have the 256
//! bits of every secret here, and of what proves a token there is the digest of the whole string.
//!
//! When a token is used, its successor is *sealed* under a key that is made of the token (HKDF-SHA-256, then
//! AES-256-GCM). Who presents the used token again can have it opened; who has the store has neither.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use thiserror::Error;

use super::secret::{PlainSecret, Purpose};
use super::{
    CHECKSUM_CHARS, Digest, GrantId, KEY_CHARS, Malformed, OrgId, PREFIX_CHARS, checksum, fill_base62,
    taken_apart,
};
use crate::context::{Rng, RngError};

const MARKER: &str = "sqr_";
/// Characters before the family part: marker and both ids.
const FAMILY_FROM: usize = PREFIX_CHARS + 12;
/// Characters up to the token's own part.
const OWN_FROM: usize = FAMILY_FROM + 22;
/// Characters up to the checksum.
const CHECKSUM_FROM: usize = KEY_CHARS - CHECKSUM_CHARS;

/// What keys are made for; one of another kind would have another text.
const SALT: &[u8] = b"sequel refresh token 1";

/// What is sealed under a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealed {
    Successor,
    Access,
}

impl Sealed {
    fn info(self) -> &'static [u8] {
        match self {
            Self::Successor => b"successor",
            Self::Access => b"access token",
        }
    }
}

/// A seal that does not open: made for another token, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("what was sealed for this refresh token cannot be opened")]
pub struct BadSeal;

/// A refresh token in plaintext: presented and not verified, or just minted. Neither `Serialize` nor `Clone`, and `Debug`
/// hides it.
pub struct RefreshToken {
    /// The grant that it claims to be of.
    pub grant: GrantId,
    /// The organization that it claims.
    pub org: OrgId,
    text: String,
}

impl RefreshToken {
    /// The first one of a grant.
    pub fn mint(grant: GrantId, org: OrgId, rng: &Rng) -> Result<Self, RngError> {
        let mut family = [0; OWN_FROM - FAMILY_FROM];
        fill_base62(rng, &mut family)?;
        Self::of_family(grant, org, &family, rng)
    }

    /// The one after it.
    pub fn successor(&self, rng: &Rng) -> Result<Self, RngError> {
        Self::of_family(self.grant, self.org, &self.text.as_bytes()[FAMILY_FROM..OWN_FROM], rng)
    }

    fn of_family(grant: GrantId, org: OrgId, family: &[u8], rng: &Rng) -> Result<Self, RngError> {
        let mut own = [0; CHECKSUM_FROM - OWN_FROM];
        fill_base62(rng, &mut own)?;
        Ok(Self::assembled(grant, org, family, &own))
    }

    fn assembled(grant: GrantId, org: OrgId, family: &[u8], own: &[u8]) -> Self {
        let mut text = format!("{MARKER}{grant}{org}");
        text.extend(family.iter().chain(own).map(|byte| char::from(*byte)));
        let sum = checksum(text.as_bytes());
        text.extend(sum.map(char::from));
        debug_assert_eq!(text.len(), KEY_CHARS);
        Self { grant, org, text }
    }

    /// Reads one. Pure and cheap; noise is rejected by its checksum.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (grant, org, _) = taken_apart(MARKER, text.as_bytes())?;
        Ok(Self { grant, org, text: text.to_owned() })
    }

    /// The token, for whoever it is handed to.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// What is stored of its family's part. With everything before it, so that it is no other grant's.
    pub fn family(&self) -> Digest {
        Digest::of(&self.text.as_bytes()[..OWN_FROM])
    }

    /// Its successor, for whoever presents this one again.
    pub fn seal_successor(&self, successor: &Self, rng: &Rng) -> Result<String, RngError> {
        self.seal(Sealed::Successor, &successor.text.as_bytes()[OWN_FROM..CHECKSUM_FROM], rng)
    }

    /// The successor that was sealed for this one.
    pub fn open_successor(&self, sealed: &str) -> Result<Self, BadSeal> {
        let own = self.open(Sealed::Successor, sealed)?;
        if own.len() != CHECKSUM_FROM - OWN_FROM || !super::are_base62(&own) {
            return Err(BadSeal);
        }
        Ok(Self::assembled(self.grant, self.org, &self.text.as_bytes()[FAMILY_FROM..OWN_FROM], &own))
    }

    /// An access token of the same grant, for whoever comes to this refresh token.
    pub fn seal_access(&self, access: &PlainSecret, rng: &Rng) -> Result<String, RngError> {
        self.seal(Sealed::Access, &access.reveal().as_bytes()[FAMILY_FROM..], rng)
    }

    /// The access token that was sealed for this one.
    pub fn open_access(&self, sealed: &str) -> Result<PlainSecret, BadSeal> {
        let rest = String::from_utf8(self.open(Sealed::Access, sealed)?).map_err(|_| BadSeal)?;
        let text = format!("{}{}{}{rest}", super::ACCESS_MARKER, self.grant, self.org);
        super::secret::Presented::parse(Purpose::Access, &text).map_err(|_| BadSeal)?;
        Ok(PlainSecret::known(text))
    }

    fn key(&self, sealed: Sealed) -> LessSafeKey {
        let info = [sealed.info()];
        let secret = Salt::new(HKDF_SHA256, SALT).extract(self.text.as_bytes());
        let okm = secret.expand(&info, &AES_256_GCM).expect("HKDF gives as much as one key");
        LessSafeKey::new(UnboundKey::from(okm))
    }

    fn seal(&self, sealed: Sealed, plain: &[u8], rng: &Rng) -> Result<String, RngError> {
        let nonce = rng.bytes::<NONCE_LEN>()?;
        let mut body = plain.to_vec();
        let aad = Aad::from(&self.text.as_bytes()[..FAMILY_FROM]);
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.key(sealed)
            .seal_in_place_append_tag(nonce_used, aad, &mut body)
            .expect("some dozen bytes can be sealed");
        Ok(BASE64.encode([&nonce[..], &body].concat()))
    }

    fn open(&self, sealed: Sealed, text: &str) -> Result<Vec<u8>, BadSeal> {
        let mut body = BASE64.decode(text).map_err(|_| BadSeal)?;
        if body.len() < NONCE_LEN {
            return Err(BadSeal);
        }
        let nonce = Nonce::try_assume_unique_for_key(&body[..NONCE_LEN]).map_err(|_| BadSeal)?;
        let aad = Aad::from(&self.text.as_bytes()[..FAMILY_FROM]);
        let plain = self.key(sealed).open_within(nonce, aad, &mut body, NONCE_LEN..).map_err(|_| BadSeal)?;
        Ok(plain.to_vec())
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Id;
    use super::*;

    fn minted() -> RefreshToken {
        let rng = Rng::system();
        RefreshToken::mint(Id::mint(&rng).unwrap(), Id::mint(&rng).unwrap(), &rng).unwrap()
    }

    fn access(token: &RefreshToken) -> PlainSecret {
        PlainSecret::mint(Purpose::Access, token.grant, token.org, &Rng::system()).unwrap()
    }

    #[test]
    fn a_token_has_the_form_of_every_secret_and_comes_back() {
        let token = minted();
        assert_eq!(token.reveal().len(), KEY_CHARS);
        let parsed = RefreshToken::parse(token.reveal()).unwrap();
        assert_eq!((parsed.grant, parsed.org), (token.grant, token.org));
        assert!(parsed.digest().matches(&token.digest()) && parsed.family().matches(&token.family()));
        assert!(RefreshToken::parse(&token.reveal().replace("sqr_", "sqa_")).is_err());
        assert!(!format!("{token:?}").contains(&token.reveal()[FAMILY_FROM..]));
    }

    #[test]
    fn a_successor_is_of_the_family_and_nobody_elses_token_is() {
        let token = minted();
        let next = token.successor(&Rng::system()).unwrap();
        assert!(next.family().matches(&token.family()) && !next.digest().matches(&token.digest()));
        assert!(!minted().family().matches(&token.family()));
        // The same family's part under another grant is another family.
        let family = &token.text.as_bytes()[FAMILY_FROM..OWN_FROM];
        let moved = RefreshToken::of_family(minted().grant, token.org, family, &Rng::system()).unwrap();
        assert!(!moved.family().matches(&token.family()));
    }

    #[test]
    fn a_seal_opens_for_its_own_token_alone() {
        let (token, rng) = (minted(), Rng::system());
        let next = token.successor(&rng).unwrap();
        let sealed = token.seal_successor(&next, &rng).unwrap();
        assert_eq!(token.open_successor(&sealed).unwrap().reveal(), next.reveal());
        assert!(!sealed.contains(&next.reveal()[OWN_FROM..CHECKSUM_FROM]));
        assert_eq!(next.open_successor(&sealed).unwrap_err(), BadSeal);
        assert_eq!(minted().open_successor(&sealed).unwrap_err(), BadSeal);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert!(token.open_successor(std::str::from_utf8(&damaged).unwrap()).is_err(), "{at}");
        }
        for noise in ["", "AAAA", "!", &sealed[..20]] {
            assert!(token.open_successor(noise).is_err());
        }
    }

    #[test]
    fn an_access_token_is_sealed_under_a_key_of_its_own() {
        let (token, rng) = (minted(), Rng::system());
        let access = access(&token);
        let sealed = token.seal_access(&access, &rng).unwrap();
        assert_eq!(token.open_access(&sealed).unwrap().reveal(), access.reveal());
        assert!(token.open_successor(&sealed).is_err(), "one seal does not pass for the other");
        assert!(token.successor(&rng).unwrap().open_access(&sealed).is_err());
    }
}
