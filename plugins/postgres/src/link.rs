//! One connection at work: a transaction that only reads, a statement in it, and the way back to a clean session.
//!
//! Each exchange begins with `BEGIN READ ONLY` and the settings that make values exact, sent as one text of our own; the
//! server's word that a transaction is open is waited for before anything of the client's is executed. It ends with
//! `ROLLBACK` and `DISCARD ALL`, so that nothing of one query is left to the next. What needs no answer of the server's to
//! be sent goes out together: a statement's text behind the settings, and the end behind the last statement's execution. So
//! a query is two round trips (`a_query_is_two_round_trips`).
//!
//! **Invariants:** no statement of a client is executed outside of such a transaction, and none by the protocol that
//! takes several at once (`Link::open`, `Link::prepare`); a connection is used again only after the server has said that
//! its session is clean (`nothing_of_a_session_is_left_to_the_next_query`).

use std::fmt::Write as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postgres_protocol::message::frontend;
use sequel_connector::Origin;
use tokio::time::{Instant, timeout};

use crate::connect::{CancelKey, Entered, Route};
use crate::fault::{Fault, Told};
use crate::probe::OWN_STORE;
use crate::threads::now;
use crate::wire::{Message, Wire, take, text, unexpected};

/// How long a server may take to clean a session up, and to give a query up until its place counts as stuck.
pub(crate) const TIDY_TIME: Duration = Duration::from_secs(5);
/// How long an answer to a cancel is waited for before the server is asked again, at first and at most: there are functions
/// that look for no cancel until they are done.
const CANCEL_AGAIN: Duration = Duration::from_millis(250);
const CANCEL_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Bytes of rows beyond a limit that are read in the hope that the end is near, before the server is asked to stop.
const NEAR_END_BYTES: usize = 64 * 1024;
/// How long the answer to a statement that could not be read may take before the server is asked to stop.
const NEAR_END: Duration = Duration::from_millis(50);
/// Answers that the end of an exchange has: to `ROLLBACK` and to `DISCARD ALL`.
const END_MESSAGES: usize = 2;
/// Most rows of a question of our own.
const OWN_ROWS_MAX: usize = 2_000_000;

/// A setting that does not exist, so that reading it is an error of its own.
const NO_SETTING: &str = "sequel.own_store";

/// A column of a result, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) modifier: i32,
}

/// What the server still owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Nothing,
    /// The end of an exchange, behind whatever work there is.
    Work,
    /// An answer to what was only flushed: the end comes when it is asked for.
    Reading,
    /// The end of an exchange whose work is done.
    End,
}

/// A connection.
pub(crate) struct Link {
    pub(crate) wire: Wire,
    owed: Owed,
    // The end of the exchange is under way already, behind the last statement.
    is_ending: bool,
    key: CancelKey,
    route: Arc<Route>,
    pub(crate) opened: Instant,
    pub(crate) said_superuser: bool,
    // A condition under which the first exchange breaks off.
    unless: Option<String>,
}

/// What comes in place of a row.
#[derive(Debug)]
pub(crate) enum Next {
    /// A row that lies in memory.
    Row(Bytes),
    /// A row that is read in pieces.
    LargeRow(usize),
    /// The last row was sent.
    Done,
}

impl Link {
    /// Takes a connection over. `own_store` is the condition by which Sequel's own store is known: a name may lead there
    /// today that led elsewhere when the source was opened, so each connection asks for itself.
    pub(crate) fn new(entered: Entered, route: Arc<Route>, own_store: &str) -> Self {
        let Entered { wire, key, said } = entered;
        let said_superuser = said.get("is_superuser").is_some_and(|value| value == "on");
        let unless = Some(own_store.to_owned());
        Self {
            wire,
            owed: Owed::Nothing,
            is_ending: false,
            key,
            route,
            opened: now(),
            said_superuser,
            unless,
        }
    }

