//! `GET /metrics`, on an address of its own: never on the one that clients use, because it asks for no
//! credential.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpRequest, HttpResponse, web};

use super::Hosts;
use crate::metrics::{CONTENT_TYPE, Metrics, Readings};
use crate::org::Registry;

/// What the handlers of this server share.
pub struct Scraped {
    /// What was counted.
    pub metrics: Metrics,
    /// All organizations, for what is read.
    pub registry: Registry,
    /// Whether requests are served.
    pub ready: Arc<AtomicBool>,
    /// On a loopback address only loopback names are ours: a page in a browser of this machine must not read
    /// along (DNS rebinding). Elsewhere the operator's network decides, and may call us as it likes.
    pub hosts: Option<Hosts>,
}

/// Which names a server of metrics on this address goes by.
pub fn own_hosts(bound: SocketAddr) -> Option<Hosts> {
    bound.ip().is_loopback().then(|| Hosts::new(&format!("http://{bound}"), bound, &[], &[]))
}

/// Adds the routes to an application.
pub fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/metrics").get(scrape).head(scrape));
    app.default_service(web::to(nothing_here));
}

async fn scrape(request: HttpRequest, scraped: web::Data<Scraped>) -> HttpResponse {
    let Scraped { metrics, registry, ready, hosts } = &**scraped;
    if let Some(hosts) = hosts
        && hosts.check(request.headers(), request.uri().authority()).is_err()
    {
        return super::mcp::foreign();
    }
    let readings = Readings { ready: ready.load(Ordering::SeqCst), ..registry.readings() };
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(metrics.text(readings))
}

async fn nothing_here() -> HttpResponse {
    HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("There is /metrics here.\n")
}
