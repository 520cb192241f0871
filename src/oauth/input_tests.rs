//! Whatever a stranger sends is read or refused, and nothing of it makes a reader stumble.

use proptest::prelude::*;

use super::authorize::AuthorizationRequest;
use super::client::{Client, clean_name};
use super::issuer::{Answer, answer};
use super::params::Params;
use super::redirect::RedirectUri;
use super::resource::Resource;
use super::scope::ScopeSet;
use super::token::{Asked, Claim, Header};

/// Names that mean something, with values that nearly do.
fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("response_type"),
        Just("redirect_uri"),
        Just("state"),
        Just("scope"),
        Just("resource"),
        Just("code_challenge"),
        Just("code_challenge_method"),
        Just("grant_type"),
        Just("code"),
        Just("code_verifier"),
        Just("refresh_token"),
        Just("client_id"),
        Just("client_secret"),
    ];
    let value = prop_oneof![
        Just("code".to_owned()),
        Just("S256".to_owned()),
        Just("http://localhost/cb".to_owned()),
        Just("authorization_code".to_owned()),
        Just("refresh_token".to_owned()),
        "[A-Za-z0-9_-]{43}",
        ".{0,60}",
    ];
    prop::collection::vec((name.prop_map(str::to_owned), value), 0..12)
}

fn client() -> Client {
    Client::register(br#"{"redirect_uris":["http://localhost/cb","cursor://a/b"]}"#).unwrap()
}

proptest! {
    #[test]
    fn a_redirect_uri_is_taken_as_it_is_or_not_at_all(text in "(https?|cursor|javascript|[a-zA-Z]{1,8})?(:|://|:/)?.{0,40}") {
        if let Some(uri) = RedirectUri::parse(&text) {
            prop_assert_eq!(uri.as_str(), &text);
            prop_assert!(uri.is(&uri) && text.contains(uri.shown()) && uri.shown().starts_with(uri.host()));
            prop_assert!(text.is_ascii() && !text.contains(['#', '\\', ' ']));
            // What comes after it stays after it, and nothing of a state becomes a parameter.
            let url = answer("https://as.example", &uri, Some("&code=x#"), Answer::Code("c"));
            prop_assert!(url.starts_with(&text) && url.matches("code=").count() <= text.matches("code=").count() + 1);
        }
    }

    #[test]
    fn requests_are_read_or_refused(params in parameters(), header in prop::collection::vec(any::<u8>(), 0..60)) {
        let resource = Resource::new("https://sequel.example/mcp");
        let _ = AuthorizationRequest::read(Params(&params), &client(), &resource);
        let _ = Asked::read(Params(&params), &resource);
        let header = Header::read(&header);
        let _ = Claim::read(&header, Params(&params));
    }

    #[test]
    fn texts_are_read_or_refused(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = ScopeSet::asked(Some(&text));
        let _ = Resource::new("https://sequel.example/mcp").is(&text);
        let _ = Client::register(&bytes);
        let cleaned = clean_name(&text);
        prop_assert_eq!(clean_name(&cleaned), cleaned);
    }
}
