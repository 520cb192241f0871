//! Every number of `config/default.toml` that bounds something, at the limit and one past it.
//!
//! [`LIMITS`] says of each setting where that is tested. A setting that is added without a line here fails
//! `every_limit_names_its_tests`, and so does a line whose test is gone.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::server::{ENDLESS, Home, TestServer, failure, rows};
use crate::waiting::{PATIENCE, poll};
use crate::wire::{Wire, request};

/// Setting → the tests that hold it at the limit and one past it, or why it limits nothing (a text with blanks).
const LIMITS: &[(&str, &[&str])] = &[
    ("data_dir", &["a place"]),
    ("server.listen", &["a place"]),
    ("server.public_url", &["a name"]),
    ("server.workers", &["as many as asked for"]),
    ("server.allowed_origins", &["a list of names"]),
    ("server.allowed_hosts", &["a list of names"]),
    ("server.trusted_proxies", &["a list of addresses"]),
    ("server.body_max_bytes", &["a_body_of_the_limit_is_taken_and_one_byte_more_is_not"]),
    (
        "server.client_request_timeout_ms",
        &[
            "a_head_that_comes_in_pieces_is_served",
            "a_head_that_does_not_come_is_given_up_in_the_configured_time",
        ],
    ),
    ("server.keep_alive_seconds", &["an_idle_connection_is_kept_for_the_configured_time_and_no_longer"]),
    ("server.connections_max", &["a_connection_past_the_most_waits_until_another_ends"]),
    (
        "server.shutdown_seconds",
        &[
            "sigterm_fails_readiness_first_and_lets_a_running_query_end_with_its_answer",
            "what_still_runs_at_the_end_of_the_grace_is_stopped_and_told_why",
        ],
    ),
    ("tls.certificate", &["a place"]),
    ("tls.private_key", &["a place"]),
    ("storage.url", &["a place"]),
    ("storage.password_file", &["a place"]),
    (
        "orgs.active_max",
        &[
            "organizations_that_had_to_leave_the_memory_forget_nothing",
            "active_orgs_are_bounded_and_the_unused_make_room",
        ],
    ),
    ("orgs.idle_seconds", &["an_idle_org_is_evicted_unless_a_call_runs_and_comes_back_when_asked"]),
    ("orgs.asks_max", &["changes_that_wait_are_bounded_and_the_next_is_told_to_come_back"]),
    ("orgs.ask_timeout_ms", &["a_change_without_answer_in_time_says_that_it_may_still_happen"]),
    ("orgs.sources_max", &["an_organization_has_as_many_sources_and_keys_as_it_may_and_no_more"]),
    (
        "orgs.keys_max",
        &[
            "an_organization_has_as_many_sources_and_keys_as_it_may_and_no_more",
            "the_number_of_keys_is_bounded_at_the_limit",
        ],
    ),
    (
        "orgs.delete_grace_seconds",
        &[
            "a_restore_brings_back_what_was_there_and_revives_no_revoked_key",
            "after_the_grace_an_org_is_purged_and_its_name_is_free",
        ],
    ),
    ("keys.rotate_overlap_seconds", &["the default of what rotate_overlap_max_seconds bounds"]),
    ("keys.rotate_overlap_max_seconds", &["an_overlap_of_the_limit_is_taken_and_a_second_more_is_not"]),
    (
        "auth.failures_per_minute",
        &[
            "as_many_wrong_keys_as_allowed_are_refused_and_the_next_is_told_to_wait",
            "a_flood_of_wrong_keys_is_slowed_down_and_nobody_else_notices",
        ],
    ),
    (
        "auth.sign_ins_per_minute_per_account",
        &[
            "an_account_and_a_source_may_be_tried_so_often_in_a_minute_and_no_more",
            "a_flood_of_guesses_from_elsewhere_keeps_nobody_out_where_they_are_known",
        ],
    ),
    (
        "auth.sign_ins_per_minute_per_source",
        &["an_account_and_a_source_may_be_tried_so_often_in_a_minute_and_no_more"],
    ),
    ("auth.plain_http", &["a way, not a bound"]),
    (
        "sessions.idle_seconds",
        &["a_session_ends_when_it_was_not_seen_and_at_the_latest_when_its_time_is_over"],
    ),
    (
        "sessions.absolute_seconds",
        &["a_session_ends_when_it_was_not_seen_and_at_the_latest_when_its_time_is_over"],
    ),
    ("passwords.memory_kib", &["what a hash costs"]),
    ("passwords.iterations", &["what a hash costs"]),
    ("passwords.parallelism", &["what a hash costs"]),
    ("passwords.at_once", &["who_comes_when_too_many_wait_is_told_to_come_back"]),
    ("oauth.apps", &["where_apps_are_not_allowed_keys_are_the_only_way_in"]),
    ("oauth.access_seconds", &["an_app_is_authorized_works_refreshes_and_is_revoked_at_once"]),
    ("oauth.refresh_days", &["ninety_days_of_refreshing_keep_an_app_and_ninety_of_silence_end_it"]),
    (
        "oauth.refresh_replay",
        &[
            "an_old_copy_leads_to_the_live_token_for_a_day_and_then_ends_the_family",
            "strictly_an_old_copy_is_answered_for_half_a_minute",
        ],
    ),
    ("oauth.code_seconds", &["a_code_waits_a_minute"]),
    ("oauth.clients_max", &["clients_are_bounded_and_one_with_a_grant_never_makes_room"]),
    ("oauth.client_unused_days", &["clients_are_bounded_and_one_with_a_grant_never_makes_room"]),
    (
        "oauth.registrations_per_minute_per_source",
        &["what_cannot_be_registered_is_told_and_a_flood_leaves_known_clients_alone"],
    ),
    ("mail.url", &["a place"]),
    ("mail.password_file", &["a place"]),
    ("mail.from", &["a name"]),
    ("query.rows_default", &["rows_at_the_limit_are_whole_and_one_more_is_cut_and_said_so"]),
    ("query.rows_max", &["rows_at_the_limit_are_whole_and_one_more_is_cut_and_said_so"]),
    ("query.bytes_max", &["bytes_and_cells_of_the_limit_are_whole_and_one_more_is_cut"]),
    ("query.cell_bytes_max", &["bytes_and_cells_of_the_limit_are_whole_and_one_more_is_cut"]),
    ("query.columns_max", &["too_many_bytes_too_big_cells_and_too_many_columns_are_bounded_and_said_so"]),
    (
        "query.time_max_ms",
        &[
            "a_query_that_runs_too_long_is_stopped_and_told_how_to_be_cheaper",
            "a_query_within_its_time_is_answered",
        ],
    ),
    ("query.concurrent_per_org", &["one_organization_at_its_limit_does_not_keep_another_waiting"]),
    ("query.concurrent_per_key", &["one_organization_at_its_limit_does_not_keep_another_waiting"]),
    ("streams.per_org", &["streams_are_bounded_for_a_key_and_for_an_organization"]),
    ("streams.per_key", &["streams_are_bounded_for_a_key_and_for_an_organization"]),
    ("streams.longest_seconds", &["a_stream_has_a_longest_life_and_a_sign_of_life"]),
    ("streams.keep_alive_seconds", &["a_stream_has_a_longest_life_and_a_sign_of_life"]),
    ("sources.open_max", &["as_many_sources_as_allowed_stay_open_and_the_next_closes_the_unused"]),
    ("sources.connections_per_source", &["as_many_queries_run_at_once_as_a_source_may_have_connections"]),
    ("sources.samples", &["sample_values_are_shown_only_where_operator_and_source_allow_it"]),
    ("secrets.former_keys", &["keys_that_are_given_are_read_and_left_alone"]),
    ("secrets.key", &["keys_that_are_given_are_read_and_left_alone"]),
    ("secrets.key_file", &["a file"]),
    ("sources.network.allow", &["a list of addresses"]),
    ("sources.network.deny", &["a list of addresses"]),
    (
        "sources.network.private",
        &["a_database_in_a_network_that_is_closed_is_refused_and_opened_by_the_operator"],
    ),
    ("sources.postgres.connections_max", &["one_party_leaves_connections_to_others"]),
    (
        "sources.postgres.privileged_roles",
        &["roles_that_could_do_far_more_than_read_are_refused_unless_the_operator_insists"],
    ),
    ("sources.sqlite.folders", &["a list of places"]),
    (
        "sources.sqlite.memory_max_bytes",
        &["what_needs_too_much_memory_ends_with_a_sentence_and_leaves_the_disk_alone"],
    ),
    ("admin.socket", &["a place"]),
    ("log.format", &["a form"]),
    ("log.filter", &["a form"]),
    (
        "limits.requests_per_minute_per_key",
        &["as_many_requests_as_a_key_may_make_are_answered_and_the_next_is_told_how_long_to_wait"],
    ),
    (
        "limits.requests_per_minute_per_org",
        &["as_many_requests_as_an_org_may_make_are_answered_and_no_other_org_notices"],
    ),
    (
        "limits.requests_per_minute_per_person",
        &["as_many_pages_as_a_person_may_ask_for_are_shown_and_nobody_else_waits"],
    ),
    (
        "limits.key_creations_per_minute",
        &["as_many_keys_as_an_org_may_create_in_a_minute_are_made_and_the_next_waits"],
    ),
    ("metrics.listen", &["a place"]),
    ("telemetry.endpoint", &["a place"]),
    ("telemetry.service_name", &["a name"]),
    ("telemetry.sample_percent", &["a share, not a bound"]),
    ("audit.days", &["an_entry_goes_when_its_time_is_over_and_not_before"]),
    ("audit.entries_max", &["as_many_entries_as_allowed_are_kept_and_the_oldest_beyond_them_go"]),
    ("audit.queries", &["what is kept, not how much"]),
    ("audit.queries_days", &["a_logged_query_goes_when_its_time_is_over_and_not_before"]),
    (
        "audit.queries_max",
        &[
            "the_log_is_bounded_and_pushes_nothing_out_of_the_audit_trail",
            "the_log_holds_as_many_entries_as_it_may_and_the_oldest_go_first",
        ],
    ),
    (
        "audit.queries_waiting_max",
        &[
            "a_flood_beyond_what_may_wait_is_counted_in_the_log_itself",
            "what_finds_no_room_is_counted_and_the_log_says_so_where_it_is_missing",
        ],
    ),
    ("usage.days", &["a_day_goes_when_its_time_is_over_and_not_before"]),
];