    /// Opens the transaction. Where `origin` says something, the server's own views show it. The statement that is wanted
    /// first may be sent along, to be read by the server and not yet executed: [`Link::prepared`] learns what came of it.
    pub(crate) async fn open(
        &mut self,
        time: Duration,
        origin: &Origin,
        ahead: Option<&str>,
    ) -> Result<(), Fault> {
        let mut text = preamble(time, origin);
        if let Some(own_store) = self.unless.take() {
            let _ = write!(
                text,
                "; SELECT CASE WHEN {own_store} THEN pg_catalog.current_setting('{NO_SETTING}') END"
            );
        }
        frontend::query(&text, &mut self.wire.output)?;
        if let Some(sql) = ahead {
            self.ask(sql)?;
        }
        self.owed = Owed::Work;
        self.is_ending = false;
        self.wire.send().await?;
        match self.settled().await {
            Ok(b'T') => {}
            Err(Fault::Told(told)) if told.message.contains(NO_SETTING) => {
                return Err(Fault::Policy(OWN_STORE.to_owned()));
            }
            Err(fault) => return Err(fault),
            Ok(_) => return Err(Fault::Broken(io::Error::other("the server opened no transaction"))),
        }
        if ahead.is_some() {
            self.owed = Owed::Reading;
        }
        Ok(())
    }

    /// Puts the reading of a statement into what is sent next.
    fn ask(&mut self, sql: &str) -> Result<(), Fault> {
        frontend::parse("", sql, None, &mut self.wire.output)?;
        frontend::describe(b'S', "", &mut self.wire.output)?;
        frontend::flush(&mut self.wire.output);
        Ok(())
    }

    /// Reads to the end of an exchange; the first error of it, or the state of the transaction.
    async fn settled(&mut self) -> Result<u8, Fault> {
        let mut told = None;
        loop {
            match self.wire.message().await? {
                Message::LargeRow(bytes) => {
                    self.wire.skip(bytes).await?;
                    self.wire.row_is_over();
                }
                Message::Whole(b'Z', mut body) => {
                    let [state] = take(&mut body)?;
                    self.owed = Owed::Nothing;
                    return told.map_or(Ok(state), |told: Told| Err(told.into()));
                }
                Message::Whole(b'E', body) => {
                    told.get_or_insert(Told::read(body));
                }
                Message::Whole(b'G' | b'H' | b'W', _) => return Err(unexpected(b'G').into()),
                Message::Whole(..) => {}
            }
        }
    }

    /// Has a statement read, without executing it, and learns its columns. The transaction must be open.
    pub(crate) async fn prepare(&mut self, sql: &str) -> Result<Vec<Described>, Fault> {
        self.ask(sql)?;
        self.owed = Owed::Reading;
        self.wire.send().await?;
        self.prepared().await
    }

    /// The columns of the statement that was sent to be read.
    pub(crate) async fn prepared(&mut self) -> Result<Vec<Described>, Fault> {
        let mut has_parameters = false;
        loop {
            match self.wire.whole_message().await? {
                (b'1', _) => {}
                (b't', mut body) => has_parameters = u16::from_be_bytes(take(&mut body)?) > 0,
                (b'T', body) if !has_parameters => return described(body),
                (b'n', _) if !has_parameters => return Ok(Vec::new()),
                (b'T' | b'n', _) => {
                    return Err(Told {
                        code: "08P01".into(),
                        message: "parameters without values".into(),
                        ..Told::default()
                    }
                    .into());
                }
                (b'E', body) => return Err(Told::read(body).into()),
                (b'N' | b'S' | b'A', _) => {}
                (kind, _) => return Err(unexpected(kind).into()),
            }
        }
    }

    /// Starts the statement that was prepared, the last one of the exchange: its end goes out along. All values come as
    /// text: exact, and the same for types that nobody here knows.
    pub(crate) async fn execute_last(&mut self) -> Result<(), Fault> {
        self.put_execution()?;
        self.put_end()?;
        self.is_ending = true;
        self.owed = Owed::Work;
        Ok(self.wire.send().await?)
    }

    /// Starts the statement that was prepared.
    async fn execute(&mut self) -> Result<(), Fault> {
        self.put_execution()?;
        self.owed = Owed::Work;
        Ok(self.wire.send().await?)
    }

    fn put_execution(&mut self) -> Result<(), Fault> {
        let bound = frontend::bind(
            "",
            "",
            None,
            None::<()>,
            |(), _| Ok(postgres_protocol::IsNull::Yes),
            [0],
            &mut self.wire.output,
        );
        bound.map_err(|_| io::Error::other("a message that cannot be written"))?;
        // All rows at once: with a number of rows a server does not use several of its processes for one query.
        frontend::execute("", 0, &mut self.wire.output)?;
        frontend::sync(&mut self.wire.output);
        Ok(())
    }

    /// Apart, because DISCARD ALL is refused in a transaction.
    fn put_end(&mut self) -> Result<(), Fault> {
        // A lock that outlives the rollback goes with it: behind a pooler what comes apart may reach another session.
        frontend::query("ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()", &mut self.wire.output)?;
        frontend::query("DISCARD ALL", &mut self.wire.output)?;
        Ok(())
    }

