//! The format of backups: one on every backend. Version 1:
//!
//! ```text
//! backup  = "SEQUEL BACKUP 1\n" head record* trailer
//! frame   = kind (1 byte: 'H', 'R', 'T'), length of the payload (4 bytes, big-endian), payload
//! head    = frame 'H' of JSON: made_at, sequel (the version that wrote it)
//! record  = frame 'R' of: length (1 byte) and text of the scope, length (2 bytes) and bytes of the key, the value
//! trailer = frame 'T' of JSON: records (how many), sha256 (of all bytes before this frame, hexadecimal)
//! ```
//!
//! Records are in the order of scopes and keys, each once. Revisions are not in it: they belong to one store. Nor is
//! any lane: that follows from what a record is. Nothing may follow the trailer. Reading knows no files; what is pushed
//! is decoded, with one frame in memory.
//!
//! **Invariant:** every file that is not wholly what was written is refused (`any_cut_and_any_flipped_bit_is_noticed`).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ring::digest::{Context, SHA256};
use sequel_store::{KEY_BYTES_MAX, Key, Scope, VALUE_BYTES_MAX};
use serde::{Deserialize, Serialize};

use super::BackupError;
use crate::context::Timestamp;

/// The version that is written.
pub(super) const VERSION: u32 = 1;
/// What a backup begins with; the version, in decimal, and a line feed follow.
pub(super) const MAGIC: &[u8] = b"SEQUEL BACKUP ";
/// Bytes of a first line at most: the longer of both magics and the digits of a version.
pub(super) const FIRST_LINE_MAX: usize = 32;
/// Bytes of a payload at most: the largest record with its lengths; head and trailer are far smaller.
const PAYLOAD_MAX: usize = 1 + 255 + 2 + KEY_BYTES_MAX + VALUE_BYTES_MAX;
/// Bytes before a payload.
const FRAME_HEAD: usize = 5;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// When the cut was made.
    pub made_at: Timestamp,
    /// The version of Sequel that made it.
    pub sequel: String,
}

#[derive(Serialize, Deserialize)]
struct Trailer {
    records: u64,
    sha256: String,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its scope.
    pub scope: Scope,
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Bytes,
}

/// Writes a backup, piece by piece.
pub(super) struct Encoder {
    hash: Context,
    records: u64,
}

impl Encoder {
    /// Begins; the bytes come first in the file.
    pub(super) fn begin(head: &Head) -> (Self, Bytes) {
        let mut out = BytesMut::new();
        out.put_slice(MAGIC);
        out.put_slice(format!("{VERSION}\n").as_bytes());
        frame(&mut out, b'H', &json(head));
        let mut hash = Context::new(&SHA256);
        hash.update(&out);
        (Self { hash, records: 0 }, out.freeze())
    }

    /// The next record, to the end of `out`.
    pub(super) fn record(&mut self, entry: &Entry, out: &mut BytesMut) {
        let (scope, key) = (entry.scope.as_str().as_bytes(), entry.key.as_bytes());
        let begin = out.len();
        let length = 1 + scope.len() + 2 + key.len() + entry.value.len();
        out.put_u8(b'R');
        out.put_u32(u32::try_from(length).expect("a scope, a key and a value have limits far below 4 GiB"));
        out.put_u8(u8::try_from(scope.len()).expect("a scope's name has at most 71 bytes"));
        out.put_slice(scope);
        out.put_u16(u16::try_from(key.len()).expect("a key has at most 256 bytes"));
        out.put_slice(key);
        out.put_slice(&entry.value);
        self.hash.update(&out[begin..]);
        self.records += 1;
    }

    /// Ends; the bytes come last.
    pub(super) fn end(self) -> Bytes {
        let mut out = BytesMut::new();
        frame(&mut out, b'T', &json(&Trailer { records: self.records, sha256: hex(self.hash) }));
        out.freeze()
    }
}

fn frame(out: &mut BytesMut, kind: u8, payload: &[u8]) {
    out.put_u8(kind);
    out.put_u32(u32::try_from(payload.len()).expect("head and trailer have some hundred bytes"));
    out.put_slice(payload);
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs; encoding them to memory cannot fail")
}

fn hex(hash: Context) -> String {
    hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What comes out of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// First of all.
    Head(Head),
    /// Records, in order.
    Record(Entry),
    /// Last of all: the backup is whole, and had so many records.
    End(u64),
}

