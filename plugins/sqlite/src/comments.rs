//! Comments of tables and columns, out of the text that made them.
//!
//! SQLite keeps no comments, but it keeps each CREATE statement as it was written, from the name on, and people
//! write there what a column means. A comment belongs to the definition that stands before it on its line, and one
//! that begins its line to the definition that follows; one before the first definition, on the line of the
//! opening parenthesis or before it, belongs to the table.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::CharIndices;

/// Most characters of a comment; a meaning takes a sentence or two.
const COMMENT_CHARS_MAX: usize = 300;

/// What one CREATE statement says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comments {
    /// On the table or view.
    pub(crate) table: Option<String>,
    /// By column's name in lower case (ASCII, as SQLite compares names).
    pub(crate) columns: HashMap<String, String>,
}

impl Comments {
    /// About how many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(|(name, comment)| name.len() + comment.len() + 64);
        self.table.as_ref().map_or(0, String::len) + columns.sum::<usize>()
    }
}

enum Token<'a> {
    Comment(&'a str),
    Newline,
    Open,
    Close,
    Comma,
    /// A word or a quoted name.
    Name(String),
    Other,
}

/// Reads the comments of a `CREATE TABLE`.
pub(crate) fn of_table(sql: &str) -> Comments {
    let mut reader = Reader::default();
    let mut depth = 0u32;
    for token in Tokens::new(sql) {
        match token {
            Token::Open => {
                depth += 1;
                if depth > 1 {
                    reader.word(None);
                }
            }
            Token::Close => {
                depth = depth.saturating_sub(1);
                // What follows the definitions belongs to none of them.
                if depth == 0 {
                    break;
                }
            }
            Token::Comment(text) if depth == 0 => append(&mut reader.found.table, text),
            Token::Comment(text) => reader.comment(text),
            Token::Newline => reader.line_ends(depth),
            Token::Comma if depth == 1 => reader.in_definition = false,
            Token::Name(name) if depth == 1 => reader.word(Some(name)),
            Token::Name(_) | Token::Other | Token::Comma if depth >= 1 => reader.word(None),
            Token::Name(_) | Token::Other | Token::Comma => {}
        }
    }
    reader.found
}

/// Reads the comment that stands before the query of a `CREATE VIEW`.
pub(crate) fn of_view(sql: &str) -> Comments {
    let mut found = Comments::default();
    for token in Tokens::new(sql) {
        match token {
            Token::Comment(text) => append(&mut found.table, text),
            Token::Name(word)
                if ["select", "with", "values"].contains(&word.to_ascii_lowercase().as_str()) =>
            {
                break;
            }
            _ => {}
        }
    }
    found
}

#[derive(Default)]
struct Reader {
    found: Comments,
    /// Whether the name of the definition under way was read.
    in_definition: bool,
    /// The definition under way or just ended.
    current: Option<String>,
    /// Comments that wait for the definition after them.
    pending: Option<String>,
    line_has_words: bool,
    /// Whether the line of the opening parenthesis is over.
    inside: bool,
}

impl Reader {
    fn line_ends(&mut self, depth: u32) {
        self.line_has_words = false;
        self.inside |= depth > 0;
    }

    fn word(&mut self, name: Option<String>) {
        self.line_has_words = true;
        self.inside = true;
        if std::mem::replace(&mut self.in_definition, true) {
            return;
        }
        // A definition without a name, or of a constraint: columns are looked up by name, so it is found by nobody.
        self.current = name.map(|name| name.to_ascii_lowercase());
        if let (Some(name), Some(comment)) = (&self.current, self.pending.take()) {
            self.found.columns.insert(name.clone(), comment);
        }
    }

    fn comment(&mut self, text: &str) {
        let follows = self.line_has_words;
        match (&self.current, follows) {
            (Some(name), true) => {
                let mut comment = self.found.columns.remove(name);
                append(&mut comment, text);
                self.found.columns.extend(comment.map(|comment| (name.clone(), comment)));
            }
            (None, _) if !self.inside => append(&mut self.found.table, text),
            _ => append(&mut self.pending, text),
        }
    }
}

/// Adds a comment's words to those before it, on one line and up to the limit.
fn append(comment: &mut Option<String>, text: &str) {
    let words =
        text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    let comment = comment.get_or_insert_default();
    let mut chars = comment.chars().count();
    for word in words {
        if !comment.is_empty() {
            comment.push(' ');
            chars += 1;
        }
        for char in word.chars() {
            if chars >= COMMENT_CHARS_MAX {
                return;
            }
            comment.push(char);
            chars += 1;
        }
    }
}

