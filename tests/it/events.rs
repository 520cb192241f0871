//! Streams of events as a client reads them: server-sent events out of a chunked answer, one at a time. Knows
//! framing and nothing of MCP.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::wire::{Head, Wire};

/// A stream of events under way.
pub(crate) struct Events<S = TcpStream> {
    pub(crate) wire: Wire<S>,
    text: String,
    ended: bool,
}

impl<S: Read + Write> Events<S> {
    /// Behind the head of an answer that has to be a stream of events.
    #[track_caller]
    pub(crate) fn of(wire: Wire<S>, head: &Head) -> Self {
        let header =
            |name: &str| head.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!((head.status, header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        assert_eq!(header("transfer-encoding"), Some("chunked"), "{head:?}");
        assert_eq!(header("x-accel-buffering"), Some("no"), "{head:?}");
        Self::relayed(wire, head)
    }

    /// The same behind a proxy, which takes the word about buffering as its own (nginx).
    #[track_caller]
    pub(crate) fn relayed(wire: Wire<S>, head: &Head) -> Self {
        let header =
            |name: &str| head.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!((head.status, header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        assert_eq!(header("cache-control"), Some("no-cache"), "{head:?}");
        Self { wire, text: String::new(), ended: false }
    }

    /// The next block of lines, a comment too; `None` at the proper end.
    pub(crate) fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            if self.ended {
                assert_eq!(self.text, "", "the stream ends in the middle of an event");
                return None;
            }
            match self.wire.chunk() {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => self.ended = true,
            }
        }
    }

    /// The JSON of the next event; `None` at the proper end. Comments are passed over.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            let block = self.block()?;
            if block.starts_with(':') {
                continue;
            }
            let data = block.strip_prefix("event: message\ndata: ").unwrap_or_else(|| panic!("{block}"));
            return Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")));
        }
    }

    /// All events until the end.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.next()).collect()
    }
}