/// Reads a backup from whatever is pushed.
pub struct Decoder {
    buffer: BytesMut,
    hash: Context,
    state: State,
    records: u64,
    last: Option<(Scope, Key)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Magic,
    Head,
    Records,
    Ended,
}

impl Default for Decoder {
    fn default() -> Self {
        let (buffer, hash) = (BytesMut::new(), Context::new(&SHA256));
        Self { buffer, hash, state: State::Magic, records: 0, last: None }
    }
}

impl Decoder {
    /// More of the backup.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item, or `None` until more is pushed.
    pub fn item(&mut self) -> Result<Option<Item>, BackupError> {
        if self.state == State::Magic {
            let Some(line) = first_line(&self.buffer, MAGIC)? else { return Ok(None) };
            self.hash.update(&self.buffer[..line]);
            self.buffer.advance(line);
            self.state = State::Head;
        }
        if self.state == State::Ended {
            return match self.buffer.is_empty() {
                true => Ok(None),
                false => Err(BackupError::Damaged("something follows its end")),
            };
        }
        if self.buffer.len() < FRAME_HEAD {
            return Ok(None);
        }
        let length =
            u32::from_be_bytes([self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]]) as usize;
        if length > PAYLOAD_MAX {
            return Err(BackupError::Damaged("a record is longer than any can be"));
        }
        if self.buffer.len() < FRAME_HEAD + length {
            return Ok(None);
        }
        let frame = self.buffer.split_to(FRAME_HEAD + length).freeze();
        self.frame(frame).map(Some)
    }

    /// Whether all of it was read. [`BackupError::Truncated`] where something is missing.
    pub fn finish(self) -> Result<(), BackupError> {
        match self.state {
            State::Ended => Ok(()),
            State::Magic if !MAGIC.starts_with(&self.buffer[..self.buffer.len().min(MAGIC.len())]) => {
                Err(BackupError::NotABackup)
            }
            _ => Err(BackupError::Truncated),
        }
    }

    fn frame(&mut self, frame: Bytes) -> Result<Item, BackupError> {
        let payload = frame.slice(FRAME_HEAD..);
        match (frame[0], self.state) {
            (b'H', State::Head) => {
                let head = parse(&payload)?;
                self.hash.update(&frame);
                self.state = State::Records;
                Ok(Item::Head(head))
            }
            (b'R', State::Records) => {
                let entry = record(payload).ok_or(BackupError::Damaged("a record cannot be read"))?;
                let place = (entry.scope.clone(), entry.key.clone());
                if self.last.as_ref().is_some_and(|last| *last >= place) {
                    return Err(BackupError::Damaged("its records are out of order"));
                }
                self.last = Some(place);
                self.records += 1;
                self.hash.update(&frame);
                Ok(Item::Record(entry))
            }
            (b'T', State::Records) => {
                let trailer: Trailer = parse(&payload)?;
                let hash = std::mem::replace(&mut self.hash, Context::new(&SHA256));
                if trailer.records != self.records || trailer.sha256 != hex(hash) {
                    return Err(BackupError::Damaged("its checksum does not match"));
                }
                self.state = State::Ended;
                Ok(Item::End(self.records))
            }
            _ => Err(BackupError::Damaged("it is not made of what a backup is made of")),
        }
    }
}

