//! RFC 8707: which resource a token is for. There is one here, the MCP endpoint.

use super::error::{Code, Refusal};
use super::params::Params;

/// The resource that this server protects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    url: String,
    origin: String,
}

impl Resource {
    /// By the public URL of the MCP endpoint, `https://host[:port]/mcp`.
    pub fn new(mcp_url: &str) -> Self {
        let from = mcp_url.find("://").map_or(0, |at| at + 3);
        let end = mcp_url[from..].find('/').map_or(mcp_url.len(), |at| from + at);
        Self { url: mcp_url.to_owned(), origin: mcp_url[..end].to_owned() }
    }

    /// Its URL: the audience of every token.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a client means this resource: by its URL, or by its origin, which is how clients call a server whose
    /// path they do not know. Scheme and host in whatever case; nothing else differs. `localhost` is not `127.0.0.1`
    /// either: on one machine they may be two programs, of which one could ask for the tokens of the other.
    pub fn is(&self, text: &str) -> bool {
        let end = self.origin.len();
        let (Some(origin), Some(path)) = (text.get(..end), text.get(end..)) else { return false };
        origin.eq_ignore_ascii_case(&self.origin)
            && (path.is_empty() || path == "/" || path == &self.url[end..])
    }

    /// Holds a request's `resource` against it. One that names none means this one.
    pub fn check(&self, params: Params<'_>) -> Result<(), Refusal> {
        let mut named = params.all("resource").filter(|text| !text.is_empty());
        match (named.next(), named.next()) {
            (None, _) => Ok(()),
            (Some(text), None) if self.is(text) => Ok(()),
            (Some(_), None) => {
                let text = format!(
                    "the resource of this server is {}: add the server to the app by this very address",
                    self.url
                );
                Err(Refusal::new(Code::InvalidTarget, text))
            }
            (Some(_), Some(_)) => Err(Refusal::new(Code::InvalidTarget, "a token is for one resource")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::params;
    use super::*;

    #[test]
    fn the_endpoint_and_its_origin_are_the_resource_and_nothing_else_is() {
        let resource = Resource::new("https://sequel.example.com/mcp");
        for text in [
            "https://sequel.example.com/mcp",
            "https://sequel.example.com",
            "https://sequel.example.com/",
            "HTTPS://Sequel.Example.COM/mcp",
        ] {
            assert!(resource.is(text), "{text}");
        }
        for text in [
            "",
            "https://sequel.example.com/mcp/",
            "https://sequel.example.com/MCP",
            "https://sequel.example.com/mcp#x",
            "https://sequel.example.com/mcp?x",
            "https://sequel.example.com:443/mcp",
            "https://sequel.example.com.evil.test/mcp",
            "http://sequel.example.com/mcp",
            "https://other.example.com/mcp",
            "sequel.example.com/mcp",
            "https://sequel.example.cöm/mcp",
        ] {
            assert!(!resource.is(text), "{text}");
        }
    }

    #[test]
    fn who_calls_this_computer_by_another_name_is_told_the_right_one() {
        let resource = Resource::new("http://127.0.0.1:7700/mcp");
        for other in ["http://localhost:7700/mcp", "http://[::1]:7700/mcp", "http://localhost:7700"] {
            let pairs = params(&[("resource", other)]);
            let refusal = resource.check(Params(&pairs)).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidTarget);
            assert!(refusal.description.contains("http://127.0.0.1:7700/mcp"), "{refusal}");
            assert!(refusal.description.contains("this very address"), "{refusal}");
        }
    }

    #[test]
    fn a_request_names_one_resource_or_none() {
        let resource = Resource::new("http://127.0.0.1:7700/mcp");
        let check = |pairs: &[(&str, &str)]| resource.check(Params(&params(pairs)));
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("resource", "http://127.0.0.1:7700/mcp")]), Ok(()));
        for wrong in [
            &[("resource", "https://other.example/mcp")][..],
            &[("resource", "http://127.0.0.1:7700/mcp#a")],
            &[("resource", "http://127.0.0.1:7700/mcp"), ("resource", "http://127.0.0.1:7700/mcp")],
        ] {
            assert_eq!(check(wrong).unwrap_err().code, Code::InvalidTarget);
        }
    }
}
