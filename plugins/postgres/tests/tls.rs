//! TLS to a real server: whose certificate is believed in each mode, whom the server lets in, and that whoever stands in
//! between learns and changes nothing.

#[path = "../../../tests/postgres/authority.rs"]
mod authority;
mod between;
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use authority::{Authority, Identity, self_signed};
use between::{Between, Tampering};
use common::cluster::{self, Cluster};
use common::{open, policy, psql, told};
use sequel_connector::OpenError;
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "hunter2-the-password";

fn put(files: &TempDir, name: &str, text: &str) {
    let path = files.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    cluster::give_to_nobody(&path);
}

fn put_identity(files: &TempDir, (certificate, key): &Identity) {
    put(files, "server.crt", certificate);
    put(files, "server.key", key);
}

/// What each role has to show; the superuser comes through the socket.
const ACCESS: &str = "\
local all postgres trust
hostssl all scram 127.0.0.1/32 scram-sha-256
hostssl all hashed 127.0.0.1/32 md5
hostssl all plain 127.0.0.1/32 password
host all clear 127.0.0.1/32 password
host all clear_hashed 127.0.0.1/32 md5
hostssl all certified 127.0.0.1/32 cert
hostssl all doubled 127.0.0.1/32 scram-sha-256 clientcert=verify-full
";

/// A server that shows a certificate, and believes clients' of an authority.
struct Server {
    cluster: Cluster,
    files: TempDir,
}

impl Server {
    fn start(identity: &Identity, clients: &Authority) -> Self {
        let files = cluster::folder_of_nobody();
        let path = |name: &str| files.path().join(name).display().to_string();
        put(&files, "clients.crt", &clients.pem);
        put_identity(&files, identity);
        let settings = format!(
            "password_encryption = 'scram-sha-256'\nssl = on\nssl_ca_file = '{}'\nssl_cert_file = '{}'\n\
             ssl_key_file = '{}'\n",
            path("clients.crt"),
            path("server.crt"),
            path("server.key")
        );
        let server = Self { cluster: Cluster::start(&settings, Some(ACCESS)), files };
        let make = |role: &&str| format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; ");
        let proven: String = ["scram", "plain", "clear", "certified", "doubled"].iter().map(make).collect();
        let hashed: String = ["hashed", "clear_hashed"].iter().map(make).collect();
        server.run(&format!("{proven} SET password_encryption = 'md5'; {hashed}"));
        server.run(
            "CREATE VIEW own_connection AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid(); \
             GRANT SELECT ON own_connection TO PUBLIC",
        );
        server
    }

    /// From now on it shows this certificate.
    fn shows(&self, identity: &Identity) {
        put_identity(&self.files, identity);
        self.restart();
    }

    fn restart(&self) {
        self.cluster.control(&["restart", "-w", "-m", "fast", "-t", "60", "-l", "/dev/null"]);
    }

    fn run(&self, sql: &str) -> String {
        psql(&self.cluster.socket_url(), sql)
    }

    /// How a role reaches it, with other settings in place of these.
    fn settings(&self, role: &str, other: &Value) -> Value {
        let mut settings = json!({
            "host": "localhost", "port": self.cluster.port(), "database": "postgres", "user": role,
            "password": PASSWORD,
        });
        let others = other.as_object().expect("an object").clone();
        settings.as_object_mut().expect("an object").extend(others);
        settings
    }

    /// Whether a role gets in and its connection is encrypted, or what is said.
    async fn asked(&self, role: &str, other: Value) -> Result<bool, String> {
        asked(self.settings(role, &other)).await
    }
}

