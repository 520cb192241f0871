//! `LIKE` and `GLOB` once more, so that they can be stopped.
//!
//! SQLite's own look at no clock: one `LIKE` of 250 letters on a text of 4 MB took two seconds, and a
//! hundred in a row minutes in which a revoked query burned a core. These answer the same
//! (`they_match_as_sqlites_own_do`), never recurse, and look at the query's watch while they work.
//!
//! An engine whose `LIKE` was replaced no longer turns `LIKE 'abc%'` into a range of an index on
//! `COLLATE NOCASE` (nor `GLOB 'abc*'` on a plain one): such a search reads the whole index or table.

use memchr::{memchr, memchr2};
use rusqlite::Connection;
use rusqlite::Error;
use rusqlite::functions::{Context, FunctionFlags};

use crate::linear::{bytes, interrupted};
use crate::watch;

/// Longest pattern in bytes, as [`crate::connection`] sets it for SQLite's own.
pub(crate) const PATTERN_BYTES_MAX: usize = 256;

/// Characters compared between two looks at the watch: some 100 µs.
const STEPS_PER_LOOK: u32 = 32 * 1024;

/// Puts our `like` and `glob` in the place of SQLite's own.
pub(crate) fn install(connection: &Connection, flags: FunctionFlags) -> rusqlite::Result<()> {
    connection.create_scalar_function("glob", 2, flags, |context| run(context, GLOB))?;
    connection.create_scalar_function("like", 2, flags, |context| run(context, LIKE))?;
    connection.create_scalar_function("like", 3, flags, |context| {
        let Some(escape) = bytes(context.get_raw(2)) else { return Ok(None) };
        let escape = one_character(&escape)
            .ok_or_else(|| Error::UserFunctionError("ESCAPE expression must be a single character".into()))?;
        // An escape that is itself a wildcard is none any more.
        let unless = |wildcard| if wildcard == escape { 0 } else { wildcard };
        run(context, Wildcards { all: unless(LIKE.all), one: unless(LIKE.one), escape, ..LIKE })
    })
}

/// What stands for what; 0 for nothing.
#[derive(Clone, Copy)]
struct Wildcards {
    all: u32,
    one: u32,
    set: u32,
    escape: u32,
    ignores_case: bool,
}

const LIKE: Wildcards = Wildcards { all: '%' as u32, one: '_' as u32, set: 0, escape: 0, ignores_case: true };
const GLOB: Wildcards =
    Wildcards { all: '*' as u32, one: '?' as u32, set: '[' as u32, escape: 0, ignores_case: false };

fn run(context: &Context<'_>, wildcards: Wildcards) -> rusqlite::Result<Option<bool>> {
    let (pattern, text) = (bytes(context.get_raw(0)), bytes(context.get_raw(1)));
    if pattern.as_ref().is_some_and(|pattern| pattern.len() > PATTERN_BYTES_MAX) {
        return Err(Error::UserFunctionError(
            format!("a LIKE or GLOB pattern has at most {PATTERN_BYTES_MAX} bytes").into(),
        ));
    }
    let (Some(pattern), Some(text)) = (pattern, text) else { return Ok(None) };
    matches(until_nul(&pattern), until_nul(&text), wildcards).map(Some)
}

/// SQLite compares C strings.
fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr(0, bytes).unwrap_or(bytes.len())]
}

/// Where to go on after a wildcard for any text, once what follows it did not match.
#[derive(Clone, Copy)]
struct Retry {
    pattern: usize,
    text: usize,
}

