//! The question whether an app may read, and the apps that may.

use super::super::*;
use super::outside::gate;
use super::{DAY, HOUR, MINUTE, Rendered, ago, ahead, hostile, hostile_shell, rendered, shell};

pub(super) fn all() -> Vec<Rendered> {
    let mut all = consents();
    all.extend(answers());
    all.extend(lists());
    all.extend(single_apps());
    all.extend(policies());
    all
}

fn this_computer() -> SentTo {
    SentTo::ThisComputer("localhost:53682".to_owned())
}

fn lifetimes(keep: bool) -> Vec<Pick> {
    let all = [
        ("keep", "As it is"),
        ("", "Until I revoke it, or 90 days without use"),
        ("7", "7 days"),
        ("1", "1 day"),
    ];
    all.into_iter().skip(usize::from(!keep)).map(|(value, label)| Pick::new(value, label)).collect()
}

fn consent() -> Consent {
    Consent {
        gate: gate(),
        me: "ops@example.com".into(),
        here: "/oauth/authorize?client_id=c&response_type=code".to_owned(),
        client: "Claude Code".into(),
        client_uri: None,
        registered: ago(5_000),
        sent_to: this_computer(),
        sees_schema: true,
        runs_queries: true,
        orgs: vec![
            ConsentOrg {
                id: "4nQx0cRrT1aZ".to_owned(),
                name: "Northwind Traders".into(),
                role: Role::Owner,
                is_chosen: false,
                sources: vec![
                    ("s1".to_owned(), "demo".into(), true),
                    ("s2".to_owned(), "flights".into(), true),
                    ("s3".to_owned(), "warehouse".into(), false),
                ],
                all: false,
            },
            ConsentOrg {
                id: "8bZk2mPq5LxW".to_owned(),
                name: "Acme Robotics".into(),
                role: Role::Member,
                is_chosen: false,
                sources: Vec::new(),
                all: true,
            },
        ],
        elsewhere: Vec::new(),
        lifetimes: lifetimes(false),
        days: Input::of(""),
        fields: vec![("client_id".to_owned(), "c".to_owned()), ("consent".to_owned(), "n".to_owned())],
        error: None,
    }
}

fn consents() -> Vec<Rendered> {
    let usual = consent();
    let elsewhere = vec![("Reading Room".into(), NotHere::Role), ("Quiet Bank".into(), NotHere::Policy)];
    let web = Consent {
        client: "ChatGPT".into(),
        client_uri: Some("https://chatgpt.com".to_owned()),
        sent_to: SentTo::Host("chatgpt.com".to_owned()),
        elsewhere: elsewhere.clone(),
        runs_queries: false,
        ..usual.clone()
    };
    let mut app = Consent {
        client: "Cursor".into(),
        sent_to: SentTo::Scheme("cursor".to_owned()),
        error: Some("Choose at least one data source, or all of them.".to_owned()),
        ..usual.clone()
    };
    app.orgs[0].is_chosen = true;
    let nowhere = Consent { orgs: Vec::new(), elsewhere, ..usual.clone() };
    let newcomer = Consent { orgs: Vec::new(), ..usual.clone() };
    let nameless = Consent { client: Name::default(), ..usual.clone() };
    let crowd = (0..40).map(|n| ConsentOrg {
        id: format!("0000000000{n:02}"),
        name: hostile(n),
        role: Role::Admin,
        is_chosen: n == 1,
        sources: (0..20).map(|s| (format!("{n}-{s}"), hostile(s), s % 2 == 0)).collect(),
        all: n == 1,
    });
    let stranger = Consent {
        me: hostile(3),
        here: "/oauth/authorize?client_id=\"><script>".to_owned(),
        client: hostile(0),
        client_uri: Some(format!("https://example.com/{}", "x".repeat(400))),
        sent_to: SentTo::Host(format!("{}.example.com", "long.".repeat(40))),
        orgs: crowd.collect(),
        elsewhere: (0..4).map(|n| (hostile(n), NotHere::Policy)).collect(),
        fields: vec![("state".to_owned(), "\"><script>alert(1)</script>".to_owned())],
        ..usual.clone()
    };
    vec![
        rendered("consent", "typical", &usual),
        rendered("consent", "web", &web),
        rendered("consent", "app", &app),
        rendered("consent", "nowhere", &nowhere),
        rendered("consent", "no-org", &newcomer),
        rendered("consent", "no-name", &nameless),
        rendered("consent", "hostile", &stranger),
    ]
}

