//! The demo's data set: real, small, public.
//!
//! Owns the facts, the database that is made of them and the questions that a newcomer may ask of it.
//! It knows no organization and no server: it writes one SQLite file.
//!
//! All of it was published by agencies of the U.S. government: states and capitals by the USGS,
//! airports by the FAA, flights and routes by the Bureau of Transportation Statistics, weather by NOAA,
//! as packaged by the npm package vega-datasets 3.2.1. What was cut: columns and four foreign airports
//! that nothing here joins with (`sources` in the database says so table by table). No flight or route
//! had to be dropped: every origin and destination is an airport in the file, which the foreign keys
//! hold when it is built.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use thiserror::Error;

mod csv;

const SCHEMA: &str = include_str!("schema.sql");

/// After the rows, so that each is built once; with the statistics from which row counts are known.
const INDEXES: &str = "
    CREATE INDEX airports_by_state ON airports (state);
    CREATE INDEX flights_by_origin ON flights (origin);
    CREATE INDEX flights_by_destination ON flights (destination);
    CREATE INDEX flights_by_departure ON flights (departure);
    CREATE INDEX routes_by_destination ON routes (destination);
    ANALYZE;
";

/// In an order in which every foreign key finds its row.
const TABLES: &[(&str, &str)] = &[
    ("INSERT INTO states VALUES (?1, ?2, ?3, ?4, ?5, ?6)", include_str!("states.csv")),
    ("INSERT INTO airports VALUES (?1, ?2, ?3, ?4, ?5, ?6)", include_str!("airports.csv")),
    // All flights are of one year, which the file does not repeat 10,000 times.
    (
        "INSERT INTO flights (departure, origin, destination, distance_miles, delay_minutes) \
         VALUES ('2001-' || ?1, ?2, ?3, ?4, ?5)",
        include_str!("flights.csv"),
    ),
    ("INSERT INTO routes VALUES (?1, ?2, ?3)", include_str!("routes.csv")),
    ("INSERT INTO seattle_weather VALUES (?1, ?2, ?3, ?4)", include_str!("seattle_weather.csv")),
];

/// What the data source says of itself to a model.
pub const DESCRIPTION: &str = "US airports, states, 10,000 flights of 2001 with their delays, routes flown in 2008, \
                               daily weather in Seattle. Facts published by US agencies; the table sources says where \
                               each comes from.";

/// What a newcomer may ask an AI client about this data.
pub const EXAMPLE_QUESTIONS: &[&str] = &[
    "Which states have the most departing flights, and how late are they on average?",
    "Which ten routes were flown most often in 2008?",
    "From which cities do flights to Seattle arrive latest?",
    "Which state capitals lie farthest from any airport with scheduled flights?",
    "What was the wettest month in Seattle, and how warm was it?",
];

/// The answer to the first example question: a join over three tables.
pub const EXAMPLE_JOIN_SQL: &str = "\
SELECT s.name AS state, count(*) AS flights, round(avg(f.delay_minutes), 1) AS mean_delay_minutes
FROM flights f
JOIN airports a ON a.iata = f.origin
JOIN states s ON s.code = a.state
GROUP BY s.code
ORDER BY flights DESC, state
LIMIT 5";

/// The columns of [`EXAMPLE_JOIN_SQL`].
pub const EXAMPLE_JOIN_COLUMNS: [&str; 3] = ["state", "flights", "mean_delay_minutes"];

/// The rows of [`EXAMPLE_JOIN_SQL`], exactly.
pub const EXAMPLE_JOIN_ROWS: [(&str, i64, f64); 5] = [
    ("California", 1190, 8.7),
    ("Texas", 1190, 7.9),
    ("Florida", 699, 9.7),
    ("Illinois", 645, 7.4),
    ("Georgia", 428, 7.3),
];

/// A demo database that could not be written.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The file or its folder does not take it: permissions, space, a folder that is missing.
    #[error("the demo database cannot be written to {}: {source}; choose another folder or make room", path.display())]
    Write {
        /// Where it should have gone.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// SQLite could not build it; mostly the disk is full.
    #[error("the demo database cannot be built at {}: {source}; check the space on that disk", path.display())]
    Build {
        /// Where it should have gone.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

/// Writes the demo database to `path`, replacing what is there in one step: whoever looks finds the old
/// file or the whole new one, also after a crash.
pub fn write(path: &Path) -> Result<(), DemoError> {
    let failed = |source| DemoError::Write { path: path.to_owned(), source };
    let unfinished = Unfinished::beside(path).map_err(failed)?;
    build(&unfinished.0).map_err(|source| DemoError::Build { path: path.to_owned(), source })?;
    File::open(&unfinished.0).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished.0, path).map_err(failed)?;
    // The rename is durable once the folder is.
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// A file under way, which goes away if it is not finished.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> std::io::Result<Self> {
        let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let unfinished = Self(folder_of(path).join(hidden));
        // Made anew, so that a file or link that somebody left there is not written through.
        match fs::remove_file(&unfinished.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => File::create_new(&unfinished.0)?,
        };
        Ok(unfinished)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn build(path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    // No journal: an unfinished file is thrown away, and the finished one is synced as a whole.
    connection
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    for (insert, rows) in TABLES {
        let mut insert = transaction.prepare(insert)?;
        for row in csv::rows(rows) {
            // The columns' affinity makes numbers of texts that are numbers.
            let values =
                row.into_iter().map(|text| if text.is_empty() { Value::Null } else { Value::Text(text) });
            insert.execute(params_from_iter(values))?;
        }
    }
    transaction.execute_batch(INDEXES)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

#[cfg(test)]
mod tests;
