//! Made-up content for every page: nothing, the usual, and what a stranger would choose.
//!
//! Tests render all of it; `tests/browser` looks at all of it.

mod apps;
mod keys;
mod organization;
mod outside;
mod settings;

use askama::Template;

use super::{Member, Name, OrgLink, Room, Shell, When};

/// A page with made-up content.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Which page: `keys`.
    pub page: &'static str,
    /// With what: `empty`, `typical`, `hostile`.
    pub sample: &'static str,
    /// The status that it is sent with.
    pub status: u16,
    /// The whole page.
    pub html: String,
}

/// Every page with every made-up content.
pub fn all() -> Vec<Rendered> {
    let mut all = outside::all();
    all.extend(organization::all());
    all.extend(keys::all());
    all.extend(settings::all());
    all.extend(apps::all());
    all
}

fn rendered(page: &'static str, sample: &'static str, template: &impl Template) -> Rendered {
    let html = template.render().expect("a page renders");
    Rendered { page, sample, status: 200, html }
}

/// 2026-11-18 14:32 UTC.
const NOW: i64 = 1_795_012_320_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn ago(millis: i64) -> When {
    When::from_millis(NOW - millis, NOW)
}

fn ahead(millis: i64) -> When {
    When::from_millis(NOW + millis, NOW)
}

/// Names that somebody chose who means no good: markup, quotes, directions, a hundred wide characters, no space.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\u{202e}gnp.exe\u{2066}\" onmouseover=\"alert(1)",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "{{ 7*7 }}</title><img src=x onerror=alert(1)> مرحبا",
];

fn hostile(index: usize) -> Name {
    Name::new(HOSTILE[index % HOSTILE.len()])
}

fn org(name: &str) -> OrgLink {
    OrgLink { name: name.into(), base: "/orgs/4nQx0cRrT1aZ".to_owned() }
}

fn member(email: &str) -> Member {
    Member { email: email.into(), csrf: "9f86d081884c7d659a2feaa0c55ad015".to_owned() }
}

/// The usual surroundings.
fn shell(here: Room) -> Shell {
    Shell {
        org: Some(org("Northwind Traders")),
        others: vec![OrgLink { name: "Acme Robotics".into(), base: "/orgs/8bZk2mPq5LxW".to_owned() }],
        member: Some(member("ops@example.com")),
        here,
        sees_audit: true,
        failing_sources: 1,
        toast: None,
    }
}

/// Surroundings that a stranger named.
fn hostile_shell(here: Room) -> Shell {
    Shell {
        org: Some(OrgLink { name: hostile(2), ..org("") }),
        others: (0..60)
            .map(|n| OrgLink { name: hostile(n), base: format!("/orgs/0000000000{n:02}") })
            .collect(),
        member: Some(Member { email: hostile(3), ..member("") }),
        here,
        sees_audit: true,
        failing_sources: 0,
        toast: Some(format!("{} was disabled.", hostile(0).plain())),
    }
}
