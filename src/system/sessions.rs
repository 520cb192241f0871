//! Sessions: who is signed in, where, since when.
//!
//! A session is a random secret in a cookie and a record with its digest under `session/<user>/<session>`. Each request
//! reads that record and its user's: two point reads, which at the pace of people cost nothing worth keeping a second
//! truth for. So whoever was disabled, deleted or signed out elsewhere is out with the next request, by construction.
//!
//! **Invariant:** a session never outlives its sign-out: noting that it was seen is conditional on its record, and so
//! revives nothing (`a_session_that_ended_is_not_revived_by_having_been_seen`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sequel_store::{Expect, Key, Record, Revision, Scope, Store, Write};
use serde::{Deserialize, Serialize};

use super::table::{Table, TableError};
use super::users::{UserRecord, Users};
use crate::context::{Context, Timestamp};
use crate::credential::secret::{PlainSecret, Presented, Purpose};
use crate::credential::{Digest, SessionId, UserId};
use crate::record::{decode, encode, versioned};

/// Most sessions of one user; the one unseen for longest makes room. Nobody has so many browsers.
pub const SESSIONS_MAX: usize = 50;
/// Most characters that are kept of what a browser says of itself.
pub const AGENT_CHARS_MAX: usize = 200;
/// Having been seen is written down when it is this much newer than what is written.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// Sessions that one batch removes: a batch has 256 operations, half of them preconditions.
const PRUNED_AT_ONCE: usize = 100;

/// One session. The plaintext is nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Digest of the cookie's value.
    pub digest: Digest,
    /// The user's epoch when it was begun.
    pub epoch: u64,
    /// When it was begun; a rotation keeps it.
    pub created_at: Timestamp,
    /// When it was seen last, to the minute.
    pub last_seen_at: Timestamp,
    /// What the browser says of itself; unverified.
    pub agent: String,
    /// The network that it was begun from, not the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

versioned! {
    SessionRecord, "session", 1;
}

/// How long a session lives.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Without having been seen.
    pub idle: Duration,
    /// At most.
    pub absolute: Duration,
}

/// Who knocks: what is noted of a browser.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// Its `User-Agent`, as it came.
    pub agent: String,
    /// Its address, as the trusted proxies tell it.
    pub address: Option<IpAddr>,
}

/// Somebody whose session holds.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// Their record, as it is now.
    pub record: UserRecord,
    /// Which of their sessions.
    pub session: SessionId,
}

/// All sessions. Clones share the table.
#[derive(Clone)]
pub struct Sessions {
    table: Table,
    users: Users,
    context: Context,
    lifetimes: Lifetimes,
}

impl Sessions {
    /// Over the table `system/sessions`.
    pub fn new(store: Arc<dyn Store>, users: Users, context: Context, lifetimes: Lifetimes) -> Self {
        let table = Table::new(store, scope(), context.rng.clone());
        Self { table, users, context, lifetimes }
    }

    /// How long a cookie may be kept.
    pub fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Begins a session of a user of this epoch. The cookie's value is in the answer for the only time.
    pub async fn begin(
        &self,
        user: UserId,
        epoch: u64,
        visitor: &Visitor,
    ) -> Result<PlainSecret, TableError> {
        let now = self.context.clock.now();
        let (id, plain) = self.mint(user)?;
        let record = SessionRecord {
            digest: plain.digest(),
            epoch,
            created_at: now,
            last_seen_at: now,
            agent: shown_agent(&visitor.agent),
            source: visitor.address.map(network_of),
        };
        let mut writes = vec![Write::Put(at(user, id), encode(&record))];
        let mut others = self.stored(user).await?;
        // Also those that ended and were not swept yet.
        others.sort_by_key(|(_, record)| std::cmp::Reverse(record.last_seen_at));
        let surplus = others.iter().skip(SESSIONS_MAX - 1).take(PRUNED_AT_ONCE);
        writes.extend(surplus.map(|(id, _)| Write::Delete(at(user, *id))));
        self.table.commit(vec![Expect::Absent(at(user, id))], writes).await?;
        Ok(plain)
    }

