//! An organization's overview, installation and data sources.

use super::super::*;
use super::{DAY, HOUR, MINUTE, Rendered, ago, hostile, hostile_shell, rendered, shell};
use crate::install::{self, TOOLS, Way};

pub(super) fn all() -> Vec<Rendered> {
    let mut all = overviews();
    all.extend(installs());
    all.extend(sources());
    all
}

fn first_call() -> FirstCall {
    FirstCall { client: "Claude Code".into(), tool: "list_data_sources".to_owned(), when: ago(0) }
}

fn overviews() -> Vec<Rendered> {
    let empty = Overview {
        shell: Shell { failing_sources: 0, ..shell(Room::Overview) },
        sources: 0,
        keys: 0,
        members: 1,
        calls: Some(0),
        last_call: None,
        may_connect: true,
        may_create: true,
    };
    let viewer = Overview { calls: None, may_connect: false, may_create: false, ..empty.clone() };
    let member = Overview { may_create: true, ..viewer.clone() };
    let connected = Overview { sources: 1, ..empty.clone() };
    let installed = Overview { keys: 1, ..connected.clone() };
    let typical = Overview {
        shell: Shell { toast: Some("Signed in.".to_owned()), ..shell(Room::Overview) },
        sources: 3,
        keys: 5,
        members: 4,
        calls: Some(1302),
        last_call: Some(ago(HOUR)),
        ..empty.clone()
    };
    let hostile = Overview { shell: hostile_shell(Room::Overview), ..typical.clone() };
    vec![
        rendered("overview", "empty", &empty),
        rendered("overview", "viewer", &viewer),
        rendered("overview", "member", &member),
        rendered("overview", "connected", &connected),
        rendered("overview", "installed", &installed),
        rendered("overview", "typical", &typical),
        rendered("overview", "hostile", &hostile),
    ]
}

fn installs() -> Vec<Rendered> {
    const URL: &str = "https://sequel.example.com/mcp";
    const KEY: &str = "sql_7hQ2mVk1RsEXAMPLEonlyR8tYw3nKc6XzB1pLd9sFj4Gu0aMe5HqVi2oTk0000000000000";
    let page = |tool, state| Install {
        shell: shell(Room::Install),
        tool,
        mcp_url: URL.to_owned(),
        state,
        may_create: true,
        has_sources: true,
        may_connect: true,
        lets_sign_in: true,
        once: "a1".to_owned(),
    };
    let (id, prefix) = ("7hQ2mVk1Rs".to_owned(), "sql_7hQ2mVk1Rs".to_owned());
    let mut all = Vec::new();
    for tool in TOOLS {
        let state = match tool.way {
            Way::Key => InstallState::Fresh {
                id: id.clone(),
                name: Name::new("sequel_mcp"),
                prefix: prefix.clone(),
                snippets: install::snippets_for(tool, URL, KEY),
                link: install::link(tool, URL, KEY),
            },
            Way::SigningIn => InstallState::SignsIn,
        };
        all.push(rendered("install", tool.id, &page(tool, state)));
    }
    let first = &TOOLS[0];
    let has_key = |name: Name, first_call| {
        let (id, prefix) = (id.clone(), prefix.clone());
        InstallState::HasKey { id, name, prefix, first_call }
    };
    let waiting = has_key(Name::new("sequel_mcp"), None);
    let called = has_key(Name::new("sequel_mcp_claude-code"), Some(first_call()));
    let named = FirstCall { client: hostile(3), tool: "<b>run_query".to_owned(), ..first_call() };
    let hostile = has_key(hostile(2), Some(named));
    let empty = Install { has_sources: false, ..page(first, InstallState::NoKey) };
    let not_yet = Install { lets_sign_in: false, ..page(&TOOLS[7], InstallState::SignsIn) };
    all.extend([
        rendered("install", "empty", &empty),
        rendered("install", "no-key", &page(first, InstallState::NoKey)),
        rendered(
            "install",
            "viewer",
            &Install {
                may_create: false,
                may_connect: false,
                has_sources: false,
                ..page(first, InstallState::NoKey)
            },
        ),
        rendered("install", "waiting", &page(first, waiting)),
        rendered("install", "called", &page(first, called)),
        rendered(
            "install",
            "hostile",
            &Install { shell: hostile_shell(Room::Install), ..page(first, hostile) },
        ),
        rendered("install", "no-sign-in", &not_yet),
    ]);
    all
}

fn source(id: &str, name: &str) -> SourceRow {
    SourceRow {
        id: id.to_owned(),
        name: name.into(),
        kind: "SQLite".to_owned(),
        place: format!("/srv/data/{name}.db").as_str().into(),
        health: Health::Healthy,
        asked: Asked::On(ago(2 * MINUTE)),
    }
}

fn failing() -> Health {
    Health::Failing {
        since: ago(5 * HOUR),
        cause: "The file is not there. Put it back, or change the path.".to_owned(),
    }
}

fn checks() -> Vec<Check> {
    let check = |text: &str, outcome, millis| Check { text: text.to_owned(), outcome, millis };
    vec![
        check("The file lies in an allowed folder", CheckOutcome::Passed, None),
        check("It opens read-only as SQLite 3.50", CheckOutcome::Passed, Some(2)),
        check("A table of it cannot be read: the file ends early.", CheckOutcome::Failed, Some(11)),
        check("The role could change rows.", CheckOutcome::Warned, None),
        check("Schema", CheckOutcome::Skipped, None),
    ]
}

