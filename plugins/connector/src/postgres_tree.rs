//! What PostgreSQL finds in a parse tree beyond what the tree calls a function or a table.
//!
//! Owns functions, also in the clothes of columns (`(a).f` and `a.f` may mean `f(a)`), what may be read from, and key
//! words that the parser took for names: where PostgreSQL's grammar goes on with a clause, the tree does not have what
//! stands in it. Knows no connection; what it cannot judge it hands on as [`Called`].
//!
//! **Invariant:** every function and every relation that PostgreSQL finds in a statement was looked at here
//! (`what_postgres_reads_otherwise_is_refused_or_told`).

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, Expr, Ident, ObjectName, Query, Select, SetExpr, TableFactor};

use crate::functions::refused_function;
use crate::guard::{Called, Step, go_on, refused_call, shortened, stop};
use crate::{Dialect, postgres_names};
use crate::{Said, words};

/// PostgreSQL cuts longer names, and then they mean something else.
const NAME_BYTES_MAX: usize = 63;

/// Words that PostgreSQL never takes as the bare name of a column or table, in order: those that are reserved, and those
/// that may name a function or a type alone. The manual's appendix of key words, for 13 to 18.
#[rustfmt::skip] // One a line would bury the rest of the file.
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "binary", "both",
    "case", "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create", "cross",
    "current_catalog", "current_date", "current_role", "current_time", "current_timestamp", "current_user",
    "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for",
    "foreign", "freeze", "from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect",
    "into", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp",
    "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "placing",
    "primary", "references", "returning", "right", "select", "session_user", "similar", "some", "symmetric",
    "system_user", "table", "tablesample", "then", "to", "trailing", "true", "union", "unique", "user", "using",
    "variadic", "verbose", "when", "where", "window", "with",
];

/// A name as PostgreSQL takes it: what is not quoted is in lower case.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// What a walk over the tree has found so far.
#[derive(Default)]
pub(crate) struct PostgresTree {
    unknown: Vec<Called>,
    // Names that FROM gives to the results of functions. Such a result may be one value, and then `name.f` means `f(name)`.
    results: HashSet<String>,
    // Queries that the walk is in.
    open: usize,
    // Each `qualifier.name`.
    qualified: Vec<(String, Ident)>,
}

impl PostgresTree {
    /// A function that the tree calls, and that is not refused by its name.
    pub(crate) fn function(&mut self, name: &ObjectName, last: &Ident) -> Step {
        let schema = match &name.0[..] {
            // The grammar knows `ONLY (table)`.
            [_] if last.quote_style.is_none() && last.value.eq_ignore_ascii_case("only") => {
                return misread(last);
            }
            [_] => None,
            [schema, _] => schema.as_ident(),
            _ => {
                return stop(
                    words::FUNCTION,
                    "A function is named by itself or with its schema, and nothing before that.",
                );
            }
        };
        self.call(schema, last)
    }

    fn call(&mut self, schema: Option<&Ident>, name: &Ident) -> Step {
        if schema.into_iter().chain([name]).any(|part| part.value.len() > NAME_BYTES_MAX) {
            return stop(
                words::FUNCTION,
                format!(
                    "The function {} has a longer name than PostgreSQL takes ({NAME_BYTES_MAX} bytes). Write its real name.",
                    shortened(&name.value)
                ),
            );
        }
        let schema = schema.map(folded).filter(|schema| schema != "pg_catalog");
        let name = folded(name);
        if schema.is_some() || !postgres_names::is_allowed(&name) {
            self.unknown.push(Called { schema, name });
        }
        go_on()
    }

    /// A name behind a dot that is a function unless it is a field.
    fn field(&mut self, name: &Ident) -> Step {
        match refused_function(&name.value, Dialect::Postgres) {
            Some(why) => refused_call(&name.value, why),
            None => self.call(None, name),
        }
    }