async fn asked(settings: Value) -> Result<bool, String> {
    match open(settings, policy()).await {
        Ok(source) => Ok(told(&*source, "SELECT ssl FROM own_connection").await == [["Bool(true)"]]),
        Err(OpenError::Settings(said)) => {
            assert!(said.ends_with('.') && !said.contains(PASSWORD), "{said}");
            Err(said)
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[track_caller]
fn says(outcome: Result<bool, String>, wanted: &str) {
    let said = outcome.expect_err(wanted);
    assert!(said.contains(wanted), "{wanted}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_believed_as_far_as_the_mode_says() {
    let (ours, theirs) = (Authority::make(), Authority::make());
    let server = Server::start(&ours.sign("localhost"), &theirs);
    let ca = |mode: &str, authority: &str| json!({ "tls": mode, "ca": authority });
    let elsewhere =
        |mode: &str, authority: &str| json!({ "tls": mode, "ca": authority, "host": "127.0.0.1" });
    assert_eq!(server.asked("scram", ca("verify-full", &ours.pem)).await, Ok(true));
    assert_eq!(server.asked("scram", elsewhere("verify-ca", &ours.pem)).await, Ok(true));
    assert_eq!(server.asked("scram", json!({ "tls": "require" })).await, Ok(true));
    // Several authorities at once, as while one is exchanged for another.
    let bundle = format!("{}{}", theirs.pem, ours.pem);
    assert_eq!(server.asked("scram", ca("verify-full", &bundle)).await, Ok(true));
    says(server.asked("scram", elsewhere("verify-full", &ours.pem)).await, "another name");
    says(server.asked("scram", ca("verify-full", &theirs.pem)).await, "not known here");
    says(server.asked("scram", ca("verify-ca", &theirs.pem)).await, "not known here");
    says(server.asked("scram", json!({})).await, "authority");
    says(server.asked("scram", json!({ "tls": "disable" })).await, "pg_hba.conf");
    // Somebody who names an authority wants it looked at.
    says(server.asked("scram", ca("require", &theirs.pem)).await, "verify-ca");

    server.shows(&ours.sign_but("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }));
    says(server.asked("scram", ca("verify-full", &ours.pem)).await, "has expired");
    assert_eq!(server.asked("scram", json!({ "tls": "require" })).await, Ok(true));
    server.shows(&ours.sign_but("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2999, 1, 1);
        params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    }));
    says(server.asked("scram", ca("verify-ca", &ours.pem)).await, "not valid yet");

    // Without TLS nothing goes out.
    server.cluster.append("postgresql.conf", "ssl = off\n");
    server.cluster.append("pg_hba.conf", "host all all 127.0.0.1/32 trust\n");
    server.restart();
    for mode in ["verify-full", "verify-ca", "require"] {
        says(server.asked("scram", json!({ "tls": mode })).await, "no TLS");
    }
    assert_eq!(server.asked("scram", json!({ "tls": "disable" })).await, Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_as_the_manual_makes_them_are_believed_where_they_are_given() {
    let nobody = Authority::make();
    // `openssl req -x509`: its own authority, and the name where nobody looks any more.
    let own = self_signed(&[]);
    let server = Server::start(&own, &nobody);
    let ca = |mode: &str, authority: &str| json!({ "tls": mode, "ca": authority });
    assert_eq!(server.asked("scram", json!({ "tls": "require" })).await, Ok(true));
    assert_eq!(server.asked("scram", ca("verify-ca", &own.0)).await, Ok(true));
    says(server.asked("scram", ca("verify-full", &own.0)).await, "subjectAltName");
    says(server.asked("scram", ca("verify-ca", &self_signed(&[]).0)).await, "signed by itself");
    let named = self_signed(&["localhost"]);
    server.shows(&named);
    assert_eq!(server.asked("scram", ca("verify-full", &named.0)).await, Ok(true));
    let other = json!({ "tls": "verify-full", "ca": &named.0, "host": "127.0.0.1" });
    says(server.asked("scram", other).await, "another name");
    // `openssl x509 -req` without more: a certificate of version 1.
    let (old, root) = of_version_1();
    server.shows(&old);
    assert_eq!(server.asked("scram", json!({ "tls": "require" })).await, Ok(true));
    assert_eq!(server.asked("scram", ca("verify-ca", &old.0)).await, Ok(true));
    says(server.asked("scram", ca("verify-ca", &root)).await, "version 1");
}

/// A certificate in the first form that there was, which no library here makes, and the one of its authority.
fn of_version_1() -> (Identity, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let ran = Command::new("openssl").args(line.split(' ')).current_dir(folder.path()).output();
        let ran = ran.expect("openssl is installed (Debian: openssl)");
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    run("req -new -x509 -nodes -days 2 -keyout root.key -out root.crt -subj /CN=root");
    run("req -new -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    run("x509 -req -in server.csr -days 2 -CA root.crt -CAkey root.key -set_serial 1 -out server.crt");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    ((read("server.crt"), read("server.key")), read("root.crt"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_what_the_server_asks_for_is_let_in() {
    let (ours, clients) = (Authority::make(), Authority::make());
    let server = Server::start(&ours.sign("localhost"), &clients);
    let with = |extra: Value| {
        let mut settings = json!({ "ca": &ours.pem });
        settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        settings
    };
    for role in ["scram", "hashed", "plain"] {
        assert_eq!(server.asked(role, with(json!({}))).await, Ok(true), "{role}");
        says(server.asked(role, with(json!({ "password": "wrong" }))).await, "Check user and password");
        says(server.asked(role, with(json!({ "password": null }))).await, "none was given");
    }
    assert_eq!(server.asked("clear_hashed", json!({ "tls": "disable" })).await, Ok(false));
    says(server.asked("clear", json!({ "tls": "disable" })).await, "in the clear");
    // A name that means two bytes to some and one to others: passwords are bytes, prepared as the server does.
    server.run("ALTER ROLE scram PASSWORD 'pässwort ½'");
    assert_eq!(server.asked("scram", with(json!({ "password": "pässwort ½" }))).await, Ok(true));
    server.run(&format!("ALTER ROLE scram PASSWORD '{PASSWORD}'"));
    server.run("ALTER ROLE scram VALID UNTIL '2020-01-01'");
    says(server.asked("scram", with(json!({}))).await, "Check user and password");

    let shown =
        |(certificate, key): &Identity| with(json!({ "client_certificate": certificate, "client_key": key }));
    let certified = clients.sign_for_role("certified");
    assert_eq!(server.asked("certified", shown(&certified)).await, Ok(true));
    says(server.asked("certified", with(json!({}))).await, "client certificate");
    says(server.asked("certified", shown(&clients.sign_for_role("somebody"))).await, "Check user");
    says(
        server.asked("certified", shown(&ours.sign_for_role("certified"))).await,
        "does not take the client certificate",
    );
    let expired = clients.sign_but("client", |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "certified");
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    says(server.asked("certified", shown(&expired)).await, "does not take the client certificate");
    let doubled = clients.sign_for_role("doubled");
    assert_eq!(server.asked("doubled", shown(&doubled)).await, Ok(true));
    let mut wrong = shown(&doubled);
    wrong["password"] = "wrong".into();
    says(server.asked("doubled", wrong).await, "Check user and password");
    let mut strange = shown(&doubled);
    strange["client_key"] = certified.1.into();
    says(server.asked("doubled", strange).await, "do not belong together");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_the_password_is_of_no_use_in_between() {
    let (ours, nobody) = (Authority::make(), Authority::make());
    let server = Server::start(&ours.sign("localhost"), &nobody);
    for tampering in [Tampering::Nothing, Tampering::Weakening] {
        let between = Between::before(server.cluster.port(), &ours.pem, tampering);
        // No certificate is looked at here, so that only the proof can tell.
        let settings = server.settings("scram", &json!({ "tls": "require", "port": between.port }));
        let refused = asked(settings).await.expect_err("it is found out");
        assert!(refused.contains("in between"), "{tampering:?}: {refused}");
    }
}
