//! RFC 7636: proof key for code exchange. `S256` only, and always.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::error::{Code, Refusal};
use super::params::Params;

/// Fewest characters of a verifier (§4.1).
const VERIFIER_MIN: usize = 43;
/// Most.
const VERIFIER_MAX: usize = 128;

/// What a client has committed itself to: the SHA-256 of its verifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// Of an authorization request (§4.3).
    pub fn read(params: Params<'_>) -> Result<Self, Refusal> {
        let refused = |text: &str| Refusal::new(Code::InvalidRequest, text);
        let challenge = params.get("code_challenge")?;
        let challenge = challenge.ok_or_else(|| refused("PKCE is required: code_challenge is missing"))?;
        match params.get("code_challenge_method")? {
            Some("S256") => {}
            // Left out it would mean `plain`, which proves nothing to whoever reads along.
            _ => return Err(refused("the only code_challenge_method is S256")),
        }
        Self::parse(challenge)
            .ok_or_else(|| refused("code_challenge is no SHA-256 in base64url without padding"))
    }

    fn parse(text: &str) -> Option<Self> {
        // Without a look at the length first, a long text would be decoded for nothing.
        if text.len() != 43 {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether the verifier with this SHA-256 is the one that was meant. Every byte is looked at, wherever they differ.
    pub fn holds(&self, verifier_sha256: &[u8; 32]) -> bool {
        self.0.iter().zip(verifier_sha256).fold(0, |differ, (mine, theirs)| differ | (mine ^ theirs)) == 0
    }
}

/// The verifier of a token request, if it has the form of one (§4.1).
pub fn verifier(text: &str) -> Result<&str, Refusal> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if (VERIFIER_MIN..=VERIFIER_MAX).contains(&text.len()) && text.bytes().all(unreserved) {
        return Ok(text);
    }
    Err(Refusal::new(Code::InvalidGrant, "code_verifier has 43 to 128 letters, digits, '-', '.', '_' or '~'"))
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Challenge {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Challenge {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a challenge"))
    }
}

/// RFC 7636, appendix B: the verifier, its SHA-256 octets and the challenge.
#[cfg(test)]
pub(super) mod vectors {
    pub(in crate::oauth) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    pub(in crate::oauth) const SHA256: [u8; 32] = [
        19, 211, 30, 150, 26, 26, 216, 236, 47, 22, 177, 12, 76, 152, 46, 8, 118, 168, 120, 173, 109, 241,
        68, 86, 110, 225, 137, 74, 203, 112, 249, 195,
    ];
    pub(in crate::oauth) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
}

#[cfg(test)]
mod tests {
    use super::super::params::params;
    use super::vectors::*;
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Challenge, Refusal> {
        Challenge::read(Params(&params(pairs)))
    }

    #[test]
    fn the_challenge_of_the_rfc_holds_for_its_verifier_and_no_other() {
        let challenge = read(&[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]).unwrap();
        assert_eq!(verifier(VERIFIER).unwrap(), VERIFIER);
        assert!(challenge.holds(&SHA256));
        for at in 0..32 {
            let mut other = SHA256;
            other[at] ^= 1;
            assert!(!challenge.holds(&other));
        }
        assert_eq!(serde_json::to_value(challenge).unwrap(), CHALLENGE);
    }

    #[test]
    fn nothing_but_s256_is_taken() {
        for method in ["plain", "", "s256", "S512", "none"] {
            let refused = read(&[("code_challenge", CHALLENGE), ("code_challenge_method", method)]);
            assert_eq!(refused.unwrap_err().code, Code::InvalidRequest, "{method:?}");
        }
        assert!(read(&[("code_challenge", CHALLENGE)]).is_err(), "a missing method would mean plain");
        assert!(read(&[("code_challenge_method", "S256")]).is_err());
        for challenge in ["x", &CHALLENGE[..42], &format!("{CHALLENGE}A"), &CHALLENGE.replace('-', "+")] {
            let refused = read(&[("code_challenge", challenge), ("code_challenge_method", "S256")]);
            assert!(refused.is_err(), "{challenge}");
        }
    }

    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        assert!(verifier(&"a".repeat(43)).is_ok() && verifier(&"~".repeat(128)).is_ok());
        for wrong in ["", &"a".repeat(42), &"a".repeat(129), &format!("{} ", "a".repeat(43)), &"ä".repeat(30)]
        {
            assert_eq!(verifier(wrong).unwrap_err().code, Code::InvalidGrant, "{wrong:?}");
        }
    }
}