fn sources() -> Vec<Rendered> {
    let list = Sources {
        shell: shell(Room::Sources),
        rows: vec![
            source("s1", "demo"),
            SourceRow { health: failing(), ..source("s2", "warehouse") },
            SourceRow { health: Health::Unknown, asked: Asked::NotInDays(7), ..source("s3", "archive") },
        ],
        may_change: true,
        removing: None,
    };
    let empty = Sources { rows: Vec::new(), ..list.clone() };
    let asked = Some((source("s1", "demo"), Input::default(), 3));
    let named = |n: usize| SourceRow {
        name: hostile(n),
        place: hostile(n + 1),
        health: failing(),
        ..source("s9", "")
    };
    let mistyped = Some((named(2), Input::wrong("x", "This is not its name. Nothing was removed."), 0));
    let hostile =
        Sources { shell: hostile_shell(Room::Sources), rows: (0..4).map(named).collect(), ..list.clone() };
    let mut all = vec![
        rendered("sources", "empty", &empty),
        rendered("sources", "empty-viewer", &Sources { may_change: false, ..empty.clone() }),
        rendered("sources", "typical", &list),
        rendered("sources", "viewer", &Sources { may_change: false, ..list.clone() }),
        rendered("sources", "hostile", &hostile),
        rendered("sources", "remove", &Sources { removing: asked, ..list.clone() }),
        rendered("sources", "remove-mistyped", &Sources { removing: mistyped, ..list }),
    ];
    all.extend(source_pages(named(0)));
    all.extend(source_forms());
    all
}

fn source_pages(named: SourceRow) -> [Rendered; 3] {
    let page = SourcePage {
        shell: shell(Room::Sources),
        source: source("s1", "demo"),
        description: Some("Flights, airports and the weather in Seattle.".into()),
        settings: vec![("File".to_owned(), "/srv/data/demo.db".into())],
        created: ago(40 * DAY),
        checks: Vec::new(),
        may_change: true,
    };
    let tested = SourcePage { checks: checks(), description: None, ..page.clone() };
    let hostile = SourcePage {
        shell: hostile_shell(Room::Sources),
        settings: vec![("File".to_owned(), named.place.clone())],
        description: Some(hostile(3)),
        source: named,
        ..page.clone()
    };
    [
        rendered("source", "typical", &page),
        rendered("source", "tested", &tested),
        rendered("source", "hostile", &hostile),
    ]
}

/// What a connector with every kind of setting would declare.
fn declared() -> Vec<Declared> {
    let of = |name: &str, label: &str, kind, value: &str| Declared {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        help: None,
        required: true,
        input: Input::of(value),
    };
    let modes = vec![Pick::new("verify", "Required, certificate verified"), Pick::new("off", "Off")];
    vec![
        of("host", "Host", DeclaredKind::Machine, "db.example.internal"),
        of("port", "Port", DeclaredKind::Number, "5432"),
        of("tls", "TLS", DeclaredKind::Choice(modes), "off"),
        Declared {
            help: Some("One with SELECT only.".to_owned()),
            ..of("role", "Role", DeclaredKind::Text, "")
        },
        of("password", "Password", DeclaredKind::Secret { stored: true }, ""),
        of(
            "ca",
            "Certificate authority",
            DeclaredKind::Lines,
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        ),
        of("client_key", "Key of the client certificate", DeclaredKind::SecretLines { stored: false }, ""),
        of("samples", "Show samples of values to models", DeclaredKind::Tick, "true"),
    ]
}

fn source_forms() -> [Rendered; 4] {
    let file = Declared {
        name: "path".to_owned(),
        label: "File".to_owned(),
        kind: DeclaredKind::Machine,
        help: Some("On the server, in a folder that its operator allows.".to_owned()),
        required: true,
        input: Input::default(),
    };
    let kind = |word: &str, label: &str| SourceKind { word: word.to_owned(), label: label.to_owned() };
    let new = SourceForm {
        shell: shell(Room::Sources),
        editing: None,
        seen: String::new(),
        kinds: vec![kind("sqlite", "SQLite"), kind("postgres", "PostgreSQL")],
        kind: kind("sqlite", "SQLite"),
        name: Input::default(),
        description: Input::default(),
        declared: vec![file],
        checks: Vec::new(),
        repair: None,
    };
    let mut wrong = declared();
    wrong[3].input = Input::wrong("postgres", "This role is a superuser. Use a role with SELECT only.");
    let refused = SourceForm {
        kind: kind("postgres", "PostgreSQL"),
        name: Input::of("flights"),
        declared: wrong,
        checks: checks(),
        repair: Some((
            "Create a suitable role".to_owned(),
            "CREATE ROLE sequel_ro LOGIN PASSWORD '…';\nGRANT pg_read_all_data TO sequel_ro;".to_owned(),
        )),
        ..new.clone()
    };
    let edit = SourceForm {
        editing: Some(("s1".to_owned(), "flights".into())),
        checks: Vec::new(),
        repair: None,
        declared: declared(),
        ..refused.clone()
    };
    let hostile = SourceForm {
        shell: hostile_shell(Room::Sources),
        editing: Some(("s1".to_owned(), hostile(2))),
        name: Input::of(hostile(1).raw()),
        description: Input::of(hostile(3).raw()),
        ..edit.clone()
    };
    [
        rendered("source-form", "empty", &new),
        rendered("source-form", "refused", &refused),
        rendered("source-form", "edit", &edit),
        rendered("source-form", "hostile", &hostile),
    ]
}
