//! An organization's overview, keys, installation and data sources.

use super::super::*;
use super::{DAY, HOUR, MINUTE, Rendered, ago, ahead, hostile, hostile_shell, rendered, shell};
use crate::install::{self, TOOLS, Way};

pub(super) fn all() -> Vec<Rendered> {
    let mut all = overviews();
    all.extend(keys());
    all.extend(key_dialogs());
    all.extend(single_keys());
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
        calls: 0,
        first_call: None,
        may_connect: true,
        demo_offered: true,
    };
    let viewer = Overview { may_connect: false, ..empty.clone() };
    let connected = Overview { sources: 1, ..empty.clone() };
    let installed = Overview { keys: 1, ..connected.clone() };
    let typical = Overview {
        shell: Shell { toast: Some("Signed in.".to_owned()), ..shell(Room::Overview) },
        sources: 3,
        keys: 5,
        members: 4,
        calls: 1302,
        first_call: Some(first_call()),
        ..empty.clone()
    };
    let call = FirstCall { client: hostile(3), tool: "<b>run_query".to_owned(), when: ago(HOUR) };
    let hostile =
        Overview { shell: hostile_shell(Room::Overview), first_call: Some(call), ..typical.clone() };
    vec![
        rendered("overview", "empty", &empty),
        rendered("overview", "viewer", &viewer),
        rendered("overview", "connected", &connected),
        rendered("overview", "installed", &installed),
        rendered("overview", "typical", &typical),
        rendered("overview", "hostile", &hostile),
    ]
}

fn key(id: &str, name: &str) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        name: name.into(),
        prefix: format!("sql_{id}"),
        owner: Some("ops@example.com".into()),
        tool: None,
        state: KeyState::Active,
        reach: Reach::All,
        last_used: Some(ago(2 * MINUTE)),
        expires: None,
        created: ago(49 * DAY),
        may_change: true,
    }
}

fn usual_keys() -> Vec<KeyRow> {
    vec![
        KeyRow { tool: Some("Claude Code"), ..key("7hQ2mVk1Rs", "sequel_mcp") },
        KeyRow {
            tool: Some("Cursor"),
            owner: Some("data@example.com".into()),
            ..key("Xw81KaP0bd", "sequel_mcp")
        },
        KeyRow {
            reach: Reach::Only(vec!["demo".into()]),
            last_used: Some(ago(8 * HOUR)),
            expires: Some(ahead(41 * DAY)),
            ..key("b3TzR9uW2e", "nightly-rain-report")
        },
        KeyRow {
            owner: None,
            state: KeyState::Rotating(ahead(5 * HOUR)),
            reach: Reach::Only(vec!["flights".into(), "demo".into()]),
            expires: Some(ahead(9 * DAY)),
            ..key("Nc5Y0eJq7M", "airport-board-ci")
        },
        KeyRow { last_used: None, may_change: false, ..key("p0LfU6tYcA", "vscode-reading-room") },
        KeyRow { state: KeyState::Disabled, reach: Reach::Only(vec![]), ..key("Gd4Sj2nHxB", "zed-trial") },
        KeyRow {
            state: KeyState::Expired,
            expires: Some(ago(230 * DAY)),
            ..key("e9WqB7oZfC", "contractor-march")
        },
        KeyRow { state: KeyState::Suspended, ..key("h2KvD8iQgD", "from-the-backup") },
    ]
}

fn list() -> Keys {
    let rows = usual_keys();
    Keys {
        shell: shell(Room::Keys),
        filter: String::new(),
        sort: Sort::LastUsed,
        usable: 5,
        all: rows.len(),
        paging: Paging { shown: rows.len(), total: rows.len(), ..Paging::default() },
        rows,
        may_create: true,
        dialog: None,
    }
}

