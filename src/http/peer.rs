//! The address that a request comes from, for throttles and logs.
//!
//! `X-Forwarded-For` counts only where the peer is one of the operator's own proxies, and then from
//! the right: what stands left of the first foreign address was written by a stranger.

use std::net::IpAddr;

use actix_web::HttpRequest;

use crate::config::Network;

/// The operator's proxies.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    trusted: Vec<Network>,
}

impl Peers {
    /// With the networks whose word about a client's address is taken.
    pub fn new(trusted: Vec<Network>) -> Self {
        Self { trusted }
    }

    /// The client's address.
    pub fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        if self.trusted.is_empty() {
            return Some(peer);
        }
        let lines = request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok());
        let forwarded: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        Some(self.client(peer, &forwarded))
    }

    fn client(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let mut address = peer;
        for hop in forwarded.iter().rev() {
            if !self.trusted.iter().any(|network| network.contains(address)) {
                break;
            }
            let Ok(next) = hop.parse() else { break };
            address = next;
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Peers::new(trusted).client(peer.parse().unwrap(), forwarded).to_string()
    }

    #[test]
    fn a_stranger_cannot_say_who_he_is() {
        assert_eq!(client(&[], "192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_what_its_client_wrote_is_not() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(client(&proxies, "10.0.0.1", &["203.0.113.5"]), "203.0.113.5");
        assert_eq!(client(&proxies, "10.0.0.1", &["127.0.0.1", "203.0.113.5", "10.0.0.2"]), "203.0.113.5");
        assert_eq!(client(&proxies, "10.0.0.1", &["203.0.113.5", "junk"]), "10.0.0.1");
        assert_eq!(client(&proxies, "10.0.0.1", &[]), "10.0.0.1");
    }
}
