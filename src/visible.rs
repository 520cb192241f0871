//! Which characters of a text are seen. Whoever chooses a name chooses none that hides, and none that shows nothing: one
//! rule for what people name and for what strangers say of themselves.

/// Whether a character is not seen, or turns the direction of writing: two names that look the same must not differ by
/// it. Controls, separators, what Unicode ignores by default or is no character, and letters that are blank; not the
/// selectors that make a sign an emoji.
pub(crate) fn is_hidden(c: char) -> bool {
    let ignored = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
        | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    // Of Braille, of hieroglyphs, and a note without a head: letters and signs that are drawn as nothing.
    let blank = matches!(c, '\u{2800}' | '\u{13441}' | '\u{13442}' | '\u{1d159}');
    let is_no_character =
        matches!(c, '\u{fdd0}'..='\u{fdef}') || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff);
    c.is_control() || ignored || blank || is_no_character
}

/// Whether a character only says how the one before it is drawn.
pub(crate) fn selects(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}')
}

/// Whether a text has anything that is seen.
pub(crate) fn is_seen(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_hidden(c) && !selects(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_signs_and_emoji_are_seen() {
        for text in ["a", "é", "日本語", "مرحبا", "👩", "✈\u{fe0f}", "⠓⠑⠇⠇⠕", "\u{e000}", "ᄀ", "∅"]
        {
            assert!(is_seen(text) && !text.chars().any(is_hidden), "{text:?}");
        }
    }

    #[test]
    fn what_is_drawn_as_nothing_is_not() {
        for nothing in [
            "",
            " ",
            "\u{a0}\u{3000}",
            "\u{2800}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{fe0f}",
            "\u{180e}",
            "\u{200b}\u{200d}",
            "\u{2062}",
            "\u{13441}",
            "\u{13430}",
            "\u{16fe4}",
            "\u{1d159}",
            "\u{1d173}",
            "\u{e0041}",
            "\u{e0100}",
            "\u{ffff}",
            "\u{fdd0}",
            "\u{1fffe}",
        ] {
            assert!(!is_seen(nothing), "{nothing:?}");
        }
    }
}
