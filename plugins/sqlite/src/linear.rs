//! SQLite's text searches once more, in linear time.
//!
//! SQLite's own `instr`, `replace` and `trim` compare at every place, and while one of them runs the
//! engine looks neither at the clock nor at a cancellation: a needle of 2 MB in a text of 4 MB took many
//! minutes. These take milliseconds and answer the same (`they_answer_as_sqlites_own_do`). `LIKE` and `GLOB`
//! are in `patterns`. What can be as slow and is rarely used (`unhex` with two arguments, `json_patch`) is on
//! the guard's list instead.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem::Finder;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, ffi};

use crate::connection::VALUE_BYTES_MAX;

/// Puts the linear functions in the place of SQLite's own.
pub(crate) fn install(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        // Harmless, so that views and generated columns may go on calling them.
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, instr)?;
    connection.create_scalar_function("replace", 3, flags, replace)?;
    for (name, start, end) in [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
        for arguments in [1, 2] {
            connection
                .create_scalar_function(name, arguments, flags, move |context| trim(context, start, end))?;
        }
    }
    crate::patterns::install(connection, flags)
}

/// How a function of ours ends a query whose time is up: as the engine would itself.
pub(crate) fn interrupted() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)
}

/// Texts from which on a function looks at the watch before it begins, in bytes.
const LONG: usize = 64 * 1024;

/// Between two progress looks a statement may call functions on long texts many times over.
fn look_if_long(text: &[u8]) -> rusqlite::Result<()> {
    if text.len() >= LONG && crate::watch::is_over() { Err(interrupted()) } else { Ok(()) }
}

fn instr(context: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let (hay, needle) = (context.get_raw(0), context.get_raw(1));
    let blobs = matches!((hay, needle), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let (Some(hay), Some(needle)) = (bytes(hay), bytes(needle)) else { return Ok(None) };
    look_if_long(&hay)?;
    let found = memchr::memmem::find(&hay, &needle);
    Ok(Some(found.map_or(0, |at| 1 + if blobs { at } else { characters(&hay[..at]) } as i64)))
}

fn replace(context: &Context<'_>) -> rusqlite::Result<Value> {
    let (Some(text), Some(pattern)) = (bytes(context.get_raw(0)), bytes(context.get_raw(1))) else {
        return Ok(Value::Null);
    };
    look_if_long(&text)?;
    if pattern.first().is_none_or(|first| *first == 0) {
        // SQLite's own has made text of it by now.
        return Ok(Value::Text(text_of(text.into_owned())));
    }
    let Some(with) = bytes(context.get_raw(2)) else { return Ok(Value::Null) };
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in Finder::new(&*pattern).find_iter(&text) {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(&with);
        from = at + pattern.len();
        if out.len() > VALUE_BYTES_MAX as usize {
            return Err(too_big());
        }
    }
    out.extend_from_slice(&text[from..]);
    Ok(Value::Text(text_of(out)))
}

fn trim(context: &Context<'_>, start: bool, end: bool) -> rusqlite::Result<Option<String>> {
    let Some(text) = bytes(context.get_raw(0)) else { return Ok(None) };
    look_if_long(&text)?;
    let mut set = HashSet::from([' ']);
    if context.len() == 2 {
        let Some(characters) = bytes(context.get_raw(1)) else { return Ok(None) };
        set = String::from_utf8_lossy(&characters).chars().collect();
    }
    let text = String::from_utf8_lossy(&text);
    let mut rest = &*text;
    if start {
        rest = rest.trim_start_matches(|char| set.contains(&char));
    }
    if end {
        rest = rest.trim_end_matches(|char| set.contains(&char));
    }
    Ok(Some(rest.to_owned()))
}

/// A value as SQLite makes text of it; `None` for NULL.
pub(crate) fn bytes(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(integer) => Some(Cow::Owned(integer.to_string().into_bytes())),
        ValueRef::Real(real) => Some(Cow::Owned(real_text(real).into_bytes())),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
    }
}

/// A double with 15 significant digits and at least one after the point, as SQLite's `%!.15g`.
fn real_text(real: f64) -> String {
    if real.is_infinite() {
        return if real > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{real:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("Rust writes a number");
    let sign = if real < 0.0 { "-" } else { "" };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let point =
        |whole: &str, rest: &str| format!("{sign}{whole}.{}", if rest.is_empty() { "0" } else { rest });
    match exponent {
        _ if digits.is_empty() => "0.0".to_owned(),
        -4..0 => point("0", &format!("{}{digits}", "0".repeat((-exponent - 1) as usize))),
        0..15 => {
            let whole = exponent as usize + 1;
            let padded = format!("{digits:0<whole$}");
            point(&padded[..whole], &padded[whole..])
        }
        _ => {
            let sign_of_exponent = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign_of_exponent}{:02}", point(&digits[..1], &digits[1..]), exponent.abs())
        }
    }
}

/// Characters as SQLite counts them: bytes that do not continue one.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn too_big() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_answer_as_sqlites_own_do() {
        let own = Connection::open_in_memory().unwrap();
        let ours = Connection::open_in_memory().unwrap();
        install(&ours).unwrap();
        let values = [
            "NULL",
            "''",
            "' '",
            "'a'",
            "'aa'",
            "'ab'",
            "'  aba  '",
            "'äöä'",
            "'ö'",
            "'李白李'",
            "x''",
            "x'61'",
            "x'c3b6'",
            "x'00'",
            "1",
            "-12",
            "0.1",
            "-2.50",
            "1e15",
            "123456789012345.0",
            "1e300",
            "1e-5",
            "0.0001",
            "1e999",
            "-1e999",
            "3.0",
            "100000.0",
            "0.30000000000000004",
            "'.0'",
            "'1'",
            "'-'",
        ];
        let ask = |connection: &Connection, sql: &str| -> Value {
            connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
        };
        let mut compared = 0;
        for a in values {
            let mut calls: Vec<String> = ["trim", "ltrim", "rtrim"].map(|name| format!("{name}({a})")).into();
            for b in values {
                calls.push(format!("instr({a}, {b})"));
                calls.extend(["trim", "ltrim", "rtrim"].map(|name| format!("{name}({a}, {b})")));
                calls.extend(["''", "'xyz'", "NULL", "7"].map(|c| format!("replace({a}, {b}, {c})")));
            }
            for call in calls {
                // Compared with its type and length: text that looks alike may differ.
                let sql = format!(
                    "SELECT typeof(v) || ':' || length(v) || ':' || quote(v) FROM (SELECT {call} AS v)"
                );
                assert_eq!(ask(&ours, &sql), ask(&own, &sql), "{call}");
                compared += 1;
            }
        }
        assert!(compared > 7_000);
    }

    #[test]
    fn what_grows_past_the_limit_is_an_error() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection).unwrap();
        let sql = "SELECT replace(printf('%4000s', ''), ' ', printf('%4000s', ''))";
        let error = connection.query_row(sql, [], |_| Ok(())).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ffi::ErrorCode::TooBig));
    }
}
