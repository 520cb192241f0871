//! What of a statement may be kept when its values may not: its words and operators, with `?` for every literal.
//!
//! Works on tokens, not on the tree: a literal is a matter of the text alone, and a tree has many places where one may
//! stand, each of which could be forgotten. What is not known to be harmless becomes `?`. Made for statements that the
//! guard let through and whose names the database has found; of others, what looks like a name may be a value whose
//! quotes were forgotten.
//!
//! **Invariant:** nothing that stands in a literal or a comment is in the shape (`no_value_is_in_a_shape`).

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::guard::Dialect;
use crate::intake::floor_char_boundary;
use crate::postgres_text;

/// Bytes of a statement that are read for its shape. Long ones are lists of values, of which the shape keeps nothing.
const READ_BYTES_MAX: usize = 8 * 1024;

/// The shape of a statement, at most `bytes_max` bytes long; `…` ends one that was cut, and is not counted. `None` where
/// the text cannot be taken apart.
pub fn shape(sql: &str, dialect: Dialect, bytes_max: usize) -> Option<String> {
    let plain;
    let sql = match dialect {
        // What is sent and run is this text, which every reader cuts into the same tokens.
        Dialect::Postgres => {
            plain = postgres_text::plain(sql).ok()?;
            plain.as_str()
        }
        Dialect::Sqlite | Dialect::MySql => sql,
    };
    let read = &sql[..floor_char_boundary(sql, READ_BYTES_MAX)];
    let grammar = dialect.grammar();
    let mut tokens = Vec::new();
    let whole = Tokenizer::new(&*grammar, read).tokenize_with_location_into_buf(&mut tokens).is_ok();
    if !whole && read.len() == sql.len() {
        return None;
    }
    let is_cut = read.len() < sql.len();
    // The last token of a text that was cut may be a part of one that is no word.
    let tokens = if is_cut { &tokens[..tokens.len().saturating_sub(1)] } else { &tokens[..] };
    let mut shape =
        Shape { dialect, text: String::with_capacity(sql.len().min(bytes_max)), last: Last::Nothing };
    tokens.iter().enumerate().for_each(|(at, token)| shape.take(tokens, at, &token.token));
    Some(bounded(shape.text, is_cut, bytes_max))
}

