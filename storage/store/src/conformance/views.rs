//! Records for the views that a backend with SQL offers to operators: what they should show, and what must not break them.

use super::{commit, delete, log, org, put, state};
use crate::Store;

/// Fills a store with the organization `acme`, whose records hold `CANARY` wherever no view may look, and with `damaged`,
/// none of whose records is what its key says.
pub async fn fill(store: &dyn Store) {
    let (acme, damaged) = (org("acme"), org("damaged"));
    let key = r#"{"v":1,"name":"CI","owner":{"kind":"org"},"created_at":"2026-01-01T00:00:00Z","enabled":true,"digest":"CANARY"}"#;
    let writes = [
        put("org", r#"{"v":1,"name":"Acme","created_at":"2026-01-01T00:00:00Z"}"#),
        put("key/k1", key),
        put("key/gone", key),
        put("key-name/x", r#"{"v":1,"id":"k1"}"#),
        put(
            "source/s1",
            r#"{"v":1,"name":"Shop","kind":"sqlite","settings":{"path":"CANARY"},"created_at":"2026-01-01T00:00:00Z"}"#,
        ),
    ];
    commit(store, state(&acme, writes)).await;
    commit(store, state(&acme, [delete("key/gone")])).await;
    commit(store, log(&acme, [put("used/k1", r#"{"v":1,"last_used_at":"2026-02-01T00:00:00Z"}"#)])).await;
    let hostile = [
        put("org", "not json"),
        put("key/1", [0xFF, 0x00, 0xC3]),
        put("key/2", ""),
        put("key/3", "[1,2]"),
        put("key/4", r#""text""#),
        put("key/5", r#"{"name":{"nested":[]},"enabled":"yes"}"#),
        put("key/6", r#"{"name":"\u0000"}"#),
        put("key/7", "[".repeat(60_000)),
        put(*b"key/\xFF\x00", "{"),
        put("source/1", "null"),
        put("used/1", "\u{0}"),
        put("other/1", "{\"at\":"),
        put([0x00, 0xFF], "{}"),
    ];
    commit(store, state(&damaged, hostile)).await;
}
