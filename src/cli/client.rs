//! The admin API's client: HTTP/1 over a unix socket (hyper). Knows paths and bodies as bytes, and
//! the one shape of a refusal; what the answers mean is the commands' business.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use crate::api::{BASE, Problem};

/// Longest answer: a list of 100,000 keys at some 400 bytes each is 40 MB.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Longest wait for an answer. A change waits at most `orgs.ask_timeout_ms`, 10 s by default; a source that
/// is tested has the few seconds that its connector gives a sign of life, beside what opening it takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A connection to a server's admin API.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    sender: SendRequest<Full<Bytes>>,
}

/// A request that was not carried out, or whose outcome is not known.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error("the Sequel server does not answer at {}: {source}. Check that it runs, then try again.", .socket.display())]
    Unreachable {
        /// Where it should be.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke before the answer was whole. A change may have happened.
    #[error("the connection to the Sequel server at {} broke before it answered: {why}. Look whether the change happened before you try again.", .socket.display())]
    Broken {
        /// The server's socket.
        socket: PathBuf,
        /// What happened.
        why: String,
    },
    /// No answer in time. A change may have happened.
    #[error("the Sequel server did not answer within {} seconds. Look whether the change happened before you try again.", ANSWER_TIMEOUT.as_secs())]
    Timeout,
    /// The server refused and says what to do.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// An answer that this version does not understand.
    #[error(
        "the Sequel server gave an answer that this program does not understand ({0}). Are both of the same version?"
    )]
    Unexpected(String),
}

impl Client {
    /// Connects to the server at a socket. Needs a tokio runtime.
    pub async fn connect(socket: &Path) -> Result<Self, ClientError> {
        let socket = socket.to_owned();
        let stream = match UnixStream::connect(&socket).await {
            Ok(stream) => stream,
            Err(source) => return Err(ClientError::Unreachable { socket, source }),
        };
        let (sender, connection) = match handshake(TokioIo::new(stream)).await {
            Ok(halves) => halves,
            Err(error) => return Err(ClientError::Broken { socket, why: error.to_string() }),
        };
        // Ends when the client is dropped; its errors reach us through the request under way.
        tokio::spawn(connection);
        Ok(Self { socket, sender })
    }

    /// `GET` of a path below the API's base.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// `POST` of a body.
    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(Method::POST, path, encode(body)).await
    }

    /// `PATCH` of a body.
    pub async fn patch<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(Method::PATCH, path, encode(body)).await
    }

    /// `DELETE` of a path.
    pub async fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.send(Method::DELETE, path, Bytes::new()).await
    }

    /// `GET` of a path whose answer is taken in pieces.
    pub async fn stream(&mut self, path: &str) -> Result<Pieces, ClientError> {
        let sending = tokio::time::timeout(ANSWER_TIMEOUT, self.begin(Method::GET, path, Bytes::new()));
        let answer = sending.await.map_err(|_| ClientError::Timeout)??;
        let (status, body) = (answer.status(), answer.into_body());
        if status.is_success() {
            return Ok(Pieces { socket: self.socket.clone(), body });
        }
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let problem = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
        Err(problem.map_or_else(|| ClientError::Unexpected(format!("status {status}")), ClientError::Refused))
    }

    async fn send<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let exchange = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(method, path, body));
        let (status, body) = exchange.await.map_err(|_| ClientError::Timeout)??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| ClientError::Unexpected(error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused(problem)),
            Err(_) => Err(ClientError::Unexpected(format!("status {status}"))),
        }
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let answer = self.begin(method, path, body).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let broken = |why: String| ClientError::Broken { socket: self.socket.clone(), why };
        Ok((status, body.map_err(|error| broken(error.to_string()))?.to_bytes()))
    }

    async fn begin(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        let broken = |why: String| ClientError::Broken { socket: self.socket.clone(), why };
        let mut request =
            Request::builder().method(method).uri(format!("{BASE}{path}")).header(HOST, "localhost");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|error| broken(error.to_string()))?;
        self.sender.send_request(request).await.map_err(|error| broken(error.to_string()))
    }
}

/// An answer that is taken in pieces.
#[derive(Debug)]
pub struct Pieces {
    socket: PathBuf,
    body: Incoming,
}

impl Pieces {
    /// The next piece; `None` once the answer is whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(ANSWER_TIMEOUT, self.body.frame());
            match frame.await.map_err(|_| ClientError::Timeout)? {
                None => return Ok(None),
                // Trailers are of no interest.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => return Ok(Some(piece)),
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    let (socket, why) = (self.socket.clone(), error.to_string());
                    return Err(ClientError::Broken { socket, why });
                }
            }
        }
    }
}

fn encode(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("every request is a struct with string keys").into()
}

/// One segment of a path: everything but unreserved characters (RFC 3986) is percent-encoded, so that
/// a name with a slash stays one segment. A name of dots alone would be taken for a step in the path,
/// and is encoded as well.
pub(super) fn segment(name: &str) -> String {
    let dots = name.bytes().all(|b| b == b'.');
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'.' if dots => text.push_str("%2E"),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_breaks_says_that_the_change_may_have_happened() {
        let folder = tempfile::Builder::new().prefix("sequel").tempdir_in("/tmp").unwrap();
        let socket = folder.path().join("admin.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let server = async { drop(listener.accept().await.unwrap()) };
        let client = async {
            let mut client = Client::connect(&socket).await.unwrap();
            client.delete::<serde_json::Value>("/orgs/a/keys/k").await.unwrap_err()
        };
        let (error, ()) = tokio::join!(client, server);
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
        assert!(error.to_string().contains("Look whether the change happened"));
    }

    #[test]
    fn a_name_stays_one_segment_of_the_path() {
        assert_eq!(segment("acme-1.x_y~"), "acme-1.x_y~");
        assert_eq!(segment("a/b c?d%ü"), "a%2Fb%20c%3Fd%25%C3%BC");
        assert_eq!(segment(".."), "%2E%2E");
    }
}