    /// What PostgreSQL's grammar has to read from. A list of what is known, for what a later grammar may add.
    pub(crate) fn factor(&mut self, factor: &TableFactor) -> Step {
        let (alias, own_name) = match factor {
            TableFactor::Table { name, alias, args: Some(_), .. } => (alias, last_ident(name)),
            TableFactor::Function { name, alias, .. } => (alias, last_ident(name)),
            TableFactor::UNNEST { alias, .. } => (alias, None),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. } => return go_on(),
            _ => {
                return stop(
                    words::CLAUSE,
                    "Only tables, subqueries, functions and joins are allowed in FROM. Write it as one of those.",
                );
            }
        };
        let named = alias.as_ref().map(|alias| &alias.name).or(own_name);
        self.results.insert(named.map_or_else(|| "unnest".to_owned(), folded));
        go_on()
    }

    /// A table, a view or a name from `WITH`.
    pub(crate) fn relation(&mut self, relation: &ObjectName) -> Step {
        first_is_a_name(relation)?;
        match last_ident(relation).map(folded) {
            Some(name) if postgres_names::is_refused_relation(&name) => stop(
                words::RELATION,
                format!(
                    "The system's own {name} is not shown: it tells of other people's sessions or secrets. \
                 information_schema and pg_catalog tell of tables and columns."
                ),
            ),
            _ => go_on(),
        }
    }

    /// The beginning of a query.
    pub(crate) fn query(&mut self, query: &Query) -> Step {
        self.open += 1;
        let mut parts = vec![&*query.body];
        while let Some(part) = parts.pop() {
            match part {
                // Its name is no relation to the walk.
                SetExpr::Table(_) => {
                    return stop(words::CLAUSE, "TABLE is not allowed. Write SELECT * FROM and the name.");
                }
                SetExpr::SetOperation { left, right, .. } => parts.extend([&**left, &**right]),
                _ => {}
            }
        }
        go_on()
    }

    /// What PostgreSQL's `SELECT` has no clause for: there the parser found one in what is something else to PostgreSQL.
    pub(crate) fn select(select: &Select) -> Step {
        let Select {
            optimizer_hints,
            select_modifiers,
            top,
            exclude,
            lateral_views,
            prewhere,
            connect_by,
            cluster_by,
            distribute_by,
            sort_by,
            qualify,
            value_table_mode,
            ..
        } = select;
        let has_more = !optimizer_hints.is_empty()
            || select_modifiers.is_some()
            || top.is_some()
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !(cluster_by.is_empty() && distribute_by.is_empty() && sort_by.is_empty())
            || qualify.is_some()
            || value_table_mode.is_some();
        if has_more {
            return stop(
                words::CLAUSE,
                "A clause of the SELECT is none of PostgreSQL's (such as TOP or QUALIFY). Use LIMIT, a subquery or WITH.",
            );
        }
        go_on()
    }

    /// The end of a query.
    pub(crate) fn query_is_over(&mut self) {
        self.open -= 1;
    }

    /// An expression that is no call.
    pub(crate) fn expression(&mut self, expr: &Expr) -> Step {
        match expr {
            // What an option of EXPLAIN is set to, such as ON.
            _ if self.open == 0 => go_on(),
            Expr::Identifier(name) => is_a_name(name),
            Expr::Collate { collation, .. } => first_is_a_name(collation),
            Expr::CompoundIdentifier(names) => {
                if let [.., qualifier, name] = &names[..] {
                    self.qualified.push((folded(qualifier), name.clone()));
                }
                names.first().map_or_else(go_on, is_a_name)
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(name)) = access {
                        self.field(name)?;
                    }
                }
                go_on()
            }
            _ => go_on(),
        }
    }

    /// The functions that the database has to be asked about, once all of the tree was looked at; else a refusal.
    pub(crate) fn finish(mut self) -> Result<Vec<Called>, Said> {
        for (qualifier, name) in std::mem::take(&mut self.qualified) {
            if self.results.contains(&qualifier)
                && let ControlFlow::Break(refusal) = self.field(&name)
            {
                return Err(*refusal);
            }
        }
        Ok(self.unknown)
    }
}

fn last_ident(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(|part| part.as_ident())
}

/// Behind a dot any word is a name.
fn first_is_a_name(name: &ObjectName) -> Step {
    name.0.first().and_then(|part| part.as_ident()).map_or_else(go_on, is_a_name)
}

fn is_a_name(ident: &Ident) -> Step {
    let is_word = ident.quote_style.is_none()
        && RESERVED.binary_search(&ident.value.to_ascii_lowercase().as_str()).is_ok();
    if is_word { misread(ident) } else { go_on() }
}

fn misread(word: &Ident) -> Step {
    stop(
        words::AMBIGUOUS,
        format!(
            "The word {} stands where a name belongs, and PostgreSQL would read what follows in another way. Leave it out, \
         or write it in double quotes if it is a name.",
            word.value.to_ascii_uppercase()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_words_are_in_order() {
        assert!(RESERVED.is_sorted(), "{:?}", RESERVED.windows(2).find(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn what_is_refused_as_a_bare_name_is_quoted_where_names_are_written() {
        for word in RESERVED {
            assert_eq!(Dialect::Postgres.identifier(word), format!("\"{word}\""));
        }
    }
}
