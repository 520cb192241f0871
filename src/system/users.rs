//! The people who may sign in. An address names one of them; what they may do is said by the organizations.
//!
//! | key | record |
//! |---|---|
//! | `user/<user id>` | [`UserRecord`] |
//! | `email/<SHA-256 of the address>` | [`EmailRecord`]: whose address it is |
//! | `leaving/<user id>` | [`LeavingRecord`]: a deletion that was begun; goes with the user |
//! | `trail/<time>-<random>` | an entry of the audit trail of what belongs to no organization; `flow::trail` writes it |
//!
//! Whoever changes a user does it in one conditional commit, together with its entry of the trail. A user's `epoch`
//! counts what ends all sessions at once: a session of an earlier epoch is none, so ending all of them is the change
//! itself and cannot be done by halves (`flow::people_tests::a_new_password_ends_every_session_at_once`).

use std::ops::Bound;
use std::sync::Arc;

use sequel_store::{Expect, Key, KeyRange, Record, Revision, Scope, Store, Write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::email::Email;
use super::password::PasswordHash;
use super::table::{Table, TableError};
use crate::context::{Rng, Timestamp};
use crate::credential::{Digest, UserId};
use crate::record::{decode, encode, name_digest, versioned};

/// How often a change is decided anew where somebody else changed the same user.
const TRIES: usize = 5;
/// Entries of the trail that one batch removes: a batch has 256 operations.
const PRUNED_AT_ONCE: usize = 200;

/// One person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserRecord {
    /// What they sign in with. Never changes.
    pub email: Email,
    /// What others see.
    pub name: String,
    /// Absent until one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// Whether no operator switched them off.
    pub enabled: bool,
    /// Since which restore of a backup they are kept out, until an operator enables them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    /// When they were made.
    pub created_at: Timestamp,
    /// When they signed in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_signed_in_at: Option<Timestamp>,
    /// Sessions of another epoch have ended.
    pub epoch: u64,
    /// The link that sets a password, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Reset>,
}

/// A link that sets a password, once. A new one replaces it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reset {
    /// Digest of what the link holds.
    pub digest: Digest,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// Whose address it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EmailRecord {
    /// The user.
    pub user: UserId,
}

/// A user's deletion that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeavingRecord {
    /// When.
    pub since: Timestamp,
}

versioned! {
    UserRecord, "user", 1;
    EmailRecord, "e-mail", 1;
    LeavingRecord, "leaving user", 1;
}

impl UserRecord {
    /// Whether they may sign in, and go on where they have.
    pub fn is_on(&self) -> bool {
        self.enabled && self.suspended_at.is_none()
    }

    /// Ends every session that was begun so far.
    pub fn end_sessions(&mut self) {
        self.epoch += 1;
    }
}

/// Why users could not be read or changed.
#[derive(Debug, Error)]
pub enum UserError {
    /// There is no such user.
    #[error("no such user")]
    NotFound,
    /// Somebody has the address.
    #[error("there is a user with the address {0} already")]
    EmailTaken(Email),
    /// The table could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// All users. Clones share the table.
#[derive(Clone)]
pub struct Users {
    table: Table,
}

impl Users {
    /// Over the table `system/users`.
    pub fn new(store: Arc<dyn Store>, rng: Rng) -> Self {
        Self { table: Table::new(store, scope(), rng) }
    }

    /// One user.
    pub async fn get(&self, id: UserId) -> Result<Option<UserRecord>, TableError> {
        Ok(self.read(id).await?.map(|(record, _)| record))
    }

    async fn read(&self, id: UserId) -> Result<Option<(UserRecord, Revision)>, TableError> {
        self.table.get(&user_at(id)).await
    }

    /// Who has an address. Two reads, also where nobody has it or it is none: how long it takes tells nothing.
    pub async fn find(&self, email: Option<&Email>) -> Result<Option<(UserId, UserRecord)>, TableError> {
        let at = email.map_or_else(|| stored(EMAILS.to_owned() + "-"), email_at);
        let user = self.table.get(&at).await?.map_or(NOBODY, |(EmailRecord { user }, _)| user);
        Ok(self.get(user).await?.map(|record| (user, record)))
    }

