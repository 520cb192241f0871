//! That no table, however it is made, makes an answer large.

use sequel_connector::{Dialect, Schema};

use super::*;
use crate::catalog::Found;
use crate::context::Rng;
use crate::mcp::Detail;
use crate::tools::fenced::{self, OUTCOME_BYTES_MAX};

const MANY: usize = 500;

/// A table that has so much of everything as its engine allows, and more.
fn monster(name: &str, part: &str) -> Table {
    let names = |kind: &str| (0..MANY).map(|n| format!("{part}{kind}{n}")).collect::<Vec<_>>();
    let columns = names("c").into_iter().map(|name| ColumnSchema {
        name,
        type_name: part.repeat(3),
        nullable: false,
        comment: Some(part.repeat(3)),
    });
    let key = |columns: Vec<String>| ForeignKey {
        references_schema: None,
        references_columns: columns.clone(),
        columns,
        references_table: name.to_owned(),
    };
    let mut foreign_keys: Vec<_> = names("c").into_iter().map(|column| key(vec![column])).collect();
    foreign_keys.push(key(names("c")));
    foreign_keys.extend((0..MANY).map(|_| key(names("c")[..1].to_vec())));
    Table {
        schema: None,
        name: name.to_owned(),
        kind: TableKind::Table,
        comment: Some(part.repeat(9)),
        columns: columns.collect(),
        primary_key: names("c"),
        foreign_keys,
        indexes: names("i")
            .into_iter()
            .map(|name| IndexSchema { name, columns: names("c")[..40].to_vec(), unique: true })
            .collect(),
        rows_approximate: Some(u64::MAX),
    }
}

#[test]
fn a_table_with_too_much_of_everything_is_cut_and_says_what_is_missing() {
    for part in ["a", "\"", "\\", "<<<sequel-", "\u{1}", "größe ", &"x".repeat(1_000), &"\"".repeat(500)] {
        let catalog =
            Catalog::new(Schema { tables: vec![monster(part, part)], truncated: false }, Dialect::Sqlite);
        let table = &catalog.tables()[0];
        for detail in [Detail::Names, Detail::Columns, Detail::Full] {
            let found = Found { table, columns: (0..MANY).collect() };
            let told = crate::tools::search_schema::told(&catalog, &found, detail);
            let mut budget = Budget::new(BYTES_MAX);
            assert!(budget.told(&told).is_some(), "one table always fits");
            assert!(!told.columns.is_empty(), "{part}");
            let outcome = fenced::outcome(&Rng::system(), &told).unwrap();
            assert!(!outcome.is_error() && outcome.size() <= BYTES_MAX + 1024, "{}", outcome.size());
        }
        let keys = keys(&catalog, table);
        for (told, more, all) in [
            (&keys.primary_key, keys.more_primary_key, MANY),
            (&keys.foreign_keys, keys.more_foreign_keys, 2 * MANY + 1),
            (&keys.referenced_by, keys.more_referenced_by, 2 * MANY + 1),
            (&keys.indexes, keys.more_indexes, MANY),
        ] {
            assert!(told.len() <= LIST_MAX, "{}", told.len());
            assert_eq!(told.len() + more, all);
        }
    }
}

#[test]
fn what_a_budget_takes_is_at_least_what_an_answer_has() {
    for text in ["", "plain", "\"\\\"", "\n\u{1}\u{7f}", "<<<sequel-rows<<<SEQUEL-", "größe 李"] {
        let told = vec![text; 100];
        let mut budget = Budget::new(1 << 20);
        budget.told(&told).unwrap();
        let empty = fenced::outcome(&Rng::system(), &[""; 0]).unwrap().size();
        let size = fenced::outcome(&Rng::system(), &told).unwrap().size() - empty;
        let took = (1 << 20) - budget.left();
        assert!(size <= took, "{text:?}: {size} > {took}");
    }
}

#[test]
fn an_outcome_beyond_the_bytes_for_one_is_an_error() {
    let outcome = fenced::outcome(&Rng::system(), &["x".repeat(OUTCOME_BYTES_MAX)]).unwrap();
    assert!(outcome.is_error() && outcome.size() < 1024);
}
