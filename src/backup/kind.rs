//! Which record lies where: every kind that a store may hold, its lane, and whether a value can be read as one.
//!
//! A record of no kind that is listed here was written by a newer Sequel. It is neither copied nor restored, because
//! nobody here knows what taking it along would revive.
//!
//! **Invariant:** each kind has a committed fixture of each of its versions (`every_version_of_every_kind_has_a_fixture`).

use sequel_store::{Key, Lane, Scope};

use crate::credential::{GrantId, InvitationId, KeyId, OrgId, SourceId, UserId};
use crate::org::record::{
    self, AppPolicyRecord, AuditRecord, DeletedOrgRecord, GrantRecord, InvitationRecord, KeyRecord,
    MemberRecord, NameRecord, OrgRecord, QueryLogRecord, QueryRecord, SourceRecord, UsageRecord, UsedRecord,
};
use crate::record::{RecordError, Versioned, decode, encode};
use crate::system::clients::{self, ClientGrantRecord, ClientRecord, DecisionRecord};
use crate::system::deletions::{self, Deletion};
use crate::system::memberships::{self, MembershipRecord};
use crate::system::orgs::{self, IndexRecord};
use crate::system::sessions::{self, SessionRecord};
use crate::system::users::{self, EmailRecord, LeavingRecord, UserRecord};
use crate::system::whole::{self, Restored, Unfinished};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Org,
    DeletedOrg,
    Key,
    KeyName,
    Source,
    SourceName,
    Member,
    Invitation,
    Grant,
    AppPolicy,
    Used,
    Audit,
    Usage,
    Query,
    QueryLog,
    OrgIndex,
    Deletion,
    User,
    Email,
    Leaving,
    Trail,
    Session,
    Membership,
    Client,
    ClientGrant,
    Decision,
    Restored,
    Unfinished,
}

impl Kind {
    /// What lies at this place, if anything that is known does.
    pub(super) fn of(scope: &Scope, key: &Key) -> Option<Self> {
        if org_of(scope).is_some() {
            return Self::in_org(key);
        }
        let begins = |prefix: &str| key.as_bytes().starts_with(prefix.as_bytes());
        if *scope == orgs::scope() {
            return begins(orgs::NAMES).then_some(Self::OrgIndex);
        }
        if *scope == deletions::scope() {
            return begins(deletions::DELETIONS).then_some(Self::Deletion);
        }
        if *scope == users::scope() {
            return match () {
                () if begins(users::USERS) => Some(Self::User),
                () if begins(users::EMAILS) => Some(Self::Email),
                () if begins(users::LEAVING) => Some(Self::Leaving),
                () if begins(users::TRAIL) => Some(Self::Trail),
                () => None,
            };
        }
        if *scope == memberships::scope() {
            return begins(memberships::MEMBERSHIPS).then_some(Self::Membership);
        }
        if *scope == sessions::scope() {
            return begins(sessions::SESSIONS).then_some(Self::Session);
        }
        if *scope == clients::scope() {
            return match () {
                () if begins(clients::CLIENTS) => Some(Self::Client),
                () if begins(clients::CLIENT_GRANTS) => Some(Self::ClientGrant),
                () if begins(clients::DECISIONS) => Some(Self::Decision),
                () => None,
            };
        }
        match key {
            _ if *scope != whole::scope() => None,
            key if *key == whole::restored_at() => Some(Self::Restored),
            key if *key == whole::unfinished_at() => Some(Self::Unfinished),
            _ => None,
        }
    }

