//! What goes wrong, in Sequel's words.
//!
//! What PostgreSQL says about the SQL goes to its author; what it says about connections goes to whoever connects the
//! source, or to the log alone.

use std::io;

use bytes::Bytes;
use sequel_connector::{EgressError, OpenError, QueryError, Said, words};
use thiserror::Error;

use crate::wire::text;

/// Characters of the server's own words that are passed on. They may repeat what stands in rows and in the schema.
const ENGINE_CHARS_MAX: usize = 300;

/// An error that the server told.
#[derive(Debug, Clone, Default, Error)]
#[error("{message} ({code})")]
pub(crate) struct Told {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
    /// Counted from 1, in characters of the statement as it was sent.
    pub(crate) position: Option<usize>,
}

impl Told {
    /// Reads the fields of an error; what is missing is empty.
    pub(crate) fn read(mut body: Bytes) -> Self {
        let mut told = Self::default();
        while let Some(field) = body.first().copied().filter(|field| *field != 0) {
            let _ = body.split_to(1);
            let Ok(value) = text(&mut body) else { break };
            match field {
                b'C' => told.code = value.chars().filter(char::is_ascii_alphanumeric).take(5).collect(),
                b'M' => told.message = words(&value),
                b'H' => told.hint = words(&value),
                b'P' => told.position = value.parse().ok(),
                _ => {}
            }
        }
        told
    }

    /// Whether the server, or the role, has as many connections as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.code == "53300"
    }

    /// Whether the server ended the connection, so that a fresh one may do better.
    pub(crate) fn is_goodbye(&self) -> bool {
        matches!(self.code.as_str(), "57P01" | "57P02" | "57P03" | "57P05" | "25P03")
    }
}

/// Without control characters, and not too long.
fn words(text: &str) -> String {
    let mut words: String =
        text.chars().filter(|char| !char.is_control()).take(ENGINE_CHARS_MAX + 1).collect();
    if let Some((cut, _)) = words.char_indices().nth(ENGINE_CHARS_MAX) {
        words.truncate(cut);
        words.push('…');
    }
    words
}

/// What ended an exchange with the server.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The server refuses.
    #[error(transparent)]
    Told(#[from] Told),
    /// The connection broke, or the other end does not speak the protocol.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// There is no connection, and a sentence says why and what to do.
    #[error("{0}")]
    Settings(String),
    /// The operator's policy; a sentence.
    #[error("{0}")]
    Policy(String),
}

impl Fault {
    pub(crate) fn settings(sentence: impl Into<String>) -> Self {
        Self::Settings(sentence.into())
    }

    /// For who wanted to open the source.
    pub(crate) fn on_opening(self) -> OpenError {
        match self {
            Self::Settings(sentence) => OpenError::Settings(sentence),
            Self::Policy(sentence) => OpenError::Policy(sentence),
            Self::Told(told) => match told.code.as_str() {
                "28000" if told.message.contains("channel binding") => OpenError::Settings(
                    "The proof of the password was not for the TLS connection on which the server got it. Somebody in \
                     between ends TLS and begins it anew: a proxy, or an attacker. Connect to the database itself."
                        .into(),
                ),
                "28P01" | "28000" => OpenError::Settings(format!(
                    "PostgreSQL does not let the user in: {}. Check user and password, and that pg_hba.conf has a line \
                     for this server's address.",
                    told.message
                )),
                "3D000" => OpenError::Settings(format!(
                    "PostgreSQL says: {}. Check the name of the database.",
                    told.message
                )),
                "42501" => OpenError::Settings(format!(
                    "PostgreSQL says: {}. Grant the role CONNECT on the database.",
                    told.message
                )),
                _ => OpenError::Unavailable(Box::new(told)),
            },
            Self::Broken(error) => OpenError::Unavailable(Box::new(error)),
        }
    }

