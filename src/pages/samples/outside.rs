//! What can be seen without being signed in, documentation and failures included.

use super::super::*;
use super::{DAY, Rendered, ahead, hostile, rendered, shell};
use crate::pages::parts::Parts;

pub(super) fn gate() -> Gate {
    Gate { host: "sequel.example.com".to_owned(), csrf: "9f86d081884c7d659a2feaa0c55ad015".to_owned() }
}

pub(super) fn all() -> Vec<Rendered> {
    let mut all = gates();
    all.extend(invitations());
    all.extend(
        docs::all().iter().map(|doc| rendered("docs", doc.slug, &DocPage { shell: shell(Room::Docs), doc })),
    );
    let visitor = Shell {
        org: None,
        others: Vec::new(),
        member: None,
        here: Room::Docs,
        sees_audit: false,
        failing_sources: 0,
        toast: None,
    };
    all.push(rendered("docs", "visitor", &DocPage { shell: visitor, doc: &docs::all()[0] }));
    all.extend(FailureKind::ALL.into_iter().map(|kind| {
        let name = [
            "not-found",
            "forbidden",
            "stale",
            "in-the-clear",
            "forms-only",
            "too-large",
            "too-many",
            "internal",
            "unavailable",
        ];
        let at = FailureKind::ALL.iter().position(|other| *other == kind).unwrap_or_default();
        let request_id = (kind == FailureKind::Internal).then(|| "7f3a-000142".to_owned());
        let page = rendered("failure", name[at], &Failure { kind, request_id, back: "/".to_owned() });
        Rendered { status: kind.status(), ..page }
    }));
    all.push(rendered("parts", "all", &Parts { shell: shell(Room::Elsewhere) }));
    all
}

fn gates() -> Vec<Rendered> {
    let set_up = SetUp {
        gate: gate(),
        action: "/setup/EXAMPLE".to_owned(),
        email: Input::default(),
        password_error: None,
        org: Input::default(),
    };
    let refused = SetUp {
        email: Input::wrong("ops@", "Write an address such as ops@example.com."),
        password_error: Some(
            "This password is among those that leaked most often. Choose another one.".to_owned(),
        ),
        org: Input::of(hostile(0).raw()),
        ..set_up.clone()
    };
    let sign_in =
        SignIn { gate: gate(), email: String::new(), next: "/".to_owned(), refused: None, notice: None };
    let mismatch = SignIn {
        email: "ops@example.com".to_owned(),
        refused: Some(SignInRefusal::Mismatch),
        ..sign_in.clone()
    };
    let wait = SignIn { refused: Some(SignInRefusal::Wait(30)), ..mismatch.clone() };
    let notice =
        SignIn { notice: Some("Your password was changed. Sign in with it.".to_owned()), ..sign_in.clone() };
    let reset = Reset {
        gate: gate(),
        action: "/reset/EXAMPLE".to_owned(),
        email: "ops@example.com".into(),
        error: None,
    };
    let short = Reset {
        email: hostile(0),
        error: Some("Use at least 12 characters; this has 7.".to_owned()),
        ..reset.clone()
    };
    let forgot = Forgot { gate: gate(), sends_mail: true, asked: false };
    let mut all = vec![
        rendered("set-up", "empty", &set_up),
        rendered("set-up", "refused", &refused),
        rendered("sign-in", "empty", &sign_in),
        rendered("sign-in", "mismatch", &mismatch),
        rendered("sign-in", "wait", &wait),
        rendered("sign-in", "notice", &notice),
        rendered("forgot", "mail", &forgot),
        rendered("forgot", "asked", &Forgot { asked: true, ..forgot.clone() }),
        rendered("forgot", "no-mail", &Forgot { sends_mail: false, ..forgot }),
        rendered("reset", "empty", &reset),
        rendered("reset", "refused", &short),
    ];
    for (name, link) in
        [("set-up", LinkKind::SetUp), ("reset", LinkKind::Reset), ("invitation", LinkKind::Invitation)]
    {
        all.push(rendered("link-over", name, &LinkOver { gate: gate(), link }));
    }
    all
}

fn invitations() -> Vec<Rendered> {
    let invitation = Invitation {
        gate: gate(),
        action: "/invite/EXAMPLE".to_owned(),
        org: "Northwind Traders".into(),
        by: "ops@example.com".into(),
        email: "weather@example.com".into(),
        role: Role::Member,
        expires: ahead(6 * DAY),
        standing: Standing::Visitor { password_error: None },
    };
    let hostile = Invitation {
        org: hostile(0),
        by: hostile(1),
        email: hostile(2),
        role: Role::Owner,
        standing: Standing::Other(hostile(3)),
        ..invitation.clone()
    };
    let joined = Invitation { role: Role::Viewer, standing: Standing::Invited, ..invitation.clone() };
    let refused =
        Standing::Visitor { password_error: Some("Use at least 12 characters; this has 7.".to_owned()) };
    let refused = Invitation { standing: refused, ..invitation.clone() };
    vec![
        rendered("invitation", "visitor", &invitation),
        rendered("invitation", "refused", &refused),
        rendered("invitation", "invited", &joined),
        rendered("invitation", "hostile", &hostile),
    ]
}
