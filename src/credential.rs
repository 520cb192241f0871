//! Bearer credentials: mint and parse, and the types that keep plaintext away from storage.
//!
//! An API key is `sql_` + key id (10) + organization id (12) + secret (43) + checksum (6), all
//! base62 and of fixed width: 75 characters that `\bsql_[0-9A-Za-z]{71}\b` finds in a leak. 62⁴³
//! exceeds 2²⁵⁶, so 43 characters carry 256 random bits. The checksum rejects noise and typing
//! errors offline; it proves nothing. What proves is the SHA-256 digest of the *whole* string, so
//! that no part of one credential can be transplanted into another.
//!
//! What OAuth hands out has the same form under markers of its own: access tokens (`sqa_`) are bearer
//! credentials beside keys, and name their grant where a key names itself; the others are in [`secret`]
//! and [`refresh`].
//!
//! This module knows no store, no clock and no organization: a parsed credential carries a
//! *claimed* organization id and nothing more.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::context::{Rng, RngError};

pub mod refresh;
pub mod secret;

/// The marker of an API key.
pub const KEY_MARKER: &str = "sql_";
/// The marker of an access token.
pub const ACCESS_MARKER: &str = "sqa_";
/// Characters of a whole API key.
pub const KEY_CHARS: usize = 75;
/// Characters of the prefix that stays visible: marker and key id.
pub const PREFIX_CHARS: usize = 14;

const KEY_ID_CHARS: usize = 10;
const ORG_ID_CHARS: usize = 12;
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `N` random base62 characters that name something. Copied like a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<const N: usize>([u8; N]);

/// Names one API key in its organization.
pub type KeyId = Id<KEY_ID_CHARS>;
/// Names one organization. Random, never a slug: it cannot be guessed from a name.
pub type OrgId = Id<ORG_ID_CHARS>;
/// Names one data source in its organization.
pub type SourceId = Id<10>;
/// Names one user of this server.
pub type UserId = Id<12>;
/// Names one session of its user.
pub type SessionId = Id<10>;
/// Names one invitation in its organization.
pub type InvitationId = Id<10>;
/// Names one grant in its organization: what a person has authorized an app to do. Beside keys, so that whatever is
/// counted by who asks needs no second place.
pub type GrantId = KeyId;
/// Names one registered OAuth client of this server.
pub type ClientId = Id<12>;

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an id")]
pub struct IdError;

impl<const N: usize> Id<N> {
    /// The first of all ids, for where none is meant.
    pub const NIL: Self = Self([b'0'; N]);

    /// A fresh random id.
    pub fn mint(rng: &Rng) -> Result<Self, RngError> {
        let mut id = [0; N];
        fill_base62(rng, &mut id)?;
        Ok(Self(id))
    }

    /// The id's characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ids are base62, hence ASCII")
    }
}

/// By character of base62, one more than its place in the alphabet; zero for all other bytes.
const PLACES: [u8; 256] = {
    let (mut places, mut at) = ([0; 256], 0);
    while at < ALPHABET.len() {
        places[ALPHABET[at] as usize] = at as u8 + 1;
        at += 1;
    }
    places
};

impl Id<10> {
    /// All of it in one number, six bits for each character: different ids are different numbers.
    pub(crate) fn packed(&self) -> NonZeroU64 {
        let packed =
            self.0.iter().fold(0, |packed, byte| packed << 6 | u64::from(PLACES[usize::from(*byte)]));
        NonZeroU64::new(packed).expect("no character of an id has the place zero")
    }
}

impl<const N: usize> FromStr for Id<N> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes: [u8; N] = text.as_bytes().try_into().map_err(|_| IdError)?;
        if are_base62(&bytes) { Ok(Self(bytes)) } else { Err(IdError) }
    }
}

/// Whether all bytes are letters or digits of ASCII. Every byte is looked at, whatever was found before: without an
/// early end a compiler takes them sixteen at a time, and this is done for each request.
fn are_base62(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The SHA-256 of a whole credential string: what is stored, and all that is.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    fn of(text: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, text);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Whether both are equal, in time that does not depend on where they differ.
    pub fn matches(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

impl Serialize for Digest {
    /// 64 lower-case hexadecimal digits.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not by `write!`: a grant's record has up to 130 of them, and is written at each refresh.
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        let hex: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("a digest is 64 hexadecimal digits");
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let mut digest = [0; 32];
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(wrong());
        }
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = value(*high).zip(value(*low)).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
        }
        Ok(Self(digest))
    }
}

