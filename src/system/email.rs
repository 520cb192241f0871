//! An e-mail address as the name that a person signs in with. PURE.
//!
//! What it holds an address against is narrower than RFC 5321: no quoting, no comments, no characters outside ASCII (an
//! international domain in its `xn--` form). So an address can stand in a mail's head, a page and a log as it is, and
//! two that look alike are one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most bytes of an address (RFC 5321, 4.5.3.1.3, without the angle brackets).
pub const BYTES_MAX: usize = 254;
/// Most bytes before the `@` (RFC 5321, 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;
/// Most bytes of one part of a domain (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A normalized address: trimmed and in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Normalizes what a person wrote; `None` where that is no address.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (local, domain) = text.rsplit_once('@')?;
        let speaks = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
        let is_local = (1..=LOCAL_BYTES_MAX).contains(&local.len())
            && local.bytes().all(speaks)
            && local.split('.').all(|part| !part.is_empty());
        let is_label = |label: &str| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        (text.len() <= BYTES_MAX && is_local && domain.split('.').all(is_label)).then_some(Self(text))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_differ_in_case_or_blanks_are_one() {
        let one = Email::parse("  Ada.Lovelace+sequel@Example.COM ").unwrap();
        assert_eq!(one.as_str(), "ada.lovelace+sequel@example.com");
        assert_eq!(one.local(), "ada.lovelace+sequel");
        assert!(Email::parse("root@localhost").is_some());
    }

    #[test]
    fn what_could_say_more_than_an_address_is_none() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}com", "abcdefgh.".repeat(30));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@b@c d",
            "ada@example..com",
            "ada@-x.com",
            ".ada@x.com",
            "ada@x.com\r\nBcc: all@x.com",
            "\"a b\"@x.com",
            "ada@x.com, eve@x.com",
            "<ada@x.com>",
            "ädä@x.com",
            "ada@exämple.com",
            "ada\u{202e}@x.com",
            "ada@[127.0.0.1]",
            &long,
            &longer,
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
    }
}