fn keys() -> Vec<Rendered> {
    let none = Keys { rows: Vec::new(), all: 0, usable: 0, paging: Paging::default(), ..list() };
    let viewer = Keys { may_create: false, ..none.clone() };
    let unmatched = Keys {
        filter: "<i>\u{202e}x".to_owned(),
        rows: Vec::new(),
        paging: Paging::default(),
        sort: Sort::Name,
        ..list()
    };
    let many: Vec<KeyRow> = (0..100).map(|n| key(&format!("{n:010}"), &format!("worker-{n}"))).collect();
    let thousands = Keys {
        rows: many,
        usable: 11_998,
        all: 12_000,
        paging: Paging {
            shown: 100,
            total: 12_000,
            previous: Some("/orgs/4nQx0cRrT1aZ/keys?before=a".to_owned()),
            next: Some("/orgs/4nQx0cRrT1aZ/keys?after=b".to_owned()),
        },
        sort: Sort::Expires,
        ..list()
    };
    let named = (0..8).map(|n| KeyRow {
        name: hostile(n),
        owner: Some(hostile(n + 1)),
        reach: Reach::Only((0..20).map(hostile).collect()),
        ..key(&format!("{n:010}"), "")
    });
    let hostile =
        Keys { shell: hostile_shell(Room::Keys), rows: named.collect(), sort: Sort::Created, ..list() };
    let mut all = vec![
        rendered("keys", "empty", &none),
        rendered("keys", "viewer", &viewer),
        rendered("keys", "unmatched", &unmatched),
        rendered("keys", "typical", &list()),
        rendered("keys", "thousands", &thousands),
        rendered("keys", "hostile", &hostile),
    ];
    let toast = Some("Deleted nightly-rain-report.".to_owned());
    all.push(rendered("keys", "toast", &Keys { shell: Shell { toast, ..shell(Room::Keys) }, ..list() }));
    all
}

fn key_form() -> KeyForm {
    KeyForm {
        id: None,
        once: "a1".to_owned(),
        name: Input::default(),
        all_sources: true,
        sources: vec![
            ("s1".to_owned(), "demo".into(), "SQLite".to_owned(), false),
            ("s2".to_owned(), "flights".into(), "SQLite".to_owned(), true),
        ],
        sources_error: None,
        expires: Input::of("90d"),
        may_own_by_org: true,
        owned_by_org: false,
    }
}

fn key_dialogs() -> Vec<Rendered> {
    let over = |sample, dialog| rendered("keys", sample, &Keys { dialog: Some(dialog), ..list() });
    let refused = KeyForm {
        name: Input::wrong(hostile(0).raw(), "There is a key with this name. Choose another one."),
        all_sources: false,
        sources_error: Some("Choose one source at least.".to_owned()),
        owned_by_org: true,
        ..key_form()
    };
    let bare = KeyForm { sources: Vec::new(), all_sources: false, may_own_by_org: false, ..key_form() };
    let edit = KeyForm {
        id: Some("b3TzR9uW2e".to_owned()),
        name: Input::of("nightly-rain-report"),
        expires: Input::of("keep"),
        ..key_form()
    };
    let shown = Shown {
        name: "nightly-rain-report".into(),
        prefix: "sql_b3TzR9uW2e".to_owned(),
        rest: "EXAMPLEonlyR8tYw3nKc6XzB1pLd9sFj4Gu0aMe5HqVi2oTk0000000000000".to_owned(),
        former_until: None,
    };
    let rotated = Shown { name: hostile(1), former_until: Some(ahead(DAY)), ..shown.clone() };
    let already = KeyDialog::ShownAlready {
        id: "b3TzR9uW2e".to_owned(),
        name: "nightly-rain-report".into(),
        prefix: "sql_b3TzR9uW2e".to_owned(),
    };
    let rotating = Rotating {
        id: "b3TzR9uW2e".to_owned(),
        name: "nightly-rain-report".into(),
        once: "a1".to_owned(),
        overlaps: vec![Pick::new("0", "At once"), Pick::new("86400", "After a day")],
        overlap: Input::of("86400"),
    };
    let deleting = Deleting {
        id: "b3TzR9uW2e".to_owned(),
        name: "nightly-rain-report".into(),
        prefix: "sql_b3TzR9uW2e".to_owned(),
        last_used: Some(ago(8 * HOUR)),
        calls: 7,
        typed: Input::default(),
    };
    let mistyped = Deleting {
        name: hostile(2),
        last_used: None,
        calls: 0,
        typed: Input::wrong("x", "This is not its name. Nothing was deleted."),
        ..deleting.clone()
    };
    vec![
        over("create", KeyDialog::Form(key_form())),
        over("create-bare", KeyDialog::Form(bare)),
        over("create-refused", KeyDialog::Form(refused)),
        over("edit", KeyDialog::Form(edit)),
        over("shown", KeyDialog::Shown(shown)),
        over("rotated", KeyDialog::Shown(rotated)),
        over("shown-already", already),
        over("rotate", KeyDialog::Rotate(rotating)),
        over("delete", KeyDialog::Delete(deleting)),
        over("delete-mistyped", KeyDialog::Delete(mistyped)),
    ]
}

