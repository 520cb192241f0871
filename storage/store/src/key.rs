//! Keys and ranges of keys inside one scope.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;
use thiserror::Error;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The name of a record inside its scope: 1..=256 bytes, ordered bytewise.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Bytes);

/// Bytes that are no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a key is 1 to {KEY_BYTES_MAX} bytes long, this one has {bytes}")]
pub struct KeyError {
    /// How many bytes were offered.
    pub bytes: usize,
}

impl Key {
    /// Checks the length; every byte value is legal.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
            return Err(KeyError { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}

/// Which keys a scan visits, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it starts.
    pub start: Bound<Bytes>,
    /// Where it ends.
    pub end: Bound<Bytes>,
}

impl KeyRange {
    /// Every key of the scope.
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        // The end is the prefix with its last byte that is not 0xFF raised by one; all 0xFF has no end.
        let end = match prefix.iter().rposition(|&b| b != 0xFF) {
            Some(at) => {
                let mut end = prefix[..=at].to_vec();
                end[at] += 1;
                Bound::Excluded(Bytes::from(end))
            }
            None => Bound::Unbounded,
        };
        Self { start: Bound::Included(prefix), end }
    }

    /// The same keys as `from <= key < to`, for backends whose ranges are closed below and open above.
    ///
    /// The immediate successor of a byte string is itself and a zero byte, and 257 bytes of 0xFF are above every key.
    /// `to` may be below `from`: the range is empty then.
    pub fn half_open(&self) -> (Vec<u8>, Vec<u8>) {
        let successor = |bytes: &Bytes| [&bytes[..], &[0]].concat();
        let from = match &self.start {
            Bound::Unbounded => Vec::new(),
            Bound::Included(bytes) => bytes.to_vec(),
            Bound::Excluded(bytes) => successor(bytes),
        };
        let to = match &self.end {
            Bound::Unbounded => vec![0xFF; KEY_BYTES_MAX + 1],
            Bound::Included(bytes) => successor(bytes),
            Bound::Excluded(bytes) => bytes.to_vec(),
        };
        (from, to)
    }

    /// The same range, continued behind `key`: how a caller asks for the next page.
    pub fn after(self, key: &Key) -> Self {
        Self { start: Bound::Excluded(key.to_bytes()), end: self.end }
    }
}
