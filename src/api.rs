//! The shapes of the admin HTTP API under `/api/v1`: what the server answers and the command line
//! prints with `--json`. Nothing else: no routes, no logic. What is written here above a member is what the
//! OpenAPI document says of it.
//!
//! In a path, `{org}` and `{source}` are an id or a percent-encoded name, `{key}` is an id, a name or
//! a prefix. Errors are [`Problem`]s (RFC 9457, `application/problem+json`). Times are RFC 3339, UTC.
//! Members may be added to answers; a body with a member that is not listed is refused.
//!
//! Which request takes and answers which shape is said by the table of operations in `http::api`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use crate::context::Timestamp;

/// Where the API lies.
pub const BASE: &str = "/api/v1";

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new()
            .schema_type(schema::SchemaType::new(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, in UTC"));
        RefOr::T(Schema::Object(time.build()))
    }
}

impl ToSchema for Timestamp {}

/// The running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// Of the program.
    pub version: String,
    /// What MCP clients are given; `null` while no server listens (a command that works alone).
    pub mcp_url: Option<String>,
    /// The address and port that is really listened on; absent while no server listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Absolute path.
    pub data_dir: String,
    /// Of the process.
    pub pid: u32,
    /// How far the machine's wall clock has moved away from the server's since its start, in milliseconds.
    /// Expiries go by the server's.
    #[serde(default)]
    pub clock_drift_ms: i64,
}

/// A new organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrg {
    /// Unique on this server.
    pub name: String,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Org {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted; absent for an organization that lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Until when a deleted organization can be restored; then it is purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<Timestamp>,
}

/// What to change of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrg {
    /// Its new name.
    pub name: String,
}

/// An organization was deleted: every request with one of its credentials is refused from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedOrg {
    /// Always true.
    pub deleted: bool,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Until when it can be restored; then it is purged.
    pub purge_at: Timestamp,
    /// Whether nothing of it is left already.
    pub purged: bool,
}

/// Organizations, in name order; deleted ones, where they were asked for, after those that live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Orgs {
    /// The organizations.
    pub orgs: Vec<Org>,
}

/// A new API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// 1 to 100 characters, unique among the organization's live keys.
    pub name: String,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Names or ids of the data sources it may use; without a list: all, also later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
}

/// A key that was just made. The only place where its secret is ever shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The first 14 characters of the secret.
    pub prefix: String,
    /// The secret.
    pub key: String,
    /// The organization's id.
    pub org: String,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A key with a new secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotatedKey {
    /// Its id, as before.
    pub id: String,
    /// Its name, as before.
    pub name: String,
    /// The first 14 characters of the new secret.
    pub prefix: String,
    /// The new secret.
    pub key: String,
    /// Until when the old secret works; absent where it stopped at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_valid_until: Option<Timestamp>,
}

// A secret in a `Debug` line would end up in a log one day.
impl fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedKey").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for RotatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatedKey").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// It does.
    Active,
    /// Somebody switched it off.
    Disabled,
    /// Its time is over.
    Expired,
    /// A restore of a backup brought it back, and nobody has enabled it since.
    Suspended,
}

/// An API key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The first 14 characters of its secret.
    pub prefix: String,
    /// Whose personal key it is: the member's address; `None` for the organization's.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to within a minute or so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// False once it was disabled.
    pub enabled: bool,
    /// Since which restore it is refused, until it is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    /// Names of the data sources it may use; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    /// Until when each older secret still works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous_valid_until: Vec<Timestamp>,
    /// Whether it works now.
    pub status: KeyStatus,
}

/// An organization's keys, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// The keys.
    pub keys: Vec<Key>,
}

