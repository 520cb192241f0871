//! A fake admin server on a real unix socket: notes what it was asked, answers what the test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::Outcome;

pub(super) type Noted = (String, Value);

/// A server that gives prepared answers in order.
pub(super) struct FakeServer {
    pub(super) folder: tempfile::TempDir,
    noted: Arc<Mutex<Vec<Noted>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeServer {
    pub(super) fn answering(answers: Vec<(u16, Value)>) -> Self {
        let texts = answers.into_iter().map(|(status, body)| (status, body.to_string()));
        Self::answering_text(texts.collect())
    }

    pub(super) fn answering_text(answers: Vec<(u16, String)>) -> Self {
        let folder = tempfile::Builder::new().prefix("sequel").tempdir_in("/tmp").unwrap();
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("admin.sock")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let noted = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let notes = noted.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = UnixListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(&listener, &notes, &answers) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { folder, noted, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn noted(&self) -> Vec<Noted> {
        self.noted.lock().unwrap().clone()
    }

    pub(super) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(args, self.folder.path(), None)
    }

    pub(super) fn run_at_a_terminal(&self, args: &[&str], agrees: bool) -> Outcome {
        Outcome::of(args, self.folder.path(), Some(agrees))
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(std::thread::JoinHandle::join).transpose().expect("the fake server panicked");
    }
}

async fn accept(
    listener: &UnixListener,
    noted: &Arc<Mutex<Vec<Noted>>>,
    answers: &Arc<Mutex<VecDeque<(u16, String)>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service_fn(|request: Request<hyper::body::Incoming>| async {
            let line = format!("{} {}", request.method(), request.uri().path());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            noted.lock().unwrap().push((line, body));
            let (status, body) = answers.lock().unwrap().pop_front().expect("an answer for each request");
            let answer = Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap();
            Ok::<_, Infallible>(answer)
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}