#[test]
fn every_limit_names_its_tests() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(repository.join("config/default.toml")).unwrap();
    let mut settings = BTreeSet::new();
    leaves("", &toml::Value::Table(toml::from_str(&text).unwrap()), &mut settings);
    let listed: BTreeSet<_> = LIMITS.iter().map(|(setting, _)| (*setting).to_owned()).collect();
    let differ: Vec<_> = listed.symmetric_difference(&settings).collect();
    assert!(
        differ.is_empty(),
        "say in tests/it/limits.rs where these are tested, or that they are gone: {differ:?}"
    );

    let mut tests = String::new();
    for folder in ["src", "tests/it", "plugins", "storage"] {
        sources(&repository.join(folder), &mut tests);
    }
    for (setting, names) in LIMITS {
        for name in *names {
            let known = name.contains(' ') || tests.contains(&format!("fn {name}("));
            assert!(known, "{setting}: there is no test {name}");
        }
    }
}

fn leaves(at: &str, value: &toml::Value, into: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                leaves(&if at.is_empty() { name.clone() } else { format!("{at}.{name}") }, value, into);
            }
        }
        _ => drop(into.insert(at.to_owned())),
    }
}

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// A server with the organization `acme`, its source `facts` and a key.
fn acme(config: &str, env: &[(&str, &str)]) -> (Home, TestServer, String) {
    let home = Home::with(config);
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let server = home.serve_with(env);
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    (home, server, key)
}