/// An app that somebody has authorized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    /// Its id.
    pub id: String,
    /// What it calls itself; nobody has verified it. May be empty.
    pub name: String,
    /// Where it says that it is from; nobody has verified that either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The OAuth client's id.
    pub client: String,
    /// The class of place where its tokens went: `loopback`, `private_scheme` or `https_host`.
    pub redirect: String,
    /// The host or the private scheme there.
    pub host: String,
    /// The address of who has authorized it.
    pub user: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Names of the data sources it may use; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    /// When it was authorized.
    pub created_at: Timestamp,
    /// When it was last used, to within a minute or so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// The network from which it asked for tokens last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from: Option<String>,
    /// When it ends, whatever happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it ends if it does not come back before.
    pub ends_at: Timestamp,
    /// How it stands.
    pub status: AppStatus,
}

/// How an authorized app stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// It has tokens, or can have them.
    Active,
    /// Authorized; it has not fetched its tokens yet.
    Pending,
    /// Its time is over.
    Expired,
}

/// An organization's authorized apps; what was used last comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Apps {
    /// The apps.
    pub apps: Vec<App>,
}

/// What to change of an authorized app; absent members stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeApp {
    /// Names or ids of the only data sources it may use; null for all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    #[schema(value_type = Option<Vec<String>>)]
    pub sources: Option<Option<Vec<String>>>,
    /// When it ends; null for not before it is revoked or left unused.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    #[schema(value_type = Option<Timestamp>)]
    pub expires_at: Option<Option<Timestamp>>,
}

/// A member that is there, be it as null.
fn there<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Which classes of client may be authorized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppPolicy {
    /// Programs on a person's own machine that listen there.
    pub loopback: bool,
    /// Programs with a scheme of their own.
    pub private_schemes: bool,
    /// Web hosts: `any`, `none`, or `hosts` for those of `https_hosts`.
    pub https: String,
    /// The only web hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub https_hosts: Vec<String>,
    /// How many authorized apps ended with the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps_ended: Option<usize>,
}

/// What to change of which classes of client may be authorized; absent members stay. What is forbidden then ends at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAppPolicy {
    /// Programs on a person's own machine that listen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback: Option<bool>,
    /// Programs with a scheme of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_schemes: Option<bool>,
    /// Web hosts: `any`, `none`, or `hosts` for those of `https_hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// The only web hosts, with `https` as `hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_hosts: Option<Vec<String>>,
}

/// What to change of a key; absent members stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeKey {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// How to rotate a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old secret stays valid; absent: `keys.rotate_overlap_seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u64>,
}

/// Something was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Always true.
    pub deleted: bool,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A new user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// What they sign in with; unique on this server.
    pub email: String,
    /// What others see, 1 to 100 characters; absent: what stands before the `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// They may.
    Active,
    /// An operator disabled them.
    Disabled,
    /// A restore of a backup brought them back, and nobody has enabled them since.
    Suspended,
    /// They are being deleted.
    Leaving,
}

/// A user's organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserOrg {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Their id.
    pub id: String,
    /// What they sign in with.
    pub email: String,
    /// What others see.
    pub name: String,
    /// Whether they may sign in.
    pub status: UserStatus,
    /// Whether they have chosen a password yet.
    pub has_password: bool,
    /// When they were made.
    pub created_at: Timestamp,
    /// When they signed in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_signed_in_at: Option<Timestamp>,
    /// Their organizations, by name.
    pub orgs: Vec<UserOrg>,
}

/// Users, by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Users {
    /// The users.
    pub users: Vec<User>,
}

/// A link with which a user sets their password, once. The only place where it is ever shown; an earlier one of the
/// same user is refused from now on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordLink {
    /// The user's id.
    pub id: String,
    /// What they sign in with.
    pub email: String,
    /// The link.
    pub link: String,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

impl fmt::Debug for PasswordLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordLink").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What to change of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Whether they may sign in. Disabling ends their sessions and switches their personal API keys off.
    pub enabled: bool,
}

/// A user is being deleted: they are kept out from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedUser {
    /// Always true.
    pub deleted: bool,
    /// Their id.
    pub id: String,
    /// What they signed in with.
    pub email: String,
    /// Whether nothing of them is left already; otherwise the running server goes on.
    pub gone: bool,
}

