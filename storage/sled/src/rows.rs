//! What the log holds: one ordered tree of rows, told apart by their first byte. Owns every byte of keys and values.
//!
//! | row | key | value |
//! |---|---|---|
//! | format | `f` | version, 4 bytes |
//! | mark | `m` | the log's last word, 8 bytes, another one whenever it is closed in order |
//! | scope | `s` scope | revision, 8 bytes; the ids of the up to 8 commits of its unfinished block, 16 bytes each |
//! | block | `i` scope `\0` slot (1 byte) | the ids of 8 commits in a row, behind the revision of the first (8 bytes) |
//! | record | `r` scope `\0` key | revision, 8 bytes; kind, 1 byte; the value, or its length (4 bytes) where it is in chunks |
//! | chunk | `v` scope `\0` key, index (1 byte) | 4 KiB of a value, the last one less |
//! | change | `c` scope `\0` revision (8 bytes) | the keys that this commit wrote, each behind its length (2 bytes) |
//!
//! Numbers are big-endian, so that they sort. A scope's name holds no zero byte, so no scope's rows lie among another's.
//!
//! sled writes a row that changes anew, and what it replaces stays until a segment is half empty. So what changes with
//! each commit is kept small: ids of commits move into a block of their own once there are eight. (All 64 beside the
//! revision made the log of 100,000 records grow to 715 MiB under overwrites; blocks make that 314.)
//!
//! Values above 4 KiB are in chunks because sled writes a page of more than 128 KiB (a quarter of a segment) into a
//! file of its own that it never syncs: a leaf holds up to 17 rows before it splits, and 17 × (4 KiB + 334 bytes of
//! key) are 74 KiB (`no_value_makes_sled_write_a_file_that_it_does_not_sync`).

use bytes::Bytes;
use sequel_store::{CommitId, Key, Scope, VALUE_BYTES_MAX};

use crate::fault::Fault;

/// The version of this layout.
pub(crate) const VERSION: u32 = 1;
/// The row that says so.
pub(crate) const FORMAT: &[u8] = b"f";
/// The row that is written last.
pub(crate) const MARK: &[u8] = b"m";
/// Commit ids that a scope remembers; the trait promises 64.
const COMMITS_KEPT: u64 = 64;
/// Commits in one block.
const BLOCK_COMMITS: usize = 8;
/// Blocks of a scope that are kept. With the unfinished one they hold 65 commits at least.
const BLOCKS: u64 = COMMITS_KEPT / BLOCK_COMMITS as u64;
/// Bytes of a value in one row.
pub(crate) const CHUNK_BYTES: usize = 4096;

const SCOPE: u8 = b's';
const RECORD: u8 = b'r';
const CHUNK: u8 = b'v';
const CHANGE: u8 = b'c';
const BLOCK: u8 = b'i';

/// Where a scope's state is.
pub(crate) fn scope_row(scope: &Scope) -> Vec<u8> {
    [&[SCOPE], scope.as_str().as_bytes()].concat()
}

/// Where every scope's state is.
pub(crate) fn all_scopes() -> [u8; 1] {
    [SCOPE]
}

/// What every record's row of a scope begins with; the record's key follows.
pub(crate) fn records(scope: &Scope) -> Vec<u8> {
    within(RECORD, scope)
}

/// What every record's row begins with.
pub(crate) fn all_records() -> [u8; 1] {
    [RECORD]
}

/// Behind every record's row.
pub(crate) fn behind_records() -> Vec<u8> {
    vec![RECORD + 1]
}

/// Where a record is.
pub(crate) fn record_row(scope: &Scope, key: &Key) -> Vec<u8> {
    [&records(scope), key.as_bytes()].concat()
}

/// Where the chunk `index` of a record's value is.
pub(crate) fn chunk_row(scope: &Scope, key: &Key, index: usize) -> Vec<u8> {
    let index = u8::try_from(index).expect("64 KiB are 16 chunks");
    [&within(CHUNK, scope), key.as_bytes(), &[index]].concat()
}

/// Every chunk's first byte.
pub(crate) fn all_chunks() -> [u8; 1] {
    [CHUNK]
}

/// Where a block of a scope's commits is.
pub(crate) fn block_row(scope: &Scope, slot: u8) -> Vec<u8> {
    [&within(BLOCK, scope)[..], &[slot]].concat()
}

/// What every change of a scope begins with; the revision follows.
pub(crate) fn changes(scope: &Scope) -> Vec<u8> {
    within(CHANGE, scope)
}

/// Where the commit of this revision says which keys it wrote.
pub(crate) fn change_row(scope: &Scope, revision: u64) -> Vec<u8> {
    [&changes(scope)[..], &revision.to_be_bytes()].concat()
}

fn within(kind: u8, scope: &Scope) -> Vec<u8> {
    [&[kind], scope.as_str().as_bytes(), &[0]].concat()
}

