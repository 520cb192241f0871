//! A connection that has to get on: what slow clients can hold is bounded in time.
//!
//! actix bounds the first request head of a connection and an idle one; a later head that stops in the
//! middle, or comes a byte a second, it waits for without end. This wrapper knows nothing of HTTP: a
//! connection on which bytes have arrived must see an answer begin within [`Pace::answer`], and one on
//! which nothing was sent for [`Pace::silence`] is over.
//!
//! THREATS 13 and 16: slow clients are bounded (`tests/it/hostile_http.rs`).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::context::Clock;

/// How fast a connection has to get on.
#[derive(Debug, Clone)]
pub struct Pace {
    /// From the first byte of a request to the first byte of its answer.
    pub answer: Duration,
    /// From one byte sent to the next.
    pub silence: Duration,
    /// What both are measured by.
    pub clock: Clock,
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] once it does not keep its pace.
pub struct Paced {
    stream: TcpStream,
    pace: Pace,
    // On the pace's clock. The timer may be set earlier, never later: it looks here when it rings.
    due: Duration,
    bytes_wait: bool,
    timer: Pin<Box<Sleep>>,
}

impl Paced {
    /// Starts with the time for an answer.
    pub fn new(stream: TcpStream, pace: Pace) -> Self {
        let due = pace.clock.elapsed() + pace.answer;
        let timer = Box::pin(sleep(pace.answer));
        Self { stream, pace, due, bytes_wait: false, timer }
    }

    fn received(&mut self) {
        if !self.bytes_wait {
            self.bytes_wait = true;
            self.due = self.due.min(self.pace.clock.elapsed() + self.pace.answer);
            // An idle connection's timer rings late; a request's must not.
            self.timer = Box::pin(sleep(self.pace.answer));
        }
    }

    fn sent(&mut self) {
        self.bytes_wait = false;
        self.due = self.pace.clock.elapsed() + self.pace.silence;
    }

    /// Fails when the time is over; otherwise wakes the task when it will be.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let left = self.due.saturating_sub(self.pace.clock.elapsed());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer = Box::pin(sleep(left));
        }
        Ok(())
    }
}

impl AsyncRead for Paced {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    this.received();
                    // Also who always has another byte ready does not get past the time.
                    this.check(cx)?;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                this.check(cx)?;
                Poll::Pending
            }
            failed => failed,
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(1..)) = written {
            this.sent();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(1..)) = written {
            this.sent();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const NEVER: Duration = Duration::from_secs(3_600);

    async fn pair(answer: Duration, silence: Duration) -> (Paced, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Paced::new(server, Pace { answer, silence, clock: Clock::system() }), client)
    }

    fn is_over(outcome: io::Result<usize>) -> bool {
        outcome.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn a_connection_that_never_says_anything_is_over() {
        let (mut server, _client) = pair(SOON, NEVER).await;
        assert!(is_over(server.read(&mut [0; 8]).await));
    }

    #[tokio::test]
    async fn a_later_request_that_stops_in_the_middle_is_over() {
        let (mut server, mut client) = pair(SOON, NEVER).await;
        client.write_all(b"one").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 3);
        server.write_all(b"answer").await.unwrap();
        client.write_all(b"tw").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 2);
        assert!(is_over(server.read(&mut [0; 8]).await));
    }

    #[tokio::test]
    async fn dripping_bytes_buys_no_time() {
        let (mut server, mut client) = pair(SOON, NEVER).await;
        let dripping = tokio::spawn(async move { while client.write_all(b"x").await.is_ok() {} });
        let over = async {
            loop {
                let read = server.read(&mut [0; 1]).await;
                if !matches!(read, Ok(1..)) {
                    return is_over(read);
                }
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), over).await.unwrap());
        drop(server);
        dripping.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_is_sent_is_over_and_one_that_is_answered_is_not() {
        let (mut server, mut client) = pair(NEVER, SOON).await;
        client.write_all(b"one").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 3);
        // The first answer may take its time; silence counts from what was sent.
        server.write_all(b"answer").await.unwrap();
        server.timer = Box::pin(sleep(Duration::ZERO));
        assert!(is_over(server.read(&mut [0; 8]).await));
    }
}