/// How long a first line is that begins with `magic` and says a version that is known; `None` until all of it is there.
pub(super) fn first_line(bytes: &[u8], magic: &[u8]) -> Result<Option<usize>, BackupError> {
    let common = bytes.len().min(magic.len());
    if bytes[..common] != magic[..common] {
        return Err(BackupError::NotABackup);
    }
    let Some(end) = bytes.iter().take(FIRST_LINE_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() >= FIRST_LINE_MAX { Err(BackupError::NotABackup) } else { Ok(None) };
    };
    let version = std::str::from_utf8(bytes.get(magic.len()..end).unwrap_or_default());
    match version.ok().and_then(|digits| digits.parse().ok()) {
        Some(VERSION) => Ok(Some(end + 1)),
        Some(found) if found > VERSION => Err(BackupError::Newer { found, known: VERSION }),
        _ => Err(BackupError::NotABackup),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(payload: &[u8]) -> Result<T, BackupError> {
    serde_json::from_slice(payload).map_err(|_| BackupError::Damaged("its head or end cannot be read"))
}

fn record(mut payload: Bytes) -> Option<Entry> {
    let length = usize::from(payload.try_get_u8().ok()?);
    let scope = take(&mut payload, length)?;
    let length = usize::from(payload.try_get_u16().ok()?);
    let key = take(&mut payload, length)?;
    if payload.len() > VALUE_BYTES_MAX {
        return None;
    }
    let scope = Scope::parse(std::str::from_utf8(&scope).ok()?).ok()?;
    Some(Entry { scope, key: Key::new(key).ok()?, value: payload })
}

fn take(payload: &mut Bytes, length: usize) -> Option<Bytes> {
    (payload.len() >= length).then(|| payload.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &'static [u8]) -> Entry {
        let scope = Scope::org("0123456789ab").unwrap();
        Entry { scope, key: Key::new(key.to_owned()).unwrap(), value: value.into() }
    }

    fn small() -> Vec<u8> {
        let head = Head { made_at: Timestamp(0), sequel: "0.1.0".into() };
        let (mut encoder, begin) = Encoder::begin(&head);
        let mut out = BytesMut::from(&begin[..]);
        encoder.record(&entry("key/0123456789", b"{\"v\":1}"), &mut out);
        encoder.record(&entry("org", b"\x00\xff not JSON"), &mut out);
        out.extend_from_slice(&encoder.end());
        out.to_vec()
    }

    fn read(bytes: &[u8], at_once: usize) -> Result<Vec<Item>, BackupError> {
        let mut decoder = Decoder::default();
        let mut items = Vec::new();
        for piece in bytes.chunks(at_once) {
            decoder.push(piece);
            while let Some(item) = decoder.item()? {
                items.push(item);
            }
        }
        decoder.finish().map(|()| items)
    }

    #[test]
    fn what_was_written_is_read_again_however_it_is_cut_into_pieces() {
        let bytes = small();
        for at_once in [1, 2, 7, bytes.len()] {
            let items = read(&bytes, at_once).unwrap();
            let [Item::Head(head), Item::Record(key), Item::Record(org), Item::End(2)] = &items[..] else {
                panic!("{items:?}")
            };
            assert_eq!(head.sequel, "0.1.0");
            assert_eq!(*key, entry("key/0123456789", b"{\"v\":1}"));
            assert_eq!(org.value, &b"\x00\xff not JSON"[..]);
        }
    }

    #[test]
    fn the_committed_backup_of_version_1_is_still_read_and_written() {
        let fixture = include_bytes!("../../tests/it/fixtures/backup.v1");
        assert_eq!(small(), fixture);
        assert_eq!(read(fixture, 4096).unwrap().len(), 4);
    }

    #[test]
    fn any_cut_and_any_flipped_bit_is_noticed() {
        let bytes = small();
        for cut in 0..bytes.len() {
            assert!(matches!(read(&bytes[..cut], 4096), Err(BackupError::Truncated)), "{cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped, 4096).is_err(), "bit {bit}");
        }
        let more = [&bytes[..], b"x"].concat();
        assert!(matches!(read(&more, 4096), Err(BackupError::Damaged(_))));
    }

    #[test]
    fn a_newer_format_and_another_file_are_told_apart() {
        let newer = [&b"SEQUEL BACKUP 2\n"[..], &small()[16..]].concat();
        assert!(matches!(read(&newer, 4096), Err(BackupError::Newer { found: 2, known: 1 })));
        for other in
            [&b"SQLite format 3\0"[..], b"{}", b"SEQUEL BACKUP x\n", &[0; 4096], b"SEQUEL BACKUP 0\n"]
        {
            assert!(matches!(read(other, 4096), Err(BackupError::NotABackup)), "{other:?}");
        }
    }

    #[test]
    fn records_out_of_order_or_twice_are_refused() {
        for keys in [["b", "a"], ["a", "a"]] {
            let (mut encoder, begin) = Encoder::begin(&Head { made_at: Timestamp(0), sequel: String::new() });
            let mut out = BytesMut::from(&begin[..]);
            for key in keys {
                encoder.record(&entry(key, b""), &mut out);
            }
            out.extend_from_slice(&encoder.end());
            assert!(matches!(read(&out, 4096), Err(BackupError::Damaged(_))));
        }
    }
}
