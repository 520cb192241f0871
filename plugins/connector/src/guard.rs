//! The first layer of "read-only": one statement, judged by its whole parse tree.
//!
//! Owns what a statement may consist of, and the words in which a refusal is explained to its author,
//! who is usually a language model. Knows no connection and no schema, and is not the last word: the
//! engine's own read-only mode stands below it (`THREATS`: parse trees alone leak).
//!
//! **Invariant:** a statement passes only if every statement nested anywhere in its tree is a plain
//! query (`what_writes_is_refused`), and no input makes the guard panic or overflow the stack
//! (`arbitrary_text_never_panics`, `long_chains_do_not_overflow_the_stack`).

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::expansion::Expansion;
use crate::functions::refused_function;
use crate::postgres_tree::PostgresTree;
use crate::{QueryError, Said, postgres_text, postgres_tokens, words};

/// The longest statement, in bytes. A generous hand-written report has some 10 KiB; ten times that
/// still parses in about 10 ms, so that a flood of the longest costs no more than a flood of queries.
pub const SQL_BYTES_MAX: usize = 100 * 1024;

/// How deep queries, expressions and parentheses nest. People stay below 10, generators below 30.
const NESTING_MAX: usize = 50;

/// How deep an expression's tree may be. A chain of `OR`s is a tree as deep as it is long, and SQLite
/// itself stops at 1000; half of that leaves room for the nodes that only one of the parsers has.
const EXPRESSION_DEPTH_MAX: usize = 500;

/// How many queries and tables a statement may consist of once each use of a `WITH` name is replaced by what
/// it stands for. SQLite prepares a thousand in some 10 ms with 1 MiB; reports have below a hundred.
const EXPANSION_MAX: u64 = 1_000;

/// Stack for one byte of SQL. The shortest link of a chain (`+1`) has two bytes and is at most four
/// frames deep when the tree is walked or dropped, each below 1 KiB without optimization.
const STACK_BYTES_PER_SQL_BYTE: usize = 2 * 1024;

/// Which grammar a statement is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Dialect {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Sqlite => "SQLite",
            Dialect::Postgres => "PostgreSQL",
            Dialect::MySql => "MySQL",
        }
    }

    pub(crate) fn grammar(self) -> Box<dyn Grammar> {
        match self {
            Dialect::Sqlite => Box::new(SQLiteDialect {}),
            Dialect::Postgres => Box::new(PostgreSqlDialect {}),
            Dialect::MySql => Box::new(MySqlDialect {}),
        }
    }
}

/// Holds that `sql` is exactly one statement that only reads: a query (`SELECT`, `VALUES`, `WITH`,
/// set operations) or an `EXPLAIN` of one, without data changes in CTEs, `INTO`, row locks or
/// functions that reach beyond the database. One trailing semicolon and comments are fine.
///
/// [`QueryError::Refused`] for what is not allowed, [`QueryError::Sql`] for what does not parse; both
/// say what to change.
pub fn check(sql: &str, dialect: Dialect) -> Result<(), QueryError> {
    check_kind(sql, dialect, true).map(drop)
}

/// The same for a statement that is going to be explained: it must be a query itself.
pub fn check_explainable(sql: &str, dialect: Dialect) -> Result<(), QueryError> {
    check_kind(sql, dialect, false).map(drop)
}

/// A function that a statement calls and that is not known to do no harm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Called {
    /// The schema that it was named with, folded as the database folds it.
    pub schema: Option<String>,
    /// Its name, folded.
    pub name: String,
}

/// A statement that passed, in the text in which it was judged and has to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainStatement {
    /// Without comments, and one statement; a semicolon may stand at its end.
    pub sql: String,
    /// Functions beyond those that PostgreSQL brings along and that are known to be harmless. The connector asks the
    /// database whether they are, before it runs the statement.
    pub unknown: Vec<Called>,
}

/// The same for PostgreSQL, where functions are what most escapes are made of: what is not known to be harmless is
/// told. What passes is a text that leaves nothing to interpretation, which is not always the one that was given.
pub fn plain_postgres(sql: &str, may_explain: bool) -> Result<PlainStatement, QueryError> {
    if sql.len() > SQL_BYTES_MAX {
        check(sql, Dialect::Postgres)?;
    }
    let sql = postgres_text::plain(sql)?;
    let mut unknown = check_kind(&sql, Dialect::Postgres, may_explain)?;
    unknown.sort_by(|a, b| (&a.name, &a.schema).cmp(&(&b.name, &b.schema)));
    unknown.dedup();
    Ok(PlainStatement { sql, unknown })
}

