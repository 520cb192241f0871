//! The keys of one view, by id: a map that is small, quick to read and cheap to change.
//!
//! An organization may have 100,000 keys, and the keys of all active organizations stay in memory, most of
//! them outside of any cache: what a look-up costs is how many places it has to fetch one after the other.
//! So the keys of an organization that has a few lie within its view. More lie in flat tables with open
//! addressing, where one fetch nearly always finds the key; up to some hundred there is a single table, above
//! that a directory of such tables. A change copies one table; the rest is shared with the views before.
//!
//! **Invariant:** it answers as a map does, whatever was put and removed (`a_keyring_is_a_map`).

use std::num::NonZeroU64;
use std::sync::Arc;

use super::view::KeyView;
use crate::credential::KeyId;

/// Keys that a table holds on average at most, while there are few tables. Copying one takes some
/// microseconds, well below the sync that every change waits for anyway.
const TABLE_KEYS: usize = 256;
/// Most tables. A change counts up each one's references, some 10 µs at this many.
const TABLES_MAX: usize = 2_048;

/// Keys that lie within the view. Each takes up a cache line of every organization's view.
const FEW: usize = 2;

/// Keys by id. Clones share the tables. In this order, so that each of the few fills one cache line of a view.
#[derive(Clone)]
#[repr(C)]
pub(super) struct Keyring {
    // Empty where there are tables.
    few: [Option<Kept>; FEW],
    tables: Tables,
    len: usize,
}

#[derive(Clone)]
enum Tables {
    // All keys are among the few.
    None,
    One(Table),
    // As many as a power of two.
    Many(Arc<[Table]>),
}

/// Open addressing with linear probing, a fifth of the slots free: a key that is there is found after three
/// slots on average, one that is not after thirteen; they lie side by side.
#[derive(Clone)]
struct Table(Arc<[Slot]>);

/// One cache line, so that a request fetches the key, its digest and its uses at once. Free slots are `None`.
#[derive(Clone, Default)]
#[repr(align(64))]
struct Slot(Option<Kept>);

const _: () = assert!(size_of::<Slot>() == 64 && size_of::<Option<Kept>>() == 64, "each is one cache line");

#[derive(Clone)]
struct Kept {
    id: NonZeroU64,
    key: KeyView,
}

