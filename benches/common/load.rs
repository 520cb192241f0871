//! The load generator: a few threads, each with some keep-alive connections on which it has one
//! request outstanding at all times. Plain blocking sockets and next to no work per request, because
//! it shares the machine with the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::fixture::Secret;
use super::process::own_cpu;

/// Threads of the generator; the machine's cores are shared with the server's workers.
const THREADS: usize = 2;

/// What one connection sends, again and again.
#[derive(Clone)]
pub(crate) struct Plan {
    request: Vec<u8>,
    // Where the credential stands in the request.
    secret_at: usize,
    /// Credentials in turn.
    secrets: Arc<Vec<Secret>>,
    next: usize,
    step: usize,
    // Whether a refusal for too much (429, 503) is an answer like others.
    may_be_refused: bool,
}

impl Plan {
    /// Posts `body` to `path` with `headers` (each line ended by CRLF), the credentials of `secrets` in
    /// turn, from `first` in steps of `step`.
    pub(crate) fn new(
        path: &str,
        headers: &str,
        body: &str,
        secrets: Arc<Vec<Secret>>,
        first: usize,
        step: usize,
    ) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nUser-Agent: bench\r\n{headers}Content-Length: {}\r\n\
             Authorization: Bearer ",
            body.len()
        );
        let secret = secrets[first % secrets.len()];
        let mut request = head.clone().into_bytes();
        request.extend_from_slice(&secret);
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body.as_bytes());
        Self { request, secret_at: head.len(), secrets, next: first, step, may_be_refused: false }
    }

    /// Gets `path` with `headers` (each line ended by CRLF), the same each time.
    pub(crate) fn get(path: &str, headers: &str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n{headers}\r\n");
        let secrets = Arc::default();
        Self { request: head.into_bytes(), secret_at: 0, secrets, next: 0, step: 1, may_be_refused: false }
    }

    /// For a flood, which a server refuses in part.
    pub(crate) fn may_be_refused(mut self) -> Self {
        self.may_be_refused = true;
        self
    }

    fn advance(&mut self) {
        if self.secrets.is_empty() {
            return;
        }
        let secret = &self.secrets[self.next % self.secrets.len()];
        self.request[self.secret_at..self.secret_at + secret.len()].copy_from_slice(secret);
        self.next += self.step;
    }
}

/// When to stop.
#[derive(Clone, Copy)]
pub(crate) enum Until<'a> {
    /// Somebody says so.
    Told(&'a AtomicBool),
    /// After this time.
    Elapsed(Duration),
    /// After this many requests on each connection.
    Requests(usize),
}

/// What happened.
pub(crate) struct Done {
    pub(crate) requests: usize,
    pub(crate) elapsed: Duration,
    /// CPU time of the generator itself.
    pub(crate) cpu: Duration,
    /// Bytes of the last response's body, with its framing.
    pub(crate) body_bytes: usize,
    /// Of the requests, those that were refused for too much.
    pub(crate) refused: usize,
}

impl Done {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// Connections that stay open between rounds.
pub(crate) struct Load {
    connections: Vec<Connection>,
}

impl Load {
    pub(crate) fn connect(server: SocketAddr, plans: Vec<Plan>) -> anyhow::Result<Self> {
        let connections =
            plans.into_iter().map(|plan| Connection::open(server, plan)).collect::<anyhow::Result<_>>()?;
        Ok(Self { connections })
    }

    /// Sends requests. Every response must be 200.
    pub(crate) fn run(&mut self, until: Until<'_>) -> anyhow::Result<Done> {
        let started = Instant::now();
        let share = self.connections.len().div_ceil(THREADS);
        let counts: Vec<anyhow::Result<(usize, Duration)>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .chunks_mut(share)
                .map(|mine| scope.spawn(move || drive(mine, started, until)))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a load thread does not panic")).collect()
        });
        let elapsed = started.elapsed();
        let (mut requests, mut cpu) = (0, Duration::ZERO);
        for count in counts {
            let (sent, spent) = count?;
            requests += sent;
            cpu += spent;
        }
        let refused =
            self.connections.iter_mut().map(|connection| std::mem::take(&mut connection.refused)).sum();
        Ok(Done { requests, elapsed, cpu, body_bytes: self.connections[0].body_bytes, refused })
    }
}

fn drive(
    connections: &mut [Connection],
    started: Instant,
    until: Until<'_>,
) -> anyhow::Result<(usize, Duration)> {
    let mut requests = 0;
    let before = own_cpu()?;
    for connection in &mut *connections {
        connection.send()?;
    }
    for round in 1.. {
        let is_last = match until {
            Until::Elapsed(time) => started.elapsed() >= time,
            Until::Requests(count) => round >= count,
            Until::Told(over) => over.load(Ordering::SeqCst),
        };
        for connection in &mut *connections {
            connection.receive()?;
            requests += 1;
            if !is_last {
                connection.send()?;
            }
        }
        if is_last {
            break;
        }
    }
    Ok((requests, own_cpu()? - before))
}

