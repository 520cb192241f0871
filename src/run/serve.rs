//! `sequel serve`: the public server and, beside it, the administration's unix socket.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use sequel_store::Holder;
use tokio_util::sync::CancellationToken;

use super::assemble::Inside;
use super::certificates::{Tls, hangups, keep_fresh};
use super::goodbye::Goodbye;
use super::monitor::Monitor;
use super::notify::{State, notify};
use super::public::public_server;
use super::shutdown::StopSignals;
use super::traces::Traces;
use super::{data_dir, log, set_up, shutdown};
use crate::config::{Config, admin_socket_path, prepare_socket_folder};
use crate::http::api::Admin;
use crate::http::{self, Edge};

/// Serves until it is told to stop.
pub fn serve(config: Config) -> anyhow::Result<()> {
    data_dir::keep_files_private();
    data_dir::require(&config.data_dir)?;
    let traces = Traces::start(&config.telemetry)?;
    let writing = log::start_apart(&config.log, traces.as_ref())?;
    raise_open_files();
    let outcome = run(
        config,
        |_| {},
        async |inside: &Inside, served: Served| {
            tokio::spawn(writing.tell_dropped());
            tracing::info!(mcp_url = served.mcp_url, listen = %served.bound, orgs = inside.index.all().await?.len(), "serving");
            set_up::announce(&inside.people).await
        },
    );
    if let Some(traces) = traces {
        traces.stop();
    }
    outcome
}

/// Takes as many open files as the system lets this user have: what a shell starts with is often 1,024.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit on open files could not be raised");
    }
}

/// What listens.
pub(super) struct Served {
    pub(super) mcp_url: String,
    pub(super) bound: SocketAddr,
}

/// Runs a server on a prepared data folder. `mount` may change what the public server is made of; `started` is
/// called once it answers requests.
pub(super) fn run<M, S>(config: Config, mount: M, started: S) -> anyhow::Result<()>
where
    M: FnOnce(&mut Edge),
    S: AsyncFnOnce(&Inside, Served) -> anyhow::Result<()>,
{
    actix_rt::System::new().block_on(async move {
        let socket = admin_socket_path(&config);
        // The lock comes first: who starts a second server hears of the first one, not of its port.
        let inside = Inside::open(&config, Holder::serving(Some(socket.clone()))).await?;
        let outcome = serve_inside(&config, &inside, &socket, mount, started).await;
        // While the lock is held: a successor's socket has the same name.
        if !inside.is_succeeded() {
            remove_socket(&config, &socket);
        }
        inside.close().await;
        outcome
    })
}

/// Takes the socket away, and the short folder that was made for it where the data folder's path is long.
fn remove_socket(config: &Config, socket: &Path) {
    // What cannot be removed is in nobody's way: the next start replaces it.
    let _ = std::fs::remove_file(socket);
    if let Some(folder) = socket.parent().filter(|folder| *folder != config.data_dir)
        && config.admin.socket.as_os_str().is_empty()
    {
        let _ = std::fs::remove_dir(folder);
    }
}

