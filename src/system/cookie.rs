//! The session's cookie as browsers are given it, and the token against forged requests that goes with it. PURE.
//!
//! Over https the cookie has the prefix `__Host-`: a browser takes it only from this very host, over https, for all
//! paths, so that neither a neighbouring domain nor a plain connection can plant one. On plain http, which is for one's
//! own machine, browsers refuse that prefix, and the cookie goes without.

use ring::hmac;
use subtle::ConstantTimeEq;

use super::sessions::Lifetimes;
use crate::credential::secret::PlainSecret;

/// What a form's token says it is for; a token of another kind would have another text.
const FORM: &[u8] = b"sequel form token 1";
/// Characters of a token: 256 bits in base64 without padding.
const TOKEN_CHARS: usize = 43;

/// How the session's cookie is written and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCookie {
    over_https: bool,
}

impl SessionCookie {
    /// For the public URL that people use.
    pub fn of(public_url: &str) -> Self {
        Self { over_https: public_url.starts_with("https://") }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        if self.over_https { "__Host-sequel" } else { "sequel" }
    }

    /// The `Set-Cookie` that begins a session in a browser.
    pub fn set(self, secret: &PlainSecret, lifetimes: Lifetimes) -> String {
        // The server decides when it ends; the browser keeps it no longer than it can hold.
        let seconds = lifetimes.absolute.as_secs();
        format!("{}={}; Max-Age={seconds}{}", self.name(), secret.reveal(), self.attributes())
    }

    /// The `Set-Cookie` that takes it away.
    pub fn clear(self) -> String {
        format!("{}=; Max-Age=0{}", self.name(), self.attributes())
    }

    fn attributes(self) -> &'static str {
        // Lax: whoever follows a link into the dashboard is signed in; no foreign form or script is.
        match self.over_https {
            true => "; Path=/; Secure; HttpOnly; SameSite=Lax",
            false => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }

    /// Its value in a request's `Cookie` header.
    pub fn find(self, header: &str) -> Option<&str> {
        find(header, self.name())
    }
}

/// A cookie's value in a request's `Cookie` header. `None` where it is missing or there several times: of two, one was
/// planted, and nobody can tell which.
pub fn find<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = header.split(';').filter_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// The token that each form of a session carries: an HMAC under the cookie's own secret, which scripts cannot read and
/// other sites cannot send. It needs no key of the server's and no record, and ends with the session.
pub fn form_token(cookie: &str) -> String {
    use base64::Engine;
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hmac::sign(&key, FORM))
}

/// What the form of a decision about an app says that it is for.
const DECISION: &[u8] = b"sequel decision 1";

/// What binds the form of a decision to its session, to its nonce and to what was asked: each part with its length before
/// it, so that no two lists of parts are the same bytes.
fn decision(cookie: &str, nonce: &str, asked: &[(String, String)]) -> (hmac::Key, Vec<u8>) {
    let mut text = DECISION.to_vec();
    let parts = asked.iter().flat_map(|(name, value)| [name.as_str(), value]);
    for part in std::iter::once(nonce).chain(parts) {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    (hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes()), text)
}

/// The MAC of a decision's form.
pub fn decision_mac(cookie: &str, nonce: &str, asked: &[(String, String)]) -> String {
    use base64::Engine;
    let (key, text) = decision(cookie, nonce, asked);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hmac::sign(&key, &text))
}

/// Whether a form is what the session of this cookie was asked, in time that does not depend on where they differ.
pub fn decision_mac_holds(cookie: &str, nonce: &str, asked: &[(String, String)], presented: &str) -> bool {
    use base64::Engine;
    let (key, text) = decision(cookie, nonce, asked);
    let presented = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(presented);
    presented.is_ok_and(|presented| hmac::verify(&key, &text, &presented).is_ok())
}

/// Whether a form's token is the one of this cookie, in time that does not depend on where they differ.
pub fn form_token_holds(cookie: &str, presented: &str) -> bool {
    presented.len() == TOKEN_CHARS && form_token(cookie).as_bytes().ct_eq(presented.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::Rng;
    use crate::credential::Id;
    use crate::credential::secret::Purpose;

    const LIFETIMES: Lifetimes =
        Lifetimes { idle: Duration::from_secs(60), absolute: Duration::from_secs(3_600) };

    fn secret() -> PlainSecret {
        let rng = Rng::system();
        let (id, user) = (Id::mint(&rng).unwrap(), Id::mint(&rng).unwrap());
        PlainSecret::mint(Purpose::Session, id, user, &rng).unwrap()
    }

    #[test]
    fn over_https_a_cookie_is_bound_to_the_host_and_hidden_from_scripts() {
        let (cookie, secret) = (SessionCookie::of("https://sequel.example"), secret());
        let set = cookie.set(&secret, LIFETIMES);
        let value = secret.reveal();
        assert_eq!(
            set,
            format!("__Host-sequel={value}; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax")
        );
        assert_eq!(cookie.find(&format!("a=b; __Host-sequel={value}; c=d")), Some(value));
        assert!(cookie.clear().starts_with("__Host-sequel=; Max-Age=0;"));
        assert_eq!(SessionCookie::of("http://127.0.0.1:7667").name(), "sequel");
    }

    #[test]
    fn two_cookies_of_the_name_are_none() {
        let cookie = SessionCookie::of("https://sequel.example");
        for header in ["", "a", "x__Host-sequel=1", "__Host-sequel=1; __Host-sequel=2", "__Host-Sequel=1"] {
            assert_eq!(cookie.find(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_form_belongs_to_its_session_alone_and_its_token_gives_nothing_away() {
        let (mine, other) = (secret(), secret());
        let token = form_token(mine.reveal());
        assert_eq!(token.len(), TOKEN_CHARS);
        assert!(form_token_holds(mine.reveal(), &token));
        assert!(!form_token_holds(other.reveal(), &token));
        for wrong in ["", &token[..42], &format!("{token}A"), &token.to_lowercase()] {
            assert!(!form_token_holds(mine.reveal(), wrong));
        }
        assert!(!token.contains(&mine.reveal()[26..40]));
    }

    #[test]
    fn a_decision_belongs_to_its_session_its_nonce_and_what_was_asked() {
        let asked = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mine = asked(&[("client_id", "a"), ("scope", "b")]);
        let mac = decision_mac("cookie", "nonce", &mine);
        assert!(decision_mac_holds("cookie", "nonce", &mine, &mac));
        assert!(!decision_mac_holds("other", "nonce", &mine, &mac));
        assert!(!decision_mac_holds("cookie", "other", &mine, &mac));
        for other in [
            asked(&[("client_id", "a"), ("scope", "c")]),
            asked(&[("scope", "b"), ("client_id", "a")]),
            asked(&[("client_ida", ""), ("scope", "b")]),
            asked(&[("client_id", "a")]),
        ] {
            assert!(!decision_mac_holds("cookie", "nonce", &other, &mac), "{other:?}");
        }
        for noise in ["", "!", &mac[..42], &form_token("cookie")] {
            assert!(!decision_mac_holds("cookie", "nonce", &mine, noise));
        }
    }

    #[test]
    fn a_form_token_is_the_hmac_that_others_compute() {
        // Computed apart: HMAC-SHA256("sqk_", "sequel form token 1") by another implementation.
        assert_eq!(form_token("sqk_"), EXPECTED);
    }

    const EXPECTED: &str = "KX4kBzVCHIgl2imsBWDG2hFxAvyDy0YxiYXje8CvMZw";
}
