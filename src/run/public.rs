//! The public HTTP server: actix's HTTP/1 over connections that have to get on.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::http::KeepAlive;
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use actix_web::{App, Error};
use anyhow::Context as _;

use super::assemble::BODY_TIMEOUT;
use super::goodbye::Goodbye;
use crate::config::Config;
use crate::http::{self, Edge, Pace, Paced, RequestIds, Worker};

/// How long a client may leave what was sent to it unread. It holds an answer of some megabytes and a place
/// among its organization's running calls.
const UNREAD_MAX: Duration = Duration::from_secs(60);
/// What an answer may take to begin beside the request's head and body: the store's and the actors' waits.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// A server on a bound listener. `goodbye` closes idle connections.
pub(super) fn public_server(
    config: &Config,
    edge: Arc<Edge>,
    listener: TcpListener,
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
    let factory = move || {
        let (request_ids, facts) = (request_ids.another(), edge.facts.apart());
        let worker = Data::new(Worker { edge: Arc::clone(&edge), request_ids, facts });
        let app = App::new().app_data(worker).configure(http::routes);
        let app = app.into_factory().map_err(|error: Error| error.error_response());
        let goodbye = goodbye.clone();
        let service = HttpService::build()
            .graceful_shutdown_signal(move || goodbye.heard())
            .keep_alive(keep_alive)
            .client_request_timeout(head)
            .client_disconnect_timeout(Duration::from_secs(1))
            // A client that closes its side has gone away: its query must end, not run to its time limit.
            .h1_allow_half_closed(false)
            .h1(map_config(app, |()| AppConfig::default()));
        let metrics = metrics.clone();
        let paced = fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            set_up(&stream);
            let paced = Paced::new(stream, pace, metrics.connection());
            async move { Ok::<_, actix_http::error::DispatchError>((paced, peer)) }
        });
        paced.and_then(service)
    };
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(config.server.connections_max)
        .shutdown_timeout(1)
        .disable_signals()
        .listen("sequel", listener, factory)
        .context("the HTTP server cannot be started")?;
    Ok(server.run())
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