    fn in_org(key: &Key) -> Option<Self> {
        let begins = |prefix: &str| key.as_bytes().starts_with(prefix.as_bytes());
        Some(match () {
            () if *key == record::org_at() => Self::Org,
            () if *key == record::deleted_org_at() => Self::DeletedOrg,
            () if record::id_after(record::KEYS, key).is_some_and(|_: KeyId| true) => Self::Key,
            () if record::id_after(record::SOURCES, key).is_some_and(|_: SourceId| true) => Self::Source,
            () if record::id_after(record::MEMBERS, key).is_some_and(|_: UserId| true) => Self::Member,
            () if record::id_after(record::INVITATIONS, key).is_some_and(|_: InvitationId| true) => {
                Self::Invitation
            }
            () if record::id_after(record::GRANTS, key).is_some_and(|_: GrantId| true) => Self::Grant,
            () if *key == record::app_policy_at() => Self::AppPolicy,
            () if record::id_after(record::USED, key).is_some_and(|_: KeyId| true) => Self::Used,
            () if record::audit_revision(key).is_some() => Self::Audit,
            () if record::usage_of(key).is_some() => Self::Usage,
            () if record::query_number(key).is_some() => Self::Query,
            () if *key == record::query_log_at() => Self::QueryLog,
            () if begins(record::KEY_NAMES) => Self::KeyName,
            () if begins(record::SOURCE_NAMES) => Self::SourceName,
            () => return None,
        })
    }

    /// On which lane it is written. The store's trait does not say it of a record that is read; the kind does.
    pub(super) fn lane(self) -> Lane {
        match self {
            Self::Used | Self::Usage | Self::Query | Self::QueryLog => Lane::Log,
            _ => Lane::State { at: None, narrows: false },
        }
    }

    /// Whether a value can be read as this kind.
    pub(super) fn check(self, value: &[u8]) -> Result<(), RecordError> {
        self.encoded_again(value).map(drop)
    }

    /// Decodes a value and encodes it in the newest version.
    fn encoded_again(self, value: &[u8]) -> Result<bytes::Bytes, RecordError> {
        fn again<T: Versioned>(value: &[u8]) -> Result<bytes::Bytes, RecordError> {
            Ok(encode(&decode::<T>(value)?))
        }
        match self {
            Self::Org => again::<OrgRecord>(value),
            Self::DeletedOrg => again::<DeletedOrgRecord>(value),
            Self::Key => again::<KeyRecord>(value),
            Self::KeyName | Self::SourceName => again::<NameRecord>(value),
            Self::Source => again::<SourceRecord>(value),
            Self::Member => again::<MemberRecord>(value),
            Self::Invitation => again::<InvitationRecord>(value),
            Self::Grant => again::<GrantRecord>(value),
            Self::AppPolicy => again::<AppPolicyRecord>(value),
            Self::Used => again::<UsedRecord>(value),
            Self::Audit | Self::Trail => again::<AuditRecord>(value),
            Self::Usage => again::<UsageRecord>(value),
            Self::Query => again::<QueryRecord>(value),
            Self::QueryLog => again::<QueryLogRecord>(value),
            Self::OrgIndex => again::<IndexRecord>(value),
            Self::Deletion => again::<Deletion>(value),
            Self::User => again::<UserRecord>(value),
            Self::Email => again::<EmailRecord>(value),
            Self::Leaving => again::<LeavingRecord>(value),
            Self::Membership => again::<MembershipRecord>(value),
            Self::Session => again::<SessionRecord>(value),
            Self::Client => again::<ClientRecord>(value),
            Self::ClientGrant => again::<ClientGrantRecord>(value),
            Self::Decision => again::<DecisionRecord>(value),
            Self::Restored => again::<Restored>(value),
            Self::Unfinished => again::<Unfinished>(value),
        }
    }
}

