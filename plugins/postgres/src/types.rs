//! Types by their numbers: what they are called, and which values are more than text.
//!
//! | PostgreSQL | value |
//! |---|---|
//! | smallint, integer, bigint, oid | integer |
//! | real, double precision | number; `NaN`, `Infinity` and `-Infinity` are numbers too |
//! | boolean | boolean |
//! | bytea | bytes |
//! | everything else | the server's own text, which is exact: numeric with all its digits, also `NaN` and `Infinity`; dates and times in ISO form, timestamps with their zone's offset, also `infinity`; interval, uuid, json, arrays, ranges, enums, composite values |
//!
//! A domain comes as the type that it is made of. A type that is not in the table is asked for by its number.

use sequel_connector::{Ending, Intake, Value};

/// What becomes of a value's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Int,
    Float,
    Bytes,
    Text,
}

/// How a value of a type comes out.
pub(crate) fn shape(type_oid: u32) -> Shape {
    match type_oid {
        16 => Shape::Bool,
        17 => Shape::Bytes,
        20 | 21 | 23 | 26 => Shape::Int,
        700 | 701 => Shape::Float,
        _ => Shape::Text,
    }
}

/// The name of a type that PostgreSQL brings along, as `format_type` writes it; `None` for others.
pub(crate) fn known_name(type_oid: u32, modifier: i32) -> Option<String> {
    let plain = match type_oid {
        16 => "boolean",
        17 => "bytea",
        18 => "\"char\"",
        19 => "name",
        20 => "bigint",
        21 => "smallint",
        23 => "integer",
        25 => "text",
        26 => "oid",
        114 => "json",
        142 => "xml",
        700 => "real",
        701 => "double precision",
        790 => "money",
        869 => "inet",
        650 => "cidr",
        829 => "macaddr",
        1042 => return Some(with_length("character", modifier)),
        1043 => return Some(with_length("character varying", modifier)),
        1082 => "date",
        1083 => "time without time zone",
        1114 => "timestamp without time zone",
        1184 => "timestamp with time zone",
        1186 => "interval",
        1700 => return Some(numeric(modifier)),
        2249 => "record",
        2950 => "uuid",
        3802 => "jsonb",
        705 => "unknown",
        1005 => "smallint[]",
        1007 => "integer[]",
        1016 => "bigint[]",
        1009 => "text[]",
        2278 => "void",
        _ => return None,
    };
    Some(plain.to_owned())
}

fn with_length(name: &str, modifier: i32) -> String {
    if modifier < 4 { name.to_owned() } else { format!("{name}({})", modifier - 4) }
}

fn numeric(modifier: i32) -> String {
    if modifier < 4 {
        return "numeric".to_owned();
    }
    let (precision, scale) = ((modifier - 4) >> 16 & 0xffff, (modifier - 4) & 0x7ff);
    // Eleven bits with a sign.
    format!("numeric({precision},{})", (scale ^ 1024) - 1024)
}

/// Takes a cell in; `is_cut` says that its text goes on beyond `raw`.
#[inline]
pub(crate) fn cell(intake: &mut Intake, shape: Shape, raw: &[u8], is_cut: bool) -> Result<(), Ending> {
    let text = || std::str::from_utf8(raw).ok();
    // What is not what its type says is shown as it came.
    match shape {
        Shape::Int => match text().and_then(|text| text.parse().ok()) {
            Some(int) => intake.plain(Value::Int(int)),
            None => intake.text(raw, is_cut),
        },
        Shape::Float => match text().and_then(|text| text.parse().ok()) {
            Some(float) => intake.plain(Value::Float(float)),
            None => intake.text(raw, is_cut),
        },
        Shape::Bool => match raw {
            b"t" => intake.plain(Value::Bool(true)),
            b"f" => intake.plain(Value::Bool(false)),
            _ => intake.text(raw, is_cut),
        },
        Shape::Bytes => match raw.strip_prefix(b"\\x").and_then(unhexed) {
            Some(bytes) => intake.bytes(&bytes, is_cut),
            None => intake.text(raw, is_cut),
        },
        Shape::Text => intake.text(raw, is_cut),
    }
}

/// How much of a cell's text is enough for so many bytes of its value.
pub(crate) fn enough(shape: Shape, cell_bytes: usize) -> usize {
    match shape {
        // Two digits a byte, behind "\x".
        Shape::Bytes => cell_bytes.saturating_mul(2).saturating_add(2),
        _ => cell_bytes,
    }
}

fn unhexed(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    // A text that was cut may end between two digits.
    digits.chunks_exact(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_with_their_modifiers() {
        for (oid, modifier, name) in [
            (1043, 84, "character varying(80)"),
            (1043, -1, "character varying"),
            (1700, -1, "numeric"),
            (1700, (10 << 16 | 2) + 4, "numeric(10,2)"),
            (1700, (3 << 16 | (2048 - 5)) + 4, "numeric(3,-5)"),
            (23, -1, "integer"),
        ] {
            assert_eq!(known_name(oid, modifier).as_deref(), Some(name));
        }
        assert_eq!(known_name(123_456, -1), None);
    }

    #[test]
    fn hexadecimal_text_becomes_bytes() {
        assert_eq!(unhexed(b"0001feFF"), Some(vec![0, 1, 0xfe, 0xff]));
        assert_eq!((unhexed(b""), unhexed(b"zz"), unhexed(b"0")), (Some(vec![]), None, Some(vec![])));
    }
}
