//! A server of a test's own that asks for passwords.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::psql;

/// A server of its own with a database `shop` and a role that shows a password.
pub(crate) struct Shop(pub(crate) Cluster);

impl Shop {
    pub(crate) fn start() -> Self {
        let access = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        let shop = Self(Cluster::start("password_encryption = 'scram-sha-256'", Some(access)));
        shop.run("CREATE ROLE reader LOGIN PASSWORD 'first'");
        shop.run("CREATE DATABASE shop");
        shop.run("REVOKE CREATE ON DATABASE shop FROM PUBLIC");
        shop.in_shop("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
        shop.in_shop("CREATE TABLE t (a int); GRANT SELECT ON t TO reader");
        shop
    }

    pub(crate) fn run(&self, sql: &str) -> String {
        psql(&self.0.socket_url(), sql)
    }

    pub(crate) fn in_shop(&self, sql: &str) -> String {
        psql(&self.0.socket_url().replace("/postgres", "/shop").replace("//shop@", "//postgres@"), sql)
    }

    /// Ends all of the role's connections.
    pub(crate) fn end_all(&self) {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'reader'";
        while self.run(end) != "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn settings(&self, password: &str) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.0.port(), "database": "shop", "user": "reader", "password": password,
            "tls": "disable",
        })
    }
}