#[test]
fn a_head_that_comes_in_pieces_is_served() {
    let (_home, server, _) = acme("", &[]);
    let mut wire = server.connect();
    for byte in request("GET", "/healthz", &[], b"") {
        wire.send(&[byte]);
    }
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn an_idle_connection_is_kept_for_the_configured_time_and_no_longer() {
    let (_home, server, _) = acme("server.keep_alive_seconds = 2", &[]);
    let mut wire = server.connect();
    for _ in 0..3 {
        wire.request("GET", "/healthz", &[], b"");
        assert_eq!(wire.answer().status, 200);
    }
    // Nothing is asked any more, and nothing is said: it just ends.
    assert!(wire.ends());

    let (_home, server, _) = acme("server.keep_alive_seconds = 0", &[]);
    let mut wire = server.connect();
    wire.request("GET", "/healthz", &[], b"");
    assert_eq!(wire.answer().status, 200);
    assert!(wire.ends());
}

#[test]
fn a_connection_past_the_most_waits_until_another_ends() {
    let (_home, server, _) = acme("server.workers = 1\nserver.connections_max = 3", &[]);
    let ask = |wire: &mut Wire<_>| wire.request("GET", "/healthz", &[], b"");
    let mut served: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for wire in &mut served {
        ask(wire);
        assert_eq!(wire.answer().status, 200);
    }
    let mut waits = server.connect();
    ask(&mut waits);
    assert!(waits.is_silent());
    // Those that were there first go on.
    ask(&mut served[2]);
    assert_eq!(served[2].answer().status, 200);
    assert!(waits.is_silent());
    drop(served.pop());
    assert_eq!(waits.answer().status, 200);
}

#[test]
fn an_organization_has_as_many_sources_and_keys_as_it_may_and_no_more() {
    let (home, server, key) = acme("orgs.sources_max = 2\norgs.keys_max = 2", &[]);
    let path = home.database("more.db", "CREATE TABLE t(x)");
    server.source("acme", "second", &path);
    let third = json!({ "name": "third", "kind": "sqlite", "settings": { "path": path } });
    let refused = server.admin("POST", "/orgs/acme/sources", &third);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains('2'), "{}", refused.text());
    server.done("DELETE", "/orgs/acme/sources/second", json!(null));
    server.source("acme", "third", &path);

    server.key("acme", "second");
    let refused = server.admin("POST", "/orgs/acme/keys", &json!({ "name": "third" }));
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains('2'), "{}", refused.text());
    server.delete_key("acme", "second");
    assert_eq!(server.status(&server.key("acme", "third")), 200);
    assert_eq!(server.status(&key), 200);
}

