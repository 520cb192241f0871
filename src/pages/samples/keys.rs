//! The list of API keys, its dialogs, single keys, and one that leaked.

use super::super::*;
use super::{DAY, HOUR, MINUTE, Rendered, ago, ahead, hostile, hostile_shell, rendered, shell};

pub(super) fn all() -> Vec<Rendered> {
    let mut all = keys();
    all.extend(key_dialogs());
    all.extend(single_keys());
    all.extend(leaked());
    all
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
        seen: String::new(),
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
    all
}

fn leaked() -> [Rendered; 6] {
    let named = KeyRow { name: hostile(0), owner: Some(hostile(2)), ..key("0000000001", "") };
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
    [
        rendered("leaked", "empty", &leaked),
        rendered("leaked", "unknown", &Leaked { asked: unknown, ..leaked.clone() }),
        rendered("leaked", "active", &active),
        rendered("leaked", "unused", &plain),
        rendered("leaked", "stopped", &stopped),
        rendered("leaked", "hostile", &hostile),
    ]
}
