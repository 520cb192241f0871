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

use crate::metrics::Connection;

/// How fast a connection has to get on. Looked at in steps of half of `answer`, so that a connection is
/// over between one and one and a half times as late as it says: a clock and a timer for each request
/// would cost as much as verifying its credential.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the first byte of a request to the first byte of its answer.
    pub answer: Duration,
    /// From one byte sent to the next.
    pub silence: Duration,
}

/// Steps that a request's answer may take: the first one has partly gone by when the request begins.
const ANSWER_STEPS: u32 = 3;

/// A stream that fails with [`io::ErrorKind::TimedOut`] once it does not keep its pace.
pub struct Paced {
    stream: TcpStream,
    step: Duration,
    silence_steps: u32,
    timer: Pin<Box<Sleep>>,
    timer_knows_task: bool,
    // Bytes came and were not answered yet; true from the start, for who never says anything.
    unanswered: bool,
    steps_unanswered: u32,
    steps_silent: u32,
    // Kept for its drop: one connection less is open.
    _counted: Connection,
}

impl Paced {
    /// Starts with the time for an answer.
    pub fn new(stream: TcpStream, pace: Pace, counted: Connection) -> Self {
        let step = (pace.answer / 2).max(Duration::from_millis(1));
        let silence_steps = pace.silence.as_nanos().div_ceil(step.as_nanos());
        Self {
            stream,
            step,
            silence_steps: u32::try_from(silence_steps).unwrap_or(u32::MAX),
            timer: Box::pin(sleep(step)),
            timer_knows_task: false,
            unanswered: true,
            steps_unanswered: 0,
            steps_silent: 0,
            _counted: counted,
        }
    }

    fn sent(&mut self) {
        self.unanswered = false;
        self.steps_unanswered = 0;
        self.steps_silent = 0;
    }

    /// Fails when the time is over; otherwise wakes the task at the next step.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // The connection's task is the same each time: once the timer knows it, asking whether it rang is enough.
        if self.timer_knows_task && !self.timer.is_elapsed() {
            return Ok(());
        }
        self.timer_knows_task = true;
        while self.timer.as_mut().poll(cx).is_ready() {
            self.steps_silent += 1;
            self.steps_unanswered += u32::from(self.unanswered);
            if self.steps_unanswered >= ANSWER_STEPS || self.steps_silent > self.silence_steps {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer = Box::pin(sleep(self.step));
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
                    this.unanswered = true;
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
    use crate::context::Clock;
    use crate::metrics::Metrics;

    const SOON: Duration = Duration::from_millis(50);
    const NEVER: Duration = Duration::from_secs(3_600);

    async fn pair(answer: Duration, silence: Duration) -> (Paced, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let counted = Metrics::new(Clock::system()).connection();
        (Paced::new(server, Pace { answer, silence }, counted), client)
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
    async fn a_connection_on_which_nothing_is_sent_is_over_although_nothing_is_asked() {
        let (mut server, mut client) = pair(SOON, 4 * SOON).await;
        client.write_all(b"one").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 3);
        server.write_all(b"answer").await.unwrap();
        assert!(is_over(server.read(&mut [0; 8]).await));
    }
}
