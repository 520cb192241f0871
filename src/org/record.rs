//! The records of one organization as they are stored: versioned JSON, written once above every
//! backend.
//!
//! | key | record |
//! |---|---|
//! | `org` | [`OrgRecord`]; not there once the organization was deleted |
//! | `org-deleted` | [`DeletedOrgRecord`]: in its place while it can be restored, and while it is purged |
//! | `key/<key id>` | [`KeyRecord`] |
//! | `key-name/<SHA-256 of the folded name>` | [`NameRecord`]: which live key has the name |
//! | `source/<source id>` | [`SourceRecord`] |
//! | `source-name/<SHA-256 of the folded name>` | [`NameRecord`] |
//! | `used/<key id>` | [`UsedRecord`], on the log lane |
//! | `member/<user id>` | [`MemberRecord`] |
//! | `invitation/<invitation id>` | [`InvitationRecord`] |
//! | `grant/<grant id>` | [`GrantRecord`]; it counts while the member's record lists it |
//! | `app-policy` | [`AppPolicyRecord`]; not there where every class of client may be authorized |
//! | `audit/<revision, 16 hexadecimal digits>` | [`AuditRecord`] of the change that made the revision |
//! | `usage/<day>/<key id>/<source id or ->` | [`UsageRecord`], on the log lane |
//! | `query/<number, 16 hexadecimal digits>` | [`QueryRecord`], on the log lane |
//! | `query-log` | [`QueryLogRecord`], on the log lane, written with each batch of the former |
//!
//! A record of a newer version is refused, never misread. Changing a shape means a new version, a
//! decoder for the old one and a committed fixture (`tests/it/fixtures/records`); a new kind also means
//! a line in `backup::kind`, without which no backup can hold it.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::civil::Date;
use sequel_store::{Key, Revision};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::audit::{Target, Via, Who};
use super::permission::Role;
use super::secrets::SealedSecrets;
use crate::context::Timestamp;
use crate::credential::{ClientId, Digest, GrantId, Id, InvitationId, KeyId, SourceId, UserId};
use crate::oauth::grant::Stage;
use crate::oauth::redirect::RedirectKind;
use crate::oauth::scope::ScopeSet;
pub use crate::record::{RecordError, Versioned, decode, encode};
use crate::record::{name_digest, versioned};

/// The organization itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrgRecord {
    /// As people wrote it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An organization that was deleted. It stands where no reader looks for an organization, so that a deleted one
/// is missing for everybody, by construction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeletedOrgRecord {
    /// As people wrote it.
    pub name: String,
    /// When the organization was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// From when on it is purged; until then it can be restored.
    pub purge_at: Timestamp,
    /// Whether some of its records may be gone already: then there is no way back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purging: bool,
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Owner {
    /// The organization's own: it outlives every member.
    Org,
    /// A member's: it ends with the membership.
    User {
        /// The user.
        id: String,
    },
}

/// A secret that a rotation replaced and that is still accepted for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// Its digest.
    pub digest: Digest,
    /// Until when it is accepted.
    pub valid_until: Timestamp,
}

/// Why a key that a restore brought back is refused: what happened to it after the backup, nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When the restore was.
    pub at: Timestamp,
    /// Which restore of the store it was.
    pub epoch: u64,
}

/// One API key. The plaintext is nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Descriptive name.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether nobody switched it off.
    pub enabled: bool,
    /// The only data sources that it reaches; `None` for all of the organization's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<SourceId>>,
    /// Digest of the current secret.
    pub digest: Digest,
    /// Replaced secrets that are still accepted, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<PreviousSecret>,
    /// Refused since a restore, until somebody enables it. Since version 2: a server that knows nothing of it would
    /// accept the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
    /// The word of the tool that the install dialog made it for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
}

impl KeyRecord {
    /// Whether it is accepted while it has not expired.
    pub fn is_on(&self) -> bool {
        self.enabled && self.suspended.is_none()
    }

