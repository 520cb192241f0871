//! The metrics' server: an address of its own, where the operator names one.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix_rt::task::JoinHandle;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context as _;

use super::assemble::Inside;
use crate::http::metrics::{Scraped, own_hosts, routes};

/// Connections of whoever scrapes; a Prometheus keeps one.
const CONNECTIONS_MAX: usize = 64;

/// A running server of metrics.
pub(super) struct Monitor {
    /// Where it listens.
    pub(super) bound: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Monitor {
    /// Serves on a bound listener.
    pub(super) fn start(
        listener: TcpListener,
        inside: &Inside,
        ready: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let bound = listener.local_addr().context("the bound address of the metrics cannot be read")?;
        let (metrics, registry) = (inside.metrics.clone(), inside.registry.clone());
        let scraped = Data::new(Scraped { metrics, registry, ready, hosts: own_hosts(bound) });
        let server = HttpServer::new(move || App::new().app_data(scraped.clone()).configure(routes))
            .workers(1)
            .max_connections(CONNECTIONS_MAX)
            .shutdown_timeout(1)
            .disable_signals()
            .listen(listener)
            .context("the metrics' server cannot be started")?
            .run();
        Ok(Self { bound, handle: server.handle(), server: actix_rt::spawn(server) })
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        self.handle.stop(false).await;
        let _ = self.server.await;
    }
}
