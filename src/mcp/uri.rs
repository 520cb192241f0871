//! The URIs of resources: `sequel://sources/NAME` and whatever lies beneath it belong to the data source of
//! that name. Names are percent-encoded (RFC 3986 §2.1), so that any name has exactly one URI.

const SOURCES: &str = "sequel://sources/";

/// The URI of a data source.
pub fn source_uri(name: &str) -> String {
    let mut uri = SOURCES.to_owned();
    segment_into(&mut uri, name);
    uri
}

/// Appends a name as one segment of a path: everything but unreserved characters is encoded.
pub fn segment_into(uri: &mut String, name: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in name.as_bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            uri.push(char::from(b));
        } else {
            uri.extend(['%', char::from(HEX[usize::from(b >> 4)]), char::from(HEX[usize::from(b & 15)])]);
        }
    }
}

/// The name of the data source that a URI belongs to; `None` where it is none of ours.
pub fn source_of(uri: &str) -> Option<String> {
    let path = uri.strip_prefix(SOURCES)?;
    let name = path.split(['/', '?', '#']).next().filter(|name| !name.is_empty())?;
    decoded(name)
}

/// A segment without its percent-encoding; `None` where that is broken or no UTF-8.
pub fn decoded(segment: &str) -> Option<String> {
    let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = segment.as_bytes().iter();
    let mut out = Vec::with_capacity(segment.len());
    while let Some(&b) = bytes.next() {
        out.push(if b == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { b });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_reads_back_from_its_uri_and_from_what_lies_beneath(name in "\\PC{1,20}") {
            let uri = source_uri(&name);
            prop_assert!(uri.is_ascii() && !uri.contains(' '));
            prop_assert_eq!(source_of(&uri), Some(name.clone()));
            prop_assert_eq!(source_of(&format!("{uri}/tables/x%2Fy?z#f")), Some(name));
        }
    }

    #[test]
    fn what_is_not_ours_or_broken_belongs_to_no_source() {
        for uri in [
            "",
            "sequel://sources/",
            "sequel://sources//tables",
            "sequel://sources",
            "sequel://other/flights",
            "SEQUEL://sources/flights",
            "file:///sources/flights",
            "sequel://sources/%",
            "sequel://sources/%4",
            "sequel://sources/%zz",
            "sequel://sources/%+4",
            "sequel://sources/%ff",
        ] {
            assert_eq!(source_of(uri), None, "{uri}");
        }
    }
}
