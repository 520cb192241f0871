//! The audit trail of what belongs to no organization: users, their passwords and sign-ins. An entry is written in the
//! batch of its change, like an organization's, under the time at which it was made.

use sequel_store::Write;

use crate::context::Context;
use crate::credential::UserId;
use crate::org::ChangeError;
use crate::org::audit::{Author, Event, Via, Who};
use crate::record::encode;
use crate::system::users::{UserRecord, trail_at};

/// An entry about a user.
pub(super) fn entry(
    context: &Context,
    author: &Author,
    action: &'static str,
    (id, record): (UserId, &UserRecord),
) -> Result<Write, ChangeError> {
    of_event(context, author, Event::new(action, "user", id, record.email.as_str()))
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