fn check_kind(sql: &str, dialect: Dialect, may_explain: bool) -> Result<Vec<Called>, QueryError> {
    if sql.len() > SQL_BYTES_MAX {
        return refuse(
            words::TOO_LONG,
            format!(
                "The statement has {} bytes; the most is {SQL_BYTES_MAX}. Send a shorter SELECT, for instance by joining \
             or filtering in a subquery instead of listing values.",
                sql.len()
            ),
        );
    }
    // Trees of long chains are as deep as the chain is long, and are dropped recursively.
    let stack = 256 * 1024 + sql.len() * STACK_BYTES_PER_SQL_BYTE;
    stacker::maybe_grow(stack, stack, || check_on_a_large_stack(sql, dialect, may_explain))
}

fn check_on_a_large_stack(sql: &str, dialect: Dialect, may_explain: bool) -> Result<Vec<Called>, QueryError> {
    let grammar = dialect.grammar();
    let mut tokens = Tokenizer::new(&*grammar, sql).tokenize_with_location().map_err(|error| {
        QueryError::Sql(format!(
            "The statement is not valid {} SQL: {} (line {}, column {}). Correct it and send one SELECT statement.",
            dialect.name(),
            sentence_part(&error.message),
            error.location.line,
            error.location.column
        ))
    })?;
    if dialect == Dialect::Postgres
        && let Some(at) = postgres_tokens::first_mismatch(sql, &tokens)
    {
        return refuse(
            words::AMBIGUOUS,
            format!(
                "What stands {} can be read in more than one way. Put blanks around operators and send the statement again.",
                place(at)
            ),
        );
    }
    one_statement(&tokens)?;
    few_joins(&tokens)?;
    if dialect == Dialect::Sqlite {
        drop_materialized(&mut tokens);
    }
    let mut parser =
        Parser::new(&*grammar).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    while parser.consume_token(&Token::SemiColon) {}
    let start = parser.peek_token();
    let statement = match parser.parse_statement() {
        Ok(statement) => statement,
        Err(error) => {
            return Err(unreadable(error, &start, parser.get_current_token(), dialect));
        }
    };
    let rest = parser.peek_token();
    if !matches!(rest.token, Token::EOF | Token::SemiColon) {
        let message = format!("{} was not expected", quoted(&rest.token));
        return Err(unreadable(ParserError::ParserError(message), &start, &rest, dialect));
    }
    top_level(&statement, &start)?;
    if !may_explain && matches!(statement, Statement::Explain { .. }) {
        return refuse(
            words::EXPLAIN,
            "The statement is explained anyway. Leave EXPLAIN out and send the SELECT itself.",
        );
    }
    let postgres = (dialect == Dialect::Postgres).then(PostgresTree::default);
    let mut walk = Walk { dialect, expression_depth: 0, postgres };
    if let ControlFlow::Break(refused) = statement.visit(&mut walk) {
        return Err(QueryError::Refused(*refused));
    }
    bounded_expansion(&statement)?;
    walk.postgres.map_or_else(|| Ok(Vec::new()), PostgresTree::finish).map_err(QueryError::Refused)
}

fn bounded_expansion(statement: &Statement) -> Result<(), QueryError> {
    let mut expansion = Expansion::default();
    // It counts and never breaks off.
    let _ = statement.visit(&mut expansion);
    if expansion.weight() > EXPANSION_MAX {
        return refuse(
            words::TOO_COMPLEX,
            format!(
                "The statement grows to more than {EXPANSION_MAX} subqueries and tables, because each use of a name from \
             WITH is worked out anew. Use those names fewer times: build on each of them once, aggregate or filter \
             earlier, or ask in several statements."
            ),
        );
    }
    Ok(())
}

/// Counts statements by the semicolons between tokens, before the parser looks at any of them.
fn one_statement(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let mut statements = 0;
    let mut inside = false;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => inside = false,
            _ if inside => {}
            _ => {
                inside = true;
                statements += 1;
                if statements == 2 {
                    return refuse(
                        words::SEVERAL_STATEMENTS,
                        format!(
                            "Only one statement is run at a time, and a second one starts {}. Send one SELECT statement; \
                         use WITH to name intermediate results, or send the statements one by one.",
                            place(token.span.start)
                        ),
                    );
                }
            }
        }
    }
    if statements == 0 {
        return refuse(
            words::EMPTY,
            "There is no SQL statement, only blanks or comments. Send one SELECT statement.",
        );
    }
    Ok(())
}