    /// Who presents this cookie, if anybody who is signed in. Notes that they were seen.
    pub async fn check(&self, cookie: &str) -> Result<Option<SignedIn>, TableError> {
        let Some((presented, record, revision)) = self.find(cookie).await? else { return Ok(None) };
        let (user, session, now) = (presented.owner, presented.id, self.context.clock.now());
        let Some(found) = self.users.get(user).await? else { return Ok(None) };
        if !found.is_on() || found.epoch != record.epoch || self.is_over(&record, now) {
            return Ok(None);
        }
        if record.last_seen_at.plus(SEEN_EVERY) <= now {
            let seen = SessionRecord { last_seen_at: now, ..record };
            let write = Write::Put(at(user, session), encode(&seen));
            match self.table.commit(vec![Expect::At(at(user, session), revision)], vec![write]).await {
                // Ended or seen elsewhere at this very moment: the next request finds out which.
                Ok(()) | Err(TableError::Conflict) => {}
                // A full disk keeps nobody from looking.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "when a session was seen could not be written");
                }
            }
        }
        Ok(Some(SignedIn { user, record: found, session }))
    }

    /// Gives a session another secret, and another epoch where the user's has changed by its own doing. The former
    /// cookie is refused from then on. `None` where it holds no more.
    pub async fn rotate(&self, cookie: &str, epoch: u64) -> Result<Option<PlainSecret>, TableError> {
        let Some((presented, record, revision)) = self.find(cookie).await? else { return Ok(None) };
        let (user, old) = (presented.owner, presented.id);
        let (id, plain) = self.mint(user)?;
        let record = SessionRecord { digest: plain.digest(), epoch, ..record };
        let expects = vec![Expect::At(at(user, old), revision), Expect::Absent(at(user, id))];
        let writes = vec![Write::Delete(at(user, old)), Write::Put(at(user, id), encode(&record))];
        match self.table.commit(expects, writes).await {
            Err(TableError::Conflict) => Ok(None),
            outcome => outcome.map(|()| Some(plain)),
        }
    }

    /// Ends the session of a cookie, if it is one.
    pub async fn sign_out(&self, cookie: &str) -> Result<(), TableError> {
        match self.find(cookie).await? {
            Some((presented, ..)) => self.end(presented.owner, presented.id).await,
            None => Ok(()),
        }
    }

    /// Ends one session of a user.
    pub async fn end(&self, user: UserId, session: SessionId) -> Result<(), TableError> {
        self.table.commit(Vec::new(), vec![Write::Delete(at(user, session))]).await
    }

    /// Ends all sessions of a user but one; returns how many.
    pub async fn end_others(&self, user: UserId, keep: Option<SessionId>) -> Result<usize, TableError> {
        let mut doomed: Vec<_> = self.stored(user).await?.into_iter().map(|(id, _)| id).collect();
        doomed.retain(|id| Some(*id) != keep);
        for some in doomed.chunks(PRUNED_AT_ONCE) {
            let writes = some.iter().map(|id| Write::Delete(at(user, *id))).collect();
            self.table.commit(Vec::new(), writes).await?;
        }
        Ok(doomed.len())
    }

    /// The sessions of a user that hold, the one seen last first.
    pub async fn list(
        &self,
        user: UserId,
        record: &UserRecord,
    ) -> Result<Vec<(SessionId, SessionRecord)>, TableError> {
        let now = self.context.clock.now();
        let mut sessions = self.stored(user).await?;
        sessions.retain(|(_, session)| session.epoch == record.epoch && !self.is_over(session, now));
        sessions.sort_by_key(|(_, session)| std::cmp::Reverse(session.last_seen_at));
        Ok(sessions)
    }

    /// Whether a user has a session that was begun in this network.
    pub async fn has_network(&self, user: UserId, network: &str) -> Result<bool, TableError> {
        let now = self.context.clock.now();
        let sessions = self.stored(user).await?;
        let is_there = |session: &SessionRecord| session.source.as_deref() == Some(network);
        Ok(sessions.iter().any(|(_, session)| is_there(session) && !self.is_over(session, now)))
    }

    /// Removes the records of sessions whose time is over; returns how many.
    pub async fn prune(&self) -> Result<usize, TableError> {
        let now = self.context.clock.now();
        let over = |stored: &Record| match decode::<SessionRecord>(&stored.value) {
            Ok(session) => self.is_over(&session, now),
            // What cannot be read lets nobody in, and says nothing to anybody.
            Err(_) => true,
        };
        let doomed: Vec<_> = self.table.all(SESSIONS).await?.into_iter().filter(over).collect();
        for some in doomed.chunks(PRUNED_AT_ONCE) {
            let expects = some.iter().map(|stored| Expect::At(stored.key.clone(), stored.revision)).collect();
            let writes = some.iter().map(|stored| Write::Delete(stored.key.clone())).collect();
            self.table.commit(expects, writes).await?;
        }
        Ok(doomed.len())
    }

    fn mint(&self, user: UserId) -> Result<(SessionId, PlainSecret), TableError> {
        let id = SessionId::mint(&self.context.rng)?;
        Ok((id, PlainSecret::mint(Purpose::Session, id, user, &self.context.rng)?))
    }

    async fn find(&self, cookie: &str) -> Result<Option<(Presented, SessionRecord, Revision)>, TableError> {
        let Ok(presented) = Presented::parse(Purpose::Session, cookie) else { return Ok(None) };
        let at = at(presented.owner, presented.id);
        let found = self.table.get::<SessionRecord>(&at).await?;
        let holds = |(record, _): &(SessionRecord, _)| record.digest.matches(&presented.digest);
        Ok(found.filter(holds).map(|(record, revision)| (presented, record, revision)))
    }

    async fn stored(&self, user: UserId) -> Result<Vec<(SessionId, SessionRecord)>, TableError> {
        let prefix = format!("{SESSIONS}{user}/");
        let records = self.table.all(&prefix).await?;
        let read = |stored: Record| {
            let id = std::str::from_utf8(stored.key.as_bytes()).ok()?.strip_prefix(&prefix)?.parse().ok()?;
            Some(decode(&stored.value).map(|record| (id, record)))
        };
        Ok(records.into_iter().filter_map(read).collect::<Result<_, _>>()?)
    }

    fn is_over(&self, session: &SessionRecord, now: Timestamp) -> bool {
        session.last_seen_at.plus(self.lifetimes.idle) <= now
            || session.created_at.plus(self.lifetimes.absolute) <= now
    }
}

