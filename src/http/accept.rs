//! What a client says that it takes (RFC 9110, 12.4 and 12.5): media types and codings, by name.

use actix_web::http::header::{HeaderMap, HeaderName};

/// Whether one of these headers names `wanted` and does not refuse it. A wildcard names nothing.
pub(super) fn names(headers: &HeaderMap, header: HeaderName, wanted: &str) -> bool {
    let fields = headers.get_all(header).filter_map(|value| value.to_str().ok());
    fields.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        let mut weights = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| *name == "q");
        is_it && !weights.any(|(_, weight)| weight.parse() == Ok(0.0_f32))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ACCEPT, HeaderValue};

    use super::*;

    #[test]
    fn what_is_named_is_taken_unless_it_weighs_nothing() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT, HeaderValue::from_static("image/png"));
            headers.append(ACCEPT, HeaderValue::from_static(value));
            names(&headers, ACCEPT, "text/html")
        };
        for value in ["text/html", "a/b,Text/HTML ;q=0.5", "text/html;level=1;q=0.001", "text/html;q=1"] {
            assert!(takes(value), "{value}");
        }
        for value in ["", "*/*", "text/*", "text/html;q=0", "text/html; q=0.000", "text/htmlx", ";;,"] {
            assert!(!takes(value), "{value}");
        }
    }
}
