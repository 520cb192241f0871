//! HTTP that is malformed, ambiguous, slow or too large (THREATS 13 and 16): one answer, then the end.

use serde_json::json;

use crate::server::{Home, TestServer};
use crate::wire::{Wire, request};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

struct Client {
    _home: Home,
    server: TestServer,
    bearer: String,
}

fn client(home: Home, env: &[(&str, &str)]) -> Client {
    let server = home.serve_with(env);
    server.org("acme");
    let bearer = format!("Bearer {}", server.key("acme", "client"));
    Client { _home: home, server, bearer }
}

impl Client {
    /// Sends these header lines with a key's, then these bytes; a whole second request follows at once.
    fn smuggle(&self, lines: &str, body: &str) -> Wire<std::net::TcpStream> {
        let mut wire = self.server.connect();
        let bearer = &self.bearer;
        let head = format!("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer}\r\n{lines}\r\n");
        wire.try_send(format!("{head}{body}").as_bytes());
        wire.try_send(&request("GET", "/healthz", &[], b""));
        wire
    }
}

#[test]
fn an_ambiguous_length_gets_one_refusal_and_the_connection_ends() {
    let client = client(Home::new(), &[]);
    let length = LIST.len();
    for lines in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length + 1),
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, {length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 0x10\r\n".to_owned(),
        "Content-Length: 99999999999999999999999\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        "Transfer-Encoding:\tchunked\r\nTransfer-Encoding: x\r\n".to_owned(),
        format!("Content-Length: {length}, {}\r\n", length + 1),
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Content-Length : {length}\r\n"),
        format!("X: y\r\n folded\r\nContent-Length: {length}\r\n"),
        format!("X: y\r\n\tfolded\r\nContent-Length: {length}\r\n"),
        format!("X\0: y\r\nContent-Length: {length}\r\n"),
        format!("X: a\0b\r\nContent-Length: {length}\r\n"),
    ] {
        let mut wire = client.smuggle(&lines, LIST);
        let answer = wire.answer();
        assert!((400..500).contains(&answer.status), "{lines:?}: {} {}", answer.status, answer.text());
        assert!(wire.ends(), "{lines:?}: nothing may follow");
    }
    assert_eq!(client.server.http("GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn what_is_no_http_request_gets_at_most_one_refusal() {
    let client = client(Home::new(), &[]);
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\r\n\r\n\r\nnonsense\r\n\r\n",
        b"GET http://[:::1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ] {
        let mut wire = client.server.connect();
        wire.try_send(bytes);
        wire.finish();
        if let Some(answer) = wire.try_answer() {
            assert!((400..500).contains(&answer.status), "{bytes:?}: {answer:?}");
        }
        assert!(wire.ends(), "{bytes:?}");
    }
    assert_eq!(client.server.http("GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn a_head_that_does_not_come_is_given_up_in_the_configured_time() {
    let client = client(Home::new(), &[("SEQUEL__SERVER__CLIENT_REQUEST_TIMEOUT_MS", "300")]);
    for part in ["", "POST /mcp HT", "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "] {
        let mut wire = client.server.connect();
        wire.send(part.as_bytes());
        // The wait ends by the server's doing: 408, or a plain close where nothing had begun.
        if let Some(answer) = wire.try_answer() {
            assert_eq!(answer.status, 408, "{part:?}");
        }
        assert!(wire.ends(), "{part:?}");
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let client = client(Home::new(), &[]);
    let mut wire = client.server.connect();
    let mut sent = wire.try_send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    let line = format!("X: {}\r\n", "a".repeat(8_000));
    for _ in 0..64 {
        sent = sent && wire.try_send(line.as_bytes());
    }
    // The end never comes. Either the refusal arrives or the connection was cut while we still sent.
    if let Some(answer) = wire.try_answer() {
        assert!(matches!(answer.status, 400 | 413 | 431), "{}", answer.status);
    }
    assert!(wire.ends());
}

#[test]
fn a_body_of_the_limit_is_taken_and_one_byte_more_is_not() {
    const LIMIT: usize = 1024 * 1024;
    let client = client(Home::new(), &[]);
    let headers = [("Authorization", client.bearer.as_str())];
    let body = format!("{LIST}{}", " ".repeat(LIMIT - LIST.len()));
    assert_eq!(client.server.post(&headers, body.as_bytes()).status, 200);

    let longer = format!("{body} ");
    let mut wire = client.server.connect();
    wire.try_send(&request("POST", "/mcp", &headers, longer.as_bytes()));
    let answer = wire.answer();
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.text().contains("1048576 bytes"), "{}", answer.text());

    // The same where no length is told beforehand.
    let chunked = [headers[0], ("Transfer-Encoding", "chunked")];
    let chunks = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    assert_eq!(client.server.post(&chunked, chunks(&body).as_bytes()).status, 200);
    let mut wire = client.server.connect();
    wire.try_send(&request("POST", "/mcp", &chunked, chunks(&longer).as_bytes()));
    assert_eq!(wire.answer().status, 413);
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_is_sent() {
    let client = client(Home::new(), &[]);
    let mut wire = client.server.connect();
    wire.request(
        "POST",
        "/mcp",
        &[("Authorization", &client.bearer), ("Content-Length", "10000000000")],
        b"",
    );
    assert_eq!(wire.answer().status, 413);
    assert!(wire.ends());
}

#[test]
fn an_encoded_body_and_one_that_is_not_json_are_not_taken() {
    let client = client(Home::new(), &[]);
    for (name, value) in [
        ("Content-Encoding", "gzip"),
        ("Content-Encoding", "br"),
        ("Content-Encoding", "deflate, gzip"),
        ("Content-Type", "text/plain"),
        ("Content-Type", "multipart/form-data; boundary=x"),
    ] {
        let answer = client.server.post(&[("Authorization", &client.bearer), (name, value)], LIST.as_bytes());
        assert_eq!(answer.status, 415, "{value}: {}", answer.text());
    }
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
        let headers = [("Authorization", client.bearer.as_str()), ("Content-Type", kind)];
        assert_eq!(client.server.post(&headers, LIST.as_bytes()).status, 200, "{kind}");
    }
}

#[test]
fn a_gzip_bomb_is_refused_unread() {
    let client = client(Home::new(), &[]);
    // The head of a gzip stream; what follows does not matter, since it is never inflated.
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 4_000]].concat();
    let headers = [("Authorization", client.bearer.as_str()), ("Content-Encoding", "gzip")];
    assert_eq!(client.server.post(&headers, &bomb).status, 415);
    // Without the header it is just no JSON.
    assert_eq!(client.server.post(&headers[..1], &bomb).status, 400);
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let client = client(Home::new(), &[]);
    let body = " ".repeat(900_000);
    for _ in 0..10 {
        // No key: the answer comes while most of the body is still to be sent.
        let mut wire = client.server.connect();
        wire.try_send(&request("POST", "/mcp", &[], body.as_bytes()));
        assert_eq!(wire.answer().status, 401);
    }
}