/// Holds that there are few enough joins: the parser reads some chains of joins recursively and does
/// not count that against its limit.
fn few_joins(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    // SQLite joins at most 64 tables and MySQL 61.
    const JOINS_MAX: usize = 100;
    let is_join =
        |token: &&TokenWithSpan| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::JOIN);
    if tokens.iter().filter(is_join).count() > JOINS_MAX {
        return refuse(
            words::TOO_COMPLEX,
            format!("The statement has more than {JOINS_MAX} joins. Join fewer tables in one SELECT."),
        );
    }
    Ok(())
}

/// Takes out `AS [NOT] MATERIALIZED (`, a hint without meaning for the guard which SQLite knows and the
/// parser's SQLite grammar does not.
fn drop_materialized(tokens: &mut Vec<TokenWithSpan>) {
    let is = |token: &TokenWithSpan, keyword: Keyword| matches!(&token.token, Token::Word(w) if w.keyword == keyword);
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    let mut at = 0;
    while at < tokens.len() {
        if is(&tokens[at], Keyword::MATERIALIZED)
            && tokens.get(at + 1).is_some_and(|t| t.token == Token::LParen)
        {
            let start = if at >= 1 && is(&tokens[at - 1], Keyword::NOT) { at - 1 } else { at };
            if start >= 1 && is(&tokens[start - 1], Keyword::AS) {
                tokens.drain(start..=at);
                at = start;
                continue;
            }
        }
        at += 1;
    }
}

fn unreadable(
    error: ParserError,
    start: &TokenWithSpan,
    current: &TokenWithSpan,
    dialect: Dialect,
) -> QueryError {
    // A statement that starts with a verb which is refused anyway gets that answer, not a lesson in syntax.
    if let Some(word) = writing_verb(&start.token) {
        return QueryError::Refused(Said::new(words::NOT_A_QUERY, only_queries(&word)));
    }
    match error {
        ParserError::RecursionLimitExceeded => QueryError::Refused(Said::new(
            words::TOO_COMPLEX,
            format!(
                "The statement nests deeper than {NESTING_MAX} levels of parentheses or subqueries. Flatten it, for \
             instance by naming subqueries in a WITH clause."
            ),
        )),
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => QueryError::Sql(format!(
            "The statement cannot be read as {} SQL: {}. Correct it and send one SELECT statement; write unusual \
             syntax in its plain form (for instance a join with ON, a function instead of an operator).",
            dialect.name(),
            sentence_part(&placed(&message, current.span.start))
        )),
    }
}

fn writing_verb(token: &Token) -> Option<String> {
    use Keyword::*;
    let Token::Word(word) = token else {
        return None;
    };
    match word.keyword {
        SELECT | WITH | VALUES | EXPLAIN | TABLE | FROM | NoKeyword => None,
        _ => Some(word.value.to_ascii_uppercase()),
    }
}

fn top_level(statement: &Statement, start: &TokenWithSpan) -> Result<(), QueryError> {
    match statement {
        Statement::Query(_) => Ok(()),
        Statement::Explain { statement, .. } if matches!(**statement, Statement::Query(_)) => Ok(()),
        Statement::Explain { .. } => refuse(
            words::EXPLAIN,
            "EXPLAIN is only allowed for a SELECT statement. Explain the SELECT alone.",
        ),
        _ => refuse(
            words::NOT_A_QUERY,
            only_queries(&match &start.token {
                Token::Word(word) => word.value.to_ascii_uppercase(),
                other => other.to_string(),
            }),
        ),
    }
}

fn only_queries(what: &str) -> String {
    if what == "PRAGMA" {
        return "PRAGMA is not allowed. To look at tables, SELECT from sqlite_schema or from pragma_table_info('table')."
            .into();
    }
    format!(
        "{} is not allowed: this data source is read-only. Send one SELECT statement (WITH, VALUES and EXPLAIN of a \
         SELECT are fine too).",
        shortened(what)
    )
}

/// The walk over the whole tree. The break value is boxed, as the visitor's documentation advises.
struct Walk {
    dialect: Dialect,
    expression_depth: usize,
    // Where the statement is PostgreSQL's.
    postgres: Option<PostgresTree>,
}

pub(crate) type Step = ControlFlow<Box<Said>>;

pub(crate) fn stop(word: &'static str, message: impl Into<String>) -> Step {
    ControlFlow::Break(Box::new(Said::new(word, message)))
}

pub(crate) fn go_on() -> Step {
    ControlFlow::Continue(())
}

