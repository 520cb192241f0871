//! Which `Host` and `Origin` are ours (MCP, streamable HTTP, "Security Warning": DNS rebinding).
//!
//! They only decide whether a request is served. No URL, header or link is ever made of them: the
//! public URL is configured.

use std::net::SocketAddr;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::uri::Authority;
use url::{Host, Url};

/// The accepted hosts and origins.
#[derive(Debug, Clone)]
pub struct Hosts {
    // Lower-case names without a port; what rebinding changes is the name.
    names: Vec<String>,
    // Serialized origins, `https://host[:port]`.
    origins: Vec<String>,
}

/// A request that came under a foreign name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// `Host` is missing, doubled, malformed or not ours.
    Host,
    /// `Origin` is there and not ours.
    Origin,
}

/// A host as a URL's parser spells it: lower case, IPv6 in brackets and shortened, IPv4 in four
/// decimal numbers.
fn canonical(host: &str) -> Option<String> {
    Host::parse(host).ok().map(|host| host.to_string())
}

/// `host` of `host:port`, `[::1]` of `[::1]:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !is_bare_v6(host) =>
        {
            name
        }
        _ => host,
    }
}

/// An IPv6 address without brackets, whose last group is no port.
fn is_bare_v6(host: &str) -> bool {
    host.parse::<std::net::Ipv6Addr>().is_ok()
}

/// An origin as browsers send it. What is no web origin (`vscode-webview://abc`) has no canonical form and
/// counts as it was written; `null` is nobody's origin and never one of ours.
fn origin_of(text: &str) -> Option<String> {
    let origin = Url::parse(text).ok()?.origin();
    let text =
        if origin.is_tuple() { origin.ascii_serialization() } else { text.trim_end_matches('/').to_owned() };
    (text != "null").then_some(text)
}

impl Hosts {
    /// From the public URL, the bound address and what the operator allows beside them.
    pub fn new(public_url: &str, bound: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let public = Url::parse(public_url).ok();
        let mut names: Vec<String> = hosts.iter().filter_map(|host| canonical(without_port(host))).collect();
        names.extend(public.as_ref().and_then(|url| url.host()).map(|host| host.to_string()));
        if bound.ip().is_loopback() {
            names.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        let origins = origins.iter().map(String::as_str).chain([public_url]).filter_map(origin_of).collect();
        Self { names, origins }
    }

    /// Holds a request's `Host` against ours. Alone where any origin may call.
    pub fn check_host(&self, headers: &HeaderMap, authority: Option<&Authority>) -> Result<(), Foreign> {
        let mut hosts = headers.get_all(header::HOST);
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Foreign::Host) };
        // A target in absolute form names its host itself (RFC 9112 §3.2.2); then both have to be ours.
        let named = [host.to_str().ok(), authority.map(|authority| authority.as_str())];
        match named[0].is_some() && named.into_iter().flatten().all(|host| self.knows(host)) {
            true => Ok(()),
            false => Err(Foreign::Host),
        }
    }

    /// Holds a request's `Host` and `Origin` against ours.
    pub fn check(&self, headers: &HeaderMap, authority: Option<&Authority>) -> Result<(), Foreign> {
        self.check_host(headers, authority)?;
        let mut origins = headers.get_all(header::ORIGIN);
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) if self.origins.iter().any(|own| own.as_bytes() == origin.as_bytes()) => {
                Ok(())
            }
            _ => Err(Foreign::Origin),
        }
    }

    /// Whether a request names this machine by a name that only this machine has for itself.
    pub fn is_from_here(headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        match Host::parse(without_port(host)) {
            Ok(Host::Ipv4(address)) => address.is_loopback(),
            Ok(Host::Ipv6(address)) => address.is_loopback(),
            Ok(Host::Domain(name)) => name == "localhost",
            Err(_) => false,
        }
    }

    fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        // Names are compared as they stand: other spellings of an address are nobody's name for us.
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn check(hosts: &Hosts, headers: &[(&'static str, &'static str)]) -> Result<(), Foreign> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        hosts.check(&map, None)
    }

    fn public() -> Hosts {
        Hosts::new("https://sequel.example.com", "0.0.0.0:7700".parse().unwrap(), &[], &[])
    }

    #[test]
    fn the_public_host_is_ours_in_any_case_and_with_any_port() {
        for host in ["sequel.example.com", "Sequel.Example.COM:443", "sequel.example.com:8443"] {
            assert_eq!(check(&public(), &[("host", host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn foreign_missing_doubled_and_malformed_hosts_are_refused() {
        for host in [
            "evil.test",
            "sequel.example.com.evil.test",
            "sequel.example.com@evil.test",
            "",
            ":80",
            "a b",
            "127.0.0.1",
            "localhost",
            "%73equel.example.com",
            "sequel.example.com.",
        ] {
            assert_eq!(check(&public(), &[("host", host)]), Err(Foreign::Host), "{host}");
        }
        assert_eq!(check(&public(), &[]), Err(Foreign::Host));
        let ours = ("host", "sequel.example.com");
        assert_eq!(check(&public(), &[ours, ours]), Err(Foreign::Host));
    }

    #[test]
    fn a_loopback_server_knows_the_loopback_names() {
        let local = Hosts::new("http://127.0.0.1:7700", "127.0.0.1:7700".parse().unwrap(), &[], &[]);
        for host in ["localhost:7700", "127.0.0.1:7700", "[::1]:7700"] {
            assert_eq!(check(&local, &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(check(&local, &[("host", "rebound.evil.test:7700")]), Err(Foreign::Host));
    }

    #[test]
    fn only_our_own_and_the_allowed_origins_may_call() {
        let hosts = Hosts::new(
            "https://sequel.example.com",
            "0.0.0.0:7700".parse().unwrap(),
            &[],
            &["http://localhost:6274".into()],
        );
        let with = |origin| check(&hosts, &[("host", "sequel.example.com"), ("origin", origin)]);
        assert_eq!(with("https://sequel.example.com"), Ok(()));
        assert_eq!(with("http://localhost:6274"), Ok(()));
        for origin in
            ["null", "file://", "https://evil.test", "http://sequel.example.com", "http://localhost:6275", ""]
        {
            assert_eq!(with(origin), Err(Foreign::Origin), "{origin}");
        }
    }

    #[test]
    fn an_editors_own_origin_may_be_allowed_without_letting_null_in() {
        let bound = "127.0.0.1:7700".parse().unwrap();
        let hosts =
            Hosts::new("http://127.0.0.1:7700", bound, &[], &["vscode-webview://abc".into(), "null".into()]);
        let with = |origin| check(&hosts, &[("host", "localhost"), ("origin", origin)]);
        assert_eq!(with("vscode-webview://abc"), Ok(()));
        assert_eq!(with("null"), Err(Foreign::Origin));
        assert_eq!(with("vscode-webview://other"), Err(Foreign::Origin));
    }

    #[test]
    fn an_allowed_host_may_be_written_with_its_port() {
        let bound = "0.0.0.0:7700".parse().unwrap();
        let allowed = ["intern.example:8080".to_owned(), "[2001:db8::1]:80".to_owned()];
        let hosts = Hosts::new("https://sequel.example.com", bound, &allowed, &[]);
        for host in ["intern.example", "intern.example:8080", "[2001:db8::1]"] {
            assert_eq!(check(&hosts, &[("host", host)]), Ok(()), "{host}");
        }
    }
}
