//! A hasher for ids, which are random already.
//!
//! The standard one defends against keys that an attacker chooses. Ids in our maps are minted here;
//! a forged one is looked up and never put in, so it can neither fill a bucket nor slow anybody down.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps whose keys are [`Id`](crate::credential::Id)s.
pub(super) type BuildIdHasher = BuildHasherDefault<IdHasher>;

#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            // Both halves of the product, so that every bit of the id reaches every bit of the hash.
            let product = u128::from(self.0 ^ u64::from_le_bytes(padded) ^ 0xA076_1D64_78BD_642F)
                * u128::from(0xE703_7ED1_A0B4_28DB_u64);
            self.0 = (product as u64) ^ ((product >> 64) as u64);
        }
    }

    fn write_usize(&mut self, _length: usize) {
        // An id's length is its type's.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::context::Rng;
    use crate::credential::OrgId;

    #[test]
    fn random_ids_spread_over_the_high_and_the_low_bits() {
        let rng = Rng::system();
        let hashes: Vec<u64> =
            (0..4_096).map(|_| BuildIdHasher::default().hash_one(OrgId::mint(&rng).unwrap())).collect();
        for shift in [0, 20, 40, 52] {
            let distinct: HashSet<u64> = hashes.iter().map(|hash| (hash >> shift) & 0xfff).collect();
            // 4,096 random draws of 4,096 hit 63 % of them.
            assert!(distinct.len() > 2_300, "{} at {shift}", distinct.len());
        }
    }
}
