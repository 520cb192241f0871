//! Every built-in type comes back exactly as PostgreSQL writes it; what nobody here knows, as its text.

mod common;

use common::{Database, LIMITS, all, query, told};
use sequel_connector::Value;

/// An expression, the type it is shown as, and what comes back.
const VALUES: &[(&str, &str, &str)] = &[
    ("true", "boolean", "Bool(true)"),
    ("(-32768)::smallint", "smallint", "Int(-32768)"),
    ("2147483647", "integer", "Int(2147483647)"),
    ("(-9223372036854775808)::bigint", "bigint", "Int(-9223372036854775808)"),
    ("4294967295::oid", "oid", "Int(4294967295)"),
    ("0.1::real", "real", "Float(0.1)"),
    ("0.1::float8 + 0.2::float8", "double precision", "Float(0.30000000000000004)"),
    ("'NaN'::float8", "double precision", "Float(NaN)"),
    ("'-Infinity'::real", "real", "Float(-inf)"),
    ("'1e-307'::float8", "double precision", "Float(1e-307)"),
    (
        "12345678901234567890.123456789012345678901234567890",
        "numeric",
        "12345678901234567890.123456789012345678901234567890",
    ),
    ("1.10::numeric(10,2)", "numeric(10,2)", "1.10"),
    ("'NaN'::numeric", "numeric", "NaN"),
    ("(-0.00)::numeric", "numeric", "0.00"),
    ("'12.34'::money", "money", "$12.34"),
    ("'a'::\"char\"", "\"char\"", "a"),
    ("'ab'::char(4)", "character(4)", "ab  "),
    ("'ab'::varchar(9)", "character varying(9)", "ab"),
    ("'pg'::name", "name", "pg"),
    ("E'a\\tb\\\\c'", "text", "a\tb\\c"),
    ("'\\x00ff'::bytea", "bytea", "Bytes([0, 255])"),
    ("''::bytea", "bytea", "Bytes([])"),
    ("date '0044-03-15 BC'", "date", "0044-03-15 BC"),
    ("'infinity'::date", "date", "infinity"),
    ("time '12:34:56.000001'", "time without time zone", "12:34:56.000001"),
    ("'12:34:56+05:30'::timetz", "time with time zone", "12:34:56+05:30"),
    (
        "timestamp '294276-12-31 23:59:59.999999'",
        "timestamp without time zone",
        "294276-12-31 23:59:59.999999",
    ),
    ("'-infinity'::timestamptz", "timestamp with time zone", "-infinity"),
    (
        "timestamptz '2026-03-29 01:30:00+01' AT TIME ZONE 'UTC'",
        "timestamp without time zone",
        "2026-03-29 00:30:00",
    ),
    ("interval '1 year -2 days 03:04:05.000006'", "interval", "1 year -2 days +03:04:05.000006"),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("'{\"b\": 1.00,  \"a\":null}'::json", "json", "{\"b\": 1.00,  \"a\":null}"),
    ("'{\"b\": 1.00,  \"a\":null}'::jsonb", "jsonb", "{\"a\": null, \"b\": 1.00}"),
    ("'$.a[*] ? (@ > 1)'::jsonpath", "jsonpath", "$.\"a\"[*]?(@ > 1)"),
    ("xmlparse(content '<a>1</a>')", "xml", "<a>1</a>"),
    ("ARRAY[[1,2],[3,NULL]]", "integer[]", "{{1,2},{3,NULL}}"),
    ("ARRAY['a,b', 'c\"d', 'NULL', '']", "text[]", "{\"a,b\",\"c\\\"d\",\"NULL\",\"\"}"),
    ("'[0:1]={7,8}'::int[]", "integer[]", "[0:1]={7,8}"),
    ("int4range(1, 5)", "int4range", "[1,5)"),
    ("'empty'::daterange", "daterange", "empty"),
    ("tstzrange(NULL, 'infinity', '[]')", "tstzrange", "(,infinity]"),
    ("ROW(1, 'a b', NULL)", "record", "(1,\"a b\",)"),
    ("'happy'::mood", "mood", "happy"),
    ("'12'::positive", "integer", "Int(12)"),
    ("ROW(1, 'x')::pair", "pair", "(1,x)"),
    ("ARRAY['happy'::mood]", "mood[]", "{happy}"),
    ("'192.168.0.1/24'::inet", "inet", "192.168.0.1/24"),
    ("'10.0.0.0/8'::cidr", "cidr", "10.0.0.0/8"),
    ("'08:00:2b:01:02:03'::macaddr", "macaddr", "08:00:2b:01:02:03"),
    ("B'1010'", "bit(4)", "1010"),
    ("'(1.5,-2)'::point", "point", "(1.5,-2)"),
    ("to_tsvector('simple', 'b a')", "tsvector", "'a':2 'b':1"),
    ("'a & !b'::tsquery", "tsquery", "'a' & !'b'"),
    ("'16/B374D848'::pg_lsn", "pg_lsn", "16/B374D848"),
    ("'pg_class'::regclass", "regclass", "pg_class"),
    ("NULL::int", "integer", "Null"),
    ("NULL::mood", "mood", "Null"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_exactly() {
    let database = Database::make(&[
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
        "CREATE TYPE pair AS (a int, b text)",
    ]);
    // What a database sets for itself must not change how values are written.
    for setting in [
        "DateStyle = 'German'",
        "IntervalStyle = 'iso_8601'",
        "extra_float_digits = '-5'",
        "bytea_output = 'escape'",
    ] {
        database.run(&format!("ALTER DATABASE {} SET {setting}", database.name));
    }
    let source = database.open().await;
    for (expression, type_name, expected) in VALUES {
        let sql = format!("SELECT {expression} AS v");
        let rows =
            source.query(query(&*sql, LIMITS)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let shown_type = rows.columns()[0].type_name.clone();
        let (batches, cut) = all(rows).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let cell = batches[0].rows().next().and_then(|mut row| row.next()).expect("a cell");
        let told = match cell {
            Value::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        };
        let bare = |name: &str| name.split('(').next().unwrap_or_default().to_owned();
        assert_eq!((told.as_str(), cut), (*expected, None), "{sql}");
        assert!(shown_type == *type_name || shown_type == bare(type_name), "{sql}: {shown_type}");
    }
    // All at once, so that types are learned together, and once more from memory.
    let list: Vec<_> = VALUES.iter().map(|(expression, ..)| *expression).collect();
    let sql = format!("SELECT {}", list.join(", "));
    for _ in 0..2 {
        let told = told(&*source, &sql).await;
        assert_eq!(told[0], VALUES.iter().map(|(.., expected)| (*expected).to_owned()).collect::<Vec<_>>());
    }
}
