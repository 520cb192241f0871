//! The authorization request (RFC 6749 §4.1.1): from parameters to a request that a person can be asked about, or to the
//! way in which it is refused.
//!
//! **Invariant:** nobody is sent anywhere before client and redirect URI are known to belong together; what is wrong with
//! either is told on a page of this server (§4.1.2.1, `what_is_wrong_with_client_or_redirect_sends_nobody_anywhere`).

use super::client::Client;
use super::error::{Code, Refusal};
use super::params::Params;
use super::pkce::Challenge;
use super::redirect::{RedirectUri, choose};
use super::resource::Resource;
use super::scope::ScopeSet;

/// Longest `state`. It comes back in a URL, and what takes URLs commonly ends at 8 KiB.
const STATE_BYTES_MAX: usize = 4_096;

/// A request that holds. The first stage of a grant: *pending*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Where the person is sent back to.
    pub redirect_uri: RedirectUri,
    /// Whether the request named it; then the token request has to name it as well (§4.1.3).
    pub redirect_was_named: bool,
    /// What it asks for.
    pub scopes: ScopeSet,
    /// What the client wants back.
    pub state: Option<String>,
    /// What the client has committed itself to.
    pub challenge: Challenge,
}

/// A request that is not put to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Told on a page of this server: who sent it is not known.
    Shown(Refusal),
    /// Told to the client.
    SentBack {
        /// Where to.
        redirect_uri: RedirectUri,
        /// What it wants back.
        state: Option<String>,
        /// What is wrong.
        refusal: Refusal,
    },
}

/// Which client a request says it is from: to be looked up before anything else.
pub fn client_id(params: Params<'_>) -> Result<&str, Refusal> {
    params.need("client_id")
}

impl AuthorizationRequest {
    /// Holds a request of this client against the rules.
    pub fn read(params: Params<'_>, client: &Client, resource: &Resource) -> Result<Self, Refused> {
        let named = params.get("redirect_uri").map_err(Refused::Shown)?;
        let redirect_uri = choose(&client.redirect_uris, named).map_err(Refused::Shown)?;
        // From here on the client can be told. A state that cannot be given back is left out.
        let state = params.get("state").ok().flatten().filter(|state| state.len() <= STATE_BYTES_MAX);
        Self::details(params, resource)
            .map(|(scopes, challenge)| Self {
                redirect_uri: redirect_uri.clone(),
                redirect_was_named: named.is_some(),
                scopes,
                state: state.map(str::to_owned),
                challenge,
            })
            .map_err(|refusal| Refused::SentBack { redirect_uri, state: state.map(str::to_owned), refusal })
    }