async fn serve_inside<M, S>(
    config: &Config,
    inside: &Inside,
    socket: &Path,
    mount: M,
    started: S,
) -> anyhow::Result<()>
where
    M: FnOnce(&mut Edge),
    S: AsyncFnOnce(&Inside, Served) -> anyhow::Result<()>,
{
    let mut stop = StopSignals::listen().context("signals cannot be listened for")?;
    prepare_socket_folder(config, socket).map_err(anyhow::Error::msg)?;
    let hangups = hangups().context("signals cannot be listened for")?;
    let tls = Tls::load(config, &inside.context.clock)?;
    let listener = listen(config.server.listen, "--port or server.listen")?;
    let bound = listener.local_addr().context("the bound address cannot be read")?;
    let ready = Arc::new(AtomicBool::new(false));
    let mcp_url = config.mcp_url(bound);
    inside.people.listens_at(config.public_url(bound));
    let mut edge = inside.edge(config, bound, Arc::clone(&ready));
    mount(&mut edge);
    let edge = Arc::new(edge);
    let metrics = match config.metrics.address() {
        Some(address) => {
            let monitor = Monitor::start(listen(address, "metrics.listen")?, inside, Arc::clone(&ready))?;
            tracing::info!(address = %monitor.bound, "metrics are served, to whoever reaches this address");
            Some(monitor)
        }
        None => None,
    };
    let goodbye = Goodbye::default();
    let public = public_server(
        config,
        edge,
        listener,
        tls.as_ref().map(|tls| Arc::clone(&tls.config)),
        goodbye.clone(),
    )?;
    let admin = admin_server(inside.admin(config, Some(bound)), socket)?;
    let (public_handle, admin_handle) = (public.handle(), admin.handle());
    let stop_sweeping = CancellationToken::new();
    let sweeping = actix_rt::spawn(inside.sweeper(config).run(stop_sweeping.clone()));
    let clock = inside.context.clock.clone();
    let freshening = actix_rt::spawn(keep_fresh(tls, hangups, clock, stop_sweeping.clone()));
    let (public, admin) = (actix_rt::spawn(public), actix_rt::spawn(admin));
    ready.store(true, Ordering::SeqCst);
    let outcome = match started(inside, Served { mcp_url, bound }).await {
        Ok(()) => {
            notify(State::Ready);
            until_stopped(public, inside, &mut stop).await
        }
        failed => failed,
    };
    notify(State::Stopping);
    // Nothing is served any more once another process has the store: there is nothing to wait for.
    let seconds = if inside.is_succeeded() { 0 } else { config.server.shutdown_seconds };
    let grace = Duration::from_secs(seconds);
    shutdown::drain(public_handle, &inside.registry, &ready, grace, &mut stop, goodbye).await;
    admin_handle.stop(false).await;
    let _ = admin.await;
    stop_sweeping.cancel();
    let _ = sweeping.await;
    let _ = freshening.await;
    // Last, so that a shutdown can be watched.
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    outcome
}

/// Ends when a signal asks for it; or, which is an error, when the server itself ends or another process has the store.
/// Whoever starts it again is told who serves, or serves in its place.
async fn until_stopped(
    server: impl Future<Output = Result<std::io::Result<()>, tokio::task::JoinError>>,
    inside: &Inside,
    stop: &mut StopSignals,
) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.asked_to_stop() => Ok(()),
        () = inside.succeeded() => anyhow::bail!(
            "another Sequel process has taken over the store, or an older state of it was put back. What this one had read \
             may not be served any more: it has ended. Start it again where no other one serves."
        ),
        ended = server => ended.context("the HTTP server ended")?.context("the HTTP server failed"),
    }
}

fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is in use by another program. Stop it, or choose another port with {setting}."
        ),
        _ => anyhow::anyhow!("cannot listen on {address} ({error}). Choose another address with {setting}."),
    })?;
    listener.set_nonblocking(true).context("the listening socket cannot be set up")?;
    Ok(listener)
}

/// The administration on a unix socket. The store's lock is held, so a socket that is there already is
/// a dead server's.
pub(super) fn admin_server(admin: Admin, socket: &Path) -> anyhow::Result<Server> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            anyhow::bail!("the old admin socket {} cannot be removed ({error}).", socket.display());
        }
        _ => {}
    }
    let listener = UnixListener::bind(socket)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .with_context(|| format!("the admin socket {} cannot be made", socket.display()))?;
    let admin = Data::new(admin);
    let server = HttpServer::new(move || App::new().app_data(admin.clone()).configure(http::api::routes))
        .workers(1)
        .on_connect(http::api::note_peer)
        .shutdown_timeout(1)
        .disable_signals()
        .listen_uds(listener)
        .with_context(|| format!("the admin socket {} cannot be listened on", socket.display()))?;
    Ok(server.run())
}