/// A new member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The user's address or id.
    pub user: String,
    /// `owner`, `admin`, `member` or `viewer`; the first member is an owner.
    pub role: String,
}

/// What to change of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMember {
    /// `owner`, `admin`, `member` or `viewer`. A viewer's personal API keys end.
    pub role: String,
}

/// A member of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The user's id.
    pub id: String,
    /// What they sign in with.
    pub email: String,
    /// What others see.
    pub name: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// Since when.
    pub since: Timestamp,
    /// When they signed in last, to whatever organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_signed_in_at: Option<Timestamp>,
    /// Whether they are kept out of this server.
    pub disabled: bool,
}

/// An organization's members, by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// The members.
    pub members: Vec<Member>,
}

/// A new data source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSource {
    /// Unique in its organization.
    pub name: String,
    /// The connector: `sqlite` or `postgres`.
    pub kind: String,
    /// What the connector asks for; for `sqlite` `{"path": "…"}`, for `postgres` `{"host": "…", "database": "…",
    /// "user": "…", "password": "…"}` or `{"url": "postgres://…"}`. Secrets are sealed and never given out.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// For the model: what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What to change of a data source; absent members stay. Queries that run on it go on with what they began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSource {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All of its settings anew; a secret that is not among them stays, `null` takes one away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
    /// What is in it; empty for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A data source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The connector.
    pub kind: String,
    /// Its settings in the connector's canonical form, without secrets.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// Which secrets are sealed with it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// An organization's data sources, in name order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sources {
    /// The data sources.
    pub sources: Vec<Source>,
}

/// Whether a data source answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tested {
    /// It does.
    pub ok: bool,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Why it does not: one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What should be changed although it does, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How the master key was rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotated {
    /// The master key of now: the first digits of its digest.
    pub key: String,
    /// Data sources whose secrets were sealed anew.
    pub resealed: usize,
    /// Why former keys are still needed, in sentences; empty where they are forgotten.
    pub left: Vec<String>,
    /// The configuration gives the keys, so that former ones are forgotten there.
    pub is_given: bool,
}

/// Which entries of the audit trail are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Most entries, 1 to 1,000; absent: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only those before this entry: the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only those from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// Who made a change: `operator` (with `uid` and, where the machine knows one, `user`), `user` (a person who signed
/// in, with their address as `user`) or `sequel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditBy {
    /// `operator`, `user` or `sequel`.
    pub kind: String,
    /// The operating system's id of the user who ran the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// That user's name, or the address of who signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `admin_socket` (a running server's), `command` (one that worked without a server), `dashboard` or `sequel`.
    pub via: String,
    /// From which address, where the change came over a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What a change was made to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditTarget {
    /// `org`, `key`, `source`, `member`, `invitation` or `user`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name after the change.
    pub name: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Counts up with each change of the organization, with gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who, and by which way.
    pub by: AuditBy,
    /// What was done: `key.create`, `key.rename`, `key.disable`, `key.enable`, `key.rotate`, `key.delete`,
    /// `source.add`, `source.remove`, `org.create`, ….
    pub action: String,
    /// To what.
    pub target: AuditTarget,
    /// What else there is to know; never a secret.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

/// A page of the audit trail, the newest entry first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Ask again with `before` set to this; `null` on the last page.
    pub next: Option<u64>,
}

/// Which entries of the query log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryLogQuery {
    /// Most entries, 1 to 1,000; absent: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only those before this entry: the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only those from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those of keys, apps and people whose name or address this is a part of, or of this id or prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Only those that touched this data source: an id or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Only those that ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// An entry of the query log: a call that touched a data source, without its data, or how many entries are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is a call, and a page has few")]
