//! Members, the audit log, the account, the organization as a whole.

use super::super::*;
use super::{DAY, HOUR, MINUTE, Rendered, ago, ahead, hostile, hostile_shell, rendered, shell};

pub(super) fn all() -> Vec<Rendered> {
    let mut all = members();
    all.extend(audits());
    all.extend(queries());
    all.extend(accounts());
    all.extend(orgs());
    all
}

fn row(id: &str, email: &str, role: Role) -> MemberRow {
    MemberRow {
        id: id.to_owned(),
        email: email.into(),
        role,
        keys: Some(2),
        last_active: Some(ago(2 * MINUTE)),
        disabled: false,
        is_you: false,
        may_change: true,
    }
}

fn members() -> Vec<Rendered> {
    let you = MemberRow { is_you: true, ..row("m1", "ops@example.com", Role::Owner) };
    let list = Members {
        shell: shell(Room::Members),
        rows: vec![
            you.clone(),
            MemberRow { disabled: true, ..row("m2", "data@example.com", Role::Admin) },
            MemberRow { keys: Some(1), ..row("m3", "ci@example.com", Role::Member) },
            MemberRow { keys: Some(0), last_active: None, ..row("m4", "board@example.com", Role::Viewer) },
        ],
        paging: Paging::default(),
        invited: vec![Invited {
            id: "i1".to_owned(),
            email: "weather@example.com".into(),
            role: Role::Member,
            expires: ahead(6 * DAY),
        }],
        may_invite: true,
        dialog: None,
    };
    let alone = Members { rows: vec![you.clone()], invited: Vec::new(), ..list.clone() };
    let rows =
        list.rows.iter().map(|row| MemberRow { keys: None, may_change: false, ..row.clone() }).collect();
    let viewer = Members { rows, may_invite: false, ..list.clone() };
    let paging = Paging { shown: 100, total: 2400, previous: None, next: Some("?after=m".to_owned()) };
    let many = (0..100).map(|n| row(&format!("m{n}"), &format!("person-{n}@example.com"), Role::Member));
    let thousands = Members { rows: many.collect(), paging, ..list.clone() };
    let hostile_rows: Vec<_> =
        (0..4).map(|n| MemberRow { email: hostile(n), ..row("m9", "", Role::Admin) }).collect();
    let invited = list.invited.iter().map(|row| Invited { email: hostile(2), ..row.clone() }).collect();
    let hostile =
        Members { shell: hostile_shell(Room::Members), rows: hostile_rows.clone(), invited, ..list.clone() };
    let mut all = vec![
        rendered("members", "alone", &alone),
        rendered("members", "typical", &list),
        rendered("members", "viewer", &viewer),
        rendered("members", "thousands", &thousands),
        rendered("members", "hostile", &hostile),
    ];
    for (sample, dialog) in member_dialogs(&you, &hostile_rows[2]) {
        all.push(rendered("members", sample, &Members { dialog: Some(dialog), ..list.clone() }));
    }
    all
}

fn member_dialogs(you: &MemberRow, hostile: &MemberRow) -> Vec<(&'static str, MemberDialog)> {
    let roles = Role::ALL[1..].to_vec();
    let invite = |email, sends_mail| MemberDialog::Invite {
        email,
        role: Input::of("member"),
        roles: Role::ALL.to_vec(),
        sends_mail,
    };
    let last =
        Some("An organization keeps one owner at least. Make somebody else an owner first.".to_owned());
    vec![
        ("invite", invite(Input::default(), true)),
        ("invite-refused", invite(Input::wrong("x@", "Write an address such as ops@example.com."), false)),
        (
            "link",
            MemberDialog::Link {
                email: "weather@example.com".into(),
                url: "https://sequel.example.com/invite/EXAMPLEonlyR8tYw3nKc6XzB1pLd9sFj4Gu0aMe5HqVi2oTk"
                    .to_owned(),
                expires: ahead(7 * DAY),
            },
        ),
        (
            "change",
            MemberDialog::Change {
                row: MemberRow { disabled: true, ..row("m2", "data@example.com", Role::Admin) },
                roles: roles.clone(),
                error: None,
            },
        ),
        ("change-refused", MemberDialog::Change { row: hostile.clone(), roles, error: last.clone() }),
        (
            "remove",
            MemberDialog::Remove {
                row: MemberRow { disabled: true, ..row("m2", "data@example.com", Role::Admin) },
                error: None,
            },
        ),
        (
            "remove-one-key",
            MemberDialog::Remove { row: MemberRow { keys: Some(1), ..hostile.clone() }, error: None },
        ),
        (
            "leave-refused",
            MemberDialog::Remove { row: MemberRow { keys: Some(0), ..you.clone() }, error: last },
        ),
    ]
}

