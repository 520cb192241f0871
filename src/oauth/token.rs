//! The token endpoint (RFC 6749 §3.2, §4.1.3, §5, §6): what a client asks for, how it proves who it is, whether a code is
//! redeemed, and what it is answered.

use serde::Serialize;

use super::client::AuthMethod;
use super::error::{Code, Refusal};
use super::grant::{Redeemable, Stage};
use super::params::Params;
use super::pkce;
use super::resource::Resource;
use super::scope::ScopeSet;

/// What is wrong with a code or refresh token that is none, over, used, revoked or another client's.
pub const NOT_VALID: &str =
    "the code or refresh token is not valid, has ended or was revoked, or is not this client's";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Tokens for a code.
    Code {
        /// The code.
        code: &'a str,
        /// The verifier, which has the form of one.
        verifier: &'a str,
        /// Where it was sent to, if that is said.
        redirect_uri: Option<&'a str>,
    },
    /// Tokens for a refresh token.
    Refresh {
        /// The refresh token.
        token: &'a str,
        /// Fewer scopes, where that is said.
        scope: Option<&'a str>,
    },
}

impl<'a> Asked<'a> {
    /// Reads a request. What is wrong with it is told before anything is spent.
    pub fn read(params: Params<'a>, resource: &Resource) -> Result<Self, Refusal> {
        let asked = match params.need("grant_type")? {
            "authorization_code" => Self::Code {
                code: params.need("code")?,
                verifier: pkce::verifier(params.need("code_verifier")?)?,
                redirect_uri: params.get("redirect_uri")?,
            },
            "refresh_token" => {
                Self::Refresh { token: params.need("refresh_token")?, scope: params.get("scope")? }
            }
            _ => {
                let text = "the grant types are authorization_code and refresh_token";
                return Err(Refusal::new(Code::UnsupportedGrantType, text));
            }
        };
        resource.check(params)?;
        Ok(asked)
    }
}

/// How a client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Which client.
    pub client_id: &'a str,
    /// By which method.
    pub method: AuthMethod,
    /// Its secret; empty without one.
    pub secret: &'a str,
}

/// The content of an `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// None was sent.
    Missing,
    /// Client id and secret.
    Basic(String, String),
    /// Something else.
    Malformed,
}

impl Header {
    /// Reads the header's value: Basic, of which both parts are form-encoded first (§2.3.1).
    pub fn read(value: &[u8]) -> Self {
        Self::basic(value).unwrap_or(Self::Malformed)
    }

    fn basic(value: &[u8]) -> Option<Self> {
        use base64::Engine as _;
        let (scheme, rest) = value.split_at_checked("basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim_ascii()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some(Self::Basic(decoded_form(id)?, decoded_form(secret)?))
    }
}

/// What `application/x-www-form-urlencoded` stands for.
fn decoded_form(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

impl<'a> Claim<'a> {
    /// Reads how a client says who it is; by one way only (§2.3). Its own id in the body beside Basic is no second one.
    pub fn read(header: &'a Header, params: Params<'a>) -> Result<Self, Refusal> {
        let (id, secret) = (params.get("client_id")?, params.get("client_secret")?);
        let unknown = |text: &str| Refusal::new(Code::InvalidClient, text);
        match header {
            Header::Malformed => {
                Err(unknown("the Authorization header is no Basic with client id and secret"))
            }
            Header::Basic(..) if secret.is_some() => {
                Err(Refusal::new(Code::InvalidRequest, "a client authenticates in one way, not in two"))
            }
            Header::Basic(client_id, _) if id.is_some_and(|id| id != client_id) => Err(Refusal::new(
                Code::InvalidRequest,
                "client_id is another one than in the Authorization header",
            )),
            Header::Basic(client_id, secret) => {
                Ok(Self { client_id, method: AuthMethod::ClientSecretBasic, secret })
            }
            Header::Missing => {
                let client_id = id.ok_or_else(|| unknown("the client does not say who it is"))?;
                Ok(match secret {
                    Some(secret) => Self { client_id, method: AuthMethod::ClientSecretPost, secret },
                    None => Self { client_id, method: AuthMethod::None, secret: "" },
                })
            }
        }
    }

    /// Holds the claim against how the client registered. `secret_holds` is asked where it has a secret.
    pub fn check(
        &self,
        registered: AuthMethod,
        secret_holds: impl FnOnce(&str) -> bool,
    ) -> Result<(), Refusal> {
        let refused = |text: String| Err(Refusal::new(Code::InvalidClient, text));
        if self.method != registered {
            return refused(format!("the client is registered to authenticate with {}", registered.word()));
        }
        match registered.has_secret() && !secret_holds(self.secret) {
            true => refused("the client secret is wrong".to_owned()),
            false => Ok(()),
        }
    }
}

/// What a code comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Redemption {
    /// Tokens are issued.
    Exchange,
    /// It was redeemed before: what came of that ends (§4.1.2).
    Replayed,
    /// Nothing happens, and the code is as good as before.
    Refused(Refusal),
}

/// An attempt to redeem a code.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Whether the client is the one that the code was issued to.
    pub is_its_client: bool,
    /// SHA-256 of the verifier.
    pub verifier_sha256: &'a [u8; 32],
    /// Where the code was sent to, if that is said.
    pub redirect_uri: Option<&'a str>,
}