fn matches(pattern: &[u8], text: &[u8], wildcards: Wildcards) -> rusqlite::Result<bool> {
    let (mut at_pattern, mut at_text) = (0, 0);
    // The last such wildcard is enough: what stood before it is matched as early as it can be.
    let mut retry: Option<Retry> = None;
    let mut steps = 0;
    loop {
        steps += 1;
        if steps == STEPS_PER_LOOK {
            steps = 0;
            if watch::is_over() {
                return Err(interrupted());
            }
        }
        let (mut next_pattern, mut next_text) = (at_pattern, at_text);
        let wanted = read(pattern, &mut next_pattern);
        let same = if wanted == 0 {
            if at_text == text.len() {
                return Ok(true);
            }
            false
        } else if wanted == wildcards.all {
            if next_pattern == pattern.len() {
                return Ok(true);
            }
            at_pattern = next_pattern;
            at_text = skip(pattern, next_pattern, text, at_text, wildcards);
            retry = Some(Retry { pattern: at_pattern, text: at_text });
            continue;
        } else {
            let found = read(text, &mut next_text);
            if found == 0 {
                // The pattern wants more than there is; starting later leaves still less.
                return Ok(false);
            }
            if wanted == wildcards.set && wanted != 0 {
                is_in_set(pattern, &mut next_pattern, found)
            } else if wanted == wildcards.escape {
                let literal = read(pattern, &mut next_pattern);
                if literal == 0 {
                    return Ok(false);
                }
                is_same(literal, found, wildcards)
            } else {
                wanted == wildcards.one || is_same(wanted, found, wildcards)
            }
        };
        if same {
            (at_pattern, at_text) = (next_pattern, next_text);
            continue;
        }
        let Some(again) = &mut retry else { return Ok(false) };
        if read(text, &mut again.text) == 0 {
            return Ok(false);
        }
        at_pattern = again.pattern;
        again.text = skip(pattern, again.pattern, text, again.text, wildcards);
        at_text = again.text;
    }
}

/// From `at_text` on to the first place where the pattern's next character can be, where that is cheap to
/// see: an ASCII letter that means itself.
fn skip(pattern: &[u8], at: usize, text: &[u8], at_text: usize, wildcards: Wildcards) -> usize {
    let Some(first) = pattern.get(at).filter(|first| first.is_ascii()) else { return at_text };
    let special = [wildcards.all, wildcards.one, wildcards.set, wildcards.escape];
    if special.contains(&u32::from(*first)) {
        return at_text;
    }
    let rest = &text[at_text..];
    let found = match wildcards.ignores_case {
        true => memchr2(first.to_ascii_lowercase(), first.to_ascii_uppercase(), rest),
        false => memchr(*first, rest),
    };
    at_text + found.unwrap_or(rest.len())
}

fn is_same(wanted: u32, found: u32, wildcards: Wildcards) -> bool {
    let lower = |character: u32| match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => u32::from(byte.to_ascii_lowercase()),
        _ => character,
    };
    wanted == found || wildcards.ignores_case && lower(wanted) == lower(found)
}

/// Whether a character is in the set that begins at `at`, after its `[`; moves past the set. A set that
/// is not closed holds nothing.
fn is_in_set(pattern: &[u8], at: &mut usize, found: u32) -> bool {
    let is = |character: u32, what: char| character == what as u32;
    let mut seen = false;
    let mut prior = 0;
    let mut next = read(pattern, at);
    let inverted = is(next, '^');
    if inverted {
        next = read(pattern, at);
    }
    if is(next, ']') {
        seen = is(found, ']');
        next = read(pattern, at);
    }
    while next != 0 && !is(next, ']') {
        if is(next, '-') && prior > 0 && pattern.get(*at).is_some_and(|after| *after != b']') {
            let last = read(pattern, at);
            seen |= (prior..=last).contains(&found);
            prior = 0;
        } else {
            seen |= found == next;
            prior = next;
        }
        next = read(pattern, at);
    }
    next != 0 && seen != inverted
}

