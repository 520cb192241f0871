//! A PostgreSQL statement in a form that leaves nothing to interpretation.
//!
//! The guard reads a statement by one grammar and the server by another, and where the two cut the text into tokens
//! differently, what was checked is not what runs. So what is checked *and* sent is a text without comments,
//! dollar quotes and whatever else depends on who reads it. The rules are those of the server's own scanner
//! (`standard_conforming_strings` on, which the connector sets).
//!
//! **Invariant:** the text that comes out has no comment, and making it plain once more changes nothing
//! (`plain_text_stays_as_it_is`).

use crate::{QueryError, Said, words};

/// The statement without comments (blanks stand in their place, so that what follows stays where it was) and with
/// plain strings for dollar-quoted ones.
///
/// [`QueryError::Refused`] for what has a plain form and is not in it, [`QueryError::Sql`] for what does not end.
pub(crate) fn plain(sql: &str) -> Result<String, QueryError> {
    if sql.contains('\0') {
        return refuse("The statement holds a NUL character. Leave it out.");
    }
    let mut reader = Reader { sql, at: 0, out: String::with_capacity(sql.len()) };
    while reader.at < sql.len() {
        reader.next()?;
    }
    Ok(reader.out)
}

struct Reader<'a> {
    sql: &'a str,
    at: usize,
    out: String,
}

fn refuse<T>(message: &str) -> Result<T, QueryError> {
    Err(QueryError::Refused(Said::new(words::AMBIGUOUS, message)))
}

fn open<T>(what: &str) -> Result<T, QueryError> {
    Err(QueryError::Sql(format!(
        "The statement has {what} without an end. Close it and send one SELECT statement."
    )))
}

fn starts_word(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_' || (!char.is_ascii() && !char.is_whitespace())
}

fn is_in_word(char: char) -> bool {
    starts_word(char) || char.is_ascii_digit() || char == '$'
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.sql[self.at..]
    }

    /// Takes `bytes` over as they are.
    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.sql[self.at..self.at + bytes]);
        self.at += bytes;
    }

    /// Leaves `bytes` out; line breaks stay, and each other character becomes a blank.
    fn blank(&mut self, bytes: usize) {
        let blanked = &self.sql[self.at..self.at + bytes];
        self.out.extend(blanked.chars().map(|char| if matches!(char, '\n' | '\r') { char } else { ' ' }));
        self.at += bytes;
    }

    fn next(&mut self) -> Result<(), QueryError> {
        let rest = self.rest();
        if let Some(bytes) = comment(rest)? {
            self.blank(bytes);
            return Ok(());
        }
        match rest.chars().next().unwrap_or_default() {
            '\'' => self.string(false),
            '"' => {
                let bytes = quoted(rest, '"').map_or_else(|| open("a name in quotes"), Ok)?;
                self.copy(bytes);
                Ok(())
            }
            '$' => self.dollar(),
            char if starts_word(char) => self.word(),
            char if char.is_ascii_digit() => self.number(),
            char if char.is_whitespace() || char.is_control() => {
                // To the server a blank beyond ASCII is a letter.
                if matches!(char, '\n' | '\r') {
                    self.copy(1)
                } else {
                    self.blank(char.len_utf8())
                }
                Ok(())
            }
            char => {
                self.copy(char.len_utf8());
                Ok(())
            }
        }
    }

    fn word(&mut self) -> Result<(), QueryError> {
        let rest = self.rest();
        let bytes = rest.find(|char| !is_in_word(char)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(bytes);
        if word.eq_ignore_ascii_case("u") && (after.starts_with("&'") || after.starts_with("&\"")) {
            return refuse("Strings and names with U& are not allowed. Write the characters themselves.");
        }
        self.copy(bytes);
        if !after.starts_with('\'') {
            return Ok(());
        }
        match word.to_ascii_lowercase().as_str() {
            "e" => self.string(true),
            // To the parser a backslash escapes in a string of bytes, which PostgreSQL takes no backslash in at all.
            "b" | "x"
                if !after[1..]
                    .trim_start_matches(|char: char| char.is_ascii_hexdigit())
                    .starts_with('\'') =>
            {
                refuse("A string of bits or bytes holds something else than digits. Correct it.")
            }
            // These have no escapes.
            "b" | "x" | "n" => self.string(false),
            _ => Ok(()),
        }
    }

    /// A number, which nothing but a blank or an operator may follow: versions of the server differ in what a letter
    /// there means.
    fn number(&mut self) -> Result<(), QueryError> {
        let rest = self.rest();
        let bytes = rest.find(|char| !(is_in_word(char) || char == '.')).unwrap_or(rest.len());
        if rest[bytes..].starts_with('\'') || rest[..bytes].contains('$') {
            return refuse("A number runs into a string or a dollar sign. Put a blank between them.");
        }
        self.copy(bytes);
        Ok(())
    }

    /// A string in single quotes, whose prefix was taken over already.
    fn string(&mut self, escapes: bool) -> Result<(), QueryError> {
        let rest = self.rest();
        let bytes = match escapes {
            false => quoted(rest, '\''),
            true => escaped(rest)?,
        };
        let bytes = bytes.map_or_else(|| open("a string"), Ok)?;
        self.copy(bytes);
        self.nothing_continues()
    }

    /// `$$ … $$` and `$tag$ … $tag$` as a plain string; `$1` as it is.
    fn dollar(&mut self) -> Result<(), QueryError> {
        let rest = self.rest();
        let Some(tag) = dollar_tag(rest) else {
            self.copy(1);
            return Ok(());
        };
        let body = &rest[tag.len()..];
        let Some(length) = body.find(tag) else { return open("a string in dollar quotes") };
        self.out.push('\'');
        self.out.push_str(&body[..length].replace('\'', "''"));
        self.out.push('\'');
        self.at += length + 2 * tag.len();
        self.nothing_continues()
    }

    /// Strings with a line break between them are one, which parsers overlook.
    fn nothing_continues(&self) -> Result<(), QueryError> {
        let mut rest = self.rest();
        loop {
            rest = rest.trim_start();
            match comment(rest)? {
                Some(bytes) => rest = &rest[bytes..],
                // One in dollar quotes would be the second only once it is plain.
                None if rest.starts_with('\'') || (rest.starts_with('$') && dollar_tag(rest).is_some()) => {
                    return refuse("Two strings follow each other. Join them with ||, or write them as one.");
                }
                None => return Ok(()),
            }
        }
    }
}

