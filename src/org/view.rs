//! The view: what an organization's actor publishes for readers, and the cell that it stands in.
//!
//! **Invariant:** readers see only what is durable: [`Publisher::publish`] is called after the
//! commit, and before the answer.
//! **Invariant:** a publisher that was superseded or dropped can open nothing any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use sequel_store::{Fence, Revision};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::keyring::Keyring;
use super::members::Members;
use super::open::Source;
use super::rate::RateCell;
use super::record::{AppPolicyRecord, GrantRecord, KeyLimits, KeyRecord, PreviousSecret};
use crate::context::Timestamp;
use crate::credential::{Credential, CredentialKind, Digest, KeyId, SourceId};
use crate::oauth::grant::Stage;
use crate::oauth::scope::ScopeSet;

/// Why a credential is not accepted. For the log; a client is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such key, or another secret.
    Unknown,
    /// Switched off.
    Disabled,
    /// Past its expiry.
    Expired,
    /// A token for another resource than this server's.
    Audience,
}

/// A last use is written down again when it is this much newer than what was written: a commit for
/// every key in use every second would cost more than the calls themselves.
const WRITE_DOWN_AFTER_SECONDS: u32 = 60;

/// When a key was used last. Stands beside the key, where a reader has just been; a view that follows
/// takes the number over. A use that is noted in the view before at that very moment is lost, which is
/// less than what a crash may lose.
#[derive(Debug, Default)]
pub(super) struct Uses {
    // Both in seconds since the epoch, which fit until 2106: there are many of these.
    last_used: AtomicU32,
    // [`WAITS`] while the key waits for its collection.
    written_down: AtomicU32,
    pub(super) requests: RateCell,
}

/// In place of when a last use was written down.
const WAITS: u32 = u32::MAX;

fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.0 / 1_000).unwrap_or(0).min(WAITS - 1)
}

impl Clone for Uses {
    fn clone(&self) -> Self {
        Self {
            last_used: AtomicU32::new(self.last_used.load(Ordering::Relaxed)),
            written_down: AtomicU32::new(self.written_down.load(Ordering::Relaxed)),
            requests: self.requests.clone(),
        }
    }
}

impl Uses {
    /// Notes a use. True where the key must be put on the list of those to be collected.
    pub(super) fn note(&self, now: Timestamp) -> bool {
        let now = seconds(now);
        // A whole second suffices for people, and spares a write to a shared cache line per request.
        if now == self.last_used.load(Ordering::Relaxed) {
            return false;
        }
        self.last_used.store(now, Ordering::Relaxed);
        let written_down = self.written_down.load(Ordering::Relaxed);
        written_down != WAITS
            && now.saturating_sub(written_down) >= WRITE_DOWN_AFTER_SECONDS
            && self.written_down.swap(WAITS, Ordering::Relaxed) != WAITS
    }

    /// The last use, for the record that is about to be written.
    pub(super) fn collect(&self) -> Option<Timestamp> {
        self.written_down.store(self.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
        self.last()
    }

    /// The last use in this process, if any, to the second.
    pub(super) fn last(&self) -> Option<Timestamp> {
        let last = self.last_used.load(Ordering::Relaxed);
        (last != 0).then_some(Timestamp(i64::from(last) * 1_000))
    }
}

/// What readers need of one API key, or of one grant, whose newest access token stands where a key's secret does. No name,
/// no plaintext. With its id it fills one cache line (`keyring.rs`).
#[derive(Debug, Clone)]
pub struct KeyView {
    digest: Digest,
    // What few keys have, out of the way of those that have not.
    rare: Option<Arc<Rare>>,
    pub(super) uses: Uses,
}

#[derive(Debug)]
struct Rare {
    previous: Vec<PreviousSecret>,
    sources: Option<Arc<[SourceId]>>,
    expires_at: Option<Timestamp>,
    enabled: bool,
    // Of a grant alone; a key may do everything, with this server.
    granted: Option<Granted>,
}

#[derive(Debug)]
struct Granted {
    scopes: ScopeSet,
    audience: Box<str>,
    // The revision of the record that this shows.
    at: Revision,
}

impl KeyView {
    /// From the record; takes the uses over from the former view of the same key, where there was one.
    pub(super) fn new(record: &KeyRecord, former: Option<&Self>) -> Self {
        let uses = former.map(|former| former.uses.clone()).unwrap_or_default();
        let is_plain = record.previous.is_empty()
            && record.sources.is_none()
            && record.expires_at.is_none()
            && record.is_on();
        let rare = (!is_plain).then(|| {
            Arc::new(Rare {
                previous: record.previous.clone(),
                sources: record.sources.as_ref().map(|sources| sources.as_slice().into()),
                expires_at: record.expires_at,
                enabled: record.is_on(),
                granted: None,
            })
        });
        Self { digest: record.digest, rare, uses }
    }