fn answers() -> Vec<Rendered> {
    let sent = |sent_to, url: &str, told| ConsentSent { gate: gate(), sent_to, url: url.to_owned(), told };
    let cursor = SentTo::Scheme("cursor".to_owned());
    let allowed = sent(cursor, "cursor://anysphere.cursor-mcp/oauth/callback?code=EXAMPLE", Told::Allowed);
    let denied = sent(this_computer(), "http://localhost:53682/callback?error=access_denied", Told::Denied);
    let host = SentTo::Host("chatgpt.com".to_owned());
    let refused = sent(host, "https://chatgpt.com/?error=invalid_request", Told::Refused);
    let mut all = vec![
        rendered("consent-sent", "allowed", &allowed),
        rendered("consent-sent", "denied", &denied),
        rendered("consent-sent", "refused", &refused),
    ];
    let broken = "The address that the answer should go to is none of those that the app registered. Remove \
                  the connection in the app and add it again.";
    let none = [
        ("broken", NoConsent::Broken(broken.to_owned())),
        ("used", NoConsent::Used),
        ("not-here", NoConsent::NotHere),
    ];
    all.extend(none.into_iter().map(|(sample, why)| {
        let status = why.status();
        Rendered { status, ..rendered("consent-none", sample, &ConsentNone { gate: gate(), why }) }
    }));
    all
}

fn app(id: &str, name: &str) -> AppRow {
    AppRow {
        id: id.to_owned(),
        name: name.into(),
        sent_to: this_computer(),
        by: "ops@example.com".into(),
        state: AppState::Active,
        reach: Reach::Only(vec!["demo".into(), "flights".into()]),
        last_used: Some(ago(2 * MINUTE)),
        from: Some("203.0.113.0/24".to_owned()),
        since: ago(12 * DAY),
        ends: ahead(90 * DAY),
        may_change: true,
    }
}

fn usual_apps() -> Vec<AppRow> {
    vec![
        app("g1A", "Claude Code"),
        AppRow {
            sent_to: SentTo::Host("chatgpt.com".to_owned()),
            by: "data@example.com".into(),
            reach: Reach::All,
            last_used: Some(ago(14 * MINUTE)),
            ..app("g2B", "ChatGPT")
        },
        AppRow {
            sent_to: SentTo::Scheme("cursor".to_owned()),
            state: AppState::Pending,
            last_used: None,
            from: None,
            ends: ahead(MINUTE),
            ..app("g3C", "Cursor")
        },
        AppRow {
            state: AppState::Expired,
            ends: ago(HOUR),
            may_change: false,
            ..app("g4D", "MCP CLI Proxy")
        },
    ]
}

fn list() -> Apps {
    let rows = usual_apps();
    Apps {
        shell: shell(Room::Apps),
        only_mine: false,
        sees_all: true,
        all: rows.len(),
        mine: 3,
        paging: Paging { shown: rows.len(), total: rows.len(), ..Paging::default() },
        rows,
        dialog: None,
    }
}

