//! RFC 7591: what a client says of itself when it registers, and what it is told.
//!
//! All of it is the client's own word. Names are cleaned of what hides or turns text, links are kept where they are
//! https, and a logo is never fetched, shown or kept: it would be the one thing that people believe.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::{Code, Refusal};
use super::redirect::RedirectUri;
use super::scope::ScopeSet;
use crate::visible::{is_hidden, selects};

/// Most redirect URIs of one client; those that register many have about ten.
pub const REDIRECTS_MAX: usize = 32;
/// Most bytes of all of them. Real clients register five of 60 bytes; strangers fill no disk and no memory.
pub const REDIRECTS_BYTES_MAX: usize = 4_096;
/// Most characters of a name that are kept.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest link that is kept.
const URI_BYTES_MAX: usize = 1_024;

/// How a client proves who it is (RFC 7591 §2, RFC 6749 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: PKCE and the redirect protect it.
    None,
    /// With its secret, in the `Authorization` header.
    ClientSecretBasic,
    /// With its secret, in the body.
    ClientSecretPost,
}

impl AuthMethod {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost]
            .into_iter()
            .find(|method| method.word() == word)
    }

    /// Whether it has a secret.
    pub fn has_secret(self) -> bool {
        self != Self::None
    }
}

/// A client as it may be registered: whatever way it came, this is what decisions are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What it calls itself, cleaned; may be empty.
    pub name: String,
    /// Where it says that it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Where people may be sent back to; at least one.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it proves who it is.
    pub auth_method: AuthMethod,
}

/// The members that are looked at; what else a client sends is passed over (§2).
#[derive(Deserialize)]
struct Sent {
    redirect_uris: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    client_name: Option<String>,
    client_uri: Option<String>,
    logo_uri: Option<String>,
    scope: Option<String>,
}

impl Client {
    /// Reads what a client sent.
    pub fn register(body: &[u8]) -> Result<Self, Refusal> {
        let wrong = |text: &str| Refusal::new(Code::InvalidClientMetadata, text);
        let sent: Sent = serde_json::from_slice(body).map_err(|_| {
            wrong("the body is no JSON object of client metadata, or a member has the wrong type")
        })?;
        let redirect_uris = redirect_uris(sent.redirect_uris.unwrap_or_default())?;
        let auth_method = match &sent.token_endpoint_auth_method {
            // By the letter it would mean Basic; who says nothing has no use for a secret.
            None => AuthMethod::None,
            Some(word) => AuthMethod::of(word).ok_or_else(|| {
                wrong("token_endpoint_auth_method is none, client_secret_basic or client_secret_post")
            })?,
        };
        let lacks = |list: &Option<Vec<String>>, word: &str| {
            list.as_ref().is_some_and(|list| !list.iter().any(|found| found == word))
        };
        if lacks(&sent.grant_types, "authorization_code") {
            return Err(wrong("grant_types lacks authorization_code"));
        }
        if lacks(&sent.response_types, "code") {
            return Err(wrong("response_types lacks code"));
        }
        if sent.logo_uri.is_some_and(|uri| !uri.is_empty() && !is_web(&uri)) {
            return Err(wrong("logo_uri is no https or http URL"));
        }
        let uri = sent.client_uri.filter(|uri| !uri.is_empty());
        if uri.as_ref().is_some_and(|uri| !is_web(uri)) {
            return Err(wrong("client_uri is no https or http URL"));
        }
        ScopeSet::asked(sent.scope.as_deref().filter(|scope| !scope.is_empty()))
            .map_err(|refusal| Refusal { code: Code::InvalidClientMetadata, ..refusal })?;
        Ok(Self {
            name: clean_name(&sent.client_name.unwrap_or_default()),
            uri: uri.filter(|uri| uri.starts_with("https://")),
            redirect_uris,
            auth_method,
        })
    }

    /// What a client is told when it was registered (§3.2.1). No member is null.
    pub fn registered(&self, client_id: &str, issued_at_seconds: i64, secret: Option<&str>) -> Value {
        let mut told = Map::new();
        let mut tell = |name: &str, value: Value| {
            told.insert(name.to_owned(), value);
        };
        tell("client_id", json!(client_id));
        tell("client_id_issued_at", json!(issued_at_seconds));
        if let Some(secret) = secret {
            tell("client_secret", json!(secret));
            // Zero: it does not expire by itself.
            tell("client_secret_expires_at", json!(0));
        }
        tell("redirect_uris", json!(self.redirect_uris));
        tell("token_endpoint_auth_method", json!(self.auth_method.word()));
        tell("grant_types", json!(["authorization_code", "refresh_token"]));
        tell("response_types", json!(["code"]));
        tell("scope", json!(ScopeSet::ALL.words()));
        if !self.name.is_empty() {
            tell("client_name", json!(self.name));
        }
        if let Some(uri) = &self.uri {
            tell("client_uri", json!(uri));
        }
        Value::Object(told)
    }
}

fn redirect_uris(sent: Vec<String>) -> Result<Vec<RedirectUri>, Refusal> {
    let wrong = |text: String| Refusal::new(Code::InvalidRedirectUri, text);
    if sent.is_empty() || sent.len() > REDIRECTS_MAX {
        return Err(wrong(format!("a client has 1 to {REDIRECTS_MAX} redirect_uris")));
    }
    if sent.iter().map(String::len).sum::<usize>() > REDIRECTS_BYTES_MAX {
        return Err(wrong(format!("all redirect_uris together have at most {REDIRECTS_BYTES_MAX} bytes")));
    }
    let mut uris: Vec<RedirectUri> = Vec::with_capacity(sent.len());
    for (at, text) in sent.iter().enumerate() {
        let uri = RedirectUri::parse(text).ok_or_else(|| {
            wrong(format!(
                "redirect_uris[{at}] is neither an https URL, nor http on 127.0.0.1, [::1] or localhost, nor a \
                 program's own scheme, or is written in an unusual way"
            ))
        })?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Ok(uris)
}

fn is_web(uri: &str) -> bool {
    (uri.starts_with("https://") || uri.starts_with("http://"))
        && uri.len() <= URI_BYTES_MAX
        && uri
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'`'))
}