/// A freshly minted API key in plaintext. It can be shown, and not stored: it is neither `Serialize`
/// nor `Clone`, and `Debug` hides it.
pub struct PlainKey(String);

impl PlainKey {
    /// Mints the secret of a key.
    pub fn mint(id: KeyId, org: OrgId, rng: &Rng) -> Result<Self, RngError> {
        assembled(KEY_MARKER, id, org, rng).map(Self)
    }

    /// The key, for the one time that it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(…)")
    }
}

/// A credential that a client presented: well-formed, and not yet verified.
#[derive(Debug, Clone, Copy)]
pub struct Credential {
    /// The organization that it *claims*.
    pub org: OrgId,
    /// The key that it claims to be, or the grant that it claims to be a token of.
    pub id: KeyId,
    /// Which of the two.
    pub kind: CredentialKind,
    /// The digest of the whole string as presented.
    pub digest: Digest,
}

/// What a bearer credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key.
    Key,
    /// An access token.
    Access,
}

/// A bearer string that is no credential of ours: too short, wrong marker, wrong checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a credential of this server")]
pub struct Malformed;

impl Credential {
    /// Reads a bearer string. Pure and cheap; noise is rejected by its checksum before any look-up.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::parse_bytes(text.as_bytes())
    }

    /// The same of bytes that may not even be text, as a header has them.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let kind = if bytes.starts_with(ACCESS_MARKER.as_bytes()) {
            CredentialKind::Access
        } else {
            CredentialKind::Key
        };
        let (id, org, digest) = taken_apart(kind.marker(), bytes)?;
        Ok(Self { org, id, kind, digest })
    }

    /// What may be shown of it: marker and id.
    pub fn prefix(&self) -> String {
        format!("{}{}", self.kind.marker(), self.id)
    }
}

impl CredentialKind {
    const fn marker(self) -> &'static str {
        match self {
            Self::Key => KEY_MARKER,
            Self::Access => ACCESS_MARKER,
        }
    }
}

/// A secret with all that stands around it.
fn assembled(marker: &str, id: Id<10>, owner: Id<12>, rng: &Rng) -> Result<String, RngError> {
    let mut text = String::with_capacity(KEY_CHARS);
    text.push_str(marker);
    text.push_str(id.as_str());
    text.push_str(owner.as_str());
    let mut secret = [0; SECRET_CHARS];
    fill_base62(rng, &mut secret)?;
    text.push_str(std::str::from_utf8(&secret).expect("base62 is ASCII"));
    let checksum = checksum(text.as_bytes());
    text.push_str(std::str::from_utf8(&checksum).expect("base62 is ASCII"));
    debug_assert_eq!(text.len(), KEY_CHARS);
    Ok(text)
}

/// The two ids that a well-formed secret of this kind claims, and the digest of the whole of it.
#[inline]
fn taken_apart(marker: &str, bytes: &[u8]) -> Result<(Id<10>, Id<12>, Digest), Malformed> {
    let whole: &[u8; KEY_CHARS] = bytes.try_into().map_err(|_| Malformed)?;
    let (found, body) = whole.split_at(marker.len());
    if found != marker.as_bytes() || !are_base62(body) {
        return Err(Malformed);
    }
    let (checked, sum) = whole.split_at(KEY_CHARS - CHECKSUM_CHARS);
    if checksum(checked) != sum {
        return Err(Malformed);
    }
    let (id, rest) = body.split_first_chunk().ok_or(Malformed)?;
    let (owner, _) = rest.split_first_chunk().ok_or(Malformed)?;
    Ok((Id(*id), Id(*owner), Digest::of(whole)))
}

/// The visible prefix of a key: marker and key id, 14 characters.
pub fn prefix(id: &KeyId) -> String {
    format!("{KEY_MARKER}{id}")
}

/// CRC-32 (IEEE) of the text in base62, most significant digit first; 62⁶ exceeds 2³².
fn checksum(text: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut crc = crc32fast::hash(text);
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    digits
}