/// The scope and the key of a record's row.
pub(crate) fn parse_record_row(row: &[u8]) -> Result<(Scope, Key), Fault> {
    let damaged = || Fault::Damaged(format!("a record's row is named {}", row.escape_ascii()));
    let row = row.strip_prefix(&[RECORD]).ok_or_else(damaged)?;
    let end = row.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let scope = std::str::from_utf8(&row[..end]).ok().and_then(|name| Scope::parse(name).ok());
    let key = Key::new(Bytes::copy_from_slice(&row[end + 1..])).map_err(|_| damaged())?;
    Ok((scope.ok_or_else(damaged)?, key))
}

/// How many rows a value of this length takes beside its record's own.
pub(crate) fn chunks(value_bytes: usize) -> usize {
    if value_bytes <= CHUNK_BYTES { 0 } else { value_bytes.div_ceil(CHUNK_BYTES) }
}

/// A scope's state.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ScopeState {
    pub(crate) revision: u64,
    /// Of the unfinished block, the newest last.
    commits: Vec<CommitId>,
}

impl ScopeState {
    /// The revision that this commit made, where it is among the latest 64.
    pub(crate) fn revision_of(
        &self,
        id: CommitId,
        block: impl Fn(u8) -> Result<Option<Block>, Fault>,
    ) -> Result<Option<u64>, Fault> {
        let oldest = (self.revision + 1).saturating_sub(COMMITS_KEPT);
        let remembered = |revision: &u64| (oldest..=self.revision).contains(revision);
        let newest =
            Block { first: self.revision + 1 - self.commits.len() as u64, commits: self.commits.clone() };
        if let Some(revision) = newest.revision_of(id) {
            return Ok(Some(revision));
        }
        // A scope with fewer commits than a block has none finished.
        let finished = if self.revision > BLOCK_COMMITS as u64 { BLOCKS } else { 0 };
        for slot in 0..finished {
            let found = block(u8::try_from(slot).expect("8 slots"))?.and_then(|block| block.revision_of(id));
            if let Some(revision) = found.filter(remembered) {
                return Ok(Some(revision));
            }
        }
        Ok(None)
    }

    /// One more commit. Answers the block that it leaves behind, where it begins another one, and its slot.
    pub(crate) fn advance(&mut self, id: CommitId) -> Option<(u8, Block)> {
        let finished = (self.commits.len() == BLOCK_COMMITS).then(|| {
            let first = self.revision + 1 - BLOCK_COMMITS as u64;
            let slot = u8::try_from(first / BLOCK_COMMITS as u64 % BLOCKS).expect("8 slots");
            (slot, Block { first, commits: std::mem::take(&mut self.commits) })
        });
        self.revision += 1;
        self.commits.push(id);
        finished
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode_ids(self.revision, &self.commits)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        match decode_ids(bytes) {
            Some((revision, commits)) if commits.len() as u64 <= revision => Ok(Self { revision, commits }),
            _ => Err(Fault::Damaged("a scope's state has another form".to_owned())),
        }
    }
}

/// The ids of commits in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// The revision that the first of them made.
    first: u64,
    commits: Vec<CommitId>,
}

impl Block {
    fn revision_of(&self, id: CommitId) -> Option<u64> {
        self.commits.iter().zip(self.first..).find_map(|(known, revision)| (*known == id).then_some(revision))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode_ids(self.first, &self.commits)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let (first, commits) = decode_ids(bytes)
            .ok_or_else(|| Fault::Damaged("a block of commits has another form".to_owned()))?;
        Ok(Self { first, commits })
    }
}

fn encode_ids(revision: u64, ids: &[CommitId]) -> Vec<u8> {
    let mut bytes = revision.to_be_bytes().to_vec();
    bytes.extend(ids.iter().flat_map(|id| id.0));
    bytes
}

fn decode_ids(bytes: &[u8]) -> Option<(u64, Vec<CommitId>)> {
    let (revision, ids) = bytes.split_first_chunk()?;
    let (ids, []) = ids.as_chunks() else { return None };
    // No store comes near half of all revisions; so what is added to one never wraps.
    let revision = u64::from_be_bytes(*revision);
    (ids.len() <= BLOCK_COMMITS && revision < u64::MAX / 2)
        .then(|| (revision, ids.iter().copied().map(CommitId).collect()))
}

/// A record's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: u64,
    /// Whether it is on the log lane.
    pub(crate) log: bool,
    pub(crate) value: Value,
}

/// What a record's row says of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A tombstone.
    Deleted,
    Whole(Bytes),
    /// In chunks, this many bytes in all.
    Chunked(usize),
}

const LOG: u8 = 1;
const DELETED: u8 = 2;
const CHUNKED: u8 = 4;