/// What a browser says of itself as it may be shown: bounded, and without what could steer a terminal.
fn shown_agent(agent: &str) -> String {
    let plain = |c: &char| (' '..='~').contains(c);
    agent.chars().filter(plain).take(AGENT_CHARS_MAX).collect()
}

/// The network of an address: enough to recognize a place by, too little to find somebody.
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// Where the table is.
pub fn scope() -> Scope {
    Scope::system("sessions").expect("a constant that is a legal scope name")
}

/// The prefix of all sessions.
pub const SESSIONS: &str = "session/";

fn at(user: UserId, session: SessionId) -> Key {
    Key::new(format!("{SESSIONS}{user}/{session}")).expect("a prefix and two ids are a legal key")
}

#[cfg(test)]
mod tests {
    use sequel_store::MemoryStore;

    use super::*;
    use crate::system::email::Email;
    use crate::system::users::{UserError, trail_at};

    const HOUR: Duration = Duration::from_secs(3_600);
    const LIFETIMES: Lifetimes = Lifetimes { idle: HOUR, absolute: Duration::from_secs(5 * 3_600) };

    struct House {
        sessions: Sessions,
        users: Users,
        context: Context,
        ada: UserId,
    }

    impl House {
        async fn new() -> Self {
            let (store, context) = (Arc::new(MemoryStore::new()) as Arc<dyn Store>, Context::system());
            let users = Users::new(Arc::clone(&store), context.rng.clone());
            let sessions = Sessions::new(store, users.clone(), context.clone(), LIFETIMES);
            let ada = UserId::mint(&context.rng).unwrap();
            let record = UserRecord {
                email: Email::parse("ada@example.com").unwrap(),
                name: "Ada".into(),
                password: None,
                enabled: true,
                suspended_at: None,
                created_at: context.clock.now(),
                last_signed_in_at: None,
                epoch: 0,
                reset: None,
            };
            let trail = Write::Put(trail_at(Timestamp(0), 1), b"{}"[..].into());
            users.create(ada, &record, trail).await.unwrap();
            Self { sessions, users, context, ada }
        }

        async fn begin(&self) -> String {
            let plain = self.sessions.begin(self.ada, 0, &Visitor::default()).await.unwrap();
            plain.reveal().to_owned()
        }

        async fn holds(&self, cookie: &str) -> bool {
            self.sessions.check(cookie).await.unwrap().is_some()
        }

