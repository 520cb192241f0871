//! The dashboard: people's pages over HTTP. Extract, ask once, fill a context of `pages`, send it.
//!
//! Every route says who may come ([`open`](visit::open), [`person`](visit::person), [`member`](visit::member)); a
//! handler gets no further than that without having been asked. What a member may do is decided by
//! [`Member`](crate::org::Member), never here: `may_…` in a context only spares people a refusal.
//!
//! **Invariant:** a GET changes nothing, and a POST that carries no token of its own session changes nothing
//! (`tests/it/dashboard.rs`).

mod account;
mod apps;
mod audit;
mod consent;
mod documents;
mod first_call;
mod form;
mod gate;
mod install;
mod keys;
mod leaked;
mod members;
mod once;
mod orgs;
mod queries;
mod reply;
mod shell;
mod sources;
mod visit;

use std::time::Duration;

use actix_web::{HttpResponse, Resource};

pub use first_call::FirstCalls;
pub use once::Once;

use super::{Access, Route};
use crate::credential::OrgId;
use crate::flow::people::People;
use crate::pages::FailureKind;
use crate::system::cookie::SessionCookie;
use reply::Failed;
use visit::{member, open, person};

/// What the dashboard's handlers share.
pub struct Dashboard {
    /// Users, sessions, memberships, and the flows over them.
    pub people: People,
    /// How the session's cookie is called.
    pub cookie: SessionCookie,
    /// What was sent once already, and made a key.
    pub once: Once,
    /// The same, and made an organization.
    pub once_org: Once<OrgId>,
    /// Which keys a page waits for.
    pub first_calls: FirstCalls,
    /// Whether it is closed to who comes from another machine, because they come in the clear.
    pub only_from_here: bool,
    /// The configured host, for people to compare.
    pub host: String,
    /// How long a rotated key's old secret may live at most.
    pub rotate_overlap_max: Duration,
    /// How long a deleted organization can be restored.
    pub delete_grace: Duration,
    /// How long opening and asking a data source may take when it is tested.
    pub test_timeout: Duration,
    /// Days that entries of the audit trail are kept.
    pub audit_days: u32,
    /// Days that entries of the query log are kept; `None` where none are.
    pub query_days: Option<u32>,
}

/// The page for what did not work, where no handler was reached.
pub(super) fn failure(kind: FailureKind) -> HttpResponse {
    Failed::Page(kind).response("/", "")
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const BOTH: &[&str] = &["GET", "POST"];

const fn route(
    path: &'static str,
    methods: &'static [&'static str],
    access: Access,
    resource: fn(Resource) -> Resource,
) -> Route {
    Route { path, methods, access, resource }
}

use Access::{Member as M, Person as P, Public as O};
use actix_web::web::{get, post};