/// The organization that a scope belongs to.
pub(super) fn org_of(scope: &Scope) -> Option<OrgId> {
    scope.as_str().strip_prefix("org/")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Each kind with its newest version and its fixtures' name.
    const ALL: &[(Kind, u32, &str)] = &[
        (Kind::Org, OrgRecord::VERSION, "org"),
        (Kind::DeletedOrg, DeletedOrgRecord::VERSION, "deleted-org"),
        (Kind::Key, KeyRecord::VERSION, "key"),
        (Kind::KeyName, NameRecord::VERSION, "key-name"),
        (Kind::Source, SourceRecord::VERSION, "source"),
        (Kind::SourceName, NameRecord::VERSION, "source-name"),
        (Kind::Member, MemberRecord::VERSION, "member"),
        (Kind::Invitation, InvitationRecord::VERSION, "invitation"),
        (Kind::Grant, GrantRecord::VERSION, "grant"),
        (Kind::AppPolicy, AppPolicyRecord::VERSION, "app-policy"),
        (Kind::Used, UsedRecord::VERSION, "used"),
        (Kind::Audit, AuditRecord::VERSION, "audit"),
        (Kind::Usage, UsageRecord::VERSION, "usage"),
        (Kind::Query, QueryRecord::VERSION, "query"),
        (Kind::QueryLog, QueryLogRecord::VERSION, "query-log"),
        (Kind::OrgIndex, IndexRecord::VERSION, "org-index"),
        (Kind::Deletion, Deletion::VERSION, "deletion"),
        (Kind::User, UserRecord::VERSION, "user"),
        (Kind::Email, EmailRecord::VERSION, "email"),
        (Kind::Leaving, LeavingRecord::VERSION, "leaving"),
        (Kind::Session, SessionRecord::VERSION, "session"),
        (Kind::Membership, MembershipRecord::VERSION, "membership"),
        (Kind::Client, ClientRecord::VERSION, "oauth-client"),
        (Kind::ClientGrant, ClientGrantRecord::VERSION, "oauth-client-grant"),
        (Kind::Decision, DecisionRecord::VERSION, "oauth-decision"),
        (Kind::Restored, Restored::VERSION, "restored"),
        (Kind::Unfinished, Unfinished::VERSION, "unfinished"),
    ];

    /// What a kind may have besides its plain fixture.
    const VARIANTS: &[&str] = &["full", "lost", "purging", "suspended"];

    fn fixtures() -> Vec<(Kind, u32, u32, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/records");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (stem, version) = file.strip_suffix(".json").unwrap().rsplit_once(".v").unwrap();
            let plain = |variant: &&str| stem.strip_suffix(&format!("-{variant}"));
            let stem = VARIANTS.iter().find_map(plain).unwrap_or(stem);
            let found = ALL.iter().find(|(_, _, name)| *name == stem);
            let (kind, newest, _) = found.unwrap_or_else(|| panic!("{file} is a fixture of no kind"));
            (*kind, *newest, version.parse().unwrap(), std::fs::read_to_string(&path).unwrap())
        };
        std::fs::read_dir(folder).unwrap().map(read).collect()
    }

    #[test]
    fn every_version_of_every_kind_has_a_fixture() {
        let fixtures = fixtures();
        for (kind, newest, name) in ALL {
            let versions: BTreeSet<u32> =
                fixtures.iter().filter(|fixture| fixture.0 == *kind).map(|fixture| fixture.2).collect();
            assert_eq!(versions, (1..=*newest).collect(), "{name}");
        }
    }

    #[test]
    fn the_fixtures_of_every_version_still_decode_and_lose_nothing() {
        for (kind, newest, version, text) in fixtures() {
            // An older one comes back as the same record in the newest version.
            let expected = text.replacen(&format!("{{\"v\":{version}"), &format!("{{\"v\":{newest}"), 1);
            assert_eq!(kind.encoded_again(text.as_bytes()).unwrap(), expected, "{kind:?} {version}");
        }
    }

    #[test]
    fn a_newer_version_of_any_kind_is_refused_and_not_misread() {
        for (kind, newest, version, text) in fixtures() {
            let newer = newest + 1;
            let text = text.replacen(&format!("{{\"v\":{version}"), &format!("{{\"v\":{newer}"), 1);
            let refused = kind.check(text.as_bytes()).unwrap_err();
            let RecordError::Newer { found, known, .. } = refused else { panic!("{kind:?}: {refused}") };
            assert_eq!((found, known), (newer, newest), "{kind:?}");
        }
    }

    #[test]
    fn what_nobody_knows_is_of_no_kind() {
        let org = Scope::org("0123456789ab").unwrap();
        let key = |text: &str| Key::new(text.to_owned()).unwrap();
        assert_eq!(Kind::of(&org, &key("key/0123456789")), Some(Kind::Key));
        for unknown in [
            "key/",
            "member/0123456789",
            "people/0123456789ab",
            "orgs",
            "audit/x",
            "key/0123456789/more",
            "\u{0}",
        ] {
            assert_eq!(Kind::of(&org, &key(unknown)), None, "{unknown:?}");
        }
        assert_eq!(Kind::of(&Scope::system("users").unwrap(), &key("org")), None);
        assert_eq!(Kind::of(&Scope::system("store").unwrap(), &key("org")), None);
    }
}
