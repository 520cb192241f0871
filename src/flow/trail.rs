//! The audit trail of what belongs to no organization: users, their passwords and sign-ins. An entry is written in the
//! batch of its change, like an organization's, under the time at which it was made.

use std::time::Duration;

use sequel_store::Write;

use super::People;
use crate::context::Context;
use crate::credential::UserId;
use crate::org::ChangeError;
use crate::org::audit::{AuditPage, AuditQuery, Author, Event, Via, Who};
use crate::record::{decode, encode};
use crate::system::users::{TrailNumber, UserRecord, trail_at};

/// An entry about a user.
pub(super) fn entry(
    context: &Context,
    author: &Author,
    action: &'static str,
    (id, record): (UserId, &UserRecord),
) -> Result<Write, ChangeError> {
    of_event(context, author, Event::new(action, "user", id, record.email.as_str()))
}

/// How far the first look back goes; each further one twice as far.
const FIRST_LOOK_BACK: Duration = Duration::from_secs(86_400);

/// A page of the trail, newest first.
pub async fn list(people: &People, query: AuditQuery) -> Result<AuditPage, ChangeError> {
    let mut page = AuditPage { entries: Vec::new(), next: None };
    let Some(oldest) = people.users.trail_begins().await? else { return Ok(page) };
    let oldest = TrailNumber::at(query.since.map_or(oldest, |since| since.max(oldest)));
    let newest = TrailNumber::at(people.context.clock.now().plus(FIRST_LOOK_BACK));
    let mut before = query.before.map_or(newest, |before| TrailNumber(before).min(newest));
    let mut back = FIRST_LOOK_BACK;
    // A scan goes forth only, and entries are wanted from the newest back: window by window.
    while oldest < before {
        let from = TrailNumber::at(before.time().minus(back)).max(oldest);
        for stored in people.users.trail(from, before).await?.iter().rev() {
            let Some(number) = TrailNumber::of(&stored.key) else { continue };
            if page.entries.len() == query.limit {
                page.next = page.entries.last().map(|(number, _)| *number);
                return Ok(page);
            }
            page.entries.push((number.0, decode(&stored.value)?));
        }
        (before, back) = (from, back * 2);
    }
    Ok(page)
}

/// The entry of an event.
pub(super) fn of_event(context: &Context, author: &Author, event: Event) -> Result<Write, ChangeError> {
    let (now, random) = (context.clock.now(), u64::from_be_bytes(context.rng.bytes()?));
    Ok(Write::Put(trail_at(now, random), encode(&event.record(now, author))))
}

/// A user who acts on themselves from a browser.
pub(super) fn themselves(id: UserId, record: &UserRecord, address: Option<std::net::IpAddr>) -> Author {
    let who = Who::User { id: id.to_string(), email: record.email.to_string() };
    Author { who, via: Via::Dashboard, address }
}
