//! A way to the database that can be disturbed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    /// Everything passes.
    Open,
    /// Connections end, and new ones at once.
    Cut,
    /// Nothing passes, and nobody is told.
    Silent,
    /// What is asked passes, what is answered does not.
    Deaf,
}

struct Shared {
    mood: AtomicU8,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::SeqCst) == mood as u8
    }
}

/// A proxy on a port of its own.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// To the server of this URL.
    pub(crate) fn before(url: &str) -> Self {
        let server = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            mood: AtomicU8::new(Mood::Open as u8),
            over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.over.load(Ordering::SeqCst) {
                    return;
                }
                if !accepting.is(Mood::Cut) {
                    serve(client, &server, &accepting);
                }
            }
        });
        Self { port, shared }
    }

    /// From now on.
    pub(crate) fn is(&self, mood: Mood) {
        self.shared.mood.store(mood as u8, Ordering::SeqCst);
        // Whatever was held back on them is lost with them.
        if matches!(mood, Mood::Cut | Mood::Open) {
            for stream in self.shared.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.is(Mood::Cut);
        // Wakes whoever accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(client: TcpStream, server: &str, shared: &Arc<Shared>) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let (asking, answering) = ((client.try_clone(), server.try_clone()), (server, client));
    let (Ok(from_client), Ok(to_server)) = asking else { return };
    let (from_server, to_client) = answering;
    shared.open.lock().unwrap().extend(from_client.try_clone().into_iter().chain(from_server.try_clone()));
    for (from, to, is_answer) in [(from_client, to_server, false), (from_server, to_client, true)] {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || pass(from, to, is_answer, &shared));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_answer: bool, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        while shared.is(Mood::Silent) || (is_answer && shared.is(Mood::Deaf)) {
            if shared.over.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