fn single_keys() -> Vec<Rendered> {
    let mut all = Vec::new();
    for (sample, key) in
        ["typical", "cursor", "limited", "rotating", "viewer", "disabled", "expired", "suspended"]
            .into_iter()
            .zip(usual_keys())
    {
        let page = KeyPage {
            shell: shell(Room::Keys),
            key,
            made_by: "ops@example.com".into(),
            calls: 8640,
            rows: 103_680,
        };
        all.push(rendered("key", sample, &page));
    }
    let named = KeyRow { name: hostile(0), owner: Some(hostile(2)), ..key("0000000001", "") };
    let page = KeyPage {
        shell: hostile_shell(Room::Keys),
        key: named.clone(),
        made_by: hostile(1),
        calls: 0,
        rows: 0,
    };
    all.push(rendered("key", "hostile", &page));

    let leaked = Leaked { shell: shell(Room::Keys), asked: Input::default(), found: None };
    let unknown =
        Input::wrong("sql_xxxxxx", "No key of this organization begins so. Look into your other ones.");
    let uses = vec![
        Use { source: "flights".into(), calls: 8640, rows: 103_680, last: ago(26 * MINUTE) },
        Use { source: hostile(0), calls: 41, rows: 40_512, last: ago(DAY) },
    ];
    let found =
        |key: &KeyRow, uses: Vec<Use>| Some(LeakedKey { key: key.clone(), uses, once: "a1".to_owned() });
    let usual = usual_keys();
    let active = Leaked { asked: Input::of("sql_Nc5Y0e"), found: found(&usual[3], uses), ..leaked.clone() };
    let plain = Leaked { found: found(&usual[0], Vec::new()), ..active.clone() };
    let stopped = Leaked { found: found(&usual[5], Vec::new()), ..active.clone() };
    let hostile =
        Leaked { shell: hostile_shell(Room::Keys), found: found(&named, Vec::new()), ..active.clone() };
    all.extend([
        rendered("leaked", "empty", &leaked),
        rendered("leaked", "unknown", &Leaked { asked: unknown, ..leaked.clone() }),
        rendered("leaked", "active", &active),
        rendered("leaked", "unused", &plain),
        rendered("leaked", "stopped", &stopped),
        rendered("leaked", "hostile", &hostile),
    ]);
    all
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
    let named = FirstCall { client: hostile(3), ..first_call() };
    let hostile = has_key(hostile(2), Some(named));
    let empty = Install { has_sources: false, ..page(first, InstallState::NoKey) };
    let not_yet = Install { lets_sign_in: false, ..page(&TOOLS[7], InstallState::SignsIn) };
    all.extend([
        rendered("install", "empty", &empty),
        rendered("install", "no-key", &page(first, InstallState::NoKey)),
        rendered("install", "viewer", &Install { may_create: false, ..page(first, InstallState::NoKey) }),
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
        last_query: Some(ago(2 * MINUTE)),
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
        check("Schema", CheckOutcome::Skipped, None),
    ]
}

fn sources() -> Vec<Rendered> {
    let list = Sources {
        shell: shell(Room::Sources),
        rows: vec![
            source("s1", "demo"),
            SourceRow { health: failing(), ..source("s2", "warehouse") },
            SourceRow { health: Health::Unknown, last_query: None, ..source("s3", "archive") },
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
        of("password", "Password", DeclaredKind::Secret, ""),
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