/// Holds an attempt against a grant. `is` says whether a digest is that of the presented code.
pub fn redeem<D, T: Copy + Ord>(
    stage: &Stage<D, T>,
    is: impl Fn(&D) -> bool,
    attempt: Attempt<'_>,
    now: T,
) -> Redemption {
    let (code, is_over) = match stage {
        Stage::Fulfilled(fulfilled) => (&fulfilled.code, now >= fulfilled.expires_at),
        Stage::Exchanged(exchanged) => (&exchanged.code, false),
    };
    let refused = |text: &str| Redemption::Refused(Refusal::new(Code::InvalidGrant, text));
    // All of it before anything ends: whoever has the code alone can neither use nor spoil it.
    if !is(&code.digest) || !attempt.is_its_client {
        // Word for word what is said where there is no such grant: who held a token once learns nothing about it now.
        return refused(NOT_VALID);
    }
    if !code.challenge.holds(attempt.verifier_sha256) {
        return refused("code_verifier is not the one of code_challenge");
    }
    if !goes_to(code, attempt.redirect_uri) {
        return refused("redirect_uri is not the one of the authorization request");
    }
    match stage {
        Stage::Exchanged(_) => Redemption::Replayed,
        Stage::Fulfilled(_) if is_over => refused("the code has expired"),
        Stage::Fulfilled(_) => Redemption::Exchange,
    }
}

fn goes_to<D>(code: &Redeemable<D>, named: Option<&str>) -> bool {
    match named {
        Some(named) => named == code.redirect_uri,
        None => !code.redirect_was_named,
    }
}

/// What a client is answered (§5.1).
#[derive(Serialize)]
pub struct Tokens<'a> {
    /// The access token.
    pub access_token: &'a str,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds that the access token still lives.
    pub expires_in: i64,
    /// The refresh token, always.
    pub refresh_token: &'a str,
    /// What it is good for.
    pub scope: ScopeSet,
}

