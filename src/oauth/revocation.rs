//! RFC 7009: a client gives a token back.
//!
//! A refresh token ends its grant, and so every access token of it; an access token ends by itself alone, because
//! clients give old ones back while they go on with new ones. What is no token, or none any more, is answered like one
//! that was: there is nothing left to do (§2.2). Another client's is refused.

use super::error::{Code, Refusal};
use super::params::Params;

/// The token that a request is about. The hint is not needed: a token says itself of what kind it is (§2.1).
pub fn token(params: Params<'_>) -> Result<&str, Refusal> {
    params.get("token_type_hint")?;
    params.need("token")
}

/// The answer to a client that names another's token.
pub fn of_another_client() -> Refusal {
    Refusal::new(Code::InvalidGrant, "the token was issued to another client")
}

#[cfg(test)]
mod tests {
    use super::super::params::params;
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // RFC 7009 §2.1.
        let pairs = params(&[("token", "45ghiukldjahdnhzdauz"), ("token_type_hint", "refresh_token")]);
        assert_eq!(token(Params(&pairs)).unwrap(), "45ghiukldjahdnhzdauz");
        let other = params(&[("token", "t"), ("token_type_hint", "no_such_kind")]);
        assert!(token(Params(&other)).is_ok(), "an unknown hint is passed over");
        for wrong in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
            assert_eq!(token(Params(&params(wrong))).unwrap_err().code, Code::InvalidRequest);
        }
    }
}