fn lists() -> Vec<Rendered> {
    let none = Apps { rows: Vec::new(), all: 0, mine: 0, paging: Paging::default(), ..list() };
    let toast = Some("ChatGPT can no longer read Northwind Traders.".to_owned());
    let mine = Apps { only_mine: true, shell: Shell { toast, ..shell(Room::Apps) }, ..list() };
    let none_mine = Apps { only_mine: true, rows: Vec::new(), mine: 0, ..list() };
    let member = Apps { sees_all: false, ..list() };
    let named = (0..8).map(|n| AppRow {
        name: hostile(n),
        by: hostile(n + 1),
        sent_to: SentTo::Host(format!("{}.example.com", "w".repeat(200))),
        reach: Reach::Only((0..20).map(hostile).collect()),
        ..app(&format!("g{n}"), "")
    });
    let strange = Apps { shell: hostile_shell(Room::Apps), rows: named.collect(), ..list() };
    let form = AppForm {
        id: "g1A".to_owned(),
        name: "Claude Code".into(),
        person: None,
        may_read_all: true,
        all_sources: false,
        sources: vec![
            ("s1".to_owned(), "demo".into(), "SQLite".to_owned(), true),
            ("s2".to_owned(), hostile(1), "SQLite".to_owned(), false),
        ],
        sources_error: None,
        lifetimes: lifetimes(true),
        days: Input::of("keep"),
    };
    let refused = AppForm {
        sources_error: Some("Choose at least one data source, or all of them.".to_owned()),
        name: hostile(2),
        ..form.clone()
    };
    let theirs = AppForm {
        person: Some(hostile(4)),
        may_read_all: false,
        sources: form.sources[..1].to_vec(),
        lifetimes: form.lifetimes[..2].to_vec(),
        ..form.clone()
    };
    let over = |sample, dialog| rendered("apps", sample, &Apps { dialog: Some(dialog), ..list() });
    let nameless = AppRow { name: hostile(3), by: hostile(2), last_used: None, ..app("g9", "") };
    vec![
        rendered("apps", "empty", &none),
        rendered("apps", "typical", &list()),
        rendered("apps", "mine", &mine),
        rendered("apps", "none-mine", &none_mine),
        rendered("apps", "member", &member),
        rendered("apps", "hostile", &strange),
        over("edit", AppDialog::Edit(form)),
        over("edit-refused", AppDialog::Edit(refused)),
        over("edit-theirs", AppDialog::Edit(theirs)),
        over("revoke", AppDialog::Revoke(app("g1A", "Claude Code"))),
        over("revoke-hostile", AppDialog::Revoke(nameless)),
    ]
}

fn single_apps() -> Vec<Rendered> {
    let page = |app: AppRow| AppPage {
        shell: shell(Room::Apps),
        app,
        client_id: "sqd_9fQ2mVk1RsT0".to_owned(),
        client_uri: None,
        scopes: vec!["schema:read".to_owned(), "query:run".to_owned()],
        ends_anyway: false,
        sees_audit: true,
    };
    let mut all: Vec<_> = ["typical", "web", "pending", "expired"]
        .into_iter()
        .zip(usual_apps())
        .map(|(sample, app)| rendered("app", sample, &page(app)))
        .collect();
    let strange = AppPage {
        client_uri: Some(format!("https://example.com/{}", "x".repeat(400))),
        ends_anyway: true,
        sees_audit: false,
        ..page(AppRow { name: hostile(0), by: hostile(2), ..app("g9", "") })
    };
    all.push(rendered("app", "hostile", &strange));
    all
}

fn policies() -> Vec<Rendered> {
    let policy = AppPolicy {
        shell: shell(Room::Apps),
        all: 4,
        mine: 3,
        loopback: true,
        private_schemes: true,
        https: "any".to_owned(),
        hosts: Input::default(),
    };
    let error = "a<b> is no host. Write only the host, such as claude.ai.";
    let refused = AppPolicy {
        https: "hosts".to_owned(),
        hosts: Input::wrong(hostile(0).raw(), error),
        ..policy.clone()
    };
    let closed = AppPolicy { loopback: false, https: "none".to_owned(), ..policy.clone() };
    vec![
        rendered("app-policy", "typical", &policy),
        rendered("app-policy", "refused", &refused),
        rendered("app-policy", "closed", &closed),
    ]
}
