//! Words that people chose, and the small marks of templates.
//!
//! **Invariant:** a name that somebody chose reaches a page only as a [`Name`]: escaped, and isolated from the
//! direction of the text around it (`hostile_names_stay_text` in `tests.rs`).

use std::fmt;

use askama::filters::HtmlSafe;

/// A name that somebody chose: of a person, a key, an organization, a data source, a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name(String);

impl Name {
    /// As it was chosen.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As text for an attribute or a title, where no element can isolate it: without characters that steer
    /// direction or a terminal. Templates escape it.
    pub fn plain(&self) -> String {
        self.0.chars().filter(|c| !steers(*c)).collect()
    }

    /// Whether somebody typed this name to confirm. Blanks count as they are shown: several as one, whatever their kind.
    pub fn is_typed(&self, typed: &str) -> bool {
        let shown = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        shown(typed) == shown(&self.plain())
    }

    /// As it was chosen, for a form's value or for what has to be typed.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

/// Whether a character changes how others are shown: controls, and what sets or ends a direction.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `<bdi>` around the escaped text. A closing isolate without an opening one would end the element's own, so that
/// steering characters go here too.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.plain();
        // A link needs something to be clicked at.
        let shown = if plain.trim().is_empty() { "(no name)" } else { &plain };
        write!(f, "<bdi>{}</bdi>", escaped(shown))
    }
}

impl HtmlSafe for Name {}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Text as HTML.
pub(super) fn escaped(text: &str) -> impl fmt::Display {
    let Ok(escaped) = askama::filters::escape(text, askama::filters::Html);
    escaped.to_string()
}

/// A number as people read it: `12,345`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A query string, without what is empty.
pub fn query_string(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty())).finish()
}

/// What templates write after a bar.
#[expect(unreachable_pub, reason = "filter_fn makes a public type of each, whatever it stands on")]
pub(super) mod filters {
    use askama::filters::Safe;

    use crate::pages::assets;

    /// An icon of the sprite, for eyes alone: `{{ "key"|icon }}`.
    #[askama::filter_fn]
    pub(crate) fn icon(name: &str, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
        Ok(Safe(mark("i", name)))
    }

    /// The same with more classes: `{{ "check"|icon_as("ok") }}`.
    #[askama::filter_fn]
    pub(crate) fn icon_as(name: &str, _: &dyn askama::Values, class: &str) -> askama::Result<Safe<String>> {
        Ok(Safe(mark(&format!("i {class}"), name)))
    }

    /// The logo before the product's name.
    #[askama::filter_fn]
    pub(crate) fn logo(name: &str, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
        Ok(Safe(mark("logo", name)))
    }

    /// `{{ 12345|n }}` is 12,345.
    #[askama::filter_fn]
    pub(crate) fn n(number: &usize, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(crate::pages::text::thousands(*number as u64))
    }

    /// The address of an embedded file.
    #[askama::filter_fn]
    pub(crate) fn asset(name: &str, _: &dyn askama::Values) -> askama::Result<&'static str> {
        Ok(assets::path(name))
    }

    fn mark(class: &str, name: &str) -> String {
        let sprite = assets::path("sprite.svg");
        format!("<svg class=\"{class}\" aria-hidden=\"true\"><use href=\"{sprite}#{name}\"/></svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_escaped_and_steers_nothing() {
        let name = Name::new("<b>\u{202e}\"x\"\u{2069}\n&");
        assert_eq!(name.to_string(), "<bdi>&#60;b&#62;&#34;x&#34;&#38;</bdi>");
        assert_eq!(name.plain(), "<b>\"x\"&");
        assert_eq!(Name::new("\u{202e} ").to_string(), "<bdi>(no name)</bdi>");
        assert_eq!(name.raw(), "<b>\u{202e}\"x\"\u{2069}\n&");
    }

    #[test]
    fn a_name_is_typed_as_it_is_seen() {
        let name = Name::new("a  b\u{a0}\u{202e}c");
        assert!(name.is_typed("a b c") && name.is_typed(" a  b c\n"));
        assert!(!name.is_typed("a bc") && !name.is_typed("A b c") && !name.is_typed(""));
    }

    #[test]
    fn numbers_have_commas() {
        let shown = [0, 12, 999, 1000, 12345, 1234567].map(thousands);
        assert_eq!(shown, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
    }
}
