//! Which settings are taken, and that no refusal repeats a secret.

use serde_json::json;

use super::*;

fn read(given: Value) -> Result<Place, OpenError> {
    Place::read(&Configuration::of(&DECLARATION, given.as_object().unwrap().clone()))
}

fn refusal(given: Value) -> String {
    match read(given.clone()) {
        Err(OpenError::Settings(sentence)) => sentence,
        other => panic!("{given} should be refused, got {other:?}"),
    }
}

#[test]
fn a_url_and_fields_come_to_the_same() {
    let url =
        read(json!({"url": "postgres://us%40er:pass%2Fword@db.example.com:5433/sales?sslmode=verify-ca"}))
            .unwrap();
    let fields = read(json!({
        "host": "db.example.com", "port": "5433", "database": "sales", "user": "us@er", "password": "pass/word",
        "tls": "verify-ca",
    }))
    .unwrap();
    assert_eq!(url.canonical(), fields.canonical());
    assert_eq!(url.password.as_ref().unwrap().expose(), "pass/word");
    let canonical = url.canonical();
    assert!(!format!("{url:?} {canonical:?} {:?}", canonical.settings).contains("pass/word"));
    assert_eq!(
        Value::from(canonical.settings.clone()),
        json!({
            "host": "db.example.com", "port": 5433, "database": "sales", "user": "us@er", "tls": "verify-ca",
        })
    );
    // Canonical form reads back as itself.
    assert_eq!(Place::read(&canonical).unwrap().canonical(), canonical);
}

#[test]
fn the_password_of_a_url_takes_the_place_of_one_that_was_stored() {
    let with = |url: &str| read(json!({"url": url, "password": "stored"})).unwrap().password.unwrap();
    assert_eq!(with("postgres://u:fresh@h/d").expose(), "fresh");
    assert_eq!(with("postgres://u@h/d").expose(), "stored");
}

#[test]
fn defaults_are_safe_and_left_out() {
    let place = read(
        json!({"host": "h", "database": "d", "user": "u", "port": "", "ca": null, "schemas": " a, b ,"}),
    )
    .unwrap();
    assert_eq!((place.tls, place.port, place.samples), (Tls::VerifyFull, 5432, true));
    assert_eq!(place.schemas, ["a", "b"]);
    assert_eq!(place.canonical().settings.len(), 4);
}

#[test]
fn a_certificate_is_the_same_however_it_came() {
    let body = "MIIB".repeat(30);
    let lines = format!("{}\n{}", &body[..64], &body[64..]);
    let as_file = format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n");
    let of = |ca: &str| {
        let place = read(json!({"host": "h", "database": "d", "user": "u", "ca": ca})).unwrap();
        place.canonical().settings["ca"].as_str().unwrap().to_owned()
    };
    let canonical = of(&as_file);
    assert_eq!(canonical, as_file.trim_end());
    for (how, sent) in [
        ("from a form", as_file.replace('\n', "\r\n")),
        ("in one line", as_file.replace('\n', "")),
        ("with spaces for lines", as_file.replace('\n', " ")),
        (
            "with what openssl writes around it",
            format!("subject=CN = x\nissuer=CN = y\n{as_file}Bag Attributes\n"),
        ),
    ] {
        assert_eq!(of(&sent), canonical, "{how}");
    }
    assert_eq!(of(&format!("{as_file}{as_file}")), format!("{canonical}\n{canonical}"));
}

#[test]
fn what_would_reach_past_the_form_is_refused() {
    let base = |name: &str, value: Value| {
        let mut given = json!({"host": "h", "database": "d", "user": "u"});
        given[name] = value;
        given
    };
    for (name, value) in [
        ("hostaddr", json!("10.0.0.1")),
        ("service", json!("x")),
        ("passfile", json!("/x")),
        ("sslrootcert", json!("/etc/ca.pem")),
        ("options", json!("-c x")),
        ("host", json!("a,b")),
        ("host", json!("/var/run/postgresql")),
        ("host", json!("@abstract")),
        ("host", json!("h:5432")),
        ("host", json!("[::1]")),
        ("host", json!("h\u{ff0e}example")),
        ("host", json!("a b")),
        ("host", json!("")),
        ("host", json!(1)),
        ("host", json!("a".repeat(300))),
        ("port", json!(0)),
        ("port", json!(65536)),
        ("port", json!("5432,5433")),
        ("tls", json!("prefer")),
        ("tls", json!("off")),
        ("tls", json!(true)),
        ("ca", json!("/etc/ssl/ca.pem")),
        ("client_certificate", json!("-----BEGIN CERTIFICATE-----")),
        ("client_key", json!("-----BEGIN PRIVATE KEY-----")),
        ("statement_timeout_seconds", json!(0)),
        ("statement_timeout_seconds", json!(1e9)),
        ("schemas", json!([1])),
        ("samples", json!("yes")),
        ("database", json!("a\u{0}b")),
        ("url", json!("postgres://u@h/d")),
    ] {
        let sentence = refusal(base(name, value));
        assert!(sentence.ends_with(['.', '?']), "{name}: {sentence}");
    }
}

#[test]
fn no_refusal_of_a_url_repeats_its_password() {
    for url in [
        "postgres://u:hunter2@/d",
        "postgres://u:hunter2@a,b/d",
        "postgres://u:hunter2@%2Fvar%2Frun/d",
        "postgres://u:hunter2@h",
        "postgres://:hunter2@h/d",
        "postgres://u:hunter2@h/d?hostaddr=10.0.0.1",
        "postgres://u:hunter2@h/d?service=x",
        "postgres://u:hunter2@h/d?options=-c",
        "postgres://u:hunter2@h/d?sslmode=prefer",
        "postgres://u:hunter2@h:port/d",
        "mysql://u:hunter2@h/d",
        "hunter2",
        "postgres://u:hunter2%zz@h/d",
    ] {
        assert!(!refusal(json!({"url": url})).contains("hunter2"), "{url}");
    }
}
