//! Where connectors may connect to: the operator's policy for addresses, asked after names were resolved.
//!
//! A name says nothing about where it leads, and may lead elsewhere the next time; so the policy is about addresses, and
//! the connection is made to the very address that was judged. What is refused always no list can open: addresses
//! that mean this link, that clouds answer with credentials, or that lead nowhere.
//!
//! **Invariant:** an address that is refused in IPv4 is refused in every IPv6 form of it
//! (`every_form_of_an_address_is_judged_alike`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;

use crate::Network;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Addresses of services that hand out credentials or configuration, outside of the ranges that are refused anyway.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The operator's policy.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    /// Whether this machine and private networks may be reached where no range says otherwise.
    pub private: bool,
    /// Ranges that may be reached, also where `private` is false.
    pub allow: Vec<Network>,
    /// Ranges that may not. Of two ranges that an address is in the narrower counts, and of equal ones this.
    pub deny: Vec<Network>,
}

/// A connection that was not made.
#[derive(Debug, Error)]
pub enum EgressError {
    /// The policy forbids every address of the name. Says which setting opens it; safe to show.
    #[error("{0}")]
    Refused(String),
    /// The name has no address.
    #[error("the name of the host cannot be resolved")]
    Unresolved(#[source] std::io::Error),
    /// None of the addresses answers.
    #[error("the host does not answer")]
    Unreachable(#[source] std::io::Error),
}

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Never(&'static str),
    Private,
    Public,
}

/// The IPv4 address that an IPv6 address stands for, in each way that networks translate one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated, and ::/96 compatible, but for :: and ::1.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(of(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => {
            Some(of(high, low))
        }
        // NAT64, well-known and local.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x64, 0xff9b, 1, _, _, _, high, low] => Some(of(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => Some(of(high, low)),
        // Teredo, with its bits turned.
        [0x2001, 0, .., high, low] => Some(of(!high, !low)),
        _ => None,
    }
}

fn kind(address: IpAddr) -> Kind {
    if METADATA.contains(&address) {
        return Kind::Never("it is an address at which clouds hand out credentials");
    }
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (169, 254, _) => Kind::Never("it is a link-local address, at which clouds hand out credentials"),
        (0, ..) => Kind::Never("it is no address of a host"),
        (224.., ..) => Kind::Never("it is no address of a single host"),
        (127, ..) | (10, ..) | (192, 168, _) | (172, 16..=31, _) | (100, 64..=127, _) => Kind::Private,
        // Set aside for protocols, documentation and measurements; some networks use them inside.
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    if let Some(inner) = embedded(address) {
        return match (kind(IpAddr::V4(inner)), address.segments()) {
            // The local NAT64 leads where its network decides, which may have put the address elsewhere in it.
            (Kind::Public, [0x64, 0xff9b, 1, ..]) => Kind::Private,
            (kind, _) => kind,
        };
    }
    let first = address.segments()[0];
    match first {
        _ if address.is_unspecified() => Kind::Never("it is no address of a host"),
        0xff00.. => Kind::Never("it is no address of a single host"),
        0xfe80..=0xfebf => Kind::Never("it is a link-local address"),
        _ if address.is_loopback() => Kind::Private,
        // Unique local, site-local, documentation, discard.
        0xfc00..=0xfdff | 0xfec0..=0xfeff | 0x3fff | 0x0100 => Kind::Private,
        0x2001 if address.segments()[1] == 0xdb8 => Kind::Private,
        _ => Kind::Public,
    }
}

