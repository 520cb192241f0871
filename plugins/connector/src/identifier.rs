//! Names as a statement must write them.
//!
//! Quotes where a name would otherwise be read as something else, and leaves plain names alone, because they are
//! what people and models write.

use std::borrow::Cow;

use crate::Dialect;

/// Words that PostgreSQL or MySQL does not take as a bare name of a table or column, in order. Quoting one that this
/// very engine would take does no harm.
#[rustfmt::skip] // One a line would bury the rest of the file.
const RESERVED: &[&str] = &[
    "accessible", "add", "all", "alter", "analyse", "analyze", "and", "any", "array", "as", "asc",
    "asymmetric", "authorization", "autoincrement", "before", "begin", "between", "bigint", "binary", "blob",
    "both", "by", "call", "cascade", "case", "cast", "change", "char", "character", "check", "collate",
    "collation", "column", "commit", "concurrently", "condition", "constraint", "continue", "convert",
    "create", "cross", "cube", "cume_dist", "current_catalog", "current_date", "current_role",
    "current_schema", "current_time", "current_timestamp", "current_user", "cursor", "database", "databases",
    "dec", "decimal", "declare", "default", "deferrable", "delayed", "delete", "dense_rank", "desc",
    "describe", "deterministic", "distinct", "distinctrow", "div", "do", "double", "drop", "dual", "each",
    "else", "elseif", "empty", "enclosed", "end", "escape", "escaped", "except", "exists", "exit", "explain",
    "false", "fetch", "first_value", "float", "for", "force", "foreign", "freeze", "from", "full", "fulltext",
    "function", "generated", "get", "glob", "grant", "group", "grouping", "groups", "having", "high_priority",
    "if", "ignore", "ilike", "in", "index", "indexed", "infile", "initially", "inner", "inout", "insensitive",
    "insert", "int", "integer", "intersect", "interval", "into", "is", "isnull", "iterate", "join",
    "json_table", "key", "keys", "kill", "lag", "last_value", "lateral", "lead", "leading", "leave", "left",
    "like", "limit", "linear", "lines", "load", "localtime", "localtimestamp", "lock", "long", "longblob",
    "longtext", "loop", "low_priority", "match", "mediumblob", "mediumint", "mediumtext", "mod", "modifies",
    "natural", "not", "nothing", "notnull", "nth_value", "ntile", "null", "numeric", "of", "offset", "on",
    "only", "optimize", "option", "or", "order", "out", "outer", "outfile", "over", "overlaps", "partition",
    "percent_rank", "placing", "precision", "primary", "procedure", "purge", "raise", "range", "rank", "read",
    "reads", "real", "recursive", "references", "regexp", "release", "rename", "repeat", "replace", "require",
    "resignal", "restrict", "return", "returning", "revoke", "right", "rlike", "rollback", "row",
    "row_number", "rows", "savepoint", "schema", "schemas", "select", "sensitive", "separator",
    "session_user", "set", "show", "signal", "similar", "smallint", "some", "spatial", "specific", "sql",
    "starting", "stored", "symmetric", "system", "system_user", "table", "tablesample", "terminated", "text",
    "then", "tinyblob", "tinyint", "tinytext", "to", "trailing", "transaction", "trigger", "true", "undo",
    "union", "unique", "unlock", "unsigned", "update", "usage", "use", "user", "using", "utc_date",
    "utc_time", "utc_timestamp", "values", "varbinary", "varchar", "variadic", "varying", "verbose",
    "virtual", "when", "where", "while", "window", "with", "write", "xor", "year_month", "zerofill",
];

/// The same for SQLite, which takes most of its keywords as names; its own test tries them all.
#[rustfmt::skip]
const RESERVED_SQLITE: &[&str] = &[
    "add", "all", "alter", "and", "as", "autoincrement", "between", "case", "cast", "check", "collate", "commit",
    "constraint", "create", "cross", "current_date", "current_time", "current_timestamp", "default", "deferrable",
    "delete", "distinct", "drop", "else", "escape", "except", "exists", "false", "foreign", "from", "full", "group",
    "having", "in", "index", "indexed", "inner", "insert", "intersect", "into", "is", "isnull", "join", "left",
    "limit", "natural", "not", "nothing", "notnull", "null", "on", "or", "order", "outer", "primary", "raise",
    "references", "returning", "right", "select", "set", "table", "then", "to", "transaction", "true", "union",
    "unique", "update", "using", "values", "when", "where",
];

impl Dialect {
    /// A name as a statement of this dialect must write it: bare where that means the same, else quoted.
    pub fn identifier(self, name: &str) -> String {
        if self.is_bare(name) { name.to_owned() } else { self.quoted(name) }
    }

    /// A name in quotes, whatever it is.
    pub fn quoted(self, name: &str) -> String {
        let quote = if self == Dialect::MySql { '`' } else { '"' };
        let mut out = String::with_capacity(name.len() + 2);
        out.push(quote);
        for char in name.chars() {
            if char == quote {
                out.push(quote);
            }
            out.push(char);
        }
        out.push(quote);
        out
    }

    /// What a caller meant who may have quoted a name in the manner of any dialect.
    pub fn unquoted(written: &str) -> Cow<'_, str> {
        let pairs = [('"', '"'), ('`', '`'), ('[', ']')];
        for (open, close) in pairs {
            let inner = written.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            if let Some(inner) = inner {
                let doubled: String = [close, close].iter().collect();
                return match inner.contains(&doubled) {
                    true => Cow::Owned(inner.replace(&doubled, &close.to_string())),
                    false => Cow::Borrowed(inner),
                };
            }
        }
        Cow::Borrowed(written)
    }

    fn is_bare(self, name: &str) -> bool {
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '_';
        // PostgreSQL folds bare names to lower case.
        let folded = self == Dialect::Postgres && name.chars().any(|char| char.is_ascii_uppercase());
        let reserved = if self == Dialect::Sqlite { RESERVED_SQLITE } else { RESERVED };
        !folded
            && name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
            && name.chars().all(plain)
            && reserved.binary_search(&name.to_ascii_lowercase().as_str()).is_err()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_bare_and_others_are_quoted() {
        for (dialect, name, written) in [
            (Dialect::Sqlite, "orders", "orders"),
            (Dialect::Sqlite, "OrderItems2", "OrderItems2"),
            (Dialect::Sqlite, "order", "\"order\""),
            (Dialect::Sqlite, "Group", "\"Group\""),
            (Dialect::Sqlite, "order details", "\"order details\""),
            (Dialect::Sqlite, "7up", "\"7up\""),
            (Dialect::Sqlite, "größe", "\"größe\""),
            (Dialect::Sqlite, "a\"b", "\"a\"\"b\""),
            (Dialect::Sqlite, "", "\"\""),
            (Dialect::Postgres, "OrderItems", "\"OrderItems\""),
            (Dialect::MySql, "a`b", "`a``b`"),
        ] {
            assert_eq!(dialect.identifier(name), written);
        }
    }

    #[test]
    fn the_reserved_words_are_in_order_and_lower_case() {
        for words in [RESERVED, RESERVED_SQLITE] {
            assert!(words.is_sorted());
            assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        }
    }

    proptest! {
        #[test]
        fn a_quoted_name_reads_back_as_itself(name in any::<String>()) {
            for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
                let quoted = dialect.quoted(&name);
                prop_assert_eq!(Dialect::unquoted(&quoted), name.as_str());
            }
        }
    }
}
