//! `[server]`: where Sequel listens, what it calls itself, and the limits of its HTTP side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::key::{Key, integer, text, texts};
use sequel_connector::Network;

/// The `[server]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What clients reach this server by, without a trailing slash; empty: `http://<listen>`, or
    /// `https://<listen>` with a certificate.
    pub public_url: String,
    /// HTTP worker threads; 0: one a core.
    pub workers: usize,
    /// Browser origins accepted beside the public URL's own.
    pub allowed_origins: Vec<String>,
    /// `Host` names accepted beside the public URL's own.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose word about the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Longest request body.
    pub body_max_bytes: usize,
    /// How long a client may take to send a request's head.
    pub client_request_timeout_ms: u64,
    /// How long an idle connection is kept; 0 closes after each answer.
    pub keep_alive_seconds: u64,
    /// Most connections at once, for each worker.
    pub connections_max: usize,
    /// How long running calls may go on after a stop was asked for.
    pub shutdown_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7700)),
            public_url: String::new(),
            workers: 0,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            body_max_bytes: 1_048_576,
            client_request_timeout_ms: 10_000,
            keep_alive_seconds: 75,
            connections_max: 25_000,
            shutdown_seconds: 30,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    text("server.listen", "an IP address and a port, such as \"127.0.0.1:7700\" or \"[::1]:7700\"", |text| {
        text.parse::<SocketAddr>().is_ok()
    }),
    text(
        "server.public_url",
        "empty, or scheme, host and port alone, such as \"https://sequel.example.com\"",
        is_public_url,
    ),
    integer("server.workers", 0, 1_024),
    texts("server.allowed_origins", "an origin, such as \"https://app.example.com\"", is_origin),
    texts("server.allowed_hosts", "a host name with or without a port, such as \"sequel.internal\"", is_host),
    texts("server.trusted_proxies", "an IP address or network, such as \"10.0.0.0/8\"", |text| {
        text.parse::<Network>().is_ok()
    }),
    integer("server.body_max_bytes", 1_024, 67_108_864),
    integer("server.client_request_timeout_ms", 100, 600_000),
    integer("server.keep_alive_seconds", 0, 3_600),
    integer("server.connections_max", 1, 1_000_000),
    integer("server.shutdown_seconds", 0, 3_600),
];

impl Server {
    /// The public URL without a trailing slash: the configured one, or this scheme and the address
    /// that was really bound (an unspecified address such as `0.0.0.0` becomes the loopback one,
    /// which is where a client on this machine reaches it).
    pub(super) fn public_url(&self, scheme: &str, bound: SocketAddr) -> String {
        if !self.public_url.is_empty() {
            return self.public_url.trim_end_matches('/').to_owned();
        }
        let ip = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("{scheme}://{}", SocketAddr::new(ip, bound.port()))
    }
}

fn bare(text: &str) -> Option<url::Url> {
    // The URL parser is lenient (it drops tabs, turns backslashes); what it changes is refused here.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return None;
    }
    let url = url::Url::parse(text).ok()?;
    let nothing_more = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && text.contains("://");
    (nothing_more && url.host_str().is_some_and(|host| !host.is_empty())).then_some(url)
}

fn is_public_url(text: &str) -> bool {
    text.is_empty() || bare(text).is_some_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_origin(text: &str) -> bool {
    // Any scheme: editors have origins of their own (`vscode-webview://…`).
    !text.ends_with('/') && bare(text).is_some()
}

fn is_host(text: &str) -> bool {
    // No pattern is ever matched, and a colon promises a port.
    !text.contains(['/', '*']) && !text.ends_with(':') && bare(&format!("http://{text}")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_follows_the_bound_address_unless_it_is_configured() {
        let bound = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut server = Server::default();
        assert_eq!(server.public_url("http", bound("127.0.0.1:8123")), "http://127.0.0.1:8123");
        assert_eq!(server.public_url("https", bound("0.0.0.0:80")), "https://127.0.0.1:80");
        assert_eq!(server.public_url("http", bound("[::]:80")), "http://[::1]:80");
        server.public_url = "https://sequel.example.com/".to_owned();
        assert_eq!(server.public_url("http", bound("127.0.0.1:8123")), "https://sequel.example.com");
    }

    #[test]
    fn urls_with_more_than_scheme_host_and_port_are_refused() {
        for good in ["", "http://localhost:7700", "https://sequel.example.com/", "https://[::1]:7"] {
            assert!(is_public_url(good), "{good}");
        }
        for bad in [
            "x",
            "https://",
            "ftp://h",
            "https://u@h",
            "https://h/a",
            "https://h?q",
            "https://h#f",
            "http:h",
            "https://h\t",
        ] {
            assert!(!is_public_url(bad), "{bad}");
        }
        assert!(is_origin("vscode-webview://abc") && !is_origin("https://h/") && !is_origin("null"));
        for good in ["h", "h:80", "sequel.internal", "10.0.0.1:7700", "[::1]", "[::1]:80"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "", "http://h", "h/", "h:", "h:x", "h:65536", ":80", "::1", "[::1", "u@h", "h?q", "h#f", "a b",
            "*.h", "h\\i",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
