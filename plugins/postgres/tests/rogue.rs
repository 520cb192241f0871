//! A server that is none, or a bad one: whatever it sends, it is given up in time and memory, and learns no password.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{LIMITS, PATIENCE, all, open, policy, query};
use sequel_connector::{DataSource, Limits, OpenError, QueryError};
use sequel_connector_postgres::Policy;

/// A server of one script, run for each connection. Tells all that it was sent.
struct Rogue {
    port: u16,
    heard: mpsc::Receiver<Vec<u8>>,
}

fn rogue(script: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> Rogue {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (script, tell) = (script.clone(), tell.clone());
            std::thread::spawn(move || {
                let mut stream = stream;
                script(&mut stream);
                // What it was sent beyond what the script read.
                let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
                let mut rest = Vec::new();
                let mut part = [0; 4096];
                while let Ok(bytes @ 1..) = stream.read(&mut part) {
                    rest.extend_from_slice(&part[..bytes]);
                }
                let _ = tell.send(rest);
            });
        }
    });
    Rogue { port, heard }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut whole = vec![kind];
    whole.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
    whole.extend_from_slice(body);
    whole
}

/// Reads whatever comes next; an error is the other end's.
fn hear(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 8192]);
}

fn say(stream: &mut TcpStream, parts: &[Vec<u8>]) {
    let _ = stream.write_all(&parts.concat());
}

fn let_in() -> Vec<Vec<u8>> {
    vec![message(b'R', &[0; 4]), message(b'K', &[0; 8]), message(b'Z', b"I")]
}

fn row(cells: &[&[u8]]) -> Vec<u8> {
    let mut body = u16::try_from(cells.len()).expect("few").to_be_bytes().to_vec();
    for cell in cells {
        body.extend_from_slice(&u32::try_from(cell.len()).expect("short").to_be_bytes());
        body.extend_from_slice(cell);
    }
    message(b'D', &body)
}

