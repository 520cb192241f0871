//! TLS to the database: whom it trusts, by which name, and that nothing goes out in the clear instead.

#[path = "../../../tests/postgres/authority.rs"]
mod authority;
mod cluster;

use std::path::{Path, PathBuf};

use sequel_store::conformance::{org, put, state};
use sequel_store::{Holder, OpenError, Revision, Store};
use sequel_store_postgres::{Address, Options, PostgresStore};

use crate::authority::Authority;
use crate::cluster::own::Cluster;
use crate::cluster::psql;

/// A server that takes passwords, over TLS alone, with a certificate for `name`.
fn server(authority: &Authority, name: &str) -> Cluster {
    let access = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    // Before version 14 passwords are kept as MD5, which this access does not take.
    let cluster = Cluster::start("password_encryption = 'scram-sha-256'", Some(access));
    let (certificate, key) = authority.sign(name);
    cluster.put("data/server.crt", &certificate);
    cluster.put("data/server.key", &key);
    cluster.append("postgresql.conf", "ssl = on\n");
    cluster.control(&["restart", "-w", "-t", "60", "-l", "/dev/null"]);
    psql(&cluster.socket_url(), "ALTER ROLE postgres PASSWORD 'hunter2'");
    cluster
}

fn trusted(cluster: &Cluster, name: &str, pem: &str) -> PathBuf {
    cluster.put(name, pem)
}

fn open(cluster: &Cluster, host: &str, options: &str) -> Result<PostgresStore, OpenError> {
    let url = format!("postgres://postgres:hunter2@{host}:{}/postgres?{options}", cluster.port());
    PostgresStore::open(Options::new(Address::parse(&url, None)?, Holder::command()))
}

fn verified(file: &Path) -> String {
    format!("sslmode=verify-full&sslrootcert={}", file.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_its_authority_and_its_name_alone() {
    let (ours, theirs) = (Authority::make(), Authority::make());
    let cluster = server(&ours, "localhost");
    let (ours, theirs) =
        (trusted(&cluster, "ours.pem", &ours.pem), trusted(&cluster, "theirs.pem", &theirs.pem));
    let store = open(&cluster, "localhost", &verified(&ours)).unwrap();
    assert_eq!(store.commit(state(&org("a"), [put("k", "v")])).await.unwrap(), Revision(1));
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'sequel'";
    assert_eq!(psql(&cluster.socket_url(), encrypted), "t");
    drop(store);
    for (what, host, options, wanted) in [
        ("an authority that is not ours", "localhost", verified(&theirs), "certificate"),
        ("those of the system", "localhost", "sslmode=verify-full".to_owned(), "certificate"),
        ("another name", "127.0.0.1", verified(&ours), "certificate"),
        ("no certificates", "localhost", verified(&cluster.put("empty.pem", "")), "holds no certificate"),
        ("no file", "localhost", verified(Path::new("/does/not/exist.pem")), "cannot be read"),
        // The server lets nobody in without.
        ("no TLS", "localhost", "sslmode=disable".to_owned(), "pg_hba.conf"),
    ] {
        let refused = open(&cluster, host, &options).expect_err(what).to_string();
        assert!(refused.contains(wanted) && refused.ends_with('.'), "{what}: {refused}");
        assert!(!refused.contains("hunter2"), "{what}: {refused}");
    }
}