struct Connection {
    stream: TcpStream,
    plan: Plan,
    buffer: Vec<u8>,
    body_bytes: usize,
    refused: usize,
}

impl Connection {
    fn open(server: SocketAddr, plan: Plan) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, plan, buffer: vec![0; 256 * 1024], body_bytes: 0, refused: 0 })
    }

    fn send(&mut self) -> anyhow::Result<()> {
        self.plan.advance();
        self.stream.write_all(&self.plan.request).context("the server closed a connection")
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        let mut filled = 0;
        let mut framing = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).context("no response came")?;
            ensure!(read > 0, "the server closed a connection instead of answering");
            filled += read;
            let seen = &self.buffer[..filled];
            if framing.is_none() {
                framing = Framing::of(seen, self.plan.may_be_refused)?;
            }
            if let Some(framing) = &mut framing
                && framing.is_complete(seen)?
            {
                self.body_bytes = filled - framing.body_at();
                self.refused += usize::from(!seen.starts_with(OK));
                return Ok(());
            }
        }
    }
}

const OK: &[u8] = b"HTTP/1.1 200 ";

/// How the end of a response is told.
enum Framing {
    Length { body_at: usize, end: usize },
    Chunked { body_at: usize, next: usize },
}

impl Framing {
    fn of(seen: &[u8], may_be_refused: bool) -> anyhow::Result<Option<Self>> {
        let Some(head) = find(seen, b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&seen[..head]).context("the response's head is not ASCII")?;
        let refused = ["HTTP/1.1 429 ", "HTTP/1.1 503 "].iter().any(|status| text.starts_with(status));
        let is_answer = seen.starts_with(OK) || refused && may_be_refused;
        ensure!(is_answer, "a request failed: {}", String::from_utf8_lossy(seen));
        let body_at = head + 4;
        let field = |name: &str| {
            text.find(name).map(|at| text[at + name.len()..].lines().next().unwrap_or("").trim())
        };
        if let Some(length) = field("content-length:") {
            return Ok(Some(Self::Length { body_at, end: body_at + length.parse::<usize>()? }));
        }
        ensure!(field("transfer-encoding:") == Some("chunked"), "a response without an end: {text}");
        Ok(Some(Self::Chunked { body_at, next: body_at }))
    }

    fn body_at(&self) -> usize {
        match self {
            Self::Length { body_at, .. } | Self::Chunked { body_at, .. } => *body_at,
        }
    }

    fn is_complete(&mut self, seen: &[u8]) -> anyhow::Result<bool> {
        match self {
            Self::Length { end, .. } => Ok(seen.len() >= *end),
            Self::Chunked { next, .. } => loop {
                let Some(line) = seen.get(*next..).and_then(|rest| find(rest, b"\r\n")) else {
                    return Ok(false);
                };
                let size = std::str::from_utf8(&seen[*next..*next + line])?;
                let size =
                    usize::from_str_radix(size, 16).with_context(|| format!("a chunk of size {size:?}"))?;
                let end = *next + line + 2 + size + 2;
                match (seen.len() >= end, size) {
                    (false, _) => return Ok(false),
                    (true, 0) => return Ok(true),
                    (true, _) => *next = end,
                }
            },
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// What each of `count` requests took, sent one after the other with `pause` in between on a connection of
/// its own.
pub(crate) fn latencies(
    server: SocketAddr,
    plan: Plan,
    count: usize,
    pause: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(server, plan)?;
    (0..count)
        .map(|_| {
            std::thread::sleep(pause);
            let started = Instant::now();
            connection.send()?;
            connection.receive()?;
            Ok(started.elapsed())
        })
        .collect()
}

/// Sends one request and reads its answer to the end without keeping it; how many bytes there were. The answer must be in
/// chunks.
pub(crate) fn drained(server: SocketAddr, plan: Plan) -> anyhow::Result<u64> {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let mut connection = Connection::open(server, plan)?;
    connection.stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    connection.send()?;
    let (mut bytes, mut last) = (0, Vec::new());
    while !last.ends_with(END) {
        let read = connection.stream.read(&mut connection.buffer).context("no response came")?;
        ensure!(read > 0, "the server closed a connection instead of answering");
        if bytes == 0 {
            let head = &connection.buffer[..read];
            ensure!(head.starts_with(OK), "a request failed: {}", String::from_utf8_lossy(head));
        }
        bytes += read as u64;
        last.extend_from_slice(&connection.buffer[..read]);
        last.drain(..last.len().saturating_sub(END.len()));
    }
    Ok(bytes)
}

/// Sends one request on a connection of its own, once the server listens; for start-up times.
pub(crate) fn first_answer(server: SocketAddr, plan: &Plan, within: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match Connection::open(server, plan.clone()) {
            Ok(mut connection) => {
                connection.send()?;
                return connection.receive();
            }
            Err(_) if started.elapsed() < within => std::thread::sleep(Duration::from_micros(500)),
            Err(error) => bail!(error.context("the server did not start")),
        }
    }
}