    /// What follows, if it has arrived already.
    pub(crate) fn arrived(&mut self) -> Result<Option<Next>, Fault> {
        while let Some(message) = self.wire.arrived()? {
            let next = next_of(message);
            if matches!(next, Ok(Some(Next::Done)) | Err(Fault::Told(_))) {
                self.owed = Owed::End;
            }
            if let Some(next) = next? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Waits for more to arrive. Nothing is lost when the future is dropped.
    pub(crate) async fn more(&mut self) -> Result<(), Fault> {
        Ok(self.wire.read().await?)
    }

    /// Rows of a statement of our own, each cell as text.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Fault> {
        let mut rows = Vec::new();
        self.each_row(sql, |row| {
            rows.push(row);
            rows.len() < OWN_ROWS_MAX
        })
        .await?;
        Ok(rows)
    }

    /// Hands each row of a statement of our own over, until that says no more of them.
    pub(crate) async fn each_row(
        &mut self,
        sql: &str,
        mut take_row: impl FnMut(Vec<Option<String>>) -> bool + Send,
    ) -> Result<(), Fault> {
        self.prepare(sql).await?;
        self.execute().await?;
        let mut is_wanted = true;
        loop {
            let Some(next) = self.arrived()? else {
                self.more().await?;
                continue;
            };
            match next {
                Next::Done => {
                    self.settled().await?;
                    return Ok(());
                }
                Next::LargeRow(_) => return Err(unexpected(b'D').into()),
                Next::Row(body) if is_wanted => is_wanted = take_row(texts(body)?),
                Next::Row(_) => {}
            }
        }
    }

    /// Has the server give up what it is doing, ends the transaction and cleans the session up. False where the
    /// connection is of no more use. Takes as long as the server works.
    pub(crate) async fn tidy(&mut self) -> bool {
        // That takes as long as the server works, and asks it again and again; what follows is no work.
        if self.come_to_rest().await.is_err() {
            return false;
        }
        let tidied = timeout(TIDY_TIME, async {
            // A cancel of the statement may have met the end that was behind it; by now none is under way any more.
            if self.is_ending && self.has_ended().await? {
                return Ok(true);
            }
            self.put_end()?;
            self.wire.send().await?;
            self.has_ended().await
        });
        matches!(tidied.await, Ok(Ok::<bool, Fault>(true)))
    }

    /// Whether the server has ended the transaction and cleaned the session up, as it was told.
    async fn has_ended(&mut self) -> Result<bool, Fault> {
        let mut is_clean = true;
        for _ in 0..END_MESSAGES {
            is_clean &= match self.settled().await {
                Ok(state) => state == b'I',
                Err(Fault::Told(_)) => false,
                Err(fault) => return Err(fault),
            };
        }
        Ok(is_clean)
    }

    /// To the end of the exchange, whatever the server is doing.
    async fn come_to_rest(&mut self) -> Result<(), Fault> {
        if !self.wire.is_whole() {
            // In the midst of a row; only the server can be told.
            let _ = self.route.cancel(self.wire.peer, self.key).await;
            return Err(Fault::Broken(io::ErrorKind::Interrupted.into()));
        }
        match self.owed {
            Owed::Nothing => return Ok(()),
            Owed::End => {}
            Owed::Reading => {
                frontend::sync(&mut self.wire.output);
                self.wire.send().await?;
                self.owed = Owed::Work;
                // An error has usually been told, and then the end is near.
                let near = timeout(NEAR_END, self.end()).await;
                if let Ok(ended) = near {
                    return ended;
                }
                return self.cancel().await;
            }
            Owed::Work => {
                if !self.is_near_end()? {
                    return self.cancel().await;
                }
            }
        }
        timeout(TIDY_TIME, self.end())
            .await
            .unwrap_or_else(|_| Err(Fault::Broken(io::ErrorKind::TimedOut.into())))
    }

    /// Has the server end the exchange now. PostgreSQL forgets a cancel that comes between two messages of one exchange,
    /// or while it compiles the statement (JIT), without a word; so it is asked again until it has ended.
    async fn cancel(&mut self) -> Result<(), Fault> {
        let (route, peer, key) = (Arc::clone(&self.route), self.wire.peer, self.key);
        let mut end = pin!(self.end());
        let mut wait = CANCEL_AGAIN;
        loop {
            // Whoever waits has its answer before the next statement goes out, so no cancel comes too late for this one
            // and meets that. It may meet the end, which is under way: then that is sent again.
            route.cancel(peer, key).await?;
            if let Ok(ended) = timeout(wait, end.as_mut()).await {
                return ended;
            }
            wait = (wait * 2).min(CANCEL_AGAIN_MAX);
        }
    }

    /// The end of the exchange; that it failed does not matter any more.
    async fn end(&mut self) -> Result<(), Fault> {
        if self.owed == Owed::Nothing {
            return Ok(());
        }
        match self.settled().await {
            Ok(_) | Err(Fault::Told(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Whether the end lies among what has arrived already.
    fn is_near_end(&mut self) -> Result<bool, Fault> {
        let mut passed = 0;
        while passed <= NEAR_END_BYTES {
            match self.wire.arrived()? {
                Some(Message::Whole(b'C' | b'E', _)) => {
                    self.owed = Owed::End;
                    return Ok(true);
                }
                Some(Message::Whole(b'Z', _)) => {
                    self.owed = Owed::Nothing;
                    return Ok(true);
                }
                Some(Message::Whole(_, body)) => passed += body.len(),
                Some(Message::LargeRow(_)) => return Err(Fault::Broken(io::ErrorKind::Interrupted.into())),
                None => break,
            }
        }
        Ok(false)
    }
}

/// What a message means while rows are awaited; `None` for what is passed over.
fn next_of(message: Message) -> Result<Option<Next>, Fault> {
    match message {
        Message::LargeRow(bytes) => Ok(Some(Next::LargeRow(bytes))),
        Message::Whole(b'D', body) => Ok(Some(Next::Row(body))),
        Message::Whole(b'C' | b'I', _) => Ok(Some(Next::Done)),
        Message::Whole(b'E', body) => Err(Told::read(body).into()),
        Message::Whole(b'2' | b'N' | b'S' | b'A', _) => Ok(None),
        Message::Whole(kind, _) => Err(unexpected(kind).into()),
    }
}

fn preamble(time: Duration, origin: &Origin) -> String {
    // The server's clock is the backstop of ours, which tells the author more.
    let milliseconds = time.as_millis().clamp(1, 86_400_000) + 500;
    let mut text = format!(
        "BEGIN READ ONLY; SELECT {}, {}, \
         pg_catalog.set_config('standard_conforming_strings', 'on', true), \
         pg_catalog.set_config('DateStyle', 'ISO, YMD', true), \
         pg_catalog.set_config('IntervalStyle', 'postgres', true), \
         pg_catalog.set_config('extra_float_digits', '1', true), \
         pg_catalog.set_config('bytea_output', 'hex', true)",
        at_most("statement_timeout", milliseconds),
        at_most("idle_in_transaction_session_timeout", milliseconds + 10_000)
    );
    if !origin.is_empty() {
        // The server cuts a name at 63 bytes; the comment of the statement holds all of it.
        let _ = write!(text, ", pg_catalog.set_config('application_name', 'sequel {origin}', true)");
    }
    text
}

/// Sets a limit on time, unless the database has a lower one for the role. There 0 means that there is none.
fn at_most(setting: &str, milliseconds: u128) -> String {
    format!(
        "pg_catalog.set_config('{setting}', LEAST({milliseconds}, NULLIF(pg_catalog.date_part('epoch', \
         pg_catalog.current_setting('{setting}')::pg_catalog.interval) * 1000, 0))::pg_catalog.int8::pg_catalog.text, true)"
    )
}

fn described(mut body: Bytes) -> Result<Vec<Described>, Fault> {
    let count = u16::from_be_bytes(take(&mut body)?);
    let mut columns = Vec::new();
    for _ in 0..count {
        let name = text(&mut body)?;
        // Of which table and column it is.
        let _: [u8; 6] = take(&mut body)?;
        let type_oid = u32::from_be_bytes(take(&mut body)?);
        let _: [u8; 2] = take(&mut body)?;
        let modifier = i32::from_be_bytes(take(&mut body)?);
        let _: [u8; 2] = take(&mut body)?;
        columns.push(Described { name, type_oid, modifier });
    }
    Ok(columns)
}

fn texts(mut body: Bytes) -> Result<Vec<Option<String>>, Fault> {
    let count = u16::from_be_bytes(take(&mut body)?);
    let mut cells = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let length = i32::from_be_bytes(take(&mut body)?);
        cells.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) if length <= body.len() => {
                Some(String::from_utf8_lossy(&body.split_to(length)).into_owned())
            }
            Ok(_) => return Err(unexpected(b'D').into()),
        });
    }
    Ok(cells)
}