    /// The same of a grant; `None` until its code was redeemed. Its access tokens and its own end are what expires. One
    /// whose client has given all of them back accepts nothing, and its rate goes on: else giving back would buy another.
    pub(super) fn of_grant(record: &GrantRecord, at: Revision, former: Option<&Self>) -> Option<Self> {
        let Stage::Exchanged(exchanged) = &record.stage else { return None };
        let (digest, until, older) = match exchanged.access.split_first() {
            Some((newest, older)) => (newest.digest, newest.expires_at, older),
            // The refresh token's, which no bearer credential has.
            None => (exchanged.live.digest, Timestamp(0), &[][..]),
        };
        let uses = former.map(|former| former.uses.clone()).unwrap_or_default();
        let previous =
            older.iter().map(|old| PreviousSecret { digest: old.digest, valid_until: old.expires_at });
        let ends_at = record.expires_at.map_or(until, |end| end.min(until));
        let rare = Rare {
            previous: previous.collect(),
            sources: record.sources.as_ref().map(|sources| sources.as_slice().into()),
            expires_at: Some(ends_at),
            enabled: true,
            granted: Some(Granted { scopes: record.scopes, audience: record.resource.as_str().into(), at }),
        };
        Some(Self { digest, rare: Some(Arc::new(rare)), uses })
    }

    /// What it may do.
    pub(super) fn scopes(&self) -> ScopeSet {
        let granted = self.rare.as_ref().and_then(|rare| rare.granted.as_ref());
        granted.map_or(ScopeSet::ALL, |granted| granted.scopes)
    }

    /// Which resource it is for; `None` for a key.
    pub(super) fn audience(&self) -> Option<&str> {
        Some(&*self.rare.as_ref()?.granted.as_ref()?.audience)
    }

    /// The revision of the grant's record that this shows; `None` for a key.
    pub(super) fn grant_revision(&self) -> Option<Revision> {
        Some(self.rare.as_ref()?.granted.as_ref()?.at)
    }

    #[cfg(test)]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest.matches(&other.digest)
    }

    /// The only sources that it reaches; `None` for all.
    pub(super) fn sources(&self) -> Option<Arc<[SourceId]>> {
        self.rare.as_ref()?.sources.clone()
    }

    pub(super) fn limits(&self) -> KeyLimits<'_> {
        let rare = self.rare.as_deref();
        KeyLimits {
            sources: rare.and_then(|rare| rare.sources.as_deref()),
            expires_at: rare.and_then(|rare| rare.expires_at),
        }
    }

    /// Until when a digest that is accepted now stays so, if nobody changes the key.
    pub(super) fn accepted_until(&self, digest: &Digest) -> Timestamp {
        // The end of time for a key that does not expire.
        let never = Timestamp(i64::MAX);
        let Some(rare) = &self.rare else { return never };
        let expires_at = rare.expires_at.unwrap_or(never);
        let previous = rare.previous.iter().filter(|previous| previous.digest.matches(digest));
        match previous.map(|previous| previous.valid_until).max() {
            Some(overlap) if !self.digest.matches(digest) => overlap.min(expires_at),
            _ => expires_at,
        }
    }

    /// Holds a digest against the key. Pure; every secret is compared in constant time.
    pub fn accepts(&self, digest: &Digest, now: Timestamp) -> Result<(), Refusal> {
        let current = self.digest.matches(digest);
        match &self.rare {
            None if current => Ok(()),
            None => Err(Refusal::Unknown),
            Some(rare) => rare.accepts(current, digest, now),
        }
    }
}

