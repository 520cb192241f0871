//! An app as the server sees one: it registers, sends a person's browser to the question, redeems its code, refreshes. The
//! person is a script that posts the form as it stands on the page.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::browser::Browser;
use crate::server::TestServer;
use crate::wire::Answer;

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:33418/callback";

/// A registered client.
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

/// What a token request was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in: u64,
    pub(crate) scope: String,
}

impl Tokens {
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let json = answer.json();
        assert_eq!(json["token_type"], "Bearer");
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
            expires_in: json["expires_in"].as_u64().unwrap(),
            scope: text("scope"),
        }
    }
}

/// An error of OAuth's: its status and its word.
#[track_caller]
pub(crate) fn refused(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    assert!(json["error_description"].is_string(), "{json}");
    (answer.status, json["error"].as_str().unwrap().to_owned())
}

impl App {
    pub(crate) fn register(server: &TestServer) -> Self {
        Self::register_as(server, json!({ "client_name": "An app", "redirect_uris": [REDIRECT] }))
    }

    pub(crate) fn register_as(server: &TestServer, metadata: Value) -> Self {
        let answer = registration(server, &metadata.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
        let json = answer.json();
        let secret = json.get("client_secret").map(|secret| secret.as_str().unwrap().to_owned());
        Self { id: json["client_id"].as_str().unwrap().to_owned(), secret }
    }

    /// Where it sends a browser, with more or other parameters.
    pub(crate) fn asks(&self, other: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let own = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT),
            ("state", "a state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        query.extend_pairs(own.iter().filter(|(name, _)| !other.iter().any(|(o, _)| o == name)));
        query.extend_pairs(other);
        format!("/oauth/authorize?{}", query.finish())
    }

    /// The code that a person has it sent: they let it into an organization with all data sources.
    #[track_caller]
    pub(crate) fn code(&self, person: &mut Browser<'_>, org: &str, other: &[(&str, &str)]) -> String {
        let page = person.get(&self.asks(other));
        assert_eq!(page.status, 200, "{}", page.text());
        let answer = person.post("/oauth/consent", &approved(&hidden(&page), org));
        code_in(&answer)
    }

    /// Its first tokens.
    #[track_caller]
    pub(crate) fn authorized(&self, server: &TestServer, person: &mut Browser<'_>, org: &str) -> Tokens {
        Tokens::of(&self.redeem(server, &self.code(person, org, &[])))
    }

    pub(crate) fn redeem(&self, server: &TestServer, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", REDIRECT),
            ("client_id", &self.id),
        ];
        token(server, &fields)
    }

    pub(crate) fn refresh(&self, server: &TestServer, refresh: &str) -> Answer {
        token(server, &[("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", &self.id)])
    }

    pub(crate) fn revoke(&self, server: &TestServer, what: &str) -> Answer {
        form(server, "/oauth/revoke", &[], &[("token", what), ("client_id", &self.id)])
    }
}

/// A registration as it was sent.
pub(crate) fn registration(server: &TestServer, body: &str) -> Answer {
    server.http("POST", "/oauth/register", &[("Content-Type", "application/json")], body.as_bytes())
}

/// A token request.
pub(crate) fn token(server: &TestServer, fields: &[(&str, &str)]) -> Answer {
    form(server, "/oauth/token", &[], fields)
}

/// A form that a program sends.
pub(crate) fn form(
    server: &TestServer,
    path: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [&[("Content-Type", "application/x-www-form-urlencoded")], headers].concat();
    server.http("POST", path, &headers, body.as_bytes())
}

/// The hidden fields of the question on a page, without the token against forgery, which the browser adds.
pub(crate) fn hidden(page: &Answer) -> Vec<(String, String)> {
    let text = page.text();
    let (_, form) =
        text.split_once("action=\"/oauth/consent\"").unwrap_or_else(|| panic!("no question: {text}"));
    let mut fields = Vec::new();
    for rest in form.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        let value = rest.split('"').next().unwrap();
        let plain = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
        let value = plain.iter().fold(value.to_owned(), |value, (coded, plain)| value.replace(coded, plain));
        if name != "csrf" {
            fields.push((name.to_owned(), value));
        }
    }
    fields
}

/// What a person sends who says yes to everything in an organization.
pub(crate) fn approved<'a>(fields: &'a [(String, String)], org: &'a str) -> Vec<(&'a str, &'a str)> {
    let chosen = [("decision", "approve"), ("org", org), ("reach", "all"), ("all", org), ("days", "")];
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(chosen).collect()
}

/// The code on a person's way back, wherever the page holds that.
#[track_caller]
pub(crate) fn code_in(answer: &Answer) -> String {
    let headers = answer.headers.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().join("\n");
    let all = format!("{headers}\n{}", answer.text());
    let (_, rest) = all.split_once("code=sqc_").unwrap_or_else(|| panic!("no code: {} {all}", answer.status));
    let code: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    format!("sqc_{code}")
}
