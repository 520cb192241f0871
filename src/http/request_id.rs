//! Request ids: short, unique in the life of a log, printed beside whatever is logged.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::HeaderValue;

use crate::context::{Rng, RngError};

/// Numbers the requests of one worker.
#[derive(Debug)]
pub struct RequestIds {
    worker: u32,
    next: AtomicU64,
}

/// `<worker>-<number>`, both hexadecimal. The first worker's part is random at each start, the others count on.
#[derive(Debug, Clone, Copy)]
pub struct RequestId {
    worker: u32,
    number: u64,
}

impl RequestIds {
    /// With a random part for this process.
    pub fn new(rng: &Rng) -> Result<Self, RngError> {
        Ok(Self { worker: u32::from_be_bytes(rng.bytes()?), next: AtomicU64::new(1) })
    }

    /// Those of another worker.
    pub fn another(&self) -> Self {
        let count = self.next.fetch_add(1, Ordering::Relaxed) as u32;
        Self { worker: self.worker.wrapping_add(count), next: AtomicU64::new(1) }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        RequestId { worker: self.worker, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

impl RequestId {
    /// For `X-Request-Id`.
    pub fn header(self) -> HeaderValue {
        // Each request needs one, and the formatting machinery costs more than the digits.
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 8 + 1 + 16];
        for (at, digit) in text[..8].iter_mut().enumerate() {
            *digit = HEX[(self.worker >> (28 - 4 * at)) as usize & 15];
        }
        let digits = (64 - self.number.leading_zeros()).div_ceil(4).max(1) as usize;
        for (at, digit) in text[9..9 + digits].iter_mut().rev().enumerate() {
            *digit = HEX[(self.number >> (4 * at)) as usize & 15];
        }
        HeaderValue::from_bytes(&text[..9 + digits])
            .expect("hexadecimal digits and a dash are a header value")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.worker, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_the_log_says() {
        for process in [0, 1, 0x0abc_def0, u32::MAX] {
            for number in [0, 1, 15, 16, 255, 256, 0x1234_5678_9abc, u64::MAX] {
                let id = RequestId { worker: process, number };
                assert_eq!(id.header().to_str().unwrap(), id.to_string());
            }
        }
    }
}
