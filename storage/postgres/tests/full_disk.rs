//! A server whose disk is full, as PostgreSQL itself meets it: its tables cannot grow. Below it stands `disk.c`, since a
//! file system of its own takes rights that not everybody who runs the tests has.

mod cluster;

use std::path::PathBuf;

use sequel_store::conformance::embedded::disk;
use sequel_store::conformance::{delete, key, org, put, state};
use sequel_store::{CommitError, Holder, Revision, Store};
use sequel_store_postgres::{Address, Options, PostgresStore};

use crate::cluster::PATIENCE;
use crate::cluster::own::{Cluster, give_to_nobody};

/// A server whose tables' disk a file commands.
struct Server {
    cluster: Cluster,
    control: PathBuf,
}

impl Server {
    fn start() -> Self {
        // Nothing but what is committed here makes its tables grow.
        let cluster = Cluster::start("autovacuum = off", None);
        let library = disk::build(cluster.folder());
        give_to_nobody(&library);
        let (control, root) = (cluster.folder().join("control"), cluster.data().join("base"));
        let server = Self { cluster, control };
        server.is("");
        let variables = [
            ("LD_PRELOAD", library.as_path()),
            ("SEQUEL_DISK_ROOT", &root),
            ("SEQUEL_DISK_CONTROL", &server.control),
        ];
        server.cluster.control_with(&variables, &["restart", "-w", "-t", "60", "-l", "/dev/null"]);
        server
    }

    fn is(&self, mood: &str) {
        disk::set(&self.control, mood);
        give_to_nobody(&self.control);
    }

    fn open(&self) -> PostgresStore {
        let address = Address::parse(&self.cluster.url(), None).unwrap();
        // What is slow here has not failed.
        let options = Options { answer_wait: PATIENCE, ..Options::new(address, Holder::command()) };
        PostgresStore::open(options).unwrap()
    }
}

/// 60,000 bytes that cannot be compressed.
fn large(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(byte).take(60_000).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_writes_refuse_reads_stay_right_and_room_is_used_unaided() {
    let server = Server::start();
    let store = server.open();
    let scope = org("a");
    store.commit(state(&scope, [put("kept", "v"), put("revoked", "v")])).await.unwrap();
    store.commit(state(&scope, [delete("revoked")])).await.unwrap();
    server.is("space 0");
    let mut stored = 0;
    loop {
        match store.commit(state(&scope, [put(format!("{stored:04}"), large(stored))])).await {
            Ok(revision) => assert_eq!(revision, Revision(stored + 3)),
            Err(CommitError::Full) => break,
            Err(other) => panic!("{other}"),
        }
        stored += 1;
        assert!(stored < 1_000, "its disk is never full");
    }
    // Refused as often as it is tried, and wholly; what is read is what was acknowledged.
    let late = state(&scope, [put("kept", "changed"), put("late", large(stored))]);
    for _ in 0..3 {
        assert!(matches!(store.commit(late.clone()).await, Err(CommitError::Full)));
    }
    let value = async |name: &str| {
        let found = store.get(&scope, &key(name)).await.unwrap();
        found.map(|record| record.value.to_vec())
    };
    assert_eq!(value("kept").await.unwrap(), b"v");
    assert_eq!((value("revoked").await, value("late").await), (None, None));
    for n in 0..stored {
        assert_eq!(value(&format!("{n:04}")).await.unwrap(), large(n));
    }
    assert!(store.fence().holds(), "the lease takes no room");

    server.is("");
    assert_eq!(store.commit(late).await.unwrap(), Revision(stored + 3));
    assert_eq!(store.commit(state(&scope, [delete("kept")])).await.unwrap(), Revision(stored + 4));
    // None of it was in the server's memory alone.
    server.cluster.kill();
    server.cluster.start_again();
    drop(store);
    let store = server.open();
    let value = async |name: &str| store.get(&scope, &key(name)).await.unwrap();
    assert!(value("kept").await.is_none() && value("revoked").await.is_none());
    assert_eq!(value("late").await.unwrap().value.to_vec(), large(stored));
}