    /// For who wanted a query; `before` are the characters that stand before the statement in what was sent.
    pub(crate) fn on_query(self, sql: &str, before: usize) -> QueryError {
        match self {
            Self::Told(told) => about_query(told, sql, before),
            Self::Broken(error) => QueryError::Unavailable(Box::new(error)),
            Self::Settings(sentence) | Self::Policy(sentence) => QueryError::Unavailable(sentence.into()),
        }
    }
}

impl From<EgressError> for Fault {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Refused(sentence) => Self::Policy(sentence),
            EgressError::Unresolved(_) => {
                Self::settings("The host's name cannot be resolved. Check how it is written.")
            }
            EgressError::Unreachable(error) => Self::Broken(error),
        }
    }
}

fn about_query(told: Told, sql: &str, before: usize) -> QueryError {
    let code = told.code.as_str();
    match code {
        "25006" => QueryError::Refused(Said::new(words::WRITES, format!(
            "The statement would write ({}), and this data source is read-only. Send a SELECT that only reads.",
            told.message
        ))),
        "08P01" if told.message.contains("parameters") => QueryError::Sql(
            "The statement has placeholders ($1), and there is nothing to fill them with. Write the values into the \
             statement as literals."
                .into(),
        ),
        "57014" if told.message.contains("user request") => QueryError::Limit(
            "Somebody with rights over the database cancelled the query there. Ask for less, or ask them why.".into(),
        ),
        "57014" | "25P04" => QueryError::Limit(Said::new(
            words::TIME,
            "PostgreSQL stopped the query at the time limit. Make it cheaper: filter earlier, join on indexed columns, \
             or aggregate fewer rows.",
        )),
        "54011" | "54001" | "54000" | "53200" | "53100" | "53400" => QueryError::Limit(Said::new(words::MEMORY, format!(
            "PostgreSQL cannot do that much at once: {}. Ask for less.",
            told.message
        ))),
        "55P03" => QueryError::Limit(Said::new(
            words::LOCKED,
            "Another program keeps a table locked for as long as the query may wait. Try again later.",
        )),
        "40001" | "40P01" => QueryError::Unavailable(Box::new(told)),
        _ => match code.get(..2) {
            // Data, cardinality, features, syntax and names, views that raise; assertions of functions.
            Some("0A" | "20" | "21" | "22" | "23" | "24" | "26" | "2F" | "34" | "38" | "39" | "42" | "44" | "P0") => {
                QueryError::Sql(in_words(&told, sql, before))
            }
            Some("XX") if code == "XX000" && !told.message.is_empty() => {
                QueryError::Sql(in_words(&told, sql, before))
            }
            _ => QueryError::Unavailable(Box::new(told)),
        },
    }
}

fn in_words(told: &Told, sql: &str, before: usize) -> String {
    let place = told.position.and_then(|position| position.checked_sub(before + 1)).map(|at| {
        let text: String = sql.chars().take(at).collect();
        let line = text.matches('\n').count() + 1;
        let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!(" (line {line}, column {column})")
    });
    let hint = if told.hint.is_empty() { String::new() } else { format!(" {}", told.hint) };
    format!("PostgreSQL says: {}{}.{hint}", told.message, place.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_place_in_the_statement_as_it_was_written() {
        let body = Bytes::from_static(b"SERROR\0C42703\0Mcolumn \"b\" does not\x07 exist\0P13\0\0");
        let error = Fault::Told(Told::read(body)).on_query("SELECT\n a, b", 3);
        let QueryError::Sql(told) = error else { panic!("{error:?}") };
        assert_eq!(told, "PostgreSQL says: column \"b\" does not exist (line 2, column 3).");
    }

    #[test]
    fn an_error_of_garbage_is_an_error_all_the_same() {
        for body in [&b""[..], b"C", b"\xff\xff\xff", b"Mno end", b"P999999999999999999999999\0\0"] {
            let told = Told::read(Bytes::copy_from_slice(body));
            assert!(matches!(Fault::Told(told).on_query("", 0), QueryError::Unavailable(_)));
        }
    }
}