fn bounded(mut text: String, is_cut: bool, bytes_max: usize) -> String {
    let end = floor_char_boundary(&text, bytes_max);
    if is_cut || end < text.len() {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Blank,
    Literal,
    Other,
}

struct Shape {
    dialect: Dialect,
    text: String,
    last: Last,
}

impl Shape {
    fn take(&mut self, tokens: &[TokenWithSpan], at: usize, token: &Token) {
        let last = self.last;
        self.last = match token {
            // Comments are whitespace to the tokenizer, too.
            Token::Whitespace(_) => Last::Blank,
            Token::EOF => return,
            // Digits behind an underscore, or what else runs into a literal, belong to it.
            Token::Word(_) if last == Last::Literal => last,
            Token::Word(word) if self.is_name(tokens, at, word) => {
                self.push(last, &word.to_string());
                Last::Other
            }
            Token::SemiColon => Last::Other,
            Token::Comma => {
                self.text.push(',');
                Last::Other
            }
            token if is_sign(token) => {
                self.push(last, &token.to_string());
                Last::Other
            }
            _ => {
                self.literal(last);
                Last::Literal
            }
        };
    }

    fn push(&mut self, last: Last, text: &str) {
        if last == Last::Blank && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }

    /// One mark for a list of literals, so that lists of different lengths are one shape.
    fn literal(&mut self, last: Last) {
        match self.text.strip_suffix(',').filter(|before| before.ends_with('?')) {
            Some(before) => self.text.truncate(before.len()),
            None => self.push(last, "?"),
        }
    }

    /// Whether a word is a name or a keyword. SQLite and MySQL take what stands in double quotes for a text where no name
    /// fits; behind FROM and JOIN and beside a dot it is a name in any case.
    fn is_name(&self, tokens: &[TokenWithSpan], at: usize, word: &Word) -> bool {
        if word.quote_style != Some('"') || self.dialect == Dialect::Postgres {
            return true;
        }
        let is_blank = |token: &&TokenWithSpan| matches!(token.token, Token::Whitespace(_));
        let after = tokens[at + 1..].iter().find(|token| !is_blank(token));
        let before = tokens[..at].iter().rev().find(|token| !is_blank(token));
        let is_dot = |token: Option<&TokenWithSpan>| token.is_some_and(|token| token.token == Token::Period);
        let opens = before.is_some_and(|token| {
            matches!(&token.token, Token::Word(word)
                if word.quote_style.is_none() && matches!(word.keyword, Keyword::FROM | Keyword::JOIN))
        });
        is_dot(before) || is_dot(after) || opens
    }
}

/// Punctuation and operators: tokens without a text of their own, or one of nothing but operators' characters.
fn is_sign(token: &Token) -> bool {
    use Token::*;
    matches!(
        token,
        DoubleEq
            | Eq
            | Neq
            | Lt
            | Gt
            | LtEq
            | GtEq
            | Spaceship
            | Plus
            | Minus
            | Mul
            | Div
            | Mod
            | StringConcat
            | LParen
            | RParen
            | Period
            | Colon
            | DoubleColon
            | LBracket
            | RBracket
            | Ampersand
            | Pipe
            | Caret
            | Sharp
            | Tilde
            | TildeAsterisk
            | ExclamationMarkTilde
            | ExclamationMarkTildeAsterisk
            | DoubleTilde
            | DoubleTildeAsterisk
            | ExclamationMarkDoubleTilde
            | ExclamationMarkDoubleTildeAsterisk
            | ShiftLeft
            | ShiftRight
            | Overlap
            | CaretAt
            | TwoWayArrow
            | Arrow
            | LongArrow
            | HashArrow
            | HashLongArrow
            | AtArrow
            | ArrowAt
            | HashMinus
            | AtQuestion
            | AtAt
            | Question
            | QuestionAnd
            | QuestionPipe
            | CustomBinaryOperator(_)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(sql: &str, dialect: Dialect) -> String {
        shape(sql, dialect, 1_000).unwrap()
    }

    #[test]
    fn names_stay_and_values_go() {
        for (sql, expected) in [
            ("SELECT  a,\n b FROM t WHERE c = 'x' -- y", "SELECT a, b FROM t WHERE c = ?"),
            (
                "select count(*) from t where a in (1, 2.5, -3) limit 10;",
                "select count(*) from t where a in (?, -?) limit ?",
            ),
            ("SELECT a FROM t WHERE b IN ('x','y' , 'z')", "SELECT a FROM t WHERE b IN (?)"),
            (
                "WITH w AS (SELECT 1 AS n) SELECT n + 1e3 FROM w",
                "WITH w AS (SELECT ? AS n) SELECT n + ? FROM w",
            ),
            ("/* hello */ SELECT x'00ff', 0xff, 1_000, NULL", "SELECT ?, NULL"),
            ("SELECT 'it''s', \"Smith\" FROM \"Order Details\" o", "SELECT ? FROM \"Order Details\" o"),
            ("SELECT \"t\".\"a b\" FROM x JOIN \"t\" ON 1", "SELECT \"t\".\"a b\" FROM x JOIN \"t\" ON ?"),
            ("SELECT [a b], `c` FROM t", "SELECT [a b], `c` FROM t"),
        ] {
            assert_eq!(of(sql, Dialect::Sqlite), expected, "{sql}");
        }
        for (sql, expected) in [
            (
                "SELECT \"Name\" FROM t WHERE a = $$x$$ AND b = E'\\n'",
                "SELECT \"Name\" FROM t WHERE a = ? AND b = ?",
            ),
            (
                "SELECT DATE '2020-01-01' + INTERVAL '1 day', a->>'k' FROM t",
                "SELECT DATE ? + INTERVAL ?, a->>? FROM t",
            ),
            (
                "SELECT a::text @> '{1}' FROM t WHERE b <-> 'x' < 5",
                "SELECT a::text @> ? FROM t WHERE b <-> ? < ?",
            ),
            ("SELECT 1_000, 0x1F, B'101', $1", "SELECT ?"),
        ] {
            assert_eq!(of(sql, Dialect::Postgres), expected, "{sql}");
        }
    }

    #[test]
    fn a_shape_is_cut_between_characters_and_says_so() {
        assert_eq!(shape("SELECT größe FROM t", Dialect::Sqlite, 10).unwrap(), "SELECT gr…");
        assert_eq!(shape("SELECT a", Dialect::Sqlite, 8).unwrap(), "SELECT a");
        // A text that ends inside of a value ends before it.
        let long = format!("SELECT a FROM t WHERE b = '{}'", "secret ".repeat(2_000));
        assert_eq!(of(&long, Dialect::Sqlite), "SELECT a FROM t WHERE b =…");
        let list = format!("SELECT a FROM t WHERE b IN ({})", vec!["12345"; 5_000].join(", "));
        assert!(of(&list, Dialect::Postgres).starts_with("SELECT a FROM t WHERE b IN (?"));
        for sql in ["SELECT 'a", "SELECT \"a", "SELECT /*"] {
            assert_eq!(shape(sql, Dialect::Postgres, 100), None, "{sql}");
        }
    }

    proptest! {
        /// A canary is planted wherever a value or a comment may stand.
        #[test]
        fn no_value_is_in_a_shape(
            open in prop_oneof![
                Just(("'", "'")), Just(("x'", "'")), Just(("N'", "'")), Just(("E'", "'")), Just(("B'", "'")), Just(("$$", "$$")),
                Just(("$q$", "$q$")), Just(("/*", "*/")), Just(("--", "\n")), Just(("1", "")), Just(("0x", "")),
                Just(("1.", "")), Just(("1_", "")), Just(("$", "")), Just(("\"", "\"")),
            ],
            before in prop_oneof![Just("SELECT "), Just("SELECT a FROM t WHERE b = "), Just("SELECT f(1, "), Just("SELECT a-")],
            after in prop_oneof![Just(""), Just(" FROM t"), Just(", 2)"), Just(" LIMIT 1"), Just("::text")],
            dialect in prop_oneof![Just(Dialect::Sqlite), Just(Dialect::Postgres), Just(Dialect::MySql)],
        ) {
            // In PostgreSQL alone a double quote holds names and nothing else.
            prop_assume!(open.0 != "\"" || dialect != Dialect::Postgres);
            // Another dialect than PostgreSQL's takes these for names that begin with a dollar sign.
            prop_assume!(!open.0.starts_with('$') || dialect == Dialect::Postgres);
            // And MySQL has names that begin with digits.
            prop_assume!(open.0 != "1_" || dialect != Dialect::MySql);
            let sql = format!("{before}{}4242{}{after}", open.0, open.1);
            if let Some(shape) = shape(&sql, dialect, 1_000) {
                prop_assert!(!shape.contains("4242"), "{} became {}", sql, shape);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(sql in ".{0,200}", bytes in 0usize..50) {
            for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
                if let Some(shape) = shape(&sql, dialect, bytes) {
                    prop_assert!(shape.trim_end_matches('…').len() <= bytes);
                }
            }
        }
    }
}
