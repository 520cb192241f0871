//! Reads Rust source as text and says which paths it names, and where.
//!
//! It knows no rule and no file system. It is a scan, not a parse: comments and literals are blanked,
//! the rest is cut into words and punctuation, and every `a::b::{c, d}` becomes the paths it stands
//! for. That is enough for imports, and it needs no compiler.

/// A path as the source names it, made absolute where it starts at `crate`, `self` or `super`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Counted from 1.
    pub(super) line: usize,
    /// Whether the path lies in this crate; otherwise its first segment is what stands in the source.
    pub(super) internal: bool,
    /// The segments, without `crate`.
    pub(super) path: Vec<String>,
}

/// A word or one character of punctuation; `::` is one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) text: String,
}

/// The source with comments, strings and characters turned into spaces; line numbers stay.
pub(super) fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself where none starts.
fn skipped(chars: &[char], at: usize) -> usize {
    let here = |offset: usize| chars.get(at + offset).copied();
    let inside_word = at > 0 && is_word(chars[at - 1]);
    match chars[at] {
        '/' if here(1) == Some('/') => line_end(chars, at),
        '/' if here(1) == Some('*') => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        '\'' => char_end(chars, at).unwrap_or(at),
        'r' | 'b' | 'c' if !inside_word => prefixed_end(chars, at),
        _ => at,
    }
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// The end of a string whose opening quote is before `at`.
fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of a character literal, or `None` where the quote opens a lifetime or a label.
fn char_end(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars.get(at + 3..)?.iter().position(|c| *c == '\'')?;
        return Some(at + 3 + close + 1);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(at + 3)
}

/// The end of a literal with a prefix (`b"…"`, `r#"…"#`, `b'…'`); `at` where it is only a word.
fn prefixed_end(chars: &[char], at: usize) -> usize {
    let mut i = at;
    while i < at + 2 && matches!(chars.get(i), Some('r' | 'b' | 'c')) {
        i += 1;
    }
    let raw = chars[at..i].contains(&'r');
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    match chars.get(i + hashes) {
        Some('"') if raw => {
            let close: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let close: Vec<char> = close.chars().collect();
            let body = i + hashes + 1;
            chars[body..]
                .windows(close.len())
                .position(|window| window == close)
                .map_or(chars.len(), |n| body + n + close.len())
        }
        Some('"') if hashes == 0 => string_end(chars, i + 1),
        Some('\'') if hashes == 0 && i == at + 1 => char_end(chars, i).unwrap_or(at),
        _ => at,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words and punctuation of blanked source.
pub(super) fn tokens(blanked: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (index, line) in blanked.lines().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let start = at;
            if is_word(chars[at]) {
                while at < chars.len() && is_word(chars[at]) {
                    at += 1;
                }
            } else {
                at += if chars[at] == ':' && chars.get(at + 1) == Some(&':') { 2 } else { 1 };
            }
            if !chars[start].is_whitespace() {
                found.push(Token { line: index + 1, text: chars[start..at].iter().collect() });
            }
        }
    }
    found
}

/// All paths of two or more segments that `source` names, and the single names that it `use`s.
/// `module` is the module that the file is (`["mcp", "era"]`; empty for `lib.rs` and `main.rs`).
pub(super) fn references(source: &str, module: &[&str]) -> Vec<Reference> {
    let tokens = tokens(&blank(source));
    let mut scan = Scan { tokens: &tokens, found: Vec::new() };
    let mut module: Vec<String> = module.iter().map(|segment| (*segment).to_owned()).collect();
    // Depths at which inline modules close.
    let mut inline: Vec<usize> = Vec::new();
    let (mut depth, mut at) = (0, 0);
    while at < tokens.len() {
        match scan.text(at) {
            "mod" if scan.text(at + 2) == "{" => {
                module.push(scan.text(at + 1).to_owned());
                inline.push(depth);
                depth += 1;
                at += 3;
            }
            "use" => at = scan.path(at + 1, &[], &module, true),
            "{" => (depth, at) = (depth + 1, at + 1),
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                    module.pop();
                }
                at += 1;
            }
            text if text.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                at = scan.path(at, &[], &module, false);
            }
            _ => at += 1,
        }
    }
    scan.found
}

struct Scan<'a> {
    tokens: &'a [Token],
    found: Vec<Reference>,
}