fn queries() -> Vec<Rendered> {
    let row = |id: &str, by: Name, source: Name, asked: Option<Name>| QueryRow {
        id: id.to_owned(),
        tool: "run_query".into(),
        ended: Ended { label: "Answered", why: None, is_answer: true },
        by,
        person: Some("ops@example.com".into()),
        source,
        rows: 1_204,
        waited_ms: 2,
        ran_ms: 1_310,
        at: ago(4 * MINUTE),
        asked,
    };
    let line = |row: QueryRow| QueryLine::Call(Box::new(row));
    let asked = "SELECT state, count(*) FROM airports WHERE altitude > ? GROUP BY state ORDER BY ? LIMIT ?";
    let first = row("41", "weather-station-board".into(), "flights".into(), Some(asked.into()));
    let refused = QueryRow {
        ended: Ended { label: "Refused", why: Some("not_a_query".into()), is_answer: false },
        rows: 0,
        ..row("40", "Claude".into(), "flights".into(), None)
    };
    let gone = QueryRow { person: None, ..row("38", "sql_Vt6Hs1dE3F…".into(), "iUIKpsajoK".into(), None) };
    let list = Queries {
        shell: shell(Room::Audit),
        filter: QueryFilter::default(),
        sources: vec![Pick::new("s1", "flights")],
        outcomes: vec![Pick::new("ok", "Answered"), Pick::new("refused", "Refused")],
        lines: vec![line(first.clone()), line(refused.clone()), QueryLine::Lost(312), line(gone.clone())],
        paging: Paging { shown: 4, total: 4, previous: None, next: Some("?before=38".to_owned()) },
        kept_days: Some(30),
    };
    let empty = Queries { lines: Vec::new(), paging: Paging::default(), ..list.clone() };
    let off = Queries { kept_days: None, ..empty.clone() };
    let filter = QueryFilter {
        source: "s1".to_owned(),
        by: hostile(0).raw().to_owned(),
        outcome: "refused".to_owned(),
        since: "7d".to_owned(),
    };
    let unmatched = Queries { filter: filter.clone(), ..empty.clone() };
    let lines = (0..50).map(|n| line(row("1", hostile(n), hostile(n + 1), Some(hostile(n + 2))))).collect();
    let filtered = Queries {
        shell: hostile_shell(Room::Audit),
        filter,
        sources: vec![Pick::new("s1", hostile(3).raw())],
        lines,
        ..list.clone()
    };
    let detail = QueryDetail {
        shell: shell(Room::Audit),
        row: first,
        bytes: 88_012,
        request: "00c0ffee-1f".into(),
        by_id: "Vt6Hs1dE3F".to_owned(),
        by_link: Some("/orgs/4nQx0cRrT1aZ/keys/Vt6Hs1dE3F".to_owned()),
        source_link: Some("/orgs/4nQx0cRrT1aZ/sources/s1".to_owned()),
    };
    let of_gone = QueryDetail { row: gone, by_link: None, source_link: None, ..detail.clone() };
    let hostile = QueryDetail {
        shell: hostile_shell(Room::Audit),
        row: row("1", hostile(0), hostile(1), Some(hostile(2))),
        request: hostile(3),
        ..detail.clone()
    };
    vec![
        rendered("queries", "empty", &empty),
        rendered("queries", "off", &off),
        rendered("queries", "unmatched", &unmatched),
        rendered("queries", "typical", &list),
        rendered("queries", "hostile", &filtered),
        rendered("query-entry", "typical", &detail),
        rendered("query-entry", "gone", &of_gone),
        rendered("query-entry", "hostile", &hostile),
    ]
}

fn audits() -> Vec<Rendered> {
    let entry = |id: &str, action: &str, who: Name, on: Name| AuditRow {
        id: id.to_owned(),
        action: action.to_owned(),
        who,
        via: "Dashboard".to_owned(),
        on,
        from: Some("203.0.113.9".to_owned()),
        at: ago(4 * MINUTE),
    };
    let list = Audit {
        shell: shell(Room::Audit),
        filter: AuditFilter::default(),
        rows: vec![
            entry("0000000000000012", "key.create", "ops@example.com".into(), "weather-station-board".into()),
            AuditRow {
                from: None,
                via: "Command line".to_owned(),
                ..entry("0000000000000011", "source.add", "root".into(), "flights".into())
            },
            entry("0000000000000010", "member.role", "ops@example.com".into(), "board@example.com".into()),
        ],
        paging: Paging { shown: 3, total: 1302, previous: None, next: Some("?before=10".to_owned()) },
        kept_days: 365,
    };
    let empty = Audit { rows: Vec::new(), paging: Paging::default(), ..list.clone() };
    let filter = AuditFilter {
        what: "key".to_owned(),
        who: hostile(0).raw().to_owned(),
        since: "7d".to_owned(),
        on: "Nc5Y0eJq7M".to_owned(),
    };
    let unmatched = Audit { filter: filter.clone(), ..empty.clone() };
    let rows: Vec<_> =
        (0..100).map(|n| entry(&format!("{n:016x}"), "key.rename", hostile(n), hostile(n + 1))).collect();
    let hostile_row = rows[1].clone();
    let filtered = Audit { shell: hostile_shell(Room::Audit), filter, rows, ..list.clone() };
    let detail = AuditDetail {
        shell: shell(Room::Audit),
        row: list.rows[0].clone(),
        details: vec![
            ("prefix".to_owned(), "sql_Vt6Hs1dE3F".into()),
            ("expires".to_owned(), "in 90 days".into()),
        ],
        on_link: Some("/orgs/4nQx0cRrT1aZ/keys/Vt6Hs1dE3F".to_owned()),
    };
    let hostile = AuditDetail {
        shell: hostile_shell(Room::Audit),
        row: AuditRow { from: None, ..hostile_row },
        details: vec![("name".to_owned(), hostile(2))],
        on_link: None,
    };
    vec![
        rendered("audit", "empty", &empty),
        rendered("audit", "unmatched", &unmatched),
        rendered("audit", "typical", &list),
        rendered("audit", "hostile", &filtered),
        rendered("audit-entry", "typical", &detail),
        rendered("audit-entry", "hostile", &hostile),
    ]
}

