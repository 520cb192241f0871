//! Writing JSON into a byte buffer without building values: the escapes of RFC 8259, section 7.
//!
//! Owns the fast check whether a text needs escaping at all and the escaped form of a text inside
//! a string. Knows nothing of MCP.

/// How each byte is written inside a string: 0 as it is, `u` as `\u00xx`, else `\` and this byte.
const ESCAPE: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut b = 0;
    while b < 0x20 {
        table[b] = b'u';
        b += 1;
    }
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Whether a text can stand in a JSON string as it is. `extra` are further ASCII characters that the
/// caller treats in a way of its own; they count as special too.
#[inline]
pub fn is_plain<const N: usize>(text: &[u8], extra: [u8; N]) -> bool {
    let Some(last) = text.last_chunk::<8>() else {
        return text.iter().all(|b| ESCAPE[*b as usize] == 0 && !extra.contains(b));
    };
    // Most cells are short, so words do better than wide blocks; the last word may overlap.
    let (words, _) = text.as_chunks::<8>();
    let special = words.iter().fold(0, |hits, word| hits | special_bytes(*word, extra));
    special | special_bytes(*last, extra) == 0
}

/// Not zero where a word has a byte that is below 0x20, a quote, a backslash or one of `extra`: the
/// usual arithmetic on eight bytes at once, exact as to whether there is one.
#[inline]
fn special_bytes<const N: usize>(word: [u8; 8], extra: [u8; N]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_ne_bytes(word);
    let equal = |b: u8| {
        let zero_where_equal = word ^ (ONES * u64::from(b));
        zero_where_equal.wrapping_sub(ONES) & !zero_where_equal
    };
    let mut hits = word.wrapping_sub(ONES * 0x20) & !word;
    hits |= equal(b'"') | equal(b'\\');
    for b in extra {
        hits |= equal(b);
    }
    hits & HIGH
}

/// Appends what stands between the quotes of a JSON string for this UTF-8 text.
pub fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut from = 0;
    for (at, &b) in text.iter().enumerate() {
        let escape = ESCAPE[b as usize];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&text[from..at]);
        from = at + 1;
        if escape == b'u' {
            let (high, low) = (HEX[(b >> 4) as usize], HEX[(b & 15) as usize]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        } else {
            out.extend_from_slice(&[b'\\', escape]);
        }
    }
    out.extend_from_slice(&text[from..]);
}

/// Appends a text as a JSON string, quotes included.
pub fn string_into(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape_into(out, text.as_bytes());
    out.push(b'"');
}

/// A JSON document without the blanks between its tokens.
pub(super) fn minified(document: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    document
        .chars()
        .filter(|&c| {
            if inside {
                inside = escaped || c != '"';
                escaped = c == '\\' && !escaped;
                return true;
            }
            inside = c == '"';
            !c.is_ascii_whitespace()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_text_reads_back_as_itself(text in any::<String>()) {
            let mut out = Vec::new();
            string_into(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
            let unchanged = out.len() == text.len() + 2;
            prop_assert_eq!(is_plain(text.as_bytes(), []), unchanged);
        }
    }

    #[test]
    fn every_ascii_character_reads_back_as_itself() {
        let text: String = (0u8..128).map(char::from).collect();
        let mut out = Vec::new();
        string_into(&mut out, &text);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn each_byte_is_judged_as_the_table_says_in_long_and_in_short_texts() {
        for b in 0..=255u8 {
            let plain = ESCAPE[b as usize] == 0;
            assert_eq!(is_plain(&[b], []), plain, "{b}");
            for at in 0..8 {
                for filler in [b' ', b'~', 0x7f, 0x80, 0xff] {
                    let mut word = [filler; 8];
                    word[at] = b;
                    assert_eq!(is_plain(&word, []), plain, "{b} at {at} among {filler}");
                }
            }
        }
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_stands() {
        for at in 0..100 {
            let mut text = vec![b'a'; 100];
            assert!(is_plain(&text, [b'<']));
            text[at] = b'<';
            assert!(!is_plain(&text, [b'<']), "{at}");
            assert!(is_plain(&text, []), "{at}");
            for length in at + 1..100 {
                assert!(!is_plain(&text[..length], [b'<']), "{at} of {length}");
            }
        }
    }

    #[test]
    fn blanks_go_from_between_tokens_only() {
        assert_eq!(minified("{ \"a b\" : [ 1,\n \"\\\" x\" ] }"), "{\"a b\":[1,\"\\\" x\"]}");
    }
}
