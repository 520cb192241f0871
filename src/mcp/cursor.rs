//! Cursors of lists that come in pages (2025-03-26 to 2026-07-28, "Pagination"): opaque to clients, stable while
//! lists change.
//!
//! A cursor says behind which entry the next page begins, by the entry's own sort key. So entries that come or go
//! meanwhile neither repeat nor hide others, and a cursor is never out of date. It is bound to its list. It holds
//! nothing that its client has not been told, so it needs no seal; whatever somebody makes up is one more place
//! to begin at in a list that the credential reaches anyway.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use super::jsonrpc::string;

/// Longest cursor that is read; a name of 100 characters has at most 400 bytes.
const BYTES_MAX: usize = 2_048;

/// A cursor that no list has given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Unknown cursor; ask for the list's first page again, without one.")]
pub struct UnknownCursor;

/// The cursor of the page behind the entry with this sort key. `list` is the method, such as `resources/list`.
pub fn cursor(list: &str, after: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}\n{after}"))
}

/// The sort key behind which a page begins; `None` for the first one.
pub fn after(list: &str, cursor: Option<&RawValue>) -> Result<Option<String>, UnknownCursor> {
    let Some(cursor) = cursor.filter(|cursor| cursor.get() != "null") else { return Ok(None) };
    let text = string(cursor).filter(|text| text.len() <= BYTES_MAX).ok_or(UnknownCursor)?;
    let decoded = URL_SAFE_NO_PAD.decode(&*text).map_err(|_| UnknownCursor)?;
    let decoded = String::from_utf8(decoded).map_err(|_| UnknownCursor)?;
    match decoded.split_once('\n') {
        Some((of, after)) if of == list => Ok(Some(after.to_owned())),
        _ => Err(UnknownCursor),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    proptest! {
        #[test]
        fn a_cursor_leads_behind_the_entry_that_it_was_made_of(key in ".{0,60}") {
            let given = raw(&serde_json::to_string(&cursor("resources/list", &key)).unwrap());
            prop_assert_eq!(after("resources/list", Some(&given)), Ok(Some(key)));
            prop_assert_eq!(after("prompts/list", Some(&given)), Err(UnknownCursor));
        }

        #[test]
        fn whatever_else_is_sent_is_unknown(text in "[ -~]{0,40}") {
            let given = raw(&serde_json::to_string(&text).unwrap());
            prop_assert_eq!(after("resources/list", Some(&given)), Err(UnknownCursor));
        }
    }

    #[test]
    fn no_cursor_or_null_is_the_first_page_and_another_type_is_unknown() {
        assert_eq!(after("resources/list", None), Ok(None));
        assert_eq!(after("resources/list", Some(&raw("null"))), Ok(None));
        for other in ["7", "{}", "[]", "true", "\"\"", "\"\\ud800\""] {
            assert_eq!(after("resources/list", Some(&raw(other))), Err(UnknownCursor), "{other}");
        }
        let long = format!("\"{}\"", "A".repeat(BYTES_MAX + 1));
        assert_eq!(after("resources/list", Some(&raw(&long))), Err(UnknownCursor));
    }
}
