//! Whether a parser's tokens are the text that they were cut from.
//!
//! The guard judges tokens and the database reads the text, so a token that swallows a character of its neighbour
//! (sqlparser 0.63 takes one too many behind `&>`) would hide a quote, and behind it anything. Owns the comparison; knows
//! what each token is written like, and no grammar.
//!
//! **Invariant:** tokens that pass are, one behind the other and each as it is written, the whole text
//! (`a_token_that_swallows_its_neighbour_is_found`).

use std::str::Chars;

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Where the first token begins that is not what the text has there.
pub(crate) fn first_mismatch(sql: &str, tokens: &[TokenWithSpan]) -> Option<Location> {
    let mut reader = Reader { rest: sql.chars(), at: Location { line: 1, column: 1 } };
    for TokenWithSpan { token, span } in tokens.iter().filter(|token| token.token != Token::EOF) {
        if span.start != reader.at {
            return Some(reader.at);
        }
        match reader.until(span.end) {
            Some(text) if is_written(token, text) => {}
            _ => return Some(span.start),
        }
    }
    if reader.rest.as_str().is_empty() { None } else { Some(reader.at) }
}

struct Reader<'a> {
    rest: Chars<'a>,
    at: Location,
}

impl<'a> Reader<'a> {
    /// The text up to a place, counted as the tokenizer counts.
    fn until(&mut self, end: Location) -> Option<&'a str> {
        let all = self.rest.as_str();
        while self.at != end {
            if self.rest.next()? == '\n' {
                self.at = Location { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        all.get(..all.len() - self.rest.as_str().len())
    }
}

/// Whether a token is written like this. A blank behind an operator may belong to it.
fn is_written(token: &Token, text: &str) -> bool {
    match token {
        Token::Whitespace(_) => text.trim().is_empty(),
        Token::Word(word) => match word.quote_style {
            None => text == word.value,
            Some(quote) => is_quoted(text, quote, Some(&word.value)),
        },
        Token::SingleQuotedString(value) => is_quoted(text, '\'', Some(value)),
        Token::HexStringLiteral(value) if text.starts_with('0') => text[1..].strip_prefix('x') == Some(value),
        Token::SingleQuotedByteStringLiteral(value)
        | Token::HexStringLiteral(value)
        | Token::NationalStringLiteral(value) => is_quoted(behind_prefix(text), '\'', Some(value)),
        // Its value is what the escapes stand for.
        Token::EscapedStringLiteral(_) => is_quoted(behind_prefix(text), '\'', None),
        Token::Neq if text.starts_with("!=") => text.trim_end() == "!=",
        other => text.trim_end() == other.to_string(),
    }
}

fn behind_prefix(text: &str) -> &str {
    text.strip_prefix(|prefix: char| prefix.is_ascii_alphabetic()).unwrap_or_default()
}

/// Whether a text is one string in quotes, and has this value where that can be told.
fn is_quoted(text: &str, quote: char, value: Option<&str>) -> bool {
    let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) else {
        return false;
    };
    value.is_none_or(|value| inner == value.replace(quote, &format!("{quote}{quote}")))
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn mismatch(sql: &str) -> Option<Location> {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().expect("tokens");
        first_mismatch(sql, &tokens)
    }

    #[test]
    fn a_token_that_swallows_its_neighbour_is_found() {
        for sql in ["SELECT 1 &>f(1)", "SELECT\n a &>b"] {
            assert!(mismatch(sql).is_some(), "{sql}");
        }
        assert_eq!(mismatch("SELECT 1,\n a &>b"), Some(Location { line: 2, column: 4 }));
        // Tokens of another text.
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, "SELECT 1").tokenize_with_location().unwrap();
        for other in ["SELECT 2", "SELECT 1 ", "SELECT", "select 1", " SELECT 1"] {
            assert!(first_mismatch(other, &tokens).is_some(), "{other}");
        }
    }

    #[test]
    fn tokens_of_every_kind_are_known_again() {
        for sql in [
            "SELECT 1, 1.5, .5, 1e10, 0x1F, 'it''s', E'a\\n''b', x'FF', X'', B'01', N'n', \"a \"\"b\"\"\", größe, \"日本\"",
            "SELECT a &> b, a &< b, a &<| b, a << b, a >> b, a <<| b, a |>> b, a && b, a -|- b, a <-> b, a ## b, a @-@ b",
            "SELECT a @> b, a <@ b, a ? b, a ?| b, a ?& b, a #> b, a #>> b, a -> b, a ->> b, a @? b, a @@ b, a #- b, a ^@ b",
            "SELECT a ~ b, a ~* b, a !~ b, a !~* b, a ~~ b, a !~~* b, a || b, |/ a, ||/ a, @ a, ~ a, a ?- b, a ?# b, a ?-| b",
            "SELECT a::int[1:2], a % b, a ^ b, a <> b, a != b, a <= b, a >= b, f(a => 1), $1, a.*, (a).b;\r\n\tSELECT",
        ] {
            assert_eq!(mismatch(sql), None, "{sql}");
        }
    }
}
