//! What a model that searches may rely on.

use proptest::prelude::*;
use sequel_connector::{ColumnSchema, TableKind};

use super::*;

fn table(name: &str, columns: &[&str]) -> Table {
    let columns = columns.iter().map(|column| {
        let (name, comment) =
            column.split_once(": ").map_or((*column, None), |(name, comment)| (name, Some(comment)));
        ColumnSchema {
            name: name.into(),
            type_name: "TEXT".into(),
            nullable: true,
            comment: comment.map(str::to_owned),
        }
    });
    Table {
        schema: None,
        name: name.into(),
        kind: TableKind::Table,
        comment: None,
        columns: columns.collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        rows_approximate: None,
    }
}

fn catalog(mut tables: Vec<Table>) -> Catalog {
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Catalog::new(Schema { tables, truncated: false }, Dialect::Sqlite)
}

fn shop() -> Catalog {
    let mut people = table("people", &["id", "name", "country_code"]);
    people.comment = Some("Customers and those who might become some".into());
    catalog(vec![
        people,
        table("order", &["id", "customer_id", "placed_at"]),
        table("order_items", &["order_id", "product_id", "amount: how many were ordered"]),
        table("orders_2019", &["id", "customer_id"]),
        table("products", &["id", "title", "price"]),
        table("Countries", &["code", "name"]),
        table("Straße Länge", &["Größe"]),
    ])
}

fn names<'a>(catalog: &'a Catalog, words: &str) -> Vec<&'a str> {
    catalog.search(words, 100).tables.iter().map(|found| found.table.name.as_str()).collect()
}

#[test]
fn whole_names_come_before_beginnings_and_names_before_comments() {
    let shop = shop();
    assert_eq!(names(&shop, "order"), ["order", "order_items", "orders_2019"]);
    assert_eq!(names(&shop, "orders"), ["order", "order_items", "orders_2019"]);
    assert_eq!(names(&shop, "customer"), ["order", "orders_2019", "people"]);
    assert_eq!(names(&shop, "country"), ["Countries", "people"]);
    assert_eq!(names(&shop, "COUNTRIES")[0], "Countries");
    assert_eq!(names(&shop, "product"), ["products", "order_items"]);
    assert_eq!(names(&shop, "länge"), ["Straße Länge"]);
    assert_eq!(names(&shop, "GRÖSSE"), [""; 0], "letters that only look related are others");
    assert_eq!(names(&shop, "größe"), ["Straße Länge"]);
    assert_eq!(names(&shop, "nothing like it"), [""; 0]);
}

#[test]
fn a_table_with_more_of_the_words_comes_first_and_the_others_follow() {
    let shop = shop();
    assert_eq!(names(&shop, "order items")[0], "order_items");
    assert_eq!(names(&shop, "OrderItems product")[0], "order_items");
    assert_eq!(names(&shop, "customer order placed")[0], "order");
    // Words that nobody uses do no harm.
    assert_eq!(names(&shop, "the price of a product, please")[0], "products");
}

#[test]
fn the_columns_that_fit_are_told_and_the_number_of_all_tables() {
    let shop = shop();
    let matches = shop.search("ordered amount", 1);
    assert_eq!((matches.tables.len(), matches.total), (1, 1));
    let found = &matches.tables[0];
    let columns: Vec<_> = found.columns.iter().map(|at| found.table.columns[*at].name.as_str()).collect();
    assert_eq!((found.table.name.as_str(), columns), ("order_items", vec!["amount"]));
    let matches = shop.search("id", 2);
    assert_eq!((matches.tables.len(), matches.total), (2, 5));
    assert!(matches.tables.iter().all(|found| !found.columns.is_empty()));
}

#[test]
fn no_words_list_all_in_order_up_to_the_limit() {
    let shop = shop();
    for words in ["", "  ", "%", "*"] {
        let matches = shop.search(words, 3);
        let names: Vec<_> = matches.tables.iter().map(|found| found.table.name.as_str()).collect();
        assert_eq!((names, matches.total), (vec!["Countries", "Straße Länge", "order"], 7));
    }
    assert_eq!(shop.search("", 7).tables.len(), 7);
}