impl Scan<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Reads the path or the group of paths at `at` and answers where it ends.
    fn path(&mut self, mut at: usize, prefix: &[String], module: &[String], used: bool) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        let mut path = prefix.to_vec();
        if self.text(at) == "::" {
            at += 1;
        }
        loop {
            match self.text(at) {
                "{" if used => return self.group(at + 1, &path, module),
                "*" if used => at += 1,
                word if word.starts_with(is_word) => {
                    path.push(word.to_owned());
                    at += 1;
                    if self.text(at) == "::" {
                        at += 1;
                        continue;
                    }
                }
                _ => {}
            }
            if used || path.len() > 1 {
                self.found.extend(resolve(line, path, module));
            }
            return at.max(1);
        }
    }

    fn group(&mut self, mut at: usize, prefix: &[String], module: &[String]) -> usize {
        while at < self.tokens.len() && self.text(at) != "}" {
            if self.text(at) == "," {
                at += 1;
                continue;
            }
            let end = self.path(at, prefix, module, true);
            // Past an `as name`, or past what is no path at all.
            at = end.max(at + 1);
            while !matches!(self.text(at), "," | "}" | "") {
                at += 1;
            }
        }
        at + 1
    }
}

fn resolve(line: usize, path: Vec<String>, module: &[String]) -> Option<Reference> {
    let (mut base, mut rest) = match path.first()?.as_str() {
        // Binaries and tests name the library by the package's name.
        "crate" | "sequel" => (Vec::new(), &path[1..]),
        "self" if path.len() > 1 => (module.to_vec(), &path[1..]),
        "super" => (module.to_vec(), &path[..]),
        _ => return Some(Reference { line, internal: false, path }),
    };
    while rest.first().is_some_and(|segment| segment == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    Some(Reference { line, internal: true, path: base })
}

#[cfg(test)]
mod tests {
    use super::{blank, references, tokens};

    fn paths(source: &str, module: &[&str]) -> Vec<String> {
        let shown =
            |r: super::Reference| format!("{}{}", if r.internal { "crate::" } else { "" }, r.path.join("::"));
        references(source, module).into_iter().map(shown).collect()
    }

    #[test]
    fn comments_strings_and_characters_name_nothing() {
        let source = r##"
            // use crate::http;
            /* use crate::http; /* nested */ use crate::http; */
            const A: &str = "crate::http \" crate::http";
            const B: &str = r#"crate::http " "#;
            const C: (char, char, u8) = ('"', '\'', b'"');
            fn d<'a>(x: &'a str) -> &'a str { x }
            use crate::org;
        "##;
        assert_eq!(paths(source, &[]), ["crate::org"]);
    }

    #[test]
    fn lines_stay_where_they_were() {
        let source = "/* a\n b */ let x = \"c\n d\";\nuse crate::org;\n";
        assert_eq!(references(source, &[])[0].line, 4);
        assert_eq!(blank(source).lines().count(), source.lines().count());
    }

    #[test]
    fn groups_are_taken_apart() {
        let source = "pub(crate) use crate::{org::{self, actor as a}, config, tools::*}; use {serde::Serialize, std::fs};";
        assert_eq!(
            paths(source, &["http"]),
            [
                "crate::org::self",
                "crate::org::actor",
                "crate::config",
                "crate::tools",
                "serde::Serialize",
                "std::fs"
            ]
        );
    }

    #[test]
    fn super_climbs_from_the_file_and_from_inline_modules() {
        let source =
            "use super::era; mod tests { use super::super::org; use super::own; } use super::super::http::x;";
        assert_eq!(
            paths(source, &["mcp", "call"]),
            ["crate::mcp::era", "crate::mcp::org", "crate::mcp::call::own", "crate::http::x"]
        );
    }

    #[test]
    fn paths_in_code_and_attributes_count() {
        let source = "#[tokio::test] fn a() { crate::http::serve(); let t = std::time::Instant::now(); ::rand::random(); }";
        assert_eq!(
            paths(source, &["oauth"]),
            ["tokio::test", "crate::http::serve", "std::time::Instant::now", "rand::random"]
        );
    }

    #[test]
    fn generic_arguments_do_not_hide_what_follows() {
        assert_eq!(
            paths("let v = Vec::<crate::org::Actor>::new(); x.iter().map(crate::http::y)", &["mcp"]),
            ["Vec", "crate::org::Actor", "crate::http::y"]
                .into_iter()
                .filter(|p| *p != "Vec")
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn words_are_whole() {
        let found: Vec<_> = tokens("asynchronous async .await\n").into_iter().map(|t| t.text).collect();
        assert_eq!(found, ["asynchronous", "async", ".", "await"]);
    }
}