    fn details(params: Params<'_>, resource: &Resource) -> Result<(ScopeSet, Challenge), Refusal> {
        if params.get("state")?.is_some_and(|state| state.len() > STATE_BYTES_MAX) {
            return Err(Refusal::new(
                Code::InvalidRequest,
                format!("state has at most {STATE_BYTES_MAX} bytes"),
            ));
        }
        match params.need("response_type")? {
            "code" => {}
            _ => return Err(Refusal::new(Code::UnsupportedResponseType, "the only response_type is code")),
        }
        if params.get("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(Refusal::new(Code::InvalidRequest, "the only response_mode is query"));
        }
        if params.get("request")?.is_some() || params.get("request_uri")?.is_some() {
            return Err(Refusal::new(
                Code::InvalidRequest,
                "send the parameters themselves, not request or request_uri",
            ));
        }
        resource.check(params)?;
        let challenge = Challenge::read(params)?;
        let scopes = ScopeSet::asked(params.get("scope")?)?;
        Ok((scopes, challenge))
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::AuthMethod;
    use super::super::params::params;
    use super::super::pkce::vectors::CHALLENGE;
    use super::super::scope::Scope;
    use super::*;

    fn client() -> Client {
        let uri = |text| RedirectUri::parse(text).unwrap();
        Client {
            name: "c".into(),
            uri: None,
            redirect_uris: vec![uri("https://client.example.com/cb"), uri("http://127.0.0.1/cb")],
            auth_method: AuthMethod::None,
        }
    }

    fn good() -> Vec<(String, String)> {
        params(&[
            ("response_type", "code"),
            ("client_id", "s6BhdRkqt3"),
            ("state", "xyz"),
            ("redirect_uri", "https://client.example.com/cb"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "schema:read"),
            ("resource", "https://sequel.example.com/mcp"),
        ])
    }

    fn with(name: &str, value: Option<&str>) -> Vec<(String, String)> {
        let mut pairs = good();
        pairs.retain(|(found, _)| found != name);
        pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        pairs
    }

    fn twice(name: &str) -> Vec<(String, String)> {
        let mut pairs = good();
        let again = pairs.iter().find(|(found, _)| found == name).unwrap().clone();
        pairs.push(again);
        pairs
    }

    fn read(pairs: &[(String, String)]) -> Result<AuthorizationRequest, Refused> {
        AuthorizationRequest::read(Params(pairs), &client(), &Resource::new("https://sequel.example.com/mcp"))
    }

    #[test]
    fn a_good_request_is_read() {
        let request = read(&good()).unwrap();
        assert_eq!(request.redirect_uri.as_str(), "https://client.example.com/cb");
        assert_eq!(request.state.as_deref(), Some("xyz"));
        assert_eq!(request.scopes, ScopeSet::only(Scope::SchemaRead));
        let loopback = read(&with("redirect_uri", Some("http://127.0.0.1:49152/cb"))).unwrap();
        assert_eq!(loopback.redirect_uri.shown(), "127.0.0.1:49152");
        assert!(read(&with("resource", None)).is_ok() && read(&with("state", None)).is_ok());
    }

    #[test]
    fn what_is_wrong_with_client_or_redirect_sends_nobody_anywhere() {
        for pairs in [
            with("redirect_uri", None),
            with("redirect_uri", Some("")),
            twice("redirect_uri"),
            with("redirect_uri", Some("https://client.example.com/cb?x=1")),
            with("redirect_uri", Some("https://client.example.com/cb/../evil")),
            with("redirect_uri", Some("https://client.example.com/%63b")),
            with("redirect_uri", Some("https://client.example.com/cb#x")),
            with("redirect_uri", Some("https://x@client.example.com/cb")),
            with("redirect_uri", Some("http://localhost.evil.test/cb")),
            with("redirect_uri", Some("http://127.1/cb")),
            with("redirect_uri", Some("http://[::ffff:127.0.0.1]/cb")),
            with("redirect_uri", Some("https://client\u{3002}example.com/cb")),
            with("redirect_uri", Some("https://client.example.com/cb\t")),
            with("redirect_uri", Some("https://client.example.com\\cb")),
            with("redirect_uri", Some("JaVaScRiPt:alert(1)")),
        ] {
            assert!(matches!(read(&pairs), Err(Refused::Shown(_))), "{pairs:?}");
        }
        assert!(client_id(Params(&twice("client_id"))).is_err());
        assert!(client_id(Params(&with("client_id", None))).is_err());
    }

    #[test]
    fn everything_else_is_told_to_the_client_with_its_state() {
        for (pairs, code) in [
            (with("response_type", None), Code::InvalidRequest),
            (with("response_type", Some("token")), Code::UnsupportedResponseType),
            (twice("response_type"), Code::InvalidRequest),
            (with("response_mode", Some("fragment")), Code::InvalidRequest),
            (with("request_uri", Some("urn:x")), Code::InvalidRequest),
            (with("code_challenge", None), Code::InvalidRequest),
            (with("code_challenge_method", Some("plain")), Code::InvalidRequest),
            (with("code_challenge_method", Some("")), Code::InvalidRequest),
            (with("scope", Some("admin")), Code::InvalidScope),
            (with("resource", Some("https://evil.test/mcp")), Code::InvalidTarget),
            (with("resource", Some("https://sequel.example.com/mcp#x")), Code::InvalidTarget),
            (twice("resource"), Code::InvalidTarget),
        ] {
            let Err(Refused::SentBack { refusal, state, .. }) = read(&pairs) else { panic!("{pairs:?}") };
            assert_eq!((refusal.code, state.as_deref()), (code, Some("xyz")), "{pairs:?}");
        }
        for pairs in [twice("state"), with("state", Some(&"x".repeat(5_000)))] {
            let Err(Refused::SentBack { refusal, state, .. }) = read(&pairs) else { panic!() };
            assert_eq!((refusal.code, state), (Code::InvalidRequest, None));
        }
    }
}