    /// Whether it is accepted now, and otherwise why not: of several reasons the first of these.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        match () {
            () if self.expires_at.is_some_and(|end| end <= now) => KeyStatus::Expired,
            () if !self.enabled => KeyStatus::Disabled,
            () if self.suspended.is_some() => KeyStatus::Suspended,
            () => KeyStatus::Active,
        }
    }

    /// Until when replaced secrets are still accepted.
    pub fn overlaps(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.previous.iter().map(|previous| previous.valid_until).filter(move |until| now < *until)
    }

    pub(super) fn limits(&self) -> KeyLimits<'_> {
        KeyLimits { sources: self.sources.as_deref(), expires_at: self.expires_at }
    }
}

/// Whether a key is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody switched it off.
    Disabled,
    /// A restore brought it back, and nobody has enabled it since.
    Suspended,
}

/// How far a key reaches, and for how long; `None` for all and for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyLimits<'a> {
    pub(super) sources: Option<&'a [SourceId]>,
    pub(super) expires_at: Option<Timestamp>,
}

impl KeyLimits<'_> {
    /// Whether it lets all through that others let through.
    pub(super) fn cover(self, others: KeyLimits<'_>) -> bool {
        let sources = match (self.sources, others.sources) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs.iter().all(|source| mine.contains(source)),
        };
        let end = |end: Option<Timestamp>| end.unwrap_or(Timestamp(i64::MAX));
        sources && end(self.expires_at) >= end(others.expires_at)
    }
}

/// Which record a name belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NameRecord {
    /// The id, as text.
    pub id: String,
}

/// A configured database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// What clients call it.
    pub name: String,
    /// Which connector opens it.
    pub kind: String,
    /// The connector's settings in canonical form; no secrets.
    pub settings: sequel_connector::Settings,
    /// Its secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SealedSecrets>,
    /// What is in it, for people and models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was connected.
    pub created_at: Timestamp,
}

/// A user's membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The user's normalized address, which never changes.
    pub email: String,
    /// What they are.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// The member who invited them; absent where an operator did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<UserId>,
    /// Their personal keys, which end with the membership.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyId>,
    /// The apps that they have authorized. A grant that is not listed here is none, whatever its own record says: so all
    /// of them end with this record, in one write, and nobody who comes back finds one. Since version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantId>,
}

impl MemberRecord {
    /// Ids of the keys and grants that end with the membership.
    pub(super) fn all_that_ends(&self) -> Vec<KeyId> {
        [self.keys.as_slice(), &self.grants].concat()
    }
}

/// The client of a grant, as it was when the person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantClient {
    /// Which one.
    pub id: ClientId,
    /// What it calls itself, cleaned and unverified; may be empty.
    pub name: String,
    /// Where it says that it is from, unverified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The class of place that the code was sent to.
    pub kind: RedirectKind,
    /// Its host, or the private scheme: what a policy is about.
    pub host: String,
}

/// What a person has authorized an app to do, and how far that has come. The plaintext of its code and tokens is nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Who is authorized.
    pub client: GrantClient,
    /// Who has authorized it.
    pub user: UserId,
    /// To do what.
    pub scopes: ScopeSet,
    /// The only data sources that it reaches; `None` for all of the organization's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<SourceId>>,
    /// The audience of its tokens: the URL of the MCP endpoint.
    pub resource: String,
    /// When it was authorized.
    pub created_at: Timestamp,
    /// When it ends, whatever happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The network from which it asked for tokens last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from: Option<String>,
    /// How far it has come.
    pub stage: Stage<Digest, Timestamp>,
}

impl GrantRecord {
    /// When nothing of it is accepted any more if nobody does anything: its chosen end, or that of a code that nobody
    /// redeems or a refresh token that nobody uses.
    pub fn ends_at(&self) -> Timestamp {
        self.stage.ends_at().min(self.expires_at.unwrap_or(Timestamp(i64::MAX)))
    }

    pub(super) fn limits(&self) -> KeyLimits<'_> {
        KeyLimits { sources: self.sources.as_deref(), expires_at: self.expires_at }
    }

    /// How it stands.
    pub fn status(&self, now: Timestamp) -> AppStatus {
        match &self.stage {
            _ if self.ends_at() <= now => AppStatus::Expired,
            Stage::Fulfilled(_) => AppStatus::Pending,
            Stage::Exchanged(_) => AppStatus::Active,
        }
    }
}

