//! What the server says of itself: as an authorization server (RFC 8414) and as a protected resource (RFC 9728).

use serde_json::{Value, json};

use super::resource::Resource;
use super::scope::ScopeSet;

/// Where a client authenticates how, at the token endpoint and at revocation.
const CLIENT_AUTH: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// RFC 8414 §2. `issuer` is the public URL without a slash at its end, the same bytes everywhere.
pub fn authorization_server(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "registration_endpoint": format!("{issuer}/oauth/register"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "scopes_supported": scopes(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": CLIENT_AUTH,
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTH,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{issuer}/docs"),
    })
}

/// RFC 9728 §2. Without an authorization server where there is none: then keys are the way in.
pub fn protected_resource(resource: &Resource, issuer: Option<&str>) -> Value {
    let mut document = json!({
        "resource": resource.url(),
        "resource_name": "Sequel",
        "bearer_methods_supported": ["header"],
        "scopes_supported": scopes(),
    });
    if let Some(issuer) = issuer {
        document["authorization_servers"] = json!([issuer]);
        document["resource_documentation"] = json!(format!("{issuer}/docs"));
    }
    document
}

fn scopes() -> Vec<&'static str> {
    ScopeSet::ALL.iter().map(super::scope::Scope::word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_lies_beneath_the_issuer_and_pkce_is_s256_alone() {
        let document = authorization_server("https://sequel.example.com");
        assert_eq!(document["issuer"], "https://sequel.example.com");
        let endpoints = document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint"));
        for (name, endpoint) in endpoints {
            assert!(endpoint.as_str().unwrap().starts_with("https://sequel.example.com/oauth/"), "{name}");
        }
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert!(document.get("client_id_metadata_document_supported").is_none());
    }

    #[test]
    fn a_resource_names_its_server_where_there_is_one() {
        let resource = Resource::new("https://sequel.example.com/mcp");
        let document = protected_resource(&resource, Some("https://sequel.example.com"));
        assert_eq!(document["resource"], "https://sequel.example.com/mcp");
        assert_eq!(document["authorization_servers"], json!(["https://sequel.example.com"]));
        assert!(!document["scopes_supported"].as_array().unwrap().contains(&json!("offline_access")));
        assert!(protected_resource(&resource, None).get("authorization_servers").is_none());
    }

    #[test]
    fn both_documents_are_as_they_were_committed() {
        let issuer = "https://sequel.example.com";
        let resource = Resource::new("https://sequel.example.com/mcp");
        insta::assert_json_snapshot!("authorization_server", authorization_server(issuer));
        insta::assert_json_snapshot!("protected_resource", protected_resource(&resource, Some(issuer)));
    }
}