/// The routes of the dashboard.
pub const ROUTES: &[Route] = &[
    route("/", GET, O, |r| r.route(open(get(), gate::home))),
    route("/assets/{file}", GET, O, |r| r.get(documents::asset)),
    route("/docs", GET, O, |r| r.route(open(get(), documents::first))),
    route("/docs/{slug}", GET, O, |r| r.route(open(get(), documents::one))),
    route("/sign-in", BOTH, O, |r| {
        r.route(open(get(), gate::sign_in)).route(open(post(), gate::try_sign_in))
    }),
    route("/sign-out", POST, P, |r| r.route(person(post(), gate::sign_out))),
    route("/forgot", BOTH, O, |r| r.route(open(get(), gate::forgot)).route(open(post(), gate::ask_for_link))),
    route("/reset/{token}", BOTH, O, |r| {
        r.route(open(get(), gate::reset)).route(open(post(), gate::set_password))
    }),
    route("/set-up/{token}", BOTH, O, |r| {
        r.route(open(get(), gate::set_up)).route(open(post(), gate::complete_set_up))
    }),
    route("/invitation/{token}", BOTH, O, |r| {
        r.route(open(get(), gate::invitation)).route(open(post(), gate::accept_invitation))
    }),
    route("/account", BOTH, P, |r| {
        r.route(person(get(), account::page)).route(person(post(), account::rename))
    }),
    route("/account/password", POST, P, |r| r.route(person(post(), account::change_password))),
    route("/account/sessions/end-others", POST, P, |r| r.route(person(post(), account::end_others))),
    route("/account/sessions/{session}/end", POST, P, |r| r.route(person(post(), account::end))),
    route("/orgs/new", BOTH, P, |r| r.route(person(get(), orgs::new)).route(person(post(), orgs::create))),
    route("/orgs/{org}", GET, M, |r| r.route(member(get(), orgs::overview))),
    route("/orgs/{org}/settings", BOTH, M, |r| {
        r.route(member(get(), orgs::settings)).route(member(post(), orgs::rename))
    }),
    route("/orgs/{org}/settings/delete", BOTH, M, |r| {
        r.route(member(get(), orgs::ask_delete)).route(member(post(), orgs::delete))
    }),
    route("/orgs/{org}/restore", BOTH, P, |r| {
        r.route(person(get(), orgs::deleted)).route(person(post(), orgs::restore))
    }),
    route("/orgs/{org}/keys", GET, M, |r| r.route(member(get(), keys::list))),
    route("/orgs/{org}/keys/new", BOTH, M, |r| {
        r.route(member(get(), keys::new)).route(member(post(), keys::create))
    }),
    route("/orgs/{org}/keys/leaked", BOTH, M, |r| {
        r.route(member(get(), leaked::show)).route(member(post(), leaked::find))
    }),
    route("/orgs/{org}/keys/{key}", GET, M, |r| r.route(member(get(), keys::one))),
    route("/orgs/{org}/keys/{key}/edit", BOTH, M, |r| {
        r.route(member(get(), keys::edit)).route(member(post(), keys::save))
    }),
    route("/orgs/{org}/keys/{key}/rotate", BOTH, M, |r| {
        r.route(member(get(), keys::ask_rotate)).route(member(post(), keys::rotate))
    }),
    route("/orgs/{org}/keys/{key}/replace", POST, M, |r| r.route(member(post(), keys::replace))),
    route("/orgs/{org}/keys/{key}/disable", POST, M, |r| r.route(member(post(), keys::disable))),
    route("/orgs/{org}/keys/{key}/enable", POST, M, |r| r.route(member(post(), keys::enable))),
    route("/orgs/{org}/keys/{key}/stop", POST, M, |r| r.route(member(post(), keys::stop))),
    route("/orgs/{org}/keys/{key}/delete", BOTH, M, |r| {
        r.route(member(get(), keys::ask_delete)).route(member(post(), keys::delete))
    }),
    route("/oauth/authorize", GET, O, |r| r.route(open(get(), consent::page))),
    // Clients of 2025-03-26 find no metadata and take this one.
    route("/authorize", GET, O, |r| r.route(open(get(), consent::page))),
    route("/oauth/consent", POST, P, |r| r.route(person(post(), consent::decide))),
    route("/orgs/{org}/apps", GET, M, |r| r.route(member(get(), apps::list))),
    route("/orgs/{org}/apps/policy", BOTH, M, |r| {
        r.route(member(get(), apps::policy)).route(member(post(), apps::set_policy))
    }),
    route("/orgs/{org}/apps/{app}", GET, M, |r| r.route(member(get(), apps::one))),
    route("/orgs/{org}/apps/{app}/edit", BOTH, M, |r| {
        r.route(member(get(), apps::edit)).route(member(post(), apps::save))
    }),
    route("/orgs/{org}/apps/{app}/revoke", BOTH, M, |r| {
        r.route(member(get(), apps::ask_revoke)).route(member(post(), apps::revoke))
    }),
    route("/orgs/{org}/install", GET, M, |r| r.route(member(get(), install::first))),
    route("/orgs/{org}/install/{tool}", BOTH, M, |r| {
        r.route(member(get(), install::page)).route(member(post(), install::make))
    }),
    route("/orgs/{org}/install/{tool}/progress", GET, M, |r| r.route(member(get(), install::progress))),
    route("/orgs/{org}/sources", GET, M, |r| r.route(member(get(), sources::list))),
    route("/orgs/{org}/sources/new", GET, M, |r| r.route(member(get(), sources::first_kind))),
    route("/orgs/{org}/sources/new/{kind}", BOTH, M, |r| {
        r.route(member(get(), sources::new)).route(member(post(), sources::add))
    }),
    route("/orgs/{org}/sources/{source}", GET, M, |r| r.route(member(get(), sources::one))),
    route("/orgs/{org}/sources/{source}/edit", BOTH, M, |r| {
        r.route(member(get(), sources::edit)).route(member(post(), sources::save))
    }),
    route("/orgs/{org}/sources/{source}/test", POST, M, |r| r.route(member(post(), sources::test))),
    route("/orgs/{org}/sources/{source}/remove", BOTH, M, |r| {
        r.route(member(get(), sources::ask_remove)).route(member(post(), sources::remove))
    }),
    route("/orgs/{org}/members", GET, M, |r| r.route(member(get(), members::list))),
    route("/orgs/{org}/members/invite", BOTH, M, |r| {
        r.route(member(get(), members::ask_invite)).route(member(post(), members::invite))
    }),
    route("/orgs/{org}/members/{user}", BOTH, M, |r| {
        r.route(member(get(), members::one)).route(member(post(), members::change))
    }),
    route("/orgs/{org}/members/{user}/remove", BOTH, M, |r| {
        r.route(member(get(), members::ask_remove)).route(member(post(), members::remove))
    }),
    route("/orgs/{org}/invitations/{invitation}/withdraw", POST, M, |r| {
        r.route(member(post(), members::withdraw))
    }),
    route("/orgs/{org}/invitations/{invitation}/renew", POST, M, |r| r.route(member(post(), members::renew))),
    route("/orgs/{org}/audit", GET, M, |r| r.route(member(get(), audit::list))),
    route("/orgs/{org}/audit.json", GET, M, |r| r.route(member(get(), audit::export))),
    route("/orgs/{org}/queries", GET, M, |r| r.route(member(get(), queries::list))),
    route("/orgs/{org}/queries.json", GET, M, |r| r.route(member(get(), queries::export))),
    route("/orgs/{org}/queries/{entry}", GET, M, |r| r.route(member(get(), queries::one))),
    route("/orgs/{org}/audit/{entry}", GET, M, |r| r.route(member(get(), audit::one))),
];