impl Rare {
    /// The same where `current` says whether the key's own secret matched.
    fn accepts(&self, current: bool, digest: &Digest, now: Timestamp) -> Result<(), Refusal> {
        let mut known = current;
        for previous in &self.previous {
            known |= previous.digest.matches(digest) & (now < previous.valid_until);
        }
        match () {
            () if !known => Err(Refusal::Unknown),
            () if !self.enabled => Err(Refusal::Disabled),
            () if self.expires_at.is_some_and(|expires_at| now >= expires_at) => Err(Refusal::Expired),
            () => Ok(()),
        }
    }
}

/// Everything that a request of this organization is decided by, side by side: of 100,000 organizations none is in a
/// cache when it is asked for.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct View {
    /// By key id. One change among 100,000 keys copies a few, not all.
    pub(super) keys: Keyring,
    /// The store's revision that it shows.
    pub(super) revision: Revision,
    /// By source id, in the order of their names for lists.
    pub(super) sources: Arc<[Arc<Source>]>,
    /// What a request with a key does not look at, out of its way.
    pub(super) apart: Arc<Apart>,
}

/// People and the apps that they have authorized.
#[derive(Clone, Default)]
pub(super) struct Apart {
    /// What each member is.
    pub(super) members: Members,
    /// Grants that have access tokens.
    pub(super) grants: Keyring,
    /// Which apps may be authorized.
    pub(super) policy: AppPolicyRecord,
}

impl View {
    /// Verifies a credential. Pure but for the relaxed counters of the key.
    pub fn verify(&self, credential: &Credential, now: Timestamp) -> Result<&KeyView, Refusal> {
        let ring = match credential.kind {
            CredentialKind::Key => &self.keys,
            CredentialKind::Access => &self.apart.grants,
        };
        let key = ring.get(&credential.id).ok_or(Refusal::Unknown)?;
        key.accepts(&credential.digest, now)?;
        Ok(key)
    }

    /// Whether a grant is shown as its record was written at this revision.
    pub(super) fn shows_grant_at(&self, id: &KeyId, at: Revision) -> bool {
        self.apart.grants.get(id).and_then(KeyView::grant_revision) == Some(at)
    }

    /// The key or the grant of an id.
    pub(super) fn find(&self, id: &KeyId) -> Option<&KeyView> {
        self.keys.get(id).or_else(|| self.apart.grants.get(id))
    }

    pub(super) fn members(&self) -> &Members {
        &self.apart.members
    }

    /// Takes keys and grants out.
    pub(super) fn remove(&mut self, ids: &[KeyId]) {
        for id in ids {
            if self.keys.get(id).is_some() {
                self.keys.remove(id);
            } else if self.apart.grants.get(id).is_some() {
                self.apart_mut().grants.remove(id);
            }
        }
    }

    /// Shows a grant as it was written at this revision; whether it reaches less than before.
    pub(super) fn put_grant(&mut self, id: KeyId, record: &GrantRecord, at: Revision) -> bool {
        let former = self.apart.grants.get(&id);
        let grant = KeyView::of_grant(record, at, former);
        let is_narrower =
            former.zip(grant.as_ref()).is_some_and(|(old, new)| !new.limits().cover(old.limits()));
        match grant {
            Some(grant) => self.apart_mut().grants.insert(id, grant),
            None => self.apart_mut().grants.remove(&id),
        }
        is_narrower
    }

    /// People and apps, to be changed before this view is published.
    pub(super) fn apart_mut(&mut self) -> &mut Apart {
        Arc::make_mut(&mut self.apart)
    }

    /// The data sources of the organization, by name.
    pub fn sources(&self) -> &[Arc<Source>] {
        &self.sources
    }
}

/// What a request reads and writes of a cell, in one cache line.
#[repr(align(64))]
struct Hot {
    // `None` is closed.
    view: ArcSwapOption<View>,
    last_used_ms: AtomicI64,
    // For the clock algorithm of eviction: used since the hand came by.
    marked: AtomicBool,
    requests: RateCell,
}

const _: () = assert!(size_of::<Hot>() == 64, "one cache line");
const _: () = assert!(size_of::<View>() == 192, "one cache line, and one for each of the few keys");