        async fn change(&self, change: impl Fn(&mut UserRecord)) {
            let decide = |record: &mut UserRecord| {
                change(record);
                Ok::<_, UserError>(Some(Vec::new()))
            };
            self.users.change(self.ada, decide).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_session_ends_when_it_was_not_seen_and_at_the_latest_when_its_time_is_over() {
        let house = House::new().await;
        let (unseen, seen) = (house.begin().await, house.begin().await);
        house.context.clock.advance(HOUR - SEEN_EVERY);
        assert!(house.holds(&seen).await);
        house.context.clock.advance(SEEN_EVERY);
        assert!(!house.holds(&unseen).await);
        for _ in 0..3 {
            assert!(house.holds(&seen).await);
            house.context.clock.advance(HOUR - SEEN_EVERY);
        }
        assert!(house.holds(&seen).await);
        house.context.clock.advance(HOUR - SEEN_EVERY);
        assert!(house.holds(&seen).await);
        house.context.clock.advance(SEEN_EVERY * 5);
        assert!(!house.holds(&seen).await);
        house.context.clock.advance(HOUR);
        assert_eq!(house.sessions.prune().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn whoever_is_disabled_deleted_or_of_another_epoch_is_out_at_once() {
        let house = House::new().await;
        let cookie = house.begin().await;
        assert!(house.holds(&cookie).await);
        house.change(|user| user.enabled = false).await;
        assert!(!house.holds(&cookie).await);
        house.change(|user| user.enabled = true).await;
        house.change(|user| user.suspended_at = Some(Timestamp(0))).await;
        assert!(!house.holds(&cookie).await);
        house.change(|user| user.suspended_at = None).await;
        house.change(UserRecord::end_sessions).await;
        assert!(!house.holds(&cookie).await);
        let trail = Write::Put(trail_at(Timestamp(0), 2), b"{}"[..].into());
        house.users.remove(house.ada, trail).await.unwrap();
        assert!(!house.holds(&cookie).await);
    }

    #[tokio::test]
    async fn a_rotated_cookie_is_refused_and_its_successor_goes_on() {
        let house = House::new().await;
        let old = house.begin().await;
        let new = house.sessions.rotate(&old, 0).await.unwrap().unwrap();
        assert!(!house.holds(&old).await && house.holds(new.reveal()).await);
        assert!(house.sessions.rotate(&old, 0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn signing_out_here_elsewhere_and_everywhere() {
        let house = House::new().await;
        let cookies = [house.begin().await, house.begin().await, house.begin().await];
        house.sessions.sign_out(&cookies[0]).await.unwrap();
        assert!(!house.holds(&cookies[0]).await && house.holds(&cookies[1]).await);
        let here = house.sessions.check(&cookies[1]).await.unwrap().unwrap();
        assert_eq!(house.sessions.end_others(house.ada, Some(here.session)).await.unwrap(), 1);
        assert!(house.holds(&cookies[1]).await && !house.holds(&cookies[2]).await);
        house.sessions.end_others(house.ada, None).await.unwrap();
        assert!(!house.holds(&cookies[1]).await);
    }

    #[tokio::test]
    async fn a_session_that_ended_is_not_revived_by_having_been_seen() {
        let house = House::new().await;
        let cookie = house.begin().await;
        let (presented, record, revision) = house.sessions.find(&cookie).await.unwrap().unwrap();
        house.sessions.sign_out(&cookie).await.unwrap();
        // What a request that had read the record before writes after the sign-out.
        let at = at(presented.owner, presented.id);
        let seen = vec![Write::Put(at.clone(), encode(&record))];
        let written = house.sessions.table.commit(vec![Expect::At(at, revision)], seen).await;
        assert!(matches!(written, Err(TableError::Conflict)));
        assert!(!house.holds(&cookie).await);
    }

    #[tokio::test]
    async fn a_user_has_so_many_sessions_and_the_one_unseen_for_longest_makes_room() {
        let house = House::new().await;
        let first = house.begin().await;
        house.context.clock.advance(SEEN_EVERY);
        for _ in 0..SESSIONS_MAX {
            house.begin().await;
        }
        assert!(!house.holds(&first).await);
        let user = house.users.get(house.ada).await.unwrap().unwrap();
        assert_eq!(house.sessions.list(house.ada, &user).await.unwrap().len(), SESSIONS_MAX);
    }

    #[tokio::test]
    async fn a_cookie_that_somebody_else_chose_is_nobodys() {
        let house = House::new().await;
        let cookie = house.begin().await;
        let other = SessionId::mint(&house.context.rng).unwrap();
        let preset = PlainSecret::mint(Purpose::Session, other, house.ada, &house.context.rng).unwrap();
        for wrong in ["", "x", preset.reveal(), &cookie[..74], &cookie.replace("sqk_", "sql_")] {
            assert!(!house.holds(wrong).await, "{wrong}");
        }
    }

    #[test]
    fn a_browser_is_shown_by_its_network_and_cannot_steer_a_terminal() {
        assert_eq!(network_of("192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(network_of("::ffff:192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(network_of("2001:db8:1:2::9".parse().unwrap()), "2001:db8:1::/48");
        assert_eq!(shown_agent("a\u{1b}[31mb\u{202e}é"), "a[31mb");
        assert_eq!(shown_agent(&"x".repeat(10_000)).len(), AGENT_CHARS_MAX);
    }
}