/// How long the comment is that the text begins with, if it does.
fn comment(text: &str) -> Result<Option<usize>, QueryError> {
    if text.starts_with("--") {
        return Ok(Some(text.find(['\n', '\r']).unwrap_or(text.len())));
    }
    if !text.starts_with("/*") {
        return Ok(None);
    }
    let (bytes, mut at, mut depth) = (text.as_bytes(), 2, 1);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"*/" if depth == 1 => return Ok(Some(at + 2)),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            b"/*" => (depth, at) = (depth + 1, at + 2),
            _ => at += 1,
        }
    }
    open("a comment")
}

/// How long a text in quotes is, in which a doubled quote stands for one.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// The same where a backslash escapes what follows it.
fn escaped(text: &str) -> Result<Option<usize>, QueryError> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'\\', Some(b'\'')) => {
                return refuse(
                    "A string has a quote behind a backslash. Write it as two quotes ('') instead.",
                );
            }
            (b'\\', Some(_)) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Ok(Some(at + 1)),
            _ => at += 1,
        }
    }
    Ok(None)
}

/// `$$` or `$tag$` at the start of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let length = text[1..].find('$')?;
    let tag = &text[1..1 + length];
    let is_tag = tag.is_empty() || (tag.starts_with(starts_word) && tag.chars().all(is_in_word));
    is_tag.then(|| &text[..length + 2])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_become_blanks_and_dollar_quotes_plain_ones() {
        for (sql, expected) in [
            ("SELECT 1 -- one\n+ 1", "SELECT 1       \n+ 1"),
            ("SELECT /* a /* b */ c */ 1", "SELECT                   1"),
            ("SELECT 1 @/* 'x*/, f('s') --'", "SELECT 1 @       , f('s')    "),
            ("SELECT '--', '/*', \"--\" -- x", "SELECT '--', '/*', \"--\"     "),
            ("SELECT $$a'b$$, $x$ $$ $x$, a$$b", "SELECT 'a''b', ' $$ ', a$$b"),
            ("SELECT $1", "SELECT $1"),
            ("SELECT E'a\\\\' , 'it''s', x'ff'", "SELECT E'a\\\\' , 'it''s', x'ff'"),
            ("SELECT\u{a0}1", "SELECT 1"),
            ("SELECT 'a\u{a0}b'", "SELECT 'a\u{a0}b'"),
            ("SELECT 1.5e3, 0x1f", "SELECT 1.5e3, 0x1f"),
            ("SELECT größe FROM \"stra\u{df}e\"", "SELECT größe FROM \"stra\u{df}e\""),
        ] {
            assert_eq!(plain(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn what_readers_take_differently_is_refused() {
        for sql in [
            "SELECT E'\\'; DELETE FROM t --'",
            "SELECT E'a'\n'b\\'c'",
            "SELECT 'a' -- x\n 'b'",
            "SELECT 'a' /* x */ 'b'",
            "SELECT 'a' $$b$$",
            "SELECT $a$b$a$\n$$c$$",
            "SELECT U&'\\006e'",
            "SELECT u&\"\\006eextval\"('s')",
            "SELECT 1e'\\''",
            "SELECT 1$$a$$",
            "SELECT x'\\', nextval('s'), x'\\'",
            "SELECT B'01 '",
            "SELECT 'a\0b'",
        ] {
            assert!(matches!(plain(sql), Err(QueryError::Refused(_))), "{sql}");
        }
        for sql in ["SELECT 'a", "SELECT \"a", "SELECT /* /* */", "SELECT $a$ $b$", "SELECT E'a\\"] {
            assert!(matches!(plain(sql), Err(QueryError::Sql(_))), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn plain_text_stays_as_it_is(parts in proptest::collection::vec(prop_oneof![
            Just("'"), Just("''"), Just("\""), Just("$$"), Just("$a$"), Just("--"), Just("/*"), Just("*/"), Just("\n"),
            Just("E'"), Just("\\"), Just("a"), Just(" "), Just("1"), Just("@"), Just("é"), Just("\u{a0}"),
        ], 0..16)) {
            if let Ok(once) = plain(&parts.concat()) {
                prop_assert_eq!(plain(&once).unwrap(), once);
            }
        }
    }
}