/// Where readers find an organization's view. Belongs to the registry's entry and outlives the actor.
pub(super) struct ViewCell {
    hot: Hot,
    // The newest publisher's number; only that one may write. Readers never take this lock.
    incarnation: Mutex<u64>,
    // Wakes those who wait for another view. Readers of requests do not touch it.
    published: Notify,
}

impl ViewCell {
    /// Counts as used now.
    pub(super) fn closed(now: Timestamp) -> Self {
        Self {
            hot: Hot {
                view: ArcSwapOption::empty(),
                last_used_ms: AtomicI64::new(now.0),
                marked: AtomicBool::new(true),
                requests: RateCell::default(),
            },
            incarnation: Mutex::new(0),
            published: Notify::new(),
        }
    }

    /// How many requests the organization has made lately.
    pub(super) fn requests(&self) -> &RateCell {
        &self.hot.requests
    }

    /// Notes that the organization is used.
    pub(super) fn touch(&self, now: Timestamp) {
        // Written at most once a second, so that readers do not fight for a cache line.
        if now.0 - self.hot.last_used_ms.load(Ordering::Relaxed) >= 1_000 {
            self.hot.last_used_ms.store(now.0, Ordering::Relaxed);
        }
        if !self.hot.marked.load(Ordering::Relaxed) {
            self.hot.marked.store(true, Ordering::Relaxed);
        }
    }

    /// When it was used last, within a second.
    pub(super) fn last_used(&self) -> Timestamp {
        Timestamp(self.hot.last_used_ms.load(Ordering::Relaxed))
    }

    /// Whether it was used since this was asked last.
    pub(super) fn unmark(&self) -> bool {
        self.hot.marked.swap(false, Ordering::Relaxed)
    }

    /// The view that this node may serve now, or `None` where it is closed or the fence does not hold. Lock-free.
    ///
    /// The fence is asked first. Asked afterwards, it could hold again because the node has caught up meanwhile,
    /// and would be taken to speak of the view from before.
    pub(super) fn served(&self, fence: &Fence) -> arc_swap::Guard<Option<Arc<View>>> {
        if fence.holds() { self.hot.view.load() } else { arc_swap::Guard::from_inner(None) }
    }

    /// The view now, or `None` where it is closed; not for what is served. Lock-free.
    pub(super) fn load(&self) -> arc_swap::Guard<Option<Arc<View>>> {
        self.hot.view.load()
    }

    /// Wakes when a view is published or closed after it was enabled.
    pub(super) fn published(&self) -> Notified<'_> {
        self.published.notified()
    }

    fn show(&self, view: Option<Arc<View>>) {
        self.hot.view.store(view);
        self.published.notify_waiters();
    }

    /// A new publisher; all former ones can write nothing from here on.
    pub(super) fn publisher(self: &Arc<Self>) -> Publisher {
        let mut incarnation = self.incarnation.lock();
        *incarnation += 1;
        self.show(None);
        Publisher { cell: Arc::clone(self), incarnation: *incarnation }
    }

    /// Closes for good: no publisher made so far can open it again.
    pub(super) fn close(&self) {
        let mut incarnation = self.incarnation.lock();
        *incarnation += 1;
        self.show(None);
    }

    /// Closes, unless `stays_open_if` says otherwise after the view has been withdrawn; then the
    /// view comes back as it was. How eviction looks for calls that began while it decided.
    pub(super) fn close_unless(&self, stays_open_if: impl FnOnce() -> bool) -> bool {
        let mut incarnation = self.incarnation.lock();
        let view = self.hot.view.swap(None);
        if stays_open_if() {
            self.hot.view.store(view);
            return false;
        }
        *incarnation += 1;
        self.published.notify_waiters();
        true
    }
}

/// The actor's right to write its cell. Dropping it closes the cell: a dead actor serves nobody.
pub(super) struct Publisher {
    cell: Arc<ViewCell>,
    incarnation: u64,
}

impl Publisher {
    /// Shows readers a new view. False where this publisher was superseded.
    pub(super) fn publish(&self, view: Arc<View>) -> bool {
        let incarnation = self.cell.incarnation.lock();
        let mine = *incarnation == self.incarnation;
        if mine {
            self.cell.show(Some(view));
        }
        mine
    }