    /// Everybody, by address.
    pub async fn all(&self) -> Result<Vec<(UserId, UserRecord)>, TableError> {
        let mut users = Vec::new();
        for stored in self.table.all(USERS).await? {
            if let Some(id) = user_of(USERS, &stored.key) {
                users.push((id, decode::<UserRecord>(&stored.value)?));
            }
        }
        users.sort_by(|(_, a), (_, b)| a.email.as_str().cmp(b.email.as_str()));
        Ok(users)
    }

    /// Whether nobody was made yet.
    pub async fn is_empty(&self) -> Result<bool, TableError> {
        Ok(self.table.first(USERS, 1).await?.is_empty())
    }

    /// Writes a new user, with `trail` in the same commit. Of two with one address, one is refused.
    pub async fn create(&self, id: UserId, record: &UserRecord, trail: Write) -> Result<(), UserError> {
        let at = email_at(&record.email);
        let expects = vec![Expect::Absent(user_at(id)), Expect::Absent(at.clone())];
        let index = Write::Put(at, encode(&EmailRecord { user: id }));
        let writes = vec![Write::Put(user_at(id), encode(record)), index, trail];
        match self.table.commit(expects, writes).await {
            Err(TableError::Conflict) => Err(UserError::EmailTaken(record.email.clone())),
            outcome => Ok(outcome?),
        }
    }

    /// Changes a user. `decide` sees the record as it is, perhaps several times, and says with which entry of the trail
    /// the change is written; its error ends the attempt, and so does `None`: then nothing is written.
    pub async fn change<E: From<UserError>>(
        &self,
        id: UserId,
        mut decide: impl FnMut(&mut UserRecord) -> Result<Option<Vec<Write>>, E>,
    ) -> Result<UserRecord, E> {
        let failed = |error: TableError| E::from(error.into());
        for _ in 0..TRIES {
            let found = self.read(id).await.map_err(failed)?;
            let (mut record, revision) = found.ok_or_else(|| E::from(UserError::NotFound))?;
            let Some(trail) = decide(&mut record)? else { return Ok(record) };
            let writes = [Write::Put(user_at(id), encode(&record))].into_iter().chain(trail).collect();
            match self.table.commit(vec![Expect::At(user_at(id), revision)], writes).await {
                Err(TableError::Conflict) => {}
                Err(error) => return Err(failed(error)),
                Ok(()) => return Ok(record),
            }
        }
        Err(failed(TableError::Conflict))
    }

    /// The mark of a deletion that was begun, to be written with the change that begins it.
    pub fn leaving(id: UserId, since: Timestamp) -> Write {
        Write::Put(leaving_at(id), encode(&LeavingRecord { since }))
    }

    /// Whose deletion was begun and is not finished.
    pub async fn all_leaving(&self) -> Result<Vec<UserId>, TableError> {
        let marks = self.table.all(LEAVING).await?;
        Ok(marks.iter().filter_map(|stored| user_of(LEAVING, &stored.key)).collect())
    }

    /// Whether a user's deletion was begun.
    pub async fn is_leaving(&self, id: UserId) -> Result<bool, TableError> {
        Ok(self.table.get::<LeavingRecord>(&leaving_at(id)).await?.is_some())
    }

    /// Entries of the trail from one number up to another, the oldest first.
    pub async fn trail(&self, from: TrailNumber, before: TrailNumber) -> Result<Vec<Record>, TableError> {
        let range = KeyRange {
            start: Bound::Included(from.bound().to_bytes()),
            end: Bound::Excluded(before.bound().to_bytes()),
        };
        self.table.records(range).await
    }

    /// When the oldest entry of the trail was made.
    pub async fn trail_begins(&self) -> Result<Option<Timestamp>, TableError> {
        let first = self.table.first(TRAIL, 1).await?;
        Ok(first.first().and_then(|stored| TrailNumber::of(&stored.key)).map(TrailNumber::time))
    }

