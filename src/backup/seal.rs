//! A backup under a passphrase: Argon2id makes the key, ChaCha20-Poly1305 seals chunk by chunk. Version 1:
//!
//! ```text
//! sealed = "SEQUEL SEALED 1\n" salt (16 bytes) memory in KiB, passes, lanes (4 bytes each, big-endian) check (16 bytes) chunk+
//! chunk  = the ciphertext of 64 KiB, the last of 0 to 64 KiB, and its tag (16 bytes)
//! ```
//!
//! Argon2id of the passphrase and the salt gives 48 bytes: the key, and the check by which a wrong passphrase is told
//! from a damaged file. A chunk's nonce says its number and whether it is the last, so that none can be moved, left out
//! or cut off; all that stands before the chunks is authenticated with each of them. The salt is fresh for each file,
//! and so is the key: nonces never repeat under one.

use std::io::{self, Read, Write};
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;

use super::BackupError;
use super::format::first_line;
use crate::context::{Rng, RngError};

/// What a sealed backup begins with.
pub(super) const MAGIC: &[u8] = b"SEQUEL SEALED ";
/// Bytes of plaintext in a chunk.
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// Salt, three numbers, check.
const PARAMETERS: usize = 16 + 3 * 4 + 16;
/// Some 0.2 s and 64 MiB on a machine of today, each time: nothing for an operator, much for who has to guess.
#[cfg(not(test))]
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// The tests of this file open many; those from outside pay in full.
#[cfg(test)]
const COST: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
/// What is carried out on a file's word: 1 GiB of memory, and some 20 s.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 4 };
/// A passphrase file of this size holds something else.
const PASSPHRASE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What a backup is encrypted with. Not `Debug`, not `Clone`.
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// The first line of a file.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let failed = |source| BackupError::File { path: path.to_owned(), what: "read", source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(PASSPHRASE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            return Err(BackupError::EmptyPassphrase(path.to_owned()));
        }
        Ok(Self(line.to_vec()))
    }

    /// The key and its check.
    fn derive(&self, salt: &[u8], cost: Cost) -> Result<(LessSafeKey, [u8; 16]), BackupError> {
        let damaged = BackupError::Damaged("its parameters of encryption are none that Sequel writes");
        let within = cost.memory_kib <= COST_MAX.memory_kib
            && cost.passes <= COST_MAX.passes
            && cost.lanes <= COST_MAX.lanes;
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(48)).ok();
        let Some(params) = params.filter(|_| within) else { return Err(damaged) };
        let mut derived = [0; 48];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        if argon2.hash_password_into(&self.0, salt, &mut derived).is_err() {
            return Err(damaged);
        }
        let (key, check) = derived.split_at(32);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes are a key");
        Ok((LessSafeKey::new(key), check.try_into().expect("16 bytes are left")))
    }
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[0] = u8::from(last);
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Encrypts what is written, on its way to `out`. Without [`Sealer::finish`] the file is not whole.
pub struct Sealer<W> {
    out: W,
    key: LessSafeKey,
    head: Vec<u8>,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> Sealer<W> {
    /// Begins; writes what stands before the chunks.
    pub fn begin(mut out: W, passphrase: &Passphrase, rng: &Rng) -> Result<Self, SealError> {
        let salt: [u8; 16] = rng.bytes()?;
        let (key, check) =
            passphrase.derive(&salt, COST).expect("a cost that Sequel writes is within bounds");
        let mut head = [MAGIC, b"1\n", &salt].concat();
        for number in [COST.memory_kib, COST.passes, COST.lanes] {
            head.extend_from_slice(&number.to_be_bytes());
        }
        head.extend_from_slice(&check);
        out.write_all(&head)?;
        Ok(Self { out, key, head, chunk: Vec::with_capacity(CHUNK + TAG), number: 0 })
    }

    /// Ends with the last chunk.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(&self.head), &mut self.chunk)
            .map_err(|_| io::Error::other("a chunk could not be encrypted"))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only when more comes is a full chunk known not to be the last.
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Beginning to encrypt failed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// No random bytes.
    #[error(transparent)]
    Rng(#[from] RngError),
}

/// Decrypts a sealed backup, chunk by chunk.
pub(super) struct Opener<R> {
    from: R,
    key: LessSafeKey,
    head: Vec<u8>,
    /// What was read of the next chunk and of the byte behind it.
    ahead: Vec<u8>,
    number: u64,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads what stands before the chunks. [`BackupError::WrongPassphrase`] where the passphrase is another one.
    pub(super) fn begin(mut from: R, passphrase: &Passphrase) -> Result<Self, BackupError> {
        let mut head = Vec::new();
        let mut more = |head: &mut Vec<u8>, bytes: usize| {
            let before = head.len();
            (&mut from).take(bytes as u64).read_to_end(head).map_err(BackupError::Read)?;
            if head.len() - before < bytes { Err(BackupError::Truncated) } else { Ok(()) }
        };
        let line = loop {
            more(&mut head, 1)?;
            if let Some(line) = first_line(&head, MAGIC)? {
                break line;
            }
        };
        more(&mut head, PARAMETERS)?;
        let parameters = &head[line..];
        let number = |at: usize| {
            u32::from_be_bytes(parameters[at..at + 4].try_into().expect("four bytes of a fixed length"))
        };
        let cost = Cost { memory_kib: number(16), passes: number(20), lanes: number(24) };
        let (key, check) = passphrase.derive(&parameters[..16], cost)?;
        if !bool::from(check[..].ct_eq(&parameters[28..])) {
            return Err(BackupError::WrongPassphrase);
        }
        Ok(Self { from, key, head, ahead: Vec::new(), number: 0, ended: false })
    }

    /// The next chunk's plaintext; empty at the end.
    pub(super) fn chunk(&mut self) -> Result<Vec<u8>, BackupError> {
        if self.ended {
            return Ok(Vec::new());
        }
        // One byte more than a chunk says whether another one follows.
        let wanted = (CHUNK + TAG + 1 - self.ahead.len()) as u64;
        (&mut self.from).take(wanted).read_to_end(&mut self.ahead).map_err(BackupError::Read)?;
        let last = self.ahead.len() <= CHUNK + TAG;
        let rest = self.ahead.split_off(self.ahead.len().min(CHUNK + TAG));
        let mut chunk = std::mem::replace(&mut self.ahead, rest);
        let nonce = nonce(self.number, last);
        let opened = self.key.open_in_place(nonce, Aad::from(&self.head), &mut chunk);
        // A file that was cut ends with a chunk that was not sealed as the last: it does not open, either.
        let length = match opened {
            Ok(plain) => plain.len(),
            Err(_) if last => return Err(BackupError::Damaged("it was cut off, or changed")),
            Err(_) => return Err(BackupError::Damaged("a part of it was changed")),
        };
        chunk.truncate(length);
        self.number += 1;
        self.ended = last;
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase(text.as_bytes().to_vec())
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::begin(Vec::new(), &passphrase("right"), &Rng::system()).unwrap();
        sealer.write_all(plain).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(bytes: &[u8], with: &str) -> Result<Vec<u8>, BackupError> {
        let mut opener = Opener::begin(bytes, &passphrase(with))?;
        let mut plain = Vec::new();
        loop {
            let chunk = opener.chunk()?;
            if opener.ended && chunk.is_empty() {
                return Ok(plain);
            }
            plain.extend_from_slice(&chunk);
        }
    }

    #[test]
    fn what_was_sealed_opens_with_its_passphrase_alone() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let bytes = sealed(&plain);
            assert_eq!(opened(&bytes, "right").unwrap(), plain, "{length}");
            assert!(matches!(opened(&bytes, "wrong"), Err(BackupError::WrongPassphrase)));
        }
    }

    #[test]
    fn a_cut_a_changed_byte_and_chunks_in_another_order_are_noticed() {
        let bytes = sealed(&vec![7; 2 * CHUNK + 10]);
        let begin = MAGIC.len() + 2 + PARAMETERS;
        for cut in [3, begin - 1, begin, begin + 1, begin + CHUNK + TAG, bytes.len() - 1] {
            assert!(opened(&bytes[..cut], "right").is_err(), "{cut}");
        }
        for at in [begin - 40, begin - 1, begin, begin + CHUNK + TAG, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, "right").is_err(), "{at}");
        }
        let (first, second) = (begin..begin + CHUNK + TAG, begin + CHUNK + TAG..begin + 2 * (CHUNK + TAG));
        let swapped = [&bytes[..begin], &bytes[second.clone()], &bytes[first], &bytes[second.end..]].concat();
        assert!(opened(&swapped, "right").is_err());
    }

    #[test]
    fn parameters_that_would_take_all_memory_are_refused_before_they_are_tried() {
        let mut bytes = sealed(b"x");
        let at = MAGIC.len() + 2 + 16;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(opened(&bytes, "right"), Err(BackupError::Damaged(_))));
    }
}