    /// Closes the cell, if it is still this publisher's.
    pub(super) fn close(&self) {
        let incarnation = self.cell.incarnation.lock();
        if *incarnation == self.incarnation {
            self.cell.show(None);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Rng;
    use crate::credential::{KeyId, OrgId, PlainKey};
    use crate::org::record::Owner;

    fn empty() -> Arc<View> {
        Arc::new(View {
            revision: Revision(0),
            keys: Default::default(),
            sources: Arc::new([]),
            apart: Arc::default(),
        })
    }

    fn key() -> (PlainKey, Credential, KeyRecord) {
        let rng = Rng::system();
        let plain = PlainKey::mint(KeyId::mint(&rng).unwrap(), OrgId::mint(&rng).unwrap(), &rng).unwrap();
        let credential = Credential::parse(plain.reveal()).unwrap();
        let record = KeyRecord {
            name: "k".into(),
            owner: Owner::Org,
            created_at: Timestamp(0),
            expires_at: None,
            enabled: true,
            sources: None,
            digest: plain.digest(),
            previous: Vec::new(),
            suspended: None,
            made_for: None,
        };
        (plain, credential, record)
    }

    #[test]
    fn a_key_expires_at_its_moment_and_not_before() {
        let (_, credential, mut record) = key();
        record.expires_at = Some(Timestamp(1_000));
        let view = KeyView::new(&record, None);
        assert_eq!(view.accepts(&credential.digest, Timestamp(999)), Ok(()));
        assert_eq!(view.accepts(&credential.digest, Timestamp(1_000)), Err(Refusal::Expired));
    }

    #[test]
    fn a_rotated_secret_lives_until_its_overlap_ends() {
        let (_, old, record) = key();
        let (_, new, mut rotated) = key();
        rotated.previous = vec![PreviousSecret { digest: record.digest, valid_until: Timestamp(500) }];
        let view = KeyView::new(&rotated, None);
        assert_eq!(view.accepts(&old.digest, Timestamp(499)), Ok(()));
        assert_eq!(view.accepts(&old.digest, Timestamp(500)), Err(Refusal::Unknown));
        assert_eq!(view.accepts(&new.digest, Timestamp(500)), Ok(()));
    }

    #[test]
    fn a_disabled_key_is_told_apart_only_behind_the_right_secret() {
        let (_, credential, mut record) = key();
        let (_, other, _) = key();
        record.enabled = false;
        let view = KeyView::new(&record, None);
        assert_eq!(view.accepts(&credential.digest, Timestamp(0)), Err(Refusal::Disabled));
        assert_eq!(view.accepts(&other.digest, Timestamp(0)), Err(Refusal::Unknown));
    }

    #[test]
    fn a_dropped_publisher_closes_the_cell() {
        let cell = Arc::new(ViewCell::closed(Timestamp(0)));
        let publisher = cell.publisher();
        assert!(publisher.publish(empty()));
        assert!(cell.load().is_some());
        drop(publisher);
        assert!(cell.load().is_none());
    }

    #[test]
    fn a_superseded_publisher_neither_opens_nor_closes() {
        let cell = Arc::new(ViewCell::closed(Timestamp(0)));
        let old = cell.publisher();
        let new = cell.publisher();
        assert!(new.publish(empty()));
        assert!(!old.publish(empty()));
        drop(old);
        assert!(cell.load().is_some());
        cell.close();
        assert!(!new.publish(empty()));
        assert!(cell.load().is_none());
    }

    #[test]
    fn a_use_is_written_down_at_most_once_a_minute() {
        let uses = Uses::default();
        assert!(uses.note(Timestamp(100_000)));
        assert!(!uses.note(Timestamp(100_500)));
        assert!(!uses.note(Timestamp(102_000)), "it waits already");
        assert_eq!(uses.collect(), Some(Timestamp(102_000)));
        assert!(!uses.note(Timestamp(161_999)), "a minute has not passed since it was written down");
        assert_eq!(uses.last(), Some(Timestamp(161_000)));
        assert!(uses.note(Timestamp(163_000)));
    }
}