impl Egress {
    /// Whether an address may be connected to; else a sentence that says why, and what opens it.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        // What is written in the lists may be either form of it.
        let forms: Vec<IpAddr> = match address {
            IpAddr::V6(v6) => [Some(address), embedded(v6).map(IpAddr::V4)].into_iter().flatten().collect(),
            IpAddr::V4(_) => vec![address],
        };
        let kind = forms.iter().map(|form| kind(*form)).find(|kind| matches!(kind, Kind::Never(_)));
        if let Some(Kind::Never(why)) = kind {
            return Err(format!("Connecting to {address} is refused: {why}. Nothing opens it."));
        }
        let narrowest = |ranges: &[Network]| {
            let covering = ranges.iter().filter(|range| forms.iter().any(|form| range.contains(*form)));
            // Of a v4 range and a v6 range, which cannot be compared, either says how much it leaves open.
            covering.map(|range| range.prefix_bits_of_ipv6()).max()
        };
        match (narrowest(&self.allow), narrowest(&self.deny)) {
            (allowed, Some(denied)) if allowed.is_none_or(|allowed| allowed <= denied) => Err(format!(
                "Connecting to {address} is refused by the operator of this server (sources.network.deny)."
            )),
            (Some(_), _) => Ok(()),
            (None, _) if self.private || !forms.iter().any(|form| self::kind(*form) == Kind::Private) => {
                Ok(())
            }
            (None, _) => Err(format!(
                "Connecting to {address} is refused, because it is this machine's or a private network's. The \
                 operator of this server opens a network with sources.network.allow, such as [\"{address}\"]."
            )),
        }
    }

    /// Resolves a name, judges every address of it, and connects to the first that may be and answers. The name is
    /// resolved anew each time, and the connection goes to the address that was judged.
    pub async fn connect(&self, host: &str, port: u16, time: Duration) -> Result<TcpStream, EgressError> {
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let connecting = async {
            let found = tokio::net::lookup_host((host, port)).await.map_err(EgressError::Unresolved)?;
            let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
            let mut failed = None;
            let mut refused = None;
            for address in found {
                if let Err(why) = self.check(address.ip()) {
                    refused = Some(why);
                    continue;
                }
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failed = Some(error),
                }
            }
            Err(match (failed, refused) {
                (Some(error), _) => EgressError::Unreachable(error),
                (None, Some(why)) => EgressError::Refused(why),
                (None, None) => EgressError::Unresolved(std::io::ErrorKind::NotFound.into()),
            })
        };
        tokio::time::timeout(time, connecting).await.unwrap_or_else(|_| Err(EgressError::Unreachable(late())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn may(egress: &Egress, address: &str) -> bool {
        egress.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn what_is_never_reached_no_list_opens() {
        let open = Egress {
            private: true,
            allow: networks(&["0.0.0.0/0", "::/0", "169.254.169.254"]),
            deny: vec![],
        };
        for never in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert!(!may(&open, never), "{never}");
        }
        assert!(may(&open, "10.0.0.1") && may(&open, "127.0.0.1") && may(&open, "::1"));
    }

    #[test]
    fn private_networks_are_closed_unless_a_list_or_the_demo_opens_them() {
        let closed = Egress::default();
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "198.18.0.1",
            "192.0.2.1",
            "2001:db8::1",
        ] {
            assert!(!may(&closed, private), "{private}");
            assert!(may(&Egress { private: true, ..Egress::default() }, private), "{private}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "193.168.0.1"] {
            assert!(may(&closed, public), "{public}");
        }
        let some = Egress {
            private: false,
            allow: networks(&["10.20.0.0/16", "8.8.8.0/24"]),
            deny: networks(&["10.20.5.0/24", "0.0.0.0/0", "::/0"]),
        };
        assert!(may(&some, "10.20.1.1") && may(&some, "8.8.8.8"));
        assert!(!may(&some, "10.20.5.1") && !may(&some, "9.9.9.9") && !may(&some, "10.21.0.1"));
        let tie = Egress { private: true, allow: networks(&["10.0.0.0/8"]), deny: networks(&["10.0.0.0/8"]) };
        assert!(!may(&tie, "10.0.0.1"));
    }

    #[test]
    fn every_form_of_an_address_is_judged_alike() {
        let closed = Egress::default();
        let denied = Egress { private: true, allow: vec![], deny: networks(&["10.0.0.0/8"]) };
        for form in [
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:a00:1::",
            "2001:0:1::f5ff:fffe",
        ] {
            assert!(!may(&closed, form) && !may(&denied, form), "{form}");
        }
        for form in ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::ffff:127.0.0.1"] {
            assert!(!may(&closed, form), "{form}");
        }
        assert!(may(&closed, "::ffff:8.8.8.8") && may(&closed, "64:ff9b::808:808"));
        // The address of a local NAT64 with a prefix of 48 bits stands before what looks like one.
        assert!(!may(&closed, "64:ff9b:1:a00:0:100:808:808"));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let second = Duration::from_secs(10);
        for host in ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1"] {
            // Old forms of an address are either no name at all or lead to what they mean.
            let error = Egress::default().connect(host, port, second).await.expect_err(host);
            assert!(!matches!(error, EgressError::Unreachable(_)), "{host}: {error:?}");
        }
        let open = Egress { private: true, ..Egress::default() };
        open.connect("localhost", port, second).await.expect("it may");
    }
}
