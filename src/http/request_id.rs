//! Request ids: short, unique in the life of a log, printed beside whatever is logged.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::HeaderValue;

use crate::context::{Rng, RngError};

/// Numbers the requests of this process.
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    next: AtomicU64,
}

/// `<process>-<number>`, both hexadecimal. The process part is random at each start.
#[derive(Debug, Clone, Copy)]
pub struct RequestId {
    process: u32,
    number: u64,
}

impl RequestIds {
    /// With a random part for this process.
    pub fn new(rng: &Rng) -> Result<Self, RngError> {
        Ok(Self { process: u32::from_be_bytes(rng.bytes()?), next: AtomicU64::new(1) })
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        RequestId { process: self.process, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

impl RequestId {
    /// For `X-Request-Id`.
    pub fn header(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("hexadecimal digits and a dash are a header value")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.process, self.number)
    }
}