    /// Removes entries of the trail from before a time; returns how many.
    pub async fn prune_trail(&self, keep_from: Timestamp) -> Result<usize, TableError> {
        let mut pruned = 0;
        loop {
            let first = self.table.first(TRAIL, PRUNED_AT_ONCE).await?;
            let is_over = |stored: &&Record| {
                TrailNumber::of(&stored.key).is_some_and(|number| number.time() < keep_from)
            };
            let writes: Vec<_> =
                first.iter().take_while(is_over).map(|stored| Write::Delete(stored.key.clone())).collect();
            let count = writes.len();
            if count == 0 {
                return Ok(pruned);
            }
            self.table.commit(Vec::new(), writes).await?;
            pruned += count;
        }
    }

    /// Removes a user with address and mark: the last step of a deletion.
    pub async fn remove(&self, id: UserId, trail: Write) -> Result<(), TableError> {
        let Some((record, revision)) = self.read(id).await? else { return Ok(()) };
        let writes = vec![
            Write::Delete(user_at(id)),
            Write::Delete(email_at(&record.email)),
            Write::Delete(leaving_at(id)),
            trail,
        ];
        self.table.commit(vec![Expect::At(user_at(id), revision)], writes).await
    }
}

/// An id that no user has: `mint` draws it once in 62¹² times.
pub const NOBODY: UserId = UserId::NIL;

/// Where the table is.
pub fn scope() -> Scope {
    Scope::system("users").expect("a constant that is a legal scope name")
}

/// The prefix of all users.
pub const USERS: &str = "user/";
/// The prefix of all addresses.
pub const EMAILS: &str = "email/";
/// The prefix of all deletions that were begun.
pub const LEAVING: &str = "leaving/";
/// The prefix of the trail.
pub const TRAIL: &str = "trail/";

fn stored(text: String) -> Key {
    Key::new(text).expect("record keys are built from fixed prefixes, ids and digests, all short")
}

/// Where a user is.
pub fn user_at(id: UserId) -> Key {
    stored(format!("{USERS}{id}"))
}

fn email_at(email: &Email) -> Key {
    stored(format!("{EMAILS}{}", name_digest(email.as_str())))
}

fn leaving_at(id: UserId) -> Key {
    stored(format!("{LEAVING}{id}"))
}

/// Where an entry of the trail is; `random` tells those of one millisecond apart.
pub fn trail_at(at: Timestamp, random: u64) -> Key {
    stored(format!("{TRAIL}{:016x}-{random:016x}", at.0.max(0)))
}

/// What an entry of the trail is called by: its millisecond and some bits of what tells it apart. Ordered as the entries
/// are, and until the year 2109 a number that JSON's readers do not round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrailNumber(pub u64);

/// Bits that tell entries of one millisecond apart.
const APART_BITS: u32 = 11;

impl TrailNumber {
    /// The first of a time.
    pub fn at(time: Timestamp) -> Self {
        Self(u64::try_from(time.0).unwrap_or(0) << APART_BITS)
    }

    /// Of an entry.
    pub fn of(key: &Key) -> Option<Self> {
        let text = std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(TRAIL)?;
        let (time, random) = text.split_once('-')?;
        let (time, random) = (u64::from_str_radix(time, 16).ok()?, u64::from_str_radix(random, 16).ok()?);
        Some(Self(time << APART_BITS | random >> (u64::BITS - APART_BITS)))
    }

    /// When the entry was made.
    pub fn time(self) -> Timestamp {
        Timestamp(i64::try_from(self.0 >> APART_BITS).unwrap_or(i64::MAX))
    }

