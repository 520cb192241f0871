//! The active organizations, by id: what every request looks its organization up in.
//!
//! Of 100,000 organizations none lies in a cache when it is asked for, so what a look-up costs is how many
//! places it has to fetch one after the other. Here it is one, and the organization's cell is the next:
//! a bucket holds a few organizations flat, and the pointers to all buckets are few enough to stay in a
//! cache. Readers wait for nobody and write to nothing that workers share; who changes a bucket copies it.
//!
//! **Invariant:** it answers as a map does, and an organization that is not changed is found at any moment
//! (`tests::it_is_a_map`, `tests::who_stays_is_found_while_others_come_and_go`).

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::entry::Entry;
use super::id_map::BuildIdHasher;
use super::view::ViewCell;
use crate::credential::OrgId;

/// Organizations of one bucket: four cache lines, of which a look-up nearly always needs one.
const BUCKET: usize = 8;
/// Organizations for each bucket when as many are active as may be. Then one bucket in fifty overflows into
/// a second one.
const PER_BUCKET: usize = BUCKET / 2;
/// Most buckets, whose pointers fill half a mebibyte.
const BUCKETS_MAX: usize = 1 << 16;

/// What is held of an active organization: what every request needs of one lies in the cell. Half a cache line.
#[derive(Clone)]
#[repr(align(32))]
pub(super) struct Active {
    id: OrgId,
    pub(super) cell: Arc<ViewCell>,
    pub(super) entry: Arc<Entry>,
}

const _: () = assert!(size_of::<Option<Active>>() == 32, "two to a cache line");

impl Active {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self { id: entry.id, cell: Arc::clone(&entry.cell), entry }
    }
}

/// Open addressing with linear probing, and nothing behind a free slot.
#[derive(Clone, Default)]
struct Bucket {
    slots: [Option<Active>; BUCKET],
    next: Option<Arc<Self>>,
}

impl Bucket {
    fn of(orgs: impl IntoIterator<Item = Active>) -> Option<Arc<Self>> {
        let mut bucket = Self::default();
        let mut rest = Vec::new();
        let mut is_empty = true;
        for org in orgs {
            is_empty = false;
            match bucket.free_slot(hash(&org.id)) {
                Some(slot) => *slot = Some(org),
                None => rest.push(org),
            }
        }
        bucket.next = if rest.is_empty() { None } else { Self::of(rest) };
        (!is_empty).then(|| Arc::new(bucket))
    }

    fn free_slot(&mut self, hash: u64) -> Option<&mut Option<Active>> {
        let (before, from) = self.slots.split_at_mut(Self::home(hash));
        from.iter_mut().chain(before).find(|slot| slot.is_none())
    }

    /// Where the search begins: by bits of the hash that have not chosen the bucket.
    fn home(hash: u64) -> usize {
        (hash >> 61) as usize
    }

    fn find(&self, id: &OrgId, hash: u64) -> Option<&Active> {
        let (before, from) = self.slots.split_at(Self::home(hash));
        for slot in from.iter().chain(before) {
            match slot {
                Some(org) if org.id == *id => return Some(org),
                Some(_) => {}
                None => return None,
            }
        }
        self.next.as_ref()?.find(id, hash)
    }

    fn for_each(&self, each: &mut impl FnMut(&Active)) {
        self.slots.iter().flatten().for_each(&mut *each);
        if let Some(next) = &self.next {
            next.for_each(each);
        }
    }
}

const _: () = assert!(BUCKET == 1 << (64 - 61), "a home is three bits");

fn hash(id: &OrgId) -> u64 {
    BuildIdHasher::default().hash_one(id)
}

/// The active organizations.
pub(super) struct ActiveOrgs {
    // A power of two of them.
    buckets: Box<[ArcSwapOption<Bucket>]>,
    len: AtomicUsize,
    // Held by whoever changes a bucket. A change is rare, beside it an organization was read from the store.
    changing: Mutex<()>,
}

