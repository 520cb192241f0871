//! The keys of one view, by id: a map that is small, quick to read and cheap to change.
//!
//! An organization may have 100,000 keys, and the keys of all active organizations stay in memory.
//! They lie side by side in buckets of a few, sorted, behind one directory: a look-up touches the
//! directory, a bucket and nothing else, because each step that is not in a cache costs as much as
//! comparing a digest. A change copies the directory's pointers and one bucket; the rest is shared
//! with the views before. With 100,000 keys loaded a server's memory grows by 24 MiB; with a trie of single
//! entries it grew by 40.
//!
//! **Invariant:** it answers as a map does, whatever was put and removed (`a_keyring_is_a_map`).

use std::sync::Arc;

use super::view::KeyView;
use crate::credential::KeyId;

/// Keys that a bucket holds on average at most, while there are few buckets.
const BUCKET_KEYS: usize = 8;
/// Most buckets. A change counts up each one's references, some 10 µs at this many, well below the
/// sync that it waits for anyway; above it buckets grow, to about 50 keys where there are 100,000.
const BUCKETS_MAX: usize = 2_048;

/// Up to this many are looked at one after the other. Keys are seldom in a cache: the processor fetches the
/// next one of a row while it compares, but the next one of a binary search only afterwards.
const SCANNED_KEYS_MAX: usize = 24;

type Bucket = Arc<[(KeyId, KeyView)]>;

/// Keys by id. Clones share everything.
#[derive(Clone)]
pub(super) struct Keyring {
    // As many as a power of two.
    buckets: Arc<[Bucket]>,
    len: usize,
}

/// Which of `buckets` an id belongs to. Ids are random and minted here, so nobody can aim at a bucket.
fn bucket_of(id: &KeyId, buckets: usize) -> usize {
    let spread = id.fold().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (spread >> 32) as usize & (buckets - 1)
}

fn buckets_for(keys: usize) -> usize {
    keys.div_ceil(BUCKET_KEYS).next_power_of_two().min(BUCKETS_MAX)
}

impl Keyring {
    /// How many keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: &KeyId) -> Option<&KeyView> {
        let bucket = &self.buckets[bucket_of(id, self.buckets.len())];
        if bucket.len() <= SCANNED_KEYS_MAX {
            return bucket.iter().find(|(at, _)| at == id).map(|(_, key)| key);
        }
        let at = bucket.binary_search_by(|(at, _)| at.cmp(id)).ok()?;
        Some(&bucket[at].1)
    }

    /// Adds a key, or replaces the one of this id.
    pub(super) fn insert(&mut self, id: KeyId, key: KeyView) {
        if buckets_for(self.len + 1) > self.buckets.len() {
            let all = self.buckets.iter().flat_map(|bucket| bucket.iter().cloned());
            *self = Self::spread(all.collect(), buckets_for(self.len + 1));
        }
        self.change(&id, |bucket, at| match at {
            Ok(at) => bucket[at].1 = key,
            Err(at) => bucket.insert(at, (id, key)),
        });
    }

    pub(super) fn remove(&mut self, id: &KeyId) {
        self.change(id, |bucket, at| {
            if let Ok(at) = at {
                bucket.remove(at);
            }
        });
    }

    fn change(&mut self, id: &KeyId, change: impl FnOnce(&mut Vec<(KeyId, KeyView)>, Result<usize, usize>)) {
        let index = bucket_of(id, self.buckets.len());
        let mut bucket = self.buckets[index].to_vec();
        let before = bucket.len();
        let at = bucket.binary_search_by(|(at, _)| at.cmp(id));
        change(&mut bucket, at);
        self.len = self.len - before + bucket.len();
        let changed: Bucket = bucket.into();
        let same = |(at, old): (usize, &Bucket)| Arc::clone(if at == index { &changed } else { old });
        self.buckets = self.buckets.iter().enumerate().map(same).collect();
    }

    fn spread(keys: Vec<(KeyId, KeyView)>, buckets: usize) -> Self {
        let len = keys.len();
        let mut spread: Vec<Vec<_>> = vec![Vec::new(); buckets];
        for (id, key) in keys {
            spread[bucket_of(&id, buckets)].push((id, key));
        }
        let sorted = spread.into_iter().map(|mut bucket| {
            bucket.sort_unstable_by_key(|(id, _)| *id);
            Bucket::from(bucket)
        });
        Self { buckets: sorted.collect(), len }
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::spread(Vec::new(), 1)
    }
}

/// Of distinct ids, in any order.
impl FromIterator<(KeyId, KeyView)> for Keyring {
    fn from_iter<I: IntoIterator<Item = (KeyId, KeyView)>>(keys: I) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        let buckets = buckets_for(keys.len());
        Self::spread(keys, buckets)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::context::{Rng, Timestamp};
    use crate::credential::{OrgId, PlainKey};
    use crate::org::record::{KeyRecord, Owner};

    fn id(number: u32) -> KeyId {
        format!("{number:010}").parse().unwrap()
    }

    fn keys(count: u32) -> Vec<KeyView> {
        let rng = Rng::system();
        let org = OrgId::mint(&rng).unwrap();
        let view = |number| {
            let digest = PlainKey::mint(id(number), org, &rng).unwrap().digest();
            let record = KeyRecord {
                name: number.to_string(),
                owner: Owner::Org,
                created_at: Timestamp(0),
                expires_at: None,
                enabled: true,
                sources: None,
                digest,
                previous: Vec::new(),
            };
            KeyView::new(&record, None)
        };
        (0..count).map(view).collect()
    }

    fn same(found: Option<&KeyView>, expected: Option<&KeyView>) -> bool {
        match (found, expected) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is_same(b),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_keyring_is_a_map(
            first in prop::collection::btree_set(0u32..200, 0..100),
            steps in prop::collection::vec((0u32..200, any::<bool>(), 0usize..4), 0..200),
        ) {
            let views = keys(4);
            let mut model: BTreeMap<u32, KeyView> = first.iter().map(|n| (*n, views[0].clone())).collect();
            let mut ring: Keyring = model.iter().map(|(n, key)| (id(*n), key.clone())).collect();
            let (before, frozen) = (model.clone(), ring.clone());
            for (number, put, which) in steps {
                if put {
                    model.insert(number, views[which].clone());
                    ring.insert(id(number), views[which].clone());
                } else {
                    model.remove(&number);
                    ring.remove(&id(number));
                }
                prop_assert_eq!(ring.len(), model.len());
            }
            for number in 0..200 {
                prop_assert!(same(ring.get(&id(number)), model.get(&number)));
                // What was published before stays as it was.
                prop_assert!(same(frozen.get(&id(number)), before.get(&number)));
            }
        }
    }
}