impl Head {
    /// How many chunks belong to it.
    pub(crate) fn chunks(&self) -> usize {
        if let Value::Chunked(bytes) = self.value { chunks(bytes) } else { 0 }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.revision.to_be_bytes().to_vec();
        let (kind, rest) = match &self.value {
            Value::Deleted => (DELETED, Bytes::new()),
            Value::Whole(value) => (0, value.clone()),
            Value::Chunked(bytes) => {
                let bytes = u32::try_from(*bytes).expect("a value is 64 KiB at most");
                (CHUNKED, Bytes::copy_from_slice(&bytes.to_be_bytes()))
            }
        };
        bytes.push(kind | if self.log { LOG } else { 0 });
        bytes.extend_from_slice(&rest);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let damaged = || Fault::Damaged("a record's row has another form".to_owned());
        let (revision, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (kind, rest) = rest.split_first().ok_or_else(damaged)?;
        let value = match kind & !LOG {
            0 if rest.len() <= CHUNK_BYTES => Value::Whole(Bytes::copy_from_slice(rest)),
            DELETED if rest.is_empty() => Value::Deleted,
            CHUNKED => {
                let bytes = rest.try_into().map(u32::from_be_bytes).map_err(|_| damaged())? as usize;
                if !(CHUNK_BYTES + 1..=VALUE_BYTES_MAX).contains(&bytes) {
                    return Err(damaged());
                }
                Value::Chunked(bytes)
            }
            _ => return Err(damaged()),
        };
        Ok(Self { revision: u64::from_be_bytes(*revision), log: kind & LOG != 0, value })
    }
}

/// The keys of one commit, as its change's row holds them.
pub(crate) fn encode_keys<'a>(keys: impl Iterator<Item = &'a Key>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for key in keys {
        let length = u16::try_from(key.as_bytes().len()).expect("a key is 256 bytes at most");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(key.as_bytes());
    }
    bytes
}

/// What [`encode_keys`] wrote.
pub(crate) fn decode_keys(mut bytes: &[u8]) -> Result<Vec<Key>, Fault> {
    let damaged = || Fault::Damaged("a change's row has another form".to_owned());
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or_else(damaged)?;
        keys.push(Key::new(Bytes::copy_from_slice(key)).map_err(|_| damaged())?);
        bytes = rest;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_written_is_read_back_and_no_other_form_is() {
        let mut state = ScopeState::default();
        for n in 0..12u8 {
            if let Some((_, block)) = state.advance(CommitId([n; 16])) {
                assert_eq!(Block::decode(&block.encode()).unwrap(), block);
            }
            assert_eq!(ScopeState::decode(&state.encode()).unwrap(), state);
        }
        for value in [
            Value::Deleted,
            Value::Whole(Bytes::from("v")),
            Value::Whole(Bytes::new()),
            Value::Chunked(65_536),
        ] {
            for log in [false, true] {
                let head = Head { revision: 7, log, value: value.clone() };
                assert_eq!(Head::decode(&head.encode()).unwrap(), head);
            }
        }
        let keys = [&b"a"[..], b"\0", &[0xFF; 256]].map(|key| Key::new(key.to_vec()).unwrap());
        assert_eq!(decode_keys(&encode_keys(keys.iter())).unwrap(), keys);
        for bytes in [&b""[..], &[0; 7], &[0; 9], &[0; 8 + 16], &[1; 8 + 9 * 16]] {
            assert!(ScopeState::decode(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            &[0; 8],
            &[0, 0, 0, 0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 0, 0, 0, 1, DELETED, 1],
            &[0, 0, 0, 0, 0, 0, 0, 1, CHUNKED, 0, 0, 0, 1],
        ] {
            assert!(Head::decode(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [&b"\0"[..], b"\0\x02a", b"\0\0"] {
            assert!(decode_keys(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_latest_64_commits_are_remembered_at_every_length_and_no_others() {
        let id = |revision: u64| CommitId(u128::from(revision).to_be_bytes());
        let (mut state, mut blocks) = (ScopeState::default(), std::collections::HashMap::new());
        for now in 1..=200 {
            blocks.extend(state.advance(id(now)));
            assert_eq!(state.revision, now);
            for revision in 0..=now + 1 {
                let found = state.revision_of(id(revision), |slot| Ok(blocks.get(&slot).cloned())).unwrap();
                let remembered = (1..=now).contains(&revision) && revision + 64 > now;
                assert_eq!(found, remembered.then_some(revision), "at {now}");
            }
        }
    }

    #[test]
    fn a_record_s_row_names_its_scope_and_its_key() {
        for (scope, key) in [(Scope::org("a").unwrap(), &b"\0/\0"[..]), (Scope::system("t").unwrap(), b"k")] {
            let key = Key::new(key.to_vec()).unwrap();
            assert_eq!(parse_record_row(&record_row(&scope, &key)).unwrap(), (scope, key));
        }
        for row in [&b"r"[..], b"rorg/a", b"rorg/a\0", b"rorg\0k", b"sorg/a\0k"] {
            assert!(parse_record_row(row).is_err(), "{row:?}");
        }
    }
}