/// A name that a stranger chose, for people to read.
pub fn clean_name(name: &str) -> String {
    // Braille's blank stands between its words.
    let blank = |c: char| c.is_whitespace() || c == '\u{2800}';
    let visible: String = name
        .chars()
        .map(|c| if blank(c) { ' ' } else { c })
        .filter(|c| !is_hidden(*c) && !selects(*c))
        .collect();
    let words: Vec<&str> = visible.split(' ').filter(|word| !word.is_empty()).collect();
    let kept: String = words.join(" ").chars().take(NAME_CHARS_MAX).collect();
    kept.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(body: Value) -> Result<Client, Refusal> {
        Client::register(body.to_string().as_bytes())
    }

    #[test]
    fn the_example_of_the_rfc_registers() {
        // RFC 7591 §3.1, with what this server does not know left in.
        let client = register(json!({
            "redirect_uris": ["https://client.example.org/callback", "https://client.example.org/callback2"],
            "client_name": "My Example Client",
            "client_name#ja-Jpan-JP": "\u{30AF}\u{30E9}\u{30A4}\u{30A2}\u{30F3}\u{30C8}\u{540D}",
            "token_endpoint_auth_method": "client_secret_basic",
            "logo_uri": "https://client.example.org/logo.png",
            "jwks_uri": "https://client.example.org/my_public_keys.jwks",
            "example_extension_parameter": "example_value"
        }))
        .unwrap();
        assert_eq!(client.name, "My Example Client");
        assert_eq!(client.auth_method, AuthMethod::ClientSecretBasic);
        let told = client.registered("0123456789ab", 2893256800, Some("sqs_x"));
        assert_eq!(told["client_secret_expires_at"], 0);
        assert_eq!(told["client_id_issued_at"], 2893256800_i64);
        assert_eq!(told["redirect_uris"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn no_member_of_the_answer_is_null_and_the_method_is_always_told() {
        let client = register(json!({"redirect_uris": ["http://localhost:3334/oauth/callback"]})).unwrap();
        let told = client.registered("0123456789ab", 1, None);
        assert!(told.as_object().unwrap().values().all(|value| !value.is_null()));
        assert_eq!(told["token_endpoint_auth_method"], "none");
        assert!(told.get("client_secret").is_none() && told.get("client_name").is_none());
    }

    #[test]
    fn a_client_that_registers_three_classes_of_redirect_at_once_is_taken() {
        let client = register(json!({
            "client_name": "Cursor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "https://www.cursor.com/agents/mcp/oauth/callback",
                "http://localhost:8787/callback",
                "http://localhost:8787/callback",
            ],
            "grant_types": ["authorization_code", "refresh_token"],
            "application_type": "native",
        }))
        .unwrap();
        assert_eq!(client.redirect_uris.len(), 3);
    }

    #[test]
    fn what_cannot_be_registered_is_told() {
        let to = ["http://localhost/cb"];
        for (body, code) in [
            (json!({}), Code::InvalidRedirectUri),
            (json!({"redirect_uris": []}), Code::InvalidRedirectUri),
            (json!({"redirect_uris": vec!["http://localhost/cb"; 5_000]}), Code::InvalidRedirectUri),
            (json!({"redirect_uris": ["javascript:alert(1)"]}), Code::InvalidRedirectUri),
            (json!({"redirect_uris": ["http://example.com/cb"]}), Code::InvalidRedirectUri),
            (
                json!({"redirect_uris": to, "token_endpoint_auth_method": "private_key_jwt"}),
                Code::InvalidClientMetadata,
            ),
            (
                json!({"redirect_uris": to, "grant_types": ["client_credentials"]}),
                Code::InvalidClientMetadata,
            ),
            (json!({"redirect_uris": to, "response_types": ["token"]}), Code::InvalidClientMetadata),
            (
                json!({"redirect_uris": to, "logo_uri": "data:image/svg+xml,<svg/>"}),
                Code::InvalidClientMetadata,
            ),
            (json!({"redirect_uris": to, "client_uri": "javascript:alert(1)"}), Code::InvalidClientMetadata),
            (json!({"redirect_uris": to, "scope": "everything"}), Code::InvalidClientMetadata),
            (json!({"redirect_uris": "http://localhost/cb"}), Code::InvalidClientMetadata),
            (json!([]), Code::InvalidClientMetadata),
        ] {
            assert_eq!(register(body.clone()).unwrap_err().code, code, "{body}");
        }
        assert!(Client::register(b"\xff{").is_err());
    }

    #[test]
    fn a_name_hides_and_turns_nothing() {
        assert_eq!(clean_name("  Claude\u{202e}\u{200b} \n Code\t"), "Claude Code");
        for nothing in
            ["\u{0}\u{e0041}\u{3164}", "\u{2800}\u{2800}", "\u{115f}", "\u{ffa0} \u{fe0f}", "\u{1d159}"]
        {
            assert_eq!(clean_name(nothing), "", "{nothing:?}");
        }
        assert_eq!(clean_name("Claude\u{2800}\u{2800}Code"), "Claude Code");
        assert_eq!(clean_name("日本語 Ünïcode"), "日本語 Ünïcode");
        assert_eq!(clean_name(&"x".repeat(1_000)).len(), NAME_CHARS_MAX);
    }
}
