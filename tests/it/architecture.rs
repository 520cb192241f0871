//! Holds the house's shape (DESIGN, "The house" and "Imports"): who may name whom, what the pure
//! core may not know, that every file says what it owns and every dependency why it is there.
//!
//! The table below *is* the rule. A new folder below `src/` is entered here before it compiles its
//! first test, so that its place in the house is a decision and not an accident.

mod manifest;
mod scan;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use manifest::dependencies;
use scan::{Reference, blank, references, tokens};

/// Each module of `src/` and the modules of the crate that it may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("api", &["context", "credential"]),
    ("backends", &["config"]),
    // The store as a whole: it has to know every kind of record.
    ("backup", &["context", "credential", "org", "record", "system"]),
    // What a data source says of itself, to be searched; a value.
    ("catalog", &[]),
    // `backends` alone knows by what a store is held, and so which server a command has to talk to.
    ("cli", &["api", "backends", "backup", "config", "context", "install", "run", "tls"]),
    // Whether a text is a master key.
    ("config", &["vault"]),
    ("context", &[]),
    ("credential", &["context"]),
    ("demo", &[]),
    ("flow", &["context", "credential", "mail", "metrics", "oauth", "org", "record", "system", "vault"]),
    (
        "http",
        &[
            "api",
            "backup",
            "config",
            "context",
            "credential",
            "flow",
            "install",
            "mcp",
            "metrics",
            "oauth",
            "org",
            "pages",
            "system",
            "tools",
        ],
    ),
    // Words to paste; the command line, the demo and the pages show them.
    ("install", &[]),
    ("lib", &[]),
    ("main", &["cli"]),
    // Letters and what takes them.
    ("mail", &[]),
    // What others count; it looks nothing up.
    ("metrics", &["context"]),
    ("mcp", &[]),
    ("oauth", &["visible"]),
    (
        "org",
        &["catalog", "context", "credential", "metrics", "oauth", "places", "record", "vault", "visible"],
    ),
    // Its contexts are plain; what is pasted into a tool has one definition.
    ("pages", &["install"]),
    // Who may work next where few may at once; it knows neither who they are nor at what.
    ("places", &[]),
    // The form that records of `org` and `system` share.
    ("record", &["context", "credential"]),
    (
        "run",
        &[
            "api",
            "backends",
            "backup",
            "config",
            "context",
            "credential",
            "demo",
            "flow",
            "http",
            "install",
            "mail",
            "mcp",
            "metrics",
            "org",
            "places",
            "sweep",
            "system",
            "tls",
            "tools",
            "vault",
        ],
    ),
    ("sweep", &["context", "flow", "org", "system"]),
    ("system", &["context", "credential", "oauth", "record"]),
    ("tls", &["context"]),
    // A key and what is sealed under it; it knows nothing of what that is.
    ("vault", &["context"]),
    // What of a text is seen; the pure core asks it too.
    ("visible", &[]),
    ("tools", &["catalog", "context", "credential", "mcp", "metrics", "org"]),
];

/// Crates that only some modules may name, and which. Whatever is not listed is anyone's, except in
/// the pure core.
const CRATES_KEPT_TO: &[(&str, &[&str])] = &[
    ("actix", &["flow", "org", "http", "run"]),
    // Of `flow` its tests alone name the threads, the connectors and the store.
    ("actix_rt", &["flow", "org", "http", "run"]),
    ("actix_web", &["http", "run"]),
    ("clap", &["cli", "main"]),
    ("opentelemetry", &["run"]),
    ("opentelemetry_http", &["run"]),
    ("opentelemetry_otlp", &["run"]),
    ("opentelemetry_sdk", &["run"]),
    ("prometheus_client", &["metrics"]),
    // The demo writes a data set; everything else speaks to a store or a connector.
    ("rusqlite", &["demo"]),
    // Of it the configuration takes what a network and a near miss are; pages and flags are made from declarations.
    ("sequel_connector", &["cli", "flow", "http", "tools", "org", "catalog", "backends", "run", "config"]),
    ("rustls", &["cli", "run", "tls"]),
    ("sequel_connector_postgres", &["backends"]),
    ("sequel_connector_sqlite", &["backends"]),
    ("sequel_store", &["backup", "flow", "org", "system", "backends", "run", "cli"]),
    ("sequel_store_sqlite", &["backends"]),
];

/// Single names beyond the tables above, each with its reason. One that nobody uses any more fails the test.
const BEYOND: &[(&str, &str, &str)] = &[];

/// The core that decides and never acts.
const PURE: &[&str] = &["oauth", "mcp"];

/// All that the pure core may name from outside.
const PURE_MAY_NAME: &[&str] =
    &["std", "core", "alloc", "serde", "serde_json", "base64", "bytes", "thiserror", "rmcp"];

