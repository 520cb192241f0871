//! What whoever reads the query log relies on.

use std::time::Duration;

use sequel_connector::Course;
use sequel_store::KeyRange;

use super::keys::MintedKey;
use super::queries::{Kept, QueryLog, QueryLogLimits, QueryRoom, write_down};
use super::query_pages::{QueryAsk, QueryFilter, QueryPage};
use super::record::{self, QueryCall, QueryOutcome, QueryRecord, query_number};
use super::tests::{Fault, House, LIMITS, credential, named, source};
use super::{CallGuard, CallKey, Org, RegistryLimits, Retention, Source};
use crate::metrics::Readings;

const ALL: QueryAsk = QueryAsk {
    before: None,
    since: None,
    limit: 1_000,
    filter: QueryFilter { by: None, source: None, outcome: None },
};

fn limits(kept: Kept, entries_max: u64, waiting_max: usize) -> RegistryLimits {
    RegistryLimits { queries: QueryLogLimits { kept, entries_max, waiting_max }, ..LIMITS }
}

struct Acme {
    house: House,
    org: Org,
    key: MintedKey,
    source: std::sync::Arc<Source>,
}

impl Acme {
    async fn with(limits: RegistryLimits) -> Self {
        let house = House::with(limits);
        let org = house.org("acme").await;
        let key = org.create_key(named("k")).await.unwrap();
        org.add_source(source("s")).await.unwrap();
        let source = org.find_source("s").unwrap();
        Self { house, org, key, source }
    }

    /// A call that has begun to ask the source.
    async fn call(&self, request: &str) -> CallGuard {
        let principal = self.house.registry.authenticate(&credential(&self.key), None).await.unwrap();
        let guard = principal.begin(CallKey(request.into())).unwrap();
        guard.touches(&self.source, "run_query", request);
        guard
    }

    /// A call with its whole answer.
    async fn answered(&self, request: &str) {
        let guard = self.call(request).await;
        guard.ended(QueryOutcome::Ok, None);
        guard.concluded(10, false);
        guard.handed_over();
    }

    async fn log(&self) -> QueryPage {
        self.org.queries(&ALL).await.unwrap()
    }

    /// The requests of the log, the oldest first.
    async fn requests(&self) -> Vec<String> {
        let told = |entry: &QueryRecord| match entry {
            QueryRecord::Call(call) => call.request.clone(),
            QueryRecord::Lost { calls, .. } => format!("{calls} lost"),
        };
        self.log().await.entries.iter().rev().map(|(_, entry)| told(entry)).collect()
    }
}

fn call(entry: &QueryRecord) -> &QueryCall {
    let QueryRecord::Call(call) = entry else { panic!("{entry:?}") };
    call
}

#[actix::test]
async fn a_call_leaves_one_entry_however_it_ends() {
    let acme = Acme::with(LIMITS).await;
    // One that touches nothing leaves none.
    let principal = acme.house.registry.authenticate(&credential(&acme.key), None).await.unwrap();
    drop(principal.begin(CallKey("0".into())).unwrap());
    acme.answered("done").await;
    let refused = acme.call("refused").await;
    refused.ended(QueryOutcome::Refused, Some("locks"));
    // The first word counts, also where nobody takes the answer.
    refused.ended(QueryOutcome::Ok, None);
    drop(refused);
    // Nobody takes the rest of an answer.
    let cut = acme.call("went away").await;
    cut.answered_rows(7);
    cut.ended(QueryOutcome::Truncated, Some("rows"));
    cut.concluded(99, false);
    drop(cut);
    // Nobody waits for one.
    drop(acme.call("given up").await);
    let cancelled = acme.call("cancelled").await;
    let principal = acme.house.registry.authenticate(&credential(&acme.key), None).await.unwrap();
    assert!(principal.cancel(&CallKey("cancelled".into())));
    drop(cancelled);
    let revoked = acme.call("revoked").await;
    acme.org.delete_key(acme.key.id).await.unwrap();
    revoked.ended(QueryOutcome::Ok, None);
    drop(revoked);
    let log = acme.log().await;
    let told = log.entries.iter().rev().map(|(number, entry)| {
        let QueryCall { request, outcome, why, rows, bytes, .. } = call(entry);
        (*number, request.as_str(), outcome.word(), why.as_deref(), *rows, *bytes)
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (1, "done", "ok", None, 0, 10),
            (2, "refused", "refused", Some("locks"), 0, 0),
            (3, "went away", "disconnected", None, 7, 99),
            (4, "given up", "disconnected", None, 0, 0),
            (5, "cancelled", "cancelled", None, 0, 0),
            (6, "revoked", "revoked", None, 0, 0),
        ]
    );
    assert!(log.entries.iter().all(|(_, entry)| {
        let entry = call(entry);
        (entry.by, entry.source, entry.tool.as_str(), entry.app)
            == (acme.key.id, acme.source.id(), "run_query", false)
    }));
}

