//! Where a person is sent back to (RFC 6749 §3.1.2, RFC 8252).
//!
//! What is presented is equal to what is registered, byte for byte; of loopback addresses the port may differ, because a
//! native client takes the one that is free (RFC 8252 §7.3; `localhost` as well, which is what clients really use).
//! Nothing is normalized: whoever decodes or lowers before comparing finds two spellings equal that a browser leads to
//! different places. So only what is written in the one way that needs no normalizing can be registered at all.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{Code, Refusal};

/// Longest redirect URI.
pub const BYTES_MAX: usize = 2_048;

/// Which class of place it is. Whoever says that they are some program can be believed this much and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectKind {
    /// A program on the person's own machine, over http (RFC 8252 §7.3).
    Loopback,
    /// A program on the person's own machine that registered a scheme (RFC 8252 §7.1).
    PrivateScheme,
    /// A web host, over https.
    HttpsHost,
}

impl RedirectKind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::PrivateScheme => "private_scheme",
            Self::HttpsHost => "https_host",
        }
    }
}

/// A redirect URI that may be registered.
#[derive(Clone, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    kind: RedirectKind,
    // Where in the text the host is and where the port ends; of a private scheme the scheme.
    host: std::ops::Range<usize>,
    authority_end: usize,
}

/// Schemes that run something, read something or lead to another server's login; a program's own scheme is none of them.
///
/// Of the systems' own there are many, so those go by how they begin ([`NEVER_BEGINNING`]).
const NEVER: &[&str] = &[
    "about",
    "afp",
    "android-app",
    "applescript",
    "blob",
    "callto",
    "chrome",
    "chrome-extension",
    "cid",
    "content",
    "data",
    "dict",
    "facetime",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "gopher",
    "http",
    "https",
    "intent",
    "itms-services",
    "jar",
    "javascript",
    "jscript",
    "ldap",
    "ldaps",
    "livescript",
    "mailto",
    "mid",
    "moz-extension",
    "ms-appx",
    "nfs",
    "res",
    "resource",
    "search-ms",
    "sftp",
    "shell",
    "sip",
    "sips",
    "skype",
    "smb",
    "sms",
    "ssh",
    "steam",
    "tel",
    "telnet",
    "urn",
    "vbscript",
    "view-source",
    "vnc",
    "wais",
    "ws",
    "wss",
    "xmpp",
];

/// How the schemes begin with which systems open their settings, tools and stores.
const NEVER_BEGINNING: &[&str] = &["ms-", "x-apple."];

fn is_never(scheme: &str) -> bool {
    NEVER.contains(&scheme) || NEVER_BEGINNING.iter().any(|begin| scheme.starts_with(begin))
}

