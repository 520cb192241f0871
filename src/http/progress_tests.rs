//! What a client hears of a call, without a server around it.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::body::MessageBody;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::mcp::{Decision, HeaderField, RequestHead, ServerFacts, decide};

fn token_of(token: Value) -> ProgressToken {
    let params = json!({ "name": "list_data_sources", "_meta": { "progressToken": token } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let head = RequestHead { protocol_version: HeaderField::One(b"2025-11-25"), ..RequestHead::default() };
    match decide(&head, body.to_string().as_bytes(), &ServerFacts::sequel()) {
        Decision::Call(call) => call.progress_token.unwrap(),
        other => panic!("{other:?}"),
    }
}

struct Told {
    body: actix_web::body::BoxBody,
    progress: Arc<Progress>,
    answer: Answering,
}

type Answering = Option<oneshot::Sender<&'static [u8]>>;

/// A response that has begun, which it does when there is something to say: `before` says it.
async fn begin(before: impl FnOnce(&Progress, &mut Answering)) -> Told {
    let progress = Arc::new(Progress::default());
    let (answer, answered) = oneshot::channel::<&'static [u8]>();
    let mut answer = Some(answer);
    before(&progress, &mut answer);
    let making = async move {
        let parts = vec![Bytes::from_static(answered.await.unwrap()), Bytes::new(), Bytes::from_static(b"}")];
        Answer { parts, call: None, tells_of_its_end: false }
    };
    let clock = crate::context::Clock::system();
    let response = told(token_of(json!("t")), Arc::clone(&progress), clock, making).await;
    assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
    Told { body: response.into_body(), progress, answer }
}

impl Told {
    async fn next(&mut self) -> Option<String> {
        let chunk = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_next(cx)).await?;
        Some(String::from_utf8(chunk.unwrap().to_vec()).unwrap())
    }

    /// The progress that comes next.
    async fn note(&mut self) -> Value {
        let event = self.next().await.unwrap();
        let json = event.strip_prefix("event: message\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["method"], json.get("id")), (&json!("notifications/progress"), None));
        json["params"].clone()
    }
}

fn step(done: f64) -> Step {
    Step { done, total: Some(100.0), message: String::new() }
}

#[tokio::test]
async fn progress_grows_and_the_response_is_the_last_event() {
    let mut told = begin(|progress, _| progress.step(step(0.0))).await;
    for done in [0.0, 50.0, 100.0] {
        if done > 0.0 {
            told.progress.step(step(done));
        }
        let note = told.note().await;
        assert_eq!((note["progress"].as_f64(), note["total"].as_f64()), (Some(done), Some(100.0)));
        assert_eq!(note["progressToken"], "t");
    }
    // What does not grow is not told; that nothing was sent shows in what comes next.
    for done in [100.0, 7.0, f64::NAN, f64::INFINITY] {
        told.progress.step(step(done));
        tokio::task::yield_now().await;
    }
    told.answer.take().unwrap().send(b"{\"x\":1").unwrap();
    let mut rest = String::new();
    while let Some(chunk) = told.next().await {
        rest.push_str(&chunk);
    }
    assert_eq!(rest, "event: message\ndata: {\"x\":1}\n\n");
}

#[tokio::test]
async fn a_call_that_is_done_already_is_only_answered() {
    let mut told = begin(|progress, answer| {
        progress.step(step(1.0));
        answer.take().unwrap().send(b"{").unwrap();
    })
    .await;
    assert_eq!(told.next().await.unwrap(), "event: message\ndata: ");
}

#[tokio::test]
async fn a_response_begins_with_its_first_event() {
    let clock = crate::context::Clock::system();
    let progress = Arc::new(Progress::default());
    let begin = |making| told(token_of(json!("t")), Arc::clone(&progress), clock.clone(), making);
    let done = || Answer { parts: vec![Bytes::from_static(b"{}")], call: None, tells_of_its_end: false };
    // A proxy in between may not have looked for the request's end yet.
    assert!(begin(futures_util::future::pending().boxed_local()).now_or_never().is_none());
    assert!(begin(std::future::ready(done()).boxed_local()).now_or_never().is_some());
    progress.step(step(1.0));
    assert!(begin(futures_util::future::pending().boxed_local()).now_or_never().is_some());
}

#[tokio::test]
async fn a_call_that_says_nothing_is_heard_of_by_time_and_rows() {
    let mut told = begin(|progress, _| progress.rows(4_000)).await;
    let first = told.note().await;
    assert!(first["progress"].as_f64().unwrap() > 0.0, "{first}");
    assert!(first["message"].as_str().unwrap().contains("4000 rows so far"), "{first}");
    assert!(first.get("total").is_none(), "{first}");
}

#[tokio::test]
async fn a_body_that_is_dropped_drops_the_query() {
    let dropped = Rc::new(RefCell::new(false));
    struct Query(Rc<RefCell<bool>>);
    impl Drop for Query {
        fn drop(&mut self) {
            *self.0.borrow_mut() = true;
        }
    }
    let query = Query(Rc::clone(&dropped));
    let making = async move {
        let _query = query;
        std::future::pending::<Answer>().await
    };
    let clock = crate::context::Clock::system();
    let progress = Arc::new(Progress::default());
    progress.step(step(1.0));
    let response = told(token_of(json!(7)), progress, clock, making).await;
    assert!(!*dropped.borrow());
    drop(response);
    assert!(*dropped.borrow());
}

#[actix::test]
async fn events_with_rows_are_cut_off_where_the_key_was_revoked_after_the_tool_had_looked() {
    let call = CallGuard::revoked().await;
    let parts = vec![Bytes::from_static(b"SECRETROW")];
    let making = std::future::ready(Answer { parts, call: Some(call), tells_of_its_end: false });
    let clock = crate::context::Clock::system();
    let mut body = told(token_of(json!(7)), Arc::default(), clock, making).await.into_body();
    let first = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await;
    assert!(first.unwrap().is_err());
}
