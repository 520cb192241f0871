//! The administration's operations as data: from this table come the routes and the OpenAPI document, so that
//! neither can be without the other.

use actix_web::{Route, web};
use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema, Type};

use super::{apps, audit, backup, keys, members, openapi, orgs, queries, secrets, sources, usage, users};
use crate::api;

/// One operation: what it is, what it takes and answers, and who does it.
pub struct Operation {
    /// The HTTP method.
    pub method: &'static str,
    /// Below the API's base, with names in braces.
    pub path: &'static str,
    /// What programs call it by.
    pub id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What it takes after the question mark; none of it is required.
    pub parameters: &'static [Parameter],
    /// The shape of its body, if it takes one.
    pub(super) request: Option<Shape>,
    /// The status of its success.
    pub status: u16,
    /// The shape of its answer; `None` for the OpenAPI document itself, and for what is no JSON.
    pub(super) answer: Option<Shape>,
    /// The media type of its answer.
    pub media: &'static str,
    pub(super) route: fn() -> Route,
}

/// Puts a shape with all that it refers to among the schemas, and says how to refer to it.
pub(super) type Shape = fn(&mut Vec<(String, RefOr<Schema>)>) -> Ref;

fn shape<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> Ref {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    Ref::from_schema_name(T::name())
}

const JSON: &str = "application/json";

/// An operation without a body.
const fn operation(
    (method, path): (&'static str, &'static str),
    (id, summary): (&'static str, &'static str),
    (status, answer): (u16, Shape),
    route: fn() -> Route,
) -> Operation {
    Operation {
        method,
        path,
        id,
        summary,
        parameters: &[],
        request: None,
        status,
        answer: Some(answer),
        media: JSON,
        route,
    }
}

impl Operation {
    const fn taking(mut self, request: Shape) -> Self {
        self.request = Some(request);
        self
    }

    const fn with(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }
}

/// A parameter after the question mark.
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    pub(super) kind: Type,
}

const fn parameter(name: &'static str, kind: Type, meaning: &'static str) -> Parameter {
    Parameter { name, meaning, kind }
}

/// Which entries of a trail are wanted.
const AUDIT: &[Parameter] = &[
    parameter("limit", Type::Integer, "most entries, 1 to 1,000; 100 without it"),
    parameter("before", Type::Integer, "only those before this entry: the `next` of the page before"),
    parameter("since", Type::String, "only those from this time on, RFC 3339"),
];

/// Which entries of the query log are wanted.
const QUERIES: &[Parameter] = &[
    parameter("limit", Type::Integer, "most entries, 1 to 1,000; 100 without it"),
    parameter("before", Type::Integer, "only those before this entry: the `next` of the page before"),
    parameter("since", Type::String, "only those from this time on, RFC 3339"),
    parameter(
        "by",
        Type::String,
        "only those of keys, apps and people that this is a part of, or of this id or prefix",
    ),
    parameter("source", Type::String, "only those that touched this data source: an id or a name"),
    parameter("outcome", Type::String, "only those that ended so: `ok`, `refused`, …"),
];

