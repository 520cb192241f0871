//! `notifications/progress`: what a client that gave a token hears while its call runs (2025-03-26 to
//! 2026-07-28, "Progress"). Writes the message; that values only ever grow is seen to by whoever sends them.

use bytes::Bytes;

use super::call::ProgressToken;
use super::json;

/// One notification. `progress` and `total` are finite and of the same unit.
pub fn progress(token: &ProgressToken, progress: f64, total: Option<f64>, message: &str) -> Bytes {
    let mut out = Vec::with_capacity(128 + message.len());
    out.extend_from_slice(
        b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":",
    );
    out.extend_from_slice(token.as_json().as_bytes());
    out.extend_from_slice(b",\"progress\":");
    out.extend_from_slice(progress.to_string().as_bytes());
    if let Some(total) = total {
        out.extend_from_slice(b",\"total\":");
        out.extend_from_slice(total.to_string().as_bytes());
    }
    if !message.is_empty() {
        out.extend_from_slice(b",\"message\":");
        json::string_into(&mut out, message);
    }
    out.extend_from_slice(b"}}");
    out.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::RawValue};

    use super::*;

    #[test]
    fn a_notification_carries_the_clients_own_token() {
        for (token, shown) in [("7", json!(7)), ("\"a\\u0022b\"", json!("a\"b"))] {
            let raw: &RawValue = serde_json::from_str(token).unwrap();
            let token = ProgressToken::from_raw(raw).unwrap();
            let note: Value =
                serde_json::from_slice(&progress(&token, 1.25, Some(30.0), "7 rows \"so far\"")).unwrap();
            let params = json!({
                "progressToken": shown, "progress": 1.25, "total": 30, "message": "7 rows \"so far\"",
            });
            let whole = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
            assert_eq!(note, whole);
            let bare: Value = serde_json::from_slice(&progress(&token, 2.0, None, "")).unwrap();
            assert_eq!(bare["params"], json!({"progressToken": shown, "progress": 2}));
        }
    }
}