/// How an authorized app stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppStatus {
    /// It has tokens, or can have them.
    Active,
    /// Authorized; it has not fetched its tokens yet.
    Pending,
    /// Its time is over.
    Expired,
}

/// Which classes of client may be authorized. What a client says of itself proves nothing; where the code is sent does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPolicyRecord {
    /// Programs on the person's own machine that listen there.
    pub loopback: bool,
    /// Programs with a scheme of their own.
    pub private_schemes: bool,
    /// Web hosts.
    pub https: HttpsPolicy,
}

/// Which web hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpsPolicy {
    /// All.
    Any,
    /// These, by their exact names.
    Hosts(Vec<String>),
    /// None.
    None,
}

impl Default for AppPolicyRecord {
    fn default() -> Self {
        Self { loopback: true, private_schemes: true, https: HttpsPolicy::Any }
    }
}

impl AppPolicyRecord {
    /// Whether a client that is answered there may be authorized.
    pub fn allows(&self, kind: RedirectKind, host: &str) -> bool {
        match kind {
            RedirectKind::Loopback => self.loopback,
            RedirectKind::PrivateScheme => self.private_schemes,
            RedirectKind::HttpsHost => match &self.https {
                HttpsPolicy::Any => true,
                HttpsPolicy::Hosts(hosts) => hosts.iter().any(|allowed| allowed == host),
                HttpsPolicy::None => false,
            },
        }
    }
}

/// A way in for one person, once. The plaintext of its link is nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InvitationRecord {
    /// For whom: a normalized address.
    pub email: String,
    /// As what.
    pub role: Role,
    /// Digest of what the link holds.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// The member who invites; absent for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<UserId>,
}

/// When a key was used last. Lossy: a crash may lose the last moments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsedRecord {
    /// The last accepted request.
    pub last_used_at: Timestamp,
}

/// One change: who, what, from where, when. Since version 2 it may have been a person who signed in, since version 3
/// an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Who,
    /// By which way.
    pub via: Via,
    /// From which address, where it came over a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What was done, a word for programs such as `key.create`.
    pub action: String,
    /// To what.
    pub target: Target,
    /// What else there is to know.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// What one key did with one data source on one day, in all. Lossy: a crash may lose the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
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

/// An entry of the query log. Lossy: a crash may lose those of the last second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QueryRecord {
    /// A call that touched a data source.
    Call(QueryCall),
    /// Entries are missing between the one before and the one behind.
    Lost {
        /// When that was written.
        at: Timestamp,
        /// How many.
        calls: u64,
    },
}

impl QueryRecord {
    /// When it was.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Call(call) => call.at,
            Self::Lost { at, .. } => *at,
        }
    }
}

/// One call that touched a data source: who asked which one, by what, and what it came to. Never a value: neither of what
/// was read nor of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCall {
    /// When it began.
    pub at: Timestamp,
    /// The id of the key, or of the grant of an app.
    pub by: KeyId,
    /// Whether it is a grant's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub app: bool,
    /// Which data source.
    pub source: SourceId,
    /// The tool, or the method for what is none.
    pub tool: String,
    /// The request's id, which its client, our log and the data source's own log were told, too.
    pub request: String,
    /// How it ended.
    pub outcome: QueryOutcome,
    /// Why, in one word, where the outcome leaves that open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'static, str>>,
    /// Rows of the answer. Of one that was broken off, at most so many left.
    pub rows: u64,
    /// Bytes of the answer, the same.
    pub bytes: u64,
    /// Milliseconds until there was a connection.
    pub waited_ms: u64,
    /// Milliseconds behind that, until the answer was there or the call ended.
    pub ran_ms: u64,
    /// What was asked, without its values: the statement with `?` for each of them, or the name of the described table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