/// Uniform base62 characters: bytes ≥ 248 (4 × 62) are thrown away, so that none is favoured.
fn fill_base62(rng: &Rng, out: &mut [u8]) -> Result<(), RngError> {
    let mut filled = 0;
    while filled < out.len() {
        for byte in rng.bytes::<64>()? {
            if byte < 248 && filled < out.len() {
                out[filled] = ALPHABET[usize::from(byte % 62)];
                filled += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    fn minted() -> (KeyId, OrgId, PlainKey) {
        let rng = Rng::system();
        let (id, org) = (KeyId::mint(&rng).unwrap(), OrgId::mint(&rng).unwrap());
        let key = PlainKey::mint(id, org, &rng).unwrap();
        (id, org, key)
    }

    #[test]
    fn a_minted_key_parses_to_its_own_id_org_and_digest() {
        let (id, org, key) = minted();
        assert_eq!(key.reveal().len(), KEY_CHARS);
        let parsed = Credential::parse(key.reveal()).unwrap();
        assert_eq!((parsed.id, parsed.org), (id, org));
        assert!(parsed.digest.matches(&key.digest()));
        assert_eq!(&key.reveal()[..PREFIX_CHARS], prefix(&id));
    }

    #[test]
    fn the_checksum_is_the_crc_32_of_ieee_in_base62() {
        // CRC-32("123456789") = 0xCBF43926 is the published check value; 0xCBF43926 = 3 421 780 262.
        let digits = checksum(b"123456789");
        let value = digits
            .iter()
            .fold(0u64, |sum, d| sum * 62 + ALPHABET.iter().position(|a| a == d).unwrap() as u64);
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn every_changed_character_is_noticed_offline() {
        let (_, _, key) = minted();
        for at in 0..KEY_CHARS {
            let mut bytes = key.reveal().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(
                Credential::parse(std::str::from_utf8(&bytes).unwrap()).unwrap_err(),
                Malformed,
                "at {at}"
            );
        }
    }

    #[test]
    fn a_part_transplanted_from_another_key_changes_the_digest() {
        let (_, org, key) = minted();
        let (_, other_org, other) = minted();
        let mut text = key.reveal()[..KEY_CHARS - CHECKSUM_CHARS].replace(org.as_str(), other_org.as_str());
        text.push_str(std::str::from_utf8(&checksum(text.as_bytes())).unwrap());
        let forged = Credential::parse(&text).unwrap();
        assert_eq!(forged.org, other_org);
        assert!(!forged.digest.matches(&key.digest()) && !forged.digest.matches(&other.digest()));
    }

    #[test]
    fn neither_debug_shows_the_secret() {
        let (_, _, key) = minted();
        let parsed = Credential::parse(key.reveal()).unwrap();
        let shown = format!("{key:?} {parsed:?} {:?}", key.digest());
        assert!(!shown.contains(&key.reveal()[PREFIX_CHARS + ORG_ID_CHARS..]));
        assert!(!shown.contains(&serde_json::to_string(&key.digest()).unwrap()[1..65]));
    }

    #[test]
    fn a_digest_survives_json() {
        let (_, _, key) = minted();
        let json = serde_json::to_string(&key.digest()).unwrap();
        assert!(serde_json::from_str::<Digest>(&json).unwrap().matches(&key.digest()));
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
    }

    #[test]
    fn packed_ids_differ_wherever_the_ids_do() {
        let packed = |text: &str| text.parse::<KeyId>().unwrap().packed();
        let mut seen = std::collections::HashSet::from([packed("0000000000")]);
        for at in 0..KEY_ID_CHARS {
            for character in &ALPHABET[1..] {
                let mut id = *b"0000000000";
                id[at] = *character;
                assert!(seen.insert(packed(std::str::from_utf8(&id).unwrap())));
            }
        }
        assert!(packed("zzzzzzzzzz").get() < 1 << 60);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,100}") {
            let _ = Credential::parse(&text);
        }

        #[test]
        fn parsing_noise_of_the_right_shape_fails(body in "[0-9A-Za-z]{71}") {
            // One in 2³² would pass the checksum by chance.
            let text = format!("sql_{body}");
            prop_assert!(Credential::parse(&text).is_err());
        }
    }
}
