//! Many at once: exactly one winner, spared neighbours, whole batches.

use std::sync::Arc;

use super::{Backend, at, commit, delete, expecting, get, key, org, put, scan_all, state, value};
use crate::{Batch, CommitError, Expect, Revision, Scope, Store};

async fn at_once(store: &Arc<dyn Store>, batches: Vec<Batch>) -> Vec<Result<Revision, CommitError>> {
    let tasks: Vec<_> = batches
        .into_iter()
        .map(|batch| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(batch).await })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("a commit that does not panic"));
    }
    results
}

/// Which of the batches won; the others have to be conflicts.
fn one_winner(results: &[Result<Revision, CommitError>]) -> usize {
    let won: Vec<_> = (0..results.len()).filter(|n| results[*n].is_ok()).collect();
    let [winner] = won[..] else { panic!("one winner was due: {results:?}") };
    assert!(
        results.iter().all(|result| matches!(result, Ok(_) | Err(CommitError::Conflict { .. }))),
        "{results:?}"
    );
    winner
}

pub async fn of_concurrent_conditional_commits_exactly_one_wins<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    for round in 0..8 {
        let batches = (0..32).map(|n| at(round, state(&scope, [put("winner", format!("{n}"))]))).collect();
        one_winner(&at_once(&store, batches).await);
    }
    assert_eq!(scan_all(&*store, &scope, 10).await.1, Revision(8));
}

pub async fn of_concurrent_creations_exactly_one_wins<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let create = |n| expecting([Expect::Absent(key("k"))], state(&scope, [put("k", format!("{n}"))]));
    one_winner(&at_once(&store, (0..32).map(create).collect()).await);
}

pub async fn a_failed_batch_spares_the_others<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("taken", "v")])).await;
    let batches = (0..64)
        .map(|n| {
            // Every fourth fails behind a write that would show.
            let expects = if n % 4 == 0 { vec![Expect::Absent(key("taken"))] } else { vec![] };
            expecting(expects, state(&scope, [put(format!("{n:02}"), "v")]))
        })
        .collect();
    for (n, result) in at_once(&store, batches).await.into_iter().enumerate() {
        assert_eq!(result.is_ok(), n % 4 != 0, "batch {n}: {result:?}");
        let found = store.get(&scope, &key(format!("{n:02}"))).await.expect("a readable store");
        assert_eq!(found.is_some(), n % 4 != 0, "batch {n}");
    }
    assert_eq!(scan_all(&*store, &scope, 100).await.1, Revision(1 + 48));
}

pub async fn concurrent_commits_get_distinct_revisions<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let batches = (0..64).map(|n| state(&scope, [put(format!("{n}"), "v")])).collect();
    let mut revisions: Vec<u64> =
        at_once(&store, batches).await.into_iter().map(|result| result.expect("no condition").0).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=64).collect::<Vec<_>>());
}

pub async fn the_same_batch_sent_twice_at_once_happens_once<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let batch = expecting([Expect::Absent(key("k"))], state(&scope, [put("k", "v")]));
    for result in at_once(&store, vec![batch; 16]).await {
        assert_eq!(result.expect("the same answer for all"), Revision(1));
    }
    assert_eq!(scan_all(&*store, &scope, 10).await.1, Revision(1));
}

pub async fn a_reader_never_sees_half_a_batch<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let all = |n: usize| (0..20).map(|k| put(format!("{k:02}"), format!("{n}"))).collect::<Vec<_>>();
    commit(&*store, state(&scope, all(0))).await;
    let writer = tokio::spawn({
        let (store, scope) = (store.clone(), scope.clone());
        async move {
            for n in 1..100 {
                commit(&*store, state(&scope, all(n))).await;
            }
        }
    });
    while !writer.is_finished() {
        let (records, revision) = scan_all(&*store, &scope, 100).await;
        let expected = format!("{}", revision.0 - 1);
        assert!(records.len() == 20 && records.iter().all(|record| record.value == expected), "{records:?}");
    }
    writer.await.expect("a writer that does not panic");
}