fn columns(count: u16) -> Vec<u8> {
    let mut body = count.to_be_bytes().to_vec();
    for _ in 0..count {
        body.extend_from_slice(b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
    }
    message(b'T', &body)
}

fn settings(port: u16) -> serde_json::Value {
    serde_json::json!({
        "host": "127.0.0.1", "port": port, "database": "d", "user": "u", "password": "hunter2-the-password", "tls": "disable",
    })
}

async fn refused(rogue: &Rogue) -> OpenError {
    let opening = open(settings(rogue.port), policy());
    let opened = tokio::time::timeout(PATIENCE, opening).await.expect("it is given up in time");
    opened.map(drop).expect_err("nothing of this is a database")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_garbage_is_given_up() {
    let endless_parameters = |stream: &mut TcpStream| {
        hear(stream);
        say(stream, &[message(b'R', &[0; 4])]);
        let parameter = message(b'S', b"a\0b\0");
        while stream.write_all(&parameter).is_ok() {}
    };
    let endless_notice = |stream: &mut TcpStream| {
        hear(stream);
        let _ = stream.write_all(b"N\x7f\xff\xff\xff");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    };
    let answering = |answer: &'static [u8]| {
        move |stream: &mut TcpStream| {
            hear(stream);
            let _ = stream.write_all(answer);
        }
    };
    for script in [
        rogue(answering(b"")),
        rogue(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        rogue(answering(b"\0\0\0\0\0\0\0\0\0\0\0\0")),
        rogue(answering(b"R\xff\xff\xff\xff")),
        rogue(answering(b"R\0\0\0\x03")),
        rogue(answering(b"R\0\0\0\x08\0\0\0\x63")),
        rogue(answering(b"E\0\0\0\x05\0")),
        rogue(answering(b"D\x7f\xff\xff\xff")),
        rogue(answering(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x04")),
        rogue(endless_parameters),
        rogue(endless_notice),
        // Says nothing at all.
        rogue(|stream| {
            hear(stream);
            std::thread::sleep(Duration::from_secs(20));
        }),
    ] {
        refused(&script).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_the_password_in_the_clear_gets_none() {
    let script = rogue(|stream| {
        hear(stream);
        say(stream, &[message(b'R', &3_u32.to_be_bytes())]);
    });
    let error = refused(&script).await;
    assert!(matches!(&error, OpenError::Settings(text) if text.contains("in the clear")), "{error:?}");
    let heard = script.heard.recv_timeout(PATIENCE).expect("the connection ended");
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_tls_away_or_speaks_before_it_learns_nothing() {
    let taken_away = rogue(|stream| {
        hear(stream);
        say(stream, &[b"N".to_vec()]);
    });
    // What comes in the clear behind the word for TLS must not count as said under it.
    let slipped_in = rogue(|stream| {
        hear(stream);
        say(stream, &[b"S".to_vec(), let_in().concat()]);
    });
    for (script, is_told) in [(taken_away, true), (slipped_in, false)] {
        let mut settings = settings(script.port);
        settings["tls"] = "require".into();
        let opening = tokio::time::timeout(PATIENCE, open(settings, policy()));
        let error = opening.await.expect("it is given up in time").map(drop).expect_err("no database");
        let is_settings = matches!(&error, OpenError::Settings(text) if text.contains("no TLS"));
        assert_eq!(is_settings, is_told, "{error:?}");
        let heard = script.heard.recv_timeout(PATIENCE).expect("the connection ended");
        // Not even whom somebody wanted to be.
        assert!(!heard.windows(5).any(|part| part == b"user\0" || part == b"hunte"), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_named() {
    let script = rogue(|stream| {
        hear(stream);
        let version = message(b'S', b"server_version\x0012.22 (Debian 12.22-1)\0");
        say(stream, &[message(b'R', &[0; 4]), version, message(b'Z', b"I")]);
    });
    let error = refused(&script).await;
    assert!(matches!(&error, OpenError::Settings(text) if text.contains("PostgreSQL 12")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_proves_nothing_or_asks_for_too_much_work_is_refused() {
    let began = |next: &'static [u8]| {
        move |stream: &mut TcpStream| {
            hear(stream);
            say(stream, &[message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")]);
            hear(stream);
            say(stream, &[message(b'R', next)]);
            hear(stream);
        }
    };
    for script in [
        // Lets in without having shown that it knows the password.
        rogue(began(b"\0\0\0\0")),
        rogue(began(b"\0\0\0\x0br=x,s=AAAA,i=4000000000")),
        rogue(began(b"\0\0\0\x0br=x,s=AAAA,i=200001")),
        rogue(began(b"\0\0\0\x0bgarbage")),
        rogue(began(b"\0\0\0\x03")),
    ] {
        refused(&script).await;
        let heard = script.heard.recv_timeout(PATIENCE).expect("the connection ended");
        assert!(!heard.windows(7).any(|part| part == b"hunter2"), "{heard:?}");
    }
}

/// Lets in and answers what is asked when a source is opened; then the script has the connection.
fn opened(script: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> Rogue {
    let connections = Arc::new(AtomicUsize::new(0));
    rogue(move |stream| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        let mut began = [0; 8192];
        // Whoever asks for a query to be cancelled says no more and hears nothing.
        if stream.read(&mut began).is_ok_and(|bytes| bytes == 16) {
            return;
        }
        say(stream, &let_in());
        if number > 0 {
            return script(stream);
        }
        hear(stream);
        say(stream, &[message(b'Z', b"T")]);
        hear(stream);
        answer_probe(stream);
    })
}

/// A role that may do nothing that matters.
fn answer_probe(stream: &mut TcpStream) {
    say(stream, &[message(b'1', b""), message(b't', &[0; 2]), columns(10)]);
    hear(stream);
    let no: Vec<&[u8]> = (0..10).map(|at| if at == 5 { &b""[..] } else { &b"f"[..] }).collect();
    say(stream, &[message(b'2', b""), row(&no), message(b'C', b"SELECT 1\0"), message(b'Z', b"T")]);
}

async fn asked(rogue: &Rogue, limits: Limits) -> Result<u64, QueryError> {
    let source = opened_source(rogue).await;
    let asking = async {
        let (batches, _) = all(source.query(query("SELECT 1", limits)).await?).await?;
        Ok(batches.iter().map(|batch| batch.len() as u64).sum())
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it is given up in time")
}

async fn opened_source(rogue: &Rogue) -> Arc<dyn DataSource> {
    opened_source_with(rogue, policy()).await
}

async fn opened_source_with(rogue: &Rogue, policy: Policy) -> Arc<dyn DataSource> {
    let mut settings = settings(rogue.port);
    settings["password"] = serde_json::Value::Null;
    open(settings, Policy { privileged_roles: true, ..policy }).await.expect("it lets in")
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_executed_unless_the_server_says_that_a_transaction_is_open() {
    for state in [b"I", b"E"] {
        let script = opened(move |stream| {
            hear(stream);
            say(stream, &[message(b'Z', state)]);
        });
        let error = asked(&script, LIMITS).await.unwrap_err();
        assert!(matches!(error, QueryError::Unavailable(_)), "{error:?}");
        // The statement went along to be read, in what the script has heard; that it be executed (Bind, …) was not asked for.
        while let Ok(heard) = script.heard.recv_timeout(Duration::from_secs(2)) {
            assert!(heard.first() != Some(&b'B'), "{heard:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_a_cancel_is_asked_again() {
    let (cancels, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let script = rogue({
        let (cancels, ended, connections) =
            (Arc::clone(&cancels), Arc::clone(&ended), Arc::new(AtomicUsize::new(0)));
        move |stream| {
            let mut first = [0; 8];
            let _ = stream.read_exact(&mut first);
            if first[4..] == 80_877_102_u32.to_be_bytes() {
                cancels.fetch_add(1, Ordering::SeqCst);
                return;
            }
            hear(stream);
            say(stream, &let_in());
            hear(stream);
            say(stream, &[message(b'Z', b"T")]);
            if connections.fetch_add(1, Ordering::SeqCst) == 0 {
                hear(stream);
                return answer_probe(stream);
            }
            say(stream, &[message(b'1', b""), message(b't', &[0; 2]), columns(1)]);
            hear(stream);
            // At work, until it was asked twice to stop.
            while cancels.load(Ordering::SeqCst) < 2 {
                std::thread::sleep(Duration::from_millis(5));
            }
            say(stream, &[message(b'E', b"C57014\0\0"), message(b'Z', b"E")]);
            ended.fetch_add(1, Ordering::SeqCst);
        }
    });
    let source = opened_source(&script).await;
    let asked = query("SELECT 1", LIMITS);
    let cancel = asked.cancel.clone();
    let rows = source.query(asked).await.expect("it starts");
    cancel.cancel();
    assert!(matches!(all(rows).await, Err(QueryError::Cancelled)));
    tokio::time::timeout(PATIENCE, async {
        while ended.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it is asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_the_server_does_not_give_up_keeps_its_place() {
    let (begun, is_done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let script = {
        let (begun, is_done) = (Arc::clone(&begun), Arc::clone(&is_done));
        opened(move |stream| {
            hear(stream);
            say(stream, &[message(b'Z', b"T"), message(b'1', b""), message(b't', &[0; 2]), columns(1)]);
            hear(stream);
            begun.fetch_add(1, Ordering::SeqCst);
            // A function that looks for no cancel until it is done.
            while !is_done.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            say(
                stream,
                &[message(b'2', b""), row(&[b"a"]), message(b'C', b"SELECT 1\0"), message(b'Z', b"T")],
            );
            let over = [message(b'C', b"X\0"), message(b'Z', b"I")];
            say(stream, &[over.concat(), over.concat()]);
        })
    };
    let source = opened_source_with(&script, Policy { connections_per_source: 2, ..policy() }).await;
    let short = Limits { time: Duration::from_millis(300), ..LIMITS };
    let ask = async |limits| all(source.query(query("SELECT 1", limits)).await?).await.map(drop);
    for _ in 0..2 {
        assert!(matches!(ask(short).await, Err(QueryError::Limit(_))));
    }
    // Both work on in the server, so no third one is begun, whatever time it has.
    let error = tokio::time::timeout(PATIENCE, ask(LIMITS)).await.expect("it is told").unwrap_err();
    assert!(matches!(&error, QueryError::Limit(text) if text.contains("does not give up")), "{error:?}");
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    is_done.store(true, Ordering::SeqCst);
    tokio::time::timeout(PATIENCE, async {
        while ask(LIMITS).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the places are free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_meets_the_end_of_a_query_costs_no_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let script = opened({
        let connections = Arc::clone(&connections);
        move |stream| {
            connections.fetch_add(1, Ordering::SeqCst);
            for _ in 0..2 {
                hear(stream);
                say(stream, &[message(b'Z', b"T"), message(b'1', b""), message(b't', &[0; 2]), columns(1)]);
                hear(stream);
                // The statement is done; what was behind it was cancelled, and so the session is not clean.
                let done =
                    [message(b'2', b""), row(&[b"x"]), message(b'C', b"SELECT 1\0"), message(b'Z', b"T")];
                let cancelled = [message(b'E', b"C57014\0\0"), message(b'Z', b"E")];
                let refused = [message(b'E', b"C25001\0\0"), message(b'Z', b"E")];
                say(stream, &[done.concat(), cancelled.concat(), refused.concat()]);
                hear(stream);
                let ended = [message(b'C', b"ROLLBACK\0"), message(b'Z', b"I")];
                let clean = [message(b'C', b"DISCARD ALL\0"), message(b'Z', b"I")];
                say(stream, &[ended.concat(), clean.concat()]);
            }
        }
    });
    let source = opened_source_with(&script, Policy { connections_per_source: 1, ..policy() }).await;
    for _ in 0..2 {
        let asking = async { all(source.query(query("SELECT 1", LIMITS)).await?).await };
        let (batches, _) = tokio::time::timeout(PATIENCE, asking).await.expect("in time").expect("rows");
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), 1);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_never_end_and_rows_of_any_size_take_bounded_memory() {
    let short = Limits { time: Duration::from_secs(3), rows: u64::MAX, bytes: 4 << 20, ..LIMITS };
    let answering = |rest: fn(&mut TcpStream)| {
        opened(move |stream| {
            hear(stream);
            say(stream, &[message(b'Z', b"T"), message(b'1', b""), message(b't', &[0; 2]), columns(1)]);
            hear(stream);
            say(stream, &[message(b'2', b"")]);
            rest(stream);
        })
    };
    // One cell of two gigabytes: what fits the limit is kept, and the time limit ends the rest.
    let large = answering(|stream| {
        let _ = stream.write_all(b"D\x7f\xff\xff\xff\0\x01\x7f\xff\xff\xf5");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    // Rows without number.
    let many = answering(|stream| {
        let rows = row(&[b"xxxxxxxxxxxxxxxx"]).repeat(1000);
        while stream.write_all(&rows).is_ok() {}
    });
    // A row that claims more cells than columns, and one whose cell is longer than the row.
    let wide = answering(|stream| say(stream, &[row(&[b"a", b"b"])]));
    let lying = answering(|stream| say(stream, &[message(b'D', b"\0\x01\0\0\xff\xff")]));
    let before = resident_bytes();
    for (script, is_cut) in [(large, true), (many, true), (wide, false), (lying, false)] {
        let ended = asked(&script, short).await;
        match ended {
            Ok(rows) => assert!(is_cut && rows > 0, "{rows}"),
            Err(QueryError::Limit(_)) => assert!(is_cut),
            // Behind two gigabytes, where they came in time, is no message.
            Err(QueryError::Unavailable(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}