#[cfg(test)]
mod tests {
    use super::super::grant::samples::*;
    use super::super::params::params;
    use super::super::pkce::vectors::{SHA256, VERIFIER};
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<String, Code> {
        let pairs = params(pairs);
        let asked = Asked::read(Params(&pairs), &Resource::new("https://sequel.example.com/mcp"));
        asked.map(|asked| format!("{asked:?}")).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_request_is_read_or_told_what_is_wrong() {
        let code = [("grant_type", "authorization_code"), ("code", "c"), ("code_verifier", VERIFIER)];
        assert!(asked(&code).is_ok());
        assert!(asked(&[("grant_type", "refresh_token"), ("refresh_token", "r")]).is_ok());
        for (pairs, error) in [
            (&[][..], Code::InvalidRequest),
            (&[("grant_type", "password")], Code::UnsupportedGrantType),
            (&[("grant_type", "client_credentials")], Code::UnsupportedGrantType),
            (&code[..2], Code::InvalidRequest),
            (&[code[0], code[1], ("code_verifier", "short")], Code::InvalidGrant),
            (&[code[0], code[1], code[1], code[2]], Code::InvalidRequest),
            (&[code[0], code[1], code[2], ("resource", "https://evil.test")], Code::InvalidTarget),
            (&[("grant_type", "refresh_token")], Code::InvalidRequest),
        ] {
            assert_eq!(asked(pairs), Err(error), "{pairs:?}");
        }
    }

    fn claim(header: Header, pairs: &[(&str, &str)]) -> Result<(String, AuthMethod, String), Code> {
        let pairs = params(pairs);
        let claim = Claim::read(&header, Params(&pairs));
        claim.map(|c| (c.client_id.into(), c.method, c.secret.into())).map_err(|refusal| refusal.code)
    }

    #[test]
    fn basic_is_read_as_the_rfc_writes_it() {
        // RFC 6749 §2.3.1.
        let header = Header::read(b"Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
        assert_eq!(header, Header::Basic("s6BhdRkqt3".into(), "7Fjfp0ZBr1KtDRbnfVdmIw".into()));
        // "a%3Ab:c%20d+e" in base64.
        assert_eq!(Header::read(b"basic YSUzQWI6YyUyMGQrZQ=="), Header::Basic("a:b".into(), "c d e".into()));
        for wrong in
            [&b""[..], b"Basic", b"Basic ", b"Basic !!", b"Basic czZC", b"Bearer abc", b"Basic YTolenox"]
        {
            assert_eq!(Header::read(wrong), Header::Malformed, "{:?}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_client_says_who_it_is_in_one_way() {
        let basic = || Header::Basic("a".into(), "s".into());
        assert_eq!(
            claim(basic(), &[("client_id", "a")]),
            Ok(("a".into(), AuthMethod::ClientSecretBasic, "s".into()))
        );
        assert_eq!(claim(basic(), &[("client_id", "b")]), Err(Code::InvalidRequest));
        assert_eq!(claim(basic(), &[("client_secret", "s")]), Err(Code::InvalidRequest));
        assert_eq!(claim(Header::Malformed, &[("client_id", "a")]), Err(Code::InvalidClient));
        let post = [("client_id", "a"), ("client_secret", "s")];
        assert_eq!(claim(Header::Missing, &post), Ok(("a".into(), AuthMethod::ClientSecretPost, "s".into())));
        assert_eq!(claim(Header::Missing, &post[..1]), Ok(("a".into(), AuthMethod::None, String::new())));
        assert_eq!(claim(Header::Missing, &[]), Err(Code::InvalidClient));
    }

    #[test]
    fn a_client_authenticates_exactly_as_it_registered() {
        let methods = [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];
        for (used, registered) in
            methods.iter().flat_map(|used| methods.map(|registered| (*used, registered)))
        {
            let claim = Claim { client_id: "a", method: used, secret: "s" };
            assert_eq!(claim.check(registered, |secret| secret == "s").is_ok(), used == registered);
            assert_eq!(
                claim.check(registered, |_| false).is_ok(),
                used == registered && used == AuthMethod::None
            );
        }
    }

    fn attempt(verifier_sha256: &[u8; 32]) -> Attempt<'_> {
        Attempt { is_its_client: true, verifier_sha256, redirect_uri: Some("http://localhost:7/cb") }
    }

    #[test]
    fn a_code_is_redeemed_once_by_its_client_with_the_verifier_in_time() {
        let fresh = Stage::Fulfilled(fulfilled());
        let used = Stage::Exchanged(fulfilled().exchange(issue(0, 0)));
        let good = attempt(&SHA256);
        assert_eq!(redeem(&fresh, |code| *code == 1, good, 59), Redemption::Exchange);
        assert_eq!(redeem(&used, |code| *code == 1, good, 59), Redemption::Replayed);
        assert_eq!(redeem(&used, |code| *code == 1, good, 1_000), Redemption::Replayed, "also much later");
        let refused =
            |outcome| matches!(outcome, Redemption::Refused(Refusal { code: Code::InvalidGrant, .. }));
        assert!(refused(redeem(&fresh, |code| *code == 1, good, 60)));
        // What is wrong neither redeems a fresh code nor ends what came of a used one.
        for stage in [&fresh, &used] {
            assert!(refused(redeem(stage, |code| *code == 2, good, 59)));
            assert!(refused(redeem(stage, |code| *code == 1, Attempt { is_its_client: false, ..good }, 59)));
            assert!(refused(redeem(stage, |code| *code == 1, attempt(&[0; 32]), 59)));
            for redirect_uri in [None, Some("http://localhost:8/cb"), Some("http://localhost:7/cb/")] {
                assert!(refused(redeem(stage, |code| *code == 1, Attempt { redirect_uri, ..good }, 59)));
            }
        }
    }

    #[test]
    fn an_answer_has_the_form_of_the_rfc() {
        let tokens = Tokens {
            access_token: "a",
            token_type: "Bearer",
            expires_in: 3600,
            refresh_token: "r",
            scope: ScopeSet::ALL,
        };
        let expected = r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"schema:read query:run"}"#;
        assert_eq!(serde_json::to_string(&tokens).unwrap(), expected);
    }
}