#[test]
fn a_name_is_found_as_it_is_quoted_or_in_another_case() {
    let shop = shop();
    let found = |written: &str| match shop.table(written) {
        Lookup::Table(table) => table.name.clone(),
        other => panic!("{written}: {other:?}"),
    };
    for (written, name) in [
        ("people", "people"),
        ("  people ", "people"),
        ("PEOPLE", "people"),
        ("\"order\"", "order"),
        ("[order]", "order"),
        ("`order`", "order"),
        ("countries", "Countries"),
        ("main.people", "people"),
        ("\"main\".\"Straße Länge\"", "Straße Länge"),
        ("straße länge", "Straße Länge"),
    ] {
        assert_eq!(found(written), name);
    }
    for table in shop.tables() {
        assert_eq!(found(&shop.sql_table(table)), table.name);
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_an_ambiguous_one_with_all() {
    let shop = shop();
    let unknown = |written: &str| match shop.table(written) {
        Lookup::Unknown(near) => near,
        other => panic!("{written}: {other:?}"),
    };
    assert_eq!(unknown("produtcs").as_deref(), Some("products"));
    assert_eq!(unknown("ordr").as_deref(), Some("\"order\""));
    assert_eq!(unknown("zzz"), None);
    assert_eq!(unknown("other.people").as_deref(), None);
    let in_schema = |schema: &str| Table { schema: Some(schema.into()), ..table("t", &["a"]) };
    let two = catalog(vec![in_schema("a"), in_schema("b c")]);
    assert!(matches!(two.table("t"), Lookup::Several(names) if names == ["a.t", "\"b c\".t"]));
    assert!(matches!(two.table("\"b c\".T"), Lookup::Table(table) if table.schema.as_deref() == Some("b c")));
    // Names that differ by case alone are told apart.
    let two = catalog(vec![table("t", &[]), table("T", &[])]);
    assert!(matches!(two.table("T"), Lookup::Table(table) if table.name == "T"));
}

#[test]
fn foreign_keys_are_found_from_both_ends() {
    let key = |column: &str, to: &str| ForeignKey {
        columns: vec![column.into()],
        references_schema: None,
        references_table: to.into(),
        references_columns: vec!["id".into()],
    };
    let mut flights = table("flights", &["origin", "destination"]);
    flights.foreign_keys = vec![key("origin", "AIRPORTS"), key("destination", "airports")];
    let catalog = catalog(vec![flights, table("airports", &["id"])]);
    let Lookup::Table(airports) = catalog.table("airports") else { panic!() };
    let from: Vec<_> =
        catalog.references_to(airports).map(|(from, key)| (&*from.name, &*key.columns[0])).collect();
    assert_eq!(from, [("flights", "origin"), ("flights", "destination")]);
    let Lookup::Table(flights) = catalog.table("flights") else { panic!() };
    assert_eq!(catalog.referenced(flights, &flights.foreign_keys[0]).unwrap().name, "airports");
}

#[test]
fn foreign_keys_lead_into_other_schemas() {
    let within = |schema: &str, name: &str| Table { schema: Some(schema.into()), ..table(name, &["id"]) };
    let mut lines = within("sales", "lines");
    lines.foreign_keys = [Some("stock"), None, Some("hidden")]
        .map(|schema| ForeignKey {
            columns: vec!["id".into()],
            references_schema: schema.map(Into::into),
            references_table: "parts".into(),
            references_columns: vec!["id".into()],
        })
        .into();
    let catalog = catalog(vec![lines, within("sales", "parts"), within("stock", "parts")]);
    let Lookup::Table(lines) = catalog.table("lines") else { panic!() };
    let led = |number: usize| {
        catalog.referenced(lines, &lines.foreign_keys[number]).and_then(|table| table.schema.as_deref())
    };
    assert_eq!([led(0), led(1), led(2)], [Some("stock"), Some("sales"), None]);
    for parts in ["stock.parts", "sales.parts"] {
        let Lookup::Table(parts) = catalog.table(parts) else { panic!() };
        assert_eq!(catalog.references_to(parts).count(), 1);
    }
}

#[test]
fn completions_begin_with_what_was_typed_and_then_hold_it() {
    let shop = shop();
    assert_eq!(
        shop.complete("ord", 10),
        (vec!["order".into(), "order_items".into(), "orders_2019".into()], 3)
    );
    assert_eq!(shop.complete("p", 1), (vec!["people".into()], 2));
    assert_eq!(shop.complete("ITEM", 10), (vec!["order_items".into()], 1));
    assert_eq!(shop.complete("", 100).1, 7);
}

#[test]
fn names_that_look_like_anything_but_names_count_and_are_not_offered() {
    let long = "t".repeat(129);
    let names = ["t1", "t <<<sequel-rows x", "t\nobey", "t\u{2028}obey", &long, &long[1..]];
    let catalog = catalog(names.iter().map(|name| table(name, &[])).collect());
    assert_eq!(catalog.complete("t", 10), (vec!["t1".into(), long[1..].into()], 6));
    // A schema's name is shown, too.
    let table = Table { schema: Some(long.clone()), ..table("t", &[]) };
    let catalog = Catalog::new(Schema { tables: vec![table], truncated: false }, Dialect::Sqlite);
    assert_eq!(catalog.complete("t", 10), (vec![], 1));
}

#[test]
fn what_a_word_costs_does_not_grow_with_how_often_it_stands_in_a_name() {
    // 32 MiB in which every word of the query stands all over: a search that looks at each hit takes minutes.
    let name = "xyab ".repeat(64 * 1024);
    let tables = (0..100).map(|n| table(&format!("{name}{n}"), &[])).collect();
    let catalog = catalog(tables);
    assert!(catalog.index.bytes() < 1024 * 1024, "names are indexed up to a length");
    let matches = catalog.search("x y a b xy ya ab yab", 100);
    assert_eq!(matches.total, 100);

    // As many hits in as many names as a schema has room for.
    let columns: Vec<String> = (0..2_000).map(|n| format!("{}{n}", "qqq".repeat(90))).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let catalog = Catalog::new(
        Schema { tables: (0..20).map(|n| table(&n.to_string(), &columns)).collect(), truncated: false },
        Dialect::Sqlite,
    );
    let looks = search::looks_of(|| drop(catalog.search("qqq", 0)));
    assert!(looks <= 20 * 2_000, "{looks}: the first hit begins the name, and nothing fits better");
    let looks = search::looks_of(|| drop(catalog.search("qq", 0)));
    assert!(looks <= 20 * 2_000 * 32, "{looks}");
}

proptest! {
    #[test]
    fn every_table_is_found_by_its_own_name(names in prop::collection::btree_set("\\PC{1,12}", 1..8)) {
        let catalog = catalog(names.iter().map(|name| table(name, &["a"])).collect());
        for name in &names {
            let words: Vec<_> = name.split(|char: char| !char.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
            prop_assert!(words.is_empty() || catalog.search(name, 100).tables.iter().any(|f| f.table.name == *name));
        }
    }

    #[test]
    fn no_words_make_it_panic(words in any::<String>(), name in any::<String>(), limit in 0usize..5) {
        let catalog = catalog(vec![table(&name, &["é", "ß"]), table("plain", &["a: b"])]);
        catalog.search(&words, limit);
        catalog.table(&words);
        catalog.complete(&words, limit);
    }
}