pub(crate) fn refused_call(name: &str, why: &str) -> Step {
    stop(
        words::FUNCTION,
        format!(
            "The function {} is not allowed: {why}. Leave it out and use plain expressions over the tables.",
            shortened(name)
        ),
    )
}

impl Walk {
    fn function(&mut self, name: &ObjectName) -> Step {
        let Some(last) = name.0.last().and_then(|part| part.as_ident()) else {
            return stop(
                words::FUNCTION,
                "A function whose name is computed is not allowed. Name the function.",
            );
        };
        match (refused_function(&last.value, self.dialect), &mut self.postgres) {
            (Some(why), _) => refused_call(&last.value, why),
            (None, Some(postgres)) => postgres.function(name, last),
            (None, None) => go_on(),
        }
    }
}

impl Visitor for Walk {
    type Break = Box<Said>;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Step {
        self.postgres.as_mut().map_or_else(go_on, |postgres| postgres.relation(relation))
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> Step {
        match statement {
            Statement::Query(_) | Statement::Explain { .. } => ControlFlow::Continue(()),
            _ => stop(
                words::NOT_A_QUERY,
                "INSERT, UPDATE, DELETE and other changes are not allowed inside WITH or a subquery: this data source \
                 is read-only. Use only SELECT there.",
            ),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        if let Some(postgres) = &mut self.postgres {
            postgres.query(query)?;
        }
        if !query.locks.is_empty() {
            return stop(
                words::LOCKS,
                "FOR UPDATE and FOR SHARE lock rows and are not allowed. Leave that clause out.",
            );
        }
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return stop(
                words::CLAUSE,
                "FOR XML, FOR JSON, SETTINGS, FORMAT and pipe operators are not allowed. End the SELECT after ORDER \
                 BY and LIMIT.",
            );
        }
        match &*query.body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => stop(
                words::NOT_A_QUERY,
                "INSERT, UPDATE, DELETE and MERGE are not allowed, not even inside WITH: this data source is \
                 read-only. Use only SELECT there.",
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, _query: &Query) -> Step {
        if let Some(postgres) = &mut self.postgres {
            postgres.query_is_over();
        }
        go_on()
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if self.postgres.is_some() {
            PostgresTree::select(select)?;
        }
        if select.into.is_some() {
            return stop(
                words::WRITES,
                "SELECT … INTO writes a table, variable or file and is not allowed. Leave the INTO clause out.",
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        if let Some(postgres) = &mut self.postgres {
            postgres.factor(factor)?;
        }
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.function(name)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        self.expression_depth += 1;
        if self.expression_depth > EXPRESSION_DEPTH_MAX {
            return stop(
                words::TOO_COMPLEX,
                format!(
                    "An expression is more than {EXPRESSION_DEPTH_MAX} operators deep. Shorten it, for instance with IN (…) \
                 instead of a chain of OR."
                ),
            );
        }
        if let Some(postgres) = &mut self.postgres {
            postgres.expression(expr)?;
        }
        match expr {
            Expr::Function(function) => self.function(&function.name),
            Expr::BinaryOp { op: BinaryOperator::Assignment, .. } => stop(
                words::WRITES,
                "Assigning a variable with := is not allowed. Use a column alias or WITH instead.",
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> Step {
        self.expression_depth -= 1;
        ControlFlow::Continue(())
    }
}

fn refuse<T>(word: &'static str, message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Refused(Said::new(word, message)))
}

fn place(at: Location) -> String {
    format!("at line {}, column {}", at.line, at.column)
}

/// The parser's message with a place: its own, or that of the token it stopped at.
fn placed(message: &str, current: Location) -> String {
    let own = message.replace(" at Line: ", " at line ").replace(", Column: ", ", column ");
    match own.contains(" at line ") || current.line == 0 {
        true => own,
        false => format!("{own} {}", place(current)),
    }
}

fn quoted(token: &Token) -> String {
    format!("\"{}\"", shortened(&token.to_string()))
}

/// A parser's message as part of a sentence, without whole statements repeated in it.
fn sentence_part(message: &str) -> String {
    // The place stands at the end of the parser's messages, so the middle is what can be cut.
    match message.rfind(" at line ") {
        Some(at) => format!("{}{}", shortened(message[..at].trim_end()), &message[at..]),
        None => shortened(message.trim().trim_end_matches('.')),
    }
}

pub(crate) fn shortened(text: &str) -> String {
    // Enough for the longest identifier that databases allow (63 and 64) and the words around it.
    const CHARS_MAX: usize = 120;
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