impl RedirectUri {
    /// Reads one, where it is written in the one way that is taken.
    pub fn parse(text: &str) -> Option<Self> {
        let legal = |byte: u8| {
            byte.is_ascii_graphic()
                && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#')
        };
        if text.len() > BYTES_MAX || !text.bytes().all(legal) || !percents_hold(text) || climbs(text) {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        match scheme {
            "http" | "https" => Self::of_http(text, scheme, rest),
            _ => Self::of_scheme(text, scheme, rest),
        }
    }

    fn of_http(text: &str, scheme: &str, rest: &str) -> Option<Self> {
        let rest = rest.strip_prefix("//")?;
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let (host, port) = host_and_port(authority)?;
        let is_loopback = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        let kind = match (scheme, is_loopback) {
            ("http", true) => RedirectKind::Loopback,
            ("https", _) if is_name(host) || is_v4(host) => RedirectKind::HttpsHost,
            _ => return None,
        };
        let from = scheme.len() + 3;
        let end = from + host.len();
        let authority_end = end + port.map_or(0, |port| port.len() + 1);
        Some(Self { text: text.to_owned(), kind, host: from..end, authority_end })
    }

    fn of_scheme(text: &str, scheme: &str, rest: &str) -> Option<Self> {
        let mut bytes = scheme.bytes();
        let begins = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let goes_on =
            bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
        if !begins || !goes_on || scheme.len() < 2 || is_never(scheme) || !rest.starts_with('/') {
            return None;
        }
        // Somebody's name and password before a host: nothing that a program's own scheme needs.
        if rest
            .strip_prefix("//")
            .is_some_and(|rest| rest.split(['/', '?']).next().unwrap_or_default().contains('@'))
        {
            return None;
        }
        let end = scheme.len();
        Some(Self {
            text: text.to_owned(),
            kind: RedirectKind::PrivateScheme,
            host: 0..end,
            authority_end: end,
        })
    }

    /// As it was registered.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its class.
    pub fn kind(&self) -> RedirectKind {
        self.kind
    }

    /// What people can compare: host and port, or the private scheme.
    pub fn shown(&self) -> &str {
        &self.text[self.host.start..self.authority_end]
    }

    /// The host alone, or the private scheme: what a policy is about.
    pub fn host(&self) -> &str {
        &self.text[self.host.clone()]
    }

    /// Scheme, host and port, where it has them: what a page has to let a form lead to.
    pub fn origin(&self) -> Option<&str> {
        (self.kind != RedirectKind::PrivateScheme).then(|| &self.text[..self.authority_end])
    }

    /// Whether this one, as it was presented, is the registered one.
    pub fn is(&self, registered: &Self) -> bool {
        if self.text == registered.text {
            return true;
        }
        let both = (self.kind, registered.kind) == (RedirectKind::Loopback, RedirectKind::Loopback);
        both && self.host() == registered.host()
            && self.text[self.authority_end..] == registered.text[registered.authority_end..]
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for RedirectUri {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a redirect URI"))
    }
}

/// Whether every `%` begins two hexadecimal digits.
fn percents_hold(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(is_digit(bytes.next()) && is_digit(bytes.next())) {
            return false;
        }
    }
    true
}

/// Whether a segment of the path is `.` or `..`, plain or encoded: a browser leaves those out.
fn climbs(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default();
    let mut segments = path.split('/').skip(1);
    segments.any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

/// Host and port of an authority; nobody's name stands before them.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && !port.starts_with('0') && port.parse::<u16>().is_ok();
    (!host.is_empty() && !authority.contains('@') && port.is_none_or(is_port)).then_some((host, port))
}

/// A name of the DNS as a browser would send it: lower case, no digits alone at its end, which would be an address.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    host.len() <= 253 && host.split('.').all(label) && !is_number
}

/// Four decimal numbers, and in no other spelling.
fn is_v4(host: &str) -> bool {
    let is_part = |part: &str| part.parse::<u8>().is_ok_and(|number| number.to_string() == part);
    host.split('.').count() == 4 && host.split('.').all(is_part)
}