#[actix::test]
async fn a_statement_is_kept_once_its_source_has_taken_it_and_only_where_it_may_be() {
    for (kept, expected) in [(Kept::Shape, Some("SELECT ?")), (Kept::Numbers, None), (Kept::Nothing, None)] {
        let acme = Acme::with(limits(kept, 100, 100)).await;
        for accepted in [true, false] {
            let guard = acme.call("1").await;
            let course = Course::default();
            let shape = guard.keeps_what_is_asked().then(|| "SELECT ?".to_owned());
            guard.asks(shape, Some(course.clone()));
            guard.opened();
            if accepted {
                course.accepted();
            }
        }
        let log = acme.log().await.entries;
        if kept == Kept::Nothing {
            assert!(log.is_empty());
            continue;
        }
        let asked: Vec<_> = log.iter().rev().map(|(_, entry)| call(entry).asked.as_deref()).collect();
        assert_eq!(asked, [expected, None], "{kept:?}");
    }
}

#[actix::test]
async fn the_log_holds_as_many_entries_as_it_may_and_the_oldest_go_first() {
    let acme = Acme::with(limits(Kept::Shape, 3, 100)).await;
    for round in 0..4 {
        for nth in 0..2 {
            acme.answered(&format!("{round}.{nth}")).await;
        }
        acme.house.registry.collect_uses().await;
        let stored = acme.org.store().records(KeyRange::prefix(record::QUERIES)).await.unwrap();
        assert!(stored.len() <= 3);
    }
    assert_eq!(acme.requests().await, ["2.1", "3.0", "3.1"]);
    assert_eq!(acme.log().await.entries[0].0, 8, "a number is given once");
    // More at once than the log holds, and than one batch writes.
    for nth in 0..300 {
        acme.answered(&nth.to_string()).await;
        if nth % 90 == 89 {
            acme.house.registry.collect_uses().await;
        }
    }
    assert_eq!(acme.requests().await, ["297", "298", "299"]);
}

#[actix::test]
async fn what_finds_no_room_is_counted_and_the_log_says_so_where_it_is_missing() {
    let acme = Acme::with(limits(Kept::Shape, 100, 2)).await;
    for nth in 0..5 {
        acme.answered(&nth.to_string()).await;
    }
    acme.house.registry.collect_uses().await;
    acme.answered("later").await;
    assert_eq!(acme.requests().await, ["0", "1", "3 lost", "later"]);
    let metrics = acme.house.registry.0.parts.metrics.text(Readings::default());
    assert!(metrics.contains("sequel_query_log_lost_total 3\n"), "{metrics}");
    assert!(metrics.contains("sequel_query_log_entries_total 3\n"), "{metrics}");
    acme.house.registry.collect_uses().await;
    // While the store takes nothing as well: of usage, and then of queries.
    (0..2).for_each(|_| acme.house.stage.fail(Fault::Unavailable));
    for nth in 5..8 {
        acme.answered(&nth.to_string()).await;
    }
    acme.house.registry.collect_uses().await;
    acme.answered("8").await;
    assert_eq!(acme.requests().await[4..], ["5", "6", "2 lost"]);
}