/// All of them, those of one path together.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/openapi.json",
        id: "getOpenApi",
        summary: "This document",
        parameters: &[],
        request: None,
        status: 200,
        answer: None,
        media: JSON,
        route: || web::get().to(openapi::serve),
    },
    Operation {
        method: "GET",
        path: "/backup",
        id: "getBackup",
        summary: "A backup of everything that the store holds: one consistent cut, with a checksum at its end",
        parameters: &[],
        request: None,
        status: 200,
        answer: None,
        media: "application/octet-stream",
        route: || web::get().to(backup::get),
    },
    operation(("GET", "/server"), ("getServer", "The running server"), (200, shape::<api::Server>), || {
        web::get().to(orgs::server)
    }),
    operation(
        ("POST", "/secrets/rotate"),
        (
            "rotateSecrets",
            "Seal the secrets of all data sources under a new master key and forget the former one",
        ),
        (200, shape::<api::Rotated>),
        || web::post().to(secrets::rotate),
    ),
    operation(("GET", "/orgs"), ("listOrgs", "All organizations"), (200, shape::<api::Orgs>), || {
        web::get().to(orgs::list)
    })
    .with(&[parameter(
        "deleted",
        Type::Boolean,
        "also those that were deleted and can be restored or are being purged",
    )]),
    operation(("POST", "/orgs"), ("createOrg", "Make an organization"), (201, shape::<api::Org>), || {
        web::post().to(orgs::create)
    })
    .taking(shape::<api::CreateOrg>),
    operation(("GET", "/orgs/{org}"), ("getOrg", "One organization"), (200, shape::<api::Org>), || {
        web::get().to(orgs::get)
    }),
    operation(
        ("PATCH", "/orgs/{org}"),
        ("renameOrg", "Give an organization another name"),
        (200, shape::<api::Org>),
        || web::patch().to(orgs::rename),
    )
    .taking(shape::<api::ChangeOrg>),
    operation(
        ("DELETE", "/orgs/{org}"),
        ("deleteOrg", "Delete an organization: access to it ends at once, it can be restored for a while"),
        (200, shape::<api::DeletedOrg>),
        || web::delete().to(orgs::delete),
    )
    .with(&[parameter(
        "now",
        Type::Boolean,
        "purge it at once, also one that was deleted before; there is no way back",
    )]),
    operation(
        ("POST", "/orgs/{org}/restore"),
        (
            "restoreOrg",
            "Put a deleted organization back as it was; keys that were revoked before stay revoked",
        ),
        (200, shape::<api::Org>),
        || web::post().to(orgs::restore),
    ),
    operation(
        ("GET", "/orgs/{org}/keys"),
        ("listKeys", "The API keys of an organization"),
        (200, shape::<api::Keys>),
        || web::get().to(keys::list),
    ),
    operation(
        ("POST", "/orgs/{org}/keys"),
        ("createKey", "Make an API key; the answer holds its secret for the only time"),
        (201, shape::<api::CreatedKey>),
        || web::post().to(keys::create),
    )
    .taking(shape::<api::CreateKey>),
    operation(("GET", "/orgs/{org}/keys/{key}"), ("getKey", "One API key"), (200, shape::<api::Key>), || {
        web::get().to(keys::get)
    }),
    operation(
        ("PATCH", "/orgs/{org}/keys/{key}"),
        ("changeKey", "Rename an API key, switch it off or on"),
        (200, shape::<api::Key>),
        || web::patch().to(keys::change),
    )
    .taking(shape::<api::ChangeKey>),
    operation(
        ("DELETE", "/orgs/{org}/keys/{key}"),
        ("deleteKey", "Delete an API key for good"),
        (200, shape::<api::Deleted>),
        || web::delete().to(keys::delete),
    ),
    operation(
        ("POST", "/orgs/{org}/keys/{key}/rotate"),
        ("rotateKey", "Give an API key a new secret"),
        (200, shape::<api::RotatedKey>),
        || web::post().to(keys::rotate),
    )
    .taking(shape::<api::RotateKey>),
    operation(
        ("GET", "/orgs/{org}/members"),
        ("listMembers", "The members of an organization"),
        (200, shape::<api::Members>),
        || web::get().to(members::list),
    ),
    operation(
        ("POST", "/orgs/{org}/members"),
        ("addMember", "Make a user a member"),
        (201, shape::<api::Member>),
        || web::post().to(members::add),
    )
    .taking(shape::<api::AddMember>),
    operation(
        ("PATCH", "/orgs/{org}/members/{user}"),
        ("changeMember", "Give a member another role"),
        (200, shape::<api::Member>),
        || web::patch().to(members::change),
    )
    .taking(shape::<api::ChangeMember>),
    operation(
        ("DELETE", "/orgs/{org}/members/{user}"),
        ("removeMember", "End a membership, and the member's personal API keys with it"),
        (200, shape::<api::Deleted>),
        || web::delete().to(members::remove),
    ),
    operation(
        ("GET", "/orgs/{org}/apps"),
        ("listApps", "The authorized apps of an organization"),
        (200, shape::<api::Apps>),
        || web::get().to(apps::list),
    ),
    operation(
        ("GET", "/orgs/{org}/apps/{app}"),
        ("getApp", "One authorized app"),
        (200, shape::<api::App>),
        || web::get().to(apps::get),
    ),
    operation(
        ("PATCH", "/orgs/{org}/apps/{app}"),
        ("changeApp", "Give an authorized app other data sources or another end"),
        (200, shape::<api::App>),
        || web::patch().to(apps::change),
    )
    .taking(shape::<api::ChangeApp>),
    operation(
        ("DELETE", "/orgs/{org}/apps/{app}"),
        ("revokeApp", "Revoke an authorized app: its access ends at once"),
        (200, shape::<api::Deleted>),
        || web::delete().to(apps::revoke),
    ),
    operation(
        ("GET", "/orgs/{org}/app-policy"),
        ("getAppPolicy", "Which classes of client may be authorized"),
        (200, shape::<api::AppPolicy>),
        || web::get().to(apps::policy),
    ),
    operation(
        ("PATCH", "/orgs/{org}/app-policy"),
        (
            "changeAppPolicy",
            "Say which classes of client may be authorized; apps that are forbidden then end at once",
        ),
        (200, shape::<api::AppPolicy>),
        || web::patch().to(apps::change_policy),
    )
    .taking(shape::<api::ChangeAppPolicy>),
    operation(
        ("GET", "/orgs/{org}/sources"),
        ("listSources", "The data sources of an organization"),
        (200, shape::<api::Sources>),
        || web::get().to(sources::list),
    ),
    operation(
        ("POST", "/orgs/{org}/sources"),
        ("addSource", "Add a data source"),
        (201, shape::<api::Source>),
        || web::post().to(sources::add),
    )
    .taking(shape::<api::AddSource>),
    operation(
        ("GET", "/orgs/{org}/sources/{source}"),
        ("getSource", "One data source"),
        (200, shape::<api::Source>),
        || web::get().to(sources::get),
    ),
    operation(
        ("PATCH", "/orgs/{org}/sources/{source}"),
        ("changeSource", "Rename a data source, change its settings or its description"),
        (200, shape::<api::Source>),
        || web::patch().to(sources::change),
    )
    .taking(shape::<api::ChangeSource>),
    operation(
        ("DELETE", "/orgs/{org}/sources/{source}"),
        ("removeSource", "Remove a data source; the database itself is left as it is"),
        (200, shape::<api::Deleted>),
        || web::delete().to(sources::remove),
    ),
    operation(
        ("POST", "/orgs/{org}/sources/{source}/test"),
        ("testSource", "See whether a data source answers"),
        (200, shape::<api::Tested>),
        || web::post().to(sources::test),
    ),
    operation(
        ("GET", "/orgs/{org}/audit"),
        ("listAudit", "The audit trail of an organization, the newest entry first"),
        (200, shape::<api::Audit>),
        || web::get().to(audit::list),
    )
    .with(AUDIT),
    operation(
        ("GET", "/orgs/{org}/audit/queries"),
        ("listQueries", "Calls that touched data sources, the newest first; never their data"),
        (200, shape::<api::QueryLog>),
        || web::get().to(queries::list),
    )
    .with(QUERIES),
    operation(
        ("GET", "/orgs/{org}/usage"),
        ("getUsage", "What an organization used, by day, key and data source"),
        (200, shape::<api::Usage>),
        || web::get().to(usage::list),
    )
    .with(&[
        parameter("key", Type::String, "only this key's: an id, a name or a prefix"),
        parameter("source", Type::String, "only this data source's: an id or a name"),
        parameter("days", Type::Integer, "how many days, today included, 1 to 3,650; 30 without it"),
    ]),
    operation(
        ("GET", "/users-audit"),
        ("listUsersAudit", "The audit trail of users and their sign-ins, the newest entry first"),
        (200, shape::<api::Audit>),
        || web::get().to(audit::of_users),
    )
    .with(AUDIT),
    operation(("GET", "/users"), ("listUsers", "All users"), (200, shape::<api::Users>), || {
        web::get().to(users::list)
    }),
    operation(
        ("POST", "/users"),
        ("createUser", "Make a user; the answer holds the link with which they set their password"),
        (201, shape::<api::PasswordLink>),
        || web::post().to(users::create),
    )
    .taking(shape::<api::CreateUser>),
    operation(("GET", "/users/{user}"), ("getUser", "One user"), (200, shape::<api::User>), || {
        web::get().to(users::get)
    }),
    operation(
        ("PATCH", "/users/{user}"),
        ("changeUser", "Disable a user, or enable them again"),
        (200, shape::<api::User>),
        || web::patch().to(users::change),
    )
    .taking(shape::<api::ChangeUser>),
    operation(
        ("DELETE", "/users/{user}"),
        ("deleteUser", "Delete a user with their memberships, sessions and personal API keys"),
        (200, shape::<api::DeletedUser>),
        || web::delete().to(users::delete),
    ),
    operation(
        ("POST", "/users/{user}/reset-password"),
        (
            "resetPassword",
            "Make a link with which a user sets a new password; it ends their sessions when it is used",
        ),
        (200, shape::<api::PasswordLink>),
        || web::post().to(users::reset_password),
    ),
];
