//! HTTP/1.1 written by hand, byte by byte, so that a test can also send what no client library would.
//! Knows framing and nothing of MCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Longest wait for anything. Far above what is expected, so that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Wire<S> {
    reader: BufReader<S>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The head of an answer whose body is not there yet.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Wire<TcpStream> {
    pub(crate) fn tcp(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// The same from another address of this machine.
    pub(crate) fn tcp_from(from: &str, to: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&format!("{from}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Says that nothing more will be sent (FIN), and goes on listening.
    pub(crate) fn finish(&mut self) {
        match self.reader.get_mut().shutdown(Shutdown::Write) {
            // The peer was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => {}
            done => done.unwrap(),
        }
    }

    /// Whether nothing comes for a moment. Only a yes of one who must be silent means anything.
    pub(crate) fn is_silent(&self) -> bool {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let peeked = self.reader.buffer().is_empty() && stream.peek(&mut [0]).is_err();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        peeked
    }

    /// Whether the peer takes all of this without much waiting. After a no, part of it may have been taken.
    pub(crate) fn takes(&mut self, bytes: &[u8]) -> bool {
        let stream = self.reader.get_mut();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let taken = stream.write_all(bytes).is_ok();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        taken
    }

    /// Hangs up rudely: the peer gets an RST.
    pub(crate) fn reset(self) {
        let stream = socket2::Socket::from(self.reader.into_inner());
        stream.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl Wire<UnixStream> {
    pub(crate) fn unix(to: &Path) -> Self {
        let stream = UnixStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }
}

impl<S: Read + Write> Wire<S> {
    /// Over something that is connected already.
    pub(crate) fn over(stream: S) -> Self {
        Self { reader: BufReader::new(stream) }
    }

    /// What it is made of.
    pub(crate) fn into_inner(self) -> S {
        self.reader.into_inner()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Sends bytes as they are, to a peer that may hang up meanwhile.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.reader.get_mut().write_all(bytes).is_ok()
    }

    /// Sends a request with a body of this length.
    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.send(&request(method, path, headers, body));
    }

    /// Reads one answer's head; `None` where the connection ended instead.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let line = self.line()?;
        let status = line.strip_prefix("HTTP/1.1 ").expect(&line)[..3].parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().expect("the head ends before the connection does");
            if line.is_empty() {
                return Some(Head { status, headers });
            }
            let (name, value) = line.split_once(':').expect(&line);
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads what follows a head.
    pub(crate) fn rest(&mut self, head: Head) -> Answer {
        let Head { status, headers } = head;
        let find = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let mut body = Vec::new();
        if let Some(length) = find("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.reader.read_exact(&mut body).unwrap();
        } else if find("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend_from_slice(&chunk);
            }
        } else {
            assert!(matches!(status, 202 | 204), "an answer {status} without a length");
        }
        Answer { status, headers, body }
    }

    /// Reads one chunk of a chunked body; `None` for the last one, which is empty.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().expect("a chunk's length");
        let mut chunk = vec![0; usize::from_str_radix(&line, 16).expect(&line)];
        self.reader.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line().as_deref(), Some(""), "a chunk ends with a line end");
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }

    /// Reads one answer; `None` where the connection ended instead.
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let head = self.head()?;
        Some(self.rest(head))
    }

    /// Reads one answer.
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer before the connection ends")
    }

    /// Whether the peer has nothing more to say and hangs up.
    pub(crate) fn ends(&mut self) -> bool {
        let mut more = Vec::new();
        match self.reader.read_to_end(&mut more) {
            Ok(_) => more.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            other => other.unwrap(),
        };
        let line = line.strip_suffix(b"\r\n").expect("lines end with CRLF");
        Some(String::from_utf8(line.to_vec()).unwrap())
    }
}

/// A request's bytes. `Host` is 127.0.0.1 unless it is among the headers.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if !has("host") {
        bytes.extend_from_slice(b"Host: 127.0.0.1\r\n");
    }
    if !has("content-length") && !has("transfer-encoding") && (method != "GET" || !body.is_empty()) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

impl Answer {
    /// A header's value where it is there once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Everything that a stranger can see of it, but for what differs from one answer to the next. The
    /// order of headers is such a thing: actix-web shuffles it at random for each answer.
    pub(crate) fn visible(&self) -> (u16, Vec<(String, String)>, String) {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        headers.sort();
        (self.status, headers, self.text())
    }
}