/// Spreads an id over 64 bits. Ids are random and minted here, so nobody can aim at a slot.
fn spread(id: NonZeroU64) -> u64 {
    id.get().wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn tables_for(keys: usize) -> usize {
    if keys <= FEW {
        return 0;
    }
    keys.div_ceil(TABLE_KEYS).next_power_of_two().min(TABLES_MAX)
}

impl Table {
    fn of(keys: Vec<Kept>) -> Self {
        // One more than the keys at least, so that every search comes to a free slot.
        let size = keys.len() + keys.len() / 4 + 1;
        let mut slots: Vec<Slot> = Vec::new();
        slots.resize_with(size, Slot::default);
        for kept in keys {
            let mut at = Self::home(kept.id, size);
            while slots[at].0.is_some() {
                at = (at + 1) % size;
            }
            slots[at] = Slot(Some(kept));
        }
        Self(slots.into())
    }

    /// Where the search for an id begins: the high half of its hash, scaled down.
    fn home(id: NonZeroU64, size: usize) -> usize {
        (((spread(id) >> 32) * size as u64) >> 32) as usize
    }

    fn get(&self, id: NonZeroU64) -> Option<&KeyView> {
        let (before, from) = self.0.split_at(Self::home(id, self.0.len()));
        for slot in from.iter().chain(before) {
            match &slot.0 {
                Some(kept) if kept.id == id => return Some(&kept.key),
                Some(_) => {}
                None => return None,
            }
        }
        None
    }

    fn keys(&self) -> impl Iterator<Item = &Kept> {
        self.0.iter().filter_map(|slot| slot.0.as_ref())
    }
}

impl Tables {
    /// Which of the tables an id belongs to: by bits of its hash of which the slot knows nothing, and not by
    /// the lowest, which only the first characters have a say in.
    fn index(id: NonZeroU64, tables: usize) -> usize {
        (spread(id) >> 20) as usize & (tables - 1)
    }

    fn as_slice(&self) -> &[Table] {
        match self {
            Self::None => &[],
            Self::One(table) => std::slice::from_ref(table),
            Self::Many(tables) => tables,
        }
    }

    /// One or more tables.
    fn of(keys: Vec<Kept>, tables: usize) -> Self {
        if tables == 1 {
            return Self::One(Table::of(keys));
        }
        let mut spread: Vec<Vec<_>> = vec![Vec::new(); tables];
        for kept in keys {
            spread[Self::index(kept.id, tables)].push(kept);
        }
        Self::Many(spread.into_iter().map(Table::of).collect())
    }
}

impl Keyring {
    /// How many keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: &KeyId) -> Option<&KeyView> {
        self.find(id.packed())
    }

    fn find(&self, id: NonZeroU64) -> Option<&KeyView> {
        match &self.tables {
            Tables::None => {
                let mut few = self.few.iter().flatten();
                few.find(|kept| kept.id == id).map(|kept| &kept.key)
            }
            Tables::One(table) => table.get(id),
            Tables::Many(tables) => tables[Tables::index(id, tables.len())].get(id),
        }
    }

    /// Adds a key, or replaces the one of this id.
    pub(super) fn insert(&mut self, id: KeyId, key: KeyView) {
        self.change(id.packed(), Some(key));
    }

    pub(super) fn remove(&mut self, id: &KeyId) {
        self.change(id.packed(), None);
    }

    /// Puts `key` in the place of what has this id, if anything.
    fn change(&mut self, id: NonZeroU64, key: Option<KeyView>) {
        let len = self.len - usize::from(self.find(id).is_some()) + usize::from(key.is_some());
        let tables = self.tables.as_slice();
        let others = |kept: &&Kept| kept.id != id;
        // Tables only grow in number, until all keys fit among the few.
        if tables.is_empty() || len <= FEW || tables_for(len) > tables.len() {
            let mut keys: Vec<_> = self.all().filter(others).cloned().collect();
            keys.extend(key.map(|key| Kept { id, key }));
            *self = Self::of(keys);
            return;
        }
        let index = Tables::index(id, tables.len());
        let mut keys: Vec<_> = tables[index].keys().filter(others).cloned().collect();
        keys.extend(key.map(|key| Kept { id, key }));
        let changed = Table::of(keys);
        match &mut self.tables {
            Tables::None => {}
            Tables::One(table) => *table = changed,
            Tables::Many(tables) => {
                let same = |(at, old): (usize, &Table)| if at == index { &changed } else { old }.clone();
                *tables = tables.iter().enumerate().map(same).collect();
            }
        }
        self.len = len;
    }

    fn all(&self) -> impl Iterator<Item = &Kept> {
        let few = self.few.iter().flatten();
        few.chain(self.tables.as_slice().iter().flat_map(Table::keys))
    }

    fn of(keys: Vec<Kept>) -> Self {
        let len = keys.len();
        let mut ring = Self { few: Default::default(), tables: Tables::None, len };
        match tables_for(len) {
            0 => ring.few.iter_mut().zip(keys).for_each(|(slot, kept)| *slot = Some(kept)),
            tables => ring.tables = Tables::of(keys, tables),
        }
        ring
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

/// Of distinct ids, in any order.
impl FromIterator<(KeyId, KeyView)> for Keyring {
    fn from_iter<I: IntoIterator<Item = (KeyId, KeyView)>>(keys: I) -> Self {
        Self::of(keys.into_iter().map(|(id, key)| Kept { id: id.packed(), key }).collect())
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
                suspended: None,
                made_for: None,
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
            // Many, and few among which the same ones come and go.
            (first, steps) in prop_oneof![Just(2_000u32), Just(5)].prop_flat_map(|ids| (
                prop::collection::btree_set(0..ids, 0..600.min(ids as usize)),
                prop::collection::vec((0..ids, any::<bool>(), 0usize..4), 0..200),
            )),
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
            for number in 0..2_000 {
                prop_assert!(same(ring.get(&id(number)), model.get(&number)));
                // What was published before stays as it was.
                prop_assert!(same(frozen.get(&id(number)), before.get(&number)));
            }
        }
    }

    #[test]
    fn random_keys_fill_all_tables_alike_and_are_found_after_a_few_slots() {
        let rng = Rng::system();
        let view = keys(1).remove(0);
        let all: Vec<KeyId> = (0..20_000).map(|_| KeyId::mint(&rng).unwrap()).collect();
        let ring: Keyring = all.iter().map(|id| (*id, view.clone())).collect();
        let tables = ring.tables.as_slice();
        assert_eq!(tables.len(), 128);
        // 156 keys a table on average; six standard deviations are 75.
        assert!(tables.iter().all(|table| (80..240).contains(&table.keys().count())));
        let probes: usize = tables
            .iter()
            .flat_map(|table| {
                let size = table.0.len();
                let away = move |(at, slot): (usize, &Slot)| {
                    slot.0.as_ref().map(|kept| 1 + (at + size - Table::home(kept.id, size)) % size)
                };
                table.0.iter().enumerate().filter_map(away)
            })
            .sum();
        assert!(probes < 5 * all.len(), "{probes}");
    }
}