fn accounts() -> [Rendered; 3] {
    let session = |id: &str, device: Name, is_this| Session {
        id: id.to_owned(),
        device,
        from: "203.0.113.9".to_owned(),
        since: ago(3 * DAY),
        last_used: ago(HOUR),
        is_this,
    };
    let account = Account {
        shell: shell(Room::Account),
        name: Input::of("Olga Petrova"),
        current_error: None,
        new_error: None,
        sessions: vec![
            session("s1", "Firefox on Linux".into(), true),
            session("s2", "Safari on iPhone".into(), false),
        ],
    };
    let alone = Account {
        shell: Shell { org: None, others: Vec::new(), failing_sources: 0, ..shell(Room::Account) },
        name: Input::default(),
        sessions: vec![session("s1", "Firefox on Linux".into(), true)],
        ..account.clone()
    };
    let refused = Account {
        shell: hostile_shell(Room::Account),
        name: Input::wrong(hostile(1).raw(), "Use at most 100 characters."),
        current_error: Some("This is not your present password. Nothing was changed.".to_owned()),
        new_error: Some("Use at least 12 characters; this has 7.".to_owned()),
        sessions: (0..5).map(|n| session(["s1", "s2", "s3", "s4", "s5"][n], hostile(n), n == 0)).collect(),
    };
    [
        rendered("account", "typical", &account),
        rendered("account", "alone", &alone),
        rendered("account", "hostile", &refused),
    ]
}

fn orgs() -> Vec<Rendered> {
    let nowhere = Shell { org: None, others: Vec::new(), failing_sources: 0, ..shell(Room::Elsewhere) };
    let new = NewOrg {
        shell: nowhere.clone(),
        name: Input::default(),
        may_create: true,
        deleted: Vec::new(),
        once: "a1".to_owned(),
    };
    let refused = NewOrg {
        shell: shell(Room::Elsewhere),
        name: Input::wrong(hostile(0).raw(), "There is an organization with this name."),
        deleted: (0..4)
            .map(|n| OrgLink { name: hostile(n), base: format!("/orgs/00000000000{n}") })
            .collect(),
        ..new.clone()
    };
    let settings = OrgSettings {
        shell: shell(Room::Organization),
        name: Input::of("Northwind Traders"),
        id: "4nQx0cRrT1aZ".to_owned(),
        created: ago(200 * DAY),
        may_rename: true,
        may_delete: true,
        grace: Some("7 days".to_owned()),
        deleting: None,
    };
    let viewer = OrgSettings { may_rename: false, may_delete: false, ..settings.clone() };
    let hostile_settings =
        OrgSettings { shell: hostile_shell(Room::Organization), grace: None, ..settings.clone() };
    let delete = OrgSettings { deleting: Some(Input::default()), ..settings.clone() };
    let mistyped = Some(Input::wrong("x", "This is not its name. Nothing was deleted."));
    let mistyped =
        OrgSettings { deleting: mistyped, grace: Some("36 hours".to_owned()), ..hostile_settings.clone() };
    let at_once = OrgSettings { deleting: Some(Input::default()), ..hostile_settings.clone() };
    let deleted = DeletedOrg {
        shell: nowhere,
        name: "Northwind Traders".into(),
        base: "/orgs/4nQx0cRrT1aZ".to_owned(),
        until: ahead(7 * DAY),
    };
    vec![
        rendered("org-new", "empty", &new),
        rendered("org-new", "refused", &refused),
        rendered("org-new", "not-allowed", &NewOrg { may_create: false, ..new }),
        rendered("org-settings", "typical", &settings),
        rendered("org-settings", "viewer", &viewer),
        rendered("org-settings", "hostile", &hostile_settings),
        rendered("org-settings", "delete", &delete),
        rendered("org-settings", "delete-at-once", &at_once),
        rendered("org-settings", "delete-mistyped", &mistyped),
        rendered("org-deleted", "typical", &deleted),
        rendered("org-deleted", "hostile", &DeletedOrg { name: hostile(2), ..deleted.clone() }),
    ]
}
