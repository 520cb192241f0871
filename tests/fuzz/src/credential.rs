//! What stands behind `Bearer `: the offline check of a key or an access token.
//!
//! Only one of the documented form passes: 75 characters of base62 with the checksum over the rest, worked out
//! here a second time. A changed character never passes.

use sequel::credential::{Credential, CredentialKind};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Panics where it does not hold.
pub fn holds(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    passes_only_if_well_formed(&text);
    // Noise never finds a checksum; a right one lets it look behind it.
    let mut right: String = text.chars().take(69).collect();
    if right.is_ascii() {
        right.push_str(&sum(&right));
        passes_only_if_well_formed(&right);
    }
}

fn passes_only_if_well_formed(text: &str) {
    let well_formed = text.len() == 75
        && (text.starts_with("sql_") || text.starts_with("sqa_"))
        && text.bytes().skip(4).all(|byte| ALPHABET.contains(&byte))
        && text.ends_with(&sum(&text[..69]));
    let parsed = Credential::parse(text);
    assert_eq!(parsed.is_ok(), well_formed, "{text:?}");
    let Ok(credential) = parsed else { return };
    assert_eq!(credential.prefix(), text[..14]);
    assert_eq!(credential.kind == CredentialKind::Key, text.starts_with("sql_"));
    assert_eq!(credential.org.as_str(), &text[14..26]);
    for at in 0..text.len() {
        let mut other = text.as_bytes().to_vec();
        other[at] = if other[at] == b'x' { b'y' } else { b'x' };
        let other = String::from_utf8(other).expect("ASCII");
        assert!(Credential::parse(&other).is_err(), "changed at {at}");
    }
}

/// CRC-32 in base62, most significant digit first.
fn sum(text: &str) -> String {
    let mut crc = u64::from(crc32fast::hash(text.as_bytes()));
    let mut digits = vec![0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    String::from_utf8(digits).expect("ASCII")
}