/// How a call that touched a data source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryOutcome {
    /// With its whole answer.
    Ok,
    /// With a part of it, up to a limit.
    Truncated,
    /// The statement is not one that may run.
    Refused,
    /// The data source says that the statement is wrong.
    SqlError,
    /// It ran for as long as it may.
    TimedOut,
    /// Others kept all connections to the data source.
    Busy,
    /// It met another limit.
    Limit,
    /// The data source could not be opened.
    CannotOpen,
    /// The data source failed.
    Unavailable,
    /// The client cancelled it.
    Cancelled,
    /// The client went away.
    Disconnected,
    /// The credential was revoked, disabled or narrowed.
    Revoked,
    /// The data source was removed.
    SourceRemoved,
    /// The server stopped.
    Shutdown,
    /// Sequel failed.
    Internal,
}

impl QueryOutcome {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Ok,
        Self::Truncated,
        Self::Refused,
        Self::SqlError,
        Self::TimedOut,
        Self::Busy,
        Self::Limit,
        Self::CannotOpen,
        Self::Unavailable,
        Self::Cancelled,
        Self::Disconnected,
        Self::Revoked,
        Self::SourceRemoved,
        Self::Shutdown,
        Self::Internal,
    ];

    /// Its word, as records and filters have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated => "truncated",
            Self::Refused => "refused",
            Self::SqlError => "sql_error",
            Self::TimedOut => "timed_out",
            Self::Busy => "busy",
            Self::Limit => "limit",
            Self::CannotOpen => "cannot_open",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Disconnected => "disconnected",
            Self::Revoked => "revoked",
            Self::SourceRemoved => "source_removed",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal",
        }
    }

    /// The outcome of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|outcome| outcome.word() == word).copied()
    }

    /// Whether there was an answer with what was asked for.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Ok | Self::Truncated)
    }
}

/// How far the query log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryLogRecord {
    /// The number of the next entry. Numbers are given once, without gaps.
    pub next: u64,
}

versioned! {
    OrgRecord, "organization", 1;
    DeletedOrgRecord, "deleted organization", 1;
    KeyRecord, "key", 2;
    NameRecord, "name", 1;
    SourceRecord, "data source", 1;
    MemberRecord, "member", 2;
    InvitationRecord, "invitation", 1;
    GrantRecord, "authorized app", 1;
    AppPolicyRecord, "policy about apps", 1;
    UsedRecord, "use", 1;
    AuditRecord, "audit entry", 3;
    UsageRecord, "usage", 1;
    QueryRecord, "query", 1;
    QueryLogRecord, "query log", 1;
}

/// The prefix of all API keys.
pub const KEYS: &str = "key/";
/// The prefix of all data sources.
pub const SOURCES: &str = "source/";
/// The prefix of all names of API keys.
pub const KEY_NAMES: &str = "key-name/";
/// The prefix of all names of data sources.
pub const SOURCE_NAMES: &str = "source-name/";
/// The prefix of all members.
pub const MEMBERS: &str = "member/";
/// The prefix of all invitations.
pub const INVITATIONS: &str = "invitation/";
/// The prefix of all grants.
pub const GRANTS: &str = "grant/";
/// The prefix of all uses.
pub const USED: &str = "used/";
/// The prefix of all audit entries.
pub const AUDIT: &str = "audit/";
/// The prefix of all usage.
pub const USAGE: &str = "usage/";
/// The prefix of all entries of the query log.
pub const QUERIES: &str = "query/";

fn stored(text: String) -> Key {
    Key::new(text).expect("record keys are built from fixed prefixes, ids and digests, all short")
}

/// Where the organization's own record is.
pub fn org_at() -> Key {
    stored("org".into())
}

/// Where the record of a deleted organization is.
pub fn deleted_org_at() -> Key {
    stored("org-deleted".into())
}

/// Where an API key is.
pub fn key_at(id: KeyId) -> Key {
    stored(format!("{KEYS}{id}"))
}

/// Where a data source is.
pub fn source_at(id: SourceId) -> Key {
    stored(format!("{SOURCES}{id}"))
}

/// Where a member is.
pub fn member_at(user: UserId) -> Key {
    stored(format!("{MEMBERS}{user}"))
}