/// The statement's tokens, as far as they matter here.
struct Tokens<'a> {
    sql: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Tokens<'a> {
    fn new(sql: &'a str) -> Self {
        Self { sql, chars: sql.char_indices().peekable() }
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, char)| *char == wanted).is_some()
    }

    /// The name in quotes; a doubled quote stands for itself.
    fn quoted(&mut self, close: char) -> String {
        let mut name = String::new();
        while let Some((_, char)) = self.chars.next() {
            if char == close && !(close != ']' && self.next_is(close)) {
                break;
            }
            name.push(char);
        }
        name
    }

    fn line_comment(&mut self, from: usize) -> Token<'a> {
        // The end of the line stays: it ends the line for what follows, too.
        while self.chars.next_if(|(_, char)| *char != '\n').is_some() {}
        let to = self.chars.peek().map_or(self.sql.len(), |(at, _)| *at);
        Token::Comment(&self.sql[from..to])
    }

    fn block_comment(&mut self, from: usize) -> Token<'a> {
        while let Some((at, char)) = self.chars.next() {
            if char == '*' && self.next_is('/') {
                return Token::Comment(&self.sql[from..at]);
            }
        }
        Token::Comment(&self.sql[from..])
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (at, char) = self.chars.next()?;
            return Some(match char {
                '\n' => Token::Newline,
                char if char.is_whitespace() => continue,
                '-' if self.next_is('-') => self.line_comment(at + 2),
                '/' if self.next_is('*') => self.block_comment(at + 2),
                '(' => Token::Open,
                ')' => Token::Close,
                ',' => Token::Comma,
                '"' | '`' => Token::Name(self.quoted(char)),
                '\'' => Token::Name(self.quoted('\'')),
                '[' => Token::Name(self.quoted(']')),
                char if char.is_alphabetic() || char == '_' => {
                    let mut name = String::from(char);
                    while let Some((_, char)) =
                        self.chars.next_if(|(_, char)| char.is_alphanumeric() || matches!(char, '_' | '$'))
                    {
                        name.push(char);
                    }
                    Token::Name(name)
                }
                _ => Token::Other,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(sql: &str) -> (Option<String>, Vec<(String, String)>) {
        let comments = of_table(sql);
        let mut columns: Vec<_> = comments.columns.into_iter().collect();
        columns.sort();
        (comments.table, columns)
    }

    #[test]
    fn comments_belong_to_what_stands_before_them_or_below() {
        let sql = "CREATE TABLE t ( -- things that are sold\n\
                   id INTEGER PRIMARY KEY, -- made by the shop\n\
                   -- what it costs,\n   -- in cents\n\
                   price INTEGER NOT NULL CHECK (price > 0 -- never free\n ),\n\
                   \"The Name\" TEXT DEFAULT 'a -- b, c', /* as\n   printed */\n\
                   note TEXT /* for us */\n\
                   -- nobody's\n\
                   , PRIMARY KEY (id) -- no column\n\
                   ) -- the end";
        let (table, columns) = found(sql);
        assert_eq!(table.as_deref(), Some("things that are sold"));
        let columns: Vec<_> =
            columns.iter().map(|(name, comment)| (name.as_str(), comment.as_str())).collect();
        assert_eq!(
            columns,
            [
                ("id", "made by the shop"),
                ("note", "for us"),
                ("price", "what it costs, in cents never free"),
                ("primary", "nobody's no column"),
                ("the name", "as printed"),
            ]
        );
    }

    #[test]
    fn a_table_on_one_line_and_one_without_comments_are_read_too() {
        assert_eq!(found("CREATE TABLE t (a, b)"), (None, vec![]));
        let (table, columns) = found("CREATE TABLE t /* all of it */ (a /* first */, b /* second */)");
        assert_eq!(table.as_deref(), Some("all of it"));
        assert_eq!(columns, [("a".into(), "first".into()), ("b".into(), "second".into())]);
        assert_eq!(
            of_view("CREATE VIEW v AS -- who flies\n SELECT 1 -- not this").table.as_deref(),
            Some("who flies")
        );
    }

    #[test]
    fn a_comment_is_kept_to_its_limit() {
        let at = "x".repeat(COMMENT_CHARS_MAX);
        for (written, kept) in [(at.clone(), &at), (format!("{at}y"), &at)] {
            assert_eq!(
                found(&format!("CREATE TABLE t (a -- {written}\n)")).1,
                [("a".to_owned(), kept.clone())]
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(sql in "[-a-b('\"\\[\\]`,/*) \n\u{e9}]{0,80}") {
            of_table(&sql);
            of_view(&sql);
        }
    }
}