#[test]
fn nesting_and_ids_that_make_no_sense_get_a_bounded_error() {
    let client = client(Home::new(), &[]);
    let depth = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "i".repeat(1_000_000));
    let digits = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(1_000_000));
    for body in [
        depth.as_str(),
        &"[".repeat(10_000),
        &"{\"a\":".repeat(10_000),
        &long,
        &digits,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        "",
        "null",
        "\"text\"",
        "{",
        "{}{}",
        "\u{feff}{}",
    ] {
        let answer = client.server.post(&[("Authorization", &client.bearer)], body.as_bytes());
        let shown = &body[..body.len().min(60)];
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        assert!(answer.body.len() < 1_000, "{shown}");
        let code = answer.json()["error"]["code"].as_i64().unwrap();
        assert!(matches!(code, -32700 | -32600), "{shown}: {code}");
        assert!(answer.json().get("id").is_some(), "{shown}");
    }
    // Not UTF-8.
    let answer = client.server.post(&[("Authorization", &client.bearer)], b"{\"jsonrpc\":\"\xff\"}");
    assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (400, json!(-32700)));
}

#[test]
fn a_broken_chunk_ends_the_connection_and_nothing_after_it_is_read_as_a_request() {
    let client = client(Home::new(), &[]);
    for body in ["zz\r\n", "-1\r\n", "2e\r\n{}", "fffffffffffffffffff\r\n{}", "2\r\n{}X\r\n0\r\n\r\n"] {
        let mut wire = client.smuggle("Transfer-Encoding: chunked\r\n", body);
        wire.finish();
        if let Some(answer) = wire.try_answer() {
            assert!((400..500).contains(&answer.status), "{body:?}: {} {}", answer.status, answer.text());
        }
        assert!(wire.ends(), "{body:?}");
    }
}

#[test]
fn what_follows_the_last_chunk_is_no_header() {
    let client = client(Home::new(), &[]);
    let mut wire = client.server.connect();
    wire.request("POST", "/mcp", &[("Transfer-Encoding", "chunked")], b"");
    let bearer = &client.bearer;
    wire.try_send(format!("{:x}\r\n{LIST}\r\n0\r\nAuthorization: {bearer}\r\n\r\n", LIST.len()).as_bytes());
    assert_eq!(wire.answer().status, 401);
}

#[test]
fn a_body_that_is_cut_short_is_no_request() {
    let client = client(Home::new(), &[]);
    let mut wire = client.server.connect();
    let headers = [("Authorization", client.bearer.as_str()), ("Content-Length", "100")];
    wire.request("POST", "/mcp", &headers, LIST.as_bytes());
    wire.finish();
    if let Some(answer) = wire.try_answer() {
        assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    }
    assert!(wire.ends());
}

#[test]
fn a_client_that_waits_for_leave_to_send_is_told_to_go_on_or_refused() {
    let client = client(Home::new(), &[]);
    let length = LIST.len().to_string();
    let mut wire = client.server.connect();
    let expect = [("Content-Length", length.as_str()), ("Expect", "100-continue")];
    wire.request("POST", "/mcp", &[("Authorization", client.bearer.as_str()), expect[0], expect[1]], b"");
    let go_on = wire.head().unwrap();
    assert_eq!(go_on.status, 100);
    wire.send(LIST.as_bytes());
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn several_requests_on_one_connection_are_answered_in_turn() {
    let client = client(Home::new(), &[]);
    let mut wire = client.server.connect();
    let headers = [("Authorization", client.bearer.as_str())];
    for id in 0..20 {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        wire.request("POST", "/mcp", &headers, body.as_bytes());
    }
    for id in 0..20 {
        assert_eq!(wire.answer().json()["id"], id);
    }
}