/// Where an invitation is.
pub fn invitation_at(id: InvitationId) -> Key {
    stored(format!("{INVITATIONS}{id}"))
}

/// Where a grant is.
pub fn grant_at(id: GrantId) -> Key {
    stored(format!("{GRANTS}{id}"))
}

/// Where the policy about apps is.
pub fn app_policy_at() -> Key {
    stored("app-policy".into())
}

/// Where the last use of an API key, or of an app, is.
pub fn used_at(id: KeyId) -> Key {
    stored(format!("{USED}{id}"))
}

/// Where the entry of the change that made this revision is. Keys sort as the changes were made.
pub fn audit_at(revision: Revision) -> Key {
    stored(format!("{AUDIT}{:016x}", revision.0))
}

/// The revision of an entry's change.
pub fn audit_revision(key: &Key) -> Option<Revision> {
    let digits = std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(AUDIT)?;
    u64::from_str_radix(digits, 16).ok().map(Revision)
}

/// Where the usage of a day by a key is; `None` for what touches no data source.
pub fn usage_at(day: Date, key: KeyId, source: Option<SourceId>) -> Key {
    let source = source.as_ref().map_or("-", |source| source.as_str());
    stored(format!("{USAGE}{day}/{key}/{source}"))
}

/// The day, key and data source of a usage record.
pub fn usage_of(key: &Key) -> Option<(Date, KeyId, Option<SourceId>)> {
    let rest = std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(USAGE)?;
    let (day, rest) = rest.split_once('/')?;
    let (key, source) = rest.split_once('/')?;
    let source = if source == "-" { None } else { Some(source.parse().ok()?) };
    Some((day.parse().ok()?, key.parse().ok()?, source))
}

/// Where an entry of the query log is. Keys sort as the entries were written.
pub fn query_at(number: u64) -> Key {
    stored(format!("{QUERIES}{number:016x}"))
}

/// The number of an entry of the query log.
pub fn query_number(key: &Key) -> Option<u64> {
    let digits = std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(QUERIES)?;
    if digits.len() == 16 { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// Where it stands how far the query log has come.
pub fn query_log_at() -> Key {
    stored("query-log".into())
}

/// Where the holder of a key's name is.
pub fn key_name_at(name: &str) -> Key {
    stored(format!("{KEY_NAMES}{}", name_digest(name)))
}

/// Where the holder of a data source's name is.
pub fn source_name_at(name: &str) -> Key {
    stored(format!("{SOURCE_NAMES}{}", name_digest(name)))
}

/// The id at the end of a record's key.
pub fn id_after<const N: usize>(prefix: &str, key: &Key) -> Option<Id<N>> {
    std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_its_version_and_comes_back() {
        let value = encode(&OrgRecord { name: "Acme".into(), created_at: Timestamp(0) });
        assert_eq!(value, r#"{"v":1,"name":"Acme","created_at":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(decode::<OrgRecord>(&value).unwrap().name, "Acme");
    }

    #[test]
    fn a_newer_record_is_refused_and_not_misread() {
        let newer = br#"{"v":2,"name":"Acme","created_at":"1970-01-01T00:00:00Z"}"#;
        assert!(matches!(decode::<OrgRecord>(newer), Err(RecordError::Newer { found: 2, known: 1, .. })));
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        for value in [&b""[..], b"{}", b"null", b"{\"v\":1}", b"\xff"] {
            assert!(matches!(decode::<OrgRecord>(value), Err(RecordError::Damaged { .. })));
        }
    }

    #[test]
    fn the_words_of_outcomes_are_those_of_their_records() {
        for outcome in QueryOutcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
            assert_eq!(QueryOutcome::of(outcome.word()), Some(*outcome));
        }
        assert_eq!(QueryOutcome::of("lost"), None);
    }

    #[test]
    fn names_that_differ_in_case_only_are_one_name() {
        assert_eq!(key_name_at("Build Server"), key_name_at("build server"));
        assert_ne!(key_name_at("build-server"), key_name_at("build server"));
    }
}
