//! What one call came to: counted in the usage and, where it touched a data source, told in the query log, once, when
//! the call is dropped, however that comes about.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::Course;

use super::entry::Entry;
use super::inflight::Stopped;
use super::queries::Kept;
use super::record::{QueryCall, QueryOutcome, QueryRecord, UsageRecord};
use super::usage::{Line, day_of};
use crate::credential::{ACCESS_MARKER, Credential, CredentialKind, KEY_MARKER, KeyId, SourceId};

/// Tells of one call when it is dropped: when its answer was handed over, or when it was given up.
pub(super) struct Tally {
    entry: Arc<Entry>,
    by: KeyId,
    is_app: bool,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    touched: Option<Touched>,
    queries: u64,
    rows: u64,
    bytes: u64,
    succeeded: bool,
    handed_over: bool,
    stopped: Option<Stopped>,
}

/// A data source that a call is about.
struct Touched {
    source: SourceId,
    since: Duration,
    tool: String,
    request: String,
    // When it was open, and when the work ended.
    opened: Option<Duration>,
    ended: Option<(Duration, QueryOutcome, Option<&'static str>)>,
    asked: Option<String>,
    // Of a statement.
    course: Option<Course>,
}

impl Touched {
    /// How long it waited for a connection; `None` while it does.
    fn waited(&self) -> Option<Duration> {
        let opening = self.opened?.saturating_sub(self.since);
        match &self.course {
            Some(course) => Some(opening + course.waited()?),
            // What the connector waited for by itself is not told.
            None => Some(opening),
        }
    }
}

impl Tally {
    pub(super) fn new(entry: Arc<Entry>, credential: &Credential) -> Self {
        let is_app = credential.kind == CredentialKind::Access;
        Self { entry, by: credential.id, is_app, noted: Mutex::default() }
    }

    pub(super) fn kept(&self) -> Kept {
        self.entry.queries.limits().kept
    }

    /// Who asks, as it may be shown: the visible prefix of the credential.
    pub(super) fn principal(&self) -> String {
        format!("{}{}", if self.is_app { ACCESS_MARKER } else { KEY_MARKER }, self.by)
    }

    fn elapsed(&self) -> Duration {
        self.entry.context.clock.elapsed()
    }

    fn touched(&self, note: impl FnOnce(&mut Touched)) {
        if let Some(touched) = &mut self.noted.lock().touched {
            note(touched);
        }
    }

    pub(super) fn touches(&self, source: SourceId, tool: &str, request_id: &str) {
        let touched = Touched {
            source,
            since: self.elapsed(),
            tool: tool.to_owned(),
            request: request_id.to_owned(),
            opened: None,
            ended: None,
            asked: None,
            course: None,
        };
        self.noted.lock().touched = Some(touched);
    }

    pub(super) fn asks(&self, what: Option<String>, course: Option<Course>) {
        self.touched(|touched| (touched.asked, touched.course) = (what, course));
    }

    pub(super) fn opened(&self) {
        let now = self.elapsed();
        self.touched(|touched| touched.opened = Some(now));
    }

    pub(super) fn ended(&self, outcome: QueryOutcome, why: Option<&'static str>) {
        let now = self.elapsed();
        self.touched(|touched| {
            touched.ended.get_or_insert((now, outcome, why));
        });
    }

    pub(super) fn handed_over(&self) {
        self.noted.lock().handed_over = true;
    }

    pub(super) fn stopped(&self, stopped: Option<Stopped>) {
        self.noted.lock().stopped = stopped;
    }

    pub(super) fn queried(&self) {
        self.noted.lock().queries += 1;
    }

    pub(super) fn answered_rows(&self, rows: u64) {
        self.noted.lock().rows += rows;
    }

    pub(super) fn concluded(&self, bytes: u64, is_error: bool) {
        let mut noted = self.noted.lock();
        noted.bytes += bytes;
        noted.succeeded = !is_error;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let noted = std::mem::take(self.noted.get_mut());
        let source = noted.touched.as_ref().map(|touched| touched.source);
        let line = Line { day: day_of(self.entry.now()), key: self.by, source };
        let Noted { queries, rows, bytes, .. } = noted;
        let usage = UsageRecord { calls: 1, queries, rows, bytes, errors: u64::from(!noted.succeeded) };
        let mut is_first = self.entry.ledger.add(line, &usage);
        if self.kept() != Kept::Nothing
            && let Some(call) = self.call(noted)
        {
            is_first |= self.entry.queries.push(QueryRecord::Call(call));
        }
        if is_first {
            self.entry.list_for_collection();
        }
    }
}

impl Tally {
    fn call(&self, noted: Noted) -> Option<QueryCall> {
        let touched = noted.touched?;
        let clock = &self.entry.context.clock;
        let (until, ended, why) = match touched.ended {
            Some((until, outcome, why)) => (until, Some(outcome), why),
            None => (clock.elapsed(), None, None),
        };
        let outcome = match ended {
            Some(outcome) if noted.handed_over || !outcome.is_answer() => outcome,
            // Broken off before there was an answer, or before the last byte of it was handed over.
            _ => broken_off(noted.stopped),
        };
        let total = until.saturating_sub(touched.since);
        let waited = touched.waited().unwrap_or(total).min(total);
        Some(QueryCall {
            at: clock.at(touched.since),
            by: self.by,
            app: self.is_app,
            source: touched.source,
            tool: touched.tool,
            request: touched.request,
            why: why.filter(|_| Some(outcome) == ended).map(Cow::Borrowed),
            outcome,
            rows: noted.rows,
            bytes: noted.bytes,
            waited_ms: milliseconds(waited),
            ran_ms: milliseconds(total - waited),
            asked: touched.asked.filter(|_| touched.course.is_none_or(|course| course.is_accepted())),
        })
    }
}

/// What it was when nobody took the answer.
pub(super) fn broken_off(stopped: Option<Stopped>) -> QueryOutcome {
    match stopped {
        Some(Stopped::Revoked) => QueryOutcome::Revoked,
        Some(Stopped::ByClient) => QueryOutcome::Cancelled,
        Some(Stopped::Shutdown) => QueryOutcome::Shutdown,
        None => QueryOutcome::Disconnected,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_waited_for_is_the_opening_and_then_its_connection() {
        let ms = Duration::from_millis;
        let course = Course::default();
        let mut touched = Touched {
            source: "abcdefghij".parse().unwrap(),
            since: ms(100),
            tool: "run_query".into(),
            request: "1".into(),
            opened: None,
            ended: None,
            asked: None,
            course: None,
        };
        assert_eq!(touched.waited(), None, "it still does");
        touched.opened = Some(ms(107));
        assert_eq!(touched.waited(), Some(ms(7)), "the connector tells nothing");
        touched.course = Some(course.clone());
        assert_eq!(touched.waited(), None, "it has no connection yet");
        course.connected(ms(30));
        course.connected(ms(90));
        assert_eq!(touched.waited(), Some(ms(37)));
    }
}
