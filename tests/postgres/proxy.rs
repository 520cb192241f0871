//! A way to the database that can be disturbed: cut, stalled, forgotten, or losing its answers.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// How often a thread looks how the way is now.
const LOOK: Duration = Duration::from_millis(5);

/// How the way is, for the connections that exist and for those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    /// Everything passes.
    Open,
    /// Connections end, and new ones at once.
    Cut,
    /// Nothing passes, and nobody is told; it passes when the way is open again.
    Silent,
    /// What is asked passes, what is answered waits like that.
    Deaf,
    /// What is asked passes, and the connection ends as soon as the server begins to answer.
    Snapping,
}

const ALL: [Mood; 5] = [Mood::Open, Mood::Cut, Mood::Silent, Mood::Deaf, Mood::Snapping];

/// What all connections share.
struct Shared {
    mood: AtomicU8,
    // Connections made before this many had been are not carried any more, and nobody is told.
    forgotten: AtomicU32,
    made: AtomicU32,
}

/// Ends the accepting thread.
const ENDED: u8 = u8::MAX;

impl Shared {
    fn mood(&self) -> Mood {
        let now = self.mood.load(Ordering::SeqCst);
        ALL.into_iter().find(|mood| *mood as u8 == now).unwrap_or(Mood::Cut)
    }

    /// Whether bytes wait that go this way.
    fn holds(&self, number: u32, is_answer: bool) -> bool {
        match self.mood() {
            Mood::Silent => true,
            Mood::Deaf if is_answer => true,
            Mood::Cut => false,
            _ => number < self.forgotten.load(Ordering::SeqCst),
        }
    }
}

/// A running proxy; dropping it cuts everything.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// To the server of this URL, which is on this host.
    pub(crate) fn before(url: &str) -> Self {
        let (_, server) = url.rsplit_once(':').expect("a URL with a port");
        let port = server.split('/').next().and_then(|port| port.parse().ok()).expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let shared = Arc::new(Shared {
            mood: AtomicU8::new(Mood::Open as u8),
            forgotten: AtomicU32::new(0),
            made: AtomicU32::new(0),
        });
        let (seen, own) = (shared.clone(), listener.local_addr().expect("an address").port());
        let accepting = spawn(move || {
            while seen.mood.load(Ordering::SeqCst) != ENDED {
                match listener.accept() {
                    Ok((client, _)) => carry(client, port, &seen),
                    Err(_) => sleep(LOOK),
                }
            }
        });
        Self { port: own, shared, accepting: Some(accepting) }
    }

    /// From now on.
    pub(crate) fn is(&self, mood: Mood) {
        self.shared.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Drops every connection that there is without telling anybody, as a firewall does with those that were idle.
    pub(crate) fn forget(&self) {
        self.shared.forgotten.store(self.shared.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.mood.store(ENDED, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("the proxy's thread");
        }
    }
}

fn carry(client: TcpStream, port: u16, shared: &Arc<Shared>) {
    let number = shared.made.fetch_add(1, Ordering::SeqCst);
    let (shared, address) = (shared.clone(), SocketAddr::from(([127, 0, 0, 1], port)));
    spawn(move || {
        // Of a silent way, and of a cut one, the server never hears.
        while shared.holds(number, false) {
            sleep(LOOK);
        }
        if shared.mood() == Mood::Cut {
            return;
        }
        let Ok(server) = TcpStream::connect(address) else { return };
        let (client_again, server_again) =
            (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
        let other = shared.clone();
        spawn(move || pump(client_again, server_again, |has_bytes| look(&other, number, false, has_bytes)));
        pump(server, client, |has_bytes| look(&shared, number, true, has_bytes));
    });
}

/// Waits until bytes may go on this way, and says whether they may.
fn look(shared: &Shared, number: u32, is_answer: bool, has_bytes: bool) -> bool {
    while has_bytes && shared.holds(number, is_answer) {
        sleep(LOOK);
    }
    match shared.mood() {
        Mood::Cut => false,
        Mood::Snapping => !(is_answer && has_bytes),
        _ => true,
    }
}

/// Carries bytes one way until either end closes.
fn pump(mut from: TcpStream, mut to: TcpStream, may_go_on: impl Fn(bool) -> bool) {
    from.set_nonblocking(false).expect("a socket");
    from.set_read_timeout(Some(LOOK)).expect("a socket");
    let mut buffer = vec![0; 64 * 1024];
    while may_go_on(false) {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        // An end is kept back like bytes, and comes after them.
        if !may_go_on(true) || read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
