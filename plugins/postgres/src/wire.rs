//! Messages over a socket, within bounds.
//!
//! Owns where a message begins and ends and how large each kind may be; knows nothing of what they mean. A row may be
//! of any size, because a cell may; it is the one message that can be read in pieces ([`Wire::piece`]).
//!
//! **Invariant:** whatever a server sends, at most some [`MESSAGE_BYTES_MAX`] of it are held at once
//! (`a_server_that_answers_garbage_is_given_up`).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Most bytes of a message that is held whole. The description of 1,664 columns, the most there are, has 130 KiB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Of a longer error or notice, which may repeat a value of any size, so many bytes are kept. What it is about stands first.
const TOLD_BYTES_MAX: usize = 16 * 1024;
/// Room for what one read of the socket brings.
const READ_BYTES: usize = 64 * 1024;

/// A socket, plain or under TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One message, or the head of a row that is read in pieces.
#[derive(Debug)]
pub(crate) enum Message {
    /// The kind and all of it.
    Whole(u8, Bytes),
    /// A row (`D`) of so many bytes, none of which was read.
    LargeRow(usize),
}

/// The two directions of a connection.
pub(crate) struct Wire {
    io: Box<dyn Io>,
    pub(crate) peer: SocketAddr,
    /// What a proof of the password can be bound to: the digest of the server's certificate, under TLS.
    pub(crate) end_point: Option<Vec<u8>>,
    input: BytesMut,
    /// What is sent by the next [`Wire::send`].
    pub(crate) output: BytesMut,
    // Whether the next byte is the first of a message.
    whole: bool,
    // Bytes of a message whose beginning was handed out and whose rest nobody needs.
    passed_over: usize,
}

fn garbage(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server does not speak PostgreSQL's protocol: {what}"),
    )
}

impl Wire {
    pub(crate) fn new(io: Box<dyn Io>, peer: SocketAddr) -> Self {
        Self {
            io,
            peer,
            end_point: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            whole: true,
            passed_over: 0,
        }
    }

    /// Sends what was put into `output`.
    pub(crate) async fn send(&mut self) -> io::Result<()> {
        self.io.write_all_buf(&mut self.output).await?;
        self.io.flush().await
    }

    /// The next message, if it has arrived.
    pub(crate) fn arrived(&mut self) -> io::Result<Option<Message>> {
        let here = self.passed_over.min(self.input.len());
        self.input.advance(here);
        self.passed_over -= here;
        let Some(head) = self.input.get(..5) else { return Ok(None) };
        let kind = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        // The protocol's lengths have a sign.
        let Some(body) = body.filter(|body| *body < 1 << 31) else { return Err(garbage("a length")) };
        if !kind.is_ascii_alphanumeric() {
            return Err(garbage("a kind of message"));
        }
        if body > MESSAGE_BYTES_MAX && matches!(kind, b'E' | b'N') {
            if self.input.len() < 5 + TOLD_BYTES_MAX {
                return Ok(None);
            }
            self.input.advance(5);
            let mut told = self.input.split_to(TOLD_BYTES_MAX);
            self.passed_over = body - TOLD_BYTES_MAX;
            // The ends of the field that was cut and of all of them.
            told.extend_from_slice(&[0, 0]);
            return Ok(Some(Message::Whole(kind, told.freeze())));
        }
        if body > MESSAGE_BYTES_MAX {
            if kind != b'D' {
                return Err(garbage("a message that is too long"));
            }
            self.input.advance(5);
            self.whole = false;
            return Ok(Some(Message::LargeRow(body)));
        }
        if self.input.len() < 5 + body {
            return Ok(None);
        }
        self.input.advance(5);
        Ok(Some(Message::Whole(kind, self.input.split_to(body).freeze())))
    }

    /// Reads once. Nothing is lost when the future is dropped.
    pub(crate) async fn read(&mut self) -> io::Result<()> {
        self.input.reserve(READ_BYTES);
        match self.io.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next message. Nothing is lost when the future is dropped.
    pub(crate) async fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.arrived()? {
                return Ok(message);
            }
            self.read().await?;
        }
    }

    /// The next message where no row can come.
    pub(crate) async fn whole_message(&mut self) -> io::Result<(u8, Bytes)> {
        match self.message().await? {
            Message::Whole(kind, body) => Ok((kind, body)),
            Message::LargeRow(_) => Err(garbage("a row that nobody asked for")),
        }
    }

    /// The next `bytes` of a row that is read in pieces, at most [`MESSAGE_BYTES_MAX`] at once.
    pub(crate) async fn piece(&mut self, bytes: usize) -> io::Result<Bytes> {
        while self.input.len() < bytes {
            self.read().await?;
        }
        Ok(self.input.split_to(bytes).freeze())
    }

    /// Passes over the next bytes of such a row.
    pub(crate) async fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        loop {
            let here = bytes.min(self.input.len());
            self.input.advance(here);
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Says that a row that was read in pieces is over.
    pub(crate) fn row_is_over(&mut self) {
        self.whole = true;
    }

    /// Whether messages can be read: not in the midst of a row.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether nothing came since the last message and the other end has not closed. An idle connection to a server
    /// that restarted has its farewell waiting.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let looked = poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut byte);
            Poll::Ready(Pin::new(&mut self.io).poll_read(context, &mut buffer).is_pending())
        });
        looked.await && self.input.is_empty()
    }

    /// Waits until the other end closes.
    pub(crate) async fn closed(&mut self) {
        let mut byte = [0; 16];
        while self.io.read(&mut byte).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

/// A text that ends with a zero byte, taken off the front.
pub(crate) fn text(body: &mut Bytes) -> io::Result<String> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(|| garbage("a text without an end"))?;
    let text = body.split_to(end);
    body.advance(1);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// So many bytes, taken off the front.
pub(crate) fn take<const N: usize>(body: &mut Bytes) -> io::Result<[u8; N]> {
    let taken = body
        .get(..N)
        .and_then(|taken| taken.try_into().ok())
        .ok_or_else(|| garbage("a message that ends early"))?;
    body.advance(N);
    Ok(taken)
}

/// An answer that the protocol does not allow here.
pub(crate) fn unexpected(kind: u8) -> io::Error {
    garbage(&format!("an answer of the kind {:?}", char::from(kind)))
}