#[test]
fn an_overlap_of_the_limit_is_taken_and_a_second_more_is_not() {
    let (_home, server, old) = acme("keys.rotate_overlap_max_seconds = 86400", &[]);
    let rotate = |seconds: u64| {
        server.admin("POST", "/orgs/acme/keys/client/rotate", &json!({ "overlap_seconds": seconds }))
    };
    let refused = rotate(86_401);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("86400"), "{}", refused.text());
    let taken = rotate(86_400);
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!([server.status(&old), server.status(taken.json()["key"].as_str().unwrap())], [200, 200]);
}

#[test]
fn as_many_wrong_keys_as_allowed_are_refused_and_the_next_is_told_to_wait() {
    let (_home, server, key) = acme("auth.failures_per_minute = 10", &[]);
    // Of the right form, so that they cost a look; their organization does not exist.
    let mut wrong = (0..).map(|_| server.status(&crate::credentials::forged(None)));
    let before_the_first_429 = wrong.by_ref().take_while(|status| *status == 401).count();
    // The quota is a rate: while it was asked, a further one may have become free.
    assert!((10..=11).contains(&before_the_first_429), "{before_the_first_429}");
    assert_eq!(server.status(&key), 200);
}

#[test]
fn bytes_and_cells_of_the_limit_are_whole_and_one_more_is_cut() {
    let (_home, server, key) = acme("query.cell_bytes_max = 1000\nquery.bytes_max = 100000", &[]);
    let ask = |sql: String| {
        let result = server.query(&key, &sql);
        let content = &result["structuredContent"];
        (
            rows(&result).as_array().unwrap().len(),
            content["truncated"] == true,
            content["truncated_reason"].clone(),
        )
    };
    assert_eq!(ask("SELECT printf('%01000d', 7)".into()), (1, false, json!(null)));
    assert_eq!(ask("SELECT printf('%01001d', 7)".into()), (1, true, json!("cell_bytes")));

    // What the limit on bytes leaves room for is found by asking: with one row more it cuts, and never before.
    let numbers = |count: usize| {
        ask(format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT printf('%0900d', i) FROM n"
        ))
    };
    let (fit, cut, reason) = numbers(500);
    assert_eq!((cut, reason), (true, json!("bytes")));
    assert!((40..=111).contains(&fit), "{fit} rows of 900 bytes in 100,000");
    assert_eq!(numbers(fit), (fit, false, json!(null)));
    assert_eq!(numbers(fit + 1), (fit, true, json!("bytes")));
}

#[test]
fn a_query_within_its_time_is_answered() {
    let (_home, server, key) = acme("query.time_max_ms = 2000", &[]);
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    assert!(failure(&server.query(&key, ENDLESS)).contains("longer than the limit"));
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
}

#[test]
fn as_many_sources_as_allowed_stay_open_and_the_next_closes_the_unused() {
    let (home, server, key) = acme("sources.open_max = 2", &[]);
    for name in ["b", "c"] {
        server.source("acme", name, &home.database(&format!("{name}.db"), "CREATE TABLE t(x)"));
    }
    let open = || -> BTreeSet<_> { server.files_below(&home.databases()) };
    let ask = |source: &str| {
        rows(&server.call(&key, json!({ "sql": "SELECT 1", "source": source }))).as_array().unwrap().len()
    };
    // The configuration's check may have opened and closed some.
    poll(PATIENCE, "nothing is open yet", || open().len() <= 2);
    for source in ["facts", "b"] {
        assert_eq!(ask(source), 1);
    }
    assert_eq!(open().len(), 2);
    assert_eq!(ask("c"), 1);
    poll(PATIENCE, "one makes room", || {
        open().len() == 2 && open().iter().any(|path| path.ends_with("c.db"))
    });
    // Whoever made room is opened again when it is asked.
    for source in ["facts", "b", "c"] {
        assert_eq!(ask(source), 1);
    }
    poll(PATIENCE, "two are open", || open().len() == 2);
}
