//! The public HTTP server: actix's HTTP/1 over connections that have to get on, in the clear or through TLS. The pace
//! is kept below TLS, so that a handshake is bound by it like a request.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::http::KeepAlive;
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use actix_web::{App, Error};
use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::assemble::BODY_TIMEOUT;
use super::goodbye::Goodbye;
use crate::config::Config;
use crate::http::{self, Edge, Pace, Paced, RequestIds, Worker};
use crate::metrics::Metrics;
use crate::org::block_of;
use crate::places::Places;

/// How long a client may leave what was sent to it unread. It holds an answer of some megabytes and a place
/// among its organization's running calls.
const UNREAD_MAX: Duration = Duration::from_secs(60);
/// What an answer may take to begin beside the request's head and body: the store's and the actors' waits.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// TLS handshakes that one worker has under way at once; more wait for their turn, within their time. A handshake costs
/// a millisecond of arithmetic at most, so that a quarter of a second's worth of them is started.
const HANDSHAKES_MAX: usize = 256;
/// Of them those of one address. Addresses take turns as well, so that a crowd behind one keeps no other waiting; and a
/// crowd that belongs together still has some hundred handshakes a second.
const HANDSHAKES_PER_ADDRESS_MAX: usize = HANDSHAKES_MAX / 4;
/// How long a handshake keeps its place among them. The arithmetic comes first and the client's answer follows within
/// a round trip; who takes longer goes on without a place, so that a client that says hello and then nothing costs the
/// others little.
const HANDSHAKE_PLACE: Duration = Duration::from_millis(500);

/// How connections are served, whatever they are made of.
#[derive(Clone)]
struct Serving {
    edge: Arc<Edge>,
    request_ids: Arc<RequestIds>,
    goodbye: Goodbye,
    keep_alive: KeepAlive,
    head: Duration,
}

/// A server on a bound listener, with TLS where there is a configuration for it. `goodbye` closes idle connections.
pub(super) fn public_server(
    config: &Config,
    edge: Arc<Edge>,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    goodbye: Goodbye,
) -> anyhow::Result<Server> {
    let workers = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let head = Duration::from_millis(config.server.client_request_timeout_ms);
    let keep_alive = match config.server.keep_alive_seconds {
        0 => KeepAlive::Disabled,
        seconds => KeepAlive::Timeout(Duration::from_secs(seconds)),
    };
    let answer = head + BODY_TIMEOUT + ANSWER_SLACK;
    let pace = Pace {
        answer,
        // A query may run to its limit without a byte, and an idle connection to its own.
        silence: answer + config.query.time_max() + Duration::from_secs(config.server.keep_alive_seconds),
    };
    let request_ids = Arc::new(RequestIds::new(&edge.tools.context.rng)?);
    let metrics = edge.metrics.clone();
    let serving = Serving { edge, request_ids, goodbye, keep_alive, head };
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(config.server.connections_max)
        .shutdown_timeout(1)
        .disable_signals();
    let server = match tls {
        None => {
            server.listen("sequel", listener, move || plain(pace, metrics.clone()).and_then(http1(&serving)))
        }
        Some(tls) => server.listen("sequel", listener, move || {
            encrypted(Arc::clone(&tls), pace, metrics.clone(), head).and_then(http1(&serving))
        }),
    };
    Ok(server.context("the HTTP server cannot be started")?.run())
}

/// The application over HTTP/1, for one worker.
fn http1<IO>(
    serving: &Serving,
) -> impl ServiceFactory<Accepted<IO>, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let Serving { edge, request_ids, goodbye, keep_alive, head } = serving.clone();
    let (request_ids, facts) = (request_ids.another(), edge.facts.apart());
    let worker = Data::new(Worker { edge, request_ids, facts });
    let app = App::new().app_data(worker).configure(http::routes);
    let app = app.into_factory().map_err(|error: Error| error.error_response());
    HttpService::build()
        .graceful_shutdown_signal(move || goodbye.heard())
        .keep_alive(keep_alive)
        .client_request_timeout(head)
        .client_disconnect_timeout(Duration::from_secs(1))
        // A client that closes its side has gone away: its query must end, not run to its time limit.
        .h1_allow_half_closed(false)
        .h1(map_config(app, |()| AppConfig::default()))
}

/// A connection and its peer.
type Accepted<IO> = (IO, Option<SocketAddr>);

/// Connections as they come.
fn plain(
    pace: Pace,
    metrics: Metrics,
) -> impl ServiceFactory<TcpStream, Config = (), Response = Accepted<Paced>, Error = DispatchError, InitError = ()>
{
    fn_service(move |stream: TcpStream| {
        let accepted = begin(stream, pace, &metrics);
        async move { Ok(accepted) }
    })
}

/// Connections after their TLS handshake, which has the time of a request's head. Only who has said hello takes a place
/// among those under way: a connection that says nothing costs no arithmetic and may keep nobody waiting.
fn encrypted(
    tls: Arc<ServerConfig>,
    pace: Pace,
    metrics: Metrics,
    within: Duration,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = Accepted<TlsStream<Paced>>,
    Error = DispatchError,
    InitError = (),
> {
    let room = Places::new(HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX);
    fn_service(move |stream: TcpStream| {
        let (tls, room) = (Arc::clone(&tls), room.clone());
        let (stream, peer) = begin(stream, pace, &metrics);
        let handshake = async move {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let place = room.take(&peer.map(|peer| block_of(peer.ip()))).await;
            let mut rest = hello.into_stream(tls);
            match tokio::time::timeout(HANDSHAKE_PLACE, &mut rest).await {
                Ok(done) => done,
                Err(_) => {
                    drop(place);
                    rest.await
                }
            }
        };
        async move {
            match tokio::time::timeout(within, handshake).await {
                Ok(Ok(stream)) => Ok((stream, peer)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    Err(DispatchError::Io(error))
                }
                Err(_) => Err(DispatchError::SlowRequestTimeout),
            }
        }
    })
}

fn begin(stream: TcpStream, pace: Pace, metrics: &Metrics) -> Accepted<Paced> {
    let peer = stream.peer_addr().ok();
    set_up(&stream);
    (Paced::new(stream, pace, metrics.connection()), peer)
}

/// Answers go out at once, and the kernel ends a connection whose client does not take what was sent.
fn set_up(stream: &TcpStream) {
    let mut outcome = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let millis = u32::try_from(UNREAD_MAX.as_millis()).unwrap_or(u32::MAX);
        outcome = outcome.and(rustix::net::sockopt::set_tcp_user_timeout(stream, millis).map_err(Into::into));
    }
    if let Err(error) = outcome {
        // A connection that broke already is reported by whoever reads from it.
        tracing::debug!(%error, "a connection could not be set up");
    }
}
