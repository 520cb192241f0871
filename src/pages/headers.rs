//! The headers of pages and of the files that they load, as values; `http` applies them.

/// The header that says whether a page keeps a hand on the window that opened it.
pub const OPENER: &str = "Cross-Origin-Opener-Policy";
/// What it says on the pages of an authorization: web applications open them in a window of their own and wait there for
/// its end, which `same-origin` would hide from them for good.
pub const OPENER_KEPT: &str = "unsafe-none";

/// Headers of every page, whatever its status.
///
/// - Scripts, styles, images and connections come from this server alone, and nothing is inline. `img-src` also lets
///   `<use>` load the sprite. No string can become markup in a script (`require-trusted-types-for`).
/// - No other site may frame a page, open it with a hand on it, or read it as a resource.
/// - `same-origin`, not `no-referrer`: with the latter browsers send `Origin: null` with the forms of our own pages, and
///   an origin is what tells those from a stranger's.
/// - Nothing of a page is kept: it may hold a key that is shown once, and whoever comes after a sign-out finds nothing.
pub const PAGE: &[(&str, &str)] = &[
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    (OPENER, "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cache-Control", "no-store"),
];

/// Headers of every embedded file, beside its type. Its name changes with its content, so that it is kept for good.
pub const ASSET: &[(&str, &str)] = &[
    ("Cache-Control", "public, max-age=31536000, immutable"),
    // An SVG that is opened by itself is a document: it gets nothing to run or to load.
    ("Content-Security-Policy", "default-src 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Vary", "Accept-Encoding"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_allow_nothing_inline_and_nobody_to_frame_them() {
        let of = |wanted: &str| PAGE.iter().find(|(name, _)| *name == wanted).unwrap().1;
        let policy = of("Content-Security-Policy");
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("data:"));
        assert_eq!((of("Cache-Control"), of("Referrer-Policy")), ("no-store", "same-origin"));
    }
}