/// The registered redirect URI that a request means (§3.1.2.3). It may leave it out where there is only one.
pub fn choose(registered: &[RedirectUri], presented: Option<&str>) -> Result<RedirectUri, Refusal> {
    let refused = |text: &str| Refusal::new(Code::InvalidRequest, text);
    let Some(presented) = presented else {
        return match registered {
            [only] => Ok(only.clone()),
            _ => Err(refused("redirect_uri is missing")),
        };
    };
    let presented = RedirectUri::parse(presented).filter(|uri| registered.iter().any(|known| uri.is(known)));
    presented.ok_or_else(|| refused("redirect_uri is none that the client has registered"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn what_real_clients_register_is_taken_and_told_by_its_class() {
        for (text, kind, shown) in [
            ("http://127.0.0.1:51004/callback", RedirectKind::Loopback, "127.0.0.1:51004"),
            ("http://[::1]:51004/callback", RedirectKind::Loopback, "[::1]:51004"),
            ("http://localhost/callback", RedirectKind::Loopback, "localhost"),
            ("http://127.0.0.1", RedirectKind::Loopback, "127.0.0.1"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", RedirectKind::PrivateScheme, "cursor"),
            (
                "com.example.app:/oauth2redirect/example-provider",
                RedirectKind::PrivateScheme,
                "com.example.app",
            ),
            ("https://www.cursor.com/agents/mcp/oauth/callback", RedirectKind::HttpsHost, "www.cursor.com"),
            ("https://client.example.com/cb?tenant=1", RedirectKind::HttpsHost, "client.example.com"),
            ("https://192.0.2.7:8443/cb", RedirectKind::HttpsHost, "192.0.2.7:8443"),
        ] {
            let uri = uri(text);
            assert_eq!((uri.kind(), uri.shown(), uri.as_str()), (kind, shown, text));
        }
        assert_eq!(uri("https://a.example:8443/cb?x").origin(), Some("https://a.example:8443"));
        assert_eq!(uri("cursor://a/b").origin(), None);
    }

    #[test]
    fn of_a_loopback_address_the_port_may_differ_and_nothing_else() {
        // RFC 8252 §7.3.
        let registered = uri("http://127.0.0.1/oauth2redirect/example-provider");
        assert!(uri("http://127.0.0.1:51004/oauth2redirect/example-provider").is(&registered));
        for other in [
            "http://127.0.0.1:51004/oauth2redirect/example-provider/",
            "http://127.0.0.1:51004/oauth2redirect/example-provider?x=1",
            "http://localhost:51004/oauth2redirect/example-provider",
            "http://[::1]:51004/oauth2redirect/example-provider",
            "http://127.0.0.1:51004/oauth2redirect/Example-provider",
        ] {
            assert!(!uri(other).is(&registered), "{other}");
        }
        let web = uri("https://client.example.com/cb");
        assert!(!uri("https://client.example.com:8443/cb").is(&web));
        assert!(!uri("https://client.example.com/cb?x=1").is(&web));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_redirect_uri() {
        for text in [
            "",
            "/cb",
            "http:",
            "http://",
            "http://example.com/cb",
            "http://localhost.evil.test/cb",
            "http://127.1/cb",
            "http://2130706433/cb",
            "http://0x7f.0.0.1/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://localhost@evil.test/cb",
            "https://user:secret@client.example.com/cb",
            "https://client.example.com\\@evil.test/cb",
            "https://client.example.com/cb#fragment",
            "https://client.example.com/a/../cb",
            "https://client.example.com/a/%2e%2E/cb",
            "https://client.example.com/%zz",
            "https://client.example.com/a b",
            "https://client.example.com/\tcb",
            "https://client.example.com/\r\ncb",
            "https://cl\u{ff49}ent.example.com/cb",
            "https://client\u{3002}example.com/cb",
            "https://client.example.com:99999/cb",
            "https://client.example.com:/cb",
            "https://Client.example.com/cb",
            "HTTPS://client.example.com/cb",
            "https://client.example.com./cb",
            "https://0x7f000001/cb",
            "https://127.1/cb",
            "JaVaScRiPt:alert(1)",
            "javascript:/alert(1)",
            "javascript://%0aalert(1)",
            "data:/text",
            "file:///etc/passwd",
            "vbscript:/x",
            "cursor:callback",
            "cursor://name@host/cb",
            "a:/b",
            "1a:/b",
            "Cursor://a/b",
        ] {
            assert!(RedirectUri::parse(text).is_none(), "{text:?}");
        }
        assert!(RedirectUri::parse(&format!("https://a.example/{}", "x".repeat(BYTES_MAX))).is_none());
    }

    #[test]
    fn a_request_names_one_that_is_registered_or_there_is_only_one() {
        let (one, two) = (uri("http://localhost/cb"), uri("https://client.example.com/cb"));
        let both = [one.clone(), two.clone()];
        assert_eq!(choose(&both, Some("http://localhost:7/cb")).unwrap().shown(), "localhost:7");
        assert_eq!(choose(std::slice::from_ref(&two), None).unwrap(), two);
        assert!(choose(&both, None).is_err());
        for wrong in ["https://client.example.com/cb/", "https://client.example.com/", "javascript:alert(1)"]
        {
            assert!(choose(&both, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
