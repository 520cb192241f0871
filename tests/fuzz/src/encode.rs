//! Rows on their way to a model: JSON, CSV or Markdown inside a fence (`THREATS` 19).
//!
//! Input: one byte for the form, one for the number of columns, then cells, each a byte for its kind and bytes up
//! to a NUL. Whatever the cells are, the response is JSON, its structured rows are the cells, and the fence
//! stands in it exactly twice: a row can neither open nor close it.

use std::time::Duration;

use sequel::mcp::{Decision, Format, RequestHead, ServerFacts, decide};
use sequel::tools::encode::QueryEncoder;
use sequel_connector::{Column, RowBatchBuilder, Value};
use serde_json::Value as Json;

const CALL: &[u8] =
    br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_query","arguments":{"sql":"SELECT 1"}}}"#;
const NONCE: &str = "A0b1C2d3E4f5G6h7";
const FENCE: &[u8] = b"<<<sequel-rows";

/// Panics where it does not hold.
pub fn holds(data: &[u8]) {
    let [form, width, cells @ ..] = data else { return };
    let format = [Format::Json, Format::Csv, Format::Markdown][usize::from(form % 3)];
    let width = usize::from(width % 5) + 1;
    let mut cells: Vec<&[u8]> = cells.split(|&byte| byte == 0).collect();
    let names = cells.split_off(cells.len().saturating_sub(width));
    if names.len() < width {
        return;
    }
    let columns: Vec<Column> = names
        .iter()
        .map(|name| Column { name: String::from_utf8_lossy(name).into_owned(), type_name: String::new() })
        .collect();
    let mut batch = RowBatchBuilder::new(width);
    let mut expected = Vec::new();
    for row in cells.chunks_exact(width) {
        let mut line = Vec::new();
        for cell in row {
            push(cell, &mut batch, &mut line);
        }
        expected.push(line);
    }
    let mut encoder = QueryEncoder::new("a source", &columns, format, NONCE);
    if !batch.is_empty() {
        assert!(encoder.push(&batch.take(), usize::MAX));
    }
    let Decision::Call(call) = decide(&RequestHead::default(), CALL, &ServerFacts::sequel()) else {
        panic!("the call is a call");
    };
    let response = call.encode(encoder.finish(None, Duration::ZERO));

    let json: Json = serde_json::from_slice(&response).expect("a response is JSON");
    let structured = &json["result"]["structuredContent"];
    let seen: Vec<&str> = structured["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert!(seen.iter().eq(columns.iter().map(|column| &column.name)), "{seen:?}");
    let rows = structured["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), expected.len());
    for (row, line) in rows.iter().zip(&expected) {
        for (cell, text) in row.as_array().expect("a row").iter().zip(line) {
            // What is no text has forms of its own, which other tests hold.
            assert!(text.as_ref().is_none_or(|text| cell.as_str() == Some(text)), "{cell} for {text:?}");
        }
    }
    let text = json["result"]["content"][0]["text"].as_str().expect("a text");
    let fences = |bytes: &[u8]| bytes.windows(FENCE.len()).filter(|w| w.eq_ignore_ascii_case(FENCE)).count();
    assert_eq!((fences(text.as_bytes()), fences(&response)), (2, 2), "{text}");
}

/// Appends a cell of some kind; where it is text, also what must be read of it.
fn push(cell: &[u8], batch: &mut RowBatchBuilder, line: &mut Vec<Option<String>>) {
    let (kind, rest) = cell.split_first().unwrap_or((&0, &[]));
    let number = rest.iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    match kind % 6 {
        0 => batch.push(Value::Null),
        1 => batch.push(Value::Int(number.cast_signed())),
        2 => batch.push(Value::Float(f64::from_bits(number))),
        3 => batch.push(Value::Bool(number % 2 == 0)),
        4 => batch.push(Value::Bytes(rest)),
        _ => {
            let text = String::from_utf8_lossy(rest).into_owned();
            batch.push(Value::Text(&text));
            line.push(Some(text));
            return;
        }
    }
    line.push(None);
}