impl ActiveOrgs {
    /// For about this many organizations; more are held as well, and found a little later.
    pub(super) fn for_about(most: usize) -> Self {
        let buckets = most.div_ceil(PER_BUCKET).next_power_of_two().min(BUCKETS_MAX);
        Self {
            buckets: (0..buckets).map(|_| ArcSwapOption::empty()).collect(),
            len: AtomicUsize::new(0),
            changing: Mutex::new(()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn bucket(&self, hash: u64) -> &ArcSwapOption<Bucket> {
        &self.buckets[hash as usize & (self.buckets.len() - 1)]
    }

    /// What `look` sees in the organization, if it is active. `look` must be short: who changes the bucket
    /// meanwhile has to find out that it is in use.
    pub(super) fn look<R>(&self, id: &OrgId, look: impl FnOnce(&Active) -> R) -> Option<R> {
        let hash = hash(id);
        let bucket = self.bucket(hash).load();
        bucket.as_ref()?.find(id, hash).map(look)
    }

    pub(super) fn get(&self, id: &OrgId) -> Option<Arc<Entry>> {
        self.look(id, |org| Arc::clone(&org.entry))
    }

    /// The organization's entry; the one that `make` makes where it has none.
    pub(super) fn get_or_insert_with(&self, id: OrgId, make: impl FnOnce() -> Arc<Entry>) -> Arc<Entry> {
        let _changing = self.changing.lock();
        if let Some(entry) = self.get(&id) {
            return entry;
        }
        let entry = make();
        self.change(id, |orgs| orgs.push(Active::new(Arc::clone(&entry))));
        self.len.fetch_add(1, Ordering::Relaxed);
        entry
    }

    /// Takes an entry out. Where another one stands by now, that one stays.
    pub(super) fn remove(&self, entry: &Arc<Entry>) {
        let _changing = self.changing.lock();
        if self.get(&entry.id).is_some_and(|found| Arc::ptr_eq(&found, entry)) {
            self.change(entry.id, |orgs| orgs.retain(|org| org.id != entry.id));
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts a changed copy in the place of the bucket of this id. Under the lock.
    fn change(&self, id: OrgId, change: impl FnOnce(&mut Vec<Active>)) {
        let bucket = self.bucket(hash(&id));
        let mut orgs = Vec::with_capacity(BUCKET);
        if let Some(bucket) = &*bucket.load() {
            bucket.for_each(&mut |org| orgs.push(org.clone()));
        }
        change(&mut orgs);
        bucket.store(Bucket::of(orgs));
    }

    /// Every organization that is active now. Those that come or go meanwhile may be among them or not.
    pub(super) fn for_each(&self, mut each: impl FnMut(&Active)) {
        for bucket in &self.buckets {
            if let Some(bucket) = &*bucket.load() {
                bucket.for_each(&mut each);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::context::Rng;
    use crate::org::tests::House;

    /// Entries of random ids.
    fn entries(house: &House, count: usize) -> Vec<Arc<Entry>> {
        let rng = Rng::system();
        (0..count).map(|_| house.registry.new_entry(OrgId::mint(&rng).unwrap())).collect()
    }

    fn listed(orgs: &ActiveOrgs) -> BTreeMap<OrgId, *const Entry> {
        let mut listed = BTreeMap::new();
        orgs.for_each(|org| {
            assert!(listed.insert(org.id, Arc::as_ptr(&org.entry)).is_none(), "listed twice");
        });
        listed
    }

    #[actix::test]
    async fn it_is_a_map() {
        let house = House::new();
        let all = entries(&house, 300);
        // From one bucket that overflows thirty-fold to many that hold one each.
        for most in [1, 20, 100, 1_000] {
            let orgs = ActiveOrgs::for_about(most);
            let mut model: BTreeMap<OrgId, *const Entry> = BTreeMap::new();
            // Every one goes in, every third out again, and every sixth in once more with another entry.
            for (number, entry) in all.iter().enumerate() {
                let inserted = orgs.get_or_insert_with(entry.id, || Arc::clone(entry));
                assert!(Arc::ptr_eq(&inserted, entry));
                model.insert(entry.id, Arc::as_ptr(entry));
                if number % 3 == 0 {
                    let gone = &all[number / 2];
                    orgs.remove(gone);
                    model.remove(&gone.id);
                }
                assert_eq!((orgs.len(), listed(&orgs)), (model.len(), model.clone()));
            }
            for entry in &all {
                let found = orgs.get(&entry.id).map(|found| Arc::as_ptr(&found));
                assert_eq!(found, model.get(&entry.id).copied());
                let kept = orgs.get_or_insert_with(entry.id, || house.registry.new_entry(entry.id));
                assert_eq!(found.is_some(), Arc::ptr_eq(&kept, entry), "who is there stays");
                // The former entry of an organization must not take the present one out.
                orgs.remove(entry);
                assert_eq!(orgs.get(&entry.id).is_some(), found.is_none());
            }
        }
    }

    #[actix::test]
    async fn who_stays_is_found_while_others_come_and_go() {
        let house = House::new();
        let (stay, go) = (entries(&house, 12), entries(&house, 12));
        // One bucket, so that every change copies those that stay.
        let orgs = ActiveOrgs::for_about(1);
        for entry in &stay {
            orgs.get_or_insert_with(entry.id, || Arc::clone(entry));
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut looks = 0;
                while !done.load(Ordering::Relaxed) || looks == 0 {
                    for entry in &stay {
                        let found = orgs.look(&entry.id, |found| Arc::ptr_eq(&found.entry, entry));
                        assert_eq!(found, Some(true));
                        looks += 1;
                    }
                }
            });
            for _ in 0..500 {
                for entry in &go {
                    orgs.get_or_insert_with(entry.id, || Arc::clone(entry));
                }
                go.iter().for_each(|entry| orgs.remove(entry));
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(orgs.len(), stay.len());
    }
}