/// Words that do not occur in the pure core: no waiting, no clock, no randomness.
const PURE_NEVER_SAYS: &[&str] = &["async", "await", "SystemTime", "Instant", "rand", "tokio", "actix"];

/// Paths that do not occur in the pure core: no I/O.
const PURE_NEVER_NAMES: &[&[&str]] =
    &[&["std", "fs"], &["std", "net"], &["std", "env"], &["std", "process"], &["std", "thread"]];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends with `suffix`, in name order, what tools leave excepted.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("a folder of the repository can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "node_modules") && !name.starts_with('.') {
            found.extend(files(&path, suffix));
        } else if path.is_file() && name.ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file of the repository is readable text")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// `src/mcp/era.rs` → `["mcp", "era"]`; `src/lib.rs` and `src/main.rs` → `[]`.
fn module_of(path: &Path) -> Vec<String> {
    let relative = path.strip_prefix(root().join("src")).expect("a file below src").with_extension("");
    let mut module: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The table's word for a file: its topmost module, or `lib` or `main`.
fn place_of(path: &Path) -> String {
    let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    module_of(path).first().cloned().unwrap_or(file)
}

/// What one file of `src/` does against the tables.
fn faults_of(place: &str, module: &[&str], source: &str, crates: &[String]) -> Vec<(usize, String)> {
    let Some((_, may_name)) = MAY_NAME.iter().find(|(name, _)| *name == place) else {
        return vec![(1, format!("`{place}` has no line in the table of imports; decide what it may name"))];
    };
    let mut faults = Vec::new();
    for reference in references(source, module).into_iter().filter(|reference| !is_beyond(place, reference)) {
        let first = reference.path.first().map_or("", String::as_str);
        let own = MAY_NAME.iter().any(|(name, _)| *name == first);
        // In the crate's root a module's bare name is the module; elsewhere it is a crate's.
        if reference.internal || (own && module.is_empty()) {
            let same = first == place || first.is_empty() || place == "lib";
            if !same && !may_name.contains(&first) {
                faults.push((
                    reference.line,
                    format!("`{place}` may not name `crate::{}`", reference.path.join("::")),
                ));
            }
        } else {
            faults.extend(foreign_fault(place, &reference, crates).map(|fault| (reference.line, fault)));
        }
    }
    if PURE.contains(&place) {
        for token in tokens(&blank(source)) {
            if PURE_NEVER_SAYS.contains(&token.text.as_str()) {
                faults.push((token.line, format!("`{place}` is pure and never says `{}`", token.text)));
            }
        }
    }
    faults
}

fn named(reference: &Reference) -> String {
    let path = reference.path.join("::");
    if reference.internal { format!("crate::{path}") } else { path }
}

fn is_beyond(place: &str, reference: &Reference) -> bool {
    let named = named(reference);
    BEYOND.iter().any(|(at, path, _)| {
        let rest = named.strip_prefix(path);
        *at == place && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn foreign_fault(place: &str, reference: &Reference, crates: &[String]) -> Option<String> {
    let first = reference.path.first()?.as_str();
    let named = reference.path.join("::");
    if let Some((_, places)) = CRATES_KEPT_TO.iter().find(|(name, _)| *name == first)
        && !places.contains(&place)
    {
        return Some(format!("`{place}` may not name `{named}`; the crate is kept to {places:?}"));
    }
    if !PURE.contains(&place) {
        return None;
    }
    let foreign = first == "std" || crates.iter().any(|name| name == first);
    if foreign && !PURE_MAY_NAME.contains(&first) {
        return Some(format!("`{place}` is pure and may not name `{named}`"));
    }
    if first == "rmcp" && reference.path.get(1).is_some_and(|segment| segment != "model") {
        return Some(format!("`{place}` may name the model types of `rmcp` alone, not `{named}`"));
    }
    let starts = |banned: &&&[&str]| reference.path.iter().take(banned.len()).eq(banned.iter());
    PURE_NEVER_NAMES.iter().find(starts).map(|_| format!("`{place}` is pure and may not name `{named}`"))
}

/// Crates that the root package lists for more than its tests, as Rust spells them.
fn root_crates() -> Vec<String> {
    let listed = dependencies(&read(&root().join("Cargo.toml")));
    listed.into_iter().filter(|d| d.table == "dependencies").map(|d| d.name.replace('-', "_")).collect()
}

fn no_faults(faults: &[(String, usize, String)]) {
    let mut report = String::new();
    for (file, line, fault) in faults {
        writeln!(report, "{file}:{line}: {fault}").expect("a string takes everything");
    }
    assert!(report.is_empty(), "\n{report}The rules are in tests/it/architecture.rs.\n");
}

#[test]
fn imports_follow_the_plan_of_the_house() {
    let crates = root_crates();
    let mut faults = Vec::new();
    for path in files(&root().join("src"), ".rs") {
        let module = module_of(&path);
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        for (line, fault) in faults_of(&place_of(&path), &module, &read(&path), &crates) {
            faults.push((shown(&path), line, fault));
        }
    }
    no_faults(&faults);
}

#[test]
fn every_exception_is_still_needed() {
    let mut used = Vec::new();
    for path in files(&root().join("src"), ".rs") {
        let module = module_of(&path);
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        let place = place_of(&path);
        used.extend(
            references(&read(&path), &module).iter().map(|reference| (place.clone(), named(reference))),
        );
    }
    for (place, path, reason) in BEYOND {
        let needed = used.iter().any(|(at, named)| at == place && named.starts_with(path));
        assert!(needed, "`{place}` no longer names `{path}` ({reason}): take the exception out");
    }
}

#[test]
fn storage_and_plugins_know_only_their_own_trait() {
    let mut faults = Vec::new();
    for (family, kept) in [("storage", "sequel-store"), ("plugins", "sequel-connector")] {
        for path in files(&root().join(family), "Cargo.toml") {
            let is_trait = path
                .parent()
                .is_some_and(|folder| folder.ends_with("store") || folder.ends_with("connector"));
            let manifest = read(&path);
            // A crate may name itself, to test what a feature of it exports.
            for found in dependencies(&manifest) {
                let itself = manifest.lines().any(|line| line == format!("name = \"{}\"", found.name));
                let ours = found.name == "sequel" || found.name.starts_with("sequel-");
                if ours && !itself && (is_trait || found.name != kept) {
                    faults.push((
                        shown(&path),
                        found.line,
                        format!("{family} may not depend on `{}`", found.name),
                    ));
                }
            }
        }
    }
    no_faults(&faults);
}

/// What leaves a key of somebody behind who was disabled meanwhile, unless `flow::keys` does it and looks again.
const KEPT_TO_FLOW: &[&str] = &[".create_personal_key(", ".alter_key("];

#[test]
fn personal_keys_are_made_and_switched_by_the_flow_that_looks_at_their_owner() {
    let mut faults = Vec::new();
    for path in files(&root().join("src/http"), ".rs") {
        for (line, text) in read(&path).lines().enumerate() {
            if let Some(call) = KEPT_TO_FLOW.iter().find(|call| text.contains(**call)) {
                faults.push((shown(&path), line + 1, format!("`{call}…)` is the business of `flow::keys`")));
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn every_source_file_says_what_it_owns() {
    let mut faults = Vec::new();
    for folder in ["src", "storage", "plugins", "tests", "benches"] {
        for path in files(&root().join(folder), ".rs") {
            if !read(&path).starts_with("//!") {
                faults.push((
                    shown(&path),
                    1,
                    "open the file with `//!`: what it owns, what it refuses to know".to_owned(),
                ));
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn every_dependency_stands_beside_its_reason() {
    let mut faults = Vec::new();
    let mut manifests = vec![root().join("Cargo.toml")];
    manifests.extend(files(&root().join("storage"), "Cargo.toml"));
    manifests.extend(files(&root().join("plugins"), "Cargo.toml"));
    for path in manifests {
        for found in dependencies(&read(&path)).into_iter().filter(|d| !d.explained) {
            faults.push((shown(&path), found.line, format!("write above `{}` why it is there", found.name)));
        }
    }
    no_faults(&faults);
}

#[test]
fn the_rules_catch_what_they_are_for() {
    let crates = ["tokio", "actix_web", "rmcp", "serde", "rusqlite"].map(str::to_owned);
    let caught = |place: &str, source: &str| !faults_of(place, &[place], source, &crates).is_empty();
    assert!(caught("org", "use crate::http::bearer;"));
    assert!(caught("org", "fn a() { super::http::serve() }"));
    assert!(caught("tools", "use crate::{mcp, backends};"));
    assert!(caught("mcp", "use crate::oauth::Scope;"));
    assert!(caught("mcp", "pub async fn a() {}"));
    assert!(caught("oauth", "use std::time::SystemTime;"));
    assert!(caught("oauth", "let x = std::fs::read(p);"));
    assert!(caught("mcp", "use rmcp::service::Peer;"));
    assert!(caught("mcp", "use actix_web::web;"));
    assert!(caught("tools", "use actix_web::web;"));
    assert!(caught("http", "let c = rusqlite::Connection::open(p);"));
    assert!(caught("attic", ""));

    assert!(!caught("org", "use crate::credential::Digest; use super::org::view; use actix::Actor;"));
    assert!(!caught(
        "mcp",
        "use rmcp::model::Tool; use serde::Serialize; use std::time::Duration; use super::mcp::era;"
    ));
    assert!(!caught("tools", "//! crate::http is not ours to know.\nuse crate::mcp::Call;"));
    assert!(!caught("config", "use config::Config;"));
}