pub enum QueryLogEntry {
    /// A call that touched a data source.
    Call {
        /// Counts up with each entry.
        number: u64,
        /// When the call began.
        at: Timestamp,
        /// Who asked.
        by: QueryBy,
        /// The data source's id.
        source: String,
        /// Its name; `null` once it was removed.
        source_name: Option<String>,
        /// `run_query`, `explain_query`, `describe_table`, `search_schema`, `resources/read` or `completion/complete`.
        tool: String,
        /// The id of the request: in the answer's `X-Request-Id`, in this server's log and in the data source's.
        request: String,
        /// `ok`, `truncated`, `refused`, `sql_error`, `timed_out`, `busy`, `limit`, `cannot_open`, `unavailable`,
        /// `cancelled`, `disconnected`, `revoked`, `source_removed`, `shutdown` or `internal`.
        outcome: String,
        /// Why, in one word: which limit has cut the answer or ended the query, or why it was refused.
        why: Option<String>,
        /// Rows of the answer; of one that was broken off, the most that can have left.
        rows: u64,
        /// Bytes of the answer, the same.
        bytes: u64,
        /// Milliseconds until there was a connection.
        waited_ms: u64,
        /// Milliseconds behind that, until the answer was there or the call ended.
        ran_ms: u64,
        /// What was asked, with `?` for each value: a statement that the data source accepted, or the described table.
        asked: Option<String>,
    },
    /// Entries that found no room are missing here.
    Lost {
        /// Counts up with each entry.
        number: u64,
        /// When that was written.
        at: Timestamp,
        /// How many.
        calls: u64,
    },
}

/// Who asked a data source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryBy {
    /// `key` or `app`.
    pub kind: String,
    /// The id of the key, or of the authorized app.
    pub id: String,
    /// Its name; `null` once it is gone: the audit trail tells whose it was.
    pub name: Option<String>,
    /// The address of the person whose key it is, or who has authorized the app.
    pub person: Option<String>,
}

/// A page of the query log, the newest entry first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryLog {
    /// The entries: fewer than asked for, even none, where the filter lets few through.
    pub entries: Vec<QueryLogEntry>,
    /// Ask again with `before` set to this; `null` on the last page.
    pub next: Option<u64>,
}

/// Which usage is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Only this key's: an id, a name or a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only this data source's: an id or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many days, today included, 1 to 3,650; absent: 30. Days are UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// What one key did with one data source on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageLine {
    /// In UTC: `2026-11-23`.
    pub day: String,
    /// The key's id.
    pub key: String,
    /// Its name; `null` once it was deleted.
    pub key_name: Option<String>,
    /// The data source's id; `null` for calls that touch none.
    pub source: Option<String>,
    /// Its name; `null` once it was removed, and for calls that touch none.
    pub source_name: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub amount: UsageAmount,
}

/// How much was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageAmount {
    /// Tool calls, failed ones included.
    pub calls: u64,
    /// Statements that a data source was given.
    pub queries: u64,
    /// Rows that were answered.
    pub rows: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// Calls that failed.
    pub errors: u64,
}

/// An organization's usage, the newest day first, in it the most calls first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// A line for each day, key and data source with calls; at most 10,000.
    pub lines: Vec<UsageLine>,
    /// All lines together, also those beyond the first 10,000.
    pub total: UsageAmount,
    /// Whether there are more lines than these: ask for fewer days or for one key.
    pub truncated: bool,
}

/// Why a request was refused (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem for programs: `not_found`, `name_taken`, ….
    pub code: String,
    /// One sentence that says what to do.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_has_the_documented_members_and_hides_its_secret_in_debug() {
        let key = CreatedKey {
            id: "i".into(),
            name: "n".into(),
            prefix: "sql_p".into(),
            key: "sql_secret".into(),
            org: "o".into(),
            expires_at: None,
        };
        let json = serde_json::to_value(&key).unwrap();
        let members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["id", "key", "name", "org", "prefix"]);
        assert!(!format!("{key:?}").contains("sql_secret"));
    }

    #[test]
    fn a_misspelt_member_of_a_request_is_refused() {
        let text = r#"{"name": "n", "expires": "2027-01-01T00:00:00Z"}"#;
        assert!(serde_json::from_str::<CreateKey>(text).unwrap_err().to_string().contains("expires_at"));
    }
}