pub async fn scopes_interleaved_equal_scopes_apart<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    let scopes: Vec<Scope> = (0..8).map(|n| org(&format!("org-{n}"))).collect();
    let mut batches = Vec::new();
    for round in 0..8 {
        for scope in &scopes {
            batches.push(state(scope, [put(format!("{round}"), scope.as_str())]));
        }
    }
    for result in at_once(&store, batches).await {
        result.expect("no condition");
    }
    for scope in &scopes {
        let (records, revision) = scan_all(&*store, scope, 100).await;
        assert_eq!((records.len(), revision), (8, Revision(8)));
        assert!(records.iter().all(|record| record.value == scope.as_str()));
    }
}

pub async fn the_winner_is_whole_and_the_losers_leave_nothing<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    for round in 0..4 {
        let own = |n: usize| (0..8).map(move |k| format!("{round}/{n:02}/{k}"));
        let batches = (0..24).map(|n| {
            let mut writes: Vec<_> = own(n).map(|key| put(key, "v")).collect();
            writes.push(put("winner", n.to_string()));
            at(round, state(&scope, writes))
        });
        let winner = one_winner(&at_once(&store, batches.collect()).await);
        assert_eq!(value(&*store, &scope, "winner").await.expect("a record"), winner.to_string());
        let (all, _) = scan_all(&*store, &scope, 1_000).await;
        let left =
            all.iter().filter(|record| record.key.as_bytes().starts_with(format!("{round}/").as_bytes()));
        let left: Vec<_> = left.map(|record| record.key.clone()).collect();
        assert_eq!(left, own(winner).map(key).collect::<Vec<_>>());
    }
}

pub async fn a_number_raised_by_many_misses_nobody<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("n", "0")])).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, scope) = (store.clone(), scope.clone());
            tokio::spawn(async move {
                let mut raised = 0;
                while raised < 8 {
                    let found = get(&*store, &scope, "n").await.expect("a record");
                    let n: u32 =
                        std::str::from_utf8(&found.value).expect("digits").parse().expect("a number");
                    let batch = expecting(
                        [Expect::At(key("n"), found.revision)],
                        state(&scope, [put("n", (n + 1).to_string())]),
                    );
                    match store.commit(batch).await {
                        Ok(_) => raised += 1,
                        Err(CommitError::Conflict { now }) => assert!(now > found.revision, "{now:?}"),
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task that does not panic");
    }
    assert_eq!(value(&*store, &scope, "n").await.as_deref(), Some(&b"64"[..]));
    assert_eq!(scan_all(&*store, &scope, 10).await.1, Revision(1 + 64));
}

pub async fn of_a_change_and_a_deletion_of_one_record_one_wins<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    for round in 0..8 {
        let revision = commit(&*store, state(&scope, [put("k", "there")])).await;
        // Every other round begins with the other kind.
        let deletes = |n: usize| (n + round).is_multiple_of(2);
        let batches = (0..16).map(|n| {
            let write = if deletes(n) { delete("k") } else { put("k", n.to_string()) };
            expecting([Expect::At(key("k"), revision)], state(&scope, [write]))
        });
        let winner = one_winner(&at_once(&store, batches.collect()).await);
        let left = if deletes(winner) { None } else { Some(winner.to_string().into()) };
        assert_eq!(value(&*store, &scope, "k").await, left);
    }
}

pub async fn conditional_commits_to_other_scopes_never_conflict<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, scope) = (store.clone(), org(&format!("org-{n}")));
            tokio::spawn(async move {
                for revision in 0..16 {
                    let batch = at(revision, state(&scope, [put("k", revision.to_string())]));
                    assert_eq!(
                        store.commit(batch).await.expect("nobody else writes here"),
                        Revision(revision + 1)
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task that does not panic");
    }
}