    fn bound(self) -> Key {
        trail_at(self.time(), self.0 << (u64::BITS - APART_BITS))
    }
}

/// The user at the end of a record's key.
pub fn user_of(prefix: &str, key: &Key) -> Option<UserId> {
    std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use sequel_store::MemoryStore;

    use super::*;

    fn users() -> (Users, Rng) {
        let rng = Rng::system();
        (Users::new(Arc::new(MemoryStore::new()), rng.clone()), rng)
    }

    fn ada() -> UserRecord {
        UserRecord {
            email: Email::parse("ada@example.com").unwrap(),
            name: "Ada".into(),
            password: None,
            enabled: true,
            suspended_at: None,
            created_at: Timestamp(0),
            last_signed_in_at: None,
            epoch: 0,
            reset: None,
        }
    }

    fn trail(nth: u64) -> Write {
        Write::Put(trail_at(Timestamp(0), nth), b"{}"[..].into())
    }

    #[tokio::test]
    async fn an_address_has_one_user_whoever_comes_second_or_at_once() {
        let (users, rng) = users();
        let (one, two) = (UserId::mint(&rng).unwrap(), UserId::mint(&rng).unwrap());
        let record = ada();
        let both = tokio::join!(users.create(one, &record, trail(1)), users.create(two, &record, trail(2)));
        assert_eq!(usize::from(both.0.is_ok()) + usize::from(both.1.is_ok()), 1);
        let third = users.create(UserId::mint(&rng).unwrap(), &record, trail(3)).await;
        assert!(matches!(third, Err(UserError::EmailTaken(_))));
        assert_eq!(users.all().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_trail_is_read_by_number_and_loses_what_is_too_old() {
        let (users, rng) = users();
        let at = |ms: i64, random: u64| Write::Put(trail_at(Timestamp(ms), random), b"{}"[..].into());
        for nth in 0..500 {
            users.create(UserId::mint(&rng).unwrap(), &of(nth), at(nth as i64, u64::MAX)).await.unwrap();
        }
        let number = |stored: &Record| TrailNumber::of(&stored.key).unwrap();
        let (from, before) = (TrailNumber::at(Timestamp(10)), TrailNumber::at(Timestamp(20)));
        let some = users.trail(from, before).await.unwrap();
        assert_eq!(some.len(), 10);
        assert!(some.windows(2).all(|pair| number(&pair[0]) < number(&pair[1])));
        assert_eq!(users.trail(from, number(&some[9])).await.unwrap().len(), 9);
        assert_eq!(users.prune_trail(Timestamp(450)).await.unwrap(), 450);
        assert_eq!(users.trail_begins().await.unwrap(), Some(Timestamp(450)));
        assert_eq!(users.all().await.unwrap().len(), 500);
    }

    fn of(nth: u64) -> UserRecord {
        UserRecord { email: Email::parse(&format!("u{nth}@example.com")).unwrap(), ..ada() }
    }

    #[tokio::test]
    async fn changes_at_once_are_both_made_or_told() {
        let (users, rng) = users();
        let id = UserId::mint(&rng).unwrap();
        users.create(id, &ada(), trail(1)).await.unwrap();
        let raise = || {
            users.change(id, |record| {
                record.end_sessions();
                Ok::<_, UserError>(Some(Vec::new()))
            })
        };
        let (one, two, three) = tokio::join!(raise(), raise(), raise());
        for outcome in [one, two, three] {
            outcome.unwrap();
        }
        assert_eq!(users.get(id).await.unwrap().unwrap().epoch, 3);
    }

    #[tokio::test]
    async fn a_removed_user_leaves_neither_address_nor_mark() {
        let (users, rng) = users();
        let id = UserId::mint(&rng).unwrap();
        users.create(id, &ada(), trail(1)).await.unwrap();
        let begin = |_: &mut UserRecord| Ok::<_, UserError>(Some(vec![Users::leaving(id, Timestamp(1))]));
        users.change(id, begin).await.unwrap();
        assert_eq!(users.all_leaving().await.unwrap(), [id]);
        users.remove(id, trail(2)).await.unwrap();
        assert!(users.is_empty().await.unwrap() && users.all_leaving().await.unwrap().is_empty());
        users.create(UserId::mint(&rng).unwrap(), &ada(), trail(3)).await.unwrap();
        // A second time there is nothing to do.
        users.remove(id, trail(4)).await.unwrap();
        assert_eq!(users.all().await.unwrap().len(), 1);
    }
}
