//! What the core wants to know of a request's HTTP headers, and how their values are compared.
//!
//! 2026-07-28, basic/transports/streamable-http, "Request Metadata" and "Value Encoding". Knows no
//! HTTP crate: the edge hands over raw field values.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One header field as it arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeaderField<'a> {
    /// Not sent.
    #[default]
    Absent,
    /// Sent once, with these bytes.
    One(&'a [u8]),
    /// Sent more than once. Never agrees with a body: whoever stands between could read another copy.
    Repeated,
}

impl<'a> HeaderField<'a> {
    /// From all values of one field name, in any order.
    pub fn collect(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(only), None) => Self::One(only),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }

    /// The value without surrounding blanks, where it is one value of visible ASCII.
    pub(super) fn text(self) -> Option<&'a str> {
        let Self::One(raw) = self else { return None };
        let text = std::str::from_utf8(raw.trim_ascii()).ok()?;
        text.bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\t').then_some(text)
    }

    /// The value after undoing the base64 form `=?base64?…?=`; `None` where that is broken.
    pub(super) fn decoded(self) -> Option<Cow<'a, str>> {
        let text = self.text()?;
        let Some(inner) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
            return Some(Cow::Borrowed(text));
        };
        String::from_utf8(STANDARD.decode(inner).ok()?).ok().map(Cow::Owned)
    }
}

/// The headers that MCP gives a meaning. `Mcp-Session-Id` is not among them: Sequel is sessionless.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestHead<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: HeaderField<'a>,
    /// `Mcp-Method`.
    pub mcp_method: HeaderField<'a>,
    /// `Mcp-Name`.
    pub mcp_name: HeaderField<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_examples_of_encoded_values_decode() {
        for (encoded, plain) in [
            ("us-west1", "us-west1"),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
            ("=?base64?IHBhZGRlZCA=?=", " padded "),
            ("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ] {
            assert_eq!(HeaderField::One(encoded.as_bytes()).decoded().as_deref(), Some(plain), "{encoded}");
        }
    }

    #[test]
    fn a_broken_or_foreign_value_decodes_to_nothing() {
        for broken in ["=?base64?%%%?=", "=?base64?/w==?=", "=?base64?SGVsbG8?=", "caf\u{e9}", "a\u{1}b"] {
            assert_eq!(HeaderField::One(broken.as_bytes()).decoded(), None, "{broken}");
        }
        // Overlapping prefix and suffix are no sentinel, and upper case is none either.
        assert_eq!(HeaderField::One(b"=?base64?=").decoded().as_deref(), Some("=?base64?="));
        assert_eq!(HeaderField::One(b"=?BASE64?QQ==?=").decoded().as_deref(), Some("=?BASE64?QQ==?="));
    }

    #[test]
    fn a_repeated_field_has_no_value() {
        assert_eq!(HeaderField::collect([b"a".as_slice(), b"a"]), HeaderField::Repeated);
        assert_eq!(HeaderField::collect([b"a".as_slice()]).text(), Some("a"));
        assert_eq!(HeaderField::collect([]), HeaderField::Absent);
        assert_eq!(HeaderField::Repeated.text(), None);
    }
}