#[actix::test]
async fn entries_that_could_not_be_written_are_written_in_the_next_round_and_once() {
    let acme = Acme::with(LIMITS).await;
    let (store, context) = (acme.org.store(), &acme.house.context);
    let queries = QueryLog::new(QueryRoom::new(LIMITS.queries, acme.house.registry.0.parts.metrics.clone()));
    let mut known = None;
    let mut expected = Vec::new();
    // What becomes of the first commit and of those that ask for its outcome.
    let unknown = [Fault::UnknownLost; 10];
    let applied: Vec<_> = [Fault::UnknownApplied].into_iter().chain(unknown).collect();
    for (faults, is_written) in [
        (&[Fault::Full][..], false),
        (&[Fault::Unavailable], false),
        (&[Fault::UnknownApplied], true),
        (&[Fault::UnknownLost], true),
        // Whether it was written is read afterwards.
        (&applied, true),
        (&unknown, false),
    ] {
        for half in ["a", "b"] {
            let number = expected.len() as u64 + 1;
            queries.push(QueryRecord::Lost { at: context.clock.now(), calls: number });
            expected.push(number);
            if half == "a" {
                faults.iter().rev().for_each(|fault| acme.house.stage.fail(*fault));
            }
            let by = (&context.rng, context.clock.now());
            let written = write_down(&store, by, &mut known, queries.take(), 1_000).await;
            assert_eq!(written.is_ok(), is_written || half == "b", "{faults:?}");
            acme.house.stage.no_more_faults();
            written.unwrap_or_else(|(_, left)| queries.give_back(left));
        }
    }
    let told = acme.log().await.entries.into_iter().rev().map(|(number, entry)| match entry {
        QueryRecord::Lost { calls, .. } => (number, calls),
        QueryRecord::Call(call) => panic!("{call:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), expected.iter().map(|nth| (*nth, *nth)).collect::<Vec<_>>());
}

#[actix::test]
async fn entries_of_an_org_that_left_memory_are_written_all_the_same_and_in_order() {
    let house = House::with(RegistryLimits { active_max: 1, ..LIMITS });
    let mut orgs = Vec::new();
    for name in ["a", "b"] {
        let org = house.org(name).await;
        let key = org.create_key(named("k")).await.unwrap();
        org.add_source(source("s")).await.unwrap();
        let source = org.find_source("s").unwrap();
        orgs.push((org, key, source));
    }
    // Each call pushes the other organization out.
    for request in ["1", "2", "3"] {
        for (_, key, source) in &orgs {
            let principal = house.registry.authenticate(&credential(key), None).await.unwrap();
            principal.begin(CallKey(request.into())).unwrap().touches(source, "run_query", request);
        }
    }
    house.registry.collect_uses().await;
    for (org, ..) in &orgs {
        let log = house.registry.resolve(org.id()).await.unwrap().queries(&ALL).await.unwrap();
        let told: Vec<_> = log.entries.iter().rev().map(|(_, entry)| call(entry).request.as_str()).collect();
        assert_eq!(told, ["1", "2", "3"]);
    }
}

#[actix::test]
async fn a_logged_query_goes_when_its_time_is_over_and_not_before() {
    let acme = Acme::with(RegistryLimits { idle: Duration::from_secs(3_600), ..LIMITS }).await;
    let retention =
        Retention { audit_days: 3_650, audit_entries_max: 1_000, usage_days: 3_650, query_days: 2 };
    for nth in 0..4 {
        acme.answered(&nth.to_string()).await;
        acme.house.registry.collect_uses().await;
        acme.house.context.clock.advance(Duration::from_secs(86_400) - Duration::from_secs(60));
    }
    // Also where the organization is not in memory.
    assert_eq!(acme.house.registry.evict_idle(), 1);
    let id = acme.org.id();
    assert_eq!(acme.house.registry.prune_org(id, retention).await.unwrap(), 2);
    assert_eq!(acme.house.registry.prune_org(id, retention).await.unwrap(), 0);
    let org = acme.house.registry.resolve(id).await.unwrap();
    let left = org.queries(&ALL).await.unwrap().entries;
    assert_eq!(left.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [4, 3]);
    // With everything gone, numbers go on.
    acme.house.context.clock.advance(Duration::from_secs(10 * 86_400));
    assert_eq!(acme.house.registry.prune_org(id, retention).await.unwrap(), 2);
    assert!(org.queries(&ALL).await.unwrap().entries.is_empty());
    acme.answered("again").await;
    assert_eq!(org.queries(&ALL).await.unwrap().entries[0].0, 5);
}

#[actix::test]
async fn pages_lead_on_and_a_filter_finds_what_lies_far_back() {
    let acme = Acme::with(limits(Kept::Shape, 100_000, 20_000)).await;
    let rare = acme.call("rare").await;
    rare.ended(QueryOutcome::Busy, None);
    drop(rare);
    for _ in 0..11_000 {
        acme.answered("usual").await;
    }
    let busy = QueryFilter { outcome: Some(QueryOutcome::Busy), ..QueryFilter::default() };
    let mut ask = QueryAsk { limit: 10, filter: busy, ..ALL };
    let first = acme.org.queries(&ask).await.unwrap();
    assert!(
        first.entries.is_empty() && first.next.is_some(),
        "one page looks through so many only: {first:?}"
    );
    ask.before = first.next;
    let second = acme.org.queries(&ask).await.unwrap();
    assert_eq!((second.entries.len(), second.next), (1, None));
    assert_eq!(call(&second.entries[0].1).request, "rare");
    // Without a filter each entry is on one page.
    let mut ask = QueryAsk { limit: 999, ..ALL };
    let mut numbers = Vec::new();
    loop {
        let page = acme.org.queries(&ask).await.unwrap();
        numbers.extend(page.entries.iter().map(|(number, _)| *number));
        ask.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(numbers, (1..=11_001).rev().collect::<Vec<_>>());
    let other = QueryFilter { by: Some(Vec::new()), ..QueryFilter::default() };
    assert!(acme.org.queries(&QueryAsk { filter: other, ..ALL }).await.unwrap().entries.is_empty());
}

#[test]
fn a_key_of_the_log_is_read_back_and_nothing_else_is() {
    for number in [1, 255, u64::MAX] {
        assert_eq!(query_number(&record::query_at(number)), Some(number));
    }
    for other in ["query/1", "query-log", "query/000000000000000g", "audit/0000000000000001"] {
        assert_eq!(query_number(&sequel_store::Key::new(other.to_owned()).unwrap()), None, "{other}");
    }
}