/// The next character, or 0 at the end, where it stays. Reads what is no UTF-8 as SQLite does.
fn read(text: &[u8], at: &mut usize) -> u32 {
    let Some(first) = text.get(*at) else { return 0 };
    *at += 1;
    let mut character = u32::from(*first);
    if character < 0xC0 {
        return character;
    }
    character &= match character {
        0xC0..0xE0 => 0x1F,
        0xE0..0xF0 => 0x0F,
        0xF0..0xF8 => 0x07,
        0xF8..0xFC => 0x03,
        0xFC..0xFE => 0x01,
        _ => 0x00,
    };
    while let Some(more) = text.get(*at).filter(|byte| **byte & 0xC0 == 0x80) {
        character = (character << 6) + u32::from(more & 0x3F);
        *at += 1;
    }
    let is_none = character < 0x80 || character & 0xFFFF_F800 == 0xD800 || character & 0xFFFF_FFFE == 0xFFFE;
    if is_none { 0xFFFD } else { character }
}

fn one_character(text: &[u8]) -> Option<u32> {
    let text = until_nul(text);
    let mut at = 0;
    let character = read(text, &mut at);
    (at > 0 && at == text.len()).then_some(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(connection: &Connection, sql: &str, values: &[&[u8]]) -> Result<Option<bool>, String> {
        // Through blobs, so that text which is no UTF-8 comes in too.
        let mut statement = connection.prepare_cached(sql).unwrap();
        statement
            .query_row(rusqlite::params_from_iter(values), |row| row.get(0))
            .map_err(|error| error.sqlite_error_code().map(|code| format!("{code:?}")).unwrap_or_default())
    }

    /// Few letters, so that patterns and texts often meet.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => prop::sample::select(b"aAbB%_*?[]^-\\cz".to_vec()).prop_map(|byte| vec![byte]),
            2 => prop::sample::select(vec!["é", "É", "李", "\u{1F600}", "%%", "*a", "[a-c]", "[^b]", "ab"])
                .prop_map(|text| text.as_bytes().to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ]
    }

    fn text(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(piece(), 0..most).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn they_match_as_sqlites_own_do(pattern in text(12), text in text(16), escape in piece()) {
            thread_local! {
                static BOTH: (Connection, Connection) = {
                    let (own, ours) =
                        (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
                    crate::linear::install(&ours).unwrap();
                    (own, ours)
                };
            }
            BOTH.with(|(own, ours)| {
                let values: &[&[u8]] = &[&text, &pattern, &escape];
                for (sql, count) in [
                    ("SELECT CAST(?1 AS TEXT) LIKE CAST(?2 AS TEXT)", 2),
                    ("SELECT CAST(?1 AS TEXT) GLOB CAST(?2 AS TEXT)", 2),
                    ("SELECT ?1 LIKE ?2", 2),
                    ("SELECT CAST(?1 AS TEXT) LIKE CAST(?2 AS TEXT) ESCAPE CAST(?3 AS TEXT)", 3),
                    ("SELECT CAST(?1 AS TEXT) LIKE CAST(?2 AS TEXT) ESCAPE '\\'", 2),
                    ("SELECT CAST(?1 AS TEXT) LIKE CAST(?2 AS TEXT) ESCAPE '%'", 2),
                    ("SELECT CAST(?1 AS TEXT) LIKE CAST(?2 AS TEXT) ESCAPE '_'", 2),
                ] {
                    prop_assert_eq!(
                        ask(ours, sql, &values[..count]), ask(own, sql, &values[..count]),
                        "{} {:?}", sql, values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>()
                    );
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn null_and_numbers_match_as_sqlites_own_do() {
        let (own, ours) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        crate::linear::install(&ours).unwrap();
        for sql in [
            "SELECT NULL LIKE 'a'",
            "SELECT 'a' LIKE NULL",
            "SELECT 'a' LIKE 'a' ESCAPE NULL",
            "SELECT 12.50 LIKE '12.5'",
            "SELECT 120 GLOB '1*'",
            "SELECT 'a' NOT LIKE 'A'",
            "SELECT '' LIKE '%'",
            "SELECT 'x' LIKE ''",
        ] {
            assert_eq!(ask(&ours, sql, &[]), ask(&own, sql, &[]), "{sql}");
        }
    }
}
